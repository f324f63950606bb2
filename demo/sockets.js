/**
 * The table of sockets.
 * @module
 */

import { drawSparkline } from "./chart.js";
import { bytes, rate } from "./format.js";

/** Rows shown at once; a thousand of them would tell nobody more. */
const ROWS_MAX = 100;

/** What the states are called in the table, where their own names are not plain. @type {Record<string, string>} */
const STATE_NAMES = { closeWait: "peer finished", finWait: "we finished" };

/** @typedef {import("./traffic.js").SocketTraffic} SocketTraffic */

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
    // A connection that is being made has no peer yet; one that failed has none any more.
    peer.textContent = status.peer ? hostAndPort(status.peer) : "–";
    peer.title = status.local ? `from ${hostAndPort(status.local)}` : "";
    state.textContent = closed ? "closed" : (STATE_NAMES[status.state] ?? status.state);
    received.textContent = bytes(meter.received);
    sent.textContent = bytes(meter.sent);
    this.#rate.textContent = rate(meter.rates.received + meter.rates.sent);
    drawSparkline(this.#sparkline, meter.history, now);
  }
}

/** @param {[string, number]} address */
function hostAndPort([host, port]) {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
