import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { Link, MESSAGES_UNDER_WAY, REPLAY_LIMIT } from "../../js/link.js";
import { MessageReader, encodeFrame } from "../../js/wire.js";
import { Chance } from "./chance.js";
import { HostileWorld } from "./hostile.js";
import { bytesOf, hexOf, joined, vectors } from "./vectors.js";

/** Messages as [number, ack, frames in hex]. @param {Uint8Array[]} messages */
function messagesIn(messages) {
  const decoded = [...new MessageReader().feed(joined(...messages))];
  return decoded.map(({ number, ack, body }) => [number, ack, hexOf(body)]);
}

/** @param {[number, number, any][]} messages */
function expectedMessages(messages) {
  return messages.map(([number, ack, frames]) => [number, ack, hexOf(bytesOf(frames))]);
}

/** @param {number} number @param {Uint8Array} body */
const message = (number, body) => ({ number, ack: 0, body });

/** What each call of a script does. @type {Record<string, (link: Link, step: any) => void>} */
const CALLS = {
  push: (link, { frame }) => link.push(bytesOf(frame)),
  take: (link, { now, gives }) => assert.deepEqual(messagesIn(link.take(now)), expectedMessages(gives)),
  outstanding: (link, { limit, gives }) => {
    assert.deepEqual(messagesIn(link.outstanding(limit)), expectedMessages(gives));
  },
  replay: (link, { seen, gives }) => {
    assert.deepEqual(messagesIn(seen === undefined ? link.replay() : link.replay(seen)), expectedMessages(gives));
  },
  acknowledgement: (link, { gives }) => {
    assert.deepEqual(messagesIn([link.acknowledgement()]), expectedMessages(gives));
  },
  acknowledge: (link, { number, gives }) => assert.equal(link.acknowledge(number), gives),
  receive: (link, { now, message: [number, frames], gives }) => {
    const delivered = link.receive(message(number, bytesOf(frames)), now);
    assert.deepEqual(
      delivered.map((each) => each.number),
      gives,
    );
  },
  is: (link, { call: _, ...properties }) => {
    /** @type {Record<string, any>} */
    const now = {
      pending: link.pending > 0,
      buffered: link.buffered,
      room: link.room,
      received: link.received,
      ack_at: link.ackAt === Infinity ? null : link.ackAt,
      ack_due: link.ackDue,
    };
    for (const [name, value] of Object.entries(properties)) assert.equal(now[name], value, name);
  },
};

suite("a link does what the vectors say", () => {
  for (const script of vectors("link").scripts) {
    test(script.name, () => {
      const link = new Link(script.replay_limit);
      link.peerReplay = script.peer_replay ?? REPLAY_LIMIT;
      for (const step of script.steps) {
        const perform = () => CALLS[step.call](link, step);
        if (step.fails) assert.throws(perform, { message: step.fails });
        else perform();
      }
    });
  }
});

suite("what scripts cannot say", () => {
  test("data pushed without a copy of its own makes the same message as its frame", () => {
    const data = bytesOf("0102030405");
    const [whole, inPlace] = [new Link(), new Link()];
    whole.push(encodeFrame({ type: "data", socket: 7, data }));
    inPlace.pushData(7, data);
    assert.deepEqual(inPlace.take(0), whole.take(0));
  });

  test("data is copied when it is pushed", () => {
    const link = new Link();
    const data = bytesOf("aaaa");
    link.pushData(1, data);
    data.fill(0xff);
    assert.equal(hexOf(link.take(0)[0]).slice(-4), "aaaa");
  });

  test("a message grows from small frames to its full size", () => {
    const link = new Link();
    const frames = Array.from({ length: 3000 }, (_, at) => new Uint8Array((at % 80) + 1).fill(at));
    for (const frame of frames) link.push(frame);
    const [[number, , body]] = messagesIn(link.take(0));
    assert.equal(number, 1);
    assert.equal(body, hexOf(joined(...frames)));
  });

  test("data that no message can hold is refused and nothing else is harmed", () => {
    const link = new Link();
    link.push(bytesOf("aa"));
    assert.throws(() => link.pushData(1, new Uint8Array(1 << 20)), RangeError);
    assert.deepEqual(messagesIn(link.take(0)), [[1, 0, "aa"]]);
  });

  test("a message that waits keeps a copy of its own", () => {
    const link = new Link();
    const body = Buffer.from("waits"); // whose slice() is a view
    link.receive(message(2, body), 0);
    body.fill("X");
    const [, waited] = link.receive(message(1, new Uint8Array(0)), 0);
    assert.equal(Buffer.from(waited.body).toString(), "waits");
  });

  test("there is no room while very many messages are under way", () => {
    const link = new Link();
    for (let count = 1; count < MESSAGES_UNDER_WAY; count++) sendOne(link);
    assert.ok(link.room > 0);
    sendOne(link);
    assert.equal(link.room, 0);
    link.acknowledge(1);
    assert.ok(link.room > 0);
  });

  test("too many messages do not hide that there are too many bytes", () => {
    const link = new Link(10);
    for (let count = 0; count < MESSAGES_UNDER_WAY; count++) sendOne(link);
    assert.equal(link.room, 10 - 21 * MESSAGES_UNDER_WAY);
  });

  test("as many messages as a sender has room for may come in reverse", () => {
    const link = new Link();
    const body = bytesOf("aa");
    const count = MESSAGES_UNDER_WAY + 64;
    for (let number = count; number > 1; number--) assert.equal(link.receive(message(number, body), 0).length, 0);
    assert.equal(link.receive(message(1, body), 0).length, count);
    assert.equal(link.buffered, 0);
  });
});

/** @param {Link} link */
function sendOne(link) {
  link.push(bytesOf("aa"));
  link.take(0);
}

suite("every byte arrives once and in order whatever carriers do", () => {
  for (const replayLimit of [3000, 20_000, REPLAY_LIMIT]) {
    for (let seed = 0; seed < 4; seed++) {
      test(`seed ${seed}, ${replayLimit} bytes kept`, () => {
        const world = new HostileWorld(new Chance(seed), replayLimit);
        for (let step = 0; step < 3000; step++) world.step();
        world.settle();
        world.checkEverythingArrived();
        for (const end of world.ends) assert.ok(end.pushed.length > 100);
      });
    }
  }

  for (const settle of /** @type {const} */ (["settle", "settleByExchanges"])) {
    test(`after any few steps (${settle})`, () => {
      for (let seed = 100; seed < 200; seed++) {
        const world = new HostileWorld(new Chance(seed), 3000);
        for (let step = 0; step < seed; step++) world.step();
        world[settle]();
        world.checkEverythingArrived();
      }
    });
  }
});
