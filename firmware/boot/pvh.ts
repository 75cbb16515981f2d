/**
 * Kernels with a PVH entry: an ELF file whose Xen note names a 32-bit one, started with a
 * `struct hvm_start_info` (Xen's public headers, arch-x86/hvm/start_info.h).
 */
import { UserError } from "../../core/errors.ts";
import { BareUserError } from "../../core/options/host.ts";
import { ElfError, type ElfImage, loadPvhElf } from "./elf.ts";
import { FIRMWARE_ROOM } from "./linux.ts";

const MAGIC = 0x336ec578, VERSION = 1;
/** Where the ROM finds the structure and fills it in: below 64 KiB. */
export const START_INFO_ADDRESS = 0x9000;
const START_INFO_SIZE = 56, MODULE_SIZE = 32;
export const CMDLINE_ADDRESS = 0x20000;
/** What the command line may take: the EBDA follows. */
const CMDLINE_MAX = 0x70000;

export interface PvhImage {
  readonly kernel: ElfImage;
  readonly cmdline: Uint8Array;
  readonly initrdAddress: number;
  /** `struct hvm_start_info` and its list of modules, for {@link START_INFO_ADDRESS}. */
  readonly startInfo: Uint8Array;
}

/** Lays an ELF kernel out. `ramSize` is RAM below 4 GiB in bytes. Throws UserError in QEMU's words. */
export function layOutPvh(
  image: Uint8Array,
  append: string,
  initrd: Uint8Array | undefined,
  ramSize: number,
): PvhImage {
  let kernel: ElfImage | undefined;
  try {
    kernel = loadPvhElf(image);
  } catch (e) {
    if (e instanceof ElfError) throw new UserError("Error while loading elf kernel");
    throw e;
  }
  if (kernel === undefined) {
    throw new UserError("Error loading uncompressed kernel without PVH ELF Note");
  }
  const cmdline = new TextEncoder().encode(append + "\0");
  if (kernel.address + kernel.data.length > ramSize || cmdline.length > CMDLINE_MAX) {
    throw new UserError("Error while loading elf kernel");
  }
  let initrdAddress = 0;
  if (initrd !== undefined) {
    const max = ramSize - FIRMWARE_ROOM - 1;
    if (initrd.length >= max) {
      throw new BareUserError(
        `qemu: initrd is too large, cannot support.(max: ${max}, need ${initrd.length})`,
      );
    }
    initrdAddress = Math.floor((max - initrd.length) / 4096) * 4096;
  }
  const modules = initrd === undefined ? 0 : 1;
  const startInfo = new Uint8Array(START_INFO_SIZE + MODULE_SIZE * modules);
  const v = new DataView(startInfo.buffer);
  v.setUint32(0, MAGIC, true);
  v.setUint32(4, VERSION, true);
  v.setUint32(12, modules, true);
  v.setUint32(24, CMDLINE_ADDRESS, true);
  if (initrd !== undefined) {
    v.setUint32(16, START_INFO_ADDRESS + START_INFO_SIZE, true);
    v.setUint32(START_INFO_SIZE, initrdAddress, true);
    v.setUint32(START_INFO_SIZE + 8, initrd.length, true);
  }
  return { kernel, cmdline, initrdAddress, startInfo };
}
