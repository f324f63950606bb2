/**
 * Python, in a worker of its own: the page stays alive whatever the program does, and can end it.
 *
 * The page calls `boot`, `install`, `connect`, `disconnect`, `run` and `stop`; each is answered once. Beside that come
 * events: `progress`, `output` and `status`.
 * @module
 */

import { bootPyodide } from "./boot.js";

const SAMPLE_EVERY = 250;
/**
 * After output a socket may be gone before the next regular sample: look at once, as long as looking takes no
 * more than this share of the time.
 */
const SAMPLE_SHARE = 0.1;
/** Output is collected this long (ms), so that a program which prints much does not drown the page. */
const OUTPUT_EVERY = 16;
const SIGINT = 2;

/** Pyodide, once booted. @type {any} */
let pyodide;
/** demo/runner.py. @type {any} */
let runner;
/** Python looks here for signals. Not shared: it is written while Python is suspended, or never read. */
const interrupts = new Uint8Array(1);
/** Address and token of the proxy while there should be a connection. @type {[string, string] | null} */
let network = null;
let interrupted = false;

const calls = {
  /** @param {string} indexURL */
  async boot(indexURL) {
    pyodide = await bootPyodide(indexURL, (stage, bytes) => post("progress", { stage, ...bytes }));
    pyodide.setStdout({ write: (/** @type {Uint8Array} */ data) => output.write("stdout", data) });
    pyodide.setStderr({ write: (/** @type {Uint8Array} */ data) => output.write("stderr", data) });
    pyodide.setStdin({ error: true });
    pyodide.setInterruptBuffer(interrupts);
    const source = await fetch("./runner.py").then((response) => response.text());
    pyodide.FS.writeFile("runner.py", source);
    runner = pyodide.pyimport("runner");
    setInterval(sample, SAMPLE_EVERY);
    const python = pyodide.runPython("import platform; platform.python_version()");
    return { python, pyodide: pyodide.version, suspends: "Suspending" in WebAssembly };
  },

  /** @param {string} wheel its URL */
  install(wheel) {
    return runner.install(wheel);
  },

  /** @param {{url: string, token: string}} proxy */
  async connect({ url, token }) {
    network = null;
    const failure = await runner.connect(url, token);
    if (!failure) network = [url, token];
    sample();
    return failure;
  },

  disconnect() {
    network = null;
    runner.disconnect();
    sample();
  },

  /** @param {string} source */
  async run(source) {
    const answer = JSON.parse(await runner.run(source));
    interrupts[0] = 0;
    output.flush();
    if (interrupted && network) await runner.connect(...network);
    interrupted = false;
    sample();
    return answer;
  },

  stop() {
    interrupted = runner.stop();
    // Python resumes only after this message is dealt with, and then finds the signal.
    if (interrupted) interrupts[0] = SIGINT;
  },
};

onmessage = async ({ data: { id, call, argument } }) => {
  try {
    const value = await calls[/** @type {keyof typeof calls} */ (call)](argument);
    postMessage({ id, value });
  } catch (error) {
    postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
};

/** @param {string} event @param {object} detail */
function post(event, detail) {
  postMessage({ event, detail });
}

/** Tell the page how the network is, unless that is a moment between two of them. */
function sample() {
  const begun = performance.now();
  clearTimeout(soon);
  soon = undefined;
  if (!interrupted || !network) {
    // In the time of day, which page and worker share; the page may be late to hear of it.
    const time = performance.timeOrigin + performance.now();
    post("status", { time, ...JSON.parse(runner.status()) });
  }
  const ended = performance.now();
  sampleAgainAt = ended + (ended - begun) / SAMPLE_SHARE;
}
let sampleAgainAt = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let soon;

const output = {
  /** @type {{stream: string, text: string}[]} */
  pending: [],
  decoders: { stdout: new TextDecoder(), stderr: new TextDecoder() },
  flushed: 0,
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer: undefined,

  /**
   * @param {"stdout" | "stderr"} stream
   * @param {Uint8Array} data
   */
  write(stream, data) {
    const text = this.decoders[stream].decode(data, { stream: true });
    const last = this.pending.at(-1);
    if (last?.stream === stream) last.text += text;
    else this.pending.push({ stream, text });
    // A timer alone would not do: none runs while Python computes.
    if (performance.now() - this.flushed > OUTPUT_EVERY) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), OUTPUT_EVERY);
    soon ??= setTimeout(sample, Math.max(0, sampleAgainAt - performance.now()));
    return data.length;
  },

  flush() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.flushed = performance.now();
    if (this.pending.length) post("output", this.pending.splice(0));
  },
};
