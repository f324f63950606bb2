import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { missingParts, open, openNow, takeSignals } from "../../js/index.js";
import { ERRNO, SystemCalls, fakeModule } from "./emscripten.js";
import { HOST, PAGE } from "./line.js";
import { unnumbered } from "./proxy.js";
import { URL_OF_PROXY, World } from "./world.js";

const AF_INET6 = 10;
/** @type {import("../../js/index.js").Options} */
const OPTIONS = {
  kind: "proxy",
  url: URL_OF_PROXY,
  user: "",
  token: "secret",
  agent: "test/1",
  errno: ERRNO,
  blocking: "auto",
  bulk: "auto",
  udp: "auto",
  onBlocked() {},
  onNoChannel() {},
};

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
    assert.equal(network.connect(fd, "host.example", 80).error, "ENETDOWN");
    assert.deepEqual([world.webSocket.state, world.clock.timers.size], ["closed", 0]);
  });
});

suite("opening the network without waiting for a turn", () => {
  test("reaches the proxy by one exchange, and is as any other", async (t) => {
    const world = new World(t).exchanging();
    const network = openNow(fakeModule(), OPTIONS);
    assert.deepEqual([network.status().state, network.status().carrier], ["detached", ""]);
    world.welcome();
    assert.deepEqual([network.status().state, network.status().carrier], ["attached", "WebSocket"]);
  });

  test("is refused with the code and the sentence that Python makes its exception of", (t) => {
    const world = new World(t);
    const body = unnumbered({ type: "refused", socket: 0, code: "token", message: "because of token" });
    world.page.answerNow = () => ({ status: 403, body });
    assert.throws(() => openNow(fakeModule(), OPTIONS), { code: "token", message: "because of token" });
  });

  test("asks nobody without a proxy", (t) => {
    const { page } = new World(t);
    assert.equal(openNow(fakeModule(), { ...OPTIONS, url: "" }).status().state, "local");
    assert.deepEqual([page.exchanges, page.webSockets], [[], []]);
  });
});

suite("signals", () => {
  test("are taken as they come, until that is ended", (t) => {
    const { clock } = new World(t);
    const module = { Py_EmscriptenSignalBuffer: new Int32Array(1) };
    const before = clock.timers.size;
    /** @type {number[]} */
    const taken = [];
    const forget = takeSignals(module, (signal) => taken.push(signal));
    for (const signal of [2, 0, 15]) {
      module.Py_EmscriptenSignalBuffer[0] = signal;
      clock.advance(100);
      assert.equal(module.Py_EmscriptenSignalBuffer[0], 0);
    }
    assert.deepEqual(taken, [2, 15]);
    forget();
    assert.equal(clock.timers.size, before);
  });

  test("are not looked for where nobody can send them", (t) => {
    const { clock } = new World(t);
    const before = clock.timers.size;
    takeSignals({}, () => assert.fail())();
    assert.equal(clock.timers.size, before);
  });
});

suite("an answer that is pending", () => {
  /** A page that has asked for a name, and what the proxy answers. @param {import("node:test").TestContext} t */
  async function asking(t) {
    const page = await installed(t);
    const pending = page.network.resolve("host.example", "", 4);
    const { socket } = /** @type {any} */ (page.world.proxy.heard.at(-1));
    /** @type {import("../../js/wire.js").Frame} */
    const answer = { type: "resolved", socket, port: 0, canonical: "", addresses: [HOST] };
    return { ...page, pending, answer };
  }

  test("is there as soon as it has come, and for all who wait", async (t) => {
    const { world, pending, answer } = await asking(t);
    const waiting = [pending.promise, pending.promise];
    assert.equal(pending.answer, undefined);
    world.hear(answer);
    for (const each of [...waiting, pending.promise]) assert.deepEqual((await each).addresses, [HOST]);
    assert.deepEqual(pending.answer.addresses, [HOST]);
  });

  test("is waited for by exchanges where Python cannot be suspended", async (t) => {
    const { world, module, network, pending, answer } = await asking(t);
    module.validSuspender.value = false;
    assert.deepEqual([network.suspends, network.waiting], [false, "xhr"]);
    world.exchanging().proxy.queue(answer);
    assert.equal(network.block(pending), true);
    assert.deepEqual(pending.answer.addresses, [HOST]);
    const { length } = world.page.exchanges;
    assert.equal(network.block(pending), true);
    assert.equal(world.page.exchanges.length, length);
  });

  test("is waited for no longer when a signal comes, by exchanges too", async (t) => {
    const { world, module, network, pending } = await asking(t);
    module.validSuspender.value = false;
    module.Py_EmscriptenSignalBuffer = new Int32Array([2]);
    assert.equal(network.block(pending), true); // Python looks why it has ended
    assert.deepEqual([pending.answer, world.page.exchanges], [undefined, []]);
  });

  test("cannot be waited for where calls wait by suspending alone", async (t) => {
    const { world, module, network, pending } = await asking(t);
    network.system.blocks = "jspi";
    module.validSuspender.value = false;
    assert.deepEqual([network.block(pending), network.waiting], [false, "none"]);
    assert.equal(world.page.exchanges.length, 0);
  });
});

suite("asking for names", () => {
  test("gives the fields of the answer", async (t) => {
    const { world, network } = await installed(t);
    const asking = network.resolve("host.example", "http", 4);
    const { type, socket, ...question } = /** @type {any} */ (world.proxy.heard.at(-1));
    assert.deepEqual([type, question], ["resolve", { host: "host.example", service: "http", family: 4 }]);
    world.hear({ type: "resolved", socket, port: 80, canonical: "host.example", addresses: [HOST] });
    const { port, canonical, addresses } = await asking.promise;
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
    assert.deepEqual(await asking.promise, { error: "EAI_NONAME", message: "no such name" });
    assert.equal((await network.resolve("a".repeat(70_000), "", 4)).error, "EAI_NONAME");
    assert.equal((await network.resolve("host.example", "\ud800", 4)).error, "EAI_NONAME");
    assert.equal((await network.reverse(9, "10.0.0.1", 1, false)).error, "EAI_NONAME");
    network.close();
    assert.equal((await network.resolve("host.example", "", 4)).error, "ENETDOWN");
  });
});

suite("what is asked of a socket's network", () => {
  const AF_UNIX = 1;
  const HERE = { family: 4, host: "127.0.0.1", port: 8080 };

  /** A page whose proxy answers every request with this. @param {import("node:test").TestContext} t @param {any} answer */
  async function answering(t, answer) {
    const page = await installed(t);
    page.world.proxy.answer = ({ type, socket }) => {
      if (["bind", "listen", "associate", "option"].includes(type)) page.world.proxy.queue({ ...answer, socket });
    };
    /** What has been queued comes in. */
    const arrive = () => page.world.webSocket.deliver(page.world.proxy.link.take(Infinity));
    return { ...page, arrive };
  }

  test("is pending while the proxy owes the answer, which settles it", async (t) => {
    const { network, calls, arrive } = await answering(t, { type: "bound", local: HERE });
    const fd = calls.socket();
    const asking = network.bind(fd, "127.0.0.1", 8080);
    const settling = network.settled(fd);
    for (const pending of [asking, settling]) assert.equal(pending.answer, undefined);
    await null;
    arrive();
    assert.deepEqual((await asking.promise).local, HERE);
    await settling.promise;
    assert.deepEqual([network.settled(fd), network.addresses(fd)], [undefined, [["127.0.0.1", 8080], undefined]]);
  });

  test("is told why not, with the proxy's sentence, which explain() has too", async (t) => {
    const { network, calls, arrive } = await answering(t, { type: "failed", code: "EACCES", message: "not here" });
    const fd = calls.socket(2, 2);
    for (const ask of [
      () => network.bind(fd, "", 53),
      () => network.connect(fd, "10.0.0.1", 53),
      () => network.setOption(fd, "IP_ADD_MEMBERSHIP", ["239.1.1.1", "0.0.0.0"]),
    ]) {
      const asking = ask();
      await null;
      arrive();
      assert.deepEqual(await asking.promise, { error: "EACCES", message: "not here" });
      assert.deepEqual(network.explain(fd), ["EACCES", "not here"]);
    }
  });

  test("an option is set without waiting, and reads as it was if it is refused", async (t) => {
    const { network, calls, arrive } = await answering(t, { type: "failed", code: "EINVAL", message: "" });
    const fd = calls.socket(2, 2);
    network.bind(fd, "", 0);
    assert.deepEqual(network.setOption(fd, "IP_TTL", ["3"]), { type: "done", socket: 0 });
    assert.deepEqual(network.option(fd, "IP_TTL"), ["3"]);
    await null;
    arrive();
    assert.equal(network.option(fd, "IP_TTL"), undefined);
  });

  test("is answered when the session ends, too", async (t) => {
    const { network, calls } = await installed(t);
    const asking = network.listen(calls.socket(), 5);
    network.close();
    assert.equal((await asking.promise).error, "ENETDOWN");
  });

  test("listens, and takes what comes in as descriptors", async (t) => {
    const { world, network, calls, arrive } = await answering(t, { type: "bound", local: HERE });
    const fd = calls.socket();
    assert.equal(network.accept(fd), "EINVAL");
    const asking = network.listen(fd, 5);
    await null;
    arrive();
    await asking.promise;
    assert.deepEqual([network.listening(fd), network.accept(fd)], [true, "EAGAIN"]);
    const { socket: id } = /** @type {any} */ (world.proxy.heard.find(({ type }) => type === "open"));
    world.hear({ type: "accepted", socket: 2, listener: id, local: HERE, peer: HOST });
    assert.equal(network.status().sockets[0].queued, 1);
    const accepted = Number(network.accept(fd));
    assert.deepEqual(network.describe(accepted)?.slice(0, 2), [2, 1]);
    assert.deepEqual(network.addresses(accepted), [
      ["127.0.0.1", 8080],
      [HOST.host, HOST.port],
    ]);
    assert.equal(network.listening(accepted), false);
    while (calls.socket() >= 0);
    world.hear({ type: "accepted", socket: 4, listener: id, local: HERE, peer: HOST });
    assert.equal(network.accept(fd), "EMFILE");
    calls.close(accepted);
    assert.equal(network.accept(fd), accepted); // it went on waiting
  });

  test("sends and receives datagrams, and tells whence", async (t) => {
    const { world, network, calls } = await installed(t);
    const fd = calls.socket(2, 2);
    let released = 0;
    const data = { getBuffer: () => ({ data: new Uint8Array([1, 2, 3]), release: () => released++ }) };
    assert.equal(network.sendTo(fd, data, "10.0.0.1", 53), 3);
    assert.equal(network.sendTo(fd, data, "255.255.255.255", 53), "EACCES");
    assert.equal(network.sendTo(40, data, "10.0.0.1", 53), "EBADF");
    assert.equal(released, 3);
    await null;
    const { socket } = /** @type {any} */ (world.proxy.heard.at(-1));
    assert.deepEqual(world.proxy.types(), ["open", "bind", "datagram"]);
    assert.deepEqual([network.sender(fd), network.peek(fd, 10)], [undefined, undefined]);
    world.hear({ type: "datagram", socket, address: HOST, data: new Uint8Array(5) }, { type: "dropped", socket, count: 2 });
    assert.equal(network.peek(fd, 2)?.length, 2);
    assert.deepEqual(network.sender(fd), [HOST.host, HOST.port, 5]);
    assert.equal(network.status().sockets[0].dropped, 2);
  });

  test("a stream sends what is given with an address as if it were without", async (t) => {
    const { network, connected } = await installed(t);
    const data = { getBuffer: () => ({ data: new Uint8Array(3), release() {} }) };
    assert.equal(network.sendTo(connected().fd, data, "10.0.0.1", 53), 3);
  });

  test("makes pairs within the page, or says why not by name", async (t) => {
    const { network, calls } = await installed(t);
    assert.equal(network.pair(3), "ESOCKTNOSUPPORT");
    const [one, other] = network.pair(1);
    assert.deepEqual(network.describe(one), [AF_UNIX, 1, 0]);
    assert.deepEqual(network.addresses(one), [
      ["", 0],
      ["", 0],
    ]);
    calls.send(one, "abc");
    assert.equal(calls.recv(other, 10), 3);
  });

  test("of what is no socket of ours is EBADF", async (t) => {
    const { network } = await installed(t);
    for (const fd of [-1, 0, 1000]) {
      for (const answer of [
        network.bind(fd, "", 0),
        network.listen(fd, 5),
        network.setOption(fd, "IP_TTL", ["3"]),
      ]) {
        assert.deepEqual(answer, { error: "EBADF", message: "" });
      }
      assert.equal(network.accept(fd), "EBADF");
      assert.deepEqual([network.listening(fd), network.settled(fd), network.option(fd, "IP_TTL")], [
        false,
        undefined,
        undefined,
      ]);
      assert.equal(network.sender(fd), undefined);
    }
  });

  test("watches descriptors for an event loop", async (t) => {
    const { world, network, connected } = await installed(t);
    const { fd, socket } = connected();
    let woken = 0;
    const list = network.watchlist(() => woken++);
    list.watch(fd, 1);
    world.hear({ type: "data", socket, data: new Uint8Array(1) });
    await null;
    assert.deepEqual([woken, list.take()], [1, [[fd, 1]]]);
  });
});

suite("a page without a proxy", () => {
  /** A page that is its own network. */
  async function alone() {
    const module = fakeModule();
    const network = await open(module, { ...OPTIONS, url: "" });
    network.mount();
    return { network, calls: new SystemCalls(module) };
  }

  test("opens no connection, and says so", async (t) => {
    const page = new World(t).page;
    const { network } = await alone();
    assert.deepEqual(network.status(), {
      kind: "page",
      url: "",
      proxy: "",
      state: "local",
      carrier: "",
      bulk: "",
      whyBulk: "",
      roundTrip: undefined,
      reconnects: 0,
      buffered: 0,
      features: [],
      udp: "",
      whyUdp: "",
      waiting: "jspi",
      blocking: "auto",
      browserSuspends: "Suspending" in WebAssembly,
      sockets: [],
    });
    network.close();
    assert.equal(page.webSockets.length, 0);
  });

  test("answers at once", async () => {
    const { network, calls } = await alone();
    const [server, client] = [calls.socket(), calls.socket()];
    assert.equal(network.bind(server, "127.0.0.1", 0).local.host, "127.0.0.1");
    assert.equal(network.listen(server, 5).error, undefined);
    const [[, port]] = /** @type {any} */ (network.addresses(server));
    for (const pending of [1, 0]) assert.equal(network.connect(client, "127.0.0.1", port).pending, pending);
    const accepted = Number(network.accept(server));
    assert.deepEqual(network.addresses(accepted)?.[1], network.addresses(client)?.[0]);
    calls.send(client, "abc");
    assert.equal(calls.recv(accepted, 10), 3);
  });

  test("knows its own name and no other", async () => {
    const { network } = await alone();
    assert.deepEqual(
      network.resolve("localhost", "", 0).addresses.map((/** @type {any} */ { host }) => host),
      ["::1", "127.0.0.1"],
    );
    assert.equal(network.resolve("localhost", "", 4).addresses.length, 1);
    const { error, message } = network.resolve("host.example", "", 4);
    assert.equal(error, "EAI_NONAME");
    assert.match(message, /host\.example.*install a proxy/);
    assert.equal(network.resolve("", "http", 0).error, "EAI_SERVICE");
    assert.equal(network.reverse(4, "127.0.0.1", 80, false).host, "localhost");
    assert.equal(network.reverse(4, "10.0.0.1", 80, false).host, "");
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
    kind: "proxy",
    url: URL_OF_PROXY,
    proxy: "fake/1",
    state: "attached",
    carrier: "WebSocket",
    bulk: "resting",
    whyBulk: "",
    roundTrip: undefined,
    reconnects: 0,
    features: [],
    udp: "session",
    whyUdp: "no datagram socket was used yet",
    waiting: "jspi",
    blocking: "auto",
    browserSuspends: "Suspending" in WebAssembly,
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
