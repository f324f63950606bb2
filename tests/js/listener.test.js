import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { ERROR, HANGUP, PEER_FINISHED, READABLE, WRITABLE } from "../../js/endpoint.js";
import { ProtocolError, SocketError } from "../../js/errors.js";
import { Listener } from "../../js/listener.js";
import { Socket } from "../../js/socket.js";
import { HOST, Line, PAGE, hear } from "./line.js";

const HERE = { family: 4, host: "0.0.0.0", port: 8080 };

/** @param {string} code @param {string} [message] */
const socketError = (code, message = "") => ({ name: "SocketError", code, message });

const itself = (/** @type {Socket} */ socket) => socket;

/** A socket that has asked to listen, and what it was told. @param {number} [backlog] */
function asking(backlog = 2) {
  const [socket, line] = [new Socket(), new Line()];
  /** @type {any[]} */
  const answers = [];
  Listener.start(socket, line.session, backlog, (...answer) => answers.push(answer));
  return { socket, line, answers };
}

/** A listener, whose line has said nothing since. @param {number} [backlog] */
function listening(backlog) {
  const { socket, line, answers } = asking(backlog);
  line.questions[0](null, { type: "bound", socket: 0, local: HERE });
  const listener = /** @type {Listener} */ (answers[0][1]);
  line.said();
  return { listener, line, socket };
}

/** Connections come in. @param {Listener} listener @param {number[]} ids */
function arrive(listener, ...ids) {
  for (const id of ids) {
    listener.receive({ type: "accepted", socket: id, listener: listener.id, local: PAGE, peer: { ...HOST, port: id } });
  }
}

suite("beginning to listen", () => {
  test("opens the socket and asks for one more than the backlog, as Linux does", () => {
    for (const [backlog, size] of [
      [5, 6],
      [0, 1],
      [-1, 1],
      [1e9, 4096],
    ]) {
      const { line } = asking(backlog);
      assert.deepEqual(line.said(), [
        { type: "open", datagram: 0, family: 4 },
        { type: "listen", target: 1, backlog: size },
      ]);
    }
  });

  test("makes a listener in the socket's place, with its id, address and options", () => {
    const { socket, line, answers } = asking();
    socket.options.set("SO_REUSEADDR", ["1"]);
    const { id } = socket;
    line.questions[0](null, { type: "bound", socket: 0, local: HERE });
    const [[error, listener]] = answers;
    assert.ok(listener instanceof Listener);
    assert.deepEqual([error, listener.id, listener.local, listener.state], [null, id, HERE, "listening"]);
    assert.equal(listener.options.get("SO_REUSEADDR")?.[0], "1");
    assert.equal(line.sockets.get(id), listener);
    assert.deepEqual([listener.readiness, listener.waiting, listener.peer], [0, 0, null]);
  });

  test("tells those who wait on the socket that it is something else now", () => {
    const { socket, line } = asking();
    let calls = 0;
    socket.watch(0, () => calls++);
    line.questions[0](null, { type: "bound", socket: 0, local: HERE });
    assert.equal(calls, 1);
  });

  test("leaves the socket as it was where it is refused", () => {
    const { socket, line, answers } = asking();
    line.questions[0](new SocketError("EADDRINUSE", "port 80 is taken"), null);
    assert.deepEqual(answers, [[socketErrorOf("EADDRINUSE", "port 80 is taken"), null]]);
    assert.deepEqual([socket.state, socket.reported?.message], ["idle", "port 80 is taken"]);
    assert.equal(line.sockets.get(socket.id), socket);
  });

  test("at an address of another family breaks the protocol, and makes no listener", () => {
    const { socket, line, answers } = asking();
    const six = { family: 6, host: "::1", port: 1 };
    assert.throws(() => line.questions[0](null, { type: "bound", socket: 0, local: six }), ProtocolError);
    assert.deepEqual(answers, []);
    assert.equal(line.sockets.get(socket.id), socket);
  });

  test("that is answered behind the socket's close makes no listener", () => {
    const { socket, line, answers } = asking();
    socket.close();
    line.questions[0](null, { type: "bound", socket: 0, local: HERE });
    assert.equal(line.sockets.size, 0);
    assert.equal(answers[0][1], null);
    assert.equal(answers[0][0]?.code, "EBADF");
  });

  /** @param {string} code @param {string} message */
  function socketErrorOf(code, message) {
    return new SocketError(code, message);
  }
});

suite("connections that come in", () => {
  test("wait in their order, each with its ends, and can be used at once", () => {
    const { listener, line } = listening();
    arrive(listener, 2, 4);
    assert.deepEqual([listener.waiting, listener.readiness], [2, READABLE]);
    const [one, other] = [listener.accept(itself), listener.accept(itself)];
    assert.deepEqual([one.id, other.id, one.state], [2, 4, "established"]);
    assert.deepEqual([one.local, one.peer?.port, other.peer?.port], [PAGE, 2, 4]);
    assert.deepEqual([listener.waiting, listener.readiness], [0, 0]);
    line.said();
    one.write(new Uint8Array([1]));
    assert.deepEqual(line.said(), [{ type: "data", data: new Uint8Array([1]) }]);
    assert.throws(() => one.write(new Uint8Array(line.peerWindow)) && one.write(new Uint8Array(1)), socketError("EAGAIN"));
  });

  test("have the listener's options as they were then", () => {
    const { listener } = listening();
    listener.options.set("TCP_NODELAY", ["0"]);
    arrive(listener, 2);
    listener.options.set("TCP_NODELAY", ["1"]);
    assert.deepEqual(listener.accept(itself).options.get("TCP_NODELAY"), ["0"]);
  });

  test("keep what was sent to them before they are taken", () => {
    const { listener, line } = listening();
    arrive(listener, 2);
    const waiting = line.sockets.get(2) ?? assert.fail();
    hear(waiting, "data", { data: new Uint8Array([7, 8]) });
    hear(waiting, "shutdown");
    const socket = listener.accept(itself);
    assert.deepEqual([[...socket.read(9)], [...socket.read(9)]], [[7, 8], []]);
  });

  test("are taken though their peer has reset them, and say so themselves", () => {
    const { listener, line } = listening();
    arrive(listener, 2);
    hear(line.sockets.get(2) ?? assert.fail(), "reset", { code: "ECONNRESET", message: "" });
    assert.throws(() => listener.accept(itself).read(1), socketError("ECONNRESET"));
  });

  test("wake whoever waits to accept", () => {
    const { listener } = listening();
    let calls = 0;
    listener.watch(READABLE, () => calls++);
    arrive(listener, 2, 4);
    assert.equal(calls, 1);
  });

  test("are each paid for with one credit when they are taken, and not before", () => {
    const { listener, line } = listening();
    arrive(listener, 2, 4);
    assert.deepEqual(line.said(), []);
    listener.accept(itself);
    assert.deepEqual(line.said(), [{ type: "window", credit: 1 }]);
  });

  test("go on waiting where no descriptor is to be had", () => {
    const { listener, line } = listening();
    arrive(listener, 2, 4);
    const full = () => {
      throw new SocketError("EMFILE");
    };
    assert.throws(() => listener.accept(full), socketError("EMFILE"));
    assert.deepEqual([listener.waiting, line.said()], [2, []]);
    assert.equal(listener.accept(itself).id, 2);
  });

  test("beyond the backlog break the protocol", () => {
    const { listener } = listening(1);
    arrive(listener, 2, 4);
    assert.throws(() => arrive(listener, 6), ProtocolError);
    const other = listening(1).listener;
    arrive(other, 2, 4);
    other.accept(itself);
    arrive(other, 6);
    assert.throws(() => arrive(other, 8), ProtocolError);
  });

  test("with an address that is none, or of another family, break the protocol", () => {
    for (const wrong of [{ ...HOST, host: "host.example" }, { family: 6, host: "::1", port: 1 }]) {
      for (const ends of [
        { local: wrong, peer: HOST },
        { local: PAGE, peer: wrong },
      ]) {
        const { listener } = listening();
        assert.throws(() => hear(listener, "accepted", { ...ends, socket: 2, listener: 1 }), ProtocolError);
        assert.equal(listener.waiting, 0);
      }
    }
  });
});

suite("accepting", () => {
  test("what did not come gives EAGAIN", () => {
    assert.throws(() => listening().listener.accept(itself), socketError("EAGAIN"));
  });

  test("from what is shut down or closed gives EINVAL, again and again", () => {
    for (const end of /** @type {((listener: Listener) => void)[]} */ ([
      (listener) => listener.shutdown({ read: true }),
      (listener) => listener.close(),
    ])) {
      const { listener } = listening();
      end(listener);
      for (let count = 0; count < 2; count++) {
        assert.throws(() => listener.accept(itself), socketError("EINVAL"));
        assert.equal(listener.reported?.code, "EINVAL");
      }
    }
  });
});

suite("the backlog", () => {
  test("can be changed, which the network is told", () => {
    const { listener, line } = listening(2);
    for (const backlog of [4, 4, 1]) listener.resize(backlog);
    assert.deepEqual(line.said(), [
      { type: "listen", target: 1, backlog: 5 },
      { type: "listen", target: 1, backlog: 2 },
    ]);
  });

  test("that was raised lets more come in", () => {
    const { listener } = listening(2);
    listener.resize(4);
    arrive(listener, 2, 4, 6, 8, 10);
    assert.throws(() => arrive(listener, 12), ProtocolError);
  });

  test("that was lowered still takes what may have been on its way, and no more when it is raised again", () => {
    for (const [backlogs, most] of /** @type {[number[], number][]} */ ([
      [[0], 5],
      [[0, 4], 5],
      [[0, 2], 5],
      [[0, 6], 7],
      [[1, 0, 3, 5], 6],
    ])) {
      const { listener } = listening(4);
      for (const backlog of backlogs) listener.resize(backlog);
      arrive(listener, ...Array.from({ length: most }, (_, index) => 2 + 2 * index));
      assert.throws(() => arrive(listener, 100), ProtocolError, String(backlogs));
    }
  });

  test("has an upper end", () => {
    const { listener, line } = listening(4000);
    for (let count = 0; count < 2; count++) listener.resize(1e9);
    assert.deepEqual(line.said(), [{ type: "listen", target: 1, backlog: 4096 }]);
  });
});

suite("letting go", () => {
  test("by close resets what nobody took, and frees the id", () => {
    const { listener, line } = listening();
    arrive(listener, 2, 4);
    const taken = listener.accept(itself);
    line.said();
    listener.close();
    listener.close();
    assert.deepEqual(line.sent.splice(0), [
      { type: "close", socket: 1 },
      { type: "reset", socket: 4, code: "ECONNRESET", message: "" },
    ]);
    assert.deepEqual([taken.state, [...line.sockets.keys()]], ["established", [2]]);
    assert.deepEqual([listener.state, listener.readiness, listener.waiting], ["closed", HANGUP, 0]);
  });

  test("by shutdown does the same, and wakes who waits to accept", () => {
    const { listener, line } = listening();
    arrive(listener, 2);
    let calls = 0;
    listener.watch(0, () => calls++);
    listener.shutdown({ read: true });
    assert.deepEqual(line.said(), [{ type: "close" }, { type: "reset", code: "ECONNRESET", message: "" }]);
    assert.deepEqual([calls, listener.readiness, line.sockets.size], [1, WRITABLE | HANGUP, 0]); // as before it listened
    assert.throws(() => listener.shutdown({ read: true }), socketError("ENOTCONN"));
    listener.resize(100);
    listener.close();
    assert.deepEqual([line.said(), listener.state], [[], "closed"]);
  });

  test("in any way, or losing the network, wakes who waits to accept", () => {
    for (const end of /** @type {((listener: Listener) => void)[]} */ ([
      (listener) => listener.close(),
      (listener) => listener.shutdown({ read: true }),
      (listener) => hear(listener, "reset", { code: "ECONNRESET", message: "" }),
    ])) {
      const { listener } = listening();
      let calls = 0;
      listener.watch(READABLE, () => calls++);
      end(listener);
      assert.equal(calls, 1);
    }
  });

  test("of the writing end alone means nothing: there is none", () => {
    const { listener, line } = listening();
    listener.shutdown({ read: false });
    assert.deepEqual([listener.state, listener.readiness, line.said()], ["listening", 0, []]);
  });
});

suite("a listener whose network is gone", () => {
  test("reports why, once, and what had come can still be taken", () => {
    const { listener, line } = listening();
    arrive(listener, 2);
    hear(listener, "reset", { code: "ECONNRESET", message: "the proxy stops" });
    assert.deepEqual([listener.state, listener.id, line.sockets.has(1)], ["failed", 0, false]);
    assert.equal(listener.readiness, READABLE | ERROR | HANGUP | PEER_FINISHED);
    assert.equal(listener.accept(itself).id, 2);
    assert.throws(() => listener.accept(itself), socketError("ECONNRESET", "the proxy stops"));
    assert.throws(() => listener.accept(itself), socketError("EINVAL"));
  });

  test("has nothing to tell it any more", () => {
    const { listener, line } = listening();
    arrive(listener, 2);
    hear(listener, "reset", { code: "ECONNRESET", message: "" });
    listener.accept(itself);
    listener.resize(100);
    listener.close();
    assert.deepEqual(line.said(), []);
  });

  test("stays what it is when it fails again", () => {
    const { listener } = listening();
    listener.close();
    listener.fail(new SocketError("ENETDOWN"));
    assert.deepEqual([listener.state, listener.takeError()], ["closed", null]);
  });
});

test("a frame that is nothing to tell a listener breaks the protocol", () => {
  for (const type of ["data", "window", "shutdown", "connected", "datagram", "fault", "close", "toString"]) {
    assert.throws(() => hear(listening().listener, type, { credit: 1 }), ProtocolError);
  }
});
