/**
 * What the manual leaves undefined of user-mode integer instructions. The software CPU follows recent
 * Intel processors; on a host that answers otherwise only what is defined can be compared.
 */
import type { TableRow } from "../../core/x86/table/row.ts";
import { CODE, HLT, type Native, newState } from "./native.ts";
import type { TestCase } from "./user_cases.ts";

const CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, OF = 0x800;

const undefinedFlags: readonly (readonly [RegExp, number])[] = [
  [/^(AND|OR|XOR|TEST)$/, AF],
  [/^I?MUL/, SF | ZF | AF | PF],
  [/^I?DIV$/, CF | PF | AF | ZF | SF | OF],
  [/^(SHL|SHR|SAR)$/, AF | OF | CF],
  [/^SH[LR]D$/, AF | OF],
  [/^(ROL|ROR|RCL|RCR)$/, OF],
  [/^BS[FR]$/, CF | OF | SF | AF | PF],
  [/^BT[SRC]?$/, OF | SF | AF | PF],
  [/^AA[AS]$/, OF | SF | ZF | PF],
  [/^DA[AS]$/, OF],
  [/^AA[MD]$/, OF | AF | CF],
  [/^(LZCNT|TZCNT)$/, OF | SF | PF | AF],
  [/^(ANDN|BLS|BZHI)/, AF | PF],
  [/^BEXTR$/, AF | SF | PF],
];

/** Flags that may be anything after the row's operation. */
export function undefinedMask(row: TableRow): number {
  return undefinedFlags.find(([names]) => names.test(row.name))?.[1] ?? 0;
}

/** Whether registers may be anything too. */
export function undefinedResult(c: TestCase): boolean {
  if (/^(BSF|BSR|LAR)$/.test(c.row.name)) return true;
  if (/^(BSWAP|SHLD|SHRD)$/.test(c.row.name)) return c.form.opSize === 16;
  return c.row.rep !== undefined && c.bits === 64 && c.addrSize === 32;
}

/** One question to the host for each choice of the software CPU that hosts are known to differ in. */
const probes: readonly {
  readonly code: readonly number[];
  readonly rax: bigint;
  readonly flags: number;
  readonly mask: number;
}[] = [
  // ROL AL, 4 keeps OF.
  { code: [0xc0, 0xc0, 4], rax: 0x40n, flags: 0, mask: OF },
  // SHL AL, 4: OF of a shift by one.
  { code: [0xc0, 0xe0, 4], rax: 0x40n, flags: OF, mask: OF | AF },
  // MUL of 0 clears ZF.
  { code: [0xf6, 0xe4], rax: 0n, flags: 0, mask: ZF },
  // BSF of 0 sets PF.
  { code: [0x0f, 0xbc, 0xc2], rax: 1n, flags: ZF | PF, mask: ZF | PF | SF | AF },
];

/** Whether the host does with undefined flags what the software CPU does. */
export function likeHost(native: Native): boolean {
  const before = newState(), after = newState();
  return probes.every((p) => {
    native.code.set([...p.code, HLT]);
    before.gpr.fill(0n);
    before.gpr[0] = p.rax;
    before.gpr[4] = 0xa000n;
    native.run(CODE, 64, before, after);
    native.code.fill(HLT, 0, p.code.length);
    return (after.flags & p.mask) === p.flags;
  });
}
