/**
 * IDE function of the Intel 82371SB (PIIX3), datasheet 290550, 2.3: two channels at their legacy ports
 * with interrupts 14 and 15, and bus-master registers in BAR 4.
 */
import type { IrqLine } from "../../core/device.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import { BusMasterIde } from "../storage/bmdma.ts";
import { IdeChannel } from "../storage/ide.ts";
import { PciDevice } from "./pci.ts";
import { PCI_STATUS, PCI_STATUS_DEVSEL_MEDIUM, PCI_STATUS_FAST_BACK } from "./pci_regs.ts";

/** Command block, control block and ISA interrupt of each channel. */
export const LEGACY_IDE: readonly { command: number; control: number; irq: number }[] = [
  { command: 0x1f0, control: 0x3f6, irq: 14 },
  { command: 0x170, control: 0x376, irq: 15 },
];

export interface Piix3IdeState {
  channels: unknown[];
  busMaster: unknown;
}

export class Piix3Ide extends PciDevice<Piix3IdeState> {
  override readonly type = "piix3-ide";
  readonly channels: readonly [IdeChannel, IdeChannel];
  readonly busMaster: BusMasterIde;

  /** @param irqs ISA interrupts 14 and 15 */
  constructor(mem: AddressSpace, io: AddressSpace, irqs: readonly [IrqLine, IrqLine]) {
    super(
      { vendor: 0x8086, device: 0x7010, classCode: 0x010180 },
      () => ({ channels: [], busMaster: undefined }),
    );
    this.initConfig16(PCI_STATUS, PCI_STATUS_FAST_BACK | PCI_STATUS_DEVSEL_MEDIUM);
    this.channels = [new IdeChannel({ irq: irqs[0] }), new IdeChannel({ irq: irqs[1] })];
    this.busMaster = new BusMasterIde({ channels: this.channels, mem });
    this.addBar(4, "io", this.busMaster.region);
    LEGACY_IDE.forEach(({ command, control }, n) => {
      io.map(this.channels[n].command, command);
      io.map(this.channels[n].control, control);
    });
  }

  protected override onReset(): void {
    this.busMaster.reset();
    for (const c of this.channels) c.reset();
  }

  override save() {
    this.state = {
      channels: this.channels.map((c) => c.save()),
      busMaster: this.busMaster.save(),
    };
    return super.save();
  }

  protected override onLoad(): void {
    this.channels.forEach((c, i) => c.load(this.state.channels[i]));
    this.busMaster.load(this.state.busMaster);
  }
}
