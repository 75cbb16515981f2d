/** Control registers and EFER: what a write checks and what follows from it. SDM volume 3, 2.5. */
import type { Cpu } from "./cpu.ts";
import { Attr } from "./cpu.ts";
import { Seg } from "./insn.ts";
import * as S from "./state.ts";
import { Vec } from "./state.ts";

const CR0_PE = 1, CR0_ET = 0x10, CR0_NW = 0x20000000, CR0_CD = 0x40000000, CR0_PG = 0x80000000;
const CR0_DEFINED = 0xe005003f;
const EFER_LME = 0x100, EFER_LMA = 0x400;
const CR4_PSE = 0x10, CR4_DE = 8, CR4_PAE = 0x20, CR4_PGE = 0x80, CR4_LA57 = 0x1000;
const CR4_PCIDE = 0x20000, CR4_SMEP = 0x100000;
/** Bits whose change by MOV makes PAE paging load its PDPTEs. SDM volume 3, 4.4.1. */
const CR0_PDPTES = CR0_PG | CR0_CD | CR0_NW, CR4_PDPTES = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;
/** Physical address bits, as the page walk has them. */
const PHYSICAL_BITS = 40n;

/** CR4 bits that a CPU model without the feature refuses. */
const CR4_FEATURES: readonly (readonly [bit: number, feature: string])[] = [
  [1 << 0, "vme"],
  [1 << 1, "vme"],
  [1 << 2, "tsc"],
  [1 << 3, "de"],
  [1 << 4, "pse"],
  [1 << 5, "pae"],
  [1 << 6, "mce"],
  [1 << 7, "pge"],
  [1 << 9, "fxsr"],
  [1 << 10, "sse"],
  [1 << 11, "umip"],
  [1 << 12, "la57"],
  [1 << 16, "fsgsbase"],
  [1 << 17, "pcid"],
  [1 << 18, "xsave"],
  [1 << 20, "smep"],
  [1 << 21, "smap"],
  [1 << 22, "pku"],
];

/** CR4 bits the model accepts. RDPMC's enable (bit 8) is always there. */
export function cr4Allowed(cpu: Cpu): number {
  let m = 1 << 8;
  for (const [bit, feature] of CR4_FEATURES) if (cpu.env.model.has(feature)) m |= bit;
  return m;
}

/**
 * Writes CR0, CR3 or CR4. Raises #GP(0) for a value the processor refuses unless `force` (state set by
 * the machine, INIT), which leaves PDPTEs to {@link reloadPdptes}. Translations are dropped where the
 * SDM says so.
 */
export function setControlRegister(cpu: Cpu, n: 0 | 2 | 3 | 4, value: bigint, force = false): void {
  switch (n) {
    case 0:
      return setCr0(cpu, value, force);
    case 2:
      cpu.set64(S.CR2, value);
      return;
    case 3: {
      const keep = (cpu.cr4 & CR4_PCIDE) !== 0 && value >> 63n !== 0n;
      if (!force) {
        value = checkCr3(cpu, value);
        if (usesPdptes(cpu) && !loadPdptes(cpu, value)) cpu.gp();
      }
      cpu.set64(S.CR3, value);
      if (force) cpu.env.mem?.flush();
      else cpu.env.mem?.switchContext(keep);
      return;
    }
    case 4: {
      const v = Number(value & 0xffffffffn);
      if (!force) {
        if (value >> 32n || v & ~cr4Allowed(cpu)) cpu.gp();
        if (cpu.lma && (!(v & CR4_PAE) || (v ^ cpu.cr4) & CR4_LA57)) cpu.gp();
        if (v & ~cpu.cr4 & CR4_PCIDE && (!cpu.lma || cpu.cr3 & 0xfffn)) cpu.gp();
      }
      const old = cpu.cr4;
      if (!force && (old ^ v) & CR4_PDPTES && usesPdptes(cpu, v) && !loadPdptes(cpu, cpu.cr3)) {
        cpu.gp();
      }
      cpu.set64(S.CR4, value);
      if ((old ^ v) & CR4_DE) cpu.env.debugChanged();
      if ((old ^ v) & 0x7210b0) cpu.env.mem?.flush();
      cpu.updateMode();
      return;
    }
  }
}

/**
 * What a MOV to CR3 stores. With CR4.PCIDE bit 63 says that cached translations may be kept; it is
 * not stored. Bits above the physical address are reserved.
 */
function checkCr3(cpu: Cpu, value: bigint): bigint {
  if (!cpu.lma) return value;
  if (cpu.cr4 & CR4_PCIDE) value = BigInt.asUintN(63, value);
  if (value >> PHYSICAL_BITS) cpu.gp();
  return value;
}

/** Whether PAE paging is in use, which has its PDPTEs in registers. */
export function usesPdptes(cpu: Cpu, cr4 = cpu.cr4): boolean {
  return (cpu.cr0 & CR0_PG) !== 0 && (cr4 & CR4_PAE) !== 0 && !cpu.lma;
}

const pdptes = new Int32Array(2 * S.PDPTES);

/** Reads the entries that `cr3` points to into {@link pdptes}; false when a reserved bit is set in one. */
function readPdptes(cpu: Cpu, cr3: bigint): boolean {
  const table = Number(cr3 & 0xffffffe0n) & cpu.get32(S.A20_MASK);
  let valid = true;
  for (let n = 0; n < pdptes.length; n += 2) {
    const at = (table >>> 0) + 4 * n;
    const lo = cpu.env.phys.read(at, 4), hi = cpu.env.phys.read(at + 4, 4);
    pdptes[n] = lo;
    pdptes[n + 1] = hi;
    if (lo & 1 && (lo & 0x1e6 || hi >>> Number(PHYSICAL_BITS - 32n))) valid = false;
  }
  return valid;
}

/** Whether PAE paging could use the PDPTEs at `cr3`: none that is present has a reserved bit set. */
export function validPdptes(cpu: Cpu, cr3: bigint): boolean {
  return readPdptes(cpu, cr3);
}

/** Loads the PDPTE registers, or keeps them and gives false when {@link validPdptes} does. */
export function loadPdptes(cpu: Cpu, cr3: bigint): boolean {
  if (!readPdptes(cpu, cr3)) return false;
  cpu.i32.set(pdptes, S.PDPTE >> 2);
  return true;
}

/** Loads the PDPTE registers when PAE paging is in use; an entry that is not valid is as if absent. */
export function reloadPdptes(cpu: Cpu): void {
  if (!usesPdptes(cpu)) return;
  readPdptes(cpu, cpu.cr3);
  for (let n = 0; n < pdptes.length; n += 2) {
    if (pdptes[n] & 0x1e6 || pdptes[n + 1] >>> Number(PHYSICAL_BITS - 32n)) pdptes[n] = 0;
  }
  cpu.i32.set(pdptes, S.PDPTE >> 2);
}

function setCr0(cpu: Cpu, value: bigint, force: boolean): void {
  let v = Number(value & 0xffffffffn) >>> 0;
  const old = cpu.cr0;
  if (!force) {
    if (value >> 32n) cpu.gp();
    if (v & CR0_PG && !(v & CR0_PE)) cpu.gp();
    if (v & CR0_NW && !(v & CR0_CD)) cpu.gp();
    if (v & CR0_PG && !(old & CR0_PG) && cpu.efer & EFER_LME) {
      if (!(cpu.cr4 & CR4_PAE) || cpu.attr(Seg.CS) & Attr.L) cpu.gp();
      // Nor with a 16-bit TSS.
      if (!(cpu.attr(S.TR) & 8)) cpu.gp();
    }
    if (!(v & CR0_PG) && old & CR0_PG && (cpu.long || cpu.cr4 & CR4_PCIDE)) cpu.gp();
  }
  v = ((v & CR0_DEFINED) | CR0_ET) >>> 0;
  const pae = v & CR0_PG && cpu.cr4 & CR4_PAE && !(cpu.efer & EFER_LME);
  if (!force && (old ^ v) & CR0_PDPTES && pae && !loadPdptes(cpu, cpu.cr3)) cpu.gp();
  cpu.set64(S.CR0, BigInt(v));
  const efer = cpu.efer;
  if (efer & EFER_LME) {
    const lma = v & CR0_PG ? efer | EFER_LMA : efer & ~EFER_LMA;
    cpu.set64(S.EFER, BigInt(lma >>> 0));
  }
  if ((old ^ v) & CR0_PE) cpu.refreshSegments();
  if ((old ^ v) & (CR0_PG | 0x10000 | CR0_PE)) cpu.env.mem?.flush();
  cpu.updateMode();
}

/** Writes EFER; raises #GP(0) for bits the model has not. */
export function setEfer(cpu: Cpu, value: bigint, force = false): void {
  const v = Number(value & 0xffffffffn), old = cpu.efer;
  if (!force) {
    let allowed = 0;
    if (cpu.env.model.has("syscall")) allowed |= 1;
    if (cpu.env.model.has("lm")) allowed |= EFER_LME | EFER_LMA;
    if (cpu.env.model.has("nx")) allowed |= 0x800;
    if (cpu.env.model.has("fxsr-opt")) allowed |= 0x4000;
    if (value >> 32n || v & ~allowed) cpu.gp();
    if ((v ^ old) & EFER_LME && cpu.cr0 & CR0_PG) cpu.gp();
    cpu.set64(S.EFER, BigInt(((v & ~EFER_LMA) | (old & EFER_LMA)) >>> 0));
  } else cpu.set64(S.EFER, value);
  if ((old ^ v) & 0x800) cpu.env.mem?.flush();
  cpu.updateMode();
}

/** Exceptions whose delivery escalates to a double fault when they meet each other. SDM table 6-5. */
export function isContributory(vector: number): boolean {
  return vector === Vec.DE || (vector >= Vec.TS && vector <= Vec.GP);
}
