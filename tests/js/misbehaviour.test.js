/**
 * What a proxy can do to a page that it wants to harm, or that it was not made for.
 * @module
 */

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { MessageReader, encodeMessage } from "../../js/wire.js";
import { HOST, PAGE, TARGET } from "./line.js";
import { unnumbered } from "./proxy.js";
import { World } from "./world.js";

/** @typedef {import("../../js/socket.js").Socket} Socket */

suite("a proxy that breaks the protocol", () => {
  const LONG = { family: 4, host: "\u{1f600}".repeat(16_383), port: 1 };

  /** What it sends, by what is wrong with it. @type {Record<string, (world: World, socket: Socket) => Uint8Array[]>} */
  const WRONG = {
    "a message larger than any may be": () => [new Uint8Array(20).fill(0xff)],
    noise: () => [Uint8Array.from({ length: 500 }, (_, index) => (index * 7919) % 256)],
    "a frame that reaches beyond its message": () => [
      encodeMessage(0, 0, [Uint8Array.of(0x12, 0, 0, 0, 0, 1, 0, 0, 0, 9)]),
    ],
    "text that is none": () => [
      encodeMessage(0, 0, [Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1, 0xff, 0, 0)]),
    ],
    "a second welcome": (world) => world.proxy.welcome(),
    "an acknowledgement of what was never sent": () => [unnumbered({ type: "ping", socket: 0, stamp: 1 }, 1000)],
    "a message far ahead of its turn": () => [encodeMessage(100_000, 0, [])],
    "data for a socket that is not connected": (world, { id }) =>
      world.proxy.say({ type: "data", socket: id, data: new Uint8Array(1) }),
    "an end for a socket that is not connected": (world, { id }) =>
      world.proxy.say({ type: "shutdown", socket: id }),
    "an address that is none": (world, { id }) =>
      world.proxy.say({ type: "connected", socket: id, local: PAGE, peer: LONG }),
    "a window for more than any may be": (world) => {
      const { id } = world.connected();
      const credit = 2 ** 32 - 1;
      return world.proxy.say({ type: "window", socket: id, credit }, { type: "window", socket: id, credit });
    },
    "a datagram for a stream": (world, { id }) =>
      world.proxy.say({ type: "datagram", socket: id, address: HOST, data: new Uint8Array(1) }),
    "a datagram from what is no address": (world) =>
      world.proxy.say({ type: "datagram", socket: datagrams(world).id, address: LONG, data: new Uint8Array(1) }),
    "data for a datagram socket": (world) =>
      world.proxy.say({ type: "data", socket: datagrams(world).id, data: new Uint8Array(1) }),
    "a connection for a datagram socket": (world) =>
      world.proxy.say({ type: "connected", socket: datagrams(world).id, local: PAGE, peer: HOST }),
    "a fault of a stream": (world, { id }) => world.proxy.say({ type: "fault", socket: id, code: "EIO", message: "" }),
    "a connection that came in to a stream": (world, { id }) =>
      world.proxy.say({ type: "accepted", socket: 2, listener: id, local: PAGE, peer: HOST }),
    "a connection that came in, with an id of ours": (world) =>
      world.proxy.say({ type: "accepted", socket: 77, listener: world.listening().id, local: PAGE, peer: HOST }),
    "a connection that came in from what is no address": (world) =>
      world.proxy.say({ type: "accepted", socket: 2, listener: world.listening().id, local: PAGE, peer: LONG }),
    "more connections than the backlog allows": (world) => {
      const listener = world.listening().id;
      const ids = Array.from({ length: 10 }, (_, index) => 2 + 2 * index);
      return world.proxy.say(
        ...ids.map((socket) => ({ type: "accepted", socket, listener, local: PAGE, peer: HOST })),
      );
    },
    "data for a listener": (world) =>
      world.proxy.say({ type: "data", socket: world.listening().id, data: new Uint8Array(1) }),
    "an address of another family for a listener": (world) => {
      const request = world.askToListen();
      return world.proxy.say({ type: "bound", socket: request, local: { family: 6, host: "::1", port: 1 } });
    },
    "names where an address was asked for": (world) =>
      world.proxy.say({ type: "reversed", socket: world.askToListen(), host: "", service: "" }),
    "a frame that pages send": (world, { id }) => world.proxy.say({ type: "connect", socket: id, family: 4, ...TARGET }),
  };

  /** How it comes to the page. @type {Record<string, (world: World, messages: Uint8Array[]) => void>} */
  const WAYS = {
    "": (world, messages) => world.webSocket.deliver(messages),
    ", byte by byte,": (world, messages) => world.webSocket.deliver(messages, 1),
    " in an exchange": (world, messages) => {
      const body = new Uint8Array(Buffer.concat([world.proxy.welcomeAlone(), ...messages]));
      world.page.answerNow = () => ({ status: 200, body });
      world.connection.exchange(0);
    },
  };

  /** A datagram socket that the proxy knows. @param {World} world */
  function datagrams(world) {
    const socket = new DatagramSocket();
    socket.open(world.connection.session);
    return socket;
  }

  for (const [what, make] of Object.entries(WRONG)) {
    for (const [way, deliver] of Object.entries(WAYS)) {
      test(`by ${what}${way} ends the session, and harms nothing else`, async (t) => {
        const world = await World.opened(t);
        const socket = world.connecting();
        deliver(world, make(world, socket));
        assert.equal(socket.takeError()?.code, "ECONNRESET");
        assert.match(socket.reported?.message ?? "", /^the proxy sent what it should not: ./);
        assert.deepEqual([world.lastAside()?.type, world.lastAside()?.code], ["goaway", "protocol"]);
        assert.deepEqual([world.webSocket.state, world.clock.timers.size], ["closed", 0]);
        assert.equal(world.connection.over, true);
      });
    }
  }

  test("in its first message refuses whoever opens", async (t) => {
    const world = new World(t);
    const opening = world.connection.open();
    world.accept();
    world.webSocket.deliver([new Uint8Array(20).fill(0xff)]);
    await assert.rejects(opening, { code: "protocol" });
    assert.equal(world.clock.timers.size, 0);
  });

  test("over HTTP ends the session, which says so", async (t) => {
    const world = await World.overHTTP(t);
    const socket = world.connecting();
    await world.carry();
    const noise = new Uint8Array(Buffer.concat([world.proxy.welcomeAlone(), new Uint8Array(40).fill(0xff)]));
    world.page.waiting[0].answer(noise);
    await world.page.settle();
    assert.equal(socket.takeError()?.code, "ECONNRESET");
    world.proxy.exchange(world.page.request.body);
    assert.deepEqual([world.lastAside()?.type, world.lastAside()?.code], ["goaway", "protocol"]);
    assert.deepEqual([world.page.waiting.length, world.clock.timers.size], [1, 0]);
  });

  test("by resuming another session ends this one", async (t) => {
    const world = await World.opened(t);
    const socket = world.connected();
    world.webSocket.drop();
    world.clock.advance(100);
    world.proxy.fields.session = "s-18";
    world.welcome();
    assert.equal(socket.takeError()?.code, "ECONNRESET");
  });

  test("text is no message, and is passed over", async (t) => {
    const world = await World.opened(t);
    world.webSocket.onmessage({ data: "text" });
    assert.equal(world.connection.session.state, "attached");
  });
});

test("a proxy that has pings answered and reads nothing is given up before memory is", async (t) => {
  const world = await World.opened(t);
  const { webSocket } = world;
  const before = 31 << 20;
  webSocket.bufferedAmount = before;
  webSocket.receive = (message) => {
    webSocket.bufferedAmount += message.length;
  };
  const pings = Array.from({ length: 50_000 }, () => unnumbered({ type: "ping", socket: 0, stamp: 1 }));
  // Behind that it may not let us in again on a carrier that is given up.
  webSocket.deliver([new Uint8Array(Buffer.concat([...pings, world.proxy.welcomeAlone()]))]);
  assert.ok(webSocket.bufferedAmount > 32 << 20 && webSocket.bufferedAmount < (32 << 20) + 100);
  assert.deepEqual([webSocket.state, world.connection.session.state], ["closed", "detached"]);
});

test("pieces without a byte are not kept, however many come in the middle of a message", () => {
  const reader = new MessageReader();
  for (const size of [0, 1, 0, 0, 1, 0]) assert.deepEqual([...reader.feed(new Uint8Array(size))], []);
  assert.equal(reader.pieces.length, 2);
});
