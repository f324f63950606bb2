/**
 * What flows: rates made of the counters that `pynet_browser.status()` gives now and then. Pure.
 * @module
 */

/** A rate is the mean over this time (ms): long enough to be read, short enough to be true. */
const MEAN_OVER = 1000;
/** How long (ms) the past is kept. */
export const HISTORY = 60_000;
/** How long (ms) a closed socket stays in sight. */
const LINGER = 5000;

/**
 * @typedef {{time: number, received: number, sent: number}} Rates bytes per second at a time
 *
 * @typedef {object} SocketStatus one of `status().sockets`
 * @property {number | null} fd
 * @property {number} family
 * @property {string} kind
 * @property {string} state
 * @property {[string, number] | null} local
 * @property {[string, number] | null} peer
 * @property {number} received
 * @property {number} sent
 * @property {number} dropped
 */

/** Counters that only grow, and the rates at which they did. */
export class Meter {
  received = 0;
  sent = 0;
  /** @type {Rates[]} oldest first */
  history = [];
  /** The counters within the time of one mean, and the last before it. @type {Rates[]} */
  #recent;

  /** @param {number} time when both counters were 0 */
  constructor(time) {
    this.#recent = [{ time, received: 0, sent: 0 }];
  }

  /** @param {number} time @param {number} received @param {number} sent */
  add(time, received, sent) {
    Object.assign(this, { received, sent });
    const recent = this.#recent;
    recent.push({ time, received, sent });
    while (recent[1].time <= time - MEAN_OVER) recent.shift();
    // The mean is over no less than its time: a burst in a young socket's first milliseconds is no rate.
    const seconds = Math.max(time - recent[0].time, MEAN_OVER) / 1000;
    const rates = {
      time,
      received: (received - recent[0].received) / seconds,
      sent: (sent - recent[0].sent) / seconds,
    };
    this.history.push(rates);
    while (this.history[0].time < time - HISTORY - MEAN_OVER) this.history.shift();
  }

  /** The latest rates. @returns {Rates} */
  get rates() {
    return this.history.at(-1) ?? { time: 0, received: 0, sent: 0 };
  }
}

/** One socket as long as it is in sight. */
export class SocketTraffic {
  /** When it was found closed. @type {number | null} */
  closedAt = null;

  /** @param {number} id @param {SocketStatus} status @param {number} since */
  constructor(id, status, since) {
    this.id = id;
    this.status = status;
    this.meter = new Meter(since);
  }

  /** Whether `status` tells of this socket, and not of a later one with the same descriptor. @param {SocketStatus} status */
  continues(status) {
    const { fd, family, kind, local, received, sent } = this.status;
    return (
      status.fd === fd &&
      status.family === family &&
      status.kind === kind &&
      status.received >= received &&
      status.sent >= sent &&
      (!lastingName(local) || lastingName(status.local) === lastingName(local))
    );
  }
}

/**
 * What a socket keeps of its address as long as it has one: its port, or its path. Which of the host's addresses it
 * has may be known only when it is connected.
 * @param {[string, number] | null} address
 */
function lastingName(address) {
  return address && (address[1] || address[0]);
}

/** All sockets, and their sum. */
export class Traffic {
  /** Open ones, and those closed a moment ago; oldest first. @type {SocketTraffic[]} */
  sockets = [];
  #count = 0;
  #last;

  /** @param {number} time now (ms) */
  constructor(time) {
    this.total = new Meter(time);
    this.#last = time;
  }

  get open() {
    return this.sockets.filter(({ closedAt }) => closedAt === null);
  }

  /**
   * @param {number} time now (ms)
   * @param {SocketStatus[]} statuses of all open sockets
   */
  sample(time, statuses) {
    let { received, sent } = this.total;
    const before = new Map(this.open.map((socket) => [socket.status.fd, socket]));
    for (const status of statuses) {
      let socket = before.get(status.fd);
      if (socket?.continues(status)) {
        before.delete(status.fd);
      } else {
        socket = new SocketTraffic(++this.#count, status, this.#last);
        this.sockets.push(socket);
      }
      received += status.received - socket.meter.received;
      sent += status.sent - socket.meter.sent;
      socket.status = status;
      socket.meter.add(time, status.received, status.sent);
    }
    for (const socket of before.values()) socket.closedAt = time;
    for (const { closedAt, meter } of this.sockets) {
      if (closedAt !== null) meter.add(time, meter.received, meter.sent);
    }
    this.sockets = this.sockets.filter(({ closedAt }) => closedAt === null || closedAt > time - LINGER);
    this.total.add(time, received, sent);
    this.#last = time;
  }
}
