/** Where a PC's RAM goes: below the hole that PCI needs under 4 GiB, and the rest from 4 GiB on. */
import { UserError } from "../../core/errors.ts";
import { GuestMemory, MAX_MEMORY } from "../../core/memory/guest_memory.ts";
import type { PcConfig } from "./pc_config.ts";

const GIB = 2 ** 30, MIB = 2 ** 20;
/** Highest end of low RAM on i440FX, and that of machines that reach it: whole gigabytes map better. */
const PC_LOW = 0xe0000000, PC_LOW_ALIGNED = 0xc0000000;
/** On q35 PCIEXBAR takes its place from RAM. */
const Q35_LOW = 0xb0000000, Q35_LOW_ALIGNED = 0x80000000;

export interface RamSplit {
  /** Bytes from address 0. */
  readonly below4g: number;
  /** Bytes from 4 GiB. */
  readonly above4g: number;
}

type SplitConfig = Pick<PcConfig, "family" | "ramSize" | "maxRamBelow4g" | "warn">;

/** As QEMU's boards divide it, with `max-ram-below-4g`. */
export function splitRam(c: SplitConfig): RamSplit {
  const low = c.family === "q35" ? q35Low(c) : pcLow(c);
  const below4g = Math.min(c.ramSize, low);
  return { below4g, above4g: c.ramSize - below4g };
}

function pcLow({ ramSize, maxRamBelow4g, warn }: SplitConfig): number {
  const max = maxRamBelow4g || PC_LOW;
  if (ramSize < max) return max;
  const low = Math.min(max, PC_LOW_ALIGNED);
  if (low % GIB !== 0) {
    warn?.(
      `warning: Large machine and max_ram_below_4g (${max}) not a multiple of 1G; ` +
        "possible bad performance.",
    );
  }
  return low;
}

function q35Low({ ramSize, maxRamBelow4g, warn }: SplitConfig): number {
  const usual = ramSize >= Q35_LOW ? Q35_LOW_ALIGNED : Q35_LOW, max = maxRamBelow4g || 4 * GIB;
  if (usual <= max) return usual;
  if (ramSize - max > max && max % GIB !== 0) {
    warn?.(
      `warning: There is possibly poor performance as the ram size (0x${ramSize.toString(16)}) ` +
        `is more then twice the size of max-ram-below-4g (${max}) and max-ram-below-4g is not ` +
        "a multiple of 1G.",
    );
  }
  return max;
}

/**
 * The shared memory of a machine that needs `bytes` of it, `ramSize` of them for RAM. Throws
 * UserError where the engine's memories or the host do not suffice.
 */
export function guestMemory(bytes: number, ramSize: number): GuestMemory {
  const over = bytes - MAX_MEMORY;
  const refuse = (hint?: string) =>
    new UserError("cannot set up guest memory 'pc.ram': Cannot allocate memory", 1, hint);
  if (over > 0) {
    const most = Math.floor((ramSize - over) / MIB);
    throw refuse(`This machine can have at most ${most} MiB of RAM.`);
  }
  try {
    return new GuestMemory(bytes);
  } catch (e) {
    if (e instanceof RangeError) throw refuse();
    throw e;
  }
}
