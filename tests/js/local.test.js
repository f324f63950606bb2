import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { HANGUP, PEER_FINISHED, READABLE, WRITABLE } from "../../js/endpoint.js";
import { Socket } from "../../js/socket.js";
import { WINDOW_INITIAL } from "../../js/window.js";
import { PageNetwork, STREAMS } from "./page-network.js";

/**
 * @typedef {import("../../js/endpoint.js").AnySocket} AnySocket
 * @typedef {import("../../js/listener.js").Listener} Listener
 */

const [UNIX, IPV4, IPV6] = [1, 4, 6];

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);
const text = (/** @type {Uint8Array} */ data) => new TextDecoder().decode(data);
const itself = (/** @type {Socket} */ socket) => socket;
const port = (/** @type {AnySocket} */ { local }) => local?.port ?? 0;

/** @param {string} code */
const socketError = (code) => ({ name: "SocketError", code });

suite("connecting", () => {
  for (const family of [IPV4, IPV6]) {
    test(`joins a client and a server, who see each other's addresses (IPv${family})`, () => {
      const page = new PageNetwork();
      const listener = page.listening("", { family });
      const [client, server] = page.connected(listener);
      assert.deepEqual([client.state, server.state], ["established", "established"]);
      assert.deepEqual([client.local, client.peer], [server.peer, server.local]);
      assert.deepEqual(client.peer, { family, host: { 4: "127.0.0.1", 6: "::1" }[family], port: port(listener) });
      assert.notEqual(port(client), port(listener));
    });
  }

  test("by a path tells the client that path, and nobody the client's", () => {
    const page = new PageNetwork();
    const [client, server] = page.connected(page.listening("/here", { family: UNIX }));
    assert.deepEqual(
      [client.local?.host, client.peer?.host, server.local?.host, server.peer?.host],
      ["", "/here", "/here", ""],
    );
    const named = page.connected(page.listening("/there", { family: UNIX }), page.bound(new Socket(UNIX), "/client"));
    assert.deepEqual([named[0].local?.host, named[1].peer?.host], ["/client", "/client"]);
  });

  test("comes from the address that the client has taken", () => {
    const page = new PageNetwork();
    const listener = page.listening("", {});
    for (const [host, seen] of [
      ["127.0.0.3", "127.0.0.3"],
      ["", "127.0.0.1"],
    ]) {
      const [client, server] = page.connected(listener, page.bound(new Socket(), host));
      assert.deepEqual(server.peer, { family: IPV4, host: seen, port: port(client) });
      assert.deepEqual(client.local, server.peer);
    }
  });

  test("to any address of the page comes from the first", () => {
    const page = new PageNetwork();
    const listener = page.listening("", {});
    for (const host of ["127.0.0.1", "127.9.9.9", "0.0.0.0", "localhost", ""]) {
      const client = page.connecting(host, port(listener));
      const told = host === "127.9.9.9" ? host : "127.0.0.1";
      assert.deepEqual([client.local?.host, client.peer?.host], ["127.0.0.1", told]);
      assert.equal(listener.accept(itself).local?.host, told);
    }
  });

  test("to the most specific of those who listen", () => {
    const page = new PageNetwork();
    const every = page.listening("", { port: 8080, options: { SO_REUSEADDR: 1 } });
    every.close();
    const [one, other] = ["127.0.0.1", "127.0.0.2"].map((host) => page.listening(host, { port: 8080 }));
    page.connecting("127.0.0.2", 8080);
    assert.deepEqual([one.waiting, other.waiting], [0, 1]);
    assert.equal(page.unreachable("127.0.0.3", 8080)?.code, "ECONNREFUSED");
  });

  test("by IPv4 reaches who listens on every address of both", () => {
    const page = new PageNetwork();
    const listener = page.listening("", { family: IPV6 });
    const client = page.connecting("127.0.0.1", port(listener));
    const server = listener.accept(itself);
    assert.deepEqual(server.local, { family: IPV6, host: "::ffff:127.0.0.1", port: port(listener) });
    assert.deepEqual(server.peer, { family: IPV6, host: "::ffff:127.0.0.1", port: port(client) });
    const alone = page.listening("", { family: IPV6, options: { IPV6_V6ONLY: 1 } });
    assert.equal(page.unreachable("127.0.0.1", port(alone))?.code, "ECONNREFUSED");
  });

  test("by IPv6 reaches who listens on IPv4, at its address as IPv6 writes it", () => {
    const page = new PageNetwork();
    const listener = page.listening("127.0.0.1");
    const client = page.connecting("::ffff:127.0.0.1", port(listener), new Socket(IPV6));
    const server = listener.accept(itself);
    assert.deepEqual(client.local, { family: IPV6, host: "::ffff:127.0.0.1", port: port(client) });
    assert.deepEqual(server.peer, { family: IPV4, host: "127.0.0.1", port: port(client) });
    const six = page.bound(new Socket(IPV6), "::1");
    assert.equal(page.unreachable("::ffff:127.0.0.1", port(listener), six)?.code, "ENETUNREACH");
  });

  test("where nobody is gives the errors of Linux", () => {
    const page = new PageNetwork();
    const bound = page.bound(new Socket(), "127.0.0.1");
    page.bound(new Socket(UNIX), "/deaf");
    page.datagrams("/datagrams", { family: UNIX });
    page.paths.files.set("/file", null);
    for (const [family, host, where, code] of /** @type {[number, string, number, string][]} */ ([
      [IPV4, "127.0.0.1", 9, "ECONNREFUSED"],
      [IPV4, "127.0.0.1", port(bound), "ECONNREFUSED"],
      [IPV6, "::1", 9, "ECONNREFUSED"],
      [IPV4, "10.0.0.1", 9, "ENETUNREACH"],
      [IPV6, "2001:db8::1", 9, "ENETUNREACH"],
      [IPV4, "host.example", 9, "EAI_NONAME"],
      [UNIX, "/nobody", 0, "ENOENT"],
      [UNIX, "/deaf", 0, "ECONNREFUSED"],
      [UNIX, "/file", 0, "ECONNREFUSED"],
      [UNIX, "\0nobody", 0, "ECONNREFUSED"],
      [UNIX, "/datagrams", 0, "EPROTOTYPE"],
      [UNIX, "", 0, "EINVAL"],
    ])) {
      const socket = new Socket(family);
      assert.equal(page.unreachable(host, where, socket)?.code, code, host);
      assert.deepEqual([socket.state, socket.error], ["idle", null], host);
    }
  });

  test("to a name or an address of others says that it needs a proxy", () => {
    for (const host of ["host.example", "10.0.0.1"]) {
      assert.match(new PageNetwork().unreachable(host, 9)?.message ?? "", /proxy/);
    }
  });

  test("again after a refusal finds who listens by now", () => {
    const page = new PageNetwork();
    const socket = new Socket();
    assert.equal(page.unreachable("127.0.0.1", 8080, socket)?.code, "ECONNREFUSED");
    const listener = page.listening("127.0.0.1", { port: 8080 });
    assert.equal(page.connected(listener, socket)[0].state, "established");
  });

  test("to oneself is refused like to anybody who does not listen", () => {
    const page = new PageNetwork();
    const socket = page.bound(new Socket(), "127.0.0.1");
    assert.equal(page.unreachable("127.0.0.1", port(socket), socket)?.code, "ECONNREFUSED");
  });
});

suite("who waits to be accepted", () => {
  test("is connected already, as far as the backlog goes, and one more", () => {
    const page = new PageNetwork();
    const listener = page.listening("127.0.0.1", { backlog: 1 });
    const clients = Array.from({ length: 4 }, () => page.connecting("127.0.0.1", port(listener)));
    const states = () => clients.map(({ state }) => state);
    assert.deepEqual(states(), ["established", "established", "connecting", "connecting"]);
    listener.accept(itself);
    assert.deepEqual(states(), ["established", "established", "established", "connecting"]);
    listener.resize(5);
    assert.deepEqual(states(), Array(4).fill("established"));
    const peers = [1, 2, 3].map(() => listener.accept(itself).peer?.port);
    assert.deepEqual(peers, clients.slice(1).map(port));
  });

  test("beyond that may give up", () => {
    const page = new PageNetwork();
    const listener = page.listening("127.0.0.1", { backlog: 0 });
    const [, impatient, patient] = [0, 1, 2].map(() => page.connecting("127.0.0.1", port(listener)));
    impatient.close();
    const first = listener.accept(itself);
    assert.deepEqual([patient.state, listener.waiting], ["established", 1]);
    assert.notEqual(listener.accept(itself), first);
  });

  test("fewer are connected after the backlog was made smaller", () => {
    const page = new PageNetwork();
    const listener = page.listening("127.0.0.1", { backlog: 3 });
    const connect = () => page.connecting("127.0.0.1", port(listener)).state;
    assert.deepEqual([connect(), connect()], ["established", "established"]);
    listener.resize(0);
    assert.deepEqual([connect(), listener.waiting], ["connecting", 2]);
    for (const waiting of [1, 1, 0]) {
      listener.accept(itself);
      assert.equal(listener.waiting, waiting);
    }
    listener.resize(3);
    assert.deepEqual([connect(), connect(), connect(), connect(), connect()], [
      ...Array(4).fill("established"),
      "connecting",
    ]);
  });

  test("is refused when the listener goes, or reset if it was connected already", () => {
    for (const end of /** @type {((listener: Listener) => void)[]} */ ([
      (listener) => listener.close(),
      (listener) => listener.shutdown({ read: true }),
    ])) {
      const page = new PageNetwork();
      const listener = page.listening("127.0.0.1", { backlog: 0 });
      const [connected, waiting] = [0, 1].map(() => page.connecting("127.0.0.1", port(listener)));
      end(listener);
      assert.deepEqual([connected.state, connected.takeError()?.code], ["failed", "ECONNRESET"]);
      assert.deepEqual([waiting.state, waiting.takeError()?.code], ["idle", "ECONNREFUSED"]);
      assert.equal(page.unreachable("127.0.0.1", port(listener))?.code, "ECONNREFUSED");
    }
  });

  test("may send, and go, before it was accepted", () => {
    const page = new PageNetwork();
    const listener = page.listening("127.0.0.1");
    const client = page.connecting("127.0.0.1", port(listener));
    client.write(bytes("hello"));
    client.close();
    const server = listener.accept(itself);
    assert.deepEqual([text(server.read(10)), server.read(10).length, server.state], ["hello", 0, "closeWait"]);
  });

  test("accepted connections outlive their listener, and have its options", () => {
    const page = new PageNetwork();
    const listener = page.listening("127.0.0.1", { options: { SO_KEEPALIVE: 1 } });
    const [client, server] = page.connected(listener);
    listener.close();
    client.write(bytes("x"));
    assert.equal(text(server.read(10)), "x");
    assert.deepEqual(server.options.get("SO_KEEPALIVE"), ["1"]);
  });
});

suite("a path that listens", () => {
  test("must be one: a socket without a path cannot", () => {
    const page = new PageNetwork();
    assert.throws(() => page.listen(new Socket(UNIX)), socketError("EINVAL"));
    assert.equal(page.listen(new Socket()).local?.host, "0.0.0.0");
  });

  test("and is shut down is at its end, as no stream is", () => {
    const page = new PageNetwork();
    const listener = page.listening("/here", { family: UNIX });
    listener.shutdown({ read: true });
    assert.equal(listener.readiness, READABLE | HANGUP | PEER_FINISHED);
  });

  test("is told as it was when the file has moved", () => {
    const page = new PageNetwork();
    const listener = page.listening("/old", { family: UNIX });
    page.paths.files.set("/new", page.paths.files.get("/old") ?? null);
    const client = page.connecting("/new", 0, new Socket(UNIX));
    assert.deepEqual([client.peer?.host, listener.waiting], ["/old", 1]);
  });
});

for (const [kind, make] of Object.entries(STREAMS)) {
  suite(`a connection by ${kind}`, () => {
    test("carries bytes both ways, in order", () => {
      const [one, other] = make(new PageNetwork());
      for (const piece of ["a", "bc", "", "def"]) one.write(bytes(piece));
      other.write(bytes("back"));
      assert.equal(other.available, 6);
      assert.deepEqual([text(other.read(4)), text(other.read(10)), text(one.read(10))], ["abcd", "ef", "back"]);
      assert.deepEqual([one.bytesSent, other.bytesReceived], [6, 6]);
    });

    test("copies what is written", () => {
      const [one, other] = make(new PageNetwork());
      for (const size of [3, 100_000]) {
        const data = new Uint8Array(size).fill(7);
        one.write(data);
        data.fill(0);
        let left = size;
        while (left) {
          const piece = other.read(left);
          assert.ok(piece.every((byte) => byte === 7));
          left -= piece.length;
        }
      }
    });

    test("holds a writer back whose peer does not read, and lets it go on", () => {
      const [one, other] = make(new PageNetwork());
      const sent = one.write(new Uint8Array(10 * WINDOW_INITIAL));
      assert.equal(sent, WINDOW_INITIAL);
      assert.deepEqual([one.readiness & WRITABLE, other.available], [0, sent]);
      assert.throws(() => one.write(bytes("x")), socketError("EAGAIN"));
      let woken = 0;
      one.watch(WRITABLE, () => woken++);
      other.read(sent / 2);
      assert.deepEqual([woken, one.readiness & WRITABLE], [1, WRITABLE]);
      assert.equal(one.write(bytes("x")), 1);
      assert.equal(other.write(bytes("the other way is free")), 21);
    });

    test("ends one way and goes on the other", () => {
      const [one, other] = make(new PageNetwork());
      one.write(bytes("last"));
      one.shutdown({ read: false, write: true });
      assert.throws(() => one.write(bytes("x")), socketError("EPIPE"));
      assert.deepEqual([text(other.read(10)), other.read(10).length], ["last", 0]);
      other.write(bytes("answer"));
      assert.equal(text(one.read(10)), "answer");
      other.shutdown({ read: false, write: true });
      assert.equal(one.read(10).length, 0);
      assert.deepEqual([one.state, other.state], ["finished", "finished"]);
      assert.equal(one.readiness, READABLE | WRITABLE | PEER_FINISHED | HANGUP);
    });

    test("that is closed with data unread is reset", () => {
      const [one, other] = make(new PageNetwork());
      one.write(bytes("nobody reads this"));
      other.close();
      assert.throws(() => one.read(10), socketError("ECONNRESET"));
      assert.throws(() => one.write(bytes("x")), socketError("EPIPE"));
    });

    test("that is closed leaves what was sent before", () => {
      const [one, other] = make(new PageNetwork());
      one.write(bytes("last"));
      one.close();
      assert.deepEqual([text(other.read(10)), other.read(10).length], ["last", 0]);
    });

    test("closed at once, with SO_LINGER, is reset", () => {
      const page = new PageNetwork();
      const [one, other] = make(page);
      one.setOption(page.network, "SO_LINGER", ["1", "0"], () => {});
      one.close();
      assert.throws(() => other.read(10), socketError("ECONNRESET"));
    });

    test("closed on both ends leaves nothing behind", () => {
      const page = new PageNetwork();
      for (let count = 0; count < 3; count++) {
        const [one, other] = make(page);
        one.write(bytes("x"));
        other.read(1);
        one.close();
        other.close();
      }
      const [one, other] = make(page);
      assert.equal(one.write(bytes("x")), 1);
      assert.equal(other.available, 1);
    });

    test("has a window of the size that either end asks for", () => {
      const page = new PageNetwork();
      for (const [end, name] of /** @type {[0 | 1, string][]} */ ([
        [1, "SO_RCVBUF"],
        [0, "SO_SNDBUF"],
      ])) {
        const ends = make(page);
        ends[end].setOption(page.network, name, [String(2 * WINDOW_INITIAL)], (error) => assert.equal(error, null));
        assert.equal(ends[0].write(new Uint8Array(10 * WINDOW_INITIAL)), 2 * WINDOW_INITIAL);
      }
    });

    test("wakes a reader, and whoever waits for the end", () => {
      const [one, other] = make(new PageNetwork());
      let woken = 0;
      other.watch(READABLE, () => woken++);
      one.write(bytes("x"));
      assert.equal(woken, 1);
      other.read(1);
      other.watch(READABLE, () => woken++);
      one.close();
      assert.equal(woken, 2);
    });
  });
}

suite("when the peer has closed", () => {
  for (const kind of ["IPv4", "IPv6"]) {
    test(`a TCP connection can be written to once, then it is broken (${kind})`, () => {
      const [one, other] = STREAMS[kind](new PageNetwork());
      other.close();
      assert.equal(one.state, "closeWait");
      assert.equal(one.write(bytes("into the void")), 13);
      assert.throws(() => one.write(bytes("x")), socketError("EPIPE"));
      assert.equal(one.read(10).length, 0);
    });

    test(`one that had sent its end is reset by what still comes (${kind})`, () => {
      const [one, other] = STREAMS[kind](new PageNetwork());
      other.shutdown({ read: false, write: true });
      other.close();
      assert.equal(one.write(bytes("x")), 1);
      assert.equal(one.takeError()?.code, "EPIPE");
    });
  }

  for (const kind of ["a pair", "a path"]) {
    test(`${kind} hangs up at once, whatever had ended before`, () => {
      for (const before of /** @type {((one: Socket, other: Socket) => void)[]} */ ([
        () => {},
        (one) => one.shutdown({ read: false, write: true }),
        (_one, other) => other.shutdown({ read: false, write: true }),
        (one, other) => [one, other].forEach((each) => each.shutdown({ read: false, write: true })),
      ])) {
        const [one, other] = STREAMS[kind](new PageNetwork());
        before(one, other);
        other.close();
        assert.equal(one.readiness, READABLE | WRITABLE | PEER_FINISHED | HANGUP);
        assert.equal(one.read(10).length, 0);
        assert.throws(() => one.write(bytes("x")), socketError("EPIPE"));
      }
    });

    test(`${kind} whose peer reads no more cannot be written to`, () => {
      const [one, other] = STREAMS[kind](new PageNetwork());
      one.write(bytes("before"));
      other.shutdown({ read: true, write: false });
      assert.throws(() => one.write(bytes("x")), socketError("EPIPE"));
      assert.equal(text(other.read(10)), "before");
      assert.equal(other.read(10).length, 0);
      other.write(bytes("back"));
      assert.equal(text(one.read(10)), "back");
    });
  }
});
