/** The register groups of a software vCPU, as the accelerator interface shows them. */
import type { DebugRegs, Fpu, InterruptSource, Regs, Segment, Sregs } from "../accel.ts";
import { reloadPdptes, setControlRegister, setEfer, usesPdptes } from "../x86/control.ts";
import { Attr, type Cpu, GuestFault } from "../x86/cpu.ts";
import { Seg } from "../x86/insn.ts";
import { readMsr, writeMsr } from "../x86/msr.ts";
import * as S from "../x86/state.ts";
import { Fl } from "../x86/state.ts";

const REG_NAMES = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const;

const SEG_NAMES = ["es", "cs", "ss", "ds", "fs", "gs", "ldt", "tr"] as const;

export function readRegs(cpu: Cpu): Regs {
  const r = { rip: cpu.rip, rflags: BigInt(cpu.flags >>> 0) } as Regs;
  REG_NAMES.forEach((name, n) => r[name] = cpu.reg64(n));
  return r;
}

export function writeRegs(cpu: Cpu, r: Partial<Regs>): void {
  REG_NAMES.forEach((name, n) => {
    const v = r[name];
    if (v !== undefined) cpu.setReg64(n, BigInt.asUintN(64, v));
  });
  if (r.rip !== undefined) {
    // A port handler may send the vCPU elsewhere in the middle of a block.
    cpu.rip = BigInt.asUintN(64, r.rip);
    cpu.set32(S.KICK, -0x80000000);
  }
  if (r.rflags !== undefined) {
    const flags = Number(r.rflags & 0xffffffffn);
    cpu.setFlags(flags);
    // The debug registers may come later.
    cpu.set32(S.FLAG_SYS, cpu.get32(S.FLAG_SYS) | (flags & Fl.RF));
    cpu.updateMode();
  }
}

function segment(cpu: Cpu, n: number): Segment {
  const a = cpu.attr(n);
  return {
    selector: cpu.selector(n),
    base: cpu.segBase(n),
    limit: cpu.segLimit(n),
    type: a & 15,
    s: (a >> 4) & 1,
    dpl: (a >> 5) & 3,
    present: (a >> 7) & 1,
    avl: (a >> 12) & 1,
    l: (a >> 13) & 1,
    db: (a >> 14) & 1,
    g: (a >> 15) & 1,
    unusable: a & Attr.UNUSABLE ? 1 : 0,
  };
}

function setSegment(cpu: Cpu, n: number, s: Segment): void {
  const attr = s.type | (s.s << 4) | (s.dpl << 5) | (s.present << 7) | (s.avl << 12) |
    (s.l << 13) | (s.db << 14) | (s.g << 15) | (s.unusable ? Attr.UNUSABLE : 0);
  cpu.setSegment(n, s.selector, s.base, s.limit, attr);
}

/** CR8 and IA32_APIC_BASE are those of `apic`, the interrupt controller. */
export function readSregs(cpu: Cpu, apic: InterruptSource | undefined): Sregs {
  const s = {
    gdt: { base: cpu.get64(S.GDTR_BASE), limit: cpu.get32(S.GDTR_LIMIT) },
    idt: { base: cpu.get64(S.IDTR_BASE), limit: cpu.get32(S.IDTR_LIMIT) },
    cr0: cpu.get64(S.CR0),
    cr2: cpu.get64(S.CR2),
    cr3: cpu.get64(S.CR3),
    cr4: cpu.get64(S.CR4),
    cr8: BigInt(apic?.tpr ?? 0),
    efer: cpu.get64(S.EFER),
    apicBase: apic?.apicBase ?? 0n,
  } as Sregs;
  SEG_NAMES.forEach((name, n) => s[name] = segment(cpu, n));
  if (usesPdptes(cpu)) {
    s.pdptes = Array.from({ length: S.PDPTES }, (_, n) => cpu.get64(S.PDPTE + 8 * n));
  }
  return s;
}

/** Sets what is given; the caller flushes the TLB. */
export function writeSregs(
  cpu: Cpu,
  s: Partial<Sregs>,
  apic: InterruptSource | undefined,
): void {
  if (s.gdt) {
    cpu.set64(S.GDTR_BASE, s.gdt.base);
    cpu.set32(S.GDTR_LIMIT, s.gdt.limit);
  }
  if (s.idt) {
    cpu.set64(S.IDTR_BASE, s.idt.base);
    cpu.set32(S.IDTR_LIMIT, s.idt.limit);
  }
  if (s.cr2 !== undefined) cpu.set64(S.CR2, s.cr2);
  if (s.efer !== undefined) setEfer(cpu, s.efer, true);
  if (s.cr4 !== undefined) setControlRegister(cpu, 4, s.cr4, true);
  if (s.cr3 !== undefined) setControlRegister(cpu, 3, s.cr3, true);
  if (s.cr0 !== undefined) setControlRegister(cpu, 0, s.cr0, true);
  if (s.pdptes !== undefined) s.pdptes.forEach((v, n) => cpu.set64(S.PDPTE + 8 * n, v));
  else if ([s.cr0, s.cr3, s.cr4, s.efer].some((v) => v !== undefined)) reloadPdptes(cpu);
  if (s.cr8 !== undefined) apic?.setTpr(Number(s.cr8));
  if (s.apicBase !== undefined) apic?.setApicBase(s.apicBase);
  SEG_NAMES.forEach((name, n) => {
    const v = s[name];
    if (v !== undefined) setSegment(cpu, n, v);
  });
  if (s.ss || s.cs) {
    const pe = (cpu.cr0 & 1) !== 0;
    const vm = (cpu.get32(S.FLAG_SYS) & Fl.VM) !== 0;
    cpu.setCpl(!pe ? 0 : vm ? 3 : (cpu.attr(Seg.SS) >> 5) & 3);
  }
  cpu.updateMode();
}

export function readFpu(cpu: Cpu): Fpu {
  const top = cpu.get32(S.FTOP), empty = cpu.get32(S.FEMPTY);
  const fpr = new Uint8Array(128), xmm = new Uint8Array(256), ymmHigh = new Uint8Array(256);
  const zmmHigh = new Uint8Array(512);
  for (let i = 0; i < 8; i++) {
    const at = S.FPR + 16 * ((top + i) & 7);
    fpr.set(cpu.u8.subarray(at, at + 10), 16 * i);
  }
  for (let i = 0; i < 16; i++) {
    const at = S.XMM + S.XMM_SIZE * i;
    xmm.set(cpu.u8.subarray(at, at + 16), 16 * i);
    ymmHigh.set(cpu.u8.subarray(at + 16, at + 32), 16 * i);
    zmmHigh.set(cpu.u8.subarray(at + 32, at + 64), 32 * i);
  }
  return {
    fpr,
    xmm,
    fcw: cpu.get32(S.FCW) & 0xffff,
    fsw: (cpu.get32(S.FSW) & ~0x3800 | (top << 11)) & 0xffff,
    ftwx: ~empty & 0xff,
    lastOpcode: cpu.get32(S.FOP) & 0x7ff,
    lastIp: cpu.get64(S.FIP),
    lastDp: cpu.get64(S.FDP),
    mxcsr: cpu.getU32(S.MXCSR),
    ymmHigh,
    ...cpu.env.model.has("avx512f") && {
      opmask: cpu.u8.slice(S.K, S.K + 64),
      zmmHigh,
      hi16Zmm: cpu.u8.slice(S.XMM + 16 * S.XMM_SIZE, S.XMM + 32 * S.XMM_SIZE),
    },
    pkru: cpu.getU32(S.PKRU),
    xcr0: cpu.get64(S.XCR0),
  };
}

export function writeFpu(cpu: Cpu, f: Partial<Fpu>): void {
  if (f.fcw !== undefined) cpu.set32(S.FCW, f.fcw);
  if (f.fsw !== undefined) {
    cpu.set32(S.FSW, f.fsw & ~0x3800);
    cpu.set32(S.FTOP, (f.fsw >> 11) & 7);
  }
  if (f.ftwx !== undefined) cpu.set32(S.FEMPTY, ~f.ftwx & 0xff);
  const top = cpu.get32(S.FTOP);
  if (f.fpr) {
    for (let i = 0; i < 8; i++) {
      cpu.u8.set(f.fpr.subarray(16 * i, 16 * i + 10), S.FPR + 16 * ((top + i) & 7));
    }
  }
  if (f.xmm) {
    for (let i = 0; i < 16; i++) {
      cpu.u8.set(f.xmm.subarray(16 * i, 16 * i + 16), S.XMM + S.XMM_SIZE * i);
    }
  }
  if (f.ymmHigh) {
    for (let i = 0; i < 16; i++) {
      cpu.u8.set(f.ymmHigh.subarray(16 * i, 16 * i + 16), S.XMM + S.XMM_SIZE * i + 16);
    }
  }
  if (f.zmmHigh) {
    for (let i = 0; i < 16; i++) {
      cpu.u8.set(f.zmmHigh.subarray(32 * i, 32 * i + 32), S.XMM + S.XMM_SIZE * i + 32);
    }
  }
  if (f.hi16Zmm) cpu.u8.set(f.hi16Zmm.subarray(0, 1024), S.XMM + 16 * S.XMM_SIZE);
  if (f.opmask) cpu.u8.set(f.opmask.subarray(0, 64), S.K);
  if (f.pkru !== undefined) {
    cpu.set32(S.PKRU, f.pkru);
    cpu.env.mem.flush();
  }
  if (f.xcr0 !== undefined) {
    cpu.set64(S.XCR0, f.xcr0);
    cpu.updateMode();
  }
  if (f.lastOpcode !== undefined) cpu.set32(S.FOP, f.lastOpcode);
  if (f.lastIp !== undefined) cpu.set64(S.FIP, f.lastIp);
  if (f.lastDp !== undefined) cpu.set64(S.FDP, f.lastDp);
  if (f.mxcsr !== undefined) cpu.set32(S.MXCSR, f.mxcsr);
}

export function readDebugRegs(cpu: Cpu): DebugRegs {
  const dr = (n: number) => cpu.get64(S.DR + 8 * n);
  return { db: [dr(0), dr(1), dr(2), dr(3)], dr6: dr(6), dr7: dr(7) };
}

/** Sets DR0–DR3, DR6 and DR7; the caller arms the breakpoints. */
export function writeDebugRegs(cpu: Cpu, d: DebugRegs): void {
  d.db.forEach((v, n) => cpu.set64(S.DR + 8 * n, v));
  cpu.set64(S.DR + 48, d.dr6);
  cpu.set64(S.DR + 56, d.dr7);
}

/** The value of an MSR; undefined where RDMSR would fault. */
export function tryReadMsr(cpu: Cpu, index: number): bigint | undefined {
  try {
    return readMsr(cpu, index);
  } catch (e) {
    if (e instanceof GuestFault) return undefined;
    throw e;
  }
}

/** Sets an MSR; false where WRMSR would fault. */
export function tryWriteMsr(cpu: Cpu, index: number, value: bigint): boolean {
  try {
    writeMsr(cpu, index, value);
    return true;
  } catch (e) {
    if (e instanceof GuestFault) return false;
    throw e;
  }
}
