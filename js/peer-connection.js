/**
 * The browser's end of a data channel to the proxy.
 * @module
 */

import { answerOf, endOf } from "./channel-description.js";
import { notMeanwhile } from "./turn.js";

/** Both ends know of it, so that neither need tell the other (RFC 8832). */
const CHANNEL = { id: 0, negotiated: true, ordered: false, maxRetransmits: 0 };

/**
 * @typedef {import("./path.js").Ask} Ask
 * @typedef {import("./path.js").ChannelEvents} ChannelEvents
 * @typedef {import("./path.js").Channel} Channel
 */

/** Why this page can have none; empty if it can. */
export function whyNoPeerConnection() {
  if (typeof RTCPeerConnection === "function") return "";
  return typeof document === "undefined"
    ? "browsers have WebRTC on a page's main thread alone, and Python runs in a worker"
    : "this browser has no WebRTC";
}

/** It drops such candidates, whatever they are for, and would try for a quarter of a minute (seen in 153). */
const isFirefox = () => navigator.userAgent.includes("Firefox/");

/** @param {import("./wire.js").Address} address */
const isLoopback = ({ host }) => host.startsWith("127.") || host === "::1";

/**
 * Make a channel; what becomes of it the events tell.
 * @param {Ask} ask gets the proxy's answer to an offer
 * @param {ChannelEvents} events
 * @returns {Channel}
 */
export function openChannel(ask, events) {
  const peer = new RTCPeerConnection();
  const channel = peer.createDataChannel("datagrams", CHANNEL);
  channel.binaryType = "arraybuffer";
  let over = false;
  const close = () => {
    over = true;
    channel.close();
    peer.close();
  };
  const gone = (/** @type {string} */ reason) => {
    if (over) return;
    close();
    events.closed(reason);
  };
  const current = (/** @type {() => void} */ handle) => notMeanwhile(() => over || handle());
  channel.onopen = () => current(events.opened);
  channel.onclose = () => current(() => gone("the proxy has closed it"));
  channel.onmessage = ({ data }) => current(() => events.received(new Uint8Array(data)));
  peer.onconnectionstatechange = () => {
    // "disconnected" may pass, but until it does or does not, half a minute's datagrams would be lost.
    if (["disconnected", "failed"].includes(peer.connectionState)) {
      current(() => gone("no UDP gets through between this page and the proxy"));
    }
  };
  const negotiate = async () => {
    const offer = await peer.createOffer();
    const { mid, ...end } = endOf(offer.sdp ?? "");
    await peer.setLocalDescription(offer);
    const answer = await ask(end);
    if (isFirefox() && answer.addresses.every(isLoopback)) {
      throw new Error("Firefox reaches no proxy at a loopback address by WebRTC");
    }
    await peer.setRemoteDescription({ type: "answer", sdp: answerOf(answer, mid) });
  };
  negotiate().catch((error) => current(() => gone(error.message)));
  return {
    get waiting() {
      return channel.bufferedAmount;
    },
    get limit() {
      return peer.sctp?.maxMessageSize ?? 0;
    },
    send: (message) => channel.send(/** @type {any} */ (message)),
    close,
  };
}
