/** Where QEMU 7.2's TCG, and qeno, do not do what the manual says, and what QEMU does not have. */
import type { Kernel, LeaveOut } from "./kernel.ts";
import type { Failure, Report } from "./run.ts";

/** CPUID features that TCG of QEMU 7.2 lacks: checks of them are left out there. */
const LACKS: ReadonlySet<string> = new Set([
  "pcid",
  "invpcid",
  "x2apic",
  "tsc-deadline",
  "xsavec",
  "xsaves",
]);

/** Checks after which QEMU does not go on, and what it does. */
const deadly: readonly (readonly [RegExp, string])[] = [
  [
    /^CR0.PG without PE$|^CR[034].* with (reserved )?bit|^CR4.(PAE|LA57|SMXE)/,
    "takes any value of control registers",
  ],
  [/^(IRETQ|RETF|far (CALL|JMP)):.* with L and D$/, "runs code with L and D"],
  [
    /^limit: |^stack: |^a (read|write) through CS|^a null [DEFG]S( before.*)?$|^(a (far )?jump|code that runs|an instruction of which).* CS's limit/,
    "checks neither limits nor rights when segments are used",
  ],
  [/^a debug trap on entry: T$/, "does not look at a TSS's T, and the task has no end"],
  [/^two: CR4.PAE set under paging/, "does not check PDPTEs"],
  [/^pae: and so is the one that code runs by/, "reads PDPTEs at every walk"],
  [/^SMP: logical, all clusters$/, "has no broadcast to all clusters: the wait would be long"],
  [/^SYSENTER with CS 3$/, "looks for 0 alone, and goes on without code"],
  [/^stack switch: SS0 without room$/, "writes beyond the segment's limit"],
  [/^IRETQ: SS null with RPL 1|^L[IG]DT of a base that is not canonical$/, "takes it"],
];

export const leaveOut: LeaveOut = (name, needs) =>
  (needs !== undefined && LACKS.has(needs)) || deadly.some(([names]) => names.test(name));

/** Checks by name, and why QEMU's answer is another. */
export const known: readonly (readonly [RegExp, string])[] = [
  [
    /^P.*E with (reserved|bit 7)|^a page of . .iB with reserved|: (S|U)(R|W) NX, no NXE$/,
    "a reserved bit's error code lacks P",
  ],
  [/^SMAP: an LDT in a user page, despite AC$/, "AC overrides SMAP for implicit accesses too"],
  [/^CR0.NW without CD$|^CR8 (of 16|with)/, "takes any value of control registers"],
  [/^LOCK MOV/, "does not look at LOCK before MOV"],
  [/^DR[67]: /, "keeps bits that are fixed"],
  [/^EFER(.LME| with)/, "ignores what EFER may not become"],
  [
    /^\w+ (that is not canonical|with bit 57 alone)$|^WR[FG]SBASE of/,
    "does not look at the form of addresses in MSRs",
  ],
  [/^TSC_AUX with|^PAT with|^MTRR.* (type|bit)|^MTRRcap/, "takes any value of MSRs"],
  [/MSR of no MSR$/, "reads 0 from MSRs that do not exist, and ignores writes"],
  [/^the TSC goes on and can be set$/, "ignores writes of the TSC"],
  [/^RDPID/, "has RDPID in CPUID alone"],
  [/^PVI: (CLI|STI sets)/, "has no protected-mode virtual interrupts"],
  [/^MONITOR of/, "does not look at the address"],
  [/^(UD2|DIV by 0)$/, "pushes RF as 0"],
  [
    /^not canonical: (a read through RBP|PUSH( under AC)?|POP|ENTER|LEAVE)$/,
    "raises #GP, not #SS, for addresses of the stack that are not canonical",
  ],
  [/^not canonical: (JMP|CALL|RET)$/, "faults at the target"],
  [/^not canonical: CLFLUSH$/, "does nothing for CLFLUSH"],
  [/^XORPS under EM and TS$/, "raises #NM before #UD"],
  [/^LDMXCSR with a reserved bit$/, "takes any MXCSR"],
  [/^a SIMD exception/, "raises no SIMD exceptions"],
  [/^#MF comes with (the next|an MMX)|^FNSTSW, FNINIT/, "raises #MF at FWAIT alone"],
  [/^AVX under EM$/, "raises #UD under EM for VEX too"],
  [/^(V86: )?#AC: /, "has no alignment check"],
  [
    /^INT: (gate (of|with|that)|beyond the IDT)|^an exception through a gate|^INT3 (through|from)|^#NP while delivering #UD/,
    "counts 16 bytes a gate in error codes",
  ],
  [/^INT: offset beyond the code's limit$/, "does not check it"],
  [/^INT: target that is not canonical$/, "faults at the target"],
  [
    /^an exception whose code (segment )?is data: EXT$|^an exception's EXT bit$/,
    "leaves EXT 0",
  ],
  [/^INT1 .F1. needs no DPL$/, "raises #UD"],
  [/^#UD saves RF/, "pushes RF as 0"],
  [
    /^(two|pae): a large page's reserved|^pae: .* is reserved$/,
    "a reserved bit's error code lacks P",
  ],
  [
    /^pae: (a PDPTE with reserved|PDPTEs are not |.* with a PDPTE that is not valid|a MOV to CR3 that faults)|^pae: (an entry taken away|a task switch with the same CR3)/,
    "reads PDPTEs at every walk",
  ],
  [/^V86: a word at FFFFh/, "checks no limits"],
  [/^V86: VME: (CLI|STI sets)/, "has no virtual interrupt flag here"],
  [/^SYSCALL in compatibility mode$|^LOCK SYSCALL$/, "takes it"],
  [/^SYS(RET|EXIT).* not canonical$/, "faults at the target"],
  [/^SYSRET to 64-bit mode: CS/, "loads RF from R11"],
  [/^INT1: DR6 stays$/, "raises #UD"],
  [/^DR7.GD: MOV/, "lets debug registers be read"],
  [/^XSAVE under TS$/, "does not look at TS"],
  [/^XRSTOR: MXCSR/, "takes any MXCSR"],
  [/^IRETD: EIP beyond the limit$/, "faults at the target"],
  [/^IRET[QD]: SS (that is )?not present$/, "raises #NP, not #SS"],
  [
    /^(IRETQ|RETF): RIP (that is )?not canonical|^far .* to an address that is not canonical$|^far JMP with REX.W/,
    "faults at the target",
  ],
  [
    /^IRETQ: EIP beyond|^a null DS cannot|^[DS]S's limit counts/,
    "does not check limits (in compatibility mode either)",
  ],
  [/^SS: null with RPL 1$|^LLDT: upper|^L(LDT|TR): base|^LTR: (null|16-bit)$/, "takes it"],
  [/^LAR, .*: a 16-bit TSS$/, "takes 16-bit system descriptors in long mode"],
  [/^APIC: APIC_BASE with reserved/, "takes any value of APIC_BASE"],
  [
    /^APIC: (LVT (error:|LINT|thermal|perf)|ICR high has)/,
    "keeps bits that are read-only or reserved",
  ],
  [/^APIC: SVR off masks/, "lets LVT entries be unmasked while the APIC is off"],
  [
    /^APIC: (a vector below 16|ESR shows an error once|an error raises)/,
    "sends vectors below 16, and knows no errors",
  ],
  [/^APIC: STI while IF is 1/, "gives every STI a shadow"],
];

/** Where qeno does not do what the manual says. */
const ours: readonly (readonly [RegExp, string])[] = [];

/** Takes what is known of qeno out of a report. */
export function judgeOurs(kernel: Kernel, r: Report): Report & { note: string } {
  return excuse(kernel, r, ours, "");
}
/** The same of QEMU. */
export function judgeQemu(kernel: Kernel, r: Report): Report & { note: string } {
  return excuse(kernel, r, known, `, ${kernel.leftOut} left out`);
}

/**
 * Takes out of a report what is known; what is known but did not show counts as a failure, so that
 * these tables stay true.
 */
function excuse(
  kernel: Kernel,
  r: Report,
  table: readonly (readonly [RegExp, string])[],
  more: string,
): Report & { note: string } {
  const failures: Failure[] = [];
  const reason = (name: string) => table.find(([names]) => names.test(name))?.[1];
  const excused = new Set<string>();
  for (const f of r.failures) {
    if (reason(f.check.name) === undefined) failures.push(f);
    else excused.add(f.check.name);
  }
  for (const check of kernel.checks) {
    const why = reason(check.name);
    if (why !== undefined && !excused.has(check.name)) {
      failures.push({ check, what: `as the manual says, though known.ts has: ${why}` });
    }
  }
  return { ran: r.ran, failures, note: `, ${excused.size} known${more}` };
}
