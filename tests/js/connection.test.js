import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { MessageReader, encodeMessage, framesOf } from "../../js/wire.js";
import { HOST, PAGE } from "./line.js";
import { frameOfKind, unnumbered } from "./proxy.js";
import { URL_OF_PROXY, World } from "./world.js";

suite("opening", () => {
  test("a page greets, and is in when it is welcomed", async (t) => {
    const world = await World.opened(t);
    const { webSocket, proxy, connection } = world;
    assert.deepEqual(
      [webSocket.url.split("?")[0], webSocket.subprotocol, webSocket.binaryType],
      [URL_OF_PROXY, "pynet.v1", "arraybuffer"],
    );
    const [{ number, body }] = new MessageReader().feed(webSocket.sent[0]);
    const [hello] = framesOf(body);
    assert.deepEqual([number, hello.type, hello.token, hello.agent], [0, "hello", "secret", "test/1"]);
    assert.deepEqual([connection.session.state, connection.agent], ["attached", proxy.fields.agent]);
    assert.equal(world.page.webSockets.length, 1);
  });

  test("a welcome may come byte by byte", async (t) => {
    const world = new World(t);
    const opening = world.connection.open();
    world.welcome(1);
    await opening;
  });

  test("nothing is sent behind the greeting until it is answered", async (t) => {
    const world = new World(t);
    const opening = world.connection.open();
    world.connecting();
    world.accept();
    assert.equal(world.webSocket.sent.length, 1);
    world.webSocket.deliver(world.proxy.welcome());
    await opening;
    assert.deepEqual(world.proxy.types(), ["connect"]);
  });

  test("where nobody answers, that is said as soon as both kinds of carriers have failed", async (t) => {
    const world = new World(t);
    const told = assert.rejects(world.connection.open(), {
      name: "ProxyError",
      code: "unreachable",
      message: /127\.0\.0\.1:8765\/pynet \(WebSocket: code 1006; HTTP: Failed to fetch\)/,
    });
    world.webSocket.drop();
    await world.loseRequests();
    await told;
    assert.deepEqual([world.page.webSockets.length, world.page.requests.length], [1, 1]);
    assert.equal(world.clock.timers.size, 0);
  });

  test("where WebSockets are blocked, exchanges over HTTP do", async (t) => {
    const world = await World.overHTTP(t);
    assert.match(world.page.requests[0].url, /^http:\/\/127\.0\.0\.1:8765\/pynet\/http\?affinity=[0-9a-f]{16}$/);
    assert.deepEqual([world.connection.session.state, world.connection.carrier], ["attached", "HTTP"]);
    world.connecting();
    await world.carry();
    assert.deepEqual(world.proxy.types(), ["connect"]);
  });

  test("a carrier that is cut in the middle of the welcome is no carrier", async (t) => {
    const world = new World(t);
    const told = assert.rejects(world.connection.open(), { code: "unreachable", message: /WebSocket: code 1001/ });
    world.accept();
    world.webSocket.deliver([world.proxy.welcome()[0].slice(0, 30)]);
    world.webSocket.drop("", 1001);
    await world.loseRequests();
    await told;
  });

  test("a proxy that never answers is given up", async (t) => {
    const world = new World(t);
    const opening = world.connection.open();
    world.accept();
    world.clock.advance(3_999);
    assert.equal(world.page.requests.length, 0);
    world.clock.advance(4_001);
    await assert.rejects(opening, { code: "unreachable", message: /WebSocket: no answer in time; HTTP: no answer in/ });
    assert.deepEqual([world.webSocket.state, world.page.request.state], ["closed", "aborted"]);
    assert.equal(world.clock.timers.size, 0);
  });

  for (const code of ["token", "origin", "version"]) {
    test(`a refusal for "${code}" is told with the proxy's sentence`, async (t) => {
      const world = new World(t);
      const opening = world.connection.open();
      const socket = world.connecting();
      world.refuse(code);
      await assert.rejects(opening, { name: "ProxyError", code, message: `because of ${code}` });
      assert.equal(socket.takeError()?.code, "ENETUNREACH");
      assert.equal(world.clock.timers.size, 0);
    });
  }

  test("a proxy without room is asked again, and then believed", async (t) => {
    const world = new World(t);
    const opening = world.connection.open();
    const socket = world.connecting();
    const addresses = new Set();
    for (let knock = 0; knock < 5; knock++) {
      addresses.add(world.webSocket.url);
      world.refuse("busy");
      world.clock.advance(1_000);
    }
    await assert.rejects(opening, { name: "ProxyError", code: "busy", message: "because of busy" });
    assert.equal(addresses.size, 5);
    assert.equal(socket.takeError()?.code, "ENETUNREACH");
    assert.equal(world.clock.timers.size, 0);
  });

  test("another proxy that has room is taken", async (t) => {
    const world = new World(t);
    const opening = world.connection.open();
    world.refuse("busy");
    world.clock.advance(750);
    world.welcome();
    await opening;
    assert.equal(world.connection.carrier, "WebSocket");
  });

  test("an address that is none, or a token that fits no greeting, is refused", async (t) => {
    for (const options of [{ url: "no url" }, { token: "x".repeat(70_000) }]) {
      const world = new World(t, options);
      await assert.rejects(world.connection.open(), { name: "ProxyError", code: "unreachable" });
      assert.equal(world.clock.timers.size, 0);
    }
  });
});

suite("a carrier that is lost", () => {
  test("is replaced, and the session goes on where it was", async (t) => {
    const world = await World.opened(t);
    const socket = world.connected();
    world.webSocket.receive = () => {}; // what is sent from now on is lost
    socket.write(new Uint8Array(3));
    world.webSocket.drop();
    assert.equal(world.connection.session.state, "detached");
    world.clock.advance(100);
    world.welcome();
    assert.deepEqual([world.connection.session.state, world.connection.reconnects], ["attached", 1]);
    assert.deepEqual(world.proxy.types(), ["connect", "data"]);
    const [, resumed] = world.proxy.greetings;
    assert.deepEqual([resumed.session, resumed.seen], ["s-17", 1]);
    world.hear({ type: "data", socket: socket.id, data: new Uint8Array(5) });
    assert.deepEqual([socket.state, socket.available], ["established", 5]);
  });

  test("is replaced by many attempts if need be, with pauses that grow to a bound", async (t) => {
    const world = await World.opened(t, { welcome: { grace: 40_000 } });
    const { page, clock } = world;
    const attempts = () => [...page.webSockets, ...page.requests];
    const [pauses, kinds] = [/** @type {number[]} */ ([]), /** @type {string[]} */ ([])];
    world.webSocket.drop();
    for (let count = 0; count < 9; count++) {
      const [lost, before] = [clock.now, attempts()];
      while (attempts().length === before.length) clock.advance(1);
      pauses.push(clock.now - lost);
      kinds.push(page.waiting.length ? "HTTP" : "WebSocket");
      if (page.waiting.length) await world.loseRequests();
      else world.webSocket.drop();
    }
    assert.deepEqual(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    assert.equal(kinds.map(([first]) => first).join(""), "WWWHWWWHW");
  });

  test("is replaced after a part of the pause that chance decides", async (t) => {
    const world = await World.opened(t);
    world.page.chance = 0.25;
    world.webSocket.drop();
    world.clock.advance(24);
    assert.equal(world.page.webSockets.length, 1);
    world.clock.advance(1);
    assert.equal(world.page.webSockets.length, 2);
  });

  test("soon after its welcome makes the pauses go on growing; one that lasted lets them begin anew", async (t) => {
    const world = await World.opened(t);
    const pauses = [];
    for (const lasted of [0, 4_999, 0, 5_000, 0]) {
      world.clock.advance(lasted);
      world.webSocket.drop();
      const [timer] = world.clock.timers;
      pauses.push(timer.due - world.clock.now);
      world.clock.advance(pauses[pauses.length - 1]);
      world.welcome();
    }
    assert.deepEqual(pauses, [100, 200, 400, 100, 200]);
  });

  test("is not waited for by an attempt that hangs: another is made", async (t) => {
    const world = await World.opened(t);
    world.webSocket.drop();
    world.clock.advance(100);
    const hanging = world.webSocket;
    world.clock.advance(10_200);
    assert.equal(world.page.webSockets.length, 3);
    assert.equal(hanging.state, "closed");
    world.welcome();
    assert.equal(world.connection.session.state, "attached");
  });

  test("for longer than the grace is the end of the session: its sockets time out", async (t) => {
    const world = await World.opened(t, { welcome: { grace: 3_000 } });
    const socket = world.connected();
    world.webSocket.drop();
    for (let count = 0; count < 3; count++) {
      world.clock.advance(999);
      world.webSocket.drop();
    }
    assert.equal(socket.state, "established");
    world.clock.advance(3);
    assert.equal(socket.takeError()?.code, "ETIMEDOUT");
    assert.equal(world.connection.over, true);
    assert.equal(world.clock.timers.size, 0);
    assert.throws(() => world.connecting(), { code: "ENETDOWN" });
  });

  test("with an acknowledgement owed sets off no timer but that of the next attempt", async (t) => {
    const world = await World.opened(t);
    world.connected();
    world.webSocket.drop();
    world.clock.advance(100);
    const { fired } = world.clock;
    world.clock.advance(9_000);
    assert.equal(world.clock.fired, fired);
  });

  test("says nothing any more: its events mean nothing", async (t) => {
    const world = await World.opened(t);
    const stale = world.webSocket;
    const socket = world.connecting();
    stale.drop();
    world.clock.advance(100);
    const messages = world.proxy.say({ type: "connected", socket: socket.id, local: PAGE, peer: HOST });
    stale.deliver([...messages, unnumbered({ type: "goaway", socket: 0, code: "shutdown", message: "" })]);
    stale.drop();
    stale.open();
    assert.equal(world.page.webSockets.length, 2);
    assert.equal(socket.state, "connecting");
    world.welcome();
    assert.equal(socket.state, "established");
  });

  test("does not end the session if the proxy is too busy to take the next", async (t) => {
    const world = await World.opened(t);
    const socket = world.connected();
    world.webSocket.drop();
    world.clock.advance(100);
    world.refuse("busy");
    world.clock.advance(200);
    world.welcome();
    assert.equal(socket.state, "established");
  });
});

suite("a session that is over", () => {
  test("at the proxy resets its sockets", async (t) => {
    const world = await World.opened(t);
    const socket = world.connected();
    world.webSocket.drop();
    world.clock.advance(100);
    world.refuse("session");
    assert.deepEqual([socket.takeError()?.code, socket.reported?.message], ["ECONNRESET", "because of session"]);
    assert.deepEqual([world.connection.over, world.clock.timers.size], [true, 0]);
  });

  test("is said by a goaway; what is behind that means nothing", async (t) => {
    const world = await World.opened(t);
    const socket = world.connected();
    const goaway = unnumbered({ type: "goaway", socket: 0, code: "shutdown", message: "the proxy stops" });
    const behind = [
      ...world.proxy.say({ type: "data", socket: socket.id, data: new Uint8Array(1) }),
      ...world.proxy.welcome(),
    ];
    world.webSocket.deliver([new Uint8Array(Buffer.concat([goaway, ...behind]))]);
    assert.deepEqual([socket.takeError()?.code, socket.available], ["ECONNRESET", 0]);
    assert.equal(socket.reported?.message, "the proxy ended the session: the proxy stops");
    assert.equal(world.connection.session.state, "closed");
    assert.deepEqual([world.webSocket.state, world.clock.timers.size], ["closed", 0]);
  });
});

suite("beginning", () => {
  test("may take a while, but not for ever", async (t) => {
    const world = new World(t);
    world.connection.begin();
    const socket = world.connecting();
    while (socket.state === "connecting") {
      world.webSocket.drop();
      world.clock.advance(500);
      assert.ok(world.clock.now < 20_000);
    }
    assert.equal(socket.takeError()?.code, "ENETUNREACH");
    assert.equal(world.clock.timers.size, 0);
  });

  test("with an address that is none leaves no socket waiting", async (t) => {
    const world = new World(t, { url: "no url" });
    world.connection.begin();
    const socket = world.connecting();
    world.clock.advance(10_000);
    await world.page.settle();
    assert.equal(socket.takeError()?.code, "ENETUNREACH");
    assert.equal(world.clock.timers.size, 0);
  });

  test("goes on though the proxy is too busy at first", async (t) => {
    const world = new World(t);
    world.connection.begin();
    const socket = world.connecting();
    world.refuse("busy");
    assert.equal(socket.state, "connecting");
    world.clock.advance(750);
    world.welcome();
    assert.deepEqual([world.connection.carrier, world.proxy.types()], ["WebSocket", ["connect"]]);
  });
});

suite("closing", () => {
  test("tells the proxy, fails the sockets, and leaves no timer", async (t) => {
    const world = await World.opened(t);
    const socket = world.connected(); // for which an acknowledgement is owed
    world.connection.close();
    world.connection.close();
    assert.deepEqual([world.lastAside()?.type, world.lastAside()?.code], ["goaway", "shutdown"]);
    assert.equal(world.proxy.aside.filter(({ type }) => type === "goaway").length, 1);
    assert.equal(socket.takeError()?.code, "ENETDOWN");
    assert.deepEqual([world.webSocket.state, world.clock.timers.size], ["closed", 0]);
  });

  test("is for good: a later socket finds no network, and no WebSocket is opened", async (t) => {
    const world = await World.opened(t);
    world.connection.close();
    assert.throws(() => world.connecting(), { code: "ENETDOWN" });
    world.clock.advance(100_000);
    assert.equal(world.page.webSockets.length, 1);
  });

  test("while it opens is told to whoever waits", async (t) => {
    const world = new World(t);
    const opening = world.connection.open();
    world.connection.close();
    await assert.rejects(opening, { code: "ENETDOWN" });
    assert.deepEqual([world.webSocket.state, world.clock.timers.size], ["closed", 0]);
  });

  test("while it waits for the next attempt ends the waiting", async (t) => {
    const world = await World.opened(t);
    world.webSocket.drop();
    world.connection.close();
    world.clock.advance(100_000);
    assert.deepEqual([world.page.webSockets.length, world.clock.timers.size], [1, 0]);
  });
});

suite("keep-alive", () => {
  const WELCOME = { keepalive: 20_000 };

  test("a silent proxy is probed, and given up if that brings no sign", async (t) => {
    const world = await World.opened(t, { welcome: WELCOME });
    world.proxy.aside = [];
    world.clock.advance(19_999);
    assert.deepEqual(world.proxy.aside, []);
    world.clock.advance(1);
    assert.equal(world.lastAside()?.type, "ping");
    world.clock.advance(19_999);
    assert.equal(world.connection.session.state, "attached");
    world.clock.advance(1);
    assert.equal(world.connection.session.state, "detached");
    assert.equal(world.page.webSockets[0].state, "closed");
    world.clock.advance(100);
    assert.equal(world.page.webSockets.length, 2);
  });

  test("anything that comes is a sign of life, be it part of a message", async (t) => {
    const world = await World.opened(t, { welcome: WELCOME });
    world.proxy.aside = [];
    const message = unnumbered({ type: "pong", socket: 0, stamp: 1 });
    for (const byte of message.subarray(0, 20)) {
      world.clock.advance(19_999);
      world.webSocket.deliver([Uint8Array.of(byte)]);
    }
    assert.deepEqual(world.proxy.aside, []);
  });

  test("a proxy that asks for it all the time is not heeded", async (t) => {
    const world = await World.opened(t, { welcome: { keepalive: 0 } });
    world.proxy.aside = [];
    world.clock.advance(999);
    assert.deepEqual(world.proxy.aside, []);
    world.clock.advance(1);
    assert.equal(world.proxy.aside.length, 1);
  });

  test("a proxy that wants it once in many days sets no timer off at once", async (t) => {
    const world = await World.opened(t, { welcome: { keepalive: 2 ** 32 - 1, grace: 2 ** 32 - 1 } });
    world.clock.advance(4_000); // the time of the first attempt is over
    const [timer] = world.clock.timers;
    assert.equal(timer.due - world.clock.now, 2 ** 31 - 1); // browsers take a longer one for none
  });

  test("a ping is answered", async (t) => {
    const world = await World.opened(t);
    world.webSocket.deliver([unnumbered({ type: "ping", socket: 0, stamp: 77 })]);
    assert.deepEqual(world.lastAside(), { type: "pong", socket: 0, stamp: 77 });
  });

  test("the round trip is that of our own ping, and of no other", async (t) => {
    const world = await World.opened(t);
    const ping = world.lastAside();
    assert.equal(ping?.type, "ping");
    world.clock.advance(25);
    for (const stamp of [1, 2 ** 53 - 1])
      world.webSocket.deliver([unnumbered({ type: "pong", socket: 0, stamp })]);
    assert.equal(world.connection.roundTrip, null);
    world.webSocket.deliver([unnumbered({ type: "pong", socket: 0, stamp: ping?.stamp })]);
    assert.equal(world.connection.roundTrip, 25);
  });
});

test("an acknowledgement that finds nothing to ride on leaves in time", async (t) => {
  const world = await World.opened(t);
  world.connected();
  world.clock.advance(99);
  assert.equal(world.proxy.acknowledged, 0);
  world.clock.advance(1);
  assert.equal(world.proxy.acknowledged, 1);
});

test("a kind of frame that is not known is answered beside the session too", async (t) => {
  const world = await World.opened(t);
  world.webSocket.deliver([encodeMessage(0, 0, [frameOfKind(0x77, 5)])]);
  assert.deepEqual(world.lastAside(), { type: "unknown", socket: 5, kind: 0x77 });
});
