import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { withAffinity } from "../../js/affinity.js";
import { exchangeAddress } from "../../js/carriers/http.js";
import { URL_OF_PROXY, World } from "./world.js";

const ADDRESS = /^ws:\/\/127\.0\.0\.1:8765\/pynet\?affinity=[0-9a-f]{16}$/;

suite("what balancers go by", () => {
  test("an address has a key, and another one each time", () => {
    assert.match(withAffinity(URL_OF_PROXY), ADDRESS);
    assert.notEqual(withAffinity(URL_OF_PROXY), withAffinity(URL_OF_PROXY));
  });

  test("exchanges have the key of their WebSocket", () => {
    assert.equal(exchangeAddress("wss://host/pynet?affinity=0a"), "https://host/pynet/http?affinity=0a");
    assert.equal(exchangeAddress("ws://host/pynet"), "http://host/pynet/http");
  });

  test("a session comes back with the key that it had", async (t) => {
    const world = await World.opened(t);
    const { url } = world.webSocket;
    assert.match(url, ADDRESS);
    world.webSocket.drop();
    world.clock.advance(5_000);
    assert.equal(world.page.webSockets.length, 2);
    assert.equal(world.webSocket.url, url);
  });

  test("where a proxy has no room for a new session, the next attempt may go to another", async (t) => {
    const world = new World(t);
    world.connection.begin();
    const { url } = world.webSocket;
    world.refuse("busy");
    world.clock.advance(750);
    assert.match(world.webSocket.url, ADDRESS);
    assert.notEqual(world.webSocket.url, url);
  });
});
