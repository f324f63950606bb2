/**
 * The table of sockets.
 * @module
 */

import { drawSparkline } from "./chart.js";
import { bytes, rate } from "./format.js";

/** Rows shown at once; a thousand of them would tell nobody more. */
const ROWS_MAX = 100;

/** What the states are called in the table, where their own names are not plain. @type {Record<string, string>} */
const STATE_NAMES = { closeWait: "peer finished", finWait: "we finished", open: "datagram" };

/** The family of sockets that stay in the page; their hosts are paths. */
const AF_UNIX = 1;

/**
 * @typedef {import("./traffic.js").SocketTraffic} SocketTraffic
 * @typedef {import("./traffic.js").SocketStatus} SocketStatus
 */

export class SocketTable {
  /** @type {Map<number, Row>} */
  #rows = new Map();

  /** @param {HTMLTableElement} table @param {HTMLElement} note what is said instead of, or below, rows */
  constructor(table, note) {
    this.table = table;
    this.body = table.tBodies[0];
    this.note = note;
  }

  /** @param {SocketTraffic[]} sockets oldest first @param {number} now */
  show(sockets, now) {
    const shown = sockets.slice(-ROWS_MAX);
    const ids = new Set(shown.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    for (const socket of shown) {
      let row = this.#rows.get(socket.id);
      if (!row) {
        row = new Row();
        this.#rows.set(socket.id, row);
        this.body.prepend(row.element); // the newest is on top
      }
      row.show(socket, now);
    }
    this.table.hidden = !shown.length;
    const more = sockets.length - shown.length;
    this.note.hidden = shown.length > 0 && !more;
    this.note.textContent = shown.length ? `and ${more} more` : "No sockets. Run a program that opens one.";
  }
}

class Row {
  element = document.createElement("tr");
  #cells = ["fd", "peer", "state", "received", "sent", "rate"].map((name) => {
    const cell = this.element.insertCell();
    cell.className = name;
    return cell;
  });
  #sparkline = document.createElement("canvas");
  #rate = document.createElement("span");

  constructor() {
    this.#sparkline.setAttribute("aria-hidden", "true");
    this.#cells[5].append(this.#sparkline, this.#rate);
  }

  /** @param {SocketTraffic} socket @param {number} now */
  show({ status, meter, closedAt }, now) {
    const [fd, peer, state, received, sent] = this.#cells;
    const closed = closedAt !== null;
    this.element.className = closed ? "closed" : status.state;
    fd.textContent = closed ? "" : String(status.fd ?? "");
    peer.textContent = whom(status);
    peer.title = status.peer && named(status.local) ? `from ${written(status.local)}` : peer.textContent;
    state.textContent = closed ? "closed" : (STATE_NAMES[status.state] ?? status.state);
    state.title = status.dropped ? `${status.dropped} datagrams were dropped` : "";
    state.classList.toggle("lossy", status.dropped > 0);
    received.textContent = bytes(meter.received);
    sent.textContent = bytes(meter.sent);
    this.#rate.textContent = rate(meter.rates.received + meter.rates.sent);
    drawSparkline(this.#sparkline, meter.history, now);
  }
}

/** Whom a socket talks to, or where it can be found. @param {SocketStatus} status */
function whom({ family, local, peer }) {
  if (named(peer)) return written(peer);
  // Of two that meet at a path only one has a name; of a pair none.
  if (named(local)) return `on ${written(local)}`;
  if (family === AF_UNIX && peer) return "its pair";
  return "–"; // a connection that is being made has no peer yet; one that failed has none any more
}

/**
 * @param {[string, number] | null} address
 * @returns {address is [string, number]}
 */
function named(address) {
  return Boolean(address?.[0]);
}

/**
 * Host and port, or a path: only that has no port. A name that is no file has @ for its NUL.
 * @param {[string, number]} address
 */
function written([host, port]) {
  if (!port) return host.replace("\0", "@");
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
