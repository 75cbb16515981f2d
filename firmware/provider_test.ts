/** What the built-in firmware tells a guest about the board. */
import { assertEquals } from "@std/assert";
import type { FirmwareBoard } from "../core/firmware.ts";
import { AddressSpace } from "../core/memory/address_space.ts";
import { parseCommandLine } from "../core/options/parse.ts";
import { firmware } from "./provider.ts";
import { ACPI_TABLES } from "./tables/acpi.ts";

const MIB = 2 ** 20;

/** Ends of the 32-bit memory windows of the PCI root, found as DWordMemory descriptors. ACPI 6.3, 6.4.3.5.2. */
function windows(tables: Uint8Array): [number, number][] {
  const v = new DataView(tables.buffer, tables.byteOffset), found: [number, number][] = [];
  for (let at = 0; at + 26 <= tables.length; at++) {
    if (tables[at] !== 0x87 || v.getUint16(at + 1, true) !== 23 || tables[at + 3] !== 0) continue;
    found.push([v.getUint32(at + 10, true), v.getUint32(at + 14, true)]);
  }
  return found;
}

/** The tables of a board with 384 MiB, whose firmware has put PCIEXBAR there. */
function tables(machine: string, pciexbar?: number): Uint8Array {
  const config = parseCommandLine(["-M", machine], {
    ...{ programName: "qeno", stdout: () => {}, stderr: () => {} },
  });
  const files = new Map<string, Uint8Array>();
  const board: FirmwareBoard = {
    mem: new AddressSpace("memory", 2 ** 32, 0),
    io: new AddressSpace("io", 2 ** 16, 0xff),
    ramSize: 384 * MIB,
    apicIds: [0],
    pciexbar: pciexbar === undefined ? undefined : () => pciexbar,
    fwCfg: {
      addFile: (name, data) => files.set(name, typeof data === "function" ? data() : data),
      add: () => {},
    },
    addBootEntry: () => {},
    warn: () => {},
    cpuid: () => ({ eax: 0, ebx: 0, ecx: 0, edx: 0 }),
  };
  firmware.tables(board, config);
  return files.get(ACPI_TABLES)!;
}

Deno.test("PCI memory begins behind RAM, as QEMU lays it, and leaves PCIEXBAR out", () => {
  assertEquals(windows(tables("pc")), [[0xa0000, 0xbffff], [0x18000000, 0xfebfffff]]);
  assertEquals(windows(tables("q35", 0xb0000000)), [
    [0xa0000, 0xbffff],
    [0x18000000, 0xafffffff],
    [0xc0000000, 0xfebfffff],
  ]);
});
