/** Telling image formats apart by their first bytes. */

/** Formats recognised by {@link probeFormat}, in QEMU's names. */
export type ImageFormat =
  | "raw"
  | "qcow"
  | "qcow2"
  | "qed"
  | "vdi"
  | "vhdx"
  | "vmdk"
  | "vpc"
  | "parallels"
  | "bochs"
  | "cloop"
  | "dmg"
  | "luks";

/** QEMU 7.2's block drivers that `format=` can name. */
export const knownFormats: readonly string[] = [
  "blkdebug",
  "bochs",
  "cloop",
  "copy-on-read",
  "dmg",
  "file",
  "host_cdrom",
  "host_device",
  "luks",
  "null-aio",
  "null-co",
  "parallels",
  "qcow",
  "qcow2",
  "qed",
  "quorum",
  "raw",
  "throttle",
  "vdi",
  "vhdx",
  "vmdk",
  "vpc",
  "vvfat",
];

function ascii(head: Uint8Array, at: number, text: string): boolean {
  if (head.length < at + text.length) return false;
  for (let i = 0; i < text.length; i++) if (head[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/**
 * The format of an image whose first bytes (512 at least, where the file has them) are `head`.
 * Magic numbers: qcow2 and qed specifications, VDI header (64), VHDX 2.1, VMDK 5.0 technical note,
 * VHD 1.0, Parallels, Bochs redolog, LUKS1 6.1.
 */
export function probeFormat(head: Uint8Array): ImageFormat {
  const u32be = (at: number) =>
    head.length < at + 4
      ? -1
      : ((head[at] << 24) | (head[at + 1] << 16) | (head[at + 2] << 8) | head[at + 3]) >>> 0;
  if (u32be(0) === 0x514649fb) return u32be(4) === 1 ? "qcow" : "qcow2"; // "QFI\xfb"
  if (ascii(head, 0, "QED\0")) return "qed";
  if (u32be(64) === 0x7f10dabe) return "vdi"; // 0xbeda107f little endian
  if (ascii(head, 0, "vhdxfile")) return "vhdx";
  if (ascii(head, 0, "KDMV") || ascii(head, 0, "COWD") || vmdkDescriptor(head)) return "vmdk";
  if (ascii(head, 0, "conectix")) return "vpc";
  if (ascii(head, 0, "WithoutFreeSpace") || ascii(head, 0, "WithouFreSpacExt")) return "parallels";
  if (ascii(head, 0, "Bochs Virtual HD Image\0")) return "bochs";
  if (ascii(head, 0, "LUKS\xba\xbe")) return "luks";
  return "raw";
}

/** A VMDK text descriptor: comments and blank lines, then `version=1` to `3`. */
function vmdkDescriptor(head: Uint8Array): boolean {
  if (head[0] !== 0x23) return false; // '#'
  const text = String.fromCharCode(...head.subarray(0, 512));
  for (const line of text.split("\n")) {
    const l = line.replace(/\r$/, "");
    if (l.startsWith("#") || /^[ ]*$/.test(l)) continue;
    return /^version=[123]$/.test(l);
  }
  return false;
}
