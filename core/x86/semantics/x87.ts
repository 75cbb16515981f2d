/** x87 instructions: operands, memory access and pending exceptions around `x87_stack.ts`. */
import { type AnyInt, I32, type I64, load as rawLoad } from "../../wasm/expr.ts";
import type { Callee } from "../../wasm/func.ts";
import type { MemOperand, RegOperand } from "../insn.ts";
import { Seg } from "../insn.ts";
import "../helpers/x87_index.ts";
import { G } from "../ir.ts";
import * as S from "../state.ts";
import { Mode, Vec } from "../state.ts";
import { type Addr, define, type Emit } from "./emit.ts";
import { Sw } from "./softfloat.ts";
import { SUPPRESSED } from "./softfloat_convert.ts";
import * as X from "./x87_stack.ts";

/**
 * What x87 and MMX instructions begin with: #NM, and unless `waiting` is false the exception that an
 * earlier instruction has left pending. Returns false when the rest need not be emitted.
 */
export function fpuBegin(e: Emit, waiting = true): boolean {
  if (e.mode & Mode.FPU_TRAP) {
    e.raise(Vec.NM);
    return false;
  }
  if (waiting) pendingError(e);
  return true;
}

function pendingError(e: Emit): void {
  e.f.if(e.field32(S.FSW).and(Sw.ES), () => {
    e.helper("x87Pending");
    // Without CR0.NE the processor waits for the interrupt that reports the error.
    e.f.if(e.field32(S.SCRATCH), () => {
      e.f.guest(G.HELPER, [], { name: "x87Freeze", ends: true });
    });
  });
}

/** FIP and FCS, and with a memory operand FDP and FDS: its offset and segment. */
function pointers(e: Emit, offset?: I32 | I64): void {
  e.setField(8, S.FIP, e.ip());
  // 64-bit mode keeps no selectors; processors report them as 0 there.
  if (e.long) e.setField(8, S.FCS, e.ip().constant(0));
  else e.setField(4, S.FCS, selector(e, Seg.CS));
  if (offset === undefined) return;
  e.setField(8, S.FDP, offset.type === "i64" ? offset : offset.extend_u());
  if (!e.long) e.setField(4, S.FDS, selector(e, (e.operands[0] as MemOperand).seg));
}
function selector(e: Emit, seg: number): I32 {
  return e.field32(S.SEGS + S.SEG_SIZE * seg + S.SEG_SELECTOR).and(0xffff);
}

/** Offset and linear address of the memory operand. */
function target(e: Emit, bytes: number, write: boolean): { offset: I32 | I64; lin: Addr } {
  const offset = e.ea(0) as I32 | I64;
  return { offset, lin: e.linear((e.operands[0] as MemOperand).seg, offset, bytes, write) };
}

/** Loads the memory operand of 2, 4 or 8 bytes and updates the pointers. */
function operand(e: Emit, bytes: 2 | 4 | 8): I32 | I64 {
  const { offset, lin } = target(e, bytes, false);
  const v = e.load(lin, bytes) as I32 | I64;
  pointers(e, offset);
  return v;
}
/** The same as a signed 64-bit integer. */
function integerOperand(e: Emit): I64 {
  const bits = e.size(0);
  const v = operand(e, (bits >> 3) as 2 | 4 | 8);
  if (v.type === "i64") return v;
  return bits === 16 ? v.extend16_s().extend_s() : v.extend_s();
}

/** Number i of operand n, which is ST(i). */
function st(e: Emit, n: number): I32 {
  return I32.of((e.operands[n] as RegOperand).reg);
}

/** Defines a waiting instruction that touches the pointers and is nothing but a library call. */
function plain(name: string, c: Callee, ...args: I32[]): void {
  define(name, (e) => {
    if (!fpuBegin(e)) return;
    pointers(e);
    e.f.call(c, e.cpu(), ...args);
  });
}

function arithmetic(name: string, op: X.Arith): void {
  const a = X.arithmetics[op];
  const zero = I32.of(0), one = I32.of(1);
  define(`F${name}`, (e) => {
    if (!fpuBegin(e)) return;
    if (!e.isMem(0)) {
      pointers(e);
      e.f.call(a.registers, e.cpu(), st(e, 0), st(e, 1), zero);
    } else if (e.size(0) === 64) e.f.call(a.f64, e.cpu(), operand(e, 8));
    else e.f.call(a.f32, e.cpu(), operand(e, 4));
  });
  define(`F${name}P`, (e) => {
    if (!fpuBegin(e)) return;
    pointers(e);
    e.f.call(a.registers, e.cpu(), st(e, 0), st(e, 1), one);
  });
  define(`FI${name}`, (e) => {
    if (!fpuBegin(e)) return;
    e.f.call(a.int, e.cpu(), integerOperand(e));
  });
}

function compare(name: string, quiet: boolean, pops: 0 | 1 | 2): void {
  define(name, (e) => {
    if (!fpuBegin(e)) return;
    const n = I32.of(pops);
    if (e.operands.length > 0 && e.isMem(0)) {
      if (e.size(0) === 64) e.f.call(X.fcomF64, e.cpu(), operand(e, 8), n);
      else e.f.call(X.fcomF32, e.cpu(), operand(e, 4), n);
      return;
    }
    pointers(e);
    const i = e.operands.length > 0 ? st(e, 0) : I32.of(1);
    e.f.call(X.fcomSt, e.cpu(), i, I32.of(quiet ? 1 : 0), n);
  });
}

function compareFlags(name: string, quiet: boolean, pops: 0 | 1): void {
  define(name, (e) => {
    if (!fpuBegin(e)) return;
    pointers(e);
    const image = e.call(
      X.fcomi,
      "i32",
      e.cpu(),
      st(e, 1),
      I32.of(quiet ? 1 : 0),
      I32.of(pops),
    );
    e.flagsAll(image);
  });
}

/** FST, FIST, FISTTP and their popping forms, to memory. */
function store(
  e: Emit,
  bytes: 2 | 4 | 8 | 10,
  convert: Callee,
  pops: boolean,
): void {
  const { offset, lin } = target(e, bytes, true);
  const host = e.probeAs(lin, bytes, "w");
  pointers(e, offset);
  const v = e.call(convert, "i64", e.cpu());
  e.f.if(e.field32(SUPPRESSED).eqz(), () => {
    if (bytes === 10) {
      e.f.store("i64.store", host, v);
      e.f.store("i32.store16", host, e.field32(SUPPRESSED + 4), 8);
    } else e.f.store(bytes === 8 ? "i64.store" : `i64.store${8 * bytes}`, host, v);
    e.commit(host, bytes);
    if (pops) pop(e);
  });
}

function pop(e: Emit): void {
  const top = e.field32(S.FTOP);
  e.setField(4, S.FEMPTY, e.field32(S.FEMPTY).or(I32.of(1).shl(top)));
  e.setField(4, S.FTOP, top.add(1).and(7));
}

function storeReal(name: string, pops: boolean): void {
  define(name, (e) => {
    if (!fpuBegin(e)) return;
    if (!e.isMem(0)) {
      pointers(e);
      if (/^D9/.test(e.i.row.opcode)) e.f.call(X.fstpNce, e.cpu(), st(e, 0));
      else e.f.call(X.fstSt, e.cpu(), st(e, 0), I32.of(pops ? 1 : 0));
      return;
    }
    const bits = e.operands[0].size;
    if (bits === 80) store(e, 10, X.fstExt, pops);
    else if (bits === 64) store(e, 8, X.fstF64, pops);
    else store(e, 4, X.fstF32, pops);
  });
}

function storeInteger(
  name: string,
  converts: { readonly 16: Callee; readonly 32: Callee; readonly 64: Callee },
  pops: boolean,
): void {
  define(name, (e) => {
    if (!fpuBegin(e)) return;
    const bits = e.size(0) as 16 | 32 | 64;
    store(e, (bits >> 3) as 2 | 4 | 8, converts[bits], pops);
  });
}

/** Constants: 64 bits of significand and what follows them (see `fldConst`). SDM volume 2, FLD1. */
const constants: Record<string, [number, bigint, number]> = {
  FLD1: [0x3fff, 0x8000000000000000n, 0],
  FLDL2T: [0x4000, 0xd49a784bcd1b8afen, 1],
  FLDL2E: [0x3fff, 0xb8aa3b295c17f0bbn, 2],
  FLDPI: [0x4000, 0xc90fdaa22168c234n, 2],
  FLDLG2: [0x3ffd, 0x9a209a84fbcff798n, 2],
  FLDLN2: [0x3ffe, 0xb17217f7d1cf79abn, 2],
  FLDZ: [0, 0n, 0],
};

const conditions: Record<string, number> = { B: 2, E: 4, BE: 6, U: 10 };

/** Instructions that TypeScript carries out. */
const helped = [
  "F2XM1",
  "FYL2X",
  "FYL2XP1",
  "FPTAN",
  "FPATAN",
  "FSIN",
  "FCOS",
  "FSINCOS",
] as const;

export function x87Semantics(): void {
  arithmetic("ADD", "add");
  arithmetic("MUL", "mul");
  arithmetic("SUB", "sub");
  arithmetic("SUBR", "subr");
  arithmetic("DIV", "div");
  arithmetic("DIVR", "divr");

  compare("FCOM", false, 0);
  compare("FCOMP", false, 1);
  compare("FCOMPP", false, 2);
  compare("FUCOM", true, 0);
  compare("FUCOMP", true, 1);
  compare("FUCOMPP", true, 2);
  compareFlags("FCOMI", false, 0);
  compareFlags("FCOMIP", false, 1);
  compareFlags("FUCOMI", true, 0);
  compareFlags("FUCOMIP", true, 1);
  for (const [name, pops] of [["FICOM", 0], ["FICOMP", 1]] as const) {
    define(name, (e) => {
      if (!fpuBegin(e)) return;
      e.f.call(X.fcomInt, e.cpu(), integerOperand(e), I32.of(pops));
    });
  }
  plain("FTST", X.ftst);
  plain("FXAM", X.fxam);

  define("FLD", (e) => {
    if (!fpuBegin(e)) return;
    if (!e.isMem(0)) {
      pointers(e);
      e.f.call(X.fldSt, e.cpu(), st(e, 0));
      return;
    }
    const bits = e.operands[0].size;
    if (bits === 80) {
      const { offset, lin } = target(e, 10, false);
      const host = e.probeAs(lin, 10, "r");
      const l = e.let(loadHost64(host)), h = e.let(loadHost16(host));
      pointers(e, offset);
      e.f.call(X.fpuPush, e.cpu(), h, l);
    } else if (bits === 64) e.f.call(X.fldF64, e.cpu(), operand(e, 8));
    else e.f.call(X.fldF32, e.cpu(), operand(e, 4));
  });
  define("FILD", (e) => {
    if (!fpuBegin(e)) return;
    e.f.call(X.fild, e.cpu(), integerOperand(e));
  });
  for (const [name, [h, l, next]] of Object.entries(constants)) {
    define(name, (e) => {
      if (!fpuBegin(e)) return;
      pointers(e);
      e.f.call(X.fldConst, e.cpu(), I32.of(h), e.ip().constant(l), I32.of(next));
    });
  }
  storeReal("FST", false);
  storeReal("FSTP", true);
  storeInteger("FIST", X.fist, false);
  storeInteger("FISTP", X.fist, true);
  storeInteger("FISTTP", X.fistt, true);

  plain("FCHS", X.fsign, I32.of(0xffff), I32.of(0x8000));
  plain("FABS", X.fsign, I32.of(0x7fff), I32.of(0));
  plain("FSQRT", X.fsqrt);
  plain("FRNDINT", X.frndint);
  plain("FSCALE", X.fscale);
  plain("FPREM", X.fprem);
  plain("FPREM1", X.fprem1);
  plain("FXTRACT", X.fxtract);
  plain("FINCSTP", X.fstep, I32.of(1));
  plain("FDECSTP", X.fstep, I32.of(-1));
  define("FXCH", (e) => {
    if (!fpuBegin(e)) return;
    pointers(e);
    e.f.call(X.fxch, e.cpu(), st(e, 0));
  });
  for (const [name, pops] of [["FFREE", 0], ["FFREEP", 1]] as const) {
    define(name, (e) => {
      if (!fpuBegin(e)) return;
      pointers(e);
      e.f.call(X.ffree, e.cpu(), st(e, 0), I32.of(pops));
    });
  }
  for (const [suffix, cc] of Object.entries(conditions)) {
    for (const negated of [0, 1]) {
      define(`FCMOV${negated ? "N" : ""}${suffix}`, (e) => {
        if (!fpuBegin(e)) return;
        pointers(e);
        e.f.call(X.fcmov, e.cpu(), st(e, 1), e.let(e.cond(cc + negated)));
      });
    }
  }
  for (const name of helped) {
    define(name, (e) => {
      if (!fpuBegin(e)) return;
      pointers(e);
      e.helper(name);
    });
  }
  for (const [name, write] of [["FBLD", false], ["FBSTP", true]] as const) {
    define(name, (e) => {
      if (!fpuBegin(e)) return;
      e.helper(name);
      pointers(e, target(e, 10, write).offset);
    });
  }
  control();
}

function loadHost64(host: AnyInt): I64 {
  return rawLoad("i64.load", host);
}
function loadHost16(host: AnyInt): I32 {
  return rawLoad("i32.load16_u", host, 8);
}

/** Instructions about the control, status and tag words, which leave the pointers alone. */
function control(): void {
  define("FNOP", (e) => {
    // The 8087's FENI and FDISI and the 287's FSETPM are no operations, and do not wait either.
    const nop = /^D9/.test(e.i.row.opcode);
    if (fpuBegin(e, nop) && nop) pointers(e);
  });
  define("FWAIT", (e) => {
    if (e.mode & Mode.WAIT_NM) e.raise(Vec.NM);
    else pendingError(e);
  });
  define("FNINIT", (e) => {
    if (!fpuBegin(e, false)) return;
    const old = e.field32(S.FSW);
    e.f.call(X.fninit, e.cpu());
    e.f.if(old.and(Sw.ES), () => e.helper("x87Cleared"));
  });
  define("FNCLEX", (e) => {
    if (!fpuBegin(e, false)) return;
    const old = e.field32(S.FSW);
    e.setField(4, S.FSW, old.and(Sw.C0 | Sw.C1 | Sw.C2 | Sw.C3));
    e.f.if(old.and(Sw.ES), () => e.helper("x87Cleared"));
  });
  define("FLDCW", (e) => {
    if (!fpuBegin(e)) return;
    e.setField(4, S.FCW, (e.rd(0) as I32).and(0x1f3f).or(0x40));
    e.f.call(X.fpuSummary, e.cpu());
  });
  define("FNSTCW", (e) => {
    if (!fpuBegin(e, false)) return;
    e.wr(0, e.field32(S.FCW));
  });
  define("FNSTSW", (e) => {
    if (!fpuBegin(e, false)) return;
    e.wr(0, e.let(e.field32(S.FSW).or(e.field32(S.FTOP).shl(11))));
  });
  for (const name of ["FLDENV", "FRSTOR"]) {
    define(name, (e) => {
      if (fpuBegin(e)) e.helper(name);
    });
  }
  for (const name of ["FNSTENV", "FNSAVE"]) {
    define(name, (e) => {
      if (fpuBegin(e, false)) e.helper(name);
    });
  }
}
