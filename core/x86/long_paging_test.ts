/** Paging of long mode: levels, page sizes, NX, SMEP, SMAP, UMIP, protection keys, INVPCID. SDM 3, 4. */
import type { Assembler, Instructions } from "../../firmware/asm/assembler.ts";
import * as o from "../../firmware/asm/operand.ts";
import { mem, qword } from "../../firmware/asm/operand.ts";
import { assertEquals } from "../std/assert.ts";
import { At, LongBed, Sel, type Stop } from "./long_bed.ts";
import { Vec } from "./state.ts";

const { rax, rbx, rcx, rdx, eax, ecx, edx, cr0, cr4 } = o;
const SMEP = 20, SMAP = 21, PKE = 22, UMIP = 11, PCIDE = 17;
const PF = { P: 1, W: 2, U: 4, RSVD: 8, I: 16, PK: 32 } as const;
const NX = 1n << 63n;
const STAC = [0x0f, 0x01, 0xcb], CLAC = [0x0f, 0x01, 0xca];
const WRPKRU = [0x0f, 0x01, 0xef], RDPKRU = [0x0f, 0x01, 0xee];

const bed = new LongBed();

function fresh(): LongBed {
  bed.reset();
  return bed;
}

function setCr4(i: Instructions, ...bits: number[]): void {
  i.mov(rax, cr4);
  for (const b of bits) i.bts(rax, b);
  i.mov(cr4, rax);
}

function toUser(a: Assembler): void {
  const { i } = a;
  i.push(Sel.USER_DATA);
  i.push(At.USER_STACK);
  i.push(0x202);
  i.push(Sel.USER_CODE);
  i.push(At.USER_CODE);
  i.iretq();
}

const fault = (s: Stop) => [s.vector, s.error, s.cr2];

Deno.test("five levels: CR4.LA57, 57-bit addresses, canonical checks", () => {
  const b = fresh();
  // PML5 entry 256 is the first of the upper half.
  b.view.setBigUint64(At.PML5 + 8 * 256, BigInt(At.PML4 | 7), true);
  b.view.setBigUint64(At.PML5 + 8 * 3, BigInt(At.PML4 | 7), true);
  b.view.setBigUint64(At.DATA, 0xfeedn, true);
  b.vcpu.setSregs({ cr0: 0x10033n });
  b.vcpu.setSregs({ cr4: 0x16a0n, cr3: BigInt(At.PML5), cr0: 0x80010033n });
  const third = (3n << 48n) + BigInt(At.DATA);
  let s = b.start(({ i }) => {
    i.mov(rax, third);
    i.mov(rbx, mem(rax));
    i.mov(rax, 0xff00000000000000n + BigInt(At.DATA));
    i.mov(rcx, mem(rax));
    i.mov(rax, (5n << 48n) + 0x1234n);
    i.mov(rdx, mem(rax));
  });
  assertEquals([b.cpu.reg64(3), b.cpu.reg64(1)], [0xfeedn, 0xfeedn]);
  assertEquals(fault(s), [Vec.PF, 0, (5n << 48n) + 0x1234n]);
  s = b.start(({ i }) => {
    i.mov(rax, 1n << 56n);
    i.mov(rbx, mem(rax));
  });
  assertEquals([s.vector, s.error], [Vec.GP, 0], "bit 56 must repeat above");
  s = b.start(({ i }) => {
    i.mov(rax, third);
    i.mov(ecx, 0x0b0f);
    i.mov(mem(rax), rcx);
    i.jmp(rax);
  });
  assertEquals([s.vector, s.rip], [Vec.UD, third], "UD2 runs there");
});

Deno.test("1 GiB pages, where the CPU has them", () => {
  const entry = 0x83n;
  for (const has of [true, false]) {
    const b = has ? fresh() : new LongBed("GenuineIntel", ["pdpe1gb"]);
    b.view.setBigUint64(At.PDPT + 8, entry, true);
    b.view.setBigUint64(At.DATA, 0x77n, true);
    const s = b.start(({ i }) => {
      i.mov(rax, 0x40000000 + At.DATA);
      i.mov(rbx, mem(rax));
      i.mov(mem(rax), rax);
      i.hlt();
    });
    if (has) {
      assertEquals([s.vector, b.cpu.reg64(3)], [-1, 0x77n]);
      assertEquals(b.q(At.PDPT + 8), entry | 0x60n, "accessed and dirty");
    } else assertEquals(fault(s), [Vec.PF, PF.P | PF.RSVD, BigInt(0x40000000 + At.DATA)]);
  }
});

Deno.test("reserved bits and NX", () => {
  const b = fresh();
  const read = ({ i }: Assembler) => {
    i.mov(rax, At.DATA);
    i.mov(rbx, mem(rax));
    i.hlt();
  };
  b.map(At.DATA, BigInt(At.DATA | 3) | 1n << 45n);
  assertEquals(fault(b.start(read)), [Vec.PF, PF.P | PF.RSVD, BigInt(At.DATA)]);
  b.map(At.DATA, BigInt(At.DATA | 3) | 0x7ffn << 52n);
  assertEquals(b.start(read).vector, -1, "bits 62:52 are the software's");
  b.map(At.DATA, BigInt(At.DATA | 3) | NX);
  assertEquals(b.start(read).vector, -1, "NX is not about reading");
  const jump = ({ i }: Assembler) => {
    i.mov(rax, At.DATA);
    i.jmp(rax);
  };
  assertEquals(fault(b.start(jump)), [Vec.PF, PF.P | PF.I, BigInt(At.DATA)]);
  b.vcpu.setSregs({ efer: 0x501n });
  assertEquals(fault(b.start(read)), [Vec.PF, PF.P | PF.RSVD, BigInt(At.DATA)], "without NXE");
});

Deno.test("write protection: CR0.WP, user pages, dirty bits", () => {
  const b = fresh();
  b.map(At.DATA, At.DATA | 1);
  const write = ({ i }: Assembler) => {
    i.mov(rax, At.DATA);
    i.mov(rbx, mem(rax));
    i.mov(mem(rax), rax);
    i.hlt();
  };
  assertEquals(fault(b.start(write)), [Vec.PF, PF.P | PF.W, BigInt(At.DATA)]);
  assertEquals(b.q(At.PT + At.DATA / 512) & 0x60n, 0x20n, "accessed, not dirty");
  const s = b.start((a) => {
    a.i.mov(rax, cr0);
    a.i.btr(rax, 16);
    a.i.mov(cr0, rax);
    write(a);
  });
  assertEquals(s.vector, -1);
  assertEquals(b.q(At.PT + At.DATA / 512) & 0x60n, 0x60n);
});

Deno.test("SMEP: no supervisor code in user pages", () => {
  const b = fresh();
  b.ram[At.USER_CODE] = 0xf4;
  const go = ({ i }: Assembler) => {
    i.mov(rbx, At.USER_CODE);
    i.jmp(rbx);
  };
  assertEquals(b.start(go).vector, -1);
  const s = b.start((a) => {
    setCr4(a.i, SMEP);
    go(a);
  });
  assertEquals(fault(s), [Vec.PF, PF.P | PF.I, BigInt(At.USER_CODE)]);
});

Deno.test("SMAP: AC does not open user pages to descriptor tables", () => {
  const b = fresh(), data = 0x00cff3000000ffffn;
  // SDM volume 3, 4.6.1: implicit supervisor-mode accesses.
  const make = (open: boolean, warm = false) => {
    b.reset();
    b.view.setBigUint64(At.GDT + Sel.LDT, 0x82000000ffffn | BigInt(At.USER_DATA) << 16n, true);
    b.view.setBigUint64(At.GDT + Sel.LDT + 8, 0n, true);
    b.view.setBigUint64(At.USER_DATA + 8, data, true);
    return b.start((a) => {
      const { i } = a;
      i.mov(eax, Sel.LDT);
      i.lldt(o.ax);
      setCr4(i, SMAP);
      if (open) a.db(...STAC);
      // The page's translation is there, open.
      if (warm) i.mov(rax, qword(At.USER_DATA));
      i.mov(eax, 0xc);
      i.mov(o.ds, eax);
    });
  };
  const at = BigInt(At.USER_DATA + 8);
  for (const warm of [false, true]) {
    assertEquals(fault(make(true, warm)), [Vec.PF, PF.P, at], `with AC, ${warm}`);
  }
  assertEquals(fault(make(false)), [Vec.PF, PF.P, at], "without AC");
});

Deno.test("SMAP: user data needs AC, and a translation made with AC set does not outlive it", () => {
  const b = fresh();
  const addr = BigInt(At.USER_DATA);
  const touch = (i: Instructions) => {
    i.mov(rbx, At.USER_DATA);
    i.mov(rcx, mem(rbx));
    i.mov(mem(rbx), rcx);
  };
  let s = b.start((a) => {
    setCr4(a.i, SMAP);
    touch(a.i);
  });
  assertEquals(fault(s), [Vec.PF, PF.P, addr]);
  /** Ways to clear AC. */
  const ways: Record<string, (a: Assembler) => void> = {
    CLAC: (a) => a.db(...CLAC),
    POPFQ: ({ i }) => {
      i.push(2);
      i.popfq();
    },
    IRETQ: ({ i }) => {
      i.push(Sel.DATA);
      i.push(At.STACK - 256);
      i.push(2);
      i.push(Sel.CODE);
      i.lea(rax, mem("after"));
      i.push(rax);
      i.iretq();
    },
  };
  for (const [name, clear] of Object.entries(ways)) {
    b.reset();
    s = b.start((a) => {
      setCr4(a.i, SMAP);
      a.db(...STAC);
      touch(a.i);
      a.i.mov(rdx, 1);
      clear(a);
      a.label("after");
      touch(a.i);
    });
    assertEquals(fault(s), [Vec.PF, PF.P, addr], name);
    assertEquals(b.cpu.reg64(2), 1n, name);
    assertEquals(s.flags & 0x40000, 0, name);
  }
  // SYSCALL with AC in FMASK.
  b.reset();
  b.vcpu.setMsr(0xc0000081, BigInt(Sel.CODE) << 32n);
  b.vcpu.setMsr(0xc0000082, 0x2000n);
  b.vcpu.setMsr(0xc0000084, 0x40000n);
  b.put(0x2000, ({ i }) => touch(i));
  s = b.start((a) => {
    setCr4(a.i, SMAP);
    a.db(...STAC);
    touch(a.i);
    a.i.syscall();
  });
  assertEquals(fault(s), [Vec.PF, PF.P, addr], "SYSCALL");
  assertEquals(s.rip > 0x2000n, true);
  // User code is not concerned; nor is the kernel's own data.
  b.reset();
  b.put(At.USER_CODE, ({ i }) => {
    touch(i);
    i.int(0x40);
  });
  s = b.start((a) => {
    setCr4(a.i, SMAP, SMEP);
    toUser(a);
  });
  assertEquals(s.vector, 0x40);
});

Deno.test("SMAP: an instruction fetch from a user page does not open it for data", () => {
  const b = fresh();
  b.put(At.USER_DATA, ({ i }) => {
    i.mov(rcx, qword(At.USER_DATA));
    i.hlt();
  });
  const s = b.start((a) => {
    setCr4(a.i, SMAP);
    a.i.mov(rbx, At.USER_DATA);
    a.i.jmp(rbx);
  });
  assertEquals(fault(s), [Vec.PF, PF.P, BigInt(At.USER_DATA)]);
});

Deno.test("STAC and CLAC above CPL 0", () => {
  const b = fresh();
  for (const code of [STAC, CLAC]) {
    b.reset();
    b.put(At.USER_CODE, (a) => a.db(...code));
    assertEquals(b.start(toUser).vector, Vec.UD);
  }
});

Deno.test("UMIP: SGDT and its like are #GP above CPL 0", () => {
  const b = fresh();
  const codes: Record<string, (i: Instructions) => void> = {
    sgdt: (i) => i.sgdt(mem(At.USER_DATA)),
    sidt: (i) => i.sidt(mem(At.USER_DATA)),
    sldt: (i) => i.sldt(eax),
    str: (i) => i.str(eax),
    smsw: (i) => i.smsw(eax),
  };
  for (const [name, code] of Object.entries(codes)) {
    for (const on of [false, true]) {
      b.reset();
      b.put(At.USER_CODE, ({ i }) => {
        code(i);
        i.int(0x40);
      });
      const s = b.start((a) => {
        if (on) setCr4(a.i, UMIP);
        toUser(a);
      });
      assertEquals(s.vector, on ? Vec.GP : 0x40, name);
    }
  }
});

Deno.test("protection keys: access and write disable, WP, user pages only, no fetches", () => {
  const b = fresh();
  const key = 5n << 59n;
  const at = BigInt(At.USER_DATA);
  const run = (pkru: number, code: (i: Instructions) => void, wp = true) => {
    b.reset();
    b.map(At.USER_DATA, BigInt(At.USER_DATA | 7) | key);
    b.ram[At.USER_DATA + 8] = 0xf4;
    return b.start((a) => {
      const { i } = a;
      setCr4(i, PKE);
      if (!wp) {
        i.mov(rax, cr0);
        i.btr(rax, 16);
        i.mov(cr0, rax);
      }
      i.mov(rbx, At.USER_DATA);
      i.mov(rcx, mem(rbx));
      i.mov(mem(rbx), rcx);
      i.mov(eax, pkru);
      i.xor(ecx, ecx);
      i.xor(edx, edx);
      a.db(...WRPKRU);
      code(i);
      i.hlt();
    });
  };
  const read = (i: Instructions) => i.mov(rcx, mem(rbx));
  const write = (i: Instructions) => i.mov(mem(rbx), rbx);
  const AD = 1 << 10, WD = 2 << 10;
  assertEquals(fault(run(AD, read)), [Vec.PF, PF.P | PF.PK, at]);
  assertEquals(fault(run(WD, write)), [Vec.PF, PF.P | PF.W | PF.PK, at]);
  assertEquals(run(WD, read).vector, -1);
  assertEquals(run(WD, write, false).vector, -1, "WD needs CR0.WP for the supervisor");
  assertEquals(run(~(3 << 10), write).vector, -1, "other keys");
  assertEquals(
    run(AD | WD, (i) => {
      i.add(rbx, 8);
      i.jmp(rbx);
    }).vector,
    -1,
    "fetches are free",
  );
  b.reset();
  assertEquals(b.start((a) => a.db(...RDPKRU)).vector, Vec.UD, "without CR4.PKE");
});

Deno.test("INVPCID: types, PCIDs, and that it forgets translations", () => {
  const b = fresh();
  const invpcid = [0x66, 0x0f, 0x38, 0x82, 0x03]; // RAX, [RBX]
  const run = (type: number, low: bigint, high: bigint, pcide = true) => {
    b.reset();
    b.view.setBigUint64(0xd000, low, true);
    b.view.setBigUint64(0xd008, high, true);
    const s = b.start((a) => {
      const { i } = a;
      if (pcide) setCr4(i, PCIDE);
      i.mov(rcx, mem(At.DATA));
      // The page is gone from its table, but not from the TLB.
      i.mov(rdx, At.PT + At.DATA / 512);
      i.mov(qword(rdx), 0);
      i.mov(rax, type);
      i.mov(rbx, 0xd000);
      a.db(...invpcid);
      i.mov(rcx, mem(At.DATA));
      i.hlt();
    });
    return [s.vector, s.error];
  };
  for (const type of [0, 1, 2, 3]) assertEquals(run(type, 0n, BigInt(At.DATA)), [Vec.PF, 0]);
  assertEquals(run(4, 0n, 0n), [Vec.GP, 0]);
  assertEquals(run(1, 0x1000n, 0n), [Vec.GP, 0], "reserved bits");
  assertEquals(run(1, 5n, 0n, false), [Vec.GP, 0], "a PCID without CR4.PCIDE");
  assertEquals(run(0, 0n, 1n << 47n), [Vec.GP, 0], "an address that is not canonical");
});

Deno.test("CR4.PCIDE: CR0.PG stays set; CR8 is the task priority", () => {
  const b = fresh();
  const s = b.start((a) => {
    const { i } = a;
    setCr4(i, PCIDE);
    i.push(Sel.CODE32);
    i.lea(rax, mem("compat"));
    i.push(rax);
    a.db(0x48);
    i.retf();
    a.bits(32);
    a.label("compat");
    i.mov(eax, cr0);
    i.and(eax, 0x7fffffff);
    i.mov(cr0, eax);
  });
  assertEquals([s.vector, s.error], [Vec.GP, 0]);
  b.reset();
  let tpr = 3;
  b.vcpu.interruptSource = {
    acknowledge: () => -1,
    get tpr() {
      return tpr;
    },
    setTpr: (v) => {
      tpr = v;
    },
    apicBase: 0n,
    setApicBase: () => false,
    readMsr: () => undefined,
    writeMsr: () => false,
  };
  const t = b.start((a) => {
    a.db(0x44, 0x0f, 0x20, 0xc3); // MOV RBX, CR8
    a.i.mov(eax, 15);
    a.db(0x44, 0x0f, 0x22, 0xc0); // MOV CR8, RAX
    a.i.mov(eax, 16);
    a.db(0x44, 0x0f, 0x22, 0xc0);
  });
  b.vcpu.interruptSource = undefined;
  assertEquals([t.vector, t.error, b.cpu.reg64(3), tpr], [Vec.GP, 0, 3n, 15]);
});
