/** What the decoder takes from an EVEX prefix besides operands. Intel SDM volume 2, chapter 2.7. */
import type { Evex } from "./insn.ts";
import { type EvexRow, type RegKind, Role, type TableRow } from "./table/row.ts";

/** The size of what a memory operand accesses; of one element where they are not side by side. */
export function displacementUnit(row: TableRow, evex: EvexRow): number {
  if (evex.disp8 !== 0) return evex.disp8;
  const rm = row.operandSpecs.find((s) => s.role === Role.Rm);
  if (rm?.memSizes === undefined) return 1;
  return rm.vsib !== 0 ? evex.element : rm.memSizes[1] >> 3;
}

/** Number of the register that ModRM.rm names; EVEX.X extends it, and mask registers ignore B. */
export function rmNumber(kind: RegKind, modrm: number, rex: number, evexBits: number): number {
  if (kind === "k") return modrm & 7;
  const wide = evexBits !== 0 && kind === "xmm" ? (rex & 2) << 3 : 0;
  return modrm & 7 | (rex & 1) << 3 | wide;
}

/** By L'L. */
export const VECTOR_BITS: readonly (128 | 256 | 512)[] = [128, 256, 512];

/** Every combination of an EVEX prefix, made when it is first met. */
const EVEX: Evex[] = [];

/** What the last payload byte of an EVEX prefix says about a row; undefined when it may not: #UD. */
export function evexOf(row: EvexRow, p2: number, modrm: number): Evex | undefined {
  const mask = p2 & 7, zeroing = (p2 & 0x80) !== 0, special = (p2 & 0x10) !== 0;
  if (mask !== 0 ? row.masking === "none" : zeroing || row.masking === "required") return undefined;
  const register = modrm >= 0xc0;
  if (zeroing && !row.zeroing) return undefined;
  if (special && !(register ? row.sae : row.broadcast !== 0)) return undefined;
  const kind = !special ? 0 : !register ? 1 : row.rounding ? 2 : 3,
    rc = kind === 2 ? p2 >> 5 & 3 : 0;
  const n = mask | (zeroing ? 8 : 0) | kind << 4 | rc << 6;
  return EVEX[n] ??= {
    mask,
    zeroing,
    broadcast: kind === 1,
    rounding: kind === 2 ? rc as 0 | 1 | 2 | 3 : -1,
    sae: kind >= 2,
  };
}
