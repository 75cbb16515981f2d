/** SMBIOS 2.8 structures and entry point. DMTF DSP0134 2.8.0. */

/** Texts may be undefined: then QEMU's defaults stand. */
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
  /** `-smbios type=0`. */
  readonly bios?: { readonly vendor?: string; readonly version?: string; readonly date?: string };
  /** `-smbios type=1`, type=2, type=3, type=4, type=17 fields by QEMU's names. */
  readonly fields?: Readonly<Record<number, Readonly<Record<string, string>>>>;
}

const GIB = 2 ** 30, KIB = 1024;
/** One memory device per 16 GiB, as QEMU has them. */
const MAX_DIMM = 16 * GIB;

class Structure {
  readonly #data: number[] = [];
  readonly #strings: string[] = [];
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
    if (s === "") return this.u8(0);
    let n = this.#strings.indexOf(s);
    if (n < 0) n = this.#strings.push(s) - 1;
    return this.u8(n + 1);
  }
  bytes(): number[] {
    const text = this.#strings.flatMap((s) => [...new TextEncoder().encode(s), 0]);
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

export function buildSmbios(m: SmbiosMachine): SmbiosFiles {
  const list = structures(m);
  const encoded = list.map((s) => s.bytes());
  const tables = Uint8Array.from(encoded.flat());
  const anchor = new Uint8Array(31), v = new DataView(anchor.buffer);
  anchor.set(new TextEncoder().encode("_SM_"));
  anchor[5] = 31;
  anchor[6] = 2;
  anchor[7] = 8;
  v.setUint16(8, Math.max(...encoded.map((e) => e.length)), true);
  anchor.set(new TextEncoder().encode("_DMI_"), 16);
  v.setUint16(22, tables.length, true);
  v.setUint16(28, list.length, true);
  anchor[30] = 0x28;
  return { anchor, tables };
}

function structures(m: SmbiosMachine): Structure[] {
  const get = (type: number, key: string, fallback: string) => m.fields?.[type]?.[key] ?? fallback;
  const maker = "QEMU";
  const list: Structure[] = [];
  if (m.bios !== undefined) {
    list.push(
      new Structure(0, 0).str(m.bios.vendor ?? maker).str(m.bios.version ?? m.version)
        .u16(0xe800).str(m.bios.date ?? "01/01/2011").u8(0).u64(0x08).u8(0, 0x1c)
        .u8(0, 0, 0xff, 0xff),
    );
  }
  list.push(
    new Structure(1, 0x100)
      .str(get(1, "manufacturer", maker)).str(get(1, "product", m.product))
      .str(get(1, "version", m.version)).str(get(1, "serial", ""))
      .u8(...smbiosUuid(m.uuid)).u8(6).str(get(1, "sku", "")).str(get(1, "family", "")),
  );
  if (m.fields?.[2] !== undefined) {
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
  for (let n = 0; n < m.sockets; n++) {
    const small = (v: number) => v > 255 ? 255 : v;
    list.push(
      new Structure(4, 0x400 + n)
        .str(`${get(4, "sock_pfx", "CPU")} ${n}`).u8(3, 1).str(get(4, "manufacturer", maker))
        .u32(m.cpuSignature).u32(m.cpuFeatures).str(get(4, "version", m.version))
        .u8(0).u16(0).u16(2000).u16(2000).u8(0x41, 1).u16(0xffff).u16(0xffff).u16(0xffff)
        .str(get(4, "serial", "")).str(get(4, "asset", "")).str(get(4, "part", ""))
        .u8(small(m.coresPerSocket), small(m.coresPerSocket), small(m.threadsPerSocket))
        .u16(2).u16(1).u16(m.coresPerSocket).u16(m.coresPerSocket).u16(m.threadsPerSocket),
    );
  }
  memory(m, list, get);
  list.push(new Structure(32, 0x2000).u8(0, 0, 0, 0, 0, 0).u8(0));
  list.push(new Structure(127, 0x7f00));
  return list;
}

/** Types 16, 17 and 19: the array, its modules, and where they are in the address space. */
function memory(
  m: SmbiosMachine,
  list: Structure[],
  get: (type: number, key: string, fallback: string) => string,
): void {
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
        .str(`${get(17, "loc_pfx", "DIMM")} ${n}`).str(get(17, "bank", "")).u8(7).u16(2).u16(0)
        .str(get(17, "manufacturer", "QEMU")).str(get(17, "serial", "")).str(get(17, "asset", ""))
        .str(get(17, "part", "")).u8(0).u32(extended ? mib : 0).u16(0).u16(0).u16(0).u16(0),
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
