/**
 * Waiting where the interpreter cannot be suspended: by synchronous exchanges with the proxy, one after the other.
 * Nothing else happens on this thread meanwhile.
 * @module
 */

import { WAIT_MAX } from "./carriers/http.js";

/** How long (ms) an exchange may last where Python looks for signals. */
const SIGNAL_EVERY = 200;

/** Pauses (ms) between exchanges that fail, doubled each time. */
const PAUSE_FIRST = 50;
const PAUSE_MAX = 1_000;

const now = () => performance.now();

export class Blocking {
  /**
   * @param {import("./sockfs/filesystem.js").AnyUplink | null} uplink
   * @param {() => boolean | null} interrupted whether a signal is there; null where none can come
   */
  constructor(uplink, interrupted) {
    this.uplink = uplink;
    this.interrupted = interrupted;
  }

  /**
   * Wait until `ready()`.
   * @param {() => boolean} ready
   * @param {number} timeout ms
   * @returns {"ready" | "timeout" | "interrupted"}
   */
  until(ready, timeout) {
    const end = now() + timeout;
    let pause = PAUSE_FIRST;
    for (;;) {
      if (ready()) return "ready";
      const interrupted = this.interrupted();
      if (interrupted) return "interrupted";
      const left = end - now();
      if (left <= 0) return "timeout";
      const longest = Math.min(left, interrupted === null ? WAIT_MAX : SIGNAL_EVERY);
      if (this.uplink?.exchange(longest)) {
        pause = PAUSE_FIRST;
      } else if (!ready()) {
        stand(Math.min(left, pause));
        pause = Math.min(2 * pause, PAUSE_MAX);
      }
    }
  }

  /** Hear what has come until now. */
  look() {
    this.uplink?.exchange(0);
  }
}

/** There is no way to sleep on a page's own thread. @param {number} milliseconds */
function stand(milliseconds) {
  const end = now() + milliseconds;
  while (now() < end);
}
