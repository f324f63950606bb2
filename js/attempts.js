/**
 * Which carrier to try next, and after what pause. Pure.
 * @module
 */

/** Pauses between attempts (ms): doubled each time, and a random part of it waited (AWS "full jitter"). */
const BACKOFF_FIRST = 100;
const BACKOFF_MAX = 5_000;

/** Pauses (ms) before WebSockets are tried again where they did not work, doubled each time. */
const RETURN_FIRST = 10_000;
const RETURN_MAX = 300_000;

/** Least and most (ms) before a proxy without room is asked again: a balancer may need a second to see it stop. */
const KNOCK_MIN = 250;
const KNOCK_MAX = 750;

/** So often in a row a kind of carrier that has worked may fail before the other is tried. */
const PATIENCE = 3;

/** @typedef {"WebSocket" | "HTTP"} Kind */

export class Attempts {
  /** What to try next. @type {Kind} */
  kind = "WebSocket";
  /** @type {Set<Kind>} */
  #worked = new Set();
  #failures = 0;
  #pauses = 0;
  #returns = 0;

  /** Whether carriers of the kind that is next have worked before. */
  get proven() {
    return this.#worked.has(this.kind);
  }

  /** A carrier was welcomed. @param {Kind} kind */
  succeeded(kind) {
    this.#worked.add(kind);
    this.kind = kind;
    this.#failures = 0;
    if (kind === "WebSocket") this.#returns = 0;
  }

  /** An attempt has failed. */
  failed() {
    this.#failures++;
    if (this.proven && this.#failures < PATIENCE) return;
    this.kind = this.kind === "HTTP" ? "WebSocket" : "HTTP";
    this.#failures = 0;
  }

  /** The carrier was a good one: the pauses begin anew. */
  rest() {
    this.#pauses = 0;
  }

  /** How long (ms) to wait before the next attempt. */
  pause() {
    return Math.random() * Math.min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** this.#pauses++);
  }

  /** How long (ms) to wait where a proxy has no room. */
  knockPause() {
    return KNOCK_MIN + Math.random() * (KNOCK_MAX - KNOCK_MIN);
  }

  /** How long (ms) to be content with HTTP before WebSockets are tried again. */
  returnPause() {
    return (0.5 + Math.random() / 2) * Math.min(RETURN_MAX, RETURN_FIRST * 2 ** this.#returns++);
  }
}
