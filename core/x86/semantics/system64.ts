/**
 * System instructions that came with long mode and after it: fast system calls, segment bases, SMAP's
 * AC switch, XSAVE, protection keys, process-context identifiers, random numbers. Intel SDM volume 2.
 */
import type { I32 } from "../../wasm/expr.ts";
import { type Cpu, defineHelper } from "../cpu.ts";
import { isCanonical } from "../canonical.ts";
import { syscallHelpers } from "../helpers/syscall.ts";
import { xsaveHelpers } from "../helpers/xsave.ts";
import { type Insn, type MemOperand, Seg } from "../insn.ts";
import { G, type HelperCall } from "../ir.ts";
import * as S from "../state.ts";
import { Fl, Vec } from "../state.ts";
import { define, type Emit } from "./emit.ts";
import { xsaveSemantics } from "./xsave.ts";

const CR4_FSGSBASE = 0x10000, CR4_PCIDE = 0x20000;

/** RDFSBASE, WRFSBASE and their GS twins. */
function segmentBase(seg: Seg, write: boolean) {
  const at = S.SEGS + S.SEG_SIZE * seg + S.SEG_BASE;
  return (e: Emit): void => {
    e.raiseIf(e.field32(S.CR4).and(CR4_FSGSBASE).eqz(), Vec.UD);
    if (!write) {
      const base = e.field64(at);
      return e.wr(0, e.size(0) === 64 ? base : base.wrap());
    }
    const v = e.rd(0);
    if (e.size(0) === 64) e.checkTarget(v);
    e.setField(8, at, e.size(0) === 64 ? v : (v as unknown as I32).extend_u());
  };
}

/** CLAC and STAC: above CPL 0 they do not exist. */
function accessCheck(on: boolean) {
  return (e: Emit): void => {
    if (e.vm86) {
      e.raise(Vec.UD);
      e.ended = true;
      return;
    }
    e.raiseIf(e.field32(S.CPL).ne(0), Vec.UD);
    const fl = e.sysFlags();
    if (!on) e.f.if(e.field32(S.SMAP_PAGES).ne(0), () => e.helper("CLOSE_USER_PAGES"));
    e.setField(4, S.FLAG_SYS, on ? fl.or(Fl.AC) : fl.and(~Fl.AC));
  };
}

/** INVPCID. SDM volume 3, 4.10.4.1. */
function invpcid(cpu: Cpu, i: Insn): void {
  const m = i.operands[1] as MemOperand;
  const type = BigInt(cpu.readOperand(i, 0));
  const lin = cpu.linear(m.seg, cpu.ea(m), 16, false);
  const low = cpu.env.mem.read64(lin);
  const address = cpu.env.mem.read64(typeof lin === "bigint" ? lin + 8n : (lin + 8) >>> 0);
  const pcid = low & 0xfffn;
  if (type > 3n || low >> 12n) cpu.gp(0);
  if (type < 2n && pcid !== 0n && !(cpu.cr4 & CR4_PCIDE)) cpu.gp(0);
  if (type === 0n) {
    if (!isCanonical(cpu, address)) cpu.gp(0);
    const page = cpu.lma ? address : Number(address & 0xffffffffn);
    return cpu.env.mem.flushContextPage(Number(pcid), page);
  }
  if (type === 1n) cpu.env.mem.flushContext(Number(pcid));
  else if (type === 2n) cpu.env.mem.flush();
  else cpu.env.mem.flushContexts();
}

/** RDRAND and RDSEED: always succeed. CF is 1, the other arithmetic flags 0. */
function random(cpu: Cpu, i: Insn): void {
  const bits = i.operands[0].size;
  cpu.writeOperand(i, 0, BigInt.asUintN(bits, cpu.env.random()));
  cpu.setFlags(Fl.CF, Fl.CF | Fl.PF | Fl.AF | Fl.ZF | Fl.SF | Fl.OF);
}

/** CLFLUSH and its relatives: nothing is cached, but the byte must be readable. */
function cacheLine(cpu: Cpu, i: Insn): void {
  const m = i.operands[0] as MemOperand;
  cpu.env.mem.checkRead(cpu.linear(m.seg, cpu.ea(m), 1, false), 1);
}

export function system64Semantics(): void {
  syscallHelpers();
  xsaveHelpers();
  defineHelper("CLOSE_USER_PAGES", (cpu) => cpu.env.mem.closeUserPages());
  defineHelper("INVPCID", invpcid);
  defineHelper("RDRAND", random);
  defineHelper("CLFLUSH", cacheLine);
  for (const n of ["SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT"]) {
    define(n, (e) => {
      e.ended = true;
      e.f.guest(G.HELPER, [], { name: n, ends: true, bytes: e.opSize >> 3 } satisfies HelperCall);
    });
  }
  define("SWAPGS", (e) => {
    const at = S.SEGS + S.SEG_SIZE * Seg.GS + S.SEG_BASE, base = e.field64(at);
    e.setField(8, at, e.field64(S.IA32_KERNEL_GS_BASE));
    e.setField(8, S.IA32_KERNEL_GS_BASE, base);
  });
  for (const n of ["XSETBV", "INVPCID", "WRPKRU"]) {
    define(n, (e) => e.helper(n, true));
  }
  define("RDPKRU", (e) => e.helper("RDPKRU"));
  xsaveSemantics();
  define(["RDRAND", "RDSEED"], (e) => e.helper("RDRAND"));
  define(["CLFLUSH", "CLFLUSHOPT", "CLWB"], (e) => e.helper("CLFLUSH"));
  define("RDFSBASE", segmentBase(Seg.FS, false));
  define("RDGSBASE", segmentBase(Seg.GS, false));
  define("WRFSBASE", segmentBase(Seg.FS, true));
  define("WRGSBASE", segmentBase(Seg.GS, true));
  define("CLAC", accessCheck(false));
  define("STAC", accessCheck(true));
}
