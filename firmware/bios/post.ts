/**
 * Power-on self test: from reset to INT 19h. Each phase is one visit of the handler; what a later
 * phase needs is kept in the private segment.
 */
import {
  addBootEntry,
  bootCount,
  bootOrder,
  BootType,
  classPriority,
  clearBootList,
  pathPriority,
  promote,
  readBootEntry,
} from "./boot_list.ts";
import type { Print } from "./boot.ts";
import {
  assignIrqLines,
  chipsetRanges,
  isQ35,
  PCIEXBAR,
  protectShadow,
  reopenShadow,
  setUpDevice,
  setUpDevices,
  setUpHostBridge,
  shadowRom,
} from "./chipset.ts";
import { DriveType } from "./drives.ts";
import { floppyCount, resetFloppy } from "./floppy.ts";
import type { FrameContext } from "./frame.ts";
import { fileNumber, FwCfg, fwCfgPresent, item16, readFile } from "./fwcfg.ts";
import { findAhciDrives, findIdeDrives, registerDrives } from "./ide_detect.ts";
import { initPics, maskIrq } from "./irq.ts";
import { dropKey, initKeyBuffer, peekKey } from "./keyboard.ts";
import { Bda, Ebda, EBDA_SEGMENT, Private, PRIVATE_BASE } from "./layout.ts";
import { buildMemoryMap, highMemory, lowMemory, writeCmos } from "./memory_map.ts";
import { loadOtherRom, loadVideoRom, ROM_AREA, romBootEntries } from "./option_rom.ts";
import { enumerate, everyFunction, type PciBusInfo } from "./pci.ts";
import { assignResources } from "./pci_resources.ts";
import { detectParallel } from "./printer.ts";
import { initKeyboard, mouseSend } from "./ps2.ts";
import {
  type BiosRom,
  DISKETTE_TABLE_OFFSET,
  entryOffsets,
  FONT_OFFSET,
  IRET_OFFSET,
} from "./rom.ts";
import { initSercon, serconPoll } from "./sercon.ts";
import { detectSerial } from "./serial.ts";
import { initTableSpace } from "./table_space.ts";
import { cpuCounts, placeAcpi, placeInterruptTables, placeSmbios } from "./tables_post.ts";
import { initTimer } from "./timer.ts";
import { findVirtioDrives } from "./virtio_detect.ts";

const Phase = {
  start: 0,
  probed: 1,
  waitForAps: 2,
  video: 3,
  banner: 4,
  drives: 5,
  romDone: 7,
  bcvDone: 8,
  bootList: 9,
  menuWait: 10,
  menuKey: 12,
  boot: 13,
  limits: 14,
  leave: 15,
} as const;

const P = PRIVATE_BASE;
/** Kept at the top of low RAM for ACPI and SMBIOS tables. */
const RESERVED_HIGH = 0x20000;
/** CMOS 0Fh as firmware leaves it while the machine sleeps; the stub passes it in BL. */
const SHUTDOWN_S3 = 0xfe;
/** Where PCI memory may begin at the lowest. */
const PCI_MEM_START = 0xe0000000, PCI_MEM_END = 0xfec00000;
/** Visits that an application processor gets to report itself. */
const AP_PATIENCE = 2_000_000;
const TICK_MS = 1000 / 18.2065;

export function makePost(rom: BiosRom, print: Print): (c: FrameContext) => void {
  const offset = (label: string) => rom.labels.get(label)! & 0xffff;

  return post;

  function post(c: FrameContext): void {
    switch (c.phase) {
      case Phase.start:
        if (c.bl === SHUTDOWN_S3 && resume(c)) return;
        initMemory(c, rom);
        return c.call(0xf000, offset("cpu_probe"), Phase.probed);
      case Phase.probed:
        setUpPci(c, rom);
        if (!prepareCpus(c)) return startDevices(c);
        return c.call(0xf000, offset("mp_start"), Phase.waitForAps);
      case Phase.waitForAps: {
        const missing = c.read32(P + Private.apCount) < cpuCounts(c).present - 1;
        // Words 1 and 2 of args count the visits; word 0 has AX of mp_start.
        const visits = c.arg(1) + c.arg(2) * 0x10000;
        if (missing && visits < AP_PATIENCE) {
          c.setArg(1, (visits + 1) & 0xffff);
          c.setArg(2, (visits + 1) >>> 16);
          return c.poll(Phase.waitForAps);
        }
        return startDevices(c);
      }
      case Phase.video:
        hookSercon(c, rom);
        return c.interrupt(0x10, Phase.banner, 0x0003); // 80 by 25 characters, colour
      case Phase.banner:
        return print(c, "qeno BIOS\n\n", Phase.drives);
      case Phase.drives:
        findDrives(c);
        c.write32(P + Private.cursor, 0);
        return nextRom(c, offset("pnp_id"));
      case Phase.romDone:
        return afterRom(c, offset("pnp_id"));
      case Phase.bcvDone:
        return nextRom(c, offset("pnp_id"));
      case Phase.bootList:
        return askForMenu(c, print);
      case Phase.menuWait:
        return waitForMenuKey(c, print);
      case Phase.menuKey:
        return takeMenuKey(c);
      case Phase.limits:
        return startVideo(c);
      case Phase.boot:
        c.bx = 16;
        return c.call(0xf000, offset("real_limits"), Phase.leave);
      case Phase.leave:
        return startBoot(c);
    }
  }

  /** Option ROM `cursor`: copied and initialised; without more, the boot list. */
  function nextRom(c: FrameContext, pnp: number): void {
    const last = c.read8(P + Private.lastBus);
    for (let n = 0; n < 64; n++) {
      const index = c.read32(P + Private.cursor), to = c.read32(P + Private.romNext);
      const found = loadOtherRom(c, last, index, to);
      if (found === undefined) {
        c.phase = Phase.bootList;
        return post(c);
      }
      c.write32(P + Private.cursor, index + 1);
      if (found === "skip") continue;
      writeRomName(c, found.path);
      return callRom(c, to, found.bdf, pnp, Phase.romDone);
    }
  }

  /** An initialised ROM may have shrunk; what it can boot is entered, a BCV called. */
  function afterRom(c: FrameContext, pnp: number): void {
    const at = c.read32(P + Private.romNext);
    if (c.read16(at) === 0xaa55) {
      const size = c.read8(at + 2) * 512;
      const order = bootOrder(c), path = readRomName(c);
      const entries = romBootEntries(c, at);
      for (const e of entries) {
        if (e.kind !== "bev") continue;
        addBootEntry(c, {
          type: BootType.bev,
          drive: 0,
          segment: at >> 4,
          offset: e.offset,
          priority: pathPriority(order, path) ?? classPriority(c, 4),
          text: e.product || "Option ROM",
        });
      }
      c.write32(P + Private.romNext, Math.ceil((at + size) / 2048) * 2048);
      const bcv = entries.find((e) => e.kind === "bcv");
      if (bcv !== undefined) {
        c.es = 0xf000;
        c.di = pnp;
        return c.call(at >> 4, bcv.offset, Phase.bcvDone);
      }
    }
    nextRom(c, pnp);
  }

  /** After CPUs: what needs interrupts; then the video BIOS. */
  function startDevices(c: FrameContext): void {
    initDevices(c);
    c.bx = 8;
    c.call(0xf000, offset("real_limits"), Phase.limits);
  }

  function startVideo(c: FrameContext): void {
    const video = loadVideoRom(c, c.read8(P + Private.lastBus));
    c.write32(
      P + Private.romNext,
      video === undefined ? ROM_AREA + 0x8000 : Math.ceil((ROM_AREA + video.size) / 2048) * 2048,
    );
    if (video === undefined) {
      c.phase = Phase.video;
      return post(c);
    }
    callRom(c, ROM_AREA, video.bdf, offset("pnp_id"), Phase.video);
  }

  function askForMenu(c: FrameContext, print: Print): void {
    addDriveEntries(c);
    const menu = fwCfgPresent(c) && item16(c, FwCfg.bootMenu) === 1;
    if (!menu || bootCount(c) === 0) {
      c.phase = Phase.boot;
      return post(c);
    }
    const wait = fileNumber(c, "etc/boot-menu-wait", 2500);
    c.write32(P + Private.deadline, c.read32(Bda.ticks) + Math.ceil(wait / TICK_MS));
    while (peekKey(c) !== undefined) dropKey(c);
    const message = readFile(c, "etc/boot-menu-message", 256);
    const text = message === undefined
      ? "Press ESC for boot menu."
      : new TextDecoder().decode(message).replaceAll("\0", "").trim();
    print(c, `${text}\n\n`, Phase.menuWait);
  }

  function waitForMenuKey(c: FrameContext, print: Print): void {
    const wanted = fileNumber(c, "etc/boot-menu-key", 1);
    serconPoll(c);
    for (let key = peekKey(c); key !== undefined; key = peekKey(c)) {
      dropKey(c);
      if (key >> 8 !== wanted && key >> 8 !== 0x86) continue;
      let text = "Select boot device:\n\n";
      for (let n = 0; n < bootCount(c); n++) text += `${n + 1}. ${readBootEntry(c, n).text}\n`;
      return print(c, text + "\n", Phase.menuKey);
    }
    if (c.read32(Bda.ticks) >= c.read32(P + Private.deadline)) {
      c.phase = Phase.boot;
      return post(c);
    }
    c.wait(Phase.menuWait);
  }

  /** A digit or letter chooses, ESC goes on with the usual order. */
  function takeMenuKey(c: FrameContext): void {
    serconPoll(c);
    const key = peekKey(c);
    if (key === undefined) return c.wait(Phase.menuKey);
    dropKey(c);
    const ch = String.fromCharCode(key & 0xff).toLowerCase();
    const choice = "123456789abcdefghijklmno".indexOf(ch);
    if ((key & 0xff) === 0x1b) c.phase = Phase.boot;
    else if (choice >= 0 && choice < bootCount(c)) {
      promote(c, choice);
      c.phase = Phase.boot;
    } else return c.wait(Phase.menuKey);
    post(c);
  }
}

function callRom(c: FrameContext, at: number, bdf: number, pnp: number, phase: number): void {
  c.eax = bdf;
  c.ebx = c.edx = 0xffff;
  c.ecx = 0;
  c.es = 0xf000;
  c.edi = pnp;
  c.ds = 0;
  c.call(at >> 4, 3, phase);
}

/** IVT, BDA, EBDA, private segment, interrupt controllers, timer. */
function initMemory(c: FrameContext, rom: BiosRom): void {
  shadowRom(c);
  const warm = c.read16(Bda.resetFlag);
  c.writeBytes(0x400, new Uint8Array(0x100));
  c.write16(Bda.resetFlag, warm);
  c.writeBytes(EBDA_SEGMENT * 16, new Uint8Array(0x400));
  c.writeBytes(P, new Uint8Array(Private.end));
  c.outb(0x92, (c.inb(0x92) & ~1) | 2); // A20
  for (const port of [0x0d, 0xda]) c.outb(port, 0); // DMA master clear
  c.outb(0xd6, 0xc0); // cascade channel 4
  c.outb(0xd4, 0x00);

  const vector = (n: number, segment: number, offset: number) =>
    c.write32(4 * n, ((segment << 16) | offset) >>> 0);
  const label = (name: string) => rom.labels.get(name)! & 0xffff;
  for (let n = 0; n < 0x78; n++) vector(n, 0xf000, IRET_OFFSET);
  for (let n = 0x78; n < 256; n++) vector(n, 0, 0);
  for (let n = 0x60; n < 0x68; n++) vector(n, 0, 0);
  for (let n = 8; n < 16; n++) vector(n, 0xf000, label("fn.spurious"));
  for (let n = 0x70; n < 0x78; n++) vector(n, 0xf000, label("fn.spurious"));
  for (const [n, at] of entryOffsets) vector(n, 0xf000, at);
  for (const n of [0x18, 0x70, 0x71, 0x74, 0x75, 0x76, 0x77]) {
    if (n !== 0x71) vector(n, 0xf000, label(`entry.${n.toString(16)}`));
  }
  vector(0x1d, 0, 0);
  vector(0x1e, 0xf000, DISKETTE_TABLE_OFFSET);
  vector(0x1f, 0, 0);
  vector(0x41, 0, 0);
  vector(0x46, 0, 0);
  vector(0x43, 0xf000, FONT_OFFSET);

  c.write16(Bda.ebdaSegment, EBDA_SEGMENT);
  c.write8(Ebda.size, 1);
  c.write16(Bda.memoryKiB, EBDA_SEGMENT * 16 / 1024);
  initKeyBuffer(c);
  initPics(c);
  initTimer(c);
  clearBootList(c);
}

function setUpPci(c: FrameContext, rom: BiosRom): void {
  const low = lowMemory(c), high = highMemory(c);
  const reserved = low >= 0x400000 ? RESERVED_HIGH : 0;
  buildMemoryMap(c, reserved, chipsetRanges(c));
  initTableSpace(c, low - reserved, low);
  setUpHostBridge(c);
  const root: PciBusInfo = enumerate(c);
  if (root.functions.length > 0) {
    const last = root.functions.reduce(
      function deepest(n: number, f): number {
        return f.secondary
          ? f.secondary.functions.reduce(deepest, Math.max(n, f.secondary.number))
          : n;
      },
      0,
    );
    c.write8(P + Private.lastBus, last);
    c.write8(rom.labels.get("p32_last_bus")! - 1, last);
    assignResources(c, root, {
      memStart: Math.max(low, isQ35(c) ? PCIEXBAR + 0x10000000 : PCI_MEM_START),
      memEnd: PCI_MEM_END,
      highStart: 2 ** 32 + high,
    });
    assignIrqLines(c, root);
    setUpDevices(c, root);
  }
  placeInterruptTables(c, root);
  placeSmbios(c);
  placeAcpi(c);
}

/** Fills the MSR table with the MTRRs (SDM volume 3, 12.11). False without a local APIC. */
function prepareCpus(c: FrameContext): boolean {
  const features = c.read32(P + Private.cpuid + 12);
  if ((features & 0x200) === 0) return false;
  if (features & 0x1000) {
    const bits = Math.min(52, c.read8(P + Private.physicalBits) || 36);
    const uncached = 2 ** 32 - PCI_MEM_START;
    const msrs: [number, number, number][] = [
      [0x2ff, 0, 0], // MTRRdefType: off meanwhile
      [0x250, 0x06060606, 0x06060606],
      [0x258, 0x06060606, 0x06060606],
      [0x259, 0, 0],
    ];
    for (let n = 0; n < 8; n++) msrs.push([0x268 + n, 0x05050505, 0x05050505]);
    msrs.push([0x200, PCI_MEM_START, 0]);
    msrs.push([0x201, (-uncached >>> 0) | 0x800, 2 ** Math.max(0, bits - 32) - 1]);
    msrs.push([0x2ff, 0xc06, 0]);
    msrs.forEach((m, n) =>
      m.forEach((v, k) => c.write32(P + Private.msrTable + 12 * n + 4 * k, v >>> 0))
    );
    c.write16(P + Private.msrCount, msrs.length);
  }
  return true;
}

function initDevices(c: FrameContext): void {
  initKeyboard(c);
  const mouse = mouseSend(c, [0xf5]) !== undefined;
  const serial = detectSerial(c), parallel = detectParallel(c), floppies = floppyCount(c);
  if (floppies > 0) resetFloppy(c);
  writeCmos(c, 0x0e, 0); // diagnostic status: all is well
  c.write16(
    Bda.equipment,
    (floppies > 0 ? 1 | ((floppies - 1) << 6) : 0) | 0x02 | (mouse ? 0x04 : 0) | 0x20 |
      (serial << 9) | (parallel << 14),
  );
  for (const irq of [1, 2, 6, 8, 13, 14, 15]) maskIrq(c, irq, false);
}

/**
 * Waking from ACPI S3: shadow RAM still has the ROM and the tables. What the operating system does not
 * set up again is put back, and the waking vector of the FACS (ACPI 6.3, 5.2.10) is entered in real
 * mode. False when there is none: then this is an ordinary start.
 */
function resume(c: FrameContext): boolean {
  if (!reopenShadow(c)) return false;
  const rsdp = c.read32(P + Private.rsdp);
  if (rsdp < 0xf0000 || rsdp > 0xfffe0) return false;
  const rsdt = c.read32(rsdp + 16);
  const fadt = c.read32(rsdt + 36);
  if (c.read32(fadt) !== 0x50434146) return false; // "FACP"
  const facs = c.read32(fadt + 36), vector = c.read32(facs + 12);
  if (vector === 0 || vector > 0xfffff) return false;
  initPics(c);
  for (const f of everyFunction(c, c.read8(P + Private.lastBus))) {
    setUpDevice(c, { ...f, secondary: undefined });
  }
  c.outb(0x92, (c.inb(0x92) & ~1) | 2);
  c.cs = vector >>> 4;
  c.ip = vector & 15;
  c.flags = 2;
  return true;
}

/** Serial mirroring takes INT 10h over from the video BIOS. */
function hookSercon(c: FrameContext, rom: BiosRom): void {
  const graphics = !fwCfgPresent(c) || item16(c, FwCfg.noGraphic) === 0;
  const port = fileNumber(c, "etc/sercon-port", graphics ? 0 : 0x3f8);
  const entry = rom.labels.get("fn.sercon")! & 0xffff;
  const current = c.read32(4 * 0x10), own = ((0xf000 << 16) | entryOffsets.get(0x10)!) >>> 0;
  const video = current === own ? 0 : current;
  if (port === 0 && video !== 0) return;
  if (port !== 0 && port <= 0xfff8) initSercon(c, port);
  c.write32(P + Private.videoVector, video);
  c.write32(4 * 0x10, ((0xf000 << 16) | entry) >>> 0);
}

function findDrives(c: FrameContext): void {
  const order = bootOrder(c);
  const last = c.read8(P + Private.lastBus);
  const drives = [
    ...findIdeDrives(c, last),
    ...findAhciDrives(c, last),
    ...findVirtioDrives(c, last),
  ];
  const rank = (path: string) => pathPriority(order, path) ?? Infinity;
  drives.sort((a, b) => rank(a.path) === rank(b.path) ? 0 : rank(a.path) < rank(b.path) ? -1 : 1);
  registerDrives(c, drives);
  let disk = 0, cd = 0;
  for (const d of drives) {
    const isCd = d.info.type === DriveType.atapi;
    addBootEntry(c, {
      type: isCd ? BootType.cd : BootType.disk,
      drive: isCd ? cd++ : 0x80 + disk++,
      segment: 0,
      offset: 0,
      priority: pathPriority(order, d.path) ?? classPriority(c, isCd ? 3 : 2),
      text: d.text.slice(0, 55),
    });
  }
}

/** Floppies come last into the list, in the place their priority gives them. */
function addDriveEntries(c: FrameContext): void {
  const order = bootOrder(c);
  for (let n = 0; n < floppyCount(c); n++) {
    const path = `/pci@i0cf8/isa@${isQ35(c) ? "1f" : "1"}/fdc@03f0/floppy@${n}`;
    const isa = `/isa@0/fdc@03f0/floppy@${n}`;
    addBootEntry(c, {
      type: BootType.floppy,
      drive: n,
      segment: 0,
      offset: 0,
      priority: pathPriority(order, path) ?? pathPriority(order, isa) ?? classPriority(c, 1),
      text: `Floppy [drive ${"AB"[n]}]`,
    });
  }
  const halt = order.indexOf("HALT");
  if (halt >= 0) {
    addBootEntry(c, {
      type: BootType.halt,
      drive: 0,
      segment: 0,
      offset: 0,
      priority: halt,
      text: "Halt",
    });
  }
}

function startBoot(c: FrameContext): void {
  protectShadow(c, c.read32(P + Private.romNext));
  c.write8(P + Private.bootIndex, 0);
  c.chain(0xf000, entryOffsets.get(0x19)!);
}

const ROM_NAME = P + Private.romName;

function writeRomName(c: FrameContext, path: string): void {
  const b = new Uint8Array(256);
  b.set(new TextEncoder().encode(path).subarray(0, 255));
  c.writeBytes(ROM_NAME, b);
}

function readRomName(c: FrameContext): string {
  const b = new Uint8Array(256);
  c.readBytes(ROM_NAME, b);
  return new TextDecoder().decode(b.subarray(0, b.indexOf(0)));
}
