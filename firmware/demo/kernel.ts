/**
 * What the parts of the demo guest share: the assembler, a pool of texts, and the memory map.
 *
 * The guest is a 32-bit kernel for one and more processors, small enough to be read in an hour. Each
 * part is one file; each file emits its code and lists what it offers.
 */
import { Assembler } from "../asm/assembler.ts";
import { esi } from "../asm/operand.ts";

/** Physical memory below 1 MiB as the guest uses it. */
export const Map = {
  /** E820 entries of 24 bytes, and before them their number (dword). */
  e820Count: 0x4ff8,
  e820: 0x5000,
  /** The boot image: where the BIOS has loaded it, and where the kernel runs. */
  image: 0x7c00,
  pageDirectory: 0x10000,
  lowTable: 0x11000,
  demoTable: 0x12000,
  idt: 0x20000,
  /** 4 KiB for each processor. */
  stacks: 0x30000,
  /** 32 bytes for each processor; see Cpu. */
  cpus: 0x40000,
  /** Blocks read from the CD. */
  disc: 0x50000,
  /** Real-mode code that start-up IPIs point to: vector 70h. */
  trampoline: 0x70000,
  maxCpus: 16,
} as const;

/** Fields of a processor's record. */
export const Cpu = { apicId: 0, ticks: 4, calls: 8, state: 12, size: 32 } as const;

export const LAPIC = 0xfee00000;
/** Offsets of local APIC registers (SDM volume 3, table 11-1). */
export const Lapic = {
  ID: 0x20,
  TPR: 0x80,
  EOI: 0xb0,
  SVR: 0xf0,
  ICR_LOW: 0x300,
  ICR_HIGH: 0x310,
  LVT_TIMER: 0x320,
  LVT_LINT0: 0x350,
  TIMER_INITIAL: 0x380,
  TIMER_CURRENT: 0x390,
  TIMER_DIVIDE: 0x3e0,
} as const;

/** Interrupt vectors. */
export const Vector = {
  pageFault: 14,
  irq: 0x20,
  timer: 0x40,
  call: 0x41,
  spurious: 0xff,
} as const;

export class Kernel {
  readonly a = new Assembler(16, Map.image);
  readonly i = this.a.i;
  readonly #variables: { label: string; size: number; value: number }[] = [];
  readonly #texts = new globalThis.Map<string, string>();

  /** Label of a zero-terminated text, emitted by {@link emitTexts}. */
  text(s: string): string {
    let label = this.#texts.get(s);
    if (label === undefined) {
      label = this.a.unique("text");
      this.#texts.set(s, label);
    }
    return label;
  }

  /**
   * Declares a variable. They all go to a page of their own: a store into a page with code makes an
   * emulator look whether it has changed code.
   */
  variable(label: string, size = 4, value = 0): void {
    this.#variables.push({ label, size, value });
  }

  emitVariables(): void {
    this.a.align(4096);
    for (const v of this.#variables) {
      this.a.align(4);
      this.a.label(v.label);
      if (v.size === 4) this.a.dd(v.value);
      else this.a.zeros(v.size);
    }
  }

  /** Prints a constant. Preserves all registers but ESI. */
  print(s: string): void {
    this.i.mov(esi, this.text(s));
    this.i.call("puts");
  }

  /** Prints EAX in decimal. */
  printDecimal(): void {
    this.i.call("put_decimal");
  }

  /** Prints a constant register value as hexadecimal; the value is in EAX. */
  printHex(): void {
    this.i.call("put_hex");
  }

  emitTexts(): void {
    for (const [s, label] of this.#texts) {
      this.a.label(label);
      this.a.db(s, 0);
    }
  }
}
