import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { WRITABLE } from "../../js/endpoint.js";
import { PageNetwork } from "./page-network.js";

/** @typedef {import("../../js/endpoint.js").AnySocket} AnySocket */

const [UNIX, IPV4, IPV6] = [1, 4, 6];

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);
const text = (/** @type {Uint8Array} */ data) => new TextDecoder().decode(data);
const port = (/** @type {AnySocket} */ { local }) => local?.port ?? 0;

/** @param {string} code */
const socketError = (code) => ({ name: "SocketError", code });

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
