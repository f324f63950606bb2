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

/** Ahead of the key of a file, which may be the number of a port. */
const FILE = "file ";

/** What IPv4 addresses begin with as IPv6 writes them (RFC 4291 §2.5.5.2). */
const MAPPED = "::ffff:";

/**
 * @typedef {import("./wire.js").Address} Address
 * @typedef {import("./endpoint.js").AnySocket} AnySocket
 *
 * @typedef {object} Paths files that stand for sockets; each function throws a SocketError
 * @property {(path: string) => string} create makes one, and gives a key that names no other; EADDRINUSE, ENOENT
 * @property {(path: string) => void} remove takes one away
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
 * @property {number} backlog connections that may wait to be accepted
 * @property {number} credit connections that the listener will take in now; negative after its backlog was made smaller
 * @property {{id: number, local: Address, peer: Address}[]} waiting sockets that want to connect
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
   * @throws {SocketError} EADDRINUSE, EADDRNOTAVAIL, EINVAL if it has one; for paths also ENOENT
   */
  take(socket, host, port) {
    const { id, family, datagram } = socket;
    const has = this.#taken.has(id) || Boolean(socket.local?.host);
    const address = family === UNIX ? this.#path(host) : this.own(family, host);
    const place = {
      id,
      datagram,
      address: { ...address, port },
      shared: mayShare(socket),
      only: socket.optionNumber("IPV6_V6ONLY", 0) > 0,
      key: "",
      listening: false,
      backlog: 0,
      credit: 0,
      waiting: [],
    };
    if (family === UNIX) {
      place.key = keyOf(datagram, isAbstract(address.host) ? address.host : FILE + this.#paths.create(host));
      if (has && !isAbstract(address.host)) this.#paths.remove(host); // Linux, too, makes it before it looks
    } else {
      if (!port) place.address.port = this.#freePort(place);
      place.key = keyOf(datagram, place.address.port);
    }
    if (has) throw new SocketError("EINVAL");
    if (this.#places.get(place.key)?.some((other) => conflict(place, other))) throw new SocketError("EADDRINUSE");
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
   * @throws {SocketError} ENETUNREACH, EAI_NONAME for what is not in this page; EINVAL for an empty path
   */
  destination(family, host, port, address) {
    if (family === UNIX) {
      if (!host) throw new SocketError("EINVAL");
      return address ?? { family, host, port: 0 };
    }
    const known = host === "localhost" ? LOOPBACK[family] : canonical(family, host || ANY[family]);
    if (known === null) {
      throw new SocketError("EAI_NONAME", `there is no ${host} within the page: install a proxy to reach others`);
    }
    const numeric = known === ANY[family] ? LOOPBACK[family] : known;
    if (!isLoopback(numeric)) {
      throw new SocketError("ENETUNREACH", `${host} is not within the page: install a proxy to reach others`);
    }
    return { family, host: numeric, port };
  }

  /**
   * Who is at an address: the most specific, and the newest of those that share it.
   * @param {boolean} datagram @param {Address} address
   * @throws {SocketError} for paths ENOENT, ECONNREFUSED; EPROTOTYPE for one of the other kind
   */
  find(datagram, { family, host, port }) {
    if (family === UNIX) {
      const key = isAbstract(host) ? host : FILE + this.#paths.find(host);
      const place = this.#places.get(keyOf(datagram, key))?.[0];
      if (!place && this.#places.has(keyOf(!datagram, key))) throw new SocketError("EPROTOTYPE");
      return place;
    }
    const here = this.#places.get(keyOf(datagram, port)) ?? [];
    const wanted = plain(host);
    /** @type {(suits: (place: Place) => boolean) => Place | undefined} */
    const best = (suits) => here.findLast((place) => place.listening && suits(place)) ?? here.findLast(suits);
    return (
      best((place) => plain(place.address.host) === wanted) ??
      best((place) => place.address.host === ANY[wanted.includes(":") ? IPV6 : IPV4]) ??
      best((place) => place.address.host === ANY[IPV6] && !place.only)
    );
  }

  /** Whoever hears what is sent to everybody. @param {number} port */
  everyoneAt(port) {
    return (this.#places.get(keyOf(true, port)) ?? []).filter(({ address }) => address.host === ANY[address.family]);
  }

  /** Another that listens where this one wants to. @param {Place} place */
  listenerAt(place) {
    return (this.#places.get(place.key) ?? []).find(
      (other) => other !== place && other.listening && overlap(place, other),
    );
  }

  /**
   * What a socket's own address is towards `peer`: no wildcard any more. One that has taken none only passes by.
   * @param {AnySocket} socket @param {Address} peer @returns {Address}
   * @throws {SocketError} ENETUNREACH between IPv6 and IPv4
   */
  facing({ id, family }, peer) {
    const own = this.#taken.get(id)?.address ?? this.#passing(family);
    if (family === UNIX) return own;
    const mapped = peer.host.startsWith(MAPPED);
    if (own.host === ANY[family]) return { ...own, host: mapped ? MAPPED + LOOPBACK[IPV4] : LOOPBACK[family] };
    if (own.host.startsWith(MAPPED) !== mapped) throw new SocketError("ENETUNREACH");
    return own;
  }

  /** @param {number} family @returns {Address} */
  #passing(family) {
    return { family, host: ANY[family], port: family === UNIX ? 0 : this.#port() };
  }

  /** An address as a socket of its own family sees it (RFC 4291 §2.5.5.2). @param {AnySocket} socket @param {Address} address */
  seenBy({ family }, { family: own, host, port }) {
    if (family === IPV6 && own === IPV4) return { family, host: MAPPED + host, port };
    if (family === IPV4 && own === IPV6) return { family, host: plain(host), port };
    return { family: own, host, port };
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

  /**
   * An address that the page itself has, or stands for all of them.
   * @param {number} family @param {string} host @returns {Address}
   * @throws {SocketError} EADDRNOTAVAIL, EAI_NONAME
   */
  own(family, host) {
    const numeric = host === "localhost" ? LOOPBACK[family] : canonical(family, host || ANY[family]);
    if (numeric === null) throw new SocketError("EAI_NONAME");
    if (numeric !== ANY[family] && !isLoopback(numeric)) throw new SocketError("EADDRNOTAVAIL");
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

/** @param {boolean} datagram @param {string | number} name a port, an abstract name, or the key of a file */
function keyOf(datagram, name) {
  return `${datagram ? "datagram" : "stream"} ${name}`;
}

/** Whether a name of AF_UNIX stands for no file (unix(7)). @param {string} name */
function isAbstract(name) {
  return name.startsWith("\0");
}

/** Whether others may have its address too; of a path there is but one. @param {AnySocket} socket */
function mayShare(socket) {
  const asked = socket.optionNumber("SO_REUSEADDR", 0) > 0 || socket.optionNumber("SO_REUSEPORT", 0) > 0;
  return asked && socket.family !== UNIX;
}

/** Whether both cannot be there at once. @param {Place} place @param {Place} other */
function conflict(place, other) {
  if (!overlap(place, other)) return false;
  return !place.shared || !other.shared || (other.listening && !other.datagram);
}

/** @param {Place} one @param {Place} other */
function overlap(one, other) {
  const [a, b] = [plain(one.address.host), plain(other.address.host)];
  return a === b || covers(one, b) || covers(other, a);
}

/** Whether a socket that hears at every address hears at this one. @param {Place} place @param {string} host */
function covers({ address, only }, host) {
  const four = !host.includes(":");
  return address.host === ANY[four ? IPV4 : IPV6] || (address.host === ANY[IPV6] && !(only && four));
}

/** An IPv4 address as such, though IPv6 writes it. @param {string} host */
function plain(host) {
  return host.startsWith(MAPPED) ? host.slice(MAPPED.length) : host;
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
  const bits = parseIPv4(plain(host));
  return bits === null ? host === "::1" : Math.floor(bits / 2 ** 24) === 127;
}
