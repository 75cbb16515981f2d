/** The encodings of x87 instructions that the oracle runs. */

export interface Form {
  readonly name: string;
  readonly bytes: readonly number[];
  /** Loads the pointers from memory, so that they need not be those of the instruction. */
  readonly pointers?: true;
}

/** Opcode and ModRM of `op /n` with the operand at [EDX]. */
function memory(op: number, n: number): number[] {
  return [op, (n << 3) | 2];
}

const list: Form[] = [];
const add = (name: string, ...bytes: number[]) => list.push({ name, bytes });

const arithmetic = ["FADD", "FMUL", "FCOM", "FCOMP", "FSUB", "FSUBR", "FDIV", "FDIVR"];
arithmetic.forEach((name, n) => {
  add(`${name} m32`, ...memory(0xd8, n));
  add(`${name} m64`, ...memory(0xdc, n));
  add(`FI${name.slice(1)} m32`, ...memory(0xda, n));
  add(`FI${name.slice(1)} m16`, ...memory(0xde, n));
  for (const i of [0, 1, 5]) {
    add(`${name} st0,st${i}`, 0xd8, 0xc0 + 8 * n + i);
    if (n === 2 || n === 3) continue;
    add(`D${name} st${i},st0`, 0xdc, 0xc0 + 8 * n + i);
    add(`D${name}P st${i},st0`, 0xde, 0xc0 + 8 * n + i);
  }
});
add("FCOMPP", 0xde, 0xd9);
add("FUCOMPP", 0xda, 0xe9);
for (const i of [0, 1, 3]) {
  add(`FUCOM st${i}`, 0xdd, 0xe0 + i);
  add(`FUCOMP st${i}`, 0xdd, 0xe8 + i);
  add(`FCOMI st${i}`, 0xdb, 0xf0 + i);
  add(`FCOMIP st${i}`, 0xdf, 0xf0 + i);
  add(`FUCOMI st${i}`, 0xdb, 0xe8 + i);
  add(`FUCOMIP st${i}`, 0xdf, 0xe8 + i);
  add(`FLD st${i}`, 0xd9, 0xc0 + i);
  add(`FXCH st${i}`, 0xd9, 0xc8 + i);
  add(`FST st${i}`, 0xdd, 0xd0 + i);
  add(`FSTP st${i}`, 0xdd, 0xd8 + i);
  // Encodings that manuals keep to themselves.
  add(`FCOM2 st${i}`, 0xdc, 0xd0 + i);
  add(`FCOMP3 st${i}`, 0xdc, 0xd8 + i);
  add(`FXCH4 st${i}`, 0xdd, 0xc8 + i);
  add(`FCOMP5 st${i}`, 0xde, 0xd0 + i);
  add(`FXCH7 st${i}`, 0xdf, 0xc8 + i);
  add(`FSTP8 st${i}`, 0xdf, 0xd0 + i);
  add(`FSTP9 st${i}`, 0xdf, 0xd8 + i);
  add(`FSTPNCE st${i}`, 0xd9, 0xd8 + i);
  add(`FFREE st${i}`, 0xdd, 0xc0 + i);
  add(`FFREEP st${i}`, 0xdf, 0xc0 + i);
  add(`FCMOVB st${i}`, 0xda, 0xc0 + i);
  add(`FCMOVE st${i}`, 0xda, 0xc8 + i);
  add(`FCMOVBE st${i}`, 0xda, 0xd0 + i);
  add(`FCMOVU st${i}`, 0xda, 0xd8 + i);
  add(`FCMOVNB st${i}`, 0xdb, 0xc0 + i);
  add(`FCMOVNE st${i}`, 0xdb, 0xc8 + i);
  add(`FCMOVNBE st${i}`, 0xdb, 0xd0 + i);
  add(`FCMOVNU st${i}`, 0xdb, 0xd8 + i);
}
add("FLD m32", ...memory(0xd9, 0));
add("FLD m64", ...memory(0xdd, 0));
add("FLD m80", ...memory(0xdb, 5));
add("FST m32", ...memory(0xd9, 2));
add("FSTP m32", ...memory(0xd9, 3));
add("FST m64", ...memory(0xdd, 2));
add("FSTP m64", ...memory(0xdd, 3));
add("FSTP m80", ...memory(0xdb, 7));
add("FILD m16", ...memory(0xdf, 0));
add("FILD m32", ...memory(0xdb, 0));
add("FILD m64", ...memory(0xdf, 5));
add("FISTTP m16", ...memory(0xdf, 1));
add("FISTTP m32", ...memory(0xdb, 1));
add("FISTTP m64", ...memory(0xdd, 1));
add("FIST m16", ...memory(0xdf, 2));
add("FIST m32", ...memory(0xdb, 2));
add("FISTP m16", ...memory(0xdf, 3));
add("FISTP m32", ...memory(0xdb, 3));
add("FISTP m64", ...memory(0xdf, 7));
add("FBLD", ...memory(0xdf, 4));
add("FBSTP", ...memory(0xdf, 6));
const single: [string, number][] = [
  ["FNOP", 0xd0],
  ["FCHS", 0xe0],
  ["FABS", 0xe1],
  ["FTST", 0xe4],
  ["FXAM", 0xe5],
  ["FLD1", 0xe8],
  ["FLDL2T", 0xe9],
  ["FLDL2E", 0xea],
  ["FLDPI", 0xeb],
  ["FLDLG2", 0xec],
  ["FLDLN2", 0xed],
  ["FLDZ", 0xee],
  ["FXTRACT", 0xf4],
  ["FPREM1", 0xf5],
  ["FDECSTP", 0xf6],
  ["FINCSTP", 0xf7],
  ["FPREM", 0xf8],
  ["FSQRT", 0xfa],
  ["FRNDINT", 0xfc],
  ["FSCALE", 0xfd],
];
for (const [name, op] of single) add(name, 0xd9, op);
add("FNENI", 0xdb, 0xe0);
add("FNDISI", 0xdb, 0xe1);
add("FNSETPM", 0xdb, 0xe4);
add("FNCLEX", 0xdb, 0xe2);
add("FNINIT", 0xdb, 0xe3);
add("FNSTCW", ...memory(0xd9, 7));
add("FLDCW", ...memory(0xd9, 5));
add("FNSTSW m16", ...memory(0xdd, 7));
add("FNSTSW AX", 0xdf, 0xe0);
add("FWAIT", 0x9b);

for (const prefix of [[], [0x66]]) {
  const size = prefix.length ? "16" : "32";
  add(`FNSTENV ${size}`, ...prefix, ...memory(0xd9, 6));
  add(`FNSAVE ${size}`, ...prefix, ...memory(0xdd, 6));
  list.push({ name: `FLDENV ${size}`, bytes: [...prefix, ...memory(0xd9, 4)], pointers: true });
  list.push({ name: `FRSTOR ${size}`, bytes: [...prefix, ...memory(0xdd, 4)], pointers: true });
}

/** Instructions whose result is exactly defined. */
export const forms: readonly Form[] = list;

/** Those that approximate. */
export const transcendental: readonly Form[] = [
  ["F2XM1", 0xf0],
  ["FYL2X", 0xf1],
  ["FPTAN", 0xf2],
  ["FPATAN", 0xf3],
  ["FYL2XP1", 0xf9],
  ["FSINCOS", 0xfb],
  ["FSIN", 0xfe],
  ["FCOS", 0xff],
].map(([name, op]) => ({ name: name as string, bytes: [0xd9, op as number] }));
