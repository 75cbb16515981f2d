/**
 * x87 floating point, escape opcodes D8 to DF: Intel SDM volume 2, appendix A, tables.
 * Rows marked `alias` are redundant encodings that processors decode although the tables leave them out.
 */
export const x87Rows = `
D8 /0   | FADD m32fp            | fpu
D8 /1   | FMUL m32fp            | fpu
D8 /2   | FCOM m32fp            | fpu
D8 /3   | FCOMP m32fp           | fpu
D8 /4   | FSUB m32fp            | fpu
D8 /5   | FSUBR m32fp           | fpu
D8 /6   | FDIV m32fp            | fpu
D8 /7   | FDIVR m32fp           | fpu
D8 C0+i | FADD ST(0), ST(i)     | fpu
D8 C8+i | FMUL ST(0), ST(i)     | fpu
D8 D0+i | FCOM ST(i)            | fpu
D8 D8+i | FCOMP ST(i)           | fpu
D8 E0+i | FSUB ST(0), ST(i)     | fpu
D8 E8+i | FSUBR ST(0), ST(i)    | fpu
D8 F0+i | FDIV ST(0), ST(i)     | fpu
D8 F8+i | FDIVR ST(0), ST(i)    | fpu

D9 /0   | FLD m32fp             | fpu
D9 /2   | FST m32fp             | fpu
D9 /3   | FSTP m32fp            | fpu
D9 /4   | FLDENV m14/28byte     | fpu
D9 /5   | FLDCW m16             | fpu
D9 /6   | FNSTENV m14/28byte    | fpu
D9 /7   | FNSTCW m16            | fpu
D9 C0+i | FLD ST(i)             | fpu
D9 C8+i | FXCH ST(i)            | fpu
D9 D0   | FNOP                  | fpu
D9 D8+i | FSTP ST(i)            | fpu alias as=FSTPNCE
D9 E0   | FCHS                  | fpu
D9 E1   | FABS                  | fpu
D9 E4   | FTST                  | fpu
D9 E5   | FXAM                  | fpu
D9 E8   | FLD1                  | fpu
D9 E9   | FLDL2T                | fpu
D9 EA   | FLDL2E                | fpu
D9 EB   | FLDPI                 | fpu
D9 EC   | FLDLG2                | fpu
D9 ED   | FLDLN2                | fpu
D9 EE   | FLDZ                  | fpu
D9 F0   | F2XM1                 | fpu
D9 F1   | FYL2X                 | fpu
D9 F2   | FPTAN                 | fpu
D9 F3   | FPATAN                | fpu
D9 F4   | FXTRACT               | fpu
D9 F5   | FPREM1                | fpu
D9 F6   | FDECSTP               | fpu
D9 F7   | FINCSTP               | fpu
D9 F8   | FPREM                 | fpu
D9 F9   | FYL2XP1               | fpu
D9 FA   | FSQRT                 | fpu
D9 FB   | FSINCOS               | fpu
D9 FC   | FRNDINT               | fpu
D9 FD   | FSCALE                | fpu
D9 FE   | FSIN                  | fpu
D9 FF   | FCOS                  | fpu

DA /0   | FIADD m32int          | fpu
DA /1   | FIMUL m32int          | fpu
DA /2   | FICOM m32int          | fpu
DA /3   | FICOMP m32int         | fpu
DA /4   | FISUB m32int          | fpu
DA /5   | FISUBR m32int         | fpu
DA /6   | FIDIV m32int          | fpu
DA /7   | FIDIVR m32int         | fpu
DA C0+i | FCMOVB ST(0), ST(i)   | cmov
DA C8+i | FCMOVE ST(0), ST(i)   | cmov
DA D0+i | FCMOVBE ST(0), ST(i)  | cmov
DA D8+i | FCMOVU ST(0), ST(i)   | cmov
DA E9   | FUCOMPP               | fpu

DB /0   | FILD m32int           | fpu
DB /1   | FISTTP m32int         | pni
DB /2   | FIST m32int           | fpu
DB /3   | FISTP m32int          | fpu
DB /5   | FLD m80fp             | fpu
DB /7   | FSTP m80fp            | fpu
DB C0+i | FCMOVNB ST(0), ST(i)  | cmov
DB C8+i | FCMOVNE ST(0), ST(i)  | cmov
DB D0+i | FCMOVNBE ST(0), ST(i) | cmov
DB D8+i | FCMOVNU ST(0), ST(i)  | cmov
DB E0   | FNOP                  | fpu alias as=FNENI
DB E1   | FNOP                  | fpu alias as=FNDISI
DB E2   | FNCLEX                | fpu
DB E3   | FNINIT                | fpu
DB E4   | FNOP                  | fpu alias as=FNSETPM
DB E8+i | FUCOMI ST(0), ST(i)   | cmov
DB F0+i | FCOMI ST(0), ST(i)    | cmov

DC /0   | FADD m64fp            | fpu
DC /1   | FMUL m64fp            | fpu
DC /2   | FCOM m64fp            | fpu
DC /3   | FCOMP m64fp           | fpu
DC /4   | FSUB m64fp            | fpu
DC /5   | FSUBR m64fp           | fpu
DC /6   | FDIV m64fp            | fpu
DC /7   | FDIVR m64fp           | fpu
DC C0+i | FADD ST(i), ST(0)     | fpu
DC C8+i | FMUL ST(i), ST(0)     | fpu
DC D0+i | FCOM ST(i)            | fpu alias
DC D8+i | FCOMP ST(i)           | fpu alias
DC E0+i | FSUBR ST(i), ST(0)    | fpu
DC E8+i | FSUB ST(i), ST(0)     | fpu
DC F0+i | FDIVR ST(i), ST(0)    | fpu
DC F8+i | FDIV ST(i), ST(0)     | fpu

DD /0   | FLD m64fp             | fpu
DD /1   | FISTTP m64int         | pni
DD /2   | FST m64fp             | fpu
DD /3   | FSTP m64fp            | fpu
DD /4   | FRSTOR m94/108byte    | fpu
DD /6   | FNSAVE m94/108byte    | fpu
DD /7   | FNSTSW m16            | fpu
DD C0+i | FFREE ST(i)           | fpu
DD C8+i | FXCH ST(i)            | fpu alias
DD D0+i | FST ST(i)             | fpu
DD D8+i | FSTP ST(i)            | fpu
DD E0+i | FUCOM ST(i)           | fpu
DD E8+i | FUCOMP ST(i)          | fpu

DE /0   | FIADD m16int          | fpu
DE /1   | FIMUL m16int          | fpu
DE /2   | FICOM m16int          | fpu
DE /3   | FICOMP m16int         | fpu
DE /4   | FISUB m16int          | fpu
DE /5   | FISUBR m16int         | fpu
DE /6   | FIDIV m16int          | fpu
DE /7   | FIDIVR m16int         | fpu
DE C0+i | FADDP ST(i), ST(0)    | fpu
DE C8+i | FMULP ST(i), ST(0)    | fpu
DE D0+i | FCOMP ST(i)           | fpu alias
DE D9   | FCOMPP                | fpu
DE E0+i | FSUBRP ST(i), ST(0)   | fpu
DE E8+i | FSUBP ST(i), ST(0)    | fpu
DE F0+i | FDIVRP ST(i), ST(0)   | fpu
DE F8+i | FDIVP ST(i), ST(0)    | fpu

DF /0   | FILD m16int           | fpu
DF /1   | FISTTP m16int         | pni
DF /2   | FIST m16int           | fpu
DF /3   | FISTP m16int          | fpu
DF /4   | FBLD m80bcd           | fpu
DF /5   | FILD m64int           | fpu
DF /6   | FBSTP m80bcd          | fpu
DF /7   | FISTP m64int          | fpu
DF C0+i | FFREEP ST(i)          | fpu
DF C8+i | FXCH ST(i)            | fpu alias
DF D0+i | FSTP ST(i)            | fpu alias
DF D8+i | FSTP ST(i)            | fpu alias
DF E0   | FNSTSW AX             | fpu
DF E8+i | FUCOMIP ST(0), ST(i)  | cmov
DF F0+i | FCOMIP ST(0), ST(i)   | cmov
`;
