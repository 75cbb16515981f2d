/**
 * The translation cache: guest code decoded into records of tier 0, block by block, and thrown away
 * when the bytes change. A block is straight-line code; conditional branches inside it fall through to
 * the next record, and it ends with a jump, at its page's end, or after {@link MAX_INSNS}.
 */
import { log, LogItem, logMask, logRaw } from "../log.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import {
  decode,
  type DecodedInsn,
  type DecodeFault,
  MAX_INSN_LENGTH,
  withoutFeature,
} from "../x86/decoder.ts";
import { disassemble, listingLines } from "../x86/disasm.ts";
import { type Cpu, GuestFault } from "../x86/cpu.ts";
import { type Insn, type RelOperand, Seg } from "../x86/insn.ts";
import { assignSlots } from "../x86/semantics/emit.ts";
import * as S from "../x86/state.ts";
import { Mode, Rec, Vec } from "../x86/state.ts";
import { type BlockTable, MODE_ANY } from "./block_table.ts";
import { fieldsOf, number, type Template, Templates } from "./templates.ts";
import type { CodeWatcher, Mmu } from "./mmu.ts";
import { isAllowed, isThere } from "./permitted.ts";
import { type PhysMap, storagePage } from "./physmap.ts";
import type { Shape, Shapes } from "./shapes.ts";

const MAX_INSNS = 64;

/** A translated block. */
export interface Block {
  /** Address of its first record. */
  readonly rec: number;
  readonly records: number;
  /** Storage address of its first byte. */
  readonly host: number;
  readonly ip: bigint;
  readonly mode: number;
  /** CS base it was translated under. */
  readonly cs: bigint;
  /** The same as signed halves: IP, and the CS base, which has 32 bits. */
  readonly key: { readonly ip: number; readonly ipHi: number; readonly cs: number };
  /** Byte ranges of storage it was made from: one, or two when an instruction crosses a page. */
  readonly ranges: readonly (readonly [start: number, end: number])[];
  valid: boolean;
  /** Next block that begins at the same storage address. */
  next: Block | undefined;
  /** Records of jumps that are linked to it. */
  incoming?: number[];
  /** A region that begins here was made, or is not to be. */
  tried?: boolean;
  /** Samples that found the vCPU at its beginning. */
  samples?: number;
  /** Called when it is thrown away. */
  dropped?: () => void;
}

/** Mode bits that a block depends on. */
const KEY_MASK = ~MODE_ANY;

export interface TranslatorHandlers {
  readonly stale: number;
  readonly next: number;
  readonly nextPage: number;
  readonly nextSingle: number;
  readonly breakpoint: number;
}

export class TranslationCache implements CodeWatcher {
  readonly #byHost = new Map<number, Block>();
  /** Blocks by storage page. */
  readonly #pages = new Map<number, Set<Block>>();
  readonly #arena: number;
  readonly #end: number;
  #at: number;
  readonly #i32: Int32Array;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  /** Decoded instructions of records. */
  readonly insns: RecordInsns;
  readonly #templates = new Templates();
  /** The CPU whose features decided what the templates are. */
  #model: unknown;
  /** MMUs whose TLBs must stop writing in place to a page that gets translations. */
  readonly mmus: Mmu[] = [];
  /** Counts for `info jit`. */
  readonly stats = { blocks: 0, flushes: 0, invalidated: 0, regions: 0 };

  constructor(
    readonly memory: GuestMemory,
    readonly phys: PhysMap,
    readonly shapes: Shapes,
    readonly table: BlockTable,
    readonly handlers: TranslatorHandlers,
    arenaBytes: number,
  ) {
    this.#arena = memory.alloc(arenaBytes, 64);
    this.#end = this.#arena + arenaBytes;
    this.#at = this.#arena;
    this.#i32 = new Int32Array(memory.buffer);
    this.insns = new RecordInsns(this.#arena, this.#i32);
    this.#view = memory.view;
    this.#u8 = memory.u8;
  }

  /**
   * The translation of what `cpu` executes next, made if there is none. Throws {@link GuestFault}.
   * @param alone of one instruction, for a region that leaves it to tier 0
   */
  lookup(cpu: Cpu, mmu: Mmu, alone = false): Block {
    cpu.settleJumps();
    const mode = cpu.mode, ip = cpu.get32(S.RIP);
    let lo = ip, hi = 0;
    if ((mode & Mode.CODE_MASK) === 2) hi = cpu.get32(S.RIP + 4);
    else {
      if (!(mode & Mode.CS_FLAT) && ip >>> 0 > cpu.segLimit(Seg.CS)) {
        throw new GuestFault(Vec.GP, 0);
      }
      lo = (ip + cpu.segBase32(Seg.CS)) | 0;
    }
    const phys = mmu.translate(lo, hi, "exec", cpu.cpl === 3);
    const word = this.phys.lookup(phys);
    if (word === 0) return this.#outsideRam(cpu, mmu, lo, hi);
    const host = this.phys.host(word) + (lo & 0xfff);
    const key = mode & KEY_MASK | (alone ? Mode.ALONE : 0),
      cs = cpu.get32(S.SEGS + S.SEG_SIZE * Seg.CS + S.SEG_BASE);
    const ipHi = cpu.get32(S.RIP + 4);
    for (let b = this.#byHost.get(host); b !== undefined; b = b.next) {
      const k = b.key;
      if (k.ip === ip && k.ipHi === ipHi && b.mode === key && k.cs === cs) {
        this.#tell(b);
        return b;
      }
    }
    return this.#translate(cpu, mmu, host, lo, hi, false, alone);
  }

  #outsideRam(cpu: Cpu, mmu: Mmu, lo: number, hi: number): Block {
    // Code in device registers: copy what is there now and forget the block after it ran.
    const scratch = this.memory.u8.subarray(cpu.base + S.LIB, cpu.base + S.LIB + 32);
    const phys = mmu.translate(lo, hi, "exec", cpu.cpl === 3);
    for (let i = 0; i < 16; i++) scratch[i] = this.phys.space.read(phys + i, 1);
    return this.#translate(cpu, mmu, cpu.base + S.LIB, lo, hi, true);
  }

  #translate(
    cpu: Cpu,
    mmu: Mmu,
    host: number,
    lo: number,
    hi: number,
    once = false,
    alone = false,
  ): Block {
    if (this.#at + (MAX_INSNS + 4) * Rec.SIZE > this.#end) this.flush();
    const mode = cpu.mode & KEY_MASK;
    const single = once || (mode & Mode.SINGLE) !== 0, most = alone ? 1 : MAX_INSNS;
    const long = (mode & 3) === 2;
    const bits = (16 << (mode & 3)) as 16 | 32 | 64;
    const decodeMode = { bits };
    const limit = long || mode & Mode.CS_FLAT ? Infinity : cpu.segLimit(Seg.CS);
    const pageEnd = once ? host + 16 : host - (host % 4096) + 4096;
    const startIp = cpu.rip;
    const ranges: [number, number][] = [[host, host]];
    const first = this.#at;
    const i32 = this.#i32;
    let rec = first, at = host, count = 0, ended = false;
    const startLo = cpu.get32(S.RIP) >>> 0, startHi = long ? cpu.get32(S.RIP + 4) : 0;
    // Only the low half of IP matters for in-page arithmetic outside 64-bit mode.
    const ipMask = long ? 0xffffffffffffffffn : 0xffffffffn;
    const asm = (logMask & LogItem.in_asm) !== 0;
    if (asm) logRaw("----------------\nIN: \n");
    const has = (feature: string) => cpu.env.model.has(feature);
    const quick = !once && !asm && limit === Infinity && startLo < 0xfffff000 &&
      this.#breakpoints.size === 0;
    if (this.#model !== cpu.env.model) {
      this.#model = cpu.env.model;
      this.#templates.clear();
    }

    while (!ended) {
      if (quick && pageEnd - at > MAX_INSN_LENGTH) {
        const t = this.#templates.find(this.#view, at, mode);
        if (t !== undefined) {
          const shape = this.#copy(
            t,
            rec,
            at,
            startLo,
            startHi,
            at - host,
            host & 0xfff,
            count,
            long,
          );
          rec += Rec.SIZE;
          count++;
          at += t.insn.length;
          ended = shape.ends;
          if (single || (count >= most && t.insn.row.name !== "STI")) break;
          continue;
        }
      }
      const ip = (startIp + BigInt(at - host)) & ipMask;
      if (this.#breakpoints.size !== 0 && !single) {
        const start = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
        const lin = BigInt.asUintN(long ? 64 : 32, start + ip - startIp);
        if (this.#breakpoints.has(lin)) {
          if (count > 0) break;
          const shape = { index: this.handlers.breakpoint, ends: true, helps: false };
          this.#record(rec, shape, undefined, ip, 0, 0, 0n, false);
          rec += Rec.SIZE;
          at++;
          ended = true;
          break;
        }
      }
      let insn: DecodedInsn | DecodeFault = decode(this.#u8, at, pageEnd - at, decodeMode);
      let shape: Shape | undefined;
      let length = 0, plain = false;
      if (insn === "short") {
        if (count > 0 && !once) break; // the next block begins with the crossing instruction
        const crossing = this.#decodeCrossing(cpu, mmu, at, pageEnd, lo, hi, decodeMode);
        insn = crossing.insn;
        if (crossing.host >= 0 && typeof insn === "object") {
          ranges.push([crossing.host, crossing.host + insn.length - (pageEnd - at)]);
        }
      }
      if (typeof insn === "string") {
        if (insn === "short") throw new GuestFault(Vec.GP, 0);
        shape = insn === "invalid"
          ? this.shapes.raising(Vec.UD, -1)
          : this.shapes.raising(Vec.GP, 0);
        length = 1;
      } else {
        length = insn.length;
        if (!isThere(insn, has)) insn = withoutFeature(insn) ?? insn;
        if (Number(ip & 0xffffffffn) + length - 1 > limit) {
          if (count > 0) break;
          shape = this.shapes.raising(Vec.GP, 0);
        } else if (!isAllowed(insn, mode, has)) shape = this.shapes.raising(Vec.UD, -1);
        else plain = quick && pageEnd - at > MAX_INSN_LENGTH;
      }
      const i = typeof insn === "string" ? undefined : insn;
      const next = (ip + BigInt(length)) & ipMask;
      let target = 0n, samePage = false;
      const rel = i?.operands.find((o) => o.kind === "rel");
      if (i !== undefined && rel !== undefined) {
        const mask = long ? 0xffffffffffffffffn : i.opSize === 16 ? 0xffffn : 0xffffffffn;
        target = (next + BigInt(rel.value as number)) & mask;
        const delta = Number(BigInt.asIntN(64, target - startIp));
        const off = (host & 0xfff) + delta;
        samePage = !once && off >= 0 && off < 4096;
      }
      // An STI at the end of its page cannot shadow the next instruction by itself.
      const last = i?.row.name === "STI" && at + length >= pageEnd;
      shape ??= this.shapes.get(i!, last ? mode | Mode.SINGLE : mode, samePage);
      this.#record(rec, shape, i, ip, length, count, target, rel !== undefined);
      if (plain) this.#remember(i as DecodedInsn, shape, rec, at, mode, rel, samePage);
      if (asm) this.#logInsn(i, (cpu.segBase(Seg.CS) + ip) & ipMask, at, bits);
      rec += Rec.SIZE;
      count++;
      at += length;
      ended = shape.ends;
      if (single || at >= pageEnd) break;
      if (count >= most && i?.row.name !== "STI") break;
    }

    if (!ended) {
      const handler = single
        ? this.handlers.nextSingle
        : at >= pageEnd
        ? this.handlers.nextPage
        : this.handlers.next;
      const w = rec >> 2;
      i32.fill(0, w, w + Rec.SIZE / 4);
      i32[w] = handler;
      this.#view.setUint16(rec + Rec.INDEX, Math.max(count - 1, 0), true);
      this.#view.setBigUint64(rec + Rec.IP, (startIp + BigInt(at - host)) & ipMask, true);
      rec += Rec.SIZE;
    }
    this.#at = rec;
    ranges[0][1] = Math.min(at, pageEnd);
    this.shapes.flush();

    const block: Block = {
      rec: first,
      records: (rec - first) / Rec.SIZE,
      host,
      ip: startIp,
      mode: alone ? mode | Mode.ALONE : mode,
      cs: cpu.segBase(Seg.CS),
      key: {
        ip: Number(BigInt.asIntN(32, startIp)),
        ipHi: Number(BigInt.asIntN(32, startIp >> 32n)),
        cs: cpu.segBase32(Seg.CS) | 0,
      },
      ranges,
      valid: true,
      next: undefined,
    };
    this.stats.blocks++;
    if (once) return block;
    block.next = this.#byHost.get(host);
    this.#byHost.set(host, block);
    for (const [start] of ranges) this.#watch(start, block);
    this.#tell(block);
    return block;
  }

  /** Lets emitted code find a block; of one that crosses a page it would not see the second. */
  #tell(b: Block): void {
    if (b.ranges.length === 1 && !(b.mode & Mode.ALONE)) this.table.put(b);
  }

  /** Remembers an instruction and its record. */
  #remember(
    insn: DecodedInsn,
    shape: Shape,
    rec: number,
    at: number,
    mode: number,
    rel: RelOperand | undefined,
    samePage: boolean,
  ): void {
    const words = this.#i32.slice(rec >> 2, (rec + Rec.SIZE) >> 2);
    words[Rec.HANDLER >> 2] = words[Rec.IP >> 2] = words[(Rec.IP >> 2) + 1] = 0;
    words[Rec.LENGTH >> 2] &= 0xffff;
    this.#templates.add(this.#view, at, {
      mode,
      insn,
      rel,
      fields: fieldsOf(insn, shape),
      shapes: samePage ? [undefined, shape] : [shape, undefined],
      words,
    });
  }

  /**
   * Makes the record of a known instruction.
   * @param at storage address of the instruction
   * @param lo IP of the block's first instruction, and `hi` its upper half
   * @param distance from there in bytes
   * @param offset of the block's first instruction in its page
   */
  #copy(
    t: Template,
    rec: number,
    at: number,
    lo: number,
    hi: number,
    distance: number,
    offset: number,
    index: number,
    long: boolean,
  ): Shape {
    const { words, insn, rel, fields } = t, i32 = this.#i32, w = rec >> 2;
    const ip = lo + distance;
    for (let n = 1; n < words.length; n++) i32[w + n] = words[n];
    i32[w + (Rec.LENGTH >> 2)] |= index << 16;
    i32[w + (Rec.IP >> 2)] = ip;
    i32[w + (Rec.IP >> 2) + 1] = hi;
    if (fields.displacement !== 0) {
      const disp = number(this.#view, at + fields.head, fields.displacement, true);
      i32[w + (Rec.DISP >> 2)] = disp;
      i32[w + (Rec.DISP >> 2) + 1] = disp >> 31;
    }
    const value = fields.immediate !== 0
      ? number(this.#view, at + fields.at, fields.immediate, fields.signed)
      : 0;
    let near: 0 | 1 = 0;
    if (rel !== undefined) {
      const distance = fields.immediate !== 0 ? value : rel.value;
      let target = ip + insn.length + distance;
      if (!long) target = insn.opSize === 16 ? target & 0xffff : target >>> 0;
      const to = offset + target - lo;
      if (to >= 0 && to < 4096) near = 1;
      i32[w + (Rec.IMM >> 2)] = target;
      i32[w + (Rec.IMM >> 2) + 1] = long ? hi + Math.floor(target / 0x100000000) : 0;
    } else if (fields.immediate !== 0) {
      i32[w + (Rec.IMM >> 2)] = value;
      i32[w + (Rec.IMM >> 2) + 1] = value >> 31;
    }
    const shape = t.shapes[near] ??= this.shapes.get(insn, t.mode, near === 1);
    i32[w] = shape.index;
    this.insns.set(rec, insn);
    return shape;
  }

  #watch(start: number, block: Block): void {
    const page = storagePage(start);
    let set = this.#pages.get(page);
    if (set === undefined) {
      this.#pages.set(page, set = new Set());
      this.phys.setCode(start, true);
      for (const m of this.mmus) m.watchCode(start);
    }
    set.add(block);
    this.#noteCode(page, block);
  }

  /** Notes which bytes of a storage page a block was made from. */
  #noteCode(page: number, block: Block): void {
    for (const [start, end] of block.ranges) {
      const from = Math.max(start, page * 4096), to = Math.min(end, page * 4096 + 4096);
      if (from < to) this.phys.addCode(from, to);
    }
  }

  readonly #window = new Uint8Array(32);

  /** Decodes an instruction whose bytes go on in the next page. */
  #decodeCrossing(
    cpu: Cpu,
    mmu: Mmu,
    at: number,
    pageEnd: number,
    lo: number,
    hi: number,
    mode: { bits: 16 | 32 | 64 },
  ): { insn: DecodedInsn | DecodeFault; host: number } {
    const here = pageEnd - at, w = this.#window;
    w.set(this.#u8.subarray(at, pageEnd));
    const next = ((lo & ~0xfff) + 4096) | 0;
    const phys = mmu.translate(next, next === 0 ? hi + 1 : hi, "exec", cpu.cpl === 3);
    const word = this.phys.lookup(phys);
    let host = -1;
    if (word !== 0) {
      host = this.phys.host(word);
      w.set(this.#u8.subarray(host, host + 16), here);
    } else for (let i = 0; i < 16; i++) w[here + i] = this.phys.space.read(phys + i, 1);
    return { insn: decode(w, 0, here + 16, mode), host };
  }

  #record(
    rec: number,
    shape: Shape,
    i: Insn | undefined,
    ip: bigint,
    length: number,
    index: number,
    target: bigint,
    isJump: boolean,
  ): void {
    const w = rec >> 2, i32 = this.#i32, v = this.#view;
    i32.fill(0, w, w + Rec.SIZE / 4);
    i32[w] = shape.index;
    v.setUint8(rec + Rec.LENGTH, length);
    v.setUint16(rec + Rec.INDEX, index, true);
    v.setBigUint64(rec + Rec.IP, ip, true);
    if (i === undefined) return;
    this.insns.set(rec, i);
    const slots = assignSlots(i);
    for (let n = 0; n < slots.offsets.length; n++) {
      v.setUint16(rec + Rec.SLOTS + 2 * n, slots.offsets[n], true);
    }
    if (isJump) v.setBigUint64(rec + Rec.IMM, target, true);
    for (const o of i.operands) {
      if (o.kind === "imm" && !isJump) {
        i32[(rec + Rec.IMM) >> 2] = o.value;
        i32[(rec + Rec.IMM + 4) >> 2] = o.valueHi;
        isJump = true; // a second immediate (ENTER, EXTRQ) is its helper's business
      } else if (o.kind === "mem") {
        i32[(rec + Rec.DISP) >> 2] = o.disp;
        i32[(rec + Rec.DISP + 4) >> 2] = o.dispHi;
      }
    }
  }

  #logInsn(i: DecodedInsn | undefined, ip: bigint, at: number, bits: 16 | 32 | 64): void {
    const line = i === undefined
      ? { address: ip, length: 1, text: `.byte    0x${this.#u8[at].toString(16).padStart(2, "0")}` }
      : { address: ip, length: i.length, text: disassemble(i, ip, bits) };
    for (const text of listingLines(line, this.#u8, at)) logRaw(`${text}\n`);
  }

  /** Offsets in `block`'s page where code has been translated as it was: it has been jumped to. */
  entered(block: Block): Uint16Array {
    const offsets: number[] = [], page = storagePage(block.host);
    for (const b of this.#pages.get(page) ?? []) {
      const same = b.mode === block.mode && b.cs === block.cs && storagePage(b.host) === page;
      if (same) offsets.push(b.host % 4096);
    }
    return Uint16Array.from(offsets);
  }

  /** Takes the place of `count` records; 0 when the cache is full. */
  reserve(count: number): number {
    const rec = this.#at, bytes = count * Rec.SIZE;
    if (rec + bytes > this.#end) return 0;
    this.#at += bytes;
    return rec;
  }

  /** Gives back what of the last {@link reserve} lies behind the first `used` records. */
  giveBack(rec: number, count: number, used: number): void {
    if (this.#at === rec + count * Rec.SIZE) this.#at = rec + used * Rec.SIZE;
  }

  /**
   * Lets table entry `handler` run in place of `entry`'s first record until a byte in `ranges` changes.
   * Record `guard` is the region's own; `dropped` is called when the region is gone.
   */
  installRegion(
    entry: Block,
    guard: number,
    ranges: readonly (readonly [number, number])[],
    handler: number,
    dropped: () => void,
  ): void {
    const w = entry.rec >> 2, before = this.#i32[w];
    const region: Block = {
      ...entry,
      incoming: undefined,
      rec: guard,
      records: 1,
      ranges,
      valid: true,
      next: undefined,
      dropped: () => {
        if (entry.valid && this.#i32[w] === handler) this.#i32[w] = before;
        for (const m of this.mmus) m.cpu.set32(S.KICK, -0x80000000);
        dropped();
      },
    };
    this.#i32[w] = handler;
    this.stats.regions++;
    this.#watch(entry.host, region);
  }

  /** Linear addresses of fetch breakpoints, with how many vCPUs have each. */
  readonly #breakpoints = new Map<bigint, number>();

  /** There are fetch breakpoints: no regions are to be made. */
  get hasBreakpoints(): boolean {
    return this.#breakpoints.size !== 0;
  }

  /** Makes every vCPU come to the run loop at a linear address, until {@link disarmBreakpoint}. */
  armBreakpoint(lin: bigint): void {
    const n = this.#breakpoints.get(lin) ?? 0;
    this.#breakpoints.set(lin, n + 1);
    if (n > 0) return;
    for (const set of this.#pages.values()) {
      for (const b of set) if (b.dropped !== undefined) this.#drop(b);
    }
    this.#dropAt(lin);
  }

  disarmBreakpoint(lin: bigint): void {
    const n = this.#breakpoints.get(lin) ?? 0;
    if (n > 1) this.#breakpoints.set(lin, n - 1);
    else if (this.#breakpoints.delete(lin)) this.#dropAt(lin);
  }

  /** Throws away the translations that contain a linear address. */
  #dropAt(lin: bigint): void {
    for (const chain of [...this.#byHost.values()]) {
      for (let b: Block | undefined = chain; b !== undefined; b = b.next) {
        const long = (b.mode & Mode.CODE_MASK) === 2;
        const start = long ? b.ip : BigInt.asUintN(32, b.ip + b.cs);
        const at = Number(BigInt.asUintN(long ? 64 : 32, lin - start));
        if (at < b.ranges.reduce((n, [from, to]) => n + to - from, 0)) this.#drop(b);
      }
    }
    for (const m of this.mmus) m.cpu.flushJumpCaches(true);
  }

  /** Puts the translation of a jump's target into the jump. */
  link(rec: number, target: Block): void {
    if (!target.valid) return;
    this.#i32[(rec + Rec.LINK) >> 2] = target.rec;
    (target.incoming ??= []).push(rec);
  }

  /**
   * Makes `rec` a record outside any block from which a region jumps to `ip`, in its page.
   * @param alone the instruction there only is left to tier 0
   */
  linkRecord(rec: number, ip: bigint, alone: boolean): void {
    this.#i32.fill(0, rec >> 2, (rec + Rec.SIZE) >> 2);
    this.#view.setUint8(rec + Rec.ALONE, alone ? 1 : 0);
    this.#i32[rec >> 2] = this.handlers.next;
    this.#view.setBigUint64(rec + Rec.IP, ip, true);
  }

  invalidate(host: number, length: number): void {
    const first = storagePage(host), last = storagePage(host + length - 1);
    for (let page = first; page <= last; page++) {
      const set = this.#pages.get(page);
      if (set === undefined) continue;
      let dropped = false;
      for (const b of set) {
        if (!b.ranges.some(([s, e]) => host < e && s < host + length)) continue;
        this.#drop(b);
        dropped = true;
      }
      // A store beside what is left must not come here again.
      if (dropped && set.size > 0) this.#noteAll(page, set);
    }
  }

  #noteAll(page: number, set: ReadonlySet<Block>): void {
    this.phys.clearCode(page * 4096);
    for (const b of set) this.#noteCode(page, b);
  }

  #drop(b: Block): void {
    b.valid = false;
    this.table.drop(b);
    this.stats.invalidated++;
    for (const rec of b.incoming ?? []) {
      if (this.#i32[(rec + Rec.LINK) >> 2] === b.rec) this.#i32[(rec + Rec.LINK) >> 2] = 0;
    }
    // Whoever is inside the block or jumps to it comes back to the run loop at the right RIP.
    for (let n = 0; n < b.records; n++) {
      this.#i32[(b.rec + n * Rec.SIZE) >> 2] = this.handlers.stale;
    }
    let p = this.#byHost.get(b.host);
    if (p === b) {
      if (b.next) this.#byHost.set(b.host, b.next);
      else this.#byHost.delete(b.host);
    } else {
      while (p !== undefined && p.next !== b) p = p.next;
      if (p !== undefined) p.next = b.next;
    }
    for (const [start] of b.ranges) {
      const page = storagePage(start), set = this.#pages.get(page);
      if (set === undefined || !set.delete(b)) continue;
      if (set.size === 0) {
        this.#pages.delete(page);
        this.phys.setCode(start, false);
      } else if (page !== storagePage(b.host)) this.#noteAll(page, set);
    }
    b.dropped?.();
  }

  /** Throws all translations away. Call between blocks only. */
  flush(): void {
    log("exec", "translation cache flushed");
    this.stats.flushes++;
    for (const [page, blocks] of this.#pages) {
      this.phys.setCode(page * 4096, false);
      for (const b of blocks) b.dropped?.();
    }
    this.#pages.clear();
    this.#byHost.clear();
    this.table.clear();
    this.insns.clear();
    this.#at = this.#arena;
    for (const m of this.mmus) m.cpu.flushJumpCaches(true);
  }
}

/** Instructions by the address of their record. */
export class RecordInsns {
  readonly #list: (Insn | undefined)[] = [];
  constructor(readonly arena: number, readonly i32: Int32Array) {}

  /** The instruction of a record; where no helper looks at them, with some displacement and immediate. */
  get(rec: number): Insn | undefined {
    return this.#list[(rec - this.arena) / Rec.SIZE];
  }
  /** The same with its own displacement. */
  exact(rec: number): Insn | undefined {
    const i = this.get(rec);
    if (i === undefined) return undefined;
    const at = (rec + Rec.DISP) >> 2, disp = this.i32[at], dispHi = this.i32[at + 1];
    return { ...i, operands: i.operands.map((o) => o.kind === "mem" ? { ...o, disp, dispHi } : o) };
  }
  set(rec: number, i: Insn): void {
    this.#list[(rec - this.arena) / Rec.SIZE] = i;
  }
  clear(): void {
    this.#list.length = 0;
  }
}
