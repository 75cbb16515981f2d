/** Which decoded instructions exist: by the mode of the code and the features of the CPU model. */
import type { Insn } from "../x86/insn.ts";
import { Mode } from "../x86/state.ts";

/** Whether the CPU model has the instruction. */
export function isThere(i: Insn, has: (feature: string) => boolean): boolean {
  const { cpuid, also } = i.row;
  return cpuid === undefined || has(cpuid) && (also === undefined || has(also));
}

/** Whether the instruction exists in translation mode `mode` and on the CPU model. */
export function isAllowed(i: Insn, mode: number, has: (feature: string) => boolean): boolean {
  if (i.row.protectedOnly && (!(mode & Mode.PE) || mode & Mode.VM86)) return false;
  return isThere(i, has);
}
