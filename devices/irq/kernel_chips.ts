/**
 * The 8259 pair and the I/O APIC that are inside the accelerator, as models of ours filled with their
 * state: for accesses that do not come from the guest (firmware services, the monitor), and for
 * `info pic`. Layouts: Linux uapi `asm/kvm.h`, `kvm_pic_state` and `kvm_ioapic_state`.
 */
import type { KernelIrqchip, Vcpu } from "../../core/accel.ts";
import { NO_IRQ } from "../../core/device.ts";
import { type AccessSize, type IoRegion, ioRegion } from "../../core/memory/region.ts";
import { type ChipState, I8259 } from "./i8259.ts";
import { IoApic, IOAPIC_PINS } from "./ioapic.ts";
import { Reg } from "./lapic_registers.ts";
import type { LapicView } from "./describe.ts";

/** Chip numbers of {@link KernelIrqchip.chip}. */
const MASTER = 0, SLAVE = 1, IOAPIC = 2;

/** Bytes of `kvm_pic_state`, in order. */
const enum Pic {
  LastIrr,
  Irr,
  Imr,
  Isr,
  PriorityAdd,
  IrqBase,
  ReadRegSelect,
  Poll,
  SpecialMask,
  InitState,
  AutoEoi,
  RotateOnAutoEoi,
  SpecialFullyNested,
  Init4,
  Elcr,
}

const KVM_IOAPIC_VERSION = 0x11;
const FEATURE_X2APIC = 1 << 21;

export class KernelChips {
  readonly #pic = new I8259(NO_IRQ);
  readonly #ioapic = new IoApic({ deliver: () => false, onEoi: () => {} }, KVM_IOAPIC_VERSION);

  constructor(private readonly chip: KernelIrqchip) {}

  /** A copy with the state of now. */
  get pic(): I8259 {
    this.#pull();
    return this.#pic;
  }

  /** A copy with the state of now. */
  get ioapic(): IoApic {
    const raw = this.chip.chip(IOAPIC), v = new DataView(raw.buffer, raw.byteOffset);
    const s = this.#ioapic.state;
    s.ioregsel = v.getUint32(8, true);
    s.id = v.getUint32(12, true) << 24;
    s.irr = v.getUint32(16, true);
    for (let n = 0; n < IOAPIC_PINS; n++) {
      s.low[n] = v.getUint32(24 + 8 * n, true);
      s.high[n] = v.getUint32(28 + 8 * n, true);
    }
    return this.#ioapic;
  }

  /** The PIC's ports, by address. */
  ports(): { port: number; region: IoRegion }[] {
    const p = this.#pic;
    return [
      { port: 0x20, region: this.#through(p.masterPorts) },
      { port: 0xa0, region: this.#through(p.slavePorts) },
      { port: 0x4d0, region: this.#through(p.elcr1) },
      { port: 0x4d1, region: this.#through(p.elcr2) },
    ];
  }

  #through(model: IoRegion): IoRegion {
    const { ops } = model;
    return ioRegion(model.name, model.size, {
      maxAccess: 1,
      read: (offset: number, size: AccessSize) => {
        this.#pull();
        const value = ops.read(offset, size);
        this.#push(); // a poll acknowledges
        return value;
      },
      write: (offset: number, size: AccessSize, value: number) => {
        this.#pull();
        ops.write(offset, size, value);
        this.#push();
      },
    });
  }

  #pull(): void {
    fromKernel(this.chip.chip(MASTER), this.#pic.state.master);
    fromKernel(this.chip.chip(SLAVE), this.#pic.state.slave);
  }

  #push(): void {
    const { master, slave } = this.#pic.state;
    this.chip.setChip(SLAVE, toKernel(this.chip.chip(SLAVE), slave));
    this.chip.setChip(MASTER, toKernel(this.chip.chip(MASTER), master));
  }
}

function fromKernel(raw: Uint8Array, c: ChipState): void {
  c.lines = raw[Pic.LastIrr];
  c.irr = raw[Pic.Irr];
  c.imr = raw[Pic.Imr];
  c.isr = raw[Pic.Isr];
  c.highest = raw[Pic.PriorityAdd];
  c.base = raw[Pic.IrqBase];
  c.readIsr = raw[Pic.ReadRegSelect] !== 0;
  c.poll = raw[Pic.Poll] !== 0;
  c.specialMask = raw[Pic.SpecialMask] !== 0;
  c.expects = raw[Pic.InitState] === 0 ? 0 : raw[Pic.InitState] + 1;
  c.autoEoi = raw[Pic.AutoEoi] !== 0;
  c.rotateOnAutoEoi = raw[Pic.RotateOnAutoEoi] !== 0;
  c.specialFullyNested = raw[Pic.SpecialFullyNested] !== 0;
  c.needsIcw4 = raw[Pic.Init4] !== 0;
  c.elcr = raw[Pic.Elcr];
}

function toKernel(raw: Uint8Array, c: ChipState): Uint8Array {
  raw[Pic.LastIrr] = c.lines;
  raw[Pic.Irr] = c.irr;
  raw[Pic.Imr] = c.imr;
  raw[Pic.Isr] = c.isr;
  raw[Pic.PriorityAdd] = c.highest;
  raw[Pic.IrqBase] = c.base;
  raw[Pic.ReadRegSelect] = Number(c.readIsr);
  raw[Pic.Poll] = Number(c.poll);
  raw[Pic.SpecialMask] = Number(c.specialMask);
  raw[Pic.InitState] = c.expects === 0 ? 0 : c.expects - 1;
  raw[Pic.AutoEoi] = Number(c.autoEoi);
  raw[Pic.RotateOnAutoEoi] = Number(c.rotateOnAutoEoi);
  raw[Pic.SpecialFullyNested] = Number(c.specialFullyNested);
  raw[Pic.Init4] = Number(c.needsIcw4);
  raw[Pic.Elcr] = c.elcr;
  return raw;
}

/** A LAPIC inside the accelerator, from its register page of the moment: for `info lapic`. */
export function kernelLapic(chip: KernelIrqchip, cpu: Vcpu): LapicView {
  const page = chip.lapic(cpu.index), v = new DataView(page.buffer, page.byteOffset);
  const reg = (at: number) => v.getUint32(at, true);
  const divide = reg(Reg.TIMER_DIVIDE), code = (divide & 3) | ((divide >> 1) & 4);
  return {
    cpu,
    reg,
    divisor: code === 7 ? 1 : 2 << code,
    currentCount: reg(Reg.TIMER_CURRENT),
    arbitrationId: reg(Reg.APR) >>> 24,
    ppr: reg(Reg.PPR),
    x2apic: (cpu.cpuid(1, 0).ecx & FEATURE_X2APIC) !== 0,
  };
}
