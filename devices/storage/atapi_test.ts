import { assertEquals } from "@std/assert";
import { BlockGraph } from "../../core/block/graph.ts";
import { MemoryBackend } from "../../core/block/memory.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { AtapiCdrom } from "./atapi.ts";
import { BusMasterIde } from "./bmdma.ts";
import { wrapMode1 } from "./cd_sector.ts";
import { IdeChannel } from "./ide.ts";

const SECTORS = 351;
const image = new Uint8Array(SECTORS * 2048);
for (let i = 0; i < image.length; i++) image[i] = (i >> 11) + i;

function setup(empty = false) {
  const graph = new BlockGraph();
  const io = new AddressSpace("I/O", 65536, 0xff);
  const memory = new AddressSpace("memory", 2 ** 32, 0);
  const ram = new GuestMemory(1 << 20).allocBlock("pc.ram", 1 << 19);
  memory.map(ramRegion("pc.ram", ram), 0);
  let irqs = 0, level = false;
  const channel = new IdeChannel({
    irq: {
      set(l) {
        if (l && !level) irqs++;
        level = l;
      },
    },
  });
  const backend = empty ? undefined : new MemoryBackend(image, { readonly: true });
  const drive = graph.add({ media: "cdrom", backend });
  const cd = new AtapiCdrom({ drive, serial: "QM00003" });
  channel.attach(0, cd);
  io.map(channel.command, 0x170);
  io.map(channel.control, 0x376);
  const bm = new BusMasterIde({ channels: [channel, new IdeChannel()], mem: memory });
  io.map(bm.region, 0xc000);
  const inb = (p: number) => io.read(p, 1), outb = (p: number, v: number) => io.write(p, 1, v);
  const t = {
    io,
    ram,
    graph,
    drive,
    channel,
    inb,
    outb,
    irqs: () => irqs,
    /** Sends a packet given as hex bytes; returns Status. */
    packet(hex: string, limit = 0xfffe, features = 0) {
      const bytes = hex.trim().split(" ").map((x) => parseInt(x, 16));
      outb(0x171, features);
      outb(0x174, limit & 0xff);
      outb(0x175, limit >> 8);
      outb(0x177, 0xa0);
      for (let i = 0; i < 12; i += 2) {
        io.write(0x170, 2, (bytes[i] ?? 0) | (bytes[i + 1] ?? 0) << 8);
      }
      return inb(0x177);
    },
    bytes(n: number) {
      const b: number[] = [];
      for (let i = 0; i < n; i += 2) {
        const w = io.read(0x170, 2);
        b.push(w & 0xff, w >> 8);
      }
      return b.slice(0, n);
    },
    /** Runs a packet and returns its whole PIO reply, or the sense key and code as negatives. */
    reply(hex: string, limit = 0xfffe): number[] {
      const all: number[] = [];
      let status = t.packet(hex, limit);
      while (status & 0x08) {
        all.push(...t.bytes(inb(0x174) | inb(0x175) << 8));
        status = inb(0x177);
      }
      if (status & 1) {
        const s = t.reply("03 00 00 00 12");
        return [-s[2], -s[12]];
      }
      return all;
    },
  };
  return t;
}

const NOT_PRESENT = [-2, -0x3a], CHANGED = [-6, -0x28];
const TUR = "00", EVENT = "4a 01 00 00 10 00 00 00 08";

Deno.test("signature, aborted IDENTIFY DEVICE, IDENTIFY PACKET DEVICE as QEMU 7.2", () => {
  const t = setup();
  t.outb(0x177, 0xec);
  assertEquals([0x177, 0x171, 0x172, 0x173, 0x174, 0x175].map(t.inb), [
    0x41,
    0x04,
    1,
    1,
    0x14,
    0xeb,
  ]);
  t.outb(0x177, 0xa1);
  const w = Array.from({ length: 256 }, () => t.io.read(0x170, 2));
  const fixed = [0, 48, 49, 53, 62, 63, 64, 65, 66, 67, 68, 71, 72, 80, 88].map((i) => w[i]);
  assertEquals(
    fixed,
    [0x85c0, 1, 0x300, 7, 7, 7, 3, 0xb4, 0xb4, 0x12c, 0xb4, 0x1e, 0x1e, 0x1e, 0x203f],
  );
  const model = w.slice(27, 47).map((x) => String.fromCharCode(x >> 8, x & 0xff)).join("");
  assertEquals(model.trimEnd(), "QEMU DVD-ROM");
});

Deno.test("packet protocol: interrupt reason, status and interrupts", () => {
  const t = setup();
  t.outb(0x174, 0x10);
  t.outb(0x175, 0);
  t.outb(0x177, 0xa0);
  assertEquals([t.inb(0x177), t.inb(0x172) & 7, t.irqs()], [0x58, 1, 0], "packet: no interrupt");
  for (const w of [0x12, 0, 36, 0, 0, 0]) t.io.write(0x170, 2, w);
  assertEquals([t.irqs(), t.inb(0x177), t.inb(0x172) & 7], [1, 0x58, 2]);
  assertEquals([t.inb(0x174), t.inb(0x175)], [16, 0]);
  t.bytes(16);
  t.inb(0x177);
  t.bytes(16);
  assertEquals([t.inb(0x177), t.inb(0x174)], [0x58, 4]);
  t.bytes(4);
  assertEquals([t.irqs(), t.inb(0x177), t.inb(0x172) & 7], [4, 0x50, 3]);
});

Deno.test("replies as recorded from QEMU 7.2 with a disc of 351 sectors", () => {
  const t = setup();
  const hex = (packet: string) =>
    t.reply(packet).map((b) => b.toString(16).padStart(2, "0")).join(" ");
  const text =
    "51 45 4d 55 20 20 20 20 51 45 4d 55 20 44 56 44 2d 52 4f 4d 20 20 20 20 32 2e 35 2b";
  assertEquals(hex("12 00 00 00 24"), "05 80 00 21 1f 00 00 00 " + text);
  assertEquals(hex("12 01 00 00 ff"), "05 00 00 02 00 83");
  assertEquals(hex("25"), "00 00 01 5e 00 00 08 00");
  assertEquals(
    hex("43 00 00 00 00 00 00 00 20"),
    "00 12 01 01 00 14 01 00 00 00 00 00 00 16 aa 00 00 00 01 5f",
  );
  assertEquals(
    hex("43 02 00 00 00 00 00 00 20"),
    "00 12 01 01 00 14 01 00 00 00 02 00 00 16 aa 00 00 00 06 33",
  );
  assertEquals(hex("43 02 00 00 00 00 aa 00 20"), "00 0a 01 01 00 16 aa 00 00 00 06 33");
  assertEquals(hex("43 02 00 00 00 00 00 00 20 40"), "00 0a 01 01 00 00 00 00 00 00 00 00");
  assertEquals(
    hex("5a 00 2a 00 00 00 00 00 ff"),
    "00 1c 70 00 00 00 00 00 2a 14 3b 00 71 60 29 00 02 c0 00 02 02 00 02 c0 00 00 00 00 00 00",
  );
  assertEquals(
    hex("46 00 00 00 00 00 00 00 ff"),
    "00 00 00 10 00 00 00 08 00 00 03 08 00 10 00 00 00 08 01 00",
  );
  assertEquals(hex(EVENT), "00 04 04 10 00 02 00 00");
  assertEquals(hex("4a 01 00 00 00 00 00 00 ff"), "00 00 80 10");
  assertEquals(hex("bd 00 00 00 00 00 00 00 00 20"), "00 00 00 00 00 01 00 00");
  assertEquals(
    hex("51 00 00 00 00 00 00 00 40"),
    "00 20 0e 01 01 01 01 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 " +
      "00 00 00 00",
  );
});

Deno.test("raw table of contents: lead-in points with the lead-out's time", () => {
  const t = setup();
  const b = t.reply("43 02 02 00 00 00 00 00 ff");
  assertEquals(b.length, 4 + 4 * 11);
  const points = [0, 1, 2, 3].map((i) => [b[4 + 11 * i + 3], ...b.slice(12 + 11 * i, 15 + 11 * i)]);
  // 351 + 150 frames are 6 seconds and 51 frames.
  assertEquals(points, [[0xa0, 1, 0, 0], [0xa1, 1, 0, 0], [0xa2, 0, 6, 51], [1, 0, 2, 0]]);
});

Deno.test("READ(10), READ(12) and READ CD move the right sectors by PIO", () => {
  const t = setup();
  const want = [...image.subarray(0x10 * 2048, 0x13 * 2048)];
  assertEquals(t.reply("28 00 00 00 00 10 00 00 03"), want);
  assertEquals(t.reply("28 00 00 00 00 10 00 00 03", 0x402), want, "odd chunks");
  assertEquals(t.reply("a8 00 00 00 00 10 00 00 00 03"), want);
  assertEquals(t.reply("be 00 00 00 00 10 00 00 03 10"), want);
  const all = t.reply("28 00 00 00 00 00 00 01 5f", 0x2000);
  assertEquals(all.length, image.length);
  assertEquals(all[image.length - 1], image[image.length - 1]);
  assertEquals(t.reply("28 00 00 00 00 10 00 00 00"), []);
  assertEquals(t.reply("28 00 00 00 01 5e 00 00 02"), [-5, -0x21]);
  assertEquals(t.reply("28 00 ff ff ff ff 00 ff ff"), [-5, -0x21]);
  assertEquals(t.reply("a8 00 00 00 00 10 ff ff ff ff"), [-5, -0x21]);
});

Deno.test("READ CD of whole sectors: sync, header, data", () => {
  const t = setup();
  const raw = t.reply("be 00 00 00 00 10 00 00 11 f8");
  assertEquals(raw.length, 17 * 2352);
  const second = raw.slice(2352, 4704);
  assertEquals(second.slice(0, 16), [0, ...new Array(10).fill(0xff), 0, 0x00, 0x02, 0x17, 0x01]);
  assertEquals(second.slice(16, 2064), [...image.subarray(0x11 * 2048, 0x12 * 2048)]);
});

Deno.test("EDC and ECC of raw sectors", () => {
  // The CRC of a sector followed by its own EDC is zero; parity columns and diagonals cancel.
  const b = new Uint8Array(2352);
  for (let i = 0; i < 2048; i++) b[16 + i] = (i * 7) ^ (i >> 3);
  wrapMode1(b, 0, 1000);
  let crc = 0;
  for (let i = 0; i < 2068; i++) {
    crc ^= b[i];
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xd8018001 : 0);
  }
  assertEquals(crc, 0);
  for (let column = 0; column < 86; column++) {
    let sum = 0;
    for (let row = 0; row < 24; row++) sum ^= b[12 + column + 86 * row];
    assertEquals(sum ^ b[2076 + column] ^ b[2076 + 86 + column], 0, `P column ${column}`);
  }
});

Deno.test("DMA: sectors and short replies go along the PRD table", () => {
  const t = setup();
  const prd = (address: number, size: number) => {
    t.ram.view.setUint32(0x1000, address, true);
    t.ram.view.setUint32(0x1004, (size | 0x80000000) >>> 0, true);
    t.io.write(0xc004, 4, 0x1000);
    t.outb(0xc000, 0x08);
    t.outb(0xc002, 0x04);
  };
  prd(0x10000, 40 * 2048 & 0xffff || 0);
  // 40 sectors need two entries.
  t.ram.view.setUint32(0x1004, 0, true);
  t.ram.view.setUint32(0x1008, 0x20000, true);
  t.ram.view.setUint32(0x100c, (40 * 2048 - 65536 | 0x80000000) >>> 0, true);
  assertEquals(t.packet("28 00 00 00 00 02 00 00 28", 0, 1), 0x58);
  t.outb(0xc000, 0x09);
  assertEquals([t.inb(0xc002), t.inb(0x177), t.inb(0x172) & 7], [0x04, 0x50, 3]);
  assertEquals(
    t.ram.u8.slice(0x10000, 0x10000 + 40 * 2048),
    new Uint8Array(image.slice(2 * 2048, 42 * 2048)),
  );
  prd(0x3000, 36);
  t.packet("12 00 00 00 24", 0, 1);
  t.outb(0xc000, 0x09);
  assertEquals([t.inb(0xc002), t.inb(0x177)], [0x04, 0x50]);
  assertEquals(t.ram.u8[0x3000 + 8], 0x51);
});

Deno.test("zero byte count limit aborts a PIO packet that has data, overlap is refused", () => {
  const t = setup();
  assertEquals([t.packet("12 00 00 00 24", 0), t.inb(0x171)], [0x41, 0x04]);
  assertEquals(t.packet(TUR, 0), 0x50);
  t.outb(0x171, 2);
  t.outb(0x177, 0xa0);
  assertEquals([t.inb(0x177), t.inb(0x171)], [0x41, 0x04]);
});

Deno.test("no disc, then a disc: not ready, not present, may have changed, ready", () => {
  const t = setup(true);
  assertEquals(t.reply(TUR), NOT_PRESENT);
  assertEquals(t.reply("25"), NOT_PRESENT);
  assertEquals(t.reply("46 00 00 00 00 00 00 00 ff").slice(6, 8), [0, 0]);
  t.drive.insert(new MemoryBackend(image, { readonly: true }));
  assertEquals(t.reply("12 00 00 00 24").length, 36, "INQUIRY goes through");
  assertEquals([t.reply(TUR), t.reply(TUR), t.reply(TUR)], [NOT_PRESENT, CHANGED, []]);
  assertEquals([t.reply(EVENT)[4], t.reply(EVENT)[4]], [2, 0], "new media, once");
});

Deno.test("lock, eject request and guest eject", () => {
  const t = setup();
  assertEquals(t.reply("1e 00 00 00 01"), []);
  assertEquals(t.drive.locked, true);
  assertEquals(t.reply("5a 00 2a 00 00 00 00 00 ff")[14], 0x2b);
  assertEquals(t.reply("1b 00 00 00 02"), [-2, -0x53]);
  let message = "";
  try {
    t.graph.eject(t.drive.name);
  } catch (e) {
    message = (e as Error).message;
  }
  assertEquals(message.includes("is locked and force was not specified"), true);
  assertEquals([t.reply(EVENT)[4], t.reply(EVENT)[4]], [1, 0], "eject request, once");
  t.reply("1e 00 00 00 00");
  assertEquals(t.reply("1b 00 00 00 02"), []);
  assertEquals([t.drive.trayOpen, t.reply(TUR)], [true, NOT_PRESENT]);
  assertEquals([t.reply(EVENT)[5], t.reply("1b 00 00 00 03"), t.reply(TUR)], [1, [], []]);
  assertEquals(t.reply(EVENT)[5], 2);
});

Deno.test("errors: unknown packets and bad fields; DEVICE RESET clears sense and lock", () => {
  const t = setup();
  assertEquals(t.reply("ff"), [-5, -0x20]);
  assertEquals(t.reply("12 01 42 00 ff"), [-5, -0x24]);
  assertEquals(t.reply("43 02 00 00 00 00 02 00 20"), [-5, -0x24]);
  assertEquals(t.reply("5a 00 6a 00 00 00 00 00 ff"), [-5, -0x24]);
  assertEquals(t.reply("5a 00 ea 00 00 00 00 00 ff"), [-5, -0x39]);
  assertEquals(t.reply("4a 00 00 00 10 00 00 00 ff"), [-5, -0x24]);
  assertEquals(t.reply("2b 00 00 01 00 10"), [-5, -0x21]);
  t.reply("1e 00 00 00 01");
  t.packet("ff");
  t.outb(0x177, 0x08);
  assertEquals([t.inb(0x177), t.inb(0x171), t.inb(0x174)], [0x00, 0x01, 0x14]);
  assertEquals(t.reply("03 00 00 00 12")[2], 0);
  assertEquals(t.drive.locked, false);
});

Deno.test("save and load between two chunks of a read", () => {
  const t = setup();
  t.packet("28 00 00 00 00 05 00 00 02", 0x800);
  const first = t.bytes(2048);
  const saved = t.channel.save();
  t.channel.reset();
  t.channel.load(saved);
  assertEquals(t.inb(0x177), 0x58);
  assertEquals([...first, ...t.bytes(2048)], [...image.subarray(5 * 2048, 7 * 2048)]);
  assertEquals(t.inb(0x177), 0x50);
});

Deno.test("random packets neither throw nor hang", () => {
  const t = setup();
  let seed = 7;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * n);
  };
  const codes = [
    0,
    3,
    0x12,
    0x1b,
    0x25,
    0x28,
    0x43,
    0x46,
    0x4a,
    0x51,
    0x52,
    0x5a,
    0xa8,
    0xad,
    0xbe,
  ];
  for (let i = 0; i < 3000; i++) {
    const p = Array.from({ length: 12 }, () => random(3) ? 0 : random(256));
    p[0] = random(4) ? codes[random(codes.length)] : random(256);
    t.packet(p.map((x) => x.toString(16)).join(" "), random(3) ? random(65536) : 0, random(2));
    t.outb(0xc000, random(2) ? 0x09 : 0);
    for (let k = random(40); k > 0; k--) t.io.read(0x170, ([1, 2, 4] as const)[random(3)]);
    if (random(3) === 0) t.outb(0x177, 0x08);
  }
  t.outb(0x177, 0x08);
  assertEquals(t.reply("12 00 00 00 24").length, 36);
});
