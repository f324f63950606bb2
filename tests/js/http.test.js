import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { ANSWER_MAX, BODY_MAX, LAST_MAX, exchangeAddress, exchangeNow, openLongPoll, sayLast } from "../../js/carriers/http.js";
import { MessageReader, encodeFrame, encodeMessage, framesOf } from "../../js/wire.js";
import { Page } from "./page.js";
import { ProxyEnd, unnumbered } from "./proxy.js";

/** @typedef {import("node:test").TestContext} TestContext */
/** @typedef {import("../../js/session.js").Purpose} Purpose */

const ADDRESS = "http://127.0.0.1:8765/pynet/http";

const WELCOME = new ProxyEnd().welcomeAlone();

/** A message of so many bytes, its header included. @param {number} size @param {number} [number] */
const messageOf = (size, number = 1) =>
  encodeMessage(number, 0, [encodeFrame({ type: "data", socket: 1, data: new Uint8Array(size - 30) })]);

/** A long poll whose requests are answered by the test. */
class Poller {
  /** What came in, and what closed it. @type {any[]} */
  received = [];
  /** @type {string[]} */
  closed = [];

  /** @param {TestContext} t */
  constructor(t) {
    this.page = new Page(t);
    this.carrier = openLongPoll(ADDRESS, {
      greeting: (poll) => encodeMessage(0, 0, [encodeFrame({ socket: 0, .../** @type {Purpose} */ (poll) })]),
      received: (piece) => void this.received.push(piece),
      closed: (reason) => void this.closed.push(reason),
    });
  }

  /** One whose first request was answered. @param {TestContext} t */
  static async welcomed(t) {
    const poller = new Poller(t);
    await poller.page.settle();
    await poller.answer(WELCOME);
    return poller;
  }

  /** The newest request that waits is answered. @param {Uint8Array | ReadableStream<Uint8Array>} body @param {number} [status] */
  async answer(body, status) {
    this.page.waiting[this.page.waiting.length - 1].answer(body, status);
    await this.page.settle();
  }

  /** Wait and limit of the requests that wait, and how many messages each takes along. */
  get asked() {
    return this.page.waiting.map(({ body }) => {
      const [first, ...messages] = new MessageReader().feed(body);
      const [{ wait, limit }] = framesOf(first.body);
      return [wait, limit, messages.length];
    });
  }

  /** Numbers of the messages that were taken along so far, in the order of the requests. */
  get numbers() {
    return this.page.requests.flatMap(({ body }) =>
      [...new MessageReader().feed(body)].map(({ number }) => number).filter((number) => number),
    );
  }

  /** @param {Uint8Array[]} messages */
  async send(...messages) {
    for (const message of messages) this.carrier.send(message);
    await this.page.settle();
  }
}

test("exchanges go beside the WebSocket, over TLS where that does", () => {
  assert.equal(exchangeAddress("ws://127.0.0.1:8765/pynet"), ADDRESS);
  assert.equal(exchangeAddress("wss://example.com/some/where"), "https://example.com/some/where/http");
});

suite("a long poll", () => {
  test("asks for an answer at once, and from then on for one that may be held back", async (t) => {
    const poller = new Poller(t);
    await poller.page.settle();
    assert.deepEqual(poller.asked, [[0, ANSWER_MAX, 0]]);
    await poller.answer(WELCOME);
    assert.deepEqual(poller.received, [WELCOME]);
    for (let count = 0; count < 3; count++) {
      assert.deepEqual(poller.asked, [[25_000, ANSWER_MAX, 0]]);
      await poller.answer(WELCOME);
    }
    assert.deepEqual([poller.received.length, poller.page.requests.length, poller.closed], [4, 5, []]);
  });

  test("asks browsers for nobody's leave, and for no cookies, caches or other addresses", async (t) => {
    const { page } = await Poller.welcomed(t);
    for (const { url, init } of page.requests) {
      assert.equal(url, ADDRESS);
      assert.deepEqual(init, {
        method: "POST",
        body: init.body,
        signal: init.signal,
        headers: { "Content-Type": "text/plain" },
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
      });
    }
  });

  test("takes messages along in requests that are answered at once, one at a time, in order", async (t) => {
    const poller = await Poller.welcomed(t);
    await poller.send(messageOf(100, 1), messageOf(100, 2));
    assert.deepEqual(poller.asked, [
      [25_000, ANSWER_MAX, 0],
      [0, 0, 2],
    ]);
    await poller.send(messageOf(100, 3));
    await poller.send(messageOf(100, 4), messageOf(100, 5));
    assert.equal(poller.page.waiting.length, 2);
    await poller.answer(WELCOME);
    assert.deepEqual(poller.asked[1], [0, 0, 3]);
    await poller.answer(WELCOME);
    assert.deepEqual(poller.numbers, [1, 2, 3, 4, 5]);
    assert.deepEqual(poller.asked, [[25_000, ANSWER_MAX, 0]]);
  });

  test("takes no more along than a request may hold, or one message that is larger", async (t) => {
    const poller = await Poller.welcomed(t);
    const half = BODY_MAX / 2;
    const sizes = [half, half, 100, BODY_MAX + 20, 100];
    await poller.send(...sizes.map((size, index) => messageOf(size, index + 1)));
    const unsent = [poller.carrier.unsent];
    const counts = [];
    while (poller.page.waiting.length > 1) {
      counts.push(poller.asked[1][2]);
      await poller.answer(WELCOME);
      unsent.push(poller.carrier.unsent);
    }
    assert.deepEqual(counts, [2, 1, 1, 1]);
    assert.deepEqual(unsent, [BODY_MAX + 220, BODY_MAX + 120, 100, 0, 0]);
    assert.deepEqual(poller.numbers, [1, 2, 3, 4, 5]);
  });

  for (const status of [400, 403]) {
    test(`hears what comes with status ${status}`, async (t) => {
      const poller = await Poller.welcomed(t);
      const refused = unnumbered({ type: "refused", socket: 0, code: "token", message: "" });
      await poller.answer(refused, status);
      assert.deepEqual(poller.received, [WELCOME, refused]);
    });
  }

  const OTHERS = /** @type {[string, Uint8Array, number, RegExp][]} */ ([
    ["with another status", WELCOME, 404, /^HTTP status 404$/],
    ["of a gateway", WELCOME, 502, /^HTTP status 502$/],
    ["for people", new TextEncoder().encode("<!doctype html><title>Welcome to the hotel</title>"), 200, /200 .*no proxy's/],
    ["that is empty", new Uint8Array(0), 200, /no proxy's/],
    ["that is cut short", WELCOME.slice(0, 25), 200, /no proxy's/],
    ["that begins with other frames", unnumbered({ type: "ping", socket: 0, stamp: 1 }), 200, /no proxy's/],
    ["that begins with a long message", messageOf(5_000), 200, /no proxy's/],
  ]);
  for (const [what, body, status, reason] of OTHERS) {
    test(`ends with an answer ${what}, of which nothing is heard`, async (t) => {
      const poller = await Poller.welcomed(t);
      await poller.send(messageOf(100));
      await poller.answer(body, status);
      assert.deepEqual(poller.received, [WELCOME]);
      assert.equal(poller.closed.length, 1);
      assert.match(poller.closed[0], reason);
      assert.deepEqual(poller.page.waiting, []);
    });
  }

  test("ends with an answer that has no end, and lets go of it", async (t) => {
    const poller = await Poller.welcomed(t);
    let pulled = 0;
    const pull = (/** @type {ReadableStreamDefaultController<Uint8Array>} */ controller) => {
      pulled++;
      controller.enqueue(new Uint8Array(1 << 20));
    };
    await poller.answer(new ReadableStream({ pull }));
    assert.deepEqual(poller.closed, ["its answer has no end"]);
    assert.ok(pulled <= 8, `${pulled} MiB`);
    assert.equal(poller.page.requests[1].init.signal?.aborted, true);
  });

  test("ends with a request that fails, together with the others", async (t) => {
    const poller = await Poller.welcomed(t);
    await poller.send(messageOf(100));
    const [held] = poller.page.waiting;
    poller.page.request.fail();
    await poller.page.settle();
    assert.deepEqual([poller.closed, held.state], [["Failed to fetch"], "aborted"]);
    await poller.send(messageOf(100, 2));
    assert.deepEqual([poller.page.waiting, poller.closed.length], [[], 1]);
  });

  test("ends with an answer that breaks off in the middle", async (t) => {
    const poller = await Poller.welcomed(t);
    const broken = new ReadableStream({
      start(controller) {
        controller.enqueue(WELCOME);
        controller.error(new TypeError("network error"));
      },
    });
    await poller.answer(broken);
    assert.deepEqual([poller.closed, poller.received], [["network error"], [WELCOME]]);
  });

  test("that is closed stops all its requests, and says nothing more", async (t) => {
    const poller = await Poller.welcomed(t);
    await poller.send(messageOf(100));
    poller.carrier.send(messageOf(100, 2));
    poller.carrier.close();
    poller.carrier.close();
    await poller.page.settle();
    assert.deepEqual([poller.page.waiting, poller.page.requests.length], [[], 3]);
    assert.deepEqual([poller.closed, poller.received], [[], [WELCOME]]);
  });

  test("that is closed while an answer is read hears nothing of it", async (t) => {
    const poller = await Poller.welcomed(t);
    poller.page.request.answer(WELCOME);
    poller.carrier.close();
    await poller.page.settle();
    assert.deepEqual([poller.closed, poller.received], [[], [WELCOME]]);
  });
});

suite("what is said last", () => {
  const GREETING = messageOf(100, 0);
  const FAREWELL = messageOf(50, 0);

  test("leaves in one request that outlives the page, and is not waited for", async (t) => {
    const page = new Page(t);
    sayLast(ADDRESS, GREETING, [messageOf(200)], FAREWELL);
    const { body, init } = page.request;
    assert.deepEqual(
      [...new MessageReader().feed(body)].map((message) => message.body.length + 20),
      [100, 200, 50],
    );
    assert.deepEqual([init.keepalive, init.credentials], [true, "omit"]);
    page.request.fail();
    await page.settle(); // and nobody has to hear of that
  });

  test("is no more than browsers let leave: what is outstanding stays behind", (t) => {
    const page = new Page(t);
    const most = LAST_MAX - GREETING.length - FAREWELL.length;
    for (const [size, length] of [
      [most, LAST_MAX],
      [most + 1, 150],
    ]) {
      sayLast(ADDRESS, GREETING, [messageOf(size)], FAREWELL);
      assert.equal(page.request.body.length, length);
    }
  });
});

suite("a synchronous exchange", () => {
  /** A message of every byte, behind a welcome. */
  const EVERY_BYTE = encodeMessage(1, 0, [
    encodeFrame({ type: "data", socket: 1, data: Uint8Array.from({ length: 256 }, (_, byte) => byte) }),
  ]);
  const ANSWER = new Uint8Array([...WELCOME, ...EVERY_BYTE]);

  for (const thread of /** @type {const} */ (["page", "worker"])) {
    /** @param {TestContext} t @param {() => {status: number, body: Uint8Array} | null} answer */
    const pageThat = (t, answer) => {
      const page = new Page(t, { thread });
      page.answerNow = answer;
      return page;
    };

    test(`brings every byte as it was sent, on a ${thread}`, (t) => {
      const page = pageThat(t, () => ({ status: 200, body: ANSWER }));
      const body = messageOf(100);
      assert.deepEqual(exchangeNow(ADDRESS, body, 5_000), ANSWER);
      const headers = { "Content-Type": "text/plain" };
      const timeout = thread === "worker" ? 5_000 : 0; // a page's own thread cannot give up
      assert.deepEqual(page.exchanges, [{ method: "POST", url: ADDRESS, headers, timeout, body }]);
    });

    test(`takes a refusal for an answer, on a ${thread}`, (t) => {
      const refused = unnumbered({ type: "refused", socket: 0, code: "token", message: "" });
      pageThat(t, () => ({ status: 403, body: refused }));
      assert.deepEqual(exchangeNow(ADDRESS, messageOf(100)), refused);
    });

    test(`fails where nobody answers, or somebody else, on a ${thread}`, (t) => {
      const page = pageThat(t, () => null);
      assert.throws(() => exchangeNow(ADDRESS, messageOf(100)), { name: "NetworkError" });
      page.answerNow = () => ({ status: 404, body: WELCOME });
      assert.throws(() => exchangeNow(ADDRESS, messageOf(100)), /^Error: HTTP status 404$/);
      page.answerNow = () => ({ status: 200, body: new TextEncoder().encode("Willkommen im Hotel \u{1f3e8}") });
      assert.throws(() => exchangeNow(ADDRESS, messageOf(100)), /no proxy's$/);
    });
  }
});
