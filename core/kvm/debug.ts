/**
 * Single step and breakpoints for the gdb stub: KVM_SET_GUEST_DEBUG. The first four addresses use
 * the debug registers; further ones are INT3 in guest memory, there only while the vCPU runs, so
 * that nobody reads them.
 */
import type { AddressSpace } from "../memory/address_space.ts";
import { GuestDbg, Req } from "./abi.ts";
import type { Libc } from "./libc.ts";
import { Size, Struct } from "./structs.ts";

const HARDWARE = 4, INT3 = 0xcc;
/** DR7 with nothing enabled; G0 to G3 are bits 1, 3, 5 and 7. */
const DR7_EMPTY = 0x400;
const DEBUGREG = 8;

interface Patch {
  readonly u8: Uint8Array;
  readonly at: number;
  readonly old: number;
}

export class GuestDebug {
  #control = 0;
  #software: bigint[] = [];
  readonly #patches: Patch[] = [];

  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
    private readonly mem: AddressSpace,
  ) {}

  /** The vCPU is not in the guest. Throws when the host's KVM has no guest debugging. */
  set(d: { step: boolean; breakpoints: readonly bigint[] }): void {
    const s = new Struct(Size.GUEST_DEBUG);
    let dr7 = DR7_EMPTY;
    this.#control = 0;
    if (d.step || d.breakpoints.length > 0) this.#control |= GuestDbg.ENABLE;
    if (d.step) this.#control |= GuestDbg.SINGLESTEP;
    d.breakpoints.slice(0, HARDWARE).forEach((address, i) => {
      this.#control |= GuestDbg.USE_HW_BP;
      s.setU64(DEBUGREG + 8 * i, address);
      dr7 |= 2 << (2 * i);
    });
    this.#software = d.breakpoints.slice(HARDWARE);
    if (this.#software.length > 0) this.#control |= GuestDbg.USE_SW_BP;
    s.view.setUint32(0, this.#control, true);
    s.setU64(DEBUGREG + 8 * 7, BigInt(dr7));
    const r = this.libc.ioctlBuffer(this.fd, Req.SET_GUEST_DEBUG, s.u8);
    if (r < 0) throw new Error(`KVM_SET_GUEST_DEBUG failed: ${this.libc.strerror(-r)}`);
  }

  get hasSoftware(): boolean {
    return this.#software.length > 0;
  }

  /** Puts the INT3s in, before the vCPU runs. Addresses that are not mapped now are passed over. */
  arm(translate: (linear: bigint) => number | undefined): void {
    for (const linear of this.#software) {
      const address = translate(linear);
      const range = address === undefined ? undefined : this.mem.find(address);
      if (address === undefined || range?.region.kind !== "ram") continue;
      const u8 = range.region.block.u8;
      const at = range.region.blockOffset + range.offset + address - range.start;
      this.#patches.push({ u8, at, old: u8[at] });
      u8[at] = INT3;
    }
  }

  /** Takes them out again; the last first, since two addresses may reach the same byte. */
  disarm(): void {
    for (let p = this.#patches.pop(); p !== undefined; p = this.#patches.pop()) p.u8[p.at] = p.old;
  }

  owns(linear: bigint): boolean {
    return this.#software.includes(linear);
  }

  /** An INT3 of the guest's own came out because of {@link hasSoftware}: the guest gets its #BP. */
  injectBreakpoint(): void {
    const s = new Struct(Size.GUEST_DEBUG);
    s.view.setUint32(0, this.#control | GuestDbg.INJECT_BP, true);
    this.libc.ioctlBuffer(this.fd, Req.SET_GUEST_DEBUG, s.u8);
  }
}
