/**
 * What a PC's firmware finds in CMOS RAM: memory sizes, drive types, boot order. IBM PC/AT Technical
 * Reference for 10h–31h; the rest is what QEMU's board gives SeaBIOS.
 */
import type { Geometry } from "../storage/geometry.ts";
import type { Mc146818 } from "../timer/mc146818.ts";
import { UserError } from "../../core/errors.ts";

const FLOPPY_TYPES = 0x10, DISK_TYPES = 0x12, EQUIPMENT = 0x14;
const BASE_MEMORY = 0x15, EXTENDED_MEMORY = 0x17, EXTENDED_MEMORY_POST = 0x30;
const DISK0_TYPE = 0x19, DISK0_PARAMETERS = 0x1b, DISK1_PARAMETERS = 0x24;
const MEMORY_ABOVE_16M = 0x34, MEMORY_ABOVE_4G = 0x5b;
const BOOT_ORDER_3 = 0x38, DISK_TRANSLATION = 0x39, BOOT_ORDER_12 = 0x3d;
const CPU_COUNT = 0x5f;
const EQUIPMENT_FPU = 0x02, EQUIPMENT_PS2_MOUSE = 0x04;
/** A drive whose parameters follow in CMOS. */
const USER_DISK_TYPE = 47;

const KIB = 1024, MIB = 1 << 20;

function set16(rtc: Mc146818, at: number, value: number): void {
  rtc.setCmos(at, value & 0xff);
  rtc.setCmos(at + 1, (value >> 8) & 0xff);
}

/** Memory sizes. `above4g` is the number of bytes from 4 GiB on. */
export function setMemory(rtc: Mc146818, below4g: number, above4g: number): void {
  set16(rtc, BASE_MEMORY, Math.min(below4g / KIB, 640));
  const extended = Math.max(0, Math.min((below4g - MIB) / KIB, 0xffff));
  set16(rtc, EXTENDED_MEMORY, extended);
  set16(rtc, EXTENDED_MEMORY_POST, extended);
  set16(rtc, MEMORY_ABOVE_16M, Math.max(0, Math.min((below4g - 16 * MIB) / 65536, 0xffff)));
  const high = above4g / 65536;
  set16(rtc, MEMORY_ABOVE_4G, high & 0xffff);
  rtc.setCmos(MEMORY_ABOVE_4G + 2, (high >> 16) & 0xff);
}

export function setCpuCount(rtc: Mc146818, cpus: number): void {
  rtc.setCmos(CPU_COUNT, cpus > 0xff ? 0 : cpus - 1);
}

/** Types of drives A and B: 0 none, 2 1.2 MB, 4 1.44 MB, 5 2.88 MB. */
export function setFloppies(rtc: Mc146818, a: number, b: number): void {
  rtc.setCmos(FLOPPY_TYPES, (a << 4) | b);
  const count = (a ? 1 : 0) + (b ? 1 : 0);
  const drives = count === 0 ? 0 : 0x01 | ((count - 1) << 6);
  rtc.setCmos(EQUIPMENT, drives | EQUIPMENT_FPU | EQUIPMENT_PS2_MOUSE);
}

/** How firmware is to translate a disk's geometry. */
export type Translation = "none" | "lba" | "large" | "rechs";
const TRANSLATIONS: readonly Translation[] = ["none", "lba", "large", "rechs"];

/** The translation a PC BIOS of the time would choose. */
export function autoTranslation(g: Geometry): Translation {
  return g.cylinders <= 1024 && g.heads <= 16 && g.sectors <= 63 ? "none" : "lba";
}

/** Disks of the four IDE units, in order primary master, primary slave, and so on. */
export function setDisks(
  rtc: Mc146818,
  disks: readonly ({ geometry: Geometry; translation: Translation } | undefined)[],
): void {
  rtc.setCmos(DISK_TYPES, (disks[0] ? 0xf0 : 0) | (disks[1] ? 0x0f : 0));
  if (disks[0]) setDisk(rtc, DISK0_TYPE, DISK0_PARAMETERS, disks[0].geometry);
  if (disks[1]) setDisk(rtc, DISK0_TYPE + 1, DISK1_PARAMETERS, disks[1].geometry);
  let bits = 0;
  disks.forEach((d, i) => {
    if (d) bits |= TRANSLATIONS.indexOf(d.translation) << (2 * i);
  });
  rtc.setCmos(DISK_TRANSLATION, bits);
}

function setDisk(rtc: Mc146818, type: number, at: number, g: Geometry): void {
  rtc.setCmos(type, USER_DISK_TYPE);
  set16(rtc, at, g.cylinders);
  rtc.setCmos(at + 2, g.heads);
  set16(rtc, at + 3, 0xffff); // write precompensation: none
  rtc.setCmos(at + 5, 0xc0 | (g.heads > 8 ? 0x08 : 0));
  set16(rtc, at + 6, g.cylinders); // landing zone
  rtc.setCmos(at + 8, g.sectors);
}

const BOOT_NIBBLES: Readonly<Record<string, number>> = { a: 1, b: 1, c: 2, d: 3, n: 4 };

function checkBootOrder(order: string): void {
  for (let i = 0; i < order.length; i++) {
    if (!/[a-p]/.test(order[i])) throw new UserError(`Invalid boot device '${order[i]}'`);
    if (order.indexOf(order[i]) < i) {
      throw new UserError(`Boot device '${order[i]}' was given twice`);
    }
  }
}

/** `-boot order=` and HMP `boot_set`. Throws UserError with QEMU's words. */
export function setBootOrder(rtc: Mc146818, order: string, fdBootchk: boolean): void {
  checkBootOrder(order);
  if (order.length > 3) throw new UserError("Too many boot devices for PC");
  const nibbles = [...order].map((c) => {
    const n = BOOT_NIBBLES[c];
    if (n === undefined) throw new UserError(`Invalid boot device for PC: '${c}'`);
    return n;
  });
  rtc.setCmos(BOOT_ORDER_12, ((nibbles[1] ?? 0) << 4) | (nibbles[0] ?? 0));
  rtc.setCmos(BOOT_ORDER_3, ((nibbles[2] ?? 0) << 4) | (fdBootchk ? 0 : 1));
}
