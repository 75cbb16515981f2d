/** The `q35` board's chip set: Q35 memory controller hub and ICH9. */
import { BusNode, type DeviceNode } from "../../core/qdev.ts";
import { Ich9Ahci } from "../chipset/ich9_ahci.ts";
import { Ich9Lpc } from "../chipset/ich9_lpc.ts";
import { Ich9Smbus } from "../chipset/ich9_smbus.ts";
import type { PciBus } from "../chipset/pci.ts";
import { Q35Host } from "../chipset/q35_mch.ts";
import type { Chipset, DiskBus } from "./chipset.ts";
import type { MtreeNode } from "./mtree.ts";
import type { PcBoard } from "./pc.ts";
import type { SleepStates } from "./pc_fwcfg.ts";

const LPC = 0x1f << 3, AHCI = LPC | 2, SMBUS = LPC | 3;
const AHCI_QUEUE_DEPTH = 32;
const ROOT = "pcie.0";

/** The ports of a controller that has been plugged in. */
export function ahciBuses(
  ahci: Ich9Ahci,
  node: DeviceNode,
  name: (port: number) => string,
): DiskBus[] {
  return ahci.hba.ports.map((port, n): DiskBus => ({
    node: node.addBus(new BusNode(name(n), "IDE")),
    get units() {
      return [port.device];
    },
    queueDepth: AHCI_QUEUE_DEPTH,
    attach: (_unit, device) => port.attach(device),
    path: (unit) => {
      const slot = (ahci.devfn >> 3).toString(16), fn = ahci.devfn & 7;
      const at = fn === 0 ? slot : `${slot},${fn}`;
      return `/pci@i0cf8/pci8086,2922@${at}/drive@${n}/disk@${unit}`;
    },
  }));
}

export class Ich9Chipset implements Chipset {
  readonly host: Q35Host;
  readonly lpc: Ich9Lpc;
  readonly pciNode: BusNode;
  readonly isaNode: BusNode;
  /** GSI 2, 8 and 16–23. */
  readonly hpetRoutes = 0xff0104;
  readonly displayLast = true;
  readonly alwaysFloppy = false;
  readonly isaPath = "/pci@i0cf8/isa@1f";
  readonly resetControlName = "lpc-reset-control";
  readonly sleepStates: SleepStates;
  ahci: Ich9Ahci | undefined;

  constructor(private readonly board: PcBoard) {
    const { env, config: c } = board, { mem, io, clock } = env;
    const hostNode = board.root.add(board.node("q35-pcihost"));
    this.pciNode = hostNode.addBus(new BusNode(ROOT, "PCIE"));
    const mchNode = board.node("mch");
    this.host = new Q35Host({
      mem,
      io,
      ram: board.ram,
      lowRam: board.lowRamSize,
      lowRoms: board.lowRoms(),
      extTsegMbytes: mchNode.number("extended-tseg-mbytes"),
    });
    const { bridge } = this;
    hostNode.set("below-4g-mem-size", board.lowRamSize)
      .set("above-4g-mem-size", c.ramSize - board.lowRamSize)
      .set("MCFG", () => bridge.pciexbar?.base ?? 0xffffffffffffffffn);
    board.keep("pci-host-config", this.host.config);
    board.addPci(bridge, mchNode, ROOT, this.pciNode);
    const node = board.node("ICH9-LPC").set("multifunction", true);
    const s4Value = this.#setting("s4_val", 2);
    this.lpc = this.bus.plug(
      new Ich9Lpc({
        clock,
        mem,
        io,
        gsis: Array.from({ length: 24 }, (_, n) => board.irqs.line(n)),
        shutdown: () => env.requestShutdown("guest-shutdown"),
        suspend: () => env.requestSuspend(),
        reset: () => env.requestReset("guest-reset"),
        smi: () => board.vcpus[0]?.smi(),
        smmEnabled: c.smm ?? false,
        noReboot: node.flag("noreboot"),
        s4Value,
        parallel: c.parallels[0] !== undefined,
        serial: [c.serials[0] !== undefined, c.serials[1] !== undefined],
      }),
      LPC,
    );
    this.host.setPin = (slot, pin, level) => this.lpc.setPin(slot, pin, level);
    this.host.config.resetControl = this.lpc;
    board.addPci(this.lpc, node, ROOT, this.pciNode);
    this.isaNode = node.addBus(new BusNode("isa.0", "ISA"));
    this.sleepStates = {
      disableS3: this.#setting("disable_s3", 0) !== 0,
      disableS4: this.#setting("disable_s4", 0) !== 0,
      s4Value,
    };
  }

  /** A `-global` of the LPC bridge that `info qtree` does not show. */
  #setting(property: string, preset: number): number {
    const found = this.board.config.globals.filter((g) =>
      g.driver === "ICH9-LPC" && g.property === property
    );
    for (const g of found) g.used = true;
    return found.length === 0 ? preset : Number(found.at(-1)!.value);
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
    const { board } = this;
    if (board.config.sata === false) return [];
    const ahci = this.ahci = this.bus.plug(new Ich9Ahci(), AHCI);
    const node = board.addPci(ahci, board.node("ich9-ahci").set("multifunction", true));
    return ahciBuses(ahci, node, (n) => `ide.${n}`);
  }

  addPowerManagement(): void {
    const { board } = this;
    if (board.config.smbus === false) return;
    const smbus = this.bus.plug(new Ich9Smbus(), SMBUS);
    const node = board.node("ICH9-SMB").set("multifunction", true);
    const i2c = board.addPci(smbus, node).addBus(new BusNode("i2c", "i2c-bus"));
    for (let n = 0; n < 8; n++) i2c.add(board.node("smbus-eeprom").set("address", 0x50 + n));
  }

  powerButton(): void {
    this.lpc.powerButton();
  }

  wake(cause: "power-button" | "rtc" | "other"): void {
    this.lpc.pm.pm.wake(cause);
  }

  pciexbar(): number | undefined {
    return this.host.bridge.pciexbar?.base;
  }

  portContainers(): MtreeNode[] {
    const base = this.lpc.pm.base;
    if (base === undefined) return [];
    return [
      { start: base, end: base + 127, priority: 0, kind: "i/o", name: "ich9-pm", children: [] },
    ];
  }
}
