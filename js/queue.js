/**
 * Bytes in the order they came, kept in the pieces they came in. Pure.
 * @module
 */

/** A piece at least this long is handed out as it is; shorter ones are joined to fill what was asked for. */
const WORTH_HANDING_OUT = 16 * 1024;

export class ByteQueue {
  /** @type {Uint8Array[]} */
  #pieces = [];
  /** Index of the oldest piece, and bytes already taken from it. */
  #first = 0;
  #offset = 0;
  /** Bytes held. */
  length = 0;

  /** @param {Uint8Array} piece kept as it is: it must not change */
  push(piece) {
    if (!piece.length) return;
    this.#pieces.push(piece);
    this.length += piece.length;
  }

  /**
   * Take up to `limit` bytes: at least one if there are any. May be a view of what was pushed.
   * @param {number} limit
   */
  take(limit) {
    const taken = this.peek(limit);
    this.#drop(taken.length);
    return taken;
  }

  /**
   * What take() would return, left where it is.
   * @param {number} limit
   * @returns {Uint8Array}
   */
  peek(limit) {
    const size = Math.min(limit, this.length);
    if (size === 0) return new Uint8Array(0);
    const head = this.#pieces[this.#first].subarray(this.#offset);
    if (head.length >= Math.min(size, WORTH_HANDING_OUT)) return head.subarray(0, size);
    const joined = new Uint8Array(size);
    joined.set(head);
    let at = head.length;
    for (let i = this.#first + 1; at < size; i++) {
      const piece = this.#pieces[i].subarray(0, size - at);
      joined.set(piece, at);
      at += piece.length;
    }
    return joined;
  }

  clear() {
    this.#pieces = [];
    this.#first = this.#offset = this.length = 0;
  }

  /** @param {number} size */
  #drop(size) {
    this.length -= size;
    if (this.length === 0) {
      this.clear();
      return;
    }
    this.#offset += size;
    while (this.#offset >= this.#pieces[this.#first].length) {
      this.#offset -= this.#pieces[this.#first++].length;
    }
    // Forget what was taken once it is half of the array: cheap on average, and memory is let go.
    if (this.#first > 32 && this.#first * 2 > this.#pieces.length) {
      this.#pieces = this.#pieces.slice(this.#first);
      this.#first = 0;
    } else if (this.#first > 0) {
      this.#pieces[this.#first - 1] = EMPTY;
    }
  }
}

const EMPTY = new Uint8Array(0);
