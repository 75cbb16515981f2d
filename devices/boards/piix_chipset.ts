/** The `pc` board's chip set: 440FX with PIIX3 and the power management function of the PIIX4. */
import { BusNode } from "../../core/qdev.ts";
import { I440fxHost } from "../chipset/i440fx.ts";
import type { PciBus } from "../chipset/pci.ts";
import { Piix3 } from "../chipset/piix3.ts";
import { Piix3Ide } from "../chipset/piix3_ide.ts";
import { Piix4Pm } from "../chipset/piix4_pm.ts";
import type { Chipset, DiskBus } from "./chipset.ts";
import type { PcBoard } from "./pc.ts";
import type { SleepStates } from "./pc_fwcfg.ts";

export class PiixChipset implements Chipset {
  readonly host: I440fxHost;
  readonly piix3: Piix3;
  readonly pciNode: BusNode;
  readonly isaNode: BusNode;
  readonly hpetRoutes = 4;
  readonly displayLast = false;
  readonly alwaysFloppy = true;
  readonly isaPath = "/pci@i0cf8/isa@1";
  readonly resetControlName = "piix3-reset-control";
  sleepStates: SleepStates = { disableS3: false, disableS4: false, s4Value: 2 };
  ide: Piix3Ide | undefined;
  pm: Piix4Pm | undefined;

  constructor(private readonly board: PcBoard) {
    const { env } = board;
    this.host = new I440fxHost({
      mem: env.mem,
      io: env.io,
      ram: board.ram,
      ramSize: board.lowRamSize,
      lowRoms: board.lowRoms(),
    });
    this.pciNode = board.root.add(board.node("i440FX-pcihost")).addBus(
      new BusNode("pci.0", "PCI"),
    );
    board.keep("pci-host-config", this.host.config);
    board.addPci(this.host.bridge, board.node("i440FX"), "pci.0", this.pciNode);
    this.piix3 = this.bus.plug(
      new Piix3(board.isaLines(), () => env.requestReset("guest-reset")),
      8,
    );
    this.host.pirq = this.piix3.pirq;
    this.host.config.resetControl = this.piix3;
    const node = board.node("PIIX3").set("multifunction", true);
    board.addPci(this.piix3, node, "pci.0", this.pciNode);
    this.isaNode = node.addBus(new BusNode("isa.0", "ISA"));
  }

  get bus(): PciBus {
    return this.host.bus;
  }

  get bridge() {
    return this.host.bridge;
  }

  get hostConfig() {
    return this.host.config;
  }

  addDisks(): DiskBus[] {
    const { board } = this, { mem, io } = board.env;
    const ide = this.ide = this.bus.plug(
      new Piix3Ide(mem, io, [board.irqs.line(14), board.irqs.line(15)]),
      9,
    );
    const node = board.addPci(ide, board.node("piix3-ide"));
    return ide.channels.map((channel, n): DiskBus => ({
      node: node.addBus(new BusNode(`ide.${n}`, "IDE")),
      units: channel.slots,
      queueDepth: 0,
      attach: (unit, device) => channel.attach(unit === 0 ? 0 : 1, device),
      path: (unit) => `/pci@i0cf8/ide@1,1/drive@${n}/disk@${unit}`,
    }));
  }

  addPowerManagement(): void {
    const { board } = this, { env, config: c } = board, node = board.node("PIIX4_PM");
    const pm = this.pm = this.bus.plug(
      new Piix4Pm({
        clock: env.clock,
        io: env.io,
        sci: board.irqs.line(9),
        shutdown: () => env.requestShutdown("guest-shutdown"),
        suspend: () => env.requestSuspend(),
        smi: () => board.vcpus[0]?.smi(),
        smmEnabled: c.smm ?? false,
        smbIoBase: node.number("smb_io_base"),
        s4Value: node.number("s4_val"),
        parallel: c.parallels[0] !== undefined,
        serial: [c.serials[0] !== undefined, c.serials[1] !== undefined],
      }),
      11,
    );
    node.set("smm-enabled", c.smm ?? false);
    node.set("smb_io_base", () => pm.smbBase);
    const i2c = board.addPci(pm, node).addBus(new BusNode("i2c", "i2c-bus"));
    for (let n = 0; n < 8; n++) i2c.add(board.node("smbus-eeprom").set("address", 0x50 + n));
    this.sleepStates = {
      disableS3: node.number("disable_s3") !== 0,
      disableS4: node.number("disable_s4") !== 0,
      s4Value: node.number("s4_val"),
    };
  }

  powerButton(): void {
    this.pm?.powerButton();
  }

  wake(cause: "power-button" | "rtc" | "other"): void {
    this.pm?.pm.wake(cause);
  }

  portContainers() {
    return [];
  }
}
