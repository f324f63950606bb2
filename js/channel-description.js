/**
 * What a data channel's two ends must know of each other, from the page's SDP and to it. Pure.
 *
 * Only names, a fingerprint and a size travel (docs/protocol.md, "Data channel"): all else in the SDP of such a channel
 * is the same each time (RFC 8841).
 * @module
 */

import { ProtocolError } from "./errors.js";
import { isNumeric } from "./names.js";

/** What a peer that says nothing takes in one message (RFC 8841 §6.1). */
const LIMIT_DEFAULT = 65_536;

const FRAGMENT = /^[A-Za-z0-9+/]{4,256}$/;
const PASSWORD = /^[A-Za-z0-9+/]{22,256}$/;
const FINGERPRINT = /^sha-256 (?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/i;

/** Of all the page's candidates, and ours: UDP, and the best there is (RFC 8445 §5.1.2). */
const PRIORITY = 2_130_706_431;

/**
 * @typedef {import("./wire.js").Address} Address
 * @typedef {{user: string, password: string, fingerprint: string, limit: number}} End
 */

/**
 * What the proxy is to be told of a page's offer.
 * @param {string} sdp
 * @returns {End & {mid: string}}
 * @throws {Error} it says less than it must
 */
export function endOf(sdp) {
  const value = (/** @type {string} */ name) => {
    const found = new RegExp(`^a=${name}:(.*)$`, "m").exec(sdp);
    return found ? found[1].trim() : "";
  };
  const end = {
    user: value("ice-ufrag"),
    password: value("ice-pwd"),
    fingerprint: value("fingerprint"),
    limit: Number(value("max-message-size") || LIMIT_DEFAULT),
    mid: value("mid"),
  };
  if (!FINGERPRINT.test(end.fingerprint)) throw new Error("this browser knows itself by no SHA-256");
  return end;
}

/**
 * The answer of a proxy, as the browser wants it.
 * @param {End & {addresses: Address[]}} answer
 * @param {string} mid of the offer
 * @returns {string}
 * @throws {ProtocolError} it is none
 */
export function answerOf({ user, password, fingerprint, limit, addresses }, mid) {
  const right = FRAGMENT.test(user) && PASSWORD.test(password) && FINGERPRINT.test(fingerprint);
  if (!right || !addresses.length || !addresses.every(({ host }) => isNumeric(host))) {
    throw new ProtocolError("the proxy has answered an offer by what is no end of a data channel");
  }
  const candidates = addresses.map(
    ({ host, port }, index) => `a=candidate:${index + 1} 1 udp ${PRIORITY - index} ${host} ${port} typ host`,
  );
  const lines = [
    "v=0",
    "o=- 1 1 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    "a=ice-lite",
    `a=group:BUNDLE ${mid}`,
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    `a=mid:${mid}`,
    `a=ice-ufrag:${user}`,
    `a=ice-pwd:${password}`,
    `a=fingerprint:${fingerprint}`,
    "a=setup:passive",
    "a=sctp-port:5000",
    `a=max-message-size:${limit}`,
    ...candidates,
    "a=end-of-candidates",
  ];
  return lines.map((line) => `${line}\r\n`).join("");
}
