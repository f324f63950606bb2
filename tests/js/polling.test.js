import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { Watchlist } from "../../js/watchlist.js";
import { ERRNO } from "./emscripten.js";
import { Interpreter, isSettled } from "./interpreter.js";
import { hear } from "./line.js";
import { Page } from "./page.js";

const [POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL] = [1, 2, 4, 8, 16, 32];
const [POLLRDNORM, POLLWRNORM] = [64, 256];

suite("polling", () => {
  test("what is ready is told at once", (t) => {
    new Page(t);
    const interpreter = new Interpreter();
    const [one, other] = [interpreter.connected(), interpreter.connected()];
    interpreter.arrive(other, "x");
    assert.equal(
      interpreter.calls.poll(
        [
          { fd: one, events: POLLIN },
          { fd: other, events: POLLIN | POLLOUT },
        ],
        -1,
      ),
      1,
    );
    assert.deepEqual(interpreter.calls.revents(2), [0, POLLIN | POLLOUT]);
    assert.equal(interpreter.calls.poll([{ fd: other, events: POLLRDNORM | POLLWRNORM }], -1), 1);
    assert.deepEqual(interpreter.calls.revents(1), [POLLRDNORM | POLLWRNORM]);
  });

  test("errors and hang-ups are told though nobody asked", (t) => {
    new Page(t);
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    interpreter.reset(fd, "ECONNRESET");
    assert.equal(interpreter.calls.poll([{ fd, events: 0 }], -1), 1);
    assert.deepEqual(interpreter.calls.revents(1), [POLLERR | POLLHUP]);
  });

  test("to wait for no time is to look", (t) => {
    new Page(t);
    for (const can of [true, false]) {
      const interpreter = new Interpreter().suspends(can);
      assert.equal(interpreter.calls.poll([{ fd: interpreter.connected(), events: POLLIN }], 0), 0);
    }
  });

  for (const events of [POLLIN, POLLRDNORM, POLLIN | POLLPRI]) {
    test(`a wait for ${events} ends with EINTR at the first that is ready`, async (t) => {
      new Page(t);
      const interpreter = new Interpreter();
      const fds = Array.from({ length: 10 }, () => interpreter.connected());
      const polled = fds.map((fd) => ({ fd, events }));
      const waiting = interpreter.calls.poll(polled, -1);
      assert.equal(await isSettled(waiting), false);
      interpreter.arrive(fds[7], "x");
      assert.equal(await waiting, -ERRNO.EINTR);
      assert.equal(interpreter.calls.poll(polled, -1), 1);
    });
  }

  test("a wait to write ends when that is possible, under either name", async () => {
    for (const events of [POLLOUT, POLLWRNORM]) {
      const interpreter = new Interpreter();
      const fd = interpreter.connected();
      interpreter.fill(fd);
      const waiting = interpreter.calls.poll([{ fd, events }], -1);
      assert.equal(await isSettled(waiting), false);
      hear(interpreter.socket(fd), "window", { credit: 1 });
      assert.equal(await waiting, -ERRNO.EINTR);
    }
  });

  test("a wait is over in time, and forgets what it waited for", async (t) => {
    const { clock } = new Page(t);
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    const forget = t.mock.fn();
    interpreter.socket(fd).watch = () => forget;
    const waiting = interpreter.calls.poll([{ fd, events: POLLIN }], 100);
    clock.advance(99);
    assert.equal(await isSettled(waiting), false);
    clock.advance(1);
    assert.equal(await waiting, 0);
    assert.equal(forget.mock.callCount(), 1);
  });

  test("a wait that ends before its time leaves no timer", async (t) => {
    const { clock } = new Page(t);
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    const waiting = interpreter.calls.poll([{ fd, events: POLLIN }], 100);
    interpreter.arrive(fd, "x");
    assert.equal(await waiting, -ERRNO.EINTR);
    assert.equal(clock.timers.size, 0);
  });

  test("a wait longer than any timer, or for nothing at all, is a wait", async (t) => {
    const { clock } = new Page(t);
    const interpreter = new Interpreter();
    const long = interpreter.calls.poll([{ fd: interpreter.connected(), events: POLLIN }], 2 ** 31);
    const [timer] = clock.timers;
    assert.equal(timer.due - clock.now, 2 ** 31 - 1);
    const nothing = interpreter.calls.poll([], 50);
    clock.advance(49);
    assert.equal(await isSettled(nothing), false);
    clock.advance(1);
    assert.equal(await nothing, 0);
    assert.equal(await isSettled(long), false);
  });

  test("a descriptor that is not open is told, and what else is ready beside it", async () => {
    const interpreter = new Interpreter();
    const [gone, ready, quiet] = [interpreter.connected(), interpreter.connected(), interpreter.connected()];
    interpreter.arrive(ready, "x");
    interpreter.calls.close(gone);
    const polled = [gone, ready, quiet].map((fd) => ({ fd, events: POLLIN }));
    assert.equal(await interpreter.calls.poll(polled, -1), 2);
    assert.deepEqual(interpreter.calls.revents(3), [POLLNVAL, POLLIN, 0]);
  });

  test("where no call can wait, one poll that would have to fails, and no other", () => {
    const interpreter = new Interpreter({ blocks: "jspi" }).suspends(false);
    const fd = interpreter.connected();
    const polled = [{ fd, events: POLLIN }];
    assert.equal(interpreter.calls.poll(polled, 100), -ERRNO.EDEADLK);
    assert.equal(interpreter.calls.poll(polled, 0), 0);
    interpreter.arrive(fd, "x");
    assert.equal(interpreter.calls.poll(polled, 100), 1);
  });

  test("where no call can wait, a wait for a descriptor that is not open fails no other poll", () => {
    const interpreter = new Interpreter({ blocks: "jspi" }).suspends(false);
    const [gone, fd] = [interpreter.open(), interpreter.connected()];
    interpreter.calls.close(gone);
    interpreter.calls.poll([{ fd: gone, events: POLLIN }], 100);
    assert.equal(interpreter.calls.poll([{ fd, events: POLLIN }], 0), 0);
  });
});

suite("the page has a turn", () => {
  /** A socket that has something to read, in a page whose clock stands. @param {import("node:test").TestContext} t */
  function ready(t) {
    const page = new Page(t);
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    interpreter.arrive(fd, "x");
    return { page, clock: page.clock, interpreter, fd };
  }

  test("while a program finds sockets ready again and again", async (t) => {
    const { page, clock, interpreter, fd } = ready(t);
    const poll = () => interpreter.calls.poll([{ fd, events: POLLIN }], -1);
    clock.advance(10);
    assert.equal(poll(), 1);
    clock.advance(1);
    const waiting = poll();
    assert.equal(await isSettled(waiting), false);
    page.turn();
    assert.equal(await waiting, -ERRNO.EINTR);
    assert.equal(poll(), 1); // it looks again, and has had its turn
  });

  test("while a program asks again and again without waiting", async (t) => {
    const { page, clock, interpreter, fd } = ready(t);
    const [one, other] = [POLLIN, POLLPRI].map((events) => ({ fd, events }));
    clock.advance(11);
    assert.equal(interpreter.calls.poll([one], 0), 1); // what is ready is told: there would be no second look
    const looking = interpreter.calls.poll([other], 0);
    page.turn();
    assert.equal(await looking, -ERRNO.EINTR);
    assert.equal(interpreter.calls.poll([other], 0), 0);
  });

  test("but not while an event loop runs its callbacks, which nothing may come between", (t) => {
    const { clock, interpreter, fd } = ready(t);
    const list = new Watchlist(interpreter.system, () => {});
    const poll = () => interpreter.calls.poll([{ fd, events: POLLPRI }], 0);
    list.take();
    clock.advance(1000);
    assert.equal(poll(), 0);
    list.rearm();
    assert.ok(poll() instanceof Promise);
  });

  test("when a program waits, and that is enough", async (t) => {
    const { clock, interpreter, fd } = ready(t);
    const waiting = interpreter.calls.poll([{ fd, events: POLLPRI }], 1000);
    clock.advance(1000);
    assert.equal(await waiting, 0);
    assert.equal(interpreter.calls.poll([{ fd, events: POLLIN }], -1), 1);
  });

  test("not where nothing can be suspended: then the proxy is asked what has come until now", (t) => {
    for (const timeout of [0, 100, -1]) {
      const { page, clock, interpreter, fd } = ready(t);
      const [one, other] = [fd, interpreter.connected()].map((each) => ({ fd: each, events: POLLIN }));
      interpreter.suspends(false);
      clock.advance(11);
      interpreter.meanwhile = [() => interpreter.arrive(other.fd, "y")];
      const asked = timeout ? [one, other] : [other];
      assert.equal(interpreter.calls.poll(asked, timeout), asked.length);
      assert.deepEqual([interpreter.waits, page.turns.length], [[0], 0]);
      assert.equal(interpreter.calls.poll(asked, timeout), asked.length); // for the next 10 ms there is no other look
    }
  });

  test("not where calls wait by suspending alone and cannot be suspended", (t) => {
    const { page, clock } = ready(t);
    const interpreter = new Interpreter({ blocks: "jspi" }).suspends(false);
    const fd = interpreter.connected();
    clock.advance(1000);
    assert.equal(interpreter.calls.poll([{ fd, events: POLLIN }], 0), 0);
    interpreter.arrive(fd, "x");
    for (const timeout of [0, 100, -1]) assert.equal(interpreter.calls.poll([{ fd, events: POLLIN }], timeout), 1);
    assert.deepEqual([interpreter.waits, page.turns.length], [[], 0]);
  });
});

suite("polling by exchanges", () => {
  /** A page where nothing is suspended, and a socket that is connected. @param {import("node:test").TestContext} t */
  function blocked(t) {
    const page = new Page(t);
    const interpreter = new Interpreter().suspends(false);
    const fd = interpreter.connected();
    return { page, clock: page.clock, interpreter, fd, polled: [{ fd, events: POLLIN }] };
  }

  test("waits for the first that is ready", (t) => {
    const { interpreter, fd, polled } = blocked(t);
    interpreter.meanwhile = [() => {}, () => interpreter.arrive(fd, "x")];
    assert.equal(interpreter.calls.poll(polled, -1), 1);
    assert.deepEqual(interpreter.calls.revents(1), [POLLIN]);
    assert.equal(interpreter.waits.length, 2);
  });

  test("is over in time", (t) => {
    const { clock, interpreter, polled } = blocked(t);
    interpreter.meanwhile = [60, 39, 1].map((milliseconds) => () => clock.advance(milliseconds));
    assert.equal(interpreter.calls.poll(polled, 100), 0);
    assert.deepEqual(interpreter.waits, [100, 40, 1]);
    assert.equal(interpreter.calls.poll(polled, 0), 0); // there was a look just now
  });

  test("ends with EINTR at a signal, and fails no other poll", (t) => {
    const { interpreter, fd, polled } = blocked(t);
    interpreter.signal(0).meanwhile = [() => void interpreter.signal(2)];
    assert.equal(interpreter.calls.poll(polled, -1), -ERRNO.EINTR);
    interpreter.signal(0).meanwhile = [() => interpreter.arrive(fd, "x")];
    assert.equal(interpreter.calls.poll(polled, -1), 1);
  });

  test("of sockets within the page alone ends with its time, or says that nothing could end it", (t) => {
    const { clock, interpreter } = blocked(t);
    const [one] = interpreter.system.pair(1);
    const polled = [{ fd: one.stream.fd, events: POLLIN }];
    assert.equal(interpreter.calls.poll(polled, -1), -ERRNO.EDEADLK);
    assert.equal(interpreter.calls.poll(polled, 0), 0);
    interpreter.meanwhile = [() => clock.advance(100)];
    assert.equal(interpreter.calls.poll(polled, 100), 0);
  });

  test("of sockets within the page, and one that is carried by a proxy beside them, can wait", (t) => {
    const { interpreter, fd, polled } = blocked(t);
    const [one] = interpreter.system.pair(1);
    interpreter.meanwhile = [() => interpreter.arrive(fd, "x")];
    assert.equal(interpreter.calls.poll([{ fd: one.stream.fd, events: POLLIN }, ...polled], -1), 1);
  });

  test("in a page without a proxy ends with its time", (t) => {
    const { clock } = new Page(t);
    clock.step = 1;
    const interpreter = new Interpreter({ proxy: false }).suspends(false);
    const [one] = interpreter.system.pair(1);
    const polled = [{ fd: one.stream.fd, events: POLLIN }];
    const before = clock.now;
    assert.equal(interpreter.calls.poll(polled, 500), 0);
    assert.ok(clock.now - before >= 500 && clock.now - before < 550);
    assert.equal(interpreter.calls.poll(polled, -1), -ERRNO.EDEADLK);
  });

  test("is what blocking by exchanges alone does, where Python could be suspended", (t) => {
    new Page(t);
    const interpreter = new Interpreter({ blocks: "xhr" });
    const fd = interpreter.connected();
    interpreter.meanwhile = [() => interpreter.arrive(fd, "x")];
    assert.equal(interpreter.calls.poll([{ fd, events: POLLIN }], -1), 1);
  });
});

suite("a signal", () => {
  test("ends a wait that is suspended, with all that it had set", async (t) => {
    const { clock } = new Page(t);
    const interpreter = new Interpreter().signal(0);
    const fd = interpreter.connected();
    const waiting = interpreter.calls.poll([{ fd, events: POLLIN }], 5_000);
    clock.advance(1_000);
    assert.equal(await isSettled(waiting), false);
    interpreter.signal(2);
    clock.advance(100);
    assert.equal(await waiting, -ERRNO.EINTR);
    assert.equal(clock.timers.size, 0);
  });

  test("is not looked for where nobody can send one", (t) => {
    const { clock } = new Page(t);
    const interpreter = new Interpreter();
    interpreter.calls.poll([{ fd: interpreter.connected(), events: POLLIN }], -1);
    assert.equal(clock.timers.size, 0);
  });
});
