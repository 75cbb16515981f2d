/**
 * An AHCI host bus adapter (Serial ATA AHCI 1.3.1, chapter 3.1): global registers, ports, interrupts.
 * What the registers say of it (six ports, 32 slots, queued commands, generation 1) is as in QEMU.
 */
import type { AddressSpace } from "../../core/memory/address_space.ts";
import { ioRegion } from "../../core/memory/region.ts";
import { AhciPort, type AhciPortState } from "./ahci_port.ts";
import { GHC_AE, GHC_HR, GHC_IE, Host, PORT_SIZE, PORTS } from "./ahci_regs.ts";

const CAP_S64A = 0x80000000, CAP_SNCQ = 0x40000000, CAP_SAM = 0x00040000;
const CAP_GEN1 = 1 << 20, CAP_32_SLOTS = 31 << 8;
const VERSION_1_0 = 0x00010000;
/** Bytes of memory space the registers take. */
export const AHCI_REGION_SIZE = 0x1000;

export interface AhciOptions {
  readonly ports: number;
  /** Memory as a bus master reaches it; undefined while mastering is off. */
  readonly memory: () => AddressSpace | undefined;
  /** Level of the controller's interrupt; `raised` on each event, for message-signalled ones. */
  readonly interrupt: (level: boolean, raised: boolean) => void;
}

export interface AhciState {
  ghc: number;
  ports: ReturnType<AhciPort["save"]>[];
}

export class Ahci {
  readonly ports: readonly AhciPort[];
  readonly region = ioRegion("ahci", AHCI_REGION_SIZE, {
    minAccess: 4,
    read: (offset) => this.read(offset),
    write: (offset, _size, value) => this.write(offset, value),
  });
  readonly #o: AhciOptions;
  readonly #cap: number;
  #ghc = GHC_AE;
  #level = false;

  constructor(o: AhciOptions) {
    this.#o = o;
    this.#cap = (CAP_S64A | CAP_SNCQ | CAP_SAM | CAP_GEN1 | CAP_32_SLOTS | (o.ports - 1)) >>> 0;
    const host = {
      dmaRead: (address: number, into: Uint8Array) => {
        const mem = this.#reach(address, into.length);
        mem?.readBytes(address, into);
        return mem !== undefined;
      },
      dmaWrite: (address: number, from: Uint8Array) => {
        const mem = this.#reach(address, from.length);
        mem?.writeBytes(address, from);
        return mem !== undefined;
      },
      portChanged: (raised: boolean) => this.#update(raised),
    };
    this.ports = Array.from({ length: o.ports }, () => new AhciPort(host));
  }

  /** Nothing answers where nothing is mapped: then the transfer is not made at all. */
  #reach(address: number, length: number): AddressSpace | undefined {
    const mem = this.#o.memory();
    if (mem === undefined || address + length > mem.size) return undefined;
    return mem.find(address) === undefined ? undefined : mem;
  }

  /** IS: ports with an enabled interrupt. */
  get #pending(): number {
    let bits = 0;
    this.ports.forEach((p, n) => {
      if (p.state.is & p.state.ie) bits |= 1 << n;
    });
    return bits;
  }

  #update(raised: boolean): void {
    const level = (this.#ghc & GHC_IE) !== 0 && this.#pending !== 0;
    const rises = level && (raised || !this.#level);
    this.#level = level;
    this.#o.interrupt(level, rises);
  }

  read(offset: number): number {
    if (offset >= PORTS) {
      const n = Math.floor((offset - PORTS) / PORT_SIZE);
      return this.ports[n]?.read((offset - PORTS) % PORT_SIZE) ?? 0;
    }
    switch (offset) {
      case Host.CAP:
        return this.#cap;
      case Host.GHC:
        return this.#ghc >>> 0;
      case Host.IS:
        return this.#pending;
      case Host.PI:
        return 2 ** this.ports.length - 1;
      case Host.VS:
        return VERSION_1_0;
      default:
        return 0;
    }
  }

  write(offset: number, value: number): void {
    if (offset >= PORTS) {
      const n = Math.floor((offset - PORTS) / PORT_SIZE);
      this.ports[n]?.write((offset - PORTS) % PORT_SIZE, value);
    } else if (offset === Host.GHC) {
      if (value & GHC_HR) return this.reset();
      this.#ghc = (value & GHC_IE) | GHC_AE;
      this.#update(false);
    } else if (offset === Host.IS) this.#update(false);
  }

  reset(): void {
    this.#ghc = GHC_AE;
    for (const p of this.ports) p.reset();
    this.#level = false;
    this.#o.interrupt(false, false);
  }

  save(): AhciState {
    return { ghc: this.#ghc, ports: this.ports.map((p) => p.save()) };
  }

  load(state: AhciState): void {
    this.#ghc = state.ghc;
    this.ports.forEach((p, n) => p.load(state.ports[n]));
    this.#level = (this.#ghc & GHC_IE) !== 0 && this.#pending !== 0;
    this.#o.interrupt(this.#level, false);
  }
}

export type { AhciPortState };
