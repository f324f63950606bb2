/**
 * One datagram socket over a server that has a stream for each peer. Pure.
 * @module
 */

/** Peers of one socket; where it speaks to more, the one it has not spoken to for longest hears no more. */
const PEERS_MAX = 64;

/**
 * @typedef {import("../datagram.js").DatagramSocket} DatagramSocket
 * @typedef {import("../errors.js").SocketError} SocketError
 * @typedef {import("./network.js").GatewayNetwork} GatewayNetwork
 * @typedef {import("./network.js").Stream} Stream
 * @typedef {import("../wire.js").Address} Address
 */

export class Datagrams {
  /** By address, the one spoken to last at the end. @type {Map<string, Stream>} */
  #peers = new Map();
  /** Whom alone it hears. */
  #only = "";

  /** @param {GatewayNetwork} network @param {DatagramSocket} socket */
  constructor(network, socket) {
    this.network = network;
    this.socket = socket;
  }

  /** Have one peer from now on. @param {Address} peer */
  join(peer) {
    this.#only = keyOf(peer);
    for (const [key, stream] of this.#peers) {
      if (key === this.#only) continue;
      stream.close();
      this.#peers.delete(key);
    }
  }

  /** @param {Address} address @param {Uint8Array} data */
  send(address, data) {
    const key = keyOf(address);
    const stream = this.#peers.get(key) ?? this.#open(key, address);
    this.#peers.delete(key); // and to the end
    this.#peers.set(key, stream);
    if (stream.sends && !this.network.way.full && data.length <= stream.most) stream.send(data);
    else this.#tell({ type: "dropped", count: 1 }); // as any network may
  }

  /** @param {string} key @param {Address} address @returns {Stream} */
  #open(key, address) {
    if (this.#peers.size >= PEERS_MAX) {
      const [oldest, stream] = /** @type {[string, Stream]} */ (this.#peers.entries().next().value);
      stream.close();
      this.#peers.delete(oldest);
    }
    const stream = this.network.way.open("udp", this.network.hostOf(address.host), address.port, {
      opened: () => {},
      writable: () => {},
      received: (data) => {
        if (!this.#only || this.#only === key) this.#tell({ type: "datagram", address, data });
      },
      closed: (error) => this.#closed(key, error),
    });
    stream.start();
    return stream;
  }

  /** The next datagram to this peer opens another stream. @param {string} key @param {SocketError | null} error */
  #closed(key, error) {
    this.#peers.delete(key);
    // By udp(7) only those with one peer hear what became of a datagram; what is forbidden everybody should know.
    if (error && (key === this.#only || error.code === "EACCES")) {
      this.#tell({ type: "fault", code: error.code, message: error.message });
    }
  }

  close() {
    for (const stream of this.#peers.values()) stream.close();
    this.#peers.clear();
  }

  /** @param {object} frame without its socket */
  #tell(frame) {
    const { socket } = this;
    if (socket.id) socket.receive(/** @type {any} */ ({ ...frame, socket: socket.id }));
  }
}

/** @param {Address} address */
const keyOf = ({ host, port }) => `${host} ${port}`;
