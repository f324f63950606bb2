/**
 * When a stream is worth having beside a WebSocket, told by what comes in and by the clock. Pure.
 *
 * A stream takes one of the six connections that a browser makes to a host by HTTP/1.1, whatever page they are for: it
 * is there while it moves bulk, and only where it is faster. In Chromium it is, by a third; in Firefox the
 * WebSocket is (seen in 156 and 153).
 * @module
 */

/** So many bytes within so long (ms) are bulk: less than 20 MB/s any WebSocket brings as well. */
const SAMPLE = 1 << 20;
const SAMPLE_TIME = 50;

/** How long (ms) a stream may take to be welcomed, to be without bulk, and to end when it was asked to. */
const OPENING_TIME = 1_000;
const IDLE_TIME = 2_000;
const CLOSING_TIME = 2_000;

/**
 * A stream is judged when it has brought so many bytes: it must not be slower than this share of what the WebSocket
 * had brought. That was little, with windows that had just begun to grow: unless the stream is faster by this factor,
 * the WebSocket has to bring as many bytes, and the faster of both, on average, is used from then on.
 */
const TRIAL = 8 << 20;
const SHARE = 0.8;
const BEYOND_DOUBT = 2.5;

/** How long (ms) one that has worked rests after it broke, and one that has not; that is doubled each time. */
const PAUSE = 1_000;
const REST_FIRST = 60_000;
const REST_MAX = 16 * 60_000;

const SLOWER = "the WebSocket is faster";

/** @type {Record<string, {[event: string]: string}>} */
export const TRANSITIONS = {
  resting: { open: "opening" },
  opening: { opened: "streaming", failed: "resting" },
  streaming: { close: "closing", failed: "resting" },
  closing: { ended: "resting", failed: "resting" },
};

/** How fast bytes come while they come. */
class Meter {
  /** Bytes per ms, of the fastest sample. */
  best = 0;
  #since = -Infinity;
  #size = 0;
  #runSince = 0;
  #last = -Infinity;
  /** Bytes that have come without a pause. */
  run = 0;

  /** Bytes per ms since the last pause. */
  get average() {
    return this.run / Math.max(this.#last - this.#runSince, 1);
  }

  /** Count anew. */
  restart() {
    this.#since = this.#last = -Infinity;
  }

  /** So many bytes have come; tells whether they end a sample. @param {number} size @param {number} now */
  moved(size, now) {
    if (now - this.#last > SAMPLE_TIME) [this.#runSince, this.run] = [now, 0];
    else this.run += size;
    this.#last = now;
    if (now - this.#since > SAMPLE_TIME) {
      this.#since = now;
      this.#size = 0; // when these began to come is not known
      return false;
    }
    this.#size += size;
    if (this.#size < SAMPLE || now === this.#since) return false;
    this.best = Math.max(this.best, this.#size / (now - this.#since));
    this.#since = now;
    this.#size = 0;
    return true;
  }
}

export class Bulk {
  state = "resting";
  /** Why there is no stream although there could be one; empty if there was no need. */
  why = "";
  #webSocket = new Meter();
  #stream = new Meter();
  #brought = 0;
  /** What the WebSocket has to be compared with, in bytes per ms; NaN while nothing is to be compared. */
  #compared = NaN;
  /** Bytes per ms of the WebSocket, when compared. */
  #known = NaN;
  #until = Infinity;
  #restUntil = -Infinity;
  #rest = REST_FIRST;

  /** When tick() has something to say. */
  get deadline() {
    return this.#until;
  }

  /** The WebSocket has brought so many bytes; tells whether a stream should be opened. @param {number} size @param {number} now */
  heard(size, now) {
    const bulk = this.#webSocket.moved(size, now);
    if (this.state !== "resting" || now < this.#restUntil) return false;
    return Number.isNaN(this.#compared) ? bulk : this.#webSocket.run >= TRIAL && this.#isStreamFaster(now);
  }

  /** The WebSocket has brought enough. @param {number} now */
  #isStreamFaster(now) {
    const stream = this.#compared;
    this.#known = this.#webSocket.average;
    this.#compared = NaN;
    if (stream > this.#known) return true;
    this.why = SLOWER;
    this.#rest = REST_MAX; // it will not be different soon
    this.#restFrom(now);
    return false;
  }

  /** A stream is being opened. @param {number} now */
  open(now) {
    this.#turn("open", now + OPENING_TIME);
    this.#stream = new Meter();
    this.#brought = 0;
  }

  /** It was welcomed. @param {number} now */
  opened(now) {
    this.#turn("opened", now + IDLE_TIME);
    this.why = "";
  }

  /** It has brought so many bytes; tells whether it should be closed, since it is slow. @param {number} size @param {number} now */
  brought(size, now) {
    this.#brought += size;
    const bulk = this.#stream.moved(size, now);
    if (this.state !== "streaming") return false;
    if (bulk) this.#until = now + IDLE_TIME;
    if (this.#brought < TRIAL) return false;
    const doubtful = Number.isNaN(this.#known) && this.#stream.best < BEYOND_DOUBT * this.#webSocket.best;
    if (this.#isSlow) {
      this.why = SLOWER;
    } else if (doubtful) {
      this.#compared = this.#stream.average;
      this.#webSocket.restart();
    } else {
      this.#rest = REST_FIRST;
    }
    this.#brought = -Infinity; // it was judged
    return this.#isSlow || doubtful;
  }

  get #isSlow() {
    if (Number.isNaN(this.#known)) return this.#stream.best < SHARE * this.#webSocket.best;
    return this.#stream.average < this.#known;
  }

  /** It was asked to end. @param {number} now */
  close(now) {
    this.#turn("close", now + CLOSING_TIME);
  }

  /** It has ended as it should. @param {number} now */
  ended(now) {
    this.#turn("ended");
    if (this.why) this.#restFrom(now);
  }

  /** It could not be opened, or broke. @param {string} why @param {number} now */
  failed(why, now) {
    if (this.#brought > SAMPLE || this.#brought === -Infinity) {
      this.#restUntil = now + PAUSE;
    } else {
      this.why = why;
      this.#restFrom(now);
    }
    this.#turn("failed");
  }

  /** The WebSocket beside it is gone, and it went along. */
  dropped() {
    if (this.state !== "resting") this.#turn(this.state === "closing" ? "ended" : "failed");
  }

  /** What to do now: nothing, close the stream, or give it up. @param {number} now @returns {"" | "close" | "give up"} */
  tick(now) {
    if (now < this.#until) return "";
    return this.state === "streaming" ? "close" : "give up";
  }

  /** @param {number} now */
  #restFrom(now) {
    this.#restUntil = now + this.#rest;
    this.#rest = Math.min(2 * this.#rest, REST_MAX);
  }

  /** @param {string} event @param {number} [until] */
  #turn(event, until = Infinity) {
    const next = TRANSITIONS[this.state][event];
    if (!next) throw new Error(`"${event}" cannot happen to a stream that is ${this.state}`);
    this.state = next;
    this.#until = until;
  }
}
