/**
 * Message signalled interrupts of a PCI function: the MSI capability (PCI Local Bus Specification 3.0,
 * 6.8.1) with a 64-bit address and without masks, as QEMU gives its functions.
 */
import * as R from "./pci_regs.ts";

export const PCI_CAP_MSI = 0x05;
/** Bytes of the capability with a 64-bit address. */
export const MSI_SIZE = 14;

const FLAGS = 2, ADDRESS = 4, ADDRESS_HIGH = 8, DATA = 12;
const ENABLE = 0x0001, MULTIPLE_CAPABLE_SHIFT = 1, MULTIPLE_ENABLE = 0x0070, ADDRESS_64 = 0x0080;

/** The registers a capability lives in. */
interface ConfigSpace {
  readonly config: Uint8Array;
  readonly configView: DataView;
  readonly wmask: Uint8Array;
}

/** Reads and writes the capability at `at`; the function has put the identifier there. */
export class Msi {
  constructor(
    private readonly dev: ConfigSpace & { readonly bus: MsiBus | undefined },
    readonly at: number,
  ) {
    const mask = (offset: number, bytes: number[]) => dev.wmask.set(bytes, at + offset);
    mask(FLAGS, [ENABLE | MULTIPLE_ENABLE]);
    mask(ADDRESS, [0xfc, 0xff, 0xff, 0xff]);
    mask(ADDRESS_HIGH, [0xff, 0xff, 0xff, 0xff]);
    mask(DATA, [0xff, 0xff]);
  }

  /** The power-on value of the message control register for `vectors` (a power of two) messages. */
  static control(vectors: number): number {
    return ADDRESS_64 | (Math.log2(vectors) << MULTIPLE_CAPABLE_SHIFT);
  }

  get enabled(): boolean {
    return (this.dev.configView.getUint16(this.at + FLAGS, true) & ENABLE) !== 0;
  }

  /** Sends message `vector`; nothing while MSI or bus mastering is off. */
  send(vector = 0): void {
    const { dev, at } = this, v = dev.configView;
    const master = v.getUint16(R.PCI_COMMAND, true) & R.PCI_COMMAND_MASTER;
    if (!this.enabled || master === 0) return;
    const low = v.getUint32(at + ADDRESS, true), high = v.getUint32(at + ADDRESS_HIGH, true);
    const count = 1 << ((v.getUint16(at + FLAGS, true) & MULTIPLE_ENABLE) >> 4);
    const data = v.getUint16(at + DATA, true);
    // The low bits of the data tell the messages apart.
    const message = count > 1 ? (data & ~(count - 1)) | (vector & (count - 1)) : data;
    // Anywhere else the message is what it is on the bus: a memory write.
    if (high === 0 && low >>> 20 === 0xfee) dev.bus?.msi(low, message);
    else dev.bus?.mem.write(low + high * 2 ** 32, 4, message);
  }
}

interface MsiBus {
  readonly msi: (address: number, data: number) => void;
  readonly mem: { write(address: number, size: 4, value: number): void };
}
