/**
 * MSI-X of a PCI function: the capability, the table of messages and the pending bits. PCI Local Bus
 * Specification 3.0, 6.8.2.
 */
import { type AccessSize, type IoRegion, ioRegion } from "../../core/memory/region.ts";
import * as R from "./pci_regs.ts";

export const PCI_CAP_MSIX = 0x11;
/** Bytes of the capability. */
export const MSIX_SIZE = 12;

const CONTROL = 2, TABLE = 4, PBA = 8;
const ENABLE = 0x8000, FUNCTION_MASK = 0x4000;
/** Table entry: address (8 bytes), data, vector control. */
const ENTRY = 16, ADDRESS = 0, ADDRESS_HIGH = 4, DATA = 8, VECTOR_CONTROL = 12, MASKED = 1;
export const MSIX_MAX = 2048;

/** What a function keeps in its state for {@link Msix}. */
export interface MsixState {
  table: Uint8Array<ArrayBuffer>;
  pending: Uint8Array<ArrayBuffer>;
}

/** Every vector masked. */
export function initialMsix(vectors: number): MsixState {
  const table = new Uint8Array(ENTRY * vectors);
  for (let n = 0; n < vectors; n++) table[ENTRY * n + VECTOR_CONTROL] = MASKED;
  return { table, pending: new Uint8Array(8 * Math.ceil(vectors / 64)) };
}

interface Function_ {
  readonly configView: DataView;
  readonly wmask: Uint8Array;
  readonly bus: {
    readonly msi: (address: number, data: number) => void;
    readonly mem: { write(address: number, size: 4, value: number): void };
  } | undefined;
}

/** Table and pending bits in a BAR of their own, as QEMU's functions have them. */
export class Msix {
  readonly region: IoRegion;
  readonly #pba: number;

  /**
   * @param name of the function, for the region
   * @param at offset of the capability, whose identifier is there already
   * @param state the function's present state of this
   */
  constructor(
    name: string,
    private readonly dev: Function_,
    readonly at: number,
    readonly vectors: number,
    private readonly state: () => MsixState,
  ) {
    const table = ENTRY * vectors;
    const half = Math.max(2048, 2 ** Math.ceil(Math.log2(table)));
    this.#pba = half;
    dev.wmask[at + CONTROL + 1] = (ENABLE | FUNCTION_MASK) >> 8;
    this.region = {
      ...ioRegion(`${name}-msix`, 2 * half, {
        minAccess: 4,
        read: (offset) => this.#read(offset),
        write: (offset, _size, value) => this.#write(offset, value),
      }),
      parts: [
        { name: "msix-table", offset: 0, size: table },
        { name: "msix-pba", offset: half, size: 8 * Math.ceil(vectors / 64) },
      ],
    };
  }

  /** The capability's registers at power-on, from the message control register on. */
  static registers(vectors: number, bar: number): [offset: number, size: 2 | 4, value: number][] {
    const half = Math.max(2048, 2 ** Math.ceil(Math.log2(ENTRY * vectors)));
    return [[CONTROL, 2, vectors - 1], [TABLE, 4, bar], [PBA, 4, half | bar]];
  }

  get #control(): number {
    return this.dev.configView.getUint16(this.at + CONTROL, true);
  }

  get enabled(): boolean {
    return (this.#control & ENABLE) !== 0;
  }

  #isMasked(vector: number): boolean {
    return (this.#control & FUNCTION_MASK) !== 0 ||
      (this.state().table[ENTRY * vector + VECTOR_CONTROL] & MASKED) !== 0;
  }

  /** Sends message `vector`, or notes it while it is masked. */
  send(vector: number): void {
    if (!this.enabled || vector >= this.vectors) return;
    if (this.#isMasked(vector)) this.state().pending[vector >> 3] |= 1 << (vector & 7);
    else this.#deliver(vector);
  }

  #deliver(vector: number): void {
    const { bus, configView } = this.dev;
    if (!(configView.getUint16(R.PCI_COMMAND, true) & R.PCI_COMMAND_MASTER)) return;
    const v = new DataView(this.state().table.buffer, ENTRY * vector, ENTRY);
    const low = v.getUint32(ADDRESS, true), high = v.getUint32(ADDRESS_HIGH, true);
    const data = v.getUint32(DATA, true);
    if (high === 0 && low >>> 20 === 0xfee) bus?.msi(low, data);
    else bus?.mem.write(low + high * 2 ** 32, 4, data);
  }

  /** Sends what is pending and not masked any more: after a write to the capability or the table. */
  update(): void {
    if (!this.enabled) return;
    const { pending } = this.state();
    for (let n = 0; n < this.vectors; n++) {
      if (!(pending[n >> 3] & (1 << (n & 7))) || this.#isMasked(n)) continue;
      pending[n >> 3] &= ~(1 << (n & 7));
      this.#deliver(n);
    }
  }

  #read(offset: number): number {
    const { table, pending } = this.state();
    if (offset + 4 <= table.length) return word(table, offset);
    const at = offset - this.#pba;
    return at >= 0 && at + 4 <= pending.length ? word(pending, at) : 0;
  }

  #write(offset: number, value: number): void {
    const { table } = this.state();
    if (offset + 4 > table.length) return;
    if (offset % ENTRY === VECTOR_CONTROL) value &= MASKED;
    new DataView(table.buffer).setUint32(offset, value, true);
    if (offset % ENTRY === VECTOR_CONTROL) this.update();
  }
}

function word(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}

/** Whether a configuration write of `size` bytes at `offset` touches the capability's control. */
export function touchesMsixControl(at: number, offset: number, size: AccessSize): boolean {
  return offset < at + CONTROL + 2 && offset + size > at + CONTROL;
}
