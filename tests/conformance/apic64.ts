/** The local APIC as code sees it: xAPIC, x2APIC, timer, priorities. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, mem } from "../../firmware/asm/operand.ts";
import { done, type Expect, noted, Vec } from "./check.ts";
import { At, EOI, type Kernel64, Msr, NOTE_COUNT } from "./kernel64.ts";

const { al, eax, ecx, edx, rax, rcx, rdx } = o;
const { APIC } = At;

/** Registers of the xAPIC. SDM volume 3, table 10-1. */
export const Reg = {
  ID: 0x20,
  VERSION: 0x30,
  TPR: 0x80,
  PPR: 0xa0,
  EOI: 0xb0,
  LDR: 0xd0,
  DFR: 0xe0,
  SVR: 0xf0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ESR: 0x280,
  ICR: 0x300,
  ICR_HIGH: 0x310,
  LVT_TIMER: 0x320,
  LVT_THERMAL: 0x330,
  LVT_PERF: 0x340,
  LVT_LINT0: 0x350,
  LVT_LINT1: 0x360,
  LVT_ERROR: 0x370,
  INITIAL: 0x380,
  CURRENT: 0x390,
  DIVIDE: 0x3e0,
} as const;
export const Icr = {
  SELF: 1 << 18,
  ALL: 2 << 18,
  OTHERS: 3 << 18,
  LOGICAL: 1 << 11,
  ASSERT: 1 << 14,
};
export const MASKED = 1 << 16;
const PERIODIC = 1 << 17, DEADLINE = 2 << 17;
/** Ticks of the TSC after which nothing more is waited for. */
const PATIENCE = 8_000_000_000;

export function apicWrite(k: Kernel64, register: number, value: number): void {
  k.i.mov(eax, APIC + register);
  k.i.mov(dword(rax), value | 0);
}
/** EAX becomes the register. */
export function apicRead(k: Kernel64, register: number): void {
  k.i.mov(eax, APIC + register);
  k.i.mov(eax, dword(rax));
}
/** Waits, with interrupts on, until the doubleword at `at` is at least `count`; notes DEAD when it never is. */
export function wait(
  k: Kernel64,
  count: number,
  at: number = NOTE_COUNT,
  patience = PATIENCE,
): void {
  const { i, a } = k, again = a.unique("again"), over = a.unique("over");
  const now = () => {
    i.rdtsc();
    i.shl(rdx, 32);
    i.or(rax, rdx);
  };
  now();
  i.mov(rcx, patience);
  i.add(rcx, rax);
  i.sti();
  a.label(again);
  i.pause();
  now();
  i.cmp(dword(at), count);
  i.jae(over);
  i.cmp(rax, rcx);
  i.jb(again);
  if (patience === PATIENCE) k.note(0xdead);
  a.label(over);
  i.cli();
}
/** Long enough for an interrupt to come that must not. */
export const settle = (k: Kernel64): void => wait(k, 1000, NOTE_COUNT, 3_000_000);

/** Ticks that a timer is given which must be stopped, so many that a busy host does not run into them. */
const AHEAD = 200_000_000;
const outlast = (k: Kernel64) => wait(k, 1000, NOTE_COUNT, AHEAD + AHEAD / 2);

/** Ends interrupts by memory; everything masked, nothing in service. */
export function fresh(k: Kernel64): void {
  const { i } = k;
  i.mov(dword(EOI), 1);
  apicWrite(k, Reg.SVR, 0x1ff);
  apicWrite(k, Reg.TPR, 0);
  for (
    const r of [
      Reg.LVT_TIMER,
      Reg.LVT_THERMAL,
      Reg.LVT_PERF,
      Reg.LVT_LINT0,
      Reg.LVT_LINT1,
      Reg.LVT_ERROR,
    ]
  ) {
    apicWrite(k, r, MASKED | 0xf0);
  }
  apicWrite(k, Reg.INITIAL, 0);
  apicWrite(k, Reg.DIVIDE, 0xb);
  apicWrite(k, Reg.DFR, -1);
  apicWrite(k, Reg.LDR, 1 << 24);
  // What an earlier check has left behind comes and goes now.
  i.mov(ecx, 4);
  const again = k.a.unique("drain");
  k.a.label(again);
  apicWrite(k, Reg.EOI, 0);
  i.sti();
  i.nop();
  i.nop();
  i.cli();
  i.dec(ecx);
  i.jnz(again);
  i.mov(dword(NOTE_COUNT), 0);
  for (let n = 0; n < 2; n++) apicWrite(k, Reg.ESR, 0);
}

const self = (k: Kernel64, vector: number) => apicWrite(k, Reg.ICR, Icr.SELF | Icr.ASSERT | vector);
/** Two instructions at which interrupts are taken. */
export const open = (k: Kernel64): void => {
  k.i.sti();
  k.i.nop();
  k.i.nop();
  k.i.cli();
};

export type Check = (name: string, expect: Expect, body: () => void) => void;

export function localApic(k: Kernel64): void {
  const check: Check = (name, expect, body) =>
    k.check(`APIC: ${name}`, expect, () => {
      fresh(k);
      body();
    });
  registers(k, check);
  priorities(k, check);
  timer(k, check);
}

function registers(k: Kernel64, check: Check): void {
  const { i } = k;
  const readBack = (name: string, register: number, value: number, expected: number) =>
    check(name, done(expected >>> 0), () => {
      apicWrite(k, register, value);
      apicRead(k, register);
      k.note();
    });
  k.section("3: 10.4.1, 10.4.6");
  check(
    "APIC_BASE: enabled, BSP, FEE00000h",
    done(0xfee00900),
    () => (k.getMsr(Msr.APIC_BASE), k.note()),
  );
  check("version 1xh", done(0x10, 1), () => {
    apicRead(k, Reg.VERSION);
    i.mov(edx, eax);
    i.and(eax, 0xf0);
    k.note();
    i.shr(edx, 16);
    i.and(edx, 0xff);
    i.cmp(edx, 4);
    i.mov(eax, 0);
    i.setae(al);
    k.note();
  });
  for (
    const [name, value] of [["bit 0", 0xfee00901n], ["bit 9", 0xfee00b00n], [
      "bit 52",
      0xfee00900n | 1n << 52n,
    ]] as const
  ) {
    check(
      `APIC_BASE with reserved ${name}`,
      done(noted(Vec.GP)),
      () => k.attempt(() => k.setMsr(Msr.APIC_BASE, value)),
    );
  }
  k.section("3: 10.5.1");
  readBack("LVT timer", Reg.LVT_TIMER, 0x300ff, 0x300ff);
  readBack("LVT error: other bits are 0", Reg.LVT_ERROR, -1, 0x100ff);
  readBack("LVT LINT0: status and remote IRR are read-only", Reg.LVT_LINT0, -1, 0x1a7ff);
  readBack("LVT LINT1", Reg.LVT_LINT1, -1, 0x1a7ff);
  readBack("LVT thermal", Reg.LVT_THERMAL, -1, 0x107ff);
  readBack("LVT performance", Reg.LVT_PERF, -1, 0x107ff);
  readBack("TPR has 8 bits", Reg.TPR, -1, 0xff);
  readBack("LDR has its upper 8 bits", Reg.LDR, -1, 0xff000000);
  readBack("DFR has its upper 4 bits", Reg.DFR, 0, 0x0fffffff);
  readBack("divide configuration: bits 0, 1 and 3", Reg.DIVIDE, -1, 0xb);
  readBack("the current count cannot be written", Reg.CURRENT, 1234, 0);
  readBack("ICR high has its upper 8 bits", Reg.ICR_HIGH, -1, 0xff000000);
  check("SVR off masks every LVT", done(0x100f0, 0x100f0, 0x1ff), () => {
    apicWrite(k, Reg.LVT_TIMER, 0xf0);
    apicWrite(k, Reg.SVR, 0xff);
    apicRead(k, Reg.LVT_TIMER);
    k.note();
    apicWrite(k, Reg.LVT_TIMER, 0xf0);
    apicRead(k, Reg.LVT_TIMER);
    k.note();
    apicWrite(k, Reg.SVR, 0x1ff);
    apicRead(k, Reg.SVR);
    k.note();
  });
  k.section("3: 10.5.3");
  const esr = () => {
    apicWrite(k, Reg.ESR, 0);
    apicRead(k, Reg.ESR);
  };
  check("a vector below 16 cannot be sent", done(0x20), () => {
    self(k, 5);
    esr();
    // Whether the same APIC also receives it is not said.
    i.and(eax, ~0x40);
    k.note();
  });
  check("ESR shows an error once", done(0x20, 0), () => {
    self(k, 5);
    for (let n = 0; n < 2; n++) {
      esr();
      i.and(eax, ~0x40);
      k.note();
    }
  });
  check("ESR reads what its last write latched", done(0), () => {
    self(k, 5);
    apicRead(k, Reg.ESR);
    k.note();
  });
  check("an error raises LVT error's interrupt", done(0x53), () => {
    apicWrite(k, Reg.LVT_ERROR, 0x53);
    self(k, 5);
    open(k);
  });
  check("a reserved register sets ESR bit 7", done(0x80), () => {
    apicRead(k, 0x40);
    esr();
    k.note();
  });
}

function priorities(k: Kernel64, check: Check): void {
  const { i, a } = k;
  k.section("3: 10.6, 10.8");
  check("an interrupt to itself", done(0x50), () => (self(k, 0x50), open(k)));
  check("ICR: delivery status is 0 again", done(0x44050), () => {
    self(k, 0x50);
    apicRead(k, Reg.ICR);
    k.note();
    open(k);
    i.mov(dword(NOTE_COUNT), 1);
  });
  check("the highest vector first", done(0x61, 0x52, 0x50, 0x45), () => {
    for (const v of [0x50, 0x61, 0x45, 0x52]) self(k, v);
    open(k);
  });
  check(
    "the same vector twice is one interrupt",
    done(0x50),
    () => (self(k, 0x50), self(k, 0x50), open(k)),
  );
  check("TPR holds back its class and below", done(0x71, 0, 0x6f, 0x55), () => {
    apicWrite(k, Reg.TPR, 0x60);
    for (const v of [0x55, 0x71, 0x6f]) self(k, v);
    open(k);
    k.note(0);
    apicWrite(k, Reg.TPR, 0);
    open(k);
  });
  check("CR8 is TPR's class", done(0x50, 7), () => {
    i.mov(eax, 5);
    k.cr8(rax);
    apicRead(k, Reg.TPR);
    k.note();
    apicWrite(k, Reg.TPR, 0x7f);
    a.db(0x44, 0x0f, 0x20, 0xc0);
    k.note();
  });
  check("CR8 holds back, and lets go", done(0, 0x55), () => {
    i.mov(eax, 5);
    k.cr8(rax);
    self(k, 0x55);
    open(k);
    k.note(0);
    i.sti();
    i.mov(eax, 4);
    k.cr8(rax);
    i.nop();
    i.nop();
    i.cli();
  });
  check("PPR is TPR when nothing is in service", done(0x35), () => {
    apicWrite(k, Reg.TPR, 0x35);
    apicRead(k, Reg.PPR);
    k.note();
  });
  const within = (vector: number, body: () => void) => {
    const own = a.unique("own"), over = a.unique("over");
    k.gate(vector, own);
    i.jmp(over);
    a.label(own);
    i.push(rax);
    body();
    apicWrite(k, Reg.EOI, 0);
    i.pop(rax);
    i.iretq();
    a.label(over);
  };
  check("in service: PPR, ISR, IRR", done(0x50, 1 << 0x17, 0, 0), () => {
    within(0x57, () => {
      for (const r of [Reg.PPR, Reg.ISR + 0x20, Reg.IRR + 0x20]) {
        apicRead(k, r);
        k.note();
      }
    });
    self(k, 0x57);
    open(k);
    apicRead(k, Reg.ISR + 0x20);
    k.note();
  });
  check("PPR is TPR when that is of the higher class", done(0x45), () => {
    apicWrite(k, Reg.TPR, 0x45);
    within(0x57, () => {
      apicWrite(k, Reg.TPR, 0x63);
      apicRead(k, Reg.PPR);
      // The class in service is 5, TPR's 6.
      i.sub(eax, 0x1e);
      k.note();
    });
    self(k, 0x57);
    open(k);
  });
  check("IRR while IF is 0", done(1 << 0x12, 0, 0x52), () => {
    self(k, 0x52);
    for (const r of [Reg.IRR + 0x20, Reg.ISR + 0x20]) {
      apicRead(k, r);
      k.note();
    }
    open(k);
  });
  check("a higher class interrupts, the same class waits", done(0x61, 0, 0x5f), () => {
    within(0x51, () => {
      self(k, 0x5f);
      self(k, 0x61);
      open(k);
      k.note(0);
    });
    self(k, 0x51);
    open(k);
  });
  check("EOI ends the highest in service", done(1 << 0x11, 0), () => {
    within(0x51, () => {
      self(k, 0x61);
      open(k);
      i.mov(dword(NOTE_COUNT), 0);
      apicRead(k, Reg.ISR + 0x20);
      k.note();
    });
    self(k, 0x51);
    open(k);
    apicRead(k, Reg.ISR + 0x20);
    k.note();
  });
  check("EOI with nothing in service", done(0), () => {
    apicWrite(k, Reg.EOI, 0);
    apicRead(k, Reg.ISR + 0x20);
    k.note();
  });
  k.section("3: 6.8.3; 2: STI, MOV, POPF");
  check("STI: CLI behind it comes before the interrupt", done(0, 0x50), () => {
    self(k, 0x50);
    i.sti();
    i.cli();
    k.note(0);
    open(k);
  });
  check("STI while IF is 1 has no shadow", done(0x50, 0), () => {
    i.sti();
    i.mov(eax, APIC + Reg.ICR);
    i.mov(dword(rax), Icr.SELF | Icr.ASSERT | 0x50);
    i.nop();
    i.sti();
    i.cli();
    k.note(0);
  });
  check("POPF has no shadow", done(0x50, 0), () => {
    self(k, 0x50);
    i.push(0x202);
    i.popfq();
    i.cli();
    k.note(0);
  });
  check("IRET has no shadow", done(0x50, 0), () => {
    const to = a.unique("to");
    self(k, 0x50);
    i.push(0x10);
    i.push(At.STACK);
    i.push(0x202);
    i.push(0x18);
    i.lea(rax, mem(to));
    i.push(rax);
    i.iretq();
    a.label(to);
    i.cli();
    k.note(0);
  });
  check("HLT behind STI ends by what was waiting", done(0x50), () => {
    self(k, 0x50);
    i.sti();
    i.hlt();
    i.cli();
  });
  k.section("3: 6.7.1, 10.6.1");
  check("an NMI to itself, IF 0", { vector: Vec.NMI, error: 0 }, () => {
    apicWrite(k, Reg.ICR_HIGH, 0);
    apicWrite(k, Reg.ICR, Icr.ASSERT | 0x400);
    settle(k);
  });
  check("a second NMI waits for IRET", done(0x1234), () => {
    const own = a.unique("own"), over = a.unique("over"), last = a.unique("last");
    const log = At.SCRATCH, count = At.SCRATCH + 8;
    const send = () => {
      apicWrite(k, Reg.ICR_HIGH, 0);
      apicWrite(k, Reg.ICR, Icr.ASSERT | 0x400);
      i.nop();
    };
    /** Another digit of the log. */
    const step = (digit: number) => {
      i.shl(dword(log), 4);
      i.or(dword(log), digit);
    };
    k.gate(Vec.NMI, own);
    k.put(log, 0);
    k.put(count, 0);
    i.jmp(over);
    a.label(own);
    i.push(rax);
    i.inc(dword(count));
    i.cmp(dword(count), 1);
    i.jne(last);
    step(1);
    send();
    step(2);
    i.pop(rax);
    i.iretq();
    a.label(last);
    step(3);
    i.pop(rax);
    i.iretq();
    a.label(over);
    send();
    settle(k);
    step(4);
    i.mov(eax, dword(log));
    k.note();
  });
}

function timer(k: Kernel64, check: Check): void {
  const { i } = k;
  k.section("3: 10.5.4");
  check("timer: once", done(0x50, 0), () => {
    apicWrite(k, Reg.LVT_TIMER, 0x50);
    apicWrite(k, Reg.INITIAL, 100_000);
    wait(k, 1);
    settle(k);
    apicRead(k, Reg.CURRENT);
    k.note();
  });
  check("timer: again and again", done(0x51, 0x51, 0x51), () => {
    apicWrite(k, Reg.LVT_TIMER, PERIODIC | 0x51);
    apicWrite(k, Reg.INITIAL, 1_000_000);
    wait(k, 3);
    apicWrite(k, Reg.INITIAL, 0);
  });
  check("timer: masked it counts down, and raises nothing when unmasked", done(1), () => {
    const { a } = k, again = a.unique("again"), over = a.unique("over");
    apicWrite(k, Reg.LVT_TIMER, MASKED | 0x50);
    apicWrite(k, Reg.INITIAL, 10_000);
    i.mov(ecx, 20_000_000);
    a.label(again);
    apicRead(k, Reg.CURRENT);
    i.test(eax, eax);
    i.jz(over);
    i.dec(ecx);
    i.jnz(again);
    a.label(over);
    apicWrite(k, Reg.LVT_TIMER, 0x50);
    settle(k);
    k.note(1);
  });
  check("timer: an initial count of 0 stops it", done(0, 0), () => {
    apicWrite(k, Reg.LVT_TIMER, 0x50);
    apicWrite(k, Reg.INITIAL, AHEAD);
    apicWrite(k, Reg.INITIAL, 0);
    outlast(k);
    for (const r of [Reg.CURRENT, Reg.INITIAL]) {
      apicRead(k, r);
      k.note();
    }
  });
  check("timer: the current count goes down from the initial count", done(1, 1), () => {
    apicWrite(k, Reg.LVT_TIMER, MASKED);
    apicWrite(k, Reg.INITIAL, -1);
    apicRead(k, Reg.CURRENT);
    i.mov(o.ebx, eax);
    wait(k, 1000, NOTE_COUNT, 1_000_000);
    apicRead(k, Reg.CURRENT);
    i.cmp(eax, o.ebx);
    i.mov(eax, 0);
    i.setbe(al);
    k.note();
    apicRead(k, Reg.CURRENT);
    i.shr(eax, 31);
    k.note();
  });
  k.section("3: 10.5.4.1", "tsc-deadline");
  const deadline = (ahead: number) => {
    i.rdtsc();
    i.shl(rdx, 32);
    i.or(rax, rdx);
    i.add(rax, ahead);
    i.mov(rdx, rax);
    i.shr(rdx, 32);
    i.mov(ecx, Msr.TSC_DEADLINE);
    i.wrmsr();
  };
  const noteDeadline = () => (k.getMsr(Msr.TSC_DEADLINE), k.note());
  check("deadline: it comes once, and the MSR is 0", done(0x52, 0), () => {
    apicWrite(k, Reg.LVT_TIMER, DEADLINE | 0x52);
    deadline(1_000_000);
    wait(k, 1);
    settle(k);
    noteDeadline();
  });
  check("deadline: the past comes at once", done(0x52), () => {
    apicWrite(k, Reg.LVT_TIMER, DEADLINE | 0x52);
    k.setMsr(Msr.TSC_DEADLINE, 1);
    wait(k, 1);
  });
  check("deadline: 0 disarms", done(0), () => {
    apicWrite(k, Reg.LVT_TIMER, DEADLINE | 0x52);
    deadline(AHEAD);
    k.setMsr(Msr.TSC_DEADLINE, 0);
    outlast(k);
    noteDeadline();
  });
  check("deadline: the MSR is ignored in the other modes", done(0), () => {
    apicWrite(k, Reg.LVT_TIMER, 0x52);
    deadline(1000);
    settle(k);
    noteDeadline();
  });
  check("deadline: the initial count is ignored", done(0), () => {
    apicWrite(k, Reg.LVT_TIMER, DEADLINE | 0x52);
    apicWrite(k, Reg.INITIAL, 1000);
    settle(k);
    apicRead(k, Reg.CURRENT);
    k.note();
  });
  check("deadline: another mode disarms", done(0), () => {
    apicWrite(k, Reg.LVT_TIMER, DEADLINE | 0x52);
    deadline(AHEAD);
    apicWrite(k, Reg.LVT_TIMER, 0x52);
    apicWrite(k, Reg.LVT_TIMER, DEADLINE | 0x52);
    outlast(k);
    noteDeadline();
  });
  check("LVT timer: three modes", done(0x500ff), () => {
    apicWrite(k, Reg.LVT_TIMER, 0x500ff);
    apicRead(k, Reg.LVT_TIMER);
    k.note();
  });
}

export function x2apic(k: Kernel64): void {
  const { i } = k, ON = 0xfee00d00, OFF = 0xfee00100, X = 0xfee00900;
  const check: Check = (name, expect, body) =>
    k.check(`x2APIC: ${name}`, expect, () => {
      fresh(k);
      k.setMsr(Msr.APIC_BASE, ON);
      i.mov(dword(EOI), 2);
      body();
      k.setMsr(Msr.APIC_BASE, OFF);
      k.setMsr(Msr.APIC_BASE, X);
    });
  const readNote = (msr: number) => (k.getMsr(msr), k.note());
  const gp = (name: string, emit: () => void) =>
    check(name, done(noted(Vec.GP)), () => k.attempt(emit));
  k.section("3: 10.12", "x2apic");
  check("ID, LDR, SVR", done(0, 1, 0x1ff), () => [0x802, 0x80d, 0x80f].forEach(readNote));
  check("an interrupt to itself by SELF IPI", done(0x50), () => (k.setMsr(0x83f, 0x50), open(k)));
  check(
    "an interrupt to itself by ICR",
    done(0x51),
    () => (k.setMsr(0x830, Icr.SELF | Icr.ASSERT | 0x51), open(k)),
  );
  check(
    "an interrupt to itself by its ID",
    done(0x52),
    () => (k.setMsr(0x830, Icr.ASSERT | 0x52), open(k)),
  );
  check(
    "an interrupt by its logical ID",
    done(0x53),
    () => (k.setMsr(0x830, 1n << 32n | BigInt(Icr.ASSERT | Icr.LOGICAL | 0x53)), open(k)),
  );
  check(
    "priorities",
    done(0x61, 0x52),
    () => (k.setMsr(0x83f, 0x52), k.setMsr(0x83f, 0x61), open(k)),
  );
  check("TPR holds back", done(0, 0x52), () => {
    k.setMsr(0x808, 0x60);
    k.setMsr(0x83f, 0x52);
    open(k);
    k.note(0);
    k.setMsr(0x808, 0);
    open(k);
  });
  check(
    "CR8 is TPR's class",
    done(0x60),
    () => (i.mov(eax, 6), k.cr8(rax), readNote(0x808), i.mov(eax, 0), k.cr8(rax)),
  );
  check("IRR", done(1 << 0x12, 0x52), () => (k.setMsr(0x83f, 0x52), readNote(0x822), open(k)));
  gp("EOI of 1", () => k.setMsr(0x80b, 1));
  gp("ESR of 1", () => k.setMsr(0x828, 1));
  gp("TPR with bit 8", () => k.setMsr(0x808, 0x100));
  gp("ID cannot be written", () => k.setMsr(0x802, 0));
  gp("LDR cannot be written", () => k.setMsr(0x80d, 1));
  gp("no DFR", () => k.getMsr(0x80e));
  gp("no ICR high", () => k.getMsr(0x831));
  gp("EOI cannot be read", () => k.getMsr(0x80b));
  gp("SELF IPI cannot be read", () => k.getMsr(0x83f));
  gp("a reserved register", () => k.getMsr(0x804));
  gp("SVR with bit 32", () => k.setMsr(0x80f, 1n << 32n | 0x1ffn));
  gp("LVT timer with a reserved bit", () => k.setMsr(0x832, 1 << 20 | 0xf0));
  gp("ICR with a reserved bit", () => k.setMsr(0x830, 1 << 20));
  gp("from x2APIC to xAPIC", () => k.setMsr(Msr.APIC_BASE, X));
  k.check("x2APIC: from off to x2APIC", done(noted(Vec.GP)), () => {
    fresh(k);
    k.setMsr(Msr.APIC_BASE, OFF);
    k.attempt(() => k.setMsr(Msr.APIC_BASE, ON));
    k.setMsr(Msr.APIC_BASE, X);
  });
  k.check("x2APIC: EXTD without EN", done(noted(Vec.GP)), () => {
    fresh(k);
    k.attempt(() => k.setMsr(Msr.APIC_BASE, 0xfee00500));
  });
  k.check("x2APIC: its MSRs in xAPIC mode", done(noted(Vec.GP)), () => {
    fresh(k);
    k.attempt(() => k.getMsr(0x802));
  });
  check("its timer", done(0x54), () => {
    k.setMsr(0x83e, 0xb);
    k.setMsr(0x832, 0x54);
    k.setMsr(0x838, 10_000);
    wait(k, 1);
  });
  check("its deadline", done(0x55), () => {
    k.setMsr(0x832, DEADLINE | 0x55);
    k.setMsr(Msr.TSC_DEADLINE, 1);
    wait(k, 1);
  });
}
