/**
 * The errors of the page's side. Pure.
 * @module
 */

/** The peer sent something docs/protocol.md does not allow. */
export class ProtocolError extends Error {
  name = "ProtocolError";
}

/**
 * A socket operation failed. `code` is an errno name of POSIX ("ECONNREFUSED") or an EAI name of
 * getaddrinfo ("EAI_NONAME"); numbers differ between systems, so names are what travels. `message` is a
 * sentence from the proxy, or empty when the code says it all.
 */
export class SocketError extends Error {
  name = "SocketError";

  /**
   * @param {string} code
   * @param {string} [message]
   */
  constructor(code, message = "") {
    super(message);
    this.code = code;
  }
}

/** The proxy refuses this page, or nothing answers where it should be. */
export class ProxyError extends Error {
  name = "ProxyError";

  /**
   * @param {string} code "unreachable", or the code of the proxy's refusal
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
