/**
 * Addresses that stand for names. Pure.
 *
 * The C library's getaddrinfo must answer with an address before anything can be asked of the network. It
 * gets one that no host can have (240.0.0.0/4 is reserved, RFC 1112 §4), and `connect` turns it back into the
 * name, which the proxy then resolves. Emscripten's own table hands the 257th name the address of the first.
 * @module
 */

const FIRST = 0xf0000001;

/** Names remembered at the most; those that come later get an address that leads nowhere. */
const NAMES_MAX = 1 << 16;

/** The limited broadcast address: no TCP connection to it can be made. */
const NOWHERE = "255.255.255.255";

export class NameTable {
  /** @type {Map<string, string>} */
  #addresses = new Map();
  /** @type {string[]} */
  #names = [];

  /** The address that stands for `name`; a numeric one stands for itself. @param {string} name */
  addressOf(name) {
    if (isNumeric(name)) return name;
    let address = this.#addresses.get(name);
    if (address === undefined) {
      if (this.#names.length >= NAMES_MAX) return NOWHERE;
      address = dotted(FIRST + this.#names.length);
      this.#names.push(name);
      this.#addresses.set(name, address);
    }
    return address;
  }

  /** The name that `address` stands for, or null. @param {string} address plain or mapped into IPv6 */
  nameOf(address) {
    const bits = parseIPv4(address) ?? mappedIPv4(address);
    return bits === null ? null : (this.#names[bits - FIRST] ?? null);
  }
}

/** Whether this is an IPv4 or IPv6 address in its usual form. @param {string} host */
export function isNumeric(host) {
  return parseIPv4(host) !== null || groupsOfIPv6(host) !== null;
}

/**
 * The 32 bits of a dotted address, or null. A leading zero makes it none: it would mean octal to some.
 * @param {string} host
 */
export function parseIPv4(host) {
  const match = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/.exec(host);
  if (!match) return null;
  let bits = 0;
  for (const octet of match.slice(1)) {
    if (Number(octet) > 255) return null;
    bits = bits * 256 + Number(octet);
  }
  return bits;
}

/** The 32 bits of an IPv4 address mapped into IPv6 (::ffff:0:0/96), or null. @param {string} host */
export function mappedIPv4(host) {
  const groups = groupsOfIPv6(host);
  if (!groups || groups.slice(0, 5).some(Boolean) || groups[5] !== 0xffff) return null;
  return groups[6] * 0x10000 + groups[7];
}

/** @param {number} bits */
function dotted(bits) {
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
}

/**
 * The eight groups of an IPv6 address (RFC 4291 §2.2; a zone id is not part of it), or null.
 * @param {string} host
 * @returns {number[] | null}
 */
export function groupsOfIPv6(host) {
  const halves = host.split("::");
  if (halves.length > 2 || !host.includes(":")) return null;
  const [head, tail] = halves.map((half, index) => groupsOf(half, index === halves.length - 1));
  if (!head || (halves.length === 2 && !tail)) return null;
  if (!tail) return head.length === 8 ? head : null;
  const gap = 8 - head.length - tail.length;
  return gap < 1 ? null : [...head, ...Array(gap).fill(0), ...tail];
}

/**
 * @param {string} half groups between colons
 * @param {boolean} last whether the address ends with it: then its end may be dotted
 * @returns {number[] | null}
 */
function groupsOf(half, last) {
  if (half === "") return [];
  /** @type {number[]} */
  const groups = [];
  const parts = half.split(":");
  for (const [index, part] of parts.entries()) {
    const bits = last && index === parts.length - 1 ? parseIPv4(part) : null;
    if (bits !== null) groups.push(bits >>> 16, bits & 0xffff);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(parseInt(part, 16));
    else return null;
  }
  return groups;
}
