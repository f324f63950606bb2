/**
 * A carrier over the browser's WebSocket.
 *
 * A carrier is anything with `send(bytes)`, `unsent`, `close()` and these events: `opened()` once, `received(piece)`
 * with bytes of the message stream cut anywhere, `closed(reason)` once, after which nothing comes.
 * @module
 */

export const SUBPROTOCOL = "pynet.v1";

/**
 * @typedef {object} CarrierEvents
 * @property {() => void} opened
 * @property {(piece: Uint8Array) => void} received
 * @property {(reason: string) => void} closed
 *
 * @typedef {object} Carrier
 * @property {(message: Uint8Array) => void} send
 * @property {number} unsent bytes that were given to it and have not left
 * @property {() => void} close
 */

/**
 * @param {string} url of the proxy, ws:// or wss://
 * @param {CarrierEvents} events
 * @returns {Carrier}
 * @throws {DOMException} the URL is none, or this page may not open it
 */
export function openWebSocket(url, events) {
  const webSocket = new WebSocket(url, SUBPROTOCOL);
  webSocket.binaryType = "arraybuffer";
  webSocket.onopen = () => events.opened();
  webSocket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) events.received(new Uint8Array(data));
  };
  webSocket.onclose = ({ code, reason }) => events.closed(reason || `code ${code}`);
  return {
    send: (message) => webSocket.send(/** @type {Uint8Array<ArrayBuffer>} */ (message)),
    get unsent() {
      return webSocket.bufferedAmount;
    },
    close: () => webSocket.close(),
  };
}
