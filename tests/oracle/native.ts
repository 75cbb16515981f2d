/**
 * The host processor as the oracle of user-mode instructions: runs one instruction between a load of
 * all general registers and a dump, through FFI. x86-64 Linux only.
 *
 * Everything lies at fixed addresses below 4 GiB, so that the software CPU can have the same code at
 * the same place, and so that 32-bit code runs through Linux's compatibility segment 23h. What
 * surrounds the instruction is HLT, which ends it wherever it goes: user code may not halt, and the
 * signal's frame holds all registers, the vector and the error code (`struct sigcontext`).
 */

const STUB = 0x200000n, CTX = 0x1000;
/** Offsets in the context page. */
const Ctx = { GPR: 0, FLAGS: 128, FAR: 136, CHAIN: 160, OUT: 512, SIGNAL: 704 } as const;
/** Offsets of `struct sigcontext`. */
const Sc = { RIP: 128, FLAGS: 136, ERR: 152, TRAP: 160 } as const;
/** Place of each register, in encoding order, in `struct sigcontext`. */
const SC_GPR = [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7];

/** Linear addresses, of the host and of the software CPU. */
export const CODE = 0x400000;
export const CODE_BYTES = 0x400000;
/** Scratch memory; below 64 KiB, so that 16-bit addresses reach it. */
export const DATA = 0x8000;
export const DATA_BYTES = 0x4000;
/** Selectors of Linux: 32-bit code, data, 64-bit code. */
export const Selector = { CODE32: 0x23, DATA: 0x2b, CODE64: 0x33 } as const;
export const HLT = 0xf4;

const ENTRY = [
  "53", // push rbx
  "55", // push rbp
  "41 54", // push r12
  "41 55", // push r13
  "41 56", // push r14
  "41 57", // push r15
  "48 89 24 25 98 10 20 00", // mov [0x201098],rsp
  "c6 04 25 d0 12 20 00 01", // mov byte [0x2012d0],0x1
  "b8 2b 00 00 00", // mov eax,0x2b
  "8e d8", // mov ds,eax
  "8e c0", // mov es,eax
  "ff 34 25 80 10 20 00", // push qword [0x201080]
  "9d", // popf
  "48 8b 04 25 00 10 20 00", // mov rax,[0x201000]
  "48 8b 0c 25 08 10 20 00", // mov rcx,[0x201008]
  "48 8b 14 25 10 10 20 00", // mov rdx,[0x201010]
  "48 8b 1c 25 18 10 20 00", // mov rbx,[0x201018]
  "48 8b 2c 25 28 10 20 00", // mov rbp,[0x201028]
  "48 8b 34 25 30 10 20 00", // mov rsi,[0x201030]
  "48 8b 3c 25 38 10 20 00", // mov rdi,[0x201038]
  "4c 8b 04 25 40 10 20 00", // mov r8,[0x201040]
  "4c 8b 0c 25 48 10 20 00", // mov r9,[0x201048]
  "4c 8b 14 25 50 10 20 00", // mov r10,[0x201050]
  "4c 8b 1c 25 58 10 20 00", // mov r11,[0x201058]
  "4c 8b 24 25 60 10 20 00", // mov r12,[0x201060]
  "4c 8b 2c 25 68 10 20 00", // mov r13,[0x201068]
  "4c 8b 34 25 70 10 20 00", // mov r14,[0x201070]
  "4c 8b 3c 25 78 10 20 00", // mov r15,[0x201078]
  "48 8b 24 25 20 10 20 00", // mov rsp,[0x201020]
  "48 ff 2c 25 88 10 20 00", // jmp far [0x201088]
];
/** The signal handler: RDI is the signal, RDX the ucontext. Copies its registers, goes to LEAVE. */
const HANDLER = [
  "80 3c 25 d0 12 20 00 00", // cmp byte [0x2012d0],0x0
  "75 07", // jnz 0x200111
  "ff 24 fd a0 10 20 00", // jmp [rdi*8+0x2010a0]
  "48 89 3c 25 c0 12 20 00", // mov [0x2012c0],rdi
  "48 8d 72 28", // lea rsi,[rdx+0x28]
  "bf 00 12 20 00", // mov edi,0x201200
  "b9 17 00 00 00", // mov ecx,0x17
  "f3 48 a5", // rep movsq
  "48 c7 82 a8 00 00 00 00 02 20 00", // mov qword [rdx+0xa8],0x200200
  "48 8b 04 25 98 10 20 00", // mov rax,[0x201098]
  "48 89 82 a0 00 00 00", // mov [rdx+0xa0],rax
  "66 c7 82 b8 00 00 00 33 00", // mov word [rdx+0xb8],0x33
  "66 c7 82 be 00 00 00 2b 00", // mov word [rdx+0xbe],0x2b
  "48 c7 82 b0 00 00 00 02 02 00 00", // mov qword [rdx+0xb0],0x202
  "c3", // ret
];
const LEAVE = [
  "31 c0", // xor eax,eax
  "8e d8", // mov ds,eax
  "8e c0", // mov es,eax
  "8e e8", // mov gs,eax
  "c6 04 25 d0 12 20 00 00", // mov byte [0x2012d0],0x0
  "41 5f", // pop r15
  "41 5e", // pop r14
  "41 5d", // pop r13
  "41 5c", // pop r12
  "5d", // pop rbp
  "5b", // pop rbx
  "c3", // ret
];

const PROT_RWX = 7, MAP_FIXED_NOREPLACE = 0x100022, MAP_ANYWHERE = 0x22;
const SA_SIGINFO = 4, SA_ONSTACK = 0x08000000, SA_NODEFER = 0x40000000;
/** SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV. */
const SIGNALS = [4, 5, 7, 8, 11];
const ALT_STACK = 0x10000n;

function bytes(lines: readonly string[]): number[] {
  return lines.join(" ").split(" ").map((b) => parseInt(b, 16));
}

/** State before an instruction. */
export interface Before {
  /** General registers in encoding order. */
  readonly gpr: BigUint64Array;
  flags: number;
}

/** State after it. */
export interface After {
  readonly gpr: BigUint64Array;
  flags: number;
  rip: bigint;
  /** Vector that ended it, 13 for the HLT behind it. */
  vector: number;
  error: number;
}

export function newState(): Before & After {
  return { gpr: new BigUint64Array(16), flags: 0, rip: 0n, vector: 0, error: 0 };
}

/** Why the host cannot be asked, or undefined when it can. */
export function whyNoNative(): string | undefined {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return "needs an x86-64 Linux host";
  }
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return "needs --allow-ffi";
  try {
    const floor = Number(Deno.readTextFileSync("/proc/sys/vm/mmap_min_addr"));
    if (floor > DATA) return `needs vm.mmap_min_addr of at most ${DATA}`;
  } catch {
    return "needs /proc/sys/vm/mmap_min_addr";
  }
  return undefined;
}

export class Native {
  readonly #libc = Deno.dlopen("libc.so.6", {
    mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    munmap: { parameters: ["usize", "usize"], result: "i32" },
    sigaction: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
    sigaltstack: { parameters: ["buffer", "buffer"], result: "i32" },
  });
  readonly #maps: [bigint, bigint][] = [];
  readonly #ctx: DataView<ArrayBuffer>;
  readonly #gprIn: BigUint64Array<ArrayBuffer>;
  readonly #out: BigUint64Array<ArrayBuffer>;
  readonly #old = new Map<number, Uint8Array<ArrayBuffer>>();
  readonly #oldStack = new Uint8Array(24);
  readonly #call: { call(): void };
  /** Code and data, as the software CPU has them. */
  readonly code: Uint8Array<ArrayBuffer>;
  readonly data: Uint8Array<ArrayBuffer>;

  constructor() {
    const stub = this.#map(Number(STUB), 0x2000);
    this.code = this.#map(CODE, CODE_BYTES);
    this.data = this.#map(DATA, DATA_BYTES);
    this.code.fill(HLT);
    stub.set(bytes(ENTRY), 0);
    stub.set(bytes(HANDLER), 0x100);
    stub.set(bytes(LEAVE), 0x200);
    this.#ctx = new DataView(stub.buffer, CTX, 0x1000);
    this.#gprIn = new BigUint64Array(stub.buffer, CTX + Ctx.GPR, 16);
    this.#out = new BigUint64Array(stub.buffer, CTX + Ctx.OUT, 23);
    const pointer = Deno.UnsafePointer.create(STUB) as Deno.PointerObject<never>;
    this.#call = new Deno.UnsafeFnPointer(pointer, { parameters: [], result: "void" });
    const stack = new DataView(new ArrayBuffer(24));
    // Where no instruction's RSP points: a stack that seems to be in use already would overflow.
    const alternate = this.#libc.symbols.mmap(0n, ALT_STACK, PROT_RWX, MAP_ANYWHERE, -1, 0n);
    this.#maps.push([Deno.UnsafePointer.value(alternate), ALT_STACK]);
    stack.setBigUint64(0, Deno.UnsafePointer.value(alternate), true);
    stack.setBigUint64(16, ALT_STACK, true);
    this.#libc.symbols.sigaltstack(new Uint8Array(stack.buffer), this.#oldStack);
    const act = new DataView(new ArrayBuffer(152));
    act.setBigUint64(0, STUB + 0x100n, true);
    act.setUint32(136, SA_SIGINFO | SA_ONSTACK | SA_NODEFER, true);
    for (const n of SIGNALS) {
      const old = new Uint8Array(152);
      this.#libc.symbols.sigaction(n, new Uint8Array(act.buffer), old);
      this.#old.set(n, old);
      // Signals from elsewhere go where they went before.
      this.#ctx.setBigUint64(
        Ctx.CHAIN + 8 * n,
        new DataView(old.buffer).getBigUint64(0, true),
        true,
      );
    }
  }

  #map(at: number, size: number): Uint8Array<ArrayBuffer> {
    const p = this.#libc.symbols.mmap(
      BigInt(at),
      BigInt(size),
      PROT_RWX,
      MAP_FIXED_NOREPLACE,
      -1,
      0n,
    );
    if (Deno.UnsafePointer.value(p) !== BigInt(at)) {
      throw new Error(`cannot map ${at.toString(16)}`);
    }
    this.#maps.push([BigInt(at), BigInt(size)]);
    return new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(p!, size));
  }

  /** Runs what is at `ip` until HLT or a fault, in 32-bit or 64-bit mode. */
  run(ip: number, bits: 32 | 64, before: Before, after: After): void {
    const c = this.#ctx;
    this.#gprIn.set(before.gpr);
    c.setBigUint64(Ctx.FLAGS, BigInt(before.flags | 0x202), true);
    c.setUint32(Ctx.FAR, ip, true);
    c.setUint32(Ctx.FAR + 4, 0, true);
    // With REX.W the far pointer's offset has 64 bits.
    c.setUint16(Ctx.FAR + 8, bits === 32 ? Selector.CODE32 : Selector.CODE64, true);
    this.#call.call();
    for (let n = 0; n < 16; n++) after.gpr[n] = this.#out[SC_GPR[n]];
    after.rip = c.getBigUint64(Ctx.OUT + Sc.RIP, true);
    after.flags = c.getUint32(Ctx.OUT + Sc.FLAGS, true);
    after.vector = c.getUint32(Ctx.OUT + Sc.TRAP, true);
    after.error = c.getUint32(Ctx.OUT + Sc.ERR, true);
  }

  close(): void {
    for (const [n, old] of this.#old) this.#libc.symbols.sigaction(n, old, new Uint8Array(152));
    this.#libc.symbols.sigaltstack(this.#oldStack, new Uint8Array(24));
    for (const [at, size] of this.#maps) this.#libc.symbols.munmap(at, size);
    this.#libc.close();
  }
}
