import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { afterTurn, notMeanwhile, standStill } from "../../js/turn.js";

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

test("during a synchronous request nothing is called, and all of it in order when that is over", () => {
  /** @type {string[]} */
  const order = [];
  notMeanwhile(() => order.push("before"));
  const answer = standStill(() => {
    notMeanwhile(() => order.push("first"));
    notMeanwhile(() => order.push("second"));
    order.push("request");
    return "answer";
  });
  assert.deepEqual([answer, order], ["answer", ["before", "request", "first", "second"]]);
});

test("what came during a request that fails is called, too", () => {
  /** @type {string[]} */
  const order = [];
  const failing = () =>
    standStill(() => {
      notMeanwhile(() => order.push("late"));
      throw new Error("no answer");
    });
  assert.throws(failing, /no answer/);
  notMeanwhile(() => order.push("now"));
  assert.deepEqual(order, ["late", "now"]);
});

test("a turn that comes during a synchronous request is no turn", async () => {
  /** @type {(value: unknown) => void} */
  let happened = () => {};
  const turn = new Promise((resolve) => {
    happened = resolve;
  });
  /** @type {string[]} */
  const order = [];
  // As Firefox does: the message of the turn is handled while the request goes on.
  const before = globalThis.MessageChannel;
  /** @type {any} */
  const port = { close() {}, onmessage() {} };
  globalThis.MessageChannel = /** @type {any} */ (
    function channel() {
      return { port1: port, port2: { postMessage() {} } };
    }
  );
  afterTurn(() => happened(order.push("turn")));
  globalThis.MessageChannel = before;
  standStill(() => {
    port.onmessage();
    order.push("request");
  });
  order.push("program");
  await turn;
  assert.deepEqual(order, ["request", "program", "turn"]);
});
