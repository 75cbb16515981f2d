/**
 * PCI configuration mechanism #1: CONFIG_ADDRESS at CF8h, CONFIG_DATA at CFCh.
 * PCI Local Bus Specification 3.0, section 3.2.2.3.2.
 */
import { StatefulDevice } from "../../core/device.ts";
import { type AccessSize, ioRegion } from "../../core/memory/region.ts";
import type { PciBus } from "./pci.ts";

const CONFIG_ENABLE = 0x80000000;

/** Registers that share the ports CF8h–CFBh with CONFIG_ADDRESS: byte accesses to CF9h. */
export interface ResetControl {
  read(): number;
  write(value: number): void;
}

/** Unsigned all-ones of an access. */
function ones(size: AccessSize): number {
  return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
}

/**
 * The ports CF8h–CFFh. Only a double word write reaches CONFIG_ADDRESS, so that CF9h can be another
 * register; CONFIG_DATA takes bytes and words as well.
 */
export class PciHostConfig extends StatefulDevice<{ address: number }> {
  override readonly type = "pci-host-config";
  resetControl: ResetControl | undefined;
  readonly region = ioRegion("pci-conf-idx", 8, {
    read: (offset, size) => this.#read(offset, size),
    write: (offset, size, value) => this.#write(offset, size, value),
  });

  constructor(readonly root: PciBus) {
    super(() => ({ address: 0 }));
  }

  #read(offset: number, size: AccessSize): number {
    if (offset >= 4) return this.readData(offset & 3, size);
    if (offset === 1 && size === 1 && this.resetControl) return this.resetControl.read();
    return this.state.address >>> (8 * offset);
  }

  #write(offset: number, size: AccessSize, value: number): void {
    if (offset >= 4) this.writeData(offset & 3, size, value);
    else if (offset === 1 && size === 1) this.resetControl?.write(value);
    else if (offset === 0 && size === 4) this.state.address = value >>> 0;
  }

  #target() {
    const a = this.state.address;
    return (a & CONFIG_ENABLE) === 0
      ? undefined
      : this.root.find((a >>> 16) & 0xff, (a >>> 8) & 0xff);
  }

  /** CONFIG_DATA: `lane` is the byte within the addressed double word. */
  readData(lane: number, size: AccessSize): number {
    const dev = this.#target();
    if (dev === undefined) return ones(size);
    const at = (this.state.address & 0xfc) + lane;
    if (lane + size <= 4) return dev.configRead(at, size);
    let value = 0;
    for (let i = 0; i < size; i++) {
      const byte = at + i < 256 ? dev.configRead(at + i, 1) : 0xff;
      value += byte * 2 ** (8 * i);
    }
    return value;
  }

  writeData(lane: number, size: AccessSize, value: number): void {
    const dev = this.#target();
    if (dev === undefined) return;
    const at = (this.state.address & 0xfc) + lane;
    if (lane + size <= 4) return dev.configWrite(at, size, value);
    for (let i = 0; i < size && at + i < 256; i++) {
      dev.configWrite(at + i, 1, (value >>> (8 * i)) & 0xff);
    }
  }
}
