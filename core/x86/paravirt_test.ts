import { assert, assertEquals } from "../std/assert.ts";
import type { EoiFlag, InterruptSource } from "../accel.ts";
import { ManualClock } from "../clock.ts";
import { AddressSpace } from "../memory/address_space.ts";
import { GuestMemory } from "../memory/guest_memory.ts";
import { ioRegion, ramRegion } from "../memory/region.ts";
import { tcgMemory, TcgVm } from "../tcg/vm.ts";
import { resolveCpu } from "./cpuid/model.ts";
import { clockScale, KvmMsr } from "./paravirt.ts";

function bed(cpu: string, vcpus = 1) {
  const memory = new GuestMemory((1 << 20) + tcgMemory(vcpus) + (1 << 20));
  const mem = new AddressSpace("memory", 2 ** 40, 0xff), io = new AddressSpace("I/O", 65536, 0xff);
  const ram = memory.allocBlock("ram", 1 << 20), clock = new ManualClock();
  mem.map(ramRegion("ram", ram), 0);
  let device = 0;
  mem.map(ioRegion("device", 4096, { read: () => 1, write: () => device++ }), 2 << 20);
  const vm = new TcgVm({ memory, mem, io, clock });
  const { model } = resolveCpu(cpu);
  const list = Array.from(
    { length: vcpus },
    (_, index) => vm.createVcpu({ index, apicId: index, bsp: index === 0, model }),
  );
  return { vm, clock, cpus: list, v: ram.view, device: () => device };
}

/** The time a guest computes, as Linux's pvclock does. */
function guestTime(v: DataView, at: number, tsc: bigint): bigint {
  const shift = v.getInt8(at + 28), ticks = tsc - v.getBigUint64(at + 8, true);
  const scaled = shift < 0 ? ticks >> BigInt(-shift) : ticks << BigInt(shift);
  return v.getBigUint64(at + 16, true) + (scaled * BigInt(v.getUint32(at + 24, true)) >> 32n);
}

Deno.test("ticks become nanoseconds at any frequency", () => {
  for (const khz of [1000, 999_999, 1_000_000, 2_399_876, 3_000_000, 1_500_001]) {
    const { multiplier, shift } = clockScale(khz), ticks = BigInt(khz) * 3_600_000n;
    const scaled = shift < 0 ? ticks >> BigInt(-shift) : ticks << BigInt(shift);
    const ns = Number(scaled * BigInt(multiplier) >> 32n), hour = 3600e9;
    assert(Math.abs(ns - hour) <= hour / 2 ** 31, `${khz}: ${ns}`);
    // A multiplier without its top bit would waste precision.
    assert(multiplier >= 2 ** 31 && multiplier < 2 ** 32, `${khz}: ${multiplier}`);
  }
});

Deno.test("CPUID shows KVM where it was asked for or is expected, and QEMU's TCG elsewhere", () => {
  const env = { apicId: 0, cores: 1, threads: 1, sockets: 1, osxsave: false, apicEnabled: true };
  const leaves = (cpu: string, kvm = false) => {
    const { model } = resolveCpu(cpu, undefined, undefined, kvm);
    const sig = model.cpuid(0x40000000, 0, env), f = model.cpuid(0x40000001, 0, env);
    return [sig.ebx >>> 0, f.eax >>> 0, f.edx];
  };
  const TCG = 0x54474354, KVM = 0x4b4d564b, ALL = 0x100004b;
  assertEquals(leaves("qemu64"), [TCG, 0, 0]);
  assertEquals(leaves("qemu64,+kvmclock"), [KVM, 9, 0]);
  assertEquals(leaves("qemu64,kvm-hint-dedicated=on,kvm_pv_eoi=on"), [KVM, 0x40, 1]);
  assertEquals(leaves("qemu64,kvm=on"), [KVM, ALL, 0]);
  assertEquals(leaves("qemu64,kvm=on,-kvm-pv-eoi"), [KVM, ALL & ~0x40, 0]);
  assertEquals(leaves("qemu64,+kvmclock,kvm=off"), [TCG, 0, 0]);
  assertEquals(leaves("qemu64,-kvmclock"), [TCG, 0, 0]);
  // Not offered: asynchronous page faults, steal time, hypercalls.
  assertEquals(leaves("qemu64,+kvm-asyncpf,+kvm-steal-time,+kvm-pv-unhalt"), [TCG, 0, 0]);
  assertEquals(leaves("max", true), [KVM, ALL, 0]);
  assertEquals(leaves("max,kvm=off", true), [TCG, 0, 0]);
  assertEquals(leaves("max,tcg-cpuid=off", true), [KVM, ALL, 0]);
});

Deno.test("registers exist with their feature", () => {
  const { cpus: [c] } = bed("qemu64,+kvm-pv-eoi");
  assertEquals(c.getMsr(KvmMsr.SYSTEM_TIME_NEW), undefined);
  assertEquals(c.setMsr(KvmMsr.WALL_CLOCK, 0x1000n), false);
  assertEquals(c.setMsr(KvmMsr.PV_EOI_EN, 0x1001n), true);
  assertEquals(c.getMsr(KvmMsr.PV_EOI_EN), 0x1001n);
  const { cpus: [d] } = bed("qemu64,+kvmclock");
  assertEquals(d.getMsr(KvmMsr.PV_EOI_EN), undefined);
  assertEquals(d.setMsr(KvmMsr.SYSTEM_TIME, 0x1001n), true);
  // Two names of one register.
  assertEquals(d.getMsr(KvmMsr.SYSTEM_TIME_NEW), 0x1001n);
  assertEquals(bed("qemu64").cpus[0].getMsr(KvmMsr.SYSTEM_TIME), undefined);
});

Deno.test("kvmclock follows the machine's clock through writes of the counter", () => {
  const { clock, cpus: [c], v } = bed("qemu64,kvm=on");
  const tsc = () => c.getMsr(0x10)!, AT = 0x2000;
  clock.advance(5_000_000_123);
  assertEquals(c.setMsr(KvmMsr.SYSTEM_TIME_NEW, BigInt(AT | 1)), true);
  assertEquals(v.getUint32(AT, true) & 1, 0);
  assert(v.getUint32(AT, true) > 0);
  assertEquals(v.getUint8(AT + 29), 1, "the counter is stable");
  assertEquals(guestTime(v, AT, tsc()), 5_000_000_123n);
  clock.advance(77_000_000_001);
  assertEquals(guestTime(v, AT, tsc()), 82_000_000_124n);
  const version = v.getUint32(AT, true);
  c.setMsr(0x10, 42n);
  assertEquals(v.getUint32(AT, true), version + 2);
  clock.advance(1000);
  assertEquals(guestTime(v, AT, tsc()), 82_000_001_124n);
  // Switched off, nothing is written any more.
  c.setMsr(KvmMsr.SYSTEM_TIME, BigInt(AT));
  c.setMsr(0x10, 7n);
  assertEquals(v.getUint32(AT, true), version + 2);
});

Deno.test("the wall clock is the date at which the system time was 0", () => {
  const { clock, cpus: [c], v } = bed("qemu64,kvm=on");
  clock.advance(90_500_000_000);
  for (const msr of [KvmMsr.WALL_CLOCK, KvmMsr.WALL_CLOCK_NEW]) {
    v.setUint32(0x3000, 6, true);
    assertEquals(c.setMsr(msr, 0x3000n), true);
    assertEquals(v.getUint32(0x3000, true), 8);
    assertEquals(v.getUint32(0x3004, true), Date.UTC(2020, 0, 1) / 1000);
    assertEquals(v.getUint32(0x3008, true), 0);
  }
});

Deno.test("counters that differ are not called stable, and a stop is told", () => {
  const { vm, cpus: [a, b], v } = bed("qemu64,kvm=on", 2);
  a.setMsr(KvmMsr.SYSTEM_TIME_NEW, 0x2001n);
  b.setMsr(KvmMsr.SYSTEM_TIME_NEW, 0x2041n);
  assertEquals([v.getUint8(0x201d), v.getUint8(0x205d)], [1, 1]);
  b.setMsr(0x10, 1n << 40n);
  assertEquals([v.getUint8(0x201d), v.getUint8(0x205d)], [0, 0]);
  vm.setRunning(false);
  vm.setRunning(true);
  assertEquals([v.getUint8(0x201d), v.getUint8(0x205d)], [2, 2]);
  // The guest takes note by clearing the bit; other updates leave it to the guest.
  v.setUint8(0x205d, 0);
  a.setMsr(0x10, 5n);
  assertEquals([v.getUint8(0x201d), v.getUint8(0x205d)], [2, 0]);
  a.reset();
  assertEquals(a.getMsr(KvmMsr.SYSTEM_TIME), 0n);
});

Deno.test("structures outside RAM are not written", () => {
  const { cpus: [c], device } = bed("qemu64,kvm=on");
  for (const at of [2n << 20n, (1n << 20n) - 16n, 1n << 50n, (1n << 64n) - 2n]) {
    assertEquals(c.setMsr(KvmMsr.SYSTEM_TIME, at | 1n), true);
    assertEquals(c.setMsr(KvmMsr.WALL_CLOCK, at), true);
  }
  assertEquals(device(), 0);
  assertEquals(c.setMsr(KvmMsr.PV_EOI_EN, (2n << 20n) | 1n), false);
  assertEquals(c.setMsr(KvmMsr.PV_EOI_EN, 0x1003n), false);
  assertEquals(c.getMsr(KvmMsr.PV_EOI_EN), 0n);
});

Deno.test("the interrupt controller gets the flag while it is enabled", () => {
  const { cpus: [c], v } = bed("qemu64,kvm=on");
  let settled = 0;
  const apic = { settleEoi: () => settled++ } as unknown as InterruptSource;
  c.interruptSource = apic;
  c.setMsr(KvmMsr.PV_EOI_EN, 0x4001n);
  const flag = apic.eoiFlag as EoiFlag;
  assertEquals(flag.arm(), true);
  assertEquals([v.getUint8(0x4000), flag.ended()], [1, false]);
  v.setUint8(0x4000, 0);
  assertEquals(flag.ended(), true);
  flag.arm();
  flag.disarm();
  assertEquals(v.getUint8(0x4000), 0);
  assertEquals(settled, 1);
  c.setMsr(KvmMsr.PV_EOI_EN, 0n);
  assertEquals([settled, apic.eoiFlag], [2, undefined]);
});
