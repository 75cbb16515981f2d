/**
 * FXSAVE, FXRSTOR and the XSAVE family for the common case: an area inside one page of storage, and
 * x87, SSE, AVX and PKRU as the only state there is. `core/x86/helpers/xsave.ts` and `x87_env.ts` do
 * everything else, faults among it. Intel SDM volume 1, 10.5 and chapter 13.
 */
import { type AnyInt, I32, I64, load, V128 } from "../../wasm/expr.ts";
import { library } from "../library.ts";
import * as S from "../state.ts";
import { Mode } from "../state.ts";
import { define, type Emit } from "./emit.ts";
import { FOP_STALE, Sw } from "./softfloat.ts";
import { fpuBegin } from "./x87.ts";

const CR4_OSFXSR = 0x200, CR4_OSXSAVE = 0x40000;
const MXCSR_RESET = 0x1f80, MXCSR_RESERVED = ~0xffff;
/** State components, as bits of XCR0. */
const X87 = 1, SSE = 2, AVX = 4, PKRU = 0x200;
const KNOWN = X87 | SSE | AVX | PKRU;
/** Places in an area. */
const XMM_AT = 160, LEGACY = 512, HEADER_END = 576, YMM_AT = 576, PKRU_AT = 2688;
const COMPACTED = -0x80000000;
const FCW_RESET = 0x37f;
/** From FIP to the end of FOP. */
const POINTERS = 28;

/** (cpu, vector registers) → the components that are not in their initial state (XINUSE). */
const xinuse = library("xinuse", { params: ["i32", "i32"], results: ["i32"] }, (f) => {
  const cpu = f.param(0, "i32"), end = f.let(f.param(1, "i32").mul(S.XMM_SIZE).add(cpu));
  const state = (at: number) => load("i32.load", cpu, at);
  const odd = f.local("i64"), used = f.local("i32");
  odd.set(
    state(S.FCW).xor(FCW_RESET).or(state(S.FSW)).or(state(S.FTOP))
      .or(state(S.FEMPTY).and(0xff).xor(0xff)).extend_u(),
  );
  for (let n = 0; n < 16; n++) odd.set(odd.get().or(load("i64.load", cpu, S.FPR + 8 * n)));
  for (let n = 0; n < POINTERS; n += 4) {
    odd.set(odd.get().or(load("i64.load32_u", cpu, S.FIP + n)));
  }
  used.set(odd.get().ne(0).mul(X87).or(state(S.PKRU).ne(0).mul(PKRU)));
  const xmm = f.local("v128"), ymm = f.local("v128"), at = f.local("i32");
  at.set(cpu);
  f.loop((again) => {
    xmm.set(xmm.get().or(load("v128.load", at.get(), S.XMM)));
    ymm.set(ymm.get().or(load("v128.load", at.get(), S.XMM + 16)));
    at.set(at.get().add(S.XMM_SIZE));
    f.brIf(again, at.get().lt_u(end));
  });
  f.return(
    used.get().or(xmm.get().reduce("v128.any_true").mul(SSE))
      .or(ymm.get().reduce("v128.any_true").mul(AVX)),
  );
});

/** One instruction with its area. */
class Area {
  readonly #registers: number;
  readonly #wide: boolean;

  constructor(readonly e: Emit, readonly name: string) {
    this.#registers = e.long ? 16 : 8;
    this.#wide = e.opSize === 64;
  }

  /** Hands the instruction to TypeScript when `cond`. */
  unless(cond: I32): void {
    this.e.f.ifRare(this.e.let(cond), () => this.e.helperBranch(this.name));
  }

  /**
   * The storage address of an area of `bytes` that lies inside one page.
   * @param align its alignment less 1
   */
  place(bytes: I32, align: number, write: boolean): AnyInt {
    const { e } = this, lin = e.lin(0, align === 63 ? HEADER_END : LEGACY, write);
    const low = e.let(lin.type === "i64" ? (lin as I64).wrap() : lin as I32);
    this.unless(low.and(align).ne(0).or(low.and(4095).add(bytes).gt_u(4096)));
    const host = e.probeAs(lin, 8, write ? "w" : "r", true);
    this.unless(e.isBounce(host));
    return host;
  }

  /** What x87 instructions left for later, or have to tell the interrupt controller. */
  settled(): void {
    const { e } = this;
    this.unless(e.field32(S.FOP).and(FOP_STALE).or(e.field32(S.FSW).and(Sw.ES)).ne(0));
  }

  saveX87(host: AnyInt): void {
    const { e } = this, f = e.f, top = e.field32(S.FTOP);
    const put = (at: number, v: I32) => f.store("i32.store", host, v, at);
    put(0, e.field32(S.FCW).and(0xffff).or(e.field32(S.FSW).or(top.shl(11)).shl(16)));
    put(4, e.field32(S.FEMPTY).not().and(0xff).or(e.field32(S.FOP).and(0x7ff).shl(16)));
    if (this.#wide) {
      f.store("i64.store", host, e.field64(S.FIP), 8);
      f.store("i64.store", host, e.field64(S.FDP), 16);
    } else {
      put(8, e.field32(S.FIP));
      put(12, e.field32(S.FCS).and(0xffff));
      put(16, e.field32(S.FDP));
      put(20, e.field32(S.FDS).and(0xffff));
    }
    for (let n = 0; n < 8; n++) {
      const r = this.#stack(top, n);
      f.store("i64.store", host, load("i64.load", r, S.FPR), 32 + 16 * n);
      f.store("i64.store", host, load("i64.load16_u", r, S.FPR + 8), 40 + 16 * n);
    }
  }

  /** vCPU address plus the distance of ST(n) from R0. */
  #stack(top: I32, n: number): I32 {
    return this.e.let(top.add(n).and(7).shl(4).add(this.e.cpu()));
  }

  /** The control and status words of an area, or the instruction is handed over for an error in them. */
  x87Words(host: AnyInt): { control: I32; status: I32 } {
    const { e } = this;
    const control = e.let(load("i32.load16_u", host).and(0x1f3f).or(0x40));
    const status = e.let(load("i32.load16_u", host, 2).and(~(Sw.ES | Sw.B)));
    this.unless(status.and(control.not()).and(0x3f).ne(0));
    return { control, status };
  }

  loadX87(host: AnyInt, { control, status }: { control: I32; status: I32 }): void {
    const { e } = this, f = e.f, cpu = e.cpu();
    const word = (at: number): I32 => e.let(load("i32.load", host, at));
    const tags = word(4), top = e.let(status.shr_u(11).and(7));
    e.setField(4, S.FCW, control);
    e.setField(4, S.FSW, status.and(~0x3800));
    e.setField(4, S.FTOP, top);
    e.setField(4, S.FEMPTY, tags.not().and(0xff));
    e.setField(4, S.FOP, tags.shr_u(16).and(0x7ff));
    e.setField(8, S.FIP, e.let(load(this.#wide ? "i64.load" : "i64.load32_u", host, 8)));
    e.setField(8, S.FDP, e.let(load(this.#wide ? "i64.load" : "i64.load32_u", host, 16)));
    e.setField(4, S.FCS, this.#wide ? I32.of(0) : word(12).and(0xffff));
    e.setField(4, S.FDS, this.#wide ? I32.of(0) : word(20).and(0xffff));
    for (let n = 0; n < 8; n++) {
      const r = e.let(top.add(n).and(7).shl(4).add(cpu));
      f.store("i64.store", r, load("i64.load", host, 32 + 16 * n), S.FPR);
      f.store("i32.store16", r, load("i32.load16_u", host, 40 + 16 * n), S.FPR + 8);
    }
  }

  /** The state after FNINIT, with registers of 0. */
  initX87(): void {
    const { e } = this;
    e.setField(4, S.FCW, I32.of(FCW_RESET));
    e.setField(4, S.FEMPTY, I32.of(0xff));
    for (const at of [S.FSW, S.FTOP, S.FCS, S.FDS, S.FOP]) e.setField(4, at, I32.of(0));
    for (const at of [S.FIP, S.FDP]) e.setField(8, at, I64.of(0));
    for (let n = 0; n < 16; n++) e.setField(8, S.FPR + 8 * n, I64.of(0));
  }

  /** @param half 0 for XMM registers, 16 for the upper halves of YMM registers */
  saveVectors(host: AnyInt, at: number, half: 0 | 16): void {
    const { e } = this;
    for (let n = 0; n < this.#registers; n++) {
      const v = load("v128.load", e.cpu(), S.XMM + S.XMM_SIZE * n + half);
      e.f.store("v128.store", host, v, at + 16 * n);
    }
  }
  loadVectors(host: AnyInt | undefined, at: number, half: 0 | 16): void {
    const { e } = this;
    for (let n = 0; n < this.#registers; n++) {
      const v = host === undefined ? V128.of(0n, 0n) : load("v128.load", host, at + 16 * n);
      e.f.store("v128.store", e.cpu(), v, S.XMM + S.XMM_SIZE * n + half);
    }
  }

  /** The components that EDX:EAX asks for, of those that XCR0 has. */
  asked(): I32 {
    const { e } = this, xcr0 = e.field32(S.XCR0);
    const off = e.field32(S.CR4).and(CR4_OSXSAVE).eqz();
    this.unless(off.or(xcr0.and(~KNOWN).ne(0)));
    return e.let(e.gpr32(0).and(xcr0));
  }

  inUse(): I32 {
    return this.e.call(xinuse, "i32", this.e.cpu(), I32.of(this.#registers));
  }
}

const bit = (mask: I32, component: number): I32 => mask.and(component).ne(0);

/** Where PKRU lies in a compacted area less its place without AVX. */
const ymmBytes = (mask: I32): I32 => mask.and(AVX).shl(6);

/** Whether the registers may be used now; the other checks are made when running. */
function usable(e: Emit): boolean {
  return e.protectedMode && !e.vm86 && (e.mode & (Mode.SSE_NM | Mode.FPU_TRAP)) === 0;
}

function fxsave(e: Emit): void {
  if (!fpuBegin(e, false)) return;
  if (!usable(e)) return e.helper("FXSAVE");
  const a = new Area(e, "FXSAVE"), f = e.f;
  a.settled();
  const host = a.place(I32.of(LEGACY), 15, true);
  a.saveX87(host);
  f.if(e.field32(S.CR4).and(CR4_OSFXSR), () => {
    f.store("i32.store", host, e.field32(S.MXCSR), 24);
    f.store("i32.store", host, I32.of(0xffff), 28);
    a.saveVectors(host, XMM_AT, 0);
  });
}

function fxrstor(e: Emit): void {
  if (!fpuBegin(e, false)) return;
  if (!usable(e)) return e.helper("FXRSTOR");
  const a = new Area(e, "FXRSTOR"), f = e.f;
  a.settled();
  const host = a.place(I32.of(LEGACY), 15, false);
  const mxcsr = e.let(load("i32.load", host, 24)), words = a.x87Words(host);
  a.unless(mxcsr.and(MXCSR_RESERVED).ne(0));
  a.loadX87(host, words);
  f.if(e.field32(S.CR4).and(CR4_OSFXSR), () => {
    e.setField(4, S.MXCSR, mxcsr);
    a.loadVectors(host, XMM_AT, 0);
  });
}

/** @param name of the helper: the instruction's, or XSAVEC for XSAVES, as there is no supervisor state */
function save(name: "XSAVE" | "XSAVEOPT" | "XSAVEC") {
  const compacted = name === "XSAVEC";
  return (e: Emit): void => {
    if (!usable(e)) return e.helper(name);
    const a = new Area(e, name), f = e.f, asked = a.asked();
    a.settled();
    const small = e.let(ymmBytes(asked).add(HEADER_END));
    const bytes = compacted ? small.add(8) : bit(asked, PKRU).select(I32.of(PKRU_AT + 8), small);
    const host = a.place(e.let(bytes), 63, true);
    const used = f.local("i32");
    used.set(a.inUse());
    if (compacted) {
      f.if(e.field32(S.MXCSR).ne(MXCSR_RESET), () => used.set(used.get().or(SSE)));
    }
    const kept = e.let(used.get().and(asked)), write = name === "XSAVE" ? asked : kept;
    f.if(bit(write, X87), () => a.saveX87(host));
    f.if(compacted ? bit(write, SSE) : asked.and(SSE | AVX).ne(0), () => {
      f.store("i32.store", host, e.field32(S.MXCSR), 24);
      f.store("i32.store", host, I32.of(0xffff), 28);
    });
    f.if(bit(write, SSE), () => a.saveVectors(host, XMM_AT, 0));
    f.if(bit(write, AVX), () => a.saveVectors(host, YMM_AT, 16));
    f.if(bit(write, PKRU), () => {
      const pkru = e.field32(S.PKRU).extend_u();
      if (!compacted) return f.store("i64.store", host, pkru, PKRU_AT);
      f.if(
        bit(asked, AVX),
        () => f.store("i64.store", host, pkru, HEADER_END + 256),
        () => f.store("i64.store", host, pkru, HEADER_END),
      );
    });
    if (compacted) {
      f.store("i64.store", host, kept.extend_u(), LEGACY);
      f.store("i32.store", host, asked, LEGACY + 8);
      f.store("i32.store", host, I32.of(COMPACTED), LEGACY + 12);
    } else {
      const old = e.let(load("i32.load", host, LEGACY));
      f.store("i32.store", host, old.and(asked.not()).or(kept), LEGACY);
    }
  };
}

function restore(name: "XRSTOR" | "XRSTORS") {
  return (e: Emit): void => {
    if (!usable(e)) return e.helper(name, true);
    const a = new Area(e, name), f = e.f, asked = a.asked();
    a.settled();
    // The layout is not known yet: the largest of both.
    const small = bit(asked, PKRU).select(I32.of(PKRU_AT + 8), I32.of(HEADER_END + 256 + 8));
    const host = a.place(e.let(small), 63, false);
    const word = (at: number): I32 => e.let(load("i32.load", host, at));
    const present = word(LEGACY), layout = word(LEGACY + 8), form = word(LEGACY + 12);
    const xcr0 = e.field32(S.XCR0), compacted = e.let(form.eq(COMPACTED));
    a.unless(
      word(LEGACY + 4).or(present.or(layout).and(xcr0.not())).or(form.and(~COMPACTED)).ne(0)
        .or(compacted.select(present.and(layout.not()), layout).ne(0)),
    );
    if (name === "XRSTORS") a.unless(compacted.eqz());
    // What must be 0 in a standard header beyond bytes 16 to 23 only the compacted form looks at.
    const zero = e.let(load("i64.load", host, LEGACY + 16));
    let rest: I64 = load("i64.load", host, LEGACY + 24);
    for (let at = 32; at < 64; at += 8) rest = rest.or(load("i64.load", host, LEGACY + at));
    const reserved = compacted.select(rest, I64.of(0)).or(zero).ne(0);
    const unknown = compacted.and(e.field32(S.COMPACTED_AREAS).eqz());
    a.unless(reserved.or(unknown));
    const loaded = e.let(asked.and(present));
    const mxcsr = e.let(
      compacted.select(
        bit(loaded, SSE).select(word(24), I32.of(MXCSR_RESET)),
        word(24),
      ),
    );
    const setMxcsr = e.let(asked.and(compacted.select(I32.of(SSE), I32.of(SSE | AVX))).ne(0));
    a.unless(setMxcsr.and(mxcsr.and(MXCSR_RESERVED).ne(0)));
    const pkru = f.local("i32"), words = { control: f.local("i32"), status: f.local("i32") };
    f.if(bit(asked, PKRU), () => {
      f.if(bit(loaded, PKRU), () => {
        f.if(compacted, () => {
          f.if(
            bit(layout, AVX),
            () => pkru.set(load("i32.load", host, HEADER_END + 256)),
            () => pkru.set(load("i32.load", host, HEADER_END)),
          );
        }, () => pkru.set(load("i32.load", host, PKRU_AT)));
      });
      // Cached translations depend on it.
      a.unless(pkru.get().ne(e.field32(S.PKRU)));
    });
    f.if(bit(loaded, X87), () => {
      const w = a.x87Words(host);
      words.control.set(w.control);
      words.status.set(w.status);
    });

    f.if(bit(loaded, X87), () => {
      a.loadX87(host, { control: words.control.get(), status: words.status.get() });
    }, () => f.if(bit(asked, X87), () => a.initX87()));
    f.if(setMxcsr, () => e.setField(4, S.MXCSR, mxcsr));
    for (const [component, at, half] of [[SSE, XMM_AT, 0], [AVX, YMM_AT, 16]] as const) {
      f.if(bit(asked, component), () => {
        f.if(
          bit(loaded, component),
          () => a.loadVectors(host, at, half),
          () => a.loadVectors(undefined, at, half),
        );
      });
    }
  };
}

export function xsaveSemantics(): void {
  define("FXSAVE", fxsave);
  define("FXRSTOR", fxrstor);
  define("XSAVE", save("XSAVE"));
  define("XSAVEOPT", save("XSAVEOPT"));
  define(["XSAVEC", "XSAVES"], save("XSAVEC"));
  define("XRSTOR", restore("XRSTOR"));
  define("XRSTORS", restore("XRSTORS"));
}
