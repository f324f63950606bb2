/**
 * One connection of WebRTC, for pynet_browser/webrtc: what the browser tells by events is asked for here.
 * @module
 */

import { Channel } from "./channel.js";

/** Channels that the other side may have opened before somebody here takes them; more are closed. */
export const INCOMING_MAX = 16;

const NO_WAY =
  "the two sides find no way to each other: between networks a STUN server has to be among ice_servers, and where " +
  "that is not enough a TURN server";
const LOST = "the connection is lost";
const CLOSED_HERE = "the connection was closed here";

/** Whether there are any on this thread. */
export function hasPeerConnections() {
  return "RTCPeerConnection" in globalThis;
}

/**
 * What the other side has said: "offer", "answer", "candidate", or nothing that makes sense. Python asks, since its own
 * reader of JSON dies of what is nested deeply, and takes Python with it.
 * @param {string} text
 */
export function kindOf(text) {
  try {
    const { type, sdp, candidate } = JSON.parse(text);
    if (type === "offer" || type === "answer") return typeof sdp === "string" ? type : "";
    return typeof candidate === "string" ? "candidate" : "";
  } catch {
    return "";
  }
}

/** @param {RTCIceServer[]} iceServers @param {number} limit bytes of messages that may wait in each channel */
export function openPeer(iceServers, limit) {
  const peer = new Peer(new RTCPeerConnection({ iceServers }), limit);
  // The other side would learn only after some twenty seconds that a page was left.
  const leave = () => peer.close();
  addEventListener("pagehide", leave);
  peer.ended.then(() => removeEventListener("pagehide", leave));
  return peer;
}

/** A connection and its channels. */
export class Peer {
  #connection;
  #limit;
  #wasConnected = false;
  /** Those that have not ended. @type {Set<Channel>} */
  #channels = new Set();
  /** Those that the other side has opened, and nobody has taken. @type {Channel[]} */
  #incoming = [];
  /** @type {string[]} */
  #candidates = [];
  /** @type {(() => void)[]} */
  #waiting = [];
  /** Why it has ended; empty until then. */
  ending = "";
  /** @type {(value?: undefined) => void} */
  #ended = () => {};
  /** Settled when it has. @type {Promise<undefined>} */
  ended = new Promise((resolve) => {
    this.#ended = resolve;
  });

  /** @param {RTCPeerConnection} connection @param {number} limit */
  constructor(connection, limit) {
    this.#connection = connection;
    this.#limit = limit;
    connection.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) this.#candidates.push(JSON.stringify(candidate)); // empty: a generation's end
      this.wake();
    };
    connection.onicegatheringstatechange = () => this.wake();
    connection.ondatachannel = ({ channel }) => this.#arrived(channel);
    connection.onconnectionstatechange = () => {
      const { connectionState } = connection;
      this.#wasConnected ||= connectionState === "connected";
      if (connectionState === "failed") this.#end(this.#wasConnected ? LOST : NO_WAY);
      this.wake();
    };
  }

  get state() {
    return this.#connection.connectionState;
  }

  /** Most bytes that the other side takes in one message; Infinity until it has said so. */
  get messageMax() {
    return this.#connection.sctp?.maxMessageSize || Infinity;
  }

  /** Whether all ways by which this side can be reached are known. */
  get gathered() {
    return this.#connection.iceGatheringState === "complete";
  }

  /** What this side says of itself, with those that are known until now. */
  get description() {
    return JSON.stringify(this.#connection.localDescription);
  }

  async offer() {
    await this.#connection.setLocalDescription(await this.#connection.createOffer());
  }

  async answer() {
    await this.#connection.setLocalDescription(await this.#connection.createAnswer());
  }

  /** @param {string} description of the other side */
  async accept(description) {
    await this.#connection.setRemoteDescription(JSON.parse(description));
  }

  /** @param {string} candidate of the other side */
  async add(candidate) {
    await this.#connection.addIceCandidate(JSON.parse(candidate));
  }

  /** @param {string} label @param {RTCDataChannelInit} options */
  open(label, options) {
    return this.#keep(this.#connection.createDataChannel(label, options));
  }

  takeChannel() {
    return this.#incoming.shift();
  }

  takeCandidate() {
    return this.#candidates.shift();
  }

  /** Settled when there is anything new to ask for. */
  changed() {
    return new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.#waiting.push(resolve));
  }

  /** Let out what was sent on all channels; settled when the other side has it. */
  async finish() {
    const open = [...this.#channels].filter(({ readyState }) => readyState !== "connecting");
    for (const channel of open) channel.close();
    await Promise.all(open.map(({ closed }) => closed));
  }

  /** At once: what was not sent yet is lost. */
  close() {
    this.#end(CLOSED_HERE);
    this.wake();
  }

  /** @param {RTCDataChannel} opened by the other side */
  #arrived(opened) {
    if (this.#incoming.length >= INCOMING_MAX) {
      opened.close();
      return;
    }
    this.#incoming.push(this.#keep(opened));
    this.wake();
  }

  /** @param {RTCDataChannel} opened */
  #keep(opened) {
    const channel = new Channel(opened, this.#limit);
    this.#channels.add(channel);
    channel.closed.then(() => this.#channels.delete(channel));
    return channel;
  }

  /** @param {string} why */
  #end(why) {
    if (this.ending) return;
    this.ending = why;
    for (const channel of this.#channels) channel.finish(why);
    this.#connection.close();
    this.#ended();
  }

  /** Let those who wait look again; also where one of them has given up, so that he is forgotten. */
  wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
