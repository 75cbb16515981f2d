/**
 * SATA function of the Intel ICH9 in AHCI mode, datasheet 316972, chapters 14 and 15: function 2 of
 * slot 31, with AHCI registers in BAR 5, an index/data pair for them in BAR 4, and MSI.
 */
import { ioRegion } from "../../core/memory/region.ts";
import { Ahci, type AhciState } from "../storage/ahci.ts";
import { Msi, MSI_SIZE, PCI_CAP_MSI } from "./msi.ts";
import { PciDevice } from "./pci.ts";
import { PCI_COMMAND_MASTER } from "./pci_regs.ts";

const PORTS = 6;
const MAP = 0x90, MAP_AHCI = 0x40;
const MSI_OFFSET = 0x80, SATA_OFFSET = 0xa8;
const PCI_CAP_SATA = 0x12, SATA_REVISION = 0x10;
/** SATACR1: the pair is in BAR 4, at double word 4. */
const SATA_LOCATION = 0x48;
const IDP_SIZE = 32, IDP_INDEX = 0x10, IDP_DATA = 0x14;

export interface Ich9AhciState {
  index: number;
  hba: AhciState | undefined;
}

export class Ich9Ahci extends PciDevice<Ich9AhciState> {
  override readonly type = "ich9-ahci";
  readonly hba: Ahci;
  readonly #msi: Msi;

  constructor() {
    super(
      { vendor: 0x8086, device: 0x2922, revision: 2, classCode: 0x010601, interruptPin: 1 },
      () => ({ index: 0, hba: undefined }),
    );
    this.initConfig8(MAP, MAP_AHCI);
    this.addCapability(PCI_CAP_SATA, 8, SATA_OFFSET);
    this.initConfig16(SATA_OFFSET + 2, SATA_REVISION);
    this.initConfig32(SATA_OFFSET + 4, SATA_LOCATION);
    const at = this.addCapability(PCI_CAP_MSI, MSI_SIZE, MSI_OFFSET);
    this.initConfig16(at + 2, Msi.control(1));
    this.#msi = new Msi(this, at);
    this.hba = new Ahci({
      ports: PORTS,
      memory: () => this.command & PCI_COMMAND_MASTER ? this.bus?.mem : undefined,
      interrupt: (level, raised) => {
        this.setInterrupt(level && !this.#msi.enabled);
        if (raised) this.#msi.send();
      },
    });
    this.addBar(
      4,
      "io",
      ioRegion("ahci-idp", IDP_SIZE, {
        minAccess: 4,
        read: (offset) =>
          offset === IDP_INDEX
            ? this.state.index
            : offset === IDP_DATA
            ? this.hba.read(this.state.index)
            : 0xffffffff,
        write: (offset, _size, value) => {
          if (offset === IDP_INDEX) this.state.index = value & 0xffc;
          else if (offset === IDP_DATA) this.hba.write(this.state.index, value);
        },
      }),
    );
    this.addBar(5, "mem", this.hba.region);
  }

  protected override onReset(): void {
    this.hba.reset();
  }

  override save() {
    this.state.hba = this.hba.save();
    return super.save();
  }

  protected override onLoad(): void {
    if (this.state.hba !== undefined) this.hba.load(this.state.hba);
  }
}
