/**
 * System management mode: entry on an SMI, the state save map, RSM. Intel SDM volume 3, chapter 31
 * (32-bit map: table 31-1); AMD APM volume 2, chapter 10 (64-bit map: table 10-1). The map is AMD's
 * where the CPU has long mode, else Intel's, as KVM chooses; fields and revision are QEMU's.
 */
import { cr4Allowed, reloadPdptes, setControlRegister, setEfer } from "./control.ts";
import { Attr, type Cpu, defineHelper } from "./cpu.ts";
import { log, LogItem, logMask } from "../log.ts";
import { Seg } from "./insn.ts";
import * as S from "./state.ts";
import { Fl } from "./state.ts";

export const SMBASE_RESET = 0x30000;
/** The save area and the entry point, from SMBASE. */
const SAVE_AREA = 0x8000, ENTRY = 0x8000;
/** Revision: the format, and bit 17, SMBASE may be relocated. I/O restart (bit 16) is not offered. */
const REVISION_32 = 0x20000, REVISION_64 = 0x20064;

const MSR_SMI_COUNT = 0x34;
const CR0_PE = 1, CR0_EM = 4, CR0_TS = 8, CR0_NW = 0x20000000, CR0_CD = 0x40000000;
const CR0_PG = 0x80000000;
const EFER_LMA = 0x400, CR4_PAE = 0x20;

/** Offsets from SMBASE + 8000h. Registers in encoding order are at `gpr - step * n`. */
interface SaveMap {
  readonly revision: number;
  readonly wide: boolean;
  readonly revisionAt: number;
  readonly smbase: number;
  readonly halted: number;
  readonly gpr: readonly number[];
  readonly rip: number;
  readonly rflags: number;
  readonly dr6: number;
  readonly dr7: number;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly gdtr: TablePlace;
  readonly idtr: TablePlace;
  /** ES, CS, SS, DS, FS, GS, LDTR, TR. */
  readonly segments: readonly SegmentPlace[];
}
interface TablePlace {
  readonly base: number;
  readonly limit: number;
}
interface SegmentPlace extends TablePlace {
  readonly selector: number;
  readonly attributes: number;
}

const wideSegment = (at: number): SegmentPlace => ({
  selector: at,
  attributes: at + 2,
  limit: at + 4,
  base: at + 8,
});

const MAP_64: SaveMap = {
  revision: REVISION_64,
  wide: true,
  revisionAt: 0x7efc,
  smbase: 0x7f00,
  halted: 0x7ec9,
  gpr: Array.from({ length: 16 }, (_, n) => 0x7ff8 - 8 * n),
  rip: 0x7f78,
  rflags: 0x7f70,
  dr6: 0x7f68,
  dr7: 0x7f60,
  cr0: 0x7f58,
  cr3: 0x7f50,
  cr4: 0x7f48,
  gdtr: { base: 0x7e68, limit: 0x7e64 },
  idtr: { base: 0x7e88, limit: 0x7e84 },
  segments: [0x7e00, 0x7e10, 0x7e20, 0x7e30, 0x7e40, 0x7e50, 0x7e70, 0x7e90].map(wideSegment),
};
const EFER_AT = 0x7ed0;

const narrowSegment = (selector: number, at: number): SegmentPlace => ({
  selector,
  attributes: at,
  limit: at + 4,
  base: at + 8,
});

const MAP_32: SaveMap = {
  revision: REVISION_32,
  wide: false,
  revisionAt: 0x7efc,
  smbase: 0x7ef8,
  halted: 0x7f02,
  gpr: [0x7fd0, 0x7fd4, 0x7fd8, 0x7fdc, 0x7fe0, 0x7fe4, 0x7fe8, 0x7fec],
  rip: 0x7ff0,
  rflags: 0x7ff4,
  dr6: 0x7fcc,
  dr7: 0x7fc8,
  cr0: 0x7ffc,
  cr3: 0x7ff8,
  cr4: 0x7f14,
  gdtr: { base: 0x7f74, limit: 0x7f70 },
  idtr: { base: 0x7f58, limit: 0x7f54 },
  segments: [
    narrowSegment(0x7fa8, 0x7f84),
    narrowSegment(0x7fac, 0x7f90),
    narrowSegment(0x7fb0, 0x7f9c),
    narrowSegment(0x7fb4, 0x7f2c),
    narrowSegment(0x7fb8, 0x7f38),
    narrowSegment(0x7fbc, 0x7f44),
    narrowSegment(0x7fc0, 0x7f78),
    narrowSegment(0x7fc4, 0x7f5c),
  ],
};

const mapOf = (cpu: Cpu): SaveMap => cpu.env.model.has("lm") ? MAP_64 : MAP_32;

/** The save area in physical memory; pointers are as wide as the map's. */
class SaveArea {
  readonly #base: number;
  constructor(readonly cpu: Cpu, readonly map: SaveMap) {
    this.#base = (cpu.smbase + SAVE_AREA) >>> 0;
  }
  get(at: number, bytes: 1 | 2 | 4 = 4): number {
    return this.cpu.env.phys.read(this.#base + at, bytes);
  }
  put(at: number, v: number, bytes: 1 | 2 | 4 = 4): void {
    this.cpu.env.phys.write(this.#base + at, bytes, v >>> 0);
  }
  getWide(at: number): bigint {
    const lo = BigInt(this.get(at));
    return this.map.wide ? lo | (BigInt(this.get(at + 4)) << 32n) : lo;
  }
  putWide(at: number, v: bigint): void {
    this.put(at, Number(v & 0xffffffffn));
    if (this.map.wide) this.put(at + 4, Number((v >> 32n) & 0xffffffffn));
  }
}

/** The accelerator has to show SMRAM first. @param halted the SMI has ended a HLT */
export function enterSmm(cpu: Cpu, halted: boolean): void {
  const map = mapOf(cpu), a = new SaveArea(cpu, map);
  if (logMask & LogItem.int) log("int", "SMM: enter");
  map.segments.forEach((p, n) => {
    a.put(p.selector, cpu.selector(n), map.wide ? 2 : 4);
    a.put(p.attributes, cpu.attr(n) & 0xf0ff, map.wide ? 2 : 4);
    a.put(p.limit, cpu.segLimit(n));
    a.putWide(p.base, cpu.segBase(n));
  });
  a.putWide(map.gdtr.base, cpu.get64(S.GDTR_BASE));
  a.put(map.gdtr.limit, cpu.get32(S.GDTR_LIMIT));
  a.putWide(map.idtr.base, cpu.get64(S.IDTR_BASE));
  a.put(map.idtr.limit, cpu.get32(S.IDTR_LIMIT));
  map.gpr.forEach((at, n) => a.putWide(at, cpu.reg64(n)));
  a.putWide(map.rip, cpu.rip);
  a.put(map.rflags, cpu.flags);
  a.put(map.dr6, cpu.get32(S.DR + 48));
  a.put(map.dr7, cpu.get32(S.DR + 56));
  a.put(map.cr0, cpu.cr0);
  a.putWide(map.cr3, cpu.cr3);
  a.put(map.cr4, cpu.cr4);
  if (map.wide) a.putWide(EFER_AT, cpu.get64(S.EFER));
  a.put(map.revisionAt, map.revision);
  a.put(map.smbase, cpu.smbase);
  a.put(map.halted, halted ? 1 : 0, map.wide ? 1 : 2);

  cpu.smm = true;
  cpu.msrs.set(MSR_SMI_COUNT, (cpu.msrs.get(MSR_SMI_COUNT) ?? 0n) + 1n);
  cpu.set32(S.SHADOW, 0);
  cpu.setFlags(2);
  cpu.setCpl(0);
  const cr0 = cpu.cr0 & ~(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
  setControlRegister(cpu, 0, BigInt(cr0 >>> 0), true);
  setEfer(cpu, 0n, true);
  setControlRegister(cpu, 4, 0n, true);
  cpu.set64(S.DR + 56, 0x400n);
  cpu.env.debugChanged();
  const attr = Attr.P | Attr.S | Attr.G | 3;
  for (const n of [Seg.ES, Seg.SS, Seg.DS, Seg.FS, Seg.GS]) {
    cpu.setSegment(n, 0, 0, 0xffffffff, attr);
  }
  cpu.setSegment(Seg.CS, (cpu.smbase >>> 4) & 0xffff, cpu.smbase, 0xffffffff, attr);
  cpu.rip = BigInt(ENTRY);
  cpu.updateMode();
}

/** Whether a saved state is one that RSM accepts; it shuts the processor down otherwise. */
function acceptable(cpu: Cpu, cr0: number, cr4: number, efer: bigint): boolean {
  if (cr0 & CR0_PG && !(cr0 & CR0_PE)) return false;
  if (cr0 & CR0_NW && !(cr0 & CR0_CD)) return false;
  if (cr4 & ~cr4Allowed(cpu)) return false;
  return !(efer & BigInt(EFER_LMA)) || (cr0 & CR0_PG) === 0 || (cr4 & CR4_PAE) !== 0;
}

/**
 * RSM: takes the state back from the save area.
 * @returns `running`; `halted` when the HLT that the SMI ended goes on; `shutdown` for a bad state
 */
export function leaveSmm(cpu: Cpu): "running" | "halted" | "shutdown" {
  const map = mapOf(cpu), a = new SaveArea(cpu, map);
  if (logMask & LogItem.int) log("int", "SMM: after RSM");
  const cr0 = a.get(map.cr0), cr4 = a.get(map.cr4);
  const efer = map.wide ? a.getWide(EFER_AT) : 0n;
  if (!acceptable(cpu, cr0, cr4, efer)) return "shutdown";
  const halted = (a.get(map.halted, 1) & 1) !== 0;

  setEfer(cpu, efer, true);
  setControlRegister(cpu, 4, BigInt(cr4), true);
  setControlRegister(cpu, 3, a.getWide(map.cr3), true);
  setControlRegister(cpu, 0, BigInt(cr0), true);
  reloadPdptes(cpu);
  map.segments.forEach((p, n) => {
    const attr = a.get(p.attributes, map.wide ? 2 : 4) & 0xf0ff;
    const usable = attr & Attr.P || n === Seg.CS || n === S.TR;
    cpu.setSegment(
      n,
      a.get(p.selector, map.wide ? 2 : 4) & 0xffff,
      a.getWide(p.base),
      a.get(p.limit),
      usable ? attr : attr | Attr.UNUSABLE,
    );
  });
  cpu.set64(S.GDTR_BASE, a.getWide(map.gdtr.base));
  cpu.set32(S.GDTR_LIMIT, a.get(map.gdtr.limit));
  cpu.set64(S.IDTR_BASE, a.getWide(map.idtr.base));
  cpu.set32(S.IDTR_LIMIT, a.get(map.idtr.limit));
  map.gpr.forEach((at, n) => cpu.setReg64(n, a.getWide(at)));
  cpu.rip = a.getWide(map.rip);
  const flags = a.get(map.rflags);
  cpu.setFlags(flags);
  cpu.setCpl(!(cr0 & CR0_PE) ? 0 : flags & Fl.VM ? 3 : (cpu.attr(Seg.SS) >> Attr.DPL_SHIFT) & 3);
  cpu.set64(S.DR + 48, BigInt(a.get(map.dr6)));
  cpu.set64(S.DR + 56, BigInt(a.get(map.dr7)));
  cpu.env.debugChanged();
  if (a.get(map.revisionAt) & 0x20000) cpu.smbase = a.get(map.smbase);
  cpu.smm = false;
  cpu.updateMode();
  return halted ? "halted" : "running";
}

export function smmHelpers(): void {
  defineHelper("RSM", (cpu) => {
    if (!cpu.smm) cpu.ud();
    cpu.env.resume(leaveSmm(cpu));
  });
}
