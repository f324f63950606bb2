import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { WRITABLE } from "../../js/endpoint.js";
import { ProtocolError, SocketError } from "../../js/errors.js";
import { TRANSITIONS } from "../../js/session.js";
import { Socket } from "../../js/socket.js";
import { World, attached } from "./carried.js";
import { TARGET } from "./line.js";
import { frameOfKind, unnumbered } from "./proxy.js";

/** @typedef {import("../../js/wire.js").Frame} Frame */

/** @param {number} stamp */
const ping = (stamp) => /** @type {Frame} */ ({ type: "ping", socket: 0, stamp });

const FAILED = /** @type {Frame} */ ({ type: "failed", socket: 0, code: "EAI_FAIL", message: "" });

suite("states", () => {
  const EVENTS = /** @type {Record<string, (world: World) => void>} */ ({
    attach: (world) => world.deliverWelcome(world.proxy.welcomeAlone()),
    lose: (world) => world.session.lose(),
    close: (world) => world.session.close(new SocketError("ECONNRESET")),
  });
  const REACH = /** @type {Record<string, string[]>} */ ({
    fresh: [],
    attached: ["attach"],
    detached: ["attach", "lose"],
    closed: ["close"],
  });

  for (const [state, path] of Object.entries(REACH)) {
    for (const [event, happen] of Object.entries(EVENTS)) {
      const next = TRANSITIONS[state][event];
      test(`${event} makes a session that is ${state} ${next ?? "nothing else"}`, () => {
        const world = new World();
        for (const step of path) EVENTS[step](world);
        if (event === "attach" && !next) assert.throws(() => happen(world), ProtocolError);
        else happen(world);
        assert.equal(world.session.state, next ?? state);
      });
    }
  }
});

suite("when frames leave", () => {
  test("the first after a pause leaves at once", () => {
    const world = attached();
    world.session.send(ping(1));
    assert.equal(world.sent.length, 1);
    world.clock += 1;
    world.session.send(ping(2));
    assert.equal(world.sent.length, 2);
  });

  test("those on its heels leave together when the program gives way", () => {
    const world = attached();
    for (let stamp = 0; stamp < 100; stamp++) world.session.send(ping(stamp));
    assert.equal(world.sent.length, 1);
    assert.equal(world.scheduled.length, 1);
    world.giveWay();
    assert.equal(world.sent.length, 2);
    assert.equal(world.proxy.heard.length, 100);
    world.session.send(ping(100));
    assert.equal(world.scheduled.length, 1); // it is asked anew
  });

  test("so much as is worth a message leaves without waiting", () => {
    const world = attached();
    world.session.sendData(1, new Uint8Array(1));
    for (let count = 0; count < 15; count++) world.session.sendData(1, new Uint8Array(1024));
    assert.equal(world.sent.length, 1);
    world.session.sendData(1, new Uint8Array(1024));
    assert.equal(world.sent.length, 2);
  });

  test("a message never grows beyond what is fast, and all leave in order", () => {
    const world = new World();
    for (let stamp = 0; stamp < 3; stamp++) world.session.sendData(stamp, new Uint8Array(200_000));
    world.attach();
    assert.deepEqual(world.proxy.numbers, [1, 2, 3]);
    assert.deepEqual(
      world.proxy.heard.map(({ socket }) => socket),
      [0, 1, 2],
    );
  });

  test("without a carrier nothing leaves, and with the next one all does", () => {
    const world = new World();
    world.session.send(ping(1));
    world.attach();
    world.session.lose();
    world.clock += 10;
    world.session.send(ping(2));
    world.session.flush();
    world.giveWay();
    assert.deepEqual(world.sent, []);
    world.attach();
    assert.deepEqual(world.proxy.types(), ["ping", "ping"]);
  });
});

suite("acknowledgements", () => {
  test("ride on what leaves", () => {
    const world = attached();
    world.hear(ping(1));
    world.session.send(ping(2));
    assert.equal(world.proxy.acknowledged, 1);
    world.clock += 1000;
    world.session.flush();
    assert.equal(world.sent.length, 1);
  });

  test("leave alone when nothing else does in time", () => {
    const world = attached();
    world.hear(ping(1));
    world.clock += 99;
    world.session.flush();
    assert.deepEqual(world.sent, []);
    world.clock += 1;
    world.session.flush();
    assert.deepEqual([world.sent.length, world.proxy.acknowledged], [1, 1]);
  });

  test("leave at once when the proxy can keep little more", () => {
    const world = attached({ replay: 8000 });
    world.hear({ type: "data", socket: 2, data: new Uint8Array(500) });
    assert.deepEqual(world.sent, []);
    world.hear({ type: "data", socket: 2, data: new Uint8Array(500) });
    assert.equal(world.proxy.acknowledged, 2);
  });

  test("to a proxy that keeps nothing leave with each message", () => {
    const world = attached({ replay: 0 });
    world.hear(ping(1));
    world.hear(ping(2));
    assert.equal(world.sent.length, 2);
  });
});

suite("requests", () => {
  test("are answered by their numbers, in any order", () => {
    const world = attached();
    const [first, second] = [world.resolve("one.example"), world.resolve("two.example")];
    world.giveWay();
    const [one, two] = world.proxy.heard.map(({ socket }) => socket);
    const answer = { type: "resolved", port: 0, canonical: "two", addresses: [] };
    world.hear({ ...answer, socket: two });
    world.hear({ type: "failed", socket: one, code: "EAI_NONAME", message: "no such name" });
    assert.deepEqual(second, [[null, { ...answer, socket: two }]]);
    const [[error, nothing]] = first;
    assert.ok(error instanceof SocketError);
    assert.deepEqual([error.code, error.message, nothing], ["EAI_NONAME", "no such name", null]);
  });

  test("are answered once", () => {
    const world = attached();
    const answers = world.resolve("one.example");
    const failed = { ...FAILED, socket: world.proxy.heard[0].socket };
    world.hear(failed, failed);
    world.hear({ ...failed, socket: 99 }); // of a request that was never made
    world.session.close(new SocketError("ECONNRESET"));
    assert.equal(answers.length, 1);
  });

  test("that nobody answers are limited, and room is made by answers", () => {
    const world = attached();
    for (let count = 0; count < 256; count++) world.resolve("host.example");
    const [[error]] = world.resolve("host.example");
    assert.equal(error.code, "EAI_AGAIN");
    world.giveWay();
    assert.equal(world.proxy.heard.length, 256);
    world.hear({ ...FAILED, socket: world.proxy.heard[0].socket });
    assert.deepEqual(world.resolve("host.example"), []);
  });

  for (const [what, host] of Object.entries({ "too long": "a".repeat(70_000), "no text": "\ud800.example" })) {
    test(`for a name that is ${what} fail at once, and leave no trace`, () => {
      const world = attached();
      for (let count = 0; count < 300; count++) {
        const [[error, nothing]] = world.resolve(host);
        assert.deepEqual([error.code, nothing], ["EAI_NONAME", null]);
      }
      assert.deepEqual(world.resolve("host.example"), []);
      assert.equal(world.proxy.heard.length, 1);
    });
  }
});

suite("sockets", () => {
  test("have odd ids that grow and never come again", () => {
    const world = attached();
    const ids = [];
    for (let count = 0; count < 5; count++) {
      const socket = world.connecting();
      ids.push(socket.id);
      socket.close();
    }
    assert.deepEqual(ids, [1, 3, 5, 7, 9]);
    assert.equal(world.session.sockets.size, 0);
  });

  test("that cannot be asked for stay as they were", () => {
    const world = attached();
    const socket = new Socket();
    for (const host of ["a".repeat(70_000), "\ud800"]) {
      assert.throws(() => socket.connect(world.session, { ...TARGET, host }), { code: "EAI_NONAME" });
    }
    assert.equal(socket.state, "idle");
    assert.equal(world.session.sockets.size, 0);
    socket.connect(world.session, TARGET);
    assert.equal(socket.id, 1);
  });

  test("are told what is about them, and nothing else", () => {
    const world = attached();
    const [one, other] = [world.connected(), world.connected()];
    world.hear({ type: "data", socket: other.id, data: new Uint8Array(3) });
    assert.deepEqual([one.available, other.available], [0, 3]);
  });

  test("that are gone are not missed", () => {
    const world = attached();
    const socket = world.connected();
    socket.close();
    world.hear({ type: "data", socket: socket.id, data: new Uint8Array(3) }, { type: "shutdown", socket: 77 });
    world.hear({ type: "reset", socket: 0, code: "EIO", message: "" });
    assert.equal(world.session.state, "attached");
  });

  test("wait for room while the proxy acknowledges nothing, and are woken when it does", () => {
    const world = attached({ window: 64 << 20 });
    const [one, other] = [world.connected(), world.connected()];
    let sent = 0;
    assert.throws(
      () => {
        for (;;) sent += one.write(new Uint8Array(1 << 20));
      },
      { code: "EAGAIN" },
    );
    assert.ok(sent > 15 << 20 && sent <= 16 << 20);
    let woken = 0;
    for (const socket of [one, other]) socket.watch(WRITABLE, () => woken++);
    assert.throws(() => other.write(new Uint8Array(1)), { code: "EAGAIN" });
    world.deliver(...world.proxy.say(ping(1)));
    assert.equal(woken, 2);
    assert.equal(other.write(new Uint8Array(1)), 1);
  });
});

suite("what the proxy says that is not about a socket", () => {
  test("goes to the carrier's owner if it was not numbered", () => {
    const goaway = { type: "goaway", socket: 0, code: "shutdown", message: "" };
    assert.deepEqual(attached().deliver(unnumbered(ping(7)), unnumbered(goaway)), [ping(7), goaway]);
  });

  test("a kind that is not known is answered in the session, about the same socket", () => {
    const world = attached();
    world.proxy.link.push(frameOfKind(0x77, 5));
    assert.deepEqual(world.deliver(...world.proxy.link.take(0)), []);
    assert.deepEqual(world.proxy.heard, [{ type: "unknown", socket: 5, kind: 0x77 }]);
  });

  test("that it does not know a kind fails the socket it was about", () => {
    const world = attached();
    const socket = world.connected();
    world.hear({ type: "unknown", socket: 99, kind: 1 }, { type: "unknown", socket: socket.id, kind: 0x14 });
    assert.equal(socket.takeError()?.code, "EOPNOTSUPP");
  });

  test("what breaks the protocol of a socket breaks the session", () => {
    const world = attached();
    const socket = world.connecting();
    assert.throws(() => world.hear({ type: "data", socket: socket.id, data: new Uint8Array(1) }), ProtocolError);
  });

  test("that it has received what was never sent breaks the session", () => {
    const world = attached();
    assert.throws(() => world.deliver(unnumbered(ping(1), 5)), ProtocolError);
  });

  test("it cannot have more and more answered while it acknowledges nothing", () => {
    const world = attached();
    world.session.link.replayLimit = 0; // as if it were full already
    const flood = Array.from({ length: 20_000 }, () => frameOfKind(0x77, 5));
    assert.throws(() => {
      for (;;) {
        for (const frame of flood) world.proxy.link.push(frame);
        const messages = world.proxy.link.take(0);
        for (const message of messages) message.fill(0, 12, 20); // the acknowledgement
        world.deliver(...messages);
      }
    }, /acknowledges nothing/);
    assert.ok(world.session.link.buffered < 2 << 20);
  });
});

suite("the end", () => {
  test("fails every socket and every request once", () => {
    const world = attached();
    const sockets = [world.connecting(), world.connected()];
    const answers = world.resolve("host.example");
    world.giveWay();
    const late = world.proxy.say({ ...FAILED, socket: world.proxy.heard[2].socket });
    for (const code of ["ETIMEDOUT", "ECONNRESET"]) world.session.close(new SocketError(code, "it is over"));
    world.deliver(...late);
    for (const socket of sockets) assert.equal(socket.takeError()?.code, "ETIMEDOUT");
    assert.deepEqual(
      answers.map(([{ code, message }]) => [code, message]),
      [["ETIMEDOUT", "it is over"]],
    );
    assert.equal(world.session.sockets.size, 0);
  });

  test("is the end for those that come later", () => {
    const world = attached();
    world.session.close(new SocketError("ECONNRESET"));
    world.sent = [];
    assert.throws(() => world.connecting(), { code: "ENETDOWN" });
    assert.equal(world.resolve("host.example")[0][0].code, "ENETDOWN");
    world.session.flush();
    assert.deepEqual(world.sent, []);
  });
});

suite("resuming", () => {
  test("the greeting names the session and what has been received", () => {
    const world = new World();
    world.attach();
    world.hear(ping(1));
    world.hear(ping(2));
    world.session.lose();
    world.attach();
    const [fresh, resumed] = world.proxy.greetings;
    assert.deepEqual([fresh.session, fresh.key, fresh.seen], ["", "", 0]);
    assert.deepEqual([resumed.session, resumed.key, resumed.seen], ["s-17", "k-8d2f", 2]);
    assert.deepEqual([resumed.token, resumed.agent], ["token", "agent"]);
  });

  test("what the proxy has not seen is sent again, and what it has is not", () => {
    const world = attached();
    world.session.send(ping(1));
    world.toProxy = () => {}; // the carrier is dead, and nobody knows
    world.clock += 10;
    world.session.send(ping(2));
    world.session.lose();
    world.proxy.numbers = [];
    world.attach();
    assert.deepEqual(world.proxy.numbers, [2]);
    assert.deepEqual(
      world.proxy.heard.map(({ stamp }) => stamp),
      [1, 2],
    );
  });

  test("a welcome opens the window that it names to new sockets", () => {
    const world = attached({ window: 3 });
    const socket = world.connected();
    assert.equal(socket.write(new Uint8Array(10)), 3);
  });

  test("a welcome to another session, or by a proxy that has seen what was never sent, breaks it", () => {
    const world = attached();
    world.session.lose();
    world.proxy.fields.session = "s-18";
    assert.throws(() => world.deliverWelcome(world.proxy.welcomeAlone()), ProtocolError);
    const other = attached();
    other.proxy.link.received = 100;
    assert.throws(() => other.deliverWelcome(other.proxy.welcomeAlone()), ProtocolError);
  });

  test("a welcome makes room, and wakes who waits for it", () => {
    const world = attached({ window: 64 << 20 });
    const socket = world.connected();
    assert.throws(
      () => {
        for (;;) socket.write(new Uint8Array(1 << 20));
      },
      { code: "EAGAIN" },
    );
    let woken = 0;
    socket.watch(WRITABLE, () => woken++);
    world.session.lose();
    world.attach();
    assert.equal(woken, 1);
  });
});
