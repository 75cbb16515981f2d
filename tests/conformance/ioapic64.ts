/** The I/O APIC, with pc-testdev's interrupt lines. */
import * as o from "../../firmware/asm/operand.ts";
import { dword } from "../../firmware/asm/operand.ts";
import { apicRead, apicWrite, type Check, fresh, MASKED, open, Reg, settle } from "./apic64.ts";
import { done, Vec } from "./check.ts";
import { At, type Kernel64 } from "./kernel64.ts";

const { al, eax, edx, rax, rdx } = o;
const { IOAPIC } = At;

/** The I/O APIC of the 82371's companion 82093AA, with pc-testdev's interrupt lines. */
export function ioApic(k: Kernel64): void {
  const { i, a } = k, GSI = 5;
  const select = (index: number) => {
    i.mov(eax, IOAPIC);
    i.mov(dword(rax), index);
  };
  const write = (index: number, value: number) => {
    select(index);
    i.mov(dword(rax, 16), value | 0);
  };
  const read = (index: number) => {
    select(index);
    i.mov(eax, dword(rax, 16));
  };
  const entry = (low: number, high = 0, gsi = GSI) => {
    write(0x11 + 2 * gsi, high);
    write(0x10 + 2 * gsi, low);
  };
  const line = (level: 0 | 1, gsi = GSI) => {
    i.mov(edx, 0x2000 + gsi);
    i.mov(al, level);
    i.out(o.dx, al);
  };
  const LEVEL = 1 << 15, LOGICAL = 1 << 11, LOWEST = 1 << 8;
  const check: Check = (name, expect, body) =>
    k.check(`IOAPIC: ${name}`, expect, () => {
      line(0);
      entry(MASKED);
      fresh(k);
      body();
      line(0);
      entry(MASKED);
    });
  k.section("82093AA: 3");
  check("24 entries", done(0x17), () => {
    read(1);
    i.shr(eax, 16);
    k.note();
  });
  check("an entry's bits that can be written", done(0x1afff, 0xff000000), () => {
    entry(MASKED | 0xffff, -1);
    read(0x10 + 2 * GSI);
    k.note();
    read(0x11 + 2 * GSI);
    i.and(eax, -1 << 24);
    k.note();
  });
  check("an edge", done(0x50), () => {
    entry(0x50);
    line(1);
    open(k);
    settle(k);
  });
  check("two edges", done(0x50, 0x50), () => {
    entry(0x50);
    for (let n = 0; n < 2; n++) {
      line(1);
      open(k);
      line(0);
    }
  });
  check("an edge while masked is lost", done(), () => {
    entry(MASKED | 0x50);
    line(1);
    line(0);
    entry(0x50);
    open(k);
  });
  check("a level stays: again after EOI until the line falls", done(1, 2, 0), () => {
    const own = a.unique("own"),
      over = a.unique("over"),
      keep = a.unique("keep"),
      count = At.SCRATCH;
    k.gate(0x51, own);
    i.mov(dword(count), 0);
    i.jmp(over);
    a.label(own);
    i.push(rax);
    i.push(rdx);
    i.inc(dword(count));
    i.mov(eax, dword(count));
    k.note();
    i.cmp(dword(count), 2);
    i.jne(keep);
    line(0);
    a.label(keep);
    apicWrite(k, Reg.EOI, 0);
    i.pop(rdx);
    i.pop(rax);
    i.iretq();
    a.label(over);
    entry(LEVEL | 0x51);
    line(1);
    settle(k);
    read(0x10 + 2 * GSI);
    i.and(eax, 0x4000);
    k.note();
  });
  check("a level: remote IRR and TMR until EOI", done(0x4000, 1 << 0x11, 0), () => {
    entry(LEVEL | 0x51);
    line(1);
    read(0x10 + 2 * GSI);
    i.and(eax, 0x4000);
    k.note();
    const own = a.unique("own"), over = a.unique("over");
    k.gate(0x51, own);
    i.jmp(over);
    a.label(own);
    i.push(rax);
    i.push(rdx);
    line(0);
    apicRead(k, Reg.TMR + 0x20);
    k.note();
    apicWrite(k, Reg.EOI, 0);
    i.pop(rdx);
    i.pop(rax);
    i.iretq();
    a.label(over);
    open(k);
    read(0x10 + 2 * GSI);
    i.and(eax, 0x4000);
    k.note();
  });
  check("a level while masked comes when unmasked", done(0x51), () => {
    entry(LEVEL | MASKED | 0x51);
    line(1);
    open(k);
    entry(LEVEL | 0x51);
    line(0);
    open(k);
  });
  check("TMR is 0 for an edge", done(0x50, 0), () => {
    entry(0x50);
    line(1);
    open(k);
    apicRead(k, Reg.TMR + 0x20);
    i.and(eax, 1 << 0x10);
    k.note();
  });
  check("a logical destination", done(0x52), () => {
    apicWrite(k, Reg.LDR, 4 << 24);
    entry(LOGICAL | 0x52, 4 << 24);
    line(1);
    open(k);
  });
  check("another logical destination", done(), () => {
    apicWrite(k, Reg.LDR, 4 << 24);
    entry(LOGICAL | 0x52, 8 << 24);
    line(1);
    open(k);
  });
  check("another physical destination", done(), () => {
    entry(0x52, 0x7 << 24);
    line(1);
    open(k);
  });
  check("lowest priority", done(0x53), () => {
    entry(LOGICAL | LOWEST | 0x53, 1 << 24);
    line(1);
    open(k);
  });
  check("an NMI", { vector: Vec.NMI, error: 0 }, () => {
    entry(0x400);
    line(1);
    settle(k);
  });
  check("a cluster's destination", done(0x54), () => {
    apicWrite(k, Reg.DFR, 0x0fffffff);
    apicWrite(k, Reg.LDR, 0x21 << 24);
    entry(LOGICAL | 0x54, 0x21 << 24);
    line(1);
    open(k);
  });
}
