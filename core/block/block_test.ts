import { assert, assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../errors.ts";
import { type BlockBackend, BlockError, type Drive } from "./block.ts";
import { probeFormat } from "./format.ts";
import { BlockGraph, type DriveSpec } from "./graph.ts";
import { humanSize } from "./info.ts";
import { driveIo } from "./io.ts";
import { MemoryBackend } from "./memory.ts";
import { openImage, probeWarning } from "./open.ts";
import { RawFile } from "./raw.ts";
import { SnapshotOverlay } from "./snapshot.ts";

function withDir(f: (dir: string) => void): void {
  const dir = Deno.makeTempDirSync();
  try {
    f(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function sectors(...values: number[]): Uint8Array {
  const b = new Uint8Array(values.length * 512);
  values.forEach((v, i) => b.fill(v, i * 512, (i + 1) * 512));
  return b;
}

const silent = { warn: () => {} };

Deno.test("raw files: size rounds up, padding reads as zeros, writes reach the file", () => {
  withDir((dir) => {
    const path = `${dir}/a`;
    Deno.writeFileSync(path, new Uint8Array(700).fill(7));
    const raw = new RawFile(path);
    assertEquals(raw.size, 1024);
    const got = new Uint8Array(1024).fill(1);
    raw.read(0, got);
    assertEquals(got.findIndex((b) => b !== 7), 700);
    assert(got.subarray(700).every((b) => b === 0));
    raw.write(512, sectors(9));
    raw.flush();
    raw.close();
    assertEquals(Deno.readFileSync(path).subarray(512), sectors(9));
  });
});

Deno.test("raw files: no growth, no access beyond the end, read-only is kept", () => {
  withDir((dir) => {
    const path = `${dir}/a`;
    Deno.writeFileSync(path, sectors(1, 2));
    const raw = new RawFile(path, { readonly: true });
    assertEquals(assertThrows(() => raw.read(1024, new Uint8Array(1)), BlockError).code, "EIO");
    assertEquals(assertThrows(() => raw.write(0, sectors(3)), BlockError).code, "EROFS");
    raw.close();
    const rw = new RawFile(path);
    assertEquals(assertThrows(() => rw.write(512, sectors(3, 4)), BlockError).code, "EIO");
    rw.close();
    assertEquals(Deno.statSync(path).size, 1024);
  });
});

Deno.test("open errors use QEMU's words", () => {
  withDir((dir) => {
    const cases: [string, string | undefined, string][] = [
      [`${dir}/no`, undefined, `Could not open '${dir}/no': No such file or directory`],
      [dir, undefined, `'file' driver requires '${dir}' to be a regular file`],
      ["foo:bar", undefined, "Unknown protocol 'foo'"],
      [`${dir}/x`, "nonsense", "Unknown driver 'nonsense'"],
    ];
    for (const [name, format, message] of cases) {
      assertEquals(assertThrows(() => openImage(name, { format }), UserError).message, message);
    }
    Deno.writeFileSync(`${dir}/raw`, sectors(0));
    assertEquals(
      assertThrows(() => openImage(`${dir}/raw`, { format: "qcow2" }), UserError).message,
      "Image is not in qcow2 format",
    );
  });
});

Deno.test("probing: foreign formats are refused, raw is warned about when writable", () => {
  withDir((dir) => {
    const qcow2 = sectors(0);
    qcow2.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]);
    Deno.writeFileSync(`${dir}/q`, qcow2);
    assertThrows(() => openImage(`${dir}/q`), UserError, "'qcow2' is not supported");
    const warnings: string[] = [];
    const warn = (t: string) => warnings.push(t);
    Deno.writeFileSync(`${dir}/r`, sectors(0));
    openImage(`file:${dir}/r`, { warn }).close();
    openImage(`${dir}/r`, { warn, readonly: true }).close();
    openImage(`${dir}/r`, { warn, format: "raw" }).close();
    assertEquals(warnings, [probeWarning(`${dir}/r`)]);
    assert(warnings[0].includes("Image format was not specified for '" + dir + "/r' and probing"));
  });
});

Deno.test("a probed raw image can't be given another format's header", () => {
  withDir((dir) => {
    Deno.writeFileSync(`${dir}/r`, sectors(0, 0));
    const probed = openImage(`${dir}/r`, silent);
    const bad = sectors(0);
    bad.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]);
    assertThrows(() => probed.write(0, bad), BlockError, "Operation not permitted");
    probed.write(512, bad);
    probed.write(0, sectors(5));
    probed.close();
    const explicit = openImage(`${dir}/r`, { format: "raw" });
    explicit.write(0, bad);
    explicit.close();
  });
});

Deno.test("probeFormat knows the magic numbers of other formats", () => {
  const at = (offset: number, bytes: number[]) => {
    const b = new Uint8Array(512);
    b.set(bytes, offset);
    return b;
  };
  const text = (t: string) => at(0, [...t].map((c) => c.charCodeAt(0)));
  assertEquals(probeFormat(at(64, [0x7f, 0x10, 0xda, 0xbe])), "vdi");
  assertEquals(probeFormat(text("KDMV")), "vmdk");
  assertEquals(probeFormat(text("# Disk DescriptorFile\nversion=1\n")), "vmdk");
  assertEquals(probeFormat(text("# a shell script\necho\n")), "raw");
  assertEquals(probeFormat(text("vhdxfile")), "vhdx");
  assertEquals(probeFormat(text("conectix")), "vpc");
  assertEquals(probeFormat(new Uint8Array(0)), "raw");
});

Deno.test("snapshot: the base file never changes, parts of clusters are merged", () => {
  withDir((dir) => {
    const base = new Uint8Array(64 * 1024).map((_, i) => i * 31 >> 3);
    Deno.writeFileSync(`${dir}/b`, base);
    const overlay = openImage(`${dir}/b`, { ...silent, snapshot: true });
    const model = base.slice();
    let seed = 12345;
    const random = (n: number) => (seed = (seed * 1103515245 + 12345) >>> 0) % n;
    for (let i = 0; i < 100; i++) {
      const at = random(127) * 512;
      const data = new Uint8Array(Math.min((1 + random(40)) * 512, model.length - at)).fill(i);
      overlay.write(at, data);
      model.set(data, at);
    }
    const got = new Uint8Array(base.length);
    overlay.read(0, got);
    assertEquals(got, model);
    overlay.close();
    assertEquals(Deno.readFileSync(`${dir}/b`), base);
    assertThrows(() => openImage(`${dir}/b`, { snapshot: true, readonly: true }).write(0, base));
  });
});

Deno.test("commit writes the overlay to the image and empties it", () => {
  withDir((dir) => {
    Deno.writeFileSync(`${dir}/a`, new Uint8Array(300 * 512));
    const g = new BlockGraph(silent);
    const d = g.add({ file: `${dir}/a`, format: "raw", snapshot: true });
    g.add({ interface: "floppy" });
    g.add({ backend: new MemoryBackend(sectors(0)) });
    d.medium!.write(512 * 299, sectors(7));
    d.medium!.write(1024, sectors(8, 9));
    assertEquals(g.commit("all"), "");
    const want = new Uint8Array(300 * 512);
    want.set(sectors(8, 9), 1024);
    want.set(sectors(7), 512 * 299);
    assertEquals(Deno.readFileSync(`${dir}/a`), want);
    assertEquals(d.medium!.allocated!(), 0);
    const got = new Uint8Array(want.length);
    d.medium!.read(0, got);
    assertEquals(got, want);
    // QEMU's words.
    assertEquals(g.commit("nope"), "Device 'nope' not found\n");
    assertEquals(g.commit("floppy0"), "Device 'floppy0' has no medium\n");
    assertEquals(g.commit("ide0-hd1"), "'commit' error for 'ide0-hd1': Operation not supported\n");
    Deno.removeSync(`${dir}/a`);
    assertEquals(
      g.commit("ide0-hd0"),
      "'commit' error for 'ide0-hd0': No such file or directory\n",
    );
    g.close();
  });
});

Deno.test("snapshot over an asynchronous base", async () => {
  const mem = new MemoryBackend(sectors(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  const slow: BlockBackend = {
    size: mem.size,
    readonly: true,
    filename: "slow",
    format: "raw",
    read: (o, b) => Promise.resolve().then(() => mem.read(o, b)),
    write: () => undefined,
    flush: () => undefined,
    close() {},
  };
  const overlay = new SnapshotOverlay(slow);
  await overlay.write(512, sectors(77, 78));
  const got = new Uint8Array(10 * 512);
  await overlay.read(0, got);
  assertEquals(got, sectors(1, 77, 78, 4, 5, 6, 7, 8, 9, 10));
  overlay.close();
});

Deno.test("sizes are printed as QEMU prints them", () => {
  // Outputs of qemu-img info.
  assertEquals(
    [0, 512, 999, 1000, 716800, 1474560, 1 << 20, 200704, 10 * 2 ** 30].map(humanSize),
    ["0 B", "512 B", "999 B", "0.977 KiB", "700 KiB", "1.41 MiB", "1 MiB", "196 KiB", "10 GiB"],
  );
});

function fakeCd(graph: BlockGraph, spec: DriveSpec = {}) {
  const d = graph.add({ media: "cdrom", index: 2, ...spec });
  d.attach({
    path: "/machine/unattached/device[24]",
    writes: false,
    removable: true,
    hasTray: true,
  });
  return d;
}

Deno.test("drives are named and placed as QEMU names them", () => {
  const g = new BlockGraph();
  const disk = g.add({});
  const cd = g.add({ media: "cdrom", index: 2 });
  const second = g.add({});
  const floppy = g.add({ interface: "floppy" });
  const none = g.add({ interface: "none" });
  const own = g.add({ interface: "none", id: "mine" });
  assertEquals([disk, cd, second, floppy, none, own].map((d) => d.name), [
    "ide0-hd0",
    "ide1-cd0",
    "ide0-hd1",
    "floppy0",
    "none0",
    "mine",
  ]);
  assertEquals(
    assertThrows(() => g.add({ index: 0 }), UserError).message,
    "drive with bus=0, unit=0 (index=0) exists",
  );
  assertEquals(
    assertThrows(() => g.add({ interface: "none", id: "mine" }), UserError).message,
    "Duplicate ID 'mine' for drive",
  );
});

Deno.test("info block is laid out as in QEMU 7.2", () => {
  const g = new BlockGraph();
  const hd = g.add({ backend: new MemoryBackend(sectors(0), { filename: "a.img" }) });
  hd.attach({ path: "/machine/unattached/device[23]", writes: true, removable: false });
  const cd = fakeCd(g);
  g.add({ interface: "sd" });
  const node = hd.nodeName;
  assert(/^#block1\d\d$/.test(node), node);
  assertEquals(
    g.info(),
    `ide0-hd0 (${node}): a.img (raw)
    Attached to:      /machine/unattached/device[23]
    Cache mode:       writeback

ide1-cd0: [not inserted]
    Attached to:      /machine/unattached/device[24]
    Removable device: not locked, tray closed

sd0: [not inserted]
    Removable device: not locked, tray closed
`,
  );
  cd.insert(new MemoryBackend(sectors(0), { filename: "c.iso", readonly: true }));
  cd.locked = true;
  assertEquals(
    g.info("ide1-cd0", true),
    `
ide1-cd0 (${cd.nodeName}): c.iso (raw, read-only)
    Attached to:      /machine/unattached/device[24]
    Removable device: locked, tray closed
    Cache mode:       writeback

Images:
image: c.iso
file format: raw
virtual size: 512 B (512 bytes)
disk size: 512 B
`,
  );
  assertEquals(g.info("nope"), "");
});

Deno.test("eject and change: tray, lock and QEMU's errors", () => {
  withDir((dir) => {
    Deno.writeFileSync(`${dir}/c.iso`, sectors(1));
    const g = new BlockGraph();
    const hd = g.add({ backend: new MemoryBackend(sectors(0)) });
    hd.attach({ path: "d", writes: true, removable: false });
    const cd = fakeCd(g, { backend: new MemoryBackend(sectors(0), { readonly: true }) });
    const seen: string[] = [];
    cd.onMediaChange = () => seen.push(`${cd.trayOpen ? "open" : "closed"} ${!!cd.medium}`);
    let requests = 0;
    cd.onEjectRequest = () => requests++;
    const message = (f: () => void) => assertThrows(f, UserError).message;
    assertEquals(message(() => g.eject("ide0-hd0")), "Device 'ide0-hd0' is not removable");
    assertEquals(message(() => g.eject("nope")), "Device 'nope' not found");
    cd.locked = true;
    assertEquals(
      message(() => g.eject("ide1-cd0")),
      "Device 'ide1-cd0' is locked and force was not specified, wait for tray to open and try again",
    );
    assertEquals([requests, cd.trayOpen, cd.medium !== undefined], [1, false, true]);
    g.eject("ide1-cd0", true);
    assertEquals([cd.trayOpen, cd.medium], [true, undefined]);
    assertEquals(
      message(() => g.change("ide1-cd0", `${dir}/no`)),
      `Could not open '${dir}/no': No such file or directory`,
    );
    g.change("ide1-cd0", `${dir}/c.iso`);
    assertEquals([cd.trayOpen, cd.medium?.readonly], [false, true]);
    assertEquals(seen, ["open true", "closed true"]);
    g.eject("ide1-cd0", true);
    g.eject("ide1-cd0");
    assertEquals(message(() => BlockGraph.parseReadOnlyMode("x")), "invalid parameter value: x");
    g.close();
  });
});

Deno.test("a fixed disk needs a writable medium", () => {
  const g = new BlockGraph();
  const ro = g.add({ backend: new MemoryBackend(sectors(0), { readonly: true }) });
  const disk = { path: "d", writes: true, removable: false, needsMedium: true };
  assertThrows(() => ro.attach(disk), UserError, "Block node is read-only");
  const none = g.add({});
  assertThrows(() => none.attach(disk), UserError, "Device needs media, but drive is empty");
});

Deno.test({
  name: "image locks keep two writers, or a writer and a reader, apart",
  ignore: Deno.build.os !== "linux",
  fn() {
    withDir((dir) => {
      const path = `${dir}/a`;
      Deno.writeFileSync(path, sectors(0));
      const open = (readonly: boolean) => openImage(path, { format: "raw", readonly });
      const writer = open(false);
      writer.lock!(true);
      const other = open(false);
      const e = assertThrows(() => other.lock!(true), UserError);
      assertEquals([e.message, e.hint], [
        'Failed to get "write" lock',
        `Is another process using the image [${path}]?`,
      ]);
      const reader = open(true);
      assertThrows(() => reader.lock!(false), UserError, 'Failed to get shared "write" lock');
      writer.close();
      reader.lock!(false);
      const reader2 = open(true);
      reader2.lock!(false);
      for (const b of [other, reader, reader2]) b.close();
    });
  },
});

class Failing extends MemoryBackend {
  code: "EIO" | "ENOSPC" | undefined;
  override write(offset: number, from: Uint8Array): undefined {
    if (this.code) throw new BlockError(this.code, this.code);
    super.write(offset, from);
  }
}

Deno.test("error policies: report, ignore, stop and retry", () => {
  const run = (werror: Drive["werror"], code: "EIO" | "ENOSPC") => {
    const g = new BlockGraph();
    const medium = new Failing(sectors(0));
    medium.code = code;
    const d = g.add({ backend: medium, werror });
    let stops = 0;
    g.onStop = () => stops++;
    const got: string[] = [];
    driveIo(d, "write", 0, sectors(3), () => got.push("done"), (e) => got.push(e.code));
    const at = `${got.join()} ${stops} ${d.ioStatus}`;
    medium.code = undefined;
    g.resume();
    return `${at} / ${got.join()} ${d.ioStatus} ${medium.bytes[0]}`;
  };
  assertEquals(run("report", "ENOSPC"), "ENOSPC 0 ok / ENOSPC ok 0");
  assertEquals(run("enospc", "EIO"), "EIO 0 ok / EIO ok 0");
  assertEquals(run("enospc", "ENOSPC"), " 1 nospace / done ok 3");
  assertEquals(run("stop", "EIO"), " 1 failed / done ok 3");
  assertEquals(run("ignore", "EIO"), "done 0 ok / done ok 0");
});

Deno.test("requests are counted, and refused without or beyond the medium", () => {
  const g = new BlockGraph();
  const d = g.add({ backend: new MemoryBackend(sectors(1, 2)) });
  const got: string[] = [];
  const go = (op: "read" | "write" | "flush", at: number, b?: Uint8Array) =>
    driveIo(d, op, at, b, () => got.push("ok"), (e) => got.push(e.code));
  go("read", 512, new Uint8Array(512));
  go("write", 0, new Uint8Array(1024));
  go("flush", 0);
  go("read", 1024, new Uint8Array(512));
  go("read", -512, new Uint8Array(512));
  d.eject();
  go("read", 0, new Uint8Array(512));
  assertEquals(got, ["ok", "ok", "ok", "EIO", "EIO", "ENOMEDIUM"]);
  assertEquals(
    g.infoStats(),
    "ide0-hd0: rd_bytes=512 wr_bytes=1024 rd_operations=1 wr_operations=1 flush_operations=1 " +
      "wr_total_time_ns=0 rd_total_time_ns=0 flush_total_time_ns=0 rd_merged=0 wr_merged=0 " +
      "idle_time_ns=0\n",
  );
});
