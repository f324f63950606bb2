/**
 * What a socket sees of its session, and what it said to it: for tests of one socket alone.
 * @module
 */

import assert from "node:assert/strict";

import { Socket } from "../../js/socket.js";
import { Budget } from "../../js/window.js";

/**
 * @typedef {import("../../js/wire.js").Frame} Frame
 * @typedef {import("../../js/endpoint.js").AnySocket} AnySocket
 */

export const PAGE = { family: 4, host: "10.0.0.7", port: 51234 };
export const HOST = { family: 4, host: "93.184.216.34", port: 80 };
export const TARGET = { host: "host.example", port: 80, timeout: 0 };

/** A session that sends nothing anywhere. */
export class Line {
  room = Infinity;
  peerWindow = 1000;
  budget = new Budget(1 << 20);
  clock = 0;
  newest = 0;
  acknowledged = 0;
  /** @type {import("../../js/path.js").Path | null} */
  path = null;
  /** Frames that were sent, oldest first. @type {Frame[]} */
  sent = [];
  /** Sockets by id. @type {Map<number, AnySocket>} */
  sockets = new Map();
  /** Those that wait for room. @type {Set<AnySocket>} */
  waiting = new Set();
  /** How each question is answered that was asked, oldest first. @type {((error: any, answer: any) => void)[]} */
  questions = [];
  #nextId = 1;

  now() {
    return this.clock;
  }

  /** @param {AnySocket} socket @param {any} frame */
  open(socket, frame) {
    if (!socket.id) {
      this.adopt(socket, this.#nextId);
      this.#nextId += 2;
    }
    this.send({ socket: socket.id, ...frame });
  }

  /** @param {AnySocket} socket @param {number} id */
  adopt(socket, id) {
    socket.id = id;
    this.sockets.set(id, socket);
  }

  /** Questions are heard as what else is said; a test answers them. @param {any} frame @param {any} answered */
  request(frame, answered) {
    this.questions.push(answered);
    this.send({ socket: 0, ...frame });
  }

  /** @param {number} id */
  forget(id) {
    this.sockets.delete(id);
  }

  /** @param {Frame} frame */
  send(frame) {
    this.sent.push(frame);
  }

  /** @param {number} socket @param {Uint8Array} data */
  sendData(socket, data) {
    this.room -= data.length;
    this.send({ type: "data", socket, data: data.slice() });
  }

  /** @param {AnySocket} socket */
  watchRoom(socket) {
    if (this.room <= 0) this.waiting.add(socket);
  }

  /** There is room again. @param {number} room */
  drain(room) {
    this.room = room;
    const sockets = [...this.waiting];
    this.waiting.clear();
    for (const socket of sockets) socket.roomChanged();
  }

  /** Frames sent since this was last asked, without their ids. */
  said() {
    return this.sent.splice(0).map(({ socket: _, ...frame }) => frame);
  }

  /** As the session that a socket asks for. @returns {any} */
  get session() {
    return this;
  }
}

/** How to bring a new socket into each state. @type {Record<string, (socket: Socket, line: Line) => void>} */
export const REACH = {
  idle: () => {},
  connecting: (socket, line) => socket.connect(line.session, TARGET),
  established: (socket, line) => {
    REACH.connecting(socket, line);
    hear(socket, "connected", { local: PAGE, peer: HOST });
    socket.connect(line.session, TARGET); // which tells that it is
  },
  closeWait: (socket, line) => {
    REACH.established(socket, line);
    hear(socket, "shutdown");
  },
  finWait: (socket, line) => {
    REACH.established(socket, line);
    socket.shutdown({ read: false, write: true });
  },
  finished: (socket, line) => {
    REACH.finWait(socket, line);
    hear(socket, "shutdown");
  },
  failed: (socket, line) => {
    REACH.established(socket, line);
    hear(socket, "reset", { code: "ECONNRESET", message: "" });
    socket.takeError();
  },
  closed: (socket, line) => {
    REACH.established(socket, line);
    socket.close();
  },
};

/** A new socket in this state, and its line, which has said nothing since. @param {string} state */
export function socketThatIs(state) {
  const [socket, line] = [new Socket(), new Line()];
  REACH[state](socket, line);
  assert.equal(socket.state, state);
  line.said();
  return { socket, line };
}

/** The proxy tells a socket something. @param {AnySocket} socket @param {string} type @param {object} [fields] */
export function hear(socket, type, fields = {}) {
  socket.receive({ type, socket: socket.id, ...fields });
}
