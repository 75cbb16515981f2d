import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UserError } from "../errors.ts";
import type { ChardevEvent, ChardevFrontend } from "./chardev.ts";
import type { ChardevBackend, ChardevOptions } from "./options.ts";
import { ByteQueue } from "./byte_queue.ts";
import { glibOrder } from "./glib_order.ts";
import { libc } from "./libc.ts";
import { MuxChardev } from "./mux.ts";
import { ChardevRegistry } from "./registry.ts";
import type { RingbufChardev } from "./simple.ts";
import type { PtyChardev } from "./fd_backends.ts";
import type { SocketChardev } from "./socket.ts";
import type { UdpChardev } from "./udp.ts";
import type { VcChardev } from "./vc.ts";
import { TelnetFilter } from "./telnet.ts";

const enc = (s: string) => new TextEncoder().encode(s);
const dec = (b: Uint8Array) => new TextDecoder().decode(b);

/** A front end that takes `space` bytes at a time and lets a test wait for text. */
class Probe implements ChardevFrontend {
  text = "";
  events: ChardevEvent[] = [];
  #waiters: (() => void)[] = [];
  constructor(public space = 1024) {}
  canReceive(): number {
    return this.space;
  }
  receive(bytes: Uint8Array): void {
    assert(bytes.length <= this.space, "more than canReceive() allows");
    this.text += String.fromCharCode(...bytes);
    this.#wake();
  }
  event(ev: ChardevEvent): void {
    this.events.push(ev);
    this.#wake();
  }
  #wake(): void {
    for (const w of this.#waiters.splice(0)) w();
  }
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((r) => this.#waiters.push(r));
  }
}

interface Fixture {
  registry: ChardevRegistry;
  out: string[];
  terminated: number;
  clock: number;
}

function fixture(): Fixture {
  const f: Fixture = {
    out: [],
    terminated: 0,
    clock: 0,
    registry: undefined as unknown as ChardevRegistry,
  };
  const print = (t: string) => void f.out.push(t);
  f.registry = new ChardevRegistry({
    host: { programName: "qemu-system-x86_64", stdout: print, stderr: print },
    mux: { terminate: () => f.terminated++, commitAll() {}, now: () => f.clock },
  });
  return f;
}

function options(id: string, backend: ChardevBackend, more: Partial<ChardevOptions> = {}) {
  return {
    ...backend,
    id,
    mux: false,
    monitor: false,
    logfile: undefined,
    logappend: false,
    loc: "",
    failureNote: undefined,
    ...more,
  } as ChardevOptions;
}

const SOCKET = {
  backend: "socket" as const,
  wait: false,
  nodelay: false,
  protocol: "raw" as const,
  reconnect: 0,
};
const unix = (path: string) => ({ type: "unix" as const, path, abstract: false, tight: true });
const inet = (host: string, port: string) => ({
  type: "inet" as const,
  host,
  port,
  to: undefined,
  ipv4: undefined,
  ipv6: undefined,
});

async function inTempDir(f: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await f(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("the output queue keeps order, grows, and refuses what is beyond its limit", () => {
  const q = new ByteQueue(1000);
  let expected = "";
  let got = "";
  for (let i = 0; i < 300; i++) {
    const piece = String(i);
    if (q.push(enc(piece))) expected += piece;
    const n = i % 5 === 0 ? Math.min(q.length, i % 13) : 0;
    got += dec(q.peek().subarray(0, n));
    q.drop(n);
    assert(q.length <= 1000);
  }
  got += dec(q.peek());
  assertEquals(got, expected);
  assertEquals(q.push(new Uint8Array(1001)), false);
  q.clear();
  assertEquals(q.push(new Uint8Array(1000)), true);
});

Deno.test("info chardev has the order QEMU 7.2 prints", () => {
  // Recorded from QEMU 7.2.22: creation order, then the order of `info chardev`.
  const created =
    "compat_monitor0 zz rb f s1 s2 s3 u p v pp m-base m mm s4 s5 s6 s7 s8 s9 u2 s10 " +
    "ser sa sb s11 serial0 parallel0";
  const printed = "f s5 sb s2 parallel0 u2 pp serial0 sa s7 v s4 mm s1 p ser m zz s9 s6 m-base u " +
    "s3 rb s11 compat_monitor0 s10 s8";
  assertEquals(glibOrder(created.split(" ")).reverse().join(" "), printed);
  assertEquals(glibOrder(["compat_monitor0", "serial0-base", "serial0", "parallel0"]).reverse(), [
    "parallel0",
    "serial0",
    "compat_monitor0",
    "serial0-base",
  ]);
});

Deno.test("file: truncated or appended to, with a log beside it", async () => {
  await inTempDir(async (dir) => {
    const path = `${dir}/f`;
    await Deno.writeTextFile(path, "old ");
    const { registry } = fixture();
    const file = { backend: "file" as const, path, append: true, inputPath: undefined };
    const chr = await registry.create(options("a", file, { logfile: `${dir}/log` }));
    chr.attach(new Probe()).write(enc("new"));
    assertEquals(registry.info(), "a: filename=file\n");
    await registry.closeAll();
    assertEquals(await Deno.readTextFile(path), "old new");
    assertEquals(await Deno.readTextFile(`${dir}/log`), "new");
    await registry.create(options("a", { ...file, append: false }));
    await registry.closeAll();
    assertEquals(await Deno.readTextFile(path), "");
    await assertRejects(
      () => registry.create(options("b", { ...file, path: dir }, { loc: "-serial file:x" })),
      UserError,
      `-serial file:x: Could not open '${dir}': Is a directory`,
    );
  });
});

Deno.test("input is held back until the front end takes it", async () => {
  const { registry } = fixture();
  const chr = await registry.create(
    options("a", { backend: "vc", cols: 10, rows: 2, width: undefined, height: undefined }),
  ) as VcChardev;
  const probe = new Probe(0);
  const port = chr.attach(probe);
  chr.key(enc("abcdef"));
  assertEquals(probe.text, "");
  probe.space = 4;
  port.acceptInput();
  assertEquals(probe.text, "abcdef");
  await registry.closeAll();
});

Deno.test("a second front end is refused, a detached one is gone", async () => {
  const { registry } = fixture();
  const chr = await registry.create(options("a", { backend: "null" }));
  const port = chr.attach(new Probe());
  await assertRejects(
    () => Promise.resolve().then(() => chr.attach(new Probe())),
    UserError,
    "Device 'a' is in use",
  );
  port.detach();
  chr.attach(new Probe()).write(enc("x"));
  await registry.closeAll();
});

Deno.test("ringbuf keeps the newest bytes", async () => {
  const { registry } = fixture();
  const ring = await registry.create(
    options("r", { backend: "ringbuf", size: 8 }),
  ) as RingbufChardev;
  const port = ring.attach(new Probe());
  port.write(enc("0123456789"));
  assertEquals(ring.count, 8);
  assertEquals(dec(ring.read(3)), "234");
  port.write(enc("ab"));
  assertEquals(dec(ring.read(100)), "56789ab");
  assertEquals(ring.read(5).length, 0);
  await registry.closeAll();
});

Deno.test("unix socket: server and client, close and reopen, info", async () => {
  await inTempDir(async (dir) => {
    const { registry } = fixture();
    const path = `${dir}/s`;
    const server = await registry.create(
      options("s", { ...SOCKET, address: unix(path), server: true }),
    ) as SocketChardev;
    const guest = new Probe(3);
    const port = server.attach(guest);
    assertEquals(server.filename, `disconnected:unix:${path},server=on`);
    port.write(enc("lost"));
    const client = await registry.create(
      options("c", { ...SOCKET, address: unix(path), server: false }),
    );
    const peer = new Probe();
    const peerPort = client.attach(peer);
    await guest.until(() => guest.events.includes("open"));
    assertEquals(server.filename, `unix:${path},server=on`);
    peerPort.write(enc("hello from outside"));
    await guest.until(() => guest.text.length === 18);
    assertEquals(guest.text, "hello from outside");
    port.write(enc("answer"));
    await peer.until(() => peer.text === "answer");
    await registry.remove("c");
    await guest.until(() => guest.events.includes("close"));
    assertEquals(server.filename, `disconnected:unix:${path},server=on`);
    const again = await Deno.connect({ transport: "unix", path });
    await guest.until(() => guest.events.filter((e) => e === "open").length === 2);
    again.close();
    await registry.closeAll();
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  });
});

Deno.test("tcp: an ephemeral port, telnet negotiation, break", async () => {
  const { registry } = fixture();
  const server = await registry.create(
    options("t", { ...SOCKET, address: inet("127.0.0.1", "0"), server: true, protocol: "telnet" }),
  );
  const m = /^disconnected:telnet:127\.0\.0\.1:([0-9]+),server=on$/.exec(server.filename);
  assert(m, server.filename);
  const guest = new Probe();
  const port = server.attach(guest);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(m[1]) });
  await guest.until(() => guest.events.includes("open"));
  const local = conn.localAddr as Deno.NetAddr;
  assertEquals(
    server.filename,
    `telnet:127.0.0.1:${m[1]},server=on <-> 127.0.0.1:${local.port}`,
  );
  const buffer = new Uint8Array(64);
  assertEquals(await conn.read(buffer), 12);
  assertEquals([...buffer.subarray(0, 12)], [255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0]);
  // WILL ECHO's answer, a break, a doubled 255 and text.
  await conn.write(Uint8Array.of(255, 253, 1, 255, 243, 255, 255, 0x41));
  await guest.until(() => guest.text.length === 2);
  assertEquals(guest.text, "\xffA");
  assert(guest.events.includes("break"));
  port.write(Uint8Array.of(0x42, 255));
  assertEquals(await conn.read(buffer), 3);
  assertEquals([...buffer.subarray(0, 3)], [0x42, 255, 255]);
  conn.close();
  await registry.closeAll();
});

Deno.test("fd=: a connected socket, and with server=on a listening one, from outside", async () => {
  const c = Deno.dlopen("libc.so.6", {
    socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    listen: { parameters: ["i32", "i32"], result: "i32" },
  });
  const AF_UNIX = 1, SOCK_STREAM = 1;
  const fds = new Int32Array(2);
  assertEquals(c.symbols.socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const { registry } = fixture();
  const fd = (n: number) => ({ type: "fd" as const, fd: String(n) });
  const chr = await registry.create(
    options("f", { ...SOCKET, address: fd(fds[0]), server: false }),
  );
  const probe = new Probe();
  const port = chr.attach(probe);
  libc().write(fds[1], enc("from outside"), 12n);
  await probe.until(() => probe.text === "from outside");
  port.write(enc("reply"));
  const buffer = new Uint8Array(16);
  assertEquals(libc().read(fds[1], buffer, 16n), 5n);
  assertEquals(dec(buffer.subarray(0, 5)), "reply");
  libc().close(fds[1]);
  await probe.until(() => probe.events.includes("close"));

  await inTempDir(async (dir) => {
    const path = `${dir}/l`;
    const address = new Uint8Array(110);
    address[0] = AF_UNIX;
    address.set(enc(path), 2);
    const listener = c.symbols.socket(AF_UNIX, SOCK_STREAM, 0);
    assertEquals(c.symbols.bind(listener, address, 110), 0);
    assertEquals(c.symbols.listen(listener, 1), 0);
    const server = await registry.create(
      options("l", { ...SOCKET, address: fd(listener), server: true }),
    );
    const guest = new Probe();
    server.attach(guest);
    const conn = await Deno.connect({ transport: "unix", path });
    await conn.write(enc("hello"));
    await guest.until(() => guest.text === "hello");
    conn.close();
    await guest.until(() => guest.events.includes("close"));
    await registry.closeAll();
    libc().close(listener);
  });
  c.close();
});

Deno.test("telnet subnegotiations are swallowed across reads", () => {
  const t = new TelnetFilter(() => {});
  assertEquals(dec(t.decode(Uint8Array.of(0x61, 255, 250, 31, 0))), "a");
  assertEquals(dec(t.decode(Uint8Array.of(80, 255))), "");
  assertEquals(dec(t.decode(Uint8Array.of(240, 0x62))), "b");
});

Deno.test("socket errors have QEMU's words", async () => {
  await inTempDir(async (dir) => {
    const { registry, out } = fixture();
    const refuse = async (backend: ChardevBackend, message: string) => {
      const e = await assertRejects(
        () => registry.create(options("e", backend, { loc: "-chardev x" })),
        UserError,
      );
      assertEquals(e.message, `-chardev x: ${message}`);
    };
    const none = `${dir}/none`;
    await refuse(
      { ...SOCKET, address: unix(none), server: false },
      `Failed to connect to '${none}': No such file or directory`,
    );
    await refuse(
      { ...SOCKET, address: unix(`${dir}/no/s`), server: true },
      `Failed to bind socket to ${dir}/no/s: No such file or directory`,
    );
    await refuse(
      { ...SOCKET, address: inet("127.0.0.1", "1"), server: false },
      "Failed to connect to '127.0.0.1:1': Connection refused",
    );
    await refuse(
      { ...SOCKET, address: { type: "fd", fd: "1023" }, server: false },
      "File descriptor '1023' is not a socket",
    );
    const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await refuse(
      { ...SOCKET, address: inet("127.0.0.1", String(taken.addr.port)), server: true },
      "Failed to find an available port: Address already in use",
    );
    taken.close();
    assertEquals(out, []);
    const note = "could not connect serial device to character backend 'x'";
    const e = await assertRejects(() =>
      registry.create(
        options("e", { ...SOCKET, address: unix(none), server: false }, {
          loc: "-serial x",
          failureNote: note,
        }),
      ), UserError);
    assertEquals(e.message, `-serial x: ${note}`);
    assertStringIncludes(out[0], `-serial x: Failed to connect to '${none}'`);
  });
});

Deno.test("wait=on tells and returns when a client is there; reconnect= tries again", async () => {
  await inTempDir(async (dir) => {
    const { registry, out } = fixture();
    const path = `${dir}/s`;
    const making = registry.create(
      options("w", { ...SOCKET, address: unix(path), server: true, wait: true }, {
        loc: "-serial unix:s,server",
      }),
    );
    while (out.length === 0) await new Promise((r) => setTimeout(r, 1));
    assertEquals(
      out[0],
      "qemu-system-x86_64: -serial unix:s,server: info: QEMU waiting for connection on: " +
        `disconnected:unix:${path},server=on\n`,
    );
    const conn = await Deno.connect({ transport: "unix", path });
    assertEquals((await making).filename, `unix:${path},server=on`);
    conn.close();
    const late = `${dir}/late`;
    const client = await registry.create(
      options("l", { ...SOCKET, address: unix(late), server: false, reconnect: 0.01 }),
    );
    const probe = new Probe();
    client.attach(probe);
    while (out.length === 1) await new Promise((r) => setTimeout(r, 1));
    assertStringIncludes(out[1], "Unable to connect character device l: Failed to connect to");
    const listener = Deno.listen({ transport: "unix", path: late });
    const accepted = await listener.accept();
    await probe.until(() => probe.events.includes("open"));
    assertEquals(out.length, 2, "one complaint only");
    accepted.close();
    listener.close();
    await registry.closeAll();
  });
});

Deno.test("udp: datagrams both ways", async () => {
  const { registry } = fixture();
  const make = (id: string, port: number, localport: number) =>
    registry.create(options(id, {
      backend: "udp",
      remote: { host: "127.0.0.1", port: String(port) },
      local: { host: "127.0.0.1", port: String(localport) },
      ipv4: undefined,
      ipv6: undefined,
    })) as Promise<UdpChardev>;
  const a = await make("a", 9, 0);
  const b = await make("b", a.localPort, 0);
  const probe = new Probe();
  a.attach(probe);
  b.attach(new Probe()).write(enc("datagram"));
  await probe.until(() => probe.text === "datagram");
  assertEquals(a.filename, "udp");
  await registry.closeAll();
});

Deno.test("pipe: a pair of FIFOs", async () => {
  await inTempDir(async (dir) => {
    const made = await new Deno.Command("mkfifo", { args: [`${dir}/p.in`, `${dir}/p.out`] })
      .output();
    assert(made.success);
    const { registry } = fixture();
    const chr = await registry.create(options("p", { backend: "pipe", path: `${dir}/p` }));
    const probe = new Probe();
    const port = chr.attach(probe);
    using toGuest = await Deno.open(`${dir}/p.in`, { write: true });
    using fromGuest = await Deno.open(`${dir}/p.out`);
    toGuest.writeSync(enc("in"));
    await probe.until(() => probe.text === "in");
    port.write(enc("out"));
    const buffer = new Uint8Array(8);
    const n = await fromGuest.read(buffer);
    assertEquals(dec(buffer.subarray(0, n!)), "out");
    await registry.closeAll();
    await assertRejects(
      () => registry.create(options("p", { backend: "pipe", path: `${dir}/q` }, { loc: "-x" })),
      UserError,
      `-x: Could not open '${dir}/q': No such file or directory`,
    );
  });
});

Deno.test("pty: tells its name and carries bytes raw", async () => {
  const { registry, out } = fixture();
  const pty = await registry.create(options("serial0", { backend: "pty" })) as PtyChardev;
  assertEquals(out, [`char device redirected to ${pty.path} (label serial0)\n`]);
  assertEquals(registry.info(), `serial0: filename=pty:${pty.path}\n`);
  const probe = new Probe();
  const port = pty.attach(probe);
  port.write(enc("nobody listens"));
  {
    using user = await Deno.open(pty.path, { read: true, write: true });
    user.writeSync(enc("\x03\r"));
    await probe.until(() => probe.text === "\x03\r");
    assert(probe.events.includes("open"));
    port.write(enc("a\nb"));
    const buffer = new Uint8Array(16);
    const n = await user.read(buffer);
    assertEquals(dec(buffer.subarray(0, n!)), "a\nb");
  }
  await probe.until(() => probe.events.includes("close"));
  await registry.closeAll();
});

Deno.test("mux: focus, escape commands, timestamps", async () => {
  const f = fixture();
  const ring = { backend: "ringbuf" as const, size: 4096 };
  const mux = await f.registry.create(options("m", ring, { mux: true })) as MuxChardev;
  const base = f.registry.get("m-base") as RingbufChardev;
  assertEquals(mux.filename, "mux");
  const monitor = new Probe();
  const serial = new Probe();
  mux.attach(monitor);
  const port = mux.attach(serial);
  assertEquals(monitor.events.at(-1), "mux-out");
  assertEquals(serial.events.at(-1), "mux-in");
  await Promise.resolve(); // input begins a turn after the first front end
  // The ring buffer has no input of its own: a test types through the multiplexer's base port.
  const type = (text: string) =>
    (base as unknown as { input(b: Uint8Array): void }).input(enc(text));
  type("a\x01\x01b\x01cxyz\x01bq");
  assertEquals([serial.text, monitor.text], ["a\x01b", "xyzq"]);
  assert(monitor.events.includes("break"));
  type("\x01h");
  // Recorded from QEMU 7.2.22.
  assertEquals(
    dec(base.read(4096)),
    "\n\rC-a h    print this help\n\rC-a x    exit emulator\n\r" +
      "C-a s    save disk data back to file (if -snapshot)\n\r" +
      "C-a t    toggle console timestamps\n\rC-a b    send break (magic sysrq)\n\r" +
      "C-a c    switch between console and monitor\n\rC-a C-a  sends C-a\n\r",
  );
  type("\x01t");
  port.write(enc("one\n"));
  f.clock = 61_005;
  port.write(enc("two\nth"));
  f.clock = 61_500;
  port.write(enc("ree\n."));
  assertEquals(
    dec(base.read(4096)),
    "one\n[00:00:00.000] two\n[00:00:00.000] three\n[00:00:00.495] .",
  );
  type("\x01t\x01x");
  assertEquals(dec(base.read(4096)), "QEMU: Terminated\n\r");
  assertEquals(f.terminated, 1);
  await f.registry.closeAll();
});

Deno.test("mux holds early input until a starting machine has all its front ends", async () => {
  const { registry } = fixture();
  const mux = await registry.create(
    options("m", { backend: "ringbuf", size: 16 }, { mux: true }),
  ) as MuxChardev;
  const base = registry.get("m-base")!, serial = new Probe(), monitor = new Probe();
  (base as unknown as { input(b: Uint8Array): void }).input(enc("a\x01cb"));
  const port = mux.attach(serial);
  port.acceptInput();
  mux.attachFirst(monitor);
  assertEquals([serial.text, monitor.text], ["", ""]);
  assert(!monitor.events.includes("mux-in"), "what comes first does not take the focus");
  await Promise.resolve();
  assertEquals([serial.text, monitor.text], ["a", "b"]);
  await registry.closeAll();
});

Deno.test("mux keeps input for a front end that is not ready", async () => {
  const { registry } = fixture();
  const mux = await registry.create(
    options("m", { backend: "ringbuf", size: 16 }, { mux: true }),
  ) as MuxChardev;
  const base = registry.get("m-base")!;
  const probe = new Probe(0);
  const port = mux.attach(probe);
  await Promise.resolve();
  const text = "0123456789".repeat(5);
  (base as unknown as { input(b: Uint8Array): void }).input(enc(text));
  assertEquals(probe.text, "");
  probe.space = 1;
  port.acceptInput();
  assertEquals(probe.text, text);
  await registry.closeAll();
});

Deno.test("vc: text, colours, cursor addressing, scrolling, reports", async () => {
  const { registry } = fixture();
  const vc = await registry.create(
    options("v", { backend: "vc", cols: 10, rows: 3, width: undefined, height: undefined }),
  ) as VcChardev;
  const probe = new Probe();
  const port = vc.attach(probe);
  port.write(enc("ab\r\n\x1b[1;31mred\x1b[0m\tt"));
  assertEquals(vc.lines(), ["ab", "red     t", ""]);
  const screen = vc.text();
  assertEquals(screen.attrs[10], 0x0c);
  assertEquals(screen.attrs[18], 0x07);
  assertEquals(screen.cursor, { row: 1, column: 9 });
  port.write(enc("\x1b[6n"));
  assertEquals(probe.text, "\x1b[2;10R");
  port.write(enc("\x1b[2;2H\x1b[K\x1b[3;1Hlong line wraps"));
  assertEquals(vc.lines(1), ["ab", "r", "long line", "wraps"]);
  port.write(enc("\x1b[2J\x1b[H\x1b[99;99Hx\x1b[?25l"));
  assertEquals(vc.lines(), ["", "", "         x"]);
  assertEquals(vc.text().cursor, undefined);
  await registry.closeAll();
});

Deno.test("an id is taken once, and removed devices free it", async () => {
  const { registry } = fixture();
  await registry.create(options("a", { backend: "null" }));
  await assertRejects(
    () => registry.create(options("a", { backend: "null" })),
    UserError,
    "Chardev with id 'a' already exists",
  );
  await registry.remove("a");
  await registry.create(options("a", { backend: "null" }));
  await assertRejects(() => registry.remove("b"), UserError, "Chardev 'b' not found");
  await registry.closeAll();
});
