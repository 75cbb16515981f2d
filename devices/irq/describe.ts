/**
 * The texts of HMP `info pic`, `info irq` and `info lapic`, laid out as QEMU 7.2 prints them. Each
 * ends with a newline.
 */
import type { GsiRouter } from "./gsi.ts";
import type { ChipState, I8259 } from "./i8259.ts";
import { type IoApic, IOAPIC_PINS, Redirection } from "./ioapic.ts";
import { Delivery, LVT_LEVEL, LVT_MASKED, LVT_PERIODIC, Reg } from "./lapic_registers.ts";

const hex = (v: number, digits: number) => v.toString(16).padStart(digits, "0");
const binary = (v: number, digits: number) => v.toString(2).padStart(digits, "0");

const IOAPIC_MODES = ["fixed", "lowest", "SMI", "...", "NMI", "INIT", "...", "extINT"];
const LVT_MODES = ["Fixed", "LoPri", "SMI", "...", "NMI", "INIT", "SIPI", "ExtINT"];
const SHORTHANDS = ["no-shorthand", "self", "all-self", "all"];
/** LVT bit 12, and the bit that selects TSC-deadline mode in the timer's. */
const LVT_PENDING = 0x1000, LVT_TSC_DEADLINE = 0x40000;

/** `info pic`: the I/O APIC, when there is one, then both 8259s. */
export function infoPic(pic: I8259, ioapic?: IoApic): string {
  let text = ioapic === undefined ? "" : ioApicText(ioapic);
  text += chipText(1, pic.state.slave) + chipText(0, pic.state.master);
  return text;
}

function chipText(n: number, c: ChipState): string {
  return `pic${n}: irr=${hex(c.irr, 2)} imr=${hex(c.imr, 2)} isr=${hex(c.isr, 2)} ` +
    `hprio=${c.highest} irq_base=${hex(c.base, 2)} rr_sel=${Number(c.readIsr)} ` +
    `elcr=${hex(c.elcr, 2)} fnm=${Number(c.specialFullyNested)}\n`;
}

function ioApicText(ioapic: IoApic): string {
  const s = ioapic.state, sel = s.ioregsel;
  let text = `ioapic0: ver=0x${hex(ioapic.version, 1)} id=0x${hex(s.id >>> 24, 2)} ` +
    `sel=0x${hex(sel, 2)}`;
  if (sel !== 0) text += ` (redir[${((sel - 0x10) >>> 0) >>> 1}])`;
  text += "\n";
  let remoteIrr = 0;
  for (let n = 0; n < IOAPIC_PINS; n++) {
    const e = s.low[n], high = s.high[n], logical = (e & Redirection.logical) !== 0;
    const dest = (high >>> 24) & (logical ? 0xff : 0xf);
    const level = (e & Redirection.level) !== 0;
    text += `  pin ${String(n).padEnd(2)} 0x${hex(high, 8)}${hex(e, 8)} dest=${hex(dest, 1)} ` +
      `vec=${String(e & 0xff).padEnd(3)} ` +
      `${e & Redirection.activeLow ? "active-lo" : "active-hi"} ` +
      `${level ? "level" : "edge "} ${e & Redirection.masked ? "masked" : "      "} ` +
      `${IOAPIC_MODES[(e >> 8) & 7].padEnd(6)} ${logical ? "logical" : "physical"}\n`;
    if (level && e & Redirection.remoteIrr) remoteIrr |= 1 << n;
  }
  return text + pinList("  IRR", s.irr) + pinList("  Remote IRR", remoteIrr);
}

function pinList(name: string, bits: number): string {
  let text = name.padEnd(10) + " ";
  if (bits === 0) return text + "(none)\n";
  for (let n = 0; n < IOAPIC_PINS; n++) if (bits & (1 << n)) text += String(n).padEnd(2) + " ";
  return text + "\n";
}

/** `info irq`: how often each line has risen, per controller. */
export function infoIrq(pic: I8259, gsi?: GsiRouter): string {
  const list = (name: string, counts: readonly number[]) =>
    `IRQ statistics for ${name}:\n` +
    counts.map((c, n) => c === 0 ? "" : `${String(n).padStart(2)}: ${c}\n`).join("");
  return (gsi === undefined ? "" : list("ioapic", gsi.counts)) + list("isa-i8259", pic.counts);
}

/** What `info lapic` shows of a local APIC, wherever that is. */
export interface LapicView {
  readonly cpu: { readonly index: number };
  reg(offset: number): number;
  readonly divisor: number;
  readonly currentCount: number;
  readonly arbitrationId: number;
  readonly ppr: number;
  /** The processor has x2APIC: destinations are 32 bits wide. */
  readonly x2apic?: boolean;
}

/** `info lapic` of one processor; without a local APIC, QEMU's words for that. */
export function infoLapic(lapic?: LapicView): string {
  if (lapic === undefined) return "local apic state not available\n";
  const spiv = lapic.reg(Reg.SVR), divide = lapic.reg(Reg.TIMER_DIVIDE);
  const ldr = lapic.reg(Reg.LDR) >>> 24, dfr = lapic.reg(Reg.DFR) >>> 28;
  const cluster = dfr === 0 ? `(cluster ${ldr >> 4}: id ${ldr & 15})` : "";
  return `dumping local APIC state for CPU ${String(lapic.cpu.index).padEnd(2)}\n\n` +
    lvtText("LVT0", lapic.reg(Reg.LVT_LINT0)) +
    lvtText("LVT1", lapic.reg(Reg.LVT_LINT1)) +
    lvtText("LVTPC", lapic.reg(Reg.LVT_PERF)) +
    lvtText("LVTERR", lapic.reg(Reg.LVT_ERROR)) +
    lvtText("LVTTHMR", lapic.reg(Reg.LVT_THERMAL)) +
    lvtText("LVTT", lapic.reg(Reg.LVT_TIMER), true) +
    `Timer\t DCR=0x${hex(divide, 1)} (divide by ${lapic.divisor}) ` +
    `initial_count = ${lapic.reg(Reg.TIMER_INITIAL)} current_count = ${lapic.currentCount}\n` +
    `SPIV\t 0x${hex(spiv, 8)} APIC ${spiv & 0x100 ? "enabled" : "disabled"}, ` +
    `focus=${spiv & 0x200 ? "on" : "off"}, spurious vec ${spiv & 0xff}\n` +
    icrText(lapic, dfr) +
    `ESR\t 0x${hex(lapic.reg(Reg.ESR), 8)}\n` +
    bitmapText("ISR", lapic, Reg.ISR) +
    bitmapText("IRR", lapic, Reg.IRR) +
    `\nAPR 0x${hex(lapic.arbitrationId, 2)} TPR 0x${hex(lapic.reg(Reg.TPR), 2)} ` +
    `DFR 0x${hex(dfr, 2)} LDR 0x${hex(ldr, 2)}${cluster} PPR 0x${hex(lapic.ppr, 2)}\n`;
}

function lvtText(name: string, lvt: number, timer = false): string {
  const mode = (lvt >> 8) & 7;
  const timerMode = !timer
    ? ""
    : lvt & LVT_PERIODIC
    ? "periodic"
    : lvt & LVT_TSC_DEADLINE
    ? "tsc-deadline"
    : "one-shot";
  return `${name}\t 0x${hex(lvt, 8)} ${lvt & 0x2000 ? "active-lo" : "active-hi"} ` +
    `${lvt & LVT_LEVEL ? "level" : "edge "} ${lvt & LVT_MASKED ? "masked" : "      "} ` +
    `${lvt & LVT_PENDING ? "pending" : "       "} ${timerMode.padEnd(12)} ` +
    LVT_MODES[mode].padEnd(6) + (mode === Delivery.nmi ? "" : ` (vec ${lvt & 0xff})`) + "\n";
}

function icrText(lapic: LapicView, dfr: number): string {
  const icr = lapic.reg(Reg.ICR_LOW), icr2 = lapic.reg(Reg.ICR_HIGH), dest = icr2 >>> 24;
  const logical = (icr & 0x800) !== 0, shorthand = (icr >> 18) & 3;
  const text = `ICR\t 0x${hex(icr, 8)} ${logical ? "logical" : "physical"} ` +
    `${icr & 0x8000 ? "level" : "edge"} ${icr & 0x4000 ? "assert" : "de-assert"} ` +
    `${SHORTHANDS[shorthand]}\nICR2\t 0x${hex(icr2, 8)}`;
  if (shorthand !== 0) return text + "\n";
  if (!logical) {
    return text + (lapic.x2apic ? ` cpu ${icr2} (X2APIC ID)\n` : ` cpu ${dest & 15} (APIC ID)\n`);
  }
  if (dfr === 0xf) return text + ` mask ${binary(dest, 8)} (APIC ID)\n`;
  if (dfr === 0 && lapic.x2apic) {
    return text + ` cluster ${icr2 >>> 16} mask ${binary(icr2 & 0xffff, 16)} (X2APIC ID)\n`;
  }
  if (dfr === 0) return text + ` cluster ${dest >> 4} mask ${binary(dest & 15, 4)} (APIC ID)\n`;
  return text;
}

function bitmapText(name: string, lapic: LapicView, bitmap: number): string {
  let list = "";
  for (let v = 0; v < 256; v++) {
    const word = (v >> 5) << 4, bit = 1 << (v & 31);
    if (!(lapic.reg(bitmap + word) & bit)) continue;
    list += `${v}${lapic.reg(Reg.TMR + word) & bit ? "(level)" : ""} `;
  }
  return `${name}\t ${list || "(none)"}\n`;
}
