import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { DatagramSocket } from "../../js/datagram.js";
import { SocketError } from "../../js/errors.js";
import { Listener } from "../../js/listener.js";
import { Socket } from "../../js/socket.js";
import { Chance } from "./chance.js";
import { PageNetwork, STREAMS } from "./page-network.js";

/** @typedef {import("../../js/endpoint.js").AnySocket} AnySocket */

const [UNIX, IPV4, IPV6] = [1, 4, 6];

suite("whatever a program does", () => {
  /** What is written to one end and has not been read from the other yet. */
  class Stream {
    written = 0;
    read = 0;

    /** @param {Socket} from @param {Socket} to */
    constructor(from, to) {
      this.from = from;
      this.to = to;
    }

    /** Bytes that tell where they belong. @param {number} size */
    write(size) {
      const data = new Uint8Array(size);
      for (let index = 0; index < size; index++) data[index] = ((this.written + index) * 31) % 251;
      this.written += this.from.write(data);
    }

    /** @param {number} size */
    take(size) {
      for (const byte of this.to.read(size)) {
        const expected = (this.read++ * 31) % 251;
        if (byte !== expected) assert.equal(byte, expected); // which takes its time, also where they are equal
      }
      assert.ok(this.read <= this.written);
    }
  }

  for (const kind of Object.keys(STREAMS)) {
    for (let seed = 1; seed <= 3; seed++) {
      test(`every byte by ${kind} is read once, in order (chance ${seed})`, () => {
        const chance = new Chance(seed);
        const page = new PageNetwork();
        for (let round = 0; round < 30; round++) {
          const [one, other] = STREAMS[kind](page);
          const streams = [new Stream(one, other), new Stream(other, one)];
          const attempt = (/** @type {() => void} */ call) => {
            try {
              call();
            } catch (error) {
              if (!(error instanceof SocketError)) throw error;
            }
          };
          for (let step = 0; step < 100; step++) {
            const stream = chance.choice(streams);
            page.clock += chance.choice([0, 1, 1000]);
            const happening = chance.integer(0, 99);
            attempt(() => {
              if (happening < 45) stream.write(chance.choice([0, 1, 10, 1000, 300_000]));
              else if (happening < 95) stream.take(chance.choice([0, 1, 10, 1000, 1_000_000]));
              else if (happening < 97) stream.from.shutdown({ read: false, write: true });
              else if (happening < 99) {
                const size = chance.choice(["2304", "100000", "9999999"]);
                stream.from.setOption(page.network, chance.choice(["SO_RCVBUF", "SO_SNDBUF"]), [size], () => {});
              }
            });
          }
          // What was written before the end arrives, however the other end is closed.
          for (const stream of streams) {
            attempt(() => stream.from.shutdown({ read: false, write: true }));
            while (stream.read < stream.written) stream.take(1_000_000);
            assert.equal(stream.to.read(1).length, 0);
          }
          for (const socket of chance.choice([
            [one, other],
            [other, one],
          ])) {
            socket.close();
          }
        }
      });
    }
  }

  for (let seed = 1; seed <= 5; seed++) {
    test(`nothing but an error of sockets is thrown, and nothing stays behind (chance ${seed})`, () => {
      const chance = new Chance(seed);
      const page = new PageNetwork();
      /** @type {AnySocket[]} */
      let sockets = [];
      const anyHost = (/** @type {AnySocket} */ { family }) =>
        chance.choice(
          family === UNIX
            ? ["/a", "/b", "\0name", "", "/nowhere/"]
            : ["", "127.0.0.1", "::1", "::ffff:127.0.0.1", "::", "0.0.0.0", "localhost", "10.0.0.1", "255.255.255.255"],
        );
      const anyPort = () => chance.choice([0, 8080, 8081, chance.choice(sockets).local?.port ?? 1]);
      /** @type {((socket: any) => unknown)[]} */
      const OPERATIONS = [
        (socket) => {
          // What is over stays what it is.
          if (!socket.id && !["idle", "open"].includes(socket.state)) return;
          socket.bind(page.network, { host: anyHost(socket), port: anyPort() }, () => {});
        },
        (socket) => {
          if (!(socket instanceof Socket) || socket.state !== "idle") return;
          Listener.start(socket, page.network, chance.integer(-1, 3), (_error, listener) => {
            if (listener) sockets[sockets.indexOf(socket)] = listener;
          });
        },
        (socket) => socket.accept?.((/** @type {Socket} */ accepted) => sockets.push(accepted)),
        (socket) => socket.connect?.(page.network, { host: anyHost(socket), port: anyPort(), timeout: 0 }),
        (socket) => socket.associate?.(page.network, { host: anyHost(socket), port: anyPort() }, () => {}),
        (socket) => {
          const data = new Uint8Array(chance.choice([0, 1, 1000, 70_000]));
          if (socket instanceof Socket) socket.write(data);
          if (!(socket instanceof DatagramSocket)) return;
          const { family } = socket;
          socket.write(
            page.network,
            data,
            chance.random() < 0.5 ? undefined : { family, host: anyHost(socket) || "127.0.0.1", port: anyPort() },
          );
        },
        (socket) => socket.read?.(chance.choice([0, 1, 1000, 1e9])),
        (socket) => socket.peek?.(chance.choice([0, 1, 1000])),
        (socket) => socket.shutdown({ read: chance.random() < 0.5, write: chance.random() < 0.5 }),
        (socket) => socket.resize?.(chance.integer(-1, 9)),
        (socket) => socket.watch(chance.integer(0, 31), () => {}),
        (socket) => socket.readiness + socket.available,
        (socket) =>
          socket.setOption(
            page.network,
            chance.choice(["SO_RCVBUF", "SO_SNDBUF", "SO_LINGER", "SO_REUSEADDR", "IPV6_V6ONLY", "IP_ADD_MEMBERSHIP"]),
            [chance.choice(["0", "1", "5000"]), "0"],
            () => {},
          ),
        (socket) => socket.close(),
      ];
      for (let step = 0; step < 4000; step++) {
        if (sockets.length < 12) {
          const family = chance.choice([UNIX, IPV4, IPV6]);
          const made = chance.choice([[new Socket(family)], [new DatagramSocket(family)], page.network.pair(chance.random() < 0.5)]);
          sockets.push(...made);
        }
        const socket = chance.choice(sockets);
        try {
          chance.choice(OPERATIONS)(socket);
        } catch (error) {
          assert.ok(error instanceof SocketError, String(/** @type {any} */ (error)?.stack));
        }
        if (chance.random() < 0.02) page.paths.files.delete(chance.choice(["/a", "/b"]));
        sockets = sockets.filter(({ state }) => state !== "closed");
      }
      for (const socket of sockets) socket.close();
      page.paths.files.clear();
      // Every address is free again.
      for (const family of [IPV4, IPV6]) {
        for (const made of [new Socket(family), new DatagramSocket(family)]) page.bound(made, "", 8080).close();
      }
      for (const host of ["/a", "/b", "\0name"]) page.bound(new Socket(UNIX), host);
      assert.equal(page.network.budget.left, 64 << 20);
    });
  }
});
