/**
 * A session's path for datagrams: what it asks of the page and of the proxy, and whom it tells.
 * @module
 */

import { ProtocolError } from "./errors.js";
import { Path } from "./path.js";
import { openChannel, whyNoPeerConnection } from "./peer-connection.js";
import { afterTurn } from "./turn.js";

/** @typedef {import("./session.js").Session} Session */

/** Why this page can have no data channel to the proxy of a session; empty if it can. @param {Session} session */
export function whyNoChannel(session) {
  const unable = whyNoPeerConnection();
  if (unable) return unable;
  if (session.state === "fresh") return "the proxy was not reached yet";
  if (!session.features.includes("webrtc")) {
    return "the proxy does not offer WebRTC: it needs `pip install 'pynet-browser[webrtc]'`, and no --no-webrtc";
  }
  return "";
}

/**
 * @param {Session} session
 * @param {object} told
 * @param {() => boolean} told.attended whether a WebSocket carries the session now
 * @param {(reason: string) => void} told.failed there is no channel though one was wanted
 * @param {(error: Error) => void} told.broken the session cannot go on
 */
export function pathBeside(session, { attended, failed, broken }) {
  /** @type {import("./path.js").Ask} */
  const ask = (end) =>
    new Promise((resolve, reject) => {
      session.request({ type: "offer", ...end }, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  const path = new Path({
    now: () => performance.now(),
    failed: (reason) => {
      session.channelLost();
      afterTurn(() => failed(reason)); // it calls Python, and this may be within a system call
    },
    connect: (events) => openChannel(ask, events),
    obstacle: () => whyNoChannel(session) || (attended() ? "" : "the proxy is reached by HTTP alone now"),
  });
  path.received = (message) => {
    try {
      session.receiveDatagram(message);
    } catch (error) {
      broken(/** @type {Error} */ (error));
      if (!(error instanceof ProtocolError)) throw error; // a mistake of ours, which the console should show
    }
  };
  return path;
}
