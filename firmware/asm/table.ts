/**
 * Instruction forms in the SDM's notation (volume 2): operands, a colon, then the encoding.
 * `v` is the operand size: 2, 4 or 8 bytes. The first form that fits and is shortest wins, as with
 * NASM. Encoding words: hex opcode bytes, `/r`, `/digit`, `+r` (register in the opcode), `ib iw id
 * iv iq` immediates, `rel8`, `relv`, `far`, `moffs`; `o16 o32 o64` fix the operand size, `d64` says
 * that the size is 64 bits in 64-bit mode without REX.W, `n64` forbids 64-bit mode, `Z` says that no
 * operand size prefix belongs to the form, `X` keeps XCHG EAX, EAX from becoming NOP in 64-bit mode.
 */
export const table: Record<string, string[]> = {};

function add(names: string, ...forms: string[]): void {
  for (const n of names.split(" ")) table[n] = forms;
}

"add or adc sbb and sub xor cmp".split(" ").forEach((name, i) => {
  const base = i * 8, hex = (n: number) => (base + n).toString(16).padStart(2, "0");
  add(
    name,
    `rm8,r8: ${hex(0)} /r`,
    `rmv,rv: ${hex(1)} /r`,
    `r8,rm8: ${hex(2)} /r`,
    `rv,rmv: ${hex(3)} /r`,
    `rmv,s8: 83 /${i} ib`,
    `al,i8: ${hex(4)} ib`,
    `Av,iv: ${hex(5)} iv`,
    `rm8,i8: 80 /${i} ib`,
    `rmv,iv: 81 /${i} iv`,
  );
});

add(
  "mov",
  "al,moffs: a0 moffs",
  "Av,moffs: a1 moffs",
  "moffs,al: a2 moffs",
  "moffs,Av: a3 moffs",
  "rm8,r8: 88 /r",
  "rmv,rv: 89 /r",
  "r8,rm8: 8a /r",
  "rv,rmv: 8b /r",
  "m16,sreg: Z 8c /r",
  "r64,sreg: Z 8c /r",
  "rv,sreg: 8c /r",
  "sreg,rm16: Z 8e /r",
  "sreg,r32: Z 8e /r",
  "r8,i8: b0 +r ib",
  "r16,i16: b8 +r iw",
  "r32,i32: b8 +r id",
  "r64,u32: o32 b8 +r id",
  "r64,s32: c7 /0 id",
  "r64,i64: b8 +r iq",
  "rm8,i8: c6 /0 ib",
  "rmv,iv: c7 /0 iv",
  "r32,cr: Z n64 0f 20 /r",
  "cr,r32: Z n64 0f 22 /r",
  "r64,cr: Z 0f 20 /r",
  "cr,r64: Z 0f 22 /r",
  "r32,dr: Z n64 0f 21 /r",
  "dr,r32: Z n64 0f 23 /r",
  "r64,dr: Z 0f 21 /r",
  "dr,r64: Z 0f 23 /r",
);
add(
  "test",
  "rm8,r8: 84 /r",
  "rmv,rv: 85 /r",
  "al,i8: a8 ib",
  "Av,iv: a9 iv",
  "rm8,i8: f6 /0 ib",
  "rmv,iv: f7 /0 iv",
);
add(
  "xchg",
  "Av,rv: X 90 +r",
  "rv,Av: X 90 +r",
  "r8,rm8: 86 /r",
  "rv,rmv: 87 /r",
  "rm8,r8: 86 /r",
  "rmv,rv: 87 /r",
);
add("lea", "rv,m: 8d /r");
add("movzx", "rv,rm8: 0f b6 /r", "r32,rm16: 0f b7 /r", "r64,rm16: o64 0f b7 /r");
add("movsx", "rv,rm8: 0f be /r", "r32,rm16: 0f bf /r", "r64,rm16: o64 0f bf /r");
add("movsxd", "r64,rm32: o64 63 /r");
add("inc", "r16: n64 40 +r", "r32: n64 40 +r", "rm8: fe /0", "rmv: ff /0");
add("dec", "r16: n64 48 +r", "r32: n64 48 +r", "rm8: fe /1", "rmv: ff /1");
"not neg mul imul div idiv".split(" ").forEach((n, i) =>
  add(n, `rm8: f6 /${i + 2}`, `rmv: f7 /${i + 2}`)
);
table.imul.push(
  "rv,rmv: 0f af /r",
  "rv,rmv,s8: 6b /r ib",
  "rv,rmv,iv: 69 /r iv",
  "rv,s8: 6b /R ib",
  "rv,iv: 69 /R iv",
);
"rol ror rcl rcr shl shr sal sar".split(" ").forEach((n, i) => {
  const d = n === "sal" ? 4 : i;
  add(
    n,
    `rm8,1: d0 /${d}`,
    `rmv,1: d1 /${d}`,
    `rm8,cl: d2 /${d}`,
    `rmv,cl: d3 /${d}`,
    `rm8,i8: c0 /${d} ib`,
    `rmv,i8: c1 /${d} ib`,
  );
});
add("shld", "rmv,rv,i8: 0f a4 /r ib", "rmv,rv,cl: 0f a5 /r");
add("shrd", "rmv,rv,i8: 0f ac /r ib", "rmv,rv,cl: 0f ad /r");
"bt bts btr btc".split(" ").forEach((n, i) =>
  add(n, `rmv,rv: 0f ${(0xa3 + 8 * i).toString(16)} /r`, `rmv,i8: 0f ba /${4 + i} ib`)
);
add("bsf", "rv,rmv: 0f bc /r");
add("bsr", "rv,rmv: 0f bd /r");
add("bswap", "r32: 0f c8 +r", "r64: 0f c8 +r");
add("cmpxchg", "rm8,r8: 0f b0 /r", "rmv,rv: 0f b1 /r");
add("xadd", "rm8,r8: 0f c0 /r", "rmv,rv: 0f c1 /r");
add("cmpxchg8b", "m: 0f c7 /1");

/** Condition codes of Jcc, SETcc and CMOVcc, in encoding order; synonyms after a slash. */
export const conditions = [
  "o",
  "no",
  "b/c/nae",
  "ae/nb/nc",
  "z/e",
  "nz/ne",
  "be/na",
  "a/nbe",
  "s",
  "ns",
  "p/pe",
  "np/po",
  "l/nge",
  "ge/nl",
  "le/ng",
  "g/nle",
];
conditions.forEach((names, i) => {
  for (const c of names.split("/")) {
    const x = i.toString(16);
    add(`j${c}`, `lab: 7${x} rel8`, `lab: 0f 8${x} relv`);
    add(`set${c}`, `rm8: 0f 9${x} /0`);
    add(`cmov${c}`, `rv,rmv: 0f 4${x} /r`);
  }
});
add(
  "jmp",
  "lab: eb rel8",
  "lab: e9 relv",
  "rm16: n64 ff /4",
  "rm32: n64 ff /4",
  "rm64: d64 ff /4",
  "far: n64 ea far",
);
add(
  "call",
  "lab: e8 relv",
  "rm16: n64 ff /2",
  "rm32: n64 ff /2",
  "rm64: d64 ff /2",
  "far: n64 9a far",
);
add("jmpf", "m16: o16 ff /5", "m32: o32 ff /5", "m0: n64 ff /5", "m64: o64 ff /5");
add("callf", "m16: o16 ff /3", "m32: o32 ff /3", "m0: n64 ff /3", "m64: o64 ff /3");
add("ret", ": c3", "i16: c2 iw");
add("retf", ": cb", "i16: ca iw");
add("retfw", ": o16 cb", "i16: o16 ca iw");
add("retfd", ": o32 cb", "i16: o32 ca iw");
add("iret", ": cf");
add("iretw", ": o16 cf");
add("iretd", ": o32 cf");
add("iretq", ": o64 cf");
add("loop", "lab: e2 rel8");
add("loope", "lab: e1 rel8");
add("loopne", "lab: e0 rel8");
add("jcxz", "lab: a16 e3 rel8");
add("jecxz", "lab: a32 e3 rel8");
add(
  "push",
  "r16: 50 +r",
  "r32: n64 50 +r",
  "r64: d64 50 +r",
  "rm16: ff /6",
  "rm32: n64 ff /6",
  "rm64: d64 ff /6",
  "es: n64 06",
  "cs: n64 0e",
  "ss: n64 16",
  "ds: n64 1e",
  "fs: 0f a0",
  "gs: 0f a8",
  "s8: 6a ib",
  "i: 68 iD",
);
add("pushw", "s8: o16 6a ib", "i16: o16 68 iw");
add("pushd", "s8: o32 n64 6a ib", "i32: o32 n64 68 id");
add(
  "pop",
  "r16: 58 +r",
  "r32: n64 58 +r",
  "r64: d64 58 +r",
  "rm16: 8f /0",
  "rm32: n64 8f /0",
  "rm64: d64 8f /0",
  "es: n64 07",
  "ss: n64 17",
  "ds: n64 1f",
  "fs: 0f a1",
  "gs: 0f a9",
);
add("pushaw", ": o16 n64 60");
add("pushad", ": o32 n64 60");
add("popaw", ": o16 n64 61");
add("popad", ": o32 n64 61");
add("pushf", ": 9c");
add("pushfw", ": o16 9c");
add("pushfd", ": o32 n64 9c");
add("pushfq", ": d64 9c");
add("popf", ": 9d");
add("popfw", ": o16 9d");
add("popfd", ": o32 n64 9d");
add("popfq", ": d64 9d");
add("enter", "i16,i8: c8 iw ib");
add("leave", ": c9");
add("int", "i8: cd ib");
add("in", "al,i8: e4 ib", "ax,i8: e5 ib", "eax,i8: e5 ib", "al,dx: ec", "ax,dx: ed", "eax,dx: ed");
add("out", "i8,al: e6 ib", "i8,ax: e7 ib", "i8,eax: e7 ib", "dx,al: ee", "dx,ax: ef", "dx,eax: ef");
for (
  const [n, op] of Object.entries({
    movs: 0xa4,
    cmps: 0xa6,
    stos: 0xaa,
    lods: 0xac,
    scas: 0xae,
    ins: 0x6c,
    outs: 0x6e,
  })
) {
  const h = (x: number) => x.toString(16);
  add(`${n}b`, `: ${h(op)}`);
  add(`${n}w`, `: o16 ${h(op + 1)}`);
  add(`${n}d`, `: o32 ${h(op + 1)}`);
  if (op > 0x6f) add(`${n}q`, `: o64 ${h(op + 1)}`);
}
for (
  const line of [
    "cbw o16 98",
    "cwde o32 98",
    "cdqe o64 98",
    "cwd o16 99",
    "cdq o32 99",
    "cqo o64 99",
    "nop 90",
    "pause f3 90",
    "hlt f4",
    "cmc f5",
    "clc f8",
    "stc f9",
    "cli fa",
    "sti fb",
    "cld fc",
    "std fd",
    "lahf 9f",
    "sahf 9e",
    "xlatb d7",
    "int3 cc",
    "into n64 ce",
    "daa n64 27",
    "das n64 2f",
    "aaa n64 37",
    "aas n64 3f",
    "salc n64 d6",
    "cpuid 0f a2",
    "rdtsc 0f 31",
    "rdmsr 0f 32",
    "wrmsr 0f 30",
    "rdpmc 0f 33",
    "invd 0f 08",
    "wbinvd 0f 09",
    "clts 0f 06",
    "ud2 0f 0b",
    "rsm 0f aa",
    "sysenter 0f 34",
    "sysexit 0f 35",
    "syscall 0f 05",
    "sysret 0f 07",
    "swapgs 0f 01 f8",
    "rdtscp 0f 01 f9",
    "monitor 0f 01 c8",
    "mwait 0f 01 c9",
    "vmcall 0f 01 c1",
    "mfence 0f ae f0",
    "lfence 0f ae e8",
    "sfence 0f ae f8",
    "fninit db e3",
    "fnclex db e2",
    "fwait 9b",
    "emms 0f 77",
    // Prefixes, written as instructions before the one they modify.
    "lock f0",
    "rep f3",
    "repe f3",
    "repne f2",
  ]
) {
  const [name, ...rest] = line.split(" ");
  add(name, `: ${rest.join(" ")}`);
}
add("aam", ": n64 d4 0a", "i8: n64 d4 ib");
add("aad", ": n64 d5 0a", "i8: n64 d5 ib");
add("lgdt", "m: Z 0f 01 /2");
add("lidt", "m: Z 0f 01 /3");
add("sgdt", "m: Z 0f 01 /0");
add("sidt", "m: Z 0f 01 /1");
add("lgdtd", "m: o32 0f 01 /2");
add("lidtd", "m: o32 0f 01 /3");
add("lmsw", "rm16: Z 0f 01 /6");
add("smsw", "m16: Z 0f 01 /4", "rv: 0f 01 /4");
add("invlpg", "m: Z 0f 01 /7");
add("sldt", "m16: Z 0f 00 /0", "r64: Z 0f 00 /0", "rv: 0f 00 /0");
add("str", "m16: Z 0f 00 /1", "rv: 0f 00 /1");
add("lldt", "rm16: Z 0f 00 /2");
add("ltr", "rm16: Z 0f 00 /3");
add("verr", "rm16: Z 0f 00 /4");
add("verw", "rm16: Z 0f 00 /5");
add("lar", "rv,rm16: 0f 02 /r");
add("lsl", "rv,rm16: 0f 03 /r");
add("arpl", "rm16,r16: Z n64 63 /r");
add("bound", "rv,m: n64 62 /r");
add("les", "rv,m: n64 c4 /r");
add("lds", "rv,m: n64 c5 /r");
add("lss", "rv,m: 0f b2 /r");
add("lfs", "rv,m: 0f b4 /r");
add("lgs", "rv,m: 0f b5 /r");
add("fxsave", "m: 0f ae /0");
add("fxrstor", "m: 0f ae /1");
add("fnstcw", "m: d9 /7");
add("fldcw", "m: d9 /5");
add("fnstsw", "ax: Z df e0", "m: dd /7");
add("fild", "m16: Z df /0", "m32: Z db /0", "m64: Z df /5");
add("fistp", "m16: Z df /3", "m32: Z db /3", "m64: Z df /7");
