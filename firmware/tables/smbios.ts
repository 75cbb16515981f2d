/** SMBIOS structures and entry point as QEMU makes them. DMTF DSP0134 2.8.0, 3.0.0. */
import { UserError } from "../../core/errors.ts";
import { noSmbios, type SmbiosOptions } from "../../core/options/smbios.ts";

export interface SmbiosMachine {
  readonly ramSize: number;
  /** Bytes of it below 4 GiB. */
  readonly lowRamSize: number;
  /** Per socket: cores and threads in all. */
  readonly sockets: number;
  readonly coresPerSocket: number;
  readonly threadsPerSocket: number;
  /** CPUID 1: EAX and EDX. */
  readonly cpuSignature: number;
  readonly cpuFeatures: number;
  /** 16 bytes in RFC 4122 order. */
  readonly uuid: Uint8Array;
  /** Machine description and name: "Standard PC (i440FX + PIIX, 1996)", "pc-i440fx-7.2". */
  readonly product: string;
  readonly version: string;
  /** `smbios-entry-point-type=64`: the entry point of SMBIOS 3.0. */
  readonly wide?: boolean;
  readonly options?: SmbiosOptions;
  /** Bus number × 256 + devfn of the PCI device with an id. */
  readonly pciAddress?: (id: string) => number | undefined;
}

const GIB = 2 ** 30, KIB = 1024;
/** One memory device per 16 GiB, as QEMU has them. */
const MAX_DIMM = 16 * GIB;

class Structure {
  readonly #data: number[] = [];
  readonly #strings: Uint8Array[] = [];
  constructor(readonly type: number, readonly handle: number) {}
  u8(...v: number[]): this {
    this.#data.push(...v.map((x) => x & 0xff));
    return this;
  }
  u16(v: number): this {
    return this.u8(v, v >> 8);
  }
  u32(v: number): this {
    return this.u8(v, v >>> 8, v >>> 16, v >>> 24);
  }
  u64(v: number): this {
    return this.u32(v % 2 ** 32).u32(Math.floor(v / 2 ** 32));
  }
  /** A string's number; 0 for an empty one. */
  str(s: string): this {
    return this.u8(s === "" ? 0 : this.text(new TextEncoder().encode(s)));
  }
  /** Adds a string and gives its number. */
  text(bytes: Uint8Array): number {
    return this.#strings.push(bytes);
  }
  bytes(): number[] {
    const text = this.#strings.flatMap((s) => [...s, 0]);
    const header = [this.type, this.#data.length + 4, this.handle & 0xff, this.handle >> 8];
    return [...header, ...this.#data, ...(text.length === 0 ? [0, 0] : [...text, 0])];
  }
}

/** The two fw_cfg files; firmware fills in the address and the checksums. */
export interface SmbiosFiles {
  /** `etc/smbios/smbios-anchor`. */
  readonly anchor: Uint8Array;
  /** `etc/smbios/smbios-tables`. */
  readonly tables: Uint8Array;
}

/** Throws UserError when the options ask for what there is not. */
export function buildSmbios(m: SmbiosMachine): SmbiosFiles {
  const options = m.options ?? noSmbios();
  const made = structures(m, options).filter((s) => !options.binaryTypes.has(s.type));
  const encoded = [...options.binaries, ...made.map((s) => s.bytes())];
  const processors = options.binaries.filter((b) => b[0] === 4).length;
  if (processors > 0 && processors !== m.sockets) {
    throw new UserError(`Expected ${m.sockets} SMBIOS Type 4 tables, got ${processors} instead`);
  }
  const tables = Uint8Array.from(encoded.flatMap((e) => [...e]));
  return { anchor: m.wide ? anchor3(tables.length) : anchor2(encoded, tables.length), tables };
}

/** The 32-bit entry point, 5.2.1. */
function anchor2(structures: readonly ArrayLike<number>[], length: number): Uint8Array {
  const b = new Uint8Array(31), v = new DataView(b.buffer);
  b.set(new TextEncoder().encode("_SM_"));
  b[5] = b.length;
  b[6] = 2;
  b[7] = 8;
  v.setUint16(8, Math.max(...structures.map((s) => s.length)), true);
  b.set(new TextEncoder().encode("_DMI_"), 16);
  v.setUint16(22, length, true);
  v.setUint16(28, structures.length, true);
  b[30] = 0x28;
  return b;
}

/** The 64-bit entry point, 5.2.2 of DSP0134 3.0.0. */
function anchor3(length: number): Uint8Array {
  const b = new Uint8Array(24);
  b.set(new TextEncoder().encode("_SM3_"));
  b[6] = b.length;
  b[7] = 3;
  b[10] = 1; // revision of this entry point
  new DataView(b.buffer).setUint32(12, length, true);
  return b;
}

/** A value of `-smbios type=…`, or what stands in its place. */
type Get = (type: number, key: string, otherwise: string) => string;

function structures(m: SmbiosMachine, o: SmbiosOptions): Structure[] {
  const get: Get = (type, key, otherwise) => o.texts.get(type)?.get(key) ?? otherwise;
  const maker = "QEMU";
  const list: Structure[] = [];
  if (o.texts.has(0)) {
    const [major, minor] = o.release ?? [0, 0];
    list.push(
      new Structure(0, 0).str(get(0, "vendor", "")).str(get(0, "version", "")).u16(0xe800)
        .str(get(0, "date", "")).u8(0).u64(0x08) // characteristics are not supported
        .u8(0, o.uefi ? 0x1c : 0x14) // virtual machine, targeted content, UEFI
        .u8(major, minor, 0xff, 0xff),
    );
  }
  list.push(
    new Structure(1, 0x100)
      .str(get(1, "manufacturer", maker)).str(get(1, "product", m.product))
      .str(get(1, "version", m.version)).str(get(1, "serial", ""))
      .u8(...smbiosUuid(m.uuid)).u8(6).str(get(1, "sku", "")).str(get(1, "family", "")),
  );
  if (o.texts.has(2)) {
    list.push(
      new Structure(2, 0x200)
        .str(get(2, "manufacturer", maker)).str(get(2, "product", m.product))
        .str(get(2, "version", m.version)).str(get(2, "serial", "")).str(get(2, "asset", ""))
        .u8(1).str(get(2, "location", "")).u16(0x300).u8(0x0a, 0),
    );
  }
  list.push(
    new Structure(3, 0x300)
      .str(get(3, "manufacturer", maker)).u8(1).str(get(3, "version", m.version))
      .str(get(3, "serial", "")).str(get(3, "asset", "")).u8(3, 3, 3, 2).u32(0)
      .u8(0, 0, 0, 0).str(get(3, "sku", "")),
  );
  for (let n = 0; n < m.sockets; n++) list.push(processor(m, o, get, n));
  o.connectors.forEach((c, n) =>
    list.push(
      new Structure(8, n).str(c.internal ?? "").u8(0).str(c.external ?? "")
        .u8(c.connectorType, c.portType),
    )
  );
  if (o.oemStrings.length > 0) {
    const oem = new Structure(11, 0xe00).u8(o.oemStrings.length);
    for (const text of o.oemStrings) if (text.length > 0) oem.text(text);
    list.push(oem);
  }
  memory(m, o, list, get);
  list.push(new Structure(32, 0x2000).u8(0, 0, 0, 0, 0, 0).u8(0));
  o.onboard.forEach((d, n) => {
    const at = d.pcidev === undefined ? 0 : m.pciAddress?.(d.pcidev);
    if (at === undefined) {
      const name = d.designation ?? "(null)";
      throw new UserError(`No PCI device ${d.pcidev} for SMBIOS type 41 entry ${name}`);
    }
    list.push(
      new Structure(41, 0x2900 + n).str(d.designation ?? "").u8(d.kind | 0x80, d.instance)
        .u16(0).u8(at >> 8, at & 0xff),
    );
  });
  list.push(new Structure(127, 0x7f00));
  return list;
}

/** Type 4. SMBIOS 3.0 has wide counts behind what 2.8 has. */
function processor(m: SmbiosMachine, o: SmbiosOptions, get: Get, n: number): Structure {
  const small = (v: number) => v > 255 ? 255 : v;
  const given = o.processorId !== 0n;
  const signature = given ? Number(o.processorId & 0xffffffffn) : m.cpuSignature;
  const features = given ? Number(o.processorId >> 32n) : m.cpuFeatures;
  const { coresPerSocket: cores, threadsPerSocket: threads } = m;
  const s = new Structure(4, 0x400 + n)
    .str(`${get(4, "sock_pfx", "CPU")} ${n}`).u8(3, 1).str(get(4, "manufacturer", "QEMU"))
    .u32(signature).u32(features).str(get(4, "version", m.version))
    .u8(0).u16(0).u16(o.maxSpeed).u16(o.currentSpeed).u8(0x41, 1)
    .u16(0xffff).u16(0xffff).u16(0xffff)
    .str(get(4, "serial", "")).str(get(4, "asset", "")).str(get(4, "part", ""))
    .u8(small(cores), small(cores), small(threads)).u16(2).u16(1);
  return m.wide ? s.u16(cores).u16(cores).u16(threads) : s;
}

/** Types 16, 17 and 19: the array, its modules, and where they are in the address space. */
function memory(m: SmbiosMachine, o: SmbiosOptions, list: Structure[], get: Get): void {
  const dimms = Math.max(1, Math.ceil(m.ramSize / MAX_DIMM));
  const kib = m.ramSize / KIB;
  const big = kib >= 0x80000000;
  list.push(
    new Structure(16, 0x1000).u8(1, 3, 6).u32(big ? 0x80000000 : kib).u16(0xfffe).u16(dimms)
      .u64(big ? m.ramSize : 0),
  );
  for (let n = 0; n < dimms; n++) {
    const bytes = n + 1 < dimms ? MAX_DIMM : m.ramSize - n * MAX_DIMM;
    const mib = Math.floor(bytes / 2 ** 20), extended = mib >= 0x7fff;
    list.push(
      new Structure(17, 0x1100 + n)
        .u16(0x1000).u16(0xfffe).u16(0xffff).u16(0xffff).u16(extended ? 0x7fff : mib).u8(9, 0)
        .str(`${get(17, "loc_pfx", "DIMM")} ${n}`).str(get(17, "bank", "")).u8(7).u16(2).u16(
          o.memorySpeed,
        )
        .str(get(17, "manufacturer", "QEMU")).str(get(17, "serial", "")).str(get(17, "asset", ""))
        .str(get(17, "part", "")).u8(0).u32(extended ? mib : 0).u16(o.memorySpeed)
        .u16(0).u16(0).u16(0),
    );
  }
  const below = m.lowRamSize;
  const ranges = [[0, below]];
  if (m.ramSize > below) ranges.push([4 * GIB, m.ramSize - below]);
  ranges.forEach(([start, length], n) => {
    const end = start + length, wide = end > 2 ** 42;
    list.push(
      new Structure(19, 0x1300 + n)
        .u32(wide ? 0xffffffff : start / KIB).u32(wide ? 0xffffffff : end / KIB - 1)
        .u16(0x1000).u8(1).u64(wide ? start : 0).u64(wide ? end - 1 : 0),
    );
  });
}

/** The first three fields are little endian since SMBIOS 2.6. */
function smbiosUuid(u: Uint8Array): number[] {
  return [u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], ...u.subarray(8, 16)];
}
