/**
 * General-purpose instructions: Intel SDM volume 2, appendix A, tables with the groups of
 * table A-6. Undocumented encodings that every processor has are marked `alias` or stand alone (SALC).
 */
export const integerRows = `
00 /r           | ADD r/m8, r8                  | lock
01 /r           | ADD r/mv, rv                  | lock
02 /r           | ADD r8, r/m8
03 /r           | ADD rv, r/mv
04 ib           | ADD AL, imm8
05 iz           | ADD rAX, immz
06              | PUSH_SREG ES                  | i64
07              | POP_SREG ES                   | i64

08 /r           | OR r/m8, r8                   | lock
09 /r           | OR r/mv, rv                   | lock
0A /r           | OR r8, r/m8
0B /r           | OR rv, r/mv
0C ib           | OR AL, imm8
0D iz           | OR rAX, immz
0E              | PUSH_SREG CS                  | i64

10 /r           | ADC r/m8, r8                  | lock
11 /r           | ADC r/mv, rv                  | lock
12 /r           | ADC r8, r/m8
13 /r           | ADC rv, r/mv
14 ib           | ADC AL, imm8
15 iz           | ADC rAX, immz
16              | PUSH_SREG SS                  | i64
17              | POP_SREG SS                   | i64

18 /r           | SBB r/m8, r8                  | lock
19 /r           | SBB r/mv, rv                  | lock
1A /r           | SBB r8, r/m8
1B /r           | SBB rv, r/mv
1C ib           | SBB AL, imm8
1D iz           | SBB rAX, immz
1E              | PUSH_SREG DS                  | i64
1F              | POP_SREG DS                   | i64

20 /r           | AND r/m8, r8                  | lock
21 /r           | AND r/mv, rv                  | lock
22 /r           | AND r8, r/m8
23 /r           | AND rv, r/mv
24 ib           | AND AL, imm8
25 iz           | AND rAX, immz
27              | DAA                           | i64

28 /r           | SUB r/m8, r8                  | lock
29 /r           | SUB r/mv, rv                  | lock
2A /r           | SUB r8, r/m8
2B /r           | SUB rv, r/mv
2C ib           | SUB AL, imm8
2D iz           | SUB rAX, immz
2F              | DAS                           | i64

30 /r           | XOR r/m8, r8                  | lock
31 /r           | XOR r/mv, rv                  | lock
32 /r           | XOR r8, r/m8
33 /r           | XOR rv, r/mv
34 ib           | XOR AL, imm8
35 iz           | XOR rAX, immz
37              | AAA                           | i64

38 /r           | CMP r/m8, r8
39 /r           | CMP r/mv, rv
3A /r           | CMP r8, r/m8
3B /r           | CMP rv, r/mv
3C ib           | CMP AL, imm8
3D iz           | CMP rAX, immz
3F              | AAS                           | i64

40+rv           | INC rv                        | i64
48+rv           | DEC rv                        | i64
50+rv           | PUSH rv                       | d64
58+rv           | POP rv                        | d64
60              | PUSHA                         | i64
61              | POPA                          | i64
62 /r           | BOUND rv, mv&v                | i64
63 /r           | ARPL r/m16, r16               | i64 pm
63 /r           | MOVSXD rv, r/mz               | o64
68 iz           | PUSH immz                     | d64
69 /r iz        | IMUL3 rv, r/mv, immz
6A ib           | PUSH simm8                    | d64
6B /r ib        | IMUL3 rv, r/mv, simm8
6C              | INS m8[rDI], DX               | iopl rep vmx=IO
6D              | INS mz[rDI], DX               | iopl rep vmx=IO
6E              | OUTS DX, m8[rSI]              | iopl rep vmx=IO
6F              | OUTS DX, mz[rSI]              | iopl rep vmx=IO
70+cc cb        | Jcc rel8                      | f64

80 /0 ib        | ADD r/m8, imm8                | lock
80 /1 ib        | OR r/m8, imm8                 | lock
80 /2 ib        | ADC r/m8, imm8                | lock
80 /3 ib        | SBB r/m8, imm8                | lock
80 /4 ib        | AND r/m8, imm8                | lock
80 /5 ib        | SUB r/m8, imm8                | lock
80 /6 ib        | XOR r/m8, imm8                | lock
80 /7 ib        | CMP r/m8, imm8

81 /0 iz        | ADD r/mv, immz                | lock
81 /1 iz        | OR r/mv, immz                 | lock
81 /2 iz        | ADC r/mv, immz                | lock
81 /3 iz        | SBB r/mv, immz                | lock
81 /4 iz        | AND r/mv, immz                | lock
81 /5 iz        | SUB r/mv, immz                | lock
81 /6 iz        | XOR r/mv, immz                | lock
81 /7 iz        | CMP r/mv, immz

82 /0 ib        | ADD r/m8, imm8                | lock i64 alias
82 /1 ib        | OR r/m8, imm8                 | lock i64 alias
82 /2 ib        | ADC r/m8, imm8                | lock i64 alias
82 /3 ib        | SBB r/m8, imm8                | lock i64 alias
82 /4 ib        | AND r/m8, imm8                | lock i64 alias
82 /5 ib        | SUB r/m8, imm8                | lock i64 alias
82 /6 ib        | XOR r/m8, imm8                | lock i64 alias
82 /7 ib        | CMP r/m8, imm8                | i64 alias

83 /0 ib        | ADD r/mv, simm8               | lock
83 /1 ib        | OR r/mv, simm8                | lock
83 /2 ib        | ADC r/mv, simm8               | lock
83 /3 ib        | SBB r/mv, simm8               | lock
83 /4 ib        | AND r/mv, simm8               | lock
83 /5 ib        | SUB r/mv, simm8               | lock
83 /6 ib        | XOR r/mv, simm8               | lock
83 /7 ib        | CMP r/mv, simm8

84 /r           | TEST r/m8, r8
85 /r           | TEST r/mv, rv
86 /r           | XCHG r/m8, r8                 | lock
87 /r           | XCHG r/mv, rv                 | lock
88 /r           | MOV r/m8, r8
89 /r           | MOV r/mv, rv
8A /r           | MOV r8, r/m8
8B /r           | MOV rv, r/mv
8C /r           | MOV_SREG rv/m16, Sreg
8D /r           | LEA rv, m
8E /r           | MOV_SREG Sreg, r/m16
8F /0           | POP r/mv                      | d64
90              | NOP                           | noB
F3 90           | PAUSE                         | noB vmx=PAUSE
90+rv           | XCHG rAX, rv
98              | CBW
99              | CWD
9A cp           | CALL_FAR_PTR ptr16:z          | i64
9B              | FWAIT                         | fpu
9C              | PUSHF                         | d64
9D              | POPF                          | d64
9E              | SAHF                          | i64
9E              | SAHF                          | o64 lahf-lm
9F              | LAHF                          | i64
9F              | LAHF                          | o64 lahf-lm
A0              | MOV AL, moffs8
A1              | MOV rAX, moffsv
A2              | MOV moffs8, AL
A3              | MOV moffsv, rAX
A4              | MOVS m8[rDI], m8[rSI]         | rep
A5              | MOVS mv[rDI], mv[rSI]         | rep
A6              | CMPS m8[rSI], m8[rDI]         | repz
A7              | CMPS mv[rSI], mv[rDI]         | repz
A8 ib           | TEST AL, imm8
A9 iz           | TEST rAX, immz
AA              | STOS m8[rDI], AL              | rep
AB              | STOS mv[rDI], rAX             | rep
AC              | LODS AL, m8[rSI]              | rep
AD              | LODS rAX, mv[rSI]             | rep
AE              | SCAS AL, m8[rDI]              | repz
AF              | SCAS rAX, mv[rDI]             | repz
B0+rb ib        | MOV r8, imm8
B8+rv iv        | MOV rv, immv

C0 /0 ib        | ROL r/m8, imm8
C0 /1 ib        | ROR r/m8, imm8
C0 /2 ib        | RCL r/m8, imm8
C0 /3 ib        | RCR r/m8, imm8
C0 /4 ib        | SHL r/m8, imm8
C0 /5 ib        | SHR r/m8, imm8
C0 /6 ib        | SHL r/m8, imm8                | alias
C0 /7 ib        | SAR r/m8, imm8

C1 /0 ib        | ROL r/mv, imm8
C1 /1 ib        | ROR r/mv, imm8
C1 /2 ib        | RCL r/mv, imm8
C1 /3 ib        | RCR r/mv, imm8
C1 /4 ib        | SHL r/mv, imm8
C1 /5 ib        | SHR r/mv, imm8
C1 /6 ib        | SHL r/mv, imm8                | alias
C1 /7 ib        | SAR r/mv, imm8

D0 /0           | ROL r/m8, 1
D0 /1           | ROR r/m8, 1
D0 /2           | RCL r/m8, 1
D0 /3           | RCR r/m8, 1
D0 /4           | SHL r/m8, 1
D0 /5           | SHR r/m8, 1
D0 /6           | SHL r/m8, 1                   | alias
D0 /7           | SAR r/m8, 1

D1 /0           | ROL r/mv, 1
D1 /1           | ROR r/mv, 1
D1 /2           | RCL r/mv, 1
D1 /3           | RCR r/mv, 1
D1 /4           | SHL r/mv, 1
D1 /5           | SHR r/mv, 1
D1 /6           | SHL r/mv, 1                   | alias
D1 /7           | SAR r/mv, 1

D2 /0           | ROL r/m8, CL
D2 /1           | ROR r/m8, CL
D2 /2           | RCL r/m8, CL
D2 /3           | RCR r/m8, CL
D2 /4           | SHL r/m8, CL
D2 /5           | SHR r/m8, CL
D2 /6           | SHL r/m8, CL                  | alias
D2 /7           | SAR r/m8, CL

D3 /0           | ROL r/mv, CL
D3 /1           | ROR r/mv, CL
D3 /2           | RCL r/mv, CL
D3 /3           | RCR r/mv, CL
D3 /4           | SHL r/mv, CL
D3 /5           | SHR r/mv, CL
D3 /6           | SHL r/mv, CL                  | alias
D3 /7           | SAR r/mv, CL

C2 iw           | RET_NEAR imm16                | f64
C3              | RET_NEAR                      | f64
C4 /r           | LES rz, m16:z                 | i64
C5 /r           | LDS rz, m16:z                 | i64
C6 /0 ib        | MOV r/m8, imm8
C6 F8 ib        | XABORT imm8                   | rtm
C7 /0 iz        | MOV r/mv, immz
C7 F8 cz        | XBEGIN relz                   | rtm
C8 iw ib        | ENTER imm16, imm8             | d64
C9              | LEAVE                         | d64
CA iw           | RET_FAR imm16
CB              | RET_FAR
CC              | INT3
CD ib           | INT imm8
CE              | INTO                          | i64
CF              | IRET
D4 ib           | AAM imm8                      | i64
D5 ib           | AAD imm8                      | i64
D6              | SALC                          | i64
D7              | XLAT m8[rBX]
E0 cb           | LOOPNE rel8                   | f64
E1 cb           | LOOPE rel8                    | f64
E2 cb           | LOOP rel8                     | f64
E3 cb           | JCXZ rel8                     | f64
E4 ib           | IN AL, imm8                   | iopl vmx=IO
E5 ib           | IN eAX, imm8                  | iopl vmx=IO
E6 ib           | OUT imm8, AL                  | iopl vmx=IO
E7 ib           | OUT imm8, eAX                 | iopl vmx=IO
E8 cz           | CALL_NEAR_REL relz            | f64
E9 cz           | JMP_NEAR_REL relz             | f64
EA cp           | JMP_FAR_PTR ptr16:z           | i64
EB cb           | JMP_NEAR_REL rel8             | f64
EC              | IN AL, DX                     | iopl vmx=IO
ED              | IN eAX, DX                    | iopl vmx=IO
EE              | OUT DX, AL                    | iopl vmx=IO
EF              | OUT DX, eAX                   | iopl vmx=IO
F1              | INT1
F4              | HLT                           | cpl0 vmx=HLT
F5              | CMC
F6 /0 ib        | TEST r/m8, imm8
F6 /1 ib        | TEST r/m8, imm8               | alias
F6 /2           | NOT r/m8                      | lock
F6 /3           | NEG r/m8                      | lock
F6 /4           | MUL r/m8
F6 /5           | IMUL1 r/m8
F6 /6           | DIV r/m8
F6 /7           | IDIV r/m8
F7 /0 iz        | TEST r/mv, immz
F7 /1 iz        | TEST r/mv, immz               | alias
F7 /2           | NOT r/mv                      | lock
F7 /3           | NEG r/mv                      | lock
F7 /4           | MUL r/mv
F7 /5           | IMUL1 r/mv
F7 /6           | DIV r/mv
F7 /7           | IDIV r/mv
F8              | CLC
F9              | STC
FA              | CLI                           | iopl
FB              | STI                           | iopl
FC              | CLD
FD              | STD
FE /0           | INC r/m8                      | lock
FE /1           | DEC r/m8                      | lock
FF /0           | INC r/mv                      | lock
FF /1           | DEC r/mv                      | lock
FF /2           | CALL_NEAR_IND r/mv            | f64
FF /3           | CALL_FAR_MEM m16:v
FF /4           | JMP_NEAR_IND r/mv             | f64
FF /5           | JMP_FAR_MEM m16:v
FF /6           | PUSH r/mv                     | d64

; two-byte opcodes
0F 0B           | UD2
0F 0D /0        | PREFETCH m8
0F 0D /1        | PREFETCHW m8
0F 0D /r        | NOP r/mv, rv
0F 18 /0        | PREFETCHNTA m8
0F 18 /1        | PREFETCHT0 m8
0F 18 /2        | PREFETCHT1 m8
0F 18 /3        | PREFETCHT2 m8
0F 18 /r        | NOP r/mv, rv
0F 19 /r        | NOP r/mv, rv
0F 1A /r        | NOP r/mv, rv
0F 1B /r        | NOP r/mv, rv
0F 1C /r        | NOP r/mv, rv
0F 1D /r        | NOP r/mv, rv
F3 0F 1E FA     | NOP                           | as=ENDBR64
F3 0F 1E FB     | NOP                           | as=ENDBR32
0F 1E /r        | NOP r/mv, rv
0F 1F /0        | NOP r/mv
0F 1F /r        | NOP r/mv, rv                  | alias
NFx 0F 38 F0 /r | MOVBE rv, mv                  | movbe
NFx 0F 38 F1 /r | MOVBE mv, rv                  | movbe
0F 40+cc /r     | CMOVcc rv, r/mv               | cmov
0F 80+cc cz     | Jcc relz                      | f64
0F 90+cc /r     | SETcc r/m8
0F A0           | PUSH_SREG FS                  | d64
0F A1           | POP_SREG FS                   | d64
0F A2           | CPUID                         | vmx=CPUID
0F A3 /r        | BT r/mv, rv
0F A4 /r ib     | SHLD r/mv, rv, imm8
0F A5 /r        | SHLD r/mv, rv, CL
0F A8           | PUSH_SREG GS                  | d64
0F A9           | POP_SREG GS                   | d64
0F AB /r        | BTS r/mv, rv                  | lock
0F AC /r ib     | SHRD r/mv, rv, imm8
0F AD /r        | SHRD r/mv, rv, CL
0F AF /r        | IMUL2 rv, r/mv
0F B0 /r        | CMPXCHG r/m8, r8              | lock
0F B1 /r        | CMPXCHG r/mv, rv              | lock
0F B2 /r        | LSS rv, m16:v
0F B3 /r        | BTR r/mv, rv                  | lock
0F B4 /r        | LFS rv, m16:v
0F B5 /r        | LGS rv, m16:v
0F B6 /r        | MOVZX rv, r/m8
0F B7 /r        | MOVZX rv, r/m16
F3 0F B8 /r     | POPCNT rv, r/mv               | popcnt
0F B9 /r        | UD1 rv, r/mv
0F BA /4 ib     | BT r/mv, imm8
0F BA /5 ib     | BTS r/mv, imm8                | lock
0F BA /6 ib     | BTR r/mv, imm8                | lock
0F BA /7 ib     | BTC r/mv, imm8                | lock
0F BB /r        | BTC r/mv, rv                  | lock
0F BC /r        | BSF rv, r/mv
0F BD /r        | BSR rv, r/mv
0F BE /r        | MOVSX rv, r/m8
0F BF /r        | MOVSX rv, r/m16
0F C0 /r        | XADD r/m8, r8                 | lock
0F C1 /r        | XADD r/mv, rv                 | lock
NP 0F C3 /r     | MOVNTI my, ry                 | sse2
0F C7 /1        | CMPXCHG8B m64                 | lock cx8
REX.W 0F C7 /1  | CMPXCHG16B m128               | lock cx16
NFx 0F C7 /6    | RDRAND rv                     | rdrand vmx=RDRAND
NFx 0F C7 /7    | RDSEED rv                     | rdseed vmx=RDSEED
0F C8+rv        | BSWAP rv
0F FF /r        | UD0 rv, r/mv
`;
