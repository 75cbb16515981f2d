/** `-kernel`, `-initrd`, `-append`: reads the files and says what goes into fw_cfg. */
import { UserError } from "../../core/errors.ts";
import {
  loadDtb,
  loadInitrd,
  loadKernel as readKernel,
  type ReadFile,
} from "../../core/options/files.ts";
import { isElf } from "./elf.ts";
import { isLinux, type Items, layOutLinux } from "./linux.ts";
import {
  findMultibootHeader,
  INFO_ADDRESS,
  layOutMultiboot,
  type MultibootModule,
} from "./multiboot.ts";
import { CMDLINE_ADDRESS, layOutPvh, START_INFO_ADDRESS } from "./pvh.ts";
import { Key, linuxRom, multibootRom, pvhRom } from "./rom.ts";

export interface KernelFiles {
  readonly kernel: string;
  readonly initrd: string | undefined;
  readonly append: string;
  readonly dtb?: string;
}

export interface LoadedKernel {
  readonly items: Items;
  /** For fw_cfg `genroms/`, first in the boot order. */
  readonly rom: { readonly name: string; readonly data: Uint8Array };
}

function u32(value: number): Uint8Array {
  const b = new Uint8Array(4);
  new DataView(b.buffer).setUint32(0, value, true);
  return b;
}

/** Throws UserError in QEMU's words. `ramSize`: bytes of RAM below 4 GiB. */
export function loadKernel(
  files: KernelFiles,
  ramSize: number,
  warn: (text: string) => void,
  read: ReadFile = Deno.readFileSync,
): LoadedKernel {
  const image = readKernel(files.kernel, read);
  if (!isLinux(image)) {
    const header = findMultibootHeader(image);
    if (header !== undefined) return multiboot(image, header, files, ramSize, warn, read);
    if (isElf(image)) return pvh(image, files, ramSize, read);
  }
  const initrd = files.initrd === undefined ? undefined : loadInitrd(files.initrd, read);
  const dtb = files.dtb === undefined ? undefined : loadDtb(files.dtb, read);
  const l = layOutLinux(image, files.append, initrd, ramSize, dtb);
  const items: Items = [
    [Key.CMDLINE_ADDR, u32(l.cmdlineAddress)],
    [Key.CMDLINE_SIZE, u32(l.cmdline.length)],
    [Key.CMDLINE_DATA, l.cmdline],
    [Key.KERNEL_ADDR, u32(l.kernelAddress)],
    [Key.KERNEL_SIZE, u32(l.kernel.length)],
    [Key.KERNEL_DATA, l.kernel],
    [Key.SETUP_ADDR, u32(l.setupAddress)],
    [Key.SETUP_SIZE, u32(l.setup.length)],
    [Key.SETUP_DATA, l.setup],
  ];
  if (l.initrd !== undefined) {
    items.push([Key.INITRD_ADDR, u32(l.initrdAddress)]);
    items.push([Key.INITRD_SIZE, u32(l.initrd.length)]);
    items.push([Key.INITRD_DATA, l.initrd]);
  }
  return { items, rom: { name: "linuxboot_dma.bin", data: linuxRom() } };
}

/** A kernel that is started by its PVH entry. */
function pvh(
  image: Uint8Array,
  files: KernelFiles,
  ramSize: number,
  read: ReadFile,
): LoadedKernel {
  const initrd = files.initrd === undefined ? undefined : loadInitrd(files.initrd, read);
  const l = layOutPvh(image, files.append, initrd, ramSize);
  const items: Items = [
    [Key.KERNEL_ENTRY, u32(l.kernel.entry)],
    [Key.KERNEL_ADDR, u32(l.kernel.address)],
    [Key.KERNEL_SIZE, u32(l.kernel.data.length)],
    [Key.KERNEL_DATA, l.kernel.data],
    [Key.CMDLINE_ADDR, u32(CMDLINE_ADDRESS)],
    [Key.CMDLINE_SIZE, u32(l.cmdline.length)],
    [Key.CMDLINE_DATA, l.cmdline],
    [Key.SETUP_ADDR, u32(START_INFO_ADDRESS)],
    [Key.SETUP_SIZE, u32(l.startInfo.length)],
    [Key.SETUP_DATA, l.startInfo],
  ];
  if (initrd !== undefined) {
    items.push([Key.INITRD_ADDR, u32(l.initrdAddress)]);
    items.push([Key.INITRD_SIZE, u32(initrd.length)]);
    items.push([Key.INITRD_DATA, initrd]);
  }
  return { items, rom: { name: "pvh.bin", data: pvhRom() } };
}

/** Splits `-initrd` at commas; two commas are one in a name. */
export function splitModules(text: string): string[] {
  const parts = [""];
  for (let n = 0; n < text.length; n++) {
    if (text[n] !== ",") parts[parts.length - 1] += text[n];
    else if (text[n + 1] === ",") {
      parts[parts.length - 1] += ",";
      n++;
    } else parts.push("");
  }
  return parts;
}

function multiboot(
  image: Uint8Array,
  header: number,
  files: KernelFiles,
  ramSize: number,
  warn: (text: string) => void,
  read: ReadFile,
): LoadedKernel {
  const modules = (files.initrd === undefined ? [] : splitModules(files.initrd)).map(
    (text): MultibootModule => {
      const trimmed = text.trimStart(), name = trimmed.split(" ")[0];
      try {
        return { text: trimmed, data: read(name) };
      } catch {
        throw new UserError(`Failed to open file '${name}'`);
      }
    },
  );
  const m = layOutMultiboot(
    image,
    header,
    `${files.kernel} ${files.append}`,
    modules,
    ramSize,
    warn,
  );
  return {
    items: [
      [Key.KERNEL_ENTRY, u32(m.entry)],
      [Key.KERNEL_ADDR, u32(m.address)],
      [Key.KERNEL_SIZE, u32(m.data.length)],
      [Key.KERNEL_DATA, m.data],
      [Key.INITRD_ADDR, u32(INFO_ADDRESS)],
      [Key.INITRD_SIZE, u32(m.info.length)],
      [Key.INITRD_DATA, m.info],
    ],
    rom: { name: "multiboot_dma.bin", data: multibootRom() },
  };
}
