import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { Attempts } from "../../js/attempts.js";

/** @typedef {import("../../js/attempts.js").Kind} Kind */

/** The kinds that are tried, one failing after the other, as their first letters. @param {Attempts} attempts @param {number} count */
function tried(attempts, count) {
  return Array.from({ length: count }, () => {
    const [letter] = attempts.kind;
    attempts.failed();
    return letter;
  }).join("");
}

/** Attempts among which these kinds have worked, the last one last. @param {Kind[]} kinds */
function thatWorkedBy(...kinds) {
  const attempts = new Attempts();
  for (const kind of kinds) attempts.succeeded(kind);
  return attempts;
}

suite("the kind of carrier that is tried", () => {
  test("is a WebSocket first, and each in turn while none has worked", () => {
    assert.equal(tried(new Attempts(), 6), "WHWHWH");
  });

  test("is the one that has worked, three times for each time of the other", () => {
    assert.equal(tried(thatWorkedBy("WebSocket"), 10), "WWWHWWWHWW");
    assert.equal(tried(thatWorkedBy("HTTP"), 10), "HHHWHHHWHH");
  });

  test("is either, three times each, where both have worked, beginning with the last that did", () => {
    assert.equal(tried(thatWorkedBy("HTTP", "WebSocket"), 8), "WWWHHHWW");
    assert.equal(tried(thatWorkedBy("WebSocket", "HTTP"), 8), "HHHWWWHH");
  });

  test("has all its patience again once it has worked", () => {
    const attempts = thatWorkedBy("WebSocket");
    assert.equal(tried(attempts, 2), "WW");
    attempts.succeeded("WebSocket");
    assert.equal(tried(attempts, 4), "WWWH");
  });

  test("counts as proven if it has ever worked", () => {
    const attempts = thatWorkedBy("HTTP");
    assert.equal(attempts.proven, true);
    tried(attempts, 3);
    assert.deepEqual([attempts.kind, attempts.proven], ["WebSocket", false]);
    attempts.succeeded("WebSocket");
    assert.equal(attempts.proven, true);
  });
});

suite("pauses", () => {
  test("between attempts are doubled up to five seconds, until a carrier was a good one", (t) => {
    t.mock.method(Math, "random", () => 1);
    const attempts = new Attempts();
    const pauses = () => Array.from({ length: 8 }, () => attempts.pause());
    assert.deepEqual(pauses(), [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    attempts.succeeded("WebSocket"); // which may be lost at once
    assert.equal(attempts.pause(), 5000);
    attempts.rest();
    assert.deepEqual(pauses(), [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  test("are cut short by chance, to nothing at most", (t) => {
    const chance = t.mock.method(Math, "random", () => 0.25);
    assert.equal(new Attempts().pause(), 25);
    chance.mock.mockImplementation(() => 0);
    assert.equal(new Attempts().pause(), 0);
  });

  test("before WebSockets are tried again are doubled from ten seconds to five minutes, until one works", (t) => {
    t.mock.method(Math, "random", () => 1);
    const attempts = thatWorkedBy("HTTP");
    const pauses = () => Array.from({ length: 7 }, () => attempts.returnPause() / 1000);
    assert.deepEqual(pauses(), [10, 20, 40, 80, 160, 300, 300]);
    attempts.succeeded("HTTP");
    assert.equal(attempts.returnPause(), 300_000);
    attempts.succeeded("WebSocket");
    assert.deepEqual(pauses(), [10, 20, 40, 80, 160, 300, 300]);
  });

  test("before WebSockets are tried again are halved at most", (t) => {
    t.mock.method(Math, "random", () => 0);
    assert.equal(new Attempts().returnPause(), 5_000);
  });
});
