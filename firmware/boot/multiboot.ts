/** Multiboot 1 kernels and their modules: Multiboot Specification 0.6.96. */
import { UserError } from "../../core/errors.ts";
import { ElfError, loadElf32 } from "./elf.ts";

const MAGIC = 0x1badb002;
const HAS_VBE = 0x4, HAS_ADDRESSES = 0x10000;
/** The information structure: below 64 KiB, where the option ROM can fill it in. */
export const INFO_ADDRESS = 0x9000;
const INFO_SIZE = 88;
const F = { MEMORY: 1, BOOT_DEVICE: 2, CMDLINE: 4, MODS: 8, MMAP: 0x40, LOADER: 0x200 } as const;

export interface MultibootModule {
  /** What the kernel sees: file name and arguments. */
  readonly text: string;
  readonly data: Uint8Array;
}

export interface MultibootImage {
  readonly entry: number;
  /** Kernel and page-aligned modules, to be loaded at `address`. */
  readonly address: number;
  readonly data: Uint8Array;
  /** Information structure with its strings, to be loaded at {@link INFO_ADDRESS}. */
  readonly info: Uint8Array;
}

/** Offset of the header in the first 8 KiB, or undefined. */
export function findMultibootHeader(image: Uint8Array): number | undefined {
  const v = new DataView(image.buffer, image.byteOffset, image.byteLength);
  for (let at = 0; at + 12 <= Math.min(image.length, 8192); at += 4) {
    if (v.getUint32(at, true) !== MAGIC) continue;
    const sum = MAGIC + v.getUint32(at + 4, true) + v.getUint32(at + 8, true);
    if (sum % 2 ** 32 === 0) return at;
  }
  return undefined;
}

const pageUp = (n: number) => Math.ceil(n / 4096) * 4096;

/** Lays a kernel out. `header` is what {@link findMultibootHeader} gave. Throws UserError. */
export function layOutMultiboot(
  image: Uint8Array,
  header: number,
  cmdline: string,
  modules: readonly MultibootModule[],
  ramSize: number,
  warn: (text: string) => void,
): MultibootImage {
  const v = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const flags = v.getUint32(header + 4, true);
  if (flags & HAS_VBE) warn("multiboot knows VBE. we don't");
  const kernel = flags & HAS_ADDRESSES ? loadFlat(image, v, header) : loadElf(image);

  const starts: number[] = [];
  let size = pageUp(kernel.data.length);
  for (const m of modules) {
    starts.push(size);
    size += pageUp(m.data.length);
  }
  if (kernel.address + size > ramSize) {
    throw new UserError("multiboot kernel and modules do not fit into memory");
  }
  const data = new Uint8Array(size);
  data.set(kernel.data);
  modules.forEach((m, n) => data.set(m.data, starts[n]));
  return {
    entry: kernel.entry,
    address: kernel.address,
    data,
    info: buildInfo(kernel.address, cmdline, modules, starts),
  };
}

interface Loaded {
  readonly entry: number;
  readonly address: number;
  readonly data: Uint8Array;
}

/** The header itself tells the addresses ("a.out kludge"). */
function loadFlat(image: Uint8Array, v: DataView, header: number): Loaded {
  if (header + 32 > image.length) throw new UserError("invalid mb header");
  const field = (n: number) => v.getUint32(header + 4 * n, true);
  const headerAddress = field(3), loadAddress = field(4), loadEnd = field(5), bssEnd = field(6);
  const entry = field(7);
  if (headerAddress < loadAddress) throw new UserError("invalid load_addr address");
  if (headerAddress - loadAddress > header) throw new UserError("invalid header_addr address");
  const offset = header - (headerAddress - loadAddress);
  let length = image.length - offset;
  if (loadEnd !== 0) {
    if (loadEnd < loadAddress) throw new UserError("invalid load_end_addr address");
    length = loadEnd - loadAddress;
  }
  if (length > image.length - offset) throw new UserError("kernel size too large");
  let total = length;
  if (bssEnd !== 0) {
    if (bssEnd < loadAddress + length) throw new UserError("invalid bss_end_addr address");
    total = bssEnd - loadAddress;
  }
  if (total > 0xf0000000) throw new UserError("kernel size too large");
  const data = new Uint8Array(total);
  data.set(image.subarray(offset, offset + length));
  return { entry, address: loadAddress, data };
}

function loadElf(image: Uint8Array): Loaded {
  if (image[4] === 2 && image[18] === 62) {
    throw new UserError("Cannot load x86-64 image, give a 32bit one.");
  }
  try {
    return loadElf32(image);
  } catch (e) {
    if (e instanceof ElfError) throw new UserError("Error while loading elf kernel");
    throw e;
  }
}

function buildInfo(
  base: number,
  cmdline: string,
  modules: readonly MultibootModule[],
  starts: readonly number[],
): Uint8Array {
  const strings: number[] = [];
  const stringsAt = INFO_ADDRESS + INFO_SIZE + 16 * modules.length;
  const put = (s: string) => {
    const at = stringsAt + strings.length;
    strings.push(...new TextEncoder().encode(s), 0);
    return at;
  };
  const head = new Uint8Array(INFO_SIZE + 16 * modules.length), v = new DataView(head.buffer);
  const set = (at: number, value: number) => v.setUint32(at, value, true);
  set(0, F.MEMORY | F.BOOT_DEVICE | F.CMDLINE | F.MODS | F.MMAP | F.LOADER);
  set(12, 0x8000ffff); // first disk, no partition
  set(16, put(cmdline));
  set(20, modules.length);
  set(24, INFO_ADDRESS + INFO_SIZE);
  set(64, put("qemu"));
  modules.forEach((m, n) => {
    const at = INFO_SIZE + 16 * n;
    set(at, base + starts[n]);
    set(at + 4, base + starts[n] + m.data.length);
    set(at + 8, put(m.text));
  });
  const info = new Uint8Array(head.length + strings.length);
  info.set(head);
  info.set(strings, head.length);
  return info;
}
