/**
 * A browser for tests/driven.py, which asks by one line of JSON for each thing to be done and gets one with the
 * answer. Lines about a tab come in between. When the questions end the browser is closed.
 *
 * node tests/driven.js chrome|firefox PATH [ARGUMENT…]
 * @module
 */

import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const puppeteer = createRequire(new URL("../js/package.json", import.meta.url))("puppeteer-core");

const PREFERENCES = {
  // A browser that talks to nobody but this machine: Firefox asks no proxy for what is on loopback.
  "network.proxy.type": 1,
  "network.proxy.http": "127.0.0.1",
  "network.proxy.http_port": 9,
  "network.proxy.ssl": "127.0.0.1",
  "network.proxy.ssl_port": 9,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  // Pages that meet by WebRTC know each other's addresses, and may be on this machine: there is no mDNS here.
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "media.peerconnection.ice.loopback": true,
  // Each page is as if it were in front.
  "dom.min_background_timeout_value": 4,
  "dom.timeout.enable_budget_timer_throttling": false,
};

/** What Firefox tells of WebSockets and of CORS, and the protocol takes for an exception. */
const NO_ERROR = /^(Firefox can’t establish a connection to the server at ws|Cross-Origin Request Blocked: )/;

/** Milliseconds after which a page that was told to close is gone. */
const CLOSED = 1000;

/** @param {object} line */
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** @type {Map<number, any>} */
const tabs = new Map();

/** What can be asked for; each gives a value. @type {Record<string, (request: any) => Promise<unknown>>} */
const ACTIONS = {
  open: async ({ tab, url, own }) => {
    const context = own ? await browser.createBrowserContext() : undefined;
    const page = await (context ?? browser).newPage();
    page.on("console", (/** @type {any} */ message) => say({ tab, console: `${message.type()}: ${message.text()}` }));
    page.on("pageerror", (/** @type {any} */ { stack, message }) => {
      say(NO_ERROR.test(message) ? { tab, console: message } : { tab, uncaught: stack ?? message });
    });
    await page.exposeFunction("toldByPage", (/** @type {string} */ told) => say({ tab, told }));
    await page.goto(url);
    tabs.set(tab, { context, page });
  },

  evaluate: async ({ tab, code, argument, milliseconds }) => {
    const { page } = tabs.get(tab);
    const late = Symbol("late");
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const timeout = new Promise((resolve) => {
      timer = setTimeout(resolve, milliseconds, late);
    });
    const evaluated = page.evaluate(`(${code})(${JSON.stringify(argument)})`);
    evaluated.catch(() => {}); // it may fail when nobody waits for it any more
    const value = await Promise.race([evaluated, timeout]);
    clearTimeout(timer);
    if (value === late) throw Object.assign(new Error("late"), { late: true });
    return value;
  },

  close: async ({ tab }) => {
    const { context, page } = tabs.get(tab);
    tabs.delete(tab);
    // Of a page that loads anew just then puppeteer never hears that it is gone.
    await Promise.race([(context ?? page).close(), new Promise((resolve) => setTimeout(resolve, CLOSED))]);
  },

  /** A command of DevTools' protocol. With a `file`, what it gives is written there. */
  devtools: async ({ tab, command, parameters, file }) => {
    const opened = tabs.get(tab);
    opened.devtools ??= await opened.page.createCDPSession();
    const value = await opened.devtools.send(command, parameters);
    if (!file) return value;
    writeFileSync(file, JSON.stringify(value));
    return undefined;
  },
};

const [product, executablePath, ...args] = process.argv.slice(2);
const browser = await puppeteer.launch({
  browser: product,
  executablePath,
  args,
  headless: true,
  extraPrefsFirefox: PREFERENCES,
  protocolTimeout: 0, // whoever asks has a timeout of his own
  // Who listens to DevTools' events of the network gets every byte of a WebSocket once more, in JSON. That takes
  // more than a processor and makes it many times as slow (Chromium 156: 40 to 60 MB/s instead of 340 to 420).
  networkEnabled: false,
});
say({ process: browser.process().pid, version: await browser.version() });

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  try {
    say({ value: (await ACTIONS[request.do](request)) ?? null });
  } catch (error) {
    const { message, stack, late = false } = /** @type {any} */ (error);
    say({ error: message, stack, late });
  }
}
await browser.close();
