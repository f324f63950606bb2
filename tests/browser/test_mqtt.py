"""paho-mqtt, unmodified, with Mosquitto: the three ways in which a program without threads drives it."""

from __future__ import annotations

import pytest

PACKAGES = ["paho-mqtt"]

CLIENT = """
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

received = []
client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
client.on_message = lambda _client, _data, message: received.append(
    [message.topic, message.payload.decode(), message.qos]
)
"""


@pytest.fixture
def mqtt(anywhere, mqtt_server, request):
    """Runs code that has an MQTT client as `client`, which keeps its messages in `received`."""

    def run(source, **names):
        name = request.node.name  # the server takes two clients of one name for the same
        return anywhere.run(CLIENT + source, name=name, host=mqtt_server.host, port=mqtt_server.port, **names)

    return run


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_loop_delivers_with_every_quality_of_service(mqtt, qos):
    source = """
client.connect(host, port)
subscribed = []
client.on_subscribe = lambda *_: subscribed.append(True)
client.subscribe(f"{name}/#", qos=qos)
while not subscribed:
    assert client.loop(1) == mqtt.MQTT_ERR_SUCCESS
sent = [client.publish(f"{name}/{number}", f"message {number}", qos=qos) for number in range(50)]
while len(received) < 50 or not all(each.is_published() for each in sent):
    assert client.loop(1) == mqtt.MQTT_ERR_SUCCESS
client.disconnect()
while client.loop(1) == mqtt.MQTT_ERR_SUCCESS:
    pass
[[topic.rsplit("/", 1)[1], payload, level] for topic, payload, level in received]
"""
    assert mqtt(source, qos=qos) == [[str(number), f"message {number}", qos] for number in range(50)]


def test_a_program_that_watches_the_socket_itself_keeps_what_was_retained(mqtt):
    source = """
import select, time

def step():
    writes = [client.socket()] if client.want_write() else []
    reads, writes, _ = select.select([client.socket()], writes, [], 1)
    if reads:
        client.loop_read()
    if writes:
        client.loop_write()
    client.loop_misc()

client.connect(host, port)
large = "x" * 1_000_000
kept = client.publish(f"{name}/large", large, qos=1, retain=True)
while not kept.is_published():
    step()
client.subscribe(f"{name}/large", qos=1)
while not received:
    step()
client.publish(f"{name}/large", "", retain=True)  # forgets it
client.unsubscribe(f"{name}/large")
while client.want_write():
    step()
client.disconnect()
[[topic == f"{name}/large", payload == large, qos] for topic, payload, qos in received]
"""
    assert mqtt(source) == [[True, True, 1]]


def test_an_event_loop_watches_the_socket(mqtt):
    source = """
import asyncio

loop = asyncio.get_running_loop()
arrived = asyncio.Event()
client.on_socket_open = lambda _c, _u, sock: loop.add_reader(sock, client.loop_read)
client.on_socket_close = lambda _c, _u, sock: loop.remove_reader(sock)
client.on_socket_register_write = lambda _c, _u, sock: loop.add_writer(sock, client.loop_write)
client.on_socket_unregister_write = lambda _c, _u, sock: loop.remove_writer(sock)
client.on_connect = lambda *_: client.subscribe(f"{name}/#", qos=1)
client.on_subscribe = lambda *_: publish()

def publish():
    for number in range(100):
        client.publish(f"{name}/{number}", f"message {number}", qos=1)

def take(_client, _data, message):
    received.append(message.payload.decode())
    if len(received) == 100:
        arrived.set()

client.on_message = take
client.connect(host, port)
await arrived.wait()
client.disconnect()
received
"""
    assert mqtt(source) == [f"message {number}" for number in range(100)]


def test_two_clients_speak_to_each_other_and_the_last_will_of_one_arrives(mqtt):
    source = """
import select, socket
watcher, dying = client, mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name + "-dying")
watcher.connect(host, port)
subscribed = []
watcher.on_subscribe = lambda *_: subscribed.append(True)
watcher.subscribe(f"{name}/#", qos=1)
while not subscribed:
    watcher.loop(1)
dying.will_set(f"{name}/will", "farewell", qos=1)
dying.connect(host, port)
dying.publish(f"{name}/words", "I am here", qos=1)
while len(received) < 1:
    dying.loop(0)
    watcher.loop(0.1)
dying.socket().shutdown(socket.SHUT_RDWR)  # gone without a DISCONNECT
while len(received) < 2:
    watcher.loop(1)
dying.loop(1)  # notices, and closes its socket
watcher.disconnect()
[[topic.rsplit("/", 1)[1], payload] for topic, payload, _ in received]
"""
    assert mqtt(source) == [["words", "I am here"], ["will", "farewell"]]
