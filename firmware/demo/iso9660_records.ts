/** The encodings of ISO 9660 (ECMA-119, 2nd edition), Joliet and Rock Ridge (SUSP 1.12, RRIP 1.12). */

/** Bytes per logical sector and block. */
export const SECTOR = 2048;

/** Which of the two directory trees a name belongs to. */
export type NameSpace = "iso" | "joliet";

/** A 16-bit number, little endian then big endian (ECMA-119 7.2.3). */
export function both16(b: Uint8Array, at: number, v: number): void {
  b[at] = b[at + 3] = v & 0xff;
  b[at + 1] = b[at + 2] = (v >> 8) & 0xff;
}

/** A 32-bit number, little endian then big endian (7.3.3). */
export function both32(b: Uint8Array, at: number, v: number): void {
  le32(b, at, v);
  be32(b, at + 4, v);
}

export function le16(b: Uint8Array, at: number, v: number): void {
  b[at] = v & 0xff;
  b[at + 1] = (v >> 8) & 0xff;
}

export function le32(b: Uint8Array, at: number, v: number): void {
  le16(b, at, v & 0xffff);
  le16(b, at + 2, v >>> 16);
}

export function be32(b: Uint8Array, at: number, v: number): void {
  b[at] = v >>> 24;
  b[at + 1] = (v >>> 16) & 0xff;
  b[at + 2] = (v >>> 8) & 0xff;
  b[at + 3] = v & 0xff;
}

/** ASCII, padded with `pad` to `length`. */
export function text(b: Uint8Array, at: number, length: number, s: string, pad = 0x20): void {
  for (let i = 0; i < length; i++) b[at + i] = i < s.length ? s.charCodeAt(i) & 0x7f : pad;
}

/** UCS-2 big endian, padded with spaces; `length` bytes. */
export function ucs2(b: Uint8Array, at: number, length: number, s: string): void {
  for (let i = 0; i + 1 < length; i += 2) {
    const c = i / 2 < s.length ? s.charCodeAt(i / 2) : 0x20;
    b[at + i] = c >> 8;
    b[at + i + 1] = c & 0xff;
  }
}

/** The 7-byte date of directory records (9.1.5), in UTC. */
export function shortDate(d: Date): number[] {
  return [
    d.getUTCFullYear() - 1900,
    d.getUTCMonth() + 1,
    d.getUTCDate(),
    d.getUTCHours(),
    d.getUTCMinutes(),
    d.getUTCSeconds(),
    0,
  ];
}

/** The 17-byte date of volume descriptors (8.4.26.1), in UTC; undefined is "not specified". */
export function longDate(b: Uint8Array, at: number, d: Date | undefined): void {
  if (d === undefined) {
    b.fill(0x30, at, at + 16);
    b[at + 16] = 0;
    return;
  }
  const n = (v: number, digits: number) => String(v).padStart(digits, "0");
  text(
    b,
    at,
    16,
    n(d.getUTCFullYear(), 4) + n(d.getUTCMonth() + 1, 2) + n(d.getUTCDate(), 2) +
      n(d.getUTCHours(), 2) + n(d.getUTCMinutes(), 2) + n(d.getUTCSeconds(), 2) +
      n(Math.floor(d.getUTCMilliseconds() / 10), 2),
  );
  b[at + 16] = 0;
}

/** The bytes of a name in a directory record, without the version number. */
export function nameBytes(space: NameSpace, name: string): Uint8Array {
  const b = new Uint8Array(space === "iso" ? name.length : name.length * 2);
  if (space === "iso") text(b, 0, b.length, name);
  else ucs2(b, 0, b.length, name);
  return b;
}

export interface RecordFields {
  readonly name: Uint8Array;
  readonly directory: boolean;
  readonly lba: number;
  /** Bytes. */
  readonly size: number;
  readonly date: Date;
  /** Rock Ridge entries. */
  readonly systemUse: readonly number[];
}

/** Length of a directory record (9.1). */
export function recordLength(f: Pick<RecordFields, "name" | "systemUse">): number {
  const upToName = 33 + f.name.length + (f.name.length % 2 === 0 ? 1 : 0);
  const n = upToName + f.systemUse.length;
  return n + (n & 1);
}

/** A directory record (9.1) at `at`; returns its length. */
export function record(b: Uint8Array, at: number, f: RecordFields): number {
  const length = recordLength(f);
  b[at] = length;
  both32(b, at + 2, f.lba);
  both32(b, at + 10, f.size);
  b.set(shortDate(f.date), at + 18);
  b[at + 25] = f.directory ? 2 : 0;
  both16(b, at + 28, 1); // volume sequence number
  b[at + 32] = f.name.length;
  b.set(f.name, at + 33);
  b.set(f.systemUse, at + 33 + f.name.length + (f.name.length % 2 === 0 ? 1 : 0));
  return length;
}

function susp(signature: string, ...data: number[]): number[] {
  return [signature.charCodeAt(0), signature.charCodeAt(1), data.length + 4, 1, ...data];
}

function pair32(v: number): number[] {
  const b = new Uint8Array(8);
  both32(b, 0, v);
  return [...b];
}

/** SP: System Use entries begin at the record's end (SUSP 5.3). In the root's `.` only. */
export function suspSP(): number[] {
  return susp("SP", 0xbe, 0xef, 0);
}

/** CE: the entries go on in block `lba` (SUSP 5.1). */
export function suspCE(lba: number, length: number): number[] {
  return susp("CE", ...pair32(lba), ...pair32(0), ...pair32(length));
}

/** ER: which extension is in use (SUSP 5.5; RRIP 4.3). */
export function suspER(): number[] {
  const ascii = (s: string) => [...s].map((c) => c.charCodeAt(0));
  const id = ascii("RRIP_1991A");
  const description = ascii(
    "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS",
  );
  const source = ascii(
    "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY " +
      "VOLUME DESCRIPTOR FOR CONTACT INFORMATION.",
  );
  return susp(
    "ER",
    id.length,
    description.length,
    source.length,
    1,
    ...id,
    ...description,
    ...source,
  );
}

/** PX: POSIX mode, links, owner (RRIP 4.1.1, without the serial number of 1.12). */
export function rockPX(mode: number, links: number): number[] {
  return susp("PX", ...pair32(mode), ...pair32(links), ...pair32(0), ...pair32(0));
}

/** TF: modification time (RRIP 4.1.6). */
export function rockTF(d: Date): number[] {
  return susp("TF", 0x02, ...shortDate(d));
}

/** NM: the POSIX name (RRIP 4.1.4), Latin-1 or UTF-8 bytes. */
export function rockNM(name: string): number[] {
  return susp("NM", 0, ...new TextEncoder().encode(name));
}
