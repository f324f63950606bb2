/**
 * A WebSocket of the browser's, for servers that are not ours.
 * @module
 */

/** Bytes that may wait to leave: enough for any line. */
const WAITING_MAX = 4 << 20;

/** How long (ms) after which to look whether they have left: browsers do not tell. */
const LOOK_EVERY = 10;

/**
 * @typedef {object} Channel
 * @property {(data: Uint8Array) => void} send copied before this returns
 * @property {boolean} full whether more should wait for `drained`
 * @property {string} protocol that the server has chosen
 * @property {(code: number) => void} close
 *
 * @typedef {object} ChannelEvents
 * @property {() => void} opened
 * @property {(data: Uint8Array | string) => void} received
 * @property {() => void} drained it was full and is not any more
 * @property {(code: number, reason: string) => void} closed once, also where it was never open
 */

/**
 * @param {string} url @param {string[]} protocols to choose from
 * @param {ChannelEvents} events which come in later turns
 * @returns {Channel}
 */
export function openChannel(url, protocols, events) {
  /** @type {WebSocket} */
  let webSocket;
  try {
    webSocket = new WebSocket(url, protocols);
  } catch (error) {
    setTimeout(() => events.closed(0, /** @type {Error} */ (error).message)); // a page of https, and a server that is not
    return { send: () => {}, full: false, protocol: "", close: () => {} };
  }
  webSocket.binaryType = "arraybuffer";
  webSocket.onopen = () => events.opened();
  webSocket.onmessage = ({ data }) => events.received(data instanceof ArrayBuffer ? new Uint8Array(data) : data);
  let ended = false;
  const end = (/** @type {number} */ code, /** @type {string} */ reason) => {
    if (!ended) events.closed(code, reason);
    ended = true;
  };
  webSocket.onclose = ({ code, reason }) => end(code, reason);
  webSocket.onerror = () => {
    // Where a policy of the page forbids it, Chromium lets no close follow.
    if (webSocket.readyState === WebSocket.CLOSED) setTimeout(() => end(0, "the browser does not allow it"));
  };
  let looking = false;
  const look = () => {
    looking = webSocket.readyState === WebSocket.OPEN && webSocket.bufferedAmount > WAITING_MAX / 2;
    if (looking) setTimeout(look, LOOK_EVERY);
    else events.drained();
  };
  return {
    send: (data) => {
      if (webSocket.readyState === WebSocket.OPEN) webSocket.send(/** @type {Uint8Array<ArrayBuffer>} */ (data));
    },
    get full() {
      const full = webSocket.bufferedAmount >= WAITING_MAX;
      if (full && !looking) {
        looking = true;
        setTimeout(look, LOOK_EVERY);
      }
      return full;
    },
    get protocol() {
      return webSocket.protocol;
    },
    close: (code) => webSocket.close(code),
  };
}
