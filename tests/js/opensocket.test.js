import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { SocketError } from "../../js/errors.js";
import { Listener } from "../../js/listener.js";
import { ERRNO } from "./emscripten.js";
import { Interpreter, O_NONBLOCK, isSettled } from "./interpreter.js";
import { HOST, PAGE, hear } from "./line.js";
import { Page } from "./page.js";

const [AF_UNIX, AF_INET, AF_INET6] = [1, 2, 10];
const [SOCK_STREAM, SOCK_DGRAM] = [1, 2];
const F_SETFL = 4;
const FIONREAD = 0x541b;
const [POLLIN, POLLOUT, POLLHUP] = [1, 4, 16];
const S_IFSOCK = 0o140000;

const alone = () => new Interpreter({ proxy: false });
const codes = (/** @type {Interpreter} */ { line }) => line.said().map(({ type }) => type);

suite("listening", () => {
  test("is asked of the proxy, and what comes in can be accepted", () => {
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    const fd = calls.socket();
    assert.equal(calls.bind(fd, "127.0.0.1", 8080), 0);
    assert.equal(calls.listen(fd, 5), 0);
    assert.deepEqual(interpreter.line.said(), [
      { type: "open", datagram: 0, family: 4 },
      { type: "bind", target: 1, host: "127.0.0.1", port: 8080 },
      { type: "listen", target: 1, backlog: 6 },
    ]);
    const [bind, listen] = interpreter.line.questions;
    bind(null, { type: "bound", socket: 0, local: PAGE });
    listen(null, { type: "bound", socket: 0, local: PAGE });
    assert.deepEqual([calls.sock(fd).saddr, calls.sock(fd).sport], [PAGE.host, PAGE.port]);
    interpreter.come(fd, 2);
    const accepted = calls.accept(fd);
    const sock = calls.sock(accepted);
    assert.deepEqual([sock.family, sock.type, sock.daddr, sock.dport], [AF_INET, SOCK_STREAM, HOST.host, HOST.port]);
    assert.deepEqual([sock.saddr, sock.blocking], [PAGE.host, true]);
    interpreter.arrive(accepted, "hello");
    assert.equal(calls.recv(accepted, 10), 5);
  });

  test("that the proxy refuses is an error of the next call, and of SO_ERROR", () => {
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    const fd = calls.socket();
    calls.bind(fd, "127.0.0.1", 80);
    interpreter.line.questions[0](new SocketError("EACCES", "not here"), null);
    assert.equal(calls.error(fd), ERRNO.EACCES);
    assert.equal(calls.error(fd), 0);
  });

  test("twice changes the backlog, though the first was not answered yet", () => {
    const interpreter = new Interpreter();
    const { calls, line } = interpreter;
    const fd = calls.socket();
    for (const backlog of [1, 5]) assert.equal(calls.listen(fd, backlog), 0);
    assert.deepEqual(codes(interpreter), ["open", "listen"]);
    line.questions[0](null, { type: "bound", socket: 0, local: PAGE });
    assert.deepEqual(line.said(), [{ type: "listen", target: 1, backlog: 6 }]);
    assert.equal(line.sockets.get(1), calls.sock(fd).socket);
    interpreter.come(fd, 2);
    assert.ok(calls.accept(fd) >= 0);
  });

  test("that is not answered yet is waiting for connections already", () => {
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    const fd = interpreter.open({ blocking: false });
    calls.listen(fd, 5);
    assert.equal(calls.poll([{ fd, events: POLLIN | POLLOUT }], 0), 0);
    assert.equal(calls.accept(fd), -ERRNO.EAGAIN);
    interpreter.line.questions[0](new SocketError("EACCES"), null);
    assert.equal(calls.accept(fd), -ERRNO.EINVAL);
    calls.poll([{ fd, events: POLLIN }], 0);
    assert.equal(calls.revents(1)[0] & POLLHUP, POLLHUP);
  });

  test("that is answered behind close leaves nothing", () => {
    const interpreter = new Interpreter();
    const { calls, line } = interpreter;
    const fd = calls.socket();
    calls.listen(fd, 5);
    calls.close(fd);
    line.questions[0](null, { type: "bound", socket: 0, local: PAGE });
    assert.deepEqual([line.sockets.size, interpreter.system.sockets], [0, []]);
  });

  test("is for streams that are not connected", () => {
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    assert.equal(calls.listen(calls.socket(AF_INET, SOCK_DGRAM), 5), 0);
    for (const [fd, code] of /** @type {[number, number][]} */ ([
      [calls.socket(AF_INET, SOCK_DGRAM), ERRNO.EOPNOTSUPP],
      [interpreter.connected(), ERRNO.EINVAL],
    ])) {
      calls.listen(fd, 5);
      assert.equal(calls.error(fd), code);
    }
  });

  test("makes a socket that does nothing else", () => {
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    const fd = interpreter.listening();
    assert.equal(calls.recv(fd, 10), -ERRNO.ENOTCONN);
    assert.equal(calls.send(fd, "x"), -ERRNO.EPIPE);
    assert.equal(calls.connect(fd, "10.0.0.1", 80), -ERRNO.EISCONN);
    assert.equal(calls.ioctl(fd, FIONREAD), -ERRNO.EINVAL);
  });
});

suite("accepting", () => {
  test("what did not come gives EAGAIN, or says that it cannot wait", () => {
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    assert.equal(calls.accept(interpreter.listening({ blocking: false })), -ERRNO.EAGAIN);
    assert.equal(calls.accept(interpreter.listening()), -ERRNO.EDEADLK);
  });

  test("is refused by what does not listen, and by what listens no more", () => {
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    assert.equal(calls.accept(calls.socket()), -ERRNO.EINVAL);
    assert.equal(calls.accept(interpreter.connected()), -ERRNO.EINVAL);
    assert.equal(calls.accept(calls.socket(AF_INET, SOCK_DGRAM)), -ERRNO.EOPNOTSUPP);
    const fd = interpreter.listening();
    assert.equal(calls.shutdown(fd, 0), 0);
    assert.equal(calls.accept(fd), -ERRNO.EINVAL);
    assert.equal(calls.shutdown(fd, 0), -ERRNO.ENOTCONN);
  });

  test("where no descriptor is left goes on waiting", () => {
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    const fd = interpreter.listening();
    interpreter.come(fd, 2);
    let last = -1;
    for (let next; (next = calls.socket()) >= 0;) last = next;
    assert.equal(calls.accept(fd), -ERRNO.EMFILE);
    assert.equal(interpreter.module.FS.nodes.size, interpreter.system.sockets.length);
    calls.close(last);
    assert.equal(calls.accept(fd), last);
  });

  test("gives descriptors that outlive the listener's, whose close resets the others", () => {
    const interpreter = new Interpreter();
    const { calls, line } = interpreter;
    const fd = interpreter.listening();
    for (const id of [2, 4]) interpreter.come(fd, id);
    const accepted = calls.accept(fd);
    line.said();
    calls.close(fd);
    assert.deepEqual(codes(interpreter), ["close", "reset"]);
    assert.equal(calls.send(accepted, "x"), 1);
  });

  test("makes poll tell of it", async (t) => {
    new Page(t);
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    const fd = interpreter.listening();
    const waiting = calls.poll([{ fd, events: POLLIN }], -1);
    assert.equal(await isSettled(waiting), false);
    interpreter.come(fd, 2);
    assert.equal(await waiting, -ERRNO.EINTR);
    calls.poll([{ fd, events: POLLIN | POLLOUT }], 0);
    assert.deepEqual(calls.revents(1), [POLLIN]);
  });
});

suite("datagrams", () => {
  const opened = (/** @type {object} */ options = {}) => {
    const interpreter = new Interpreter();
    const fd = interpreter.open({ type: SOCK_DGRAM, ...options });
    return { interpreter, calls: interpreter.calls, line: interpreter.line, fd };
  };

  test("go where they are sent, and come with where they are from", () => {
    const { interpreter, calls, line, fd } = opened();
    assert.equal(calls.sendto(fd, "question", "10.0.0.1", 53), 8);
    assert.deepEqual(line.said().at(-1), {
      type: "datagram",
      address: { family: 4, host: "10.0.0.1", port: 53 },
      data: new TextEncoder().encode("question"),
    });
    interpreter.hear(fd, "answer");
    assert.deepEqual(calls.recvfrom(fd), [HOST.host, HOST.port, "answer"]);
  });

  test("to an address that stands for a name go nowhere: it must be looked up first", () => {
    const { interpreter, calls, fd } = opened();
    const address = interpreter.module.DNS.lookup_name("host.example");
    assert.equal(calls.sendto(fd, "x", interpreter.module.DNS.lookup_addr(address), 53), -ERRNO.EHOSTUNREACH);
  });

  test("need an address, and room", () => {
    const { calls, fd } = opened();
    assert.equal(calls.send(fd, "x"), -ERRNO.EDESTADDRREQ);
    assert.equal(calls.sendto(fd, "x".repeat(60_000), "10.0.0.1", 53), 60_000);
    assert.equal(calls.sendto(fd, "x", "255.255.255.255", 53), -ERRNO.EACCES);
  });

  test("a socket that has a peer is connected when the proxy says so", async () => {
    for (const [answer, number] of /** @type {[any[], number][]} */ ([
      [[null, { type: "associated", socket: 0, local: PAGE, peer: HOST }], 0],
      [[new SocketError("EACCES"), null], ERRNO.EACCES],
    ])) {
      const { calls, line, fd } = opened();
      const connecting = calls.connect(fd, HOST.host, HOST.port);
      assert.equal(await isSettled(connecting), false);
      line.questions[0](.../** @type {[any, any]} */ (answer));
      assert.equal(Math.abs(await connecting), number);
      assert.equal(calls.send(fd, "x"), number ? -ERRNO.EDESTADDRREQ : 1);
    }
  });

  test("are told by FIONREAD one by one", () => {
    const { interpreter, calls, fd } = opened();
    assert.equal(calls.ioctl(fd, FIONREAD), 0);
    for (const text of ["abc", "defgh"]) interpreter.hear(fd, text);
    assert.equal(calls.ioctl(fd, FIONREAD), 3);
    calls.recv(fd, 1);
    assert.equal(calls.ioctl(fd, FIONREAD), 5);
  });

  test("are waited for where that is possible", async () => {
    const { interpreter, calls, fd } = opened();
    const waiting = calls.recv(fd, 10);
    assert.equal(await isSettled(waiting), false);
    interpreter.hear(fd, "x");
    assert.equal(await waiting, -ERRNO.EINTR);
    assert.equal(calls.recv(fd, 10), 1);
    const other = opened();
    other.interpreter.suspends(false);
    assert.equal(other.calls.recv(other.fd, 10), -ERRNO.EDEADLK);
  });

  test("that may not wait give EAGAIN", () => {
    const { calls, fd } = opened({ blocking: false });
    assert.equal(calls.recv(fd, 10), -ERRNO.EAGAIN);
  });

  test("are at their end when the reading side was shut down, for who waits", () => {
    for (const [blocking, result] of /** @type {[boolean, number][]} */ ([
      [true, 0],
      [false, -ERRNO.EAGAIN],
    ])) {
      const { interpreter, calls, fd } = opened({ blocking });
      interpreter.hear(fd, "last");
      assert.equal(calls.shutdown(fd, 2), -ERRNO.ENOTCONN);
      assert.deepEqual([calls.recv(fd, 10), calls.recv(fd, 10)], [4, result]);
    }
  });

  test("have errors that are told once", async () => {
    const { calls, fd } = opened();
    calls.sendto(fd, "x", "10.0.0.1", 53);
    hear(calls.sock(fd).socket, "fault", { code: "ECONNREFUSED", message: "" });
    assert.equal(calls.recv(fd, 10), -ERRNO.ECONNREFUSED);
    assert.equal(await isSettled(calls.recv(fd, 10)), false);
  });
});

suite("within the page", () => {
  test("sockets of AF_UNIX need no proxy, those of others do where there is one", () => {
    const interpreter = new Interpreter();
    assert.equal(interpreter.system.networkFor(AF_UNIX), interpreter.system.local);
    assert.equal(interpreter.system.networkFor(AF_INET), interpreter.line);
    assert.equal(alone().system.networkFor(AF_INET6) instanceof Object, true);
    const other = alone();
    assert.equal(other.system.networkFor(AF_INET6), other.system.local);
  });

  test("clients and servers meet on loopback without a proxy", () => {
    const interpreter = alone().suspends(false);
    const { calls } = interpreter;
    for (const [family, host] of /** @type {[number, string][]} */ ([
      [AF_INET, "127.0.0.1"],
      [AF_INET6, "::1"],
    ])) {
      const [server, client] = [calls.socket(family), calls.socket(family)];
      calls.bind(server, host, 8080);
      calls.listen(server, 5);
      assert.ok(calls.sock(server).socket instanceof Listener);
      assert.equal(calls.connect(client, host, 8080), 0); // at once, though nothing can be suspended
      const accepted = calls.accept(server);
      calls.send(client, "hello");
      assert.equal(calls.recv(accepted, 10), 5);
      assert.equal(calls.connect(calls.socket(family), host, 8081), -ERRNO.ECONNREFUSED);
      assert.equal(calls.connect(calls.socket(family, SOCK_STREAM | O_NONBLOCK), host, 8080), -ERRNO.EINPROGRESS);
    }
  });

  test("a client waits for a place in the queue, or says that it cannot", async () => {
    const interpreter = alone();
    const { calls } = interpreter;
    const server = calls.socket();
    calls.bind(server, "127.0.0.1", 8080);
    calls.listen(server, 0);
    await calls.connect(calls.socket(), "127.0.0.1", 8080);
    const client = calls.socket();
    const waiting = calls.connect(client, "127.0.0.1", 8080);
    assert.equal(await isSettled(waiting), false);
    calls.accept(server);
    assert.equal(Math.abs(await waiting), 0);
    interpreter.suspends(false);
    assert.equal(calls.connect(calls.socket(), "127.0.0.1", 8080), -ERRNO.EDEADLK);
  });

  test("paths are files of a kind of their own, which stay", () => {
    const interpreter = new Interpreter();
    const { calls } = interpreter;
    const { files } = interpreter.module.FS;
    const fd = calls.socket(AF_UNIX);
    assert.equal(calls.bind(fd, "/tmp/server", 0), 0);
    assert.equal(files.get("/tmp/server").mode, S_IFSOCK | 0o755);
    assert.deepEqual([calls.sock(fd).saddr, calls.sock(fd).sport], ["/tmp/server", 0]);
    calls.listen(fd, 5);
    const client = calls.socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK);
    assert.equal(calls.connect(client, "/tmp/server", 0), 0);
    assert.equal(calls.sock(client).daddr, "/tmp/server");
    calls.close(fd);
    assert.ok(files.has("/tmp/server"));
    const next = calls.socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK);
    assert.equal(calls.connect(next, "/tmp/server", 0), -ERRNO.ECONNREFUSED);
  });

  for (const [what, path, number] of /** @type {[string, string, number][]} */ ([
    ["a file", "/tmp/file", ERRNO.EADDRINUSE],
    ["another socket", "/tmp/socket", ERRNO.EADDRINUSE],
    ["a folder that is not there", "/nowhere/at/all", ERRNO.ENOENT],
  ])) {
    test(`a path where ${what} is cannot be taken`, () => {
      const { calls, module } = new Interpreter();
      module.FS.create("/tmp/file", 0o644);
      calls.bind(calls.socket(AF_UNIX), "/tmp/socket", 0);
      const fd = calls.socket(AF_UNIX);
      calls.bind(fd, path, 0);
      assert.equal(calls.error(fd), number);
    });
  }

  for (const [what, path, number] of /** @type {[string, string, number][]} */ ([
    ["nothing", "/tmp/nothing", ERRNO.ENOENT],
    ["a file", "/tmp/file", ERRNO.ECONNREFUSED],
    ["who does not listen", "/tmp/deaf", ERRNO.ECONNREFUSED],
    ["who hears datagrams", "/tmp/datagrams", ERRNO.EPROTOTYPE],
  ])) {
    test(`a path of ${what} cannot be connected to`, () => {
      const { calls, module } = new Interpreter();
      module.FS.create("/tmp/file", 0o644);
      calls.bind(calls.socket(AF_UNIX), "/tmp/deaf", 0);
      calls.bind(calls.socket(AF_UNIX, SOCK_DGRAM), "/tmp/datagrams", 0);
      assert.equal(calls.connect(calls.socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK), path, 0), -number);
    });
  }

  test("an error of the file system that has no name here is one all the same", () => {
    const { calls, module } = new Interpreter();
    for (const error of [new module.FS.ErrnoError(9999), new TypeError("a mistake"), "text", null]) {
      module.FS.create = () => {
        throw error;
      };
      const fd = calls.socket(AF_UNIX);
      calls.bind(fd, "/tmp/x", 0);
      assert.equal(calls.error(fd), ERRNO.EIO);
    }
  });

  test("a full queue at a path is no reason to wait for who may not", () => {
    const { calls } = new Interpreter();
    const server = calls.socket(AF_UNIX);
    calls.bind(server, "/tmp/server", 0);
    calls.listen(server, 0);
    const [one, other] = [0, 1].map(() => calls.socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK));
    calls.connect(one, "/tmp/server", 0);
    assert.equal(calls.connect(other, "/tmp/server", 0), -ERRNO.EAGAIN);
    assert.equal(calls.error(other), 0);
    calls.accept(server);
    calls.connect(other, "/tmp/server", 0);
    assert.equal(calls.sock(other).socket.state, "established");
  });
});

suite("pairs", () => {
  test("are two descriptors of sockets that are connected to each other", () => {
    const { calls, system } = new Interpreter();
    for (const type of [SOCK_STREAM, SOCK_DGRAM]) {
      const [one, other] = system.pair(type).map(({ stream }) => stream.fd);
      assert.deepEqual([calls.sock(one).family, calls.sock(one).type], [AF_UNIX, type]);
      calls.send(one, "abc");
      assert.equal(calls.ioctl(other, FIONREAD), 3);
      assert.equal(calls.recv(other, 10), 3);
    }
  });

  test("of other kinds there are none", () => {
    const { system } = new Interpreter();
    for (const type of [0, 3, 5, SOCK_STREAM | O_NONBLOCK]) {
      assert.throws(() => system.pair(type), { errno: ERRNO.ESOCKTNOSUPPORT });
    }
  });

  test("for which there is one descriptor, or none, leave nothing behind", () => {
    for (const free of [0, 1]) {
      const { calls, system, module } = new Interpreter();
      while (calls.socket() >= 0);
      if (free) calls.close(0);
      const before = system.sockets.length;
      assert.throws(() => system.pair(SOCK_STREAM), { errno: ERRNO.EMFILE });
      assert.deepEqual([system.sockets.length, module.FS.nodes.size], [before, before]);
      assert.equal(calls.socket() >= 0, free === 1);
    }
  });

  test("hang up together", async (t) => {
    new Page(t);
    const { calls, system } = new Interpreter();
    const [one, other] = system.pair(SOCK_STREAM).map(({ stream }) => stream.fd);
    const waiting = calls.recv(one, 10);
    calls.close(other);
    assert.equal(await waiting, -ERRNO.EINTR);
    assert.equal(calls.recv(one, 10), 0);
    calls.poll([{ fd: one, events: POLLIN | POLLOUT }], 0);
    assert.equal(calls.revents(1)[0] & POLLHUP, POLLHUP);
    assert.equal(calls.send(one, "x"), -ERRNO.EPIPE);
  });

  test("hold back a writer, who waits for its reader", async () => {
    const { calls, system } = new Interpreter();
    const [one, other] = system.pair(SOCK_DGRAM);
    const { fd } = one.stream;
    calls.fcntl(fd, F_SETFL, O_NONBLOCK);
    while (calls.send(fd, "x") === 1);
    calls.fcntl(fd, F_SETFL, 0);
    const waiting = calls.send(fd, "y");
    assert.equal(await isSettled(waiting), false);
    calls.recv(other.stream.fd, 10);
    assert.equal(await waiting, -ERRNO.EINTR);
    assert.equal(calls.send(fd, "y"), 1);
  });
});
