/**
 * The trap from a service stub in ROM to its TypeScript handler.
 *
 * A stub pushes every register, then executes one 32-bit `OUT` to {@link TRAP_PORT} whose value is
 * the linear address of that frame. The handler works on the frame; the stub pops it and returns
 * with IRET. Because registers travel through guest memory the same stub works under every
 * accelerator, in virtual-8086 mode, and on any CPU, and a snapshot taken in the middle of a waiting
 * service loses nothing: all state that outlives one `OUT` is in the frame.
 *
 * Frame, from the address given by `OUT`:
 *
 *     00 word  action   what the stub does next (see Action); 0 on the first OUT
 *     02 word  phase    0 on the first OUT; kept for the handler across retries
 *     04 dword local    kept for the handler; target of a nested far call
 *     08 4 words args   arguments and results of a nested interrupt or far call
 *     10 word  gs, fs, es, ds
 *     18 dword edi, esi, ebp, esp, ebx, edx, ecx, eax      (PUSHAD)
 *     38 word  function number; IP of a handler to chain to
 *     3a word  unused; CS of a handler to chain to
 *     3c word  ip, cs, flags                               (the caller's, for IRET)
 */
import type { AddressSpace } from "../../core/memory/address_space.ts";
import type { BiosContext } from "../vgabios/context.ts";

/** Four ports that no PC device uses; only dword writes to the first mean anything. */
export const TRAP_PORT = 0x540;

/** Bytes of the frame, up to and including the caller's FLAGS. */
export const FRAME_SIZE = 0x42;

/** What the stub does when the handler is back. */
export const Action = {
  /** Pop everything and IRET (to a changed CS:IP if the handler has changed it). */
  done: 0,
  /** Enable interrupts, HLT, then call the handler again. */
  wait: 1,
  /** Let pending interrupts in without halting, then call the handler again. */
  poll: 2,
  /** Pop everything and go on at the handler given to {@link FrameContext.chain}. */
  chain: 3,
  /**
   * Bits 8–15 of the action hold an interrupt number: the stub executes that interrupt with AX, BX,
   * CX, DX from `args` and SI, DI, DS, ES from the frame, stores AX, FLAGS, CX, DX in `args`, then
   * calls the handler again.
   */
  interrupt: 4,
  /**
   * Pushes the four `args`, calls far the seg:off in `local` with the frame's registers except BP,
   * drops the arguments, stores AX in `args`, then calls the handler again.
   */
  call: 5,
} as const;

/** FLAGS bits. */
export const Flag = { CF: 0x001, PF: 0x004, AF: 0x010, ZF: 0x040, SF: 0x080, IF: 0x200 } as const;

/** What handlers need of the machine. */
export interface BiosMachine {
  /** Physical memory as the CPU sees it. */
  readonly mem: AddressSpace;
  /** I/O ports. */
  readonly io: AddressSpace;
  /**
   * Physical address of a linear one under the calling CPU's paging (only a caller in virtual-8086
   * mode has any); undefined when not present. Absent: linear is physical.
   */
  readonly translate?: (linear: number) => number | undefined;
}

/** A service: called at each `OUT` of its stub. Throws nothing, whatever the guest's registers. */
export type BiosHandler = (c: FrameContext) => void;

const NO_ARGS: readonly [number, number, number, number] = [0, 0, 0, 0];

/** The registers and memory of one service call. One object is reused for all calls. */
export class FrameContext implements BiosContext {
  readonly #bytes = new Uint8Array(FRAME_SIZE);
  readonly #view = new DataView(this.#bytes.buffer);
  #address = 0;

  constructor(readonly machine: BiosMachine) {}

  /** Takes the frame at a linear address. */
  load(frame: number): void {
    this.#address = frame;
    this.readBytes(frame, this.#bytes);
  }

  /** Puts the frame back. */
  store(): void {
    this.writeBytes(this.#address, this.#bytes);
  }

  // Control

  /** Linear address of the frame. */
  get frame(): number {
    return this.#address;
  }
  get fn(): number {
    return this.#view.getUint16(0x38, true);
  }
  get action(): number {
    return this.#view.getUint16(0, true);
  }
  set action(v: number) {
    this.#view.setUint16(0, v, true);
  }
  /** 0 when the service starts; a handler that waits leaves its next step here. */
  get phase(): number {
    return this.#view.getUint16(2, true);
  }
  set phase(v: number) {
    this.#view.setUint16(2, v, true);
  }
  /** 32 bits kept across waits. */
  get local(): number {
    return this.#view.getUint32(4, true);
  }
  set local(v: number) {
    this.#view.setUint32(4, v, true);
  }
  /** Come back in `phase` after the next hardware interrupt. */
  wait(phase = this.phase): void {
    this.action = Action.wait;
    this.phase = phase;
  }
  /** Come back in `phase` soon, without waiting for an interrupt. */
  poll(phase = this.phase): void {
    this.action = Action.poll;
    this.phase = phase;
  }
  /** Leave everything to the handler at segment:offset, as if it had been called itself. */
  chain(segment: number, offset: number): void {
    this.action = Action.chain;
    this.#view.setUint16(0x38, offset, true);
    this.#view.setUint16(0x3a, segment, true);
  }
  /** Execute interrupt `n` with these registers, then come back in `phase`: see {@link arg}. */
  interrupt(n: number, phase: number, ax: number, bx = 0, cx = 0, dx = 0): void {
    this.action = Action.interrupt | (n << 8);
    this.setArgs(ax, bx, cx, dx);
    this.phase = phase;
  }
  /**
   * Call segment:offset far with the frame's registers, then come back in `phase`. The four `args`
   * are on the stack of the called procedure, the first one pushed first.
   */
  call(segment: number, offset: number, phase: number, args = NO_ARGS): void {
    this.action = Action.call;
    this.local = ((segment << 16) | (offset & 0xffff)) >>> 0;
    this.setArgs(args[0], args[1], args[2], args[3]);
    this.phase = phase;
  }
  setArgs(a0: number, a1: number, a2: number, a3: number): void {
    this.#view.setUint16(8, a0, true);
    this.#view.setUint16(10, a1, true);
    this.#view.setUint16(12, a2, true);
    this.#view.setUint16(14, a3, true);
  }
  /** Word `n` (0–3) of `args`; after a nested interrupt 0 is AX, 1 FLAGS, 2 CX, 3 DX. */
  arg(n: number): number {
    return this.#view.getUint16(8 + 2 * n, true);
  }
  /** Between nested calls `args` is free for the handler. */
  setArg(n: number, value: number): void {
    this.#view.setUint16(8 + 2 * n, value, true);
  }

  // Registers

  get al(): number {
    return this.#bytes[0x34];
  }
  set al(v: number) {
    this.#bytes[0x34] = v;
  }
  get ah(): number {
    return this.#bytes[0x35];
  }
  set ah(v: number) {
    this.#bytes[0x35] = v;
  }
  get ax(): number {
    return this.#view.getUint16(0x34, true);
  }
  set ax(v: number) {
    this.#view.setUint16(0x34, v, true);
  }
  get eax(): number {
    return this.#view.getUint32(0x34, true);
  }
  set eax(v: number) {
    this.#view.setUint32(0x34, v, true);
  }
  get cl(): number {
    return this.#bytes[0x30];
  }
  set cl(v: number) {
    this.#bytes[0x30] = v;
  }
  get ch(): number {
    return this.#bytes[0x31];
  }
  set ch(v: number) {
    this.#bytes[0x31] = v;
  }
  get cx(): number {
    return this.#view.getUint16(0x30, true);
  }
  set cx(v: number) {
    this.#view.setUint16(0x30, v, true);
  }
  get ecx(): number {
    return this.#view.getUint32(0x30, true);
  }
  set ecx(v: number) {
    this.#view.setUint32(0x30, v, true);
  }
  get dl(): number {
    return this.#bytes[0x2c];
  }
  set dl(v: number) {
    this.#bytes[0x2c] = v;
  }
  get dh(): number {
    return this.#bytes[0x2d];
  }
  set dh(v: number) {
    this.#bytes[0x2d] = v;
  }
  get dx(): number {
    return this.#view.getUint16(0x2c, true);
  }
  set dx(v: number) {
    this.#view.setUint16(0x2c, v, true);
  }
  get edx(): number {
    return this.#view.getUint32(0x2c, true);
  }
  set edx(v: number) {
    this.#view.setUint32(0x2c, v, true);
  }
  get bl(): number {
    return this.#bytes[0x28];
  }
  set bl(v: number) {
    this.#bytes[0x28] = v;
  }
  get bh(): number {
    return this.#bytes[0x29];
  }
  set bh(v: number) {
    this.#bytes[0x29] = v;
  }
  get bx(): number {
    return this.#view.getUint16(0x28, true);
  }
  set bx(v: number) {
    this.#view.setUint16(0x28, v, true);
  }
  get ebx(): number {
    return this.#view.getUint32(0x28, true);
  }
  set ebx(v: number) {
    this.#view.setUint32(0x28, v, true);
  }
  get bp(): number {
    return this.#view.getUint16(0x20, true);
  }
  set bp(v: number) {
    this.#view.setUint16(0x20, v, true);
  }
  get ebp(): number {
    return this.#view.getUint32(0x20, true);
  }
  set ebp(v: number) {
    this.#view.setUint32(0x20, v, true);
  }
  get si(): number {
    return this.#view.getUint16(0x1c, true);
  }
  set si(v: number) {
    this.#view.setUint16(0x1c, v, true);
  }
  get esi(): number {
    return this.#view.getUint32(0x1c, true);
  }
  set esi(v: number) {
    this.#view.setUint32(0x1c, v, true);
  }
  get di(): number {
    return this.#view.getUint16(0x18, true);
  }
  set di(v: number) {
    this.#view.setUint16(0x18, v, true);
  }
  get edi(): number {
    return this.#view.getUint32(0x18, true);
  }
  set edi(v: number) {
    this.#view.setUint32(0x18, v, true);
  }
  get ds(): number {
    return this.#view.getUint16(0x16, true);
  }
  set ds(v: number) {
    this.#view.setUint16(0x16, v, true);
  }
  get es(): number {
    return this.#view.getUint16(0x14, true);
  }
  set es(v: number) {
    this.#view.setUint16(0x14, v, true);
  }
  get fs(): number {
    return this.#view.getUint16(0x12, true);
  }
  set fs(v: number) {
    this.#view.setUint16(0x12, v, true);
  }
  get gs(): number {
    return this.#view.getUint16(0x10, true);
  }
  set gs(v: number) {
    this.#view.setUint16(0x10, v, true);
  }
  /** Where the service returns to. */
  get ip(): number {
    return this.#view.getUint16(0x3c, true);
  }
  set ip(v: number) {
    this.#view.setUint16(0x3c, v, true);
  }
  get cs(): number {
    return this.#view.getUint16(0x3e, true);
  }
  set cs(v: number) {
    this.#view.setUint16(0x3e, v, true);
  }
  /** The caller's FLAGS, as IRET will restore them. */
  get flags(): number {
    return this.#view.getUint16(0x40, true);
  }
  set flags(v: number) {
    this.#view.setUint16(0x40, v, true);
  }
  /** SS is not in the frame: no service needs it, and a handler cannot change it. */
  ss = 0;
  /** The caller's SP as it was before the INT. Writes are ignored. */
  get sp(): number {
    return (this.#view.getUint16(0x24, true) + 10) & 0xffff;
  }
  set sp(_v: number) {}
  get esp(): number {
    return (this.#view.getUint32(0x24, true) + 10) >>> 0;
  }
  set esp(_v: number) {}

  get carry(): boolean {
    return (this.flags & Flag.CF) !== 0;
  }
  get zero(): boolean {
    return (this.flags & Flag.ZF) !== 0;
  }
  setCarry(on: boolean): void {
    this.flags = on ? this.flags | Flag.CF : this.flags & ~Flag.CF;
  }
  setZero(on: boolean): void {
    this.flags = on ? this.flags | Flag.ZF : this.flags & ~Flag.ZF;
  }
  setInterrupt(on: boolean): void {
    this.flags = on ? this.flags | Flag.IF : this.flags & ~Flag.IF;
  }

  // Memory, by linear address

  /** seg:off as a linear address. */
  linear(segment: number, offset: number): number {
    return (segment & 0xffff) * 16 + (offset & 0xffff);
  }
  /** Where a linear address is in physical memory, for bus masters. */
  physical(addr: number): number {
    return this.#physical(addr);
  }
  read8(addr: number): number {
    return this.machine.mem.read(this.#physical(addr), 1);
  }
  read16(addr: number): number {
    if (this.machine.translate !== undefined && (addr & 0xfff) > 0xffe) {
      return this.read8(addr) | (this.read8(addr + 1) << 8);
    }
    return this.machine.mem.read(this.#physical(addr), 2);
  }
  read32(addr: number): number {
    if (this.machine.translate !== undefined && (addr & 0xfff) > 0xffc) {
      return (this.read16(addr) | (this.read16(addr + 2) << 16)) >>> 0;
    }
    return this.machine.mem.read(this.#physical(addr), 4);
  }
  write8(addr: number, value: number): void {
    this.machine.mem.write(this.#physical(addr), 1, value & 0xff);
  }
  write16(addr: number, value: number): void {
    if (this.machine.translate !== undefined && (addr & 0xfff) > 0xffe) {
      this.write8(addr, value);
      this.write8(addr + 1, value >> 8);
    } else this.machine.mem.write(this.#physical(addr), 2, value & 0xffff);
  }
  write32(addr: number, value: number): void {
    if (this.machine.translate !== undefined && (addr & 0xfff) > 0xffc) {
      this.write16(addr, value);
      this.write16(addr + 2, value >>> 16);
    } else this.machine.mem.write(this.#physical(addr), 4, value >>> 0);
  }
  /** Copies memory into `into`. */
  readBytes(addr: number, into: Uint8Array): void {
    this.#byPage(addr, into.length, (phys, from, to) => {
      this.machine.mem.readBytes(phys, into.subarray(from, to));
    });
  }
  /** Copies `from` into memory. */
  writeBytes(addr: number, from: Uint8Array): void {
    this.#byPage(addr, from.length, (phys, start, end) => {
      this.machine.mem.writeBytes(phys, from.subarray(start, end));
    });
  }

  // Ports

  inb(port: number): number {
    return this.machine.io.read(port & 0xffff, 1);
  }
  inw(port: number): number {
    return this.machine.io.read(port & 0xffff, 2);
  }
  inl(port: number): number {
    return this.machine.io.read(port & 0xffff, 4);
  }
  outb(port: number, value: number): void {
    this.machine.io.write(port & 0xffff, 1, value & 0xff);
  }
  outw(port: number, value: number): void {
    this.machine.io.write(port & 0xffff, 2, value & 0xffff);
  }
  outl(port: number, value: number): void {
    this.machine.io.write(port & 0xffff, 4, value >>> 0);
  }

  #physical(addr: number): number {
    const t = this.machine.translate;
    return t === undefined ? addr : t(addr) ?? addr;
  }

  #byPage(
    addr: number,
    length: number,
    copy: (phys: number, from: number, to: number) => void,
  ): void {
    if (this.machine.translate === undefined) return copy(addr, 0, length);
    for (let done = 0; done < length;) {
      const n = Math.min(length - done, 0x1000 - ((addr + done) & 0xfff));
      copy(this.#physical(addr + done), done, done + n);
      done += n;
    }
  }
}
