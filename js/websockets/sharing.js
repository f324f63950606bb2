/**
 * One connection that several threads of an origin use: the page that has it, and workers that know its name.
 *
 * Those who have attached ask by a BroadcastChannel, whose messages keep their order (HTML §9.5).
 * @module
 */

import { Inbox, OVERFLOW, WAITING_MAX } from "./inbox.js";

/**
 * @typedef {import("./inbox.js").Data} Data
 * @typedef {import("./inbox.js").Ending} Ending
 */

/** How long (ms) whoever has the connection may take to answer. */
const PATIENCE = 2_000;

/** @param {string} name */
const channelOf = (name) => new BroadcastChannel(`pynet-browser-websocket-${name}`);

/**
 * Let others use a connection.
 * @param {any} connection @param {string} name that is hard to guess
 */
export function share(connection, name) {
  const channel = channelOf(name);
  const state = () => {
    const { protocol, extensions, url, ending } = connection;
    return { protocol, extensions, url, ending };
  };
  channel.onmessage = ({ data: [what, ...details] }) => {
    if (what === "attach") channel.postMessage(["state", state()]);
    else if (what === "send") connection.send(details[0]);
    else if (what === "close" && !connection.ending) connection.close(...details);
  };
  connection.told = (/** @type {Data | undefined} */ data) => {
    channel.postMessage(data === undefined ? ["state", state()] : ["message", data]);
  };
}

/** Use what another thread shares. @param {string} name */
export function attach(name) {
  return new Attached(name);
}

/** A connection that another thread has. */
class Attached extends Inbox {
  unsent = 0;
  #channel;

  /** @param {string} name */
  constructor(name) {
    super();
    const channel = (this.#channel = channelOf(name));
    /** Settled when whoever has it has answered, or nobody has. @type {Promise<void>} */
    this.opened = new Promise((resolve) => {
      const late = setTimeout(() => {
        this.#leave({ code: 1006, reason: "", clean: false, error: "nobody shares a connection by this token" });
        resolve();
      }, PATIENCE);
      channel.onmessage = ({ data: [what, detail] }) => {
        if (what === "message") this.#take(detail);
        if (what !== "state") return;
        clearTimeout(late);
        ({ protocol: this.protocol, extensions: this.extensions, url: this.url } = detail);
        if (detail.ending) this.#leave(detail.ending);
        resolve();
      };
    });
    channel.postMessage(["attach"]);
  }

  /** @param {Data} data */
  #take(data) {
    this.push(data);
    if (this.size > WAITING_MAX) this.#leave({ ...OVERFLOW, clean: false, error: "" });
  }

  /** @param {Ending} ending */
  #leave(ending) {
    this.#channel.close();
    this.end(ending);
  }

  /** @param {Data} data @returns {undefined | false} false: it has ended */
  send(data) {
    if (this.ending) return false;
    this.#channel.postMessage(["send", data]);
    return undefined;
  }

  /** @param {number} [code] @param {string} [reason] */
  close(code, reason) {
    this.#channel.postMessage(["close", code, reason]);
  }
}
