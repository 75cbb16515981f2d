/**
 * The PC's interrupt controllers and the 24 global system interrupts: its own 8259 pair, I/O APIC and
 * local APICs, or the accelerator's.
 */
import type { KernelIrqchip, Vcpu } from "../../core/accel.ts";
import { type Device, type IrqLine, irqLine } from "../../core/device.ts";
import { ioRegion } from "../../core/memory/region.ts";
import { ApicBus } from "../irq/apic_bus.ts";
import { GsiRouter } from "../irq/gsi.ts";
import type { ApicFeatures } from "../irq/lapic.ts";
import { I8259 } from "../irq/i8259.ts";
import { IoApic, IOAPIC_PINS, type IoApicBus } from "../irq/ioapic.ts";
import type { LapicView } from "../irq/describe.ts";
import { KernelChips, kernelLapic } from "../irq/kernel_chips.ts";
import { PicSource } from "../irq/pic_source.ts";
import type { MachineEnv } from "./env.ts";

export const GSI_COUNT = 24;
/** CPUID.01H:ECX. */
const X2APIC = 1 << 21, TSC_DEADLINE = 1 << 24;
export const IOAPIC_BASE = 0xfec00000;

export interface PcInterrupts {
  /** A new source on global system interrupt `n`; several sources are OR-ed. */
  line(n: number): IrqLine;
  /** Connects a new vCPU. */
  addVcpu(cpu: Vcpu, bsp: boolean, hasApic: boolean): void;
  /** A message-signalled interrupt. */
  msi(address: number, data: number): void;
  /** Pulses the NMI pins. */
  nmi(): void;
  readonly devices: readonly { id: string; device: Device }[];
  /** Where the accelerator has them, copies of their state of the moment. */
  readonly pic?: I8259;
  readonly ioapic?: IoApic;
  readonly gsi?: GsiRouter;
  readonly lapics: readonly LapicView[];
}

/** Makes what the machine's accelerator leaves to the board and maps it. */
export function makeInterrupts(env: MachineEnv): PcInterrupts {
  switch (env.vm.irqchip?.mode) {
    case "on":
      return kernelInterrupts(env);
    case "split":
      return splitInterrupts(env, env.vm.irqchip);
    default:
      return ownInterrupts(env);
  }
}

function ownInterrupts(env: MachineEnv): PcInterrupts {
  const intr: ((level: boolean) => void)[] = [];
  const pic = new I8259(irqLine((level) => intr.forEach((f) => f(level))));
  const bus = new ApicBus({
    clock: env.clock,
    currentVcpu: () => env.currentVcpu()?.index ?? -1,
    picAcknowledge: () => pic.acknowledge(),
  });
  intr.push((level) => bus.lint0.set(level));
  const ioapic = new IoApic(bus);
  const gsi = new GsiRouter(pic, ioapic);
  env.io.map(pic.masterPorts, 0x20);
  env.io.map(pic.slavePorts, 0xa0);
  env.io.map(pic.elcr1, 0x4d0);
  env.io.map(pic.elcr2, 0x4d1);
  env.mem.map(ioapic.region, IOAPIC_BASE);
  bus.attach(env.mem);
  const devices: { id: string; device: Device }[] = [
    { id: "i8259", device: pic },
    { id: "ioapic", device: ioapic },
  ];
  const cpus: Vcpu[] = [];
  return {
    line: (n) => gsi.line(n),
    addVcpu(cpu, bsp, hasApic) {
      cpus.push(cpu);
      if (hasApic) {
        const lapic = bus.add(cpu, bsp, apicFeatures(cpu));
        cpu.interruptSource = lapic;
        devices.push({ id: `apic/${cpu.index}`, device: lapic });
      } else {
        cpu.interruptSource = new PicSource(pic);
        if (bsp) intr.push((level) => cpu.setIntr(level));
      }
    },
    msi: (address, data) => bus.msi(address, data),
    nmi() {
      if (bus.lapics.length > 0) bus.nmi();
      else for (const c of cpus) c.nmi();
    },
    devices,
    pic,
    ioapic,
    gsi,
    lapics: bus.lapics,
  };
}

/** Of the local APIC, as CPUID tells. */
export function apicFeatures(cpu: Vcpu): ApicFeatures {
  const { ecx } = cpu.cpuid(1, 0), sizes = 0x80000008;
  const physBits = cpu.cpuid(0x80000000, 0).eax >>> 0 >= sizes
    ? cpu.cpuid(sizes, 0).eax & 0xff
    : 36;
  return { x2apic: (ecx & X2APIC) !== 0, tscDeadline: (ecx & TSC_DEADLINE) !== 0, physBits };
}

/** The I/O APIC's side of local APICs that are KVM's: redirection entries become messages. */
class MessageBus implements IoApicBus {
  /** Route numbers of level-triggered messages, by address and data: KVM tells of their EOIs. */
  readonly #routes = new Map<string, number>();
  #next = 0;

  constructor(private readonly chip: KernelIrqchip) {}

  deliver(dest: number, logical: boolean, mode: number, vector: number, level: boolean): boolean {
    const address = (0xfee00000 | dest << 12 | (logical ? 4 : 0)) >>> 0;
    const data = vector | mode << 8 | (level ? 0xc000 : 0);
    if (level) this.#watch(address, data);
    return this.chip.signalMsi(address, data);
  }

  #watch(address: number, data: number): void {
    const key = `${address},${data}`;
    if (this.#routes.has(key)) return;
    const pin = this.#next;
    this.#next = (this.#next + 1) % IOAPIC_PINS;
    for (const [old, n] of this.#routes) if (n === pin) this.#routes.delete(old);
    this.#routes.set(key, pin);
    this.chip.setRoute(pin, { address, data });
  }

  onEoi(f: (vector: number) => void): void {
    this.chip.onEoi = f;
  }

  /** KVM has forgotten its routes. */
  reset(): void {
    this.#routes.clear();
  }
}

function splitInterrupts(env: MachineEnv, chip: KernelIrqchip): PcInterrupts {
  let bsp: Vcpu | undefined;
  const pic = new I8259(irqLine((level) => bsp?.setIntr(level)));
  const bus = new MessageBus(chip), ioapic = new IoApic(bus), gsi = new GsiRouter(pic, ioapic);
  env.io.map(pic.masterPorts, 0x20);
  env.io.map(pic.slavePorts, 0xa0);
  env.io.map(pic.elcr1, 0x4d0);
  env.io.map(pic.elcr2, 0x4d1);
  env.mem.map(ioapic.region, IOAPIC_BASE);
  const cpus: Vcpu[] = [];
  const routed: Device = {
    type: chip.type,
    reset: () => {
      bus.reset();
      chip.reset();
    },
    save: () => chip.save(),
    load: (state) => {
      bus.reset();
      chip.load(state);
    },
  };
  return {
    line: (n) => gsi.line(n),
    addVcpu(cpu, isBsp) {
      cpus.push(cpu);
      cpu.interruptSource = new PicSource(pic);
      if (isBsp) bsp = cpu;
    },
    msi: (address, data) => void chip.signalMsi(address, data),
    nmi: () => cpus.forEach((c) => c.nmi()),
    devices: [
      { id: "irqchip", device: routed },
      { id: "i8259", device: pic },
      { id: "ioapic", device: ioapic },
    ],
    pic,
    ioapic,
    gsi,
    get lapics() {
      return cpus.map((cpu) => kernelLapic(chip, cpu));
    },
  };
}

function kernelInterrupts(env: MachineEnv): PcInterrupts {
  const chip = env.vm.irqchip!;
  const raised = new Array<number>(GSI_COUNT).fill(0);
  const cpus: Vcpu[] = [], chips = new KernelChips(chip);
  for (const { port, region } of chips.ports()) env.io.map(region, port);
  if (chip.pitPorts) env.io.map(ioRegion("pit", 4, chip.pitPorts), 0x40);
  return {
    line(n) {
      return irqLine((level) => {
        raised[n] += level ? 1 : -1;
        if (raised[n] === (level ? 1 : 0)) chip.setIrqLine(n, level);
      });
    },
    addVcpu: (cpu) => void cpus.push(cpu),
    msi: (address, data) => void chip.signalMsi(address, data),
    nmi: () => cpus.forEach((c) => c.nmi()),
    devices: [{ id: "irqchip", device: chip }],
    get pic() {
      return chips.pic;
    },
    get ioapic() {
      return chips.ioapic;
    },
    get lapics() {
      return cpus.map((cpu) => kernelLapic(chip, cpu));
    },
  };
}
