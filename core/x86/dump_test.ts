import { assertEquals } from "@std/assert";
import type { Segment, Vcpu } from "../accel.ts";
import { AddressSpace } from "../memory/address_space.ts";
import { GuestMemory } from "../memory/guest_memory.ts";
import { ramRegion } from "../memory/region.ts";
import { dumpCpu } from "./dump.ts";

// Printed by Debian's QEMU 7.2.22 under KVM, isolinux in 32-bit protected mode.
const PROTECTED = `\
EAX=00007b9e EBX=00008998 ECX=00000000 EDX=00004abf
ESI=00008ffc EDI=00003f18 EBP=00007b9e ESP=00320ff0
EIP=000089fc EFL=00000016 [----AP-] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0028 00000000 ffffffff 00c09300 DPL=0 DS   [-WA]
CS =0020 00000000 ffffffff 00c09b00 DPL=0 CS32 [-RA]
SS =0028 00000000 ffffffff 00c09300 DPL=0 DS   [-WA]
DS =0028 00000000 ffffffff 00c09300 DPL=0 DS   [-WA]
FS =0000 00000000 00000000 00000000
GS =0000 00000000 00000000 00000000
LDT=0000 00000000 00000000 00000000
TR =0008 00000580 00000067 00008b00 DPL=0 TSS32-busy
GDT=     00008e00 0000002f
IDT=     000030b8 000007ff
CR0=00000011 CR2=00000000 CR3=00000000 CR4=00000000
DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000 
DR6=00000000ffff0ff0 DR7=0000000000000400
EFER=0000000000000000
Code=eb de ff 0d d8 3a 00 00 75 06 ff 15 84 8e 00 00 61 83 c4 04 <cf> c3 90 90 55 57 56 53 51 52 83 ec 0c fc 8b 74 24 28 8b 7c 24 30 bd 03 00 00 00 8d 46 fd
`;

// The same in real mode with the FPU, as `info registers` prints it.
const REAL = `\
EAX=00000000 EBX=00000000 ECX=00000000 EDX=00060fb1
ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000000
EIP=00000000 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0000 00000000 0000ffff 00009300
CS =f000 000f0000 0000ffff 00009b00
SS =0000 00000000 0000ffff 00009300
DS =0000 00000000 0000ffff 00009300
FS =0000 00000000 0000ffff 00009300
GS =0000 00000000 0000ffff 00009300
LDT=0000 00000000 0000ffff 00008200
TR =0000 00000000 0000ffff 00008b00
GDT=     00000000 0000ffff
IDT=     00000000 0000ffff
CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000
DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000 
DR6=00000000ffff0ff0 DR7=0000000000000400
EFER=0000000000000000
FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80
FPR0=0000000000000000 0000 FPR1=0000000000000000 0000
FPR2=0000000000000000 0000 FPR3=0000000000000000 0000
FPR4=0000000000000000 0000 FPR5=0000000000000000 0000
FPR6=0000000000000000 0000 FPR7=0000000000000000 0000
XMM00=0000000000000000 0000000000000000 XMM01=0000000000000000 0000000000000000
XMM02=0000000000000000 0000000000000000 XMM03=0000000000000000 0000000000000000
XMM04=0000000000000000 0000000000000000 XMM05=0000000000000000 0000000000000000
XMM06=0000000000000000 0000000000000000 XMM07=0000000000000000 0000000000000000
`;

function segment(selector: number, base: bigint, limit: number, flags: number): Segment {
  const bit = (n: number) => (flags >>> n) & 1;
  return {
    selector,
    base,
    limit,
    type: (flags >>> 8) & 15,
    s: bit(12),
    dpl: (flags >>> 13) & 3,
    present: bit(15),
    avl: bit(20),
    l: bit(21),
    db: bit(22),
    g: bit(23),
    unusable: 0,
  };
}

const zeros = Object.fromEntries(
  "rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip".split(" ").map((
    n,
  ) => [n, 0n]),
);
const debug = { db: [0n, 0n, 0n, 0n], dr6: 0xffff0ff0n, dr7: 0x400n };

function cpu(parts: Record<string, unknown>): Vcpu {
  return {
    mpState: "runnable",
    saveEvents: () => ({ shadow: 0 }),
    getDebugRegs: () => debug,
    translate: (linear: bigint) => Number(linear),
    ...parts,
  } as unknown as Vcpu;
}

Deno.test("protected mode with code bytes, as QEMU dumps it after a KVM failure", () => {
  const memory = new GuestMemory(1 << 20), ram = memory.allocBlock("ram", 1 << 20);
  const mem = new AddressSpace("memory", 2 ** 32, 0);
  mem.map(ramRegion("ram", ram), 0);
  const code = PROTECTED.split("Code=")[1].trim().split(" ").map((b) => b.replace(/[<>]/g, ""));
  ram.u8.set(code.map((b) => parseInt(b, 16)), 0x89fc - 20);
  const data = segment(0x28, 0n, 0xffffffff, 0xc09300), none = segment(0, 0n, 0, 0);
  const vcpu = cpu({
    getRegs: () => ({
      ...zeros,
      rax: 0x7b9en,
      rbx: 0x8998n,
      rdx: 0x4abfn,
      rsi: 0x8ffcn,
      rdi: 0x3f18n,
      rbp: 0x7b9en,
      rsp: 0x320ff0n,
      rip: 0x89fcn,
      rflags: 0x16n,
    }),
    getSregs: () => ({
      es: data,
      ss: data,
      ds: data,
      cs: segment(0x20, 0n, 0xffffffff, 0xc09b00),
      fs: none,
      gs: none,
      ldt: none,
      tr: segment(8, 0x580n, 0x67, 0x8b00),
      gdt: { base: 0x8e00n, limit: 0x2f },
      idt: { base: 0x30b8n, limit: 0x7ff },
      cr0: 0x11n,
      cr2: 0n,
      cr3: 0n,
      cr4: 0n,
      efer: 0n,
    }),
  });
  assertEquals(dumpCpu(vcpu, { code: mem }), PROTECTED);
});

Deno.test("real mode with the FPU, as info registers prints it", () => {
  const data = segment(0, 0n, 0xffff, 0x9300), table = { base: 0n, limit: 0xffff };
  const vcpu = cpu({
    getRegs: () => ({ ...zeros, rdx: 0x60fb1n, rflags: 2n }),
    getSregs: () => ({
      es: data,
      ss: data,
      ds: data,
      fs: data,
      gs: data,
      cs: segment(0xf000, 0xf0000n, 0xffff, 0x9b00),
      ldt: segment(0, 0n, 0xffff, 0x8200),
      tr: segment(0, 0n, 0xffff, 0x8b00),
      gdt: table,
      idt: table,
      cr0: 0x60000010n,
      cr2: 0n,
      cr3: 0n,
      cr4: 0n,
      efer: 0n,
    }),
    getFpu: () => ({
      fpr: new Uint8Array(128),
      xmm: new Uint8Array(256),
      fcw: 0x37f,
      fsw: 0,
      ftwx: 0,
      mxcsr: 0x1f80,
    }),
  });
  assertEquals(dumpCpu(vcpu, { fpu: true }), REAL);
});

Deno.test("vector registers are shown as wide as XCR0 has them", () => {
  const data = segment(0x10, 0n, 0xffffffff, 0xc09300), table = { base: 0n, limit: 0xffff };
  const numbers = (bytes: number, first: number) => {
    const u64 = BigUint64Array.from({ length: bytes / 8 }, (_, n) => BigInt(first + n));
    return new Uint8Array(u64.buffer);
  };
  const lines = (xcr0: bigint, long: boolean) => {
    const vcpu = cpu({
      getRegs: () => ({ ...zeros, rflags: 2n }),
      getSregs: () => ({
        ...{ es: data, ss: data, ds: data, fs: data, gs: data, ldt: data, tr: data },
        cs: segment(8, 0n, 0xffffffff, long ? 0xa09b00 : 0xc09b00),
        ...{ gdt: table, idt: table, cr0: 0x11n, cr2: 0n, cr3: 0n, cr4: 0n },
        efer: long ? 0x500n : 0n,
      }),
      getFpu: () => ({
        ...{ fcw: 0x37f, fsw: 0, ftwx: 0, mxcsr: 0x1f80, xcr0, fpr: new Uint8Array(128) },
        xmm: numbers(256, 0x100),
        ymmHigh: numbers(256, 0x200),
        zmmHigh: numbers(512, 0x300),
        hi16Zmm: numbers(1024, 0x400),
        opmask: numbers(64, 0x500),
      }),
    });
    return dumpCpu(vcpu, { fpu: true }).split("\n").filter((l) => /MM\d|Opmask/.test(l));
  };
  const q = (...v: number[]) => v.map((x) => x.toString(16).padStart(16, "0")).join(" ");
  const sse = lines(3n, false), avx = lines(7n, true), avx512 = lines(0xe7n, true);
  assertEquals([sse.length, sse[1]], [4, `XMM02=${q(0x105, 0x104)} XMM03=${q(0x107, 0x106)}`]);
  assertEquals([avx.length, avx[15]], [16, `YMM15=${q(0x21f, 0x21e, 0x11f, 0x11e)}`]);
  assertEquals(avx512.length, 34);
  assertEquals(
    avx512[1],
    [4, 5, 6, 7].map((n) => `Opmask0${n}=${q(0x500 + n)}`).join(" "),
  );
  assertEquals(
    avx512[3],
    `ZMM01=${q(0x307, 0x306, 0x305, 0x304, 0x203, 0x202, 0x103, 0x102)}`,
  );
  assertEquals(
    avx512[33],
    `ZMM31=${q(0x47f, 0x47e, 0x47d, 0x47c, 0x47b, 0x47a, 0x479, 0x478)}`,
  );
  assertEquals(lines(0xe7n, false).length, 10);
});
