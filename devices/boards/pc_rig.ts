/** A PC without processors, for tests that poke its ports as firmware would. */
import type { CpuModel, Regs, Vcpu, VcpuOptions, Vm } from "../../core/accel.ts";
import { ManualClock } from "../../core/clock.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import type { MachineEnv } from "./env.ts";
import { createPc, type PcBoard, pcMemoryBytes } from "./pc.ts";
import { bareConfig, type PcConfig } from "./pc_config.ts";

export const TEST_CPU: CpuModel = {
  name: "test",
  cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
  has: (feature) => feature === "apic",
};

export interface PcRig {
  readonly board: PcBoard;
  readonly env: MachineEnv;
  readonly clock: ManualClock;
  /** What the board asked of the machine, in order. */
  readonly events: string[];
  /** Level of each vCPU's INTR. */
  readonly intr: boolean[];
  outb(port: number, value: number): void;
  inb(port: number): number;
  configRead(devfn: number, reg: number): number;
  configWrite(devfn: number, reg: number, value: number): void;
}

export class TestVm {
  readonly vcpus: Vcpu[] = [];
  constructor(readonly events: string[], readonly intr: boolean[]) {}
  createVcpu(o: VcpuOptions): Vcpu {
    const { events, intr } = this, i = o.index;
    intr[i] = false;
    const regs = { rax: 0x564d5868n, rbx: 0n, rcx: 0n, rdx: 0n };
    const cpu = {
      getRegs: () => ({ ...regs }),
      setRegs: (r: Partial<Regs>) => void Object.assign(regs, r),
      index: i,
      apicId: o.apicId,
      cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
      setIntr: (level: boolean) => void (intr[i] = level),
      nmi: () => void events.push(`nmi ${i}`),
      smi: () => void events.push(`smi ${i}`),
      init: () => void events.push(`init ${i}`),
      sipi: (v: number) => void events.push(`sipi ${i} ${v}`),
      reset: () => void events.push(`reset ${i}`),
      interruptSource: undefined,
    } as unknown as Vcpu;
    this.vcpus.push(cpu);
    return cpu;
  }
  setA20(on: boolean): void {
    this.events.push(`a20 ${on}`);
  }
  close(): void {}
}

/** Builds a PC of 32 MiB with a firmware of 256 KiB filled with its offset's 64 KiB number. */
export function pcRig(overrides: Partial<PcConfig> = {}): PcRig {
  const bios = new Uint8Array(0x40000);
  for (let i = 0; i < bios.length; i++) bios[i] = 0xb0 | (i >> 16);
  const config: PcConfig = {
    ...bareConfig({ ramSize: 32 << 20, cpuModel: TEST_CPU, bios }),
    ...overrides,
  };
  const clock = new ManualClock();
  const memory = new GuestMemory(pcMemoryBytes(config));
  const mem = new AddressSpace("memory", 2 ** 36, 0), io = new AddressSpace("I/O", 65536, 0xff);
  const events: string[] = [], intr: boolean[] = [];
  const vm = new TestVm(events, intr);
  const env: MachineEnv = {
    memory,
    mem,
    io,
    clock,
    vm: vm as Vm,
    currentVcpu: () => vm.vcpus[0],
    requestReset: (reason) => void events.push(reason),
    requestShutdown: (reason) => void events.push(reason),
    requestSuspend: () => void events.push("suspend"),
    exit: (status) => void events.push(`exit ${status}`),
    panicked: (event) => void events.push(event),
  };
  const board = createPc(config, env);
  events.length = 0;
  const select = (devfn: number, reg: number) =>
    io.write(0xcf8, 4, (0x80000000 | (devfn << 8) | reg) >>> 0);
  return {
    board,
    env,
    clock,
    events,
    intr,
    outb: (port, value) => io.write(port, 1, value),
    inb: (port) => io.read(port, 1),
    configRead(devfn, reg) {
      select(devfn, reg);
      return io.read(0xcfc, 4);
    },
    configWrite(devfn, reg, value) {
      select(devfn, reg);
      io.write(0xcfc, 4, value);
    },
  };
}
