/**
 * Registers that programs and kernels read and write all the time: the time-stamp counter, IA32_TSC_AUX,
 * XCR0, and the MSRs of segment bases. Their other cases, faults among them, are helpers. Intel SDM
 * volume 2, RDTSC, RDTSCP, RDPID, XGETBV, RDMSR, WRMSR.
 */
import { type I32, I64 } from "../../wasm/expr.ts";
import type { Callee } from "../../wasm/func.ts";
import { Gpr, Seg } from "../insn.ts";
import * as S from "../state.ts";
import { define, type Emit } from "./emit.ts";

/**
 * (cpu) → the machine's time-stamp counter, below 2^53: a host function that an accelerator gives to
 * emitted code.
 */
const HOST_TSC: Callee = { name: "hostTsc", type: { params: ["i32"], results: ["f64"] } };

const CR4_TSD = 4, CR4_OSXSAVE = 0x40000;
const FS_BASE = 0xc0000100;
/** Where the registers from IA32_FS_BASE up lie. */
const BASES = [
  S.SEGS + S.SEG_SIZE * Seg.FS + S.SEG_BASE,
  S.SEGS + S.SEG_SIZE * Seg.GS + S.SEG_BASE,
  S.IA32_KERNEL_GS_BASE,
];

/** Sets EDX:EAX. */
function setPair(e: Emit, v: I64): void {
  e.setGpr(Gpr.RAX, 32, v.wrap());
  e.setGpr(Gpr.RDX, 32, v.shr_u(32).wrap());
}

function rdtsc(name: "RDTSC" | "RDTSCP") {
  return (e: Emit): void => {
    const kept = e.field32(S.CR4).and(CR4_TSD).ne(0).and(e.field32(S.CPL).ne(0));
    e.f.ifRare(e.let(kept), () => e.helperBranch(name));
    const now = e.call(HOST_TSC, "f64", e.cpu()).toI64_sat_s();
    setPair(e, e.let(now.add(e.field64(S.TSC_OFFSET))));
    if (name === "RDTSCP") e.setGpr(Gpr.RCX, 32, e.field32(S.IA32_TSC_AUX));
  };
}

function xgetbv(e: Emit): void {
  const off = e.field32(S.CR4).and(CR4_OSXSAVE).eqz();
  e.f.ifRare(e.let(off.or(e.gpr32(Gpr.RCX))), () => e.helperBranch("XGETBV"));
  setPair(e, e.field64(S.XCR0));
}

/** The number in {@link BASES} of the register that ECX names; beyond them for another one. */
const baseNumber = (e: Emit): I32 => e.let(e.gpr32(Gpr.RCX).sub(FS_BASE | 0));

function rdmsr(e: Emit): void {
  if (!e.long) return e.helper("RDMSR");
  const n = baseNumber(e);
  e.f.if(n.ge_u(BASES.length), () => e.helper("RDMSR"), () => {
    const v = e.local("i64");
    BASES.forEach((at, k) => e.f.if(n.eq(k), () => v.set(e.field64(at))));
    setPair(e, v.get());
  });
}

function wrmsr(e: Emit): void {
  if (!e.long) return e.helperWhole("WRMSR");
  const low = e.gpr32(Gpr.RAX).extend_u(), high = e.gpr32(Gpr.RDX).extend_u().shl(32);
  const v = e.let(low.or(high)), n = baseNumber(e);
  // Canonical for 4-level paging is so for 5 levels too.
  const odd = v.shl(I64.of(16)).shr_s(I64.of(16)).ne(v);
  e.f.if(e.let(n.ge_u(BASES.length).or(odd)), () => e.helperWhole("WRMSR"), () => {
    BASES.forEach((at, k) => e.f.if(n.eq(k), () => e.setField(8, at, v)));
  });
}

export function registerSemantics(): void {
  define("RDTSC", rdtsc("RDTSC"));
  define("RDTSCP", rdtsc("RDTSCP"));
  define("RDPID", (e) => {
    const v = e.field64(S.IA32_TSC_AUX);
    e.wr(0, e.size(0) === 64 ? v : v.wrap());
  });
  define("XGETBV", xgetbv);
  define("RDMSR", rdmsr);
  define("WRMSR", wrmsr);
}
