import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { Watchlist } from "../../js/watchlist.js";
import { Chance } from "./chance.js";
import { Interpreter } from "./interpreter.js";
import { hear } from "./line.js";

const [POLLIN, POLLOUT, POLLERR, POLLHUP, POLLRDNORM, POLLWRNORM] = [1, 4, 8, 16, 64, 256];

/** An event loop that counts how often it is woken, and handles nothing by itself. */
class Loop {
  interpreter = new Interpreter();
  woken = 0;
  list = new Watchlist(this.interpreter.system, () => this.woken++);

  /** A socket that is watched and has nothing to read. @param {number} [events] */
  watching(events = POLLIN) {
    const fd = this.interpreter.connected();
    assert.equal(this.list.watch(fd, events), "");
    return fd;
  }

  /** How often it was woken since this was last asked; what is scheduled had its turn. */
  async wakes() {
    await null;
    const { woken } = this;
    this.woken = 0;
    return woken;
  }

  /** One round: what was ready, which is then handled. @param {(fd: number) => void} [handle] */
  round(handle = () => {}) {
    const ready = this.list.take();
    for (const [fd] of ready) handle(fd);
    this.list.rearm();
    return ready;
  }
}

suite("what is watched", () => {
  test("wakes the loop when it becomes ready, and is told with its events", async () => {
    const loop = new Loop();
    const [one, other] = [loop.watching(), loop.watching(POLLIN | POLLOUT)];
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[other, POLLOUT]]]);
    loop.list.watch(other, POLLIN);
    assert.deepEqual([await loop.wakes(), loop.round()], [1, []]); // it was ready still, until it was asked for less
    loop.interpreter.arrive(one, "x");
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[one, POLLIN]]]);
  });

  test("wakes it once for all that becomes ready at once, and never in the middle of that", async () => {
    const loop = new Loop();
    const fds = [loop.watching(), loop.watching(), loop.watching()];
    for (const fd of fds) loop.interpreter.arrive(fd, "x");
    assert.equal(loop.woken, 0);
    assert.equal(await loop.wakes(), 1);
    assert.deepEqual(
      loop.list.take(),
      fds.map((fd) => [fd, POLLIN]),
    );
  });

  test("wakes it no more until the loop has looked", async () => {
    const loop = new Loop();
    const [one, other] = [loop.watching(), loop.watching()];
    loop.interpreter.arrive(one, "x");
    assert.equal(await loop.wakes(), 1);
    loop.interpreter.arrive(other, "x");
    assert.equal(await loop.wakes(), 0);
    assert.deepEqual(
      loop.list.take().map(([fd]) => fd),
      [one, other],
    );
  });

  test("that is ready from the start wakes it too", async () => {
    const loop = new Loop();
    const fd = loop.interpreter.connected();
    loop.interpreter.arrive(fd, "x");
    loop.list.watch(fd, POLLIN);
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[fd, POLLIN]]]);
  });

  test("and is not ready leaves it asleep", async () => {
    const loop = new Loop();
    const fd = loop.watching(POLLIN);
    hear(loop.interpreter.socket(fd), "window", { credit: 1 });
    assert.deepEqual([await loop.wakes(), loop.round()], [0, []]);
  });

  test("is told of errors and hang-ups though nobody asked", async () => {
    const loop = new Loop();
    const fd = loop.watching(0);
    loop.interpreter.reset(fd, "ECONNRESET");
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[fd, POLLERR | POLLHUP]]]);
  });

  test("has two names for reading and for writing", async () => {
    const loop = new Loop();
    const fd = loop.watching(POLLRDNORM);
    loop.interpreter.arrive(fd, "x");
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[fd, POLLRDNORM]]]);
    loop.list.watch(fd, POLLWRNORM);
    assert.deepEqual(loop.round(), [[fd, POLLWRNORM]]);
  });

  test("must be a socket of ours that is open", () => {
    const loop = new Loop();
    const file = loop.interpreter.module.FS.createStream({ node: {} }).fd;
    assert.equal(loop.list.watch(file, POLLIN), "EPERM");
    for (const fd of [40, -1, NaN]) assert.equal(loop.list.watch(fd, POLLIN), "EBADF");
    assert.deepEqual(loop.round(), []);
  });
});

suite("level-triggered", () => {
  test("what is still ready after it was handled wakes again", async () => {
    const loop = new Loop();
    const fd = loop.watching();
    loop.interpreter.arrive(fd, "abc");
    for (let count = 0; count < 3; count++) {
      assert.equal(await loop.wakes(), 1);
      const ready = loop.round(() => loop.interpreter.calls.recv(fd, 1));
      assert.deepEqual(ready, [[fd, POLLIN]]);
    }
    assert.deepEqual([await loop.wakes(), loop.round()], [0, []]);
  });

  test("what is ready and not handled yet does not wake", async () => {
    const loop = new Loop();
    loop.interpreter.arrive(loop.watching(), "x");
    assert.equal(await loop.wakes(), 1);
    for (let count = 0; count < 2; count++) assert.equal(loop.list.take().length, 1);
    assert.equal(await loop.wakes(), 0);
  });

  test("what is not ready any more when the loop looks is not told, and is watched on", async () => {
    const loop = new Loop();
    const fd = loop.watching();
    loop.interpreter.arrive(fd, "x");
    loop.interpreter.calls.recv(fd, 1);
    assert.deepEqual([await loop.wakes(), loop.round()], [1, []]);
    loop.interpreter.arrive(fd, "y");
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[fd, POLLIN]]]);
  });

  test("what becomes ready while others are handled is told in the next round", async () => {
    const loop = new Loop();
    const [one, other] = [loop.watching(), loop.watching()];
    loop.interpreter.arrive(one, "x");
    await loop.wakes();
    loop.round((fd) => {
      loop.interpreter.calls.recv(fd, 1);
      loop.interpreter.arrive(other, "y");
    });
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[other, POLLIN]]]);
  });
});

suite("what is watched no more", () => {
  test("is not told, though it was ready", async () => {
    const loop = new Loop();
    const [one, other] = [loop.watching(), loop.watching()];
    for (const fd of [one, other]) loop.interpreter.arrive(fd, "x");
    loop.list.forget(one);
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[other, POLLIN]]]);
    loop.interpreter.calls.recv(other, 1);
    loop.round();
    loop.interpreter.arrive(one, "y");
    assert.deepEqual(loop.round(), []);
  });

  test("by a handler of the same round is gone as well", async () => {
    const loop = new Loop();
    const fd = loop.watching();
    loop.interpreter.arrive(fd, "x");
    await loop.wakes();
    loop.round(() => loop.list.forget(fd));
    assert.deepEqual([await loop.wakes(), loop.round()], [0, []]);
  });

  test("leaves nothing with the socket", () => {
    const loop = new Loop();
    const fd = loop.interpreter.connected();
    const socket = loop.interpreter.socket(fd);
    const { watch } = socket;
    let [set, ended] = [0, 0];
    socket.watch = (mask, callback) => {
      const forget = watch.call(socket, mask, callback);
      set++;
      return () => {
        ended++;
        forget();
      };
    };
    for (const events of [POLLIN, POLLIN | POLLERR]) loop.list.watch(fd, events);
    loop.list.forget(fd);
    loop.list.forget(fd);
    assert.deepEqual([set, ended], [2, 2]);
  });

  test("because the list is cleared wakes nobody, not even if it was about to", async () => {
    const loop = new Loop();
    const fd = loop.watching();
    loop.interpreter.arrive(fd, "x");
    loop.list.clear();
    assert.deepEqual([await loop.wakes(), loop.round()], [0, []]);
    loop.interpreter.arrive(fd, "y");
    assert.equal(await loop.wakes(), 0);
    loop.list.watch(fd, POLLIN);
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[fd, POLLIN]]]);
  });
});

suite("a descriptor", () => {
  test("that is closed is forgotten, whether it was ready or not", async () => {
    for (const ready of [true, false]) {
      const loop = new Loop();
      const fd = loop.watching();
      if (ready) loop.interpreter.arrive(fd, "x");
      loop.interpreter.calls.close(fd);
      await loop.wakes();
      assert.deepEqual(loop.round(), []);
      assert.deepEqual([await loop.wakes(), loop.round()], [0, []]);
    }
  });

  test("that was closed and is used again is another, which nobody watches", async () => {
    const loop = new Loop();
    const fd = loop.watching();
    loop.interpreter.calls.close(fd);
    assert.equal(loop.interpreter.connected(), fd);
    loop.interpreter.arrive(fd, "x");
    await loop.wakes();
    assert.deepEqual(loop.round(), []);
    loop.list.watch(fd, POLLIN);
    assert.deepEqual(loop.round(), [[fd, POLLIN]]);
  });

  test("of a socket that has others is forgotten alone", async () => {
    const loop = new Loop();
    const fd = loop.watching();
    const copy = loop.interpreter.calls.dup(fd);
    loop.list.watch(copy, POLLIN);
    loop.interpreter.calls.close(fd);
    loop.interpreter.arrive(copy, "x");
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[copy, POLLIN]]]);
  });

  test("is watched for new events instead of those before", async () => {
    const loop = new Loop();
    const fd = loop.watching(POLLIN);
    loop.list.watch(fd, POLLOUT);
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[fd, POLLOUT]]]);
    loop.list.watch(fd, POLLIN);
    await loop.wakes();
    loop.interpreter.arrive(fd, "x");
    assert.deepEqual(loop.round(), [[fd, POLLIN]]);
  });

  test("whose socket begins to listen is watched on as a listener", async () => {
    const loop = new Loop();
    const fd = loop.interpreter.open();
    loop.list.watch(fd, POLLIN);
    const sock = loop.interpreter.calls.sock(fd);
    assert.equal(loop.round().length, 1);
    await loop.wakes();
    sock.listen(1, () => {});
    assert.deepEqual([loop.round(), await loop.wakes()], [[], 0]);
    loop.interpreter.line.questions[0](null, {
      type: "bound",
      socket: 0,
      local: { family: 4, host: "0.0.0.0", port: 80 },
    });
    await loop.wakes();
    assert.deepEqual(loop.round(), []);
    hear(sock.socket, "accepted", {
      socket: 2,
      listener: sock.socket.id,
      local: { family: 4, host: "10.0.0.7", port: 80 },
      peer: { family: 4, host: "10.0.0.8", port: 9 },
    });
    assert.deepEqual([await loop.wakes(), loop.round()], [1, [[fd, POLLIN]]]);
  });
});

for (let seed = 1; seed <= 3; seed++) {
  test(`nothing that is ready is ever missed, whatever happens (chance ${seed})`, async () => {
    const chance = new Chance(seed);
    const loop = new Loop();
    /** What is watched, as a program keeps it. @type {Map<number, number>} */
    const watched = new Map();
    const fds = Array.from({ length: 6 }, () => loop.interpreter.connected());
    for (let step = 0; step < 3000; step++) {
      const index = chance.integer(0, fds.length - 1);
      const fd = fds[index];
      const happening = chance.integer(0, 9);
      if (happening < 3) {
        if (loop.interpreter.socket(fd).state === "established") loop.interpreter.arrive(fd, "x");
      } else if (happening < 5) {
        loop.interpreter.module.FS.getStream(fd).flags |= 2048;
        loop.interpreter.calls.recv(fd, 3);
      } else if (happening < 7) {
        const events = chance.choice([POLLIN, POLLOUT, POLLIN | POLLOUT]);
        assert.equal(loop.list.watch(fd, events), "");
        watched.set(fd, events);
      } else if (happening === 7) {
        loop.list.forget(fd);
        watched.delete(fd);
      } else if (happening === 8) {
        loop.interpreter.calls.close(fd);
        watched.delete(fd);
        fds[index] = loop.interpreter.connected();
      } else {
        await loop.wakes();
        const expected = [...watched].filter(([each, events]) => {
          const { readiness } = loop.interpreter.socket(each);
          return readiness & (events | POLLERR | POLLHUP);
        });
        const told = loop.round().map(([each]) => each);
        assert.deepEqual(told.sort(), expected.map(([each]) => each).sort());
      }
    }
  });
}
