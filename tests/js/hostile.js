/**
 * Two ends of a session joined by carriers that do whatever a network may do. Pure; chance is given. Twin of
 * tests/unit/hostile.py.
 * @module
 */

import assert from "node:assert/strict";

import { Link } from "../../js/link.js";
import { MessageReader, encodeFrame, encodeMessage, framesOf } from "../../js/wire.js";
import { hexOf } from "./vectors.js";

/** Longest data pushed at once. */
const FRAME_MAX = 2000;

const CARRIERS_MAX = 3;

const EXCHANGES_MAX = 3;

/** How many bytes of messages an exchange may take along, or bring. */
const LIMITS = [0, 1, 500, 5000, 1e9];

/** @typedef {import("./chance.js").Chance} Chance */
/** @typedef {import("../../js/wire.js").Message} Message */

/** One direction of a carrier: bytes under way, and the reader at their end. */
class Pipe {
  underWay = new Uint8Array(0);
  reader = new MessageReader();

  /** @param {Carrier} carrier @param {End} receiver */
  constructor(carrier, receiver) {
    this.carrier = carrier;
    this.receiver = receiver;
  }

  /** Bytes written to a carrier that is cut are gone; its owner may not know yet. @param {Uint8Array[]} messages */
  send(messages) {
    if (!this.carrier.cut) this.underWay = new Uint8Array(Buffer.concat([this.underWay, ...messages]));
  }

  /** The next bytes arrive. @param {number} size @param {number} now */
  deliver(size, now) {
    const piece = this.underWay.subarray(0, size);
    this.underWay = this.underWay.subarray(size);
    for (const message of this.reader.feed(piece)) this.receiver.receive(message, this.carrier, now);
  }
}

/** Two pipes that live and die together. */
class Carrier {
  cut = false;

  /** @param {End} client @param {End} proxy */
  constructor(client, proxy) {
    this.client = client;
    this.toClient = new Pipe(this, client);
    this.toProxy = new Pipe(this, proxy);
    this.pipes = [this.toClient, this.toProxy];
  }

  /** Where `sender` writes. @param {End} sender */
  pipeFrom(sender) {
    return sender === this.client ? this.toProxy : this.toClient;
  }

  /** What is under way never arrives, not even the rest of a message that began to. */
  lose() {
    this.cut = true;
    for (const pipe of this.pipes) pipe.underWay = new Uint8Array(0);
  }
}

/** What a page or a proxy does around a link, and no more. */
class End {
  /** Those that are greeted, as far as this end knows. @type {Carrier[]} */
  carriers = [];
  /** @type {string[]} */
  pushed = [];
  /** @type {string[]} */
  delivered = [];

  /** @param {number} replayLimit */
  constructor(replayLimit) {
    this.link = new Link(replayLimit);
    this.link.peerReplay = replayLimit;
  }

  /** Queue data, and now and then another frame, as far as there is room. @param {Uint8Array} data */
  push(data) {
    if (this.link.room <= 0) return;
    this.link.pushData(1, data);
    if (data.length % 7 === 0) {
      this.link.push(encodeFrame({ type: "connect", socket: 1, family: 4, port: 80, timeout: 0, host: "host.example" }));
    }
    this.pushed.push(hexOf(data));
  }

  /** Send what is to be sent; returns it. @param {Carrier} carrier @param {number} now */
  flush(carrier, now) {
    const messages = this.link.take(now);
    carrier.pipeFrom(this).send(messages);
    return messages;
  }

  /**
   * Take in a message: a greeting if the carrier is new here.
   * @param {Message} message
   * @param {Carrier} carrier
   * @param {number} now
   */
  receive(message, carrier, now) {
    if (!this.carriers.includes(carrier)) {
      this.#greeted(message, carrier);
      return;
    }
    this.take(message, now);
  }

  /** @param {Message} message @param {number} now */
  take(message, now) {
    this.link.acknowledge(message.ack);
    if (!message.number) return;
    for (const { body } of this.link.receive(message, now)) {
      for (const frame of framesOf(body)) if (frame.type === "data") this.delivered.push(hexOf(frame.data));
    }
  }

  /** @param {Message} message @param {Carrier} carrier */
  #greeted(message, carrier) {
    const [greeting] = framesOf(message.body);
    if (greeting.type === "hello") this.greet("welcome", carrier);
    else assert.equal(greeting.type, "welcome");
    this.carriers.push(carrier);
    carrier.pipeFrom(this).send(this.link.replay(greeting.seen));
  }

  /** @param {"hello" | "welcome"} type @param {Carrier} carrier */
  greet(type, carrier) {
    const greeting = {
      type,
      socket: 0,
      version: 1,
      token: "token",
      session: "s",
      key: "k",
      seen: this.link.received,
      window: 0,
      replay: 0,
      grace: 0,
      keepalive: 0,
      features: [],
      agent: "",
    };
    carrier.pipeFrom(this).send([encodeMessage(0, 0, [encodeFrame(greeting)])]);
  }

  /** A carrier is gone: what it may have taken with it goes out on another. @param {Carrier} carrier */
  noticeLoss(carrier) {
    if (!this.carriers.includes(carrier)) return;
    this.carriers = this.carriers.filter((each) => each !== carrier);
    this.carriers.at(-1)?.pipeFrom(this).send(this.link.replay());
  }
}

/** A request and its answer, beside all carriers; either may be lost. */
class Exchange {
  /** What is under way, and who has sent it. */
  sender;
  underWay;

  /** @param {HostileWorld} world @param {number} takes @param {number} brings */
  constructor(world, takes, brings) {
    this.world = world;
    this.brings = brings;
    this.sender = world.client;
    this.underWay = { seen: world.client.link.received, messages: world.client.link.outstanding(takes) };
  }

  /** The request arrives, or the answer; tells whether that was the end. */
  arrive() {
    const { client, proxy, now } = this.world;
    const receiver = this.sender === client ? proxy : client;
    receiver.link.acknowledge(this.underWay.seen);
    const reader = new MessageReader();
    for (const bytes of this.underWay.messages) for (const message of reader.feed(bytes)) receiver.take(message, now);
    return receiver === client;
  }

  /** The proxy has heard the request, and answers. */
  answer() {
    const { link } = this.world.proxy;
    this.sender = this.world.proxy;
    this.underWay = { seen: link.received, messages: link.outstanding(this.brings) };
  }
}

/** A session on carriers that deliver late, in crumbs, twice, in any order, or not at all. */
export class HostileWorld {
  now = 0;
  /** @type {Carrier[]} */
  carriers = [];
  /** Those that are heard by nobody yet, and those that are to be answered. @type {Exchange[]} */
  exchanges = [];
  /** @type {Exchange[]} */
  held = [];
  #bytesMade = 0;

  /** @param {Chance} chance @param {number} replayLimit */
  constructor(chance, replayLimit) {
    this.chance = chance;
    this.client = new End(replayLimit);
    this.proxy = new End(replayLimit);
    this.ends = [this.client, this.proxy];
  }

  /** One thing happens. */
  step() {
    const end = this.chance.choice(this.ends);
    this.now += this.chance.choice([0, 1, 50]);
    const happening = this.chance.integer(0, 114);
    if (happening < 30) end.push(this.#data());
    else if (happening < 55) this.#flush(end);
    else if (happening < 92) this.#deliver(happening < 70);
    else if (happening < 95) this.#attach();
    else if (happening < 97) this.#cut();
    else if (happening < 100) this.#notice(end);
    else this.#exchange();
    this.check();
  }

  /** Bytes that tell where they belong. */
  #data() {
    const size = this.chance.choice([0, 1, 10, 100, FRAME_MAX]);
    const start = this.#bytesMade;
    this.#bytesMade += size;
    return Uint8Array.from({ length: size }, (_, at) => ((start + at) * 31) % 251);
  }

  /** @param {End} end */
  #flush(end) {
    if (!end.carriers.length) return;
    const messages = end.flush(this.chance.choice(end.carriers), this.now);
    if (this.chance.random() < 0.2) this.chance.choice(end.carriers).pipeFrom(end).send(messages);
  }

  /** @param {boolean} crumbs */
  #deliver(crumbs) {
    const pipes = this.carriers.flatMap((carrier) => carrier.pipes).filter((pipe) => pipe.underWay.length);
    if (!pipes.length) return;
    const pipe = this.chance.choice(pipes);
    pipe.deliver(crumbs ? this.chance.integer(1, 9) : pipe.underWay.length, this.now);
  }

  #attach() {
    if (this.carriers.filter((carrier) => !carrier.cut).length < CARRIERS_MAX) this.#open();
  }

  #open() {
    const carrier = new Carrier(this.client, this.proxy);
    this.carriers.push(carrier);
    this.client.greet("hello", carrier);
  }

  /** An exchange begins, goes on, or is lost. */
  #exchange() {
    const { chance } = this;
    const under = this.exchanges.length + this.held.length;
    if (!under || (under < EXCHANGES_MAX && chance.random() < 0.3)) {
      this.exchanges.push(new Exchange(this, chance.choice(LIMITS), chance.choice(LIMITS)));
    } else if (this.held.length && chance.random() < 0.5) {
      const exchange = this.#any(this.held);
      exchange.answer();
      this.exchanges.push(exchange);
    } else if (this.exchanges.length) {
      const exchange = this.#any(this.exchanges);
      if (chance.random() < 0.7 && !exchange.arrive()) this.held.push(exchange);
    }
  }

  /** One of these, which is taken from them. @param {Exchange[]} exchanges */
  #any(exchanges) {
    return exchanges.splice(this.chance.integer(0, exchanges.length - 1), 1)[0];
  }

  /** A carrier goes, more often than not in the middle of a message. */
  #cut() {
    const alive = this.carriers.filter((carrier) => !carrier.cut);
    if (!alive.length) return;
    const carrier = this.chance.choice(alive);
    for (const pipe of carrier.pipes) pipe.deliver(this.chance.integer(0, pipe.underWay.length), this.now);
    carrier.lose();
  }

  /** @param {End} end */
  #notice(end) {
    for (const carrier of this.carriers) if (carrier.cut) end.noticeLoss(carrier);
  }

  /** What must hold at every moment. */
  check() {
    for (const [end, peer] of [this.ends, [...this.ends].reverse()]) {
      // All before the last few was compared in earlier steps.
      const from = Math.max(0, end.delivered.length - 50);
      assert.deepEqual(end.delivered.slice(from), peer.pushed.slice(from, end.delivered.length));
      const kept = end.link.replayLimit - end.link.room;
      assert.ok(kept <= end.link.replayLimit + FRAME_MAX + 200);
      assert.ok(end.link.buffered - kept <= end.link.peerReplay + FRAME_MAX + 200);
    }
  }

  /** All carriers are lost, and the network behaves from now on, for exchanges alone: everything arrives. */
  settleByExchanges() {
    for (const carrier of this.carriers) carrier.lose();
    for (const end of this.ends) this.#notice(end);
    for (let round = 0; round < 100; round++) {
      this.now += 100;
      const exchange = new Exchange(this, 1e9, 1e9);
      exchange.arrive();
      exchange.answer();
      exchange.arrive();
    }
  }

  /** All exchanges are lost, and the network behaves from now on: everything arrives. */
  settle() {
    this.exchanges = this.held = [];
    for (const end of this.ends) this.#notice(end);
    this.carriers = this.carriers.filter((carrier) => !carrier.cut);
    this.#open();
    for (let round = 0; round < 100; round++) {
      for (const pipe of this.carriers.flatMap((carrier) => carrier.pipes)) {
        pipe.deliver(pipe.underWay.length, this.now);
      }
      this.now += 100;
      for (const end of this.ends) {
        const carrier = end.carriers.at(-1);
        if (carrier) end.flush(carrier, this.now);
      }
    }
  }

  checkEverythingArrived() {
    for (const [end, peer] of [this.ends, [...this.ends].reverse()]) {
      assert.deepEqual(end.delivered, peer.pushed);
      assert.equal(end.link.buffered, 0);
      assert.equal(end.link.pending, 0);
    }
  }
}
