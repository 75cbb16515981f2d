/**
 * For tests: a PC without processors whose BIOS services run all the same. What the ROM's stub does
 * around a handler (waiting, nested interrupts, far calls) is done here.
 */
import type { Drive } from "../../core/block/block.ts";
import { DriveImpl } from "../../core/block/drive.ts";
import { MemoryBackend } from "../../core/block/memory.ts";
import { type PcRig, pcRig } from "../../devices/boards/pc_rig.ts";
import type { PcConfig } from "../../devices/boards/pc_config.ts";
import { attachBios, type AttachedBios } from "./attach.ts";
import { Action, FrameContext, TRAP_PORT } from "./frame.ts";
import { Fn } from "./layout.ts";

/** Registers of a call, by name. */
export type Registers = Partial<
  Record<
    | "eax"
    | "ebx"
    | "ecx"
    | "edx"
    | "ax"
    | "bx"
    | "cx"
    | "dx"
    | "si"
    | "di"
    | "bp"
    | "ds"
    | "es"
    | "flags",
    number
  >
>;

const STACK = 0x9000;
/** One round of waiting: to the next timer, 10 ms at the most. */
const WAIT_NS = 10_000_000;

export class BiosRig {
  readonly pc: PcRig;
  readonly bios: AttachedBios;
  /** Text that POST and the boot code have printed. */
  output = "";
  /** Far calls into ROMs and nested interrupts without a handler, as `c000:0003`, `int 1c`. */
  readonly calls: string[] = [];
  /** Called for each far call that is not the BIOS's own code. */
  onCall: (c: FrameContext) => void = () => {};
  /** Application processors that answer a start-up IPI. */
  aps = 0;
  /** What CPUID 1 says: EAX, EBX, ECX, EDX. */
  cpuid = [0x663, 0, 0, 0x78bfbff];
  #depth = 0;

  constructor(config: Partial<PcConfig> = {}) {
    this.pc = pcRig({ romFile: () => undefined, ...config });
    const { mem, io } = this.pc.env;
    this.bios = attachBios({ mem, io });
    // The board's ROM is a filler; the real one is put where the chip set shows it.
    const image = this.bios.rom.image, { block } = this.pc.board.firmware;
    block.u8.set(image, block.size - image.length);
  }

  get mem() {
    return this.pc.env.mem;
  }
  bytes(at: number, length: number): Uint8Array {
    const b = new Uint8Array(length);
    this.mem.readBytes(at, b);
    return b;
  }
  read16(at: number): number {
    return this.mem.read(at, 2);
  }
  read32(at: number): number {
    return this.mem.read(at, 4);
  }

  /**
   * Calls function `fn` (an interrupt's number, or one of Fn) with these registers and gives what it
   * returned. Throws when it does not end within `rounds` waits. Without an end, `until` may stop it.
   */
  call(
    fn: number,
    r: Registers = {},
    rounds = 3000,
    until: (c: FrameContext) => boolean = () => false,
  ): FrameContext {
    const at = STACK - 0x80 * this.#depth++;
    const c = new FrameContext(this.pc.env);
    const zero = new Uint8Array(0x80);
    this.mem.writeBytes(at, zero);
    c.load(at);
    for (const [name, value] of Object.entries(r)) c[name as keyof Registers] = value!;
    c.store();
    this.mem.write(at + 0x38, 2, fn);
    try {
      for (let n = 0; n < rounds;) {
        this.pc.env.io.write(TRAP_PORT, 4, at);
        c.load(at);
        if (until(c)) return c;
        const action = c.action & 0xff;
        if (action === Action.done || action === Action.chain) return c;
        if (action === Action.wait || action === Action.poll) {
          n++;
          const next = (this.pc.clock.queue.next ?? Infinity) - this.pc.clock.now();
          this.pc.clock.advance(Math.max(1000, Math.min(WAIT_NS, next)));
          this.tick();
        } else if (action === Action.interrupt) this.#nested(c);
        else this.#far(c);
        c.store();
      }
    } finally {
      this.#depth--;
    }
    throw new Error(`function 0x${fn.toString(16)} still waits in phase ${c.phase}`);
  }

  /** Gives pending hardware interrupts to the BIOS, as a processor with interrupts on would. */
  tick(): void {
    for (let n = 0; n < 20; n++) {
      const source = this.pc.board.irqs.pic!;
      if (!this.pc.intr[0]) return;
      const vector = source.acknowledge();
      if (vector < 0) return;
      if (this.bios.handlers.has(this.#service(vector))) this.call(this.#service(vector));
      else this.call(Fn.spurious);
    }
  }

  /** Function behind an interrupt vector: by the offset it has in the table. */
  #service(vector: number): number {
    const target = this.read32(4 * vector), linear = (target >>> 16) * 16 + (target & 0xffff);
    for (const [label, at] of this.bios.rom.labels) {
      if (at !== linear) continue;
      if (label.startsWith("entry.")) return parseInt(label.slice(6), 16);
      if (label.startsWith("fn.")) return Fn[label.slice(3) as keyof typeof Fn];
    }
    return -1;
  }

  #nested(c: FrameContext): void {
    const n = c.action >> 8, fn = this.#service(n);
    const [ax, bx, cx, dx] = [0, 1, 2, 3].map((k) => c.arg(k));
    if (fn < 0 || !this.bios.handlers.has(fn)) {
      this.calls.push(`int ${n.toString(16)}`);
      if (n === 0x10 && ax >> 8 === 0x0e) this.output += String.fromCharCode(ax & 0xff);
      c.setArgs(ax, 1, cx, dx);
      return;
    }
    const r = this.call(fn, { ax, bx, cx, dx, ds: c.ds, es: c.es, si: c.si, di: c.di, flags: 1 });
    c.setArgs(r.ax, r.flags, r.cx, r.dx);
  }

  #far(c: FrameContext): void {
    const at = (c.local >>> 16) * 16 + (c.local & 0xffff);
    const label = [...this.bios.rom.labels].find(([, v]) => v === at)?.[0];
    if (label === "print") {
      for (let p = c.ds * 16 + c.si;; p++) {
        const ch = this.mem.read(p, 1);
        if (ch === 0) break;
        this.output += String.fromCharCode(ch);
      }
    } else if (label === "cpu_probe") {
      this.cpuid.forEach((v, n) => this.mem.write(0xec350 + 4 * n, 4, v));
      this.mem.write(0xec360, 1, 40);
    } else if (label === "mp_start") {
      this.mem.write(0xec000, 4, this.aps);
      this.mem.write(0xfee000f0, 4, 0x1ff); // local APIC on, LINT0 passes the 8259s' interrupts
      this.mem.write(0xfee00350, 4, 0x700);
    } else if (label === undefined) {
      this.calls.push(`${(c.local >>> 16).toString(16)}:${(c.local & 0xffff).toString(16)}`);
      this.onCall(c);
    }
    c.setArg(0, 0);
  }

  /** Runs POST to the point where it enters INT 19h. */
  post(): this {
    this.call(Fn.post, {}, 10000);
    return this;
  }
}

/** A drive whose medium is bytes in memory. */
export function memoryDrive(
  name: string,
  kind: Drive["kind"],
  bytes: Uint8Array | undefined,
): DriveImpl {
  const medium = bytes && new MemoryBackend(bytes, { readonly: kind === "cdrom" });
  return new DriveImpl(name, { kind, medium }, {
    stopOnError: () => {},
    nextNodeName: () => "#block000",
  });
}
