/**
 * Many descriptors that an event loop watches: who became ready is known without asking all of them.
 * @module
 */

import { ERROR, HANGUP } from "./endpoint.js";
import { readyFor, watched } from "./sockfs/polling.js";

/**
 * @typedef {import("./sockfs/filesystem.js").SocketFileSystem} SocketFileSystem
 * @typedef {import("./sockfs/opensocket.js").OpenSocket} OpenSocket
 *
 * @typedef {object} Watched
 * @property {OpenSocket} sock
 * @property {number} events
 * @property {(() => void) | null} forget ends the watch that is set; null while it counts as ready
 */

export class Watchlist {
  /** By descriptor. @type {Map<number, Watched>} */
  #watched = new Map();
  /** Those that may be ready. @type {Set<number>} */
  #ready = new Set();
  #woken = false;

  /**
   * @param {SocketFileSystem} system
   * @param {() => void} wake called once, soon after something has become ready; then take() is to be called
   */
  constructor(system, wake) {
    this.system = system;
    this.#wake = wake;
  }

  #wake;

  /**
   * Watch a descriptor for these events of poll, instead of those before.
   * @param {number} fd @param {number} events
   * @returns {string} name of an errno if that is not possible, or empty
   */
  watch(fd, events) {
    this.forget(fd);
    const sock = this.system.find(fd);
    if (!sock) return this.system.module.FS.getStream(fd) ? "EPERM" : "EBADF"; // epoll_ctl(2)
    sock.follow(true);
    this.#watched.set(fd, { sock, events, forget: null });
    this.#arm(fd);
    return "";
  }

  /** @param {number} fd */
  forget(fd) {
    this.#watched.get(fd)?.forget?.();
    this.#watched.delete(fd);
    this.#ready.delete(fd);
  }

  /** Watch nothing any more. */
  clear() {
    for (const fd of [...this.#watched.keys()]) this.forget(fd);
  }

  /**
   * What is ready now: descriptors and their events. It counts as handled when rearm() is called, and what is
   * still ready then wakes again.
   * @returns {[number, number][]}
   */
  take() {
    this.#woken = false;
    this.system.undisturbed = true;
    /** @type {[number, number][]} */
    const taken = [];
    for (const fd of this.#ready) {
      const { sock, events } = /** @type {Watched} */ (this.#watched.get(fd));
      const ready = readyFor(sock, events);
      if (ready && this.system.find(fd) === sock) taken.push([fd, ready]);
    }
    return taken;
  }

  /** What was taken has been handled. */
  rearm() {
    this.system.undisturbed = false;
    const handled = [...this.#ready];
    this.#ready.clear();
    for (const fd of handled) this.#arm(fd);
  }

  /** @param {number} fd */
  #arm(fd) {
    const entry = /** @type {Watched} */ (this.#watched.get(fd));
    const { sock, events } = entry;
    if (this.system.find(fd) !== sock) {
      this.forget(fd); // closed, as epoll(7) has it
    } else if (readyFor(sock, events)) {
      entry.forget = null;
      this.#becomeReady(fd);
    } else {
      entry.forget = sock.socket.watch(watched(events) | ERROR | HANGUP, () => {
        entry.forget = null;
        this.#becomeReady(fd);
      });
    }
  }

  /** @param {number} fd */
  #becomeReady(fd) {
    this.#ready.add(fd);
    if (this.#woken) return;
    this.#woken = true;
    // Not here: this may be within a system call, during which Python has let go of its own lock.
    queueMicrotask(() => {
      if (this.#watched.size) this.#wake();
      else this.#woken = false; // the loop may be gone
    });
  }
}
