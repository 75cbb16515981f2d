/** The code around a trap: what an interrupt stub in a ROM executes. See frame.ts for the protocol. */
import type { Assembler } from "../asm/assembler.ts";
import {
  al,
  ax,
  bp,
  bx,
  cx,
  di,
  ds,
  dx,
  eax,
  ebx,
  ecx,
  edi,
  edx,
  es,
  esi,
  fs,
  gs,
  mem,
  si,
  sp,
  ss,
  word,
} from "../asm/operand.ts";
import { Action, TRAP_PORT } from "./frame.ts";

/** Entry of an interrupt: on its stack are IP, CS and FLAGS. Needs {@link emitTrap} in the same ROM. */
export function emitEntry(a: Assembler, fn: number, trap = "trap"): void {
  a.i.pushw(0);
  a.i.pushw(fn);
  a.i.jmp(trap);
}

/**
 * The common part of all entries of one ROM: builds the frame, traps, and does what the handler asks
 * for. 16-bit code; uses 66 bytes of the caller's stack, and more for nested interrupts.
 */
export function emitTrap(a: Assembler, label = "trap"): void {
  const i = a.i;
  const again = a.unique("again"), notDone = a.unique("not_done"), restore = a.unique("restore");
  const notWait = a.unique("not_wait"), notPoll = a.unique("not_poll");
  const notChain = a.unique("not_chain"), notInt = a.unique("not_int");

  a.label(label);
  i.pushad();
  for (const s of [ds, es, fs, gs]) i.push(s);
  for (let n = 0; n < 4; n++) i.pushd(0);
  i.cld();

  a.label(again);
  i.mov(ax, ss);
  i.movzx(eax, ax);
  i.shl(eax, 4);
  i.movzx(edx, sp);
  i.add(eax, edx);
  i.mov(dx, TRAP_PORT);
  i.out(dx, eax);
  i.mov(bp, sp);
  i.mov(ax, mem(bp));
  i.test(al, al);
  i.jnz(notDone);
  a.label(restore);
  i.add(sp, 16);
  for (const s of [gs, fs, es, ds]) i.pop(s);
  i.popad();
  i.add(sp, 4);
  i.iret();

  a.label(notDone);
  i.cmp(al, Action.wait);
  i.jnz(notWait);
  i.sti();
  i.hlt();
  i.cli();
  i.jmp(again);

  a.label(notWait);
  i.cmp(al, Action.poll);
  i.jnz(notPoll);
  i.sti();
  i.pause();
  i.cli();
  i.jmp(again);

  // The function number and the word above it have become a far pointer; RETF goes there with the
  // caller's IP, CS and FLAGS on the stack, as the interrupt left them.
  a.label(notPoll);
  i.cmp(al, Action.chain);
  i.jnz(notChain);
  i.add(sp, 16);
  for (const s of [gs, fs, es, ds]) i.pop(s);
  i.popad();
  i.retf();

  // A nested interrupt. CF is set as INT 15h/4Fh wants it; the others do not look.
  a.label(notChain);
  i.cmp(al, Action.interrupt);
  i.jnz(notInt);
  i.shr(ax, 8);
  i.shl(ax, 2);
  i.push(ax);
  i.xor(ax, ax);
  i.mov(ds, ax);
  i.mov(ax, mem(bp, 8));
  i.mov(cx, mem(bp, 12));
  i.mov(dx, mem(bp, 14));
  i.pop(bx);
  i.push(word(bx, 2));
  i.push(word(bx));
  i.mov(bx, mem(bp, 10));
  i.mov(di, mem(bp, 24));
  i.mov(si, mem(bp, 28));
  i.mov(es, mem(bp, 20));
  i.mov(ds, mem(bp, 22));
  i.mov(bp, sp);
  i.stc();
  i.pushf();
  i.callf(mem(bp));
  i.cli();
  i.cld();
  i.pushf();
  i.pop(bx);
  i.add(sp, 4);
  i.mov(bp, sp);
  i.mov(mem(bp, 8), ax);
  i.mov(mem(bp, 10), bx);
  i.mov(mem(bp, 12), cx);
  i.mov(mem(bp, 14), dx);
  i.jmp(again);

  a.label(notInt);
  for (const at of [8, 10, 12, 14]) i.push(word(bp, at));
  for (const [s, at] of [[gs, 16], [fs, 18], [es, 20], [ds, 22]] as const) {
    i.mov(s, mem(bp, at));
  }
  for (
    const [r, at] of [[edi, 24], [esi, 28], [ebx, 40], [edx, 44], [ecx, 48], [eax, 52]] as const
  ) {
    i.mov(r, mem(bp, at));
  }
  i.callf(mem(bp, 4));
  i.cli();
  i.cld();
  i.add(sp, 8);
  i.mov(bp, sp);
  i.mov(mem(bp, 8), ax);
  i.jmp(again);
}
