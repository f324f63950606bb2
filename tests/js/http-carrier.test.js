/**
 * Connections that are carried by exchanges, since WebSockets are blocked.
 * @module
 */

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { MessageReader, framesOf } from "../../js/wire.js";
import { HOST, PAGE } from "./line.js";
import { unnumbered } from "./proxy.js";
import { World } from "./world.js";

/** @typedef {import("../../js/wire.js").Frame} Frame */

/** What a request asks for, and what it takes along. @param {{body: Uint8Array}} request @returns {{hello: Frame, poll: Frame, along: Frame[]}} */
function asked({ body }) {
  const [greeting, ...messages] = new MessageReader().feed(body);
  const [hello, poll] = framesOf(greeting.body);
  return { hello, poll, along: messages.flatMap((message) => [...framesOf(message.body)]) };
}

/** A socket that is connected. @param {World} world */
async function connected(world) {
  const socket = world.connecting();
  await world.carry();
  world.proxy.queue({ type: "connected", socket: socket.id, local: PAGE, peer: HOST });
  await world.carry();
  assert.equal(socket.state, "established");
  return socket;
}

suite("a session over HTTP", () => {
  test("moves bytes both ways", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    socket.write(new Uint8Array([1, 2, 3]));
    world.proxy.queue({ type: "data", socket: socket.id, data: new Uint8Array([4, 5]) });
    await world.carry();
    assert.deepEqual([...socket.read(10)], [4, 5]);
    assert.deepEqual(world.proxy.heard.at(-1)?.data, new Uint8Array([1, 2, 3]));
    assert.equal(new Set(world.proxy.numbers).size, world.proxy.numbers.length); // and nothing twice
  });

  test("always has one request that waits for what the proxy has to say, and says what was seen", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    for (let count = 2; count < 5; count++) {
      world.proxy.queue({ type: "data", socket: socket.id, data: new Uint8Array(1) });
      await world.carry();
      assert.equal(world.page.waiting.length, 1);
      const { hello, poll } = asked(world.page.waiting[0]);
      assert.deepEqual([hello.session, hello.seen, poll.wait], ["s-17", count, 25_000]);
    }
  });

  test("is probed when the proxy is silent, and another carrier is taken if that brings no sign", async (t) => {
    const world = await World.overHTTP(t, { welcome: { keepalive: 5_000 } });
    world.page.chance = 1;
    await world.carry();
    world.clock.advance(5_000);
    await world.page.settle();
    assert.deepEqual(asked(world.page.request).along[0].type, "ping");
    const { length } = world.page.requests;
    world.clock.advance(5_000);
    await world.page.settle();
    assert.deepEqual([world.connection.session.state, world.page.waiting.length], ["detached", 0]);
    world.clock.advance(100);
    await world.carry();
    assert.equal(world.connection.session.state, "attached");
    assert.ok(world.page.requests.length > length);
  });

  test("measures round trips", async (t) => {
    const world = new World(t);
    world.connection.begin();
    world.webSocket.drop();
    world.clock.advance(100);
    await world.page.settle();
    world.page.request.answer(world.proxy.exchange(world.page.request.body));
    await world.page.settle();
    const probing = world.page.waiting.find((request) => asked(request).along.length) ?? assert.fail("no ping");
    world.clock.advance(30);
    const pong = unnumbered({ type: "pong", socket: 0, stamp: asked(probing).along[0].stamp });
    probing.answer(new Uint8Array([...world.proxy.welcomeAlone(), ...pong]));
    await world.page.settle();
    assert.equal(world.connection.roundTrip, 30);
  });

  test("that loses a request goes on by others, and no byte is lost", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    world.proxy.queue({ type: "data", socket: socket.id, data: new Uint8Array([1, 2]) });
    socket.write(new Uint8Array(3));
    await world.page.settle();
    for (const request of world.page.waiting) {
      world.proxy.exchange(request.body); // which the proxy has heard, and answered
      request.fail();
    }
    await world.page.settle();
    assert.equal(world.connection.session.state, "detached");
    world.clock.advance(100);
    await world.carry();
    assert.deepEqual([world.connection.carrier, world.connection.reconnects], ["HTTP", 1]);
    assert.deepEqual([...socket.read(10)], [1, 2]);
    assert.equal(world.proxy.heard.filter(({ type }) => type === "data").length, 1);
  });

  test("is given up before memory is, where requests take nothing along", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    world.proxy.queue({ type: "window", socket: socket.id, credit: 2 ** 31 });
    await world.carry();
    while (world.connection.session.room > 0) socket.write(new Uint8Array(250_000)); // 16 MiB
    const pings = Array.from({ length: 100_000 }, () => unnumbered({ type: "ping", socket: 0, stamp: 1 }));
    const flood = new Uint8Array(Buffer.concat([world.proxy.welcomeAlone(), ...pings])); // of 3.6 MiB
    let floods = 0;
    for (; floods < 10 && world.connection.session.state === "attached"; floods++) {
      world.page.waiting.find((request) => asked(request).poll.limit)?.answer(flood);
      await world.page.settle();
    }
    assert.equal(world.connection.session.state, "detached");
    assert.equal(floods, 5);
  });

  test("is refused, or ended, in any answer", async (t) => {
    for (const [answer, status, code] of /** @type {[Frame, number, string][]} */ ([
      [{ type: "refused", socket: 0, code: "session", message: "" }, 403, "ECONNRESET"],
      [{ type: "refused", socket: 0, code: "token", message: "" }, 403, "ENETUNREACH"],
      [{ type: "goaway", socket: 0, code: "expired", message: "" }, 200, "ECONNRESET"],
      [{ type: "goaway", socket: 0, code: "protocol", message: "" }, 400, "ECONNRESET"],
    ])) {
      const world = await World.overHTTP(t);
      const socket = await connected(world);
      world.page.request.answer(unnumbered(answer), status);
      await world.page.settle();
      assert.equal(socket.takeError()?.code, code);
      assert.deepEqual([world.connection.over, world.page.waiting, world.clock.timers.size], [true, [], 0]);
    }
  });

  test("is not over because the proxy is busy for a while", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    world.page.request.answer(unnumbered({ type: "refused", socket: 0, code: "busy", message: "" }), 403);
    await world.page.settle();
    assert.deepEqual([socket.state, world.connection.session.state], ["established", "detached"]);
    world.clock.advance(100);
    await world.carry();
    assert.equal(world.connection.session.state, "attached");
  });

  test("that is closed says so, behind what it had to say", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    socket.write(new Uint8Array(5));
    await world.page.settle(); // it is on its way
    socket.write(new Uint8Array(7)); // and this waits for it
    world.connection.close();
    const { init } = world.page.request;
    assert.equal(init.keepalive, true);
    const { along } = asked(world.page.request);
    assert.deepEqual(
      along.map(({ type, data }) => [type, data?.length]),
      [
        ["data", 5],
        ["data", 7],
        ["goaway", undefined],
      ],
    );
    assert.deepEqual([world.page.waiting.length, world.clock.timers.size], [1, 0]);
  });

  test("sends nothing by itself while the page makes exchanges, and goes on when it has a turn", async (t) => {
    const world = (await World.overHTTP(t)).exchanging();
    const socket = await connected(world);
    world.connection.exchange(0);
    const { length } = world.page.requests;
    world.proxy.queue({ type: "ping", socket: 0, stamp: 7 });
    for (let count = 0; count < 20; count++) {
      world.clock.now += 2;
      socket.write(new Uint8Array(10_000));
    }
    world.connection.exchange(0);
    assert.equal(world.proxy.heard.filter(({ type }) => type === "data").length, 20);
    socket.write(new Uint8Array(1));
    await world.page.settle();
    assert.equal(world.page.requests.length, length);
    world.page.turn();
    await world.carry();
    assert.equal(world.proxy.heard.filter(({ type }) => type === "data").length, 21);
    assert.equal(new Set(world.proxy.numbers).size, world.proxy.numbers.length);
  });

  test("answers a ping of an exchange without letting go of what is held back for the next", async (t) => {
    const world = (await World.overHTTP(t)).exchanging();
    const socket = await connected(world);
    const ping = unnumbered({ type: "ping", socket: 0, stamp: 7 });
    const { answerNow } = world.page;
    world.page.answerNow = (body) => {
      const answer = /** @type {{status: number, body: Uint8Array}} */ (answerNow(body));
      return { ...answer, body: new Uint8Array([...answer.body, ...ping]) };
    };
    world.connection.exchange(0);
    world.clock.now += 2;
    socket.write(new Uint8Array(10_000));
    world.connection.exchange(0);
    world.page.turn();
    await world.carry();
    assert.equal(new Set(world.proxy.numbers).size, world.proxy.numbers.length);
    assert.equal(world.proxy.aside.filter(({ type }) => type === "pong").length, 2);
  });
});

suite("the way back to a WebSocket", () => {
  test("is tried while the session goes on over HTTP, and taken", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    world.clock.advance(9_999);
    assert.equal(world.page.webSockets.length, 1);
    world.clock.advance(1);
    assert.deepEqual([world.page.webSockets.length, world.connection.carrier], [2, "HTTP"]);
    socket.write(new Uint8Array(3));
    await world.carry();
    assert.equal(world.proxy.heard.at(-1)?.type, "data");
    socket.write(new Uint8Array(4));
    await world.page.settle(); // and that is on its way
    world.welcome();
    await world.page.settle();
    assert.equal(world.connection.carrier, "WebSocket");
    assert.equal(world.proxy.heard.filter(({ type }) => type === "data").length, 2);
    world.hear({ type: "data", socket: socket.id, data: new Uint8Array(5) });
    assert.equal(socket.available, 5);
    world.clock.advance(19_999);
    assert.equal(world.page.webSockets.length, 2);
  });

  test("waits for the answers that are under way: the proxy counts what is in them as sent", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    world.clock.advance(10_000);
    world.welcome();
    await world.page.settle();
    const { length } = world.page.requests;
    const late = world.proxy.say({ type: "data", socket: socket.id, data: new Uint8Array(2) });
    const [under] = world.page.waiting;
    const sent = world.webSocket.sent.length;
    under.answer(new Uint8Array([world.proxy.welcomeAlone(), ...late].flatMap((message) => [...message])));
    await world.page.settle();
    assert.equal(socket.available, 2);
    assert.equal(world.webSocket.sent.length, sent + 1); // the proxy sends there again
    assert.deepEqual([world.page.requests.length, world.page.waiting], [length, []]);
    world.hear({ type: "data", socket: socket.id, data: new Uint8Array(5) });
    assert.equal(socket.available, 7);
  });

  test("is gone again, to be greeted anew, when such an answer does not come", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    world.clock.advance(10_000);
    world.welcome();
    await world.page.settle();
    world.proxy.say({ type: "data", socket: socket.id, data: new Uint8Array(2) }); // is in the answer
    await world.loseRequests();
    assert.deepEqual([world.connection.session.state, world.webSocket.state], ["detached", "closed"]);
    world.clock.advance(100);
    world.welcome();
    assert.deepEqual([world.connection.session.state, socket.available], ["attached", 2]);
  });

  test("that is still blocked is tried more and more rarely", async (t) => {
    const world = await World.overHTTP(t, { welcome: { keepalive: 2 ** 31 } });
    const pauses = [];
    for (let count = 0; count < 7; count++) {
      const [before, { length }] = [world.clock.now, world.page.webSockets];
      while (world.page.webSockets.length === length) world.clock.advance(1_000);
      pauses.push((world.clock.now - before) / 1000);
      world.webSocket.drop();
      assert.equal(world.connection.carrier, "HTTP");
    }
    assert.deepEqual(pauses, [10, 20, 40, 80, 160, 300, 300]);
  });

  test("that hangs is given up, and HTTP stays", async (t) => {
    const world = await World.overHTTP(t, { welcome: { keepalive: 2 ** 31 } });
    world.clock.advance(10_000);
    world.accept();
    world.clock.advance(10_000);
    assert.deepEqual([world.webSocket.state, world.connection.carrier], ["closed", "HTTP"]);
    assert.equal(world.webSocket.code, undefined); // the session is wanted
  });

  test("is open though HTTP fails meanwhile", async (t) => {
    const world = await World.overHTTP(t);
    const socket = await connected(world);
    world.clock.advance(10_000);
    await world.loseRequests();
    assert.deepEqual([world.connection.session.state, socket.state], ["detached", "established"]);
    world.welcome();
    assert.deepEqual([world.connection.carrier, world.connection.session.state], ["WebSocket", "attached"]);
  });

  test("leads back to HTTP when it is blocked again", async (t) => {
    const world = await World.overHTTP(t);
    world.clock.advance(10_000);
    world.welcome();
    world.webSocket.drop();
    for (let count = 0; count < 3; count++) {
      const { length } = world.page.webSockets;
      while (world.page.webSockets.length === length) world.clock.advance(10);
      world.webSocket.drop();
    }
    world.clock.advance(5_000);
    await world.carry();
    assert.equal(world.connection.carrier, "HTTP");
  });
});

suite("when the network is back", () => {
  test("nobody waits for the time of the next attempt", async (t) => {
    const world = await World.opened(t);
    world.webSocket.drop();
    world.connection.hurry();
    world.clock.advance(0);
    assert.equal(world.page.webSockets.length, 2);
    world.connection.hurry(); // it is tried already
    world.clock.advance(0);
    assert.equal(world.page.webSockets.length, 2);
    world.welcome();
    world.connection.hurry();
    world.clock.advance(0);
    assert.deepEqual([world.page.webSockets.length, world.connection.session.state], [2, "attached"]);
  });
});
