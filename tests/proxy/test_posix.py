from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time

import pytest

from pynet_browser.proxy.policy import Rule
from tests.peers import DatagramEcho, Echo, Silent, Source, pattern
from tests.proxy.hosts import UdpHost, Witness
from tests.proxy.posix_peer import E, program, sockaddr
from tests.proxy.running import EVERY_LOOP, listening, running_proxy, until
from tests.servers.process import free_port

every_loop = pytest.mark.asyncio(loop_factories=EVERY_LOOP)

PEEK, DONTWAIT, WAITALL = 2, 0x40, 0x100


# ── Streams ───────────────────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_a_program_connects_sends_and_receives(echo_server):
    async with running_proxy() as proxy, program(proxy) as prog:
        fd = await prog.connected(*echo_server.address)
        assert 100 <= fd < 1024
        assert await prog.send(fd, b"hello") == (5, 0, b"")
        assert await prog.recv(fd, 100) == (5, 0, b"hello")
        assert await prog.shutdown(fd, 1) == (0, 0, b"")
        assert await prog.recv(fd, 100) == (0, 0, b"")
        assert await prog.shutdown(fd, 2) in [(0, 0, b""), (-1, E["ENOTCONN"], b"")]
        assert await prog.send(fd, b"more") == (-1, E["EBADF"], b"")
        assert proxy.sessions.sockets == 0


@every_loop
async def test_a_large_send_goes_out_whole_from_fragments_and_comes_back(echo_server):
    async with running_proxy() as proxy, program(proxy) as prog:
        fd = await prog.connected(*echo_server.address)
        data = pattern(3_000_000)
        message = struct.pack("<IIiIi", 2**31, 10, fd, len(data), 0) + data

        async def fragments():
            for at in range(0, len(message), 65_536):
                yield message[at : at + 65_536]

        sending = asyncio.create_task(prog.ws.send(fragments()))
        got = bytearray()
        while len(got) < len(data):
            ret, _, piece = await prog.recv(fd, 1 << 20)
            assert ret == len(piece) > 0
            got += piece
        assert got == data
        await sending
        await until(lambda: prog.unexpected)
        assert prog.unexpected == [struct.pack("<Iii", 2**31, len(data), 0)]


async def test_blocking_calls_wait_at_once_and_keep_nobody_waiting(prog, echo_server):
    quiet = [await prog.connected(*echo_server.address) for _ in range(50)]
    receiving = [prog.recv(fd, 100) for fd in quiet] + [prog.recv(quiet[0], 100)]
    fd = await prog.connected(*echo_server.address)
    await prog.send(fd, b"hello")
    assert await prog.recv(fd, 100) == (5, 0, b"hello")
    threads = threading.active_count()
    assert not any(answer.done() for answer in receiving)
    for number, each in enumerate(quiet):
        await prog.send(each, bytes([number]))
    for number, answer in enumerate(receiving[1:-1], 1):
        assert await answer == (1, 0, bytes([number]))
    both = receiving[0], receiving[-1]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    await prog.send(quiet[0], b"x")
    assert {(await answer).extra for answer in both} == {b"\0", b"x"}
    assert threading.active_count() == threads


async def test_two_threads_may_wait_for_one_socket(prog, echo_server):
    fd = await prog.connected(*echo_server.address)
    first, second = prog.recv(fd, 1), prog.recv(fd, 1)
    await asyncio.sleep(0.05)
    await prog.send(fd, b"ab")
    assert {(await first).extra, (await second).extra} == {b"a", b"b"}


async def test_what_two_threads_send_does_not_mix(prog):
    with Witness() as peer:
        fd = await prog.connected(*peer.address)
        body = struct.pack("<iIi", fd, 1_000_000, 0)
        answers = [prog.start(10, body + bytes([number]) * 1_000_000) for number in range(4)]
        for answer in answers:
            assert (await answer).ret == 1_000_000
        await prog.shutdown(fd, 2)
        await until(peer.over.is_set)
        received = bytes(peer.received)
        assert len(received) == 4_000_000
        assert sorted(received[at] for at in range(0, 4_000_000, 1_000_000)) == [0, 1, 2, 3]
        assert all(len(set(received[at : at + 1_000_000])) == 1 for at in range(0, 4_000_000, 1_000_000))


async def test_flags_of_receiving(prog, echo_server):
    fd = await prog.connected(*echo_server.address)
    assert await prog.recv(fd, 10, DONTWAIT) == (-1, E["EAGAIN"], b"")
    await prog.send(fd, b"abc")
    assert await prog.recv(fd, 2, PEEK) == (2, 0, b"ab")
    waiting = prog.recv(fd, 6, WAITALL)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await prog.send(fd, b"def")
    assert await waiting == (6, 0, b"abcdef")
    assert await prog.recv(fd, 0) == (0, 0, b"")


async def test_what_is_there_is_given_when_the_rest_of_all_does_not_come(prog):
    with Source(1000) as peer:
        fd = await prog.connected(*peer.address)
        assert await prog.recv(fd, 2**32 - 1, WAITALL) == (1000, 0, pattern(1000))


@pytest.mark.parametrize(
    "option", [(20, struct.pack("<ii", 0, 100_000)), (66, struct.pack("<qi4x", 0, 100_000))]
)
async def test_calls_wait_no_longer_than_they_are_told(prog, silent_server, option):
    fd = await prog.connected(*silent_server.address)
    assert await prog.setsockopt(fd, 1, *option) == (0, 0, b"")
    start = time.monotonic()
    assert await prog.recv(fd, 10) == (-1, E["EAGAIN"], b"")
    assert 0.08 < time.monotonic() - start < 5
    assert await prog.getsockopt(fd, 1, option[0], len(option[1])) == (0, 0, option[1])


async def test_a_send_that_is_held_back_ends_with_what_went_out(prog):
    with Silent(receive_buffer=4096) as peer:
        fd = await prog.connected(*peer.address)
        await prog.setsockopt(fd, 1, 7, struct.pack("<i", 4096))
        answer = await prog.send(fd, bytes(8_000_000), DONTWAIT)
        assert 0 < answer.ret < 8_000_000
        while answer.ret > 0:
            answer = await prog.send(fd, bytes(8_000_000), DONTWAIT)
        assert answer == (-1, E["EAGAIN"], b"")
        await prog.setsockopt(fd, 1, 21, struct.pack("<ii", 0, 50_000))
        assert (await prog.send(fd, bytes(1_000_000))).errno in {0, E["EAGAIN"]}
        # Meanwhile everything else goes on.
        waiting = prog.start(
            10, struct.pack("<iIi", await prog.connected(*peer.address), 4_000_000, 0) + bytes(4_000_000)
        )
        with Echo() as echo:
            other = await prog.connected(*echo.address)
            await prog.send(other, b"hello")
            assert await prog.recv(other, 5) == (5, 0, b"hello")
        waiting.cancel()


async def test_shutting_down_both_ways_closes_even_where_it_fails(proxy, prog, echo_server):
    fd = await prog.socket()
    assert await prog.shutdown(fd, 2) == (-1, E["ENOTCONN"], b"")
    assert await prog.shutdown(fd, 2) == (-1, E["EBADF"], b"")
    fd = await prog.connected(*echo_server.address)
    waiting = prog.recv(fd, 10)
    await asyncio.sleep(0.05)
    assert await prog.shutdown(fd, 2) == (0, 0, b"")
    assert await waiting == (0, 0, b"")
    assert await prog.shutdown(fd, 7) == (-1, E["EBADF"], b"")
    assert proxy.sessions.sockets == 0


async def test_numbers_are_used_again(prog):
    first, second = await prog.socket(), await prog.socket()
    assert (first, second) == (100, 101)
    await prog.shutdown(first, 2)
    assert await prog.socket() == 100


async def test_a_half_close_leaves_the_other_half(prog, hash_server):
    fd = await prog.connected(*hash_server.address)
    await prog.send(fd, b"data")
    await prog.shutdown(fd, 1)
    ret, _, digest = await prog.recv(fd, 64, WAITALL)
    assert (ret, len(digest)) == (64, 64)


async def test_everything_is_closed_when_the_program_goes(proxy, echo_server):
    with Witness() as peer:
        async with program(proxy) as prog:
            fd = await prog.connected(*peer.address)
            waiting = [prog.recv(fd, 10), prog.accept(fd)]
            await prog.send(fd, b"hello")
            prog.ws.transport.abort()
        await until(peer.over.is_set)
        assert (bytes(peer.received), peer.ending) == (b"hello", "FIN")
        await until(lambda: not len(proxy.sessions))
        assert proxy.sessions.sockets == 0
        for answer in waiting:
            answer.cancel()


async def test_a_pair_has_two_ends(prog):
    ret, _, extra = await prog.call(2, struct.pack("<iii", 1, 1, 0))
    one, other = struct.unpack("<ii", extra)
    assert ret == 0
    await prog.send(one, b"hello")
    assert await prog.recv(other, 10) == (5, 0, b"hello")
    assert await prog.bind(one, "127.0.0.1", 0) == (-1, E["EOPNOTSUPP"], b"")
    assert await prog.listen(one) == (-1, E["EOPNOTSUPP"], b"")
    assert await prog.connect(one, "127.0.0.1", 1) == (-1, E["EOPNOTSUPP"], b"")
    assert (await prog.name(8, one)).extra == bytes(4)
    assert await prog.call(2, struct.pack("<iii", 2, 1, 0)) == (-1, E["EOPNOTSUPP"], bytes(8))


# ── Servers ───────────────────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_a_program_is_a_server():
    port = free_port()
    async with running_proxy(listen=listening(str(port))) as proxy, program(proxy) as prog:
        fd = await prog.socket()
        assert await prog.setsockopt(fd, 1, 2, struct.pack("<i", 1)) == (0, 0, b"")
        assert await prog.bind(fd, "0.0.0.0", port) == (0, 0, b"")
        assert await prog.listen(fd) == (0, 0, b"")
        accepting = prog.accept(fd)
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        client, error, extra = await accepting
        assert client > fd
        assert error == 0
        assert extra == struct.pack("<I", 16) + sockaddr(*writer.get_extra_info("sockname"))
        await prog.send(client, b"welcome")
        assert await reader.readexactly(7) == b"welcome"
        writer.write(b"thanks")
        assert await prog.recv(client, 100) == (6, 0, b"thanks")
        waiting = prog.accept(fd, 0)
        _, second = await asyncio.open_connection("127.0.0.1", port)
        assert (await waiting).extra == bytes(4)
        for each in (writer, second):
            each.close()


async def test_a_program_listens_only_where_it_may(prog):
    fd = await prog.socket()
    assert (await prog.bind(fd, "127.0.0.1", free_port())).errno == E["EACCES"]
    assert (await prog.listen(fd)).errno == E["EACCES"]
    assert await prog.bind(fd, "127.0.0.1", 0) == (0, 0, b"")
    assert (await prog.listen(fd)).errno == E["EACCES"]
    assert (await prog.bind(fd, "127.0.0.1", 0)).errno == E["EINVAL"]


# ── Datagrams ─────────────────────────────────────────────────────────────────────────────────────────────


@every_loop
async def test_a_program_exchanges_datagrams():
    async with running_proxy() as proxy, program(proxy) as prog:
        with DatagramEcho() as peer:
            fd = await prog.socket(2, 2, 17)
            receiving = prog.recvfrom(fd, 2000)
            assert await prog.sendto(fd, b"hello", *peer.address) == (5, 0, b"")
            assert await receiving == (5, 0, struct.pack("<II", 5, 16) + b"hello" + sockaddr(*peer.address))
            await prog.sendto(fd, b"0123456789", *peer.address)
            assert await prog.recvfrom(fd, 4, 0, 6) == (
                4,
                0,
                struct.pack("<II", 4, 16) + b"0123" + sockaddr(*peer.address)[:6],
            )
            assert await prog.connect(fd, *peer.address) == (0, 0, b"")
            assert await prog.send(fd, b"") == (0, 0, b"")
            assert await prog.recv(fd, 100) == (0, 0, b"")
            assert await prog.sendto(fd, b"without", "", 0) == (7, 0, b"")
            assert await prog.recv(fd, 100, PEEK) == (7, 0, b"without")
            assert await prog.recv(fd, 100) == (7, 0, b"without")


async def test_a_datagram_is_as_long_as_what_came_not_as_was_claimed(prog):
    with UdpHost() as host:
        fd = await prog.socket(2, 2)
        assert (await prog.sendto(fd, b"abc", *host.address, claimed=600)).ret == 3
        assert (await host.recv())[0] == b"abc"
        assert (await prog.send(fd, b"abc")).errno == E["EDESTADDRREQ"]


async def test_strangers_are_not_heard_and_peeking_passes_them_by(prog):
    with UdpHost() as host, UdpHost() as stranger:
        fd = await prog.socket(2, 2)
        await prog.sendto(fd, b"hello", *host.address)
        _, source = await host.recv()
        stranger.send(b"from elsewhere", *source)
        host.send(b"answer", *source)
        assert (await prog.recv(fd, 100, PEEK)).extra == b"answer"
        assert (await prog.recv(fd, 100)).extra == b"answer"


# ── Names, options ────────────────────────────────────────────────────────────────────────────────────────


async def test_names_of_sockets_are_told_where_the_client_asks_properly(prog, echo_server):
    fd = await prog.connected(*echo_server.address)
    assert await prog.name(9, fd) == (0, 0, struct.pack("<I", 16) + sockaddr(*echo_server.address))
    ret, _, extra = await prog.name(8, fd)
    assert (ret, extra[:6]) == (0, struct.pack("<IH", 16, 2))
    # What the client has cut off can be told from the length of what is left.
    assert (await prog.name(9, fd, 254)).extra == struct.pack("<I", 16) + sockaddr(*echo_server.address)
    assert await prog.name(9, fd, 250) == (-1, E["EINVAL"], bytes(4))


@pytest.mark.parametrize("room", [0, 16, 28, 128, 240])
async def test_a_call_that_was_cut_to_nothing_is_answered(prog, echo_server, room):
    fd = await prog.connected(*echo_server.address)
    assert await prog.name(8, fd, room) == (-1, E["ENOSYS"], bytes(4))
    assert await prog.name(9, fd, room) == (-1, E["ENOSYS"], bytes(4))
    await prog.send(fd, b"hello")
    assert await prog.recv(fd, 5) == (5, 0, b"hello")


async def test_values_of_options_stand_where_the_client_looks_for_them(prog, echo_server):
    fd = await prog.socket()
    assert await prog.getsockopt(fd, 1, 3) == (0, 0, struct.pack("<i", 1))
    assert await prog.getsockopt(fd, 1, 3, 2) == (0, 0, b"\1\0")
    for level, name in [(1, 2), (1, 9), (6, 1)]:
        assert (await prog.getsockopt(fd, level, name)).extra == bytes(4)
        assert await prog.setsockopt(fd, level, name, struct.pack("<i", 1)) == (0, 0, b"")
        assert (await prog.getsockopt(fd, level, name)).extra == struct.pack("<i", 1)
    assert await prog.setsockopt(fd, 1, 13, struct.pack("<ii", 1, 5)) == (0, 0, b"")
    assert (await prog.getsockopt(fd, 1, 13, 8)).extra == struct.pack("<ii", 1, 5)
    assert (await prog.getsockopt(fd, 1, 4)).extra == bytes(4)
    for answer in [
        await prog.getsockopt(fd, 6, 11, 240),
        await prog.setsockopt(fd, 1, 25, b"eth0"),
        await prog.setsockopt(fd, 99, 1, bytes(4)),
    ]:
        assert answer == (-1, E["ENOPROTOOPT"], b"")
    assert (await prog.setsockopt(fd, 6, 1, b"")).errno == E["EINVAL"]
    assert (await prog.setsockopt(fd, 1, 20, b"1234")).errno == E["EINVAL"]


async def test_the_pending_error_is_in_the_programs_numbering(prog, refusing_port):
    fd = await prog.socket(2, 2)
    await prog.connect(fd, *refusing_port.address)
    await prog.send(fd, b"anybody?")
    await asyncio.sleep(0.05)
    assert (await prog.getsockopt(fd, 1, 4)).extra == struct.pack("<i", E["ECONNREFUSED"])


async def test_names_are_looked_up(prog):
    code, canonical, entries = await prog.getaddrinfo("127.0.0.1", "80")
    assert (code, canonical) == (0, "")
    assert entries == [(2, 1, 6, sockaddr("127.0.0.1", 80)), (2, 2, 17, sockaddr("127.0.0.1", 80))]
    code, canonical, entries = await prog.getaddrinfo("localhost", "http", (2, 2, 1, 0))
    assert code == 0
    assert canonical
    assert entries == [(2, 1, 6, sockaddr("127.0.0.1", 80))]
    assert (await prog.getaddrinfo("::1", "", (0, 10, 2, 17)))[2] == [(10, 2, 17, sockaddr("::1", 0))]
    _, _, entries = await prog.getaddrinfo("", "80", (1, 2, 1, 0))  # AI_PASSIVE
    assert entries == [(2, 1, 6, sockaddr("0.0.0.0", 80))]
    _, _, entries = await prog.getaddrinfo("", "80", (0, 0, 1, 0))
    assert [address for *_, address in entries] == [sockaddr("127.0.0.1", 80), sockaddr("::1", 80)]


@pytest.mark.parametrize(
    ("node", "service", "hints", "code"),
    [
        ("", "", None, -2),
        ("no..name", "", None, -2),
        ("localhost", "", (4, 0, 0, 0), -2),
        ("127.0.0.1", "no such service", None, -8),
        ("127.0.0.1", "", (0, 77, 0, 0), -6),
        ("127.0.0.1", "", (0, 0, 3, 0), -7),
        ("127.0.0.1", "", (0, 0, 1, 17), -7),
    ],
)
async def test_failed_look_ups_have_the_codes_of_musl(prog, node, service, hints, code):
    assert await prog.getaddrinfo(node, service, hints) == (code, "", [])


async def test_a_name_that_is_allowed_opens_the_address_it_was_found_by(echo_server):
    allow, deny = (Rule.parse(f"localhost:{echo_server.port}"),), (Rule.parse("127.0.0.0/8:*"),)
    async with running_proxy(allow=allow, deny=deny) as proxy, program(proxy) as prog:
        fd = await prog.socket()
        assert (await prog.connect(fd, *echo_server.address)).errno == E["EACCES"]
        assert (await prog.getaddrinfo("localhost", "", (0, 2, 1, 0)))[0] == 0
        assert await prog.connect(fd, *echo_server.address) == (0, 0, b"")
        assert (await prog.connect(await prog.socket(), "127.0.0.1", 9)).errno == E["EACCES"]


# ── Errors ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_errors_are_in_the_programs_numbering(prog, refusing_port, echo_server):
    fd = await prog.socket()
    assert (await prog.connect(fd, *refusing_port.address)).errno == E["ECONNREFUSED"]
    assert (await prog.recv(await prog.socket(), 10)).errno == E["ENOTCONN"]
    assert (await prog.connect(fd, "::1", 9)).errno == E["EAFNOSUPPORT"]
    connected = await prog.connected(*echo_server.address)
    assert (await prog.connect(connected, *echo_server.address)).errno == E["EISCONN"]
    for domain, type_, protocol, error in [
        (1, 1, 0, "EAFNOSUPPORT"),
        (2, 3, 1, "EPERM"),
        (2, 5, 0, "ESOCKTNOSUPPORT"),
        (2, 1, 17, "EPROTONOSUPPORT"),
    ]:
        answer = await prog.call(1, struct.pack("<iii", domain, type_, protocol))
        assert answer == (-1, E[error], b"")
    assert await prog.socket(2, 1 | 0x80000 | 0x800) > 0


async def test_a_connect_that_takes_too_long(unanswering_port):
    async with running_proxy(connect_timeout=0.2) as proxy, program(proxy) as prog:
        fd = await prog.socket()
        assert (await prog.connect(fd, *unanswering_port.address)).errno == E["ETIMEDOUT"]


async def test_the_policy_decides_about_every_way_out(echo_server):
    deny = (Rule.parse("127.0.0.0/8:*"), Rule.parse("[::1]:*"))
    async with running_proxy(deny=deny) as proxy, program(proxy) as prog:
        with UdpHost() as host:
            for address in ("127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"):
                family = 10 if ":" in address else 2
                stream, datagrams = await prog.socket(family), await prog.socket(family, 2)
                assert (await prog.connect(stream, address, echo_server.port)).errno == E["EACCES"]
                assert (await prog.connect(datagrams, address, host.address[1])).errno == E["EACCES"]
                assert (await prog.sendto(datagrams, b"x", address, host.address[1])).errno == E["EACCES"]
            assert (await prog.getaddrinfo("localhost"))[0] == -2
            group = socket.inet_aton("127.0.0.1") + bytes(4)
            assert (await prog.setsockopt(await prog.socket(2, 2), 0, 35, group)).errno == E["EACCES"]
            assert host.heard() == 0
    assert echo_server.accepted == 0


@pytest.mark.parametrize("function", [0, 14, 15, 19, 20, 2**32 - 1])
async def test_calls_that_nobody_can_make_are_answered(prog, function):
    assert await prog.call(function, bytes(64)) == (-1, E["ENOSYS"], b"")


@pytest.mark.parametrize(
    ("function", "least"), [(f, {2: 20, 8: 16, 9: 16, 18: 2064}.get(f, 12)) for f in range(1, 20)]
)
async def test_every_answer_is_as_long_as_the_client_insists(prog, function, least):
    for body in (b"", b"\1", struct.pack("<i", 9999), struct.pack("<iiii", 9999, 1, 1, 1) + bytes(2400)):
        ret, _, extra = await prog.call(function, body)
        assert len(extra) >= least - 12
        if ret >= 0:
            assert function in {1, 18}


async def test_descriptors_of_others_are_nobodys(proxy, prog, echo_server):
    fd = await prog.connected(*echo_server.address)
    async with program(proxy) as other:
        for number in (fd, 0, 3, -1, 2**31 - 1):
            for function in (3, 6, 7, 9, 11, 13, 16):
                answer = await other.call(function, struct.pack("<iIii", number, 300, 0, 4))
                assert (answer.ret, answer.errno) == (-1, E["EBADF"])
