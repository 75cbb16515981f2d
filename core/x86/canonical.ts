/** Canonical addresses of 64-bit mode. Intel SDM volume 1, 3.3.7.1; volume 3, 4.5 for 57 bits. */
import type { Cpu } from "./cpu.ts";
import { type Insn, Seg } from "./insn.ts";

const CR4_LA57 = 0x1000;

/** Bits of a linear address that paging uses: 57 with CR4.LA57, else 48. */
export function addressBits(cpu: Cpu): number {
  return cpu.cr4 & CR4_LA57 ? 57 : 48;
}

/** Whether the bits above those that paging uses repeat the highest of them. */
export function isCanonical(cpu: Cpu, v: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(addressBits(cpu), v)) === v;
}

/** Operations that use the stack besides their operands. */
const STACK = /^(PUSH|POP|CALL|RET|IRET|ENTER|LEAVE)/;

/**
 * Whether an access to a non-canonical address raises #SS: it goes through SS, because the
 * instruction's memory operand does or because it pushes or pops there. SDM volume 3, 6.15, #SS.
 */
export function throughStack(cpu: Cpu, i: Insn, lin: bigint): boolean {
  const m = i.operands.find((o) => o.kind === "mem");
  if (m === undefined || m.size === 0) return STACK.test(i.row.name);
  if (!STACK.test(i.row.name)) return m.seg === Seg.SS;
  let at = BigInt(cpu.ea(m));
  if (m.seg === Seg.FS || m.seg === Seg.GS) at += cpu.segBase(m.seg);
  const behind = BigInt.asUintN(64, lin - at);
  return behind >= BigInt(m.size >> 3) || m.seg === Seg.SS;
}
