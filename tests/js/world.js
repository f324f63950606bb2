/**
 * A connection in a page whose network is in the hands of the test.
 * @module
 */

import { Connection } from "../../js/connection.js";
import { Listener } from "../../js/listener.js";
import { Socket } from "../../js/socket.js";
import { MessageReader, framesOf } from "../../js/wire.js";
import { HOST, PAGE, TARGET } from "./line.js";
import { Page } from "./page.js";
import { ProxyEnd, unnumbered } from "./proxy.js";

export const URL_OF_PROXY = "ws://127.0.0.1:8765/pynet";

/**
 * @typedef {import("node:test").TestContext} TestContext
 * @typedef {import("../../js/wire.js").Frame} Frame
 */

export class World {
  /** @param {TestContext} t @param {{url?: string, token?: string, welcome?: object, streams?: boolean}} [options] */
  constructor(t, { url = URL_OF_PROXY, token = "secret", welcome, streams } = {}) {
    this.page = new Page(t);
    this.clock = this.page.clock;
    this.proxy = new ProxyEnd(welcome);
    this.connection = new Connection(url, token, "test/1", streams);
  }

  get webSocket() {
    return this.page.webSocket;
  }

  /** A connection that is open. @param {TestContext} t @param {{welcome?: object, streams?: boolean}} [options] */
  static async opened(t, options) {
    const world = new World(t, options);
    const opening = world.connection.open();
    world.welcome();
    await opening;
    return world;
  }

  /** A connection that is open by exchanges, since WebSockets are blocked. @param {TestContext} t @param {{welcome?: object}} [options] */
  static async overHTTP(t, options) {
    const world = new World(t, options);
    const opening = world.connection.open();
    world.webSocket.drop();
    await world.carry();
    await opening;
    return world;
  }

  /** The proxy answers all requests, but holds back what may wait until it has something to say. */
  async carry() {
    for (;;) {
      await this.page.settle();
      const due = this.page.waiting.filter(({ body }) => !this.proxy.holds(body));
      if (!due.length) return;
      for (const request of due) request.answer(this.proxy.exchange(request.body));
    }
  }

  /** The network loses all requests that wait. */
  async loseRequests() {
    await this.page.settle();
    for (const request of this.page.waiting) request.fail();
    await this.page.settle();
  }

  /** The proxy answers synchronous requests from now on. */
  exchanging() {
    this.page.answerNow = (body) => ({ status: 200, body: this.proxy.exchange(body) });
    return this;
  }

  /** What the page asked in its last synchronous request: the frames of each message. */
  lastExchange() {
    const { body } = this.page.exchanges[this.page.exchanges.length - 1];
    return [...new MessageReader().feed(body)].map((message) => [...framesOf(message.body)]);
  }

  /** The proxy takes the newest WebSocket, reads the greeting. */
  accept() {
    const { webSocket } = this;
    webSocket.receive = this.proxy.carrier();
    webSocket.open();
  }

  /** The proxy lets the page in on the newest WebSocket. @param {number} [size] of the pieces it answers in */
  welcome(size) {
    this.accept();
    this.webSocket.deliver(this.proxy.welcome(), size);
  }

  /** The proxy answers the greeting with something else. @param {Frame} frame */
  answer(frame) {
    this.accept();
    this.webSocket.deliver([unnumbered(frame)]);
  }

  /** @param {string} code */
  refuse(code) {
    this.answer({ type: "refused", socket: 0, code, message: `because of ${code}` });
    this.webSocket.drop("", 4403);
  }

  /** The proxy says this in the session. @param {Frame[]} frames */
  hear(...frames) {
    this.webSocket.deliver(this.proxy.say(...frames));
  }

  /** A socket that asks to be connected. */
  connecting() {
    const socket = new Socket();
    socket.connect(this.connection.session, TARGET);
    return socket;
  }

  connected() {
    const socket = this.connecting();
    this.hear({ type: "connected", socket: socket.id, local: PAGE, peer: HOST });
    return socket;
  }

  /** A new socket asks to listen; the id of its question. @param {(listener: Listener | null) => void} [answered] */
  askToListen(answered = () => {}) {
    Listener.start(new Socket(), this.connection.session, 8, (_error, listener) => answered(listener));
    this.connection.session.flush();
    return this.proxy.heard[this.proxy.heard.length - 1].socket;
  }

  /** A socket that listens. @returns {Listener} */
  listening() {
    /** @type {any} */
    let started;
    const request = this.askToListen((listener) => {
      started = listener;
    });
    this.hear({ type: "bound", socket: request, local: PAGE });
    return started;
  }

  /** The proxy starts anew, and knows no session. */
  restart() {
    this.proxy = new ProxyEnd({ session: "s-18" });
  }

  /** What the page said last that was not numbered. */
  lastAside() {
    return this.proxy.aside.at(-1);
  }
}
