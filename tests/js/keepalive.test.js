import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { KeepAlive } from "../../js/keepalive.js";
import { vectors } from "./vectors.js";

/** @type {Record<string, (watch: KeepAlive, step: any) => void>} */
const CALLS = {
  is: (watch, { deadline }) => assert.equal(watch.deadline, deadline),
  heard: (watch, { now }) => watch.heard(now),
  tick: (watch, { now, gives }) => assert.equal(watch.tick(now), gives),
};

suite("a carrier is watched as the vectors say", () => {
  for (const script of vectors("keepalive").scripts) {
    test(script.name, () => {
      const watch = new KeepAlive(script.interval, 0);
      for (const step of script.steps) CALLS[step.call](watch, step);
    });
  }
});

test("a carrier without keepalive is never probed", () => {
  assert.equal(new KeepAlive(Infinity, 0).tick(1e15), "quiet");
});
