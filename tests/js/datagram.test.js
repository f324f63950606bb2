import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DATAGRAM_MAX, DatagramSocket, RECEIVE_BUFFER } from "../../js/datagram.js";
import { ERROR, HANGUP, PEER_FINISHED, READABLE, UNIX, WRITABLE } from "../../js/endpoint.js";
import { ProtocolError, SocketError } from "../../js/errors.js";
import { HOST, Line, PAGE, hear } from "./line.js";

const NAME_SERVER = { family: 4, host: "192.0.2.53", port: 53 };

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);
const text = (/** @type {Uint8Array} */ data) => new TextDecoder().decode(data);

/** @param {string} code @param {string} [message] */
const socketError = (code, message = "") => ({ name: "SocketError", code, message });

/** A socket that is known, and has said nothing since. @param {number} [family] */
function opened(family) {
  const [socket, line] = [new DatagramSocket(family), new Line()];
  socket.open(line.session);
  line.said();
  return { socket, line };
}

/** One that has a peer. */
function associated() {
  const { socket, line } = opened();
  socket.associate(line.session, HOST, () => {});
  line.questions[0](null, { type: "associated", socket: 0, local: PAGE, peer: HOST });
  line.said();
  return { socket, line };
}

/** A datagram comes in. @param {DatagramSocket} socket @param {string | Uint8Array} data @param {object} [address] */
function arrive(socket, data, address = HOST) {
  hear(socket, "datagram", { address, data: typeof data === "string" ? bytes(data) : data });
}

suite("datagrams that come in", () => {
  test("are read whole, in their order, each with its sender", () => {
    const { socket } = opened();
    arrive(socket, "one");
    arrive(socket, "", NAME_SERVER);
    arrive(socket, "three", NAME_SERVER);
    assert.equal(socket.available, 3);
    assert.deepEqual([text(socket.read(100)), socket.last?.address], ["one", HOST]);
    assert.deepEqual([socket.available, socket.readiness & READABLE], [0, READABLE]); // an empty one is one
    assert.deepEqual([text(socket.read(100)), socket.last?.address], ["", NAME_SERVER]);
    assert.deepEqual([text(socket.read(100)), socket.last?.data.length], ["three", 5]);
    assert.throws(() => socket.read(100), socketError("EAGAIN"));
    assert.equal(socket.bytesReceived, 8);
  });

  test("are cut where there is little room, and the rest is lost", () => {
    const { socket } = opened();
    arrive(socket, "abcdef");
    arrive(socket, "next");
    assert.deepEqual([text(socket.read(2)), socket.last?.data.length], ["ab", 6]);
    assert.equal(text(socket.read(100)), "next");
    arrive(socket, "taken by nothing");
    assert.equal(socket.read(0).length, 0);
    assert.throws(() => socket.read(100), socketError("EAGAIN"));
  });

  test("can be looked at, and stay", () => {
    const { socket } = opened();
    assert.equal(socket.peek(10), undefined);
    arrive(socket, "abcdef");
    arrive(socket, "next", NAME_SERVER);
    for (let count = 0; count < 2; count++) {
      assert.deepEqual([text(socket.peek(2) ?? assert.fail()), socket.last?.address], ["ab", HOST]);
    }
    assert.equal(text(socket.read(100)), "abcdef");
    assert.equal(text(socket.peek(100) ?? assert.fail()), "next");
    assert.equal(socket.last?.address, NAME_SERVER);
  });

  test("are copied: a message is not kept for the few bytes of one", () => {
    const { socket } = opened();
    const message = new Uint8Array(1 << 20);
    arrive(socket, message.subarray(10, 15));
    message.fill(9);
    assert.deepEqual([...socket.read(100)], [0, 0, 0, 0, 0]);
    assert.equal(socket.last?.data.buffer.byteLength, 5);
  });

  test("wake whoever waits for one", () => {
    const { socket } = opened();
    let calls = 0;
    socket.watch(READABLE, () => calls++);
    hear(socket, "dropped", { count: 1 });
    assert.equal(calls, 0);
    for (let count = 0; count < 2; count++) arrive(socket, "x");
    assert.equal(calls, 1);
  });

  test("from what is no address, or one of another family, break the protocol", () => {
    for (const address of [{ ...HOST, host: "host.example" }, { ...HOST, host: "" }, { family: 6, host: "::1", port: 1 }]) {
      const { socket } = opened();
      assert.throws(() => arrive(socket, "x", address), ProtocolError);
      assert.equal(socket.available, 0);
    }
    const six = opened(6).socket;
    arrive(six, "x", { family: 6, host: "::1", port: 1 });
    assert.throws(() => arrive(six, "x"), ProtocolError);
  });
});

suite("what has no room is thrown away and counted", () => {
  /** How many datagrams of a size fit. @param {DatagramSocket} socket @param {number} size */
  function fill(socket, size) {
    let count = 0;
    while (!socket.dropped) {
      arrive(socket, new Uint8Array(size));
      count++;
    }
    return count - 1;
  }

  test("and what had come before is still there, in order", () => {
    const { socket } = opened();
    for (let number = 0; number < 1000; number++) arrive(socket, new Uint8Array([number % 256]));
    const kept = 1000 - socket.dropped;
    assert.ok(kept > 100 && kept < 1000);
    for (let number = 0; number < kept; number++) assert.equal(socket.read(1)[0], number % 256);
    assert.throws(() => socket.read(1), socketError("EAGAIN"));
    arrive(socket, "there is room again");
    assert.equal(socket.available, 19);
  });

  test("empty ones too, which are not free", () => {
    const { socket } = opened();
    assert.equal(fill(socket, 0), Math.ceil(RECEIVE_BUFFER / 768));
  });

  test("but a large one is taken while there is any room at all", () => {
    const { socket, line } = opened();
    socket.setOption(line.session, "SO_RCVBUF", ["2304"], () => {});
    assert.equal(fill(socket, DATAGRAM_MAX), 1);
    assert.equal(socket.read(DATAGRAM_MAX).length, DATAGRAM_MAX);
  });

  test("as far as SO_RCVBUF says, which asks nothing of the network", () => {
    const { socket, line } = opened();
    socket.setOption(line.session, "SO_RCVBUF", [String(4 * RECEIVE_BUFFER)], (error) => assert.equal(error, null));
    assert.equal(fill(socket, 0), Math.ceil((4 * RECEIVE_BUFFER) / 768));
    assert.deepEqual(line.said(), []);
  });

  test("room is given back by reading, to the byte", () => {
    const { socket } = opened();
    const first = fill(socket, 100);
    for (let round = 0; round < 20; round++) {
      for (let count = 0; count < first; count++) socket.read(round % 3);
      socket.dropped = 0;
      assert.equal(fill(socket, 100), first);
    }
  });

  test("with what the network has thrown away", () => {
    const { socket } = opened();
    hear(socket, "dropped", { count: 5 });
    hear(socket, "dropped", { count: 2 });
    assert.equal(socket.dropped, 7);
  });
});

suite("sending", () => {
  test("opens the socket, gives it an address, and sends at once", () => {
    const [socket, line] = [new DatagramSocket(), new Line()];
    socket.setOption(line.session, "SO_BROADCAST", ["1"], () => {});
    assert.equal(socket.write(line.session, bytes("abc"), NAME_SERVER), 3);
    assert.deepEqual(line.said(), [
      { type: "open", datagram: 1, family: 4 },
      { type: "option", target: 1, name: "SO_BROADCAST", values: ["1"] },
      { type: "bind", target: 1, host: "", port: 0 },
      { type: "datagram", address: NAME_SERVER, data: bytes("abc") },
    ]);
    assert.deepEqual([socket.settling, socket.bytesSent], [true, 3]);
    socket.write(line.session, bytes("again"), HOST);
    assert.deepEqual(line.said(), [{ type: "datagram", address: HOST, data: bytes("again") }]);
    line.questions[1](null, { type: "bound", socket: 0, local: PAGE });
    assert.deepEqual([socket.settling, socket.local], [false, PAGE]);
  });

  test("to the peer needs no address, and an empty datagram is one", () => {
    const { socket, line } = associated();
    assert.equal(socket.write(line.session, bytes("")), 0);
    assert.deepEqual(line.said(), [{ type: "datagram", address: HOST, data: bytes("") }]);
  });

  test("a datagram that cannot be one changes nothing", () => {
    const { socket, line } = opened();
    const large = new Uint8Array(DATAGRAM_MAX + 1);
    assert.throws(() => socket.write(line.session, bytes("x")), socketError("EDESTADDRREQ"));
    assert.throws(() => socket.write(line.session, large, HOST), socketError("EMSGSIZE"));
    assert.throws(() => new DatagramSocket(UNIX).write(line.session, bytes("x")), socketError("ENOTCONN"));
    assert.deepEqual([socket.reported?.code, socket.bytesSent, line.said()], ["EMSGSIZE", 0, []]);
    assert.equal(socket.write(line.session, large.subarray(1), HOST), DATAGRAM_MAX);
  });

  test("to everybody must be asked for", () => {
    const { socket, line } = opened();
    for (const host of ["255.255.255.255", "127.255.255.255"]) {
      const everybody = { family: 4, host, port: 9 };
      const refused = { code: "EACCES", message: /SO_BROADCAST/ };
      socket.options.delete("SO_BROADCAST");
      assert.throws(() => socket.write(line.session, bytes("x"), everybody), refused);
      socket.associate(line.session, everybody, (error) => assert.equal(error?.code, "EACCES"));
      assert.deepEqual(line.said(), []);
      socket.options.set("SO_BROADCAST", ["1"]);
      assert.equal(socket.write(line.session, bytes("x"), everybody), 1);
      socket.associate(line.session, everybody, () => {});
      assert.equal(line.said().length, 2);
    }
  });

  test("on a full line gives EAGAIN, and whoever waits is told of room", () => {
    const { socket, line } = opened();
    line.room = 0;
    assert.equal(socket.readiness, 0);
    assert.throws(() => socket.write(line.session, bytes("x"), HOST), socketError("EAGAIN"));
    let calls = 0;
    socket.watch(WRITABLE, () => calls++);
    line.drain(1);
    assert.deepEqual([calls, socket.readiness], [1, WRITABLE]);
  });

  test("over a network that takes nothing says why, and leaves the socket as it was", () => {
    const [socket, line] = [new DatagramSocket(), new Line()];
    line.open = () => {
      throw new SocketError("ENETDOWN", "it is over");
    };
    assert.throws(() => socket.write(line.session, bytes("x"), HOST), socketError("ENETDOWN", "it is over"));
    assert.deepEqual([socket.id, socket.reported?.message, socket.readiness], [0, "it is over", WRITABLE]);
  });

  test("a socket whose address is refused reports it with the next operation", () => {
    const [socket, line] = [new DatagramSocket(), new Line()];
    socket.write(line.session, bytes("x"), HOST);
    line.questions[0](new SocketError("EACCES", "not here"), null);
    assert.deepEqual([socket.local, socket.reported?.message], [null, "not here"]);
  });
});

suite("a peer", () => {
  test("is asked for, and then both ends are known", () => {
    const [socket, line] = [new DatagramSocket(), new Line()];
    /** @type {any[]} */
    const answers = [];
    socket.associate(line.session, { host: "host.example", port: 80 }, (error) => answers.push(error));
    assert.deepEqual(line.said(), [
      { type: "open", datagram: 1, family: 4 },
      { type: "associate", target: 1, host: "host.example", port: 80 },
    ]);
    assert.deepEqual([socket.peer, socket.settling], [null, true]);
    line.questions[0](null, { type: "associated", socket: 0, local: PAGE, peer: HOST });
    assert.deepEqual([answers, socket.local, socket.peer], [[null], PAGE, HOST]);
  });

  test("that is refused leaves the one before", () => {
    const { socket, line } = associated();
    socket.associate(line.session, NAME_SERVER, () => {});
    line.questions[1](new SocketError("EACCES", "not there"), null);
    assert.deepEqual([socket.peer, socket.reported?.message], [HOST, "not there"]);
  });

  test("leaves what came before where it is", () => {
    const { socket, line } = opened();
    arrive(socket, "before", NAME_SERVER);
    socket.associate(line.session, HOST, () => {});
    line.questions[0](null, { type: "associated", socket: 0, local: PAGE, peer: HOST });
    assert.deepEqual([text(socket.read(10)), socket.last?.address], ["before", NAME_SERVER]);
  });

  test("of another family breaks the protocol, and is none", () => {
    const six = { family: 6, host: "::1", port: 80 };
    for (const ends of [
      { local: PAGE, peer: six },
      { local: six, peer: HOST },
    ]) {
      const { socket, line } = opened();
      socket.associate(line.session, HOST, () => assert.fail("answered"));
      assert.throws(() => line.questions[0](null, { type: "associated", socket: 0, ...ends }), ProtocolError);
      assert.deepEqual([socket.local, socket.peer], [null, null]);
    }
  });
});

suite("an address", () => {
  test("that was refused can be asked for again", () => {
    const { socket, line } = opened();
    /** @type {any[]} */
    const codes = [];
    for (const answer of [[new SocketError("EADDRINUSE"), null], [null, { type: "bound", socket: 0, local: PAGE }]]) {
      socket.bind(line.session, { host: "", port: 80 }, (error) => codes.push(error?.code));
      line.questions.splice(0)[0](.../** @type {[any, any]} */ (answer));
    }
    assert.deepEqual([codes, socket.local], [["EADDRINUSE", undefined], PAGE]);
  });

  test("tells those who wait for it, when all that was asked is answered", () => {
    const { socket, line } = opened();
    let calls = 0;
    socket.whenSettled(() => calls++);
    assert.equal(calls, 1);
    socket.bind(line.session, { host: "", port: 0 }, () => {});
    socket.associate(line.session, HOST, () => {});
    for (let count = 0; count < 2; count++) socket.whenSettled(() => calls++);
    line.questions[0](null, { type: "bound", socket: 0, local: PAGE });
    assert.equal(calls, 1);
    line.questions[1](new SocketError("EACCES"), null);
    assert.equal(calls, 3);
  });
});

suite("an error that the socket survives", () => {
  test("is reported by the next operation, once, and ahead of data", () => {
    const OPERATIONS = /** @type {((socket: DatagramSocket, line: Line) => unknown)[]} */ ([
      (socket) => socket.read(10),
      (socket, line) => socket.write(line.session, bytes("x")),
      (socket) => socket.raiseError(),
    ]);
    for (const operation of OPERATIONS) {
      const { socket, line } = associated();
      arrive(socket, "data");
      hear(socket, "fault", { code: "ECONNREFUSED", message: "no such port" });
      assert.equal(socket.readiness, READABLE | WRITABLE | ERROR);
      assert.throws(() => operation(socket, line), socketError("ECONNREFUSED", "no such port"));
      assert.equal(socket.readiness, READABLE | WRITABLE);
      assert.equal(text(socket.read(10)), "data");
      assert.equal(socket.write(line.session, bytes("x")), 1);
    }
  });

  test("is the newest of several", () => {
    const { socket } = associated();
    for (const code of ["ENETUNREACH", "ECONNREFUSED"]) hear(socket, "fault", { code, message: "" });
    assert.equal(socket.takeError()?.code, "ECONNREFUSED");
    assert.equal(socket.takeError(), null);
  });

  test("wakes everybody who waits", () => {
    const { socket } = associated();
    let calls = 0;
    for (const mask of [0, READABLE]) socket.watch(mask, () => calls++);
    hear(socket, "fault", { code: "ECONNREFUSED", message: "" });
    assert.equal(calls, 2);
  });
});

suite("shutting down", () => {
  test("to read is the end of who waits, behind what had come; nothing comes any more", () => {
    const { socket } = associated();
    arrive(socket, "last");
    socket.shutdown({ read: true, write: false });
    assert.equal(socket.readiness, READABLE | WRITABLE | PEER_FINISHED);
    arrive(socket, "too late");
    assert.deepEqual([socket.ended, text(socket.read(10)), socket.ended], [false, "last", true]);
    assert.throws(() => socket.read(10), socketError("EAGAIN")); // as on Linux, whoever does not wait finds nothing
    assert.equal(socket.dropped, 0);
  });

  test("to write gives EPIPE", () => {
    const { socket, line } = associated();
    socket.shutdown({ read: false, write: true });
    assert.throws(() => socket.write(line.session, bytes("x")), socketError("EPIPE"));
    arrive(socket, "still heard");
    assert.equal(text(socket.read(100)), "still heard");
    assert.deepEqual(line.said(), []);
  });

  test("both ways hangs up, in one step or two", () => {
    for (const steps of [[{ read: true, write: true }], [{ read: true, write: false }, { read: false, write: true }]]) {
      const { socket } = associated();
      let calls = 0;
      socket.watch(0, () => calls++);
      for (const step of steps) socket.shutdown(step);
      assert.deepEqual([socket.readiness, calls], [READABLE | WRITABLE | PEER_FINISHED | HANGUP, 1]);
    }
  });

  test("without a peer says so, though it is done", () => {
    const { socket, line } = opened();
    assert.throws(() => socket.shutdown({ read: true, write: true }), socketError("ENOTCONN"));
    assert.equal(socket.ended, true);
    assert.throws(() => socket.write(line.session, bytes("x"), HOST), socketError("EPIPE"));
  });
});

suite("the end", () => {
  test("is told to the network, once, by whoever is known there", () => {
    const { socket, line } = associated();
    arrive(socket, "x");
    socket.close();
    socket.close();
    assert.deepEqual([line.said(), line.sockets.size], [[{ type: "close" }], 0]);
    assert.deepEqual([socket.state, socket.readiness, socket.available], ["closed", HANGUP, 0]);
    const stranger = new DatagramSocket();
    stranger.carriedBy(line.session);
    stranger.close();
    assert.deepEqual(line.said(), []);
  });

  test("wakes whoever waits", () => {
    const { socket } = opened();
    let calls = 0;
    socket.watch(READABLE, () => calls++);
    socket.close();
    assert.equal(calls, 1);
  });

  test("of the network is an error; then the socket is used anew, as another", () => {
    const { socket, line } = associated();
    arrive(socket, "still here");
    hear(socket, "reset", { code: "ECONNRESET", message: "the proxy is gone" });
    assert.deepEqual([socket.id, socket.local, socket.peer, line.sockets.size], [0, null, null, 0]);
    assert.throws(() => socket.read(10), socketError("ECONNRESET", "the proxy is gone"));
    assert.equal(text(socket.read(100)), "still here");
    const next = new Line();
    socket.write(next.session, bytes("x"), HOST);
    assert.deepEqual(
      next.said().map(({ type }) => type),
      ["open", "bind", "datagram"],
    );
    assert.deepEqual(line.said(), []);
  });

  test("of a network means nothing to what is closed", () => {
    const { socket } = opened();
    socket.close();
    socket.fail(new SocketError("ECONNRESET"));
    assert.deepEqual([socket.state, socket.takeError()], ["closed", null]);
  });
});

suite("options", () => {
  test("that are set early are told when the socket is opened, in their order", () => {
    const [socket, line] = [new DatagramSocket(), new Line()];
    /** @type {any[]} */
    const answers = [];
    for (const [name, value] of [
      ["SO_REUSEADDR", "1"],
      ["SO_RCVBUF", "9999"],
      ["IP_TTL", "3"],
    ]) {
      socket.setOption(line.session, name, [value], (error) => answers.push(error));
    }
    assert.deepEqual([answers, line.said()], [[null, null, null], []]);
    socket.open(line.session);
    assert.deepEqual(line.said(), [
      { type: "open", datagram: 1, family: 4 },
      { type: "option", target: 1, name: "SO_REUSEADDR", values: ["1"] },
      { type: "option", target: 1, name: "IP_TTL", values: ["3"] },
    ]);
    assert.equal(socket.optionNumber("IP_TTL", 64), 3);
    assert.equal(socket.optionNumber("IP_TOS", 64), 64);
  });

  test("that are refused are as they were", () => {
    const { socket, line } = opened();
    /** @type {any[]} */
    const answers = [];
    for (const value of ["3", "4"]) socket.setOption(line.session, "IP_TTL", [value], (error) => answers.push(error));
    assert.deepEqual(answers, [null, null]); // nobody waits for that
    line.questions[0](null, { type: "done", socket: 0 });
    line.questions[1](new SocketError("EINVAL"), null);
    assert.deepEqual([socket.options.get("IP_TTL"), socket.reported?.code], [["3"], "EINVAL"]);
    socket.setOption(line.session, "IP_TOS", ["4"], () => {});
    line.questions[2](new SocketError("EINVAL"), null);
    assert.equal(socket.options.has("IP_TOS"), false);
  });

  test("that only the host can tell to be right are asked for, and kept if they are", () => {
    const { socket, line } = opened();
    /** @type {any[]} */
    const answers = [];
    for (const host of ["127.0.0.1", "10.9.9.9"]) {
      socket.setOption(line.session, "IP_MULTICAST_IF", [host], (error) => answers.push(error?.code));
    }
    assert.deepEqual(answers, []);
    line.questions[0](null, { type: "done", socket: 0 });
    line.questions[1](new SocketError("EADDRNOTAVAIL"), null);
    assert.deepEqual([answers, socket.options.get("IP_MULTICAST_IF")], [[undefined, "EADDRNOTAVAIL"], ["127.0.0.1"]]);
  });

  test("that add up are asked for at once, each: groups that are joined before there is an address", () => {
    const [socket, line] = [new DatagramSocket(), new Line()];
    /** @type {any[]} */
    const answers = [];
    for (const group of ["239.1.1.1", "239.1.1.2"]) {
      socket.setOption(line.session, "IP_ADD_MEMBERSHIP", [group, "0.0.0.0"], (error) => answers.push(error?.code));
    }
    assert.deepEqual(line.said(), [
      { type: "open", datagram: 1, family: 4 },
      { type: "option", target: 1, name: "IP_ADD_MEMBERSHIP", values: ["239.1.1.1", "0.0.0.0"] },
      { type: "option", target: 1, name: "IP_ADD_MEMBERSHIP", values: ["239.1.1.2", "0.0.0.0"] },
    ]);
    line.questions[0](null, { type: "done", socket: 0 });
    line.questions[1](new SocketError("EACCES", "not that group"), null);
    assert.deepEqual([answers, socket.reported?.message], [[undefined, "EACCES"], "not that group"]);
  });
});

test("a frame that is nothing to tell a datagram socket breaks the protocol", () => {
  for (const type of ["data", "window", "shutdown", "connected", "accepted", "close", "toString"]) {
    assert.throws(() => hear(opened().socket, type, { credit: 1 }), ProtocolError);
  }
});
