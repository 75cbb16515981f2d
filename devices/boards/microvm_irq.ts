/**
 * Interrupts of the microvm board: those of a PC, without an 8259 pair if that is off, and with a
 * second I/O APIC for the global system interrupts from 24 on.
 */
import { type IrqLine, irqLine, NO_IRQ } from "../../core/device.ts";
import { ApicBus } from "../irq/apic_bus.ts";
import { GsiRouter } from "../irq/gsi.ts";
import { I8259 } from "../irq/i8259.ts";
import { IoApic, IOAPIC_PINS } from "../irq/ioapic.ts";
import type { MachineEnv } from "./env.ts";
import { apicFeatures, IOAPIC_BASE, makeInterrupts, type PcInterrupts } from "./pc_irq.ts";

export const IOAPIC2_BASE = 0xfec10000;

export interface MicrovmInterrupts extends PcInterrupts {
  /** The I/O APIC of interrupts 24 to 47. */
  readonly ioapic2?: IoApic;
}

/**
 * Makes and maps them. Where the interrupt controllers are the accelerator's, neither `pic` off nor a
 * second I/O APIC can be had.
 */
export function makeMicrovmInterrupts(
  env: MachineEnv,
  { pic: hasPic, ioapic2: hasSecond }: { readonly pic: boolean; readonly ioapic2: boolean },
): MicrovmInterrupts {
  if (env.vm.irqchip !== undefined) return makeInterrupts(env);
  // Without a way to its ports or its output the pair is as good as absent.
  const output: { lint0: IrqLine } = { lint0: NO_IRQ };
  const pic = new I8259(irqLine((level) => output.lint0.set(level)));
  const bus = new ApicBus({
    clock: env.clock,
    currentVcpu: () => env.currentVcpu()?.index ?? -1,
    picAcknowledge: () => pic.acknowledge(),
  });
  if (hasPic) output.lint0 = bus.lint0;
  const ioapic = new IoApic(bus), gsi = new GsiRouter(pic, ioapic);
  const ioapic2 = hasSecond ? new IoApic(bus) : undefined;
  if (hasPic) {
    env.io.map(pic.masterPorts, 0x20);
    env.io.map(pic.slavePorts, 0xa0);
    env.io.map(pic.elcr1, 0x4d0);
    env.io.map(pic.elcr2, 0x4d1);
  }
  env.mem.map(ioapic.region, IOAPIC_BASE);
  if (ioapic2) env.mem.map(ioapic2.region, IOAPIC2_BASE);
  bus.attach(env.mem);
  const devices: PcInterrupts["devices"][number][] = [
    { id: "i8259", device: pic },
    { id: "ioapic", device: ioapic },
  ];
  if (ioapic2) devices.push({ id: "ioapic2", device: ioapic2 });
  return {
    line: (n) => n < IOAPIC_PINS ? gsi.line(n) : ioapic2!.pin(n - IOAPIC_PINS),
    addVcpu(cpu, bsp) {
      const lapic = bus.add(cpu, bsp, apicFeatures(cpu));
      cpu.interruptSource = lapic;
      devices.push({ id: `apic/${cpu.index}`, device: lapic });
    },
    msi: (address, data) => bus.msi(address, data),
    nmi: () => bus.nmi(),
    devices,
    pic: hasPic ? pic : undefined,
    ioapic,
    ioapic2,
    gsi: hasPic ? gsi : undefined,
    lapics: bus.lapics,
  };
}
