/** A software vCPU with nothing around it, for tests. */
import type { Sregs } from "../accel.ts";
import { ManualClock } from "../clock.ts";
import { AddressSpace } from "../memory/address_space.ts";
import { GuestMemory } from "../memory/guest_memory.ts";
import { ramRegion } from "../memory/region.ts";
import type { TcgVcpu } from "./vcpu.ts";
import { tcgMemory, TcgVm } from "./vm.ts";

/** 32-bit protected mode without paging, all segments flat: selectors 8 and 16 of no table. */
export function flatSregs(): Pick<Sregs, "cr0" | "cs" | "ds" | "es" | "ss"> {
  const flat = {
    base: 0n,
    limit: 0xffffffff,
    s: 1,
    dpl: 0,
    present: 1,
    avl: 0,
    l: 0,
    db: 1,
    g: 1,
    unusable: 0,
  };
  const data = { ...flat, selector: 16, type: 3 };
  return { cr0: 0x11n, cs: { ...flat, selector: 8, type: 11 }, ds: data, es: data, ss: data };
}

/** One vCPU that has every feature, with `bytes` of RAM from address 0. */
export function bareVcpu(bytes: number) {
  const memory = new GuestMemory(bytes + tcgMemory(1, bytes) + (1 << 20));
  const mem = new AddressSpace("memory", 2 ** 40, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  const vm = new TcgVm({ memory, mem, io, clock: new ManualClock() });
  const zero = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
  const model = { name: "test", cpuid: () => zero, has: () => true };
  const cpu = vm.createVcpu({ index: 0, apicId: 0, bsp: true, model }) as TcgVcpu;
  const ram = memory.allocBlock("ram", bytes);
  mem.map(ramRegion("ram", ram), 0);
  return { vm, ram, cpu };
}
