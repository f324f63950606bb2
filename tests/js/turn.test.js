import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { afterTurn } from "../../js/turn.js";

test("what is called after a turn is called once, behind all that the program does before it gives way", async () => {
  /** @type {string[]} */
  const order = [];
  const called = new Promise((resolve) => {
    afterTurn(() => {
      order.push("a turn");
      resolve(undefined);
    });
  });
  queueMicrotask(() => order.push("giving way"));
  order.push("the program");
  await called;
  await setImmediate();
  assert.deepEqual(order, ["the program", "giving way", "a turn"]);
});
