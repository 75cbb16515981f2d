/**
 * The host processor as the oracle of MMX, SSE and AVX instructions: runs one instruction between a
 * load of all registers and a dump, through FFI. x86-64 Linux only.
 */

/** Layout of a context. XSAVE images before and after; registers as 64-bit words in encoding order. */
export const Ctx = {
  IN: 0,
  OUT: 0x1000,
  GPR_IN: 0x2680,
  FLAGS_IN: 0x2700,
  GPR_OUT: 0x2708,
  FLAGS_OUT: 0x2788,
  /** Signal that the instruction raised, or 0. */
  SIGNAL: 0x2790,
  /** Data that memory operands point into, {@link DATA_BYTES} long: up to the end of a page. */
  DATA: 0x3000 - 192,
  SIZE: 0x3000,
} as const;
export const DATA_BYTES = 192;

/**
 * Offsets in an XSAVE image; YMM holds the upper halves, ZMM the upper halves of 512-bit registers 0
 * to 15, HIGH16 all of the others. The last three are Intel's: see {@link hasAvx512}.
 */
export const Fx = {
  FCW: 0,
  FSW: 2,
  FTW: 4,
  MXCSR: 24,
  ST: 32,
  XMM: 160,
  HEADER: 512,
  YMM: 576,
  K: 1088,
  ZMM: 1152,
  HIGH16: 1664,
};

/** Offset in an image of quadword `q` of vector register `n`. */
export function vectorAt(n: number, q: number): number {
  if (n > 15) return Fx.HIGH16 + 64 * (n - 16) + 8 * q;
  if (q < 4) return (q < 2 ? Fx.XMM : Fx.YMM) + 16 * n + 8 * (q & 1);
  return Fx.ZMM + 32 * n + 8 * (q - 4);
}

let flags: ReadonlySet<string> | undefined;

/** The host processor's features by Linux's names; none on another system. */
export function hostFlags(): ReadonlySet<string> {
  if (flags) return flags;
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return flags = new Set();
  const text = Deno.readTextFileSync("/proc/cpuinfo");
  return flags = new Set(/^flags\s*:(.*)$/m.exec(text)?.[1].trim().split(/\s+/) ?? []);
}

export function hasNative(): boolean {
  return hostFlags().has("xsave");
}

/** Whether AVX-512 can be compared: the host has it, and its state where Intel has it in XSAVE images. */
export function hasAvx512(): boolean {
  return hostFlags().has("avx512f") &&
    /^vendor_id\s*:\s*GenuineIntel$/m.test(Deno.readTextFileSync("/proc/cpuinfo"));
}

/** What is around the instruction, as assembled; RDI is the context, RSI the components in use. */
const BEFORE = [
  "53 55 41 54 41 55 41 56 41 57", // push rbx, rbp, r12-r15
  "49 89 ff", // mov r15, rdi
  "49 89 a7 a0 27 00 00", // mov [r15+27a0h], rsp
  "49 89 b7 a8 27 00 00", // mov [r15+27a8h], rsi
  "89 f0 31 d2 49 0f ae 2f", // mov eax, esi; xor edx, edx; xrstor64 [r15]
  "41 ff b7 00 27 00 00 9d", // push qword [r15+2700h]; popfq
  "49 8b 87 80 26 00 00 49 8b 8f 88 26 00 00 49 8b 97 90 26 00 00", // mov rax, rcx, rdx
  "49 8b 9f 98 26 00 00 49 8b af a8 26 00 00 49 8b b7 b0 26 00 00", // mov rbx, rbp, rsi
  "49 8b bf b8 26 00 00", // mov rdi, [r15+26b8h]
];
const SLOT_BYTES = 16;
const AFTER = [
  "49 89 87 08 27 00 00 49 89 8f 10 27 00 00 49 89 97 18 27 00 00", // mov [r15+2708h]…, rax, rcx, rdx
  "49 89 9f 20 27 00 00 49 89 af 30 27 00 00 49 89 b7 38 27 00 00", // rbx, rbp, rsi
  "49 89 bf 40 27 00 00", // rdi
  "49 8b a7 a0 27 00 00", // mov rsp, [r15+27a0h]
  "9c 58 49 89 87 88 27 00 00", // pushfq; pop rax; mov [r15+2788h], rax
  "41 8b 87 a8 27 00 00 31 d2", // mov eax, [r15+27a8h]; xor edx, edx
  "49 0f ae a7 00 10 00 00", // xsave64 [r15+1000h]
  "db e3", // fninit
  "41 c7 87 98 27 00 00 80 1f 00 00 41 0f ae 97 98 27 00 00", // ldmxcsr 1f80h
  "68 02 02 00 00 9d", // push 202h; popfq
  "41 5f 41 5e 41 5d 41 5c 5d 5b c3", // pop r15-r12, rbp, rbx; ret
];
/** SIGFPE: RDX is the ucontext. Notes the signal in the context (the interrupted R15), goes to AFTER. */
const HANDLER = [
  "48 8b 42 60", // mov rax, [rdx+96]
  "48 89 b8 90 27 00 00", // mov [rax+2790h], rdi
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
  readonly #call: { call(ctx: Deno.PointerObject, components: bigint): void };
  /** XSAVE components: x87, SSE, and AVX and AVX-512 where the host has them. */
  readonly #components = hasAvx512() ? 0xe7 : hostFlags().has("avx") ? 7 : 3;
  readonly #ctx: Deno.PointerObject;
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** Linear address of the context. */
  readonly base: bigint;

  constructor() {
    const size = 4096 + Ctx.SIZE;
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
      parameters: ["pointer", "u64"],
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
    this.view.setUint32(Fx.HEADER, this.#components, true);
    this.#call.call(this.#ctx, BigInt(this.#components));
  }

  close(): void {
    this.#libc.symbols.sigaction(SIGFPE, this.#old, new Uint8Array(152));
    this.#libc.symbols.munmap(this.#map, BigInt(4096 + Ctx.SIZE));
    this.#libc.close();
  }
}
