import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { ProtocolError, SocketError } from "../../js/errors.js";
import { Listener } from "../../js/listener.js";
import { Socket } from "../../js/socket.js";
import { LAYOUTS } from "../../js/wire.js";
import { attached } from "./carried.js";
import { HOST, PAGE, TARGET } from "./line.js";

/**
 * @typedef {import("../../js/wire.js").Frame} Frame
 * @typedef {import("./carried.js").World} World
 */

const FAILED = /** @type {Frame} */ ({ type: "failed", socket: 0, code: "EAI_FAIL", message: "" });

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
