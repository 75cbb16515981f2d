/** POST: finds IDE and AHCI controllers and what is attached to them; fills the drive table. */
import { findAhciDevices } from "./ahci.ts";
import { identify } from "./ata.ts";
import { pathMatches } from "./boot_list.ts";
import { addDrive, countType, DriveFlag, type DriveInfo, DriveType, readDrive } from "./drives.ts";
import type { FrameContext } from "./frame.ts";
import { readFile } from "./fwcfg.ts";
import { maskIrq } from "./irq.ts";
import { Bda, Ebda } from "./layout.ts";
import { readCmos } from "./memory_map.ts";
import { everyFunction, Pci, PciCommand, readConfig, writeConfig } from "./pci.ts";

interface Channel {
  readonly cmd: number;
  readonly ctl: number;
  readonly bm: number;
  readonly irq: number;
  readonly bdf: number;
}

/** A drive with its place in the boot order, as fw_cfg names it. */
export interface FoundDrive {
  readonly info: DriveInfo;
  /** For the boot menu. */
  readonly text: string;
  /** OpenFirmware path as in `bootorder`: `/pci@i0cf8/ide@1,1/drive@0/disk@0`; see pathMatches. */
  readonly path: string;
}

function channels(c: FrameContext, lastBus: number): Channel[] {
  const list: Channel[] = [];
  for (const f of everyFunction(c, lastBus)) {
    if (f.classCode >> 8 !== 0x0101) continue;
    const progIf = f.classCode & 0xff;
    const command = readConfig(c, f.bdf, Pci.COMMAND, 2);
    writeConfig(c, f.bdf, Pci.COMMAND, 2, command | PciCommand.IO | PciCommand.MASTER);
    const bar = (n: number) => readConfig(c, f.bdf, Pci.BAR0 + 4 * n, 4);
    const bm = progIf & 0x80 && bar(4) & 1 ? bar(4) & 0xfffc : 0;
    const irq = readConfig(c, f.bdf, Pci.INTERRUPT_LINE, 1);
    for (const n of [0, 1]) {
      const native = (progIf & (n === 0 ? 0x01 : 0x04)) !== 0;
      const legacy = n === 0 ? [0x1f0, 0x3f6, 14] : [0x170, 0x376, 15];
      list.push({
        cmd: native ? bar(2 * n) & 0xfffc : legacy[0],
        ctl: native ? (bar(2 * n + 1) & 0xfffc) + 2 : legacy[1],
        bm: bm === 0 ? 0 : bm + 8 * n,
        irq: native ? irq : legacy[2],
        bdf: f.bdf,
      });
    }
  }
  if (list.length === 0) { // a machine with ISA only
    list.push({ cmd: 0x1f0, ctl: 0x3f6, bm: 0, irq: 14, bdf: 0xffff });
    list.push({ cmd: 0x170, ctl: 0x376, bm: 0, irq: 15, bdf: 0xffff });
  }
  return list;
}

function text(words: Uint16Array, from: number, to: number): string {
  let s = "";
  for (let n = from; n < to; n++) s += String.fromCharCode(words[n] >> 8, words[n] & 0xff);
  return s.trim();
}

/** The geometry programs see, from the drive's own. CMOS 39h: 0 none, 1 LBA, 2 large, 3 R-ECHS. */
export function translateGeometry(
  mode: number,
  physical: { cylinders: number; heads: number; sectors: number },
  total: number,
): { cylinders: number; heads: number; sectors: number } {
  let { cylinders, heads, sectors } = physical;
  if (mode === 1) {
    sectors = 63;
    const tracks = Math.floor(Math.min(total, 255 * 63 * 1024) / 63);
    heads = [16, 32, 64, 128].find((h) => tracks <= h * 1024) ?? 255;
    cylinders = Math.floor(tracks / heads);
  } else if (mode === 2 || mode === 3) {
    if (mode === 3 && heads === 16 && cylinders <= 61439) {
      heads = 15;
      cylinders = Math.floor(cylinders * 16 / 15);
    }
    while (cylinders > 1024 && heads <= 127) {
      cylinders >>= 1;
      heads <<= 1;
    }
  }
  return { cylinders: Math.max(1, Math.min(cylinders, 1024)), heads, sectors };
}

/**
 * `bios-geometry`: lines "path cylinders heads sectors", a user's `lcyls=` and so on. What INT 13h
 * cannot express counts as not given, or as 1024 cylinders.
 */
export function userGeometry(c: FrameContext, path: string) {
  const raw = readFile(c, "bios-geometry", 4096);
  if (raw === undefined) return undefined;
  for (const line of new TextDecoder().decode(raw).replaceAll("\0", "").split("\n")) {
    const [p, cyl, heads, secs] = line.split(" ");
    const g = { cylinders: Number(cyl) & 0xffff, heads: Number(heads), sectors: Number(secs) };
    if (!pathMatches(p, path)) continue;
    if (!(g.heads > 0 && g.heads < 256 && g.sectors > 0 && g.sectors < 64)) continue;
    return { ...g, cylinders: Math.max(1, Math.min(g.cylinders, 1024)) };
  }
  return undefined;
}

/** What IDENTIFY data say of a drive, in addition to where it is. */
function describe(
  c: FrameContext,
  where: Pick<DriveInfo, "cmd" | "ctl" | "bm" | "unit" | "irq" | "channel" | "bdf">,
  id: { readonly packet: boolean; readonly words: Uint16Array },
  path: string,
  flags: number,
): FoundDrive {
  const w = id.words;
  const info: DriveInfo = {
    ...where,
    type: id.packet ? DriveType.atapi : DriveType.ata,
    flags,
    cylinders: 0,
    heads: 0,
    sectorsPerTrack: 0,
    sectors: 0,
    physicalCylinders: w[1],
    physicalHeads: w[3] & 0xff,
    physicalSectors: w[6] & 0xff,
  };
  if (!id.packet) {
    const lba28 = w[60] + w[61] * 65536;
    info.sectors = lba28;
    if (w[83] & 0x0400) {
      info.flags |= DriveFlag.lba48;
      info.sectors = Math.max(lba28, w[100] + w[101] * 2 ** 16 + w[102] * 2 ** 32);
    }
    const unit = flags & DriveFlag.ahci ? 0 : where.unit, { channel } = where;
    const mode = channel < 2 ? (readCmos(c, 0x39) >> (2 * (2 * channel + unit))) & 3 : 1;
    const g = userGeometry(c, path) ?? translateGeometry(
      mode,
      { cylinders: w[1], heads: w[3] & 0xff, sectors: w[6] & 0xff },
      info.sectors,
    );
    info.cylinders = g.cylinders;
    info.heads = g.heads;
    info.sectorsPerTrack = g.sectors;
  }
  return { info, text: menuText(info, w), path };
}

/** A drive as SeaBIOS's menu names it. */
function menuText(d: DriveInfo, w: Uint16Array): string {
  const where = d.flags & DriveFlag.ahci ? `AHCI/${d.unit}` : `ata${d.channel}-${d.unit}`;
  const version = 31 - Math.clz32(w[80] & 0x7ffe), model = text(w, 27, 47);
  if (d.type === DriveType.atapi) return `DVD/CD [${where}: ${model} ATAPI-${version} DVD/CD]`;
  const mib = Math.floor(d.sectors / 2048);
  const size = mib < 65536 ? `${mib} MiBytes` : `${Math.floor(mib / 1024)} GiBytes`;
  return `${where}: ${model} ATA-${version} Hard-Disk (${size})`;
}

/** Drives at AHCI ports. Their translations are in CMOS in order of the ports. */
export function findAhciDrives(c: FrameContext, lastBus: number): FoundDrive[] {
  return findAhciDevices(c, lastBus).map((d) => {
    const path = `/pci@i0cf8/${d.name}/drive@${d.unit.toString(16)}/disk@0`;
    const irq = readConfig(c, d.bdf, Pci.INTERRUPT_LINE, 1);
    const { cmd, ctl, unit, bdf } = d, flags = DriveFlag.ahci | DriveFlag.dma;
    return describe(c, { cmd, ctl, bm: 0, unit, irq, channel: unit, bdf }, d, path, flags);
  });
}

/** Looks at every channel. The drive table is filled by {@link registerDrives}, in boot order. */
export function findIdeDrives(c: FrameContext, lastBus: number): FoundDrive[] {
  const found: FoundDrive[] = [];
  channels(c, lastBus).forEach((ch, channel) => {
    for (const unit of [0, 1]) {
      const id = identify(c, { ...ch, unit });
      if (id === undefined) continue;
      const slot = (ch.bdf >> 3) & 31, fn = ch.bdf & 7;
      const where = ch.bdf === 0xffff
        ? `/isa@0/ide@${ch.cmd.toString(16)}`
        : `/pci@i0cf8/ide@${slot.toString(16)}${fn ? "," + fn : ""}`;
      const path = `${where}/drive@${channel & 1}/disk@${unit}`;
      const dma = ch.bm !== 0 && (id.words[49] & 0x0100) !== 0;
      found.push(describe(c, { ...ch, unit, channel }, id, path, dma ? DriveFlag.dma : 0));
    }
    c.outb(ch.ctl, 0x08);
    maskIrq(c, ch.irq, false);
  });
  return found;
}

/** Enters the drives, disks in the order given, and sets what the BDA and INT 41h/46h say. */
export function registerDrives(c: FrameContext, drives: readonly FoundDrive[]): void {
  for (const d of drives) addDrive(c, d.info);
  const disks = countType(c, DriveType.ata);
  c.write8(Bda.diskCount, disks);
  let index = 0;
  for (let row = 0; row < drives.length && index < 2; row++) {
    const d = readDrive(c, row);
    if (d.type !== DriveType.ata) continue;
    const at = index === 0 ? Ebda.fdpt0 : Ebda.fdpt1;
    writeFdpt(c, at, d);
    c.write16((index === 0 ? 0x41 : 0x46) * 4, at - (Ebda.size & ~15));
    c.write16((index === 0 ? 0x41 : 0x46) * 4 + 2, (Ebda.size & ~15) / 16);
    index++;
  }
}

/** The 16-byte fixed disk parameter table; with signature A0h where the geometry is translated. */
function writeFdpt(c: FrameContext, at: number, d: DriveInfo): void {
  const b = new Uint8Array(16), v = new DataView(b.buffer);
  v.setUint16(0, d.cylinders, true);
  b[2] = d.heads;
  v.setUint16(5, 0xffff, true); // write precompensation: none
  b[8] = 0xc0 | (d.heads > 8 ? 0x08 : 0);
  v.setUint16(12, d.physicalCylinders, true); // landing zone
  b[14] = d.sectorsPerTrack;
  const translated = d.cylinders !== d.physicalCylinders || d.heads !== d.physicalHeads ||
    d.sectorsPerTrack !== d.physicalSectors;
  if (translated) {
    b[3] = 0xa0;
    b[4] = d.physicalSectors;
    v.setUint16(9, d.physicalCylinders, true);
    b[11] = d.physicalHeads;
    b[15] = -b.reduce((a, x) => a + x, 0) & 0xff;
  }
  c.writeBytes(at, b);
}
