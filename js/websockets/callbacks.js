/**
 * The browser's own WebSocket with callbacks, for pynet_browser/websocket/callbacks.py.
 * @module
 */

/**
 * @param {string} url @param {string[]} protocols
 * @param {(event: string, ...details: any[]) => void} told called with "open", "message" and its data, "error", or "close"
 *   and code, reason, and whether it was clean
 */
export function openCallbacks(url, protocols, told) {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => told("open");
  socket.onerror = () => told("error");
  socket.onmessage = ({ data }) => told("message", typeof data === "string" ? data : new Uint8Array(data));
  socket.onclose = ({ code, reason, wasClean }) => told("close", code, reason, wasClean);
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
