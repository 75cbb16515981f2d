/**
 * Which cached translations MOV to CR3, INVLPG and INVPCID leave: Intel SDM volume 3, 4.10.4.1. A page
 * table entry is changed behind the processor's back, so that a stale translation shows.
 */
import { assertEquals } from "../std/assert.ts";
import { At, LongBed } from "./long_bed.ts";

const KEEP = 1n << 63n;
const CR4_PCIDE = 0x20000n;
/** Linear pages: of one context, of a second one, global. */
const PAGE = 0x1c0000, GLOBAL = 0x1c1000;
const OLD = 0x100000, NEW = 0x101000;

/** A machine with PCIDs on; the two pages show OLD, whose first byte is 1; NEW's is 2. */
function machine() {
  const bed = new LongBed();
  bed.vcpu.setSregs({ cr4: 0x6a0n | CR4_PCIDE });
  bed.ram[OLD] = 1;
  bed.ram[NEW] = 2;
  const point = (to: number) => {
    bed.view.setBigUint64(At.PT + (PAGE >> 12) * 8, BigInt(to | 3), true);
    bed.view.setBigUint64(At.PT + (GLOBAL >> 12) * 8, BigInt(to | 0x103), true);
  };
  point(OLD);
  /** What the two pages show in the current context: 1 for a stale translation, 2 for none. */
  const look = () => {
    const stop = bed.start((a) => {
      a.db(0x0f, 0xb6, 0x04, 0x25, PAGE & 255, PAGE >> 8 & 255, PAGE >> 16, 0); // movzx eax, [PAGE]
      a.db(0x0f, 0xb6, 0x0c, 0x25, GLOBAL & 255, GLOBAL >> 8 & 255, GLOBAL >> 16, 0); // ecx
      a.db(0xf4);
    });
    assertEquals(stop.vector, -1);
    return [bed.cpu.reg32(0), bed.cpu.reg32(1)];
  };
  const cr3 = (pcid: number, keep: boolean) => {
    bed.cpu.setReg64(0, BigInt(At.PML4 | pcid) | (keep ? KEEP : 0n));
    assertEquals(bed.start((a) => a.db(0x0f, 0x22, 0xd8, 0xf4)).vector, -1); // mov cr3, rax
  };
  /** INVPCID eax, [DATA] */
  const invpcid = (type: number, pcid: number, address = 0) => {
    bed.view.setBigUint64(At.DATA, BigInt(pcid), true);
    bed.view.setBigUint64(At.DATA + 8, BigInt(address), true);
    bed.cpu.setReg64(0, BigInt(type));
    bed.cpu.setReg64(1, BigInt(At.DATA));
    return bed.start((a) => a.db(0x66, 0x0f, 0x38, 0x82, 0x01, 0xf4)).vector;
  };
  const invlpg = (address: number) => {
    bed.cpu.setReg64(1, BigInt(address));
    assertEquals(bed.start((a) => a.db(0x0f, 0x01, 0x39, 0xf4)).vector, -1);
  };
  /** Fills contexts 1 and 2, changes the tables, and ends in context 1. */
  const stale = () => {
    point(OLD);
    for (const pcid of [2, 1]) {
      cr3(pcid, false);
      bed.vcpu.mmu.flush();
      cr3(3 - pcid, true);
      look();
      cr3(pcid, true);
      look();
    }
    point(NEW);
  };
  const both = () => {
    const one = look();
    cr3(2, true);
    const two = look();
    cr3(1, true);
    return [...one, ...two];
  };
  return { bed, point, look, cr3, invpcid, invlpg, stale, both };
}

Deno.test("contexts keep their translations, and no other's, across writes of CR3", () => {
  const m = machine();
  m.stale();
  assertEquals(m.both(), [1, 1, 1, 1]);
  // Without bit 63 the new context loses all but global pages; the other one nothing.
  m.cr3(1, false);
  assertEquals(m.both(), [2, 1, 1, 1]);
  m.stale();
  m.cr3(2, false);
  m.cr3(1, true);
  assertEquals(m.both(), [1, 1, 2, 1]);
});

Deno.test("INVLPG reaches the current context, and global pages in all", () => {
  const m = machine();
  m.stale();
  m.invlpg(PAGE);
  assertEquals(m.both(), [2, 1, 1, 1]);
  m.stale();
  m.invlpg(GLOBAL);
  assertEquals(m.both(), [1, 2, 1, 2]);
});

Deno.test("INVPCID of each type", () => {
  const m = machine();
  m.stale();
  assertEquals(m.invpcid(0, 2, PAGE), -1);
  assertEquals(m.both(), [1, 1, 2, 1]);
  m.stale();
  assertEquals(m.invpcid(0, 1, PAGE), -1);
  assertEquals(m.both(), [2, 1, 1, 1]);
  m.stale();
  assertEquals(m.invpcid(1, 2), -1);
  assertEquals(m.both(), [1, 1, 2, 1]);
  m.stale();
  assertEquals(m.invpcid(1, 1), -1);
  assertEquals(m.both(), [2, 1, 1, 1]);
  m.stale();
  assertEquals(m.invpcid(2, 0), -1);
  assertEquals(m.both(), [2, 2, 2, 2]);
  m.stale();
  assertEquals(m.invpcid(3, 0), -1);
  assertEquals(m.both(), [2, 1, 2, 1]);
  // A context never seen.
  m.stale();
  assertEquals(m.invpcid(1, 77), -1);
  assertEquals(m.invpcid(0, 77, PAGE), -1);
  assertEquals(m.both(), [1, 1, 1, 1]);
  assertEquals([m.invpcid(4, 0), m.invpcid(1, 0x1000)], [13, 13]);
});

Deno.test("a context that has been pushed out starts anew, and CR4 ends all", () => {
  const m = machine();
  m.stale();
  // More contexts than there are banks; each one keeps what it has seen or sees the new tables.
  for (let pcid = 100; pcid < 120; pcid++) m.cr3(pcid, true);
  m.cr3(2, true);
  assertEquals(m.look()[0], 2);
  m.stale();
  m.bed.cpu.setReg64(0, BigInt(At.PML4));
  m.bed.cpu.setReg64(1, 0x6a0n);
  // mov cr3, rax; mov cr4, rcx
  assertEquals(m.bed.start((a) => a.db(0x0f, 0x22, 0xd8, 0x0f, 0x22, 0xe1, 0xf4)).vector, -1);
  assertEquals(m.look(), [2, 2]);
});

Deno.test("code of another context at the same address is not run by a jump's memory", () => {
  const m = machine(), { bed } = m, CODE = 0x1c2000;
  const at = (page: number) =>
    bed.view.setBigUint64(At.PT + (CODE >> 12) * 8, BigInt(page | 3), true);
  // add ebx, n; ret
  for (const [page, n] of [[0x110000, 1], [0x111000, 16]]) {
    bed.ram.set([0x83, 0xc3, n, 0xc3], page);
  }
  const call = () => {
    bed.cpu.setReg64(6, BigInt(CODE));
    bed.cpu.setReg64(3, 0n);
    assertEquals(bed.start((a) => a.db(0xff, 0xd6, 0xff, 0xd6, 0xff, 0xd6, 0xf4)).vector, -1);
    return bed.cpu.reg32(3);
  };
  m.cr3(1, false);
  at(0x110000);
  assertEquals(call(), 3);
  m.cr3(2, false);
  at(0x111000);
  assertEquals(call(), 48);
  m.cr3(1, true);
  assertEquals(call(), 3);
  m.cr3(2, true);
  assertEquals(call(), 48);
  m.cr3(1, false);
  assertEquals(call(), 48);
});
