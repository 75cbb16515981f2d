/**
 * Debug facilities under tcg: single-step, breakpoints in the debug registers, general detect, the T
 * bit of tasks, and the gdb stub's. Expectations are the SDM's, volume 3, chapter 17.2 and 17.3.
 */
import { assertEquals } from "../../core/std/assert.ts";
import { Assembler } from "../../firmware/asm/assembler.ts";
import {
  al,
  ax,
  byte,
  cr4,
  dr0,
  dr1,
  dr4,
  dr6,
  dr7,
  dword,
  dx,
  eax,
  ebx,
  ecx,
  edi,
  edx,
  esi,
  esp,
  far,
  ss,
  word,
} from "../../firmware/asm/operand.ts";
import type { TcgVm } from "../../core/tcg/vm.ts";
import {
  buildGuest,
  CODE,
  type Code,
  DATA,
  type Hit,
  hitsOf,
  hitsOnQemu,
  IMAGE,
  STACK,
} from "./debug_guest.ts";
import { type Bench, tcgOptions, withBench } from "./harness.ts";

/**
 * Runs a guest to its HLT. With `qemu` Debian's QEMU must have met the same; where it differs from the
 * SDM it is not asked.
 */
function run(code: Code, qemu: "qemu" | "not qemu" = "not qemu"): { hits: Hit[]; bench: Bench } {
  const guest = buildGuest(code), printed: number[] = [];
  let result: Bench | undefined;
  withBench(tcgOptions(), (b) => {
    result = b;
    b.load(IMAGE, guest.image);
    b.port(0xe9, 1, { write: (_o, _size, v) => void printed.push(v) });
    b.port(0xc0, 8, { read: () => 0x55 });
    b.protectedMode(CODE);
    b.vcpu.setRegs({ rsp: BigInt(STACK) });
    assertEquals(b.run().reason, "hlt");
  });
  const hits = hitsOf(guest, Uint8Array.from(printed));
  const theirs = qemu === "qemu" ? hitsOnQemu(guest) : undefined;
  if (theirs !== undefined) assertEquals(hits, theirs, "as on QEMU");
  return { hits, bench: result! };
}

const places = (hits: readonly Hit[]) => hits.map((h) => `${h.at} ${h.dr6.toString(16)}`);

function setTf(a: Assembler): void {
  a.i.pushfd();
  a.i.or(dword(esp), 0x100);
  a.i.popfd();
}
function clearTf(a: Assembler): void {
  a.i.pushfd();
  a.i.and(dword(esp), ~0x100);
  a.i.popfd();
}
/** Sets breakpoint 0: kind 0 fetch, 1 write, 2 port, 3 data; length as in DR7. */
function breakpoint(a: Assembler, address: number | string, kind: number, length = 0): void {
  a.i.mov(eax, address);
  a.i.mov(dr0, eax);
  a.i.mov(eax, 2 | (kind << 16) | (length << 18));
  a.i.mov(dr7, eax);
}

Deno.test("TF traps behind each instruction, from the one after POPF to the one that clears it", () => {
  const { hits } = run((a) => {
    setTf(a);
    a.label("first");
    a.i.nop();
    a.label("second");
    a.i.mov(eax, 1);
    a.label("third");
    clearTf(a);
    a.label("end");
  }, "qemu");
  assertEquals(places(hits), [
    "second 4000",
    "third 4000",
    "third+1 4000",
    "third+8 4000",
    "end 4000",
  ]);
  assertEquals(hits.map((h) => h.flags), [0x100, 0x100, 0x100, 0x100, 0]);
});

Deno.test("TF: each round of a repetition, HLT-free interrupts, MOV SS", () => {
  const rep = run((a) => {
    a.i.mov(ecx, 3);
    a.i.mov(esi, DATA);
    a.i.mov(edi, DATA + 64);
    setTf(a);
    a.label("movs");
    a.i.rep();
    a.i.movsb();
    a.label("after");
    a.i.nop();
    a.label("then");
    clearTf(a);
  }, "qemu");
  assertEquals(places(rep.hits).slice(0, 4), [
    "movs 4000",
    "movs 4000",
    "after 4000",
    "then 4000",
  ]);
  const none = run((a) => {
    a.i.xor(ecx, ecx);
    setTf(a);
    a.label("stos");
    a.i.rep();
    a.i.stosd();
    a.label("after");
    clearTf(a);
  }, "qemu");
  assertEquals(places(none.hits)[0], "after 4000");
  // The trap of INT n is lost with TF; its handler returns with TF, which traps one instruction later.
  const int = run((a) => {
    setTf(a);
    a.label("int");
    a.i.int(0x40);
    a.label("after");
    a.i.nop();
    a.label("then");
    clearTf(a);
  }, "qemu");
  assertEquals(places(int.hits).slice(0, 2), ["after 0", "then 4000"]);
  const stack = run((a) => {
    a.i.mov(eax, ss);
    setTf(a);
    a.label("movss");
    a.i.mov(ss, ax);
    a.label("shadowed");
    a.i.nop();
    a.label("then");
    clearTf(a);
  }, "qemu");
  assertEquals(places(stack.hits)[0], "then 4000");
  const sti = run((a) => {
    setTf(a);
    a.label("sti");
    a.i.sti();
    a.label("shadowed");
    a.i.cli();
    a.label("then");
    clearTf(a);
  });
  assertEquals(places(sti.hits).slice(0, 2), ["shadowed 4000", "then 4000"]);
});

Deno.test("TF: string I/O traps behind each round; HLT is left by the trap", () => {
  const { hits } = run((a) => {
    a.i.mov(ecx, 2);
    a.i.mov(edi, DATA);
    a.i.mov(dx, 0xc0);
    setTf(a);
    a.label("ins");
    a.i.rep();
    a.i.insb();
    a.label("halt");
    a.i.hlt();
    a.label("after");
    clearTf(a);
  });
  assertEquals(places(hits).slice(0, 3), ["ins 4000", "halt 4000", "after 4000"]);
});

Deno.test("TF traps taken branches only under DEBUGCTL.BTF, which a debug exception clears", () => {
  const { hits } = run((a) => {
    a.i.mov(ecx, 0x1d9);
    a.i.mov(eax, 2);
    a.i.xor(edx, edx);
    a.i.wrmsr();
    setTf(a);
    a.i.nop();
    a.i.nop();
    a.i.cmp(edx, ebx);
    a.i.jnz("not taken");
    a.label("not taken");
    a.i.jmp("taken");
    a.i.nop();
    a.label("taken");
    a.i.nop();
    a.label("after");
    clearTf(a);
  });
  assertEquals(places(hits).slice(0, 2), ["taken 4000", "after 4000"]);
});

Deno.test("fetch breakpoints fault before the instruction; RF lets it run once", () => {
  const { hits, bench } = run((a) => {
    breakpoint(a, "here", 0);
    a.i.inc(ebx); // the handler is to set RF
    a.i.mov(ecx, 3);
    a.label("loop");
    a.i.inc(esi);
    a.label("here");
    a.i.inc(edi);
    a.i.loop("loop");
  }, "qemu");
  assertEquals(places(hits), ["here 1", "here 1", "here 1"]);
  assertEquals(hits.map((h) => h.flags), [0, 0, 0]);
  assertEquals(Number(bench.vcpu.getRegs().rdi), 3);
  // Not behind MOV SS, and not where DR7 asks for a length.
  const shadowed = run((a) => {
    breakpoint(a, "here", 0);
    a.i.inc(ebx);
    a.i.mov(eax, ss);
    a.i.mov(ss, ax);
    a.label("here");
    a.i.nop();
    a.i.mov(eax, 2 | (1 << 18));
    a.i.mov(dr7, eax);
    a.i.call("sub");
    a.i.jmp("out");
    a.label("sub");
    a.i.ret();
    a.label("out");
  });
  assertEquals(shadowed.hits, []);
});

Deno.test("a fetch breakpoint is armed for code that has run, and disarmed again", () => {
  const { hits } = run((a) => {
    a.i.inc(ebx);
    a.i.call("sub");
    breakpoint(a, "in", 0);
    a.i.call("sub");
    a.i.call("sub");
    a.i.xor(eax, eax);
    a.i.mov(dr7, eax);
    a.i.call("sub");
    a.i.jmp("out");
    a.label("sub");
    a.i.mov(ecx, 2);
    a.label("in");
    a.i.inc(esi);
    a.i.loop("in");
    a.i.ret();
    a.label("out");
  }, "qemu");
  assertEquals(places(hits), ["in 1", "in 1", "in 1", "in 1"]);
});

Deno.test("data breakpoints trap behind the access, by kind, place and length", () => {
  const { hits } = run((a) => {
    breakpoint(a, DATA + 4, 1, 3); // 4 bytes, written
    a.label("a");
    a.i.mov(eax, dword(DATA + 4));
    a.i.mov(dword(DATA), eax);
    a.i.mov(byte(DATA + 8), al);
    a.label("hit1");
    a.i.mov(byte(DATA + 7), al);
    a.label("hit2");
    a.i.mov(dword(DATA + 1), eax);
    a.label("hit3");
    a.i.inc(dword(DATA + 4));
    a.label("end3");
    breakpoint(a, DATA + 0xfff, 3, 0); // 1 byte, read or written
    a.label("hit4");
    a.i.mov(ax, word(DATA + 0xfff));
    a.label("end4");
    a.i.mov(eax, dword(DATA + 0xffc));
    a.label("end5");
    a.i.mov(eax, dword(DATA + 0x1000));
    a.i.mov(eax, dword(DATA + 0xff8));
  }, "qemu");
  assertEquals(places(hits), ["hit2 1", "hit3 1", "end3 1", "end4 1", "end5 1"]);
});

Deno.test("data breakpoints: every way of access, and each round of a repetition", () => {
  const { hits } = run((a) => {
    breakpoint(a, DATA + 16, 3, 3);
    a.i.mov(esi, DATA);
    a.i.mov(edi, DATA + 64);
    a.i.mov(ecx, 8);
    a.label("movs");
    a.i.rep();
    a.i.movsd();
    a.label("after");
    a.i.mov(esp, DATA + 20);
    a.label("push");
    a.i.push(eax);
    a.label("done");
    a.i.mov(esp, 0x7ff0);
    a.i.mov(edi, DATA);
    a.i.mov(ecx, 64);
    a.label("stos");
    a.i.rep();
    a.i.stosb();
    a.label("end");
  }, "qemu");
  assertEquals(places(hits), ["movs 1", "done 1", ...Array(4).fill("stos 1")]);
});

Deno.test("a data breakpoint met by MOV SS waits for the next instruction", () => {
  const { hits } = run((a) => {
    a.i.mov(word(DATA), ss);
    breakpoint(a, DATA, 3, 1);
    a.label("movss");
    a.i.mov(ss, word(DATA));
    a.label("next");
    a.i.nop();
    a.label("then");
  });
  assertEquals(places(hits), ["then 1"]);
});

Deno.test("port breakpoints need CR4.DE", () => {
  const body: Code = (a) => {
    breakpoint(a, 0xc2, 2, 1);
    a.i.mov(dx, 0xc3);
    a.label("in");
    a.i.in(al, dx);
    a.label("out");
    a.i.mov(dx, 0xc4);
    a.i.in(al, dx);
    a.i.mov(dx, 0xc0);
    a.i.out(dx, eax);
    a.label("end");
  };
  assertEquals(places(run(body).hits), []);
  const on = run((a) => {
    a.i.mov(eax, cr4);
    a.i.or(eax, 8);
    a.i.mov(cr4, eax);
    body(a);
  });
  assertEquals(places(on.hits), ["out 1", "end 1"]);
});

Deno.test("general detect, DR4 and DR5, ICEBP", () => {
  const gd = run((a) => {
    a.i.mov(eax, 0x2000);
    a.i.mov(dr7, eax);
    a.label("touch");
    a.i.mov(eax, dr1);
    a.label("again");
    a.i.mov(eax, dr7);
    a.i.mov(edx, eax);
  });
  // The handler finds GD clear; the frame has RF, as of any fault.
  assertEquals(places(gd.hits), ["touch 2000"]);
  assertEquals(gd.hits[0].flags, 0x10000);
  assertEquals(Number(gd.bench.vcpu.getRegs().rdx), 0x400);
  const alias = run((a) => {
    a.i.mov(eax, 0xffffffff);
    a.i.mov(dr4, eax);
    a.i.mov(edx, dr6);
  });
  assertEquals(Number(alias.bench.vcpu.getRegs().rdx), 0xffffefff);
  const ice = run((a) => {
    a.label("icebp");
    a.db(0xf1);
    a.label("after");
  });
  assertEquals(places(ice.hits), ["after 0"]);
});

Deno.test("a task with the T bit traps before its first instruction", () => {
  const { hits } = run((a) => {
    a.label("switch");
    a.i.jmp(far(0x20, 0));
    a.label("task");
    a.i.nop();
  });
  assertEquals(places(hits), ["task 8000"]);
});

Deno.test("local breakpoints end with the task, global ones stay", () => {
  const { bench } = run((a) => {
    a.i.mov(eax, 0x3ff);
    a.i.mov(dr7, eax);
    a.i.jmp(far(0x20, 0));
    a.label("task");
    a.i.mov(edx, dr7);
  });
  assertEquals(Number(bench.vcpu.getRegs().rdx), 0x6aa);
});

Deno.test("the stub's breakpoints and steps come out as exits", () => {
  const seen: string[] = [];
  const guest = buildGuest((a) => {
    a.i.mov(ecx, 2);
    a.label("loop");
    a.i.inc(esi);
    a.i.loop("loop");
  });
  withBench(tcgOptions(), (b) => {
    b.load(IMAGE, guest.image);
    b.protectedMode(CODE);
    const loop = BigInt(guest.labels.get("loop")!);
    const note = () => {
      const exit = b.run();
      if (exit.reason === "debug") seen.push(`${exit.pc - loop} ${exit.dr6 & 0xffffn}`);
      else seen.push(exit.reason);
    };
    b.vcpu.setGuestDebug({ step: false, breakpoints: [loop] });
    note();
    b.vcpu.setGuestDebug({ step: true, breakpoints: [] });
    note();
    b.vcpu.setGuestDebug({ step: false, breakpoints: [1n, 2n, 3n, 4n, loop + 1n] });
    note();
    b.vcpu.setGuestDebug({ step: true, breakpoints: [] });
    note();
    b.vcpu.setGuestDebug({ step: false, breakpoints: [loop] });
    note();
    b.vcpu.setGuestDebug({ step: false, breakpoints: [] });
    note();
  });
  const dr6 = (bits: number) => 0x0ff0 | bits;
  assertEquals(seen, [
    `0 ${dr6(1)}`,
    `1 ${dr6(0x4000)}`,
    `1 ${dr6(0)}`,
    `0 ${dr6(0x4000)}`,
    `0 ${dr6(1)}`,
    "hlt",
  ]);
});

Deno.test("breakpoints in a loop that has become a region", () => {
  withBench(tcgOptions(), (b) => {
    const vm = b.vm as TcgVm;
    vm.regions = true;
    const a = new Assembler(32, CODE), { i } = a;
    a.label("loop");
    i.inc(esi);
    i.mov(dword(DATA), esi);
    a.label("middle");
    i.xor(edi, esi);
    i.jmp("loop");
    const { bytes, labels } = a.assemble();
    b.load(CODE, bytes);
    b.protectedMode(CODE);
    for (let n = 0; n < 200 && vm.cache.stats.regions === 0; n++) b.vcpu.run(100_000);
    assertEquals(vm.cache.stats.regions > 0, true);
    const middle = BigInt(labels.get("middle")!);
    b.vcpu.setGuestDebug({ step: false, breakpoints: [middle] });
    const exit = b.run();
    assertEquals(exit.reason === "debug" && exit.pc, middle);
    b.vcpu.setGuestDebug({ step: false, breakpoints: [] });
    // A data breakpoint: #DB without an IDT ends in shutdown right behind the store.
    b.vcpu.run(100_000);
    b.vcpu.setDebugRegs({ db: [BigInt(DATA), 0n, 0n, 0n], dr6: 0xffff0ff0n, dr7: 0xd0402n });
    b.vcpu.setSregs({ idt: { base: 0n, limit: 0 } });
    assertEquals(b.run().reason, "shutdown");
    const r = b.vcpu.getRegs();
    assertEquals(r.rip, middle);
    assertEquals(b.vcpu.getDebugRegs().dr6, 0xffff0ff1n);
    assertEquals(b.ram.view.getUint32(DATA, true), Number(r.rsi));
  });
});

Deno.test("each vCPU has breakpoints of its own in shared code", () => {
  withBench(tcgOptions(2), (b) => {
    b.load(CODE, [0x90, 0x90, 0x40, 0x90, 0xf4]); // nop; nop; inc eax; nop; hlt
    const [first, second] = b.vm.vcpus;
    for (const v of [first, second]) {
      v.mpState = "runnable";
      b.protectedMode(CODE, v);
      v.setRegs({ rax: 0n });
    }
    first.setGuestDebug({ step: false, breakpoints: [BigInt(CODE + 2)] });
    second.setDebugRegs({ db: [BigInt(CODE + 3), 0n, 0n, 0n], dr6: 0xffff0ff0n, dr7: 0x402n });
    const exit = b.run({ vcpu: first });
    assertEquals(exit.reason === "debug" && exit.pc, BigInt(CODE + 2));
    assertEquals(b.run({ vcpu: second }).reason, "shutdown");
    assertEquals(second.getRegs().rip, BigInt(CODE + 3));
    first.setGuestDebug({ step: false, breakpoints: [] });
    assertEquals(b.run({ vcpu: first }).reason, "hlt");
    assertEquals([first.getRegs().rax, second.getRegs().rax], [1n, 1n]);
  });
});
