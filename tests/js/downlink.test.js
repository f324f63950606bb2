/**
 * The stream beside a connection's WebSocket.
 * @module
 */

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { MessageReader, framesOf } from "../../js/wire.js";
import { unnumbered } from "./proxy.js";
import { World } from "./world.js";

/** @typedef {import("../../js/wire.js").Frame} Frame */

/** An answer that a test writes piece by piece. */
class Answer {
  /** @type {ReadableByteStreamController} */
  #controller;

  constructor() {
    /** @type {any} */
    let found;
    this.body = new ReadableStream({ type: "bytes", start: (controller) => void (found = controller) });
    this.#controller = found;
  }

  /** @param {Uint8Array[]} messages @param {number} [size] of the pieces */
  deliver(messages, size = Infinity) {
    for (const message of messages) {
      for (let at = 0; at < message.length; at += size) this.#controller.enqueue(message.slice(at, at + size));
    }
  }

  end() {
    this.#controller.close();
    this.#controller.byobRequest?.respond(0);
  }

  break() {
    this.#controller.error(new TypeError("network error"));
  }
}

/** So many bytes arrive on the WebSocket, fast. @param {World} world @param {number} [size] */
function bulk(world, size = 4 << 20) {
  const message = unnumbered({ type: "data", socket: 99, data: new Uint8Array(256 * 1024) });
  for (let at = 0; at < size; at += message.length) {
    world.clock.now += 5;
    world.webSocket.deliver([message]);
  }
}

/** What a request holds. @param {{body: Uint8Array}} request @returns {Frame[]} */
function asked({ body }) {
  const [first] = new MessageReader().feed(body);
  return [...framesOf(first.body)];
}

/** A connection whose proxy was asked for a stream, and its answer. @param {import("node:test").TestContext} t @param {boolean} [welcomed] */
async function streaming(t, welcomed = true) {
  const world = await World.opened(t);
  const socket = world.connected();
  bulk(world);
  const answer = new Answer();
  world.page.request.answer(/** @type {any} */ (answer.body));
  if (welcomed) answer.deliver([world.proxy.welcomeAlone()]);
  await world.page.settle();
  return { world, socket, answer };
}

/** @param {World} world @param {number} socket @param {number} byte */
const data = (world, socket, byte) => world.proxy.say({ type: "data", socket, data: new Uint8Array([byte]) });

suite("a stream", () => {
  test("is asked for when much comes in, and brings messages while the WebSocket takes them along", async (t) => {
    const { world, socket, answer } = await streaming(t);
    const [hello, stream] = asked(world.page.request);
    assert.equal(world.page.request.url.split("?")[1], world.webSocket.url.split("?")[1]);
    assert.equal(world.page.request.url.split("?")[0], "http://127.0.0.1:8765/pynet/http");
    assert.deepEqual([hello.session, hello.seen, stream.type, stream.number], ["s-17", 1, "stream", 1]);
    assert.equal(world.connection.downlink.state, "streaming");
    answer.deliver(data(world, socket.id, 7), 10);
    await world.page.settle();
    await world.page.settle();
    assert.deepEqual([...socket.read(10)], [7]);
    socket.write(new Uint8Array([8]));
    assert.deepEqual(world.proxy.heard.at(-1)?.data, new Uint8Array([8]));
    assert.equal(world.page.requests.length, 1);
  });

  test("ends when it has brought no bulk for two seconds; what is under way still comes", async (t) => {
    const { world, socket, answer } = await streaming(t);
    world.clock.advance(2100);
    const { type, number, lost } = /** @type {Frame} */ (world.lastAside());
    assert.deepEqual([type, number, lost], ["unstream", 1, 0]);
    world.webSocket.deliver(data(world, socket.id, 1).concat(data(world, socket.id, 2)).slice(1));
    assert.throws(() => socket.read(10), { code: "EAGAIN" }); // its elder is on the stream
    answer.deliver(world.proxy.link.replay().slice(0, 1));
    answer.end();
    await world.page.settle();
    assert.deepEqual([...socket.read(10)], [1, 2]);
    assert.deepEqual([world.connection.downlink.state, world.connection.downlink.why], ["resting", ""]);
    assert.equal(world.proxy.aside.filter((frame) => frame.type === "unstream").length, 1);
  });

  test("that breaks has the proxy send again what it lost", async (t) => {
    const { world, answer } = await streaming(t);
    answer.break();
    await world.page.settle();
    const { type, number, lost } = /** @type {Frame} */ (world.lastAside());
    assert.deepEqual([type, number, lost], ["unstream", 1, 1]);
    assert.equal(world.connection.session.state, "attached");
    assert.equal(world.page.webSockets.length, 1);
  });

  test("that ends unasked is lost, too", async (t) => {
    const { world, answer } = await streaming(t);
    answer.end();
    await world.page.settle();
    assert.equal(world.lastAside()?.lost, 1);
  });

  test("that is not welcomed within a second is given up, and what still comes on it means nothing", async (t) => {
    const { world, socket, answer } = await streaming(t, false);
    world.clock.advance(1000);
    assert.equal(world.lastAside()?.lost, 1);
    answer.deliver([world.proxy.welcomeAlone(), ...data(world, socket.id, 7)]);
    await world.page.settle();
    assert.throws(() => socket.read(10), { code: "EAGAIN" });
    bulk(world);
    assert.equal(world.page.requests.length, 1); // it is remembered
    assert.match(world.connection.downlink.why, /in time/);
  });

  test("that is refused, or answered by somebody else, is done without", async (t) => {
    for (const body of [
      unnumbered({ type: "refused", socket: 0, code: "busy", message: "not now" }),
      unnumbered({ type: "goaway", socket: 0, code: "protocol", message: "not so" }),
      new TextEncoder().encode("<!doctype html><title>Sign in to this network</title>"),
    ]) {
      const world = await World.opened(t);
      bulk(world);
      world.page.request.answer(body, 403);
      await world.page.settle();
      assert.deepEqual([world.connection.session.state, world.lastAside()?.lost], ["attached", 1]);
      assert.notEqual(world.connection.downlink.why, "");
    }
  });

  test("goes with its WebSocket, and the next may have one again", async (t) => {
    const { world, socket, answer } = await streaming(t);
    world.webSocket.drop();
    world.clock.advance(100);
    world.welcome();
    answer.deliver(data(world, socket.id, 7));
    await world.page.settle();
    assert.throws(() => socket.read(10), { code: "EAGAIN" });
    assert.equal(world.page.requests[0].init.signal?.aborted, true);
    bulk(world);
    assert.deepEqual(asked(world.page.request)[1], { type: "stream", socket: 0, number: 2 });
  });

  test("ends with its session", async (t) => {
    const { world } = await streaming(t);
    world.connection.close();
    assert.equal(world.page.requests[0].init.signal?.aborted, true);
    assert.equal(world.clock.timers.size, 0);
  });

  test("that brings what is no message breaks the session, as a WebSocket does", async (t) => {
    const { world, answer } = await streaming(t);
    answer.deliver([new Uint8Array(40).fill(255)]);
    await world.page.settle();
    assert.equal(world.connection.session.state, "closed");
  });
});

test("a page that wants no streams asks for none", async (t) => {
  const world = await World.opened(t, { streams: false });
  bulk(world);
  assert.equal(world.page.requests.length, 0);
});
