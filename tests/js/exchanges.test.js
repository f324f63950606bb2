/**
 * Synchronous exchanges of a connection, alone and beside its WebSocket.
 * @module
 */

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { ANSWER_MAX } from "../../js/carriers/http.js";
import { MessageReader, framesOf } from "../../js/wire.js";
import { HOST, PAGE } from "./line.js";
import { ProxyEnd, unnumbered } from "./proxy.js";
import { World } from "./world.js";

/** @typedef {import("node:test").TestContext} TestContext */

/** A connection over a WebSocket, whose proxy answers exchanges too. @param {TestContext} t @param {{welcome?: object}} [options] */
const besideWebSocket = async (t, options) => (await World.opened(t, options)).exchanging();

/** What the page sent last on a WebSocket. @param {World} world */
function lastMessage(world) {
  const [message] = new MessageReader().feed(world.webSocket.sent[world.webSocket.sent.length - 1]);
  return message;
}

/** The proxy answers each exchange with this. @param {World} world @param {Uint8Array[]} messages */
function answering(world, ...messages) {
  world.page.answerNow = (body) => {
    world.proxy.exchange(body);
    return { status: 200, body: new Uint8Array(Buffer.concat(messages)) };
  };
}

suite("opening by an exchange", () => {
  test("has the page in before it returns; a WebSocket follows", (t) => {
    const world = new World(t).exchanging();
    world.connection.openNow();
    assert.match(world.page.exchanges[0].url, /^http:\/\/127\.0\.0\.1:8765\/pynet\/http\?affinity=[0-9a-f]{16}$/);
    assert.deepEqual([world.connection.session.state, world.connection.carrier], ["detached", ""]);
    assert.equal(world.connection.agent, "fake/1");
    world.welcome();
    assert.deepEqual([world.connection.session.state, world.connection.carrier], ["attached", "WebSocket"]);
    assert.deepEqual(
      world.proxy.greetings.map(({ session, token }) => [session, token]),
      [
        ["", "secret"],
        ["s-17", "secret"],
      ],
    );
    assert.equal(world.connection.reconnects, 0);
  });

  test("lets a program go on at once", (t) => {
    const world = new World(t).exchanging();
    world.connection.openNow();
    const socket = world.connecting();
    world.proxy.answer = ({ type, socket: id }) => {
      if (type === "connect") world.proxy.queue({ type: "connected", socket: id, local: PAGE, peer: HOST });
    };
    assert.equal(world.connection.exchange(1000), true);
    assert.equal(socket.state, "established");
  });

  test("where nobody answers says so, and leaves nothing", (t) => {
    const world = new World(t);
    assert.throws(() => world.connection.openNow(), { name: "ProxyError", code: "unreachable", message: /8765.pynet/ });
    assert.deepEqual([world.connection.over, world.page.webSockets.length, world.clock.timers.size], [true, 0, 0]);
    world.page.turn();
    assert.equal(world.clock.timers.size, 0);
  });

  for (const code of ["token", "origin", "version", "busy"]) {
    test(`a refusal for "${code}" is told with the proxy's sentence`, (t) => {
      const world = new World(t);
      const refused = unnumbered({ type: "refused", socket: 0, code, message: `because of ${code}` });
      world.page.answerNow = () => ({ status: 403, body: refused });
      assert.throws(() => world.connection.openNow(), { name: "ProxyError", code, message: `because of ${code}` });
      assert.deepEqual([world.connection.over, world.page.webSockets.length, world.clock.timers.size], [true, 0, 0]);
    });
  }

  test("where a proxy has no room, another may have", (t) => {
    const world = new World(t).exchanging();
    const busy = unnumbered({ type: "refused", socket: 0, code: "busy", message: "" });
    const { answerNow } = world.page;
    world.page.answerNow = (body) => (world.page.exchanges.length < 3 ? { status: 403, body: busy } : answerNow(body));
    world.connection.openNow();
    assert.deepEqual([world.connection.over, new Set(world.page.exchanges.map(({ url }) => url)).size], [false, 3]);
  });

  test("with a token that fits no greeting is refused", (t) => {
    const world = new World(t, { token: "x".repeat(70_000) }).exchanging();
    assert.throws(() => world.connection.openNow(), { name: "ProxyError", code: "unreachable" });
    assert.equal(world.page.exchanges.length, 0);
  });
});

suite("an exchange beside a WebSocket", () => {
  test("says how long its answer may be held back, in whole milliseconds, and gives up 10 s later", async (t) => {
    const world = await besideWebSocket(t);
    world.connection.exchange(99.5);
    const [[hello, poll]] = world.lastExchange();
    assert.deepEqual([hello.session, hello.token], ["s-17", "secret"]);
    assert.deepEqual([poll.wait, poll.limit], [100, ANSWER_MAX]);
    assert.equal(world.page.exchanges[0].timeout, 10_100);
  });

  test("takes along what was not acknowledged, and nothing arrives twice", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    world.clock.advance(10);
    socket.write(new Uint8Array(3)); // arrives on the WebSocket
    world.webSocket.receive = () => {};
    world.clock.advance(10);
    socket.write(new Uint8Array(5)); // is on its way there
    assert.equal(world.connection.exchange(0), true);
    const carried = world.lastExchange().slice(1);
    assert.deepEqual(
      carried.map(([{ type, data }]) => [type, data?.length]),
      [
        ["data", 3],
        ["data", 5],
      ],
    );
    assert.deepEqual(world.proxy.types(), ["connect", "data", "data"]);
    assert.equal(world.connection.session.link.buffered, 0); // the welcome has acknowledged them
  });

  test("brings what has not arrived on the WebSocket; what comes there as well is dropped", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    const late = world.proxy.say({ type: "data", socket: socket.id, data: new Uint8Array([1, 2, 3]) });
    world.connection.exchange(0);
    assert.equal(socket.available, 3);
    world.webSocket.deliver([...late, ...late]);
    assert.equal(socket.available, 3);
    world.hear({ type: "data", socket: socket.id, data: new Uint8Array([4]) });
    assert.deepEqual([...socket.read(10)], [1, 2, 3, 4]);
  });

  test("brings again what an answer that was lost has brought", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    world.proxy.queue({ type: "data", socket: socket.id, data: new Uint8Array([1, 2, 3]) });
    socket.write(new Uint8Array(5));
    world.webSocket.receive = () => {};
    const { answerNow } = world.page;
    world.page.answerNow = (body) => (world.proxy.exchange(body), null); // the proxy has heard it, and answered
    assert.equal(world.connection.exchange(0), false);
    assert.equal(socket.available, 0);
    world.page.answerNow = answerNow;
    assert.equal(world.connection.exchange(0), true);
    assert.deepEqual([...socket.read(10)], [1, 2, 3]);
    assert.deepEqual(world.proxy.types(), ["connect", "data"]);
  });

  test("gives the WebSocket 64 KiB in one stretch, and exchanges the rest", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    world.hear({ type: "window", socket: socket.id, credit: 10 << 20 });
    world.connection.exchange(0);
    world.webSocket.receive = () => {}; // it moves nothing until the page has a turn
    const before = world.webSocket.sent.length;
    for (let count = 0; count < 40; count++) {
      socket.write(new Uint8Array(20_000));
      world.clock.advance(2);
    }
    const sent = () => world.webSocket.sent.slice(before).reduce((sum, { length }) => sum + length, 0);
    const given = sent();
    assert.ok(given > 64 * 1024 && given < 64 * 1024 + 20_100, `${given} bytes`);
    world.connection.exchange(0);
    assert.equal(world.proxy.types().filter((type) => type === "data").length, 40);
    socket.write(new Uint8Array(100));
    world.connection.session.flush(); // as when a program is about to wait
    assert.equal(sent(), given);

    world.webSocket.receive = world.proxy.carrier(); // the page has a turn
    world.page.turn();
    assert.deepEqual(world.proxy.types(), ["data"]);
  });

  test("takes no more along than a request may hold; the next one goes on", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    world.hear({ type: "window", socket: socket.id, credit: 10 << 20 });
    world.webSocket.receive = () => {};
    world.connection.exchange(0);
    for (let count = 0; count < 30; count++) socket.write(new Uint8Array(100_000));
    const waits = [];
    while (world.proxy.heard.filter(({ type }) => type === "data").length < 30) {
      world.connection.exchange(1000);
      waits.push(world.lastExchange()[0][1].wait);
      assert.ok(world.page.exchanges[world.page.exchanges.length - 1].body.length < 1.1 * (1 << 20));
    }
    assert.ok(waits.length >= 3 && waits.length <= 4);
    // The proxy has nothing to say before all of it has come.
    assert.deepEqual(waits, [...Array(waits.length - 1).fill(0), 1000]);
  });

  test("is followed by an acknowledgement on the WebSocket, as soon as the page has a turn", async (t) => {
    const world = await besideWebSocket(t);
    const sent = world.webSocket.sent.length;
    for (let count = 0; count < 3; count++) world.connection.exchange(0);
    assert.deepEqual([world.webSocket.sent.length, world.page.turns.length], [sent, 1]);
    world.page.turn();
    assert.equal(world.webSocket.sent.length, sent + 1);
    const { number, body } = lastMessage(world);
    assert.deepEqual([number, body.length], [0, 0]);
    world.connection.exchange(0);
    assert.equal(world.page.turns.length, 1); // another stretch
  });

  test("in a stretch of many minutes harms no WebSocket: nothing could be heard from it", async (t) => {
    const world = await besideWebSocket(t, { welcome: { keepalive: 20_000 } });
    world.clock.advance(20_000); // it has been probed
    world.connection.exchange(0);
    world.clock.now += 300_000; // no timer goes off meanwhile
    world.page.turn();
    world.clock.advance(1);
    assert.deepEqual([world.connection.session.state, world.webSocket.state], ["attached", "open"]);
  });

  test("that failed makes the page take another WebSocket at its turn, on which all is sent again", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    const { answerNow } = world.page;
    world.page.answerNow = () => null;
    world.webSocket.receive = () => {};
    socket.write(new Uint8Array(3));
    assert.equal(world.connection.exchange(0), false);
    assert.equal(world.webSocket.state, "open");
    world.page.turn();
    assert.deepEqual([world.page.webSockets[0].state, world.connection.session.state], ["closed", "detached"]);
    assert.equal(world.page.webSockets[0].code, undefined); // the session is to be kept
    world.page.answerNow = answerNow;
    world.clock.advance(100);
    world.welcome();
    assert.deepEqual(world.proxy.types(), ["connect", "data"]);
  });

  test("that failed before one that did not leaves the WebSocket as it is", async (t) => {
    const world = await besideWebSocket(t);
    const { answerNow } = world.page;
    world.page.answerNow = () => null;
    world.connection.exchange(0);
    world.page.answerNow = answerNow;
    assert.equal(world.connection.exchange(0), true);
    world.page.turn();
    assert.deepEqual([world.page.webSockets.length, world.webSocket.state], [1, "open"]);
  });

  test("hears of a proxy that drains", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    answering(world, world.proxy.welcomeAlone(), unnumbered({ type: "goaway", socket: 0, code: "drain", message: "" }));
    world.connection.exchange(0);
    assert.deepEqual([world.connection.draining, world.connection.over, socket.state], [true, false, "established"]);
  });
});

suite("an exchange while there is no carrier", () => {
  test("keeps the session alive, for as long again as its grace", async (t) => {
    const world = await besideWebSocket(t, { welcome: { grace: 3_000 } });
    const socket = world.connected();
    world.webSocket.drop();
    for (let count = 0; count < 5; count++) {
      world.clock.advance(2_000);
      assert.equal(world.connection.exchange(0), true);
      world.page.turn();
    }
    assert.equal(socket.state, "established");
    world.clock.advance(2_999);
    assert.equal(socket.state, "established");
    world.clock.advance(1);
    assert.equal(socket.takeError()?.code, "ETIMEDOUT");
  });

  test("does not stand in the way of the next WebSocket", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    world.webSocket.drop();
    world.connection.exchange(0);
    world.page.turn();
    world.clock.advance(100);
    world.welcome();
    assert.deepEqual([world.connection.carrier, socket.state], ["WebSocket", "established"]);
  });

  test("before the first welcome gives up the WebSocket that is tried: it may have begun another session", (t) => {
    const world = new World(t).exchanging();
    world.connection.begin();
    const [first] = world.page.webSockets;
    world.accept(); // and the welcome is on its way
    const socket = world.connecting();
    assert.equal(world.connection.exchange(0), true);
    assert.deepEqual([first.state, first.code], ["closed", 1000]);
    first.deliver(new ProxyEnd({ session: "s-99" }).welcome());
    world.page.turn();
    world.clock.advance(0);
    assert.equal(world.page.webSockets.length, 2);
    world.welcome();
    assert.deepEqual([world.proxy.greetings.at(-1)?.session, world.proxy.types()], ["s-17", ["connect"]]);
    assert.equal(socket.state, "connecting");
  });

  test("that is the first, and fails, lets a carrier be tried again", (t) => {
    const world = new World(t);
    world.connection.begin();
    assert.equal(world.connection.exchange(0), false);
    world.page.turn();
    world.clock.advance(0);
    assert.equal(world.page.webSockets.length, 2);
    world.welcome();
    assert.equal(world.connection.session.state, "attached");
  });
});

suite("exchanges that fail", () => {
  test("for as long as the grace end the session: its sockets time out", async (t) => {
    const world = await World.opened(t, { welcome: { grace: 3_000 } });
    const socket = world.connected();
    world.connection.exchange(0);
    world.clock.now += 2_999;
    world.connection.exchange(0);
    assert.equal(socket.state, "established");
    world.clock.now += 1;
    world.connection.exchange(0);
    assert.equal(socket.takeError()?.code, "ETIMEDOUT");
    assert.equal(world.connection.over, true);
    const { length } = world.page.exchanges;
    assert.equal(world.connection.exchange(0), false);
    assert.equal(world.page.exchanges.length, length); // there is nobody to ask any more
    world.page.turn();
    assert.equal(world.clock.timers.size, 0);
  });

  test("with one that did not between them do not", async (t) => {
    const world = await World.opened(t, { welcome: { grace: 3_000 } });
    const socket = world.connected();
    for (let count = 0; count < 5; count++) {
      world.page.answerNow = () => null;
      world.connection.exchange(0);
      world.clock.now += 2_900;
      world.exchanging();
      world.connection.exchange(0);
    }
    assert.equal(socket.state, "established");
  });

  test("from the beginning are not tried for ever", (t) => {
    const world = new World(t);
    world.connection.begin();
    const socket = world.connecting();
    world.connection.exchange(0);
    world.clock.now += 9_999;
    world.connection.exchange(0);
    assert.equal(socket.state, "connecting");
    world.clock.now += 1;
    world.connection.exchange(0);
    assert.equal(socket.takeError()?.code, "ENETUNREACH");
  });

  const STRANGERS = /** @type {Record<string, {status: number, body: Uint8Array}>} */ ({
    "another status": { status: 502, body: new Uint8Array(0) },
    "a page for people": { status: 200, body: new TextEncoder().encode("<!doctype html><title>Welcome</title>") },
    nothing: { status: 200, body: new Uint8Array(0) },
    noise: { status: 200, body: Uint8Array.from({ length: 500 }, (_, index) => (index * 7919) % 256) },
  });
  for (const [what, answer] of Object.entries(STRANGERS)) {
    test(`by ${what} end nothing`, async (t) => {
      const world = await World.opened(t);
      const socket = world.connected();
      world.page.answerNow = () => answer;
      assert.equal(world.connection.exchange(0), false);
      assert.deepEqual([socket.state, world.connection.over], ["established", false]);
      world.exchanging();
      assert.equal(world.connection.exchange(0), true);
    });
  }

  test("since the proxy is too busy end nothing", async (t) => {
    const world = await World.opened(t);
    const socket = world.connected();
    const refused = unnumbered({ type: "refused", socket: 0, code: "busy", message: "" });
    world.page.answerNow = () => ({ status: 403, body: refused });
    assert.equal(world.connection.exchange(0), false);
    assert.equal(socket.state, "established");
  });
});

suite("an answer that ends the session", () => {
  for (const [code, errno] of [
    ["session", "ECONNRESET"],
    ["token", "ENETUNREACH"],
  ]) {
    test(`is a refusal for "${code}"`, async (t) => {
      const world = await World.opened(t);
      const socket = world.connected();
      const refused = unnumbered({ type: "refused", socket: 0, code, message: `because of ${code}` });
      world.page.answerNow = () => ({ status: 403, body: refused });
      world.connection.exchange(0);
      assert.deepEqual([socket.takeError()?.code, socket.reported?.message], [errno, `because of ${code}`]);
      assert.deepEqual([world.webSocket.state, world.connection.over], ["closed", true]);
    });
  }

  test("is a goaway; what is behind that means nothing", async (t) => {
    const world = await World.opened(t);
    const socket = world.connected();
    const behind = world.proxy.say({ type: "data", socket: socket.id, data: new Uint8Array(1) });
    const goaway = unnumbered({ type: "goaway", socket: 0, code: "expired", message: "the moon is down" });
    answering(world, world.proxy.welcomeAlone(), goaway, ...behind, world.proxy.welcomeAlone());
    world.connection.exchange(0);
    assert.deepEqual([socket.takeError()?.code, socket.available], ["ECONNRESET", 0]);
    assert.equal(socket.reported?.message, "the proxy ended the session: the moon is down");
    assert.equal(world.page.requests.length, 0); // nobody is told that it was wrong
  });

  test("is one that says that the page broke the protocol", async (t) => {
    const world = await World.opened(t);
    const socket = world.connected();
    const goaway = unnumbered({ type: "goaway", socket: 0, code: "protocol", message: "it is too long" });
    world.page.answerNow = () => ({ status: 400, body: goaway });
    world.connection.exchange(0);
    assert.deepEqual([socket.takeError()?.code, world.connection.over], ["ECONNRESET", true]);
  });

  // misbehaviour.test.js has what may be behind a welcome.
  const WRONG = /** @type {Record<string, (world: World) => Uint8Array[]>} */ ({
    "a welcome to another session": () => new ProxyEnd({ session: "s-99" }).welcome(),
    "a welcome that has seen what was never sent": ({ proxy }) => [
      unnumbered({ type: "welcome", socket: 0, ...proxy.fields, seen: 1000 }),
    ],
    "noise behind the welcome": ({ proxy }) => [proxy.welcomeAlone(), new Uint8Array(40).fill(0xff)],
  });
  for (const [what, make] of Object.entries(WRONG)) {
    test(`is ${what}, which the proxy is told`, async (t) => {
      const world = await World.opened(t);
      const socket = world.connected();
      answering(world, ...make(world));
      world.connection.exchange(0);
      assert.equal(socket.takeError()?.code, "ECONNRESET");
      assert.match(socket.reported?.message ?? "", /^the proxy sent what it should not: ./);
      assert.deepEqual([world.lastAside()?.type, world.lastAside()?.code], ["goaway", "protocol"]);
      assert.deepEqual([world.webSocket.state, world.connection.over], ["closed", true]);
      world.page.turn();
      assert.equal(world.clock.timers.size, 0);
    });
  }

  test("cut short anywhere brings what is whole, and the next one the rest", async (t) => {
    for (let length = 0; length < 300; length += 7) {
      const world = await World.opened(t);
      const socket = world.connected();
      for (const byte of [1, 2, 3]) {
        world.proxy.say({ type: "data", socket: socket.id, data: new Uint8Array(20).fill(byte) });
      }
      world.page.answerNow = (body) => ({ status: 200, body: world.proxy.exchange(body).slice(0, length) });
      world.connection.exchange(0);
      world.exchanging();
      assert.equal(world.connection.exchange(0), true);
      assert.deepEqual([socket.state, socket.available], ["established", 60]);
    }
  });
});

suite("the end beside exchanges", () => {
  /** Frames of a request, message by message. @param {{body: Uint8Array}} request */
  const said = ({ body }) => [...new MessageReader().feed(body)].map((message) => [...framesOf(message.body)].map(({ type }) => type));

  test("is said on the WebSocket, behind all that waited for an exchange", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    world.hear({ type: "window", socket: socket.id, credit: 1 << 20 });
    world.connection.exchange(0);
    for (let count = 0; count < 20; count++) socket.write(new Uint8Array(20_000));
    world.connection.close();
    const frames = world.proxy.types();
    assert.equal(frames.filter((type) => type === "data").length, 20);
    assert.deepEqual([world.lastAside()?.type, world.page.requests.length], ["goaway", 0]);
  });

  test("where no WebSocket is, is said in a request that outlives the page", async (t) => {
    const world = await besideWebSocket(t);
    const socket = world.connected();
    world.webSocket.drop();
    socket.write(new Uint8Array(5));
    world.connection.close();
    const { init } = world.page.request;
    assert.equal(init.keepalive, true);
    assert.deepEqual(said(world.page.request), [["hello", "poll"], ["data"], ["goaway"]]);
    assert.deepEqual([world.connection.over, world.clock.timers.size], [true, 0]);
  });

  test("before the first welcome is said to nobody: a WebSocket that is tried is closed as done", (t) => {
    const world = new World(t);
    world.connection.begin();
    world.accept();
    world.connection.close();
    assert.deepEqual([world.webSocket.code, world.page.requests.length], [1000, 0]);
  });
});
