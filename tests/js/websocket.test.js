import assert from "node:assert/strict";
import { test } from "node:test";

import { openWebSocket } from "../../js/carriers/websocket.js";

/** The newest WebSocket that was opened. @type {any} */
let opened;

class FakeWebSocket {
  static CLOSED = 3;
  readyState = 0;
  constructor() {
    opened = this;
  }
}

/** Why a carrier was closed, each time that it said so. @param {import("node:test").TestContext} t */
function reasons(t) {
  const before = globalThis.WebSocket;
  t.after(() => {
    globalThis.WebSocket = before;
  });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  globalThis.WebSocket = /** @type {any} */ (FakeWebSocket);
  /** @type {string[]} */
  const heard = [];
  openWebSocket("ws://127.0.0.1/pynet", {
    greeting: () => new Uint8Array(0),
    received: () => {},
    closed: (reason) => heard.push(reason),
  });
  return heard;
}

test("a WebSocket that a policy of the page forbids is closed, though the browser tells of an error alone", (t) => {
  const heard = reasons(t);
  opened.readyState = FakeWebSocket.CLOSED;
  opened.onerror();
  t.mock.timers.runAll();
  assert.deepEqual(heard, ["the browser does not allow it"]);
});

test("one that fails is closed once, for the reason of its close", (t) => {
  const heard = reasons(t);
  opened.readyState = FakeWebSocket.CLOSED;
  opened.onerror();
  opened.onclose({ code: 1006, reason: "" });
  t.mock.timers.runAll();
  assert.deepEqual(heard, ["code 1006"]);
});
