import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { credentials, decode, encode } from "../../js/gateways/wisp-packets.js";
import { bytesOf, hexOf, vectors } from "./vectors.js";

const VECTORS = vectors("wisp");

/** A packet of a vector, whose bytes are hex. @param {any} packet */
function packetOf(packet) {
  const found = { stream: 0, ...packet };
  if ("data" in found) found.data = bytesOf(found.data);
  if ("extensions" in found) {
    found.extensions = found.extensions.map((/** @type {[number, string]} */ [id, body]) => [id, bytesOf(body)]);
  }
  return found;
}

/** The same as something that can be compared. @param {any} packet */
function plain(packet) {
  const found = { ...packet };
  if ("data" in found) found.data = hexOf(found.data);
  if ("extensions" in found) {
    found.extensions = found.extensions.map((/** @type {[number, Uint8Array]} */ [id, body]) => [id, hexOf(body)]);
  }
  return found;
}

/** The same bytes in the middle of others. @param {Uint8Array} bytes */
function embedded(bytes) {
  const whole = new Uint8Array(bytes.length + 7).fill(0xee);
  whole.set(bytes, 3);
  return whole.subarray(3, 3 + bytes.length);
}

suite("a packet", () => {
  for (const { name, hex, packet } of VECTORS.packets) {
    test(`is encoded as the vectors say: ${name}`, () => {
      assert.equal(hexOf(encode(packetOf(packet))), hexOf(bytesOf(hex)));
    });

    test(`is decoded as the vectors say: ${name}`, () => {
      for (const bytes of [bytesOf(hex), embedded(bytesOf(hex))]) {
        assert.deepEqual(plain(decode(bytes)), { stream: 0, ...packet });
      }
    });
  }

  for (const { name, hex, stream, kind } of VECTORS.unknown) {
    test(`that only others know is known as such: ${name}`, () => {
      const packet = decode(bytesOf(hex));
      assert.deepEqual(packet, { type: "Unknown", stream, kind });
      assert.throws(() => encode(packet), /unknown/);
    });
  }

  for (const { name, hex, error } of VECTORS.malformed) {
    test(`that is malformed is told: ${name}`, () => {
      assert.throws(() => decode(bytesOf(hex)), { name: "ProtocolError", message: new RegExp(error) });
      assert.throws(() => decode(embedded(bytesOf(hex))), { name: "ProtocolError" });
    });
  }
});

test("credentials are written as draft 6 has them", () => {
  const [{ hex, user, password }] = VECTORS.credentials;
  assert.equal(hexOf(credentials(user, password)), hexOf(bytesOf(hex)));
  assert.equal(hexOf(credentials("", "pw")), "007077");
});
