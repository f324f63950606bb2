/**
 * Who is at which address of the page: ports of its loopback addresses, and paths. Pure.
 * @module
 */

import { IPV4, IPV6, UNIX } from "./endpoint.js";
import { SocketError } from "./errors.js";
import { groupsOfIPv6, mappedIPv4, parseIPv4 } from "./names.js";

/** Linux's net.ipv4.ip_local_port_range. */
const EPHEMERAL_FIRST = 32_768;
const EPHEMERAL_LAST = 60_999;

/** @type {Record<number, string>} */
const ANY = { [IPV4]: "0.0.0.0", [IPV6]: "::", [UNIX]: "" };
/** @type {Record<number, string>} */
const LOOPBACK = { [IPV4]: "127.0.0.1", [IPV6]: "::1" };

const MAPPED = "::ffff:";

/**
 * @typedef {import("./wire.js").Address} Address
 * @typedef {import("./endpoint.js").AnySocket} AnySocket
 *
 * @typedef {object} Paths files that stand for sockets; each function throws a SocketError
 * @property {(path: string) => string} create makes one, and gives a key that names no other; EADDRINUSE, ENOENT
 * @property {(path: string) => string} find the key of the one there; ENOENT, ECONNREFUSED
 *
 * @typedef {object} Place an address that a socket has taken
 * @property {number} id the socket's
 * @property {boolean} datagram
 * @property {Address} address
 * @property {boolean} shared SO_REUSEADDR or SO_REUSEPORT was set
 * @property {boolean} only IPV6_V6ONLY was set
 * @property {string} key
 * @property {boolean} listening
 * @property {number} credit connections that the listener will take in
 * @property {{id: number, peer: Address}[]} waiting sockets that want to connect
 */

export class Places {
  /** By key, oldest first. @type {Map<string, Place[]>} */
  #places = new Map();
  /** By socket. @type {Map<number, Place>} */
  #taken = new Map();
  #nextPort = EPHEMERAL_FIRST;
  #nextName = 1;
  #paths;

  /** @param {Paths} paths */
  constructor(paths) {
    this.#paths = paths;
  }

  /** What a socket has taken. @param {number} id */
  of(id) {
    return this.#taken.get(id);
  }

  /**
   * Give a socket an address.
   * @param {AnySocket} socket @param {string} host empty for every address @param {number} port 0 for a free one
   * @throws {SocketError} EADDRINUSE, EADDRNOTAVAIL; for paths also ENOENT
   */
  take(socket, host, port) {
    const { id, family, datagram } = socket;
    const address = family === UNIX ? this.#path(host) : this.#local(family, host);
    const place = {
      id,
      datagram,
      address: { ...address, port },
      shared: socket.optionNumber("SO_REUSEADDR", 0) > 0 || socket.optionNumber("SO_REUSEPORT", 0) > 0,
      only: socket.optionNumber("IPV6_V6ONLY", 0) > 0,
      key: "",
      listening: false,
      credit: 0,
      waiting: [],
    };
    if (family === UNIX) {
      place.key = host.startsWith("\0") || !host ? keyOf(datagram, address.host) : keyOf(datagram, this.#paths.create(host));
      if (this.#places.has(place.key)) throw new SocketError("EADDRINUSE");
    } else {
      if (!port) place.address.port = this.#freePort(place);
      place.key = keyOf(datagram, place.address.port);
      if (this.#places.get(place.key)?.some((other) => conflict(place, other))) throw new SocketError("EADDRINUSE");
    }
    this.#places.set(place.key, [...(this.#places.get(place.key) ?? []), place]);
    this.#taken.set(id, place);
    return place;
  }

  /** A socket is gone. @param {number} id */
  leave(id) {
    const place = this.#taken.get(id);
    if (!place) return;
    this.#taken.delete(id);
    const left = (this.#places.get(place.key) ?? []).filter((other) => other !== place);
    if (left.length) this.#places.set(place.key, left);
    else this.#places.delete(place.key);
  }

  /**
   * The address that is meant by one that a program gives.
   * @param {number} family @param {string} host @param {number} port
   * @param {Address} [address] the same, if it is one already
   * @returns {Address}
   * @throws {SocketError} ENETUNREACH, EAI_NONAME for what is not in this page; for paths ENOENT, ECONNREFUSED
   */
  destination(family, host, port, address) {
    if (family === UNIX) return address ?? { family, host, port: 0 };
    const known = host === "" || host === ANY[family] || host === "localhost" ? LOOPBACK[family] : host;
    const numeric = canonical(family, known);
    if (numeric === null) {
      throw new SocketError("EAI_NONAME", `there is no ${host} within the page: install a proxy to reach others`);
    }
    if (!isLoopback(numeric)) {
      throw new SocketError("ENETUNREACH", `${host} is not within the page: install a proxy to reach others`);
    }
    return { family, host: numeric, port };
  }

  /** Who is at an address: the most specific. @param {boolean} datagram @param {Address} address */
  find(datagram, { family, host, port }) {
    if (family === UNIX) {
      const key = host.startsWith("\0") ? host : this.#paths.find(host);
      return this.#places.get(keyOf(datagram, key))?.[0];
    }
    const here = this.#places.get(keyOf(datagram, port)) ?? [];
    const inner = host.startsWith(MAPPED) ? host.slice(MAPPED.length) : host;
    /** @type {(wanted: (place: Place) => boolean) => Place | undefined} */
    const best = (wanted) => here.filter(wanted).sort((a, b) => Number(b.listening) - Number(a.listening))[0];
    return (
      best((place) => place.address.host === inner) ??
      best((place) => place.address.host === ANY[inner.includes(":") ? IPV6 : IPV4]) ??
      best((place) => place.address.host === ANY[IPV6] && !place.only)
    );
  }

  /** Another that listens where this one wants to. @param {Place} place */
  listenerAt(place) {
    return (this.#places.get(place.key) ?? []).find(
      (other) => other !== place && other.listening && overlap(place, other),
    );
  }

  /** An address for a socket that only passes by: it is not taken. @param {number} family @returns {Address} */
  passing(family) {
    if (family === UNIX) return { family, host: "", port: 0 };
    return { family, host: LOOPBACK[family], port: this.#port() };
  }

  /** What `own` is towards `peer`: no wildcard any more. @param {Address} own @param {Address} peer @returns {Address} */
  facing(own, peer) {
    return own.host === ANY[own.family] && own.family !== UNIX ? { ...own, host: peer.host } : own;
  }

  /** An address as a socket of its own family sees it (RFC 4291 §2.5.5.2). @param {AnySocket} socket @param {Address} address */
  seenBy({ family }, address) {
    if (family !== IPV6 || address.family !== IPV4) return address;
    return { family, host: MAPPED + address.host, port: address.port };
  }

  /** @param {Address} address */
  nameOf({ host }) {
    return isLoopback(host) ? "localhost" : "";
  }

  /** @param {string} path @returns {Address} */
  #path(path) {
    // An empty one stands for a name of the system's choice (unix(7), "autobind").
    const host = path || `\0${(this.#nextName++).toString(16).padStart(5, "0")}`;
    return { family: UNIX, host, port: 0 };
  }

  /** @param {number} family @param {string} host @returns {Address} */
  #local(family, host) {
    if (host === "" || host === ANY[family]) return { family, host: ANY[family], port: 0 };
    const numeric = host === "localhost" ? LOOPBACK[family] : canonical(family, host);
    if (numeric === null) throw new SocketError("EAI_NONAME");
    if (!isLoopback(numeric)) throw new SocketError("EADDRNOTAVAIL");
    return { family, host: numeric, port: 0 };
  }

  /** @param {Place} place */
  #freePort({ datagram }) {
    for (let tries = EPHEMERAL_LAST - EPHEMERAL_FIRST; tries >= 0; tries--) {
      const port = this.#port();
      if (!this.#places.has(keyOf(datagram, port))) return port;
    }
    throw new SocketError("EADDRINUSE");
  }

  #port() {
    const port = this.#nextPort;
    this.#nextPort = port === EPHEMERAL_LAST ? EPHEMERAL_FIRST : port + 1;
    return port;
  }
}

/** @param {boolean} datagram @param {string | number} name */
function keyOf(datagram, name) {
  return `${datagram ? "datagram" : "stream"} ${name}`;
}

/** Whether both cannot be there at once. @param {Place} place @param {Place} other */
function conflict(place, other) {
  if (!overlap(place, other)) return false;
  return !place.shared || !other.shared || (other.listening && !other.datagram);
}

/** @param {Place} one @param {Place} other */
function overlap(one, other) {
  const [a, b] = [one.address, other.address];
  if (a.family === b.family) return a.host === b.host || [a.host, b.host].includes(ANY[a.family]);
  const [wide, own] = a.family === IPV6 ? [one, other] : [other, one];
  return wide.address.host === ANY[IPV6] && !wide.only && own.address.family === IPV4;
}

/** The usual form of a numeric address, or null. @param {number} family @param {string} host */
function canonical(family, host) {
  if (family === IPV4) return parseIPv4(host) === null ? null : host;
  const groups = groupsOfIPv6(host);
  if (!groups) return null;
  const inner = mappedIPv4(host);
  if (inner !== null) return MAPPED + [24, 16, 8, 0].map((shift) => (inner >>> shift) & 255).join(".");
  return groups.slice(0, 7).some(Boolean) || groups[7] > 1 ? host : `::${groups[7] || ""}`;
}

/** @param {string} host in its usual form */
function isLoopback(host) {
  const inner = host.startsWith(MAPPED) ? host.slice(MAPPED.length) : host;
  const bits = parseIPv4(inner);
  return bits === null ? inner === "::1" : Math.floor(bits / 2 ** 24) === 127;
}
