/**
 * Runs the script `etc/table-loader`: QEMU's linker-loader (hw/acpi/bios-linker-loader.c describes
 * it). Commands of 128 bytes allocate fw_cfg files in memory, add pointers and fix checksums.
 */
import { log } from "../../core/log.ts";
import type { FrameContext } from "./frame.ts";
import { copyItem, type FwCfgEntry, listFiles, readItem } from "./fwcfg.ts";
import { allocate, checksum } from "./table_space.ts";

const ALLOCATE = 1, ADD_POINTER = 2, ADD_CHECKSUM = 3, WRITE_POINTER = 4;
const ZONE_HIGH = 1, ZONE_FSEG = 2;
const ENTRY = 128, NAME = 56;

interface Loaded {
  readonly address: number;
  readonly size: number;
  readonly zone: number;
}

/** Returns where the RSDP is, or undefined when the script places none or fails. */
export function runTableLoader(c: FrameContext): number | undefined {
  const files = new Map(listFiles(c).map((f) => [f.name, f]));
  const script = files.get("etc/table-loader");
  if (script === undefined) return undefined;
  const bytes = readItem(c, script.key, Math.min(script.size, 1 << 20));
  const loaded = new Map<string, Loaded>();
  for (let at = 0; at + ENTRY <= bytes.length; at += ENTRY) {
    if (!runCommand(c, bytes.subarray(at, at + ENTRY), files, loaded)) return undefined;
  }
  for (const f of loaded.values()) {
    if (f.zone !== ZONE_FSEG) continue;
    for (let at = f.address; at + 20 <= f.address + f.size; at += 16) {
      const head = new Uint8Array(20);
      c.readBytes(at, head);
      if (String.fromCharCode(...head.subarray(0, 8)) === "RSD PTR " && checksum(head) === 0) {
        return at;
      }
    }
  }
  return undefined;
}

function name(bytes: Uint8Array, at: number): string {
  const raw = bytes.subarray(at, at + NAME), end = raw.indexOf(0);
  return new TextDecoder().decode(raw.subarray(0, end < 0 ? NAME : end));
}

function runCommand(
  c: FrameContext,
  entry: Uint8Array,
  files: Map<string, FwCfgEntry>,
  loaded: Map<string, Loaded>,
): boolean {
  const v = new DataView(entry.buffer, entry.byteOffset, ENTRY);
  const fail = (why: string) => {
    log("guest_errors", `bios: table-loader: ${why}`);
    return false;
  };
  switch (v.getUint32(0, true)) {
    case ALLOCATE: {
      const file = files.get(name(entry, 4));
      const align = v.getUint32(60, true), zone = entry[64];
      if (file === undefined) return fail(`no file ${name(entry, 4)}`);
      if (align === 0 || (align & (align - 1)) !== 0) return fail(`alignment ${align}`);
      if (zone !== ZONE_HIGH && zone !== ZONE_FSEG) return fail(`zone ${zone}`);
      const address = allocate(c, zone === ZONE_HIGH ? "high" : "fseg", file.size, align);
      if (address === undefined) return fail(`no room for ${file.name}`);
      copyItem(c, file.key, address, file.size);
      loaded.set(file.name, { address, size: file.size, zone });
      return true;
    }
    case ADD_POINTER: {
      const to = loaded.get(name(entry, 4)), from = loaded.get(name(entry, 60));
      const offset = v.getUint32(116, true), size = entry[120];
      if (to === undefined || from === undefined || offset + size > to.size) {
        return fail(`pointer in ${name(entry, 4)} at ${offset}`);
      }
      return addTo(c, to.address + offset, size, from.address) || fail(`pointer of ${size} bytes`);
    }
    case ADD_CHECKSUM: {
      const file = loaded.get(name(entry, 4));
      const offset = v.getUint32(60, true), start = v.getUint32(64, true);
      const length = v.getUint32(68, true);
      if (file === undefined || offset >= file.size || start + length > file.size) {
        return fail(`checksum in ${name(entry, 4)}`);
      }
      const bytes = new Uint8Array(length);
      c.readBytes(file.address + start, bytes);
      c.write8(file.address + offset, c.read8(file.address + offset) + checksum(bytes));
      return true;
    }
    case WRITE_POINTER: // tells the host an address; no table of ours asks for it
    default:
      return true;
  }
}

/** Adds `value` to the little-endian integer of 1, 2, 4 or 8 bytes at `at`. */
function addTo(c: FrameContext, at: number, size: number, value: number): boolean {
  if (size !== 1 && size !== 2 && size !== 4 && size !== 8) return false;
  let carry = value;
  for (let n = 0; n < size; n++) {
    carry += c.read8(at + n);
    c.write8(at + n, carry & 0xff);
    carry = Math.floor(carry / 256);
  }
  return true;
}
