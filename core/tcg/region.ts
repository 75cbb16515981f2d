/**
 * Tier 1: a hot piece of code within one page becomes one WebAssembly function, derived from the same
 * semantics as tier 0's handlers. It stands in for the first record of the tier-0 block it begins at, and
 * whatever it does not cover goes on in tier 0. It takes 64-bit code, and 32-bit code with a flat code
 * segment outside long mode.
 */
import { I64 } from "../wasm/expr.ts";
import { FunctionBuilder, type Stmt } from "../wasm/func.ts";
import type { Cpu } from "../x86/cpu.ts";
import { Mode } from "../x86/state.ts";
import { HANDLER } from "./lower.ts";
import { type CfgNode, type Edge, structure } from "./region_cfg.ts";
import { storagePage } from "./physmap.ts";
import { RegionLowering } from "./region_lower.ts";
import { type RegionInsn, type RegUse, scanInsn } from "./region_scan.ts";
import type { Shapes } from "./shapes.ts";
import type { Block, TranslationCache } from "./translate.ts";

/** Most instructions in a region. */
const MAX_INSNS = 100;
/** Fewest instructions of a region without a loop. */
const MIN_STRAIGHT = 6;
/** Most instructions of a loop that remembers pages, and most pages. */
const MAX_TIGHT = 40, MAX_PAGES = 6;
/** Most versions of a basic block for different pending flags. */
const MAX_VERSIONS = 3;

/** A loop whose body is one basic block is copied up to so many times, or instructions. */
const MAX_COPIES = 8;
const MAX_COPIED_INSNS = 64;

/** A basic block for flags that arrive in the form `key`. */
interface Node extends CfgNode {
  readonly ip: bigint;
  readonly key: string;
  /** Which copy of a loop's body it is, from 0. */
  readonly copy: number;
  /** Instructions before it that are not yet taken off the budget. */
  readonly done: number;
}

class RegionBuilder {
  readonly #f = new FunctionBuilder("region", HANDLER);
  readonly #insns = new Map<bigint, RegionInsn>();
  readonly #leaders = new Set<bigint>();
  readonly #use: RegUse = { used: 0, written: 0, wide: 0 };
  readonly #nodes = new Map<string, Node>();
  readonly #versions = new Map<bigint, number>();
  readonly #work: Node[] = [];
  readonly #records = new Map<bigint, number>();
  readonly #links = new Map<bigint, number>();
  #full = false;

  constructor(
    readonly cache: TranslationCache,
    readonly shapes: Shapes,
    readonly cpu: Cpu,
    readonly block: Block,
  ) {}

  /** Compiles and installs the region; false when it is not worth one. */
  build(): boolean {
    this.#discover();
    if (!this.#insns.has(this.block.ip)) return false;
    const guard = this.cache.looseRecord(this.block.ip, this.#insns.get(this.block.ip)!.insn);
    if (guard === 0) return false;
    const f = this.#f;
    const low = new RegionLowering(f, this.shapes.runtime, {
      ...this.#use,
      guard,
      long: this.#long,
      stale: this.cache.handlers.stale,
      pages: this.#isTightLoop() ? MAX_PAGES : 0,
      record: (i) => this.#record(i),
    });
    low.prologue();
    const entry = this.#node(this.block.ip, "");
    for (let n = this.#work.pop(); n !== undefined; n = this.#work.pop()) this.#emit(low, n);
    const leave = (to: CfgNode, due: boolean) => {
      const n = to as Node;
      low.begin(n.key);
      low.done = n.done;
      if (due) low.leaveIfDue(I64.of(n.ip));
      else this.#leave(low, n.ip);
    };
    const loops = structure(f, entry, {
      leave: (to) => leave(to, false),
      backEdge: (to) => leave(to, true),
    });
    // Without a loop the way in and out can cost more than it saves.
    if ((loops === 0 && this.#insns.size < MIN_STRAIGHT) || this.#full) return false;
    const index = this.shapes.install(f, (m) => low.exits.add(m));
    const ranges = [...this.#insns.values()].map((i) => {
      const at = this.#host(i.ip);
      return [at, at + i.insn.length] as const;
    });
    this.cache.installRegion(
      this.block,
      guard,
      ranges,
      index,
      () => this.shapes.release(index),
    );
    return true;
  }

  /** Whether the region is a small loop, which goes to the same few pages again and again. */
  #isTightLoop(): boolean {
    if (this.#insns.size > MAX_TIGHT) return false;
    for (const i of this.#insns.values()) {
      if (i.end === undefined || i.end.kind === "dynamic") continue;
      if (i.end.target <= i.ip && this.#insns.has(i.end.target)) return true;
    }
    return false;
  }

  get #long(): boolean {
    return (this.block.mode & Mode.CODE_MASK) === 2;
  }

  #host(ip: bigint): number {
    return this.block.host + Number(ip - this.block.ip);
  }

  #taken(target: bigint): boolean {
    return this.#inPage(target) && this.cache.entered(this.block, this.#host(target));
  }

  #inPage(ip: bigint): boolean {
    return storagePage(this.#host(ip)) === storagePage(this.block.host);
  }

  #record(i: RegionInsn): number {
    let rec = this.#records.get(i.ip);
    if (rec === undefined) {
      rec = this.cache.looseRecord(i.ip, i.insn);
      if (rec === 0) this.#full = true;
      this.#records.set(i.ip, rec);
    }
    return rec;
  }

  /** Decodes from the entry along direct branches. */
  #discover(): void {
    const work = [this.block.ip];
    this.#leaders.add(this.block.ip);
    const lead = (ip: bigint) => {
      if (this.#leaders.has(ip)) return;
      this.#leaders.add(ip);
      work.push(ip);
    };
    for (let start = work.shift(); start !== undefined; start = work.shift()) {
      let ip: bigint = start;
      while (!this.#insns.has(ip) && this.#insns.size < MAX_INSNS && this.#inPage(ip)) {
        const insn = this.cache.decodeAt(this.cpu, this.block, this.#host(ip));
        if (insn === undefined) break;
        const { host } = this.shapes.runtime;
        const i = scanInsn(this.#f, insn, this.block.mode, ip, this.#use, host);
        if (i === undefined) break;
        this.#insns.set(ip, i);
        if (i.end !== undefined) {
          // A branch that was never taken is not followed.
          if (i.end.kind === "jump" || (i.end.kind === "cond" && this.#taken(i.end.target))) {
            lead(i.end.target);
          }
          if (i.end.kind === "cond") lead(i.next);
          break;
        }
        ip = i.next;
      }
    }
  }

  #node(ip: bigint, key: string, copy = 0, done = 0): Node {
    const id = `${ip} ${key} ${copy}`;
    let n = this.#nodes.get(id);
    if (n === undefined) {
      n = { ip, key, copy, done, stmts: [], cond: undefined, edges: [] };
      this.#nodes.set(id, n);
      if (copy === 0) this.#versions.set(ip, (this.#versions.get(ip) ?? 0) + 1);
      this.#work.push(n);
    }
    return n;
  }

  /** The way from `from` to `ip` with the flags as they are now. */
  #edge(low: RegionLowering, from: Node, ip: bigint): Edge {
    const stmts: Stmt[] = [], { flags, done } = low;
    let key = low.flagsKey();
    if (
      key !== undefined && !this.#nodes.has(`${ip} ${key} 0`) &&
      (this.#versions.get(ip) ?? 0) >= MAX_VERSIONS
    ) key = undefined;
    // A block that is a loop by itself goes on in its next copy, and pays at the last one.
    const copies = Math.min(MAX_COPIES, Math.floor(MAX_COPIED_INSNS / (done - from.done)));
    const next = ip === from.ip && key === from.key && copies > 1 ? (from.copy + 1) % copies : 0;
    this.#f.collect(stmts, () => {
      if (key === undefined) low.pack();
      else low.passFlags();
      if (next === 0) low.charge();
    });
    low.flags = flags;
    low.done = done;
    return { to: this.#node(ip, key ?? "", next, next === 0 ? 0 : done), stmts, cut: false };
  }

  #emit(low: RegionLowering, n: Node): void {
    this.#f.collect(n.stmts, () => {
      low.begin(n.key);
      low.done = n.done;
      let ip = n.ip;
      for (;;) {
        const i = this.#insns.get(ip);
        if (i === undefined) return this.#leave(low, ip);
        if (ip !== n.ip && this.#leaders.has(ip)) {
          n.edges = [this.#edge(low, n, ip)];
          return;
        }
        low.insn(i, i.stmts);
        low.done++;
        if (i.end !== undefined) return this.#end(low, n, i);
        if (i.writes) low.leaveIfStale(I64.of(i.next));
        ip = i.next;
      }
    });
  }

  /** Leaves for an address that is known, by a link where that is in the page. */
  #leave(low: RegionLowering, ip: bigint): void {
    if (!this.#inPage(ip)) return low.leave(I64.of(ip));
    let rec = this.#links.get(ip);
    if (rec === undefined) {
      rec = this.cache.linkRecord(ip);
      if (rec === 0) this.#full = true;
      this.#links.set(ip, rec);
    }
    low.jump(rec);
  }

  #end(low: RegionLowering, n: Node, i: RegionInsn): void {
    const end = i.end!;
    switch (end.kind) {
      case "dynamic":
        return low.leave(low.expr(end.target) as I64);
      case "jump":
        if (i.writes) low.leaveIfStale(I64.of(end.target));
        n.edges = [this.#edge(low, n, end.target)];
        return;
      case "cond":
        n.cond = low.expr(end.cond) as typeof end.cond;
        if (n.cond.isConst) {
          n.edges = [this.#edge(low, n, n.cond.imm !== 0 ? end.target : i.next)];
          n.cond = undefined;
          return;
        }
        n.edges = [this.#edge(low, n, end.target), this.#edge(low, n, i.next)];
        return;
    }
  }
}

/** Compiles the region that begins at `block` and installs it; false when it stays with tier 0. */
export function compileRegion(
  cache: TranslationCache,
  shapes: Shapes,
  cpu: Cpu,
  block: Block,
): boolean {
  const m = block.mode;
  const code = m & Mode.CODE_MASK;
  if (code !== 2 && (code !== 1 || !(m & Mode.CS_FLAT) || m & Mode.LONG) || m & Mode.SINGLE) {
    return false;
  }
  if (block.ranges.length > 1 || !block.valid) return false;
  return new RegionBuilder(cache, shapes, cpu, block).build();
}
