/**
 * The frames of docs/protocol.md: the kind and the fields of each. Pure.
 *
 * Twin of pynet_browser/frames; tests/vectors holds them together.
 * @module
 */

import { ADDRESS, REST, TEXT, U16, U32, U64, U8, list } from "./fields.js";

/** @typedef {import("./fields.js").Field} Field */

/** @type {[string, Field][]} */
const REASON = [
  ["code", TEXT],
  ["message", TEXT],
];

/** One end of a data channel. @type {[string, Field][]} */
const PEER = [
  ["user", TEXT],
  ["password", TEXT],
  ["fingerprint", TEXT],
  ["limit", U32],
];

/** What each kind of frame is called, its first byte and its fields; docs/protocol.md says what it means.
 * @type {Record<string, {kind: number, fields: [string, Field][]}>} */
export const LAYOUTS = {
  hello: {
    kind: 0x01,
    fields: [
      ["version", U16],
      ["token", TEXT],
      ["session", TEXT],
      ["key", TEXT],
      ["seen", U64],
      ["window", U32],
      ["replay", U32],
      ["features", list(TEXT)],
      ["agent", TEXT],
    ],
  },
  welcome: {
    kind: 0x02,
    fields: [
      ["version", U16],
      ["session", TEXT],
      ["key", TEXT],
      ["seen", U64],
      ["window", U32],
      ["replay", U32],
      ["grace", U32],
      ["keepalive", U32],
      ["features", list(TEXT)],
      ["agent", TEXT],
    ],
  },
  refused: { kind: 0x03, fields: REASON },
  goaway: { kind: 0x04, fields: REASON },
  ping: { kind: 0x05, fields: [["stamp", U64]] },
  pong: { kind: 0x06, fields: [["stamp", U64]] },
  unknown: { kind: 0x07, fields: [["kind", U8]] },
  poll: {
    kind: 0x08,
    fields: [
      ["wait", U32],
      ["limit", U32],
    ],
  },
  stream: { kind: 0x09, fields: [["number", U32]] },
  unstream: {
    kind: 0x0a,
    fields: [
      ["number", U32],
      ["lost", U8],
    ],
  },
  relay: { kind: 0x0b, fields: [] },
  connect: {
    kind: 0x10,
    fields: [
      ["family", U8],
      ["port", U16],
      ["timeout", U32],
      ["host", TEXT],
    ],
  },
  connected: {
    kind: 0x11,
    fields: [
      ["local", ADDRESS],
      ["peer", ADDRESS],
    ],
  },
  data: { kind: 0x12, fields: [["data", REST]] },
  window: { kind: 0x13, fields: [["credit", U32]] },
  shutdown: { kind: 0x14, fields: [] },
  close: { kind: 0x15, fields: [] },
  reset: { kind: 0x16, fields: REASON },
  open: {
    kind: 0x17,
    fields: [
      ["datagram", U8],
      ["family", U8],
    ],
  },
  accepted: {
    kind: 0x18,
    fields: [
      ["listener", U32],
      ["local", ADDRESS],
      ["peer", ADDRESS],
    ],
  },
  datagram: {
    kind: 0x19,
    fields: [
      ["address", ADDRESS],
      ["data", REST],
    ],
  },
  dropped: { kind: 0x1a, fields: [["count", U32]] },
  fault: { kind: 0x1b, fields: REASON },
  resolve: {
    kind: 0x20,
    fields: [
      ["family", U8],
      ["host", TEXT],
      ["service", TEXT],
    ],
  },
  resolved: {
    kind: 0x21,
    fields: [
      ["port", U16],
      ["canonical", TEXT],
      ["addresses", list(ADDRESS)],
    ],
  },
  reverse: {
    kind: 0x22,
    fields: [
      ["address", ADDRESS],
      ["datagram", U8],
    ],
  },
  reversed: {
    kind: 0x23,
    fields: [
      ["host", TEXT],
      ["service", TEXT],
    ],
  },
  failed: { kind: 0x24, fields: REASON },
  bind: {
    kind: 0x25,
    fields: [
      ["target", U32],
      ["port", U16],
      ["host", TEXT],
    ],
  },
  bound: { kind: 0x26, fields: [["local", ADDRESS]] },
  listen: {
    kind: 0x27,
    fields: [
      ["target", U32],
      ["backlog", U32],
    ],
  },
  associate: {
    kind: 0x28,
    fields: [
      ["target", U32],
      ["port", U16],
      ["host", TEXT],
    ],
  },
  associated: {
    kind: 0x29,
    fields: [
      ["local", ADDRESS],
      ["peer", ADDRESS],
    ],
  },
  option: {
    kind: 0x2a,
    fields: [
      ["target", U32],
      ["name", TEXT],
      ["values", list(TEXT)],
    ],
  },
  done: { kind: 0x2b, fields: [] },
  starttls: {
    kind: 0x2c,
    fields: [
      ["target", U32],
      ["timeout", U32],
      ["minimum", U16],
      ["maximum", U16],
      ["verify", U8],
      ["match", U8],
      ["common", U8],
      ["roots", U8],
      ["later", U8],
      ["flags", U32],
      ["options", U64],
      ["hostname", TEXT],
      ["ciphers", TEXT],
      ["protocols", list(TEXT)],
      ["authorities", list(TEXT)],
      ["identity", list(TEXT)],
    ],
  },
  secured: {
    kind: 0x2d,
    fields: [
      ["bits", U16],
      ["version", TEXT],
      ["cipher", TEXT],
      ["protocol", TEXT],
      ["alpn", TEXT],
      ["details", list(TEXT)],
      ["data", REST],
    ],
  },
  unsecured: {
    kind: 0x2e,
    fields: [
      ["verify", U32],
      ["library", TEXT],
      ["reason", TEXT],
      ["message", TEXT],
    ],
  },
  request: {
    kind: 0x30,
    fields: [
      ["size", U64],
      ["timeout", U32],
      ["method", TEXT],
      ["url", TEXT],
      ["headers", list(TEXT)],
    ],
  },
  response: {
    kind: 0x31,
    fields: [
      ["status", U16],
      ["reason", TEXT],
      ["headers", list(TEXT)],
    ],
  },
  offer: { kind: 0x32, fields: PEER },
  answer: { kind: 0x33, fields: [...PEER, ["addresses", list(ADDRESS)]] },
  route: { kind: 0x34, fields: [["channel", U8]] },
};
