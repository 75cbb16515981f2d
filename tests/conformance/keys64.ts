/** Protection keys, and implicit accesses under SMAP. SDM volume 3, 4.6. */
import * as o from "../../firmware/asm/operand.ts";
import { dword } from "../../firmware/asm/operand.ts";
import { done, fault, pageFault, Pf, Vec } from "./check.ts";
import { At, CR0, Cr4, type Kernel64, Sel } from "./kernel64.ts";
import { open } from "./paging64.ts";
import { read } from "./translation64.ts";

const { eax, ecx, edx, rax, rcx, rdx, rsp } = o;
const { LAB } = At;

/** SDM volume 3, 4.6.2: what a key denies, and when the error code has PK. */
export function protectionKeys(k: Kernel64): void {
  const { i, a } = k, KEY = 5n << 59n;
  const AD = 1 << 10, WD = 2 << 10;
  const pkru = (v: number) => {
    i.mov(eax, v);
    i.xor(ecx, ecx);
    i.xor(edx, edx);
    a.db(0x0f, 0x01, 0xef);
  };
  k.section("3: 4.6.2", "pku");
  for (const wp of [true, false]) {
    for (const [what, value] of [["AD", AD], ["WD", WD], ["another key's AD", 1 << 8]] as const) {
      for (const page of [7, 5, 3]) {
        for (const ring of [0, 3]) {
          for (const kind of ["read", "write", "fetch"] as const) {
            // Supervisor pages from ring 3 are refused without keys.
            if (page === 3 && ring === 3) continue;
            const user = page & 4 ? true : false, W = kind === "write";
            const key = kind !== "fetch" && user &&
              (value === AD || (value === WD && W && (ring === 3 || wp)));
            const rights = W && !(page & 2) && (ring === 3 || wp);
            const error = Pf.P | (W ? Pf.W : 0) | (ring === 3 ? Pf.U : 0) | (key ? Pf.PK : 0);
            const name = `PKRU with ${what}: ${kind} of a ${
              user ? page & 2 ? "user's" : "user's read-only" : "supervisor's"
            } page in ring ${ring}${wp ? "" : ", no WP"}`;
            k.check(name, key || rights ? pageFault(error, LAB) : done(), () => {
              open(k);
              k.page(0, BigInt(page) | KEY);
              k.setCr4([Cr4.PKE]);
              pkru(value);
              if (!wp) k.setCr0(CR0 & ~0x10000);
              const go = () => {
                i.mov(rax, LAB + 64);
                i.mov(rax, LAB);
                if (kind === "fetch") {
                  i.call(rax);
                  return;
                }
                i.mov(rcx, 0xc3c3c3c3);
                k.at();
                if (W) i.mov(dword(rax), ecx);
                else i.mov(ecx, dword(rax));
              };
              if (ring === 3) k.user(go);
              else go();
            });
          }
        }
      }
    }
  }
  k.check("keys without CR4.PKE", done(), () => {
    k.setCr4([Cr4.PKE]);
    pkru(AD);
    open(k);
    k.page(0, 7n | KEY);
    k.setCr4([]);
    i.mov(eax, dword(LAB));
  });
  k.check("PK is not in the error code of an absent page", pageFault(0, LAB), () => {
    k.setCr4([Cr4.PKE]);
    pkru(AD);
    k.page(0, 6n | KEY);
    read(k, LAB);
  });
  k.section("2: RDPKRU, WRPKRU", "pku");
  k.check("WRPKRU and RDPKRU", done(0x5a5a5a5an), () => {
    k.setCr4([Cr4.PKE]);
    pkru(0x5a5a5a5a);
    i.mov(rax, -1);
    i.mov(rdx, -1);
    a.db(0x0f, 0x01, 0xee);
    i.or(rax, rdx);
    k.note();
  });
  k.check(
    "RDPKRU without CR4.PKE",
    fault(Vec.UD),
    () => (i.xor(ecx, ecx), k.at(), a.db(0x0f, 0x01, 0xee)),
  );
  k.check("WRPKRU without CR4.PKE", fault(Vec.UD), () => (k.at(), a.db(0x0f, 0x01, 0xef)));
  for (
    const [name, op, register] of [["RDPKRU", 0xee, ecx], ["WRPKRU", 0xef, ecx], [
      "WRPKRU",
      0xef,
      edx,
    ]] as const
  ) {
    k.check(`${name} with ${register.name.toUpperCase()} not 0`, fault(Vec.GP), () => {
      k.setCr4([Cr4.PKE]);
      i.mov(eax, 0);
      i.mov(register, 1);
      k.at();
      a.db(0x0f, 0x01, op);
    });
  }
  k.check("RDPKRU in ring 3", done(0x40), () => {
    k.setCr4([Cr4.PKE]);
    pkru(0x40);
    k.user(() => {
      i.xor(ecx, ecx);
      a.db(0x0f, 0x01, 0xee);
      k.note();
    });
  });
}

/** SDM volume 3, 4.6: implicit accesses, and pages that SMAP and SMEP refuse. */
export function implicitAccess(k: Kernel64): void {
  const { i, a } = k;
  const stac = () => a.db(0x0f, 0x01, 0xcb);
  const ldt = () => {
    k.descriptor(Sel.FREE, 0x0000820000000fffn | BigInt(LAB & 0xffffff) << 16n, 0n);
    k.put(LAB, 0n);
    k.put(LAB + 8, 0x00cff3000000ffffn);
    i.mov(eax, Sel.FREE);
    i.lldt(o.ax);
  };
  k.section("3: 4.6");
  k.check("SMAP: an LDT in a user page, despite AC", pageFault(Pf.P, LAB + 8), () => {
    ldt();
    open(k);
    k.page(0, 7);
    k.setCr4([Cr4.SMAP]);
    stac();
    i.mov(eax, 0xf);
    k.at();
    i.mov(o.ds, eax);
  });
  k.check("SMAP: an LDT in a user page, used by ring 3", pageFault(Pf.P, LAB + 8), () => {
    ldt();
    open(k);
    k.page(0, 7);
    k.setCr4([Cr4.SMAP]);
    k.user(() => {
      i.mov(eax, 0xf);
      k.at();
      i.mov(o.ds, eax);
    }, { flags: 0x40002 });
  });
  k.check("an LDT in a supervisor page, used by ring 3", done(), () => {
    ldt();
    k.user(() => {
      i.mov(eax, 0xf);
      i.mov(o.ds, eax);
    });
  });
  k.check("an LDT in an absent page, used by ring 3: U is 0", pageFault(0, LAB + 8), () => {
    ldt();
    k.page(0, 0);
    k.user(() => {
      i.mov(eax, 0xf);
      k.at();
      i.mov(o.ds, eax);
    });
  });
  k.check("an LDT in a read-only page: the accessed bit cannot be set", fault(Vec.PF, 3), () => {
    ldt();
    k.put(LAB + 8, 0x00cff2000000ffffn);
    k.page(0, 1);
    i.mov(eax, 0xf);
    k.at();
    i.mov(o.ds, eax);
  });
  k.check("the accessed bit is set", done(0x00cff300), () => {
    ldt();
    k.put(LAB + 8, 0x00cff2000000ffffn);
    i.mov(eax, 0xf);
    i.mov(o.ds, eax);
    i.mov(eax, dword(LAB + 12));
    k.note();
  });
  k.check("the accessed bit that is set is not written", done(), () => {
    ldt();
    k.page(0, 1);
    i.mov(eax, 0xf);
    i.mov(o.ds, eax);
  });
  k.check("SMAP: AC set by POPF in ring 0 allows", done(), () => {
    open(k);
    k.page(0, 7);
    k.setCr4([Cr4.SMAP]);
    i.push(0x40002);
    i.popfq();
    i.mov(eax, dword(LAB));
  });
  k.check("SMAP: an interrupt from ring 3 clears nothing of AC", {
    ...done(),
    flags: [0x40000, 0x40000],
  }, () => k.user(() => {}, { flags: 0x40002 }));
  k.check("SMAP: PUSH to a user page", { ...pageFault(3, LAB + 56), sp: BigInt(LAB + 64) }, () => {
    k.gate(Vec.PF, "stub.14", { ist: 1 });
    open(k);
    k.page(0, 7);
    k.setCr4([Cr4.SMAP]);
    i.mov(rsp, LAB + 64);
    k.at();
    i.push(rax);
  });
  k.check("SMAP does not concern fetches", done(), () => {
    open(k);
    k.page(0, 7);
    k.setCr4([Cr4.SMAP]);
    i.mov(rax, LAB + 128);
    i.call(rax);
  });
  k.check("SMEP does not concern reads", done(), () => {
    open(k);
    k.page(0, 7);
    k.setCr4([Cr4.SMEP]);
    i.mov(eax, dword(LAB));
  });
  k.section("2: STAC, CLAC");
  k.check("STAC sets AC, CLAC clears it", done(0x40000, 0), () => {
    for (const op of [0xcb, 0xca]) {
      a.db(0x0f, 0x01, op);
      i.pushfq();
      i.pop(rax);
      i.and(eax, 0x40000);
      k.note();
    }
  });
  for (const [name, op] of [["STAC", 0xcb], ["CLAC", 0xca]] as const) {
    k.check(`${name} in ring 3`, fault(Vec.UD), () => k.user(() => (k.at(), a.db(0x0f, 0x01, op))));
  }
}
