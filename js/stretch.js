/**
 * The time in which synchronous requests are made and the page has no turn: nothing is heard but their answers, and
 * a carrier moves little.
 * @module
 */

import { GIVEN_MAX } from "./line.js";
import { afterTurn } from "./turn.js";

export class Stretch {
  /** Whether requests were made since the page had its last turn. */
  active = false;
  #given = 0;

  /** One is made; `ended` is called when the page has had a turn. @param {() => void} ended */
  begin(ended) {
    if (this.active) return false;
    this.active = true;
    this.#given = 0;
    afterTurn(() => {
      this.active = false;
      ended();
    });
    return true;
  }

  /** Whether a carrier that is given so many bytes more has as much as it moves. @param {number} size */
  fills(size) {
    this.#given += size;
    return this.#given > GIVEN_MAX;
  }
}
