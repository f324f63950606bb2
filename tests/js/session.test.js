import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { WRITABLE } from "../../js/endpoint.js";
import { ProtocolError, SocketError } from "../../js/errors.js";
import { Listener } from "../../js/listener.js";
import { Session, TRANSITIONS } from "../../js/session.js";
import { Socket } from "../../js/socket.js";
import { LAYOUTS, MessageReader, framesOf } from "../../js/wire.js";
import { HOST, PAGE, TARGET } from "./line.js";
import { ProxyEnd, frameOfKind, unnumbered } from "./proxy.js";

/** @typedef {import("../../js/wire.js").Frame} Frame */

/** A session, and the proxy it is carried to without delay while `carried`. */
class World {
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

const attached = (/** @type {object} */ welcome = {}) => new World(welcome).attach();

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

/** Each kind of request, and what answers it. */
const EXCHANGES = /** @type {[any, any][]} */ ([
  [
    { type: "resolve", family: 4, host: "host.example", service: "" },
    { type: "resolved", port: 0, canonical: "", addresses: [HOST] },
  ],
  [
    { type: "reverse", address: HOST, datagram: 0 },
    { type: "reversed", host: "host.example", service: "http" },
  ],
  [
    { type: "bind", target: 1, port: 0, host: "" },
    { type: "bound", local: PAGE },
  ],
  [
    { type: "listen", target: 1, backlog: 5 },
    { type: "bound", local: PAGE },
  ],
  [
    { type: "associate", target: 1, port: 80, host: "host.example" },
    { type: "associated", local: PAGE, peer: HOST },
  ],
  [{ type: "option", target: 1, name: "IP_TTL", values: ["3"] }, { type: "done" }],
]);

suite("a request", () => {
  for (const [question, answer] of EXCHANGES) {
    test(`to ${question.type} is answered by what belongs to it, or by what failed`, () => {
      const world = attached();
      const [one, other] = [world.ask(question), world.ask(question)];
      world.giveWay();
      const [first, second] = world.proxy.heard;
      assert.deepEqual(first, { ...question, socket: first.socket });
      const failed = { ...FAILED, socket: first.socket, code: "EACCES", message: "not here" };
      world.hear({ ...answer, socket: second.socket }, failed);
      assert.deepEqual(other, [[null, { ...answer, socket: second.socket }]]);
      assert.deepEqual(one, [[new SocketError("EACCES", "not here"), null]]);
    });

    test(`to ${question.type} that an older proxy does not know fails, and the socket it was about does not`, () => {
      const world = attached();
      const socket = world.connected();
      const answers = world.ask(question);
      world.giveWay();
      const { socket: id } = world.proxy.heard[world.proxy.heard.length - 1];
      assert.equal(id, socket.id); // the same number means two things
      world.hear({ type: "unknown", socket: id, kind: LAYOUTS[question.type].kind });
      assert.equal(answers[0][0]?.code, "EOPNOTSUPP");
      assert.deepEqual([socket.state, socket.takeError()], ["established", null]);
    });

    for (const [other, wrong] of EXCHANGES) {
      if (wrong.type === answer.type) continue;
      test(`to ${question.type} that is answered as one to ${other.type} breaks the protocol, and is not lost`, () => {
        const world = attached();
        const answers = world.ask(question);
        const { socket } = world.proxy.heard[0];
        assert.throws(() => world.hear({ ...wrong, socket }), ProtocolError);
        assert.equal(answers.length, 0);
        world.session.close(new SocketError("ECONNRESET"));
        assert.deepEqual(
          answers.map(([error]) => error.code),
          ["ECONNRESET"],
        );
      });
    }
  }

  for (const [type, ask] of Object.entries({
    bind: (/** @type {World} */ world, /** @type {any} */ answered) =>
      new DatagramSocket().bind(world.session, { host: "", port: 0 }, answered),
    listen: (/** @type {World} */ world, /** @type {any} */ answered) =>
      Listener.start(new Socket(), world.session, 5, answered),
    associate: (/** @type {World} */ world, /** @type {any} */ answered) =>
      new DatagramSocket().associate(world.session, TARGET, answered),
  })) {
    test(`to ${type} that is answered with an address of another family is not lost either`, () => {
      const world = attached();
      /** @type {any[]} */
      const answers = [];
      ask(world, (/** @type {any[]} */ ...answer) => answers.push(answer));
      world.giveWay();
      const { socket } = world.proxy.heard[world.proxy.heard.length - 1];
      const six = { family: 6, host: "::1", port: 1 };
      const answer = type === "associate" ? { type: "associated", local: six, peer: six } : { type: "bound", local: six };
      assert.throws(() => world.hear({ ...answer, socket }), ProtocolError);
      world.session.close(new SocketError("ECONNRESET"));
      assert.deepEqual(
        answers.map(([error, nothing]) => [error.code, nothing]),
        [["ECONNRESET", null]],
      );
    });
  }

  test("that nobody asked is answered in vain", () => {
    const world = attached();
    for (const [, answer] of EXCHANGES) world.hear({ ...answer, socket: 40 }, { ...FAILED, socket: 41 });
    assert.equal(world.session.state, "attached");
  });
});

suite("connections that come in", () => {
  const accepted = (/** @type {number} */ socket, /** @type {number} */ listener) =>
    /** @type {Frame} */ ({ type: "accepted", socket, listener, local: PAGE, peer: HOST });

  test("are sockets of the session from then on", () => {
    const world = attached();
    const listener = world.listening();
    world.hear(accepted(2, listener.id), { type: "data", socket: 2, data: new Uint8Array(3) }, accepted(8, listener.id));
    const socket = listener.accept((each) => each);
    assert.deepEqual([socket.id, socket.available, listener.waiting], [2, 3, 1]);
    socket.write(new Uint8Array(5));
    world.giveWay();
    assert.deepEqual(world.proxy.heard.slice(-2), [
      { type: "window", socket: listener.id, credit: 1 },
      { type: "data", socket: 2, data: new Uint8Array(5) },
    ]);
    world.session.close(new SocketError("ECONNRESET"));
    assert.deepEqual([socket.state, listener.state], ["failed", "failed"]);
  });

  test("have the window that the proxy grants every socket", () => {
    const world = attached({ window: 100 });
    const listener = world.listening();
    world.hear(accepted(2, listener.id));
    const socket = listener.accept((each) => each);
    assert.equal(socket.write(new Uint8Array(1000)), 100);
  });

  test("to a listener that is gone are reset", () => {
    const world = attached();
    const listener = world.listening();
    const { id } = listener;
    listener.close();
    world.giveWay();
    world.proxy.heard = [];
    world.hear(accepted(2, id), { type: "data", socket: 2, data: new Uint8Array(3) }, accepted(4, 77));
    world.giveWay();
    assert.deepEqual(world.proxy.heard, [
      { type: "reset", socket: 2, code: "ECONNRESET", message: "" },
      { type: "reset", socket: 4, code: "ECONNRESET", message: "" },
    ]);
    assert.equal(world.session.sockets.size, 0);
  });

  test("with an id that is ours, or was there before, break the protocol", () => {
    for (const ids of [[1], [7], [0], [4, 4], [4, 2], [2 ** 32 - 1]]) {
      const world = attached();
      const { id } = world.listening();
      const [last, ...before] = ids.toReversed();
      for (const each of before) world.hear(accepted(each, id));
      assert.throws(() => world.hear(accepted(last, id)), ProtocolError, String(ids));
    }
  });

  test("at a socket that does not listen break the protocol", () => {
    const world = attached();
    const socket = world.connected();
    const datagrams = new DatagramSocket();
    datagrams.open(world.session);
    for (const [index, { id }] of [socket, datagrams].entries()) {
      assert.throws(() => world.hear(accepted(2 + 2 * index, id)), ProtocolError);
    }
  });

  test("that nobody ever takes do not pile up beyond what is acknowledged", () => {
    const world = attached();
    world.session.link.replayLimit = 0; // as if it were full already
    let id = 0;
    assert.throws(() => {
      for (;;) {
        for (let count = 0; count < 1000; count++) world.proxy.queue(accepted((id += 2), 77));
        const messages = world.proxy.link.take(0);
        for (const message of messages) message.fill(0, 12, 20); // the acknowledgement
        world.deliver(...messages);
      }
    }, /acknowledges nothing/);
  });
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
