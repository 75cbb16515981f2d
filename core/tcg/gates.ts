/**
 * Event delivery through interrupt and trap gates to CPL 0, and IRET from there, as emitted code: what
 * a kernel does all the time. Likewise SYSCALL, SYSENTER and their returns. Flat 32-bit segments or
 * 64-bit mode, with programs in 64-bit or flat 32-bit code, descriptors in the GDT with their accessed
 * bits set, a frame inside one page. In every other case (faults among them) the functions
 * give 0 and have changed nothing that a program can see; `core/x86` then does it all. Intel SDM
 * volume 3, 6.12 and 6.14; volume 2, IRET.
 */
import { type AddressType, type AnyInt, I32, I64, load } from "../wasm/expr.ts";
import { call, type Callee, FunctionBuilder, type Local } from "../wasm/func.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import { Attr } from "../x86/cpu.ts";
import { Gpr, Seg } from "../x86/insn.ts";
import * as S from "../x86/state.ts";
import { Fl, Mode, Vec } from "../x86/state.ts";
import { EVENT, flagExpr, flagValues } from "./lower.ts";
import { Page } from "./physmap.ts";
import { CODE_IN, FILL, pageHost, WANT } from "./walker.ts";

/**
 * (cpu, vector, error code or -1, {@link EVENT}) → 1 when the event was delivered. RIP is that of the
 * instruction to return to, then the handler's.
 */
export const DELIVER: Callee = {
  name: "deliver",
  type: { params: ["i32", "i32", "i32", "i32"], results: ["i32"] },
};
/** (cpu, operand size in bytes) → 1 when IRET was carried out; RIP is the target. */
export const IRET: Callee = {
  name: "iret",
  type: { params: ["i32", "i32"], results: ["i32"] },
};
/** (cpu) → 1 when SYSCALL in long mode was carried out; RIP is that of the next instruction. */
export const SYSCALL: Callee = { name: "syscall", type: { params: ["i32"], results: ["i32"] } };
/** (cpu) → 1 when SYSRET to 64-bit mode was carried out. */
export const SYSRET: Callee = { name: "sysret", type: { params: ["i32"], results: ["i32"] } };
/** The same of SYSRET to compatibility mode. */
export const SYSRET32: Callee = { name: "sysret32", type: { params: ["i32"], results: ["i32"] } };
/** (cpu) → 1 when SYSENTER was carried out, or SYSEXIT in flat 32-bit mode. */
export const SYSENTER: Callee = { name: "sysenter", type: { params: ["i32"], results: ["i32"] } };
export const SYSEXIT: Callee = { name: "sysexit", type: { params: ["i32"], results: ["i32"] } };
/** (cpu, linear address, bytes, {@link WANT}) → storage address inside one page, or 0. */
const within = (host: AddressType): Callee => ({
  name: "within",
  type: { params: ["i32", "i64", "i32", "i32"], results: [host] },
});
const WITHIN: Record<AddressType, Callee> = { i32: within("i32"), i64: within("i64") };

const INTERRUPT_GATE = 14, { JC_MODE } = S.Bank;
/** What of the mode is that of the code's size and of flat segments. */
const CODE_MODE = Mode.CODE_MASK | Mode.SS32 | Mode.FLAT | Mode.CS_FLAT;
const TSS_RSP0 = 4, TSS_IST1 = 0x24;
/** Bits of a descriptor's upper half. */
const D = {
  ACCESSED: 1 << 8,
  READ_WRITE: 1 << 9,
  DOWN_CONFORMING: 1 << 10,
  CODE: 1 << 11,
  S: 1 << 12,
  P: 1 << 15,
  L: 1 << 21,
  DB: 1 << 22,
  G: 1 << 23,
} as const;
/** The limit's upper bits and the base's; a flat segment has all of the first and none of the last. */
const LIMIT_HIGH = 0xf0000, BASE_HIGH = 0xff0000ff;
const KIND = D.ACCESSED | D.DOWN_CONFORMING | D.CODE | D.S | D.P | LIMIT_HIGH | D.G | BASE_HIGH;
/** Flags that are in neither FLAG_RES nor FLAG_AUX. */
const SYSTEM_FLAGS = Fl.TF | Fl.IF | Fl.DF | Fl.IOPL | Fl.NT | Fl.AC | Fl.VIF | Fl.VIP | Fl.ID;

/** @param host what storage addresses are */
export function addGates(m: ModuleBuilder, host: AddressType): void {
  const within = new FunctionBuilder(WITHIN[host].name, WITHIN[host].type);
  emitWithin(within, host);
  m.add(within, undefined, undefined, WITHIN[host]);
  const add = (callee: Callee, body: (g: Gates) => void) => {
    const f = new FunctionBuilder(callee.name, callee.type);
    body(new Gates(f, host));
    m.add(f, undefined, callee.name, callee);
  };
  add(DELIVER, (g) => g.deliver());
  add(IRET, (g) => g.iret());
  add(SYSCALL, (g) => g.syscall());
  add(SYSRET, (g) => g.sysret(true));
  add(SYSRET32, (g) => g.sysret(false));
  add(SYSENTER, (g) => g.sysenter());
  add(SYSEXIT, (g) => g.sysexit());
}

function emitWithin(f: FunctionBuilder, type: AddressType): void {
  const cpu = f.param(0, "i32"), lin = f.param(1, "i64");
  const bytes = f.param(2, "i32"), want = f.param(3, "i32");
  const lo = f.let(lin.wrap()), offset = f.let(lo.and(0xfff));
  const no = () => f.return(type === "i64" ? I64.of(0) : I32.of(0));
  f.if(offset.add(bytes).gt_u(4096), no);
  const word = f.let(call(FILL, "i32", cpu, lo, lin.shr_u(32).wrap(), want));
  f.if(word.eqz(), no);
  const host = f.let(pageHost(type, word, offset));
  f.if(want.and(WANT.WRITE).ne(0).and(word.and(Page.READONLY | Page.CODE).ne(0)), () => {
    f.if(word.and(Page.READONLY).ne(0), no);
    f.if(call(CODE_IN[type], "i32", host, bytes), no);
  });
  f.return(host);
}

class Gates {
  readonly #cpu: I32;

  constructor(readonly f: FunctionBuilder, readonly host: AddressType) {
    this.#cpu = f.param(0, "i32");
  }

  #no(cond: I32): void {
    this.f.if(cond, () => this.f.return(I32.of(0)));
  }
  #get(at: number): I32 {
    return this.f.let(load("i32.load", this.#cpu, at));
  }
  #get64(at: number): I64 {
    return this.f.let(load("i64.load", this.#cpu, at));
  }
  #set(at: number, v: I32): void {
    this.f.store("i32.store", this.#cpu, v, at);
  }
  #set64(at: number, v: I64): void {
    this.f.store("i64.store", this.#cpu, v, at);
  }
  /** Storage address of system data, or the function gives up. */
  #at(lin: I64, bytes: number | I32, want: number = WANT.IMPLICIT): AnyInt {
    const n = typeof bytes === "number" ? I32.of(bytes) : bytes;
    const host = this.f.let(call(WITHIN[this.host], this.host, this.#cpu, lin, n, I32.of(want)));
    this.#no(host.eqz());
    return host;
  }

  /**
   * The mode must be 64-bit mode, flat 32-bit protected mode, or, where the caller has a way for it, a
   * program's compatibility mode with 32-bit code (`compat`). `long`: the code is 64-bit; `wide`:
   * EFER.LMA is set.
   */
  #mode(program = false): { mode: I32; long: I32; wide: I32; compat: I32 } {
    const mode = this.#get(S.MODE);
    const long = this.f.let(mode.and(Mode.LONG | Mode.CODE_MASK).eq(Mode.LONG | 2));
    const flat = Mode.PE | Mode.FLAT | Mode.CS_FLAT | Mode.SS32 | 1;
    const same = mode.and(flat | Mode.CODE_MASK | Mode.LONG | Mode.VM86).eq(flat);
    const narrow = Mode.LONG | 1 | Mode.CPL3;
    const compat = program ? this.f.let(mode.and(narrow | Mode.CODE_MASK).eq(narrow)) : I32.of(0);
    const wide = program ? this.f.let(long.or(compat)) : long;
    // Alignment checks begin and end in TypeScript.
    this.#no(wide.or(same).eqz().or(mode.and(Mode.SINGLE | Mode.ALIGN)));
    // Data breakpoints, and translations made with the limit of another code segment.
    this.#no(this.#get(S.SEGS + S.SEG_SIZE * Seg.CS + S.SEG_LIMIT).ne(-1));
    return { mode, long, wide, compat };
  }

  /** `mode`, or where `from32` that of 64-bit code instead. */
  #mode64(mode: I32, from32: I32): I32 {
    const result = this.f.local("i32");
    result.set(mode);
    this.f.if(from32, () => result.set(mode.and(~CODE_MODE).or(2 | Mode.FLAT | Mode.CS_FLAT)));
    return result.get();
  }
  /** That of flat 32-bit code and stack; DS and ES are what they are. */
  #mode32(mode: I32): I32 {
    const flat = (n: number) => {
      const at = S.SEGS + S.SEG_SIZE * n;
      return this.#get(at + S.SEG_WHI).and(this.#get(at + S.SEG_RHI))
        .and(this.#get(at + S.SEG_LIMIT)).eq(-1).and(this.#get64(at + S.SEG_BASE).eqz());
    };
    const data = flat(Seg.DS).and(flat(Seg.ES)).mul(Mode.FLAT);
    return mode.and(~CODE_MODE).or(data).or(1 | Mode.SS32 | Mode.CS_FLAT);
  }

  /** The jump cache of privilege `user` must hold for `mode`, or be empty, which then is for that mode. */
  #jumps(user: I32, mode: I32): void {
    const at = this.f.let(this.#get(S.TLB_SYS_PTR).add(user.shl(2)));
    const key = this.f.let(mode.and(S.JUMP_MODE)), was = this.f.let(load("i32.load", at, JC_MODE));
    this.f.ifRare(was.ne(key), () => {
      this.#no(was.ne(-1));
      this.f.store("i32.store", at, key, JC_MODE);
    });
  }

  /** Upper half of the GDT's descriptor for `selector`, which must name a flat segment. */
  #descriptor(selector: I32): I32 {
    const f = this.f, offset = f.let(selector.and(0xfff8));
    this.#no(
      offset.eqz().or(selector.and(4))
        .or(offset.add(7).gt_u(this.#get(S.GDTR_LIMIT).and(0xffff))),
    );
    const at = this.#at(this.#table(S.GDTR_BASE).add(offset.extend_u()), 8);
    this.#no(load("i32.load", at).ne(0xffff));
    return f.let(load("i32.load", at, 4));
  }
  /** A table's base; bits 63:32 count in long mode only, where its code here is 64-bit. */
  #table(at: number): I64 {
    const base = this.#get64(at);
    const long = load("i32.load", this.#cpu, S.MODE).and(Mode.LONG).ne(0);
    return long.select(base, this.f.let(base.and(0xffffffff)));
  }

  /** Requires a code segment of privilege `dpl`: 64-bit with `wide`, else (or with `either`) 32-bit. */
  #code(selector: I32, dpl: I32, wide: I32, either = I32.of(0)): I32 {
    const hi = this.#descriptor(selector);
    const kind = D.ACCESSED | D.CODE | D.S | D.P | LIMIT_HIGH | D.G;
    const size = this.f.let(hi.and(D.L | D.DB));
    const right = wide.select(I32.of(D.L), I32.of(D.DB));
    this.#no(
      hi.and(KIND).ne(kind).or(hi.shr_u(13).and(3).ne(dpl))
        .or(size.ne(right).and(size.ne(D.DB).or(either.eqz()))),
    );
    return hi;
  }
  /** Requires a writable 32-bit stack segment with privilege `dpl`. */
  #stack(selector: I32, dpl: I32): I32 {
    const hi = this.#descriptor(selector);
    const kind = D.ACCESSED | D.READ_WRITE | D.S | D.P | LIMIT_HIGH | D.G | D.DB;
    this.#no(
      hi.and(KIND | D.READ_WRITE | D.DB).ne(kind).or(hi.shr_u(13).and(3).ne(dpl))
        .or(selector.and(3).ne(dpl)),
    );
    return hi;
  }

  /** Fills a segment cache with a flat segment. */
  #load(n: number, selector: I32, hi: I32, readable: I32, writable: I32): void {
    const at = S.SEGS + S.SEG_SIZE * n;
    this.#set64(at + S.SEG_BASE, I64.of(0));
    this.#set(at + S.SEG_LIMIT, I32.of(-1));
    this.#set(at + S.SEG_ATTR, hi.shr_u(8).and(0xf0ff));
    this.#set(at + S.SEG_SELECTOR, selector);
    const bounds = (low: number, high: number, may: I32) => {
      this.#set64(at + low, may.eqz().extend_u());
      this.#set64(at + high, may.select(I32.of(-1), I32.of(0)).extend_u());
    };
    bounds(S.SEG_RLO, S.SEG_RHI, readable);
    bounds(S.SEG_WLO, S.SEG_WHI, writable);
  }
  #loadCode(selector: I32, hi: I32): void {
    this.#load(Seg.CS, selector, hi, this.f.let(hi.and(D.READ_WRITE).ne(0)), I32.of(0));
  }
  #loadStack(selector: I32, hi: I32): void {
    this.#load(Seg.SS, selector, hi, I32.of(1), I32.of(1));
  }
  /** A null SS of privilege `cpl`. */
  #nullStack(selector: I32, cpl: I32): void {
    const at = S.SEGS + S.SEG_SIZE * Seg.SS;
    this.#set64(at + S.SEG_BASE, I64.of(0));
    this.#set(at + S.SEG_LIMIT, I32.of(0));
    this.#set(at + S.SEG_ATTR, cpl.shl(5).or(Attr.UNUSABLE));
    this.#set(at + S.SEG_SELECTOR, selector);
    for (const [low, high] of [[S.SEG_RLO, S.SEG_RHI], [S.SEG_WLO, S.SEG_WHI]]) {
      this.#set64(at + low, I64.of(1));
      this.#set64(at + high, I64.of(0));
    }
  }

  #setCpl(cpl: I32, mode: I32): void {
    const user = this.f.let(cpl.eq(3)), bank = this.#get(S.TLB_SYS_PTR);
    this.#set(S.CPL, cpl);
    this.#set(S.TLB_PTR, bank.add(user.mul(S.TLB_BYTES)));
    this.#set(S.JC_PTR, bank.add(S.Bank.JC).add(user.mul(S.JC_BYTES)));
    this.#set(S.MODE, mode.and(~Mode.CPL3).or(user.mul(Mode.CPL3)));
  }

  deliver(): void {
    const f = this.f;
    const vector = f.param(1, "i32"), error = f.param(2, "i32"), source = f.param(3, "i32");
    const { mode, wide: long, compat } = this.#mode(true);
    const cpl = this.#get(S.CPL), software = f.let(source.eq(EVENT.SOFTWARE));
    const fl = this.#get(S.FLAG_SYS);
    this.#no(vector.eq(Vec.DB).or(fl.and(Fl.TF | Fl.RF)));
    // An interrupt stack's table or a shadow ends here too.
    this.#no(cpl.ne(0).and(cpl.ne(3)));

    const at = f.let(vector.shl(long.add(3)));
    this.#no(
      at.add(long.shl(3)).add(7).gt_u(this.#get(S.IDTR_LIMIT).and(0xffff)),
    );
    const gate = this.#at(this.#table(S.IDTR_BASE).add(at.extend_u()), long.add(1).shl(3));
    const lo = f.let(load("i32.load", gate)), hi = f.let(load("i32.load", gate, 4));
    const type = f.let(hi.shr_u(8).and(0x1f));
    this.#no(type.and(~1).ne(INTERRUPT_GATE).or(hi.and(D.P).eqz()));
    this.#no(software.and(hi.shr_u(13).and(3).lt_u(cpl)));
    const target = f.local("i64");
    target.set(lo.and(0xffff).or(hi.and(0xffff0000)).extend_u());
    f.if(long, () => {
      target.set(target.get().or(load("i64.load32_u", gate, 8).shl(32)));
      this.#no(target.get().shl(16).shr_s(16).ne(target.get()));
    });
    const selector = f.let(lo.shr_u(16));
    const code = this.#code(selector, I32.of(0), long);

    // The stack: the current one, the privilege's, or one of the interrupt stack table.
    const inner = f.let(cpl.ne(0)), ist = f.let(long.mul(hi).and(7));
    const sp = f.local("i64"), ss = f.local("i32"), ssHi = f.local("i32");
    const old = this.#get64(S.GPR + 8 * Gpr.RSP);
    sp.set(old);
    f.if(inner.or(ist), () => {
      const tss = this.#get64(S.SEGS + S.SEG_SIZE * S.TR + S.SEG_BASE);
      const limit = this.#get(S.SEGS + S.SEG_SIZE * S.TR + S.SEG_LIMIT);
      const offset = f.let(
        ist.ne(0).select(ist.shl(3).add(TSS_IST1 - 8), I32.of(TSS_RSP0)),
      );
      this.#no(offset.add(7).gt_u(limit));
      this.#no(this.#get(S.SEGS + S.SEG_SIZE * S.TR + S.SEG_ATTR).and(8).eqz());
      const slot = this.#at(tss.add(offset.extend_u()), 8);
      sp.set(load("i64.load", slot));
      f.if(long.eqz(), () => {
        ss.set(sp.get().shr_u(32).wrap().and(0xffff));
        ssHi.set(this.#stack(ss.get(), I32.of(0)));
      });
    });
    f.if(
      long,
      () => sp.set(sp.get().and(-16)),
      () => sp.set(sp.get().and(0xffffffff)),
    );
    const newMode = this.#mode64(mode, compat);
    this.#jumps(I32.of(0), newMode);
    const withError = f.let(error.ne(-1));
    const count = f.let(I32.of(3).add(inner.or(long).shl(1)).add(withError));
    const bytes = f.let(count.shl(long.add(2)));
    const bottom = f.let(sp.get().sub(bytes.extend_u()));
    const frame = f.local(this.host);
    frame.set(this.#at(bottom, bytes, WANT.WRITE) as I32);

    const image = f.let(this.#flags().or(source.eq(EVENT.EXCEPTION).shl(16)));
    const ip = this.#get64(S.RIP), cs = this.#get(S.SEGS + S.SEG_SIZE * Seg.CS + S.SEG_SELECTOR);
    const oldSs = this.#get(S.SEGS + S.SEG_SIZE * Seg.SS + S.SEG_SELECTOR);
    const put = (wide: boolean, v: I64) => {
      f.store(wide ? "i64.store" : "i64.store32", frame.get(), v);
      frame.set(frame.get().add(wide ? 8 : 4));
    };
    const write = (wide: boolean) => {
      f.if(withError, () => put(wide, error.extend_u()));
      put(wide, ip);
      put(wide, cs.and(0xffff).extend_u());
      put(wide, image.extend_u());
      f.if(inner.or(long), () => {
        put(wide, old);
        put(wide, oldSs.and(0xffff).extend_u());
      });
    };
    f.if(long, () => write(true), () => write(false));

    this.#loadCode(selector.and(0xfffc), code);
    f.if(inner, () => {
      f.if(
        long,
        () => this.#nullStack(I32.of(0), I32.of(0)),
        () => this.#loadStack(ss.get(), ssHi.get()),
      );
    });
    this.#setCpl(I32.of(0), newMode);
    this.#set64(S.GPR + 8 * Gpr.RSP, long.select(bottom, f.let(bottom.and(0xffffffff))));
    this.#set64(S.RIP, target.get());
    const cleared = type.eq(INTERRUPT_GATE).select(
      I32.of(Fl.NT | Fl.IF),
      I32.of(Fl.NT),
    );
    this.#set(S.FLAG_SYS, fl.and(cleared.not()));
    this.#set(S.SHADOW, I32.of(0));
    f.return(I32.of(1));
  }

  iret(): void {
    const f = this.f, bytes = f.param(1, "i32");
    const { mode, long } = this.#mode();
    this.#no(this.#get(S.CPL).or(this.#get(S.IRET_SLOW)).or(this.#get(S.SMAP_PAGES)).ne(0));
    this.#no(this.#get(S.FLAG_SYS).and(Fl.NT).ne(0));
    this.#no(bytes.ne(long.add(1).shl(2)));
    const sp = this.#get64(S.GPR + 8 * Gpr.RSP);
    const size = f.let(bytes.mul(3));
    const top = long.select(sp, f.let(sp.and(0xffffffff)));
    const at = this.#at(f.let(top), size);
    const ip = f.local("i64"), cs = f.local("i32"), image = f.local("i32");
    f.if(long, () => {
      ip.set(load("i64.load", at));
      cs.set(load("i32.load16_u", at, 8));
      image.set(load("i32.load", at, 16));
      this.#no(ip.get().shl(16).shr_s(16).ne(ip.get()));
    }, () => {
      ip.set(load("i64.load32_u", at));
      cs.set(load("i32.load16_u", at, 4));
      image.set(load("i32.load", at, 8));
    });
    this.#no(image.get().and(Fl.TF | Fl.VM | Fl.NT).ne(0));
    const cpl = f.let(cs.get().and(3)), outer = f.let(cpl.ne(0));
    this.#no(outer.and(cpl.ne(3).or(image.get().and(Fl.AC).ne(0))));
    const code = this.#code(cs.get(), cpl, long, long.and(outer));
    /** From 64-bit code to a program's 32-bit code. */
    const to32 = f.let(long.and(code.and(D.L).eqz()));
    this.#no(to32.and(ip.get().shr_u(32).eqz().eqz()));

    const newSp: Local<"i64"> = f.local("i64"), ss = f.local("i32"), ssHi = f.local("i32");
    f.if(outer.or(long), () => {
      const more = this.#at(f.let(top.add(size.extend_u())), bytes.shl(1));
      f.if(long, () => {
        newSp.set(load("i64.load", more));
        ss.set(load("i32.load16_u", more, 8));
      }, () => {
        newSp.set(load("i64.load32_u", more));
        ss.set(load("i32.load16_u", more, 4));
      });
      // Only 64-bit code above CPL 3 has a null SS.
      const none = f.let(ss.get().and(0xfffc).eqz());
      f.if(
        none,
        () => this.#no(long.and(outer.eqz()).and(ss.get().eqz()).eqz()),
        () => ssHi.set(this.#stack(ss.get(), cpl)),
      );
    }, () => newSp.set(sp.add(size.extend_u()).and(0xffffffff)));
    f.if(outer, () => {
      // Segments that the program may not keep: rare, for they have been loaded for it.
      for (const n of [Seg.ES, Seg.DS, Seg.FS, Seg.GS]) {
        const attr = this.#get(S.SEGS + S.SEG_SIZE * n + S.SEG_ATTR);
        this.#no(attr.and(Attr.UNUSABLE).eqz().and(attr.shr_u(5).and(3).ne(3)));
      }
    });

    const newMode = f.local("i32");
    newMode.set(mode);
    f.if(to32, () => newMode.set(this.#mode32(mode)));
    this.#jumps(outer, newMode.get());
    this.#loadCode(cs.get(), code);
    f.if(outer.or(long), () => {
      f.if(
        ssHi.get().eqz(),
        () => this.#nullStack(ss.get(), cpl),
        () => this.#loadStack(ss.get(), ssHi.get()),
      );
    });
    this.#setCpl(cpl, newMode.get());
    f.if(to32, () => newSp.set(newSp.get().and(0xffffffff)));
    this.#set64(S.GPR + 8 * Gpr.RSP, newSp.get());
    this.#set64(S.RIP, ip.get());
    // RF would hold for one instruction that nobody watches.
    this.#setFlags(image.get());
    f.return(I32.of(1));
  }

  /** All flags but RF and VM from an image. */
  #setFlags(image: I32): void {
    const v = flagValues(
      { kind: "all", bits: 32 },
      [image],
      () => I64.of(0),
      () => I32.of(0),
      (x) => this.f.let(x),
    );
    this.#set64(S.FLAG_RES, v.res!);
    this.#set(S.FLAG_AUX, v.aux);
    this.#set(S.FLAG_SYS, image.and(SYSTEM_FLAGS));
  }
  #flags(): I32 {
    const res = () => load("i64.load", this.#cpu, S.FLAG_RES);
    const aux = () => load("i32.load", this.#cpu, S.FLAG_AUX);
    const bit = (name: string, n: number) => flagExpr(name, res, aux).shl(n);
    return this.f.let(
      bit("cf", 0).or(bit("pf", 2)).or(bit("af", 4)).or(bit("zf", 6)).or(bit("sf", 7))
        .or(bit("of", 11)).or(this.#get(S.FLAG_SYS)).or(2),
    );
  }

  /** What SYSCALL and SYSRET ask for: EFER.SCE, no user page open for the supervisor. */
  #fastCalls(): void {
    this.#no(this.#get(S.EFER).and(1).eqz().or(this.#get(S.SMAP_PAGES).ne(0)));
  }
  /** The flat segments that fast system calls imply. */
  #flatSegments(cs: I32, ss: I32, dpl: number, size: I32): void {
    const common = D.G | D.P | D.S | D.READ_WRITE | D.ACCESSED | (dpl << 13);
    this.#loadCode(cs, this.f.let(size.or(common | D.CODE)));
    this.#loadStack(ss, I32.of(common | D.DB));
  }

  /** What SYSENTER and SYSEXIT ask for; gives IA32_SYSENTER_CS. */
  #sysenterCs(): I32 {
    const cs = this.f.let(this.#get(S.IA32_SYSENTER_CS).and(0xfffc));
    this.#no(cs.eqz().or(this.#get(S.SMAP_PAGES).ne(0)));
    return cs;
  }

  sysenter(): void {
    const f = this.f, { mode, wide, compat } = this.#mode(true), cs = this.#sysenterCs();
    this.#no(wide.and(this.#get(S.AMD_CALLS)));
    const newMode = this.#mode64(mode, compat);
    this.#jumps(I32.of(0), newMode);
    this.#set(S.FLAG_SYS, this.#get(S.FLAG_SYS).and(~(Fl.IF | Fl.RF)));
    const size = f.let(wide.select(I32.of(D.L), I32.of(D.DB)));
    this.#flatSegments(cs, f.let(cs.add(8).and(0xffff)), 0, size);
    this.#setCpl(I32.of(0), newMode);
    const cut = f.let(wide.select(I64.of(-1), I64.of(0xffffffff)));
    this.#set64(S.GPR + 8 * Gpr.RSP, this.#get64(S.IA32_SYSENTER_ESP).and(cut));
    this.#set64(S.RIP, this.#get64(S.IA32_SYSENTER_EIP).and(cut));
    f.return(I32.of(1));
  }

  sysexit(): void {
    const f = this.f, { mode, long } = this.#mode(), cs = this.#sysenterCs();
    this.#no(long.or(this.#get(S.FLAG_SYS).and(Fl.AC)));
    this.#jumps(I32.of(1), mode);
    const selector = f.let(cs.add(16).and(0xfffc).or(3));
    const ip = this.#get(S.GPR + 8 * Gpr.RDX), sp = this.#get(S.GPR + 8 * Gpr.RCX);
    this.#flatSegments(selector, f.let(selector.add(8).and(0xffff)), 3, I32.of(D.DB));
    this.#setCpl(I32.of(3), mode);
    this.#set64(S.GPR + 8 * Gpr.RSP, sp.extend_u());
    this.#set64(S.RIP, ip.extend_u());
    f.return(I32.of(1));
  }

  syscall(): void {
    const f = this.f, { mode, long, compat } = this.#mode(true);
    this.#fastCalls();
    // Of 32-bit code only with AMD's rules.
    this.#no(long.or(compat.and(this.#get(S.AMD_CALLS))).eqz());
    const flags = this.#flags();
    this.#no(flags.and(Fl.TF | Fl.RF).ne(0));
    const newMode = this.#mode64(mode, compat);
    this.#jumps(I32.of(0), newMode);
    const cs = f.let(this.#get64(S.IA32_STAR).shr_u(32).wrap().and(0xfffc));
    this.#set64(S.GPR + 8 * Gpr.RCX, this.#get64(S.RIP));
    this.#set64(S.GPR + 8 * 11, flags.extend_u());
    this.#setFlags(f.let(flags.and(this.#get(S.IA32_FMASK).not())));
    this.#flatSegments(cs, f.let(cs.add(8).and(0xffff)), 0, I32.of(D.L));
    this.#setCpl(I32.of(0), newMode);
    this.#set64(S.RIP, long.select(this.#get64(S.IA32_LSTAR), this.#get64(S.IA32_CSTAR)));
    f.return(I32.of(1));
  }

  /** @param to64 to 64-bit code, else to compatibility mode */
  sysret(to64: boolean): void {
    const f = this.f, { mode, long } = this.#mode();
    this.#fastCalls();
    this.#no(long.eqz());
    const target = f.local("i64"), flags = this.#get(S.GPR + 8 * 11);
    target.set(this.#get64(S.GPR + 8 * Gpr.RCX));
    this.#no(flags.and(Fl.TF | Fl.AC));
    if (to64) this.#no(target.get().shl(16).shr_s(16).ne(target.get()));
    else target.set(target.get().and(0xffffffff));
    const newMode = to64 ? mode : f.let(this.#mode32(mode));
    this.#jumps(I32.of(1), newMode);
    const base = f.let(this.#get64(S.IA32_STAR).shr_u(48).wrap().and(0xfffc));
    this.#setFlags(flags);
    const ss = f.let(base.add(8).and(0xfffc).or(3));
    const cs = f.let(base.add(to64 ? 16 : 0).and(0xfffc).or(3));
    this.#flatSegments(cs, ss, 3, I32.of(to64 ? D.L : D.DB));
    this.#setCpl(I32.of(3), newMode);
    this.#set64(S.RIP, target.get());
    f.return(I32.of(1));
  }
}
