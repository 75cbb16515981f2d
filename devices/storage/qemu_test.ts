/** The same port accesses on our controllers and, through its monitor, on an installed QEMU 7.2. */
import { assertEquals } from "@std/assert";
import { BlockGraph } from "../../core/block/graph.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { AtaDisk } from "./ata_disk.ts";
import { AtapiCdrom } from "./atapi.ts";
import { BusMasterIde } from "./bmdma.ts";
import { FloppyController } from "./fdc.ts";
import { IdeChannel } from "./ide.ts";

const QEMU = "qemu-system-x86_64";

/** A port access; without a value it is a read. `note` tells which part of the script it is. */
interface Access {
  readonly port: number;
  readonly size: 1 | 2 | 4;
  readonly value?: number;
  readonly note: string;
}

class Script {
  readonly list: Access[] = [];
  note = "";
  out(port: number, ...values: number[]): this {
    for (const value of values) this.list.push({ port, size: 1, value, note: this.note });
    return this;
  }
  out16(port: number, value: number): this {
    this.list.push({ port, size: 2, value, note: this.note });
    return this;
  }
  in(...ports: number[]): this {
    for (const port of ports) this.list.push({ port, size: 1, note: this.note });
    return this;
  }
  read(port: number, count: number, size: 1 | 2 | 4 = 2): this {
    for (let i = 0; i < count; i++) this.list.push({ port, size, note: this.note });
    return this;
  }
}

function qemuVersion(): string {
  try {
    const r = new Deno.Command(QEMU, { args: ["--version"], stdout: "piped", stderr: "null" })
      .outputSync();
    return /version (\d+\.\d+)/.exec(new TextDecoder().decode(r.stdout))?.[1] ?? "";
  } catch {
    return "";
  }
}

/** Alternate Status of the channel a command block port belongs to. */
function alternateStatus(port: number): number | undefined {
  return port >> 3 === 0x1f0 >> 3 ? 0x3f6 : port >> 3 === 0x170 >> 3 ? 0x376 : undefined;
}

function isData(port: number): boolean {
  return port === 0x1f0 || port === 0x170;
}

/** Runs the script on QEMU. Its disks answer in their own time: BSY is waited for in between. */
async function onQemu(s: Script, args: string[]): Promise<number[]> {
  const p = new Deno.Command(QEMU, {
    args: [..."-S -display none -serial none -monitor none -qmp stdio".split(" "), ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = p.stdin.getWriter();
  const reader = p.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const answer = async () => {
    for (;;) {
      const end = text.indexOf("\n");
      if (end >= 0) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        const o = JSON.parse(line);
        if ("return" in o) return o.return as unknown;
        continue;
      }
      const { value, done } = await reader.read();
      if (done) throw new Error("QEMU has ended");
      text += value;
    }
  };
  const send = (o: unknown) =>
    void writer.write(new TextEncoder().encode(JSON.stringify(o) + "\n"));
  const hmp = (line: string) =>
    send({ execute: "human-monitor-command", arguments: { "command-line": line } });
  const value = async () => parseInt(/= 0x([0-9a-f]+)/.exec(String(await answer()))![1], 16);
  send({ execute: "qmp_capabilities" });
  await answer();
  const letters = { 1: "b", 2: "h", 4: "w" } as const;
  const got: number[] = [];
  /** Accesses sent whose answers have not been taken yet. */
  let sent: Access[] = [];
  const drain = async () => {
    for (const a of sent) {
      if (a.value === undefined) got.push(await value());
      else await answer();
    }
    sent = [];
  };
  let last = -1;
  for (const a of s.list) {
    const status = alternateStatus(a.port);
    if (status !== undefined && (last === -1 || a.port !== last && isData(last))) {
      await drain();
      do hmp(`i /b 0x${status.toString(16)}`); while (await value() & 0x80);
    }
    // Only commands and data make a device busy.
    last = [0, 7].includes(a.port & 7) && a.value !== undefined ? -1 : a.port;
    const where = `/${letters[a.size]} 0x${a.port.toString(16)}`;
    hmp(a.value === undefined ? `i ${where}` : `o ${where} ${a.value}`);
    sent.push(a);
  }
  await drain();
  send({ execute: "quit" });
  await answer();
  await writer.close().catch(() => {});
  await reader.cancel();
  await p.status;
  return got;
}

function onOurs(s: Script, io: AddressSpace): number[] {
  const got: number[] = [];
  for (const a of s.list) {
    if (a.value === undefined) got.push(io.read(a.port, a.size));
    else io.write(a.port, a.size, a.value);
  }
  return got;
}

function compare(s: Script, ours: number[], theirs: number[]): void {
  const reads = s.list.filter((a) => a.value === undefined);
  const show = (values: number[]) =>
    reads.map((a, i) => `${a.note}: ${a.port.toString(16)} = ${values[i]?.toString(16)}`);
  assertEquals(show(ours), show(theirs));
}

/** Files of a test, made in a directory of its own and handed to `f`. */
async function withFiles(
  sizes: Record<string, number>,
  f: (path: (name: string) => string) => Promise<void>,
): Promise<void> {
  const dir = Deno.makeTempDirSync();
  try {
    for (const [name, size] of Object.entries(sizes)) {
      const bytes = new Uint8Array(size);
      for (let i = 0; i < size; i++) bytes[i] = (i >> 9) * 5 + i;
      Deno.writeFileSync(`${dir}/${name}`, bytes);
    }
    await f((name) => `${dir}/${name}`);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/** IDE on primary (disk) and secondary (CD) channel, as QEMU's PC has them for -hda and -cdrom. */
function idePorts(disk: string, cd: string): AddressSpace {
  const graph = new BlockGraph();
  const io = new AddressSpace("I/O", 65536, 0xff);
  const channels: [IdeChannel, IdeChannel] = [new IdeChannel(), new IdeChannel()];
  const hd = graph.add({ file: disk, format: "raw" });
  const cdrom = graph.add({ file: cd, media: "cdrom", index: 2 });
  channels[0].attach(0, new AtaDisk({ drive: hd, serial: "QM00001" }));
  channels[1].attach(0, new AtapiCdrom({ drive: cdrom, serial: "QM00003" }));
  new BusMasterIde({ channels, mem: new AddressSpace("memory", 2 ** 32, 0) });
  io.map(channels[0].command, 0x1f0);
  io.map(channels[0].control, 0x3f6);
  io.map(channels[1].command, 0x170);
  io.map(channels[1].control, 0x376);
  return io;
}

const ignore = qemuVersion() !== "7.2";

Deno.test({
  name: "disk: task file, identification, PIO, SMART, errors and resets as QEMU's",
  ignore,
  async fn() {
    const s = new Script();
    const regs = [0x1f7, 0x1f1, 0x1f2, 0x1f3, 0x1f4, 0x1f5, 0x1f6];
    const command = (note: string, code: number, lba = 0, count = 1, features = 0) => {
      s.note = note;
      s.out(0x1f6, 0xe0).out(0x1f1, features).out(0x1f2, count);
      s.out(0x1f3, lba & 0xff).out(0x1f4, (lba >> 8) & 0xff).out(0x1f5, lba >> 16);
      s.out(0x1f7, code);
    };
    s.note = "power on";
    s.in(...regs, 0x3f6);
    command("identify", 0xec);
    s.in(...regs).read(0x1f0, 256).in(...regs);
    for (const code of [0x00, 0x08, 0x1f, 0xa0, 0xa1, 0xc0, 0xff]) {
      command(`command ${code.toString(16)}`, code);
      s.in(...regs);
    }
    command("read 3", 0x20, 5, 3);
    for (let i = 0; i < 3; i++) s.in(...regs).read(0x1f0, 128, 4);
    s.in(...regs).read(0x1f0, 1);
    command("set multiple", 0xc6, 0, 2);
    s.in(...regs);
    command("read multiple 3", 0xc4, 60, 3);
    s.in(...regs).read(0x1f0, 256, 4).in(...regs).read(0x1f0, 128, 4).in(...regs);
    command("bad multiple", 0xc6, 0, 3);
    s.in(...regs);
    command("write 2", 0x30, 9, 2);
    s.in(...regs);
    for (let i = 0; i < 512; i++) s.out16(0x1f0, i * 77 & 0xffff);
    s.in(...regs);
    command("read back", 0x20, 10, 1);
    s.in(0x1f7).read(0x1f0, 128, 4);
    s.note = "CHS";
    s.out(0x1f6, 0xa1).out(0x1f2, 1).out(0x1f3, 63).out(0x1f4, 1).out(0x1f5, 0).out(0x1f7, 0x20);
    s.in(...regs).read(0x1f0, 128, 4).in(...regs);
    command("48 bits", 0xe7);
    for (const port of [0x1f2, 0x1f3, 0x1f4, 0x1f5]) s.out(port, 0);
    s.out(0x1f2, 1).out(0x1f3, 7).out(0x1f4, 0).out(0x1f5, 0).out(0x1f7, 0x24);
    s.in(...regs).read(0x1f0, 256).in(...regs);
    command("native max", 0xf8);
    s.in(...regs);
    command("read beyond the end", 0x20, 0xfffff0, 1);
    s.in(0x1f7, 0x1f1);
    for (
      const [feature, count] of [[0x02, 0], [0x03, 0x0c], [0x03, 0x22], [0x03, 0xff], [0x77, 0]]
    ) {
      command(`set features ${feature}`, 0xef, 0, count, feature);
      s.in(0x1f7, 0x1f1);
    }
    for (const feature of [0xd0, 0xd1, 0xda, 0xd9, 0xd0, 0xd8]) {
      command(`SMART ${feature.toString(16)}`, 0xb0, 0xc24f00, 1, feature);
      s.in(...regs);
      if (feature === 0xd0 || feature === 0xd1) s.read(0x1f0, 128, 4);
    }
    command("set multiple back", 0xc6, 0, 16);
    command("identify again", 0xec);
    s.in(0x1f7).read(0x1f0, 256);
    s.note = "no slave";
    s.out(0x1f6, 0xb0).in(0x1f7, 0x3f6, 0x1f1).out(0x1f7, 0xec).in(0x1f7);
    s.out(0x1f6, 0xa0).in(0x1f7);
    s.note = "diagnostic and software reset";
    s.out(0x1f7, 0x90).in(...regs);
    s.out(0x3f6, 0x04, 0x00).in(...regs);
    await withFiles({ hd: 9 << 20, hd2: 9 << 20, cd: 1 << 20 }, async (path) => {
      const theirs = await onQemu(s, ["-drive", `format=raw,file=${path("hd")}`]);
      compare(s, onOurs(s, idePorts(path("hd2"), path("cd"))), theirs);
      assertEquals(Deno.readFileSync(path("hd2")), Deno.readFileSync(path("hd")));
    });
  },
});

Deno.test({
  name: "CD: packets, replies, sense data and byte counts as QEMU's",
  ignore,
  async fn() {
    const s = new Script();
    const regs = [0x177, 0x171, 0x172, 0x174, 0x175];
    /** Sends a packet and reads `words` of its reply. */
    const packet = (hex: string, words = 0, limit = 0xfffe) => {
      const b = hex.split(" ").map((x) => parseInt(x, 16));
      s.note = hex;
      s.out(0x177, 0x08).out(0x176, 0xa0).out(0x171, 0);
      s.out(0x174, limit & 0xff).out(0x175, limit >> 8).out(0x177, 0xa0).in(0x177, 0x172);
      for (let i = 0; i < 12; i += 2) s.out16(0x170, (b[i] ?? 0) | (b[i + 1] ?? 0) << 8);
      s.in(...regs).read(0x170, words).in(0x177, 0x172);
    };
    s.note = "signature";
    s.in(0x177, 0x172, 0x173, 0x174, 0x175, 0x176);
    s.out(0x177, 0xec).in(...regs);
    s.out(0x177, 0xa1).in(...regs).read(0x170, 256).in(...regs);
    packet("00");
    packet("03 00 00 00 12", 9);
    packet("12 00 00 00 24", 18);
    packet("12 00 00 00 24", 18, 0x10);
    packet("12 00 00 00 24", 3, 0x07);
    packet("12 00 00 00 24", 0, 0);
    packet("12 01 00 00 ff", 4);
    packet("12 01 83 00 ff", 60);
    packet("12 01 42 00 ff", 4);
    packet("25", 4);
    packet("43 00 00 00 00 00 00 00 20", 12);
    packet("43 02 00 00 00 00 00 00 20", 12);
    packet("43 02 00 00 00 00 aa 00 20", 12);
    packet("43 02 00 00 00 00 02 00 20", 4);
    packet("43 02 00 00 00 00 00 00 20 40", 8);
    packet("5a 00 2a 00 00 00 00 00 ff", 20);
    packet("5a 00 6a 00 00 00 00 00 ff", 4);
    packet("46 00 00 00 00 00 00 00 ff", 12);
    packet("46 02 00 03 00 00 00 00 ff", 4);
    packet("4a 01 00 00 10 00 00 00 ff", 4);
    packet("4a 01 00 00 00 00 00 00 ff", 4);
    packet("4a 00 00 00 10 00 00 00 ff", 4);
    packet("bd 00 00 00 00 00 00 00 00 20", 4);
    packet("51 00 00 00 00 00 00 00 40", 18);
    packet("51 01 00 00 00 00 00 00 40", 4);
    packet("ad 00 00 00 00 00 00 00 00 40", 4);
    packet("ad 00 00 00 00 00 00 ff 00 40", 10);
    packet("28 00 00 00 00 10 00 00 02", 0x201, 0x402);
    packet("28 00 00 00 00 10 00 00 02", 8, 0x1000);
    packet("28 00 00 01 00 10 00 00 01", 2);
    packet("28 00 00 00 00 10 00 00 00");
    packet("a8 00 00 00 00 10 00 00 00 01", 8, 0x800);
    packet("be 00 00 00 00 10 00 00 01 10", 8, 0x800);
    packet("be 00 00 00 00 10 00 00 01 00");
    packet("be 00 00 00 00 10 00 00 01 20");
    packet("2b 00 00 00 00 10");
    packet("2b 00 00 01 00 10");
    packet("bb");
    packet("ff");
    s.note = "reset and diagnostic";
    s.out(0x376, 0x04, 0x00).in(...regs, 0x176).out(0x177, 0x90).in(...regs);
    await withFiles({ hd: 1 << 20, cd: 351 * 2048 }, async (path) => {
      const theirs = await onQemu(s, ["-cdrom", path("cd")]);
      compare(s, onOurs(s, idePorts(path("hd"), path("cd"))), theirs);
    });
  },
});

Deno.test({
  name: "floppy controller: registers, seeks, status and one sector by programmed I/O as QEMU's",
  ignore,
  async fn() {
    const s = new Script();
    const FIFO = 0x3f5, MSR = 0x3f4;
    const command = (note: string, bytes: number[], results: number) => {
      s.note = note;
      s.out(FIFO, ...bytes).in(MSR).read(FIFO, results, 1).in(MSR, 0x3f7);
    };
    s.note = "reset";
    s.in(0x3f1, 0x3f2, 0x3f3, MSR, FIFO, 0x3f7).out(0x3f2, 0x00, 0x1c).in(0x3f2, MSR);
    for (let i = 0; i < 4; i++) command("sense", [0x08], 2);
    command("sense nothing", [0x08], 1);
    command("version", [0x10], 1);
    command("part id", [0x18], 1);
    command("lock", [0x94], 1);
    command("unlock", [0x14], 1);
    command("invalid", [0x1f], 1);
    command("specify, programmed I/O", [0x03, 0xaf, 0x03], 0);
    command("configure", [0x13, 0, 0x57, 0x12], 0);
    command("recalibrate", [0x07, 0], 0);
    command("sense", [0x08], 2);
    command("drive status", [0x04, 0], 1);
    command("seek", [0x0f, 0x04, 5], 0);
    command("sense", [0x08], 2);
    command("drive status", [0x04, 4], 1);
    s.note = "read a sector";
    s.out(FIFO, 0x66, 4, 5, 1, 3, 2, 3, 0x1b, 0xff).in(MSR).read(FIFO, 512, 1).in(MSR);
    s.read(FIFO, 3, 1); // ST0 to ST2; behind them QEMU keeps the ID it was given
    await withFiles({ fd: 1474560 }, async (path) => {
      const theirs = await onQemu(s, ["-drive", `if=floppy,format=raw,file=${path("fd")}`]);
      const graph = new BlockGraph();
      const drive = graph.add({ interface: "floppy", file: path("fd"), format: "raw" });
      const fdc = new FloppyController({ drives: [drive, undefined] });
      const io = new AddressSpace("I/O", 65536, 0xff);
      io.map(fdc.ports, 0x3f1);
      io.map(fdc.dir, 0x3f7);
      compare(s, onOurs(s, io), theirs);
    });
  },
});
