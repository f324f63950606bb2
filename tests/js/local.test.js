import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { HANGUP, PEER_FINISHED, READABLE, WRITABLE } from "../../js/endpoint.js";
import { SocketError } from "../../js/errors.js";
import { Listener } from "../../js/listener.js";
import { Socket } from "../../js/socket.js";
import { WINDOW_INITIAL } from "../../js/window.js";
import { Chance } from "./chance.js";
import { PageNetwork } from "./page-network.js";

/** @typedef {import("../../js/endpoint.js").AnySocket} AnySocket */

const [UNIX, IPV4, IPV6] = [1, 4, 6];

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);
const text = (/** @type {Uint8Array} */ data) => new TextDecoder().decode(data);
const itself = (/** @type {Socket} */ socket) => socket;
const port = (/** @type {AnySocket} */ { local }) => local?.port ?? 0;

/** @param {string} code */
const socketError = (code) => ({ name: "SocketError", code });

/** Two ends of every kind of stream within the page. @type {Record<string, (page: PageNetwork) => [Socket, Socket]>} */
const STREAMS = {
  "a pair": (page) => /** @type {[Socket, Socket]} */ (page.network.pair(false)),
  "a path": (page) => page.streams(UNIX),
  IPv4: (page) => page.streams(IPV4),
  IPv6: (page) => page.streams(IPV6),
};

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

suite("datagrams between ports", () => {
  test("come with the address of their sender, which can be answered", () => {
    const page = new PageNetwork();
    for (const [family, host] of /** @type {[number, string][]} */ ([
      [IPV4, "127.0.0.1"],
      [IPV6, "::1"],
    ])) {
      const server = page.datagrams("", { family });
      const client = new DatagramSocket(family);
      page.send(client, "question", { host, port: port(server) });
      assert.equal(text(server.read(100)), "question");
      assert.deepEqual(server.last?.address, { family, host, port: port(client) });
      page.send(server, "answer", server.last?.address);
      assert.equal(text(client.read(100)), "answer");
      assert.deepEqual(client.last?.address, { family, host, port: port(server) });
    }
  });

  test("from a socket that has no address yet come from one that it has from then on", () => {
    const page = new PageNetwork();
    const server = page.datagrams("127.0.0.1");
    const client = new DatagramSocket();
    for (let count = 0; count < 2; count++) page.send(client, "x", server);
    const ports = [0, 1].map(() => server.read(1) && server.last?.address.port);
    assert.deepEqual(ports, [port(client), port(client)]);
    assert.equal(client.local?.host, "0.0.0.0");
  });

  test("cross between the families as the same datagram", () => {
    const page = new PageNetwork();
    const six = page.datagrams("", { family: IPV6 });
    const four = page.datagrams("127.0.0.1");
    page.send(four, "to six", { host: "127.0.0.1", port: port(six) });
    assert.deepEqual(six.read(1) && six.last?.address, { family: IPV6, host: "::ffff:127.0.0.1", port: port(four) });
    page.send(six, "to four", { host: "::ffff:127.0.0.1", port: port(four) });
    assert.deepEqual(four.read(1) && four.last?.address, { family: IPV4, host: "127.0.0.1", port: port(six) });
    const alone = page.datagrams("::1", { family: IPV6 });
    assert.throws(() => page.send(alone, "x", { host: "::ffff:127.0.0.1", port: port(four) }), socketError("ENETUNREACH"));
  });

  test("to nobody are lost without a word, unless that is the peer", () => {
    const page = new PageNetwork();
    const client = page.datagrams("127.0.0.1");
    assert.equal(page.send(client, "x", { host: "127.0.0.1", port: 9 }), 1);
    assert.equal(client.error, null);
    page.joined(client, "127.0.0.1", 9);
    assert.equal(page.send(client, "x"), 1);
    assert.throws(() => client.read(1), socketError("ECONNREFUSED"));
    assert.throws(() => client.read(1), socketError("EAGAIN"));
  });

  test("to others than the page are refused", () => {
    const page = new PageNetwork();
    assert.throws(() => page.send(page.datagrams(""), "x", { host: "10.0.0.1", port: 53 }), socketError("ENETUNREACH"));
  });

  test("are heard from the peer alone by who has one", () => {
    const page = new PageNetwork();
    const [one, peer, stranger] = [0, 1, 2].map(() => page.datagrams("127.0.0.1"));
    page.send(stranger, "before", one);
    page.joined(one, "127.0.0.1", port(peer));
    page.send(stranger, "not heard", one);
    page.send(peer, "heard", one);
    assert.deepEqual([text(one.read(100)), text(one.read(100))], ["before", "heard"]);
    assert.throws(() => one.read(100), socketError("EAGAIN"));
    page.send(one, "to the peer");
    assert.equal(text(peer.read(100)), "to the peer");
  });

  test("the peer is the same in both families", () => {
    const page = new PageNetwork();
    const six = page.datagrams("", { family: IPV6 });
    const four = page.datagrams("127.0.0.1");
    page.joined(six, "::ffff:127.0.0.1", port(four));
    page.send(four, "heard", { host: "127.0.0.1", port: port(six) });
    assert.equal(text(six.read(100)), "heard");
  });

  test("a peer gives an address to who has none", () => {
    const page = new PageNetwork();
    const socket = page.joined(new DatagramSocket(), "127.0.0.7", 9);
    assert.deepEqual([socket.local?.host, socket.peer], ["127.0.0.1", { family: IPV4, host: "127.0.0.7", port: 9 }]);
    assert.ok(port(socket) > 0);
  });

  test("a peer can be replaced by another", () => {
    const page = new PageNetwork();
    const [one, first, second] = [0, 1, 2].map(() => page.datagrams("127.0.0.1"));
    for (const peer of [first, second]) page.joined(one, "127.0.0.1", port(peer));
    page.send(one, "x");
    assert.deepEqual([first.available, second.available], [0, 1]);
  });

  test("to everybody are heard by all who hear at every address", () => {
    const page = new PageNetwork();
    const options = { SO_REUSEADDR: 1, SO_BROADCAST: 1 };
    const every = [0, 1].map(() => page.datagrams("", { port: 5000, options }));
    const one = page.datagrams("127.0.0.1", { port: 5000, options });
    const elsewhere = page.datagrams("", { port: 5001 });
    const sender = page.datagrams("", { options });
    for (const host of ["255.255.255.255", "127.255.255.255"]) page.send(sender, host, { host, port: 5000 });
    for (const socket of every) {
      assert.deepEqual([text(socket.read(100)), text(socket.read(100))], ["255.255.255.255", "127.255.255.255"]);
      assert.deepEqual(socket.last?.address, { family: IPV4, host: "127.0.0.1", port: port(sender) });
    }
    assert.deepEqual([one.available, elsewhere.available], [0, 0]);
    const shy = page.datagrams("");
    assert.throws(() => page.send(shy, "x", { host: "255.255.255.255", port: 5000 }), socketError("EACCES"));
  });

  test("beyond the receiver's room are thrown away", () => {
    const page = new PageNetwork();
    const [sender, receiver] = [page.datagrams("127.0.0.1"), page.datagrams("127.0.0.1")];
    for (let count = 0; count < 1000; count++) page.send(sender, String(count), receiver);
    assert.ok(receiver.dropped > 0);
    assert.equal(text(receiver.read(100)), "0");
  });
});

suite("datagrams between paths", () => {
  const page = () => {
    const made = new PageNetwork();
    return { made, server: made.datagrams("/server", { family: UNIX }) };
  };

  test("come with the path of their sender, or without if it has none", () => {
    const { made, server } = page();
    const named = made.datagrams("/client", { family: UNIX });
    const nameless = new DatagramSocket(UNIX);
    for (const socket of [named, nameless]) made.send(socket, "x", { host: "/server" });
    assert.deepEqual([server.read(1) && server.last?.address.host, server.read(1) && server.last?.address.host], ["/client", ""]);
    made.send(server, "answer", { host: "/client" });
    assert.equal(text(named.read(100)), "answer");
  });

  test("that nobody can hear are refused at once", () => {
    const { made, server } = page();
    const client = new DatagramSocket(UNIX);
    made.listening("/stream", { family: UNIX });
    made.paths.files.set("/file", null);
    for (const [host, code] of [
      ["/nobody", "ENOENT"],
      ["\0nobody", "ECONNREFUSED"],
      ["/file", "ECONNREFUSED"],
      ["/stream", "EPROTOTYPE"],
      ["", "EINVAL"],
    ]) {
      assert.throws(() => made.send(client, "x", { host }), socketError(code), host);
      assert.throws(() => made.joined(client, host), socketError(code), host);
    }
    server.close();
    assert.throws(() => made.send(client, "x", { host: "/server" }), socketError("ECONNREFUSED"));
    assert.equal(client.bytesSent, 0);
  });

  test("to who has another peer are not permitted", () => {
    const { made, server } = page();
    made.datagrams("/friend", { family: UNIX });
    made.joined(server, "/friend");
    assert.throws(() => made.send(new DatagramSocket(UNIX), "x", { host: "/server" }), socketError("EPERM"));
  });

  test("go to the peer, which need not have one", () => {
    const { made, server } = page();
    const client = made.joined(new DatagramSocket(UNIX), "/server");
    made.send(client, "x");
    assert.deepEqual([text(server.read(10)), client.peer?.host, client.local?.host], ["x", "/server", ""]);
  });

  test("a socket that has a peer can still be given a path", () => {
    const { made } = page();
    const client = made.joined(new DatagramSocket(UNIX), "/server");
    assert.equal(made.refusal(client, "/client"), undefined);
    assert.equal(client.local?.host, "/client");
    assert.equal(made.refusal(client, "/other"), "EINVAL");
  });

  test("are never lost: a full receiver holds its senders back", () => {
    const { made, server } = page();
    const client = made.joined(new DatagramSocket(UNIX), "/server");
    let sent = 0;
    assert.throws(() => {
      for (;;) sent += made.send(client, "x");
    }, socketError("EAGAIN"));
    assert.deepEqual([client.readiness & WRITABLE, server.dropped, client.bytesSent], [0, 0, sent]);
    let woken = 0;
    client.watch(WRITABLE, () => woken++);
    server.read(1);
    assert.deepEqual([woken, client.readiness & WRITABLE, made.send(client, "y")], [1, WRITABLE, 1]);
    assert.throws(() => made.send(client, "x"), socketError("EAGAIN"));
    client.watch(WRITABLE, () => woken++);
    server.close();
    assert.deepEqual([woken, client.readiness & WRITABLE], [2, WRITABLE]);
    assert.throws(() => made.send(client, "x"), socketError("ECONNREFUSED"));
  });
});

suite("a pair of datagram sockets", () => {
  const pair = () => /** @type {[DatagramSocket, DatagramSocket]} */ (new PageNetwork().network.pair(true));
  /** @param {DatagramSocket} socket @param {string} data */
  const say = (socket, data) => socket.write(/** @type {any} */ (socket.network), bytes(data));

  test("says whole datagrams to each other, of nameless senders", () => {
    const [one, other] = pair();
    for (const word of ["a", "", "bcd"]) say(one, word);
    assert.deepEqual([0, 1, 2].map(() => text(other.read(10))), ["a", "", "bcd"]);
    assert.deepEqual(other.last?.address, { family: UNIX, host: "", port: 0 });
    assert.equal(other.peer?.host, "");
    say(other, "back");
    assert.equal(text(one.read(10)), "back");
  });

  test("whose one is gone refuses what is said", () => {
    const [one, other] = pair();
    say(one, "unread");
    other.close();
    assert.throws(() => say(one, "x"), socketError("ECONNREFUSED"));
    assert.throws(() => one.read(1), socketError("EAGAIN"));
  });

  test("holds back who says too much", () => {
    const [one, other] = pair();
    assert.throws(() => {
      for (;;) say(one, "x");
    }, socketError("EAGAIN"));
    other.read(1);
    assert.equal(say(one, "x"), 1);
  });
});

suite("whatever a program does", () => {
  /** What is written to one end and has not been read from the other yet. */
  class Stream {
    written = 0;
    read = 0;

    /** @param {Socket} from @param {Socket} to */
    constructor(from, to) {
      this.from = from;
      this.to = to;
    }

    /** Bytes that tell where they belong. @param {number} size */
    write(size) {
      const data = Uint8Array.from({ length: size }, (_, index) => ((this.written + index) * 31) % 251);
      this.written += this.from.write(data);
    }

    /** @param {number} size */
    take(size) {
      for (const byte of this.to.read(size)) assert.equal(byte, (this.read++ * 31) % 251);
      assert.ok(this.read <= this.written);
    }
  }

  for (const kind of Object.keys(STREAMS)) {
    for (let seed = 1; seed <= 3; seed++) {
      test(`every byte by ${kind} is read once, in order (chance ${seed})`, () => {
        const chance = new Chance(seed);
        const page = new PageNetwork();
        for (let round = 0; round < 30; round++) {
          const [one, other] = STREAMS[kind](page);
          const streams = [new Stream(one, other), new Stream(other, one)];
          const attempt = (/** @type {() => void} */ call) => {
            try {
              call();
            } catch (error) {
              if (!(error instanceof SocketError)) throw error;
            }
          };
          for (let step = 0; step < 100; step++) {
            const stream = chance.choice(streams);
            page.clock += chance.choice([0, 1, 1000]);
            const happening = chance.integer(0, 99);
            attempt(() => {
              if (happening < 45) stream.write(chance.choice([0, 1, 10, 1000, 300_000]));
              else if (happening < 95) stream.take(chance.choice([0, 1, 10, 1000, 1_000_000]));
              else if (happening < 97) stream.from.shutdown({ read: false, write: true });
              else if (happening < 99) {
                const size = chance.choice(["2304", "100000", "9999999"]);
                stream.from.setOption(page.network, chance.choice(["SO_RCVBUF", "SO_SNDBUF"]), [size], () => {});
              }
            });
          }
          // What was written before the end arrives, however the other end is closed.
          for (const stream of streams) {
            attempt(() => stream.from.shutdown({ read: false, write: true }));
            while (stream.read < stream.written) stream.take(1_000_000);
            assert.equal(stream.to.read(1).length, 0);
          }
          for (const socket of chance.choice([
            [one, other],
            [other, one],
          ])) {
            socket.close();
          }
        }
      });
    }
  }

  for (let seed = 1; seed <= 5; seed++) {
    test(`nothing but an error of sockets is thrown, and nothing stays behind (chance ${seed})`, () => {
      const chance = new Chance(seed);
      const page = new PageNetwork();
      /** @type {AnySocket[]} */
      let sockets = [];
      const anyHost = (/** @type {AnySocket} */ { family }) =>
        chance.choice(
          family === UNIX
            ? ["/a", "/b", "\0name", "", "/nowhere/"]
            : ["", "127.0.0.1", "::1", "::ffff:127.0.0.1", "::", "0.0.0.0", "localhost", "10.0.0.1", "255.255.255.255"],
        );
      const anyPort = () => chance.choice([0, 8080, 8081, chance.choice(sockets).local?.port ?? 1]);
      /** @type {((socket: any) => unknown)[]} */
      const OPERATIONS = [
        (socket) => {
          // What is over stays what it is.
          if (!socket.id && !["idle", "open"].includes(socket.state)) return;
          socket.bind(page.network, { host: anyHost(socket), port: anyPort() }, () => {});
        },
        (socket) => {
          if (!(socket instanceof Socket) || socket.state !== "idle") return;
          Listener.start(socket, page.network, chance.integer(-1, 3), (_error, listener) => {
            if (listener) sockets[sockets.indexOf(socket)] = listener;
          });
        },
        (socket) => socket.accept?.((/** @type {Socket} */ accepted) => sockets.push(accepted)),
        (socket) => socket.connect?.(page.network, { host: anyHost(socket), port: anyPort(), timeout: 0 }),
        (socket) => socket.associate?.(page.network, { host: anyHost(socket), port: anyPort() }, () => {}),
        (socket) => {
          const data = new Uint8Array(chance.choice([0, 1, 1000, 70_000]));
          if (socket instanceof Socket) socket.write(data);
          if (!(socket instanceof DatagramSocket)) return;
          const { family } = socket;
          socket.write(
            page.network,
            data,
            chance.random() < 0.5 ? undefined : { family, host: anyHost(socket) || "127.0.0.1", port: anyPort() },
          );
        },
        (socket) => socket.read?.(chance.choice([0, 1, 1000, 1e9])),
        (socket) => socket.peek?.(chance.choice([0, 1, 1000])),
        (socket) => socket.shutdown({ read: chance.random() < 0.5, write: chance.random() < 0.5 }),
        (socket) => socket.resize?.(chance.integer(-1, 9)),
        (socket) => socket.watch(chance.integer(0, 31), () => {}),
        (socket) => socket.readiness + socket.available,
        (socket) =>
          socket.setOption(
            page.network,
            chance.choice(["SO_RCVBUF", "SO_SNDBUF", "SO_LINGER", "SO_REUSEADDR", "IPV6_V6ONLY", "IP_ADD_MEMBERSHIP"]),
            [chance.choice(["0", "1", "5000"]), "0"],
            () => {},
          ),
        (socket) => socket.close(),
      ];
      for (let step = 0; step < 4000; step++) {
        if (sockets.length < 12) {
          const family = chance.choice([UNIX, IPV4, IPV6]);
          const made = chance.choice([[new Socket(family)], [new DatagramSocket(family)], page.network.pair(chance.random() < 0.5)]);
          sockets.push(...made);
        }
        const socket = chance.choice(sockets);
        try {
          chance.choice(OPERATIONS)(socket);
        } catch (error) {
          assert.ok(error instanceof SocketError, String(/** @type {any} */ (error)?.stack));
        }
        if (chance.random() < 0.02) page.paths.files.delete(chance.choice(["/a", "/b"]));
        sockets = sockets.filter(({ state }) => state !== "closed");
      }
      for (const socket of sockets) socket.close();
      page.paths.files.clear();
      // Every address is free again.
      for (const family of [IPV4, IPV6]) {
        for (const made of [new Socket(family), new DatagramSocket(family)]) page.bound(made, "", 8080).close();
      }
      for (const host of ["/a", "/b", "\0name"]) page.bound(new Socket(UNIX), host);
      assert.equal(page.network.budget.left, 64 << 20);
    });
  }
});
