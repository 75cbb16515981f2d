import { assertEquals } from "../std/assert.ts";
import { resolveCpu } from "./cpuid/model.ts";
import { type Cpu, GuestFault } from "./cpu.ts";
import { readMsr, writeMsr } from "./msr.ts";

/** What the registers of the table need of a CPU. */
function cpu(text: string): Cpu {
  const c = {
    msrs: new Map<number, bigint>(),
    rip: 0n,
    env: { model: resolveCpu(text).model, apic: undefined, tsc: () => 1000n },
    gp: () => {
      throw new GuestFault(13, 0);
    },
  };
  return c as unknown as Cpu;
}

const faults = (f: () => unknown): boolean => {
  try {
    f();
    return false;
  } catch (e) {
    if (e instanceof GuestFault) return true;
    throw e;
  }
};
const reads = (c: Cpu, index: number) => !faults(() => readMsr(c, index));
const takes = (c: Cpu, index: number, v: bigint) => !faults(() => writeMsr(c, index, v));

Deno.test("registers that Linux 6.1 reads unguarded exist, by vendor", () => {
  // get_fixed_ranges, arch_post_acpi_subsys_init, early_init_intel, init_ia32_feat_ctl, MTRRs.
  const common = [0x17a, 0x17b, 0x277, 0xfe, 0x2ff, 0x200, 0x20f, 0x250, 0x26f, 0x400, 0x427];
  for (const name of ["qemu64", "athlon", "phenom"]) {
    const c = cpu(name);
    const list = [0xc0010010, 0xc0010015, 0xc001001a, 0xc001001d, 0x8b, 0xc0010000, ...common];
    if (name === "qemu64") list.push(0xc0010055, 0xc0010112, 0xc001001f, 0xc0011029);
    for (const i of list) assertEquals(reads(c, i), true, `${name} ${i.toString(16)}`);
    assertEquals(reads(c, 0xce), false);
  }
  for (const name of ["pentium3", "kvm64", "core2duo"]) {
    const c = cpu(name);
    for (const i of [0x17, 0x8b, 0x1a0, ...common]) {
      assertEquals(reads(c, i), true, `${name} ${i.toString(16)}`);
    }
    assertEquals(takes(c, 0x8b, 0n), true);
    assertEquals(reads(c, 0xc0010010), false);
  }
});

Deno.test("#GP rules", () => {
  const c = cpu("qemu64");
  assertEquals(reads(c, 0x12345), false);
  assertEquals(takes(c, 0x12345, 0n), false);
  // SDM volume 3, 12.11.2.1 and 12.12: reserved memory types.
  assertEquals(takes(c, 0x277, 0x0007040600070402n), false);
  assertEquals(takes(c, 0x277, 0x0007040600070405n), true);
  assertEquals(takes(c, 0x2ff, 0xc06n), true);
  assertEquals(takes(c, 0x2ff, 0xc02n), false);
  assertEquals(takes(c, 0x200, 0xe0000006n), true);
  assertEquals(takes(c, 0x200, 0xe0000102n), false);
  assertEquals(takes(c, 0x201, 1n << 63n), false);
  assertEquals(takes(c, 0x250, 0x0606060606060607n), false);
  assertEquals(takes(c, 0xfe, 0n), false);
  // SDM volume 3, 16.3.2.2: status takes only 0; AMD's HWCR.McStatusWrEn lifts that.
  assertEquals(takes(c, 0x401, 1n), false);
  writeMsr(c, 0xc0010015, 1n << 18n);
  assertEquals(takes(c, 0x401, 1n), true);
  // Writing only, and only defined bits.
  const intel = cpu("kvm64");
  assertEquals(reads(intel, 0x79), false);
  assertEquals(takes(intel, 0x79, 0x1000n), true);
  assertEquals(takes(intel, 0x140, 1n), false);
});

Deno.test("patch level is the vendor's and survives writes", () => {
  const amd = cpu("qemu64"), intel = cpu("pentium3");
  assertEquals(readMsr(amd, 0x8b), 0x01000065n);
  writeMsr(intel, 0x8b, 0n);
  assertEquals(readMsr(intel, 0x8b), 0x100000000n);
});

Deno.test("time-stamp counter writes move TSC_ADJUST and the reverse", () => {
  const c = cpu("qemu64");
  c.env.model.has = (f: string) => f === "tsc-adjust";
  writeMsr(c, 0x10, 5000n);
  assertEquals(readMsr(c, 0x10), 5000n);
  assertEquals(readMsr(c, 0x3b), 4000n);
  writeMsr(c, 0x3b, 0n);
  assertEquals(readMsr(c, 0x10), 1000n);
});
