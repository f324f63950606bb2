import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { Blocking } from "../../js/blocking.js";
import { Page } from "./page.js";

/** @typedef {import("node:test").TestContext} TestContext */

/** A page that waits by exchanges, each of which takes some time. */
class Waiting {
  /** How long each answer might have been held back, and when it was asked for. @type {[number, number][]} */
  asked = [];
  /** What comes of each exchange; the last one of all that follow. @type {(() => boolean)[]} */
  outcomes = [() => true];
  /** How long (ms) an exchange takes, of what it may. @type {(wait: number) => number} */
  takes = (wait) => wait;
  ready = false;
  /** @type {boolean | null} */
  signal = null;

  /** @param {TestContext} t */
  constructor(t) {
    this.page = new Page(t);
    this.clock = this.page.clock;
    this.clock.step = 1; // else what stands would do so for ever
    const uplink = { exchange: (/** @type {number} */ wait) => this.#exchange(wait) };
    this.blocking = new Blocking(/** @type {any} */ (uplink), () => this.signal);
  }

  /** @param {number} wait */
  #exchange(wait) {
    this.asked.push([wait, this.clock.now]);
    if (this.asked.length > 1000) throw new Error("it goes on for ever");
    this.clock.now += this.takes(wait);
    const outcome = this.outcomes.length > 1 ? this.outcomes.shift() : this.outcomes[0];
    return outcome?.();
  }

  /** @param {number} [timeout] */
  until(timeout = Infinity) {
    return this.blocking.until(() => this.ready, timeout);
  }
}

suite("waiting by exchanges", () => {
  test("asks nobody for what is here", (t) => {
    const waiting = new Waiting(t);
    waiting.ready = true;
    for (const timeout of [0, 100, Infinity]) assert.equal(waiting.until(timeout), "ready");
    assert.deepEqual(waiting.asked, []);
  });

  test("goes on until it is ready", (t) => {
    const waiting = new Waiting(t);
    waiting.outcomes = [() => true, () => true, () => (waiting.ready = true)];
    assert.equal(waiting.until(), "ready");
    assert.deepEqual(
      waiting.asked.map(([wait]) => wait),
      [25_000, 25_000, 25_000],
    );
  });

  test("is over in time, and lets no answer be held back for longer", (t) => {
    const waiting = new Waiting(t);
    const before = waiting.clock.now;
    waiting.takes = (wait) => Math.min(wait, 400);
    assert.equal(waiting.until(1000), "timeout");
    assert.equal(waiting.asked.length, 3);
    for (const [wait, at] of waiting.asked) assert.ok(Math.abs(wait - (before + 1000 - at)) < 10, `${wait} at ${at}`);
    assert.ok(waiting.clock.now - before < 1010);
  });

  test("for no time asks nobody", (t) => {
    const waiting = new Waiting(t);
    assert.equal(waiting.until(0), "timeout");
    assert.deepEqual(waiting.asked, []);
  });

  test("looks for signals often, where one can come", (t) => {
    const waiting = new Waiting(t);
    waiting.signal = false;
    waiting.outcomes = [() => true, () => true, () => (waiting.signal = true)];
    assert.equal(waiting.until(), "interrupted");
    assert.deepEqual(
      waiting.asked.map(([wait]) => wait),
      [200, 200, 200],
    );
  });

  test("tells of a signal that was there before, but of what is ready rather", (t) => {
    const waiting = new Waiting(t);
    waiting.signal = true;
    assert.equal(waiting.until(), "interrupted");
    assert.deepEqual(waiting.asked, []);
    waiting.ready = true;
    assert.equal(waiting.until(), "ready");
  });

  test("stands between exchanges that fail, longer each time, and anew after one that was answered", (t) => {
    const waiting = new Waiting(t);
    waiting.takes = () => 0;
    const [fails, succeeds] = [() => false, () => true];
    waiting.outcomes = [...Array(7).fill(fails), succeeds, fails, () => (waiting.ready = true)];
    assert.equal(waiting.until(), "ready");
    const times = waiting.asked.map(([, at]) => at);
    const pauses = times.slice(1).map((at, index) => Math.round((at - times[index]) / 10) * 10);
    assert.deepEqual(pauses, [50, 100, 200, 400, 800, 1000, 1000, 0, 50]);
  });

  test("does not stand once a failure has made it ready", (t) => {
    const waiting = new Waiting(t);
    waiting.outcomes = [
      () => {
        waiting.ready = true; // its session was given up
        return false;
      },
    ];
    const before = waiting.clock.now;
    waiting.takes = () => 0;
    assert.equal(waiting.until(), "ready");
    assert.ok(waiting.clock.now - before < 10);
  });

  test("stands no longer than the time it has", (t) => {
    const waiting = new Waiting(t);
    waiting.takes = () => 0;
    waiting.outcomes = [() => false];
    const before = waiting.clock.now;
    assert.equal(waiting.until(120), "timeout");
    assert.ok(waiting.clock.now - before >= 120 && waiting.clock.now - before < 140);
    assert.equal(waiting.asked.length, 2);
  });

  test("without a proxy only stands", (t) => {
    const { clock } = new Page(t);
    clock.step = 1;
    const alone = new Blocking(null, () => null);
    const before = clock.now;
    assert.equal(
      alone.until(() => false, 500),
      "timeout",
    );
    assert.ok(clock.now - before >= 500 && clock.now - before < 520);
    alone.look();
  });

  test("to look is one exchange that is answered at once", (t) => {
    const waiting = new Waiting(t);
    waiting.blocking.look();
    assert.deepEqual(
      waiting.asked.map(([wait]) => wait),
      [0],
    );
  });
});
