/**
 * The browser's own WebSocket with callbacks, for pynet_browser/websocket/callbacks.py.
 * @module
 */

/** The code of a connection that broke, or did not come about (RFC 6455 §7.1.5). */
const ABNORMAL = 1006;

/**
 * @param {string} url @param {string[]} protocols
 * @param {(event: string, ...details: any[]) => void} told called with "open", "message" and its data, "error", or "close"
 *   and code, reason, and whether it was clean
 */
export function openCallbacks(url, protocols, told) {
  const socket = new WebSocket(url, protocols);
  /** @param {number} code @param {string} reason @param {boolean} clean */
  const ended = (code, reason, clean) => {
    const open = socket.onclose !== null; // once, and not when nobody is to be told any more
    detach(socket);
    if (open) told("close", code, reason, clean);
  };
  socket.binaryType = "arraybuffer";
  socket.onopen = () => told("open");
  socket.onerror = () => {
    told("error");
    // Where a policy of the page forbids it, Chromium lets no close follow.
    if (socket.readyState === WebSocket.CLOSED) setTimeout(() => ended(ABNORMAL, "", false));
  };
  socket.onmessage = ({ data }) => told("message", typeof data === "string" ? data : new Uint8Array(data));
  socket.onclose = ({ code, reason, wasClean }) => ended(code, reason, wasClean);
  return socket;
}

/** Whether this browser has any. */
export function hasWebSockets() {
  return "WebSocket" in globalThis;
}

/** Call back no more. @param {WebSocket} socket */
export function detach(socket) {
  socket.onopen = socket.onerror = socket.onmessage = socket.onclose = null;
}
