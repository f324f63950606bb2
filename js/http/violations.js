/**
 * What this page's own Content Security Policy forbids. A browser tells that by an event; whoever has asked for
 * something hears that it failed, as ever (CSP3 §5.5).
 * @module
 */

/** How long (ms) the event may take: in workers of Firefox it is more than a turn. */
const PATIENCE = 100;

/** How often (ms) is looked for it. */
const LOOK_EVERY = 5;

/**
 * Notice whether a policy forbids to connect to an address, or to one that it redirects to.
 * @param {string} url
 */
export function watchPolicy(url) {
  const [address] = (URL.canParse(url) ? new URL(url).href : url).split("#");
  let broken = false;
  /** @param {any} event a SecurityPolicyViolationEvent */
  const note = ({ blockedURI, disposition }) => {
    if (blockedURI === address && disposition === "enforce") broken = true;
  };
  globalThis.addEventListener?.("securitypolicyviolation", note);
  return {
    /** Whether one did, until now. */
    get broken() {
      return broken;
    },
    /** The same when the event would have come. */
    async settled() {
      for (let waited = 0; !broken && waited < PATIENCE; waited += LOOK_EVERY) await pause();
      return broken;
    },
    close() {
      globalThis.removeEventListener?.("securitypolicyviolation", note);
    },
  };
}

function pause() {
  return new Promise((resolve) => {
    setTimeout(resolve, LOOK_EVERY);
  });
}
