import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { answerOf, endOf } from "../../js/channel-description.js";
import { DatagramSocket } from "../../js/datagram.js";
import { ProtocolError, SocketError } from "../../js/errors.js";
import { OPEN_TIME, PAUSES, Path } from "../../js/path.js";
import { Session } from "../../js/session.js";
import { encodeFrame, framesOf } from "../../js/wire.js";
import { HOST, Line } from "./line.js";

const FINGERPRINT = `sha-256 ${Array(32).fill("AB").join(":")}`;
const END = { user: "user", password: "p".repeat(22), fingerprint: FINGERPRINT, limit: 262_144 };

/** A path whose channels, clock and obstacle are the test's. */
class Bench {
  time = 0;
  why = "";
  /** @type {string[]} */
  failures = [];
  /** @type {{events: import("../../js/path.js").ChannelEvents, sent: Uint8Array[], waiting: number, closed: boolean}[]} */
  channels = [];
  path = new Path({
    now: () => this.time,
    obstacle: () => this.why,
    failed: (reason) => this.failures.push(reason),
    connect: (events) => {
      const made = { events, sent: /** @type {Uint8Array[]} */ ([]), waiting: 0, closed: false };
      this.channels.push(made);
      return {
        get waiting() {
          return made.waiting;
        },
        limit: 1000,
        send: (message) => made.sent.push(message),
        close: () => (made.closed = true),
      };
    },
  });

  open() {
    this.path.want();
    this.last.events.opened();
    return this.last;
  }

  get last() {
    return this.channels[this.channels.length - 1];
  }
}

suite("the way of datagrams", () => {
  test("is made when it is first wanted, once", () => {
    const bench = new Bench();
    assert.deepEqual([bench.path.state, bench.path.reason], ["closed", "no datagram socket was used yet"]);
    bench.path.want();
    bench.path.want();
    assert.deepEqual([bench.path.state, bench.channels.length], ["asking", 1]);
    bench.last.events.opened();
    bench.path.want();
    assert.deepEqual([bench.path.open, bench.path.reason, bench.channels.length], [true, "", 1]);
  });

  test("is not made where there is an obstacle, which is told once; it is when that is gone", () => {
    const bench = new Bench();
    bench.why = "no UDP today";
    bench.path.want();
    bench.path.want();
    assert.deepEqual([bench.path.reason, bench.failures, bench.channels.length], ["no UDP today", ["no UDP today"], 0]);
    bench.why = "";
    bench.path.want();
    assert.equal(bench.path.state, "asking");
  });

  test("is made again after pauses, and then no more", () => {
    const bench = new Bench();
    for (const pause of PAUSES) {
      bench.path.want();
      bench.last.events.closed("cut");
      assert.equal(bench.path.state, "resting");
      bench.time += pause - 1;
      bench.path.want();
      assert.equal(bench.path.state, "resting");
      bench.time += 1;
    }
    bench.path.want();
    bench.last.events.closed("cut");
    bench.time += 1e9;
    bench.path.want();
    assert.deepEqual([bench.path.state, bench.path.reason], ["off", "cut"]);
    assert.equal(bench.channels.length, PAUSES.length + 1);
    assert.equal(bench.failures.length, PAUSES.length + 1);
  });

  test("forgets its failures once a channel has lasted", () => {
    const bench = new Bench();
    for (let round = 0; round < 10; round++) {
      const channel = bench.open();
      bench.time += 100_000;
      channel.events.closed("cut");
      bench.time += PAUSES[0];
    }
    assert.equal(bench.path.state, "resting");
  });

  test("fails if it does not open in time", () => {
    const bench = new Bench();
    bench.path.want();
    const [channel] = bench.channels;
    bench.time = OPEN_TIME;
    bench.path.want();
    assert.deepEqual([channel.closed, bench.path.state], [true, "resting"]);
  });

  test("drops what comes while too much waits", () => {
    const bench = new Bench();
    const channel = bench.open();
    assert.equal(bench.path.send(new Uint8Array(10)), true);
    channel.waiting = 256 * 1024;
    assert.equal(bench.path.send(new Uint8Array(10)), false);
    assert.equal(channel.sent.length, 1);
    assert.deepEqual([bench.path.fits(1000), bench.path.fits(1001)], [true, false]);
  });

  test("ends with its session", () => {
    const bench = new Bench();
    const channel = bench.open();
    bench.path.close("the session is over");
    bench.path.want();
    assert.deepEqual([channel.closed, bench.path.state, bench.path.send(new Uint8Array(1))], [true, "off", false]);
  });
});

suite("a datagram socket", () => {
  /** One that has an address. */
  function bound() {
    const line = new Line();
    const bench = new Bench();
    line.path = bench.path;
    const socket = new DatagramSocket();
    socket.follow(line, true);
    socket.write(line, new Uint8Array([1]), HOST);
    return { line, bench, socket };
  }

  test("goes by the channel once it is open and nothing that was asked is unanswered", () => {
    const { line, bench, socket } = bound();
    bench.last.events.opened();
    socket.follow(line, true);
    socket.write(line, new Uint8Array([2]), HOST);
    assert.deepEqual(line.said().map(({ type }) => type), ["open", "bind", "datagram", "route", "datagram"]);
    line.questions[0](null, { type: "bound", local: { family: 4, host: "10.0.0.7", port: 5 } });
    socket.write(line, new Uint8Array([3]), HOST);
    const [frame] = framesOf(bench.last.sent[0]);
    assert.deepEqual([frame.type, frame.socket, [...frame.data]], ["datagram", socket.id, [3]]);
    socket.write(line, new Uint8Array(2000), HOST);
    assert.deepEqual(line.said().map(({ type }) => type), ["datagram"]);
  });

  test("changes over when what went by the session has arrived, or when it never pauses", () => {
    for (const turn of [{ acknowledged: 7 }, { clock: 1000 }]) {
      const { line, bench, socket } = bound();
      bench.last.events.opened();
      line.questions[0](null, { type: "bound", local: { family: 4, host: "10.0.0.7", port: 5 } });
      line.newest = 7;
      socket.write(line, new Uint8Array([2]), HOST);
      socket.follow(line, true);
      socket.write(line, new Uint8Array([3]), HOST);
      assert.equal(bench.last.sent.length, 0);
      Object.assign(line, turn);
      socket.write(line, new Uint8Array([4]), HOST);
      assert.deepEqual(bench.last.sent.flatMap((sent) => [...framesOf(sent)].map(({ data }) => [...data])), [[4]]);
    }
  });

  test("counts what the channel does not take, and needs no room of the session", () => {
    const { line, bench, socket } = bound();
    bench.last.events.opened();
    socket.follow(line, true);
    line.questions[0](null, { type: "bound", local: { family: 4, host: "10.0.0.7", port: 5 } });
    line.room = 0;
    assert.equal(socket.write(line, new Uint8Array([2]), HOST), 1);
    bench.last.waiting = 1e9;
    assert.equal(socket.write(line, new Uint8Array([2]), HOST), 1);
    assert.equal(socket.dropped, 1);
  });

  test("says when it hears in the session again", () => {
    const { line, bench, socket } = bound();
    bench.last.events.opened();
    socket.follow(line, true);
    socket.follow(line, true);
    socket.follow(line, false);
    const routes = line.said().filter(({ type }) => type === "route");
    assert.deepEqual(routes.map(({ channel }) => channel), [1, 0]);
  });

  test("hears in the session again when the channel is gone", () => {
    const { line, bench, socket } = bound();
    bench.last.events.opened();
    socket.follow(line, true);
    bench.last.events.closed("cut");
    socket.channelLost();
    socket.channelLost();
    const routes = line.said().filter(({ type }) => type === "route");
    assert.deepEqual(routes.map(({ channel }) => channel), [1, 0]);
  });
});

suite("what the ends of a channel are told", () => {
  const SDP = [
    "v=0",
    "a=group:BUNDLE 0",
    "m=application 54609 UDP/DTLS/SCTP webrtc-datachannel",
    "a=candidate:1 1 udp 2113937151 0a1b.local 54609 typ host",
    `a=ice-ufrag:${END.user}`,
    `a=ice-pwd:${END.password}`,
    "a=ice-options:trickle",
    `a=fingerprint:${FINGERPRINT}`,
    "a=setup:actpass",
    "a=mid:0",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
    "",
  ].join("\r\n");

  test("is taken from an offer, without its addresses", () => {
    assert.deepEqual(endOf(SDP), { ...END, mid: "0" });
    assert.equal(endOf(SDP.replace(/a=max.*\r\n/, "")).limit, 65_536);
    assert.throws(() => endOf(SDP.replace("sha-256", "sha-1")), /SHA-256/);
  });

  test("makes an answer", () => {
    const sdp = answerOf({ ...END, addresses: [{ family: 6, host: "::1", port: 9 }] }, "0");
    assert.match(sdp, /^a=ice-lite\r$/m);
    assert.match(sdp, /^a=setup:passive\r$/m);
    assert.match(sdp, /^a=candidate:1 1 udp \d+ ::1 9 typ host\r$/m);
  });

  test("is refused where it would say more", () => {
    const addresses = [{ family: 4, host: "127.0.0.1", port: 9 }];
    for (const wrong of [
      { user: "u\r\na=x:y" },
      { password: "short" },
      { fingerprint: "none" },
      { addresses: [] },
      { addresses: [{ family: 4, host: "evil 1\r\n", port: 9 }] },
    ]) {
      assert.throws(() => answerOf({ ...END, addresses, ...wrong }, "0"), ProtocolError);
    }
  });
});

suite("a session", () => {
  const session = () => new Session({ send() {}, now: () => 0, later() {} });
  const datagram = (/** @type {number} */ socket) =>
    encodeFrame({ type: "datagram", socket, address: HOST, data: new Uint8Array([7]) });

  test("takes a datagram from the channel to its socket, if that is there", () => {
    const [page, socket] = [session(), new DatagramSocket()];
    page.adopt(socket, 5);
    page.receiveDatagram(datagram(5));
    page.receiveDatagram(datagram(7));
    assert.deepEqual([...socket.read(10)], [7]);
  });

  test("is broken by anything else there", () => {
    const two = new Uint8Array([...datagram(5), ...datagram(5)]);
    for (const message of [new Uint8Array(0), new Uint8Array(9), encodeFrame({ type: "close", socket: 5 }), two]) {
      assert.throws(() => session().receiveDatagram(message), ProtocolError);
    }
  });

  test("takes its way along when it ends", () => {
    const [page, bench] = [session(), new Bench()];
    page.path = bench.path;
    const channel = bench.open();
    page.close(new SocketError("ENETDOWN"));
    assert.deepEqual([channel.closed, bench.path.reason], [true, "the session is over"]);
  });
});
