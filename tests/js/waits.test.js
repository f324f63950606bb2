/**
 * Calls that wait where Python cannot be suspended, and what ends them.
 * @module
 */

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { ERRNO } from "./emscripten.js";
import { Interpreter, isSettled } from "./interpreter.js";
import { HOST, PAGE, hear } from "./line.js";
import { Page } from "./page.js";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;

/** An interpreter that cannot be suspended. @param {ConstructorParameters<typeof Interpreter>[0]} [options] */
const standing = (options) => new Interpreter(options).suspends(false);

/** @typedef {{interpreter: Interpreter, call: () => number, arrives: () => void, result: number}} Waiting */

/** Calls that wait on a socket of the proxy's, by name. @type {Record<string, (interpreter: Interpreter) => Waiting>} */
const CALLS = {
  recv: (interpreter) => {
    const fd = interpreter.connected();
    return waiting(interpreter, () => interpreter.calls.recv(fd, 10), () => interpreter.arrive(fd, "abc"), 3);
  },
  "recv of a datagram": (interpreter) => {
    const fd = interpreter.open({ type: SOCK_DGRAM });
    interpreter.calls.sendto(fd, "x", "10.0.0.1", 53);
    return waiting(interpreter, () => interpreter.calls.recv(fd, 10), () => interpreter.hear(fd, "abc"), 3);
  },
  send: (interpreter) => {
    const fd = interpreter.connected();
    interpreter.fill(fd);
    const credit = () => hear(interpreter.socket(fd), "window", { credit: 2 });
    return waiting(interpreter, () => interpreter.calls.send(fd, "abc"), credit, 2);
  },
  accept: (interpreter) => {
    const fd = interpreter.listening();
    return waiting(interpreter, () => interpreter.calls.accept(fd), () => interpreter.come(fd, 2), fd + 1);
  },
  connect: (interpreter) => {
    const fd = interpreter.open();
    const arrives = () => hear(interpreter.socket(fd), "connected", { local: PAGE, peer: HOST });
    return waiting(interpreter, () => interpreter.calls.connect(fd, "10.0.0.1", 80), arrives, 0);
  },
  "a read of the file": (interpreter) => {
    const fd = interpreter.connected();
    const stream = interpreter.module.FS.getStream(fd);
    const read = () => {
      try {
        return stream.stream_ops.read(stream, new Int8Array(10), 0, 10);
      } catch (error) {
        return -(/** @type {any} */ (error).errno);
      }
    };
    return waiting(interpreter, read, () => interpreter.arrive(fd, "abc"), 3);
  },
};

/** @param {Interpreter} interpreter @param {() => number} call @param {() => void} arrives @param {number} result */
function waiting(interpreter, call, arrives, result) {
  return { interpreter, call, arrives, result };
}

for (const [name, prepare] of Object.entries(CALLS)) {
  suite(`${name} that cannot be suspended`, () => {
    test("waits by exchanges, each as long as it may be", () => {
      const { interpreter, call, arrives, result } = prepare(standing());
      interpreter.meanwhile = [() => {}, () => {}, arrives];
      assert.equal(Math.abs(call()), result);
      assert.deepEqual(interpreter.waits, [25_000, 25_000, 25_000]);
    });

    test("ends with EINTR at a signal, and can be made again", () => {
      const { interpreter, call, arrives, result } = prepare(standing().signal(0));
      interpreter.meanwhile = [() => void interpreter.signal(2)];
      assert.equal(call(), -ERRNO.EINTR);
      assert.deepEqual(interpreter.waits, [200]);
      interpreter.signal(0);
      arrives();
      assert.equal(Math.abs(call()), result);
    });

    test("ends with the socket's error when its session does", () => {
      const { interpreter, call } = prepare(standing());
      interpreter.meanwhile = [
        () => {
          for (const { socket } of interpreter.system.sockets) {
            hear(socket, "reset", { code: "ECONNRESET", message: "" });
          }
        },
      ];
      assert.ok([-ERRNO.ECONNRESET, -ERRNO.EPIPE, -ERRNO.EINVAL].includes(call()));
    });

    test("says that it cannot where calls wait by suspending alone, and asks nothing", () => {
      const { interpreter, call } = prepare(standing({ blocks: "jspi" }));
      assert.equal(call(), -ERRNO.EDEADLK);
      assert.deepEqual(interpreter.waits, []);
    });

    test("waits by exchanges where that was asked for, though it could be suspended", () => {
      const { interpreter, call, arrives, result } = prepare(new Interpreter({ blocks: "xhr" }));
      interpreter.meanwhile = [arrives];
      assert.equal(Math.abs(call()), result);
    });
  });
}

suite("how calls wait", () => {
  const WAYS = /** @type {[boolean, import("./interpreter.js").Blocks, boolean, string][]} */ ([
    [true, "auto", true, "jspi"],
    [true, "auto", false, "xhr"],
    [true, "jspi", true, "jspi"],
    [true, "jspi", false, "none"],
    [true, "xhr", true, "xhr"],
    [true, "xhr", false, "xhr"],
    [false, "auto", true, "jspi"],
    [false, "auto", false, "none"],
    [false, "xhr", true, "none"],
  ]);
  for (const [proxy, blocks, can, way] of WAYS) {
    test(`${way} with blocking=${blocks}, ${can ? "" : "not "}suspending, ${proxy ? "a" : "no"} proxy`, () => {
      const { system } = new Interpreter({ proxy, blocks }).suspends(can);
      assert.deepEqual([system.waiting, system.suspends], [way, way === "jspi"]);
    });
  }
});

suite("within the page", () => {
  test("nothing can be waited for that has no end: nothing else happens on this thread", () => {
    const interpreter = standing();
    const { calls, system } = interpreter;
    const [one] = system.pair(1);
    assert.equal(calls.recv(one.stream.fd, 10), -ERRNO.EDEADLK);
    const server = calls.socket(AF_UNIX);
    calls.bind(server, "/server", 0);
    calls.listen(server, 1);
    assert.equal(calls.accept(server), -ERRNO.EDEADLK);
    assert.deepEqual([interpreter.waits, interpreter.hints], [[], 0]);
  });

  test("what is here needs no waiting", () => {
    const { calls, system } = standing({ proxy: false });
    const [one, other] = system.pair(1).map(({ stream }) => stream.fd);
    calls.send(one, "abc");
    assert.equal(calls.recv(other, 10), 3);
  });
});

suite("the hint that calls wait the slow way", () => {
  test("is given once, when the page has a turn", (t) => {
    const page = new Page(t);
    const interpreter = standing();
    const fd = interpreter.connected();
    for (let count = 0; count < 3; count++) {
      interpreter.meanwhile = [() => interpreter.arrive(fd, "x")];
      interpreter.calls.recv(fd, 10);
      assert.equal(interpreter.hints, Number(count > 0));
      page.turn();
      assert.equal(interpreter.hints, 1);
    }
  });

  test("is not given for a call that finds what it wants, nor for a look", (t) => {
    const page = new Page(t);
    const interpreter = standing();
    const fd = interpreter.connected();
    interpreter.arrive(fd, "x");
    interpreter.calls.recv(fd, 10);
    page.clock.advance(100);
    interpreter.meanwhile = [() => {}];
    interpreter.calls.poll([{ fd, events: 1 }], 0);
    assert.equal(interpreter.waits.length, 1);
    page.turn();
    assert.equal(interpreter.hints, 0);
  });
});

suite("a signal while Python is suspended", () => {
  const SUSPENDED = /** @type {Record<string, (interpreter: Interpreter) => any>} */ ({
    recv: (interpreter) => interpreter.calls.recv(interpreter.connected(), 10),
    send: (interpreter) => {
      const fd = interpreter.connected();
      interpreter.fill(fd);
      return interpreter.calls.send(fd, "x");
    },
    connect: (interpreter) => interpreter.calls.connect(interpreter.open(), "10.0.0.1", 80),
  });
  for (const [name, call] of Object.entries(SUSPENDED)) {
    test(`ends ${name} within a moment, and leaves nothing behind`, async (t) => {
      const { clock } = new Page(t);
      const interpreter = new Interpreter().signal(0);
      const suspended = call(interpreter);
      clock.advance(10_000);
      assert.equal(await isSettled(suspended), false);
      interpreter.signal(2);
      clock.advance(100);
      assert.equal(await suspended, -ERRNO.EINTR);
      assert.equal(clock.timers.size, 0);
    });
  }

  test("is not looked for where nobody can send one", (t) => {
    const { clock } = new Page(t);
    SUSPENDED.recv(new Interpreter());
    assert.equal(clock.timers.size, 0);
  });

  test("is not looked for any more once the call has ended", async (t) => {
    const { clock } = new Page(t);
    const interpreter = new Interpreter().signal(0);
    const fd = interpreter.connected();
    const suspended = interpreter.calls.recv(fd, 10);
    interpreter.arrive(fd, "x");
    assert.equal(await suspended, -ERRNO.EINTR);
    assert.equal(clock.timers.size, 0);
  });
});
