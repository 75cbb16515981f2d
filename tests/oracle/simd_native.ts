/**
 * The host processor as the oracle of MMX and SSE instructions: runs one instruction between a load
 * of all registers and a dump, through FFI. x86-64 Linux only.
 */

/** Layout of a context. FXSAVE images before and after; registers as 64-bit words in encoding order. */
export const Ctx = {
  IN: 0,
  OUT: 512,
  GPR_IN: 1024,
  FLAGS_IN: 1152,
  GPR_OUT: 1160,
  FLAGS_OUT: 1288,
  /** Signal that the instruction raised, or 0. */
  SIGNAL: 1296,
  /** Data that memory operands point into, {@link DATA_BYTES} long. */
  DATA: 2048,
  SIZE: 4096,
} as const;
export const DATA_BYTES = 128;

/** Offsets in an FXSAVE image. */
export const Fx = { FCW: 0, FSW: 2, FTW: 4, MXCSR: 24, ST: 32, XMM: 160 } as const;

export function hasNative(): boolean {
  return Deno.build.os === "linux" && Deno.build.arch === "x86_64";
}

/** What is around the instruction, as assembled; RDI is the context. */
const BEFORE = [
  "53 55 41 54 41 55 41 56 41 57", // push rbx, rbp, r12-r15
  "49 89 ff", // mov r15, rdi
  "49 89 a7 20 05 00 00", // mov [r15+1312], rsp
  "49 0f ae 0f", // fxrstor64 [r15]
  "41 ff b7 80 04 00 00 9d", // push qword [r15+1152]; popfq
  "49 8b 87 00 04 00 00 49 8b 8f 08 04 00 00 49 8b 97 10 04 00 00", // mov rax, rcx, rdx
  "49 8b 9f 18 04 00 00 49 8b af 28 04 00 00 49 8b b7 30 04 00 00", // mov rbx, rbp, rsi
  "49 8b bf 38 04 00 00", // mov rdi, [r15+1080]
];
const SLOT_BYTES = 16;
const AFTER = [
  "49 89 87 88 04 00 00 49 89 8f 90 04 00 00 49 89 97 98 04 00 00", // mov [r15+1160]…, rax, rcx, rdx
  "49 89 9f a0 04 00 00 49 89 af b0 04 00 00 49 89 b7 b8 04 00 00", // rbx, rbp, rsi
  "49 89 bf c0 04 00 00", // rdi
  "49 8b a7 20 05 00 00", // mov rsp, [r15+1312]
  "9c 58 49 89 87 08 05 00 00", // pushfq; pop rax; mov [r15+1288], rax
  "49 0f ae 87 00 02 00 00", // fxsave64 [r15+512]
  "db e3", // fninit
  "41 c7 87 18 05 00 00 80 1f 00 00 41 0f ae 97 18 05 00 00", // ldmxcsr 1f80
  "68 02 02 00 00 9d", // push 202h; popfq
  "41 5f 41 5e 41 5d 41 5c 5d 5b c3", // pop r15-r12, rbp, rbx; ret
];
/** SIGFPE: RDX is the ucontext. Notes the signal in the context (the interrupted R15), goes to AFTER. */
const HANDLER = [
  "48 8b 42 60", // mov rax, [rdx+96]
  "48 89 b8 10 05 00 00", // mov [rax+1296], rdi
  "48 8d 0d rr rr rr rr", // lea rcx, [rel AFTER]
  "48 89 8a a8 00 00 00", // mov [rdx+168], rcx
  "c3",
];

function bytes(lines: readonly string[], relative = 0): number[] {
  let at = 0;
  return lines.join(" ").split(" ").map((b) =>
    b === "rr" ? relative >> 8 * at++ & 255 : parseInt(b, 16)
  );
}

const PROT_RWX = 7, MAP_PRIVATE_ANON = 0x22;
const SIGFPE = 8, SA_SIGINFO = 4, SA_NODEFER = 0x40000000;

export class NativeSimd {
  readonly #libc = Deno.dlopen("libc.so.6", {
    mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    munmap: { parameters: ["pointer", "usize"], result: "i32" },
    sigaction: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  });
  readonly #map: Deno.PointerObject;
  readonly #code: Uint8Array;
  readonly #slot: number;
  readonly #old = new Uint8Array(152);
  readonly #call: { call(ctx: Deno.PointerObject): void };
  readonly #ctx: Deno.PointerObject;
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** Linear address of the context. */
  readonly base: bigint;

  constructor() {
    const size = 8192;
    this.#map = this.#libc.symbols.mmap(
      null,
      BigInt(size),
      PROT_RWX,
      MAP_PRIVATE_ANON,
      -1,
      0n,
    )!;
    const buffer = Deno.UnsafePointerView.getArrayBuffer(this.#map, size);
    this.#code = new Uint8Array(buffer, 0, 4096);
    const before = bytes(BEFORE), after = bytes(AFTER);
    this.#slot = before.length;
    const resume = this.#slot + SLOT_BYTES;
    const handler = resume + after.length;
    this.#code.set(before, 0);
    this.#code.fill(0x90, this.#slot, resume);
    this.#code.set(after, resume);
    this.#code.set(bytes(HANDLER, resume - (handler + 18)), handler);
    this.u8 = new Uint8Array(buffer, 4096, Ctx.SIZE);
    this.view = new DataView(buffer, 4096, Ctx.SIZE);
    const at = Deno.UnsafePointer.value(this.#map);
    this.base = at + 4096n;
    this.#ctx = Deno.UnsafePointer.create(this.base)!;
    this.#call = new Deno.UnsafeFnPointer(this.#map as Deno.PointerObject<never>, {
      parameters: ["pointer"],
      result: "void",
    });
    const act = new DataView(new ArrayBuffer(152));
    act.setBigUint64(0, at + BigInt(handler), true);
    act.setUint32(136, SA_SIGINFO | SA_NODEFER, true);
    this.#libc.symbols.sigaction(SIGFPE, new Uint8Array(act.buffer), this.#old);
  }

  /** Puts the instruction under test in place: up to 15 bytes. */
  prepare(instruction: Uint8Array): void {
    this.#code.fill(0x90, this.#slot, this.#slot + SLOT_BYTES);
    this.#code.set(instruction, this.#slot);
  }

  run(): void {
    this.view.setBigUint64(Ctx.SIGNAL, 0n, true);
    this.#call.call(this.#ctx);
  }

  close(): void {
    this.#libc.symbols.sigaction(SIGFPE, this.#old, new Uint8Array(152));
    this.#libc.symbols.munmap(this.#map, 8192n);
    this.#libc.close();
  }
}
