/**
 * Asks for regions and puts them into place. They are made in a thread beside the vCPUs, or at once
 * where there is none; either way by `region.ts` from a copy of the code's page. Code that has changed
 * by the time its region comes is left alone.
 */
import { log } from "../log.ts";
import type { MemoryLimits } from "../wasm/module.ts";
import type { Cpu } from "../x86/cpu.ts";
import { featureNames } from "../x86/table/row.ts";
import { Rec } from "../x86/state.ts";
import {
  buildRegion,
  REGION_RECORDS,
  type RegionCode,
  type RegionJob,
  regionMode,
} from "./region.ts";
import type { Shapes } from "./shapes.ts";
import type { Block, TranslationCache } from "./translate.ts";

/** What the thread is told first. */
export interface RegionThreadStart {
  readonly features: readonly string[];
  readonly limits: MemoryLimits;
}

/** What the thread is asked, by number. */
export interface RegionThreadJob {
  readonly id: number;
  readonly job: RegionJob;
}

/** What it answers: nothing but the number when there is to be no region. */
export interface RegionThreadAnswer {
  readonly id: number;
  readonly made?: { readonly code: Omit<RegionCode, "bytes">; readonly module: WebAssembly.Module };
}

/** A region that has been asked for. */
interface Wanted {
  readonly cpu: Cpu;
  readonly block: Block;
  readonly job: RegionJob;
  /** The translation cache's count of flushes. */
  readonly flushes: number;
}

/** Most regions that are asked for and not there yet. */
const MAX_WANTED = 64;

export class RegionCompiler {
  /** Use a thread. */
  threaded = false;
  #thread: Worker | undefined;
  readonly #wanted = new Map<number, Wanted>();
  #id = 0;

  constructor(
    readonly cache: TranslationCache,
    readonly shapes: Shapes,
    readonly limits: MemoryLimits,
  ) {}

  /** Regions that the thread has been asked for and has not answered about. */
  get pending(): number {
    return this.#wanted.size;
  }

  /**
   * Asks for the region that begins at `block`; false when too many have been asked for.
   * @param block a translation that is in use
   */
  request(cpu: Cpu, block: Block): boolean {
    const { cache } = this;
    if (!regionMode(block.mode) || block.ranges.length > 1 || !block.valid) return true;
    if (this.#wanted.size >= MAX_WANTED) return false;
    const records = cache.reserve(REGION_RECORDS);
    if (records === 0) return true;
    const at = block.host % 4096;
    const job: RegionJob = {
      page: cache.memory.u8.slice(block.host - at, block.host - at + 4096),
      at,
      ip: block.ip,
      mode: block.mode,
      entered: cache.entered(block),
      records,
    };
    const wanted = { cpu, block, job, flushes: cache.stats.flushes };
    const thread = this.threaded ? this.#start(cpu) : undefined;
    if (thread === undefined) {
      const code = buildRegion(job, (f) => cpu.env.model.has(f), this.limits);
      if (code !== undefined) this.#install(wanted, code, new WebAssembly.Module(code.bytes));
      cache.giveBack(records, REGION_RECORDS, code === undefined ? 0 : used(job, code));
      return true;
    }
    const id = ++this.#id;
    this.#wanted.set(id, wanted);
    thread.postMessage({ id, job } satisfies RegionThreadJob);
    return true;
  }

  /** The thread, started when it is first needed. */
  #start(cpu: Cpu): Worker | undefined {
    if (this.#thread !== undefined) return this.#thread;
    try {
      const url = new URL("region_worker.ts", import.meta.url);
      const thread = new Worker(url, { type: "module", name: "regions" });
      const has = (f: string) => cpu.env.model.has(f);
      thread.postMessage(
        {
          features: [...featureNames].filter(has),
          limits: this.limits,
        } satisfies RegionThreadStart,
      );
      thread.onmessage = (e: MessageEvent<RegionThreadAnswer>) => this.#answer(e.data);
      thread.onerror = (e) => {
        e.preventDefault();
        log("exec", `regions are compiled without a thread: ${e.message}`);
        this.close();
      };
      return this.#thread = thread;
    } catch (e) {
      log("exec", `regions are compiled without a thread: ${(e as Error).message}`);
      this.threaded = false;
      return undefined;
    }
  }

  #answer({ id, made }: RegionThreadAnswer): void {
    const wanted = this.#wanted.get(id);
    this.#wanted.delete(id);
    if (wanted !== undefined && made !== undefined) this.#install(wanted, made.code, made.module);
  }

  #install(w: Wanted, code: Omit<RegionCode, "bytes">, module: WebAssembly.Module): void {
    const { cache } = this, { job, block } = w;
    if (!block.valid || cache.stats.flushes !== w.flushes || cache.hasBreakpoints) return;
    const page = block.host - job.at, { u8 } = cache.memory;
    for (const [at, length] of code.insns) {
      for (let n = at; n < at + length; n++) if (u8[page + n] !== job.page[n]) return;
    }
    for (const [rec, at] of code.records) {
      cache.linkRecord(rec, job.ip + BigInt(at - job.at), true);
    }
    for (const [rec, ip] of code.links) cache.linkRecord(rec, ip, false);
    const index = this.shapes.install(module, "region");
    const ranges = code.insns.map(([at, n]) => [page + at, page + at + n] as const);
    cache.installRegion(block, code.guard, ranges, index, () => this.shapes.release(index));
  }

  /** Ends the thread; what was asked for is forgotten. */
  close(): void {
    this.#thread?.terminate();
    this.#thread = undefined;
    this.threaded = false;
    this.#wanted.clear();
  }
}

/** How many records of its run a region uses. */
function used(job: RegionJob, code: RegionCode): number {
  const last = Math.max(code.guard, ...code.records.map(([r]) => r), ...code.links.map(([r]) => r));
  return (last - job.records) / Rec.SIZE + 1;
}
