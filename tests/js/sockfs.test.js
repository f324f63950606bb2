import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { SocketError } from "../../js/errors.js";
import { SocketFileSystem, missingParts } from "../../js/sockfs/filesystem.js";
import { Chance } from "./chance.js";
import { ERRNO, fakeModule } from "./emscripten.js";
import { Interpreter, O_NONBLOCK, bytes, isSettled } from "./interpreter.js";
import { HOST, PAGE, hear } from "./line.js";
import { Page } from "./page.js";

const AF_UNIX = 1;
const AF_INET6 = 10;
const F_GETFL = 3;
const F_SETFL = 4;
const FIONREAD = 0x541b;
const FIONBIO = 0x5421;

suite("in Emscripten's place", () => {
  test("what Pyodide lacks is named", () => {
    const module = fakeModule();
    assert.deepEqual(missingParts(module), []);
    delete module.validSuspender;
    delete module.DNS;
    assert.deepEqual(missingParts(module), ["DNS", "validSuspender"]);
  });

  test("everything is put back", () => {
    const module = fakeModule();
    const before = [{ ...module.SOCKFS }, { ...module.DNS }];
    const system = new SocketFileSystem(module, /** @type {any} */ ({}), ERRNO, "auto", () => {});
    system.mount();
    for (const name of ["createSocket", "pollAsync"]) assert.notEqual(module.SOCKFS[name], before[0][name]);
    for (const name of ["lookup_name", "lookup_addr"]) assert.notEqual(module.DNS[name], before[1][name]);
    system.unmount();
    assert.deepEqual([{ ...module.SOCKFS }, { ...module.DNS }], before);
  });

  test("names and the addresses that stand for them are ours", () => {
    const { DNS } = new Interpreter().module;
    const address = DNS.lookup_name("host.example");
    assert.equal(address, "240.0.0.1");
    assert.equal(DNS.lookup_addr(address), "host.example");
    assert.equal(DNS.lookup_addr("10.0.0.1"), null);
  });

  test("streams and datagram sockets of three families can be made, and nothing else", () => {
    const { calls } = new Interpreter();
    for (const [family, type, protocol] of [
      [2, 1, 0],
      [AF_INET6, 1, 6],
      [2, 1 | 0o2000000, 0],
      [2, 2, 17],
      [AF_INET6, 2, 0],
      [AF_UNIX, 1, 0],
      [AF_UNIX, 2, 0],
    ]) {
      assert.ok(calls.socket(family, type, protocol) >= 0);
    }
    assert.equal(calls.socket(16, 1), -ERRNO.EAFNOSUPPORT);
    assert.equal(calls.socket(2, 3), -ERRNO.EPERM);
    assert.equal(calls.socket(2, 5), -ERRNO.ESOCKTNOSUPPORT);
    assert.equal(calls.socket(2, 1, 17), -ERRNO.EPROTONOSUPPORT);
    assert.equal(calls.socket(2, 2, 6), -ERRNO.EPROTONOSUPPORT);
    assert.equal(calls.socket(AF_UNIX, 1, 6), -ERRNO.EPROTONOSUPPORT);
  });

  test("a socket for which there is no descriptor leaves nothing behind", () => {
    const { calls, module, system } = new Interpreter();
    let fd;
    while ((fd = calls.socket()) >= 0);
    assert.equal(fd, -ERRNO.EMFILE);
    assert.equal(module.FS.nodes.size, system.sockets.length);
  });

  test("a socket that does not block from the start says so", () => {
    const interpreter = new Interpreter();
    assert.equal(interpreter.calls.fcntl(interpreter.open({ blocking: false }), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert.equal(interpreter.calls.fcntl(interpreter.open(), F_GETFL) & O_NONBLOCK, 0);
  });
});

suite("when a call is suspended", () => {
  const MEMBERS = /** @type {Record<string, (interpreter: Interpreter, fd: number) => void>} */ ({
    recvmsgAsync: (interpreter, fd) => interpreter.arrive(fd, "x"),
    sendmsgAsync: (interpreter, fd) => hear(interpreter.socket(fd), "window", { credit: 1 }),
  });
  for (const [member, makeReady] of Object.entries(MEMBERS)) {
    for (const blocking of [true, false]) {
      for (const ready of [true, false]) {
        for (const can of [true, false]) {
          const waits = blocking && !ready && can;
          test(`${member}: ${waits ? "if" : "not if"} blocking=${blocking}, ready=${ready}, possible=${can}`, () => {
            const interpreter = new Interpreter().suspends(can);
            const fd = interpreter.connected({ blocking });
            interpreter.fill(fd);
            if (ready) makeReady(interpreter, fd);
            assert.equal(interpreter.calls.sock(fd).sock_ops[member] !== undefined, waits);
          });
        }
      }
    }
  }

  for (const blocking of [true, false]) {
    for (const idle of [true, false]) {
      for (const can of [true, false]) {
        const waits = blocking && idle && can;
        test(`connectAsync: ${waits ? "if" : "not if"} blocking=${blocking}, idle=${idle}, possible=${can}`, () => {
          const interpreter = new Interpreter().suspends(can);
          const fd = idle ? interpreter.open({ blocking }) : interpreter.connected({ blocking });
          assert.equal(interpreter.calls.sock(fd).sock_ops.connectAsync !== undefined, waits);
        });
      }
    }
  }
});

suite("reading and writing", () => {
  test("what is here is read at once", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    interpreter.arrive(fd, "hello");
    assert.equal(interpreter.calls.recv(fd, 3), 3);
    assert.equal(interpreter.calls.received(3), "hel");
    assert.equal(interpreter.calls.recv(fd, 100), 2);
  });

  test("a read that waits ends with EINTR when there is something, and writes nothing itself", async () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    const waiting = interpreter.calls.recv(fd, 3);
    assert.equal(await isSettled(waiting), false);
    interpreter.arrive(fd, "hello");
    assert.equal(await waiting, -ERRNO.EINTR);
    assert.equal(interpreter.socket(fd).available, 5);
    assert.equal(interpreter.calls.recv(fd, 100), 5);
  });

  test("a read that waits ends with the peer, with the connection, and with the socket", async () => {
    const ENDINGS = /** @type {((interpreter: Interpreter, fd: number) => void)[]} */ ([
      (interpreter, fd) => hear(interpreter.socket(fd), "shutdown"),
      (interpreter, fd) => interpreter.reset(fd, "ECONNRESET"),
      (interpreter, fd) => interpreter.calls.close(fd),
      (interpreter, fd) => interpreter.calls.shutdown(fd, 0),
    ]);
    for (const end of ENDINGS) {
      const interpreter = new Interpreter();
      const fd = interpreter.connected();
      const waiting = interpreter.calls.recv(fd, 3);
      end(interpreter, fd);
      assert.equal(await waiting, -ERRNO.EINTR);
    }
  });

  test("a write that waits goes on when there is credit", async () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    interpreter.fill(fd);
    const waiting = interpreter.calls.send(fd, "abc");
    assert.equal(await isSettled(waiting), false);
    hear(interpreter.socket(fd), "window", { credit: 2 });
    assert.equal(await waiting, -ERRNO.EINTR);
    assert.equal(interpreter.calls.send(fd, "abc"), 2);
    assert.deepEqual(interpreter.line.said().at(-1), { type: "data", data: bytes("ab") });
  });

  test("where no call can wait, one that would have to says so", () => {
    const interpreter = new Interpreter({ blocks: "jspi" }).suspends(false);
    const fd = interpreter.connected();
    interpreter.fill(fd);
    assert.equal(interpreter.calls.recv(fd, 3), -ERRNO.EDEADLK);
    assert.equal(interpreter.calls.send(fd, "x"), -ERRNO.EDEADLK);
    assert.deepEqual([interpreter.waits, interpreter.hints], [[], 0]);
  });

  test("a socket that was never connected waits for nothing", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.open();
    assert.equal(interpreter.calls.recv(fd, 3), -ERRNO.ENOTCONN);
    assert.equal(interpreter.calls.send(fd, "x"), -ERRNO.EPIPE);
  });

  test("a socket that does not block never waits", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected({ blocking: false });
    interpreter.fill(fd);
    assert.equal(interpreter.calls.recv(fd, 3), -ERRNO.EAGAIN);
    assert.equal(interpreter.calls.send(fd, "x"), -ERRNO.EAGAIN);
  });

  test("files can be read and written too, wherever their buffer lies", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    const stream = interpreter.module.FS.getStream(fd);
    const buffer = new Int8Array(new ArrayBuffer(100), 10, 50);
    buffer.set(bytes("..out"));
    assert.equal(stream.stream_ops.write(stream, buffer, 2, 3), 3);
    assert.deepEqual(interpreter.line.said().at(-1)?.data, bytes("out"));
    interpreter.arrive(fd, "in");
    assert.equal(stream.stream_ops.read(stream, buffer, 7, 40), 2);
    assert.deepEqual([...buffer.subarray(7, 9)], [...bytes("in")]);
  });

  test("what broke the connection is reported once, by a call or by SO_ERROR", () => {
    const interpreter = new Interpreter();
    const [one, other] = [interpreter.connected(), interpreter.connected()];
    for (const fd of [one, other]) interpreter.reset(fd, "ECONNRESET");
    assert.equal(interpreter.calls.recv(one, 1), -ERRNO.ECONNRESET);
    assert.equal(interpreter.calls.error(one), 0);
    assert.equal(interpreter.calls.recv(one, 1), 0);
    assert.equal(interpreter.calls.error(other), ERRNO.ECONNRESET);
    assert.equal(interpreter.calls.error(other), 0);
    assert.equal(interpreter.calls.send(other, "x"), -ERRNO.EPIPE);
  });

  test("an error of the proxy that has no number here has that of another", () => {
    for (const code of ["EAI_NONAME", "ENOSUCHTHING", "", "constructor", "__proto__", "toString"]) {
      const number = code.startsWith("EAI_") ? ERRNO.EHOSTUNREACH : ERRNO.EIO;
      const interpreter = new Interpreter();
      const [one, other] = [interpreter.connected(), interpreter.connected()];
      for (const fd of [one, other]) interpreter.reset(fd, code);
      assert.equal(interpreter.calls.error(one), number, code);
      assert.equal(interpreter.calls.recv(other, 1), -number, code);
    }
  });
});

suite("connecting", () => {
  test("suspends until it is decided", async () => {
    for (const [type, number] of /** @type {[string, number][]} */ ([
      ["connected", 0],
      ["reset", ERRNO.ECONNREFUSED],
    ])) {
      const interpreter = new Interpreter();
      const fd = interpreter.open();
      const connecting = interpreter.calls.connect(fd, "10.0.0.1", 80);
      assert.equal(await isSettled(connecting), false);
      hear(interpreter.socket(fd), type, { local: PAGE, peer: HOST, code: "ECONNREFUSED", message: "" });
      assert.equal(Math.abs(await connecting), number);
      assert.equal(interpreter.calls.error(fd), 0);
    }
  });

  test("by an address that stands for a name asks for the name, in the socket's family", async () => {
    const interpreter = new Interpreter();
    const address = interpreter.module.DNS.lookup_name("host.example");
    interpreter.calls.connect(interpreter.open(), address, 80);
    interpreter.calls.connect(interpreter.open({ family: AF_INET6 }), address, 80);
    assert.deepEqual(interpreter.line.said(), [
      { type: "connect", family: 4, host: "host.example", port: 80, timeout: 0 },
      { type: "connect", family: 6, host: "host.example", port: 80, timeout: 0 },
    ]);
  });

  test("without blocking is in progress, and SO_ERROR tells the end", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.open({ blocking: false });
    assert.equal(interpreter.calls.connect(fd, "10.0.0.1", 80), -ERRNO.EINPROGRESS);
    assert.equal(interpreter.calls.connect(fd, "10.0.0.1", 80), -ERRNO.EALREADY);
    interpreter.reset(fd, "ECONNREFUSED");
    assert.equal(interpreter.calls.error(fd), ERRNO.ECONNREFUSED);
    assert.equal(interpreter.calls.connect(fd, "10.0.0.1", 80), -ERRNO.ECONNABORTED);
    assert.equal(interpreter.calls.connect(fd, "10.0.0.1", 80), -ERRNO.EINPROGRESS);
    hear(interpreter.socket(fd), "connected", { local: PAGE, peer: HOST });
    assert.equal(interpreter.calls.error(fd), 0);
    assert.equal(interpreter.calls.connect(fd, "10.0.0.1", 80), 0);
    assert.equal(interpreter.calls.connect(fd, "10.0.0.1", 80), -ERRNO.EISCONN);
  });

  test("where no call can wait says so, and asks nothing of the proxy", () => {
    const interpreter = new Interpreter({ blocks: "jspi" }).suspends(false);
    const fd = interpreter.open();
    assert.equal(interpreter.calls.connect(fd, "10.0.0.1", 80), -ERRNO.EDEADLK);
    assert.equal(interpreter.socket(fd).state, "idle");
    assert.deepEqual(interpreter.line.said(), []);
  });

  test("over a session that takes nothing fails with its error, whatever that is", async () => {
    for (const [error, number] of /** @type {[Error, number][]} */ ([
      [new SocketError("ENETDOWN"), ERRNO.ENETDOWN],
      [new TypeError("a mistake"), ERRNO.EIO],
    ])) {
      const interpreter = new Interpreter();
      interpreter.line.open = () => {
        throw error;
      };
      assert.equal(await interpreter.calls.connect(interpreter.open(), "10.0.0.1", 80), -number);
      assert.equal(interpreter.calls.connect(interpreter.open({ blocking: false }), "10.0.0.1", 80), -number);
    }
  });

  test("is not accepted by what does not listen", () => {
    const interpreter = new Interpreter();
    const { sock_ops: operations } = interpreter.calls.sock(interpreter.open());
    assert.throws(() => operations.accept(), { errno: ERRNO.EINVAL });
  });
});

suite("addresses", () => {
  test("of a socket that is not connected are those of no host", () => {
    const interpreter = new Interpreter();
    const [four, six] = [interpreter.open(), interpreter.open({ family: AF_INET6 })].map((fd) =>
      interpreter.calls.sock(fd),
    );
    assert.deepEqual([four.daddr, four.dport, four.saddr, four.sport], [undefined, 0, "0.0.0.0", 0]);
    assert.deepEqual([six.daddr, six.dport, six.saddr, six.sport], [undefined, 0, "::", 0]);
  });

  test("of one that is are the true ones, IPv6 in full", () => {
    const interpreter = new Interpreter();
    const sock = interpreter.calls.sock(interpreter.connected());
    assert.deepEqual(
      [sock.daddr, sock.dport, sock.saddr, sock.sport],
      [HOST.host, HOST.port, PAGE.host, PAGE.port],
    );
    const fd = interpreter.open({ family: AF_INET6 });
    interpreter.calls.connect(fd, "::1", 80);
    const end = { family: 6, host: "2001:db8::1", port: 80 };
    hear(interpreter.socket(fd), "connected", { local: { ...end, host: "::ffff:10.0.0.1" }, peer: end });
    assert.equal(interpreter.calls.sock(fd).daddr, "2001:db8:0:0:0:0:0:1");
    assert.equal(interpreter.calls.sock(fd).saddr, "0:0:0:0:0:ffff:a00:1");
  });

  test("of the peer are gone with the connection", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    interpreter.reset(fd, "ECONNRESET");
    assert.equal(interpreter.calls.sock(fd).daddr, undefined);
  });

  test("come with what is read", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    interpreter.arrive(fd, "x");
    const { addr, port } = interpreter.calls.sock(fd).sock_ops.recvmsg(null, 1);
    assert.deepEqual([addr, port], [HOST.host, HOST.port]);
  });
});

suite("descriptors", () => {
  test("of one socket share it, and the last closes it", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    const socket = interpreter.socket(fd);
    const copy = interpreter.calls.dup(fd);
    interpreter.line.said();
    interpreter.calls.close(fd);
    assert.deepEqual([socket.state, interpreter.system.sockets.length], ["established", 1]);
    assert.equal(interpreter.calls.send(copy, "still here"), 10);
    interpreter.calls.close(copy);
    assert.equal(socket.state, "closed");
    assert.deepEqual([interpreter.system.sockets.length, interpreter.module.FS.nodes.size], [0, 0]);
    assert.deepEqual(
      interpreter.line.said().map(({ type }) => type),
      ["data", "close"],
    );
  });

  test("of one socket can be closed in any order", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    interpreter.calls.close(interpreter.calls.dup(fd));
    assert.equal(interpreter.calls.send(fd, "still here"), 10);
  });

  test("are told apart from those of others", () => {
    const interpreter = new Interpreter();
    const file = interpreter.module.FS.createStream({ node: { sock: {} } });
    for (const fd of [file.fd, 49, -1, NaN]) assert.equal(interpreter.system.find(fd), null);
  });

  test("do not block, or do, as is set in either way", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    const blocks = () => interpreter.calls.recv(fd, 1) !== -ERRNO.EAGAIN;
    assert.equal(blocks(), true);
    assert.equal(interpreter.calls.fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert.equal(blocks(), false);
    assert.equal(interpreter.calls.fcntl(fd, F_SETFL, 0), 0);
    assert.equal(blocks(), true);
    assert.equal(interpreter.calls.ioctl(fd, FIONBIO, 1), 1);
    assert.equal(blocks(), false);
    const copy = interpreter.calls.dup(fd);
    assert.equal(interpreter.calls.ioctl(copy, FIONBIO, 0), 0);
    assert.equal(blocks(), true);
    assert.equal(interpreter.calls.fcntl(fd, F_GETFL), 2); // O_RDWR
  });

  test("tell how much can be read, and what they cannot do", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    interpreter.arrive(fd, "12345");
    assert.equal(interpreter.calls.ioctl(fd, FIONREAD), 5);
    assert.equal(interpreter.calls.ioctl(fd, 0x1234), -ERRNO.EINVAL);
    assert.equal(interpreter.calls.fcntl(fd, 99), -ERRNO.EINVAL);
  });

  test("are shut down one way or both", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    assert.equal(interpreter.calls.shutdown(fd, 3), -ERRNO.EINVAL);
    assert.equal(interpreter.calls.shutdown(fd, 0), 0);
    assert.equal(interpreter.calls.recv(fd, 1), 0);
    assert.equal(interpreter.socket(fd).state, "established");
    assert.equal(interpreter.calls.shutdown(fd, 1), 0);
    assert.equal(interpreter.socket(fd).state, "finWait");
    const writing = interpreter.connected({ blocking: false });
    assert.equal(interpreter.calls.shutdown(writing, 1), 0);
    assert.equal(interpreter.calls.recv(writing, 1), -ERRNO.EAGAIN);
    const other = interpreter.connected();
    assert.equal(interpreter.calls.shutdown(other, 2), 0);
    assert.deepEqual([interpreter.calls.recv(other, 1), interpreter.socket(other).state], [0, "finWait"]);
    assert.equal(interpreter.calls.shutdown(interpreter.open(), 2), -ERRNO.ENOTCONN);
  });

  test("are closed even if their file cannot be", () => {
    const interpreter = new Interpreter();
    const fd = interpreter.connected();
    const socket = interpreter.socket(fd);
    interpreter.module.FS.destroyNode = () => {
      throw new TypeError("a mistake");
    };
    assert.equal(interpreter.calls.close(fd), -ERRNO.EIO);
    assert.equal(socket.state, "closed");
  });
});

suite("the interpreter lives on", () => {
  const GARBAGE = [undefined, null, NaN, -1, 0, 1, 2 ** 31, 2 ** 53, Infinity, "text", {}, [], new Uint8Array(3)];

  /** Calls one thing with anything; what comes out is a result, or an error that Emscripten knows. @param {Interpreter} interpreter @param {() => any} call */
  async function survives(interpreter, call) {
    try {
      const result = call();
      if (result instanceof Promise) {
        // It may wait for ever, which is fine; what it may not is reject.
        await Promise.race([result, Promise.resolve()]);
      }
    } catch (error) {
      assert.ok(error instanceof interpreter.module.FS.ErrnoError, String(error));
      const { errno } = /** @type {any} */ (error);
      assert.ok(Number.isInteger(errno) && errno > 0);
    }
  }

  /** A descriptor of some kind. @param {Interpreter} interpreter @param {Chance} chance */
  function some(interpreter, chance) {
    const blocking = chance.random() < 0.5;
    const family = chance.choice([AF_UNIX, 2, AF_INET6]);
    return chance.choice([
      () => interpreter.connected(),
      () => interpreter.open({ blocking, family }),
      () => interpreter.open({ blocking, family, type: 2 }),
      () => interpreter.listening({ blocking }),
      () => interpreter.system.pair(chance.choice([1, 2]))[0].stream.fd,
    ])();
  }

  for (let seed = 1; seed <= 5; seed++) {
    test(`whatever is asked of a socket (chance ${seed})`, async (t) => {
      new Page(t).clock.step = 2 ** 28; // where no timer goes off by itself, and what stands does so for no time
      const chance = new Chance(seed);
      const any = () => chance.choice(GARBAGE);
      for (let round = 0; round < 150; round++) {
        const interpreter = new Interpreter({ proxy: chance.random() < 0.7 }).suspends(chance.random() < 0.5);
        const fd = some(interpreter, chance);
        const stream = interpreter.module.FS.getStream(fd);
        const { sock } = stream.node;
        const operation = chance.choice([...Object.values(sock.sock_ops), ...Object.values(stream.stream_ops)]);
        if (typeof operation !== "function") continue;
        await survives(interpreter, () => operation(chance.choice([stream, any()]), any(), any(), any()));
        await survives(interpreter, () => interpreter.module.SOCKFS.createSocket(any(), any(), any()));
        const timeout = chance.choice([-1, 0, 1, 2 ** 31 - 1]);
        await survives(interpreter, () =>
          interpreter.module.SOCKFS.pollAsync(chance.choice([0, -8, 4, NaN]), chance.integer(-2, 5), timeout),
        );
      }
    });
  }

  test("whatever is thrown inside", () => {
    const thrown = [new TypeError("a mistake"), new RangeError("another"), "text", undefined, null, { code: 5 }];
    for (const error of thrown) {
      const interpreter = new Interpreter();
      const fd = interpreter.connected();
      const raise = () => {
        throw error;
      };
      const { socket } = interpreter.calls.sock(fd);
      Object.assign(socket, { read: raise, write: raise, shutdown: raise, close: raise, connect: raise });
      interpreter.calls.fcntl(fd, F_SETFL, O_NONBLOCK);
      assert.equal(interpreter.calls.recv(fd, 1), -ERRNO.EIO);
      assert.equal(interpreter.calls.send(fd, "x"), -ERRNO.EIO);
      assert.equal(interpreter.calls.shutdown(fd, 1), -ERRNO.EIO);
      assert.equal(interpreter.calls.connect(fd, "10.0.0.1", 80), -ERRNO.EIO);
      assert.equal(interpreter.calls.close(fd), -ERRNO.EIO);

      const datagrams = interpreter.open({ type: 2, blocking: false });
      Object.assign(interpreter.calls.sock(datagrams).socket, { read: raise, write: raise, bind: raise, close: raise });
      assert.equal(interpreter.calls.recv(datagrams, 1), -ERRNO.EIO);
      assert.equal(interpreter.calls.sendto(datagrams, "x", "10.0.0.1", 80), -ERRNO.EIO);
      assert.equal(interpreter.calls.bind(datagrams, "127.0.0.1", 80), -ERRNO.EIO);
      assert.equal(interpreter.calls.close(datagrams), -ERRNO.EIO);

      const listening = interpreter.listening();
      Object.assign(interpreter.calls.sock(listening).socket, { accept: raise, resize: raise, shutdown: raise });
      assert.equal(interpreter.calls.accept(listening), -ERRNO.EIO);
      assert.equal(interpreter.calls.listen(listening, 9), -ERRNO.EIO);
      assert.equal(interpreter.calls.shutdown(listening, 0), -ERRNO.EIO);
    }
  });
});
