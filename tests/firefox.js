/**
 * Firefox for tests/firefox.py, which asks by one line of JSON for each thing to be done and gets one with the
 * answer. Lines about a tab come in between. When the questions end the browser is closed.
 *
 * node tests/firefox.js PATH
 * @module
 */

import { createRequire } from "node:module";
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
  // Each page is as if it were in front.
  "dom.min_background_timeout_value": 4,
  "dom.timeout.enable_budget_timer_throttling": false,
};

/** What Firefox tells of WebSockets and of CORS, and the protocol takes for an exception. */
const NO_ERROR = /^(Firefox can’t establish a connection to the server at ws|Cross-Origin Request Blocked: )/;

/** @param {object} line */
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** @type {Map<number, any>} */
const tabs = new Map();

/** What can be asked for; each gives a value. @type {Record<string, (request: any) => Promise<unknown>>} */
const ACTIONS = {
  open: async ({ tab, url }) => {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
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
    await tabs.get(tab).context.close();
    tabs.delete(tab);
  },
};

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath: process.argv[2],
  headless: true,
  extraPrefsFirefox: PREFERENCES,
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
