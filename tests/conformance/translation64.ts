/** Paging structures in 64-bit mode: reserved bits, page sizes, A and D, protection keys, TLB. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, mem, qword } from "../../firmware/asm/operand.ts";
import { done, fault, noted, pageFault, Pf, Vec } from "./check.ts";
import { At, CR0, Cr4, type Kernel64, Sel } from "./kernel64.ts";
import {} from "./paging64.ts";

const { eax, ecx, edx, rax, rbx, rcx, rdi, rsi, rsp, cr3, cr4 } = o;
const { LAB } = At, PAGE = 4096;
/** Another way to the laboratory, by paging structures of its own. */
const FAR = 2 ** 39, FAR_LAB = FAR + LAB;
const PDPT = At.SCRATCH, PD = At.SCRATCH + 0x1000, PML4 = At.SCRATCH + 0x2000;
const PD_LAB = PD + 8 * (LAB >> 21);
const NX = 1n << 63n;

/** Maps FAR as low memory is, for everyone. */
function farMap(k: Kernel64): void {
  k.put(At.PML4 + 8, PDPT | 7);
  k.put(PDPT, PD | 7);
  k.put(PD_LAB, At.PT | 7);
  k.put(At.PT, LAB | 7);
}
/** A marked read of RBX. */
export const read = (k: Kernel64, at: number): void => {
  k.i.mov(rax, at);
  k.at();
  k.i.mov(rbx, mem(rax));
};
const write = (k: Kernel64, at: number) => {
  k.i.mov(rax, at);
  k.i.mov(rbx, -1);
  k.at();
  k.i.mov(mem(rax), rbx);
};
/** An entry's low 12 bits. */
const noteBits = (k: Kernel64, at: number, mask = 0xfff) => {
  k.i.mov(eax, dword(at));
  k.i.and(eax, mask);
  k.note();
};

export function translation(k: Kernel64): void {
  reservedBits(k);
  largePages(k);
  accessedDirty(k);
  splits(k);
  tlb(k);
}

function reservedBits(k: Kernel64): void {
  k.section("3: 4.5, 4.7");
  const levels: [string, number, number][] = [
    ["PML4E", At.PML4 + 8, PDPT],
    ["PDPTE", PDPT, PD],
    ["PDE", PD_LAB, At.PT],
    ["PTE", At.PT, LAB],
  ];
  for (const [name, at, next] of levels) {
    for (const bit of [51n, 50n]) {
      k.check(
        `${name} with reserved address bit ${bit}`,
        pageFault(Pf.P | Pf.RSVD, FAR_LAB),
        () => {
          farMap(k);
          k.put(at, BigInt(next | 7) | 1n << bit);
          read(k, FAR_LAB);
        },
      );
    }
    k.check(`${name} with reserved bit, write from ring 3`, pageFault(15, FAR_LAB), () => {
      farMap(k);
      k.put(at, BigInt(next | 7) | 1n << 51n);
      k.user(() => write(k, FAR_LAB));
    });
    k.check(`${name} not present with reserved bit`, pageFault(0, FAR_LAB), () => {
      farMap(k);
      k.put(at, BigInt(next | 6) | 1n << 51n);
      read(k, FAR_LAB);
    });
    k.check(`${name} with ignored bits 62:52 and 11:9`, done(), () => {
      farMap(k);
      k.put(at, BigInt(next | 0xe07) | 0x7ffn << 52n);
      k.i.mov(rax, FAR_LAB);
      k.i.mov(rbx, mem(rax));
    });
  }
  k.check("PML4E with bit 7", pageFault(Pf.P | Pf.RSVD, FAR_LAB), () => {
    farMap(k);
    k.put(At.PML4 + 8, PDPT | 0x87);
    read(k, FAR_LAB);
  });
  if (k.la57) {
    const high = 2 ** 48 + LAB;
    const map = (flags: number) => {
      farMap(k);
      k.put(At.PML5 + 8, PML4 | flags);
      k.put(PML4, PDPT | 7);
    };
    k.check("PML5E with bit 7", pageFault(Pf.P | Pf.RSVD, high), () => (map(0x87), read(k, high)));
    k.check("PML5E not present", pageFault(0, high), () => (map(6), read(k, high)));
    k.check("PML5E of a supervisor", pageFault(Pf.P | Pf.U, high), () => {
      map(3);
      k.user(() => read(k, high));
    });
    k.check("PML5E read-only", pageFault(Pf.P | Pf.W, high), () => (map(5), write(k, high)));
    k.check("PML5E without execution", pageFault(Pf.P | Pf.I, high), () => {
      map(7);
      k.put(At.PML5 + 8, BigInt(PML4 | 7) | NX);
      k.i.mov(rax, high);
      k.i.call(rax);
    });
    k.check("an address of 57 bits is read", done(0xc3c3c3c3), () => {
      map(7);
      k.i.mov(rax, high);
      k.i.mov(eax, mem(rax));
      k.note();
    });
    k.check(
      "bit 47 alone is canonical: not present",
      pageFault(0, 2 ** 47),
      () => read(k, 2 ** 47),
    );
    k.section("1: 3.3.7.1");
    k.check("bit 56 alone is not canonical", fault(Vec.GP), () => read(k, 2 ** 56));
  }
}

function largePages(k: Kernel64): void {
  k.section("3: 4.5");
  const at = FAR + 0x40000000;
  k.check("a page of 1 GiB", done(0x1badb002), () => {
    farMap(k);
    k.put(PDPT + 8, 0x83);
    k.i.mov(rax, at + 0x100000);
    k.i.mov(eax, mem(rax));
    k.note();
  });
  k.check("a page of 2 MiB with PAT bit 12", done(0x1badb002), () => {
    farMap(k);
    k.put(PD + 8, 0x1083);
    k.i.mov(rax, FAR + 0x300000);
    k.i.mov(eax, mem(rax));
    k.note();
  });
  for (const bit of [13, 17, 20]) {
    k.check(`a page of 2 MiB with reserved bit ${bit}`, pageFault(9, FAR + 0x300000), () => {
      farMap(k);
      k.put(PD + 8, 0x83 | 1 << bit);
      read(k, FAR + 0x300000);
    });
  }
  for (const bit of [13, 21, 29]) {
    k.check(`a page of 1 GiB with reserved bit ${bit}`, pageFault(9, at), () => {
      farMap(k);
      k.put(PDPT + 8, 0x83 | 1 << bit);
      read(k, at);
    });
  }
  for (
    const [size, entry, address] of [["2 MiB", PD + 8, FAR + 0x200000], [
      "1 GiB",
      PDPT + 8,
      at,
    ]] as const
  ) {
    const map = (flags: number | bigint) => (farMap(k), k.put(entry, flags));
    k.check(
      `read-only page of ${size}`,
      pageFault(3, address),
      () => (map(0x85), write(k, address)),
    );
    k.check(`supervisor's page of ${size}`, pageFault(5, address), () => {
      map(0x83);
      k.user(() => read(k, address));
    });
    k.check(`page of ${size} without execution`, pageFault(0x11, address), () => {
      map(0x87n | NX);
      k.i.mov(rax, address);
      k.i.call(rax);
    });
    k.check(`A and D of a page of ${size}`, done(0xa3, 0xe3), () => {
      map(0x83);
      k.i.mov(rax, address + 0x8000);
      k.i.mov(rbx, mem(rax));
      noteBits(k, entry);
      k.i.mov(rax, address + 0x8000);
      k.i.mov(mem(rax), rbx);
      noteBits(k, entry);
    });
  }
}

function accessedDirty(k: Kernel64): void {
  k.section("3: 4.8");
  const pt = At.PT, pd = PD_LAB;
  const test = (name: string, expected: number, body: () => void) =>
    k.check(`A and D: ${name}`, done(expected), () => {
      k.page(0, 3);
      body();
      noteBits(k, pt);
    });
  test("nothing done", 3, () => {});
  test("read", 0x23, () => k.i.mov(rbx, qword(LAB)));
  test("write", 0x63, () => k.i.mov(qword(LAB), rbx));
  test("read, then write", 0x63, () => (k.i.mov(rbx, qword(LAB)), k.i.mov(qword(LAB), rbx)));
  test("fetch", 0x23, () => (k.i.mov(rax, LAB + 64), k.i.call(rax)));
  test("read and write at once", 0x63, () => k.i.add(dword(LAB), 0));
  test("CMPXCHG that does not match", 0x63, () => {
    k.i.mov(eax, 0x12345);
    k.i.lock();
    k.i.cmpxchg(dword(LAB), ecx);
  });
  test("LEA", 3, () => k.i.lea(rax, mem(LAB)));
  test("INVLPG", 3, () => k.i.invlpg(mem(LAB)));
  test("PUSH", 0x63, () => {
    k.i.mov(rbx, rsp);
    k.i.mov(rsp, LAB + 64);
    k.i.push(rax);
    k.i.mov(rsp, rbx);
  });
  test("TEST of memory", 0x23, () => k.i.test(dword(LAB), 1));
  k.check("A and D: A cleared and dropped from the TLB is set again", done(0x23, 0x23), () => {
    k.page(0, 3);
    k.i.mov(rbx, qword(LAB));
    noteBits(k, pt);
    k.page(0, 3);
    k.i.mov(rbx, qword(LAB));
    noteBits(k, pt);
  });
  k.check("A and D: D cleared and dropped from the TLB is set again", done(0x63, 0x63), () => {
    k.page(0, 3);
    k.i.mov(qword(LAB), rbx);
    noteBits(k, pt);
    k.page(0, 0x23);
    k.i.mov(qword(LAB), rbx);
    noteBits(k, pt);
  });
  k.check("A and D: upper levels have A alone", done(0x27, 0x27, 0x27, 0x67), () => {
    farMap(k);
    k.i.mov(rax, FAR_LAB);
    k.i.mov(qword(rax), rbx);
    for (const at of [At.PML4 + 8, PDPT, pd, pt]) noteBits(k, at);
  });
  k.check("A and D: a write that faults leaves D clear", done(noted(Vec.PF, 3), 0), () => {
    k.page(0, 1);
    k.attempt(() => k.i.mov(qword(LAB), rbx));
    noteBits(k, pt, 0x40);
  });
  k.check("A and D: a read of another ring's page leaves D clear", done(0), () => {
    k.page(0, 7);
    k.i.mov(rbx, qword(LAB));
    noteBits(k, pt, 0x40);
  });
}

function splits(k: Kernel64): void {
  k.section("3: 4.7, 6.15");
  const edge = LAB + PAGE;
  k.check("a read into an absent page: CR2 is the second page", pageFault(0, edge), () => {
    k.page(1, 0);
    read(k, edge - 4);
  });
  k.check(
    "a write into a read-only page writes nothing",
    done(noted(Vec.PF, 3), 0x1111, edge),
    () => {
      const { i } = k;
      i.mov(dword(edge - 4), 0x1111);
      k.page(1, 1);
      k.attempt(() => {
        i.mov(rbx, -1);
        i.mov(qword(edge - 4), rbx);
      });
      i.mov(eax, dword(edge - 4));
      k.note();
      i.mov(rax, o.cr2);
      k.note();
    },
  );
  k.check(
    "a write into an absent page after an absent one: CR2 is the first",
    pageFault(2, edge - 4),
    () => {
      k.page(0, 0);
      k.page(1, 0);
      write(k, edge - 4);
    },
  );
  k.check("an instruction into a page without execution", pageFault(0x11, edge), () => {
    k.i.mov(dword(edge - 2), 0x000000b8); // MOV EAX, imm32
    k.page(1, 3n | NX);
    k.i.mov(rax, edge - 2);
    k.i.jmp(rax);
  });
  k.check("an instruction into an absent page", pageFault(0x10, edge), () => {
    k.i.mov(o.word(edge - 2), 0x00b8);
    k.page(1, 0);
    k.i.mov(rax, edge - 2);
    k.i.jmp(rax);
  });
  k.check("an instruction that ends at an absent page is carried out", done(), () => {
    k.i.mov(o.byte(edge - 1), 0xc3);
    k.page(1, 0);
    k.i.mov(rax, edge - 1);
    k.i.call(rax);
  });
  const onIst = () => k.gate(Vec.PF, "stub.14", { ist: 1 });
  k.check(
    "PUSH to an absent page leaves RSP",
    { ...pageFault(2, edge - 8), sp: BigInt(edge) },
    () => {
      onIst();
      k.page(0, 0);
      k.i.mov(rsp, edge);
      k.at();
      k.i.push(rax);
    },
  );
  k.check("CALL to an absent stack leaves RSP and RIP", {
    ...pageFault(2, edge - 8),
    sp: BigInt(edge),
  }, () => {
    onIst();
    k.page(0, 0);
    k.i.mov(rsp, edge);
    k.at();
    k.i.call("report");
  });
  k.check("POP from an absent page leaves RSP", { ...pageFault(0, edge), sp: BigInt(edge) }, () => {
    onIst();
    k.page(1, 0);
    k.i.mov(rsp, edge);
    k.at();
    k.i.pop(rax);
  });
  k.check(
    "POP to absent memory leaves RSP",
    { ...pageFault(2, LAB), sp: BigInt(At.STACK - 8) },
    () => {
      k.page(0, 0);
      k.i.push(1);
      k.i.mov(rax, LAB);
      k.at();
      k.i.pop(qword(rax));
    },
  );
  k.check(
    "IRETQ from an absent page leaves RSP",
    { ...pageFault(0, edge), sp: BigInt(edge - 24) },
    () => {
      onIst();
      k.page(1, 0);
      k.i.mov(rsp, edge);
      k.i.push(2);
      k.i.push(Sel.CODE);
      k.i.push(At.STACK);
      k.at();
      k.i.iretq();
    },
  );
  k.check("ENTER to an absent page leaves RSP and RBP", {
    ...pageFault(2, edge - 8, 0x77),
    sp: BigInt(edge),
  }, () => {
    onIst();
    k.note(0x77);
    k.page(0, 0);
    k.i.mov(rsp, edge);
    k.at();
    k.i.enter(16, 0);
  });
  k.check(
    "XADD to a read-only page leaves both operands",
    done(noted(Vec.PF, 3), 5, 0xc3c3c3c3),
    () => {
      k.page(2, 1);
      k.attempt(() => {
        k.i.mov(ecx, 5);
        k.i.xadd(dword(LAB + 2 * PAGE + 64), ecx);
      });
      k.i.mov(eax, ecx);
      k.note();
      k.i.mov(eax, dword(LAB + 2 * PAGE + 64));
      k.note();
    },
  );
  k.check("CMPXCHG that does not match needs a writable page", pageFault(3, LAB), () => {
    k.page(0, 1);
    k.i.mov(eax, 1);
    k.at();
    k.i.cmpxchg(dword(LAB), ecx);
  });
  for (
    const [name, emit, left] of [["MOVSB", () => k.i.movsb(), 4], [
      "STOSB",
      () => k.i.stosb(),
      4,
    ]] as const
  ) {
    k.check(
      `REP ${name} stops at the page that faults`,
      done(noted(Vec.PF, 2), left, edge, edge),
      () => {
        k.page(1, 0);
        k.attempt(() => {
          k.i.mov(rsi, At.STACK - 0x1000);
          k.i.mov(rdi, edge - 12);
          k.i.mov(ecx, 16);
          k.i.rep();
          emit();
        });
        k.i.mov(rax, rcx);
        k.note();
        k.i.mov(rax, rdi);
        k.note();
        k.i.mov(rax, o.cr2);
        k.note();
      },
    );
  }
  k.check("REP MOVSQ whose source ends", done(noted(Vec.PF, 0), 3, edge, At.SCRATCH + 16), () => {
    k.page(1, 0);
    k.attempt(() => {
      k.i.mov(rsi, edge - 16);
      k.i.mov(rdi, At.SCRATCH);
      k.i.mov(ecx, 5);
      k.i.rep();
      k.i.movsq();
    });
    for (const r of [rcx, rsi, rdi]) k.note(r);
  });
  k.check("REP STOSB of nothing touches nothing", done(), () => {
    k.page(0, 0);
    k.i.mov(rdi, LAB);
    k.i.mov(ecx, 0);
    k.i.rep();
    k.i.stosb();
  });
}

function tlb(k: Kernel64): void {
  const { i } = k, first = LAB + 8 * PAGE, second = LAB + 9 * PAGE;
  const fill = () => {
    i.mov(dword(first), 0x1111);
    i.mov(dword(second), 0x2222);
  };
  /** Entry of page 0, without dropping its translation. */
  const point = (to: number, flags = 3) => k.put(At.PT, to | flags);
  const look = () => {
    i.mov(eax, dword(LAB));
    k.note();
  };
  const fresh = (
    name: string,
    change: () => void,
    flags = 3,
    before: () => void = () => {},
    needs?: string,
  ) =>
    k.check(`TLB: ${name}`, done(0x1111, 0x2222), () => {
      fill();
      before();
      point(first, flags);
      i.invlpg(mem(LAB));
      look();
      point(second, flags);
      change();
      look();
    }, needs === undefined ? {} : { needs });
  const cr3Again = () => {
    i.mov(rax, cr3);
    i.mov(cr3, rax);
  };
  k.section("3: 4.10.4");
  fresh("INVLPG", () => i.invlpg(mem(LAB)));
  fresh("INVLPG of another byte of the page", () => i.invlpg(mem(LAB + 0x123)));
  fresh("INVLPG of a global page", () => i.invlpg(mem(LAB)), 0x103);
  fresh("MOV to CR3", cr3Again);
  fresh("CR4.PGE cleared, global page", () => k.setCr4([], [Cr4.PGE]), 0x103);
  fresh(
    "CR4.PGE set, global page",
    () => k.setCr4([Cr4.PGE]),
    0x103,
    () => k.setCr4([], [Cr4.PGE]),
  );
  fresh("MOV to CR3 without PGE, global page", cr3Again, 0x103, () => k.setCr4([], [Cr4.PGE]));
  fresh("CR4.SMEP set", () => k.setCr4([Cr4.SMEP]));
  fresh("CR0.PG cleared and set", () => {
    const { a } = k, old = a.unique("old"), back = a.unique("back");
    i.mov(dword(At.SCRATCH), old);
    i.mov(dword(At.SCRATCH + 4), Sel.CODE32);
    i.jmpf(dword(At.SCRATCH));
    a.bits(32);
    a.label(old);
    i.mov(eax, CR0 & 0x7fffffff);
    i.mov(o.cr0, eax);
    i.mov(eax, CR0);
    i.mov(o.cr0, eax);
    i.jmp(o.far(Sel.CODE, back));
    a.bits(64);
    a.label(back);
  });
  fresh("a present PDE that changes", () => i.invlpg(mem(LAB)));
  k.check(
    "TLB: a page that becomes present needs no INVLPG",
    done(noted(Vec.PF, 0), 0x1111),
    () => {
      fill();
      k.page(0, 0);
      k.attempt(() => i.mov(eax, dword(LAB)));
      point(first);
      look();
    },
  );
  k.check(
    "TLB: a page that becomes writable needs no more than the fault",
    done(noted(Vec.PF, 3), 0),
    () => {
      k.page(0, 1);
      i.mov(eax, dword(LAB));
      k.attempt(() => i.mov(dword(LAB), eax));
      k.put(At.PT, LAB | 3);
      k.attempt(() => i.mov(dword(LAB), eax));
    },
  );
  k.check("TLB: INVLPG drops code's translation", done(1, 2), () => {
    i.mov(qword(first), 0);
    i.mov(dword(first), 0x000001b8); // MOV EAX, 1; RET
    i.mov(dword(first + 4), 0xc300);
    i.mov(dword(second), 0x000002b8);
    i.mov(dword(second + 4), 0xc300);
    for (const to of [first, second]) {
      point(to);
      i.invlpg(mem(LAB));
      i.mov(rbx, LAB);
      i.call(rbx);
      k.note();
    }
  });
  k.check("TLB: a whole PDE that changes, INVLPG", done(0x1111, 0x2222), () => {
    fill();
    i.mov(dword(LAB + 0x1000), 0x2222);
    point(first);
    i.invlpg(mem(LAB));
    look();
    // The next 4 MiB: a page table with page 9 first.
    k.put(At.SCRATCH, second | 3);
    k.put(At.PD + 8 * (LAB >> 21), At.SCRATCH | 7);
    i.invlpg(mem(LAB));
    look();
  });

  k.section("2: INVLPG");
  k.check("INVLPG in ring 3", fault(Vec.GP), () => k.user(() => (k.at(), i.invlpg(mem(LAB)))));
  k.check("INVLPG of an address that is not canonical does nothing", done(), () => {
    i.mov(rax, 1n << 63n);
    i.invlpg(mem(rax));
  });
  k.check("INVLPG of a register", fault(Vec.UD), () => (k.at(), k.a.db(0x0f, 0x01, 0xff)));

  pcid(k, fresh);
}

type Fresh = (
  name: string,
  change: () => void,
  flags?: number,
  before?: () => void,
  needs?: string,
) => void;

function pcid(k: Kernel64, fresh: Fresh): void {
  const { i, a } = k, root = k.la57 ? At.PML5 : At.PML4;
  const loadCr3 = (v: number | bigint) => {
    i.mov(rax, v);
    i.mov(cr3, rax);
  };
  const DESCRIPTOR = At.SCRATCH + 0x3000;
  /** INVPCID RCX, [DESCRIPTOR]. */
  const invpcid = (type: number | bigint, id: number | bigint, address: number | bigint = LAB) => {
    k.put(DESCRIPTOR, id);
    k.put(DESCRIPTOR + 8, address);
    i.mov(rcx, type);
    i.mov(edx, DESCRIPTOR);
    k.at();
    a.db(0x66, 0x0f, 0x38, 0x82, 0x0a);
  };
  const on = (id = 1) => {
    k.setCr4([Cr4.PCIDE]);
    loadCr3(root | id);
  };
  k.section("3: 4.10.1", "pcid");
  fresh("PCID: MOV to CR3 of the same PCID", () => loadCr3(root | 1), 3, on, "pcid");
  fresh("PCID: INVLPG", () => i.invlpg(mem(LAB)), 3, on, "pcid");
  fresh(
    "PCID: INVLPG of a global page of another PCID",
    () => {
      loadCr3(1n << 63n | BigInt(root | 2));
      i.invlpg(mem(LAB));
      loadCr3(1n << 63n | BigInt(root | 1));
    },
    0x103,
    on,
    "pcid",
  );
  fresh(
    "PCID: CR4.PCIDE cleared",
    () => {
      loadCr3(root);
      k.setCr4([]);
    },
    3,
    () => on(0),
    "pcid",
  );
  k.check("PCID: bit 63 of CR3 reads 0", done(root | 3), () => {
    on();
    loadCr3(1n << 63n | BigInt(root | 3));
    i.mov(rax, cr3);
    k.note();
  });
  k.check("PCID: CR4.PCIDE with CR3[11:0] not 0", fault(Vec.GP), () => {
    loadCr3(root | 8);
    i.mov(eax, k.cr4 | 1 << Cr4.PCIDE);
    k.at();
    i.mov(cr4, rax);
  });
  k.check("PCID: CR0.PG cleared under PCIDE", fault(Vec.GP), () => {
    on(0);
    i.mov(eax, CR0 & 0x7fffffff);
    k.at();
    i.mov(o.cr0, rax);
  });
  k.section("2: INVPCID", "invpcid");
  for (
    const [name, type] of [["an address", 0], ["one PCID", 1], ["all", 2], [
      "all but global pages",
      3,
    ]] as const
  ) {
    fresh(`INVPCID of ${name}`, () => invpcid(type, 1), 3, on, "invpcid");
  }
  fresh("INVPCID of all, global page", () => invpcid(2, 1), 0x103, on, "invpcid");
  fresh("INVPCID of an address without PCIDE", () => invpcid(0, 0), 3, undefined, "invpcid");
  fresh("INVPCID of one PCID without PCIDE", () => invpcid(1, 0), 3, undefined, "invpcid");
  k.check("INVPCID of type 4", fault(Vec.GP), () => (on(), invpcid(4, 0)));
  k.check("INVPCID of type 1 << 32", fault(Vec.GP), () => (on(), invpcid(1n << 32n, 0)));
  k.check("INVPCID with reserved bits", fault(Vec.GP), () => (on(), invpcid(1, 1 << 12)));
  k.check("INVPCID of all with reserved bits", fault(Vec.GP), () => (on(), invpcid(2, 1n << 40n)));
  k.check("INVPCID of an address that is not canonical", fault(Vec.GP), () => {
    on();
    invpcid(0, 1, 1n << 63n);
  });
  k.check("INVPCID of one PCID: the address does not matter", done(), () => {
    on();
    invpcid(1, 1, 1n << 63n);
  });
  k.check("INVPCID of a PCID without PCIDE", fault(Vec.GP), () => invpcid(1, 1));
  k.check("INVPCID of a PCID and an address without PCIDE", fault(Vec.GP), () => invpcid(0, 1));
  k.check("INVPCID in ring 3", fault(Vec.GP), () =>
    k.user(() => {
      i.mov(edx, At.USER + At.SCRATCH);
      k.at();
      a.db(0x66, 0x0f, 0x38, 0x82, 0x0a);
    }));
  k.check("INVPCID whose descriptor is absent", pageFault(0, LAB), () => {
    k.page(0, 0);
    i.mov(edx, LAB);
    k.at();
    a.db(0x66, 0x0f, 0x38, 0x82, 0x0a);
  });
}
