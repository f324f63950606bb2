import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { READABLE, WRITABLE } from "../../js/endpoint.js";
import { HOST, PAGE, hear, socketThatIs } from "./line.js";

/** @typedef {import("../../js/socket.js").Socket} Socket */

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);

/** @param {Socket} socket */
const connected = (socket) => hear(socket, "connected", { local: PAGE, peer: HOST });

/** @param {Socket} socket */
const reset = (socket) => hear(socket, "reset", { code: "ECONNRESET", message: "" });

/** Counts how often a watcher is called. @param {Socket} socket @param {number} mask */
function watching(socket, mask) {
  const watcher = { calls: 0, forget: () => {} };
  watcher.forget = socket.watch(mask, () => watcher.calls++);
  return watcher;
}

suite("watchers", () => {
  test("are called once, when the socket is ready for what they wait for", () => {
    const { socket } = socketThatIs("established");
    const watcher = watching(socket, READABLE);
    hear(socket, "window", { credit: 1 });
    assert.equal(watcher.calls, 0);
    for (const piece of ["a", "b"]) hear(socket, "data", { data: bytes(piece) });
    assert.equal(watcher.calls, 1);
  });

  test("are called for the end, an error and a close, whatever they wait for", () => {
    for (const happen of [reset, (/** @type {Socket} */ socket) => socket.close()]) {
      const { socket } = socketThatIs("established");
      const watchers = [0, READABLE, WRITABLE].map((mask) => watching(socket, mask));
      happen(socket);
      assert.deepEqual(
        watchers.map(({ calls }) => calls),
        [1, 1, 1],
      );
    }
    const { socket } = socketThatIs("established");
    const reader = watching(socket, READABLE);
    hear(socket, "shutdown");
    assert.equal(reader.calls, 1);
  });

  test("are called when a connection stands, and when it is refused", () => {
    for (const happen of [connected, reset]) {
      const { socket } = socketThatIs("connecting");
      const watcher = watching(socket, WRITABLE);
      happen(socket);
      assert.equal(watcher.calls, 1);
    }
  });

  test("are called when the program shuts a direction down itself", () => {
    const { socket, line } = socketThatIs("established");
    line.room = 0;
    const [reader, writer] = [watching(socket, READABLE), watching(socket, WRITABLE)];
    socket.shutdown({ read: true, write: true });
    assert.deepEqual([reader.calls, writer.calls], [1, 1]);
  });

  test("that are forgotten are not called, even by one another", () => {
    const { socket } = socketThatIs("established");
    const [first, second] = [watching(socket, READABLE), watching(socket, READABLE)];
    first.forget();
    let third = { calls: 0, forget: () => {} };
    socket.watch(READABLE, () => third.forget());
    third = watching(socket, READABLE);
    hear(socket, "data", { data: bytes("x") });
    assert.deepEqual([first.calls, second.calls, third.calls], [0, 1, 0]);
  });

  test("of a full link are called when it has room", () => {
    const { socket, line } = socketThatIs("established");
    line.room = 0;
    const [reader, writer] = [watching(socket, READABLE), watching(socket, WRITABLE)];
    line.drain(1);
    assert.deepEqual([reader.calls, writer.calls], [0, 1]);
    assert.equal(line.waiting.size, 0);
  });

  test("that wait for credit are called when it comes while the link is full, once that has room", () => {
    const { socket, line } = socketThatIs("established");
    socket.write(new Uint8Array(line.peerWindow));
    const writer = watching(socket, WRITABLE);
    line.room = 0; // filled by others
    hear(socket, "window", { credit: 1 });
    assert.equal(writer.calls, 0);
    line.drain(1);
    assert.equal(writer.calls, 1);
  });

  test("that wait for a connection are called when it comes while the link is full, once that has room", () => {
    const { socket, line } = socketThatIs("connecting");
    const writer = watching(socket, WRITABLE);
    line.room = 0;
    connected(socket);
    line.drain(1);
    assert.equal(writer.calls, 1);
  });

  test("that find the link full again wait for the next time", () => {
    const { socket, line } = socketThatIs("established");
    line.room = 0;
    const writer = watching(socket, WRITABLE);
    line.drain(0); // another socket was told first, and has filled it
    assert.equal(writer.calls, 0);
    line.drain(1);
    assert.equal(writer.calls, 1);
  });
});
