/**
 * HTTP requests during which nothing else happens on this thread, where Python cannot be suspended.
 * @module
 */

import { askNow } from "../carriers/http.js";
import { said } from "./request.js";

/**
 * @typedef {import("./request.js").Failure} Failure
 * @typedef {{head: import("./request.js").Head, body: Uint8Array}} Answer
 */

/**
 * Make a request, and wait for the whole answer.
 * @param {string} url
 * @param {{method: string, headers: [string, string][], body?: Uint8Array, credentials?: string}} asked
 * @param {number} timeout ms for all of it, in a worker; a page's own thread may set none (XMLHttpRequest §3.6.7)
 * @returns {Answer | Failure}
 */
export function requestNow(url, { method, headers, body, credentials }, timeout) {
  const request = new XMLHttpRequest();
  try {
    request.open(method, url, false);
    request.withCredentials = credentials === "include";
    for (const [name, value] of headers) request.setRequestHeader(name, value);
  } catch (error) {
    return { error: "invalid", message: said(error) };
  }
  try {
    const content = askNow(request, body, Number.isFinite(timeout) ? timeout : 0);
    const { status, statusText: reason, responseURL } = request;
    const head = { status, reason, url: responseURL, type: "default", headers: headersOf(request) };
    return { head, body: content };
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    return late ? { error: "timeout", message: "timed out" } : { error: "network", message: said(error) };
  }
}

/** @param {XMLHttpRequest} request @returns {[string, string][]} */
export function headersOf(request) {
  const lines = request.getAllResponseHeaders().split("\r\n").filter(Boolean);
  return lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}
