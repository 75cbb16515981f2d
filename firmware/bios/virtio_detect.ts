/** POST: finds virtio disks, on PCI or, on a machine without PCI, in windows of memory. */
import { DriveFlag, type DriveInfo, DriveType } from "./drives.ts";
import type { FrameContext } from "./frame.ts";
import { type FoundDrive, translateGeometry, userGeometry } from "./ide_detect.ts";
import { everyFunction, Pci, PciCommand, pciPath, readConfig, writeConfig } from "./pci.ts";
import { openPci, openWindow, VIRTIO_VENDOR, type VirtioPort } from "./virtio.ts";
import { BLOCK_DEVICE, identifyVirtio, type VirtioDisk } from "./virtio_blk.ts";

/** Transitional and modern functions (4.1.2). */
const PCI_DEVICES = [0x1001, 0x1040 + BLOCK_DEVICE];
/** Windows of a machine without PCI: QEMU's docs/system/i386/microvm.rst. */
const WINDOWS = { base: 0xfeb00000, size: 0x200, count: 24 };

/** Translations, as CMOS 39h numbers them. */
const NONE = 0, LBA = 1, LARGE = 2;
/** Products of cylinders and heads that halving and doubling can bring into range: 1024 × 128. */
const LARGE_MAX = 1024 * 128;

/** SeaBIOS's choice of a translation for drives of which CMOS says nothing. */
function translation(d: VirtioDisk): number {
  const { cylinders, heads, sectorsPerTrack } = d;
  if (cylinders === 0 || heads === 0 || sectorsPerTrack === 0) return LBA;
  if (cylinders <= 1024 && heads <= 16 && sectorsPerTrack <= 63) return NONE;
  return cylinders * heads <= LARGE_MAX ? LARGE : LBA;
}

function describe(
  c: FrameContext,
  port: VirtioPort,
  where: Pick<DriveInfo, "cmd" | "ctl" | "bdf">,
  path: string,
  text: string,
): FoundDrive[] {
  const disk = identifyVirtio(c, port);
  if (disk === undefined) return [];
  const { sectors, cylinders, heads, sectorsPerTrack } = disk;
  const g = userGeometry(c, path) ??
    translateGeometry(translation(disk), { cylinders, heads, sectors: sectorsPerTrack }, sectors);
  const info: DriveInfo = {
    ...where,
    type: DriveType.ata,
    flags: DriveFlag.virtio,
    bm: 0,
    unit: 0,
    irq: 0,
    channel: 0,
    cylinders: g.cylinders,
    heads: g.heads,
    sectorsPerTrack: g.sectors,
    sectors,
    physicalCylinders: cylinders,
    physicalHeads: heads,
    physicalSectors: sectorsPerTrack,
  };
  return [{ info, text, path }];
}

export function findVirtioDrives(c: FrameContext, lastBus: number): FoundDrive[] {
  const hex = (n: number, digits: number) => n.toString(16).padStart(digits, "0");
  if (readConfig(c, 0, Pci.VENDOR_ID, 2) === 0xffff) return findInWindows(c);
  const found: FoundDrive[] = [];
  for (const { bdf, vendor, device } of everyFunction(c, lastBus)) {
    if (vendor !== VIRTIO_VENDOR || !PCI_DEVICES.includes(device)) continue;
    const command = readConfig(c, bdf, Pci.COMMAND, 2);
    const on = PciCommand.IO | PciCommand.MEMORY | PciCommand.MASTER;
    writeConfig(c, bdf, Pci.COMMAND, 2, command | on);
    const port = openPci(c, bdf);
    if (port === undefined) continue;
    const name = `${hex(bdf >> 8, 2)}:${hex((bdf >> 3) & 31, 2)}.${bdf & 7}`;
    const path = `${pciPath(c, bdf)}/disk@0,0`;
    found.push(...describe(c, port, { cmd: 0, ctl: 0, bdf }, path, `Virtio disk PCI:${name}`));
  }
  return found;

  function findInWindows(c: FrameContext): FoundDrive[] {
    const found: FoundDrive[] = [];
    for (let n = 0; n < WINDOWS.count; n++) {
      const base = WINDOWS.base + WINDOWS.size * n, window = openWindow(c, base);
      if (window?.deviceId !== BLOCK_DEVICE) continue;
      const where = { cmd: base & 0xffff, ctl: base >>> 16, bdf: 0xffff };
      const path = `/virtio-mmio@${hex(base, 16)}/disk@0,0`;
      const text = `Virtio disk mmio:0x${hex(base, 8)}`;
      found.push(...describe(c, window.port, where, path, text));
    }
    return found;
  }
}
