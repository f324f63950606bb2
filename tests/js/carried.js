/**
 * A session and a proxy, joined without delay and without a connection.
 * @module
 */

import { Listener } from "../../js/listener.js";
import { Session } from "../../js/session.js";
import { Socket } from "../../js/socket.js";
import { MessageReader, framesOf } from "../../js/wire.js";
import { HOST, PAGE, TARGET } from "./line.js";
import { ProxyEnd } from "./proxy.js";

/** @typedef {import("../../js/wire.js").Frame} Frame */

/** A session, and the proxy it is carried to without delay while `carried`. */
export class World {
  clock = 1000;
  /** What waits until the program gives way. @type {(() => void)[]} */
  scheduled = [];
  /** Messages sent, oldest first. @type {Uint8Array[]} */
  sent = [];

  /** @param {object} [welcome] */
  constructor(welcome) {
    this.proxy = new ProxyEnd(welcome);
    this.session = new Session({
      now: () => this.clock,
      send: (message) => {
        this.sent.push(message);
        this.toProxy(message);
      },
      later: (flush) => {
        this.scheduled.push(flush);
      },
    });
    this.toProxy = this.proxy.carrier();
  }

  /** Greet, and be welcomed. */
  attach() {
    this.toProxy = this.proxy.carrier();
    this.toProxy(this.session.greeting("token", "agent"));
    const [welcome, ...rest] = this.proxy.welcome();
    this.deliverWelcome(welcome);
    this.deliver(...rest);
    this.clock += 10;
    this.sent = [];
    return this;
  }

  /** @param {Uint8Array} message */
  deliverWelcome(message) {
    const [{ body }] = new MessageReader().feed(message);
    const [frame] = framesOf(body);
    this.session.attach(frame);
  }

  /** Messages come in; returns what is not the session's to handle. @param {Uint8Array[]} messages */
  deliver(...messages) {
    const reader = new MessageReader();
    return messages.flatMap((bytes) =>
      [...reader.feed(bytes)].flatMap((message) => [...this.session.receive(message)]),
    );
  }

  /** The proxy says this. @param {Frame[]} frames */
  hear(...frames) {
    return this.deliver(...this.proxy.say(...frames));
  }

  /** The program gives way. */
  giveWay() {
    for (const flush of this.scheduled.splice(0)) flush();
  }

  /** A socket that is connecting. */
  connecting() {
    const socket = new Socket();
    socket.connect(this.session, TARGET);
    return socket;
  }

  /** A socket that is connected. */
  connected() {
    const socket = this.connecting();
    this.hear({ type: "connected", socket: socket.id, local: PAGE, peer: HOST });
    return socket;
  }

  /** A socket that listens. @param {number} [backlog] */
  listening(backlog = 8) {
    /** @type {Listener | null} */
    let listener = null;
    Listener.start(new Socket(), this.session, backlog, (_error, started) => {
      listener = started;
    });
    this.giveWay();
    const { socket } = this.proxy.heard[this.proxy.heard.length - 1];
    this.hear({ type: "bound", socket, local: PAGE });
    return /** @type {Listener} */ (/** @type {unknown} */ (listener));
  }

  /** Ask something; tells what was answered. @param {any} question */
  ask(question) {
    /** @type {any[][]} */
    const answers = [];
    this.session.request(question, (...answer) => {
      answers.push(answer);
    });
    return answers;
  }

  /** @param {string} host */
  resolve(host) {
    return this.ask({ type: "resolve", family: 4, host, service: "" });
  }
}

/** One whose proxy has welcomed it. @param {object} [welcome] */
export const attached = (welcome) => new World(welcome).attach();
