import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { ProtocolError, SocketError } from "../../js/errors.js";
import { ERROR, HANGUP, PEER_FINISHED, READABLE, WRITABLE } from "../../js/endpoint.js";
import { Socket, TRANSITIONS } from "../../js/socket.js";
import { WINDOW_INITIAL } from "../../js/window.js";
import { HOST, Line, PAGE, REACH, TARGET, hear, socketThatIs } from "./line.js";

/** @typedef {import("../../js/socket.js").State} State */

const STATES = /** @type {State[]} */ (Object.keys(REACH));

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);
const text = (/** @type {Uint8Array} */ data) => new TextDecoder().decode(data);

/** What the program, or the proxy, does so that an event comes about. @type {Record<string, (socket: Socket, line: Line) => void>} */
const EVENTS = {
  connect: (socket, line) => socket.connect(line.session, TARGET),
  connected: (socket) => hear(socket, "connected", { local: PAGE, peer: HOST }),
  end: (socket) => hear(socket, "shutdown"),
  shutdown: (socket) => socket.shutdown({ read: false, write: true }),
  reset: (socket) => hear(socket, "reset", { code: "ECONNRESET", message: "" }),
  close: (socket) => socket.close(),
};

/** @param {string} code @param {string} [message] */
const socketError = (code, message = "") => ({ name: "SocketError", code, message });

suite("states", () => {
  test("every state can be reached", () => {
    assert.deepEqual(STATES, Object.keys(TRANSITIONS));
  });

  for (const state of STATES) {
    for (const event of ["connected", "end"]) {
      const next = TRANSITIONS[state][event];
      test(next ? `${event} makes ${state} ${next}` : `${event} cannot happen to a socket that is ${state}`, () => {
        const { socket, line } = socketThatIs(state);
        if (next) {
          EVENTS[event](socket, line);
          assert.equal(socket.state, next);
        } else {
          assert.throws(() => EVENTS[event](socket, line), {
            name: "ProtocolError",
            message: `"${event}" cannot happen to a socket that is ${state}`,
          });
        }
      });
    }

    test(`connect of a socket that is ${state}`, () => {
      const { socket, line } = socketThatIs(state);
      if (state === "idle") {
        EVENTS.connect(socket, line);
        assert.equal(socket.state, "connecting");
        assert.deepEqual(line.said(), [{ type: "connect", family: 4, ...TARGET }]);
        return;
      }
      const code = state === "connecting" ? "EALREADY" : "EISCONN";
      assert.throws(() => EVENTS.connect(socket, line), socketError(code));
      assert.equal(socket.state, state);
      assert.deepEqual(line.said(), []);
    });

    test(`shutdown of a socket that is ${state}`, () => {
      const { socket, line } = socketThatIs(state);
      const again = () => {
        // Once both have finished, TCP has no peer any more.
        if (socket.remote) EVENTS.shutdown(socket, line);
        else assert.throws(() => EVENTS.shutdown(socket, line), socketError("ENOTCONN"));
      };
      for (let count = 0; count < 2; count++) again();
      assert.equal(socket.remote === null, ["idle", "connecting", "failed", "closeWait", "finished"].includes(state));
      const next = TRANSITIONS[state].shutdown;
      assert.equal(socket.state, next ?? state);
      assert.deepEqual(line.said(), next ? [{ type: "shutdown" }] : []);
    });

    test(`close of a socket that is ${state}`, () => {
      const { socket, line } = socketThatIs(state);
      EVENTS.close(socket, line);
      EVENTS.close(socket, line);
      assert.equal(socket.state, "closed");
      const tells = !["idle", "failed", "closed"].includes(state);
      assert.deepEqual(line.said(), tells ? [{ type: "close" }] : []);
      assert.equal(line.sockets.size, 0);
    });
  }

  for (const state of /** @type {State[]} */ (["connecting", "established", "closeWait", "finWait", "finished"])) {
    test(`a reset of a socket that is ${state} is reported by it, and its id is forgotten`, () => {
      const { socket, line } = socketThatIs(state);
      EVENTS.reset(socket, line);
      assert.equal(socket.state, state === "connecting" ? "idle" : "failed");
      // Linux's tcp_reset: behind the peer's end a reset says that nobody reads any more.
      assert.equal(socket.takeError()?.code, state === "closeWait" ? "EPIPE" : "ECONNRESET");
      assert.equal(line.sockets.size, 0);
      assert.deepEqual(line.said(), []);
    });
  }

  for (const state of /** @type {State[]} */ (["failed", "closed"])) {
    test(`a reset of a socket that is ${state} means nothing`, () => {
      const { socket, line } = socketThatIs(state);
      EVENTS.reset(socket, line);
      assert.equal(socket.state, state);
      assert.equal(socket.takeError(), null);
    });
  }
});

suite("readiness is that of Linux", () => {
  /** @type {Record<State, number>} */
  const READY = {
    idle: WRITABLE | HANGUP,
    connecting: 0,
    established: WRITABLE,
    closeWait: READABLE | WRITABLE | PEER_FINISHED,
    finWait: WRITABLE,
    finished: READABLE | WRITABLE | PEER_FINISHED | HANGUP,
    failed: READABLE | WRITABLE | PEER_FINISHED | HANGUP,
    closed: HANGUP,
  };

  for (const state of STATES) {
    test(`of a socket that is ${state}`, () => {
      assert.equal(socketThatIs(state).socket.readiness, READY[state]);
    });
  }

  test("data makes a socket readable until it is taken", () => {
    const { socket } = socketThatIs("established");
    hear(socket, "data", { data: bytes("ab") });
    assert.equal(socket.readiness, READABLE | WRITABLE);
    socket.read(1);
    assert.equal(socket.readiness, READABLE | WRITABLE);
    socket.read(1);
    assert.equal(socket.readiness, WRITABLE);
  });

  test("an error makes a socket ready for everything until it is reported", () => {
    const { socket } = socketThatIs("established");
    hear(socket, "reset", { code: "ECONNRESET", message: "" });
    assert.equal(socket.readiness, READY.failed | ERROR);
    socket.takeError();
    assert.equal(socket.readiness, READY.failed);
    const refused = socketThatIs("connecting").socket;
    hear(refused, "reset", { code: "ECONNREFUSED", message: "" });
    assert.equal(refused.readiness, READY.failed | ERROR);
    refused.takeError();
    assert.equal(refused.readiness, READY.failed); // until connect() is called again
  });

  test("a socket whose two directions are shut down has hung up, whatever its peer does", () => {
    const { socket } = socketThatIs("established");
    socket.shutdown({ read: true, write: true });
    assert.equal(socket.readiness, READABLE | WRITABLE | PEER_FINISHED | HANGUP);
  });

  test("a socket whose reading end is shut down is readable", () => {
    const { socket } = socketThatIs("established");
    socket.shutdown({ read: true, write: false });
    assert.equal(socket.readiness, READABLE | WRITABLE | PEER_FINISHED);
  });

  test("a socket without credit, or on a full link, is not writable", () => {
    const { socket, line } = socketThatIs("established");
    line.room = 0;
    assert.equal(socket.readiness, 0);
    line.room = 1;
    assert.equal(socket.readiness, WRITABLE);
    line.room = Infinity;
    socket.write(new Uint8Array(line.peerWindow));
    assert.equal(socket.readiness, 0);
    hear(socket, "window", { credit: 1 });
    assert.equal(socket.readiness, WRITABLE);
  });
});

suite("connecting", () => {
  test("a connected socket knows both ends", () => {
    const { socket } = socketThatIs("established");
    assert.deepEqual([socket.local, socket.peer], [PAGE, HOST]);
  });

  test("a refused socket can connect again, with a new id", () => {
    const { socket, line } = socketThatIs("connecting");
    const first = socket.id;
    hear(socket, "reset", { code: "ECONNREFUSED", message: "nobody listens" });
    assert.throws(() => EVENTS.connect(socket, line), socketError("ECONNREFUSED", "nobody listens"));
    EVENTS.connect(socket, line);
    assert.notEqual(socket.id, first);
    assert.equal(socket.takeError(), null); // that of the first attempt is over
    EVENTS.connected(socket, line);
    assert.equal(socket.state, "established");
    assert.deepEqual([...line.sockets.keys()], [socket.id]);
  });

  test("another call tells once how it ended, whether SO_ERROR has told it or not", () => {
    const { socket, line } = socketThatIs("connecting");
    EVENTS.connected(socket, line);
    EVENTS.connect(socket, line);
    assert.throws(() => EVENTS.connect(socket, line), socketError("EISCONN"));
    const refused = socketThatIs("connecting");
    hear(refused.socket, "reset", { code: "ECONNREFUSED", message: "" });
    assert.equal(refused.socket.takeError()?.code, "ECONNREFUSED");
    assert.throws(() => EVENTS.connect(refused.socket, refused.line), socketError("ECONNABORTED"));
    EVENTS.connect(refused.socket, refused.line);
    assert.equal(refused.socket.state, "connecting");
  });

  test("a session that cannot take it leaves the socket as it was", () => {
    const { socket, line } = socketThatIs("idle");
    line.open = () => {
      throw new SocketError("ENETDOWN", "it is over");
    };
    assert.throws(() => EVENTS.connect(socket, line), socketError("ENETDOWN", "it is over"));
    assert.equal(socket.state, "idle");
    assert.equal(socket.reported?.message, "it is over");
  });

  const SIX = { family: 6, host: "2001:db8::1", port: 80 };
  const WRONG = {
    "a name for an address": { ...HOST, host: "host.example" },
    "nothing for an address": { ...HOST, host: "" },
    "an IPv6 address of family 4": { ...SIX, family: 4 },
    "an IPv4 address of family 6": { ...HOST, family: 6 },
    "an IPv6 address for an IPv4 socket": SIX,
  };
  for (const [what, address] of Object.entries(WRONG)) {
    test(`${what} breaks the protocol`, () => {
      for (const ends of [{ local: PAGE, peer: address }, { local: address, peer: HOST }]) {
        assert.throws(() => hear(socketThatIs("connecting").socket, "connected", ends), ProtocolError);
      }
    });
  }

  test("a socket of family 6 asks for that, and takes the ends it is given", () => {
    const [socket, line] = [new Socket(6), new Line()];
    socket.connect(line.session, TARGET);
    assert.equal(line.said()[0].family, 6);
    hear(socket, "connected", { local: { ...SIX, port: 1 }, peer: SIX });
    assert.equal(socket.peer, SIX);
  });
});

suite("reading", () => {
  test("bytes come in order, and no more than asked for", () => {
    const { socket } = socketThatIs("established");
    for (const piece of ["abc", "", "defg"]) hear(socket, "data", { data: bytes(piece) });
    assert.equal(socket.available, 7);
    assert.equal(text(socket.peek(4)), "abcd");
    assert.equal(text(socket.read(4)), "abcd");
    assert.equal(text(socket.read(100)), "efg");
    assert.equal(socket.bytesReceived, 7);
  });

  /** @type {Record<State, string>} */
  const ANSWERS = {
    idle: "ENOTCONN",
    connecting: "EAGAIN",
    established: "EAGAIN",
    closeWait: "",
    finWait: "EAGAIN",
    finished: "",
    failed: "",
    closed: "EAGAIN",
  };
  for (const state of STATES) {
    test(`of a socket that is ${state} gives ${ANSWERS[state] || "the end, again and again"}`, () => {
      const { socket } = socketThatIs(state);
      for (let count = 0; count < 2; count++) {
        if (ANSWERS[state]) assert.throws(() => socket.read(1), socketError(ANSWERS[state]));
        else assert.equal(socket.read(1).length, 0);
      }
    });
  }

  test("to read nothing never waits", () => {
    assert.equal(socketThatIs("established").socket.read(0).length, 0);
  });

  test("the end comes behind the data", () => {
    const { socket } = socketThatIs("established");
    hear(socket, "data", { data: bytes("last") });
    hear(socket, "shutdown");
    assert.equal(text(socket.read(10)), "last");
    assert.equal(socket.read(10).length, 0);
  });

  test("data that came before a reset is read first, then the error once, then the end", () => {
    const { socket } = socketThatIs("established");
    hear(socket, "data", { data: bytes("last") });
    hear(socket, "reset", { code: "ECONNRESET", message: "the host is gone" });
    assert.equal(text(socket.read(10)), "last");
    assert.throws(() => socket.read(10), socketError("ECONNRESET", "the host is gone"));
    assert.equal(socket.reported?.message, "the host is gone");
    assert.equal(socket.read(10).length, 0);
  });

  test("an end that has come stays one, whatever becomes of the connection", () => {
    for (const [state, code] of [
      ["closeWait", "EPIPE"],
      ["finished", "ECONNRESET"],
    ]) {
      const { socket } = socketThatIs(state);
      hear(socket, "reset", { code: "ECONNRESET", message: "" });
      assert.equal(socket.read(10).length, 0, state);
      assert.throws(() => socket.write(bytes("x")), socketError(code), state);
    }
  });

  test("after the reading end is shut down, what comes in can still be read, and then the end", () => {
    const { socket } = socketThatIs("established");
    socket.shutdown({ read: true, write: false });
    assert.equal(socket.read(1).length, 0);
    hear(socket, "data", { data: bytes("x") });
    assert.equal(text(socket.read(10)), "x");
    assert.equal(socket.read(1).length, 0);
  });

  for (const state of STATES.filter((each) => each !== "established" && each !== "finWait")) {
    test(`data for a socket that is ${state} breaks the protocol`, () => {
      const { socket } = socketThatIs(state);
      assert.throws(() => hear(socket, "data", { data: bytes("x") }), {
        name: "ProtocolError",
        message: `data for a socket that is ${state}`,
      });
      assert.equal(socket.available, 0);
    });
  }

  test("more data than the window allows breaks the protocol", () => {
    const { socket } = socketThatIs("established");
    hear(socket, "data", { data: new Uint8Array(WINDOW_INITIAL) });
    assert.throws(() => hear(socket, "data", { data: new Uint8Array(1) }), ProtocolError);
  });

  test("a frame that is nothing to tell a socket breaks the protocol", () => {
    for (const type of ["connect", "resolve", "hello", "close", "toString"]) {
      assert.throws(() => hear(socketThatIs("established").socket, type), ProtocolError);
    }
  });
});

suite("credit for the peer", () => {
  test("is granted when half of the window was read, and no later", () => {
    const { socket, line } = socketThatIs("established");
    hear(socket, "data", { data: new Uint8Array(WINDOW_INITIAL) });
    socket.read(WINDOW_INITIAL / 2 - 1);
    assert.deepEqual(line.said(), []);
    socket.read(1);
    assert.deepEqual(line.said(), [{ type: "window", credit: WINDOW_INITIAL / 2 }]);
  });

  test("is not granted for what was only looked at", () => {
    const { socket, line } = socketThatIs("established");
    hear(socket, "data", { data: new Uint8Array(WINDOW_INITIAL) });
    for (let count = 0; count < 3; count++) socket.peek(WINDOW_INITIAL);
    assert.deepEqual(line.said(), []);
  });

  test("is not granted to a peer that will send no more", () => {
    for (const ending of ["shutdown", "reset"]) {
      const { socket, line } = socketThatIs("established");
      hear(socket, "data", { data: new Uint8Array(WINDOW_INITIAL) });
      hear(socket, ending, { code: "ECONNRESET", message: "" });
      socket.read(WINDOW_INITIAL);
      assert.deepEqual(line.said(), []);
    }
  });

  test("grows while the reader keeps up, and what it grew by is given back with the socket", () => {
    for (const end of [EVENTS.close, EVENTS.reset]) {
      const { socket, line } = socketThatIs("established");
      const budget = line.budget.left;
      for (let count = 0; count < 4; count++) {
        line.clock += 10;
        hear(socket, "data", { data: new Uint8Array(WINDOW_INITIAL / 2) });
        socket.read(WINDOW_INITIAL);
      }
      assert.ok(line.budget.left < budget);
      end(socket, line);
      socket.close();
      assert.equal(line.budget.left, budget);
    }
  });
});

suite("writing", () => {
  test("bytes leave as far as the credit goes", () => {
    const { socket, line } = socketThatIs("established");
    assert.equal(socket.write(new Uint8Array(1500)), 1000);
    assert.deepEqual(line.said(), [{ type: "data", data: new Uint8Array(1000) }]);
    assert.throws(() => socket.write(bytes("x")), socketError("EAGAIN"));
    hear(socket, "window", { credit: 2 });
    assert.equal(socket.write(bytes("abc")), 2);
    assert.deepEqual(line.said(), [{ type: "data", data: bytes("ab") }]);
    assert.equal(socket.bytesSent, 1002);
  });

  test("bytes leave as far as the link has room", () => {
    const { socket, line } = socketThatIs("established");
    line.room = 10;
    assert.equal(socket.write(new Uint8Array(20)), 10);
    assert.throws(() => socket.write(bytes("x")), socketError("EAGAIN"));
    line.room = -5; // small frames may go beyond
    assert.throws(() => socket.write(bytes("x")), socketError("EAGAIN"));
  });

  test("a large write is cut into frames of 256 KiB, each with a message of its own", () => {
    const { socket, line } = socketThatIs("established");
    hear(socket, "window", { credit: 1 << 20 });
    const data = Uint8Array.from({ length: 600_000 }, (_, index) => index % 251);
    assert.equal(socket.write(data), data.length);
    const pieces = line.said().map((frame) => frame.data);
    assert.deepEqual(
      pieces.map((piece) => piece.length),
      [256 * 1024, 256 * 1024, 600_000 - 2 * 256 * 1024],
    );
    assert.equal(Buffer.compare(Buffer.concat(pieces), data), 0);
  });

  test("to write nothing is always possible, and sends nothing", () => {
    const { socket, line } = socketThatIs("established");
    line.room = 0;
    assert.equal(socket.write(new Uint8Array(0)), 0);
    assert.deepEqual(line.said(), []);
  });

  /** @type {Record<State, string>} */
  const ANSWERS = {
    idle: "EPIPE",
    connecting: "EAGAIN",
    established: "",
    closeWait: "",
    finWait: "EPIPE",
    finished: "EPIPE",
    failed: "EPIPE",
    closed: "EPIPE",
  };
  for (const state of STATES) {
    test(`to a socket that is ${state} gives ${ANSWERS[state] || "what it took"}`, () => {
      const { socket, line } = socketThatIs(state);
      if (!ANSWERS[state]) {
        assert.equal(socket.write(bytes("x")), 1);
        return;
      }
      for (let count = 0; count < 2; count++) {
        assert.throws(() => socket.write(bytes("x")), socketError(ANSWERS[state]));
      }
      assert.deepEqual(line.said(), []);
    });
  }

  test("what broke the connection is reported once, and then that it is broken", () => {
    const { socket } = socketThatIs("established");
    hear(socket, "reset", { code: "ETIMEDOUT", message: "" });
    assert.throws(() => socket.write(bytes("x")), socketError("ETIMEDOUT"));
    assert.throws(() => socket.write(bytes("x")), socketError("EPIPE"));
    assert.equal(socket.takeError(), null);
  });

  test("credit beyond what 32 bits hold breaks the protocol", () => {
    const { socket } = socketThatIs("established");
    assert.throws(() => hear(socket, "window", { credit: 2 ** 32 - 1 }), ProtocolError);
  });
});

suite("closing", () => {
  test("with data that nobody read breaks the connection off", () => {
    for (const state of ["established", "finWait"]) {
      const { socket, line } = socketThatIs(state);
      hear(socket, "data", { data: bytes("unread") });
      socket.close();
      assert.deepEqual(line.said(), [{ type: "reset", code: "ECONNRESET", message: "" }]);
      assert.equal(socket.available, 0);
    }
  });

  test("after all was read lets go of it", () => {
    const { socket, line } = socketThatIs("established");
    hear(socket, "data", { data: bytes("read") });
    socket.read(10);
    socket.close();
    assert.deepEqual(line.said(), [{ type: "close" }]);
  });

  test("tells nothing of a connection that is over", () => {
    const { socket, line } = socketThatIs("established");
    hear(socket, "data", { data: bytes("unread") });
    hear(socket, "reset", { code: "ECONNRESET", message: "" });
    socket.close();
    assert.deepEqual(line.said(), []);
  });
});

suite("TLS at the proxy", () => {
  const WANTED = { hostname: "host.example" };
  const SECURED = { type: "secured", socket: 1 };

  /** @param {Socket} socket @param {Line} line */
  function asked(socket, line) {
    /** @type {any[]} */
    const answers = [];
    /** @type {((error: SocketError | null, answer: any) => void)[]} */
    const settle = [];
    const network = { ...line.session, request: (/** @type {any} */ _, /** @type {any} */ answered) => settle.push(answered) };
    socket.network = /** @type {any} */ (network);
    socket.startTls(/** @type {any} */ (network), WANTED, (error, answer) => answers.push(error?.code ?? answer?.type));
    return { answers, settle };
  }

  test("is asked for on a connection that stands, and nowhere else", () => {
    for (const state of STATES) {
      const { socket, line } = socketThatIs(state);
      const { answers, settle } = asked(socket, line);
      assert.equal(settle.length, Number(state === "established"), state);
      assert.deepEqual(answers, state === "established" ? [] : ["ENOTCONN"], state);
    }
  });

  test("refuses what came in plain, before it is asked for and before it is answered", () => {
    const early = socketThatIs("established");
    hear(early.socket, "data", { data: bytes("injected") });
    assert.deepEqual(asked(early.socket, early.line).answers, ["EPROTO"]);

    const late = socketThatIs("established");
    const { answers, settle } = asked(late.socket, late.line);
    hear(late.socket, "data", { data: bytes("injected") });
    late.socket.network = late.line.session;
    settle[0](null, SECURED);
    assert.deepEqual(answers, ["EPROTO"]);
    assert.equal(late.socket.state, "closed");
  });

  test("tells what was answered", () => {
    const { socket, line } = socketThatIs("established");
    const { answers, settle } = asked(socket, line);
    settle[0](null, SECURED);
    assert.deepEqual(answers, ["secured"]);
  });
});
