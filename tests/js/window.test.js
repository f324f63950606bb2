import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { Budget, ReceiveWindow, SendWindow, WINDOW_INITIAL, WINDOW_MAX } from "../../js/window.js";
import { Chance } from "./chance.js";
import { vectors } from "./vectors.js";

const { send, receive } = vectors("window");

suite("a send window does what the vectors say", () => {
  /** @type {Record<string, (window: SendWindow, step: any) => void>} */
  const calls = {
    is: (window, { credit }) => assert.equal(window.credit, credit),
    sent: (window, { size }) => window.sent(size),
    opened: (window, { credit }) => window.opened(credit),
  };
  for (const script of send) {
    test(script.name, () => {
      const window = new SendWindow(script.credit);
      for (const step of script.steps) perform(step, () => calls[step.call](window, step));
    });
  }
});

suite("a receive window does what the vectors say", () => {
  /** @type {Record<string, (window: ReceiveWindow, step: any) => void>} */
  const calls = {
    is: (window, { size, budget = window.budget.left }) => {
      assert.deepEqual([window.size, window.budget.left], [size, budget]);
    },
    received: (window, { size }) => window.received(size),
    consumed: (window, { size, held, now, busy, gives }) => {
      assert.equal(window.consumed(size, held, now, busy), gives);
    },
    resize: (window, { size, gives }) => assert.equal(window.resize(size), gives),
    close: (window) => window.close(),
  };
  for (const script of receive) {
    test(script.name, () => {
      const window = new ReceiveWindow(new Budget(script.budget), script.size, script.limit);
      for (const step of script.steps) perform(step, () => calls[step.call](window, step));
    });
  }
});

/** @param {any} step @param {() => void} call */
function perform(step, call) {
  if (step.fails) assert.throws(call, { name: "ProtocolError", message: step.fails });
  else call();
}

test("what is under way and what is held never exceed the window", () => {
  for (let seed = 0; seed < 50; seed++) {
    const chance = new Chance(seed);
    const growth = chance.integer(0, 10_000);
    const budget = new Budget(growth);
    const receiving = new ReceiveWindow(budget, 1000, 8000);
    const sending = new SendWindow(1000);
    let [held, now] = [0, 0];
    for (let step = 0; step < 100; step++) {
      now += chance.integer(0, 4000);
      if (chance.random() < 0.5) {
        const size = chance.integer(0, held);
        held -= size;
        sending.opened(receiving.consumed(size, held, now));
      } else {
        const size = chance.integer(0, sending.credit);
        sending.sent(size);
        receiving.received(size);
        held += size;
      }
      assert.ok(held + sending.credit <= receiving.size && receiving.size <= 8000);
      assert.equal(receiving.size - 1000 + budget.left, growth);
    }
    receiving.close();
    assert.equal(budget.left, growth);
  }
});

test("a sender never waits for a reader that has read everything", () => {
  const chance = new Chance(1);
  const receiving = new ReceiveWindow(new Budget(0), 1000, 1000);
  const sending = new SendWindow(1000);
  for (let step = 0; step < 1000; step++) {
    const size = Math.min(chance.integer(1, 2000), sending.credit);
    sending.sent(size);
    receiving.received(size);
    sending.opened(receiving.consumed(size, 0, 0));
    assert.ok(sending.credit > 0);
  }
});

test("a fast reader ends with the largest window and a slow one with the first", () => {
  const budget = new Budget(64 << 20);
  for (const [pause, size] of [
    [10, WINDOW_MAX],
    [300, WINDOW_INITIAL],
  ]) {
    const window = new ReceiveWindow(budget);
    for (let now = pause; now <= 20 * pause; now += pause) {
      window.received(window.size / 2);
      window.consumed(window.size / 2, 0, now);
    }
    assert.equal(window.size, size);
  }
});
