/**
 * A WinterTC socket (https://sockets-api.proposal.wintertc.org) over a WebSocket to the bare bridge: what
 * Pyodide's own socket code takes in place of Node's sockets.
 * @module
 */

/** Bytes handed to the WebSocket before a write waits. */
const BUFFERED_MAX = 1 << 20;

/** How often (ms) to look whether it has sent some of them; there is no event for that. */
const LOOK_AGAIN = 1;

/**
 * The connect function for `pyodide._api.initializeNodeSockFS`.
 * @param {string} bridge URL of the bare bridge; it reaches ports of its own machine only
 */
export function connectThrough(bridge) {
  return (/** @type {{hostname: string, port: number}} */ { port }) => {
    const webSocket = new WebSocket(`${bridge}/${port}`);
    webSocket.binaryType = "arraybuffer";
    const opened = new Promise((resolve, reject) => {
      webSocket.onopen = () => resolve({});
      webSocket.onerror = () => reject(new Error("ECONNREFUSED"));
    });
    const closed = new Promise((resolve) => webSocket.addEventListener("close", () => resolve(undefined)));
    return {
      opened,
      closed,
      readable: readableOf(webSocket),
      writable: writableOf(webSocket),
      close: async () => webSocket.close(),
      startTls() {
        throw new Error("there is no TLS in this bench");
      },
    };
  };
}

/** @param {WebSocket} webSocket */
function readableOf(webSocket) {
  return new ReadableStream({
    start(controller) {
      webSocket.onmessage = ({ data }) => controller.enqueue(new Uint8Array(data));
      webSocket.addEventListener("close", () => {
        try {
          controller.close();
        } catch {
          // its reader was let go before
        }
      });
    },
  });
}

/** @param {WebSocket} webSocket */
function writableOf(webSocket) {
  return new WritableStream({
    async write(data) {
      webSocket.send(data);
      while (webSocket.bufferedAmount > BUFFERED_MAX) {
        await new Promise((resolve) => { setTimeout(resolve, LOOK_AGAIN); });
      }
    },
  });
}
