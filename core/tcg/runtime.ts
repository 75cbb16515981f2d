/**
 * The run-time library of emitted code: jumps through the jump cache, entry from the run loop, and the
 * doors to TypeScript. One module per machine.
 */
import { type AddressType, type AnyInt, I32, I64, load } from "../wasm/expr.ts";
import { call, type Callee, FunctionBuilder } from "../wasm/func.ts";
import { type MemoryLimits, ModuleBuilder } from "../wasm/module.ts";
import { Seg } from "../x86/insn.ts";
import * as S from "../x86/state.ts";
import { Rec } from "../x86/state.ts";
import { addFind, FIND } from "./block_table.ts";
import { addGates, DELIVER, IRET, SYSCALL, SYSENTER, SYSEXIT, SYSRET, SYSRET32 } from "./gates.ts";
import { ACCESS, budgetAfter, followLink, HANDLER, tlbEntry } from "./lower.ts";
import { emitFlags } from "./region_flags.ts";
import { addWalker, emitCommit, emitLook, emitProbe, type WalkerTables } from "./walker.ts";

/** Functions that handlers import. */
export interface RuntimeImports {
  /** What storage addresses are in the machine's memory. */
  readonly host: AddressType;
  /** (cpu, rec, vector, error): records an exception. */
  readonly raise: Callee;
  /** (cpu, rec, target RIP): goes to a computed target through the jump cache. */
  readonly jump: Callee;
  /** (cpu, rec, target RIP): a same-page jump that is not linked yet, or whose slice is over. */
  readonly jumpSlow: Callee;
  /** (cpu, rec, linear address, access) → host address, the bounce buffer, or 0 after a fault. */
  readonly probe: Callee;
  /** (cpu, linear address, access) → host address of bytes that can be accessed in place, or 0. */
  readonly look: Callee;
  /**
   * (cpu, rec, linear address, access, handler): lets the record's instruction begin again when the TLB
   * has what it missed, and else goes on with that handler.
   */
  readonly again: Callee;
  /** (cpu, form, two values, FLAG_RES, FLAG_AUX): see `region_flags.ts`. */
  readonly flags: Callee;
  /** (cpu, vector, error code or -1, EVENT) → 1 when the event was delivered; see `gates.ts`. */
  readonly deliver: Callee;
  /** (cpu, operand size in bytes) → 1 when IRET was carried out. */
  readonly iret: Callee;
  /** (cpu) → 1 when SYSCALL, 64-bit or 32-bit SYSRET was carried out. */
  readonly syscall: Callee;
  readonly sysret: Callee;
  readonly sysret32: Callee;
  /** (cpu) → 1 when SYSENTER or SYSEXIT was carried out. */
  readonly sysenter: Callee;
  readonly sysexit: Callee;
  /** (cpu, rec): carries out the write that is in the bounce buffer. */
  readonly commit: Callee;
  /** (cpu, rec, helper) → non-zero when the instruction must be left. */
  readonly helper: Callee;
  /** (cpu, rec, helper): the helper of an instruction that ends its block. */
  readonly helperEnd: Callee;
}

const fn = (name: string, params: Callee["type"]["params"], results: Callee["type"]["results"]) =>
  ({ name, type: { params, results } }) as Callee;

const RUNTIME32: RuntimeImports = {
  host: "i32",
  raise: fn("raise", ["i32", "i32", "i32", "i32"], []),
  jump: fn("jump", ["i32", "i32", "i64"], []),
  jumpSlow: fn("jumpSlow", ["i32", "i32", "i64"], []),
  probe: fn("probe", ["i32", "i32", "i64", "i32"], ["i32"]),
  look: fn("look", ["i32", "i64", "i32"], ["i32"]),
  again: fn("again", ["i32", "i32", "i64", "i32", "i32"], []),
  flags: fn("flags", ["i32", "i32", "i64", "i64", "i64", "i32"], []),
  deliver: DELIVER,
  iret: IRET,
  syscall: SYSCALL,
  sysret: SYSRET,
  sysret32: SYSRET32,
  sysenter: SYSENTER,
  sysexit: SYSEXIT,
  commit: fn("commit", ["i32", "i32"], []),
  helper: fn("helper", ["i32", "i32", "i32"], ["i32"]),
  helperEnd: fn("helperEnd", ["i32", "i32", "i32"], []),
};

/** The library's functions by what storage addresses are. */
export const RUNTIME: Record<AddressType, RuntimeImports> = {
  i32: RUNTIME32,
  i64: {
    ...RUNTIME32,
    host: "i64",
    probe: fn("probe", ["i32", "i32", "i64", "i32"], ["i64"]),
    look: fn("look", ["i32", "i64", "i32"], ["i64"]),
  },
};

/**
 * Slow paths in TypeScript: (cpu, rec, linear low, linear high, access) → host address. One that may
 * be above 4 GiB comes as a f64: an i64 would have to be made a BigInt.
 */
const probeSlow: Record<AddressType, Callee> = {
  i32: fn("probeSlow", ["i32", "i32", "i32", "i32", "i32"], ["i32"]),
  i64: fn("probeSlow", ["i32", "i32", "i32", "i32", "i32"], ["f64"]),
};
/** (cpu, rec) */
const commitSlow = fn("commitSlow", ["i32", "i32"], []);

/** What TypeScript gives to the library. */
export interface RuntimeHost {
  probeSlow(cpu: number, rec: number, lo: number, hi: number, access: number): number;
  commitSlow(cpu: number, rec: number): void;
  helper(cpu: number, rec: number, id: number): number;
  helperEnd(cpu: number, rec: number, id: number): void;
  /** {@link TcgVm.tsc} for the instructions that read it. */
  hostTsc(cpu: number): number;
}

/** What the library gives to TypeScript. */
export interface RuntimeExports {
  raise(cpu: number, rec: number, vector: number, error: number): void;
  jump: CallableFunction;
  jumpSlow: CallableFunction;
  probe: CallableFunction;
  look: CallableFunction;
  again: CallableFunction;
  flags: CallableFunction;
  commit: CallableFunction;
  /** Delivers an event or gives 0: see `DELIVER` in `gates.ts`. */
  deliver(cpu: number, vector: number, error: number, source: number): number;
  iret(cpu: number, bytes: number): number;
  syscall(cpu: number): number;
  sysret(cpu: number): number;
  sysret32(cpu: number): number;
  sysenter(cpu: number): number;
  sysexit(cpu: number): number;
  /** Fills a TLB entry: see `FILL` in `walker.ts`. */
  fill(cpu: number, lo: number, hi: number, want: number): number;
  /** Runs from a record until something needs the run loop. */
  enter(cpu: number, rec: number): void;
  /** Stands for a handler that is made when it is first needed. */
  unmade: CallableFunction;
  /** Handler of records whose translation was thrown away: back to the run loop at their RIP. */
  stale: CallableFunction;
  /** Handler of the record that ends a block whose next instruction is in the same page. */
  next: CallableFunction;
  /** The same where the next instruction is in another page. */
  nextPage: CallableFunction;
  /** The same under single-step. */
  nextSingle: CallableFunction;
  /** Handler of a record at a fetch breakpoint. */
  breakpoint: CallableFunction;
}

function leave(f: FunctionBuilder, cpu: I32, rec: I32, rip: I64, exit: number): void {
  f.store("i64.store", cpu, rip, S.RIP);
  f.store("i32.store", cpu, rec, S.EXIT_REC);
  f.store("i32.store", cpu, I32.of(exit), S.EXIT);
  f.return();
}

/** Tag of a jump cache entry: linear address above IP in legacy modes, RIP in 64-bit mode. */
function jumpTag(f: FunctionBuilder, cpu: I32, rip: I64): I64 {
  const tag = f.local("i64");
  tag.set(rip);
  f.if(load("i32.load", cpu, S.MODE).and(2).eqz(), () => {
    const base = load("i64.load", cpu, S.SEGS + S.SEG_SIZE * Seg.CS + S.SEG_BASE);
    tag.set(rip.or(base.add(rip).shl(32)));
  });
  return tag.get();
}

function dispatch(f: FunctionBuilder, cpu: I32, rec: I32): void {
  f.tailIndirect(HANDLER, load("i32.load", rec, Rec.HANDLER), cpu, rec);
}

export function buildRuntime(
  limits: MemoryLimits,
  tables: WalkerTables,
): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder(limits), host = limits.address ?? "i32";
  const runtime = RUNTIME[host];
  addWalker(m, host, tables);
  addGates(m, host);
  addFind(m, host, tables.blocks);
  const begin = (c: Callee) => new FunctionBuilder(c.name, c.type);

  {
    const f = begin(runtime.raise);
    const cpu = f.param(0, "i32");
    f.store("i32.store", cpu, f.param(1, "i32"), S.EXIT_REC);
    f.store("i32.store", cpu, f.param(2, "i32"), S.EXC_VECTOR);
    f.store("i32.store", cpu, f.param(3, "i32"), S.EXC_ERROR);
    f.store("i32.store", cpu, I32.of(S.Exit.EXCEPTION), S.EXIT);
    m.add(f, undefined, "raise", runtime.raise);
  }
  {
    const f = begin(runtime.jump);
    const cpu = f.param(0, "i32"), rec = f.param(1, "i32"), rip = f.param(2, "i64");
    const left = f.let(budgetAfter(cpu, rec));
    f.ifRare(left.or(load("i32.load", cpu, S.KICK)).lt_s(0), () => {
      leave(f, cpu, rec, rip, S.Exit.BUDGET);
    });
    const tag = jumpTag(f, cpu, rip);
    const entry = f.let(
      load("i32.load", cpu, S.JC_PTR).add(
        rip.wrap().xor(rip.shr_u(11).wrap()).and(S.JC_ENTRIES - 1).shl(4),
      ),
    );
    f.ifRare(load("i64.load", entry, 0).ne(tag), () => {
      const found = f.let(call(FIND, "i32", cpu, rip, entry));
      f.ifRare(found.eqz(), () => leave(f, cpu, rec, rip, S.Exit.LOOKUP));
      f.store("i32.store", cpu, left, S.BUDGET);
      dispatch(f, cpu, found);
    });
    f.store("i32.store", cpu, left, S.BUDGET);
    dispatch(f, cpu, f.let(load("i32.load", entry, 8)));
    m.add(f, undefined, "jump", runtime.jump);
  }
  {
    const f = begin(runtime.jumpSlow);
    const cpu = f.param(0, "i32"), rec = f.param(1, "i32"), rip = f.param(2, "i64");
    f.if(load("i32.load", rec, Rec.LINK).ne(0), () => leave(f, cpu, rec, rip, S.Exit.BUDGET));
    leave(f, cpu, rec, rip, S.Exit.LINK);
    m.add(f, undefined, "jumpSlow", runtime.jumpSlow);
  }
  {
    const f = begin(runtime.probe);
    emitProbe(f, host, probeSlow[host]);
    m.add(f, undefined, "probe", runtime.probe);
  }
  {
    const f = begin(runtime.look);
    emitLook(f, host);
    m.add(f, undefined, "look", runtime.look);
  }
  {
    const f = begin(runtime.again);
    const cpu = f.param(0, "i32"), rec = f.param(1, "i32"), lin = f.param(2, "i64");
    const access = f.param(3, "i32"), h: AnyInt = f.let(call(runtime.look, host, cpu, lin, access));
    f.if(h.eqz(), () => f.tailIndirect(HANDLER, f.param(4, "i32"), cpu, rec));
    const tag = tlbEntry(cpu, lin.wrap()).add(access.and(ACCESS.WRITE).ne(0).shl(3));
    f.if(load("i64.load", tag, S.TLB_READ).eq(lin.and(-4096)), () => dispatch(f, cpu, rec));
    f.tailIndirect(HANDLER, f.param(4, "i32"), cpu, rec);
    m.add(f, undefined, "again", runtime.again);
  }
  {
    const f = begin(runtime.flags);
    emitFlags(f);
    m.add(f, undefined, "flags", runtime.flags);
  }
  {
    const f = begin(runtime.commit);
    emitCommit(f, host, commitSlow);
    m.add(f, undefined, "commit", runtime.commit);
  }
  {
    const f = new FunctionBuilder("enter", HANDLER);
    dispatch(f, f.param(0, "i32"), f.param(1, "i32"));
    m.add(f, undefined, "enter");
  }
  {
    const f = new FunctionBuilder("unmade", HANDLER);
    const cpu = f.param(0, "i32"), rec = f.param(1, "i32");
    leave(f, cpu, rec, load("i64.load", rec, Rec.IP), S.Exit.UNMADE);
    m.add(f, undefined, "unmade");
  }
  {
    const f = new FunctionBuilder("stale", HANDLER);
    const cpu = f.param(0, "i32"), rec = f.param(1, "i32");
    leave(f, cpu, rec, load("i64.load", rec, Rec.IP), S.Exit.RETRY);
    m.add(f, undefined, "stale");
  }
  {
    // A block's last record carries the RIP to go on at, and as INDEX the last instruction's.
    const f = new FunctionBuilder("next", HANDLER);
    const cpu = f.param(0, "i32"), rec = f.param(1, "i32");
    followLink(f, runtime.jumpSlow, cpu, rec);
    m.add(f, undefined, "next");
  }
  {
    const f = new FunctionBuilder("nextPage", HANDLER);
    const rec = f.param(1, "i32");
    f.tail(runtime.jump, f.param(0, "i32"), rec, load("i64.load", rec, Rec.IP));
    m.add(f, undefined, "nextPage");
  }
  {
    const f = new FunctionBuilder("nextSingle", HANDLER);
    const cpu = f.param(0, "i32"), rec = f.param(1, "i32");
    leave(f, cpu, rec, load("i64.load", rec, Rec.IP), S.Exit.LOOKUP);
    m.add(f, undefined, "nextSingle");
  }
  {
    const f = new FunctionBuilder("breakpoint", HANDLER);
    const cpu = f.param(0, "i32"), rec = f.param(1, "i32");
    leave(f, cpu, rec, load("i64.load", rec, Rec.IP), S.Exit.BREAK);
    m.add(f, undefined, "breakpoint");
  }
  return m.encode();
}
