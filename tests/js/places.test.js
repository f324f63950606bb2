import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { Socket } from "../../js/socket.js";
import { PageNetwork } from "./page-network.js";

const V6ONLY = { IPV6_V6ONLY: 1 };
const REUSE = { SO_REUSEADDR: 1 };

/** @param {number} family @param {object} options */
function stream(family, options = {}) {
  const socket = new Socket(family);
  for (const [name, value] of Object.entries(options)) socket.options.set(name, [String(value)]);
  return socket;
}

/** @param {number} family @param {object} options */
function datagrams(family, options = {}) {
  const socket = new DatagramSocket(family);
  for (const [name, value] of Object.entries(options)) socket.options.set(name, [String(value)]);
  return socket;
}

suite("an address", () => {
  test("is one of the page's, or every one", () => {
    const page = new PageNetwork();
    for (const [family, host, told] of /** @type {[number, string, string][]} */ ([
      [4, "127.0.0.1", "127.0.0.1"],
      [4, "127.9.8.7", "127.9.8.7"],
      [4, "", "0.0.0.0"],
      [4, "0.0.0.0", "0.0.0.0"],
      [4, "localhost", "127.0.0.1"],
      [6, "::1", "::1"],
      [6, "0:0:0:0:0:0:0:1", "::1"],
      [6, "", "::"],
      [6, "::", "::"],
      [6, "::0", "::"],
      [6, "localhost", "::1"],
      [6, "::ffff:127.0.0.1", "::ffff:127.0.0.1"],
      [6, "::ffff:7f00:1", "::ffff:127.0.0.1"],
    ])) {
      assert.equal(page.bound(new Socket(family), host).local?.host, told, host);
    }
  });

  test("of anybody else is not to be had", () => {
    const page = new PageNetwork();
    for (const [family, host, code] of /** @type {[number, string, string][]} */ ([
      [4, "10.0.0.1", "EADDRNOTAVAIL"],
      [4, "255.255.255.255", "EADDRNOTAVAIL"],
      [6, "2001:db8::1", "EADDRNOTAVAIL"],
      [6, "::2", "EADDRNOTAVAIL"],
      [6, "::ffff:10.0.0.1", "EADDRNOTAVAIL"],
      [4, "host.example", "EAI_NONAME"],
      [4, "::1", "EAI_NONAME"],
      [6, "127.0.0.1", "EAI_NONAME"],
    ])) {
      assert.equal(page.refusal(new Socket(family), host), code, host);
    }
  });

  test("has a free port where none is named, each time another", () => {
    const page = new PageNetwork();
    const ports = Array.from({ length: 100 }, () => page.bound(new Socket(), "").local?.port ?? 0);
    assert.equal(new Set(ports).size, 100);
    for (const port of ports) assert.ok(port >= 32_768 && port <= 60_999);
  });

  test("is found free though most are taken, and all of them can be", () => {
    const page = new PageNetwork();
    for (let port = 32_768; port < 60_999; port++) page.bound(new Socket(), "", port);
    assert.equal(page.bound(new Socket(), "").local?.port, 60_999);
    assert.equal(page.refusal(new Socket(), ""), "EADDRINUSE");
    assert.equal(page.refusal(new DatagramSocket(), ""), undefined);
  });

  test("is given once", () => {
    const page = new PageNetwork();
    const socket = page.bound(new Socket(), "");
    assert.equal(page.refusal(socket, "", 80), "EINVAL");
  });
});

suite("who may share an address", () => {
  /** Who was first, who comes, and why it cannot. @type {[string, any[], any[], string | undefined][]} */
  const CASES = [
    ["the same", [4, "127.0.0.1"], [4, "127.0.0.1"], "EADDRINUSE"],
    ["another", [4, "127.0.0.1"], [4, "127.0.0.2"], undefined],
    ["every one and one", [4, ""], [4, "127.0.0.1"], "EADDRINUSE"],
    ["one and every one", [4, "127.0.0.1"], [4, ""], "EADDRINUSE"],
    ["the same, both with leave", [4, "127.0.0.1", REUSE], [4, "127.0.0.1", REUSE], undefined],
    ["the same, one with leave", [4, "127.0.0.1", REUSE], [4, "127.0.0.1"], "EADDRINUSE"],
    ["the same, the other with leave", [4, "127.0.0.1"], [4, "127.0.0.1", REUSE], "EADDRINUSE"],
    ["both families of one host", [4, "127.0.0.1"], [6, "::1"], undefined],
    ["every one of both families", [6, ""], [4, ""], "EADDRINUSE"],
    ["every one of both families, the other way round", [4, ""], [6, ""], "EADDRINUSE"],
    ["every one of IPv6 and one of IPv4", [6, ""], [4, "127.0.0.1"], "EADDRINUSE"],
    ["one of IPv4 and every one of IPv6", [4, "127.0.0.1"], [6, ""], "EADDRINUSE"],
    ["every one of IPv6 alone, and of IPv4", [6, "", V6ONLY], [4, ""], undefined],
    ["every one of IPv4, and of IPv6 alone", [4, ""], [6, "", V6ONLY], undefined],
    ["one of IPv6 and every one of IPv4", [6, "::1"], [4, ""], undefined],
    ["an IPv4 address as IPv6 writes it", [6, "::ffff:127.0.0.1"], [4, "127.0.0.1"], "EADDRINUSE"],
    ["the same, the other way round", [4, "127.0.0.1"], [6, "::ffff:127.0.0.1"], "EADDRINUSE"],
    ["every one of IPv4, and one as IPv6 writes it", [4, ""], [6, "::ffff:127.0.0.1"], "EADDRINUSE"],
  ];
  for (const [what, [family, host, options], [other, otherHost, otherOptions], code] of CASES) {
    for (const make of [stream, datagrams]) {
      test(`${what}, of ${make.name}: ${code ?? "both"}`, () => {
        const page = new PageNetwork();
        const [first, second] = [make(family, options), make(other, otherOptions)];
        page.bound(first, host, 8080);
        assert.equal(page.refusal(second, otherHost, 8080), code);
        for (const socket of [first, second]) socket.close();
        assert.equal(page.refusal(make(other, otherOptions), otherHost, 8080), undefined);
      });
    }
  }

  test("streams and datagrams have their own ports", () => {
    const page = new PageNetwork();
    page.bound(new Socket(), "127.0.0.1", 8080);
    assert.equal(page.refusal(new DatagramSocket(), "127.0.0.1", 8080), undefined);
  });

  test("leave does not help beside one that listens", () => {
    const page = new PageNetwork();
    page.listening("127.0.0.1", { port: 8080, options: REUSE });
    assert.equal(page.refusal(stream(4, REUSE), "127.0.0.1", 8080), "EADDRINUSE");
    assert.equal(page.refusal(stream(4, REUSE), "", 8080), "EADDRINUSE");
    assert.equal(page.refusal(stream(4, REUSE), "127.0.0.2", 8080), undefined);
  });

  test("only one of those who share can listen", () => {
    const page = new PageNetwork();
    const [one, other] = [stream(4, REUSE), stream(4, REUSE)];
    for (const socket of [one, other]) page.bound(socket, "127.0.0.1", 8080);
    const listener = page.listen(one);
    assert.throws(() => page.listen(other), { code: "EADDRINUSE" });
    listener.close();
    assert.equal(page.listen(other).state, "listening");
  });

  test("of those who share, the newest hears", () => {
    const page = new PageNetwork();
    const sharing = [0, 1, 2].map(() => page.datagrams("127.0.0.1", { port: 5000, options: REUSE }));
    const sender = page.datagrams("127.0.0.1");
    page.send(sender, "x", sharing[0]);
    sharing[2].close();
    page.send(sender, "y", sharing[0]);
    sharing[1].close();
    page.send(sender, "z", sharing[0]);
    assert.equal(sharing[0].available, 1);
    assert.deepEqual(
      sharing.map((socket) => socket.bytesReceived),
      [1, 1, 1],
    );
  });

  test("a socket that fails to get one address can have another", () => {
    const page = new PageNetwork();
    page.bound(new Socket(), "", 8080);
    const socket = new Socket();
    assert.equal(page.refusal(socket, "", 8080), "EADDRINUSE");
    assert.equal(page.refusal(socket, "", 8081), undefined);
    assert.equal(socket.local?.port, 8081);
  });
});

suite("paths", () => {
  test("are taken once, and the file stays when the socket is gone", () => {
    const page = new PageNetwork();
    const socket = page.bound(new Socket(1), "/here");
    assert.deepEqual(socket.local, { family: 1, host: "/here", port: 0 });
    assert.equal(page.refusal(new Socket(1), "/here"), "EADDRINUSE");
    assert.equal(page.refusal(new DatagramSocket(1), "/here"), "EADDRINUSE");
    socket.close();
    assert.equal(page.refusal(new Socket(1), "/here"), "EADDRINUSE");
    page.paths.files.delete("/here");
    assert.equal(page.refusal(new Socket(1), "/here"), undefined);
  });

  test("are given once, and the second leaves no file", () => {
    const page = new PageNetwork();
    const socket = page.bound(new Socket(1), "/here");
    assert.equal(page.refusal(socket, "/there"), "EINVAL");
    assert.deepEqual([...page.paths.files.keys()], ["/here"]);
  });

  test("that cannot be are refused as files are", () => {
    const page = new PageNetwork();
    assert.equal(page.refusal(new Socket(1), "/nowhere/at/all"), "ENOENT");
    page.paths.files.set("/file", null);
    assert.equal(page.refusal(new Socket(1), "/file"), "EADDRINUSE");
  });

  test("a file that was removed leads to nobody, and another may stand there", () => {
    const page = new PageNetwork();
    const old = page.listening("/here", { family: 1 });
    page.paths.files.delete("/here");
    assert.equal(page.unreachable("/here", 0, new Socket(1))?.code, "ENOENT");
    const next = page.listening("/here", { family: 1 });
    page.connected(next);
    assert.deepEqual([old.waiting, next.waiting], [0, 0]);
  });

  test("that begin with a zero are names, and no files", () => {
    const page = new PageNetwork();
    const socket = page.bound(new Socket(1), "\0name");
    assert.equal(page.refusal(new Socket(1), "\0name"), "EADDRINUSE");
    assert.equal(page.refusal(new DatagramSocket(1), "\0name"), undefined);
    socket.close();
    assert.equal(page.refusal(new Socket(1), "\0name"), undefined);
    assert.equal(page.paths.files.size, 0);
  });

  test("that are empty stand for a name that is free", () => {
    const page = new PageNetwork();
    const [one, other] = [page.bound(new Socket(1), ""), page.bound(new Socket(1), "")];
    assert.match(one.local?.host ?? "", /^\0[0-9a-f]{5}$/);
    assert.notEqual(one.local?.host, other.local?.host);
  });
});

suite("options", () => {
  test("IPV6_V6ONLY can be set only before there is an address", () => {
    const page = new PageNetwork();
    for (const [bound, code] of /** @type {[boolean, string | undefined][]} */ ([
      [false, undefined],
      [true, "EINVAL"],
    ])) {
      const socket = new Socket(6);
      if (bound) page.bound(socket, "");
      socket.setOption(page.network, "IPV6_V6ONLY", ["1"], (error) => assert.equal(error?.code, code));
    }
  });

  test("the interface of groups is one of the page's addresses", () => {
    const page = new PageNetwork();
    for (const [host, code] of /** @type {[string, string | undefined][]} */ ([
      ["127.0.0.1", undefined],
      ["0.0.0.0", undefined],
      ["10.0.0.1", "EADDRNOTAVAIL"],
    ])) {
      new DatagramSocket().setOption(page.network, "IP_MULTICAST_IF", [host], (error) => assert.equal(error?.code, code));
    }
  });

  test("groups are for those who have a proxy", () => {
    const page = new PageNetwork();
    for (const [name, code] of [
      ["IP_ADD_MEMBERSHIP", "ENODEV"],
      ["IPV6_JOIN_GROUP", "ENODEV"],
      ["IP_DROP_MEMBERSHIP", "EADDRNOTAVAIL"],
      ["IPV6_LEAVE_GROUP", "EADDRNOTAVAIL"],
    ]) {
      /** @type {any} */
      let refused;
      new DatagramSocket().setOption(page.network, name, ["239.1.1.1", "0.0.0.0"], (error) => {
        refused = error;
      });
      assert.equal(refused.code, code);
      if (code === "ENODEV") assert.match(refused.message, /proxy/);
    }
  });
});
