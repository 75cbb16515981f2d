/** Model-specific registers of one vCPU: single access, and all of them for save, load and reset. */
import { Req } from "./abi.ts";
import type { Libc } from "./libc.ts";
import { Struct } from "./structs.ts";

const HEADER = 8, ENTRY = 16;

export class MsrBank {
  readonly #one = new Struct(HEADER + ENTRY);
  /** Values after creation: what a reset puts back. */
  readonly #initial: readonly [number, bigint][];

  /** @param indexes KVM_GET_MSR_INDEX_LIST */
  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
    private readonly indexes: readonly number[],
  ) {
    this.#initial = this.save();
  }

  get(index: number): bigint | undefined {
    this.#one.view.setUint32(0, 1, true);
    this.#one.view.setUint32(HEADER, index, true);
    this.#one.setU64(HEADER + 8, 0n);
    const r = this.libc.ioctlBuffer(this.fd, Req.GET_MSRS, this.#one.u8);
    return r === 1 ? this.#one.u64(HEADER + 8) : undefined;
  }

  set(index: number, value: bigint): boolean {
    this.#one.view.setUint32(0, 1, true);
    this.#one.view.setUint32(HEADER, index, true);
    this.#one.setU64(HEADER + 8, value);
    return this.libc.ioctlBuffer(this.fd, Req.SET_MSRS, this.#one.u8) === 1;
  }

  /** Every MSR that this vCPU has. */
  save(): [number, bigint][] {
    const out: [number, bigint][] = [];
    for (const index of this.indexes) {
      const value = this.get(index);
      if (value !== undefined) out.push([index, value]);
    }
    return out;
  }

  load(values: readonly (readonly [number, bigint])[]): void {
    for (const [index, value] of values) this.set(index, value);
  }

  reset(): void {
    this.load(this.#initial);
  }
}
