/** Interrupts between four processors, INIT and start-up. SDM volume 3, 8.4 and 10.6. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, far, mem, qword } from "../../firmware/asm/operand.ts";
import { apicRead, apicWrite, fresh, Icr, Reg, wait } from "./apic64.ts";
import { done } from "./check.ts";
import {
  At,
  CR0,
  EFER,
  EOI,
  JOB,
  JOB_VECTOR,
  type Kernel64,
  Msr,
  NOTE_COUNT,
  SEEN,
  Sel,
} from "./kernel64.ts";

const { ax, cr0, cr3, cr4, ds, eax, ebx, ecx, edx, es, rax, rsp, ss } = o;
/** Where application processors begin: two pages, and what they find there. */
const START = 0x8000, START2 = 0x9000, GDTR = 0x7f00;
/** Processors that have come up; the last one's CS and marker. */
const UP = 0x7f10, MARK = 0x7f18;
const STACKS = 0x50000;
/** CPUs that have run a job. */
const FINISHED = At.SCRATCH + 0xf00;
const CPUS = 4;

export function smp(k: Kernel64): void {
  const { i, a } = k;
  startUp(k);

  /** Counts on, nothing seen. */
  const begin = () => {
    fresh(k);
    i.mov(dword(EOI), 4);
    for (let n = 0; n < CPUS; n++) i.mov(dword(SEEN + 4 * n), 0);
  };
  const send = (command: number, destination = 0) => {
    apicWrite(k, Reg.ICR_HIGH, destination << 24);
    apicWrite(k, Reg.ICR, command | Icr.ASSERT);
  };
  const noteSeen = () => {
    for (let n = 0; n < CPUS; n++) {
      i.mov(eax, dword(SEEN + 4 * n));
      k.note();
    }
  };
  /** Waits for as many interrupts as each CPU must get, then for those that must not come. */
  const seen = (...counts: readonly number[]) => {
    counts.forEach((count, n) => count > 0 ? wait(k, count, SEEN + 4 * n) : undefined);
    settle();
    noteSeen();
  };
  const settle = () => wait(k, 1000, NOTE_COUNT, 5_000_000);
  const check = (name: string, expect: ReturnType<typeof done>, body: () => void) =>
    k.check(`SMP: ${name}`, expect, () => {
      begin();
      body();
    });
  const startOne = (vector: number, destination: number) => {
    send(0x600 | vector, destination);
  };

  k.section("3: 8.4.4");
  k.check("SMP: INIT and start-up bring the three others up", done(3), () => {
    prepare(k);
    begin();
    send(0x500 | Icr.OTHERS | 1 << 15);
    settle();
    startOne(START >> 12 | Icr.OTHERS, 0);
    wait(k, 3, UP);
    i.mov(eax, dword(UP));
    k.note();
  });
  check("a second start-up message changes nothing", done(3), () => {
    startOne(START >> 12 | Icr.OTHERS, 0);
    settle();
    i.mov(eax, dword(UP));
    k.note();
  });
  k.section("3: 10.6.1, 10.6.2");
  for (let n = 0; n < CPUS; n++) {
    check(
      `a fixed interrupt to ${n} alone`,
      done(...[0, 1, 2, 3].map((x) => x === n ? 1 : 0)),
      () => {
        send(0x60, n);
        seen(...[0, 1, 2, 3].map((x) => x === n ? 1 : 0));
      },
    );
  }
  check("to itself", done(1, 0, 0, 0), () => (send(0x60 | Icr.SELF), seen(1, 0, 0, 0)));
  check("to all", done(1, 1, 1, 1), () => (send(0x60 | Icr.ALL), seen(1, 1, 1, 1)));
  check("to all others", done(0, 1, 1, 1), () => (send(0x60 | Icr.OTHERS), seen(0, 1, 1, 1)));
  check("to physical FFh", done(1, 1, 1, 1), () => (send(0x60, 0xff), seen(1, 1, 1, 1)));
  check(
    "to one that is not there",
    done(0, 0, 0, 0),
    () => (send(0x60, 0x20), seen(0, 0, 0, 0)),
  );
  check(
    "logical, flat: 1 and 3",
    done(0, 1, 0, 1),
    () => (send(0x60 | Icr.LOGICAL, 0b1010), seen(0, 1, 0, 1)),
  );
  check(
    "logical, flat: none",
    done(0, 0, 0, 0),
    () => (send(0x60 | Icr.LOGICAL, 0x10), seen(0, 0, 0, 0)),
  );
  check(
    "logical FFh: all",
    done(1, 1, 1, 1),
    () => (send(0x60 | Icr.LOGICAL, 0xff), seen(1, 1, 1, 1)),
  );
  check("lowest priority comes to one of them", done(1), () => {
    send(0x160 | Icr.LOGICAL, 0xf);
    wait(k, 1000, NOTE_COUNT, 50_000_000);
    i.mov(eax, dword(SEEN));
    for (let n = 1; n < CPUS; n++) i.add(eax, dword(SEEN + 4 * n));
    k.note();
  });
  check(
    "lowest priority to one is to that one",
    done(0, 0, 1, 0),
    () => (send(0x160 | Icr.LOGICAL, 4), seen(0, 0, 1, 0)),
  );
  check("the delivery status is 0 in the end", done(0), () => {
    send(0x60 | Icr.ALL);
    settle();
    apicRead(k, Reg.ICR);
    i.and(eax, 1 << 12);
    k.note();
  });

  /** Runs code on every CPU. */
  const onAll = (body: () => void) => {
    const job = a.unique("job"), over = a.unique("over");
    i.jmp(over);
    a.label(job);
    body();
    i.lock();
    i.inc(dword(FINISHED));
    i.ret();
    a.label(over);
    i.lea(rax, mem(job));
    i.mov(qword(JOB), rax);
    i.mov(dword(FINISHED), 0);
    send(JOB_VECTOR | Icr.ALL);
    wait(k, CPUS, FINISHED);
    settle();
    for (let n = 0; n < CPUS; n++) i.mov(dword(SEEN + 4 * n), 0);
  };
  check("jobs run on every CPU, by its ID", done(0, 1, 2, 3), () => {
    onAll(() => {
      apicRead(k, Reg.ID);
      i.shr(eax, 24);
      i.mov(ecx, eax);
      i.mov(dword([o.rcx, 4], At.SCRATCH), eax);
    });
    for (let n = 0; n < CPUS; n++) {
      i.mov(eax, dword(At.SCRATCH + 4 * n));
      k.note();
    }
  });
  const clusters = (on: boolean) =>
    onAll(() => {
      apicRead(k, Reg.ID);
      i.shr(eax, 24);
      i.mov(ecx, eax);
      // CPUs 0 and 1 in cluster 0, 2 and 3 in cluster 1; or a bit for each.
      i.mov(ebx, 1);
      if (on) {
        i.and(ecx, 1);
        i.shl(ebx, o.cl);
        i.shr(eax, 1);
        i.shl(eax, 4);
        i.or(ebx, eax);
      } else i.shl(ebx, o.cl);
      i.shl(ebx, 24);
      apicWrite(k, Reg.DFR, on ? 0x0fffffff : -1);
      i.mov(eax, At.APIC + Reg.LDR);
      i.mov(dword(rax), ebx);
    });
  for (
    const [name, destination, counts] of [
      ["cluster 0, both", 0x03, [1, 1, 0, 0]],
      ["cluster 1, its second", 0x12, [0, 0, 0, 1]],
      ["cluster 2: none", 0x23, [0, 0, 0, 0]],
      ["all clusters", 0xff, [1, 1, 1, 1]],
    ] as const
  ) {
    check(`logical, ${name}`, done(...counts), () => {
      clusters(true);
      send(0x60 | Icr.LOGICAL, destination);
      seen(...counts);
      clusters(false);
    });
  }
  check("TPR holds back on the other CPU, until it falls", done(0, 1), () => {
    onAll(() => apicWrite(k, Reg.TPR, 0x70));
    send(0x60, 2);
    settle();
    i.mov(eax, dword(SEEN + 8));
    k.note();

    // Vector F1h passes TPR; the held interrupt follows when the job has ended.
    const job = a.unique("job"), over = a.unique("over");
    i.jmp(over);
    a.label(job);
    apicWrite(k, Reg.TPR, 0);
    i.ret();
    a.label(over);
    i.lea(rax, mem(job));
    i.mov(qword(JOB), rax);
    send(JOB_VECTOR | Icr.ALL);
    wait(k, 2, SEEN + 8);
    settle();
    i.mov(eax, dword(SEEN + 8));
    i.dec(eax);
    k.note();
  });
  check("an NMI to one", done(0, 0, 1, 0), () => (send(0x400, 2), seen(0, 0, 1, 0)));
  check(
    "an NMI to all others",
    done(0, 1, 1, 1),
    () => (send(0x400 | Icr.OTHERS), seen(0, 1, 1, 1)),
  );
  check("NMIs again: IRET let them in", done(0, 2, 0, 0), () => {
    for (let n = 1; n <= 2; n++) (send(0x400, 1), wait(k, n, SEEN + 4));
    noteSeen();
  });
  k.section("3: 8.1, 8.2");
  check("LOCK INC on four CPUs loses nothing", done(4000), () => {
    i.mov(dword(At.SCRATCH), 0);
    onAll(() => {
      const again = a.unique("again");
      i.mov(ecx, 1000);
      a.label(again);
      i.lock();
      i.inc(dword(At.SCRATCH));
      i.dec(ecx);
      i.jnz(again);
    });
    i.mov(eax, dword(At.SCRATCH));
    k.note();
  });
  check("XCHG as a lock", done(400), () => {
    i.mov(dword(At.SCRATCH), 0);
    i.mov(dword(At.SCRATCH + 64), 0);
    onAll(() => {
      const again = a.unique("again"), spin = a.unique("spin"), got = a.unique("got");
      i.mov(ecx, 100);
      a.label(again);
      i.mov(eax, 1);
      a.label(spin);
      i.xchg(dword(At.SCRATCH + 64), eax);
      i.test(eax, eax);
      i.jz(got);
      i.pause();
      i.jmp(spin);
      a.label(got);
      i.mov(eax, dword(At.SCRATCH));
      i.inc(eax);
      i.mov(dword(At.SCRATCH), eax);
      i.mov(dword(At.SCRATCH + 64), 0);
      i.dec(ecx);
      i.jnz(again);
    });
    i.mov(eax, dword(At.SCRATCH));
    k.note();
  });
  k.section("3: 9.1.1, 10.4.7.3");
  check(
    "INIT stops one, which takes no interrupt; start-up begins at its vector",
    done(0, 4, START2 >> 4, START2 >> 12),
    () => {
      send(0x500 | 1 << 15, 3);
      settle();
      send(0x60, 3);
      settle();
      i.mov(eax, dword(SEEN + 12));
      k.note();
      startOne(START2 >> 12, 3);
      wait(k, 4, UP);
      i.mov(eax, dword(UP));
      k.note();
      i.mov(eax, dword(MARK));
      k.note();
      i.mov(eax, dword(MARK + 4));
      k.note();
    },
  );
  check("it takes interrupts again", done(0, 0, 0, 1), () => (send(0x60, 3), seen(0, 0, 0, 1)));
  k.section("3: 10.4.4");
  check("the others are no BSP", done(0x900, 0x800, 0x800, 0x800), () => {
    onAll(() => {
      apicRead(k, Reg.ID);
      i.shr(eax, 24);
      i.mov(ebx, eax);
      k.getMsr(Msr.APIC_BASE);
      i.and(eax, 0xfff);
      i.mov(dword([o.rbx, 4], At.SCRATCH), eax);
    });
    for (let n = 0; n < CPUS; n++) {
      i.mov(eax, dword(At.SCRATCH + 4 * n));
      k.note();
    }
  });
}

/** What the others run first: 16-bit code that does not care where it lies. */
function startUp(k: Kernel64): void {
  const { i, a } = k;
  const size = 0x80;
  a.align(16);
  a.bits(16);
  a.label("ap");
  i.cli();
  i.xor(ax, ax);
  i.mov(ds, ax);
  i.mov(ax, o.cs);
  i.mov(o.word(MARK), ax);
  i.mov(eax, 0);
  i.shr(ax, 8);
  i.mov(ax, o.cs);
  i.shr(ax, 8);
  i.mov(dword(MARK + 4), eax);
  i.lgdtd(mem(GDTR));
  i.mov(eax, k.cr4);
  i.mov(cr4, eax);
  i.mov(eax, At.PML4);
  i.mov(cr3, eax);
  i.mov(ecx, Msr.EFER);
  i.mov(eax, EFER & ~0x400);
  i.xor(edx, edx);
  i.wrmsr();
  i.mov(eax, CR0);
  i.mov(cr0, eax);
  i.jmp(far(Sel.CODE, "ap.long", 4));
  a.align(size);
  a.bits(64);
  a.label("ap.long");
  i.mov(eax, Sel.DATA);
  for (const s of [ds, es, ss]) i.mov(s, eax);
  i.lidt(mem("idtr"));
  i.mov(eax, At.APIC);
  i.mov(ecx, dword(rax, Reg.ID));
  i.shr(ecx, 24);
  i.mov(edx, ecx);
  i.shl(edx, 12);
  i.lea(rsp, mem(o.rdx, STACKS));
  i.mov(ebx, 1 << 24);
  i.shl(ebx, o.cl);
  i.mov(dword(rax, Reg.SVR), 0x1ff);
  i.mov(dword(rax, Reg.LDR), ebx);
  i.lock();
  i.inc(dword(UP));
  a.label("ap.idle");
  i.sti();
  i.hlt();
  i.jmp("ap.idle");
}

function prepare(k: Kernel64): void {
  const { i } = k;
  i.mov(dword(UP), 0);
  i.mov(o.word(GDTR), 0xff);
  i.mov(dword(GDTR + 2), At.GDT);
  for (const to of [START, START2]) {
    i.mov(o.esi, "ap");
    i.mov(o.edi, to);
    i.mov(ecx, 0x80);
    i.rep();
    i.movsb();
  }
}
