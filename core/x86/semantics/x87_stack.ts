/**
 * The register stack of the x87 and the operations of one instruction each: stack faults, operands,
 * result, pop. Library functions without a result store nothing when an unmasked exception forbids it.
 * Intel SDM volume 1, sections 8.1.2 and 8.5.1.1.
 */
import { I32, I64, load } from "../../wasm/expr.ts";
import { call, type Callee, type FunctionBuilder } from "../../wasm/func.ts";
import { library } from "../library.ts";
import * as S from "../state.ts";
import {
  fpuAdd,
  fpuDiv,
  fpuMul,
  fpuSqrt,
  fpuSub,
  inline,
  type Operation,
} from "./softfloat_arith.ts";
import {
  fpuCompare,
  fpuNarrow,
  fpuRint,
  fpuToInt,
  STOPPED,
  SUPPRESSED,
  type Widened,
  widenF32,
  widenF64,
  widenInt,
} from "./softfloat_convert.ts";
import { fpuRem, fpuRem1, fpuScale } from "./softfloat_rem.ts";
import {
  BIAS,
  clearC1,
  exponent,
  fcw,
  fpuNan1,
  fpuStackFault,
  fsw,
  INTEGER_BIT,
  isDenormal,
  isInfinity,
  isNan,
  isNormal,
  isUnsupported,
  isZero,
  NAN_HIGH,
  NAN_LOW,
  normalize,
  put,
  QUIET_BIT,
  raise,
  setFsw,
  Sw,
  var32,
  var64,
} from "./softfloat.ts";

const VOID = [] as const;
const CONDITION = Sw.C0 | Sw.C1 | Sw.C2 | Sw.C3;

const top = (cpu: I32): I32 => load("i32.load", cpu, S.FTOP);
const empties = (cpu: I32): I32 => load("i32.load", cpu, S.FEMPTY);

/** Physical number of ST(i). */
function physical(cpu: I32, i: I32 | number): I32 {
  return top(cpu).add(i).and(7);
}
/** Address of physical register `n`, less {@link S.FPR}. */
const address = (cpu: I32, n: I32): I32 => cpu.add(n.shl(4));
const high = (at: I32): I32 => load("i32.load16_u", at, S.FPR + 8);
const low = (at: I32): I64 => load("i64.load", at, S.FPR);
const isEmpty = (cpu: I32, n: I32): I32 => empties(cpu).shr_u(n).and(1);

function fill(f: FunctionBuilder, cpu: I32, n: I32): void {
  f.store("i32.store", cpu, empties(cpu).and(I32.of(1).shl(n).not()), S.FEMPTY);
}
function free(f: FunctionBuilder, cpu: I32, n: I32): void {
  f.store("i32.store", cpu, empties(cpu).or(I32.of(1).shl(n)), S.FEMPTY);
}
function pop(f: FunctionBuilder, cpu: I32): void {
  const n = f.let(top(cpu));
  free(f, cpu, n);
  f.store("i32.store", cpu, n.add(1).and(7), S.FTOP);
}

/** Non-zero when a stack underflow must leave no result. */
const underflow = (cpu: I32): I32 => call(fpuStackFault, "i32", cpu, I32.of(0));
const overflow = (cpu: I32): I32 => call(fpuStackFault, "i32", cpu, I32.of(1));

function defaultNan(f: FunctionBuilder, cpu: I32, n: I32): void {
  put(f, address(cpu, n), I32.of(NAN_HIGH), NAN_LOW);
  fill(f, cpu, n);
}

// ---- pushing

/** (cpu, high, low): pushes a value as it is. */
export const fpuPush = library("fpuPush", { params: ["i32", "i32", "i64"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const n = f.let(physical(cpu, -1));
  f.if(isEmpty(cpu, n), () => {
    clearC1(f, cpu);
    put(f, address(cpu, n), f.param(1, "i32"), f.param(2, "i64"));
    fill(f, cpu, n);
  }, () => {
    f.if(overflow(cpu), () => f.return());
    defaultNan(f, cpu, n);
  });
  f.store("i32.store", cpu, n, S.FTOP);
});

/** Pushes what a narrower format widened to: a signalling NaN becomes quiet. */
function pushWidened(f: FunctionBuilder, cpu: I32, w: Widened): void {
  const { h, l, pre } = w;
  const to = f.let(physical(cpu, -1));
  f.if(isEmpty(cpu, to).and(isNormal(h.get(), l.get())).and(pre.get().eqz()), () => {
    clearC1(f, cpu);
    put(f, address(cpu, to), h.get(), l.get());
    fill(f, cpu, to);
    f.store("i32.store", cpu, to, S.FTOP);
    f.return();
  });
  const snan = f.let(
    exponent(h.get()).eq(0x7fff).and(l.get().shr_u(62).eq(2)).and(l.get().shl(1).ne(0)),
  );
  f.if(pre.get().or(snan).ne(0).and(isEmpty(cpu, physical(cpu, -1))), () => {
    clearC1(f, cpu);
    f.if(snan, () => {
      f.if(raise(cpu, Sw.IE), () => f.return());
      l.set(l.get().or(QUIET_BIT));
    }, () => {
      // Even when it is unmasked the value is pushed.
      f.drop(raise(cpu, Sw.DE));
    });
  });
  f.tail(fpuPush, cpu, h.get(), l.get());
}
export const fldF64 = library("fldF64", { params: ["i32", "i64"], results: VOID }, (f) => {
  pushWidened(f, f.param(0, "i32"), widenF64(f, f.param(1, "i64")));
});
export const fldF32 = library("fldF32", { params: ["i32", "i32"], results: VOID }, (f) => {
  pushWidened(f, f.param(0, "i32"), widenF32(f, f.param(1, "i32")));
});
export const fild = library("fild", { params: ["i32", "i64"], results: VOID }, (f) => {
  const w = widenInt(f, f.param(1, "i64"));
  f.tail(fpuPush, f.param(0, "i32"), w.h.get(), w.l.get());
});

/** (cpu, i): pushes ST(i). */
export const fldSt = library("fldSt", { params: ["i32", "i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const n = f.let(physical(cpu, f.param(1, "i32"))), to = f.let(physical(cpu, -1));
  f.if(isEmpty(cpu, n), () => {
    f.if(underflow(cpu), () => f.return());
    defaultNan(f, cpu, to);
    f.store("i32.store", cpu, to, S.FTOP);
    f.return();
  });
  const at = f.let(address(cpu, n));
  f.tail(fpuPush, cpu, high(at), low(at));
});

/**
 * (cpu, high, low, next): pushes a constant, of which `next` is what follows the 64 bits (0: exact,
 * 1: less than half a unit, 2: more), by the rounding control.
 */
export const fldConst = library(
  "fldConst",
  { params: ["i32", "i32", "i64", "i32"], results: VOID },
  (f) => {
    const cpu = f.param(0, "i32"), next = f.param(3, "i32");
    const rc = f.let(fcw(cpu).shr_u(10).and(3));
    const up = f.let(
      rc.eqz().select(next.eq(2), rc.eq(2).and(next.ne(0))),
    );
    f.tail(fpuPush, cpu, f.param(1, "i32"), f.param(2, "i64").add(up.extend_u()));
  },
);

// ---- storing

/** (cpu, i, pops): ST(i) = ST(0). */
export const fstSt = library("fstSt", { params: ["i32", "i32", "i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const n = f.let(top(cpu)), to = f.let(physical(cpu, f.param(1, "i32")));
  f.if(isEmpty(cpu, n), () => {
    f.if(underflow(cpu), () => f.return());
    defaultNan(f, cpu, to);
  }, () => {
    clearC1(f, cpu);
    const at = f.let(address(cpu, n));
    put(f, address(cpu, to), high(at), low(at));
    fill(f, cpu, to);
  });
  f.if(f.param(2, "i32"), () => pop(f, cpu));
});

/** (cpu, i): FSTP ST(i) by its D9 encoding, which only pops when ST(0) is empty. */
export const fstpNce = library("fstpNce", { params: ["i32", "i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  f.if(isEmpty(cpu, top(cpu)), () => {
    clearC1(f, cpu);
    pop(f, cpu);
    f.return();
  });
  f.tail(fstSt, cpu, f.param(1, "i32"), I32.of(1));
});

/**
 * (cpu) → ST(0) in a memory format; {@link SUPPRESSED} tells when there is nothing to store. `fast` may
 * return the result of a common case.
 */
function storing(
  name: string,
  whenEmpty: bigint,
  convert: (cpu: I32, h: I32, l: I64) => I64,
  fast?: (f: FunctionBuilder, cpu: I32, h: I32, l: I64) => void,
) {
  return library(name, { params: ["i32"], results: ["i64"] }, (f) => {
    const cpu = f.param(0, "i32");
    const n = f.let(top(cpu));
    f.if(isEmpty(cpu, n), () => {
      f.store("i32.store", cpu, underflow(cpu), SUPPRESSED);
      f.return(I64.of(whenEmpty));
    });
    const at = f.let(address(cpu, n));
    const h = f.let(high(at)), l = f.let(low(at));
    fast?.(f, cpu, h, l);
    f.return(convert(cpu, h, l));
  });
}

/** A number in the middle of the target's range, rounded to nearest, precision exception masked. */
const narrowFast =
  (drop: 11 | 40, infinity: number) => (f: FunctionBuilder, cpu: I32, h: I32, l: I64): void => {
    const exp = f.let(exponent(h).sub(BIAS - (infinity >> 1)));
    f.if(
      exp.sub(1).lt_u(infinity - 2).and(l.lt_s(0)).and(fcw(cpu).and(0xc20).eq(0x20)),
      () => {
        const rest = f.let(l.shl(64 - drop)), q = f.let(l.shr_u(drop));
        const up = f.let(rest.lt_s(0).and(rest.shl(1).or(q.and(1)).ne(0)));
        setFsw(f, cpu, fsw(cpu).and(~Sw.C1).or(up.shl(9)).or(rest.ne(0).shl(5)));
        f.store("i32.store", cpu, I32.of(0), SUPPRESSED);
        const sign = h.and(0x8000).extend_u().shl(drop === 11 ? 48 : 16);
        f.return(
          exp.sub(1).extend_u().shl(63 - drop).add(q).add(up.extend_u()).or(sign),
        );
      },
    );
  };

export const fstF64 = storing(
  "fstF64",
  0xfff8000000000000n,
  (cpu, h, l) => call(fpuNarrow, "i64", cpu, h, l, I32.of(11), I32.of(0x7ff)),
  narrowFast(11, 0x7ff),
);
export const fstF32 = storing(
  "fstF32",
  0xffc00000n,
  (cpu, h, l) => call(fpuNarrow, "i64", cpu, h, l, I32.of(40), I32.of(0xff)),
  narrowFast(40, 0xff),
);
const storingInt = (bits: 16 | 32 | 64, truncate: boolean) =>
  storing(`${truncate ? "fistt" : "fist"}${bits}`, -1n << BigInt(bits - 1), (cpu, h, l) => {
    const rc = truncate ? I32.of(3) : fcw(cpu).shr_u(10).and(3);
    return call(fpuToInt, "i64", cpu, h, l, rc, I32.of(bits));
  });
export const fist = {
  16: storingInt(16, false),
  32: storingInt(32, false),
  64: storingInt(64, false),
} as const;
export const fistt = {
  16: storingInt(16, true),
  32: storingInt(32, true),
  64: storingInt(64, true),
} as const;

/** (cpu) → significand of ST(0) for FSTP m80; the sign and exponent are left behind {@link SUPPRESSED}. */
export const fstExt = library("fstExt", { params: ["i32"], results: ["i64"] }, (f) => {
  const cpu = f.param(0, "i32");
  const n = f.let(top(cpu));
  f.if(isEmpty(cpu, n), () => {
    f.store("i32.store", cpu, underflow(cpu), SUPPRESSED);
    f.store("i32.store", cpu, I32.of(NAN_HIGH), SUPPRESSED + 4);
    f.return(NAN_LOW);
  });
  clearC1(f, cpu);
  const at = f.let(address(cpu, n));
  f.store("i32.store", cpu, I32.of(0), SUPPRESSED);
  f.store("i32.store", cpu, high(at), SUPPRESSED + 4);
  f.return(low(at));
});

// ---- arithmetic

export type Arith = "add" | "mul" | "sub" | "subr" | "div" | "divr";

const cores: Record<Arith, Operation> = {
  add: fpuAdd,
  mul: fpuMul,
  sub: fpuSub,
  subr: fpuSub,
  div: fpuDiv,
  divr: fpuDiv,
};

/** Library functions of one arithmetic operation. */
export interface Arithmetic {
  /** (cpu, i, j, pops): ST(i) = ST(i) op ST(j). */
  readonly registers: Callee;
  /** (cpu, i64 bits of a double): ST(0) = ST(0) op m64. */
  readonly f64: Callee;
  readonly f32: Callee;
  readonly int: Callee;
}

function arithmetic(op: Arith): Arithmetic {
  const core = cores[op], reverse = op.endsWith("r");
  /** ST(0) op operand. */
  const memory = (form: string, param: "i32" | "i64", widen: (f: FunctionBuilder) => Widened) =>
    library(`f${op}_${form}`, { params: ["i32", param], results: VOID }, (f) => {
      const cpu = f.param(0, "i32");
      const n = f.let(top(cpu));
      f.if(isEmpty(cpu, n), () => {
        f.if(underflow(cpu).eqz(), () => defaultNan(f, cpu, n));
        f.return();
      });
      const w = widen(f), at = f.let(address(cpu, n));
      const h = f.let(high(at)), l = f.let(low(at));
      if (reverse) inline(f, core, cpu, at, w.h.get(), w.l.get(), h, l, w.pre.get());
      else inline(f, core, cpu, at, h, l, w.h.get(), w.l.get(), w.pre.get());
    });
  return {
    registers: library(
      `f${op}_st`,
      { params: ["i32", "i32", "i32", "i32"], results: VOID },
      (f) => {
        const cpu = f.param(0, "i32");
        const n = f.let(physical(cpu, f.param(1, "i32")));
        const m = f.let(physical(cpu, f.param(2, "i32")));
        f.if(isEmpty(cpu, n).or(isEmpty(cpu, m)), () => {
          f.if(underflow(cpu), () => f.return());
          defaultNan(f, cpu, n);
        }, () => {
          const a = f.let(address(cpu, n)), b = f.let(address(cpu, m));
          const [x, y] = reverse ? [b, a] : [a, b];
          const xh = f.let(high(x)), xl = f.let(low(x)), yh = f.let(high(y)), yl = f.let(low(y));
          f.if(inline(f, core, cpu, a, xh, xl, yh, yl, I32.of(0)), () => f.return());
        });
        f.if(f.param(3, "i32"), () => pop(f, cpu));
      },
    ),
    f64: memory("f64", "i64", (f) => widenF64(f, f.param(1, "i64"))),
    f32: memory("f32", "i32", (f) => widenF32(f, f.param(1, "i32"))),
    int: memory("int", "i64", (f) => widenInt(f, f.param(1, "i64"))),
  };
}

export const arithmetics: Record<Arith, Arithmetic> = {
  add: arithmetic("add"),
  mul: arithmetic("mul"),
  sub: arithmetic("sub"),
  subr: arithmetic("subr"),
  div: arithmetic("div"),
  divr: arithmetic("divr"),
};

// ---- comparing

/** Puts a comparison's result into the status word and pops unless it was stopped. */
function compared(f: FunctionBuilder, cpu: I32, code: I32, pops: I32): void {
  const clear = fsw(cpu).and(~(Sw.C0 | Sw.C2 | Sw.C3));
  setFsw(f, cpu, clear.or(code.and(STOPPED - 1)));
  f.if(code.and(STOPPED), () => f.return());
  popped(f, cpu, pops);
}
function popped(f: FunctionBuilder, cpu: I32, pops: I32): void {
  f.if(pops, () => {
    pop(f, cpu);
    f.if(pops.gt_u(1), () => pop(f, cpu));
  });
}

const UNORDERED = Sw.C0 | Sw.C2 | Sw.C3;

/** (cpu, i, quiet) → code of {@link fpuCompare} for ST(0) and ST(i), stack faults included. */
const compareSt = library(
  "compareSt",
  { params: ["i32", "i32", "i32"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32");
    const n = f.let(top(cpu)), m = f.let(physical(cpu, f.param(1, "i32")));
    f.if(isEmpty(cpu, n).or(isEmpty(cpu, m)), () => {
      f.if(underflow(cpu), () => f.return(I32.of(UNORDERED | STOPPED)));
      f.return(I32.of(UNORDERED));
    });
    const a = f.let(address(cpu, n)), b = f.let(address(cpu, m));
    const zero = I32.of(0);
    f.return(
      call(fpuCompare, "i32", cpu, high(a), low(a), high(b), low(b), zero, f.param(2, "i32")),
    );
  },
);

/** (cpu, i, quiet, pops): FCOM and FUCOM of registers. */
export const fcomSt = library(
  "fcomSt",
  { params: ["i32", "i32", "i32", "i32"], results: VOID },
  (f) => {
    const cpu = f.param(0, "i32");
    clearC1(f, cpu);
    const code = f.let(call(compareSt, "i32", cpu, f.param(1, "i32"), f.param(2, "i32")));
    compared(f, cpu, code, f.param(3, "i32"));
  },
);

/**
 * (cpu, i, quiet, pops) → ZF, PF and CF at their EFLAGS positions: FCOMI and FUCOMI, which leave C1
 * alone unless there is a stack fault, and set the flags whatever exceptions are unmasked.
 */
export const fcomi = library(
  "fcomi",
  { params: ["i32", "i32", "i32", "i32"], results: ["i32"] },
  (f) => {
    const cpu = f.param(0, "i32");
    const code = f.let(call(compareSt, "i32", cpu, f.param(1, "i32"), f.param(2, "i32")));
    f.if(code.and(STOPPED).eqz(), () => popped(f, cpu, f.param(3, "i32")));
    // C3, C2, C0 become ZF, PF, CF, as SAHF would make them.
    f.return(code.shr_u(8).and(0xff));
  },
);

const comparing = (form: string, param: "i32" | "i64", widen: (f: FunctionBuilder) => Widened) =>
  library(`fcom_${form}`, { params: ["i32", param, "i32"], results: VOID }, (f) => {
    const cpu = f.param(0, "i32");
    const n = f.let(top(cpu));
    const code = f.local("i32");
    clearC1(f, cpu);
    f.if(isEmpty(cpu, n), () => {
      code.set(underflow(cpu).select(I32.of(UNORDERED | STOPPED), I32.of(UNORDERED)));
    }, () => {
      const w = widen(f), at = f.let(address(cpu, n)), zero = I32.of(0);
      code.set(
        call(
          fpuCompare,
          "i32",
          cpu,
          high(at),
          low(at),
          w.h.get(),
          w.l.get(),
          w.pre.get(),
          zero,
        ),
      );
    });
    compared(f, cpu, code.get(), f.param(2, "i32"));
  });
/** (cpu, operand, pops) */
export const fcomF64 = comparing("f64", "i64", (f) => widenF64(f, f.param(1, "i64")));
export const fcomF32 = comparing("f32", "i32", (f) => widenF32(f, f.param(1, "i32")));
export const fcomInt = comparing("int", "i64", (f) => widenInt(f, f.param(1, "i64")));

/** (cpu): compares ST(0) with +0. */
export const ftst = library("ftst", { params: ["i32"], results: VOID }, (f) => {
  f.tail(fcomInt, f.param(0, "i32"), I64.of(0), I32.of(0));
});

/** (cpu): class of ST(0) in C3, C2, C0, its sign in C1. */
export const fxam = library("fxam", { params: ["i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const n = f.let(top(cpu)), at = f.let(address(cpu, n));
  const h = f.let(high(at)), l = f.let(low(at));
  const code = f.local("i32");
  const cases: [I32, number][] = [
    [isUnsupported(h, l), 0],
    [isNan(h, l), Sw.C0],
    [isInfinity(h, l), Sw.C2 | Sw.C0],
    [isZero(h, l), Sw.C3],
    [isDenormal(h, l), Sw.C3 | Sw.C2],
  ];
  code.set(I32.of(Sw.C2));
  for (const [is, c] of cases) f.if(is, () => code.set(I32.of(c)));
  f.if(isEmpty(cpu, n), () => code.set(I32.of(Sw.C3 | Sw.C0)));
  setFsw(
    f,
    cpu,
    fsw(cpu).and(~CONDITION).or(code.get()).or(h.shr_u(15).shl(9)),
  );
});

// ---- one register

/** (cpu, and, xor): changes the sign of ST(0). */
export const fsign = library("fsign", { params: ["i32", "i32", "i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const n = f.let(top(cpu)), at = f.let(address(cpu, n));
  f.if(isEmpty(cpu, n), () => {
    f.if(underflow(cpu).eqz(), () => defaultNan(f, cpu, n));
    f.return();
  });
  clearC1(f, cpu);
  f.store("i32.store16", at, high(at).and(f.param(1, "i32")).xor(f.param(2, "i32")), S.FPR + 8);
});

/** (cpu, i): exchanges ST(0) and ST(i). */
export const fxch = library("fxch", { params: ["i32", "i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const n = f.let(top(cpu)), m = f.let(physical(cpu, f.param(1, "i32")));
  const a = f.let(address(cpu, n)), b = f.let(address(cpu, m));
  const en = f.let(isEmpty(cpu, n)), em = f.let(isEmpty(cpu, m));
  clearC1(f, cpu);
  f.if(en.or(em), () => {
    f.if(underflow(cpu), () => f.return());
    f.if(en, () => defaultNan(f, cpu, n));
    f.if(em, () => defaultNan(f, cpu, m));
  });
  const h = f.let(high(a)), l = f.let(low(a));
  put(f, a, high(b), low(b));
  put(f, b, h, l);
});

/** (cpu, i, condition): ST(0) = ST(i) when the condition holds. */
export const fcmov = library("fcmov", { params: ["i32", "i32", "i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const n = f.let(top(cpu)), m = f.let(physical(cpu, f.param(1, "i32")));
  f.if(isEmpty(cpu, n).or(isEmpty(cpu, m)), () => {
    f.if(underflow(cpu).eqz(), () => defaultNan(f, cpu, n));
    f.return();
  });
  const b = f.let(address(cpu, m));
  f.if(f.param(2, "i32"), () => put(f, address(cpu, n), high(b), low(b)));
});

/** (cpu, i, pops): marks ST(i) empty. */
export const ffree = library("ffree", { params: ["i32", "i32", "i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  clearC1(f, cpu);
  free(f, cpu, f.let(physical(cpu, f.param(1, "i32"))));
  f.if(f.param(2, "i32"), () => pop(f, cpu));
});

/** (cpu, step): moves TOP without touching tags. */
export const fstep = library("fstep", { params: ["i32", "i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  clearC1(f, cpu);
  f.store("i32.store", cpu, physical(cpu, f.param(1, "i32")), S.FTOP);
});

const unary = (name: string, core: Callee) =>
  library(name, { params: ["i32"], results: VOID }, (f) => {
    const cpu = f.param(0, "i32");
    const n = f.let(top(cpu)), at = f.let(address(cpu, n));
    f.if(isEmpty(cpu, n), () => {
      f.if(underflow(cpu).eqz(), () => defaultNan(f, cpu, n));
      f.return();
    });
    f.drop(call(core, "i32", cpu, at, high(at), low(at)));
  });
export const fsqrt = unary("fsqrt", fpuSqrt);
export const frndint = unary("frndint", fpuRint);

/** ST(0) = ST(0) op ST(1); `clear` are condition codes that go whatever happens. */
const withNext = (name: string, core: Callee, clear: number) =>
  library(name, { params: ["i32"], results: VOID }, (f) => {
    const cpu = f.param(0, "i32");
    if (clear) setFsw(f, cpu, fsw(cpu).and(~clear));
    const n = f.let(top(cpu)), m = f.let(physical(cpu, 1));
    f.if(isEmpty(cpu, n).or(isEmpty(cpu, m)), () => {
      f.if(underflow(cpu).eqz(), () => defaultNan(f, cpu, n));
      f.return();
    });
    const a = f.let(address(cpu, n)), b = f.let(address(cpu, m));
    f.drop(call(core, "i32", cpu, a, high(a), low(a), high(b), low(b), I32.of(0)));
  });
export const fprem = withNext("fprem", fpuRem, Sw.C2);
export const fprem1 = withNext("fprem1", fpuRem1, Sw.C2);
export const fscale = withNext("fscale", fpuScale, 0);

/** (cpu): ST(0) becomes its exponent; its significand is pushed. */
export const fxtract = library("fxtract", { params: ["i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const n = f.let(top(cpu)), to = f.let(physical(cpu, -1));
  const at = f.let(address(cpu, n));
  const h = f.let(high(at)), l = f.let(low(at));
  const full = f.let(isEmpty(cpu, to).xor(1));
  f.if(isEmpty(cpu, n).or(full), () => {
    f.if(call(fpuStackFault, "i32", cpu, isEmpty(cpu, n).xor(1)), () => f.return());
    defaultNan(f, cpu, n);
    defaultNan(f, cpu, to);
    f.store("i32.store", cpu, to, S.FTOP);
    f.return();
  });
  clearC1(f, cpu);
  const significand = (hh: I32, ll: I64) => {
    put(f, address(cpu, to), hh, ll);
    fill(f, cpu, to);
    f.store("i32.store", cpu, to, S.FTOP);
    f.return();
  };
  const nan = f.let(call(fpuNan1, "i32", cpu, at, h, l));
  f.if(nan.eq(2), () => f.return());
  f.if(nan, () => significand(high(at), low(at)));
  f.if(isInfinity(h, l), () => {
    put(f, at, I32.of(0x7fff), INTEGER_BIT);
    significand(h, l);
  });
  f.if(isZero(h, l), () => {
    f.if(raise(cpu, Sw.ZE), () => f.return());
    put(f, at, I32.of(0xffff), INTEGER_BIT);
    significand(h, l);
  });
  f.if(isDenormal(h, l), () => {
    f.if(raise(cpu, Sw.DE), () => f.return());
  });
  const exp = var32(f, exponent(h)), sig = var64(f, l);
  normalize(f, exp, sig);
  const w = widenInt(f, exp.get().sub(BIAS).extend_s());
  put(f, at, w.h.get(), w.l.get());
  significand(h.and(0x8000).or(BIAS), sig.get());
});

/** (cpu): what FNINIT does. */
export const fninit = library("fninit", { params: ["i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const values: [number, number][] = [
    [S.FCW, 0x37f],
    [S.FSW, 0],
    [S.FTOP, 0],
    [S.FEMPTY, 0xff],
    [S.FIP, 0],
    [S.FIP + 4, 0],
    [S.FDP, 0],
    [S.FDP + 4, 0],
    [S.FCS, 0],
    [S.FDS, 0],
    [S.FOP, 0],
  ];
  for (const [at, v] of values) f.store("i32.store", cpu, I32.of(v), at);
});

/** (cpu): ES and B follow the exceptions and their masks, as after a load of either word. */
export const fpuSummary = library("fpuSummary", { params: ["i32"], results: VOID }, (f) => {
  const cpu = f.param(0, "i32");
  const sw = f.let(fsw(cpu).and(~(Sw.ES | Sw.B)));
  const open = sw.and(fcw(cpu).not()).and(0x3f);
  setFsw(f, cpu, sw.or(open.ne(0).select(I32.of(Sw.ES | Sw.B), I32.of(0))));
});
