/**
 * Tier 0's meaning of the guest-level nodes: operands come from the record, registers and flags live in
 * the vCPU state, a jump goes on with the target record's handler by a tail call.
 */
import {
  type AddressType,
  type AnyInt,
  asAddress,
  Expr,
  I32,
  I64,
  load,
  wrap,
} from "../wasm/expr.ts";
import {
  call,
  type Callee,
  FunctionBuilder,
  type FuncType,
  type Local,
  type Stmt,
} from "../wasm/func.ts";
import type { Lowering } from "../wasm/module.ts";
import type { ValType } from "../wasm/opcodes.ts";
import {
  type FlagUpdate,
  G,
  type HelperCall,
  type MemAccess,
  type StateRef,
  type StateStore,
} from "../x86/ir.ts";
import * as S from "../x86/state.ts";
import { Rec } from "../x86/state.ts";
import { slotsUsed } from "./restart.ts";
import type { RuntimeImports } from "./runtime.ts";

/** Every handler: (cpu, record) → nothing; why it returned stands in the vCPU state. */
export const HANDLER: FuncType = { params: ["i32", "i32"], results: [] };

const OF_SHIFT = 31;

/** What causes an event, as the emitted delivery takes it. */
export const EVENT = { SOFTWARE: 0, EXTERNAL: 1, EXCEPTION: 2 } as const;

/** In a helper's number: it is all of its instruction, see {@link HelperCall.soft}. */
export const SOFT_HELPER = 1 << 16;

/** Access kinds of the slow path, above the byte count. */
export const ACCESS = { READ: 1 << 8, WRITE: 1 << 9, SYSTEM: 1 << 10, RUN: 1 << 11 } as const;

/** What an access tells the slow path besides its kind. */
export function accessBits(d: MemAccess): number {
  return d.bytes | (d.system ? ACCESS.SYSTEM : 0) | (d.run ? ACCESS.RUN : 0);
}

/** Flag expressions over FLAG_RES and FLAG_AUX, given how to read the two. */
export function flagExpr(name: string, res: () => I64, aux: () => I32): I32 {
  switch (name) {
    case "cf":
      return aux().shr_u(OF_SHIFT);
    case "of":
      return aux().xor(aux().shl(1)).shr_u(OF_SHIFT);
    case "zf":
      return res().eqz();
    case "sf":
      return res().shr_u(63).wrap().xor(aux()).and(1);
    case "af":
      return aux().shr_u(3).and(1);
    default:
      return res().wrap().xor(aux().shr_u(8)).and(0xff).popcnt().and(1).xor(1);
  }
}

/** Condition `cc` (Jcc encoding) from flags; the result is 0 or 1. */
export function condExpr(cc: number, res: () => I64, aux: () => I32): I32 {
  const fl = (n: string) => flagExpr(n, res, aux);
  let e: I32;
  switch (cc >> 1) {
    case 0:
      e = fl("of");
      break;
    case 1:
      e = fl("cf");
      break;
    case 2:
      e = fl("zf");
      break;
    case 3:
      e = fl("cf").or(fl("zf"));
      break;
    case 4:
      e = fl("sf");
      break;
    case 5:
      e = fl("pf");
      break;
    case 6:
      e = fl("sf").xor(fl("of"));
      break;
    default:
      e = fl("zf").or(fl("sf").xor(fl("of")));
  }
  return cc & 1 ? e.eqz() : e;
}

/** FLAG_RES and FLAG_AUX after an operation, as expressions; `res` undefined: unchanged. */
export function flagValues(
  u: FlagUpdate,
  args: readonly Expr[],
  oldRes: () => I64,
  oldAux: () => I32,
  bind: (v: I32) => I32,
): { res: I64 | undefined; aux: I32 } {
  const a = args as readonly I32[], w = args as readonly I64[];
  const wide = u.bits === 64;
  const result = (n: number): I64 =>
    wide
      ? w[n]
      : u.bits === 32
      ? a[n].extend_s()
      : u.bits === 16
      ? a[n].extend16_s().extend_s()
      : a[n].extend8_s().extend_s();
  /** Carry vector brought to bits 31:30 and 3. */
  const pack = (cout: Expr): I32 => {
    if (wide) {
      const c = cout as I64;
      return c.shr_u(32).wrap().and(0xc0000000).or(c.wrap().and(8));
    }
    const c = cout as I32;
    if (u.bits === 32) return c.and(0xc0000008);
    return c.shl(32 - u.bits).and(0xc0000000).or(c.and(8));
  };
  // Add: a carry leaves a bit where two of a, b and not r are set. Sub: a borrow likewise.
  const addCarry = (): Expr =>
    wide
      ? w[0].and(w[1]).or(w[0].or(w[1]).and(w[2].not()))
      : a[0].and(a[1]).or(a[0].or(a[1]).and(a[2].not()));
  const subBorrow = (): Expr =>
    wide
      ? w[0].not().and(w[1]).or(w[0].xor(w[1]).not().and(w[2]))
      : a[0].not().and(a[1]).or(a[0].xor(a[1]).not().and(a[2]));
  switch (u.kind) {
    case "add":
    case "adc":
      return { res: result(2), aux: pack(addCarry()) };
    case "sub":
    case "sbb":
      return { res: result(2), aux: pack(subBorrow()) };
    case "inc":
    case "dec": {
      // CF stays: bit 30 is CF xor the new OF.
      const inc = u.kind === "inc";
      const c: Expr = wide
        ? (inc ? w[0].and(w[1].not()) : w[0].not().and(w[1]))
        : (inc ? a[0].and(a[1].not()) : a[0].not().and(a[1]));
      // With b = 1 a carry into bit k > 0 needs a's bits below all set: it shows as a & ~r.
      const packed = bind(pack(c));
      const of = packed.xor(packed.shl(1)).and(0x80000000).shr_u(1);
      const cf = bind(oldAux().and(0x80000000));
      return { res: result(1), aux: cf.or(cf.shr_u(1).xor(of)).or(packed.and(8)) };
    }
    case "logic":
      return { res: result(0), aux: I32.of(0) };
    case "explicit": {
      const [cf, of, af] = [args[1], args[2], args[3]] as I32[];
      return {
        res: result(0),
        aux: cf.shl(31).or(cf.xor(of).shl(30)).or(af.shl(3)),
      };
    }
    case "cf": {
      const cf = a[0];
      const of = flagExpr("of", oldRes, oldAux);
      return {
        res: undefined,
        aux: oldAux().and(0x3fffffff).or(cf.shl(31)).or(cf.xor(of).shl(30)),
      };
    }
    case "cfof":
      return {
        res: undefined,
        aux: oldAux().and(0x3fffffff).or(a[0].shl(31)).or(a[0].xor(a[1]).shl(30)),
      };
    case "zf": {
      // SF and PF must stay: they move into the correction bits.
      const zf = a[0];
      const sf = bind(flagExpr("sf", oldRes, oldAux)), pf = bind(flagExpr("pf", oldRes, oldAux));
      return {
        res: zf.eqz().extend_u(),
        aux: oldAux().and(0xc0000008).or(sf).or(pf.xor(zf).shl(8)),
      };
    }
    case "all": {
      const v = a[0];
      const cf = v.and(1), of = v.shr_u(11).and(1);
      const zf = bind(v.shr_u(6).and(1)), pf = v.shr_u(2).and(1);
      return {
        res: zf.eqz().extend_u(),
        aux: cf.shl(31).or(cf.xor(of).shl(30)).or(v.and(0x10).shr_u(1)).or(v.shr_u(7).and(1))
          .or(pf.xor(zf).shl(8)),
      };
    }
  }
}

/** Address of the TLB entry of a linear address's low half, in the bank of the CPL. */
export function tlbEntry(cpu: I32, low: I32): I32 {
  return load("i32.load", cpu, S.TLB_PTR)
    .add(low.shr_u(12 - 5).and((S.TLB_ENTRIES - 1) << 5));
}

/** The page-crossing-safe TLB look-up: gives the entry's address and whether the tag matches. */
export function tlbHit(
  lin: Expr,
  bytes: number,
  tag: number,
  tlb: I32,
  bind: (v: I32) => I32,
): { entry: I32; hit: I32 } {
  const entry = bind(tlb.add(low32(lin).shr_u(12 - 5).and((S.TLB_ENTRIES - 1) << 5)));
  const hit = lin.type === "i64"
    ? load("i64.load", entry, tag).eq((lin as I64).add(bytes - 1).and(-4096))
    : load("i32.load", entry, tag).eq((lin as I32).add(bytes - 1).and(-4096));
  return { entry, hit };
}

/** What a TLB entry says to add to the low half of a linear address: see {@link S.TLB_ADDEND}. */
export function loadAddend(host: AddressType, entry: I32): AnyInt {
  return host === "i64"
    ? load("i64.load32_s", entry, S.TLB_ADDEND).shl(12)
    : load("i32.load", entry, S.TLB_ADDEND);
}

/** The storage address of a linear address's low half. */
export function hostAt(host: AddressType, low: I32, addend: AnyInt): AnyInt {
  return asAddress(host, low).add(addend);
}

/** Whether the slow path gave the bounce buffer. */
export function isBounce(host: AnyInt, cpu: I32): I32 {
  return host.eq(asAddress(host.type as AddressType, cpu.add(S.BOUNCE)));
}

export class Tier0Lowering implements Lowering {
  readonly #cpu: I32;
  readonly #rec: I32;
  /** The record's operand slots, read at once. */
  readonly #slots: Local<"i64"> | undefined;

  /**
   * @param samePage the jump of this instruction stays in its page and may be linked
   * @param special registers are those of the instruction itself: their offsets are constants
   * @param single one-instruction blocks: jumps return to the run loop
   * @param wideTags compatibility mode: TLB entries may belong to addresses above 4 GiB
   * @param slow handler that is gone on with where an access cannot be made in place: this one then
   *   calls nothing, so that it needs no stack frame
   */
  constructor(
    readonly f: FunctionBuilder,
    readonly rt: RuntimeImports,
    readonly samePage: boolean,
    readonly single: boolean,
    readonly helperId: (name: string) => number,
    readonly special = false,
    readonly wideTags = false,
    readonly slow: number | undefined = undefined,
  ) {
    this.#cpu = f.param(0, "i32");
    this.#rec = f.param(1, "i32");
    if (special || slotsUsed(f.body) < 2) return;
    this.#slots = f.local("i64");
    f.body.unshift({
      k: "set",
      local: this.#slots.index,
      value: load("i64.load", this.#rec, Rec.SLOTS),
    });
  }

  #slot(n: number): I32 {
    if (this.#slots === undefined) return load("i32.load16_u", this.#rec, Rec.SLOTS + 2 * n);
    const v = this.#slots.get().shr_u(16 * n).wrap();
    return n === 3 ? v : v.and(0xffff);
  }

  #state(offset: number): I32 {
    return load("i32.load", this.#cpu, offset);
  }

  #address(ref: StateRef): { base: I32; offset: number } {
    if (ref.slot < 0 || this.special) return { base: this.#cpu, offset: ref.offset };
    return {
      base: this.#cpu.add(this.#slot(ref.slot)),
      offset: ref.plus ?? 0,
    };
  }

  expr(n: Expr): Expr {
    switch (n.op) {
      case G.STATE: {
        const { base, offset } = this.#address(n.data as StateRef);
        return wrap(n.type, n.imm as number, [base], offset);
      }
      case G.IMM: {
        const at = n.imm === 0 ? Rec.IMM : Rec.DISP;
        if (n.type === "i32") return load("i32.load", this.#rec, at);
        // Displacements are sign-extended in the record.
        return load("i64.load", this.#rec, at);
      }
      case G.CPU:
        return this.#cpu;
      case G.REC:
        return this.#rec;
      case G.IP:
        return load("i64.load", this.#rec, Rec.IP);
      case G.NEXT_IP:
        return this.#nextIp();
      case G.FLAG:
        return flagExpr(n.data as string, this.#res, this.#aux);
      case G.COND:
        return condExpr(n.imm as number, this.#res, this.#aux);
    }
    throw new Error("unknown guest expression");
  }

  #nextIp(): I64 {
    return load("i64.load", this.#rec, Rec.IP)
      .add(load("i64.load8_u", this.#rec, Rec.LENGTH));
  }

  readonly #res = (): I64 => load("i64.load", this.#cpu, S.FLAG_RES);
  readonly #aux = (): I32 => load("i32.load", this.#cpu, S.FLAG_AUX);

  stmt(s: Stmt & { k: "guest" }): readonly Stmt[] {
    const out: Stmt[] = [];
    this.f.collect(out, () => this.#stmt(s));
    return out;
  }

  #stmt(s: Stmt & { k: "guest" }): void {
    const f = this.f, cpu = this.#cpu, rec = this.#rec;
    switch (s.op) {
      case G.SET_STATE: {
        const d = s.data as StateStore;
        const { base, offset } = this.#address(d);
        f.emit({ k: "store", op: d.op, addr: base, value: s.args[0], offset });
        return;
      }
      case G.SET_FLAGS: {
        const v = flagValues(s.data as FlagUpdate, s.args, this.#res, this.#aux, (x) => f.let(x));
        const aux = f.let(v.aux);
        if (v.res) f.store("i64.store", cpu, v.res, S.FLAG_RES);
        f.store("i32.store", cpu, aux, S.FLAG_AUX);
        return;
      }
      case G.LOAD: {
        const d = s.data as MemAccess;
        const host = f.local(this.rt.host);
        this.#translate(this.#tagged(s.args[0]), d, S.TLB_READ, ACCESS.READ, (h) => {
          host.set(h as I32);
        });
        const l = d.target!;
        f.emit({
          k: "set",
          local: l.index,
          value: wrap(l.type as ValType, d.op, [host.get()], 0),
        });
        return;
      }
      case G.STORE: {
        const d = s.data as MemAccess;
        const put = (addr: AnyInt) =>
          f.emit({ k: "store", op: d.op, addr, value: s.args[1], offset: 0 });
        const lin = this.#tagged(s.args[0]);
        this.#translate(lin, d, S.TLB_WRITE, ACCESS.WRITE, put, (host) => {
          put(host);
          this.#commit(host);
        });
        return;
      }
      case G.PROBE: {
        const d = s.data as MemAccess;
        const access = d.access === "r"
          ? ACCESS.READ
          : d.access === "w"
          ? ACCESS.WRITE
          : ACCESS.READ | ACCESS.WRITE;
        const tag = d.access === "r" ? S.TLB_READ : S.TLB_WRITE;
        this.#translate(this.#tagged(s.args[0]), d, tag, access, (h) => {
          f.emit({ k: "set", local: d.target!.index, value: h });
        });
        return;
      }
      case G.COMMIT:
        if (this.slow === undefined) this.#commit(s.args[0] as AnyInt);
        return;
      case G.RAISE:
        f.tail(this.rt.raise, cpu, rec, I32.of(s.data as number), s.args[0] ?? I32.of(-1));
        return;
      case G.SEG_FAULT:
        f.tail(this.rt.raise, cpu, rec, I32.of(s.data === 2 ? S.Vec.SS : S.Vec.GP), I32.of(0));
        return;
      case G.JUMP:
        this.#jump(s.args[0] as I64);
        return;
      case G.JUMP_DYN:
        if (this.single) this.#leave(s.args[0] as I64, S.Exit.LOOKUP);
        else f.tail(this.rt.jump, cpu, rec, s.args[0]);
        return;
      case G.HELPER: {
        const d = s.data as HelperCall;
        const id = I32.of(this.helperId(d.name) | (d.soft ? SOFT_HELPER : 0));
        if (d.ends) {
          this.#emitted(d);
          f.call(this.rt.helperEnd, cpu, rec, id);
          f.return();
        } else {
          f.ifRare(call(this.rt.helper, "i32", cpu, rec, id), () => f.return());
        }
        return;
      }
      case G.CHECKPOINT: {
        const left = f.let(this.#state(S.BUDGET).sub(s.args[0] as I32));
        f.store("i32.store", cpu, left, S.BUDGET);
        f.ifRare(left.or(this.#state(S.KICK)).lt_s(0), () => {
          // Resume at this instruction: what it has done so far stands in the registers.
          f.store("i64.store", cpu, load("i64.load", rec, Rec.IP), S.RIP);
          f.store("i32.store", cpu, rec, S.EXIT_REC);
          f.store("i32.store", cpu, I32.of(S.Exit.BUDGET), S.EXIT);
          f.return();
        });
        return;
      }
      case G.EXIT:
        this.#leave(this.#nextIp(), S.Exit.LOOKUP);
        return;
    }
    throw new Error("unknown guest statement");
  }

  /** A linear address as wide as the TLB tags it is compared with. */
  #tagged(lin: Expr): Expr {
    return this.wideTags && lin.type === "i32" ? this.f.let((lin as I32).extend_u()) : lin;
  }

  /** Helpers that have an emitted version for common cases: leaves when that did it. */
  #emitted(d: HelperCall): void {
    const f = this.f, cpu = this.#cpu, rec = this.#rec;
    const go = () => f.tail(this.rt.jump, cpu, rec, load("i64.load", cpu, S.RIP));
    if (d.name === "SYSCALL") {
      f.store("i64.store", cpu, this.#nextIp(), S.RIP);
      f.if(call(this.rt.syscall, "i32", cpu), go);
    } else if (d.name === "SYSENTER" || d.name === "SYSEXIT") {
      const way = d.name === "SYSENTER" ? this.rt.sysenter : this.rt.sysexit;
      f.if(call(way, "i32", cpu), go);
    } else if (d.name === "IRET" || d.name === "SYSRET") {
      const done = d.name === "IRET"
        ? call(this.rt.iret, "i32", cpu, I32.of(d.bytes!))
        : call(d.bytes === 8 ? this.rt.sysret : this.rt.sysret32, "i32", cpu);
      f.if(done, () => {
        // What was waiting for IF may be taken now.
        f.if(this.#state(S.PENDING).ne(0), () => {
          f.store("i32.store", cpu, rec, S.EXIT_REC);
          f.store("i32.store", cpu, I32.of(S.Exit.LOOKUP), S.EXIT);
          f.return();
        });
        go();
      });
    } else if (d.name === "INT") {
      const vector = load("i32.load8_u", rec, Rec.IMM);
      f.store("i64.store", cpu, this.#nextIp(), S.RIP);
      f.if(
        call(this.rt.deliver, "i32", cpu, vector, I32.of(-1), I32.of(EVENT.SOFTWARE)),
        go,
      );
    }
  }

  /**
   * Gives the host address of an access to `fast`, or to `probed` when the slow path has found it; leaves
   * the handler on a fault.
   */
  #translate(
    lin: Expr,
    d: MemAccess,
    tag: number,
    access: number,
    fast: (host: AnyInt) => void,
    probed: (host: AnyInt) => void = fast,
  ): void {
    const f = this.f;
    const { entry, hit } = tlbHit(
      lin,
      d.bytes,
      tag,
      this.#state(d.system ? S.TLB_SYS_PTR : S.TLB_PTR),
      (x) => f.let(x),
    );
    const host = () => hostAt(this.rt.host, low32(lin), loadAddend(this.rt.host, entry));
    if (this.slow !== undefined) {
      const bits = I32.of(accessBits(d) | access), slow = I32.of(this.slow);
      f.ifRare(hit.eqz(), () => {
        f.tail(this.rt.again, this.#cpu, this.#rec, wide(lin), bits, slow);
      });
      return fast(host());
    }
    f.if(hit, () => fast(host()), () => {
      const h = f.let(this.#probe(lin, d, access));
      f.ifRare(h.eqz(), () => f.return());
      probed(h);
    }, true);
  }

  #probe(lin: Expr, d: MemAccess, access: number): AnyInt {
    return call(
      this.rt.probe,
      this.rt.host,
      this.#cpu,
      this.#rec,
      wide(lin),
      I32.of(accessBits(d) | access),
    );
  }

  #commit(host: AnyInt): void {
    this.f.ifRare(
      isBounce(host, this.#cpu),
      () => this.f.call(this.rt.commit, this.#cpu, this.#rec),
    );
  }

  #leave(rip: I64, exit: number): void {
    const f = this.f;
    f.store("i64.store", this.#cpu, rip, S.RIP);
    f.store("i32.store", this.#cpu, this.#rec, S.EXIT_REC);
    f.store("i32.store", this.#cpu, I32.of(exit), S.EXIT);
    f.return();
  }

  #jump(target: I64): void {
    const f = this.f, cpu = this.#cpu, rec = this.#rec;
    if (this.single) return this.#leave(target, S.Exit.LOOKUP);
    if (!this.samePage) return f.tail(this.rt.jump, cpu, rec, target);
    followLink(f, this.rt.jumpSlow, cpu, rec, target);
  }
}

/** Budget after the instructions of a block up to and including that of record `rec`. */
export function budgetAfter(cpu: I32, rec: I32): I32 {
  return load("i32.load", cpu, S.BUDGET).sub(load("i32.load16_u", rec, Rec.INDEX)).sub(1);
}

/** Goes to the block that record `rec` is linked to, or by `slow` to `target`, where that block begins. */
export function followLink(
  f: FunctionBuilder,
  slow: Callee,
  cpu: I32,
  rec: I32,
  target: I64 = load("i64.load", rec, Rec.IP),
): void {
  const left = f.let(budgetAfter(cpu, rec));
  const link = f.let(load("i32.load", rec, Rec.LINK));
  f.ifRare(left.or(load("i32.load", cpu, S.KICK)).lt_s(0).or(link.eqz()), () => {
    f.tail(slow, cpu, rec, target);
  });
  f.store("i32.store", cpu, left, S.BUDGET);
  f.tailIndirect(HANDLER, load("i32.load", link, Rec.HANDLER), cpu, link);
}

function wide(lin: Expr): I64 {
  return lin.type === "i64" ? lin as I64 : (lin as I32).extend_u();
}

/** The low half of an address. */
export function low32(lin: Expr): I32 {
  return lin.type === "i64" ? (lin as I64).wrap() : lin as I32;
}

/** Appends the step to the next record's handler. */
export function dispatchNext(f: FunctionBuilder): void {
  const cpu = f.param(0, "i32"), rec = f.param(1, "i32");
  f.tailIndirect(
    HANDLER,
    load("i32.load", rec, Rec.SIZE + Rec.HANDLER),
    cpu,
    rec.add(Rec.SIZE),
  );
}
