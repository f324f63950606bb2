/**
 * The decoders of js/, for tests/fuzz: reads `{target, inputs}` by lines, inputs as hex, and answers with what each
 * input is, as JSON has it. Python compares that with what its own decoders find.
 *
 * A refusal is `{refused}`, whatever else goes wrong `{failed}`. A decoder that takes too long is ended with its
 * process.
 * @module
 */

import { createInterface } from "node:readline";
import vm from "node:vm";

import { ProtocolError } from "../../js/errors.js";
import { decode as decodePacket, encode as encodePacket } from "../../js/gateways/wisp-packets.js";
import { Link } from "../../js/link.js";
import { MessageReader, encodeFrame, framesOf } from "../../js/wire.js";
import { hexOf, plain } from "./vectors.js";

/** Sizes in which a stream may come, chosen by the first byte of an input; 0 for all at once. */
const PIECES = [0, 1, 7, 20, 33];
const LINK_REPLAY = 10_000;
const LINK_PUSHED = 3;

/** @typedef {import("../../js/wire.js").Frame} Frame */

/** The frames as JSON has them, which are the same when they were encoded and decoded. @param {Frame[]} frames */
function stable(frames) {
  const found = frames.map(plain);
  const known = frames.filter(({ type }) => type !== "unrecognized");
  const again = known.flatMap((frame) => [...framesOf(encodeFrame(frame))]).map(plain);
  const expected = found.filter(({ type }) => type !== "unrecognized");
  if (JSON.stringify(again) !== JSON.stringify(expected)) {
    throw new Error(`unstable: ${JSON.stringify(expected)} became ${JSON.stringify(again)}`);
  }
  return found;
}

/** @param {Uint8Array} data @returns {Generator<Uint8Array>} */
function* piecesOf(data) {
  const rest = data.subarray(1);
  const size = (data.length && PIECES[data[0] % PIECES.length]) || Infinity;
  if (size === Infinity) yield rest;
  else for (let at = 0; at < rest.length; at += size) yield rest.subarray(at, at + size);
}

/** @param {Uint8Array} data */
function decodeWire(data) {
  const reader = new MessageReader();
  /** @type {any[]} */
  const found = [];
  try {
    for (const piece of piecesOf(data)) {
      for (const { number, ack, body, more } of reader.feed(piece)) {
        /** @type {Frame[]} */
        const frames = [];
        try {
          for (const frame of framesOf(body, more)) frames.push(frame);
        } finally {
          found.push([number, ack, stable(frames)]);
        }
      }
    }
  } catch (error) {
    if (error instanceof ProtocolError) return ["refused", found];
    throw error;
  }
  return ["accepted", found, reader.held];
}

/** What a link that has sent three messages makes of those that come. @param {Uint8Array} data */
function decodeLink(data) {
  const link = new Link(LINK_REPLAY);
  for (let socket = 0; socket < LINK_PUSHED; socket++) {
    link.push(encodeFrame({ type: "shutdown", socket }));
    link.take(0);
  }
  /** @type {any[]} */
  const found = [];
  try {
    for (const message of new MessageReader().feed(data)) {
      const acknowledged = link.acknowledge(message.ack);
      const ready = message.number ? link.receive(message, found.length * 1000) : [];
      found.push([acknowledged, ready.map(({ number, body }) => [number, hexOf(body)])]);
    }
  } catch (error) {
    if (error instanceof ProtocolError) return ["refused", found];
    throw error;
  }
  return ["accepted", found, link.received, link.buffered, link.room, link.ackDue];
}

/** A packet of Wisp as a list: its type, its values. @param {any} packet */
function values({ type, stream, ...rest }) {
  const content = Object.values(rest).map((value) => {
    if (value instanceof Uint8Array) return hexOf(value);
    return Array.isArray(value) ? value.map(([id, bytes]) => [id, hexOf(bytes)]) : value;
  });
  return type === "Info" ? [type, ...content] : [type, stream, ...content];
}

/** @param {Uint8Array} data */
function decodeWisp(data) {
  const packet = decodePacket(data);
  const found = values(packet);
  if (packet.type !== "Unknown") {
    const again = values(decodePacket(encodePacket(packet)));
    if (JSON.stringify(again) !== JSON.stringify(found)) throw new Error(`unstable: ${JSON.stringify([found, again])}`);
  }
  return found;
}

/** @type {Record<string, (data: Uint8Array) => unknown>} */
const DECODERS = {
  wire: decodeWire,
  frames: (data) => stable([...framesOf(data)]),
  fields: (data) => stable([...framesOf(data)]),
  link: decodeLink,
  wisp: decodeWisp,
};

/** @param {(data: Uint8Array) => unknown} decode @param {string} hex */
function outcome(decode, hex) {
  // A subarray that does not begin where its buffer does: that is what a carrier brings.
  const bytes = Buffer.from(`ff${hex}`, "hex");
  try {
    return decode(new Uint8Array(bytes.buffer, bytes.byteOffset + 1, bytes.length - 1));
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    return error instanceof ProtocolError ? { refused: message } : { failed: `${name}: ${message}` };
  }
}

const BATCH_TIME = 20_000;
/** Ends what does not come to an end: it cannot be told by the loop that it holds up. */
const context = vm.createContext({ work: () => {} });

for await (const line of createInterface({ input: process.stdin })) {
  const { target, inputs } = JSON.parse(line);
  if (!target) {
    /** @type {any} */ (globalThis).gc();
    process.stdout.write(`${process.memoryUsage().heapUsed}\n`);
    continue;
  }
  /** @type {unknown[]} */
  const answers = [];
  context.work = () => {
    for (const hex of inputs) answers.push(outcome(DECODERS[target], hex));
  };
  try {
    vm.runInContext("work()", context, { timeout: BATCH_TIME });
  } catch {
    answers.push({ failed: `it does not come to an end: ${inputs[answers.length]}` });
  }
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
