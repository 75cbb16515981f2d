/**
 * Where a PC's system firmware comes from and is seen: a ROM image at the top of the 4 GiB, or up to
 * two flash chips there (`-drive if=pflash`), and the last 128 KiB of it below 1 MiB as well.
 */
import type { Drive } from "../../core/block/block.ts";
import type { BlockGraph } from "../../core/block/graph.ts";
import { UserError } from "../../core/errors.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import { type RamRegion, ramRegion } from "../../core/memory/region.ts";
import type { MachineConfig } from "../../core/options/config.ts";
import { located } from "../../core/options/host.ts";
import { CfiFlash, FLASH_SECTOR } from "../storage/pflash_cfi01.ts";
import type { MachineEnv } from "./env.ts";
import type { PcConfig } from "./pc_config.ts";

/** What is visible below 1 MiB at the most. */
const ISA_BIOS_SIZE = 0x20000;
/** Under RAM and BARs. */
const FIRMWARE_PRIORITY = -1;
const DEFAULT_MAX_SIZE = 8 << 20;

export interface FirmwareRom {
  /** The firmware that holds the reset vector: `pc.bios`, or `system.flash0`. */
  readonly block: RamBlock;
  /** Its end, for the place below 1 MiB. */
  readonly isaBios: RamRegion;
  /** The chips of `-drive if=pflash`; the first has the reset vector. */
  readonly flash: readonly CfiFlash[];
}

type FlashConfig = Pick<PcConfig, "bios" | "pflash">;

function flashDrives(c: FlashConfig): Drive[] {
  const [first, second] = c.pflash ?? [];
  return [first, second].filter((d) => d !== undefined);
}

/** Guest-visible storage the firmware of a configuration takes. */
export function firmwareBytes(c: FlashConfig): number {
  const drives = flashDrives(c);
  if (drives.length === 0) return c.bios.length;
  return drives.reduce((n, d) => n + (d.medium?.size ?? 0), 0);
}

/**
 * The drives of a configuration's flash chips: those of `-machine pflash0=` and `pflash1=`, else those
 * of `-drive if=pflash`. Throws UserError.
 */
export function findFlash(config: MachineConfig, blocks: BlockGraph): PcConfig["pflash"] {
  const at = (unit: 0 | 1): Drive | undefined => {
    const named = config.machine.pflash[unit];
    const own = config.drives.find((d) => d.interface === "pflash" && d.unit === unit);
    if (named === undefined) return own && blocks.find(own.id);
    if (own !== undefined) throw new UserError(located(own.loc, "clashes with -machine"));
    const drive = blocks.find(named);
    if (drive !== undefined) return drive;
    throw new UserError(`Property 'cfi.pflash01.drive' can't find value '${named}'`);
  };
  return [at(0), at(1)];
}

/** Maps the firmware a configuration asks for. Throws UserError. */
export function mapFirmware(
  c: FlashConfig & Pick<PcConfig, "maxFwSize">,
  env: Pick<MachineEnv, "memory" | "mem">,
): FirmwareRom {
  const drives = flashDrives(c);
  if (drives.length > 0) return mapFlash(c, env, drives);
  if (c.bios.length === 0 || c.bios.length % 65536 !== 0 || c.bios.length > 1 << 24) {
    throw new UserError("could not load PC BIOS: its size is not a multiple of 64 KiB");
  }
  const block = env.memory.allocBlock("pc.bios", c.bios.length);
  block.u8.set(c.bios);
  const region = ramRegion("pc.bios", block, { readonly: true });
  env.mem.map(region, 2 ** 32 - block.size, FIRMWARE_PRIORITY);
  return { block, isaBios: isaBios(block), flash: [] };
}

function isaBios(block: RamBlock): RamRegion {
  const size = Math.min(block.size, ISA_BIOS_SIZE);
  return ramRegion("isa-bios", block, { readonly: true, size, blockOffset: block.size - size });
}

/** Each chip lies below the one before. */
function mapFlash(
  c: Pick<PcConfig, "pflash" | "maxFwSize">,
  { memory, mem }: Pick<MachineEnv, "memory" | "mem">,
  drives: Drive[],
): FirmwareRom {
  if (c.pflash?.[0] === undefined) throw new UserError("pflash1 requires pflash0");
  const limit = c.maxFwSize ?? DEFAULT_MAX_SIZE, chips: CfiFlash[] = [], blocks: RamBlock[] = [];
  let total = 0;
  drives.forEach((drive, n) => {
    const { medium } = drive;
    if (drive.attachedTo !== undefined) {
      throw new UserError(`Drive '${drive.name}' is already in use by another device`);
    }
    if (medium === undefined) {
      throw new UserError(`can't get size of block device ${drive.name}: No medium found`);
    }
    const { size, readonly } = medium, path = `/machine/system.flash${n}`;
    drive.attach?.({ path, writes: !readonly, removable: false, needsMedium: true });
    if (size === 0 || size % FLASH_SECTOR !== 0) {
      throw new UserError(
        `system firmware block device ${drive.name} has invalid size ${size}`,
        1,
        `info: its size must be a non-zero multiple of 0x${FLASH_SECTOR.toString(16)}`,
      );
    }
    total += size;
    if (total > limit) {
      throw new UserError(`combined size of system firmware exceeds ${limit} bytes`);
    }
    const block = memory.allocBlock(`system.flash${n}`, size), contents = new Uint8Array(size);
    if (medium.read(0, contents) !== undefined) {
      throw new UserError(`system firmware cannot be read from '${medium.format}' images`);
    }
    block.u8.set(contents);
    const chip = new CfiFlash({ name: block.name, block, drive, readonly, mem });
    chip.map(2 ** 32 - total, FIRMWARE_PRIORITY);
    chips.push(chip);
    blocks.push(block);
  });
  return { block: blocks[0], isaBios: isaBios(blocks[0]), flash: chips };
}
