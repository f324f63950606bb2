import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { ANSWER_MAX } from "../../js/carriers/http.js";
import { Socket } from "../../js/socket.js";
import { Uplink } from "../../js/uplink.js";
import { encodeFrame } from "../../js/wire.js";
import { HOST, PAGE, TARGET } from "./line.js";
import { Page } from "./page.js";
import { ProxyEnd, unnumbered } from "./proxy.js";
import { URL_OF_PROXY } from "./world.js";

/** @typedef {import("node:test").TestContext} TestContext */

/** A page with an uplink, and the proxies that answer: a new one for each session. */
class Linked {
  /** @type {ProxyEnd[]} */
  proxies = [];

  /** @param {TestContext} t */
  constructor(t) {
    this.page = new Page(t);
    this.clock = this.page.clock;
    this.uplink = new Uplink(URL_OF_PROXY, "secret", "test/1");
    t.after(() => this.uplink.close());
  }

  /** One whose first session is attached. @param {TestContext} t */
  static async opened(t) {
    const linked = new Linked(t);
    const opening = linked.uplink.open();
    linked.welcome();
    await opening;
    return linked;
  }

  /** A new proxy welcomes the newest WebSocket. @param {object} [welcome] */
  welcome(welcome) {
    const proxy = new ProxyEnd({ session: `s-${this.proxies.length}`, ...welcome });
    this.proxies.push(proxy);
    this.page.webSocket.receive = proxy.carrier();
    this.page.webSocket.open();
    this.page.webSocket.deliver(proxy.welcome());
    return proxy;
  }

  /** Exchanges are answered by the proxy of the session that they name. */
  exchanging() {
    this.page.answerNow = (body) => {
      const named = this.proxies.findLast(({ fields }) => holds(body, fields.session));
      return named ? { status: 200, body: named.exchange(body) } : null;
    };
  }

  /** A socket that is connected in the session for new ones, and the proxy's. */
  connected() {
    const socket = new Socket();
    socket.connect(this.uplink.session, TARGET);
    const proxy = this.proxies[this.proxies.length - 1];
    this.page.webSocket.deliver(proxy.say({ type: "connected", socket: socket.id, local: PAGE, peer: HOST }));
    assert.equal(socket.state, "established");
    return socket;
  }

  /** @param {string} code */
  goaway(code) {
    this.page.webSocket.deliver([unnumbered({ type: "goaway", socket: 0, code, message: "" })]);
  }
}

/** @param {Uint8Array} body @param {string | Buffer} part */
const holds = (body, part) => Buffer.from(body).includes(part);

/** What asks for an answer that may be held back for so long (ms). @param {number} wait */
const pollOf = (wait) => Buffer.from(encodeFrame({ type: "poll", socket: 0, wait, limit: ANSWER_MAX }));

suite("the session for new sockets", () => {
  test("is the same for as long as it can be", async (t) => {
    const { uplink, page, clock } = await Linked.opened(t);
    const { session } = uplink;
    page.webSocket.drop();
    assert.equal(uplink.session, session);
    clock.advance(100);
    assert.equal(page.webSockets.length, 2);
    assert.equal(uplink.session, session);
  });

  test("is a new one when the last is over", async (t) => {
    const linked = await Linked.opened(t);
    const { uplink, page } = linked;
    const before = linked.connected();
    linked.goaway("expired");
    assert.equal(before.takeError()?.code, "ECONNRESET");
    assert.equal(page.webSockets.length, 1); // nobody needs one yet
    const next = new Socket();
    next.connect(uplink.session, TARGET);
    assert.equal(uplink.session, uplink.session);
    assert.equal(page.webSockets.length, 2);
    const proxy = linked.welcome();
    assert.deepEqual([proxy.greetings[0].session, proxy.greetings[0].seen], ["", 0]);
    assert.deepEqual([next.id, proxy.types()], [1, ["connect"]]);
  });

  test("begins its attempts anew, whatever became of the last", async (t) => {
    const linked = await Linked.opened(t);
    const { uplink, page, clock } = linked;
    page.webSocket.drop();
    for (let count = 0; count < 30 && !uplink.current.over; count++) {
      clock.advance(5_000);
      for (const request of page.waiting) request.fail();
      if (page.webSocket.state === "connecting") page.webSocket.drop();
      await page.settle();
    }
    const socket = new Socket();
    socket.connect(uplink.session, TARGET);
    page.webSocket.drop();
    const { length } = page.requests;
    clock.advance(100); // the first pause is a short one again
    assert.equal(page.requests.length, length + 1);
  });

  test("that cannot be had leaves no socket waiting, and can be had later", async (t) => {
    const linked = await Linked.opened(t);
    const { uplink, page, clock } = linked;
    linked.goaway("expired");
    const socket = new Socket();
    socket.connect(uplink.session, TARGET);
    for (let count = 0; count < 100 && socket.state === "connecting"; count++) {
      clock.advance(200);
      for (const request of page.waiting) request.fail();
      if (page.webSocket.state === "connecting") page.webSocket.drop();
      await page.settle();
    }
    assert.equal(socket.takeError()?.code, "ENETUNREACH");
    new Socket().connect(uplink.session, TARGET);
    assert.deepEqual(linked.welcome().types(), ["connect"]);
  });

  test("is a new one when its proxy drains, and what there is goes on in the old one", async (t) => {
    const linked = await Linked.opened(t);
    const { uplink, page } = linked;
    const [old] = page.webSockets;
    const before = linked.connected();
    linked.goaway("drain");
    assert.equal(page.webSockets.length, 1);
    const { session } = uplink;
    assert.equal(page.webSockets.length, 2);
    linked.welcome();
    const after = linked.connected();
    old.deliver(linked.proxies[0].say({ type: "data", socket: before.id, data: new Uint8Array(3) }));
    before.write(new Uint8Array(5));
    await null; // the program gives way
    assert.deepEqual([before.available, linked.proxies[0].types().at(-1)], [3, "data"]);
    assert.equal(uplink.session, session);
    old.deliver([unnumbered({ type: "goaway", socket: 0, code: "shutdown", message: "" })]);
    assert.deepEqual([before.takeError()?.code, after.state], ["ECONNRESET", "established"]);
  });
});

suite("the status", () => {
  test("is that of the session for new sockets; to look begins none", async (t) => {
    const linked = await Linked.opened(t);
    const { uplink, page } = linked;
    assert.deepEqual(uplink.status(), {
      kind: "proxy",
      url: URL_OF_PROXY,
      proxy: "fake/1",
      state: "attached",
      carrier: "WebSocket",
      bulk: "resting",
      whyBulk: "",
      roundTrip: undefined,
      reconnects: 0,
      buffered: 0,
      features: [],
      udp: "session",
      whyUdp: 'install(udp="stream") asked for it',
    });
    linked.goaway("expired");
    assert.deepEqual([uplink.status().state, uplink.status().carrier, page.webSockets.length], ["closed", "", 1]);
  });

  test("counts reconnections of all sessions together", async (t) => {
    const linked = await Linked.opened(t);
    const { uplink, page, clock } = linked;
    for (let count = 0; count < 2; count++) {
      page.webSocket.drop();
      clock.advance(1_000);
      page.webSocket.receive = linked.proxies[0].carrier();
      page.webSocket.open();
      page.webSocket.deliver(linked.proxies[0].welcome());
    }
    linked.goaway("expired");
    void uplink.session;
    linked.welcome();
    assert.equal(uplink.status().reconnects, 2);
  });
});

suite("exchanges", () => {
  test("open it, too", (t) => {
    const linked = new Linked(t);
    linked.proxies.push(new ProxyEnd());
    linked.page.answerNow = (body) => ({ status: 200, body: linked.proxies[0].exchange(body) });
    linked.uplink.openNow();
    assert.equal(linked.uplink.current.session.name, "s-17");
  });

  test("are made for every session that has sockets, and wait only a little for one of them", async (t) => {
    const linked = await Linked.opened(t);
    const { uplink, page } = linked;
    const [old] = page.webSockets;
    const before = linked.connected();
    linked.goaway("drain");
    void uplink.session;
    linked.welcome();
    const after = linked.connected();
    linked.exchanging();
    for (const [index, socket] of [before, after].entries()) {
      linked.proxies[index].queue({ type: "data", socket: socket.id, data: new Uint8Array(index + 1) });
    }
    assert.equal(uplink.exchange(5_000), true);
    assert.deepEqual([before.available, after.available], [1, 2]);
    const asked = page.exchanges.map(({ body }) => [holds(body, "s-0"), holds(body, pollOf(0)), holds(body, pollOf(100))]);
    assert.deepEqual(asked, [
      [true, true, false],
      [false, false, true],
    ]);
    old.deliver([unnumbered({ type: "goaway", socket: 0, code: "shutdown", message: "" })]);
    uplink.exchange(5_000);
    uplink.exchange(5_000);
    assert.deepEqual(
      page.exchanges.slice(2).map(({ body }) => [holds(body, "s-1"), holds(body, pollOf(5_000))]),
      [
        [true, true],
        [true, true],
      ],
    );
  });

  test("count as answered if any is", async (t) => {
    const linked = await Linked.opened(t);
    linked.connected();
    linked.goaway("drain");
    void linked.uplink.session;
    linked.welcome();
    linked.exchanging();
    for (const lost of [0, 1]) {
      const { answerNow } = linked.page;
      linked.page.answerNow = (body) => (holds(body, `s-${lost}`) ? null : answerNow(body));
      assert.equal(linked.uplink.exchange(10), true);
      linked.page.answerNow = answerNow;
    }
    linked.page.answerNow = () => null;
    assert.equal(linked.uplink.exchange(10), false);
  });
});

suite("events of the page", () => {
  /** @param {string} type @param {object} [fields] */
  const event = (type, fields) => Object.assign(new Event(type), fields);

  test("tell that the network is back: the next attempt is made at once", async (t) => {
    const { page, clock } = await Linked.opened(t);
    page.webSocket.drop();
    page.events.dispatchEvent(event("online"));
    clock.advance(0);
    assert.equal(page.webSockets.length, 2);
  });

  test("tell that it is left: its session ends, and its proxy frees the sockets", async (t) => {
    const linked = await Linked.opened(t);
    const socket = linked.connected();
    linked.page.events.dispatchEvent(event("pagehide", { persisted: false }));
    assert.deepEqual([linked.proxies[0].aside.at(-1)?.code, socket.takeError()?.code], ["shutdown", "ENETDOWN"]);
    assert.equal(linked.clock.timers.size, 0);
  });

  test("tell that it may come back: nothing ends", async (t) => {
    const linked = await Linked.opened(t);
    const socket = linked.connected();
    linked.page.events.dispatchEvent(event("pagehide", { persisted: true }));
    assert.equal(socket.state, "established");
  });
});

suite("closing", () => {
  test("ends all sessions, for good", async (t) => {
    const linked = await Linked.opened(t);
    const { uplink, page, clock } = linked;
    const before = linked.connected();
    linked.goaway("drain");
    void uplink.session;
    linked.welcome();
    const after = linked.connected();
    uplink.close();
    for (const socket of [before, after]) assert.equal(socket.takeError()?.code, "ENETDOWN");
    for (const proxy of linked.proxies) assert.equal(proxy.aside.at(-1)?.type, "goaway");
    assert.throws(() => new Socket().connect(uplink.session, TARGET), { code: "ENETDOWN" });
    page.events.dispatchEvent(new Event("online"));
    page.events.dispatchEvent(new Event("pagehide"));
    clock.advance(100_000);
    assert.deepEqual([page.webSockets.length, clock.timers.size], [2, 0]);
  });
});
