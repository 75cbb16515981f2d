/** bzImage and zImage kernels: Documentation/x86/boot.rst, boot protocol 2.00 to 2.15. */
import { BareUserError } from "../../core/options/host.ts";

/** fw_cfg items by key. */
export type Items = [key: number, data: Uint8Array][];

export interface LinuxImage {
  /** Addresses and contents of what the option ROM loads. */
  readonly setupAddress: number;
  readonly setup: Uint8Array;
  readonly cmdlineAddress: number;
  readonly cmdline: Uint8Array;
  readonly kernelAddress: number;
  readonly kernel: Uint8Array;
  readonly initrdAddress: number;
  readonly initrd: Uint8Array | undefined;
}

const HDRS = 0x53726448; // "HdrS"
/** Offsets in the setup header. */
const H = {
  SETUP_SECTS: 0x1f1,
  VID_MODE: 0x1fa,
  HEADER: 0x202,
  VERSION: 0x206,
  TYPE_OF_LOADER: 0x210,
  LOADFLAGS: 0x211,
  RAMDISK_IMAGE: 0x218,
  RAMDISK_SIZE: 0x21c,
  HEAP_END_PTR: 0x224,
  CMD_LINE_PTR: 0x228,
  INITRD_ADDR_MAX: 0x22c,
  SETUP_DATA: 0x250,
} as const;
/** `struct setup_data`: next (8 bytes), type, length. */
const SETUP_DATA_SIZE = 16, SETUP_DTB = 2;
const LOADED_HIGH = 0x01, CAN_USE_HEAP = 0x80;
/** Loader number 0xB is QEMU's. */
const LOADER = 0xb0;
/** Room that firmware keeps at the top of RAM for its tables, as QEMU's pc board assumes. */
export const FIRMWARE_ROOM = 0x28000;

/** True for a kernel with a setup header. */
export function isLinux(kernel: Uint8Array): boolean {
  return kernel.length >= H.HEADER + 8 &&
    new DataView(kernel.buffer, kernel.byteOffset).getUint32(H.HEADER, true) === HDRS;
}

/** `vga=` of the command line as VID_MODE. */
function videoMode(cmdline: string): number | undefined {
  const at = cmdline.indexOf("vga=");
  if (at < 0) return undefined;
  const text = cmdline.slice(at + 4).split(" ")[0];
  if (text.startsWith("normal")) return 0xffff;
  if (text.startsWith("ext")) return 0xfffe;
  if (text.startsWith("ask")) return 0xfffd;
  const n = /^0x[0-9a-f]+$/i.test(text)
    ? parseInt(text, 16)
    : /^0[0-7]*$/.test(text)
    ? parseInt(text, 8)
    : /^\d+$/.test(text)
    ? parseInt(text, 10)
    : undefined;
  if (n === undefined) throw new BareUserError("qemu: invalid 'vga=' kernel parameter.");
  return n & 0xffff;
}

/**
 * Lays a kernel out as QEMU does. `ramSize` is RAM below 4 GiB in bytes.
 * Throws UserError with QEMU's words for what is not a kernel or does not fit.
 */
export function layOutLinux(
  image: Uint8Array,
  cmdline: string,
  initrd: Uint8Array | undefined,
  ramSize: number,
  dtb?: Uint8Array,
): LinuxImage {
  if (image.length < H.HEADER + 2) throw new BareUserError("qemu: invalid kernel header");
  const head = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const protocol = isLinux(image) ? head.getUint16(H.VERSION, true) : 0;
  const text = new TextEncoder().encode(cmdline + "\0");
  const cmdlineSize = Math.ceil((text.length + 15) / 16) * 16;
  let setupAddress: number, cmdlineAddress: number, kernelAddress: number;
  if (protocol < 0x200 || (image[H.LOADFLAGS] & LOADED_HIGH) === 0) {
    [setupAddress, cmdlineAddress, kernelAddress] = [0x90000, 0x9a000 - cmdlineSize, 0x10000];
  } else if (protocol < 0x202) {
    [setupAddress, cmdlineAddress, kernelAddress] = [0x90000, 0x9a000 - cmdlineSize, 0x100000];
  } else [setupAddress, cmdlineAddress, kernelAddress] = [0x10000, 0x20000, 0x100000];

  const setupSize = ((image[H.SETUP_SECTS] || 4) + 1) * 512;
  if (setupSize > image.length) throw new BareUserError("qemu: invalid kernel header");
  const setup = image.slice(0, setupSize);
  const v = new DataView(setup.buffer);
  if (protocol >= 0x202) v.setUint32(H.CMD_LINE_PTR, cmdlineAddress, true);
  else {
    v.setUint16(0x20, 0xa33f, true);
    v.setUint16(0x22, cmdlineAddress - setupAddress, true);
  }
  const mode = videoMode(cmdline);
  if (mode !== undefined) v.setUint16(H.VID_MODE, mode, true);
  if (protocol >= 0x200) setup[H.TYPE_OF_LOADER] = LOADER;
  if (protocol >= 0x201) {
    setup[H.LOADFLAGS] |= CAN_USE_HEAP;
    v.setUint16(H.HEAP_END_PTR, cmdlineAddress - setupAddress - 0x200, true);
  }
  let initrdAddress = 0;
  if (initrd !== undefined) {
    if (protocol < 0x200) {
      throw new BareUserError("qemu: linux kernel too old to load a ram disk");
    }
    const wish = protocol >= 0x203 ? v.getUint32(H.INITRD_ADDR_MAX, true) : 0x37ffffff;
    const max = Math.min(wish, ramSize - FIRMWARE_ROOM - 1);
    if (initrd.length >= max) {
      throw new BareUserError(
        `qemu: initrd is too large, cannot support.(max: ${max}, need ${initrd.length})`,
      );
    }
    initrdAddress = Math.floor((max - initrd.length) / 4096) * 4096;
    v.setUint32(H.RAMDISK_IMAGE, initrdAddress, true);
    v.setUint32(H.RAMDISK_SIZE, initrd.length, true);
  }
  let kernel = image.subarray(setupSize);
  if (dtb !== undefined) {
    if (protocol < 0x209) throw new BareUserError("qemu: Linux kernel too old to load a dtb");
    const at = Math.ceil(kernel.length / 16) * 16;
    const whole = new Uint8Array(at + SETUP_DATA_SIZE + dtb.length);
    whole.set(kernel);
    whole.set(dtb, at + SETUP_DATA_SIZE);
    const data = new DataView(whole.buffer, at);
    data.setUint32(8, SETUP_DTB, true);
    data.setUint32(12, dtb.length, true);
    v.setBigUint64(H.SETUP_DATA, BigInt(kernelAddress + at), true);
    kernel = whole;
  }
  return {
    setupAddress,
    setup,
    cmdlineAddress,
    cmdline: text,
    kernelAddress,
    kernel,
    initrdAddress,
    initrd,
  };
}
