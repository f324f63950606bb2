import assert from "node:assert/strict";
import { afterEach, suite, test } from "node:test";

import { Inbox } from "../../js/websockets/inbox.js";
import { attach, share } from "../../js/websockets/sharing.js";

const ENDING = { code: 1000, reason: "done", clean: true, error: "" };

suite("an inbox", () => {
  test("gives messages in the order in which they came, however they are taken", () => {
    const inbox = new Inbox();
    const taken = [];
    for (let number = 0; number < 1000; number++) {
      inbox.push(String(number));
      if (number % 3 === 0) taken.push(inbox.take());
    }
    assert.equal(inbox.available, 1000 - taken.length);
    for (let message = inbox.take(); message !== undefined; message = inbox.take()) taken.push(message);
    assert.deepEqual(taken, Array.from({ length: 1000 }, (_, number) => String(number)));
    assert.equal(inbox.size, 0);
  });

  test("gives messages of no length, too", () => {
    const inbox = new Inbox();
    inbox.push("");
    inbox.push(new Uint8Array());
    assert.equal(inbox.take(), "");
    assert.deepEqual(inbox.take(), new Uint8Array());
    assert.equal(inbox.take(), undefined);
  });

  test("counts what waits", () => {
    const inbox = new Inbox();
    inbox.push(new Uint8Array(10));
    inbox.push("abc");
    assert.deepEqual([inbox.available, inbox.size], [2, 13]);
    inbox.take();
    assert.deepEqual([inbox.available, inbox.size], [1, 3]);
  });

  test("wakes all who wait, for a message and for the end", async () => {
    const inbox = new Inbox();
    const waiting = [inbox.ready(), inbox.ready()];
    inbox.push("here");
    await Promise.all(waiting);
    await inbox.ready();
    inbox.take();
    const last = inbox.ready();
    inbox.end(ENDING);
    await last;
    await inbox.ready();
    assert.equal(inbox.take(), undefined);
  });

  test("lets go whoever waits when somebody gives up", async () => {
    const inbox = new Inbox();
    const waiting = inbox.ready();
    inbox.wake();
    await waiting;
    assert.deepEqual([inbox.available, inbox.ending], [0, undefined]);
  });

  test("ends once, and what had come before can still be taken", () => {
    const inbox = new Inbox();
    inbox.push("before");
    inbox.end(ENDING);
    inbox.end({ ...ENDING, code: 4000 });
    assert.equal(inbox.ending, ENDING);
    assert.equal(inbox.take(), "before");
  });
});

suite("a shared connection", () => {
  /** Those that are open: they would keep this process. @type {Set<BroadcastChannel>} */
  const channels = new Set();
  const Channel = BroadcastChannel;
  globalThis.BroadcastChannel = class extends Channel {
    /** @param {string} name */
    constructor(name) {
      super(name);
      channels.add(this);
    }
  };

  afterEach(() => {
    for (const channel of channels) channel.close();
    channels.clear();
  });

  /** One that is shared, and one that is attached to it, over a real BroadcastChannel. */
  async function both(/** @type {string} */ name) {
    /** @type {any[]} */
    const done = [];
    const owner = Object.assign(new Inbox(), {
      send: (/** @type {any} */ data) => void done.push(["send", data]),
      close: (/** @type {any[]} */ ...details) => void done.push(["close", ...details]),
    });
    Object.assign(owner, { protocol: "chat", url: "ws://a/" });
    share(owner, name);
    const other = attach(name);
    await other.opened;
    return { owner, other, done };
  }

  test("gives whoever attaches its state, its messages in order, and its end", async () => {
    const { owner, other } = await both("state");
    assert.deepEqual([other.protocol, other.url, other.ending], ["chat", "ws://a/", undefined]);
    for (let number = 0; number < 100; number++) owner.push(String(number));
    const heard = [];
    while (heard.length < 100) {
      await other.ready();
      for (let message = other.take(); message !== undefined; message = other.take()) heard.push(message);
    }
    assert.deepEqual(heard, Array.from({ length: 100 }, (_, number) => String(number)));
    owner.end(ENDING);
    await other.ready();
    assert.deepEqual(other.ending, ENDING);
    assert.equal(other.send("late"), false);
  });

  test("sends and closes for whoever is attached", async () => {
    const { owner, other, done } = await both("sends");
    other.send("one");
    other.send(Uint8Array.of(2));
    other.close(3000, "enough");
    while (done.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.deepEqual(done, [["send", "one"], ["send", Uint8Array.of(2)], ["close", 3000, "enough"]]);
    owner.end(ENDING);
    await other.ready();
  });
});
