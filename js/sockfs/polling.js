/**
 * poll() over our sockets, in memory as the C library lays it out. Part of the seam to Pyodide.
 * @module
 */

import { ERROR, HANGUP, READABLE, WRITABLE } from "../endpoint.js";
import { afterTurn } from "../turn.js";

/** struct pollfd: fd, events, revents. */
const POLLFD_SIZE = 8;
const POLLNVAL = 32;
/** What readable and writable are also called (musl's poll.h). */
const POLLRDNORM = 64;
const POLLWRNORM = 256;

/**
 * So long (ms) a program may find sockets ready, or ask without waiting, before the page has a turn: what comes
 * meanwhile from the network is heard of only then.
 */
const TURN = 10;

/** A timer cannot be set for longer (ms). */
const TIMER_MAX = 2 ** 31 - 1;

/**
 * @typedef {import("./filesystem.js").SocketFileSystem} SocketFileSystem
 * @typedef {import("./opensocket.js").OpenSocket} OpenSocket
 * @typedef {{sock: OpenSocket | null, events: number}} Polled a pollfd; without a socket, one that is not open
 */

export class Polling {
  /** With what the plain poll that follows at once must fail: it would wait where it cannot, or a signal has come. */
  #failure = "";
  /** When the page last had a turn, as far as is known here. */
  #lastTurn = performance.now();

  /** @param {SocketFileSystem} system */
  constructor(system) {
    this.system = system;
  }

  /** What one socket is ready for, when the plain poll asks. @param {OpenSocket} sock */
  plain(sock) {
    if (this.#failure) {
      const code = this.#failure;
      this.#failure = "";
      throw this.system.failure(code);
    }
    return eventsOf(sock);
  }

  /**
   * Wait until one of many sockets is ready. Null: the plain poll, which never waits, has the answer.
   * @param {number} fds
   * @param {number} count
   * @param {number} timeout ms; negative: none
   * @returns {Promise<number> | null}
   */
  poll(fds, count, timeout) {
    const { system } = this;
    try {
      const wanted = this.#pollfds(fds, count);
      const ready = wanted.some(({ sock, events }) => !sock || readyFor(sock, events));
      // Who does not wait gets what there is now: behind an EINTR there would be no second look.
      const due = !(ready && timeout === 0) && performance.now() - this.#lastTurn > TURN;
      if (due && !system.undisturbed && (ready || timeout === 0)) {
        if (system.suspends) return system.parking.park(this.#turn());
        this.#lastTurn = performance.now();
        system.look();
        return null;
      }
      if (timeout === 0 || ready) return null;
      return this.#wait(wanted, timeout);
    } catch {
      return null;
    }
  }

  /**
   * Wait by whichever way is open here.
   * @param {Polled[]} wanted
   * @param {number} timeout
   * @returns {Promise<number> | null}
   */
  #wait(wanted, timeout) {
    const { suspends } = this.system;
    for (const { sock } of wanted) sock?.follow(suspends);
    if (suspends) return this.system.parking.park(this.#anyReady(wanted, timeout));
    if (wanted.length || timeout > 0) this.#block(wanted, timeout);
    return null;
  }

  /** Let the page have a turn; then poll is to look again. @returns {Promise<number>} */
  #turn() {
    return new Promise((resolve) => {
      afterTurn(() => {
        this.#lastTurn = performance.now();
        resolve(-this.system.errno.EINTR);
      });
    });
  }

  /** Wait here; the plain poll that follows has the answer. @param {Polled[]} wanted @param {number} timeout */
  #block(wanted, timeout) {
    const outcome = this.system.block(
      () => wanted.some(({ sock, events }) => sock && readyFor(sock, events)),
      timeout < 0 ? Infinity : timeout,
      wanted.some(({ sock }) => sock?.networked),
    );
    this.#lastTurn = performance.now();
    if (!wanted.length) return; // then nobody asks
    if (outcome === "stuck") this.#failure = "EDEADLK";
    if (outcome === "interrupted") this.#failure = "EINTR";
  }

  /** @param {number} fds @param {number} count */
  #pollfds(fds, count) {
    const { HEAP32, HEAP16 } = this.system.module;
    return Array.from({ length: count }, (_, index) => {
      const at = fds + POLLFD_SIZE * index;
      const sock = this.system.find(HEAP32[at >> 2]);
      // Emscripten's poll tells POLLNVAL of what is not open only to those who ask for it.
      if (!sock) HEAP16[(at + 4) >> 1] |= POLLNVAL;
      return { sock, events: HEAP16[(at + 4) >> 1] };
    });
  }

  /**
   * @param {Polled[]} wanted
   * @param {number} timeout
   * @returns {Promise<number>} 0 when the time is over; EINTR when poll should look again
   */
  #anyReady(wanted, timeout) {
    return new Promise((resolve) => {
      /** @type {(() => void)[]} */
      const forget = [];
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      const finish = (/** @type {number} */ result) => {
        clearTimeout(timer);
        for (const each of forget) each();
        this.#lastTurn = performance.now();
        resolve(result);
      };
      const again = () => finish(-this.system.errno.EINTR);
      if (timeout > 0) timer = setTimeout(() => finish(0), Math.min(timeout, TIMER_MAX));
      forget.push(this.system.whenInterrupted(again));
      for (const { sock, events } of wanted) {
        if (sock) forget.push(sock.socket.watch(watched(events), again));
      }
    });
  }
}

/** Readiness in poll's terms. @param {OpenSocket} sock */
function eventsOf({ socket, starting }) {
  const ready = starting ? 0 : socket.readiness; // an event loop waits for connections already
  return ready | (ready & READABLE ? POLLRDNORM : 0) | (ready & WRITABLE ? POLLWRNORM : 0);
}

/** What poll answers who asks for these events. @param {OpenSocket} sock @param {number} events */
export function readyFor(sock, events) {
  return eventsOf(sock) & (events | ERROR | HANGUP);
}

/** The readiness that these poll events stand for. @param {number} events */
export function watched(events) {
  let mask = events;
  if (events & POLLRDNORM) mask |= READABLE;
  if (events & POLLWRNORM) mask |= WRITABLE;
  return mask;
}
