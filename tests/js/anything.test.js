/**
 * A proxy that says anything that can be put into frames: the page takes it, or says that it breaks the protocol,
 * and nobody waits for ever.
 * @module
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { ProtocolError, SocketError } from "../../js/errors.js";
import { Listener } from "../../js/listener.js";
import { Session } from "../../js/session.js";
import { Socket } from "../../js/socket.js";
import { LAYOUTS, MessageReader, encodeFrame, encodeMessage, framesOf } from "../../js/wire.js";
import { Chance } from "./chance.js";
import { HOST, PAGE } from "./line.js";

/** @typedef {import("../../js/endpoint.js").AnySocket} AnySocket */

const WELCOME = { type: "welcome", socket: 0, session: "s", key: "k", seen: 0, window: 1 << 16, replay: 1 << 20, grace: 0, features: [] };

const SAID = Object.keys(LAYOUTS).filter((type) => LAYOUTS[type].kind >= 0x10);

/** What answers each request. @type {Record<string, string>} */
const ANSWERS = {
  resolve: "resolved",
  bind: "bound",
  listen: "bound",
  associate: "associated",
  option: "done",
};

const SIX = { family: 6, host: "2001:db8::1", port: 80 };
const endsOf = (/** @type {number} */ family) => (family === 6 ? { local: SIX, peer: SIX } : { local: PAGE, peer: HOST });

const word = () => "x";

/** What a field may hold, by its name; others are small numbers. @type {Record<string, (chance: Chance) => any>} */
const FIELDS = {
  family: (chance) => chance.choice([0, 4, 6, 255]),
  datagram: (chance) => chance.integer(0, 2),
  port: (chance) => chance.integer(0, 65_535),
  host: (chance) => chance.choice(["", "10.0.0.1", "::1", "host.example", "\0", "x".repeat(1000)]),
  code: (chance) => chance.choice(["ECONNRESET", "EAI_NONAME", "", "toString", "ENOENT"]),
  values: (chance) => chance.choice([[], ["1"], ["a", "b"]]),
  addresses: (chance) => chance.choice([[], [HOST], [HOST, HOST]]),
  data: (chance) => new Uint8Array(chance.choice([0, 1, 1000, 100_000])),
  credit: (chance) => chance.choice([0, 1, 1000, 2 ** 31, 2 ** 32 - 1]),
  name: word,
  service: word,
  canonical: word,
  message: word,
  hostname: word,
  ciphers: word,
  version: word,
  cipher: word,
  protocol: word,
  library: word,
  alpn: word,
  user: word,
  password: word,
  fingerprint: word,
  protocols: () => [],
  authorities: () => [],
  identity: () => [],
  details: () => [],
  method: word,
  url: word,
  reason: word,
  headers: (chance) => chance.choice([[], ["a", "b"]]),
  local: (chance) => anyAddress(chance),
  peer: (chance) => anyAddress(chance),
  address: (chance) => anyAddress(chance),
};

/** @param {Chance} chance */
function anyAddress(chance) {
  return chance.choice([HOST, PAGE, HOST, PAGE, { family: 6, host: "::1", port: 1 }, { family: 4, host: "no", port: 1 }]);
}

/** A session whose page does what programs do. */
class World {
  clock = 0;
  /** @type {AnySocket[]} */
  sockets = [];
  asked = 0;
  answered = 0;
  #number = 0;
  #nextAccepted = 2;
  /** Requests that are not answered yet. @type {any[]} */
  #questions = [];

  /** @param {Chance} chance */
  constructor(chance) {
    this.chance = chance;
    const reader = new MessageReader();
    this.session = new Session({
      now: () => this.clock,
      send: (message) => {
        for (const { body } of reader.feed(message)) this.#questions.push(...framesOf(body));
        this.#questions = this.#questions.filter(({ type }) => type in ANSWERS);
      },
      later: (flush) => flush(),
    });
    this.session.attach(WELCOME);
  }

  /** Something is asked that must be answered once. */
  #asking() {
    this.asked++;
    let open = true;
    return (/** @type {any} */ error, /** @type {any} */ answer) => {
      assert.ok(open, "answered twice");
      assert.ok(error || answer);
      open = false;
      this.answered++;
    };
  }

  /** The program does something. */
  act() {
    const { chance, session } = this;
    if (this.sockets.length < 6) {
      const family = chance.choice([4, 6]);
      this.sockets.push(chance.choice([new Socket(family), new DatagramSocket(family)]));
    }
    const socket = /** @type {any} */ (chance.choice(this.sockets));
    const target = { host: "host.example", port: 80, timeout: 0 };
    chance.choice([
      () => socket.connect?.(session, target),
      () => this.#bind(socket),
      () => socket.associate?.(session, target, this.#asking()),
      () => this.#listen(socket),
      () => socket.accept?.((/** @type {Socket} */ accepted) => this.sockets.push(accepted)),
      () => socket.setOption(session, chance.choice(["IP_TTL", "IP_ADD_MEMBERSHIP", "SO_RCVBUF"]), ["5000"], this.#asking()),
      () => (socket instanceof Socket ? socket.write(new Uint8Array(500)) : socket.write?.(session, new Uint8Array(500))),
      () => socket.read?.(chance.integer(0, 100_000)),
      () => session.request({ type: "resolve", family: 0, host: "host.example", service: "" }, this.#asking()),
      () => socket.shutdown({ read: chance.random() < 0.5, write: chance.random() < 0.5 }),
      () => socket.close(),
    ])();
  }

  /** @param {AnySocket} socket what is over stays what it is */
  #bind(socket) {
    if (!socket.id && !["idle", "open"].includes(socket.state)) return;
    socket.bind(this.session, { host: "", port: 0 }, this.#asking());
  }

  /** @param {AnySocket} socket */
  #listen(socket) {
    if (!(socket instanceof Socket) || socket.state !== "idle" || socket.settling || socket.pending) return;
    const answered = this.#asking();
    Listener.start(socket, this.session, 2, (error, listener) => {
      answered(error, listener);
      if (listener) this.sockets[this.sockets.indexOf(socket)] = listener;
    });
  }

  /** The proxy says something: more often than not what it may say. */
  hear() {
    const frame = this.chance.random() < 0.95 ? this.#sense() : this.#nonsense();
    const [message] = new MessageReader().feed(encodeMessage(++this.#number, 0, [encodeFrame(frame)]));
    for (const each of this.session.receive(message)) assert.fail(`${each.type} is nobody's`);
  }

  /** Something that is true now. @returns {any} */
  #sense() {
    const { chance } = this;
    if (this.#questions.length && chance.random() < 0.5) {
      const [{ type, socket, target }] = this.#questions.splice(chance.integer(0, this.#questions.length - 1), 1);
      const ends = endsOf(this.session.sockets.get(target)?.family ?? 4);
      if (chance.random() < 0.3) return { type: "failed", socket, code: "EACCES", message: "" };
      return { type: ANSWERS[type], socket, port: 80, canonical: "", addresses: [HOST], ...ends };
    }
    const [id, socket] = chance.choice([...this.session.sockets, [1, null]]);
    const reset = { type: "reset", socket: id, code: "ECONNRESET", message: "" };
    if (!socket) return { type: "window", socket: id, credit: 1 };
    const ends = endsOf(socket.family);
    if (socket instanceof Listener && chance.random() < 0.3) {
      this.#nextAccepted += 2;
      return { type: "accepted", socket: this.#nextAccepted, listener: id, ...ends };
    }
    if (socket instanceof DatagramSocket) {
      const data = new Uint8Array(100);
      return chance.choice([
        { type: "datagram", socket: id, address: ends.peer, data },
        { type: "fault", socket: id, code: "ECONNREFUSED", message: "" },
        { type: "dropped", socket: id, count: 3 },
        reset,
      ]);
    }
    if (socket.state === "connecting") return chance.random() < 0.8 ? { type: "connected", socket: id, ...ends } : reset;
    if (socket.state === "established" || socket.state === "finWait") {
      const data = new Uint8Array(chance.integer(0, 1000));
      return chance.choice([
        { type: "data", socket: id, data },
        { type: "window", socket: id, credit: 1000 },
        { type: "shutdown", socket: id },
        reset,
      ]);
    }
    return reset;
  }

  /** Anything at all. @returns {any} */
  #nonsense() {
    const { chance } = this;
    const type = chance.choice(SAID);
    const socket = chance.choice([0, chance.integer(1, 20), chance.choice([...this.session.sockets.keys(), 1])]);
    /** @type {any} */
    const frame = { type, socket };
    for (const [name] of LAYOUTS[type].fields) frame[name] = (FIELDS[name] ?? (() => chance.integer(0, 9)))(chance);
    return frame;
  }
}

for (let seed = 1; seed <= 10; seed++) {
  test(`whatever a proxy says, nothing but the protocol breaks (chance ${seed})`, () => {
    const chance = new Chance(seed);
    let [broken, heard] = [0, 0];
    for (let round = 0; round < 60; round++) {
      const world = new World(chance);
      for (let step = 0; step < 400 && world.session.state === "attached"; step++) {
        world.clock += chance.choice([0, 1, 1000]);
        try {
          if (chance.random() < 0.6) world.act();
          else world.hear();
          heard++;
        } catch (error) {
          if (error instanceof SocketError) continue;
          assert.ok(error instanceof ProtocolError, String(/** @type {any} */ (error)?.stack));
          broken++;
          world.session.close(new SocketError("ECONNRESET"));
        }
        world.sockets = world.sockets.filter(({ state }) => state !== "closed");
      }
      world.session.close(new SocketError("ECONNRESET"));
      assert.equal(world.answered, world.asked);
      for (const socket of world.sockets) socket.close();
      assert.equal(world.session.sockets.size, 0);
    }
    assert.ok(broken > 30 && heard > 30 * broken, `${broken} of ${heard}`);
  });
}
