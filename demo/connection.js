/**
 * The box in the header that connects Python with a proxy.
 * @module
 */

import { duration } from "./format.js";
import { ProxyAddress } from "./proxy.js";

/** Where the last proxy is remembered while this tab is open; its token is no longer in the page's address. */
const REMEMBERED = "pynet-browser proxy";

/** @typedef {"off" | "connecting" | "connected" | "reconnecting"} ConnectionState */

/** @type {Record<ConnectionState, string>} */
const VERBS = {
  off: "Not connected",
  connecting: "Connecting to",
  connected: "Connected to",
  reconnecting: "Reconnecting to",
};

export class ConnectionBox {
  /** @type {ConnectionState} */
  state = "off";
  /** @type {ProxyAddress | null} */
  address = null;

  /**
   * @param {HTMLFormElement} form
   * @param {{connect: (address: ProxyAddress) => void, disconnect: () => void}} actions
   */
  constructor(form, { connect, disconnect }) {
    this.form = form;
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (form.querySelector(`.${name}`));
    this.verb = part("verb");
    this.proxy = part("proxy");
    this.roundTrip = part("round-trip");
    this.problem = part("problem");
    this.button = part("switch");
    this.url = /** @type {HTMLInputElement} */ (form.elements.namedItem("url"));
    this.token = /** @type {HTMLInputElement} */ (form.elements.namedItem("token"));
    this.url.addEventListener("change", () => this.#takeTokenOutOfAddress());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.state === "off") this.#submit(connect);
      else disconnect();
    });
  }

  /** @param {ProxyAddress} address */
  fill(address) {
    this.url.value = address.base.href;
    this.token.value = address.token;
  }

  /**
   * @param {ConnectionState} state
   * @param {ProxyAddress | null} [address]
   */
  show(state, address = this.address) {
    this.state = state;
    this.address = address;
    this.form.dataset.state = state;
    this.verb.textContent = VERBS[state];
    this.proxy.textContent = state === "off" ? "" : (address?.title ?? "");
    this.button.textContent = state === "off" ? "Connect" : state === "connecting" ? "Cancel" : "Disconnect";
    if (state !== "connected") this.roundTrip.textContent = "";
    if (state !== "off") this.complain("");
  }

  /** @param {number | null} seconds */
  showRoundTrip(seconds) {
    this.roundTrip.textContent = seconds === null ? "" : duration(seconds * 1000);
  }

  /** @param {string} problem a sentence; empty when there is none */
  complain(problem) {
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
  }

  /** @param {(address: ProxyAddress) => void} connect */
  #submit(connect) {
    this.#takeTokenOutOfAddress();
    try {
      connect(ProxyAddress.parse(this.url.value, this.token.value.trim()));
    } catch (error) {
      this.complain(/** @type {Error} */ (error).message);
    }
  }

  /** A pasted address may hold the token; it goes where it is not shown. */
  #takeTokenOutOfAddress() {
    if (!/[?&]token=/.test(this.url.value)) return;
    try {
      this.fill(ProxyAddress.parse(this.url.value));
    } catch {
      // Whoever connects is told what is wrong.
    }
  }
}

/** @param {ProxyAddress | null} address null to forget */
export function remember(address) {
  if (address) sessionStorage.setItem(REMEMBERED, JSON.stringify([address.base.href, address.token]));
  else sessionStorage.removeItem(REMEMBERED);
}

/** @returns {ProxyAddress | null} */
export function remembered() {
  const text = sessionStorage.getItem(REMEMBERED);
  if (!text) return null;
  const [base, token] = JSON.parse(text);
  return new ProxyAddress(new URL(base), token);
}
