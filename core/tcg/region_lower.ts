/**
 * Tier 1's meaning of the guest-level nodes: one function covers several basic blocks, general registers
 * are WebAssembly locals, operands are constants and flags wait in {@link FlagState}. Nothing in a region
 * calls TypeScript or raises an exception: an instruction that has to is left to tier 0, with the vCPU
 * state as it was before.
 */
import {
  type AddressType,
  type AnyInt,
  CONST,
  Expr,
  GUEST,
  I32,
  I64,
  load,
  LOCAL_GET,
  wrap,
} from "../wasm/expr.ts";
import { call, type FunctionBuilder, type Local, type Stmt } from "../wasm/func.ts";
import type { Lowering } from "../wasm/module.ts";
import { opcode, type ValType } from "../wasm/opcodes.ts";
import { type FlagUpdate, G, type MemAccess, type StateRef, type StateStore } from "../x86/ir.ts";
import * as S from "../x86/state.ts";
import { Gpr } from "../x86/insn.ts";
import { ACCESS, accessBits, hostAt, loadAddend, low32, tlbHit } from "./lower.ts";
import {
  ANY,
  canWait,
  carried,
  carry,
  carryOf,
  condOf,
  flagOf,
  type FlagState,
  PACKED,
  type Packed,
  packFlags,
} from "./region_flags.ts";
import { type FlagLocals, RegionExits } from "./region_exits.ts";
import { RegionRegs } from "./region_regs.ts";
import { hasFlagUpdate, type RegionInsn } from "./region_scan.ts";
import type { RuntimeImports } from "./runtime.ts";

const op = {
  store64: opcode("i64.store"),
  extend: opcode("i64.extend_i32_u"),
  wrap: opcode("i32.wrap_i64"),
  eqz: opcode("i32.eqz"),
};

function zero(type: ValType): Expr {
  if (type === "v128") return wrap(type, CONST, [], 0n);
  return wrap(type, CONST, [], type === "i64" ? 0n : 0);
}

const folds = new Map<number, (a: number, b: number) => number>([
  [opcode("i32.add"), (a, b) => a + b],
  [opcode("i32.sub"), (a, b) => a - b],
  [opcode("i32.and"), (a, b) => a & b],
  [opcode("i32.or"), (a, b) => a | b],
  [opcode("i32.xor"), (a, b) => a ^ b],
  [opcode("i32.shl"), (a, b) => a << b],
  [opcode("i32.shr_u"), (a, b) => a >>> b],
  [opcode("i32.shr_s"), (a, b) => a >> b],
  [opcode("i32.eq"), (a, b) => a === b ? 1 : 0],
  [opcode("i32.ne"), (a, b) => a !== b ? 1 : 0],
]);

/** Equal to no page address. */
const NO_PAGE = 0x800;

/** What the whole region has in common. */
export interface RegionPlan {
  /** Bit n: general register n is read or written; is written; is written in full (bits 63:32 too). */
  readonly used: number;
  readonly written: number;
  readonly wide: number;
  /** 64-bit code. */
  readonly long: boolean;
  /** TLB entries may belong to addresses above 4 GiB: in compatibility mode too. */
  readonly wideTags: boolean;
  /** Pages that the region remembers in locals. */
  readonly pages: number;
  /** Record by which the instruction is left to tier 0. */
  record(i: RegionInsn): number;
}

/** A linear address: 64 bits wide in 64-bit code. */
type Lin = I32 | I64;

/** The address of a page that can be accessed in place, and what makes it the page's place. */
interface PageMemory {
  readonly tag: Local<"i32"> | Local<"i64">;
  readonly addend: Local<AddressType>;
}

export class RegionLowering implements Lowering {
  /** Flags at this point. */
  flags: FlagState = PACKED;
  /** Instructions of the basic block that are behind us and not yet taken off the budget. */
  done = 0;
  readonly #cpu: I32;
  readonly #regs: RegionRegs;
  readonly #locals: FlagLocals;
  readonly #tlb: Local<"i32">;
  /** Pages that accesses were last made to, by kind of access and address registers. */
  readonly #pages: readonly PageMemory[];
  /** The page that the stack was last accessed in, which may be written. */
  readonly #stack: PageMemory;
  readonly #pageOf = new Map<string, number>();
  #insn!: RegionInsn;
  /** Nesting of conditional statements in the instruction. */
  #depth = 0;
  /** Temporaries of this instruction known to be constants. */
  readonly #consts = new Map<number, Expr>();
  readonly #exits: RegionExits;

  constructor(readonly f: FunctionBuilder, readonly rt: RuntimeImports, readonly plan: RegionPlan) {
    this.#exits = new RegionExits(f, rt);
    this.#cpu = f.param(0, "i32");
    this.#regs = new RegionRegs(f, plan.used, plan.long);
    this.#tlb = f.local("i32");
    const word = () => f.local(plan.long ? "i64" : "i32") as Local<"i32"> | Local<"i64">;
    this.#locals = {
      res: f.local("i64"),
      aux: f.local("i32"),
      form: f.local("i32"),
      values: [word(), word()],
    };
    const page = (): PageMemory => ({
      tag: f.local(plan.wideTags ? "i64" : "i32") as PageMemory["tag"],
      addend: f.local(rt.host),
    });
    this.#pages = Array.from({ length: plan.pages }, page);
    this.#stack = page();
  }

  readonly #bind = (v: I32): I32 => this.f.let(v);

  get #packed(): Packed {
    return { res: this.#locals.res.get(), aux: this.#locals.aux.get() };
  }

  /** Emits the region, whose code is `body`. */
  region(body: () => void): void {
    const { plan } = this;
    const written = [];
    for (let n = 0; n < 16; n++) {
      if (plan.written & (1 << n)) written.push({ n, wide: (plan.wide & (1 << n)) !== 0 });
    }
    this.#exits.around(
      () => {
        this.#regs.prologue(this.#cpu);
        this.#locals.res.set(load("i64.load", this.#cpu, S.FLAG_RES));
        this.#locals.aux.set(load("i32.load", this.#cpu, S.FLAG_AUX));
        this.#tlb.set(load("i32.load", this.#cpu, S.TLB_PTR));
        for (const { tag } of [this.#stack, ...this.#pages]) {
          if (tag.type === "i32") tag.set(I32.of(NO_PAGE));
          else (tag as Local<"i64">).set(I64.of(NO_PAGE));
        }
        body();
      },
      this.#regs,
      written,
      this.#locals,
    );
  }

  /** Starts a basic block that flags reach as {@link flagsForm} says; -1: in any form. */
  begin(form: number): void {
    this.done = 0;
    this.flags = form < 0 ? ANY : carried(form, (n) => this.#locals.values[n].get() as I32 | I64);
  }

  /** The form that the flags are in at the end of an instruction; -1: it is not known. */
  flagsForm(): number {
    if (this.flags === ANY) return -1;
    return carry(this.flags)?.form ?? 0;
  }

  /** Computes pending flags into the flag locals. */
  pack(): void {
    const { form, res, aux } = this.#locals;
    if (this.flags === PACKED) return;
    if (this.flags === ANY) {
      this.#exits.storeFlags(this.#locals);
      res.set(load("i64.load", this.#cpu, S.FLAG_RES));
      aux.set(load("i32.load", this.#cpu, S.FLAG_AUX));
    } else {
      const p = packFlags(this.flags, this.#packed, this.#bind);
      const a = this.f.let(p.aux);
      res.set(p.res);
      aux.set(a);
    }
    form.set(I32.of(0));
    this.flags = PACKED;
  }

  /** Puts what the last instruction left pending where other basic blocks and exits find it. */
  #settle(): void {
    if (this.flags.kind !== "pending") return;
    const c = carry(this.flags);
    if (c === undefined) return this.pack();
    const { form, values } = this.#locals;
    const words = c.values.map((v) =>
      this.plan.long && v.type === "i32" ? (v as I32).extend_u() : v
    );
    // The second value may be made from what the first local holds.
    if (words.length > 1) words[1] = this.f.let(words[1]);
    words.forEach((v, n) => (values[n] as Local<"i32">).set(v as I32));
    form.set(I32.of(c.form));
    this.flags = carried(c.form, (n) => values[n].get() as I32 | I64);
  }

  /** Takes the basic block's instructions off the budget. */
  charge(): void {
    const { budget } = this.#exits;
    if (this.done !== 0) budget.set(budget.get().sub(this.done));
    this.done = 0;
  }

  /** Leaves the region for `rip`. */
  leave(rip: I64): void {
    this.#exits.leave(rip, this.done);
  }

  /** Leaves for the RIP of record `rec`, in the region's page, by the record's link. */
  jump(rec: number): void {
    this.#exits.link(rec, this.done);
  }

  /** Leaves for `rip` when the slice is over. Nothing in a region asks for the run loop. */
  leaveIfDue(rip: I64): void {
    this.f.ifRare(this.#exits.budget.get().lt_s(0), () => this.leave(rip));
  }

  /**
   * Emits the effects of an instruction.
   * @param live something may see the flags it leaves
   */
  insn(i: RegionInsn, live: boolean): void {
    this.f.scoped("insn", () => {
      this.#insn = i;
      this.#consts.clear();
      for (const { local, type } of i.zeroed) {
        this.f.emit({ k: "set", local, value: zero(type) });
      }
      this.#walk(i.stmts);
      if (live) this.#settle();
    });
  }

  #walk(stmts: readonly Stmt[]): void {
    const f = this.f;
    for (const s of stmts) {
      switch (s.k) {
        case "set": {
          const value = this.expr(s.value);
          if (this.#depth === 0 && value.isConst && this.#insn.once.has(s.local)) {
            this.#consts.set(s.local, value);
          }
          f.emit({ ...s, value });
          break;
        }
        case "drop":
          f.emit({ ...s, value: this.expr(s.value) });
          break;
        case "store":
          f.emit({ ...s, addr: this.expr(s.addr), value: this.expr(s.value) });
          break;
        case "fence":
          f.emit(s);
          break;
        case "if":
          this.#if(s);
          break;
        case "guest":
          this.#guest(s);
          break;
        default:
          throw new Error(`statement ${s.k} in a region`);
      }
    }
  }

  #if(s: Stmt & { k: "if" }): void {
    const cond = this.expr(s.cond) as I32;
    if (cond.isConst) return this.#walk(cond.imm !== 0 ? s.then : s.else);
    const changes = hasFlagUpdate(s.then) || hasFlagUpdate(s.else);
    const bound = changes && this.flags !== PACKED ? this.f.let(cond) : cond;
    if (changes) this.pack();
    const before = this.flags;
    const side = (list: readonly Stmt[]) => () => {
      this.flags = before;
      this.#depth++;
      this.#walk(list);
      this.#depth--;
      if (changes) this.pack();
    };
    const otherwise = s.else.length > 0 ? side(s.else) : undefined;
    this.f.if(bound, side(s.then), otherwise, s.likely);
    this.flags = before;
  }

  expr(x: Expr): Expr {
    if (x.op === LOCAL_GET) return this.#consts.get(x.imm as number) ?? x;
    if (x.op >= GUEST) return this.#guestExpr(x);
    if (x.args.length === 0) return x;
    const args = x.args.map((a) => this.expr(a));
    if (args.every((a) => a.op === CONST)) {
      const a = args[0].imm, fold = folds.get(x.op);
      if (fold !== undefined) return I32.of(fold(a as number, args[1].imm as number) | 0);
      if (x.op === op.eqz) return I32.of(a === 0 ? 1 : 0);
      if (x.op === op.extend) return I64.of((a as number) >>> 0);
      if (x.op === op.wrap) return I32.of(a);
    }
    return args.every((a, n) => a === x.args[n]) ? x : wrap(x.type, x.op, args, x.imm, x.data);
  }

  #guestExpr(x: Expr): Expr {
    const i = this.#insn;
    switch (x.op) {
      case G.STATE: {
        const { offset } = x.data as StateRef;
        return this.#regs.holds(offset)
          ? this.#regs.read(offset, x.imm as number)
          : wrap(x.type, x.imm as number, [this.#cpu], offset);
      }
      case G.IMM: {
        const v = x.imm === 0 ? i.imm : i.disp;
        return x.type === "i32" ? I32.of(v) : I64.of(v);
      }
      case G.IP:
        return I64.of(i.ip);
      case G.NEXT_IP:
        return I64.of(i.next);
      case G.FLAG:
        if (this.flags === ANY) this.pack();
        return flagOf(x.data as string, this.flags, this.#packed, this.#bind);
      case G.COND:
        if (this.flags === ANY) this.pack();
        return condOf(x.imm as number, this.flags, this.#packed, this.#bind);
    }
    throw new Error("guest expression in a region");
  }

  stmt(s: Stmt & { k: "guest" }): readonly Stmt[] {
    const out: Stmt[] = [];
    this.f.collect(out, () => this.#guest(s));
    return out;
  }

  #guest(s: Stmt & { k: "guest" }): void {
    const f = this.f;
    const args = s.args.map((a) => this.expr(a));
    switch (s.op) {
      case G.SET_STATE:
        return this.#setState(s.data as StateStore, args[0]);
      case G.SET_FLAGS:
        return this.#setFlags(s.data as FlagUpdate, args);
      case G.LOAD: {
        const d = s.data as MemAccess, l = d.target!;
        const host = this.#access(args[0] as Lin, d, S.TLB_READ, ACCESS.READ);
        const value = wrap(l.type as ValType, d.op, [host], 0);
        f.emit({ k: "set", local: l.index, value });
        return;
      }
      case G.STORE: {
        const d = s.data as MemAccess;
        const host = this.#access(args[0] as Lin, d, S.TLB_WRITE, ACCESS.WRITE);
        f.emit({ k: "store", op: d.op, addr: host, value: args[1], offset: 0 });
        return;
      }
      case G.PROBE: {
        const d = s.data as MemAccess;
        const read = d.access === "w" ? 0 : ACCESS.READ;
        const write = d.access === "r" ? 0 : ACCESS.WRITE;
        const tag = write ? S.TLB_WRITE : S.TLB_READ;
        const host = this.#access(args[0] as Lin, d, tag, read | write);
        f.emit({ k: "set", local: d.target!.index, value: host });
        return;
      }
      case G.COMMIT:
        // The write was made in place.
        return;
      case G.RAISE:
      case G.SEG_FAULT:
        return this.#toTier0();
    }
    throw new Error("guest statement in a region");
  }

  #setState(d: StateStore, value: Expr): void {
    if (!this.#regs.holds(d.offset)) {
      this.f.emit({ k: "store", op: d.op, addr: this.#cpu, value, offset: d.offset });
      return;
    }
    if (d.op === op.store64 && !this.plan.long) {
      value = value.op === op.extend ? value.args[0] as I32 : (value as I64).wrap();
    }
    this.#regs.write(d.offset, d.op, value);
  }

  #setFlags(update: FlagUpdate, args: readonly Expr[]): void {
    if (!canWait(update)) {
      this.pack();
      const { res, aux } = this.#locals, old = this.#packed;
      const p = packFlags({ kind: "pending", update, args, cf: undefined }, old, this.#bind);
      const a = this.f.let(p.aux);
      if (p.res !== old.res) res.set(p.res);
      aux.set(a);
      return;
    }
    const keeps = update.kind === "inc" || update.kind === "dec";
    if (keeps && this.flags === ANY) this.pack();
    const cf = keeps ? carryOf(this.flags, this.#packed, this.#bind) : undefined;
    this.flags = { kind: "pending", update, args, cf };
  }

  /** The remembered page that an access of this instruction most likely goes to. */
  #page(d: MemAccess, tag: number): PageMemory | undefined {
    const m = this.#insn.insn.operands.find((o) => o.kind === "mem");
    // Frames are addressed by EBP too; 64-bit code uses it for anything.
    const frame = m?.kind === "mem" && m.index < 0 &&
      (m.base === Gpr.RSP || (m.base === Gpr.RBP && !this.plan.long));
    if (d.stack || frame) return this.#stack;
    const key = m?.kind === "mem" ? `${tag} ${m.base} ${m.index}` : `${tag}`;
    let n = this.#pageOf.get(key);
    if (n === undefined) this.#pageOf.set(key, n = this.#pageOf.size);
    return this.#pages[n];
  }

  /** The host address of an access, which is left to tier 0 if it cannot be made in place. */
  #access(at: Lin, d: MemAccess, tag: number, access: number): AnyInt {
    const f = this.f, { host: type } = this.rt;
    const tagged = this.plan.wideTags && at.type === "i32" ? (at as I32).extend_u() : at;
    const lin = tagged.op === LOCAL_GET ? tagged : f.let(tagged);
    const low = low32(lin), host = f.local(type), page = this.#page(d, tag);
    const set = (v: AnyInt) => host.set(v as I32);
    const look = () => {
      const wide = lin.type === "i64" ? lin as I64 : (lin as I32).extend_u();
      set(call(this.rt.look, type, this.#cpu, wide, I32.of(accessBits(d) | access)));
      f.ifRare(host.get().eqz(), () => this.#toTier0());
    };
    if (page === undefined) {
      const { entry, hit } = tlbHit(lin, d.bytes, tag, this.#tlb.get(), this.#bind);
      f.if(hit, () => set(hostAt(type, low, loadAddend(type, entry))), look, true);
      return host.get();
    }
    // An aligned access does not leave its page.
    f.if(
      (lin as I32).and(-4096 | (d.bytes - 1)).eq(page.tag.get() as I32),
      () => set(hostAt(type, low, page.addend.get())),
      () => {
        look();
        // What the TLB entry holds belongs together, whichever page it is.
        const { entry } = tlbHit(low, 1, tag, this.#tlb.get(), this.#bind);
        const which = page === this.#stack ? S.TLB_WRITE : tag;
        if (page.tag.type === "i32") page.tag.set(load("i32.load", entry, which));
        else (page.tag as Local<"i64">).set(load("i64.load", entry, which));
        page.addend.set(loadAddend(type, entry) as I32);
      },
      true,
    );
    return host.get();
  }

  /** Leaves the instruction to tier 0. */
  #toTier0(): void {
    this.#exits.link(this.plan.record(this.#insn), this.done);
  }
}
