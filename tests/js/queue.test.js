import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { ByteQueue } from "../../js/queue.js";
import { Chance } from "./chance.js";
import { held, inUse } from "./memory.js";

const LARGE = 16 * 1024;

const PERIOD = 251;
const PERIODS = Uint8Array.from({ length: 1 << 20 }, (_, index) => (index * 31) % PERIOD);

/** Bytes that tell where in the stream they belong. @param {number} start @param {number} size */
function counted(start, size) {
  return PERIODS.slice(start % PERIOD, (start % PERIOD) + size);
}

/** deepEqual takes a microsecond for each byte. @param {Uint8Array} actual @param {Uint8Array} expected */
function assertSame(actual, expected) {
  if (Buffer.compare(actual, expected)) assert.deepEqual(actual, expected);
}

/** The same bytes as a view into a larger buffer. @param {Uint8Array} bytes @param {number} around */
function viewIn(bytes, around) {
  const buffer = new Uint8Array(bytes.length + 2 * around);
  buffer.set(bytes, around);
  return buffer.subarray(around, around + bytes.length);
}

/** A queue of these pieces. @param {Uint8Array[]} pieces */
function queueOf(...pieces) {
  const queue = new ByteQueue();
  for (const piece of pieces) queue.push(piece);
  return queue;
}

suite("the order of bytes", () => {
  for (let seed = 1; seed <= 30; seed++) {
    test(`pieces of any size come out as one stream, in takes of any size (chance ${seed})`, () => {
      const chance = new Chance(seed);
      const queue = new ByteQueue();
      let pushed = 0;
      let taken = 0;
      for (let step = 0; step < 200; step++) {
        if (chance.random() < 0.55) {
          const size = chance.choice([0, 1, 2, 100, 5000, LARGE - 1, LARGE, 70_000]);
          queue.push(viewIn(counted(pushed, size), chance.choice([0, 0, 3, 200_000])));
          pushed += size;
        } else {
          const limit = chance.choice([1, 3, 1000, LARGE, 50_000, 300_000]);
          const peeked = queue.peek(limit);
          const piece = queue.take(limit);
          assertSame(peeked, piece);
          assert.ok(piece.length <= limit);
          assert.equal(piece.length > 0, pushed > taken);
          assertSame(piece, counted(taken, piece.length));
          taken += piece.length;
        }
        assert.equal(queue.length, pushed - taken);
      }
    });
  }

  test("what was taken does not change when more is pushed behind it", () => {
    const queue = queueOf(counted(0, 1), counted(1, 1), counted(2, 4));
    const [peeked, taken] = [queue.peek(3), queue.take(4)];
    queue.push(counted(6, 2));
    assert.deepEqual([...peeked, ...taken], [...counted(0, 3), ...counted(0, 4)]);
    assert.deepEqual(queue.take(100), counted(4, 4));
  });

  test("an empty queue gives nothing, and so does a limit of nothing or less", () => {
    const queue = new ByteQueue();
    assert.equal(queue.take(10).length, 0);
    queue.push(new Uint8Array(0));
    assert.equal(queue.length, 0);
    queue.push(counted(0, 5));
    for (const limit of [0, -1]) assert.equal(queue.take(limit).length, 0);
    assert.equal(queue.length, 5);
  });

  test("after it was cleared a queue begins anew", () => {
    const queue = queueOf(counted(0, 5), counted(5, LARGE));
    queue.take(2);
    queue.clear();
    assert.equal(queue.length, 0);
    queue.push(counted(0, 3));
    assert.deepEqual(queue.take(10), counted(0, 3));
  });
});

suite("handing out and joining", () => {
  test("a large piece is handed out without a copy, in parts too", () => {
    const piece = counted(0, 3 * LARGE);
    const queue = queueOf(piece, counted(0, LARGE));
    for (const limit of [LARGE, 10 * LARGE]) assert.equal(queue.take(limit).buffer, piece.buffer);
  });

  test("a large piece is handed out alone even if more was asked for", () => {
    assert.equal(queueOf(counted(0, LARGE), counted(0, LARGE)).take(10 * LARGE).length, LARGE);
  });

  test("small pieces are joined to fill what was asked for", () => {
    const pieces = Array.from({ length: 100 }, (_, index) => counted(10 * index, 10));
    assert.deepEqual(queueOf(...pieces).take(995), counted(0, 995));
  });

  test("the small rest of a large piece is joined with what follows", () => {
    const queue = queueOf(counted(0, LARGE), counted(LARGE, 2 * LARGE));
    queue.take(LARGE - 10);
    assert.deepEqual(queue.take(2 * LARGE), counted(LARGE - 10, 2 * LARGE));
  });
});

/**
 * Push the start of a new buffer; returns a weak reference to that.
 * @param {ByteQueue} queue
 * @param {number} size
 * @param {number} whole
 */
function pushPart(queue, size, whole) {
  const { buffer } = new Uint8Array(whole);
  queue.push(new Uint8Array(buffer, 0, size));
  return new WeakRef(buffer);
}

suite("memory and time", () => {
  test("a small part of a large buffer does not keep the buffer alive", async () => {
    const queue = new ByteQueue();
    const buffers = [1, LARGE].map((size) => pushPart(queue, size, 10 * LARGE));
    assert.equal(await held(buffers), 0);
    assert.equal(queue.length, 1 + LARGE);
  });

  test("pieces that were taken are let go of at once, whatever is left behind them", async () => {
    const queue = queueOf(new Uint8Array(10)); // so that the large ones behind it are joined
    const buffers = Array.from({ length: 10 }, () => pushPart(queue, LARGE, LARGE));
    queue.take(10 + 5 * LARGE);
    assert.equal(await held(buffers), 5);
    queue.take(LARGE);
    assert.equal(await held(buffers), 4);
    queue.clear();
    assert.equal(await held(buffers), 0);
  });

  test("single bytes cost little more than their number", async () => {
    const before = await inUse();
    const queue = new ByteQueue();
    for (let count = 0; count < 200_000; count++) queue.push(counted(count, 1));
    const cost = (await inUse()) - before;
    assert.ok(cost < 1_000_000, `${cost} bytes for 200 000`);
    assert.equal(queue.length, 200_000);
  });

  test("a queue that is never quite empty does not grow with what went through it", async () => {
    const piece = counted(0, LARGE);
    const queue = queueOf(piece);
    const before = await inUse();
    for (let count = 0; count < 200_000; count++) {
      queue.push(piece);
      queue.take(LARGE);
    }
    const cost = (await inUse()) - before;
    assert.ok(cost < 500_000, `${cost} bytes`);
    assert.equal(queue.length, LARGE);
  });

  test("time grows with the number of pieces, not with its square", () => {
    const queue = new ByteQueue();
    const [count, piece] = [60_000, counted(0, LARGE)];
    const start = process.hrtime.bigint();
    for (let pushed = 0; pushed < count; pushed++) queue.push(piece);
    while (queue.length) queue.take(LARGE);
    const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
    assert.ok(milliseconds < 2_000, `${milliseconds} ms`); // 20 as it is; 10 000 if each take moved the rest
  });
});
