import { assertEquals } from "../std/assert.ts";
import { resolveCpu } from "./cpuid/model.ts";
import { type Cpu, GuestFault } from "./cpu.ts";
import { overridden } from "./cpuid_override.ts";
import { readMsr, writeMsr } from "./msr.ts";

const CPUID_ENV = {
  apicId: 0,
  cores: 1,
  threads: 1,
  sockets: 1,
  osxsave: false,
  apicEnabled: true,
};

/** What the registers of the table need of a CPU. */
function cpu(text: string): Cpu {
  const { model } = resolveCpu(text);
  const c = {
    msrs: new Map<number, bigint>(),
    rip: 0n,
    env: {
      model,
      apic: undefined,
      tsc: () => 1000n,
      cpuid: (leaf: number, subleaf: number) => model.cpuid(leaf, subleaf, CPUID_ENV),
    },
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

Deno.test("AMD's registers override the features that CPUID reports", () => {
  // BKDG for family 10h, MSRC001_1004: ECX above EDX of the leaf.
  const c = cpu("EPYC"), leaf1 = c.env.cpuid(1, 0);
  const OSXSAVE = 1n << 59n, HYPERVISOR = 1n << 63n, SSE2 = 1n << 26n;
  const reset = readMsr(c, 0xc0011004);
  assertEquals(reset & 0xffffffffn, BigInt(leaf1.edx >>> 0));
  assertEquals(reset >> 32n, BigInt(leaf1.ecx >>> 0) | OSXSAVE >> 32n);
  assertEquals(overridden(c, 1, 0, leaf1), leaf1);
  writeMsr(c, 0xc0011004, reset & ~HYPERVISOR & ~SSE2);
  // OSXSAVE is still CR4's.
  const hidden = { ...leaf1, ecx: leaf1.ecx & 0x7fffffff, edx: leaf1.edx & ~(1 << 26) };
  assertEquals(overridden(c, 1, 0, leaf1), hidden);
  assertEquals(overridden(c, 1, 0, { ...leaf1, ecx: leaf1.ecx | 1 << 27 }).ecx >>> 27 & 1, 1);
  writeMsr(c, 0xc0011002, 0n);
  assertEquals(overridden(c, 7, 0, { eax: 1, ebx: 2, ecx: 3, edx: 4 }).ebx, 0);
  assertEquals(overridden(c, 7, 1, { eax: 1, ebx: 2, ecx: 3, edx: 4 }).ebx, 2);
  const extended = readMsr(cpu("qemu64"), 0xc0011005);
  assertEquals(extended & 1n << 29n, 1n << 29n, "long mode");
  assertEquals(reads(cpu("qemu64"), 0xc0011003), false, "no power leaf");
  assertEquals(reads(cpu("Skylake-Client"), 0xc0011004), false);
});

Deno.test("Intel's registers from Nehalem to Sandy Bridge mask what CPUID reports", () => {
  const c = cpu("Nehalem"), leaf1 = c.env.cpuid(1, 0);
  assertEquals(readMsr(c, 0x130), 0xffffffffffffffffn);
  writeMsr(c, 0x130, ~(1n << 20n) & 0xffffffffffffffffn);
  // SSE4.2 of ECX, in the low half.
  assertEquals(overridden(c, 1, 0, leaf1), { ...leaf1, ecx: leaf1.ecx & ~(1 << 20) });
  writeMsr(c, 0x131, 0n);
  assertEquals(overridden(c, 0x80000001, 0, { eax: 1, ebx: 2, ecx: 3, edx: 4 }), {
    ...{ eax: 1, ebx: 2, ecx: 0, edx: 0 },
  });
  const sandy = cpu("SandyBridge");
  writeMsr(sandy, 0x134, 0xfffffffen);
  assertEquals(overridden(sandy, 13, 1, { eax: 7, ebx: 2, ecx: 3, edx: 4 }).eax, 6);
  assertEquals(overridden(sandy, 13, 0, { eax: 7, ebx: 2, ecx: 3, edx: 4 }).eax, 7);
  assertEquals(reads(sandy, 0x130), false);
  assertEquals(reads(cpu("Haswell"), 0x132), false);
});
