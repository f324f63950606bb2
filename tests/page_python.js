/**
 * Python in a page, or in a worker of it, for tests. Both load this module from the same text, which
 * tests/page_python.py brings into the page.
 * @module
 */

/**
 * @typedef {object} Options
 * @property {"page" | "worker"} thread
 * @property {boolean} suspends
 * @property {string} runner Python that defines how programs are run
 * @property {Uint8Array} [interrupts] where 2 interrupts Python
 *
 * @typedef {object} Call
 * @property {keyof typeof ENTRIES} entry
 * @property {string} source
 * @property {string} names JSON
 * @property {string} filename
 */

/** Where tests, Python and the browser's driver look for what they need. @type {any} */
const realm = globalThis;

/** How JavaScript can enter Python. Each gives the answer as JSON. */
const ENTRIES = {
  /** A coroutine, which may be suspended. @param {Interpreter} interpreter @param {Call} call */
  async: ({ pyodide, run }, call) =>
    pyodide.runPythonAsync("await run(source, names, filename)", { globals: pyodide.toPy({ ...call, run }) }),

  /** @param {Interpreter} interpreter @param {Call} call */
  sync: ({ pyodide, runNow }, call) =>
    pyodide.runPython("run_now(source, names, filename)", { globals: pyodide.toPy({ ...call, run_now: runNow }) }),

  /** A function of Python's that a timer calls. @param {Interpreter} interpreter @param {Call} call */
  callback: ({ runNow }, { source, names, filename }) =>
    new Promise((resolve) => {
      setTimeout(runNow, 0, source, names, filename, resolve);
    }),
};

/** Pyodide on this thread. */
class Interpreter {
  worker = undefined;
  /** @type {any} */
  pyodide;
  /** @type {any} */
  run;
  /** @type {any} */
  runNow;

  /** @param {Options} options */
  async boot({ suspends, runner, interrupts }) {
    if (!suspends) {
      Reflect.deleteProperty(WebAssembly, "Suspending");
      Reflect.deleteProperty(WebAssembly, "promising");
    }
    const indexURL = `${location.origin}/pyodide/`;
    const { loadPyodide } = await import(`${indexURL}pyodide.mjs`);
    const pyodide = await loadPyodide({ indexURL, packages: ["micropip"] });
    if (interrupts) pyodide.setInterruptBuffer(interrupts);
    [this.run, this.runNow] = pyodide.runPython(runner);
    this.pyodide = pyodide;
  }

  /**
   * @param {Call} call
   * @param {(value: string) => void} tell hears what Python tells
   * @returns {Promise<string>}
   */
  async call(call, tell) {
    realm.tell = tell;
    try {
      return await ENTRIES[call.entry](this, call);
    } catch (error) {
      const { message, stack } = /** @type {Error} */ (error); // not Python's exception: the interpreter died
      return JSON.stringify({ kind: "JavaScript", message, traceback: stack ?? "" });
    }
  }
}

/** The same in a worker. */
class Elsewhere {
  pyodide = undefined;

  /** @param {string} url of this module */
  constructor(url) {
    this.worker = new Worker(url, { type: "module" });
  }

  /** @param {Options} options */
  async boot(options) {
    const error = await this.#ask({ options }, () => {});
    if (error) throw new Error(error);
  }

  /** @param {Call} call @param {(value: string) => void} tell @returns {Promise<string>} */
  call(call, tell) {
    return this.#ask({ call }, tell);
  }

  /** @param {object} request @param {(value: string) => void} tell @returns {Promise<string>} */
  #ask(request, tell) {
    return new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data: { told, answer } }) => (told === undefined ? resolve(answer) : tell(told));
      this.worker.postMessage(request, [port2]);
    });
  }
}

/**
 * Boot Python in this page; `globalThis.python.call` runs it then.
 * @param {Options} options
 */
export async function boot(options) {
  if (crossOriginIsolated) {
    realm.interrupts = options.interrupts = new Uint8Array(new SharedArrayBuffer(1));
  }
  const interpreter = options.thread === "worker" ? new Elsewhere(import.meta.url) : new Interpreter();
  await interpreter.boot(options);
  realm.pyodide = interpreter.pyodide;
  realm.worker = interpreter.worker;
  realm.python = {
    call: async (/** @type {Call} */ call) => {
      /** @type {Promise<void>[]} */
      const heard = [];
      const answer = await interpreter.call(call, (value) => heard.push(realm.toldByPage(value)));
      await Promise.all(heard);
      return answer;
    },
  };
}

if (!("document" in globalThis)) {
  const interpreter = new Interpreter();
  addEventListener("message", async ({ data: { options, call }, ports: [port] }) => {
    const answer = call
      ? await interpreter.call(call, (told) => port.postMessage({ told }))
      : await interpreter.boot(options).then(() => "", String);
    port.postMessage({ answer });
  });
}
