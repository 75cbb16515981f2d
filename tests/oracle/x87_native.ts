/**
 * The host processor as the oracle of x87 instructions: runs one instruction on many states, each
 * given and taken as an FXSAVE image, through FFI. Only on x86-64 Linux.
 */

/** Layout of a case in the batch. */
export const Case = {
  /** FXSAVE image before the instruction. */
  STATE: 0,
  /** RFLAGS and RAX before, 8 bytes each. */
  FLAGS: 512,
  RAX: 520,
  /** Memory operand, addressed by RDX, {@link MEMORY_BYTES} long. */
  MEMORY: 576,
  /** RFLAGS and RAX after. */
  FLAGS_OUT: 528,
  RAX_OUT: 536,
  /** FXSAVE image after. */
  OUT: 704,
  SIZE: 1216,
} as const;
export const MEMORY_BYTES = 128;

export function hasNative(): boolean {
  return Deno.build.os === "linux" && Deno.build.arch === "x86_64";
}

const BATCH = { parameters: ["pointer", "usize"], result: "void" } as const;
const PROT_RWX = 7, MAP_PRIVATE_ANON = 0x22;

export class NativeX87 {
  readonly #libc = Deno.dlopen("libc.so.6", {
    mmap: {
      parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"],
      result: "pointer",
    },
    munmap: { parameters: ["pointer", "usize"], result: "i32" },
  });
  readonly #code: Deno.PointerObject;
  readonly #data: Deno.PointerObject;
  readonly #codeBytes: Uint8Array;
  readonly #dataBytes: number;
  /** `capacity` cases of {@link Case.SIZE} bytes. */
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** Linear address of the first case. */
  readonly base: bigint;
  /** Address of the tested instruction. */
  ip = 0n;

  constructor(readonly capacity: number) {
    this.#dataBytes = Math.ceil(capacity * Case.SIZE / 4096) * 4096;
    const map = (size: number) =>
      this.#libc.symbols.mmap(null, BigInt(size), PROT_RWX, MAP_PRIVATE_ANON, -1, 0n)!;
    this.#code = map(4096);
    this.#data = map(this.#dataBytes);
    this.#codeBytes = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(this.#code, 4096));
    const buffer = Deno.UnsafePointerView.getArrayBuffer(this.#data, this.#dataBytes);
    this.u8 = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.base = Deno.UnsafePointer.value(this.#data);
  }

  /** Runs `instruction`, which may use RAX and memory at RDX, on the first `count` cases. */
  run(instruction: readonly number[], count: number): void {
    const d32 = (v: number) => [v & 255, (v >> 8) & 255, (v >> 16) & 255, (v >> 24) & 255];
    const head = [
      ...[0x0f, 0xae, 0x0f], // loop: fxrstor [rdi]
      ...[0xff, 0xb7, ...d32(Case.FLAGS)], // push [rdi+FLAGS]
      ...[0x48, 0x8d, 0x97, ...d32(Case.MEMORY)], // lea rdx, [rdi+MEMORY]
      ...[0x48, 0x8b, 0x87, ...d32(Case.RAX)], // mov rax, [rdi+RAX]
      0x9d, // popfq
    ];
    const tail = [
      0x9c, // pushfq
      ...[0x8f, 0x87, ...d32(Case.FLAGS_OUT)], // pop [rdi+FLAGS_OUT]
      ...[0x48, 0x89, 0x87, ...d32(Case.RAX_OUT)], // mov [rdi+RAX_OUT], rax
      ...[0x48, 0x0f, 0xae, 0x87, ...d32(Case.OUT)], // fxsave64 [rdi+OUT]
      ...[0x48, 0x81, 0xc7, ...d32(Case.SIZE)], // add rdi, SIZE
      ...[0x48, 0xff, 0xce], // dec rsi
    ];
    const body = [...head, ...instruction, ...tail];
    const back = -(body.length + 6);
    const code = [
      ...body,
      ...[0x0f, 0x85, ...d32(back)], // jnz loop
      ...[0xdb, 0xe3], // fninit
      0xc3,
    ];
    this.#codeBytes.set(code);
    this.ip = Deno.UnsafePointer.value(this.#code) + BigInt(head.length);
    const fn = new Deno.UnsafeFnPointer(this.#code as Deno.PointerObject<typeof BATCH>, BATCH);
    fn.call(this.#data, BigInt(count));
  }

  close(): void {
    this.#libc.symbols.munmap(this.#code, 4096n);
    this.#libc.symbols.munmap(this.#data, BigInt(this.#dataBytes));
    this.#libc.close();
  }
}
