/** FBLD and FBSTP: packed decimal integers of 18 digits. Intel SDM volume 1, section 4.7. */
import { type Cpu, defineHelper } from "../cpu.ts";
import type { Insn, MemOperand } from "../insn.ts";
import * as S from "../state.ts";
import { Sw } from "../semantics/softfloat.ts";
import { bitLength } from "./x87_math.ts";
import { addLin } from "./x87_env.ts";
import {
  DEFAULT_NAN,
  type Ext,
  isEmpty,
  isUnsupported,
  pop,
  push,
  raise,
  setC1,
  st,
  stackFault,
  unpack,
} from "./x87.ts";

function fromInteger(negative: boolean, v: bigint): Ext {
  const sign = negative ? 0x8000 : 0;
  if (v === 0n) return { h: sign, l: 0n };
  const length = bitLength(v);
  return { h: sign | (0x3fff + length - 1), l: v << BigInt(64 - length) };
}

defineHelper("FBLD", (cpu, i) => {
  const m = i.operands[0] as MemOperand;
  const lin = cpu.linear(m.seg, cpu.ea(m), 10, false);
  const low = cpu.env.mem.read64(lin), high = cpu.env.mem.read(addLin(lin, 8), 2);
  const full = !isEmpty(cpu, 7);
  if (full) {
    if (!stackFault(cpu, true)) push(cpu, DEFAULT_NAN);
    return;
  }
  setC1(cpu, false);
  // Digits above 9 are not checked: each counts by its value.
  let v = 0n;
  const digits = (BigInt(high & 0xff) << 64n) | low;
  for (let n = 17; n >= 0; n--) v = v * 10n + ((digits >> BigInt(4 * n)) & 15n);
  push(cpu, fromInteger((high & 0x8000) !== 0, v));
});

const LIMIT = 10n ** 18n;
/** The packed BCD indefinite: FFFF C000000000000000h. */
const INDEFINITE = (0xffffn << 64n) | (3n << 62n);

/** ST(0) as packed decimal, with its exceptions; undefined when an unmasked one suppresses it. */
function packed(cpu: Cpu): bigint | undefined {
  if (isEmpty(cpu, 0)) return stackFault(cpu, false) ? undefined : INDEFINITE;
  setC1(cpu, false);
  const v = st(cpu, 0);
  const { negative, m, e } = unpack(v);
  let size = 0n, rest = 0, inexact = false, up = false;
  const invalid = isUnsupported(v) || e >= 0;
  if (!invalid) {
    const shift = BigInt(Math.min(-e, 130));
    size = m >> shift;
    const out = m & ((1n << shift) - 1n), half = 1n << (shift - 1n);
    inexact = out !== 0n;
    rest = out > half ? 1 : out === half ? 0 : -1;
    const rc = (cpu.get32(S.FCW) >> 10) & 3;
    up = inexact &&
      (rc === 0 ? rest > 0 || (rest === 0 && (size & 1n) === 1n) : rc === (negative ? 1 : 2));
    if (up) size++;
  }
  if (invalid || size >= LIMIT) return raise(cpu, Sw.IE) ? undefined : INDEFINITE;
  if (inexact) {
    setC1(cpu, up);
    raise(cpu, Sw.PE);
  }
  let bcd = negative ? 0x80n << 72n : 0n;
  for (let n = 0n; size > 0n; n += 4n, size /= 10n) bcd |= (size % 10n) << n;
  return bcd;
}

defineHelper("FBSTP", (cpu: Cpu, i: Insn) => {
  const m = i.operands[0] as MemOperand, mem = cpu.env.mem;
  const lin = cpu.linear(m.seg, cpu.ea(m), 10, true);
  cpu.checkAlignment(lin, 8);
  mem.checkWrite(lin, 10);
  const bcd = packed(cpu);
  if (bcd === undefined) return;
  mem.write64(lin, BigInt.asUintN(64, bcd));
  mem.write(addLin(lin, 8), 2, Number(bcd >> 64n));
  pop(cpu);
});
