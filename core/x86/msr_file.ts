/** Values of model-specific registers that have no other home. */
import * as S from "./state.ts";

/** State offsets of the registers that emitted code reads, by index. Intel SDM volume 4, 2.1. */
const MIRRORED: ReadonlyMap<number, number> = new Map([
  // As an offset: the counter itself is the machine's.
  [0x10, S.TSC_OFFSET],
  [0x174, S.IA32_SYSENTER_CS],
  [0x175, S.IA32_SYSENTER_ESP],
  [0x176, S.IA32_SYSENTER_EIP],
  [0xc0000083, S.IA32_CSTAR],
  [0xc0000103, S.IA32_TSC_AUX],
  [0xc0000081, S.IA32_STAR],
  [0xc0000082, S.IA32_LSTAR],
  [0xc0000084, S.IA32_FMASK],
  [0xc0000102, S.IA32_KERNEL_GS_BASE],
]);

/** A map from register to value; some values are kept in the vCPU's state, where absent means 0. */
export class MsrFile extends Map<number, bigint> {
  readonly #state: DataView;

  /** @param state view of the vCPU's state */
  constructor(state: DataView) {
    super();
    this.#state = state;
  }

  override get(index: number): bigint | undefined {
    const at = MIRRORED.get(index);
    return at === undefined ? super.get(index) : this.#state.getBigUint64(at, true);
  }

  override set(index: number, value: bigint): this {
    const at = MIRRORED.get(index);
    if (at === undefined) return super.set(index, value);
    this.#state.setBigUint64(at, value, true);
    return this;
  }

  override clear(): void {
    super.clear();
    for (const at of MIRRORED.values()) this.#state.setBigUint64(at, 0n, true);
  }
}
