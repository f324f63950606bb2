/**
 * Bytes in the order they came. Pure.
 *
 * Large pieces are kept as they came. Small ones are gathered: a view keeps the whole buffer alive that it is
 * cut from, so that single bytes of large messages would hold far more memory than any window allows.
 * @module
 */

/** A piece at least this long is kept and handed out as it is; shorter ones are joined to fill what was asked for. */
const WORTH_HANDING_OUT = 16 * 1024;

/** A piece that is a smaller part of its buffer is copied out of it. */
const WORTH_KEEPING = 1 / 4;

const EMPTY = new Uint8Array(0);

export class ByteQueue {
  /** @type {Uint8Array[]} */
  #pieces = [];
  /** Index of the oldest piece, and bytes already taken from it. */
  #first = 0;
  #offset = 0;
  /** Room behind the newest piece, if that one is gathered. */
  #spare = EMPTY;
  /** Bytes held. */
  length = 0;

  /** @param {Uint8Array} piece may be kept as it is: it must not change */
  push(piece) {
    if (!piece.length) return;
    if (piece.length >= WORTH_HANDING_OUT && piece.length >= piece.buffer.byteLength * WORTH_KEEPING) {
      this.#pieces.push(piece);
      this.#spare = EMPTY;
    } else {
      this.#gather(piece);
    }
    this.length += piece.length;
  }

  /** Copy a piece to the end of the newest, or to the start of one with room for as much again as is held.
   * @param {Uint8Array} piece */
  #gather(piece) {
    if (piece.length > this.#spare.length) {
      this.#spare = new Uint8Array(Math.max(piece.length, Math.min(this.length, WORTH_HANDING_OUT)));
      this.#pieces.push(this.#spare.subarray(0, 0));
    }
    this.#spare.set(piece);
    this.#spare = this.#spare.subarray(piece.length);
    const newest = this.#pieces.length - 1;
    const { buffer, length } = this.#pieces[newest];
    this.#pieces[newest] = new Uint8Array(buffer, 0, length + piece.length);
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
    if (size <= 0) return EMPTY;
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
    this.#spare = EMPTY;
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
      this.#offset -= this.#pieces[this.#first].length;
      this.#pieces[this.#first++] = EMPTY; // its memory is let go
    }
    // Shorten the array once half of it was taken: cheap on average.
    if (this.#first > 32 && this.#first * 2 > this.#pieces.length) {
      this.#pieces = this.#pieces.slice(this.#first);
      this.#first = 0;
    }
  }
}
