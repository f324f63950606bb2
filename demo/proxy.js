/**
 * The address of a proxy, and what it offers beside sessions: its wheel, its services, its reasons.
 * @module
 */

/** How long (ms) a proxy may take to say why it does not let us in. */
const REASON_TIME = 3000;
/** WebSocket close code of a refusal; the close reason is the proxy's sentence. */
const REFUSED = 4403;

/** Something went wrong, and the message says so in a sentence for people. */
export class PlainError extends Error {}

export class ProxyAddress {
  /**
   * @param {URL} base directory of the proxy's endpoints, over http or https
   * @param {string} token
   */
  constructor(base, token) {
    this.base = base;
    this.token = token;
  }

  /**
   * What somebody typed or pasted: host and port, the session's ws:// address, or the http:// address that the
   * proxy printed when it started.
   * @param {string} text
   * @param {string} [token] used if the address holds none
   * @throws {PlainError}
   */
  static parse(text, token = "") {
    const typed = text.trim();
    let url;
    try {
      url = new URL(/^[a-z]+:\/\//i.test(typed) ? typed : `http://${typed}`);
    } catch {
      throw new PlainError("That is no address; the proxy prints its own when it starts: http://127.0.0.1:8765/?token=…");
    }
    if (!/^(https?|wss?):$/.test(url.protocol)) {
      throw new PlainError(`A proxy's address begins with http, https, ws or wss, not ${url.protocol.slice(0, -1)}.`);
    }
    const found = url.searchParams.get("token");
    const base = new URL(url.href.replace(/^ws/, "http"));
    base.pathname = base.pathname.replace(/\/(pynet|demo)\/?$/, "/").replace(/\/?$/, "/");
    base.search = base.hash = "";
    return new ProxyAddress(base, found ?? token);
  }

  /**
   * The proxy that served this page, or null if something else did.
   * @param {Location} location
   */
  static async ofPage(location) {
    const announced = await fetch("./services.json").catch(() => null);
    if (!announced?.ok) return null;
    const token = new URL(location.href).searchParams.get("token") ?? "";
    return new ProxyAddress(new URL("../", location.href.replace(/[?#].*/, "")), token);
  }

  /** Where sessions are: what `pynet_browser.install` wants. */
  get session() {
    return new URL("pynet", this.base).href.replace(/^http/, "ws");
  }

  /** Short form for people. */
  get title() {
    return this.base.host + (this.base.pathname === "/" ? "" : this.base.pathname);
  }
}

/**
 * Where the proxy has the wheel of our package.
 * @param {ProxyAddress} address
 * @returns {Promise<string>}
 * @throws {PlainError}
 */
export async function findWheel(address) {
  const response = await fetch(new URL("dist/latest", address.base)).catch(() => null);
  // A page may not read why its request failed, so we ask where it may.
  if (!response) throw new PlainError(await reasonOfRefusal(address));
  if (!response.ok) throw new PlainError(sentence(`${address.title} offers no wheel: ${await response.text()}`));
  return new URL((await response.json()).url, response.url).href;
}

/**
 * Addresses of the services for demonstration, by name; none if the proxy has none.
 * @param {ProxyAddress} address
 * @returns {Promise<Record<string, {host: string, port: number}>>}
 */
export async function findServices(address) {
  const response = await fetch(new URL("demo/services.json", address.base)).catch(() => null);
  return response?.ok ? response.json() : {};
}

/**
 * The proxy's own sentence, which it gives to a WebSocket of a page it refuses.
 * @param {ProxyAddress} address
 * @returns {Promise<string>}
 */
function reasonOfRefusal(address) {
  return new Promise((resolve) => {
    const unknown = `No proxy answers at ${address.base.origin}; is it running, and is this its address?`;
    const webSocket = new WebSocket(address.session, "pynet.v1");
    const finish = (/** @type {string} */ reason) => {
      clearTimeout(timer);
      webSocket.close();
      resolve(reason);
    };
    const timer = setTimeout(finish, REASON_TIME, unknown);
    webSocket.onclose = ({ code, reason }) => finish(code === REFUSED && reason ? sentence(reason) : unknown);
  });
}

/** With a capital letter and a full stop. @param {string} text */
export function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.?!…]$/.test(trimmed) ? "" : ".");
}
