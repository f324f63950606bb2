/**
 * Whatever answers over HTTP, a proxy or not: the page goes on, or its session is over and nobody waits for ever.
 * @module
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Chance } from "./chance.js";
import { unnumbered } from "./proxy.js";
import { World } from "./world.js";

/** @typedef {import("../../js/socket.js").Socket} Socket */

const GOAWAY = unnumbered({ type: "goaway", socket: 0, code: "protocol", message: "" });

const STATUSES = [200, 200, 200, 400, 403, 404, 500, 503];

/** What becomes of an answer. @param {Uint8Array} answer @param {Chance} chance */
function spoiled(answer, chance) {
  const bytes = answer.slice();
  const at = chance.integer(0, Math.max(0, bytes.length - 1));
  return chance.choice([
    () => bytes.subarray(0, at),
    () => bytes.subarray(at),
    () => new Uint8Array([...bytes, ...bytes]),
    () => new Uint8Array([...bytes, ...bytes.subarray(at)]),
    () => Uint8Array.from({ length: chance.integer(0, 200) }, () => chance.integer(0, 255)),
    () => bytes.fill(chance.integer(0, 255), at, at + chance.integer(1, 4)),
    () => new Uint8Array(0),
  ])();
}

/** What becomes of a request. @param {World} world @param {Uint8Array} body @param {Chance} chance */
function answerTo(world, body, chance) {
  const happening = chance.integer(0, 99);
  if (happening < 8) return null;
  try {
    const answer = world.proxy.exchange(body);
    if (happening < 16) return null;
    if (happening < 97) return { status: 200, body: answer };
    return { status: chance.choice(STATUSES), body: spoiled(answer, chance) };
  } catch {
    return { status: 400, body: GOAWAY }; // the page believed what was spoiled
  }
}

/** Programs use their sockets. @param {World} world @param {Socket[]} sockets @param {Chance} chance */
function act(world, sockets, chance) {
  const socket = chance.choice(sockets);
  try {
    chance.choice([
      () => socket.write(new Uint8Array(chance.integer(1, 5000))),
      () => socket.read(1000),
      () => {
        if (socket.state !== "established") return;
        world.proxy.queue({ type: "data", socket: socket.id, data: new Uint8Array(chance.integer(1, 50)) });
      },
    ])();
  } catch (error) {
    assert.equal(/** @type {any} */ (error).name, "SocketError");
  }
}

for (let seed = 1; seed <= 10; seed++) {
  test(`nothing but the session ends (chance ${seed})`, async (t) => {
    const chance = new Chance(seed);
    let [ended, steps] = [0, 0];
    for (let round = 0; round < 8; round++) {
      const world = round % 2 ? await World.overHTTP(t) : await World.opened(t);
      world.page.chance = 0.5;
      const sockets = [world.connecting(), world.connecting()];
      world.proxy.answer = ({ type, socket }) => {
        const [local, peer] = [
          { family: 4, host: "10.0.0.1", port: 1 },
          { family: 4, host: "10.0.0.2", port: 2 },
        ];
        if (type === "connect") world.proxy.queue({ type: "connected", socket, local, peer });
      };
      world.page.answerNow = (body) => answerTo(world, body, chance);
      for (let step = 0; step < 40 && !world.connection.over; step++, steps++) {
        act(world, sockets, chance);
        while (chance.random() < 0.4) assert.equal(typeof world.connection.exchange(10), "boolean");
        world.page.turn();
        world.clock.advance(chance.choice([0, 1, 100, 3_000]));
        for (const request of world.page.waiting) {
          const answer = answerTo(world, request.body, chance);
          if (answer) request.answer(answer.body, answer.status);
          else request.fail();
        }
        await world.page.settle();
        if (world.page.webSocket.state === "connecting") world.page.webSocket.drop();
      }
      if (world.connection.over) ended++;
      world.connection.close();
      world.page.turn();
      for (const socket of sockets) assert.ok(socket.state === "failed" || socket.takeError(), socket.state);
      assert.equal(world.clock.timers.size, 0);
    }
    assert.ok(ended > 0 && steps > 80, `${ended} ended in ${steps} steps`);
  });
}
