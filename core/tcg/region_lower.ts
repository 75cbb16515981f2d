/**
 * Tier 1's meaning of the guest-level nodes: one function covers several basic blocks, general registers
 * are WebAssembly locals, operands are constants and flags wait in {@link FlagState}. The vCPU state is
 * made exact wherever the guest or the run loop can look: before the slow path of a memory access,
 * before an exception and on the way out.
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
import { Rec } from "../x86/state.ts";
import { Gpr } from "../x86/insn.ts";
import { ACCESS, accessBits, hostAt, isBounce, loadAddend, tlbHit } from "./lower.ts";
import {
  asI32,
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
import { type ExitRegister, RegionExits } from "./region_exits.ts";
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

/** Instructions between two looks at KICK. */
const POLL = 4096;
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
  /** Record whose handler becomes `stale` when code of the region changes. */
  readonly guard: number;
  readonly stale: number;
  /** Pages that the region remembers in locals. */
  readonly pages: number;
  /** Record that exceptions of the instruction are reported with. */
  record(i: RegionInsn): number;
}

/** A linear address: 64 bits wide in 64-bit code. */
type Lin = I32 | I64;

/** The address of a page that can be accessed in place, and what makes it the page's place. */
interface PageMemory {
  readonly tag: Local<"i32"> | Local<"i64">;
  readonly addend: Local<AddressType>;
}

function setTag({ tag }: PageMemory, page: Lin): void {
  if (tag.type === "i32") tag.set(page as I32);
  else (tag as Local<"i64">).set(page.type === "i32" ? (page as I32).extend_s() : page as I64);
}

/** `page`, or no page when the TLB entry does not let it be written. */
function whereWritable(entry: I32, page: Lin): Lin {
  return page.type === "i64"
    ? load("i64.load", entry, S.TLB_WRITE).eq(page).select(page, I64.of(NO_PAGE))
    : load("i32.load", entry, S.TLB_WRITE).eq(page).select(page, I32.of(NO_PAGE));
}

export class RegionLowering implements Lowering {
  /** Flags at this point. */
  flags: FlagState = PACKED;
  /** Instructions of the basic block that are behind us and not yet taken off the budget. */
  done = 0;
  readonly #cpu: I32;
  readonly #entry: I32;
  readonly #regs: RegionRegs;
  readonly #res: Local<"i64">;
  readonly #aux: Local<"i32">;
  readonly #tlb: Local<"i32">;
  /** Instructions left before the next look at the rest of the slice and at KICK; and that rest. */
  readonly #budget: Local<"i32">;
  readonly #rest: Local<"i32">;
  /** Non-zero when the region's code has been changed: only calls to TypeScript can do that. */
  readonly #stale: Local<"i32">;
  /** Pages that accesses were last made to, by kind of access and address registers. */
  readonly #pages: readonly PageMemory[];
  /** The page that the stack was last accessed in, which may be written. */
  readonly #stack: PageMemory;
  readonly #pageOf = new Map<string, number>();
  /** Temporary that register n was last set from, since the basic block began. */
  readonly #from = new Map<number, number>();
  readonly #carriers: readonly Local<"i32">[];
  #insn!: RegionInsn;
  /** Nesting of conditional statements in the instruction. */
  #depth = 0;
  /** Temporaries of this instruction known to be constants. */
  readonly #consts = new Map<number, Expr>();
  readonly exits: RegionExits;

  constructor(readonly f: FunctionBuilder, readonly rt: RuntimeImports, readonly plan: RegionPlan) {
    const registers: ExitRegister[] = [];
    for (let n = 0; n < 16; n++) {
      if (plan.written & (1 << n)) registers.push({ n, wide: (plan.wide & (1 << n)) !== 0 });
    }
    this.exits = new RegionExits(rt, registers, plan.long);
    this.#cpu = f.param(0, "i32");
    this.#entry = f.param(1, "i32");
    this.#regs = new RegionRegs(f, plan.used, plan.long);
    this.#res = f.local("i64");
    this.#aux = f.local("i32");
    this.#tlb = f.local("i32");
    this.#budget = f.local("i32");
    this.#rest = f.local("i32");
    this.#stale = f.local("i32");
    const page = (): PageMemory => ({
      tag: f.local(plan.long ? "i64" : "i32") as PageMemory["tag"],
      addend: f.local(rt.host),
    });
    this.#pages = Array.from({ length: plan.pages }, page);
    this.#stack = page();
    this.#carriers = [f.local("i32"), f.local("i32")];
  }

  readonly #bind = (v: I32): I32 => this.f.let(v);

  get #packed(): Packed {
    return { res: this.#res.get(), aux: this.#aux.get() };
  }

  /** Reads the vCPU state into locals. */
  prologue(): void {
    this.#regs.prologue(this.#cpu);
    this.#res.set(load("i64.load", this.#cpu, S.FLAG_RES));
    this.#aux.set(load("i32.load", this.#cpu, S.FLAG_AUX));
    this.#tlb.set(load("i32.load", this.#cpu, S.TLB_PTR));
    this.#rest.set(load("i32.load", this.#cpu, S.BUDGET));
    this.#forget();
  }

  /**
   * Starts a basic block that flags reach as `key` of {@link passFlags}.
   */
  begin(key: string): void {
    this.done = 0;
    this.#from.clear();
    const [form, ...places] = key.split("@");
    this.flags = carried(form, (n) => {
      const reg = places[n];
      return reg === "" ? this.#carriers[n].get() : this.f.let(this.#regs.get(Number(reg)) as I32);
    });
  }

  /** How the flags would go on to another basic block: what {@link begin} takes. */
  flagsKey(): string | undefined {
    const c = carry(this.flags);
    if (c === undefined) return undefined;
    return c.key === "" ? "" : [c.key, ...c.values.map((v) => this.#holder(v) ?? "")].join("@");
  }

  /** The general register that holds `v`. */
  #holder(v: I32): number | undefined {
    if (v.op !== LOCAL_GET) return undefined;
    for (const [reg, from] of this.#from) if (from === v.imm) return reg;
    return undefined;
  }

  /** Passes the flags on as {@link flagsKey} says. */
  passFlags(): void {
    const bound = carry(this.flags)!.values.map((v) =>
      this.#holder(v) === undefined ? this.f.let(v) : undefined
    );
    bound.forEach((v, n) => v && this.#carriers[n].set(v));
  }

  /** Computes pending flags into the flag locals. */
  pack(): void {
    if (this.flags === PACKED) return;
    const p = packFlags(this.flags, this.#packed, this.#bind);
    const aux = this.f.let(p.aux);
    this.#res.set(p.res);
    this.#aux.set(aux);
    this.flags = PACKED;
  }

  /** Takes the basic block's instructions off the budget. */
  charge(): void {
    this.#budget.set(this.#budget.get().sub(this.done));
    this.done = 0;
  }

  /** The vCPU state as arguments of a way out; the budget is made larger by `extra`. */
  #state(extra = 0): Expr[] {
    return this.exits.args(
      this.flags,
      this.#packed,
      this.#rest.get().add(this.#budget.get()).add(extra - this.done),
      this.exits.registers.map(({ n }) => this.#regs.get(n)),
      this.#bind,
    );
  }

  /** Leaves the region for `rip`. The entry record is the first of its block: its index is 0. */
  leave(rip: I64): void {
    // The jump takes one instruction off the budget for the record it is made from.
    this.f.tail(this.exits.way("leave"), this.#cpu, this.#entry, rip, ...this.#state(1));
  }

  /** Leaves for the RIP of record `rec`, in the region's page, by the record's link. */
  jump(rec: number): void {
    this.f.tail(this.exits.way("link"), this.#cpu, I32.of(rec), ...this.#state(1));
  }

  /**
   * Leaves for `rip` when the slice is over or somebody wants the run loop; looks every
   * {@link POLL} instructions.
   */
  leaveIfDue(rip: I64): void {
    const f = this.f;
    f.ifRare(this.#budget.get().lt_s(0), () => {
      const left = f.let(this.#rest.get().add(this.#budget.get()));
      f.if(left.or(load("i32.load", this.#cpu, S.KICK)).lt_s(0), () => this.leave(rip));
      this.#budget.set(left.lt_s(POLL).select(left, I32.of(POLL)));
      this.#rest.set(left.sub(this.#budget.get()));
    });
  }

  /** After a call to TypeScript: pages may be mapped elsewhere, and KICK may be set. */
  #called(): void {
    this.#stale.set(load("i32.load", I32.of(this.plan.guard), Rec.HANDLER).eq(this.plan.stale));
    this.#forget();
    this.#rest.set(this.#rest.get().add(this.#budget.get()));
    this.#budget.set(I32.of(0));
  }

  #forget(): void {
    for (const p of [this.#stack, ...this.#pages]) setTag(p, I32.of(NO_PAGE));
  }

  /** Leaves for `rip` when the region's code has been changed. */
  leaveIfStale(rip: I64): void {
    this.f.ifRare(this.#stale.get(), () => this.leave(rip));
  }

  /** Emits `stmts` of an instruction. */
  insn(i: RegionInsn, stmts: readonly Stmt[]): void {
    this.#insn = i;
    this.#consts.clear();
    for (const { local, type } of i.zeroed) {
      this.f.emit({ k: "set", local, value: zero(type) });
    }
    this.#walk(stmts);
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
        return flagOf(x.data as string, this.flags, this.#packed, this.#bind);
      case G.COND:
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
        const host = this.#translate(args[0] as Lin, d, S.TLB_READ, ACCESS.READ);
        const value = wrap(l.type as ValType, d.op, [host], 0);
        f.emit({ k: "set", local: l.index, value });
        return;
      }
      case G.STORE: {
        const d = s.data as MemAccess;
        const put = (addr: AnyInt) =>
          f.emit({ k: "store", op: d.op, addr, value: args[1], offset: 0 });
        this.#access(args[0] as Lin, d, S.TLB_WRITE, ACCESS.WRITE, put, (host) => {
          put(host);
          this.#commit(host);
        });
        return;
      }
      case G.PROBE: {
        const d = s.data as MemAccess;
        const read = d.access === "w" ? 0 : ACCESS.READ;
        const write = d.access === "r" ? 0 : ACCESS.WRITE;
        const tag = write ? S.TLB_WRITE : S.TLB_READ;
        const host = this.#translate(args[0] as Lin, d, tag, read | write);
        f.emit({ k: "set", local: d.target!.index, value: host });
        return;
      }
      case G.COMMIT:
        return this.#commit(args[0] as AnyInt);
      case G.RAISE:
        return this.#raise(s.data as number, (args[0] as I32) ?? I32.of(-1));
      case G.SEG_FAULT:
        return this.#raise(s.data === 2 ? S.Vec.SS : S.Vec.GP, I32.of(0));
    }
    throw new Error("guest statement in a region");
  }

  #setState(d: StateStore, value: Expr): void {
    if (!this.#regs.holds(d.offset)) {
      this.f.emit({ k: "store", op: d.op, addr: this.#cpu, value, offset: d.offset });
      return;
    }
    this.#from.delete(d.offset >> 3);
    if (d.op === op.store64 && !this.plan.long) {
      const v = value.op === op.extend ? value.args[0] as I32 : (value as I64).wrap();
      if (v.op === LOCAL_GET && this.#depth === 0) this.#from.set(d.offset >> 3, v.imm as number);
      value = v;
    }
    this.#regs.write(d.offset, d.op, value);
  }

  #setFlags(update: FlagUpdate, args: readonly Expr[]): void {
    if (!canWait(update)) {
      this.pack();
      const old = this.#packed;
      const s: FlagState = { kind: "pending", update, args: asI32(args), cf: undefined };
      const p = packFlags(s, old, this.#bind);
      const aux = this.f.let(p.aux);
      if (p.res !== old.res) this.#res.set(p.res);
      this.#aux.set(aux);
      return;
    }
    const keeps = update.kind === "inc" || update.kind === "dec";
    const cf = keeps ? carryOf(this.flags, this.#packed, this.#bind) : undefined;
    this.flags = { kind: "pending", update, args: asI32(args), cf };
  }

  #tlbOf(d: MemAccess): I32 {
    return d.system ? load("i32.load", this.#cpu, S.TLB_SYS_PTR) : this.#tlb.get();
  }

  #translate(lin: Lin, d: MemAccess, tag: number, access: number): AnyInt {
    const host = this.f.local(this.rt.host);
    const set = (h: AnyInt) => host.set(h as I32);
    this.#access(lin, d, tag, access, set, set);
    return host.get();
  }

  /** The remembered page that an access of this instruction most likely goes to. */
  #page(d: MemAccess, tag: number): PageMemory | undefined {
    if (d.system) return undefined;
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

  /** Gives the host address of an access to `fast`, or to `slow` when the slow path has found it. */
  #access(
    lin: Lin,
    d: MemAccess,
    tag: number,
    access: number,
    fast: (host: AnyInt) => void,
    slow: (host: AnyInt) => void,
  ): void {
    const f = this.f;
    const low = lin.type === "i64" ? lin.wrap() : lin;
    const page = this.#page(d, tag);
    const look = () => {
      const { entry, hit } = tlbHit(lin, d.bytes, tag, this.#tlbOf(d), this.#bind);
      f.if(
        hit,
        () => {
          const addend = f.let(loadAddend(this.rt.host, entry));
          if (page !== undefined) {
            const at = lin.type === "i64" ? lin.and(-4096) : lin.and(-4096);
            const readOnly = page === this.#stack && tag === S.TLB_READ;
            setTag(page, readOnly ? whereWritable(entry, at) : at);
            page.addend.set(addend as I32);
          }
          fast(hostAt(this.rt.host, low, addend));
        },
        () => slow(this.#probe(lin, d, access)),
        true,
      );
    };
    if (page === undefined) return look();
    // An aligned access does not leave its page.
    f.if(
      (lin as I32).and(-4096 | (d.bytes - 1)).eq(page.tag.get() as I32),
      () => fast(hostAt(this.rt.host, low, page.addend.get())),
      look,
      true,
    );
  }

  /** The slow path: it may fault, or look at the vCPU. */
  #probe(lin: Lin, d: MemAccess, access: number): AnyInt {
    const host = this.f.let(call(
      this.exits.way("probe"),
      this.rt.host,
      this.#cpu,
      I32.of(this.plan.record(this.#insn)),
      lin,
      I32.of(accessBits(d) | access),
      ...this.#state(),
    ));
    this.f.ifRare(host.eqz(), () => this.f.return());
    this.#called();
    return host;
  }

  #commit(host: AnyInt): void {
    this.f.ifRare(
      isBounce(host, this.#cpu),
      () => {
        this.f.call(this.rt.commit, this.#cpu, I32.of(this.plan.record(this.#insn)));
        this.#called();
      },
    );
  }

  #raise(vector: number, error: I32): void {
    const rec = I32.of(this.plan.record(this.#insn));
    this.f.tail(
      this.exits.way("raise"),
      this.#cpu,
      rec,
      I32.of(vector),
      error,
      ...this.#state(),
    );
  }
}
