/**
 * What keeps the carriers of one session together where a balancer spreads connections over several proxies.
 * @module
 */

const KEY_BYTES = 8;

/**
 * The address of a proxy for one session: what a balancer sees of every request, unlike the session's id. It is no
 * secret, and the proxy lets nobody in for it.
 * @param {string} url of the proxy's WebSocket, without a query
 */
export function withAffinity(url) {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return `${url}?affinity=${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
