/**
 * Tier 1: a hot piece of code within one page becomes one WebAssembly function, derived from the same
 * semantics as tier 0's handlers. It stands in for the first record of the tier-0 block it begins at, and
 * whatever it does not cover goes on in tier 0. It takes 64-bit code, and 32-bit code with a flat code
 * segment. The code is made from a {@link RegionJob} and nothing else, here or in
 * another thread; `region_compiler.ts` asks for it and puts it into place.
 */
import { I64 } from "../wasm/expr.ts";
import { FunctionBuilder, type Stmt } from "../wasm/func.ts";
import { type MemoryLimits, ModuleBuilder } from "../wasm/module.ts";
import { decode, type DecodedInsn, withoutFeature } from "../x86/decoder.ts";
import { Mode, Rec } from "../x86/state.ts";
import { HANDLER } from "./lower.ts";
import { type CfgNode, type Edge, structure } from "./region_cfg.ts";
import { RegionLowering } from "./region_lower.ts";
import { type RegionInsn, type RegUse, scanInsn } from "./region_scan.ts";
import { isAllowed, isThere } from "./permitted.ts";
import { RUNTIME, type RuntimeImports } from "./runtime.ts";

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

/** Records that a region may need: one for each instruction, and one for each way out. */
export const REGION_RECORDS = MAX_INSNS + 64;

/** What a region is made from. */
export interface RegionJob {
  /** The page of storage that holds the code. */
  readonly page: Uint8Array;
  /** Where in it the region begins, and the IP there. */
  readonly at: number;
  readonly ip: bigint;
  readonly mode: number;
  /** Offsets in the page where translations of the same mode begin: they have been jumped to. */
  readonly entered: Uint16Array;
  /** The first of {@link REGION_RECORDS} records to be used. */
  readonly records: number;
}

/** A region that is to be put into place. */
export interface RegionCode {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Offset in the page and length of each instruction. */
  readonly insns: readonly (readonly [at: number, length: number])[];
  /** Stands for the region in the translation cache. */
  readonly guard: number;
  /** Records by which an instruction is left to tier 0. */
  readonly records: readonly (readonly [rec: number, at: number])[];
  /** Records that go on at an IP of the page. */
  readonly links: readonly (readonly [rec: number, ip: bigint])[];
}

/** A basic block for flags that arrive in a form: see {@link RegionLowering.begin}. */
interface Node extends CfgNode {
  readonly ip: bigint;
  readonly form: number;
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
  readonly #entered: ReadonlySet<number>;
  readonly #runtime: RuntimeImports;
  #next: number;

  /** @param has whether the CPU has a feature */
  constructor(
    readonly job: RegionJob,
    readonly has: (feature: string) => boolean,
    readonly limits: MemoryLimits,
  ) {
    this.#runtime = RUNTIME[limits.address ?? "i32"];
    this.#entered = new Set(job.entered);
    this.#next = job.records;
  }

  /** The region's code; undefined when it is not worth one. */
  build(): RegionCode | undefined {
    const { job } = this;
    this.#discover();
    if (!this.#insns.has(job.ip)) return undefined;
    const guard = this.#take();
    const f = this.#f;
    const low = new RegionLowering(f, this.#runtime, {
      ...this.#use,
      long: this.#long,
      wideTags: (job.mode & Mode.LONG) !== 0,
      pages: this.#isTightLoop() ? MAX_PAGES : 0,
      record: (i) => this.#record(i),
    });
    const leave = (to: CfgNode, due: boolean) => {
      const n = to as Node;
      low.begin(n.form);
      low.done = n.done;
      if (due) low.leaveIfDue(I64.of(n.ip));
      else this.#leave(low, n.ip);
    };
    let loops = 0;
    low.region(() => {
      const entry = this.#node(this.job.ip, 0);
      for (let n = this.#work.pop(); n !== undefined; n = this.#work.pop()) this.#emit(low, n);
      loops = structure(f, entry, {
        leave: (to) => leave(to, false),
        backEdge: (to) => leave(to, true),
      });
    });
    // Without a loop the way in and out can cost more than it saves.
    if (loops === 0 && this.#insns.size < MIN_STRAIGHT) return undefined;
    if (this.#next > job.records + REGION_RECORDS * Rec.SIZE) return undefined;
    const m = new ModuleBuilder(this.limits);
    m.add(f, undefined, "region");
    return {
      bytes: m.encode(),
      insns: [...this.#insns.values()].map((i) => [this.#at(i.ip), i.insn.length]),
      guard,
      records: [...this.#records].map(([ip, r]) => [r, this.#at(ip)]),
      links: [...this.#links].map(([ip, r]) => [r, ip]),
    };
  }

  #take(): number {
    const rec = this.#next;
    this.#next += Rec.SIZE;
    return rec;
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
    return (this.job.mode & Mode.CODE_MASK) === 2;
  }

  /** Offset in the page. */
  #at(ip: bigint): number {
    return this.job.at + Number(ip - this.job.ip);
  }

  #taken(target: bigint): boolean {
    return this.#inPage(target) && this.#entered.has(this.#at(target));
  }

  #inPage(ip: bigint): boolean {
    const at = this.#at(ip);
    return at >= 0 && at < 4096;
  }

  #record(i: RegionInsn): number {
    let rec = this.#records.get(i.ip);
    if (rec === undefined) this.#records.set(i.ip, rec = this.#take());
    return rec;
  }

  #decode(ip: bigint): DecodedInsn | undefined {
    return decodeInPage(this.job.page, this.#at(ip), this.job.mode, this.has);
  }

  /** Decodes from the entry along direct branches. */
  #discover(): void {
    const work = [this.job.ip];
    this.#leaders.add(this.job.ip);
    const lead = (ip: bigint) => {
      if (this.#leaders.has(ip)) return;
      this.#leaders.add(ip);
      work.push(ip);
    };
    for (let start = work.shift(); start !== undefined; start = work.shift()) {
      let ip: bigint = start;
      while (!this.#insns.has(ip) && this.#insns.size < MAX_INSNS && this.#inPage(ip)) {
        const insn = this.#decode(ip);
        if (insn === undefined) break;
        const i = this.#f.scoped(
          "scan",
          () => scanInsn(this.#f, insn, this.job.mode, ip, this.#use, this.#runtime.host),
        );
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

  #node(ip: bigint, form: number, copy = 0, done = 0): Node {
    const id = `${ip} ${form} ${copy}`;
    let n = this.#nodes.get(id);
    if (n === undefined) {
      n = { ip, form, copy, done, stmts: [], cond: undefined, edges: [] };
      this.#nodes.set(id, n);
      if (copy === 0) this.#versions.set(ip, (this.#versions.get(ip) ?? 0) + 1);
      this.#work.push(n);
    }
    return n;
  }

  /** Whether the basic block at `ip` may look at the flags it begins with, or hand them on. */
  #looksAtFlags(ip: bigint): boolean {
    for (let i = this.#insns.get(ip); i !== undefined; i = this.#insns.get(i.next)) {
      if (i.flags.reads) return true;
      if (i.flags.sets) return false;
      if (i.end !== undefined || this.#leaders.has(i.next)) return true;
    }
    return false;
  }

  /** Whether something may see the flags that an instruction leaves. */
  #areLive(i: RegionInsn): boolean {
    while (i.end === undefined && !this.#leaders.has(i.next)) {
      const next = this.#insns.get(i.next);
      if (next === undefined || next.flags.exits || next.flags.reads) return true;
      if (next.flags.sets) return false;
      i = next;
    }
    return true;
  }

  /** The way from `from` to `ip` with the flags as they are now. */
  #edge(low: RegionLowering, from: Node, ip: bigint): Edge {
    const stmts: Stmt[] = [], { done } = low;
    let form = this.#looksAtFlags(ip) ? low.flagsForm() : -1;
    if (
      !this.#nodes.has(`${ip} ${form} 0`) && (this.#versions.get(ip) ?? 0) >= MAX_VERSIONS
    ) form = -1;
    // A block that is a loop by itself goes on in its next copy, and pays at the last one.
    const copies = Math.min(MAX_COPIES, Math.floor(MAX_COPIED_INSNS / (done - from.done)));
    const next = ip === from.ip && form === from.form && copies > 1 ? (from.copy + 1) % copies : 0;
    if (next === 0) this.#f.collect(stmts, () => low.charge());
    low.done = done;
    return { to: this.#node(ip, form, next, next === 0 ? 0 : done), stmts, cut: false };
  }

  #emit(low: RegionLowering, n: Node): void {
    this.#f.collect(n.stmts, () => {
      low.begin(n.form);
      low.done = n.done;
      let ip = n.ip;
      for (;;) {
        const i = this.#insns.get(ip);
        if (i === undefined) return this.#leave(low, ip);
        if (ip !== n.ip && this.#leaders.has(ip)) {
          n.edges = [this.#edge(low, n, ip)];
          return;
        }
        low.insn(i, this.#areLive(i));
        low.done++;
        if (i.end !== undefined) return this.#end(low, n, i);
        ip = i.next;
      }
    });
  }

  /** Leaves for an address that is known, by a link where that is in the page. */
  #leave(low: RegionLowering, ip: bigint): void {
    if (!this.#inPage(ip)) return low.leave(I64.of(ip));
    let rec = this.#links.get(ip);
    if (rec === undefined) this.#links.set(ip, rec = this.#take());
    low.jump(rec);
  }

  #end(low: RegionLowering, n: Node, i: RegionInsn): void {
    const end = i.end!;
    switch (end.kind) {
      case "dynamic":
        return low.leave(low.expr(end.target) as I64);
      case "jump":
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

/**
 * Decodes the instruction at offset `at` of a page as a translation of `mode` would; undefined when it
 * is not a whole, permitted instruction of that page.
 */
export function decodeInPage(
  page: Uint8Array,
  at: number,
  mode: number,
  has: (feature: string) => boolean,
): DecodedInsn | undefined {
  const insn = decode(page, at, 4096 - at, { bits: (16 << (mode & 3)) as 16 | 32 | 64 });
  if (typeof insn === "string") return undefined;
  const real = isThere(insn, has) ? insn : withoutFeature(insn) ?? insn;
  return isAllowed(real, mode, has) ? real : undefined;
}

/** Whether regions can be made of code of a translation mode. */
export function regionMode(mode: number): boolean {
  const code = mode & Mode.CODE_MASK;
  const flat = code === 1 && (mode & Mode.CS_FLAT) !== 0;
  const alone = Mode.SINGLE | Mode.ALIGN | Mode.ALONE;
  return (code === 2 || flat) && !(mode & alone);
}

/** Makes the code of a region; undefined when the place is better left to tier 0. */
export function buildRegion(
  job: RegionJob,
  has: (feature: string) => boolean,
  limits: MemoryLimits,
): RegionCode | undefined {
  return new RegionBuilder(job, has, limits).build();
}
