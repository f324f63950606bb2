import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { Bulk, TRANSITIONS } from "../../js/bulk.js";

const MIB = 1 << 20;

/** Bytes arrive so fast (bytes per ms); what each piece is answered, in a list. @param {(size: number, now: number) => boolean} take @param {{from: number, size: number, rate: number}} how */
function arrive(take, { from, size, rate }) {
  const piece = 64 * 1024;
  const answers = [];
  for (let at = 0; at <= size; at += piece) answers.push(take(piece, from + at / rate));
  return answers;
}

/** One whose WebSocket has brought bulk at this rate until `1000`, and whose stream was opened then. @param {number} rate */
function streaming(rate) {
  const bulk = new Bulk();
  assert.ok(arrive((size, now) => bulk.heard(size, now), { from: 0, size: 4 * MIB, rate }).includes(true));
  bulk.open(1000);
  bulk.opened(1010);
  return bulk;
}

suite("a stream is wanted", () => {
  test("when a WebSocket brings a mebibyte in less than 50 ms, and not when it takes longer", () => {
    for (const [rate, wanted] of /** @type {[number, boolean][]} */ ([[15_000, false], [30_000, true], [300_000, true]])) {
      const bulk = new Bulk();
      const answers = arrive((size, now) => bulk.heard(size, now), { from: 0, size: 4 * MIB, rate });
      assert.equal(answers.includes(true), wanted, String(rate));
    }
  });

  test("not for what comes in one piece after a pause: how long it took is not known", () => {
    const bulk = new Bulk();
    for (let now = 0; now < 10_000; now += 1000) assert.equal(bulk.heard(16 * MIB, now), false);
  });

  test("not while there is one", () => {
    const bulk = streaming(50_000);
    const more = { from: 2000, size: 4 * MIB, rate: 50_000 };
    assert.ok(!arrive((size, now) => bulk.heard(size, now), more).includes(true));
  });
});

suite("a stream is closed", () => {
  test("when it has brought no bulk for two seconds, and may be opened again at once", () => {
    const bulk = streaming(50_000);
    arrive((size, now) => bulk.brought(size, now), { from: 1100, size: 4 * MIB, rate: 300_000 });
    const last = bulk.deadline;
    assert.ok(last > 3100 && last < 3200);
    for (let now = 1200; now < last; now += 100) {
      bulk.brought(1000, now); // which is not much
      assert.equal(bulk.tick(now), "");
    }
    assert.equal(bulk.tick(last), "close");
    bulk.close(last);
    bulk.ended(last + 1);
    const more = { from: last + 2, size: 4 * MIB, rate: 50_000 };
    assert.ok(arrive((size, now) => bulk.heard(size, now), more).includes(true));
  });

  test("when it is slower than the WebSocket was, as soon as that is known, and not again for a minute", () => {
    const bulk = streaming(200_000);
    const answers = arrive((size, now) => bulk.brought(size, now), { from: 1010, size: 16 * MIB, rate: 100_000 });
    assert.equal(answers.indexOf(true), 127); // behind 8 MiB
    bulk.close(2000);
    bulk.ended(2001);
    assert.equal(bulk.why, "the WebSocket is faster");
    for (const [from, wanted] of /** @type {[number, boolean][]} */ ([[3000, false], [61_000, false], [63_000, true]])) {
      const more = { from, size: 4 * MIB, rate: 200_000 };
      assert.equal(arrive((size, now) => bulk.heard(size, now), more).includes(true), wanted, String(from));
    }
  });

  test("not when it is much faster, and then no more", () => {
    const bulk = streaming(50_000);
    const fast = { from: 1010, size: 16 * MIB, rate: 200_000 };
    assert.ok(!arrive((size, now) => bulk.brought(size, now), fast).includes(true));
    const slow = { from: 2000, size: 16 * MIB, rate: 25_000 };
    assert.ok(!arrive((size, now) => bulk.brought(size, now), slow).includes(true));
  });

  for (const [webSocket, opened, why] of /** @type {[number, boolean, string][]} */ ([
    [60_000, true, ""],
    [120_000, false, "the WebSocket is faster"],
  ])) {
    test(`when it is a little faster than the WebSocket began, which then brings as much, ${opened ? "" : "not "}to be opened again`, () => {
      const bulk = streaming(50_000);
      const answers = arrive((size, now) => bulk.brought(size, now), { from: 1010, size: 16 * MIB, rate: 100_000 });
      assert.equal(answers.indexOf(true), 127);
      assert.equal(answers.lastIndexOf(true), 127);
      bulk.close(1200);
      bulk.ended(1201);
      assert.equal(bulk.why, "");
      const heard = arrive((size, now) => bulk.heard(size, now), { from: 1202, size: 16 * MIB, rate: webSocket });
      assert.equal(heard.indexOf(true), opened ? 128 : -1);
      assert.equal(bulk.why, why);
      if (!opened) return;
      bulk.open(2000);
      bulk.opened(2001);
      const more = { from: 2002, size: 16 * MIB, rate: 100_000 };
      assert.ok(!arrive((size, now) => bulk.brought(size, now), more).includes(true)); // it is known
    });
  }
});

suite("a stream is given up", () => {
  test("when it was not welcomed within a second, and tried again after pauses that grow", () => {
    const bulk = new Bulk();
    let now = 0;
    for (const rest of [60_000, 120_000, 240_000, 480_000, 960_000, 960_000]) {
      const more = { from: now, size: 4 * MIB, rate: 50_000 };
      assert.ok(arrive((size, time) => bulk.heard(size, time), more).includes(true));
      bulk.open(now);
      assert.deepEqual([bulk.tick(now + 999), bulk.tick(now + 1000)], ["", "give up"]);
      bulk.failed("nothing came", now + 1000);
      assert.equal(bulk.why, "nothing came");
      const early = { from: now + 900 + rest, size: 4 * MIB, rate: 50_000 };
      assert.ok(!arrive((size, time) => bulk.heard(size, time), { ...early, size: 2 * MIB }).includes(true));
      now += 1000 + rest;
    }
  });

  test("when it breaks, and after a second there may be another if it had brought something", () => {
    const bulk = streaming(50_000);
    arrive((size, now) => bulk.brought(size, now), { from: 1010, size: 2 * MIB, rate: 300_000 });
    bulk.failed("it broke", 1100);
    assert.equal(bulk.why, "");
    const more = { size: 2 * MIB, rate: 50_000 };
    assert.ok(!arrive((size, now) => bulk.heard(size, now), { from: 1500, ...more }).includes(true));
    assert.ok(arrive((size, now) => bulk.heard(size, now), { from: 2150, ...more }).includes(true));
  });

  test("when it does not end within two seconds of being asked to", () => {
    const bulk = streaming(50_000);
    bulk.close(5000);
    assert.deepEqual([bulk.tick(6999), bulk.tick(7000)], ["", "give up"]);
  });
});

test("one whose WebSocket is lost goes along, and may be opened again at once", () => {
  for (const reach of [(/** @type {Bulk} */ bulk) => bulk, (/** @type {Bulk} */ bulk) => bulk.close(1100)]) {
    const bulk = streaming(50_000);
    reach(bulk);
    bulk.dropped();
    assert.deepEqual([bulk.state, bulk.deadline], ["resting", Infinity]);
    const more = { from: 2000, size: 4 * MIB, rate: 50_000 };
    assert.ok(arrive((size, now) => bulk.heard(size, now), more).includes(true));
  }
});

test("nothing happens that the table does not know", () => {
  assert.throws(() => new Bulk().opened(0), /"opened" cannot happen/);
  assert.deepEqual(Object.keys(TRANSITIONS), ["resting", "opening", "streaming", "closing"]);
});
