/**
 * Pictures of a screen that a guest draws on: brought up to date by KVM's dirty log, by comparing under
 * tcg, and across moves between them, they are those of an adapter that draws all of it.
 */
import { assert, assertEquals } from "@std/assert";
import { DirtyLog } from "../../core/display/dirty.ts";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { SwitchAccelerator, type SwitchVm } from "../../core/kvm/switch.ts";
import { tcg } from "../../core/tcg/vm.ts";
import { Vga } from "../../devices/display/vga.ts";
import { mapLegacyVga } from "../../devices/display/vga_legacy.ts";
import {
  CHAIN4_320x200,
  freshPicture,
  generator,
  PLANAR_640x480,
  programmer,
  TEXT_80x25,
} from "../../devices/display/vga_rig.ts";
import { Bench, type BenchOptions, guestTest, hex, kvmTest, tcgOptions } from "./harness.ts";
import { makeRom, OURS, QEMU, qemuTest, Session, withFile } from "./session.ts";

const LFB = 0xe0000000, WINDOW = 0xa0000, VRAM = 1 << 20, LIST = 0x100000;

/** A guest whose program stores dwords by a list. */
class Painter {
  readonly bench: Bench;
  readonly vga: Vga;

  constructor(options: BenchOptions) {
    const b = this.bench = new Bench({ ...options, extra: (options.extra ?? 0) + (2 << 20) });
    const vram = b.memory.allocBlock("vga.vram", VRAM);
    this.vga = new Vga(vram, b.clock, new DirtyLog(b.vm, b.mem).watch(vram));
    mapLegacyVga(this.vga, b.mem, b.io);
    b.mem.map(this.vga.framebuffer, LFB);
    // again: lodsd; xchg edi, eax; lodsd; mov [edi], eax; loop again; hlt
    b.load(0x10000, hex("ad 97 ad 89 07 e2 f9 f4"));
  }

  /** Has the guest store each value at its address. */
  store(list: readonly (readonly [address: number, value: number])[]): void {
    const { vcpu, ram } = this.bench;
    if (list.length === 0) return;
    list.forEach(([address, value], i) => {
      ram.view.setUint32(LIST + 8 * i, address, true);
      ram.view.setUint32(LIST + 8 * i + 4, value, true);
    });
    this.bench.protectedMode(0x10000);
    vcpu.setRegs({ rsi: BigInt(LIST), rcx: BigInt(list.length) });
    vcpu.mpState = "runnable";
    assertEquals(this.bench.run().reason, "hlt");
  }

  check(what: string): void {
    const kept = this.vga.surface(), fresh = freshPicture(this.vga, this.bench.clock);
    assertEquals([kept.width, kept.height], [fresh.width, fresh.height], what);
    const at = fresh.pixels.findIndex((p, i) => p !== kept.pixels[i]);
    assert(at < 0, `${what}: pixel ${at % kept.width} of line ${Math.floor(at / kept.width)}`);
  }

  packedMode(bpp: number): void {
    [0xb0c5, 320, 200, bpp].forEach((v, i) => this.vga.writeDispi(i, v));
    this.vga.writeDispi(4, 0x41);
    this.vga.writePort(0x3c2, 0x67);
    programmer(this.vga).attribute(0, 0); // not blank
  }

  modes(): [string, () => void][] {
    const p = programmer(this.vga);
    return [
      ["text", () => p.set(TEXT_80x25)],
      ["planar", () => p.set(PLANAR_640x480)],
      ["256 colours", () => p.set(CHAIN4_320x200)],
      ["8 bpp", () => this.packedMode(8)],
      ["32 bpp", () => this.packedMode(32)],
    ];
  }

  /** Ten stores: into the window and through the linear frame buffer. */
  randomList(random: (n: number) => number): [number, number][] {
    return Array.from({ length: 1 + random(10) }, () => {
      const at = random(2) ? WINDOW + random(0x20000 - 4) : LFB + random(0x40000);
      return [at, random(1 << 24)];
    });
  }
}

function withPainter(options: BenchOptions, fn: (p: Painter) => void): void {
  const p = new Painter(options);
  try {
    fn(p);
  } finally {
    p.bench.close();
  }
}

guestTest(
  "partial updates equal whole ones while the guest draws",
  (options) =>
    withPainter(options, (p) => {
      const random = generator(3), { color } = programmer(p.vga);
      for (let i = 0; i < 256; i++) color(i, random(64), random(64), random(64));
      for (const [name, set] of p.modes()) {
        p.vga.writeDispi(4, 0);
        set();
        p.check(name);
        let partial = 0;
        for (let round = 0; round < 12; round++) {
          p.store(p.randomList(random));
          if (round % 4 === 3) color(random(256), random(64), random(64), random(64));
          p.check(`${name}, round ${round}`);
          if (p.vga.linesDrawn < p.vga.surface().height) partial++;
          assertEquals(p.vga.linesDrawn, 0, "nothing has changed since");
        }
        assert(partial >= 6, `${name}: ${partial} partial updates`);
      }
    }),
);

kvmTest(
  "a frame buffer costs no exits, and KVM's log decides which lines are drawn",
  () =>
    withPainter({ extra: 2 << 20 }, (p) => {
      p.packedMode(32);
      p.check("start");
      p.store([[LFB + 1280 * 32, 0x123456], [WINDOW + 1280 * 36, 0x654321]]);
      assertEquals(p.bench.vcpu.exits.get("mmio"), undefined);
      const { pixels } = p.vga.surface(); // pages 10 and 11: bytes A000h to BFFFh, lines 32 to 38
      assertEquals(p.vga.linesDrawn, 7);
      assertEquals([pixels[320 * 32], pixels[320 * 36]], [0x123456, 0x654321]);
      p.vga.vram.u8[1280 * 100] = 1; // by nobody whom the log knows
      assertEquals(p.vga.surface().pixels[320 * 100], 0);
      p.store([[LFB + 1280 * 100 + 4, 2]]);
      assertEquals([...p.vga.surface().pixels.subarray(320 * 100, 320 * 100 + 2)], [1, 2]);
    }),
);

guestTest(
  "what was drawn before the window moved is not forgotten",
  (options) =>
    withPainter(options, (p) => {
      const { set, out } = programmer(p.vga);
      set(CHAIN4_320x200);
      p.check("start");
      p.store([[WINDOW + 320 * 20, 0x01020304]]);
      out(0x3ce, 6, 0x0d); // the window at B8000h: the memory slot at A0000h goes
      p.check("window gone");
      assert(p.vga.linesDrawn > 0);
      p.store([[WINDOW + 320 * 40, 0x01020304]]);
      p.check("a store into nothing");
      assertEquals(p.vga.linesDrawn, 0);
    }),
);

guestTest(
  "text written to the window is there when it is read",
  (options) =>
    withPainter(options, (p) => {
      programmer(p.vga).set(TEXT_80x25);
      p.store([[0xb8000, 0x07690748]]);
      const t = p.vga.text()!;
      assertEquals(String.fromCharCode(...t.chars.subarray(0, 2)), "Hi");
      p.check("text");
    }),
);

kvmTest("pictures go on over moves between KVM and tcg", () => {
  const kvm = new KvmAccelerator(), accelerator = new SwitchAccelerator(kvm, tcg, () => {});
  withPainter({ ...tcgOptions(), accelerator }, (p) => {
    const random = generator(5), vm = p.bench.vm as SwitchVm, { color } = programmer(p.vga);
    for (let i = 0; i < 256; i++) color(i, random(64), random(64), random(64));
    for (const [name, set] of p.modes()) {
      p.vga.writeDispi(4, 0);
      set();
      for (let round = 0; round < 16; round++) {
        p.store(p.randomList(random));
        if (random(2)) vm.switchTo(vm.name === "kvm" ? tcg : kvm);
        if (random(2)) p.store(p.randomList(random));
        if (random(3) === 0) vm.switchTo(vm.name === "kvm" ? tcg : kvm);
        if (random(3)) p.check(`${name}, round ${round}, ${vm.name}`);
      }
    }
    const counts = p.bench.vcpu.exits;
    assert(counts.size > 0);
  });
  kvm.close();
});

/**
 * Sets 320 × 200 at 32 bpp and, for each byte that the keyboard sends, fills 160 bytes at an address
 * made of it in one of four banks; counts them at 500h.
 */
const PAINTS_KEYS = makeRom(
  `
  fa fc 31 c0 8e d8 a3 00 05  ; cli; cld; ds = 0; mov [500h], ax
  b8 00 a0 8e c0              ; es = a000h
  be 80 00 b9 04 00           ; mov si, 80h; mov cx, 4
  ba ce 01 2e ad ef           ; again: mov dx, 1ceh; lodsw cs:; out dx, ax
  42 2e ad ef e2 f4           ; inc dx; lodsw cs:; out dx, ax; loop again
  ba c0 03 b0 20 ee           ; mov dx, 3c0h; mov al, 20h; out dx, al: not blank
  e4 64 a8 01 74 fa           ; wait: in al, 64h; test al, 1; jz wait
  e4 60 88 c3                 ; in al, 60h; mov bl, al
  ba ce 01 b8 05 00 ef        ; the bank: DISPI register 5
  42 88 d8 25 03 00 ef        ; = key & 3
  88 df 89 df 83 e7 fc        ; mov bh, bl; mov di, bx; and di, -4
  66 0f b6 c3                 ; movzx eax, bl
  66 69 c0 01 01 01 01        ; imul eax, eax, 1010101h
  b9 28 00 f3 66 ab           ; mov cx, 40; rep stosd
  ff 06 00 05 eb ca           ; inc word [500h]; jmp wait`,
  { 0x80: "01 00 40 01  02 00 c8 00  03 00 20 00  04 00 41 00" },
);

/** Screens after each of four keys. */
async function screens(
  program: string,
  args: readonly string[],
  rom: string,
  between: (s: Session, n: number) => Promise<unknown> = () => Promise.resolve(),
): Promise<string[]> {
  const dir = await Deno.makeTempDir(), seen: string[] = [];
  try {
    const machine = ["-nodefaults", "-device", "VGA", "-m", "16", "-bios", rom];
    await using s = new Session(program, [...args, ...machine], 60_000);
    for (const [n, key] of ["a", "b", "q", "ret", "a"].entries()) {
      await s.command(`sendkey ${key} 10`);
      await s.poll("xp /1hx 0x500", (a) => parseInt(a[0].split("0x")[1], 16) >= 3 * (n + 1));
      await between(s, n);
      await s.command(`screendump ${dir}/${n}.ppm`);
      const bytes = await Deno.readFile(`${dir}/${n}.ppm`);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      seen.push(`${new TextDecoder().decode(bytes.subarray(0, 15))} ${hash.toHex()}`);
    }
    assertEquals(await s.quit(), 0);
    return seen;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

qemuTest(
  "screendump shows what QEMU's does, under each accelerator and over moves",
  () =>
    withFile(PAINTS_KEYS, async (rom) => {
      const theirs = await screens(QEMU, ["-accel", "tcg"], rom);
      assertEquals(new Set(theirs).size, 4, "the last key paints what the first has painted");
      for (
        const args of [
          ["-accel", "tcg"],
          ["-accel", "kvm"],
          ["-accel", "kvm,kernel-irqchip=off"],
        ]
      ) assertEquals(await screens(OURS, args, rom), theirs, args.join(" "));
      const names = ["tcg", "kvm"];
      const move = async (s: Session, n: number) => {
        await s.command("stop");
        await s.command(`accel ${names[n % 2]}`);
        await s.command("cont");
      };
      assertEquals(await screens(OURS, ["-enable-kvm"], rom, move), theirs, "over moves");
    }),
);
