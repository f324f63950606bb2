import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { missingParts, open } from "../../js/index.js";
import { ERRNO, SystemCalls, fakeModule } from "./emscripten.js";
import { HOST, PAGE } from "./line.js";
import { unnumbered } from "./proxy.js";
import { URL_OF_PROXY, World } from "./world.js";

const AF_INET6 = 10;
const OPTIONS = { url: URL_OF_PROXY, token: "secret", agent: "test/1", errno: ERRNO };

/** A page in which the network is installed. @param {import("node:test").TestContext} t */
async function installed(t) {
  const world = new World(t);
  const module = fakeModule();
  const opening = open(module, OPTIONS);
  world.welcome();
  const network = await opening;
  network.mount();
  const calls = new SystemCalls(module);

  /** A descriptor of a socket that is connected. */
  const connected = () => {
    const fd = calls.socket();
    network.connect(fd, "host.example", 80);
    const { socket } = /** @type {any} */ (world.proxy.heard.at(-1));
    world.hear({ type: "connected", socket, local: PAGE, peer: HOST });
    return { fd, socket };
  };
  return { world, module, network, calls, connected };
}

suite("opening the network", () => {
  test("tells what Pyodide lacks before anything is tried", () => {
    assert.deepEqual(missingParts({}).length > 0, true);
    assert.deepEqual(missingParts(fakeModule()), []);
  });

  test("is refused with the code and the sentence that Python makes its exception of", async (t) => {
    const world = new World(t);
    const opening = open(fakeModule(), OPTIONS);
    world.refuse("token");
    await assert.rejects(opening, { code: "token", message: "because of token" });
  });

  test("changes nothing until it is mounted, and nothing is left when it is closed", async (t) => {
    const { world, module, network, connected } = await installed(t);
    const { createSocket, pollAsync } = fakeModule().SOCKFS;
    const { fd } = connected();
    network.close();
    assert.deepEqual(
      [module.SOCKFS.createSocket.toString(), module.SOCKFS.pollAsync],
      [createSocket.toString(), pollAsync],
    );
    assert.deepEqual(network.connect(fd, "host.example", 80), { error: "EISCONN", message: "" });
    assert.deepEqual([world.webSocket.state, world.clock.timers.size], ["closed", 0]);
  });
});

suite("asking for names", () => {
  test("gives the fields of the answer", async (t) => {
    const { world, network } = await installed(t);
    const asking = network.resolve("host.example", "http", 4);
    const { type, socket, ...question } = /** @type {any} */ (world.proxy.heard.at(-1));
    assert.deepEqual([type, question], ["resolve", { host: "host.example", service: "http", family: 4 }]);
    world.hear({ type: "resolved", socket, port: 80, canonical: "host.example", addresses: [HOST] });
    const { port, canonical, addresses } = await asking;
    assert.deepEqual([port, canonical, addresses], [80, "host.example", [HOST]]);
  });

  test("of an address asks about TCP or UDP", async (t) => {
    const { world, network } = await installed(t);
    network.reverse(4, "10.0.0.1", 53, true);
    const { type, address, datagram } = /** @type {any} */ (world.proxy.heard.at(-1));
    assert.deepEqual([type, address, datagram], ["reverse", { family: 4, host: "10.0.0.1", port: 53 }, 1]);
  });

  test("gives an error for what has no answer, and never rejects", async (t) => {
    const { world, network } = await installed(t);
    const asking = network.resolve("host.example", "", 4);
    const { socket } = /** @type {any} */ (world.proxy.heard.at(-1));
    world.hear({ type: "failed", socket, code: "EAI_NONAME", message: "no such name" });
    assert.deepEqual(await asking, { error: "EAI_NONAME", message: "no such name" });
    assert.equal((await network.resolve("a".repeat(70_000), "", 4)).error, "EAI_NONAME");
    assert.equal((await network.resolve("host.example", "\ud800", 4)).error, "EAI_NONAME");
    assert.equal((await network.reverse(9, "10.0.0.1", 1, false)).error, "EAI_NONAME");
    network.close();
    assert.equal((await network.resolve("host.example", "", 4)).error, "ENETDOWN");
  });
});

suite("a descriptor", () => {
  test("that is none of ours is nothing", async (t) => {
    const { network } = await installed(t);
    for (const fd of [-1, 0, 1000]) {
      assert.deepEqual(
        [network.describe(fd), network.addresses(fd), network.explain(fd)],
        Array(3).fill(undefined),
      );
      assert.equal(network.peek(fd, 10), undefined);
      assert.deepEqual(network.connect(fd, "::1", 80), { error: "EBADF", message: "" });
    }
  });

  test("is described by family, kind and protocol", async (t) => {
    const { network, calls } = await installed(t);
    assert.deepEqual(network.describe(calls.socket(AF_INET6, 1, 6)), [AF_INET6, 1, 6]);
  });

  test("is connected, or told why not by name", async (t) => {
    const { world, network, calls } = await installed(t);
    const fd = calls.socket(AF_INET6);
    assert.equal(network.connect(fd, "a".repeat(70_000), 80).error, "EAI_NONAME");
    assert.equal(network.connect(fd, "::1", 80).error, undefined);
    assert.equal(network.connect(fd, "::1", 80).error, "EALREADY");
    const { socket, family, host } = /** @type {any} */ (world.proxy.heard.at(-1));
    assert.deepEqual([family, host], [6, "::1"]);
    const end = { family: 6, host: "::1", port: 80 };
    world.hear({ type: "connected", socket, local: { ...end, port: 5 }, peer: end });
    assert.deepEqual(network.addresses(fd), [
      ["0:0:0:0:0:0:0:1", 5],
      ["0:0:0:0:0:0:0:1", 80],
    ]);
  });

  test("explains the last error it reported", async (t) => {
    const { world, network, calls, connected } = await installed(t);
    const { fd, socket } = connected();
    world.hear({ type: "reset", socket, code: "EACCES", message: "the policy refuses" });
    assert.equal(network.explain(fd), undefined);
    calls.recv(fd, 1);
    assert.deepEqual(network.explain(fd), ["EACCES", "the policy refuses"]);
  });

  test("shows what could be read, and takes neither that nor an error", async (t) => {
    const { world, network, calls, connected } = await installed(t);
    const { fd, socket } = connected();
    assert.equal(network.peek(fd, 10)?.length, 0);
    world.hear({ type: "data", socket, data: new Uint8Array([1, 2, 3]) });
    for (let count = 0; count < 2; count++) assert.deepEqual(network.peek(fd, 2), new Uint8Array([1, 2]));
    assert.equal(calls.recv(fd, 10), 3);
    world.hear({ type: "reset", socket, code: "ECONNRESET", message: "" });
    assert.equal(network.peek(fd, 10)?.length, 0);
    assert.equal(calls.recv(fd, 10), -ERRNO.ECONNRESET);
  });
});

test("the status is made of plain values", async (t) => {
  const { world, network, calls, connected } = await installed(t);
  const { fd, socket } = connected();
  calls.send(fd, "abc");
  world.hear({ type: "data", socket, data: new Uint8Array(5) });
  calls.recv(fd, 2);
  const fresh = calls.socket(AF_INET6);
  const { buffered, ...status } = network.status();
  assert.ok(buffered > 0);
  assert.deepEqual(status, {
    url: URL_OF_PROXY,
    proxy: "fake/1",
    state: "attached",
    roundTrip: undefined,
    reconnects: 0,
    sockets: [
      {
        fd,
        family: 2,
        kind: "stream",
        state: "established",
        local: [PAGE.host, PAGE.port],
        peer: [HOST.host, HOST.port],
        received: 5,
        sent: 3,
        queued: 3,
        dropped: 0,
      },
      {
        fd: fresh,
        family: AF_INET6,
        kind: "stream",
        state: "idle",
        local: undefined,
        peer: undefined,
        received: 0,
        sent: 0,
        queued: 0,
        dropped: 0,
      },
    ],
  });
  world.webSocket.deliver([unnumbered({ type: "goaway", socket: 0, code: "shutdown", message: "" })]);
  assert.equal(network.status().state, "closed"); // to look does not begin a new session
  assert.equal(world.page.webSockets.length, 1);
});
