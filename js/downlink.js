/**
 * The stream beside a connection's WebSocket: opened while much comes in, where it is faster.
 * @module
 */

import { Bulk } from "./bulk.js";
import { openStream } from "./carriers/stream.js";
import { newLine } from "./line.js";
import { notMeanwhile } from "./turn.js";

/**
 * @typedef {import("./wire.js").Frame} Frame
 * @typedef {import("./line.js").Line} Line
 * @typedef {object} Surroundings
 * @property {() => string} address where requests go
 * @property {() => number} now
 * @property {(purpose: import("./session.js").Purpose) => Uint8Array} greeting what the request holds
 * @property {(frame: Frame) => void} tell the proxy, on the WebSocket
 * @property {(line: Line, piece: Uint8Array) => void} received
 */

export class Downlink {
  #bulk = new Bulk();
  /** The newest stream, until it is over. @type {Line | null} */
  #line = null;
  #number = 0;
  #close = () => {};

  /**
   * @param {boolean} wanted whether it may open streams by itself
   * @param {Surroundings} surroundings
   */
  constructor(wanted, { address, now, greeting, tell, received }) {
    this.#wanted = wanted;
    this.#address = address;
    this.#now = now;
    this.#greeting = greeting;
    this.#tell = tell;
    this.#received = received;
  }

  #wanted;
  #address;
  #now;
  #greeting;
  #tell;
  #received;

  /** A state of Bulk. */
  get state() {
    return this.#bulk.state;
  }

  /** Why there is no stream, if there is a reason beside that nothing moves. */
  get why() {
    return this.#wanted ? this.#bulk.why : 'install(bulk="off") asked for none';
  }

  /** When tick() has something to do. */
  get deadline() {
    return this.#bulk.deadline;
  }

  /** The WebSocket has brought so many bytes. @param {number} size */
  heard(size) {
    if (this.#wanted && this.#bulk.heard(size, this.#now())) this.open();
  }

  /** Have the proxy send by a stream. */
  open() {
    this.#bulk.open(this.#now());
    const line = newLine("stream");
    this.#line = line;
    const current = (/** @type {() => void} */ handle) => {
      notMeanwhile(() => line.over || handle());
    };
    const greeting = this.#greeting({ type: "stream", number: ++this.#number });
    const stream = openStream(this.#address(), greeting, {
      received: (piece) => current(() => this.#brought(line, piece)),
      closed: (error) => current(() => this.#closed(error)),
    });
    this.#close = stream.close;
  }

  /** @param {Line} line @param {Uint8Array} piece */
  #brought(line, piece) {
    this.#received(line, piece);
    if (!line.over && this.#bulk.brought(piece.length, this.#now())) this.close();
  }

  /** The proxy has welcomed it. */
  welcomed() {
    this.#bulk.opened(this.#now());
  }

  /** Have the proxy send on the WebSocket; what it has given to the stream still comes. */
  close() {
    this.#bulk.close(this.#now());
    this.#unstream(0);
  }

  /** The stream is over. @param {string} error empty if it ended as it should */
  #closed(error) {
    if (error || this.#bulk.state !== "closing") {
      this.giveUp(error || "it ended");
    } else {
      this.drop();
    }
  }

  /** Have the proxy send what has not come on the WebSocket, without regard to the stream. @param {string} why */
  giveUp(why) {
    this.#bulk.failed(why, this.#now());
    this.#end();
    this.#unstream(1);
  }

  /** There is nothing left to say about the stream, if there is one. */
  drop() {
    if (!this.#line) return;
    if (this.#bulk.state === "closing") this.#bulk.ended(this.#now());
    else this.#bulk.dropped();
    this.#end();
  }

  #end() {
    if (this.#line) this.#line.over = true;
    this.#line = null;
    this.#close();
  }

  tick() {
    const due = this.#bulk.tick(this.#now());
    if (due === "close") this.close();
    if (due === "give up") this.giveUp("nothing came of it in time");
  }

  /** @param {0 | 1} lost */
  #unstream(lost) {
    this.#tell({ type: "unstream", socket: 0, number: this.#number, lost });
  }
}
