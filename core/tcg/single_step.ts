/** What holds for an instruction that ran alone, or for an interrupted repetition, once it has run. */
import type { Cpu } from "../x86/cpu.ts";
import { debugTrap, Dr6, singleStepsBranches } from "../x86/debug.ts";
import type { Insn } from "../x86/insn.ts";
import * as S from "../x86/state.ts";
import { Fl, Rec } from "../x86/state.ts";
import type { Block } from "./translate.ts";
import type { TcgVm } from "./vm.ts";

/** Instructions that may end with another TF, which then decides on the trap. */
const BY_NEW_TF = new Set(["INT", "INT1", "INT3", "INTO", "SYSCALL", "SYSRET"]);

/** String instructions, which a REP prefix repeats. */
const STRINGS = new Set(["MOVS", "STOS", "LODS", "CMPS", "SCAS", "INS", "OUTS"]);
const repeats = (i: Insn): boolean => i.rep !== 0 && STRINGS.has(i.row.name);

/** An instruction has run alone: what held for it only is over. */
export function endAlone(cpu: Cpu, shadow: number): void {
  if (shadow !== 0) cpu.set32(S.SHADOW, 0);
  cpu.alone = false;
  cpu.updateMode();
}

/**
 * Single-step traps after a block of one instruction, which began with this TF; `breaks`: there are
 * fetch breakpoints. SDM volume 3, 17.3.1.4.
 */
export function trapAfterAlone(
  cpu: Cpu,
  vm: TcgVm,
  block: Block,
  tf: boolean,
  breaks: boolean,
): void {
  const i = vm.cache.insns.get(block.rec);
  if (i === undefined) return;
  const next = nextIp(cpu, vm, block.rec, i.length);
  if (repeats(i) && cpu.rip === block.ip) {
    if (BigInt(cpu.reg(1, i.addrSize)) === 0n) cpu.rip = next;
    else if (breaks) cpu.setFlags(Fl.RF, Fl.RF);
  }
  if (!tf || cpu.get32(S.SHADOW) === S.SHADOW_SS) return;
  // Gates clear TF and with it the trap; SYSCALL and SYSRET trap by the flag they leave.
  if (BY_NEW_TF.has(i.row.name) && !(cpu.get32(S.FLAG_SYS) & Fl.TF)) return;
  if (singleStepsBranches(cpu) && cpu.rip === next) return;
  debugTrap(cpu, Dr6.BS);
}

/** A fetch breakpoint is not met again by the rest of an interrupted repetition. */
export function amidRepetition(cpu: Cpu, vm: TcgVm, rec: number): void {
  const i = vm.cache.insns.get(rec);
  if (i === undefined || !repeats(i)) return;
  if (cpu.rip === vm.memory.view.getBigUint64(rec + Rec.IP, true)) cpu.setFlags(Fl.RF, Fl.RF);
}

function nextIp(cpu: Cpu, vm: TcgVm, rec: number, length: number): bigint {
  const ip = vm.memory.view.getBigUint64(rec + Rec.IP, true) + BigInt(length);
  return cpu.long ? ip : ip & 0xffffffffn;
}
