/**
 * Finds Pyodide, loads it, and tells how far it is.
 * @module
 */

const OFFICIAL_PYODIDE = "https://cdn.jsdelivr.net/pyodide/v314.0.7/full/";

/** At most one report per stage and this time (ms). */
const REPORT_EVERY = 50;

/** Which stage a file belongs to. @type {[RegExp, string][]} */
const STAGE_OF_FILE = [
  [/\.wasm$/, "runtime"],
  [/stdlib\.zip$/, "library"],
  [/\.whl$/, "package"],
];

/**
 * Pyodide beside this page if it is there, else from where everybody gets it. No query can say otherwise: a link
 * must not decide whose code is given the token.
 */
export async function findPyodide() {
  const beside = new URL("../pyodide/", location.href).href;
  const found = await fetch(`${beside}pyodide-lock.json`, { method: "HEAD" }).catch(() => null);
  return found?.ok ? beside : OFFICIAL_PYODIDE;
}

/**
 * @callback Report
 * @param {string} stage
 * @param {{loaded: number, total: number | null}} bytes so far, and in all if that is known
 */

/**
 * @param {string} indexURL directory with Pyodide
 * @param {Report} report
 */
export async function bootPyodide(indexURL, report) {
  countDownloads(report);
  const { loadPyodide } = await import(new URL("pyodide.mjs", indexURL).href);
  return loadPyodide({ indexURL, packages: ["micropip"] });
}

/**
 * From now on, what the stages' files bring is reported while it comes.
 * @param {Report} report
 */
function countDownloads(report) {
  const plainFetch = globalThis.fetch;
  /** @type {Record<string, {loaded: number, total: number | null}>} */
  const sums = {};
  globalThis.fetch = async (resource, options) => {
    const response = await plainFetch(resource, options);
    const path = new URL(response.url || location.href).pathname;
    const stage = STAGE_OF_FILE.find(([pattern]) => pattern.test(path))?.[1];
    if (!stage || !response.ok || !response.body) return response;
    const sum = (sums[stage] ??= { loaded: 0, total: 0 });
    sum.total = plus(sum.total, declaredLength(response));
    let reported = -Infinity;
    const counter = new TransformStream({
      transform(chunk, controller) {
        sum.loaded += chunk.byteLength;
        if (performance.now() - reported > REPORT_EVERY) {
          reported = performance.now();
          report(stage, { ...sum });
        }
        controller.enqueue(chunk);
      },
      flush: () => report(stage, { ...sum }),
    });
    // WebAssembly is compiled while it comes if its media type says what it is: headers go along.
    return new Response(response.body.pipeThrough(counter), response);
  };
}

/** The length of the body; unknown where it is compressed on its way. @param {Response} response */
function declaredLength(response) {
  const length = response.headers.get("Content-Length");
  return length && !response.headers.get("Content-Encoding") ? Number(length) : null;
}

/** @param {number | null} sum @param {number | null} more */
function plus(sum, more) {
  return sum === null || more === null ? null : sum + more;
}
