/** Register groups to and from KVM's structures (uapi `asm/kvm.h`). */
import type { DebugRegs, Fpu, Regs, Segment, Sregs, TableRegister } from "../accel.ts";

/** A structure of a fixed size: its bytes for the ioctl, and a view on them. */
export class Struct {
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  constructor(size: number) {
    this.u8 = new Uint8Array(size);
    this.view = new DataView(this.u8.buffer);
  }
  u64(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }
  setU64(at: number, value: bigint): void {
    this.view.setBigUint64(at, value, true);
  }
}

/** Sizes in bytes. */
export const Size = {
  REGS: 144,
  SREGS: 312,
  SREGS2: 320,
  XSAVE: 4096,
  XCRS: 392,
  DEBUGREGS: 128,
  VCPU_EVENTS: 64,
  GUEST_DEBUG: 72,
  MEMORY_REGION: 32,
  IRQCHIP: 520,
  PIT_STATE2: 112,
  LAPIC: 1024,
  CLOCK: 48,
} as const;

/** `struct kvm_regs` holds the registers in this order, 8 bytes each. */
const regOrder = [
  "rax",
  "rbx",
  "rcx",
  "rdx",
  "rsi",
  "rdi",
  "rsp",
  "rbp",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
  "rip",
  "rflags",
] as const satisfies readonly (keyof Regs)[];

export function readRegs(s: Struct): Regs {
  const r = {} as Regs;
  regOrder.forEach((name, i) => r[name] = s.u64(8 * i));
  return r;
}

export function writeRegs(s: Struct, r: Partial<Regs>): void {
  regOrder.forEach((name, i) => {
    const v = r[name];
    if (v !== undefined) s.setU64(8 * i, v);
  });
}

/** `struct kvm_sregs`: eight segments of 24 bytes in this order, then GDT, IDT, control registers. */
const segmentOrder = ["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"] as const;
const controlOrder = ["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apicBase"] as const;
const GDT = 192, IDT = 208, CONTROL = 224;
/** Offset of the interrupt bitmap: 256 bits, the vector queued for injection. */
export const SREGS_INTERRUPT_BITMAP = 280;

function readSegment(v: DataView, at: number): Segment {
  return {
    base: v.getBigUint64(at, true),
    limit: v.getUint32(at + 8, true),
    selector: v.getUint16(at + 12, true),
    type: v.getUint8(at + 14),
    present: v.getUint8(at + 15),
    dpl: v.getUint8(at + 16),
    db: v.getUint8(at + 17),
    s: v.getUint8(at + 18),
    l: v.getUint8(at + 19),
    g: v.getUint8(at + 20),
    avl: v.getUint8(at + 21),
    unusable: v.getUint8(at + 22),
  };
}

function writeSegment(v: DataView, at: number, s: Segment): void {
  v.setBigUint64(at, s.base, true);
  v.setUint32(at + 8, s.limit, true);
  v.setUint16(at + 12, s.selector, true);
  v.setUint8(at + 14, s.type);
  v.setUint8(at + 15, s.present);
  v.setUint8(at + 16, s.dpl);
  v.setUint8(at + 17, s.db);
  v.setUint8(at + 18, s.s);
  v.setUint8(at + 19, s.l);
  v.setUint8(at + 20, s.g);
  v.setUint8(at + 21, s.avl);
  v.setUint8(at + 22, s.unusable);
}

function readTable(v: DataView, at: number): TableRegister {
  return { base: v.getBigUint64(at, true), limit: v.getUint16(at + 8, true) };
}

function writeTable(v: DataView, at: number, t: TableRegister): void {
  v.setBigUint64(at, t.base, true);
  v.setUint16(at + 8, t.limit, true);
}

export function readSregs(s: Struct): Sregs {
  const r = {} as Sregs, v = s.view;
  segmentOrder.forEach((name, i) => r[name] = readSegment(v, 24 * i));
  r.gdt = readTable(v, GDT);
  r.idt = readTable(v, IDT);
  controlOrder.forEach((name, i) => r[name] = s.u64(CONTROL + 8 * i));
  return r;
}

export function writeSregs(s: Struct, r: Partial<Sregs>): void {
  const v = s.view;
  segmentOrder.forEach((name, i) => {
    const seg = r[name];
    if (seg !== undefined) writeSegment(v, 24 * i, seg);
  });
  if (r.gdt) writeTable(v, GDT, r.gdt);
  if (r.idt) writeTable(v, IDT, r.idt);
  controlOrder.forEach((name, i) => {
    const c = r[name];
    if (c !== undefined) s.setU64(CONTROL + 8 * i, c);
  });
}

/** `struct kvm_sregs2` ends with flags and PDPTEs where `struct kvm_sregs` has the interrupt bitmap. */
const FLAGS2 = 280, PDPTRS = 288, PDPTRS_VALID = 1n;

/** PAE paging's four PDPTEs of a `struct kvm_sregs2`, or undefined when it has none. */
export function readPdptes(s: Struct): bigint[] | undefined {
  if (!(s.u64(FLAGS2) & PDPTRS_VALID)) return undefined;
  return [0, 1, 2, 3].map((n) => s.u64(PDPTRS + 8 * n));
}
export function writePdptes(s: Struct, pdptes: readonly bigint[]): void {
  s.setU64(FLAGS2, PDPTRS_VALID);
  pdptes.forEach((v, n) => s.setU64(PDPTRS + 8 * n, v));
}

export function readDebugRegs(s: Struct): DebugRegs {
  return { db: [s.u64(0), s.u64(8), s.u64(16), s.u64(24)], dr6: s.u64(32), dr7: s.u64(40) };
}

export function writeDebugRegs(s: Struct, d: DebugRegs): void {
  d.db.forEach((a, i) => s.setU64(8 * i, a));
  s.setU64(32, d.dr6);
  s.setU64(40, d.dr7);
}

function resetSegment(selector: number, base: bigint, type: number): Segment {
  return {
    selector,
    base,
    limit: 0xffff,
    type,
    s: 1,
    dpl: 0,
    present: 1,
    avl: 0,
    l: 0,
    db: 0,
    g: 0,
    unusable: 0,
  };
}

/** Segment, table and control registers after RESET or INIT (SDM vol. 3A, table 10-1). */
export function resetSregs(): Omit<Sregs, "apicBase" | "cr8"> {
  const data = () => resetSegment(0, 0n, 3);
  const system = (type: number): Segment => ({ ...resetSegment(0, 0n, type), s: 0 });
  return {
    cs: resetSegment(0xf000, 0xffff0000n, 0xb),
    ds: data(),
    es: data(),
    fs: data(),
    gs: data(),
    ss: data(),
    tr: system(0xb),
    ldt: system(2),
    gdt: { base: 0n, limit: 0xffff },
    idt: { base: 0n, limit: 0xffff },
    cr0: 0x60000010n,
    cr2: 0n,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
  };
}

/** The code segment a start-up IPI gives: `vector` × 4 KiB. */
export function startupSegment(vector: number): Segment {
  return resetSegment(vector << 8, BigInt(vector) << 12n, 0xb);
}

/** General registers after RESET or INIT; EDX holds the processor signature (CPUID.1:EAX). */
export function resetRegs(signature: number): Regs {
  return {
    rax: 0n,
    rbx: 0n,
    rcx: 0n,
    rdx: BigInt(signature),
    rsi: 0n,
    rdi: 0n,
    rsp: 0n,
    rbp: 0n,
    r8: 0n,
    r9: 0n,
    r10: 0n,
    r11: 0n,
    r12: 0n,
    r13: 0n,
    r14: 0n,
    r15: 0n,
    rip: 0xfff0n,
    rflags: 2n,
  };
}

/** x87, SSE and AVX state after RESET; FCW as FNINIT leaves it, which is what QEMU has. */
export function resetFpu(): Fpu {
  return {
    fpr: new Uint8Array(128),
    fcw: 0x37f,
    fsw: 0,
    ftwx: 0,
    lastOpcode: 0,
    lastIp: 0n,
    lastDp: 0n,
    xmm: new Uint8Array(256),
    mxcsr: 0x1f80,
    ymmHigh: new Uint8Array(256),
    pkru: 0,
    xcr0: 1n,
  };
}
