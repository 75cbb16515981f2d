/** Registers by the names that HMP expressions use (`p $eip`, `x /4i $pc`). */
import type { Segment, Vcpu } from "../../accel.ts";

const GENERAL = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const SEGMENTS = ["cs", "ds", "es", "ss", "fs", "gs"] as const;
const ALIASES: Record<string, string> = { sp: "esp", fp: "ebp" };

/** All names, for completion. */
export const REGISTER_NAMES: readonly string[] = [
  ...GENERAL,
  ...Object.keys(ALIASES),
  ...Array.from({ length: 8 }, (_, i) => `r${i + 8}`),
  "eflags",
  "eip",
  "pc",
  ...SEGMENTS.flatMap((s) => [s, `${s}.limit`, `${s}.base`]),
];

/** Value of a register, or undefined when there is none of that name. Values have 64 bits. */
export function readRegister(vcpu: Vcpu, name: string): bigint | undefined {
  name = ALIASES[name] ?? name;
  const [segment, part] = name.split(".") as [typeof SEGMENTS[number], string | undefined];
  if (SEGMENTS.includes(segment)) {
    const s: Segment = vcpu.getSregs()[segment];
    if (part === undefined) return BigInt(s.selector);
    // QEMU takes it for a signed 32-bit number.
    return part === "limit" ? BigInt(s.limit | 0) : part === "base" ? s.base : undefined;
  }
  const r = vcpu.getRegs();
  if (name === "eflags") return r.rflags;
  if (name === "eip") return r.rip;
  if (name === "pc") return vcpu.getSregs().cs.base + r.rip;
  if (GENERAL.includes(name)) return r[`r${name.slice(1)}` as "rax"];
  return /^r([89]|1[0-5])$/.test(name) ? r[name as "r8"] : undefined;
}
