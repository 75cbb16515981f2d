/**
 * System instructions: most run in TypeScript helpers; those that kernels use all the time are emitted.
 * Those that may change what the following bytes mean, or let events in, end their block.
 */
import { I32, type I64 } from "../../wasm/expr.ts";
import { controlHelpers } from "../helpers/control.ts";
import { farHelpers } from "../helpers/far.ts";
import { ioHelpers } from "../helpers/io.ts";
import { segmentHelpers } from "../helpers/segments.ts";
import { smmHelpers } from "../smm.ts";
import { G, type HelperCall } from "../ir.ts";
import * as S from "../state.ts";
import { Fl, Mode } from "../state.ts";
import { define, type Emit } from "./emit.ts";
import { segmentLoadSemantics } from "./segment_load.ts";
import { system64Semantics } from "./system64.ts";

/** The operation runs in a helper of its own or another name. */
function helper(name: string, ends: boolean, as = name): void {
  define(name, (e) => e.helper(as, ends));
}

/** Whether IF may be changed is decided by CPL and IOPL alone. */
function simpleIf(e: Emit): boolean {
  return !e.vm86;
}

function cli(e: Emit): void {
  if (!simpleIf(e)) return e.helper("CLI", true);
  const fl = e.sysFlags();
  if (e.protectedMode) {
    e.f.if(e.field32(S.CPL).gt_u(fl.shr_u(12).and(3)), () => e.helperBranch("CLI"));
  }
  e.setField(4, S.FLAG_SYS, fl.and(~Fl.IF));
}

function sti(e: Emit): void {
  if (!simpleIf(e) || e.mode & Mode.SINGLE) return e.helper("STI", true);
  const fl = e.sysFlags();
  const quick = fl.and(Fl.IF).eqz().and(e.field32(S.PENDING).eqz());
  // With an event waiting the shadow must be seen by the run loop.
  const slow = e.protectedMode
    ? e.let(quick.eqz().or(e.field32(S.CPL).gt_u(fl.shr_u(12).and(3))))
    : e.let(quick.eqz());
  e.f.if(slow, () => e.helperBranch("STI"));
  e.setField(4, S.FLAG_SYS, fl.or(Fl.IF));
}

function pushf(e: Emit): void {
  if (e.vm86) return e.helper("PUSHF", false);
  const image = e.let(
    e.arithFlags().or(e.sysFlags()).or(2).and(e.opSize === 16 ? 0xffff : 0xfcffff),
  );
  e.push(e.opSize === 64 ? image.extend_u() : image, e.opSize);
}

function popf(e: Emit): void {
  if (e.vm86) return e.helper("POPF", true);
  const top = e.peek(e.opSize);
  const v = e.opSize === 64 ? e.let((top as I64).wrap()) : top as unknown as I32;
  const sys = e.sysFlags();
  // Everything beyond arithmetic flags, DF and IF at CPL 0 is rare.
  const common = Fl.CF | Fl.PF | Fl.AF | Fl.ZF | Fl.SF | Fl.OF | Fl.DF | Fl.IF | 2;
  const compared = e.opSize === 16 ? 0xffff : 0x3f7fd5;
  const odd = e.let(
    v.xor(sys).and(compared & ~common & ~(e.opSize === 16 ? 0x8028 : 0)).ne(0)
      .or(e.field32(S.CPL).ne(0)),
  );
  e.f.if(odd, () => e.helperBranch("POPF"));
  e.addSp(e.opSize >> 3);
  e.flagsAll(v);
  const mask = Fl.DF | Fl.IF;
  e.setField(4, S.FLAG_SYS, e.let(sys.and(~mask).or(v.and(mask))));
  e.f.if(e.let(v.and(Fl.IF).ne(0).and(e.field32(S.PENDING).ne(0))), () => e.exitBranch());
}

export function systemSemantics(): void {
  system64Semantics();
  segmentHelpers();
  farHelpers();
  controlHelpers();
  smmHelpers();
  ioHelpers();
  segmentLoadSemantics();
  for (const n of ["LES", "LDS", "LSS", "LFS", "LGS", "LLDT", "LTR"]) {
    helper(n, false);
  }
  for (const n of ["SGDT", "SIDT", "SLDT", "STR", "SMSW", "LAR", "LSL", "VERR", "VERW", "ARPL"]) {
    helper(n, false);
  }
  for (const n of ["BOUND", "LGDT", "LIDT", "RDPMC", "RDTSC", "RDTSCP", "CPUID", "RDMSR"]) {
    helper(n, false);
  }
  for (const n of ["MOV_DR", "IN", "ENTER", "MONITOR"]) helper(n, false);
  helper("WBINVD", false, "FLUSH");
  helper("INVD", false, "FLUSH");
  for (const n of ["HLT", "INS", "OUTS", "MWAIT"]) helper(n, true);
  for (const n of ["LMSW", "CLTS", "INVLPG", "WRMSR", "OUT", "MOV_CR"]) {
    define(n, (e) => e.helperWhole(n));
  }
  for (const n of ["CALL_FAR_PTR", "CALL_FAR_MEM"]) helper(n, true, "CALL_FAR");
  for (const n of ["JMP_FAR_PTR", "JMP_FAR_MEM"]) helper(n, true, "JMP_FAR");
  for (const n of ["RET_FAR", "INT", "INT3", "INT1", "INTO"]) helper(n, true);
  define("IRET", (e) => {
    e.ended = true;
    e.f.guest(
      G.HELPER,
      [],
      { name: "IRET", ends: true, bytes: e.opSize >> 3 } satisfies HelperCall,
    );
  });
  define("CLI", cli);
  define("STI", sti);
  define("PUSHF", pushf);
  define("POPF", popf);
  helper("RSM", true);
  // A spinning vCPU lets the others run.
  helper("PAUSE", true);
}
