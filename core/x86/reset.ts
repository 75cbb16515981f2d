/** The state after power-on and INIT. Intel SDM volume 3, table 10-1. */
import { Attr, type Cpu } from "./cpu.ts";
import { isIntel } from "./helpers/syscall.ts";
import { Seg } from "./insn.ts";
import { SMBASE_RESET } from "./smm.ts";
import * as S from "./state.ts";
import { Vec } from "./state.ts";

/** @param init INIT instead of power-on: the FPU, vector registers and most MSRs stay */
export function resetCpu(cpu: Cpu, init = false): void {
  const keep = init ? cpu.u8.slice(S.FPR, S.LIB) : undefined;
  const a20 = cpu.get32(S.A20_MASK), xcr0 = cpu.get64(S.XCR0), pkru = cpu.get32(S.PKRU);
  cpu.u8.fill(0, 0, S.LIB);
  if (keep) cpu.u8.set(keep, S.FPR);
  cpu.set32(S.A20_MASK, a20);
  const { model } = cpu.env, compacted = model.has("xsavec") || model.has("xsaves");
  cpu.set32(S.COMPACTED_AREAS, compacted ? 1 : 0);
  cpu.set32(S.AMD_CALLS, isIntel(cpu) ? 0 : 1);
  cpu.setFlags(2);
  cpu.set64(S.CR0, 0x60000010n);
  cpu.set64(S.XCR0, init ? xcr0 : 1n);
  cpu.set32(S.PKRU, init ? pkru : 0);
  const data = Attr.P | Attr.S | 3;
  cpu.setCpl(0);
  for (const n of [Seg.ES, Seg.SS, Seg.DS, Seg.FS, Seg.GS]) cpu.setSegment(n, 0, 0, 0xffff, data);
  cpu.setSegment(Seg.CS, 0xf000, 0xffff0000, 0xffff, data | 8);
  cpu.setSegment(S.LDTR, 0, 0, 0xffff, Attr.P | 2);
  cpu.setSegment(S.TR, 0, 0, 0xffff, Attr.P | 11);
  cpu.set32(S.GDTR_LIMIT, 0xffff);
  cpu.set32(S.IDTR_LIMIT, 0xffff);
  cpu.eip = 0xfff0;
  cpu.setReg32(2, cpu.env.cpuid(1, 0).eax);
  cpu.set64(S.DR + 48, 0xffff0ff0n);
  cpu.set64(S.DR + 56, 0x400n);
  if (!init) {
    cpu.msrs.clear();
    cpu.set32(S.FCW, 0x40);
    cpu.set32(S.FEMPTY, 0);
    cpu.set32(S.MXCSR, 0x1f80);
  }
  cpu.smm = false;
  if (!init) cpu.smbase = SMBASE_RESET;
  cpu.debugTraps = 0;
  cpu.alone = false;
  cpu.set32(S.EXC_VECTOR, Vec.DE);
  cpu.updateMode();
  cpu.flushJumpCaches(true);
}
