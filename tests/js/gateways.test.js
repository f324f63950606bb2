/**
 * Sockets over a Wisp server: what they do where it can, and what they say where it cannot.
 * @module
 */

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { ERROR, PEER_FINISHED, READABLE, WRITABLE } from "../../js/endpoint.js";
import { Extension, Reason } from "../../js/gateways/wisp-packets.js";
import { Listener } from "../../js/listener.js";
import { Socket } from "../../js/socket.js";
import { WINDOW_INITIAL } from "../../js/window.js";
import { Chance } from "./chance.js";
import { WispServer } from "./wisp-server.js";

/** @typedef {import("../../js/errors.js").SocketError} SocketError */

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);
const text = (/** @type {Uint8Array} */ data) => new TextDecoder().decode(data);
const PIECE = 64 * 1024;

/** @param {WispServer} server @param {string} [host] */
function connecting(server, host = "192.0.2.1") {
  const socket = new Socket();
  socket.connect(server.network, { host, port: 80, timeout: 0 });
  return socket;
}

/** @param {WispServer} server */
function connected(server) {
  const socket = connecting(server);
  server.take();
  return socket;
}

/** The code of an error that must come. @param {() => unknown} call */
function code(call) {
  try {
    call();
  } catch (error) {
    return /** @type {SocketError} */ (error).code;
  }
  return assert.fail("no error");
}

/** What a request is answered with. @param {(answered: import("../../js/endpoint.js").Answered) => void} ask @returns {any} */
function answer(ask) {
  /** @type {any} */
  let found = null;
  ask((error, frame) => (found = error ?? frame));
  return found;
}

/** @param {[number, Uint8Array][]} extensions */
const idsOf = (extensions) => extensions.map(([id]) => id);

/** Bytes of data in what was sent. @param {import("../../js/gateways/wisp-packets.js").Packet[]} packets */
const sizes = (packets) => packets.filter(({ type }) => type === "Data").map(({ data }) => data.length);

suite("connecting", () => {
  test("waits for the server's word where it gives one", () => {
    const server = new WispServer().second();
    const socket = connecting(server);
    assert.deepEqual(server.take(), [{ type: "Connect", stream: 1, kind: 1, port: 80, host: "192.0.2.1" }]);
    assert.equal(socket.state, "connecting");
    server.say({ type: "Continue", stream: 1, credit: 128 });
    assert.equal(socket.state, "established");
    assert.deepEqual(socket.peer, { family: 4, host: "192.0.2.1", port: 80 });
    assert.deepEqual(socket.local, { family: 4, host: "0.0.0.0", port: 0 });
  });

  test("is done at once where it gives none", () => {
    assert.equal(connecting(new WispServer().first()).state, "established");
    assert.equal(connecting(new WispServer().second([Extension.UDP])).state, "established");
  });

  test("waits for the server to say what it takes", () => {
    const server = new WispServer();
    const socket = connecting(server);
    assert.deepEqual([server.take(), socket.state], [[], "connecting"]);
    server.first();
    assert.deepEqual([server.take().length, socket.state], [1, "established"]);
  });

  for (const [reason, expected] of [
    [Reason.UNREACHABLE, "EHOSTUNREACH"],
    [Reason.TIMED_OUT, "ETIMEDOUT"],
    [Reason.REFUSED, "ECONNREFUSED"],
    [Reason.BLOCKED, "EACCES"],
    [Reason.THROTTLED, "ENOBUFS"],
    [Reason.INVALID, "EADDRNOTAVAIL"],
    [Reason.VOLUNTARY, "ECONNREFUSED"],
    [Reason.UNKNOWN, "ECONNABORTED"],
    [0xfe, "ECONNABORTED"],
  ]) {
    test(`fails for reason 0x${Number(reason).toString(16)} with ${expected}, and may be tried again`, () => {
      const server = new WispServer().second();
      const socket = connecting(server);
      server.close(1, Number(reason));
      const target = { host: "192.0.2.1", port: 81, timeout: 0 };
      assert.equal(code(() => socket.connect(server.network, target)), expected);
      assert.match(socket.reported?.message ?? "", /^the Wisp server /);
      socket.connect(server.network, target);
      server.say({ type: "Continue", stream: 2, credit: 128 });
      assert.equal(socket.state, "established");
    });
  }

  test("by a name leaves it to the server, and by what stands for it too", () => {
    const server = new WispServer().first();
    assert.equal(connecting(server, "db.example").peer?.host, "240.0.0.1");
    connecting(server, "240.0.0.1");
    assert.deepEqual(server.take().map(({ host }) => host), ["db.example", "db.example"]);
  });
});

suite("a connection", () => {
  test("carries bytes both ways", () => {
    const server = new WispServer().first();
    const socket = connected(server);
    assert.equal(socket.write(bytes("hello")), 5);
    assert.equal(text(server.take()[0].data), "hello");
    server.data(1, "world");
    assert.equal(text(socket.read(100)), "world");
  });

  test("sends large data in pieces that every server takes", () => {
    const server = new WispServer().first();
    const socket = connected(server);
    assert.equal(socket.write(new Uint8Array(200_000)), 200_000);
    assert.deepEqual(sizes(server.take()).map((size) => size <= PIECE), [true, true, true, true]);
  });

  test("sends no more packets than it may, gathers what waits, and tells when there is room", () => {
    const server = new WispServer().first(2);
    const socket = connected(server);
    for (let number = 0; number < 10; number++) assert.equal(socket.write(new Uint8Array(1000)), 1000);
    assert.deepEqual(sizes(server.take()), [1000, 1000]);
    let sent = 8000;
    while (socket.readiness & WRITABLE) sent += socket.write(new Uint8Array(100_000));
    assert.equal(sent, 1 << 20);
    assert.equal(code(() => socket.write(bytes("x"))), "EAGAIN");
    let woken = 0;
    socket.watch(WRITABLE, () => woken++);
    server.say({ type: "Continue", stream: 1, credit: 3 });
    assert.deepEqual(sizes(server.take()), [PIECE, PIECE, PIECE]);
    assert.equal(woken, 1);
    assert.equal(socket.write(new Uint8Array(1 << 20)), 3 * PIECE);
  });

  test("stops while its line is full, and goes on when it is not", () => {
    const server = new WispServer().first();
    const socket = connected(server);
    server.full = true;
    socket.write(bytes("later"));
    assert.deepEqual(server.take(), []);
    server.full = false;
    server.session.drained();
    assert.deepEqual(sizes(server.take()), [5]);
  });

  test("keeps what its program does not read, in order, as much as its window and then the network takes", () => {
    const server = new WispServer().first();
    const socket = connected(server);
    for (let number = 0; number < 20; number++) {
      server.say({ type: "Data", stream: 1, data: new Uint8Array(65_536).fill(number) });
    }
    assert.equal(socket.available, WINDOW_INITIAL);
    assert.equal(server.network.held, 20 * 65_536 - WINDOW_INITIAL);
    server.close(1, Reason.VOLUNTARY);
    for (let at = 0; at < 20 * 65_536; ) {
      const data = socket.read(65_536);
      assert.equal(data[0], Math.floor(at / 65_536));
      at += data.length;
    }
    assert.equal(server.network.held, 0);
    assert.deepEqual([socket.state, socket.read(1).length], ["closeWait", 0]);
  });

  test("that brings more than can be kept ends with an error, and others go on", () => {
    const server = new WispServer().first();
    const [socket, other] = [connected(server), connected(server)];
    for (let number = 0; number < 1100; number++) {
      server.say({ type: "Data", stream: 1, data: new Uint8Array(65_536) });
      assert.ok(server.network.held <= 64 << 20);
    }
    assert.deepEqual(server.take(), [{ type: "Close", stream: 1, reason: Reason.VOLUNTARY }]);
    while (socket.available) socket.read(1 << 20);
    assert.equal(code(() => socket.read(1)), "ENOBUFS");
    server.data(2, "here");
    assert.equal(text(other.read(10)), "here");
  });

  test("is at its end when the server closes it, and is written to in vain", () => {
    const server = new WispServer().first();
    const socket = connected(server);
    server.data(1, "last");
    server.close(1, Reason.VOLUNTARY);
    assert.equal(socket.readiness & PEER_FINISHED, PEER_FINISHED);
    assert.equal(text(socket.read(10)), "last");
    assert.equal(socket.read(10).length, 0);
    socket.write(bytes("x")); // as on Linux, the first finds out
    assert.equal(code(() => socket.write(bytes("x"))), "EPIPE");
    assert.deepEqual(server.take(), []);
  });

  test("that broke says so after what came", () => {
    const server = new WispServer().first();
    const socket = connected(server);
    server.data(1, "last");
    server.close(1, Reason.NETWORK_ERROR);
    assert.equal(text(socket.read(10)), "last");
    assert.equal(code(() => socket.read(10)), "ECONNRESET");
  });

  test("cannot end one direction alone", () => {
    const server = new WispServer().first();
    const socket = connected(server);
    assert.equal(code(() => socket.shutdown({ read: false, write: true })), "EOPNOTSUPP");
    assert.match(socket.reported?.message ?? "", /ends both directions/);
    socket.write(bytes("goes on"));
    assert.deepEqual(sizes(server.take()), [7]);
  });

  test("can end both", () => {
    for (const steps of [[{ read: true, write: true }], [{ read: true, write: false }, { read: false, write: true }]]) {
      const server = new WispServer().first();
      const socket = connected(server);
      for (const step of steps) socket.shutdown(step);
      assert.deepEqual(server.take(), [{ type: "Close", stream: 1, reason: Reason.VOLUNTARY }]);
      assert.deepEqual([socket.state, socket.read(1).length], ["finished", 0]);
      socket.close();
      assert.deepEqual(server.take(), []);
    }
  });

  test("may end its own direction once the peer has ended", () => {
    const server = new WispServer().first();
    const socket = connected(server);
    server.close(1, Reason.VOLUNTARY);
    socket.shutdown({ read: false, write: true });
    assert.equal(socket.state, "finished");
  });

  test("that is closed still sends what it was given", () => {
    const server = new WispServer().first(1);
    const socket = connected(server);
    socket.write(new Uint8Array(1000));
    socket.write(new Uint8Array(70_000));
    socket.close();
    assert.deepEqual(sizes(server.take()), [1000]);
    server.say({ type: "Continue", stream: 1, credit: 1 });
    assert.deepEqual(sizes(server.take()), [PIECE]);
    server.data(1, "nobody reads this");
    server.say({ type: "Continue", stream: 1, credit: 5 });
    assert.deepEqual(server.take().map(({ type }) => type), ["Data", "Close"]);
  });

  test("that is broken off sends nothing more", () => {
    const server = new WispServer().first(0);
    const socket = connected(server);
    socket.write(bytes("never"));
    socket.abort();
    assert.deepEqual(server.take().map(({ type }) => type), ["Close"]);
  });

  test("of which nobody takes what it has left is given up when there are many", () => {
    const server = new WispServer().first(0);
    for (let number = 0; number < 300; number++) {
      const socket = connecting(server);
      socket.write(new Uint8Array(1000));
      socket.close();
    }
    const closed = server.take().filter(({ type }) => type === "Close");
    assert.deepEqual(closed.map(({ stream }) => stream), Array.from({ length: 44 }, (_, index) => index + 1));
  });
});

suite("datagrams", () => {
  const peer = { family: 4, host: "192.0.2.1", port: 53 };

  test("have a stream for each peer", () => {
    const server = new WispServer().first();
    const socket = new DatagramSocket();
    socket.write(server.network, bytes("one"), peer);
    socket.write(server.network, bytes("two"), { ...peer, port: 54 });
    socket.write(server.network, bytes(""), peer);
    assert.deepEqual(
      server.take().map(({ type, stream, port, data }) => [type, stream, port ?? text(data)]),
      [
        ["Connect", 1, 53],
        ["Data", 1, "one"],
        ["Connect", 2, 54],
        ["Data", 2, "two"],
        ["Data", 1, ""],
      ],
    );
    server.data(2, "answer");
    assert.equal(text(socket.read(100)), "answer");
    assert.deepEqual(socket.last?.address, { ...peer, port: 54 });
    socket.close();
    assert.deepEqual(server.take().map(({ type, stream }) => [type, stream]), [["Close", 2], ["Close", 1]]);
  });

  test("come from one peer alone where it has one", () => {
    const server = new WispServer().first();
    const socket = new DatagramSocket();
    socket.write(server.network, bytes("one"), { ...peer, port: 54 });
    assert.equal(answer((answered) => socket.associate(server.network, peer, answered)).type, "associated");
    assert.deepEqual(server.take().map(({ type }) => type), ["Connect", "Data", "Close"]);
    socket.write(server.network, bytes("two"));
    server.data(1, "from whom it has left");
    server.data(2, "from its peer");
    assert.equal(text(socket.read(100)), "from its peer");
    server.close(2, Reason.REFUSED);
    assert.equal(socket.readiness & ERROR, ERROR);
    assert.equal(code(() => socket.read(1)), "ECONNREFUSED");
    socket.write(server.network, bytes("again"));
    assert.deepEqual(server.take().map(({ type, stream }) => [type, stream]).at(-2), ["Connect", 3]);
  });

  test("to whom it is not allowed are an error for everybody", () => {
    const server = new WispServer().first();
    const socket = new DatagramSocket();
    socket.write(server.network, bytes("one"), peer);
    server.close(1, Reason.BLOCKED);
    assert.equal(code(() => socket.read(1)), "EACCES");
  });

  test("reach any number of peers, and hear those spoken to last", () => {
    const server = new WispServer().first();
    const socket = new DatagramSocket();
    for (let port = 1; port <= 65; port++) socket.write(server.network, bytes("x"), { ...peer, port });
    assert.deepEqual(server.take().filter(({ type }) => type === "Close").map(({ stream }) => stream), [1]);
  });

  test("are lost where the line is full, and counted", () => {
    const server = new WispServer().first();
    const socket = new DatagramSocket();
    server.full = true;
    socket.write(server.network, bytes("one"), peer);
    assert.equal(socket.dropped, 1);
  });

  test("are not to be had where the server has none", () => {
    const server = new WispServer().second([]);
    assert.equal(code(() => new DatagramSocket().write(server.network, bytes("x"), peer)), "EPROTONOSUPPORT");
  });
});

suite("what such a server cannot do", () => {
  const server = new WispServer().first();

  test("is to accept connections", () => {
    const error = answer((answered) => Listener.start(new Socket(), server.network, 5, (e) => answered(e, null)));
    assert.equal(error.code, "EOPNOTSUPP");
    assert.match(error.message, /accepts no connections/);
  });

  test("is to give a socket an address; any is what it has", () => {
    for (const [host, port] of [["127.0.0.1", 0], ["", 80]]) {
      const address = { host: String(host), port: Number(port) };
      const error = answer((answered) => new Socket().bind(server.network, address, answered));
      assert.equal(error.code, "EADDRNOTAVAIL");
    }
    const bound = answer((answered) => new Socket().bind(server.network, { host: "", port: 0 }, answered));
    assert.deepEqual(bound.local, { family: 4, host: "0.0.0.0", port: 0 });
  });

  test("is to look up names: they get addresses that stand for them", () => {
    const resolved = (/** @type {object} */ frame) =>
      answer((answered) => server.network.request({ type: "resolve", service: "", family: 0, ...frame }, answered));
    const [address] = resolved({ host: "www.example" }).addresses;
    assert.match(address.host, /^240\.0\.0\.\d+$/);
    assert.equal(resolved({ host: "www.example", family: 6 }).addresses[0].host, `::ffff:${address.host}`);
    assert.equal(resolved({ host: "localhost" }).addresses[0].host, "127.0.0.1");
    assert.equal(resolved({ host: "localhost", family: 6 }).addresses[0].host, "::1");
    assert.equal(resolved({ host: "", service: "http" }).code, "EAI_SERVICE");
    const reversed = (/** @type {string} */ host) =>
      answer((answered) => server.network.request({ type: "reverse", address: { family: 4, host, port: 0 } }, answered));
    assert.equal(reversed(address.host).host, "www.example");
    assert.equal(reversed("192.0.2.1").host, "");
  });

  test("is multicast; other options are remembered here", () => {
    const socket = new DatagramSocket();
    const set = (/** @type {string} */ name) =>
      answer((answered) => socket.setOption(server.network, name, ["1"], answered));
    assert.equal(set("IP_ADD_MEMBERSHIP").code, "EOPNOTSUPP");
    assert.equal(set("IP_TTL").type, "done");
  });
});

suite("a Wisp connection", () => {
  test("agrees on what both can", () => {
    const server = new WispServer();
    server.say({ type: "Info", stream: 0, major: 2, minor: 0, extensions: [[1, new Uint8Array()], [4, bytes("hi")], [5, new Uint8Array()]] });
    assert.deepEqual(server.take().map(({ extensions }) => idsOf(extensions)), [[1, 5]]);
    assert.equal(server.ready, false);
    server.first();
    assert.deepEqual([server.ready, server.session.version], [true, 2]);
  });

  test("shows who it is to those who ask", () => {
    const server = new WispServer({ user: "bob", password: "pw" });
    server.say({ type: "Info", stream: 0, major: 2, minor: 0, extensions: [[2, Uint8Array.of(1)]] });
    const [{ extensions }] = server.take();
    assert.deepEqual(idsOf(extensions), [2]);
    assert.equal(text(extensions[0][1]), "\x03bobpw");
  });

  test("needs a password where one is wanted, and the right one", () => {
    const asked = /** @type {any} */ ({ type: "Info", stream: 0, major: 2, minor: 0, extensions: [[2, Uint8Array.of(1)]] });
    assert.throws(() => new WispServer().say(asked), { name: "ProxyError", code: "token", message: /wants a password/ });
    for (const reason of [Reason.WRONG_PASSWORD, Reason.CREDENTIALS_MISSING]) {
      const server = new WispServer({ user: "", password: "pw" });
      server.say(asked);
      assert.throws(() => server.close(0, reason), { name: "ProxyError", code: "token" });
    }
    assert.throws(() => new WispServer().close(0, Reason.INCOMPATIBLE), { name: "ProxyError", code: "version" });
  });

  test("stays at version 1 with a server that grants credit first", () => {
    const server = new WispServer().first();
    server.say({ type: "Info", stream: 0, major: 2, minor: 0, extensions: [] });
    assert.deepEqual([server.session.version, server.take()], [1, []]);
  });

  test("takes nothing before the greeting, and nothing malformed", () => {
    const server = new WispServer();
    assert.throws(() => server.data(1, "early"), { name: "ProtocolError" });
    assert.throws(() => server.session.receive(bytes("no")), { name: "ProtocolError" });
  });

  test("fed with nonsense says so, or goes on", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const chance = new Chance(seed);
      const server = new WispServer();
      if (chance.integer(0, 3)) server.first();
      const socket = connecting(server);
      try {
        for (let count = 0; count < 20; count++) {
          const message = Uint8Array.from({ length: chance.integer(0, 16) }, () => chance.integer(0, 255));
          if (message.length) message[0] = chance.integer(0, 6);
          if (message.length > 5 && chance.integer(0, 2)) message.set([chance.integer(0, 2), 0, 0, 0], 1);
          server.session.receive(message);
        }
      } catch (error) {
        assert.match(/** @type {Error} */ (error).name, /^(ProtocolError|ProxyError)$/);
      }
      socket.close();
    }
  });

  test("ignores what is about streams that are gone", () => {
    const server = new WispServer().first();
    const socket = connected(server);
    socket.close();
    server.data(1, "late");
    server.say({ type: "Continue", stream: 1, credit: 9 });
    server.close(1, Reason.VOLUNTARY);
    server.close(77, Reason.VOLUNTARY);
  });

  test("that is lost takes its sockets with it, and those who come later hear why", () => {
    const server = new WispServer().first();
    const [socket, waiting] = [connected(server), connected(server)];
    let woken = 0;
    waiting.watch(READABLE, () => woken++);
    const lost = /** @type {any} */ (Object.assign(new Error("gone"), { code: "ECONNRESET" }));
    server.session.close(lost);
    server.network.close(lost);
    assert.equal(code(() => socket.read(1)), "ECONNRESET");
    assert.equal(woken, 1);
    assert.equal(code(() => connecting(server)), "ECONNRESET");
  });
});
