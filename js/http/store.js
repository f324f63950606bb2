/**
 * Bytes, and words about them, that outlast the page: in IndexedDB, by key.
 * @module
 */

import { said } from "./request.js";

const STORE = "files";

/**
 * @typedef {{about: string, body: Uint8Array}} Kept
 * @typedef {import("./request.js").Failure} Failure
 */

/** @type {Map<string, Promise<IDBDatabase>>} */
const databases = new Map();

/** @param {string} name */
function database(name) {
  let opening = databases.get(name);
  if (!opening) {
    opening = new Promise((resolve, reject) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE);
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        request.result.onversionchange = () => {
          request.result.close(); // another page wants to delete it
          databases.delete(name);
        };
        resolve(request.result);
      };
    });
    databases.set(name, opening);
    opening.catch(() => databases.delete(name));
  }
  return opening;
}

/** A store of this origin. @param {string} name */
export function openStore(name) {
  return new Store(name);
}

class Store {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /** What is kept; undefined if nothing is. @param {string} key @returns {Promise<Kept | undefined | Failure>} */
  load(key) {
    return this.#ask("readonly", (files) => files.get(key));
  }

  /** @param {string} key @param {string} about @param {Uint8Array} body */
  store(key, about, body) {
    return this.#ask("readwrite", (files) => files.put({ about, body }, key));
  }

  /** @param {string} key */
  remove(key) {
    return this.#ask("readwrite", (files) => files.delete(key));
  }

  /** How many are kept by this key: 1 or 0. @param {string} key */
  count(key) {
    return this.#ask("readonly", (files) => files.count(key));
  }

  keys() {
    return this.#ask("readonly", (files) => files.getAllKeys());
  }

  clear() {
    return this.#ask("readwrite", (files) => files.clear());
  }

  /**
   * @param {IDBTransactionMode} mode
   * @param {(files: IDBObjectStore) => IDBRequest} question
   * @returns {Promise<any>} what it gives, or a Failure
   */
  async #ask(mode, question) {
    try {
      const transaction = (await database(this.name)).transaction(STORE, mode);
      const request = question(transaction.objectStore(STORE));
      await new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
      });
      return request.result;
    } catch (error) {
      const full = error instanceof DOMException && error.name === "QuotaExceededError";
      return { error: full ? "full" : "storage", message: said(error) };
    }
  }
}
