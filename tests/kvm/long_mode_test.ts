/** Long mode: a guest moved between KVM and tcg, and what a host's KVM cannot emulate of it. */
import { assert, assertEquals } from "@std/assert";
import type { Segment, Vcpu } from "../../core/accel.ts";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { SwitchAccelerator, type SwitchVm } from "../../core/kvm/switch.ts";
import { tcg } from "../../core/tcg/vm.ts";
import { type Bench, guestTest, hex, kvmTest, tcgOptions, withBench } from "./harness.ts";

const TABLES = 0x10000, HIGH = 0xffff800000000000n;
const CR0 = 0x80000033n, CR4 = 0x6a0n, EFER = 0xd00n; // PG NE ET MP PE; OSXMMEXCPT OSFXSR PGE PAE; NXE LMA LME

/** The first 2 MiB at 0 and at FFFF800000000000h, code at `rip` of the upper copy. */
function longMode(b: Bench, rip: number, vcpu: Vcpu = b.vcpu): void {
  const v = b.ram.view,
    put = (at: number, value: bigint) => v.setBigUint64(TABLES + at, value, true);
  for (const entry of [0, 256]) put(8 * entry, BigInt(TABLES + 0x1003));
  put(0x1000, BigInt(TABLES + 0x2003));
  put(0x2000, 0x83n);
  const flat = (selector: number, type: number, l: number): Segment => ({
    selector,
    base: 0n,
    limit: 0xffffffff,
    type,
    s: 1,
    dpl: 0,
    present: 1,
    avl: 0,
    l,
    db: 1 - l,
    g: 1,
    unusable: 0,
  });
  const data = flat(16, 3, 0), s = vcpu.getSregs();
  vcpu.setSregs({
    ...{ ...s, ds: data, es: data, fs: data, gs: data, ss: data, cs: flat(8, 0xb, 1) },
    tr: { ...s.tr, type: 0xb, present: 1, s: 0, limit: 0x67 },
    ...{ cr0: CR0, cr3: BigInt(TABLES), cr4: CR4, efer: EFER },
  });
  vcpu.setRegs({ rip: HIGH + BigInt(rip), rsp: HIGH + 0x9000n, rflags: 2n });
}

const COMPUTE = `
  48 69 c0 0d 66 19 00   ; next: imul rax, rax, 1664525
  48 05 5f f3 6e 3c      ; add rax, 3c6ef35fh
  49 01 c0               ; add r8, rax
  e6 80                  ; out 80h, al
  48 ff c9 75 e9         ; dec rcx; jnz next
  f4`;

function expected(rounds: number): [bigint, bigint] {
  let rax = 0n, r8 = 0n;
  for (let i = 0; i < rounds; i++) {
    rax = BigInt.asUintN(64, rax * 1664525n + 0x3c6ef35fn);
    r8 = BigInt.asUintN(64, r8 + rax);
  }
  return [rax, r8];
}

guestTest("64-bit code computes", (opts) =>
  withBench(opts, (b) => {
    b.port(0x80, 1, {});
    b.load(0x1000, hex(COMPUTE));
    longMode(b, 0x1000);
    b.vcpu.setRegs({ rax: 0n, r8: 0n, rcx: 100n });
    assertEquals(b.run().reason, "hlt");
    const r = b.vcpu.getRegs();
    assertEquals([r.rax, r.r8], expected(100));
    assertEquals(b.vcpu.translate(HIGH + 0x1234n), 0x1234);
  }));

kvmTest("KVM to tcg and back a hundred times in long mode", () => {
  const kvm = new KvmAccelerator(), accelerator = new SwitchAccelerator(kvm, undefined, () => {});
  withBench({ ...tcgOptions(), accelerator }, (b) => {
    const vm = b.vm as SwitchVm, rounds = 2500;
    let outs = 0, moves = 0;
    b.port(0x80, 1, { write: () => void (++outs % 20 === 0 && b.vcpu.kick()) });
    b.load(0x1000, hex(COMPUTE));
    longMode(b, 0x1000);
    b.vcpu.setRegs({ rax: 0n, r8: 0n, rcx: BigInt(rounds) });
    b.vcpu.setMsr(0xc0000102, 0x1234567890n); // KERNEL_GS_BASE
    for (let exit = b.vcpu.run(1000); exit.reason !== "hlt"; exit = b.vcpu.run(1000)) {
      assertEquals(exit.reason, "interrupted");
      if (moves < 100) vm.switchTo(++moves % 2 ? tcg : kvm);
    }
    const r = b.vcpu.getRegs(), s = b.vcpu.getSregs();
    assertEquals([moves, outs], [100, rounds]);
    assertEquals([r.rax, r.r8], expected(rounds));
    assertEquals([s.cr0, s.cr3, s.cr4, s.efer, s.cs.l], [CR0, BigInt(TABLES), CR4, EFER, 1]);
    assertEquals(b.vcpu.getMsr(0xc0000102), 0x1234567890n);
  });
  kvm.close();
});

kvmTest("the time-stamp counter goes on after a move, as fast as before", () => {
  const kvm = new KvmAccelerator(), accelerator = new SwitchAccelerator(kvm, undefined, () => {});
  withBench({ ...tcgOptions(), accelerator }, (b) => {
    const vm = b.vm as SwitchVm;
    // again: rdtsc; shl rdx, 32; or rax, rdx; mov r9, rax; out 80h, al; jmp again
    b.load(0x1000, hex("0f 31 48 c1 e2 20 48 09 d0 49 89 c1 e6 80 eb f0"));
    b.port(0x80, 1, { write: () => b.vcpu.kick() });
    longMode(b, 0x1000);
    const read = () => {
      b.vcpu.run(1000);
      return b.vcpu.getRegs().r9;
    };
    const there = read(), khz = vm.tscKhz;
    vm.switchTo(tcg);
    const here = read();
    assert(here >= there, `${here} after ${there}`);
    b.clock.advance(1_000_000);
    const ticks = Number(read() - here);
    assertEquals(vm.tscKhz, khz ?? 1_000_000);
    assert(Math.abs(ticks - vm.tscKhz!) <= 1, `${ticks} ticks in 1 ms`);
  });
  kvm.close();
});

kvmTest("LOCK CMPXCHG16B, which not every KVM emulates, is done here or there", () => {
  const kvm = new KvmAccelerator(), warnings: string[] = [];
  const accelerator = new SwitchAccelerator(kvm, tcg, (text) => warnings.push(text));
  withBench({ ...tcgOptions(), accelerator }, (b) => {
    b.load(0x1000, hex("f0 48 0f c7 0e f4")); // lock cmpxchg16b [rsi]; hlt
    b.ram.view.setBigUint64(0x5000, 1n, true);
    b.ram.view.setBigUint64(0x5008, 2n, true);
    longMode(b, 0x1000);
    b.vcpu.setRegs({ rsi: HIGH + 0x5000n, rax: 1n, rdx: 2n, rbx: 0x1111n, rcx: 0x2222n });
    assertEquals(b.run().reason, "hlt");
    const at = (n: number) => b.ram.view.getBigUint64(n, true);
    assertEquals([at(0x5000), at(0x5008)], [0x1111n, 0x2222n]);
    assert(b.vcpu.getRegs().rflags & 0x40n, "ZF");
    const moved = (b.vm as SwitchVm).name === "tcg";
    assertEquals(warnings.length, moved ? 1 : 0);
    if (moved) assert(warnings[0].startsWith("KVM internal error. Suberror: 1\n"), warnings[0]);
  });
  kvm.close();
});
