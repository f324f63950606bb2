/**
 * A session with many sockets on carriers that do whatever a network may do, and by exchanges; link.test.js has bare
 * links on them.
 * @module
 */

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { Session } from "../../js/session.js";
import { Socket } from "../../js/socket.js";
import { MessageReader, framesOf } from "../../js/wire.js";
import { SendWindow } from "../../js/window.js";
import { Chance } from "./chance.js";
import { HOST, PAGE, TARGET } from "./line.js";
import { ProxyEnd } from "./proxy.js";

/** Small, so that the sockets meet them all the time. */
const WINDOW = 3000;
const REPLAY = 20_000;

const PIECE_MAX = 2000;

/** @typedef {import("../../js/wire.js").Frame} Frame */

/** A host behind the proxy, which sends back all it receives. */
class Echo {
  queue = Buffer.alloc(0);
  ended = false;
  finished = false;

  /** @param {ProxyEnd} proxy @param {number} id */
  constructor(proxy, id) {
    this.proxy = proxy;
    this.id = id;
    this.window = new SendWindow(256 * 1024);
  }

  /** @param {Frame} frame */
  receive(frame) {
    if (frame.type === "data") {
      this.queue = Buffer.concat([this.queue, frame.data]);
      this.say({ type: "window", credit: frame.data.length });
    }
    if (frame.type === "window") this.window.opened(frame.credit);
    if (frame.type === "shutdown") this.ended = true;
  }

  /** Send back what may be sent. @param {number} limit */
  work(limit) {
    const size = Math.min(limit, this.queue.length, this.window.credit);
    if (size) {
      this.say({ type: "data", data: new Uint8Array(this.queue.subarray(0, size)) });
      this.window.sent(size);
      this.queue = this.queue.subarray(size);
    }
    if (this.ended && !this.queue.length && !this.finished) {
      this.finished = true;
      this.say({ type: "shutdown" });
    }
  }

  /** @param {object} frame */
  say(frame) {
    this.proxy.queue(/** @type {Frame} */ ({ ...frame, socket: this.id }));
  }
}

/** The page's program: one socket, which writes a stream and reads it back. */
class Client {
  socket = new Socket();
  written = 0;
  read = 0;

  /** @param {number} seed of its stream @param {number} size of it */
  constructor(seed, size) {
    this.seed = seed;
    this.size = size;
  }

  /** @param {number} at */
  byte(at) {
    return (this.seed + at * 31) % 251;
  }

  /** @param {Chance} chance */
  work(chance) {
    const { socket } = this;
    const size = Math.min(chance.integer(1, PIECE_MAX), this.size - this.written);
    const start = this.written;
    unlessAgain(() => {
      if (size)
        this.written += socket.write(Uint8Array.from({ length: size }, (_, index) => this.byte(start + index)));
      else if (socket.state === "established") socket.shutdown({ read: false, write: true });
    });
    unlessAgain(() => {
      for (const byte of socket.read(chance.integer(1, PIECE_MAX))) assert.equal(byte, this.byte(this.read++));
    });
  }
}

/** @param {() => void} operation */
function unlessAgain(operation) {
  try {
    operation();
  } catch (error) {
    assert.equal(/** @type {any} */ (error).code, "EAGAIN");
  }
}

/** What is under way in both directions of one WebSocket. */
class Carrier {
  up = Buffer.alloc(0);
  down = Buffer.alloc(0);
  /** As the proxy, and as the page, knows. */
  greeted = false;
  welcomed = false;
  reader = new MessageReader();

  /** @param {World} world */
  constructor(world) {
    this.world = world;
    this.toProxy = world.proxy.carrier();
    this.up = Buffer.from(world.session.greeting("token", "agent"));
  }

  /** @param {Uint8Array} message */
  send(message) {
    assert.ok(this.welcomed, "nothing is sent behind a greeting before it is answered");
    this.up = Buffer.concat([this.up, message]);
  }

  /** @param {Uint8Array[]} messages */
  answer(messages) {
    this.down = Buffer.concat([this.down, ...messages]);
  }

  /** @param {number} size */
  deliverUp(size) {
    const { proxy } = this.world;
    const { length } = proxy.greetings;
    this.toProxy(new Uint8Array(this.up.subarray(0, size)));
    this.up = this.up.subarray(size);
    if (!this.greeted && proxy.greetings.length > length) {
      this.greeted = true;
      this.answer(proxy.welcome());
    }
  }

  /** @param {number} size */
  deliverDown(size) {
    const { session } = this.world;
    const piece = new Uint8Array(this.down.subarray(0, size));
    this.down = this.down.subarray(size);
    for (const message of this.reader.feed(piece)) {
      if (this.welcomed) {
        assert.deepEqual([...session.receive(message)], []);
      } else {
        this.welcomed = true;
        session.attach(framesOf(message.body).next().value ?? assert.fail());
      }
    }
  }
}

/** A page and a proxy, joined by one carrier after another. */
class World {
  clock = 0;
  /** @type {Map<number, Echo>} */
  hosts = new Map();
  /** @type {(() => void)[]} */
  scheduled = [];

  /** @param {Chance} chance */
  constructor(chance) {
    this.chance = chance;
    this.proxy = new ProxyEnd({ window: WINDOW });
    this.proxy.answer = (frame) => this.#hosted(frame);
    this.session = new Session({
      now: () => this.clock,
      send: (message) => this.carrier.send(message),
      later: (flush) => void this.scheduled.push(flush),
    });
    this.session.link.replayLimit = REPLAY;
    this.carrier = new Carrier(this);
    this.clients = Array.from({ length: 12 }, (_, index) => new Client(index * 7, chance.integer(0, 12_000)));
    for (const { socket } of this.clients) socket.connect(this.session, TARGET);
  }

  /** @param {Frame} frame */
  #hosted(frame) {
    const { socket, type } = frame;
    if (type === "connect") {
      assert.ok(!this.hosts.has(socket), "connected twice");
      this.hosts.set(socket, new Echo(this.proxy, socket));
      this.proxy.queue({ type: "connected", socket, local: PAGE, peer: HOST });
    } else {
      this.hosts.get(socket)?.receive(frame);
    }
  }

  step() {
    const { chance, carrier } = this;
    this.clock += chance.choice([0, 0.5, 20]);
    const happening = chance.integer(0, 103);
    if (happening < 30) chance.choice(this.clients).work(chance);
    else if (happening < 45) for (const host of this.hosts.values()) host.work(chance.integer(1, PIECE_MAX));
    else if (happening < 55) this.flush();
    else if (happening < 75) carrier.deliverUp(chance.choice([1, 7, 50, 1e6]));
    else if (happening < 95) carrier.deliverDown(chance.choice([1, 7, 50, 1e6]));
    else if (happening < 97) this.repeat();
    else if (happening < 99) this.cut();
    else if (happening < 100) this.session.flush();
    else this.exchange();
  }

  /** One exchange, beside the carrier if there is one; when it is lost the carrier is given up. */
  exchange() {
    const { chance, session, proxy } = this;
    const limit = chance.choice([0, 500, 5000, 1e6]);
    const greeting = session.greeting("token", "agent", { type: "poll", wait: 0, limit });
    const request = Buffer.concat([greeting, ...session.link.outstanding(chance.choice([500, 5000, 1e6]))]);
    const [heard, answered] = [chance.random() < 0.8, chance.random() < 0.8];
    const answer = heard && proxy.exchange(new Uint8Array(request));
    if (!answer || !answered) {
      this.cut();
      return;
    }
    const [welcome, ...messages] = new MessageReader().feed(answer);
    session.exchanged(framesOf(welcome.body).next().value ?? assert.fail());
    for (const message of messages) assert.deepEqual([...session.receive(message)], []);
  }

  flush() {
    for (const flush of this.scheduled.splice(0)) flush();
    if (this.carrier.greeted) this.carrier.answer(this.proxy.link.take(this.clock));
  }

  /** Everything that the proxy keeps comes once more. */
  repeat() {
    if (this.carrier.greeted) this.carrier.answer(this.proxy.link.replay());
  }

  /** The carrier is gone, with all that was under way, and another takes its place. */
  cut() {
    const { chance, carrier } = this;
    carrier.deliverUp(chance.integer(0, carrier.up.length));
    carrier.deliverDown(chance.integer(0, carrier.down.length));
    this.session.lose();
    this.carrier = new Carrier(this);
  }

  /** The network behaves from now on. */
  settle() {
    for (let round = 0; round < 400 && !this.done; round++) {
      this.clock += 100;
      for (const client of this.clients) client.work(this.chance);
      for (const host of this.hosts.values()) host.work(1e6);
      this.flush();
      this.session.flush();
      this.carrier.deliverUp(1e9);
      this.carrier.deliverDown(1e9);
    }
  }

  get done() {
    return this.clients.every(({ socket }) => socket.state === "finished" && !socket.available);
  }
}

suite("many sockets over carriers that are cut, deliver crumbs, and repeat themselves, and exchanges", () => {
  for (let seed = 1; seed <= 12; seed++) {
    test(`every byte arrives once and in order, and every end behind it (chance ${seed})`, () => {
      const world = new World(new Chance(seed));
      for (let step = 0; step < 1500; step++) world.step();
      world.settle();
      for (const { socket, size, read, written } of world.clients) {
        assert.deepEqual([socket.state, written, read], ["finished", size, size]);
        assert.deepEqual([socket.bytesSent, socket.bytesReceived], [size, size]);
      }
      assert.ok(world.proxy.greetings.length > 5);
      assert.deepEqual(
        [...world.hosts.keys()],
        world.clients.map(({ socket }) => socket.id),
      );
    });
  }
});
