/**
 * SMBus controller of the Intel ICH9, datasheet 316972, chapter 18: function 3 of slot 31, its host
 * registers in BAR 4 while HOSTC enables them.
 */
import { ioRegion } from "../../core/memory/region.ts";
import { PciDevice } from "./pci.ts";
import { PCI_STATUS } from "./pci_regs.ts";
import { initialSmbus, SmbusEeprom, SmbusHost, type SmbusState } from "./smbus.ts";

const HOSTC = 0x40;
const HST_EN = 0x01, HOSTC_WRITABLE = 0x07;

export interface Ich9SmbusState {
  smbus: SmbusState;
  eeproms: { data: Uint8Array; pointer: number }[];
}

export class Ich9Smbus extends PciDevice<Ich9SmbusState> {
  override readonly type = "ICH9-SMB";
  readonly smbus = new SmbusHost();
  readonly eeproms = Array.from({ length: 8 }, () => new SmbusEeprom());

  constructor() {
    super(
      { vendor: 0x8086, device: 0x2930, revision: 2, classCode: 0x0c0500, interruptPin: 1 },
      () => ({ smbus: initialSmbus(), eeproms: [] }),
    );
    this.setMultifunction();
    this.initConfig16(PCI_STATUS, 0);
    this.wmask[HOSTC] = HOSTC_WRITABLE;
    // The BAR decodes always; without HST_EN there is no host controller behind it.
    const { ops } = this.smbus.region;
    this.addBar(
      4,
      "io",
      ioRegion("pm-smbus", 64, {
        maxAccess: 1,
        read: (offset, size) => this.enabled ? ops.read(offset, size) : 0xff,
        write: (offset, size, value) => {
          if (this.enabled) ops.write(offset, size, value);
        },
      }),
    );
    this.eeproms.forEach((e, i) => this.smbus.devices.set(0x50 + i, e));
  }

  get enabled(): boolean {
    return (this.config[HOSTC] & HST_EN) !== 0;
  }

  protected override onReset(): void {
    this.smbus.state = this.state.smbus;
  }

  override save() {
    this.state.smbus = this.smbus.state;
    this.state.eeproms = this.eeproms.map((e) => ({ data: e.data, pointer: e.pointer }));
    return super.save();
  }

  protected override onLoad(): void {
    this.smbus.state = this.state.smbus;
    this.state.eeproms.forEach((e, i) => {
      this.eeproms[i].data.set(e.data);
      this.eeproms[i].pointer = e.pointer;
    });
  }
}
