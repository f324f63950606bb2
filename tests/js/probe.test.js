import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { joined } from "../../js/fields.js";
import { probe } from "../../js/probe.js";
import { MessageReader, encodeMessage, framesOf } from "../../js/wire.js";
import { HOST, PAGE } from "./line.js";
import { Page } from "./page.js";
import { ProxyEnd, unnumbered } from "./proxy.js";
import { URL_OF_PROXY } from "./world.js";

/**
 * @typedef {import("node:test").TestContext} TestContext
 * @typedef {import("../../js/wire.js").Frame} Frame
 */

const QUESTION = { url: URL_OF_PROXY, token: "secret", agent: "test/1", host: "host.example", port: 80, blocks: false };

/** A page that probes a proxy which does nothing by itself, and cannot be reached by HTTP. */
class Probing {
  proxy = new ProxyEnd();
  /** What is requested. @type {{url: string, frames: Frame[]}[]} */
  requests = [];
  /** What a request is answered with. @type {(body: Uint8Array) => Promise<Response>} */
  answer = () => Promise.reject(new TypeError("Failed to fetch"));

  /** @param {TestContext} t @param {object} [question] */
  constructor(t, question) {
    this.page = new Page(t);
    t.mock.method(globalThis, "fetch", (/** @type {string | URL} */ url, /** @type {any} */ { body }) => {
      const messages = [...new MessageReader().feed(body ?? new Uint8Array())];
      this.requests.push({ url: String(url), frames: messages.flatMap((message) => [...framesOf(message.body)]) });
      return this.answer(body);
    });
    this.told = probe({ ...QUESTION, ...question });
  }

  get webSocket() {
    return this.page.webSocket;
  }

  /** Everything that can go on by itself does. */
  async settle() {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** @param {number} milliseconds */
  async pass(milliseconds) {
    this.page.clock.advance(milliseconds);
    await this.settle();
  }

  /** The WebSocket opens, and the proxy reads what comes. */
  async open() {
    await this.settle();
    this.webSocket.receive = this.proxy.carrier();
    this.webSocket.open();
    await this.settle();
  }

  async welcome() {
    await this.open();
    this.webSocket.deliver(this.proxy.welcome());
    await this.settle();
  }

  /** Answer every ping that comes. */
  async pong() {
    for (let answered = 0; answered < this.pings.length; answered++) {
      this.webSocket.deliver([unnumbered({ type: "pong", socket: 0, stamp: 1 })]);
      await this.settle();
    }
  }

  get pings() {
    return this.proxy.aside.filter(({ type }) => type === "ping");
  }

  /** The proxy says this in the session. @param {Frame[]} frames */
  async say(...frames) {
    this.webSocket.deliver(this.proxy.say(...frames));
    await this.settle();
  }

  /** The types of what was said outside of the session, other than pings. */
  get aside() {
    return this.proxy.aside.map(({ type }) => type).filter((type) => type !== "ping");
  }

  /** The proxy closes, and the probe is done. */
  async end() {
    this.webSocket.drop("", 1001);
    return this.told;
  }
}

suite("probing a proxy over a WebSocket", () => {
  test("finds a welcome, round trips and a host, and leaves nothing behind", async (t) => {
    const probing = new Probing(t);
    await probing.welcome();
    await probing.pong();
    const [{ socket, host, port, family }] = probing.proxy.heard;
    assert.deepEqual([host, port, family], ["host.example", 80, 0]);
    await probing.say({ type: "connected", socket, local: PAGE, peer: HOST });
    assert.deepEqual(probing.proxy.types(), ["connect", "close"]);
    assert.deepEqual(probing.aside, ["goaway"]);
    const told = await probing.end();
    assert.equal(told.greeting.outcome, "welcome");
    assert.equal(told.roundTrips.times.length, 7);
    assert.deepEqual([told.reached.outcome, told.reached.peer], ["connected", [HOST.host, HOST.port]]);
    assert.ok(!JSON.stringify(told).includes(probing.proxy.fields.key));
  });

  test("ends in time where nobody ever answers", async (t) => {
    const probing = new Probing(t);
    await probing.settle();
    await probing.pass(4_000);
    const told = await probing.told;
    assert.deepEqual([told.webSocket.outcome, told.greeting.outcome], ["late", "skipped"]);
    assert.equal(probing.webSocket.state, "closed");
  });

  test("ends in time where nobody answers the greeting", async (t) => {
    const probing = new Probing(t);
    await probing.open();
    await probing.pass(4_000);
    const told = await probing.told;
    assert.deepEqual([told.webSocket.outcome, told.greeting.outcome], ["open", "late"]);
    assert.equal(probing.webSocket.state, "closed");
  });

  test("ends in time where a proxy that has welcomed says nothing more", async (t) => {
    const probing = new Probing(t);
    await probing.welcome();
    await probing.pass(4_000);
    await probing.pass(7_000);
    await probing.pass(1_000);
    const told = await probing.told;
    assert.deepEqual([told.roundTrips.outcome, told.reached.outcome], ["lost", "late"]);
    assert.deepEqual(probing.aside, ["goaway"]);
    assert.equal(probing.webSocket.state, "closed");
  });

  test("tells a server that is no proxy by what it says", async (t) => {
    const probing = new Probing(t);
    await probing.open();
    probing.webSocket.deliver([new Uint8Array(20).fill(255)]);
    const { greeting } = await probing.told;
    assert.equal(greeting.outcome, "foreign");
    assert.match(greeting.message, /message of \d+ bytes/);
  });

  test("tells a close in the middle of the greeting, with its code", async (t) => {
    const probing = new Probing(t);
    await probing.open();
    probing.webSocket.drop("not here", 1008);
    const { greeting } = await probing.told;
    assert.deepEqual([greeting.outcome, greeting.code, greeting.message], ["closed", "1008", "not here"]);
  });

  test("goes on with a proxy that drains", async (t) => {
    const probing = new Probing(t);
    await probing.welcome();
    probing.webSocket.deliver([unnumbered({ type: "goaway", socket: 0, code: "drain", message: "" })]);
    await probing.pong();
    const [{ socket }] = probing.proxy.heard;
    await probing.say({ type: "reset", socket, code: "ECONNREFUSED", message: "refused" });
    const told = await probing.end();
    assert.equal(told.roundTrips.outcome, "measured");
    assert.deepEqual([told.reached.outcome, told.reached.code], ["refused", "ECONNREFUSED"]);
  });

  test("notices that the session ends under it", async (t) => {
    const probing = new Probing(t);
    await probing.welcome();
    await probing.pong();
    probing.webSocket.drop();
    assert.equal((await probing.told).reached.outcome, "lost");
    assert.deepEqual(probing.requests.at(-1)?.frames.map(({ type }) => type), ["hello", "poll", "connect", "goaway"]);
  });

  test("reports a token that fits in no greeting", async (t) => {
    const probing = new Probing(t, { token: "x".repeat(70_000) });
    await probing.open();
    const told = await probing.told;
    assert.deepEqual([told.greeting.outcome, told.http.outcome], ["unsayable", "unsayable"]);
  });
});

suite("probing a proxy over HTTP alone", () => {
  /** A page whose WebSocket is closed at once. @param {TestContext} t @param {(body: Uint8Array) => Response} answer */
  async function blocked(t, answer) {
    const probing = new Probing(t);
    probing.answer = (body) => Promise.resolve(answer(body));
    await probing.settle();
    probing.webSocket.drop();
    return probing.told.then((told) => ({ told, requests: probing.requests }));
  }

  test("has the same session carried by exchanges, and ends it", async (t) => {
    const proxy = new ProxyEnd();
    proxy.answer = ({ type, socket }) => {
      if (type === "connect") proxy.queue({ type: "connected", socket, local: PAGE, peer: HOST });
    };
    const { told, requests } = await blocked(t, (body) => {
      if (body) proxy.carrier()(body);
      return new Response(/** @type {any} */ (joined([proxy.welcomeAlone(), ...proxy.link.take(0)])));
    });
    assert.deepEqual([told.webSocket.outcome, told.reached.outcome], ["closed", "connected"]);
    assert.deepEqual(proxy.types(), ["connect", "close"]);
    assert.deepEqual([told.http.outcome, told.roundTrips.carrier], ["welcome", "HTTP"]);
    const last = requests.at(-1)?.frames.at(-1);
    assert.deepEqual([last?.type, last?.code], ["goaway", "shutdown"]);
    const sessions = new Set(requests.flatMap(({ frames }) => frames.slice(0, 1).map(({ session }) => session)));
    assert.deepEqual([...sessions], ["", "s-17"]);
  });

  test("quotes who is no proxy, and no more than a little", async (t) => {
    const { told } = await blocked(t, () => new Response("no such page ".repeat(1000), { status: 404 }));
    assert.deepEqual([told.http.outcome, told.http.status], ["foreign", 404]);
    assert.ok(told.http.message.startsWith("no such page") && told.http.message.length <= 200);
  });

  test("takes what is no message for what a stranger says", async (t) => {
    for (const body of ["<!doctype html>", new Uint8Array(), encodeMessage(0, 0, []), encodeMessage(0, 0, [FRAME])]) {
      await t.test(`${body}`.slice(0, 20), async (inner) => {
        const { told } = await blocked(inner, () => new Response(/** @type {BodyInit} */ (body)));
        assert.deepEqual([told.http.outcome, told.roundTrips.outcome], ["foreign", "skipped"]);
      });
    }
  });
});

/** A frame that is cut short. */
const FRAME = new Uint8Array([2, 0, 0]);
