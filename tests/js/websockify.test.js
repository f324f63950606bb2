/**
 * Sockets over a websockify: a WebSocket for each connection.
 * @module
 */

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { GatewayNetwork } from "../../js/gateways/network.js";
import { WebsockifyWay, addressFor } from "../../js/gateways/websockify.js";
import { NameTable } from "../../js/names.js";
import { Socket } from "../../js/socket.js";

/** @typedef {import("../../js/gateways/channel.js").ChannelEvents} ChannelEvents */

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);
const text = (/** @type {Uint8Array} */ data) => new TextDecoder().decode(data);

/** WebSockets as a test has them. */
class Channels {
  /** @type {{url: string, events: ChannelEvents, sent: Uint8Array[], full: boolean, closed: number | undefined}[]} */
  all = [];

  constructor() {
    this.way = new WebsockifyWay("ws://gateway/{host}/{port}?token={host}", (url, events) => {
      const channel = {
        url,
        events,
        sent: /** @type {Uint8Array[]} */ ([]),
        full: false,
        protocol: "binary",
        closed: /** @type {number | undefined} */ (undefined),
        send: (/** @type {Uint8Array} */ data) => channel.sent.push(data.slice()),
        close: (/** @type {number} */ code) => (channel.closed = code),
      };
      this.all.push(channel);
      return channel;
    });
    this.network = new GatewayNetwork(this.way, new NameTable(), () => 0);
  }

  connecting(host = "192.0.2.1") {
    const socket = new Socket();
    socket.connect(this.network, { host, port: 80, timeout: 0 });
    const channel = this.all[this.all.length - 1];
    return { socket, channel };
  }

  connected() {
    const pair = this.connecting();
    pair.channel.events.opened();
    return pair;
  }
}

test("an address may name the host, the port, both or neither", () => {
  assert.equal(addressFor("ws://g/{host}/{port}", "db.example", 5432), "ws://g/db.example/5432");
  assert.equal(addressFor("ws://g/?token={host}:{port}", "::1", 80), "ws://g/?token=%3A%3A1:80");
  assert.equal(addressFor("ws://g/fixed", "db.example", 5432), "ws://g/fixed");
  assert.equal(addressFor("ws://g/{host}", "a/../?&#", 1), "ws://g/a%2F..%2F%3F%26%23");
});

suite("a connection", () => {
  test("is there when its WebSocket is", () => {
    const channels = new Channels();
    const { socket, channel } = channels.connecting("db.example");
    assert.deepEqual([channel.url, socket.state], ["ws://gateway/db.example/80?token=db.example", "connecting"]);
    channel.events.opened();
    assert.deepEqual([socket.state, socket.peer?.host, channels.way.connections], ["established", "240.0.0.1", 1]);
  });

  test("carries bytes both ways, in pieces that every server takes", () => {
    const { socket, channel } = new Channels().connected();
    socket.write(new Uint8Array(200_000));
    assert.deepEqual(channel.sent.map(({ length }) => length), [65_536, 65_536, 65_536, 3392]);
    channel.events.received(bytes("hello"));
    channel.events.received(bytes(""));
    assert.equal(text(socket.read(100)), "hello");
  });

  test("stops while its WebSocket is full, and another's does not stop it", () => {
    const channels = new Channels();
    const [one, other] = [channels.connected(), channels.connected()];
    one.channel.full = true;
    one.socket.write(bytes("later"));
    other.socket.write(bytes("now"));
    assert.deepEqual([one.channel.sent.length, other.channel.sent.length], [0, 1]);
    one.channel.full = false;
    one.channel.events.drained();
    assert.deepEqual(one.channel.sent.map(text), ["later"]);
  });

  for (const [when, code, expected] of [
    ["before it is open", 1006, "ECONNREFUSED"],
    ["at once", 1011, "ECONNREFUSED"],
    ["after data", 1011, "ECONNRESET"],
    ["after data", 1006, "ECONNRESET"],
    ["at once", 1008, "EACCES"],
    ["at once", 1013, "ENOBUFS"],
    ["at once", 1003, "EPROTO"],
    ["at once", 1009, "EMSGSIZE"],
    ["at once", 4321, "ECONNRESET"],
  ]) {
    test(`that is closed ${when} with ${code} fails with ${expected}`, () => {
      const { socket, channel } = new Channels().connecting();
      if (when !== "before it is open") channel.events.opened();
      if (when === "after data") channel.events.received(bytes("x"));
      channel.events.closed(Number(code), "a reason");
      if (when === "after data") socket.read(1);
      const error = socket.takeError();
      assert.equal(error?.code, expected);
      assert.match(error?.message ?? "", /: a reason$/);
      assert.ok(!error?.message.includes("token="));
    });
  }

  for (const code of [1000, 1005]) {
    test(`that is closed with ${code} is at its end`, () => {
      const { socket, channel } = new Channels().connected();
      channel.events.received(bytes("last"));
      channel.events.closed(code, "");
      assert.equal(text(socket.read(10)), "last");
      assert.deepEqual([socket.read(10).length, socket.state], [0, "closeWait"]);
    });
  }

  test("on which text comes is none", () => {
    const { socket, channel } = new Channels().connected();
    channel.events.received("text");
    assert.deepEqual([socket.takeError()?.code, channel.closed], ["EPROTO", 1000]);
    channel.events.received(bytes("late"));
    channel.events.closed(1000, "");
  });

  test("that is closed closes its WebSocket, and hears nothing more", () => {
    const channels = new Channels();
    const { socket, channel } = channels.connected();
    socket.close();
    assert.deepEqual([channel.closed, channels.way.connections], [1000, 0]);
    channel.events.received(bytes("late"));
    channel.events.closed(1000, "");
  });

  test("that is closed before it was open does not become open", () => {
    const { socket, channel } = new Channels().connecting();
    socket.close();
    channel.events.opened();
    assert.deepEqual([socket.state, channel.closed], ["closed", 1000]);
  });
});

test("there are no datagrams", () => {
  const { network } = new Channels();
  const send = () => new DatagramSocket().write(network, bytes("x"), { family: 4, host: "192.0.2.1", port: 53 });
  assert.throws(send, { code: "EPROTONOSUPPORT", message: /carries connections alone/ });
});
