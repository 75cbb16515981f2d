/**
 * System instructions: most run in TypeScript helpers; those that kernels use all the time are emitted.
 * Those that may change what the following bytes mean, or let events in, end their block.
 */
import { I32, I64 } from "../../wasm/expr.ts";
import { controlHelpers } from "../helpers/control.ts";
import { farHelpers } from "../helpers/far.ts";
import { ioHelpers } from "../helpers/io.ts";
import { segmentHelpers } from "../helpers/segments.ts";
import { smmHelpers } from "../smm.ts";
import { type MemOperand, Seg } from "../insn.ts";
import { G, type HelperCall } from "../ir.ts";
import * as S from "../state.ts";
import { Fl, Mode } from "../state.ts";
import { define, type Emit } from "./emit.ts";
import { invlpg, setCr3, wide } from "./lib_context.ts";
import { registerSemantics } from "./registers.ts";
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

function movCr(e: Emit): void {
  const target = e.operands[0];
  if (target.kind !== "creg") {
    const n = (e.operands[1] as { reg: number }).reg, at = READABLE[n];
    if (at === undefined) return e.helperWhole("MOV_CR");
    const v = e.field64(at);
    return e.wr(0, e.size(0) === 64 ? v : v.wrap());
  }
  if (target.reg !== 3 || e.mode & Mode.SINGLE) return e.helperWhole("MOV_CR");
  const v = e.rd(1) as I32 | I64;
  e.f.if(e.call(setCr3, "i32", e.cpu(), wide(v)).eqz(), () => e.helperBranch("MOV_CR"));
  // The bytes behind may be others now.
  e.ended = true;
  e.jumpTo(e.nextIp());
}

/** Where the control registers lie that can be read without more. */
const READABLE: Readonly<Record<number, number>> = { 0: S.CR0, 2: S.CR2, 3: S.CR3, 4: S.CR4 };

function invlpgPage(e: Emit): void {
  const m = e.operands[0] as MemOperand, segment = m.seg === Seg.FS || m.seg === Seg.GS;
  const flat = e.long ? !segment : e.isFlat(m.seg) && (e.mode & Mode.CS_FLAT) !== 0;
  if (!flat) return e.helperWhole("INVLPG");
  const lin = e.let(wide(e.ea(0) as I32 | I64));
  // The page that is executing, or the one before it.
  const distance = e.let(lin.sub(e.ip()).add(I64.of(8192)));
  const done = e.local("i32");
  done.set(I32.of(0));
  e.f.if(e.let(distance.ge_u(I64.of(16384))), () => done.set(e.call(invlpg, "i32", e.cpu(), lin)));
  e.f.if(done.get().eqz(), () => e.helperWhole("INVLPG"));
}

export function systemSemantics(): void {
  system64Semantics();
  registerSemantics();
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
  for (const n of ["BOUND", "LGDT", "LIDT", "RDPMC", "CPUID"]) {
    helper(n, false);
  }
  for (const n of ["MOV_DR", "IN", "ENTER", "MONITOR"]) helper(n, false);
  helper("WBINVD", false, "FLUSH");
  helper("INVD", false, "FLUSH");
  for (const n of ["HLT", "INS", "OUTS", "MWAIT"]) helper(n, true);
  for (const n of ["LMSW", "CLTS", "OUT"]) define(n, (e) => e.helperWhole(n));
  define("MOV_CR", movCr);
  define("INVLPG", invlpgPage);
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
