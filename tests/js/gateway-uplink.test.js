/**
 * The page's way to servers that others wrote: how it is opened, lost and opened anew.
 * @module
 */

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { WebsockifyGateway, WispGateway } from "../../js/gateways/uplink.js";
import { decode, encode } from "../../js/gateways/wisp-packets.js";
import { Socket } from "../../js/socket.js";
import { Page } from "./page.js";

const URL_OF_WISP = "ws://wisp.example/?secret";
const CREDIT = encode({ type: "Continue", stream: 0, credit: 128 });
const INFO = encode({ type: "Info", stream: 0, major: 2, minor: 0, extensions: [] });

/** @param {import("../../js/gateways/network.js").GatewayNetwork} network */
function connecting(network) {
  const socket = new Socket();
  socket.connect(network, { host: "192.0.2.1", port: 80, timeout: 0 });
  return socket;
}

suite("a Wisp server", () => {
  /** @param {import("node:test").TestContext} t */
  function opening(t) {
    const page = new Page(t);
    const gateway = new WispGateway(URL_OF_WISP, { user: "", password: "" });
    return { page, gateway, opened: gateway.open() };
  }

  /** @param {import("node:test").TestContext} t */
  async function attached(t) {
    const world = opening(t);
    world.page.webSocket.open();
    world.page.webSocket.deliver([INFO, CREDIT]);
    await world.opened;
    return world;
  }

  test("is offered version 2", async (t) => {
    const { page, gateway } = await attached(t);
    assert.deepEqual([page.webSocket.url, page.webSocket.subprotocol], [URL_OF_WISP, ["wisp-v2"]]);
    assert.deepEqual(gateway.status(), {
      kind: "wisp",
      url: "ws://wisp.example/",
      state: "attached",
      proxy: "Wisp 2",
      carrier: "WebSocket",
      bulk: "",
      whyBulk: "",
      roundTrip: undefined,
      reconnects: 0,
      buffered: 0,
    });
  });

  test("that answers no offer is spoken to in version 1, from then on", async (t) => {
    const { page, gateway, opened } = opening(t);
    page.webSocket.drop();
    await page.settle();
    assert.deepEqual([page.webSockets.length, page.webSocket.subprotocol], [2, []]);
    page.webSocket.open();
    page.webSocket.deliver([CREDIT]);
    await opened;
    assert.equal(gateway.status().proxy, "Wisp 1");
    page.webSocket.drop();
    assert.equal(gateway.status().state, "detached");
    connecting(gateway.session);
    assert.deepEqual([page.webSockets.length, page.webSocket.subprotocol], [3, []]);
  });

  test("that is not there is told, without what may be secret", async (t) => {
    const { page, opened } = opening(t);
    page.webSocket.drop();
    await page.settle();
    page.webSocket.drop();
    await assert.rejects(opened, { name: "ProxyError", code: "unreachable", message: /at ws:\/\/wisp\.example\/ \(/ });
  });

  test("that says nothing is given up", async (t) => {
    const { page, opened } = opening(t);
    page.webSocket.open();
    page.clock.advance(10_000);
    await page.settle();
    assert.deepEqual([page.webSockets[0].state, page.webSockets.length], ["closed", 2]);
    page.clock.advance(10_000);
    await assert.rejects(opened, { code: "unreachable", message: /no answer in time/ });
    assert.equal(page.clock.timers.size, 0);
  });

  test("that speaks nonsense is left, and what it was told fails", async (t) => {
    const { page, gateway } = await attached(t);
    const socket = connecting(gateway.session);
    page.webSocket.onmessage({ data: "text means nothing" });
    assert.equal(socket.takeError(), null);
    page.webSocket.deliver([Uint8Array.of(2, 1)]);
    const error = socket.takeError();
    assert.deepEqual([page.webSocket.state, error?.code], ["closed", "ECONNRESET"]);
    assert.match(error?.message ?? "", /a packet of 2 bytes/);
  });

  test("that is lost takes its sockets with it, and the next is another connection", async (t) => {
    const { page, gateway } = await attached(t);
    const socket = connecting(gateway.session);
    page.webSocket.drop("gone");
    assert.deepEqual([socket.error?.code, socket.error?.message], [
      "ECONNRESET",
      "the connection to the Wisp server is lost (gone)",
    ]);
    const next = connecting(gateway.session);
    page.webSocket.open();
    page.webSocket.deliver([INFO, CREDIT]);
    assert.deepEqual([page.webSockets.length, next.state], [2, "established"]);
  });

  test("is not opened anew after the end", async (t) => {
    const { page, gateway } = await attached(t);
    const socket = connecting(gateway.session);
    gateway.close();
    assert.deepEqual([socket.error?.code, page.webSocket.code], ["ENETDOWN", 1000]);
    assert.throws(() => connecting(gateway.session), { code: "ENETDOWN" });
    assert.equal(page.webSockets.length, 1);
    assert.equal(page.clock.timers.size, 0);
  });

  test("opens without anybody's waiting, too", async (t) => {
    const page = new Page(t);
    const gateway = new WispGateway(URL_OF_WISP, { user: "", password: "" });
    gateway.openNow();
    const socket = connecting(gateway.session);
    page.webSocket.open();
    page.webSocket.deliver([CREDIT]);
    assert.equal(socket.state, "established");
    assert.equal(gateway.exchange(), false);
  });

  test("whose line is full is sent nothing until that has left", async (t) => {
    const { page, gateway } = await attached(t);
    const socket = connecting(gateway.session);
    const { webSocket, clock } = page;
    webSocket.sent.length = 0;
    webSocket.bufferedAmount = 4 << 20;
    socket.write(new Uint8Array(10));
    clock.advance(100);
    assert.equal(webSocket.sent.length, 0);
    webSocket.bufferedAmount = 1 << 20;
    clock.advance(10);
    assert.deepEqual(webSocket.sent.map((message) => decode(message).data.length), [10]);
    assert.equal(clock.timers.size, 0);
  });

  test("whose address the browser does not take is told as any other", async (t) => {
    const page = new Page(t);
    const gateway = new WispGateway("no address", { user: "", password: "" });
    const opened = gateway.open();
    page.clock.advance(0);
    await page.settle();
    page.clock.advance(0);
    await assert.rejects(opened, { code: "unreachable", message: /is invalid/ });
  });
});

suite("a websockify", () => {
  test("is asked when something connects", async (t) => {
    const page = new Page(t);
    const gateway = new WebsockifyGateway("ws://gateway/{host}/{port}?secret", "a token");
    await gateway.open();
    gateway.openNow();
    assert.deepEqual([page.webSockets.length, gateway.status().state], [0, "detached"]);
    const socket = connecting(gateway.session);
    assert.equal(page.webSocket.url, "ws://gateway/192.0.2.1/80?secret");
    assert.deepEqual(page.webSocket.subprotocol, ["binary", "token.a%20token"]);
    page.webSocket.open();
    assert.deepEqual([socket.state, gateway.status().state], ["established", "attached"]);
    assert.equal(gateway.status().url, "ws://gateway/{host}/{port}");
    gateway.close();
    assert.deepEqual([socket.error?.code, page.webSocket.code], ["ENETDOWN", 1000]);
  });

  test("is offered what it takes where there is no token", (t) => {
    const page = new Page(t);
    connecting(new WebsockifyGateway("ws://gateway/", "").session);
    assert.deepEqual(page.webSocket.subprotocol, ["binary"]);
  });
});
