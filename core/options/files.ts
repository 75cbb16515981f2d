/**
 * The files a configuration names: found in the data directories and loaded, with the messages of
 * QEMU's pc board (which begin with a literal `qemu:`).
 */
import type { FwCfgItem, MachineConfig } from "./config.ts";
import { BareUserError, fail, type OptionsHost, strerror } from "./host.ts";

/**
 * Where a firmware file is: `name` itself when it can be read as a path, else the first of `dirs`
 * that has it.
 */
export function findDataFile(name: string, dirs: readonly string[]): string | undefined {
  return [name, ...dirs.map((d) => `${d}/${name}`)].find(isReadable);
}

function isReadable(path: string): boolean {
  try {
    Deno.openSync(path).close();
    return true;
  } catch {
    return false;
  }
}

/** A file of the data directories such as `vgabios-stdvga.bin`; undefined when there is none. */
export function loadDataFile(
  name: string,
  dirs: readonly string[],
): Uint8Array<ArrayBuffer> | undefined {
  const path = findDataFile(name, dirs);
  try {
    return path === undefined ? undefined : Deno.readFileSync(path);
  } catch {
    return undefined;
  }
}

/** The image `-bios` names, a multiple of 64 KiB; undefined without that option. */
export function loadFirmware(
  config: Pick<MachineConfig, "bios" | "dataDirs">,
): Uint8Array<ArrayBuffer> | undefined {
  if (config.bios === undefined) return undefined;
  const image = loadDataFile(config.bios, config.dataDirs);
  if (image === undefined || image.length === 0 || image.length % 65536 !== 0) {
    throw new BareUserError(`qemu: could not load PC BIOS '${config.bios}'`);
  }
  return image;
}

/** How files are read; throws as Deno does. */
export type ReadFile = (path: string) => Uint8Array;

/** The file `-kernel` names. What it is, is for the boot loaders to find out. */
export function loadKernel(path: string, read: ReadFile = Deno.readFileSync): Uint8Array {
  let image: Uint8Array;
  try {
    image = read(path);
  } catch (e) {
    const why = strerror(e);
    const what = why === "Is a directory" ? "load kernel" : "open kernel file";
    throw new BareUserError(`qemu: could not ${what} '${path}': ${why}`);
  }
  // QEMU prints whatever errno was left over when the file is empty.
  if (image.length > 0) return image;
  throw new BareUserError(`qemu: could not load kernel '${path}': No such file or directory`);
}

/** The file `-initrd` names. */
export function loadInitrd(path: string, read: ReadFile = Deno.readFileSync): Uint8Array {
  try {
    return read(path);
  } catch (e) {
    const why = strerror(e) === "Is a directory"
      ? `Failed to map ${path}' ${path}': mmap() failed: No such device`
      : `Failed to open file “${path}”: open() failed: ${strerror(e)}`;
    throw new BareUserError(`qemu: error reading initrd ${path}: ${why}`);
  }
}

/** The file `-dtb` names. */
export function loadDtb(path: string, read: ReadFile = Deno.readFileSync): Uint8Array {
  let why = "No such file or directory"; // as QEMU says of an empty one, too
  try {
    const tree = read(path);
    if (tree.length > 0) return tree;
  } catch (e) {
    if (strerror(e) !== "Is a directory") why = strerror(e);
  }
  throw new BareUserError(`qemu: error reading dtb ${path}: ${why}`);
}

/**
 * The images of `-option-rom`, searched for in the data directories. One that cannot be opened is
 * told and left out, as in QEMU.
 */
export function loadOptionRoms(
  config: Pick<MachineConfig, "optionRoms" | "dataDirs">,
  host: OptionsHost,
): { name: string; data: Uint8Array<ArrayBuffer>; bootindex: number }[] {
  return config.optionRoms.flatMap(({ file, bootindex }) => {
    const path = findDataFile(file, config.dataDirs) ?? file;
    try {
      const name = path.slice(path.lastIndexOf("/") + 1);
      return [{ name, data: Deno.readFileSync(path), bootindex }];
    } catch (e) {
      host.stderr(`Could not open option rom '${path}': ${strerror(e)}\n`);
      return [];
    }
  });
}

/** The content of a `-fw_cfg` item. A string has no terminating zero. */
export function loadFwCfgItem(item: FwCfgItem): Uint8Array<ArrayBuffer> {
  if (item.file === undefined) return new TextEncoder().encode(item.string ?? "");
  try {
    return Deno.readFileSync(item.file);
  } catch (e) {
    const { file, loc } = item;
    fail(loc, `can't load ${file}: Failed to open file “${file}”: ${strerror(e)}`);
  }
}

/** 16 bytes of a UUID in the order of its digits; zeros for undefined. */
export function uuidBytes(text: string | undefined): Uint8Array<ArrayBuffer> {
  const digits = (text ?? "").replaceAll("-", "").padEnd(32, "0");
  return Uint8Array.from({ length: 16 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
