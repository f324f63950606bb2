import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { Channel, MESSAGE_COST, UNSENT_MAX } from "../../js/webrtc/channel.js";
import { INCOMING_MAX, Peer, kindOf } from "../../js/webrtc/peer.js";

/** A data channel whose events a test makes. */
class FakeChannel {
  label = "talk";
  protocol = "";
  ordered = true;
  /** @type {number | null} */
  maxRetransmits = null;
  maxPacketLifeTime = null;
  /** @type {number | null} */
  id = null;
  readyState = "connecting";
  binaryType = "blob";
  bufferedAmount = 0;
  /** @type {any[]} */
  sent = [];
  onopen = () => {};
  onbufferedamountlow = () => {};
  onmessage = (/** @type {any} */ _event) => {};
  onerror = (/** @type {any} */ _event) => {};
  onclose = () => {};

  open() {
    this.readyState = "open";
    this.onopen();
  }

  /** @param {any} data */
  send(data) {
    this.sent.push(data);
    this.bufferedAmount += data.length;
  }

  drain() {
    this.bufferedAmount = 0;
    this.onbufferedamountlow();
  }

  close() {
    this.readyState = "closing";
  }

  closed() {
    this.readyState = "closed";
    this.onclose();
  }
}

/** One that is open, and the channel over it. @param {number} [limit] */
function opened(limit = 1 << 20) {
  const fake = new FakeChannel();
  const channel = new Channel(/** @type {any} */ (fake), limit);
  fake.open();
  return { fake, channel };
}

/** Whether it is settled when everything that can happen has happened. @param {Promise<unknown>} promise */
async function settled(promise) {
  let done = false;
  promise.then(() => {
    done = true;
  });
  await new Promise((resolve) => setTimeout(resolve));
  return done;
}

/** Why it has ended. @param {Channel} channel */
const reason = (channel) => channel.ending?.error ?? "";

suite("a data channel", () => {
  test("takes messages as bytes and text, in order", () => {
    const { fake, channel } = opened();
    assert.equal(fake.binaryType, "arraybuffer");
    fake.onmessage({ data: "text" });
    fake.onmessage({ data: Uint8Array.of(1, 2).buffer });
    assert.deepEqual([channel.take(), channel.take(), channel.take()], ["text", Uint8Array.of(1, 2), undefined]);
  });

  test("sends when it is open, and says that it has to wait before", async () => {
    const fake = new FakeChannel();
    const channel = new Channel(/** @type {any} */ (fake), 1);
    assert.equal(channel.send("early"), false);
    const room = channel.room();
    assert.equal(await settled(room), false);
    fake.open();
    await room;
    assert.equal(channel.send("now"), true);
    assert.deepEqual(fake.sent, ["now"]);
  });

  test("holds senders back while much waits, and lets all of them go on", async () => {
    const { fake, channel } = opened();
    const large = new Uint8Array(UNSENT_MAX);
    assert.equal(channel.send(large), true);
    assert.equal(channel.send("at the limit"), true);
    assert.equal(channel.send("beyond"), false);
    const rooms = [channel.room(), channel.room()];
    assert.equal(await settled(Promise.race(rooms)), false);
    fake.drain();
    await Promise.all(rooms);
    assert.equal(channel.send("beyond"), true);
    await channel.room();
  });

  test("says so when it has ended, and lets go whoever waits", async () => {
    const { fake, channel } = opened();
    channel.send(new Uint8Array(UNSENT_MAX + 1));
    const waiting = [channel.room(), channel.ready(), channel.closed];
    channel.close();
    assert.equal(channel.readyState, "closing");
    assert.equal(channel.send("late"), undefined);
    fake.closed();
    await Promise.all(waiting);
    assert.deepEqual([channel.send("late"), channel.readyState], [undefined, "closed"]);
    assert.equal(channel.ending?.clean, true);
    await channel.room();
  });

  test("lets go whoever waits when somebody gives up, so that nobody is kept for ever", async () => {
    const { fake, channel } = opened();
    fake.bufferedAmount = UNSENT_MAX + 1;
    const waiting = [channel.room(), channel.ready(), channel.changed()];
    channel.wake();
    await Promise.all(waiting);
    assert.equal(channel.readyState, "open");
  });

  test("ends with an error where the browser tells of one", () => {
    const { fake, channel } = opened();
    fake.onerror({ error: { message: "aborted" } });
    fake.closed();
    assert.match(reason(channel), /broke.*\(aborted\)$/);
    assert.equal(channel.ending?.clean, false);
    const silent = opened();
    silent.fake.onerror({});
    silent.fake.closed();
    assert.match(reason(silent.channel), /does not say why/);
  });

  test("is closed when more waits than may, and what had come can still be taken", () => {
    const { fake, channel } = opened(1000);
    fake.onmessage({ data: "x".repeat(400) });
    fake.onmessage({ data: "y".repeat(400) });
    assert.equal(reason(channel), "");
    fake.onmessage({ data: "z".repeat(400) });
    assert.equal(fake.readyState, "closing");
    assert.match(reason(channel), /faster than they were read, and more than 1000 bytes/);
    fake.onmessage({ data: "lost" });
    fake.closed();
    assert.deepEqual([channel.take(), channel.take(), channel.take()].map((each) => each?.[0]), ["x", "y", "z"]);
    assert.equal(channel.take(), undefined);
  });

  test("counts messages of no length, too", () => {
    const { fake, channel } = opened(10 * MESSAGE_COST);
    for (let number = 0; number < 10; number++) fake.onmessage({ data: "" });
    assert.equal(reason(channel), "");
    fake.onmessage({ data: "" });
    assert.match(reason(channel), /faster than they were read/);
  });

  test("that was never open is closed at once", async () => {
    const fake = new FakeChannel();
    const channel = new Channel(/** @type {any} */ (fake), 1);
    channel.close();
    await channel.closed;
    assert.match(reason(channel), /before it was open/);
  });

  test("tells what it was made with, and undefined for what was not said", () => {
    const { fake, channel } = opened();
    assert.deepEqual(channel.traits, ["talk", "", true, undefined, undefined]);
    assert.equal(channel.id, undefined);
    [fake.id, fake.maxRetransmits] = [0, 0];
    assert.deepEqual([channel.id, channel.traits[3]], [0, 0]);
  });
});

/** A connection whose events a test makes. */
class FakeConnection {
  connectionState = "new";
  iceGatheringState = "new";
  /** @type {any} */
  sctp = null;
  localDescription = { type: "offer", sdp: "v=0" };
  /** @type {FakeChannel[]} */
  made = [];
  ended = false;
  onicecandidate = (/** @type {any} */ _event) => {};
  onicegatheringstatechange = () => {};
  ondatachannel = (/** @type {any} */ _event) => {};
  onconnectionstatechange = () => {};

  createDataChannel() {
    const channel = new FakeChannel();
    this.made.push(channel);
    return channel;
  }

  /** @param {string} state */
  become(state) {
    this.connectionState = state;
    this.onconnectionstatechange();
  }

  close() {
    this.ended = true;
    this.connectionState = "closed";
  }
}

function connected() {
  const fake = new FakeConnection();
  return { fake, peer: new Peer(/** @type {any} */ (fake), 1 << 20) };
}

suite("a peer connection", () => {
  test("keeps candidates until they are asked for, and says when there will be no more", async () => {
    const { fake, peer } = connected();
    const changed = peer.changed();
    fake.onicecandidate({ candidate: { candidate: "candidate:1" } });
    await changed;
    fake.onicecandidate({ candidate: { candidate: "" } });
    fake.onicecandidate({ candidate: null });
    assert.equal(peer.takeCandidate(), '{"candidate":"candidate:1"}');
    assert.deepEqual([peer.takeCandidate(), peer.gathered], [undefined, false]);
    const gathered = peer.changed();
    fake.iceGatheringState = "complete";
    fake.onicegatheringstatechange();
    await gathered;
    assert.equal(peer.gathered, true);
  });

  test("hears what comes on a channel of the other side's before anybody takes it", async () => {
    const { fake, peer } = connected();
    const changed = peer.changed();
    const theirs = new FakeChannel();
    theirs.readyState = "open";
    fake.ondatachannel({ channel: theirs });
    theirs.onmessage({ data: "first" });
    await changed;
    assert.equal(peer.takeChannel()?.take(), "first");
    assert.equal(peer.takeChannel(), undefined);
  });

  test("closes channels that are opened while too many wait to be taken", () => {
    const { fake, peer } = connected();
    const theirs = Array.from({ length: INCOMING_MAX + 1 }, () => new FakeChannel());
    for (const channel of theirs) fake.ondatachannel({ channel });
    assert.deepEqual(
      theirs.map(({ readyState }) => readyState),
      [...Array(INCOMING_MAX).fill("connecting"), "closing"],
    );
    peer.takeChannel();
    const another = new FakeChannel();
    fake.ondatachannel({ channel: another });
    assert.equal(another.readyState, "connecting");
  });

  for (const [before, why] of [["connecting", /no way to each other.*STUN/], ["connected", /lost/]]) {
    test(`that fails when it was ${before} ends its channels and says why`, () => {
      const { fake, peer } = connected();
      const channel = peer.open("talk", {});
      fake.become(/** @type {string} */ (before));
      fake.become("failed");
      assert.match(peer.ending, /** @type {RegExp} */ (why));
      assert.equal(channel.ending?.error, peer.ending);
      assert.equal(fake.ended, true);
    });
  }

  test("waits until its channels are closed before it says that they are", async () => {
    const { fake, peer } = connected();
    peer.open("one", {});
    peer.open("two", {});
    peer.open("never open", {});
    const [one, two] = fake.made;
    one.open();
    two.open();
    const finished = peer.finish();
    assert.deepEqual([one.readyState, two.readyState], ["closing", "closing"]);
    one.closed();
    assert.equal(await settled(finished), false);
    two.closed();
    await finished;
    peer.close();
    assert.equal(peer.state, "closed");
  });

  test("knows how large a message may be when the other side has told", () => {
    const { fake, peer } = connected();
    assert.equal(peer.messageMax, Infinity);
    fake.sctp = { maxMessageSize: 65536 };
    assert.equal(peer.messageMax, 65536);
  });
});

test("what the other side says is told from what makes no sense, however deep that is", () => {
  assert.equal(kindOf('{"type":"offer","sdp":"v=0"}'), "offer");
  assert.equal(kindOf('{"sdp":"v=0","type":"answer"}'), "answer");
  assert.equal(kindOf('{"candidate":"candidate:1","sdpMid":"0"}'), "candidate");
  for (const text of ["", "nonsense", "null", "[]", "{}", '{"type":"offer"}', '{"type":7,"sdp":"v=0"}', "[".repeat(1e5)]) {
    assert.equal(kindOf(text), "", text.slice(0, 20));
  }
  assert.equal(kindOf("[".repeat(1e5) + "]".repeat(1e5)), "");
});
