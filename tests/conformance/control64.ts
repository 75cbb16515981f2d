/** Control registers, MSRs, privileged instructions and flags in 64-bit mode. */
import * as o from "../../firmware/asm/operand.ts";
import { dword, mem, qword } from "../../firmware/asm/operand.ts";
import { done, fault, Vec } from "./check.ts";
import { At, CR0, Cr4, EFER, type Kernel64, Msr, Sel } from "./kernel64.ts";

const { al, ax, cr0, cr2, cr3, cr4, eax, ecx, edx, rax, rbx, rcx, rdx, rsp } = o;
const HOLE = 1n << 63n;
const GP = fault(Vec.GP), UD = fault(Vec.UD);

export function control(k: Kernel64): void {
  controlRegisters(k);
  msrs(k);
  privileged(k);
  userSystem(k);
  segmentBases(k);
  flagImages(k);
  ports(k);
}

function controlRegisters(k: Kernel64): void {
  const { i, a } = k;
  const load = (name: string, emit: () => void, value: number | bigint, expect = GP) =>
    k.check(name, expect, () => {
      i.mov(rax, BigInt.asUintN(64, BigInt(value)));
      k.at();
      emit();
    });
  const toCr0 = () => i.mov(cr0, rax), toCr3 = () => i.mov(cr3, rax), toCr4 = () => i.mov(cr4, rax);
  k.section("3: 2.5");
  load("CR0.PG without PE", toCr0, CR0 & ~1 >>> 0);
  load("CR0.NW without CD", toCr0, (CR0 | 1 << 29) >>> 0);
  load("CR0 with bit 32", toCr0, BigInt(CR0 >>> 0) | 1n << 32n);
  load("CR0 with bit 63", toCr0, BigInt(CR0 >>> 0) | 1n << 63n);
  k.check("CR0.ET stays 1", done(CR0), () => {
    k.setCr0(CR0 & ~0x10);
    i.mov(rax, cr0);
    k.note();
  });
  k.check("CR0.CD, NW, AM, NE are kept", done((CR0 | 0x60040000) >>> 0), () => {
    k.setCr0(CR0 | 0x60040000);
    i.mov(rax, cr0);
    k.note();
  });
  k.check("CLTS", done((CR0 | 8) >>> 0, CR0 >>> 0), () => {
    k.setCr0(CR0 | 8);
    i.mov(rax, cr0);
    k.note();
    i.clts();
    i.mov(rax, cr0);
    k.note();
  });
  k.check("LMSW sets TS and does not clear PE", done((CR0 | 8) >>> 0), () => {
    i.mov(eax, CR0 & 0xfffe | 8);
    i.lmsw(ax);
    i.mov(rax, cr0);
    k.note();
  });
  k.check("LMSW reaches bits 3:0 only", done(CR0 >>> 0), () => {
    i.mov(eax, 0xfff3);
    i.lmsw(ax);
    i.mov(rax, cr0);
    k.note();
  });
  k.check("SMSW of 64 bits gives all of CR0", done(CR0 >>> 0), () => (i.smsw(rax), k.note()));
  for (const bit of [15, 19, 23, 24, 26, 31]) {
    load(`CR4 with bit ${bit}`, toCr4, BigInt(k.cr4) | 1n << BigInt(bit));
  }
  load("CR4 with bit 32", toCr4, BigInt(k.cr4) | 1n << 32n);
  load("CR4 with bit 63", toCr4, BigInt(k.cr4) | HOLE);
  load("CR4.PAE cleared in long mode", toCr4, k.cr4 & ~0x20);
  load("CR4.LA57 changed in long mode", toCr4, k.cr4 ^ 0x1000);
  load("CR4.SMXE", toCr4, k.cr4 | 0x4000);
  k.check("CR4: bits that exist are kept", done(k.cr4 | 0x70), () => {
    k.setCr4([4, 5, 6]);
    i.mov(rax, cr4);
    k.note();
  });
  load("CR3 with bit 62", toCr3, BigInt(At.PML4) | 1n << 62n);
  load("CR3 with bit 52", toCr3, BigInt(At.PML4) | 1n << 52n);
  load("CR3 with bit 63 without PCIDE", toCr3, BigInt(At.PML4) | HOLE);
  k.check("CR3.PWT and PCD are kept", done((k.la57 ? At.PML5 : At.PML4) | 0x18), () => {
    i.mov(eax, (k.la57 ? At.PML5 : At.PML4) | 0x18);
    i.mov(cr3, rax);
    i.mov(rax, cr3);
    k.note();
  });
  k.check("CR2 holds 64 bits", done(0x123456789abcdefn), () => {
    i.mov(rax, 0x123456789abcdefn);
    i.mov(cr2, rax);
    i.mov(eax, 0);
    i.mov(rax, cr2);
    k.note();
  });
  k.section("3: 10.8.6");
  k.check("CR8 is kept", done(9), () => {
    i.mov(eax, 9);
    k.cr8(rax);
    i.mov(eax, 0);
    a.db(0x44, 0x0f, 0x20, 0xc0);
    k.note();
  });
  load("CR8 of 16", () => k.cr8(rax), 16);
  load("CR8 with bit 63", () => k.cr8(rax), HOLE);
  k.section("2: MOV (control registers)");
  for (const n of [1, 5, 6, 7]) {
    k.check(`MOV from CR${n}`, UD, () => (k.at(), a.db(0x0f, 0x20, 0xc0 | n << 3)));
    k.check(`MOV to CR${n}`, UD, () => (k.at(), a.db(0x0f, 0x22, 0xc0 | n << 3)));
  }
  k.check("MOV from CR9", UD, () => (k.at(), a.db(0x44, 0x0f, 0x20, 0xc8)));
  k.check("MOV to CR9", UD, () => (k.at(), a.db(0x44, 0x0f, 0x22, 0xc8)));
  k.check("LOCK MOV CR0", UD, () => (k.at(), a.db(0xf0, 0x0f, 0x20, 0xc0)));
  k.check(
    "ModRM.mod of MOV CR does not matter",
    done(CR0 >>> 0),
    () => (a.db(0x0f, 0x20, 0x00), k.note()),
  );
  k.section("2: MOV (debug registers)");
  k.check("MOV to DR8", UD, () => (k.at(), a.db(0x44, 0x0f, 0x23, 0xc0)));
  k.check("MOV from DR8", UD, () => (k.at(), a.db(0x44, 0x0f, 0x21, 0xc0)));
  k.check("DR4 and DR5 are DR6 and DR7", done(0xffff0ff0, 0x400), () => {
    a.db(0x0f, 0x21, 0xe0);
    k.note();
    a.db(0x0f, 0x21, 0xe8);
    k.note();
  });
  k.check("DR4 under CR4.DE", UD, () => (k.setCr4([Cr4.DE]), k.at(), a.db(0x0f, 0x21, 0xe0)));
  k.check("DR5 under CR4.DE", UD, () => (k.setCr4([Cr4.DE]), k.at(), a.db(0x0f, 0x23, 0xe8)));
  load("DR7 with bit 32", () => i.mov(o.dr7, rax), 1n << 32n);
  load("DR6 with bit 63", () => i.mov(o.dr6, rax), HOLE);
  k.check("DR0 holds 64 bits that need not be canonical", done(0x8000123456789abcn), () => {
    i.mov(rax, 0x8000123456789abcn);
    i.mov(o.dr0, rax);
    i.mov(eax, 0);
    i.mov(rax, o.dr0);
    k.note();
  });
  k.check("DR6: bits that are fixed", done(0xffff07f0, 0xffffefff), () => {
    for (const v of [0, 0xffffffff]) {
      i.mov(eax, v);
      i.mov(o.dr6, rax);
      i.mov(rax, o.dr6);
      // Bit 11 (BLD) and 16 (RTM) are of features that need not be there.
      i.or(eax, 0x10800);
      if (v === 0) i.and(eax, 0xfffff7ff);
      k.note();
    }
  });
  k.check("DR7: bit 10 is 1, bits 15:14 and 12 are 0", done(0x400), () => {
    i.mov(eax, 0xd000);
    i.mov(o.dr7, rax);
    i.mov(rax, o.dr7);
    k.note();
  });
}

function msrs(k: Kernel64): void {
  const { i, a } = k;
  const write = (name: string, msr: number, value: number | bigint, expect = GP) =>
    k.check(name, expect, () => {
      const v = BigInt.asUintN(64, BigInt(value));
      i.mov(ecx, msr);
      i.mov(eax, Number(v & 0xffffffffn));
      i.mov(edx, Number(v >> 32n));
      k.at();
      i.wrmsr();
    });
  const keeps = (name: string, msr: number, value: bigint) =>
    k.check(`${name} keeps its value`, done(value), () => {
      k.setMsr(msr, value);
      k.getMsr(msr);
      k.note();
    });
  k.section("3: 2.2.1; 4: 2");
  write("EFER with a reserved bit", Msr.EFER, EFER | 0x200);
  write("EFER with bit 32", Msr.EFER, BigInt(EFER) | 1n << 32n);
  write("EFER.LME cleared under paging", Msr.EFER, EFER & ~0x100);
  k.check("EFER: SCE and NXE", done(EFER & ~0x801, EFER), () => {
    for (const v of [EFER & ~0x801, EFER]) {
      k.setMsr(Msr.EFER, v);
      k.getMsr(Msr.EFER);
      k.note();
    }
  });
  k.section("2: WRMSR");
  for (
    const [name, msr] of Object.entries({
      LSTAR: Msr.LSTAR,
      CSTAR: Msr.CSTAR,
      FS_BASE: Msr.FS_BASE,
      GS_BASE: Msr.GS_BASE,
      KERNEL_GS_BASE: Msr.KERNEL_GS_BASE,
      SYSENTER_ESP: Msr.SYSENTER_ESP,
      SYSENTER_EIP: Msr.SYSENTER_EIP,
    })
  ) {
    write(`${name} that is not canonical`, msr, HOLE);
    write(`${name} with bit 57 alone`, msr, 1n << 57n);
    keeps(name, msr, 0xffff888812345678n);
  }
  keeps("STAR", Msr.STAR, 0x123456789abcdef0n);
  keeps("FMASK", Msr.FMASK, 0x40700n);
  keeps("SYSENTER_CS", Msr.SYSENTER_CS, 0x10n);
  keeps("TSC_AUX", Msr.TSC_AUX, 0x89abcdefn);
  write("TSC_AUX with bit 32", Msr.TSC_AUX, 1n << 32n);
  k.section("3: 11.12.2");
  keeps("PAT", Msr.PAT, 0x0001040506070600n);
  for (const type of [2, 3, 8, 0x80]) {
    write(`PAT with type ${type}`, Msr.PAT, 0x0007040600070400n | BigInt(type));
    write(`PAT with type ${type} in its last field`, Msr.PAT, BigInt(type) << 56n);
  }
  k.section("3: 11.11");
  write("MTRRcap cannot be written", 0xfe, 0);
  write("MTRR_PHYSBASE0 with type 2", 0x200, 2);
  write("MTRR_DEF_TYPE with type 3", 0x2ff, 3);
  write("MTRR_FIX64K with type 7", 0x250, 7);
  write("MTRR_PHYSMASK0 with bit 62", 0x201, 1n << 62n);
  k.check("MTRR_PHYSBASE0 and MASK0 keep their values", done(0x80000006, 0xff80000800n), () => {
    for (const [msr, v] of [[0x200, 0x80000006n], [0x201, 0xff80000800n]] as const) {
      k.setMsr(msr, v);
      k.getMsr(msr);
      k.note();
      k.setMsr(msr, 0);
    }
  });
  k.section("2: RDMSR, WRMSR");
  k.check("RDMSR of no MSR", GP, () => (i.mov(ecx, 0x4321), k.at(), i.rdmsr()));
  write("WRMSR of no MSR", 0x4321, 0);
  k.check("RDMSR in ring 3", GP, () => k.user(() => (i.mov(ecx, Msr.EFER), k.at(), i.rdmsr())));
  k.check("WRMSR in ring 3", GP, () => k.user(() => (i.mov(ecx, Msr.EFER), k.at(), i.wrmsr())));
  k.check("RDMSR clears the upper halves", done(0, 0), () => {
    i.mov(rax, -1);
    i.mov(rdx, -1);
    i.mov(rcx, -1n << 32n | BigInt(Msr.EFER));
    i.rdmsr();
    i.mov(rbx, rax);
    i.shr(rbx, 32);
    i.mov(rax, rdx);
    i.shr(rax, 32);
    k.note();
    k.note(rbx);
  });
  k.section("2: RDTSCP, RDPID, RDTSC");
  k.check("RDTSCP gives TSC_AUX", done(0x1234), () => {
    k.setMsr(Msr.TSC_AUX, 0x1234);
    i.mov(rcx, -1);
    i.rdtscp();
    k.note(rcx);
  });
  k.check("RDPID gives TSC_AUX", done(0x4321), () => {
    k.setMsr(Msr.TSC_AUX, 0x4321);
    i.mov(rax, -1);
    a.db(0xf3, 0x0f, 0xc7, 0xf8);
    k.note();
  }, { needs: "rdpid" });
  k.check("the TSC goes on and can be set", done(1, 1), () => {
    const early = () => {
      i.rdtsc();
      i.shl(rdx, 32);
      i.or(rax, rdx);
    };
    early();
    i.mov(rbx, rax);
    early();
    i.cmp(rax, rbx);
    i.mov(eax, 0);
    i.setae(al);
    k.note();
    k.setMsr(0x10, 1n << 60n);
    early();
    i.shr(rax, 60);
    k.note();
    k.setMsr(0x10, 0);
  });
  for (const [name, bytes] of [["RDTSC", [0x0f, 0x31]], ["RDTSCP", [0x0f, 0x01, 0xf9]]] as const) {
    k.check(`${name} in ring 3 under CR4.TSD`, GP, () => {
      k.setCr4([Cr4.TSD]);
      k.user(() => (k.at(), a.db(...bytes)));
    });
    k.check(`${name} in ring 3`, done(), () => k.user(() => a.db(...bytes)));
    k.check(`${name} in ring 0 under CR4.TSD`, done(), () => (k.setCr4([Cr4.TSD]), a.db(...bytes)));
  }
  k.section("2: RDPMC");
  k.check("RDPMC in ring 3 without CR4.PCE", GP, () => k.user(() => (k.at(), i.rdpmc())));
}

function privileged(k: Kernel64): void {
  const { i, a } = k;
  k.section("3: 5.9");
  const list: [string, () => void][] = [
    ["HLT", () => i.hlt()],
    ["INVD", () => i.invd()],
    ["WBINVD", () => i.wbinvd()],
    ["CLTS", () => i.clts()],
    ["LMSW", () => i.lmsw(ax)],
    ["LGDT", () => i.lgdt(mem(rsp))],
    ["LIDT", () => i.lidt(mem(rsp))],
    ["LLDT", () => i.lldt(ax)],
    ["LTR", () => i.ltr(ax)],
    ["MOV from CR0", () => i.mov(rax, cr0)],
    ["MOV to CR0", () => i.mov(cr0, rax)],
    ["MOV from CR3", () => i.mov(rax, cr3)],
    ["MOV to CR4", () => i.mov(cr4, rax)],
    ["MOV from CR8", () => a.db(0x44, 0x0f, 0x20, 0xc0)],
    ["MOV from DR0", () => i.mov(rax, o.dr0)],
    ["MOV to DR7", () => i.mov(o.dr7, rax)],
    ["SWAPGS", () => i.swapgs()],
    ["SYSRET", () => a.db(0x48, 0x0f, 0x07)],
    ["SYSEXIT", () => a.db(0x48, 0x0f, 0x35)],
    ["CLI", () => i.cli()],
    ["STI", () => i.sti()],
  ];
  for (const [name, emit] of list) {
    k.check(`${name} in ring 3`, GP, () => k.user(() => (k.at(), emit())));
  }
  k.check("XSETBV in ring 3", GP, () => {
    k.setCr4([Cr4.OSXSAVE]);
    k.user(() => (k.at(), a.db(0x0f, 0x01, 0xd1)));
  });
  k.section("2: CLI, STI");
  k.check(
    "CLI and STI in ring 3 with IOPL 3",
    { ...done(), flags: [0x200, 0x200] },
    () => k.user(() => (i.cli(), i.sti()), { flags: 0x3002 }),
  );
  k.section("3: 20.4");
  k.check("PVI: CLI clears VIF", { ...done(), flags: [0x80200, 0x200] }, () => {
    k.setCr4([Cr4.PVI]);
    k.user(() => i.cli(), { flags: 0x80202 });
  });
  k.check("PVI: STI sets VIF", { ...done(), flags: [0x80200, 0x80000] }, () => {
    k.setCr4([Cr4.PVI]);
    k.user(() => i.sti(), { flags: 2 });
  });
  k.check("PVI: STI with VIP", GP, () => {
    k.setCr4([Cr4.PVI]);
    k.user(() => (k.at(), i.sti()), { flags: 0x100002 });
  });
  k.section("2: MONITOR, MWAIT", "monitor");
  k.check("MONITOR in ring 3", UD, () => k.user(() => (k.at(), i.monitor())));
  k.check("MWAIT in ring 3", UD, () => k.user(() => (k.at(), i.mwait())));
  k.check(
    "MONITOR with ECX of 1",
    GP,
    () => (i.mov(eax, At.SCRATCH), i.mov(ecx, 1), k.at(), i.monitor()),
  );
  k.check(
    "MONITOR of an address that is not canonical",
    GP,
    () => (i.mov(rax, HOLE), k.at(), i.monitor()),
  );
  k.check("MONITOR of an absent page", { ...fault(Vec.PF), cr2: BigInt(At.LAB) }, () => {
    k.page(0, 0);
    i.mov(eax, At.LAB);
    k.at();
    i.monitor();
  });
  k.check("MWAIT with ECX of 2", GP, () => (i.mov(ecx, 2), k.at(), i.mwait()));
}

function userSystem(k: Kernel64): void {
  const { i } = k;
  k.section("3: 2.5 (UMIP)");
  const list: [string, () => void][] = [
    ["SGDT", () => i.sgdt(mem(rsp))],
    ["SIDT", () => i.sidt(mem(rsp))],
    ["SLDT", () => i.sldt(rax)],
    ["STR", () => i.str(rax)],
    ["SMSW", () => i.smsw(rax)],
  ];
  for (const [name, emit] of list) {
    k.check(`${name} in ring 3`, done(), () => k.user(() => (i.sub(rsp, 32), emit())));
    k.check(`${name} in ring 3 under UMIP`, GP, () => {
      k.setCr4([Cr4.UMIP]);
      k.user(() => (k.at(), emit()));
    });
    k.check(`${name} in ring 0 under UMIP`, done(), () => {
      k.setCr4([Cr4.UMIP]);
      i.sub(rsp, 32);
      emit();
    });
  }
  k.check("SGDT, SIDT store 10 bytes", done(0xff, At.GDT, 0xfff, At.IDT, 0xcccc), () => {
    k.put(At.SCRATCH + 8, -1n & 0xccccccccccccccccn);
    for (const store of [i.sgdt, i.sidt]) {
      store(mem(At.SCRATCH));
      i.movzx(eax, o.word(At.SCRATCH));
      k.note();
      i.mov(rax, qword(At.SCRATCH + 2));
      k.note();
    }
    i.movzx(eax, o.word(At.SCRATCH + 10));
    k.note();
  });
  k.check("STR, SLDT", done(Sel.TSS, 0), () => {
    i.str(rax);
    k.note();
    i.sldt(rax);
    k.note();
  });
}

function segmentBases(k: Kernel64): void {
  const { i, a } = k;
  const fsgs = (prefix: number[], reg: number, w = true) =>
    a.db(0xf3, ...w ? [0x48] : [], 0x0f, 0xae, 0xc0 | reg << 3, ...prefix);
  k.section("2: RDFSBASE, WRFSBASE", "fsgsbase");
  const names = ["RDFSBASE", "RDGSBASE", "WRFSBASE", "WRGSBASE"];
  names.forEach((name, n) => {
    k.check(`${name} without CR4.FSGSBASE`, UD, () => (k.at(), fsgs([], n)));
    k.check(`${name} in compatibility mode`, UD, () => {
      k.setCr4([Cr4.FSGSBASE]);
      k.user(() => (k.at(), fsgs([], n, false)), { bits: 32 });
    });
    if (n < 2) return;
    k.check(`${name} of an address that is not canonical`, GP, () => {
      k.setCr4([Cr4.FSGSBASE]);
      i.mov(rax, HOLE);
      k.at();
      fsgs([], n);
    });
    k.check(`${name} and back in ring 3`, done(0xffff888812345678n, 0x9abcdef0), () => {
      k.setCr4([Cr4.FSGSBASE]);
      k.user(() => {
        i.mov(rax, 0xffff888812345678n);
        fsgs([], n);
        i.mov(eax, 0);
        fsgs([], n - 2);
        k.note();
        // 32 bits are extended with zeros.
        i.mov(rax, 0x123456789abcdef0n);
        fsgs([], n, false);
        i.mov(rax, -1);
        fsgs([], n - 2);
        k.note();
      });
    });
  });
  k.section("2: SWAPGS");
  k.check("SWAPGS", done(0x1111, 0x2222), () => {
    k.setMsr(Msr.GS_BASE, 0x2222);
    k.setMsr(Msr.KERNEL_GS_BASE, 0x1111);
    i.swapgs();
    k.getMsr(Msr.GS_BASE);
    k.note();
    k.getMsr(Msr.KERNEL_GS_BASE);
    k.note();
  });
  k.check(
    "SWAPGS in compatibility mode, ring 3",
    UD,
    () => k.user(() => (k.at(), i.swapgs()), { bits: 32 }),
  );
  k.section("1: 3.4.2.1");
  k.check("FS and GS have bases, DS has none", done(0x1badb002, 0x1badb002, 1), () => {
    k.setMsr(Msr.FS_BASE, 0x100000);
    k.setMsr(Msr.GS_BASE, 0xfffff);
    i.mov(eax, dword(o.fs, 0));
    k.note();
    i.mov(eax, dword(o.gs, 1));
    k.note();
    k.descriptor(Sel.FREE, 0x00cf93100000ffffn);
    i.mov(eax, Sel.FREE);
    i.mov(o.ds, eax);
    i.mov(eax, dword(At.SCRATCH));
    i.mov(edx, dword(At.SCRATCH));
    i.cmp(eax, edx);
    i.mov(eax, 0);
    i.sete(al);
    k.note();
  });
  k.check("FS base plus offset that is not canonical", GP, () => {
    k.setMsr(Msr.FS_BASE, 0x7fffffffffffn);
    i.mov(rax, k.la57 ? 1n << 56n : 1);
    k.at();
    i.mov(eax, dword(o.fs, rax));
  });
  k.check("MOV to FS clears its base's upper half", done(0x100000), () => {
    k.descriptor(Sel.FREE, 0x00cf93100000ffffn);
    k.setMsr(Msr.FS_BASE, 0xffff888800000000n);
    i.mov(eax, Sel.FREE);
    i.mov(o.fs, eax);
    k.getMsr(Msr.FS_BASE);
    k.note();
  });
}

function flagImages(k: Kernel64): void {
  const { i } = k;
  const popf = (v: number) => {
    i.push(v);
    i.popfq();
    i.pushfq();
    i.pop(rax);
    k.note();
  };
  k.section("2: POPF, PUSHF");
  k.check(
    "POPF in ring 0: RF and VM stay 0, VIF and VIP too",
    done(0x247fd7 & ~0x500),
    () => popf(0x3f7ad7),
  );
  k.check(
    "POPF in ring 3: IOPL and IF stay",
    done(0x440d7),
    () => k.user(() => popf(0x472d7 & ~0x3000 | 0x3000), { flags: 2 }),
  );
  k.check(
    "POPF in ring 3 with IOPL 3: IF changes, IOPL stays",
    done(0x3202, 0x3002),
    () => k.user(() => (popf(0x202), popf(2)), { flags: 0x3002 }),
  );
  k.check(
    "IRET in ring 3: IOPL and IF stay",
    { ...done(), flags: [0x3200, 0] },
    () =>
      k.user(() => {
        const { a } = k, to = a.unique("to");
        i.mov(rcx, rsp);
        i.push(Sel.USER_DATA);
        i.push(rcx);
        i.push(0x3202);
        i.push(Sel.USER);
        i.lea(rax, mem(to));
        i.push(rax);
        i.iretq();
        a.label(to);
      }),
  );
  k.check("PUSHF shows IF and IOPL", done(0x3202), () => {
    i.push(0x3202);
    i.popfq();
    i.cli();
    i.sti();
    i.pushfq();
    i.cli();
    i.pop(rax);
    k.note();
  });
  k.check("POPFW keeps the upper flags", done(0x200046), () => {
    i.push(0x200002);
    i.popfq();
    i.pushw(0x46);
    i.popfw();
    i.pushfq();
    i.pop(rax);
    k.note();
  });
  k.section("2: LAHF, SAHF");
  k.check("SAHF and LAHF in 64-bit mode", done(0xd7), () => {
    i.mov(eax, 0xff00);
    i.sahf();
    i.mov(eax, 0);
    i.lahf();
    i.shr(eax, 8);
    k.note();
  });
}

/** SDM volume 1, 19.5.2: I/O permission bit map. */
function ports(k: Kernel64): void {
  const { i } = k, map = At.TSS + 0x68;
  k.section("1: 19.5.2");
  const tss = (limit: number) => {
    k.descriptor(Sel.TSS, BigInt(limit) | BigInt(At.TSS) << 16n | 0x89n << 40n, 0n);
    i.mov(eax, Sel.TSS);
    i.ltr(ax);
  };
  const inAt = (port: number, size: 1 | 2 | 4 = 1) => {
    i.mov(edx, port);
    k.at();
    if (size === 1) i.in(al, o.dx);
    else if (size === 2) i.in(ax, o.dx);
    else i.in(eax, o.dx);
  };
  k.check("IN in ring 3 without a map", GP, () => k.user(() => inAt(0x80)));
  k.check("IN in ring 3 with IOPL 3", done(), () => k.user(() => inAt(0x80), { flags: 0x3002 }));
  k.check("IN in ring 3: the map allows", done(), () => (tss(0x88), k.user(() => inAt(0x84))));
  k.check("IN in ring 3: the map forbids", GP, () => {
    tss(0x88);
    i.mov(o.byte(map + 0x10), 0x10);
    k.user(() => inAt(0x84));
  });
  k.check("IN of two ports of which the map forbids one", GP, () => {
    tss(0x88);
    i.mov(o.byte(map + 0x10), 0x10);
    k.user(() => inAt(0x83, 2));
  });
  k.check("IN of four ports beside the one forbidden", done(), () => {
    tss(0x88);
    i.mov(o.byte(map + 0x10), 0x10);
    k.user(() => inAt(0x80, 4));
  });
  k.check("IN of ports in two bytes of the map", GP, () => {
    tss(0x88);
    i.mov(o.byte(map + 0x11), 1);
    k.user(() => inAt(0x87, 2));
  });
  k.check(
    "IN: the map's byte is beyond the limit",
    GP,
    () => (tss(0x78), k.user(() => inAt(0x88))),
  );
  k.check("IN: two bytes are read, the second is beyond the limit", GP, () => {
    tss(0x78);
    k.user(() => inAt(0x80));
  });
  k.check("OUT in ring 3: the map allows", done(), () => {
    tss(0x88);
    k.user(() => i.out(0x80, al));
  });
  k.check("INSB in ring 3: the map forbids", GP, () => {
    tss(0x88);
    i.mov(o.byte(map + 0x10), 1);
    k.user(() => {
      i.mov(edx, 0x80);
      i.mov(rdx, rdx);
      i.lea(o.rdi, mem(rsp, -64));
      k.at();
      i.insb();
    });
  });
}
