/** The built-in firmware as boards get it. */
import type { DirectKernel, FirmwareBoard, FirmwareProvider } from "../core/firmware.ts";
import type { MachineConfig } from "../core/options/config.ts";
import { uuidBytes } from "../core/options/files.ts";
import { attachBios, defaultBios } from "./bios/attach.ts";
import { loadKernel } from "./boot/load.ts";
import { ACPI_RSDP, ACPI_TABLES, buildAcpi, TABLE_LOADER } from "./tables/acpi.ts";
import { buildSmbios } from "./tables/smbios.ts";
import { makeVgaRom } from "./vgabios/rom.ts";

/** Where the memory-mapped configuration space is until firmware says otherwise. */
const PCIEXBAR_DEFAULT = 0xb0000000;

const SERIALS = [
  { port: 0x3f8, irq: 4 },
  { port: 0x2f8, irq: 3 },
  { port: 0x3e8, irq: 4 },
  { port: 0x2e8, irq: 3 },
];
const PARALLELS = [{ port: 0x378, irq: 7 }];

/** fw_cfg's numbered item for `-acpitable`: their number, then each behind its length. */
const ACPI_ITEM = 0x8000;

function tableItem(tables: readonly Uint8Array[]): Uint8Array {
  const u16 = (n: number) => [n & 0xff, (n >> 8) & 0xff];
  return Uint8Array.from([
    ...u16(tables.length),
    ...tables.flatMap((t) => [...u16(t.length), ...t]),
  ]);
}

function tables(board: FirmwareBoard, config: MachineConfig): void {
  if (config.machine.acpi !== "off") {
    const describe = (pciexbar: number | undefined) => ({
      cpus: board.apicIds.map((apicId) => ({ apicId, present: true })),
      ioapicId: 0,
      hpet: config.machine.hpet,
      keyboard: config.machine.i8042,
      floppy: true,
      serials: config.serials.map((_, n) => SERIALS[n]).filter((s) => s !== undefined),
      parallels: config.parallels.map((_, n) => PARALLELS[n]).filter((p) => p !== undefined),
      // Foreign firmware puts BARs anywhere above RAM.
      pciMemStart: board.ramSize,
      chipset: board.pciexbar === undefined ? "piix" as const : "ich9" as const,
      pciexbar,
      numa: config.numa && { ...config.numa, apicIds: board.apicIds, below4g: board.ramSize },
      ...board.microvm && {
        microvm: board.microvm,
        serials: SERIALS.slice(0, board.microvm.serials),
        numa: undefined,
      },
      s3: !board.sleep?.disableS3,
      s4Type: board.sleep?.disableS4 ? undefined : board.sleep?.s4Value ?? 2,
      oemId: config.machine.oemId,
      oemTableId: config.machine.oemTableId,
      userTables: config.acpiTables,
    });
    // Firmware chooses where the configuration space is before it asks for the tables.
    const where = () => board.pciexbar && (board.pciexbar() ?? PCIEXBAR_DEFAULT);
    let at = where(), acpi = buildAcpi(describe(at));
    const current = () => {
      if (where() !== at) acpi = buildAcpi(describe(at = where()));
      return acpi;
    };
    board.fwCfg.addFile(ACPI_TABLES, () => current().tables);
    board.fwCfg.addFile(ACPI_RSDP, () => current().rsdp);
    board.fwCfg.addFile(TABLE_LOADER, () => current().loader);
  }
  if (board.microvm !== undefined) return; // it has no SMBIOS
  if (config.acpiTables.length > 0) board.fwCfg.add(ACPI_ITEM, tableItem(config.acpiTables));
  const id = board.cpuid(1);
  const { cpus, sockets, cores, dies, threads } = config.smp;
  const smbios = buildSmbios({
    ramSize: board.ramSize + (board.highRamSize ?? 0),
    lowRamSize: board.ramSize,
    sockets: Math.min(sockets, Math.ceil(cpus / (cores * dies * threads))),
    coresPerSocket: cores * dies,
    threadsPerSocket: cores * dies * threads,
    cpuSignature: id.eax,
    // The bit for more than one thread in a package follows from the topology and is left out.
    cpuFeatures: (id.edx & ~(1 << 28)) >>> 0,
    uuid: uuidBytes(config.uuid),
    product: config.machine.description,
    version: config.machine.type,
    wide: config.machine.smbiosEntryPointType === "64",
    options: config.smbios,
    pciAddress: board.pciAddress,
  });
  board.fwCfg.addFile("etc/smbios/smbios-anchor", smbios.anchor);
  board.fwCfg.addFile("etc/smbios/smbios-tables", smbios.tables);
}

export const firmware: FirmwareProvider = {
  image: () => defaultBios().image,
  attach(board: FirmwareBoard): void {
    attachBios(board);
  },
  loadKernel(board: FirmwareBoard, files: DirectKernel): void {
    const { items, rom } = loadKernel(files, board.ramSize, board.warn);
    for (const [key, data] of items) board.fwCfg.add(key, data);
    if (board.microvm?.optionRoms === false) return;
    board.fwCfg.addFile(`genroms/${rom.name}`, rom.data);
    board.addBootEntry(`/rom@genroms/${rom.name}`, 0);
  },
  tables,
  romFile: (name) => /^vgabios-/.test(name) ? makeVgaRom() : undefined,
};
