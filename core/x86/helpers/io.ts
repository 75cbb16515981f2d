/** Port input and output, single and string, with the TSS I/O permission map. SDM volume 1, chapter 18. */
import { type Cpu, defineHelper, type Lin } from "../cpu.ts";
import { portAccessed } from "../debug.ts";
import { type Insn, type MemOperand, Seg } from "../insn.ts";
import * as S from "../state.ts";
import { Fl, Mode } from "../state.ts";

/** Raises #GP(0) unless the current privilege may access `bytes` ports from `port`. */
function checkPort(cpu: Cpu, port: number, bytes: number): void {
  if (!cpu.pe || (!cpu.vm86 && cpu.cpl <= cpu.iopl)) return;
  const limit = cpu.segLimit(S.TR), base = cpu.segBase(S.TR);
  if (!(cpu.attr(S.TR) & 8) || limit < 0x67) cpu.gp(0);
  const at = (n: number): Lin =>
    cpu.lma ? BigInt.asUintN(64, base + BigInt(n)) : (Number(base) + n) >>> 0;
  const map = cpu.env.mem.read(at(0x66), 2, true) + (port >> 3);
  if (map + 1 > limit) cpu.gp(0);
  const bits = cpu.env.mem.read(at(map), 2, true) >> (port & 7);
  if (bits & ((1 << bytes) - 1)) cpu.gp(0);
}

function portOf(cpu: Cpu, i: Insn, n: number): number {
  const o = i.operands[n];
  return o.kind === "imm" ? o.value & 0xff : cpu.reg16(2);
}

type Bytes = 1 | 2 | 4;

/** String I/O goes through the machine at most this often before interrupts are looked at again. */
const MAX_ROUNDS = 4096;

function stringIo(input: boolean) {
  return (cpu: Cpu, i: Insn): void => {
    const m = i.operands[input ? 0 : 1] as MemOperand;
    const bytes = (m.size >> 3) as Bytes, port = cpu.reg16(2);
    checkPort(cpu, port, bytes);
    const index = input ? 7 : 6, seg = input ? Seg.ES : m.seg;
    const bits = i.addrSize, mem = cpu.env.mem;
    const step = cpu.get32(S.FLAG_SYS) & Fl.DF ? -bytes : bytes;
    cpu.env.countExit("io");
    const rep = i.rep !== 0;
    for (let round = 0;; round++) {
      if (rep) {
        if (BigInt(cpu.reg(1, bits)) === 0n) return;
        if (round === MAX_ROUNDS) {
          return again(cpu, i);
        }
      }
      const offset = cpu.reg(index, bits);
      const lin = cpu.linear(seg, offset, bytes, input);
      if (input) {
        cpu.checkAlignment(lin, bytes);
        mem.checkWrite(lin, bytes);
        mem.write(lin, bytes, cpu.env.io.read(port, bytes));
      } else cpu.env.io.write(port, bytes, mem.read(lin, bytes));
      if (cpu.portBreakpoints.length !== 0) portAccessed(cpu, port, bytes);
      add(cpu, index, bits, step);
      if (!rep) return;
      add(cpu, 1, bits, -1);
      // Traps come behind each round.
      if ((cpu.mode & Mode.SINGLE || cpu.debugTraps !== 0) && BigInt(cpu.reg(1, bits)) !== 0n) {
        return again(cpu, i);
      }
    }
  };
}

/** Goes on with the rest after pending events: the instruction is not finished. */
function again(cpu: Cpu, i: Insn): void {
  cpu.rip = cpu.nextRip - BigInt(i.length);
  if (!cpu.long) cpu.rip &= 0xffffffffn;
}

function add(cpu: Cpu, n: number, bits: number, by: number): void {
  if (bits === 64) cpu.setReg64(n, BigInt.asUintN(64, cpu.reg64(n) + BigInt(by)));
  else if (bits === 32) cpu.setReg32(n, cpu.reg32(n) + by);
  else cpu.setReg16(n, (cpu.reg16(n) + by) & 0xffff);
}

export function ioHelpers(): void {
  defineHelper("IN", (cpu, i) => {
    const bytes = (i.operands[0].size >> 3) as Bytes, port = portOf(cpu, i, 1);
    checkPort(cpu, port, bytes);
    cpu.env.countExit("io");
    const v = cpu.env.io.read(port, bytes);
    if (bytes === 4) cpu.setReg32(0, v);
    else if (bytes === 2) cpu.setReg16(0, v);
    else cpu.setReg8(0, v);
    if (cpu.portBreakpoints.length !== 0) portAccessed(cpu, port, bytes);
  });
  defineHelper("OUT", (cpu, i) => {
    const bytes = (i.operands[1].size >> 3) as Bytes, port = portOf(cpu, i, 0);
    checkPort(cpu, port, bytes);
    cpu.env.countExit("io");
    const mask = bytes === 4 ? 0xffffffff : bytes === 2 ? 0xffff : 0xff;
    cpu.env.io.write(port, bytes, (cpu.reg32(0) & mask) >>> 0);
    if (cpu.portBreakpoints.length !== 0) portAccessed(cpu, port, bytes);
  });
  defineHelper("INS", stringIo(true));
  defineHelper("OUTS", stringIo(false));
}
