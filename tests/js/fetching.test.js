import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, suite, test } from "node:test";

import { look, pageAddress, startRequest } from "../../js/http/request.js";
import { streamOf, streamsBodies } from "../../js/http/streaming.js";
import { watchPolicy } from "../../js/http/violations.js";

/** @typedef {import("node:http").ServerResponse} ServerResponse */

const LARGE = 1_000_000;

/** What a real server answers, by path. @type {Record<string, (response: ServerResponse) => void>} */
const ROUTES = {
  "/hello": (response) => response.end("hello"),
  "/none": (response) => response.writeHead(204).end(),
  "/large": (response) => response.end(Buffer.alloc(LARGE, 7)),
  "/never": () => {},
  "/cut": (response) => {
    response.writeHead(200, { "Content-Length": "1000" });
    response.write("begin", () => response.destroy());
  },
  "/drip": (response) => {
    response.write("a");
    setTimeout(() => response.end("b"), 60);
  },
};

suite("a request that the browser makes", () => {
  const server = createServer((request, response) => {
    if (request.method === "POST") request.pipe(response);
    else ROUTES[/** @type {string} */ (request.url)](response);
  });
  let site = "";

  before(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    site = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  /** @param {string} path @param {object} [init] @param {number} [timeout] */
  const ask = (path, init = {}, timeout = Infinity) => startRequest(site + path, init, timeout);
  const text = (/** @type {any} */ bytes) => new TextDecoder().decode(bytes);

  test("has a head, and a body that is here at once when it is small", async () => {
    const request = ask("/hello");
    const head = /** @type {any} */ (await request.head());
    assert.deepEqual([head.status, head.reason, head.url], [200, "OK", `${site}/hello`]);
    assert.equal(Object.fromEntries(head.headers)["content-length"], "5");
    assert.equal(text(request.takeRest() ?? (await request.rest())), "hello");
  });

  test("may have no body", async () => {
    const request = ask("/none");
    await request.head();
    assert.deepEqual(await request.next(), new Uint8Array());
    assert.deepEqual(request.take(), new Uint8Array());
    assert.deepEqual(request.takeRest(), new Uint8Array());
  });

  test("gives its body in pieces, and what is left of it as a whole", async () => {
    const request = ask("/large");
    await request.head();
    const first = /** @type {Uint8Array} */ (await request.next());
    assert.ok(first.length > 0 && first.length < LARGE);
    const rest = /** @type {Uint8Array} */ (await request.rest());
    assert.equal(first.length + rest.length, LARGE);
    assert.ok(rest.every((byte) => byte === 7));
  });

  test("gives nothing more when all of it was taken as a whole", async () => {
    const request = ask("/large");
    await request.head();
    assert.equal(/** @type {Uint8Array} */ (await request.rest()).length, LARGE);
    assert.deepEqual([request.takeRest(), request.take()], [new Uint8Array(), new Uint8Array()]);
    assert.deepEqual(await request.rest(), new Uint8Array());
  });

  test("breaks off as an error, in pieces and as a whole", async () => {
    for (const step of /** @type {const} */ (["next", "rest"])) {
      const request = ask("/cut");
      await request.head();
      let found = /** @type {any} */ (await request[step]());
      if (!found.error) found = await request[step]();
      assert.equal(found.error, "network");
    }
  });

  test("waits no longer than it may for what does not happen, and for what does as long as it takes", async () => {
    const late = await ask("/never", {}, 20).head();
    assert.deepEqual(late, { error: "timeout", message: "timed out" });
    const request = ask("/drip", {}, 50);
    await request.head();
    assert.equal(text(await request.next()), "a");
    await new Promise((resolve) => setTimeout(resolve, 70)); // nobody waits for it meanwhile
    assert.equal(text(await request.next()), "b");
  });

  test("that is aborted says so", async () => {
    const request = ask("/never");
    setTimeout(() => request.abort(), 10);
    assert.equal(/** @type {any} */ (await request.head()).error, "aborted");
  });

  test("that cannot be made is told from one that fails", async () => {
    const wrong = /** @type {any} */ (await ask("/hello", { method: "no method" }).head());
    assert.equal(wrong.error, "invalid");
    const nobody = /** @type {any} */ (await startRequest("http://127.0.0.1:9/", {}, Infinity).head());
    assert.equal(nobody.error, "network");
  });

  test("takes a body that comes into being", async () => {
    assert.equal(streamsBodies(), true);
    const pieces = [Uint8Array.of(1, 2), Uint8Array.of(3)];
    let destroyed = 0;
    const pull = Object.assign(async () => pieces.shift(), { destroy: () => destroyed++ });
    const request = ask("/", { method: "POST", body: streamOf(pull), duplex: "half" });
    await request.head();
    assert.deepEqual(await request.rest(), Uint8Array.of(1, 2, 3));
    assert.equal(destroyed, 1);
  });

  test("can be looked for: whether anybody answers", async () => {
    assert.equal(await look(`${site}/hello`, 1000), "shared");
    assert.equal(await look("http://127.0.0.1:9/", 1000), "none");
  });
});

suite("a policy of the page", () => {
  /** @param {import("node:test").TestContext} t */
  function page(t) {
    const target = new EventTarget();
    const names = /** @type {const} */ (["addEventListener", "removeEventListener"]);
    for (const name of names) /** @type {any} */ (globalThis)[name] = target[name].bind(target);
    t.after(() => names.forEach((name) => Reflect.deleteProperty(globalThis, name)));
    return (/** @type {string} */ blockedURI, disposition = "enforce") =>
      target.dispatchEvent(Object.assign(new Event("securitypolicyviolation"), { blockedURI, disposition }));
  }

  test("is noticed for the address that was asked for, when it is enforced", async (t) => {
    const violated = page(t);
    const policy = watchPolicy("http://a.example#part");
    violated("http://b.example/");
    violated("http://a.example/", "report");
    assert.equal(policy.broken, false);
    setTimeout(() => violated("http://a.example/"), 10);
    assert.equal(await policy.settled(), true);
  });

  test("is noticed no more when nobody looks", async (t) => {
    const violated = page(t);
    const policy = watchPolicy("ws://a.example/");
    policy.close();
    violated("ws://a.example/");
    assert.equal(await policy.settled(), false);
  });
});

suite("a page's address", () => {
  /** @param {string} href @param {string} origin */
  function addressAt(href, origin) {
    const realm = /** @type {any} */ (globalThis);
    [realm.location, realm.origin] = [{ href }, origin];
    try {
      return pageAddress();
    } finally {
      delete realm.location;
      delete realm.origin;
    }
  }

  test("is its origin's where its own leads nowhere", () => {
    assert.equal(addressAt("https://a.example/b?c", "https://a.example"), "https://a.example/b?c");
    assert.equal(addressAt("blob:https://a.example/1-2", "https://a.example"), "https://a.example/");
    assert.equal(addressAt("about:srcdoc", "https://a.example"), "https://a.example/");
    assert.equal(addressAt("file:///a.html", "null"), "file:///a.html");
    assert.equal(pageAddress(), "");
  });
});
