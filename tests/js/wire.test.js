import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { ProtocolError } from "../../js/errors.js";
import {
  FRAME_HEADER,
  LAYOUTS,
  MESSAGE_HEADER,
  MESSAGE_MAX,
  MessageReader,
  encodeFrame,
  encodeMessage,
  framesOf,
  sizeOf,
  viewOf,
  writeDataHeader,
  writeMessageHeader,
} from "../../js/wire.js";
import { Chance } from "./chance.js";
import { bytesOf, frameOf, hexOf, joined, plain, vectors } from "./vectors.js";

const ADDRESS = { family: 4, host: "", port: 0 };

const { messages: MESSAGES, malformed: MALFORMED, unencodable: UNENCODABLE } = vectors("wire");

/**
 * What a receiver makes of a stream that comes in these pieces.
 * @param {Iterable<Uint8Array>} pieces
 * @param {MessageReader} [reader]
 */
function decode(pieces, reader = new MessageReader()) {
  const decoded = [];
  for (const piece of pieces) {
    for (const { number, ack, body } of reader.feed(piece)) {
      decoded.push({ number, ack, frames: [...framesOf(body)].map(plain) });
    }
  }
  return decoded;
}

/**
 * All frames up to a protocol error, and what it says; nothing if there was none.
 * @param {Uint8Array} body
 */
function framesBeforeError(body) {
  const frames = [];
  try {
    for (const frame of framesOf(body)) frames.push(plain(frame));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { frames, error: error.message };
  }
  return { frames, error: "" };
}

/** @param {any} vector */
function expected({ number, ack, frames }) {
  return { number, ack, frames };
}

/** @param {Uint8Array} data @param {(left: number) => number} choose */
function* cut(data, choose) {
  for (let at = 0; at < data.length; ) {
    const size = choose(data.length - at);
    yield data.slice(at, at + size);
    at += size;
  }
}

/** Frames of which those that bring data of one socket are one where they follow each other. @param {any[]} frames */
function merged(frames) {
  /** @type {any[]} */
  const found = [];
  for (const frame of frames) {
    const last = found[found.length - 1];
    if (frame.type !== "data") found.push(frame);
    else if (last?.parts && last.socket === frame.socket) last.parts.push(frame.data);
    else found.push({ type: "data", socket: frame.socket, parts: [frame.data] });
  }
  return found.map(({ parts, ...frame }) => (parts ? { ...frame, data: hexOf(Buffer.concat(parts)) } : frame));
}

/** @param {Uint8Array} data */
const bytewise = (data) => cut(data, () => 1);

/** The bytes of each frame of a vector: a line for the header, then one for a payload that is not empty.
 * @param {any} vector */
function framesOfLines({ hex }) {
  /** @type {Uint8Array[]} */
  const frames = [];
  let missing = 0;
  for (const line of hex.slice(1)) {
    if (missing) {
      frames.push(joined(/** @type {Uint8Array} */ (frames.pop()), bytesOf(line)));
      missing = 0;
    } else {
      frames.push(bytesOf(line));
      missing = viewOf(bytesOf(line)).getUint32(6);
    }
  }
  return frames;
}

for (const vector of MESSAGES) {
  suite(vector.name, () => {
    const data = bytesOf(vector.hex);

    if (vector.canonical ?? true) {
      test("it is encoded as the vectors say", () => {
        const parts = vector.frames.map(frameOf).map(encodeFrame);
        assert.equal(hexOf(encodeMessage(vector.number, vector.ack, parts)), hexOf(data));
      });
    }

    test("it is decoded in one piece", () => {
      assert.deepEqual(decode([data]), [expected(vector)]);
    });

    test("it is decoded byte by byte", () => {
      assert.deepEqual(decode(bytewise(data)), [expected(vector)]);
    });

    test("it is decoded in any pieces", () => {
      const chance = new Chance(data.length);
      for (let round = 0; round < 20; round++) {
        assert.deepEqual(decode(cut(data, (left) => chance.integer(1, left))), [expected(vector)]);
      }
    });

    test("it is decoded out of a larger buffer", () => {
      const surrounded = joined(new Uint8Array(7).fill(255), data, new Uint8Array(5).fill(255));
      assert.deepEqual(decode([surrounded.subarray(7, 7 + data.length)]), [expected(vector)]);
      const views = [surrounded.subarray(7, 17), surrounded.subarray(17, 7 + data.length)];
      assert.deepEqual(decode(views), [expected(vector)]);
    });

    test("it is waited for when it is cut short", () => {
      for (let size = 0; size < data.length; size++) {
        const reader = new MessageReader();
        assert.deepEqual(decode([data.subarray(0, size)], reader), []);
        assert.equal(reader.held, size);
        assert.deepEqual(decode([data.subarray(size)], reader), [expected(vector)]);
        assert.equal(reader.held, 0);
      }
    });

    test("what follows it is the next one", () => {
      const reader = new MessageReader();
      const [first, last] = [data.subarray(0, -1), data.subarray(-1)];
      assert.deepEqual(decode([joined(data, data, first)], reader), [expected(vector), expected(vector)]);
      assert.deepEqual(decode([last], reader), [expected(vector)]);
    });

    test("its frames cut short are never other frames", () => {
      const body = data.subarray(MESSAGE_HEADER);
      for (let size = 0; size < body.length; size++) {
        const { frames, error } = framesBeforeError(body.subarray(0, size));
        assert.deepEqual(frames, vector.frames.slice(0, frames.length));
        assert.ok(frames.length < vector.frames.length);
        if (error) continue;
        // No complaint: the cut lies between two frames.
        const whole = framesOfLines(vector).slice(0, frames.length);
        assert.equal(size, joined(...whole).length);
      }
    });

    test("its payloads cut short are errors", () => {
      for (const bytes of framesOfLines(vector)) {
        const [frame] = framesOf(bytes);
        if (frame.type === "unrecognized") continue; // any length will do
        const needed = encodeFrame("data" in frame ? { ...frame, data: new Uint8Array(0) } : frame).length;
        for (let size = needed - 1; size >= FRAME_HEADER; size--) {
          const short = bytes.slice(0, size);
          viewOf(short).setUint32(6, size - FRAME_HEADER);
          assert.throws(() => [...framesOf(short)], { name: "ProtocolError", message: /ends early/ });
        }
      }
    });
  });
}

for (const vector of MALFORMED) {
  suite(vector.name, () => {
    const data = bytesOf(vector.hex);

    test("it is an error however it is cut", () => {
      const chance = new Chance(data.length);
      const ways = [() => [data], () => bytewise(data)];
      for (let i = 0; i < 10; i++) ways.push(() => cut(data, (left) => chance.integer(1, left)));
      for (const pieces of ways) {
        const [message, error] = messageOrError(pieces());
        if (vector.in === "stream") {
          assert.ok(error.includes(vector.error), error);
        } else {
          const { frames, error: inFrames } = framesBeforeError(message.body);
          assert.ok(inFrames.includes(vector.error), inFrames);
          assert.deepEqual(frames, vector.frames);
        }
      }
    });

    test("messages before it are delivered", () => {
      const good = encodeMessage(1, 0, [encodeFrame({ type: "close", socket: 1 })]);
      const messages = new MessageReader().feed(joined(good, data));
      assert.deepEqual(messages.next().value.body, good.subarray(MESSAGE_HEADER));
      assert.throws(
        () => [...messages].flatMap(({ body }) => [...framesOf(body)]),
        (error) => error instanceof ProtocolError && error.message.includes(vector.error),
      );
    });
  });
}

/**
 * The first message of a stream, or the sentence of its error.
 * @param {Iterable<Uint8Array>} pieces
 * @returns {[any, string]}
 */
function messageOrError(pieces) {
  const reader = new MessageReader();
  try {
    for (const piece of pieces) for (const message of reader.feed(piece)) return [message, ""];
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return [null, error.message];
  }
  return [null, ""];
}

suite("streams", () => {
  test("messages follow each other through any cuts", () => {
    const stream = joined(...MESSAGES.map((/** @type {any} */ { hex }) => bytesOf(hex)));
    for (let seed = 0; seed < 5; seed++) {
      const chance = new Chance(seed);
      const pieces = cut(stream, (left) => Math.min(left, chance.integer(1, 60)));
      assert.deepEqual(decode(pieces), MESSAGES.map(expected));
    }
  });

  test("what was delivered does not change when more comes", () => {
    const stream = joined(encodeMessage(1, 0, [bytesOf("aaaa")]), encodeMessage(2, 0, [bytesOf("bbbb")]));
    const reader = new MessageReader();
    const bodies = [...bytewise(stream)].flatMap((piece) => [...reader.feed(piece)]).map(({ body }) => hexOf(body));
    assert.deepEqual(bodies, ["aaaa", "bbbb"]);
  });

  test("a message that comes whole is not copied", () => {
    const data = encodeMessage(1, 0, [encodeFrame({ type: "data", socket: 1, data: bytesOf("aa") })]);
    const [{ body }] = new MessageReader().feed(data);
    assert.equal(body.buffer, data.buffer);
    const [frame] = framesOf(body);
    assert.equal(frame.data.buffer, data.buffer);
  });

  test("a long message that comes in pieces is not copied, and its frames are what they were", () => {
    const data = Uint8Array.from({ length: 50_000 }, (_, index) => index % 251);
    const small = MESSAGES.flatMap((/** @type {any} */ vector) => framesOfLines(vector));
    const body = joined(...small, encodeFrame({ type: "data", socket: 99, data }), ...small);
    const before = merged([...framesOf(joined(...small))]);
    for (let seed = 0; seed < 20; seed++) {
      const chance = new Chance(seed);
      const least = seed % 2 ? 1 : 3000;
      const reader = new MessageReader();
      const pieces = cut(encodeMessage(7, 0, [body]), (left) => Math.min(left, chance.integer(least, 2 * least)));
      const messages = [...pieces].flatMap((piece) => [...reader.feed(piece)]);
      assert.deepEqual([messages.length, sizeOf(messages[0]), reader.held], [1, body.length, 0]);
      const frames = [...framesOf(messages[0].body, messages[0].more)];
      const parts = frames.filter((frame) => frame.socket === 99);
      assert.ok(parts.length > data.length / (2 * least + 1)); // each lies where it came
      const whole = { type: "data", socket: 99, data: hexOf(data) };
      assert.deepEqual(merged(frames), [...before, whole, ...before]);
    }
  });

  test("a long message that comes in pieces is an error where its frames are", () => {
    const long = encodeFrame({ type: "data", socket: 1, data: new Uint8Array(20_000) });
    for (const [end, sentence] of /** @type {[Uint8Array, RegExp][]} */ ([
      [bytesOf("12"), /1 bytes at the end of a message are no frame header/],
      [bytesOf("12 00 00000001 00000002 aa"), /frame of 2 bytes in a message with 1 left/],
    ])) {
      const reader = new MessageReader();
      const pieces = cut(encodeMessage(1, 0, [long, end]), (left) => Math.min(left, 7));
      const [{ body, more }] = [...pieces].flatMap((piece) => [...reader.feed(piece)]);
      const frames = framesOf(body, more);
      assert.throws(() => [...frames], { name: "ProtocolError", message: sentence });
    }
  });

  test("an empty piece changes nothing", () => {
    const data = bytesOf(MESSAGES[0].hex);
    const pieces = [new Uint8Array(0), data.subarray(0, 5), new Uint8Array(0), data.subarray(5)];
    assert.deepEqual(decode(pieces), [expected(MESSAGES[0])]);
  });

  test("bytes that mean nothing are messages or a protocol error", () => {
    const chance = new Chance(1);
    for (let round = 0; round < 3000; round++) {
      const bytes = Uint8Array.from({ length: chance.integer(0, 80) }, () => chance.integer(0, 255));
      const kinds = Object.values(LAYOUTS).map(({ kind }) => kind);
      framesBeforeError(bytes);
      if (bytes.length >= FRAME_HEADER) {
        // The same bytes as the payload of a kind that is known.
        bytes[0] = chance.choice(kinds);
        viewOf(bytes).setUint32(6, bytes.length - FRAME_HEADER);
        framesBeforeError(bytes);
      }
      if (bytes.length >= 4) viewOf(bytes).setUint32(0, chance.integer(0, 60));
      messageOrError(cut(bytes, (left) => chance.integer(1, left)));
    }
  });

  test("every kind of frame has a vector", () => {
    const types = MESSAGES.flatMap((/** @type {any} */ { frames }) => frames).map((/** @type {any} */ { type }) => type);
    assert.deepEqual(new Set(types), new Set([...Object.keys(LAYOUTS), "unrecognized"]));
  });
});

suite("limits", () => {
  test("the largest message is decoded", () => {
    const data = new Uint8Array(MESSAGE_MAX - FRAME_HEADER);
    const message = encodeMessage(1, 0, [encodeFrame({ type: "data", socket: 1, data })]);
    const [{ body }] = new MessageReader().feed(message);
    const [frame] = framesOf(body);
    assert.equal(frame.data.length, data.length);
  });

  test("a message too large is an error before its frames come", () => {
    const header = new Uint8Array(MESSAGE_HEADER);
    viewOf(header).setUint32(0, MESSAGE_MAX + 1);
    const reader = new MessageReader();
    assert.throws(() => [...reader.feed(header)], {
      name: "ProtocolError",
      message: "message of 1048577 bytes; at most 1048576",
    });
    assert.equal(reader.held, 0);
  });

  test("a reader can be stricter than the format", () => {
    assert.equal([...new MessageReader(4096).feed(encodeMessage(0, 0, [new Uint8Array(4096)]))].length, 1);
    assert.throws(() => [...new MessageReader(4096).feed(encodeMessage(0, 0, [new Uint8Array(4097)]))], {
      message: "message of 4097 bytes; at most 4096",
    });
  });

  test("the longest text and list are encoded and decoded", () => {
    for (const frame of [
      { type: "reset", socket: 1, code: `${"é".repeat(32767)}x`, message: "" },
      { type: "resolved", socket: 1, port: 0, canonical: "", addresses: Array(9000).fill(ADDRESS) },
    ]) {
      assert.deepEqual([...framesOf(encodeFrame(frame))], [frame]);
    }
  });

  test("a text or list that is too long is not encoded", () => {
    const tooLong = { name: "RangeError", message: "65536 does not fit 2 bytes" };
    assert.throws(() => encodeFrame({ type: "reset", socket: 1, code: "é".repeat(32768), message: "" }), tooLong);
    const addresses = Array(65536).fill(ADDRESS);
    assert.throws(() => encodeFrame({ type: "resolved", socket: 1, port: 0, canonical: "", addresses }), tooLong);
  });

  for (const { name, frame } of UNENCODABLE) {
    test(`${name} is not encoded`, () => {
      assert.throws(() => encodeFrame(frameOf(frame)), RangeError);
    });
  }

  test("a field that is missing is not encoded", () => {
    for (const type of Object.keys(LAYOUTS)) {
      if (LAYOUTS[type].fields.length) assert.throws(() => encodeFrame({ type, socket: 1 }));
    }
    assert.throws(() => encodeFrame({ type: "reset", socket: 1, code: "EPIPE" }), RangeError);
  });

  test("a data header for a socket that does not fit is not written", () => {
    const bytes = new Uint8Array(FRAME_HEADER);
    assert.throws(() => writeDataHeader(viewOf(bytes), 0, 2 ** 32, 0), RangeError);
    assert.throws(() => writeDataHeader(viewOf(bytes), 0, 1.5, 0), RangeError);
  });

  test("a message that is too large is not encoded", () => {
    assert.equal(encodeMessage(1, 0, [new Uint8Array(MESSAGE_MAX)]).length, MESSAGE_HEADER + MESSAGE_MAX);
    assert.throws(() => encodeMessage(1, 0, [new Uint8Array(MESSAGE_MAX + 1)]), {
      name: "RangeError",
      message: "1048577 bytes of frames in one message; at most 1048576",
    });
  });

  test("a message number that does not fit is not encoded", () => {
    const view = viewOf(new Uint8Array(MESSAGE_HEADER));
    for (const wrong of [2 ** 53, -1, 1.5, NaN]) {
      assert.throws(() => writeMessageHeader(view, 0, wrong, 0), RangeError);
      assert.throws(() => writeMessageHeader(view, 0, 0, wrong), RangeError);
    }
  });
});
