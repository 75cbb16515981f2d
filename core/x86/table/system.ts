/**
 * System instructions: descriptor tables, control and debug registers, MSRs, caches and TLBs, fast system
 * calls, VMX, SVM and XSAVE state management. Intel SDM volume 2; AMD APM volume 3 for SVM.
 */
export const systemRows = `
0F 00 /0       | SLDT rv/m16      | pm vmx=LDTR_TR
0F 00 /1       | STR rv/m16       | pm vmx=LDTR_TR
0F 00 /2       | LLDT r/m16       | pm cpl0 vmx=LDTR_TR
0F 00 /3       | LTR r/m16        | pm cpl0 vmx=LDTR_TR
0F 00 /4       | VERR r/m16       | pm
0F 00 /5       | VERW r/m16       | pm
0F 01 /0       | SGDT m16&s       | f64 vmx=GDTR_IDTR
0F 01 /1       | SIDT m16&s       | f64 vmx=GDTR_IDTR
0F 01 /2       | LGDT m16&s       | f64 cpl0 vmx=GDTR_IDTR
0F 01 /3       | LIDT m16&s       | f64 cpl0 vmx=GDTR_IDTR
0F 01 /4       | SMSW rv/m16
0F 01 /6       | LMSW r/m16       | cpl0 vmx=CR
0F 01 /7       | INVLPG m         | cpl0 vmx=INVLPG
NP 0F 01 C1    | VMCALL           | vmx vmx=VMCALL
NP 0F 01 C2    | VMLAUNCH         | vmx cpl0 pm vmx=VMLAUNCH
NP 0F 01 C3    | VMRESUME         | vmx cpl0 pm vmx=VMRESUME
NP 0F 01 C4    | VMXOFF           | vmx cpl0 pm vmx=VMXOFF
NP 0F 01 C8    | MONITOR          | monitor vmx=MONITOR
NP 0F 01 C9    | MWAIT            | monitor vmx=MWAIT
NP 0F 01 CA    | CLAC             | smap
NP 0F 01 CB    | STAC             | smap
NP 0F 01 D0    | XGETBV           | xsave
NP 0F 01 D1    | XSETBV           | xsave cpl0 vmx=XSETBV
NP 0F 01 D4    | VMFUNC           | vmx vmx=VMFUNC
NP 0F 01 D5    | XEND             | rtm
NP 0F 01 D6    | XTEST            | rtm
0F 01 D8       | VMRUN            | svm cpl0 pm
0F 01 D9       | VMMCALL          | svm
0F 01 DA       | VMLOAD           | svm cpl0 pm
0F 01 DB       | VMSAVE           | svm cpl0 pm
0F 01 DC       | STGI             | svm cpl0 pm
0F 01 DD       | CLGI             | svm cpl0 pm
0F 01 DE       | SKINIT           | svm cpl0 pm
0F 01 DF       | INVLPGA          | svm cpl0 pm
NP 0F 01 EE    | RDPKRU           | pku
NP 0F 01 EF    | WRPKRU           | pku
0F 01 F8       | SWAPGS           | o64 cpl0
0F 01 F9       | RDTSCP           | rdtscp vmx=RDTSCP
0F 02 /r       | LAR rv, rv/m16   | pm
0F 03 /r       | LSL rv, rv/m16   | pm
0F 05          | SYSCALL          | syscall
0F 06          | CLTS             | cpl0 vmx=CR
0F 07          | SYSRET           | syscall cpl0
0F 08          | INVD             | cpl0 vmx=INVD
0F 09          | WBINVD           | cpl0 vmx=WBINVD
0F 20 /r       | MOV_CR ry, CRn   | f64 modany cpl0 vmx=CR en=MR
0F 21 /r       | MOV_DR ry, DRn   | f64 modany cpl0 vmx=DR en=MR
0F 22 /r       | MOV_CR CRn, ry   | f64 modany cpl0 vmx=CR en=RM
0F 23 /r       | MOV_DR DRn, ry   | f64 modany cpl0 vmx=DR en=RM
0F 30          | WRMSR            | msr cpl0 vmx=MSR_WRITE
0F 31          | RDTSC            | tsc vmx=RDTSC
0F 32          | RDMSR            | msr cpl0 vmx=MSR_READ
0F 33          | RDPMC            | vmx=RDPMC
0F 34          | SYSENTER         | sep pm
0F 35          | SYSEXIT          | sep pm cpl0
0F 37          | GETSEC           | smx vmx=GETSEC
NP 0F 78 /r    | VMREAD r/my, ry  | vmx cpl0 pm f64 vmx=VMREAD
NP 0F 79 /r    | VMWRITE ry, r/my | vmx cpl0 pm f64 vmx=VMWRITE
0F AA          | RSM              | vmx=RSM
NP 0F AE /0    | FXSAVE m512byte  | fxsr
NP 0F AE /1    | FXRSTOR m512byte | fxsr
NP 0F AE /2    | LDMXCSR m32      | sse
NP 0F AE /3    | STMXCSR m32      | sse
NP 0F AE /4    | XSAVE m          | xsave
NP 0F AE /5    | XRSTOR m         | xsave
NP 0F AE /6    | XSAVEOPT m       | xsaveopt
NP 0F AE /7    | CLFLUSH m8       | clflush
66 0F AE /6    | CLWB m8          | clwb
66 0F AE /7    | CLFLUSHOPT m8    | clflushopt
NP 0F AE /5    | LFENCE           | mod3 sse2
NP 0F AE /6    | MFENCE           | mod3 sse2
NP 0F AE /7    | SFENCE           | mod3 sse
F3 0F AE /0    | RDFSBASE ry      | o64 fsgsbase
F3 0F AE /1    | RDGSBASE ry      | o64 fsgsbase
F3 0F AE /2    | WRFSBASE ry      | o64 fsgsbase
F3 0F AE /3    | WRGSBASE ry      | o64 fsgsbase
NP 0F C7 /3    | XRSTORS m        | xsaves cpl0 vmx=XRSTORS
NP 0F C7 /4    | XSAVEC m         | xsavec
NP 0F C7 /5    | XSAVES m         | xsaves cpl0 vmx=XSAVES
NP 0F C7 /6    | VMPTRLD m64      | vmx cpl0 pm vmx=VMPTRLD
66 0F C7 /6    | VMCLEAR m64      | vmx cpl0 pm vmx=VMCLEAR
F3 0F C7 /6    | VMXON m64        | vmx cpl0 pm vmx=VMXON
NP 0F C7 /7    | VMPTRST m64      | vmx cpl0 pm vmx=VMPTRST
F3 0F C7 /7    | RDPID ry         | rdpid f64
66 0F 38 80 /r | INVEPT ry, m128  | vmx cpl0 pm f64 vmx=INVEPT
66 0F 38 81 /r | INVVPID ry, m128 | vmx cpl0 pm f64 vmx=INVVPID
66 0F 38 82 /r | INVPCID ry, m128 | invpcid cpl0 pm f64 vmx=INVPCID
`;
