/** What a PC's firmware finds in fw_cfg, as QEMU's pc board fills it. */
import type { CpuModel } from "../../core/accel.ts";
import type { PcConfig } from "./pc_config.ts";
import type { RamSplit } from "./pc_ram.ts";
import { UserError } from "../../core/errors.ts";
import { FwCfg, FwCfgKey } from "../misc/fw_cfg.ts";

export const E820_RAM = 1, E820_RESERVED = 2;

/** Device path and `bootindex` of something bootable. */
export interface BootEntry {
  readonly path: string;
  readonly index: number;
}

/** Memory map entries: address and length in bytes, type. */
export function e820(entries: readonly [number, number, number][]): Uint8Array {
  const table = new DataView(new ArrayBuffer(20 * entries.length));
  entries.forEach(([base, length, type], i) => {
    table.setBigUint64(20 * i, BigInt(base), true);
    table.setBigUint64(20 * i + 8, BigInt(length), true);
    table.setUint32(20 * i + 16, type, true);
  });
  return new Uint8Array(table.buffer);
}

/** `bootorder`: paths by rising index, one a line, NUL at the end. Empty without entries. */
export function bootOrderFile(entries: readonly BootEntry[], strict: boolean): Uint8Array {
  const lines = [...entries].sort((a, b) => a.index - b.index).map((e) => e.path);
  if (strict) lines.push("HALT");
  return lines.length === 0 ? new Uint8Array(0) : bytes(lines.join("\n") + "\0");
}

/** A disk's translated geometry, as a user gave it by `lcyls=`, `lheads=` and `lsecs=`. */
export interface DiskGeometry {
  readonly path: string;
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

/** `bios-geometry`: path and geometry of a disk on each line, NUL at the end. */
export function geometryFile(disks: readonly DiskGeometry[]): Uint8Array {
  const lines = disks.map((d) => `${d.path} ${d.cylinders} ${d.heads} ${d.sectors}`);
  return lines.length === 0 ? new Uint8Array(0) : bytes(lines.join("\n") + "\0");
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function u16(v: number): Uint8Array {
  return new Uint8Array([v & 0xff, (v >> 8) & 0xff]);
}

/** Sleep states the firmware is to announce: S3 and S4 may be disabled by properties of the PM. */
export interface SleepStates {
  readonly disableS3: boolean;
  readonly disableS4: boolean;
  /** SLP_TYP of S4. */
  readonly s4Value: number;
}

/** Addresses that AMD's HyperTransport keeps for itself below 1 TiB. */
const HT: [number, number, number] = [0xfd_0000_0000, 0x3_0000_0000, E820_RESERVED];

/** Whether the processor is AMD's with so wide physical addresses, of 40 bits or more. */
function reachesHyperTransport(model: CpuModel): boolean {
  const one = { apicId: 0, cores: 1, threads: 1, sockets: 1, osxsave: false, apicEnabled: true };
  const leaf = (n: number) => model.cpuid(n, 0, one);
  // CPUID leaf 0: "Auth", the first letters of AMD's name.
  return leaf(0).ebx === 0x68747541 && (leaf(0x80000008).eax & 0xff) >= 40;
}

/** Everything that is known before devices are added. */
export function fillFwCfg(
  fw: FwCfg,
  c: PcConfig,
  ram: RamSplit,
  apicIds: readonly number[],
  sleep: SleepStates,
): void {
  fw.add(FwCfgKey.UUID, c.uuid ?? new Uint8Array(16));
  fw.add64(FwCfgKey.RAM_SIZE, c.ramSize);
  fw.add16(FwCfgKey.NOGRAPHIC, c.nographic ? 1 : 0);
  fw.add16(FwCfgKey.NB_CPUS, c.cpus);
  fw.add16(FwCfgKey.MAX_CPUS, c.topology.maxcpus);
  fw.add16(FwCfgKey.MACHINE_ID, 0);
  fw.add16(FwCfgKey.BOOT_DEVICE, 0);
  fw.add16(FwCfgKey.BOOT_MENU, c.boot.menu ? 1 : 0);
  fw.add32(FwCfgKey.IRQ0_OVERRIDE, 1);
  fw.add(FwCfgKey.NUMA, numaConfig(c, apicIds));
  fw.add(FwCfgKey.HPET, hpetConfig(c.hpet ?? true));
  const map: [number, number, number][] = reachesHyperTransport(c.cpuModel) ? [HT] : [];
  map.push([0, ram.below4g, E820_RAM]);
  if (ram.above4g > 0) map.push([2 ** 32, ram.above4g, E820_RAM]);
  fw.addFile("etc/e820", e820(map));
  fw.addFile(
    "etc/system-states",
    new Uint8Array([
      0x80,
      0,
      0,
      0x01 | (sleep.disableS3 ? 0 : 0x80),
      sleep.s4Value | (sleep.disableS4 ? 0 : 0x80),
      0x80,
    ]),
  );
  const { rebootTimeout, splashTime } = c.boot;
  const wait = new Uint8Array(4);
  new DataView(wait.buffer).setInt32(0, rebootTimeout ?? -1, true);
  fw.addFile("etc/boot-fail-wait", wait);
  if (splashTime !== undefined) fw.addFile("etc/boot-menu-wait", u16(splashTime));
  if (c.boot.splash !== undefined) addSplash(fw, c);
  for (const rom of c.optionRoms ?? []) fw.addFile(`genroms/${rom.name}`, rom.data);
  for (const item of c.fwCfg ?? []) {
    try {
      fw.addFile(item.name, item.data);
    } catch (e) {
      if (e instanceof UserError) throw new UserError(`${item.loc}: ${e.message}`);
      throw e;
    }
  }
}

/** `-boot splash=`: a JPEG or BMP file the firmware shows. */
function addSplash(fw: FwCfg, c: PcConfig): void {
  const name = c.boot.splash!;
  const data = c.romFile(name);
  if (data === undefined) throw new UserError(`failed to find file '${name}'`);
  const jpeg = data[0] === 0xff && data[1] === 0xd8;
  if (!jpeg && !(data[0] === 0x42 && data[1] === 0x4d)) {
    throw new UserError(`splash file '${name}' format not recognized; must be JPEG or 24 bit BMP`);
  }
  fw.addFile(jpeg ? "bootsplash.jpg" : "bootsplash.bmp", data);
}

/** Number of NUMA nodes; the node of each local APIC ID; the bytes of each node. */
function numaConfig({ numa }: PcConfig, apicIds: readonly number[]): Uint8Array {
  const nodes = numa?.nodes ?? [], limit = Math.max(...apicIds) + 1;
  const words = new BigUint64Array(1 + limit + nodes.length);
  words[0] = BigInt(nodes.length);
  apicIds.forEach((apicId, cpu) => {
    words[1 + apicId] = BigInt(Math.max(0, nodes.findIndex((n) => n.cpus.includes(cpu))));
  });
  nodes.forEach(({ size }, n) => words[1 + limit + n] = BigInt(size));
  return new Uint8Array(words.buffer);
}

/** Key 8004h: how many HPETs there are and where, packed. */
function hpetConfig(present: boolean): Uint8Array {
  const v = new DataView(new ArrayBuffer(1 + 8 * 15));
  v.setUint8(0, present ? 1 : 0xff);
  if (present) {
    v.setUint32(1, 0x8086a201, true);
    v.setBigUint64(5, 0xfed00000n, true);
  }
  return new Uint8Array(v.buffer);
}
