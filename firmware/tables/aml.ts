/**
 * ACPI Machine Language: terms as byte arrays. ACPI Specification 6.3, chapter 20. Functions are
 * named after the ASL operators they encode.
 */

export type Aml = number[];

const ascii = (s: string): Aml => [...s].map((c) => c.charCodeAt(0));
const le = (v: number | bigint, bytes: number): Aml => {
  let n = BigInt(v);
  return Array.from({ length: bytes }, () => {
    const b = Number(n & 0xffn);
    n >>= 8n;
    return b;
  });
};

/** PkgLength in front of `body`; the length counts its own bytes. */
export function pkgLength(body: Aml): Aml {
  const n = body.length;
  if (n + 1 < 0x40) return [n + 1];
  const extra = n + 2 < 0x1000 ? 1 : n + 3 < 0x100000 ? 2 : 3;
  const total = n + 1 + extra;
  const out = [(extra << 6) | (total & 0x0f)];
  for (let k = 0; k < extra; k++) out.push((total >>> (4 + 8 * k)) & 0xff);
  return out;
}

function block(op: Aml, body: Aml): Aml {
  return [...op, ...pkgLength(body), ...body];
}

/** A name such as `\_SB.PCI0.LNKA`; segments are padded with underscores. */
export function nameString(path: string): Aml {
  const out: Aml = [];
  while (path[0] === "\\" || path[0] === "^") {
    out.push(path.charCodeAt(0));
    path = path.slice(1);
  }
  if (path === "") return [...out, 0];
  const segments = path.split(".").map((s) => ascii(s.padEnd(4, "_")));
  if (segments.length === 2) out.push(0x2e);
  else if (segments.length > 2) out.push(0x2f, segments.length);
  return [...out, ...segments.flat()];
}

/** Integer constant in its shortest form. */
export function integer(v: number | bigint): Aml {
  const n = BigInt(v);
  if (n === 0n) return [0x00];
  if (n === 1n) return [0x01];
  if (n <= 0xffn) return [0x0a, ...le(n, 1)];
  if (n <= 0xffffn) return [0x0b, ...le(n, 2)];
  if (n <= 0xffffffffn) return [0x0c, ...le(n, 4)];
  return [0x0e, ...le(n, 8)];
}

export const string = (s: string): Aml => [0x0d, ...ascii(s), 0];
export const name = (n: string, value: Aml): Aml => [0x08, ...nameString(n), ...value];
export const scope = (n: string, ...body: Aml[]): Aml =>
  block([0x10], [...nameString(n), ...body.flat()]);
export const device = (n: string, ...body: Aml[]): Aml =>
  block([0x5b, 0x82], [...nameString(n), ...body.flat()]);
export const pkg = (...elements: Aml[]): Aml =>
  block([0x12], [elements.length, ...elements.flat()]);
export const buffer = (bytes: Aml): Aml => block([0x11], [...integer(bytes.length), ...bytes]);
export const method = (n: string, args: number, serialized: boolean, ...body: Aml[]): Aml =>
  block([0x14], [...nameString(n), args | (serialized ? 8 : 0), ...body.flat()]);

/** ASL `If`. */
export const when = (condition: Aml, ...body: Aml[]): Aml =>
  block([0xa0], [...condition, ...body.flat()]);
export const otherwise = (...body: Aml[]): Aml => block([0xa1], body.flat());
export const ret = (value: Aml): Aml => [0xa4, ...value];
export const arg = (n: number): Aml => [0x68 + n];
export const local = (n: number): Aml => [0x60 + n];
export const ref = nameString;
export const store = (value: Aml, target: Aml): Aml => [0x70, ...value, ...target];
export const and = (a: Aml, b: Aml, target: Aml = [0]): Aml => [0x7b, ...a, ...b, ...target];
export const or = (a: Aml, b: Aml, target: Aml = [0]): Aml => [0x7d, ...a, ...b, ...target];
export const equal = (a: Aml, b: Aml): Aml => [0x93, ...a, ...b];
export const not = (a: Aml): Aml => [0x92, ...a];
export const createDWordField = (source: Aml, index: number, n: string): Aml => [
  0x8a,
  ...source,
  ...integer(index),
  ...nameString(n),
];

export const Space = { memory: 0, io: 1, pciConfig: 2 } as const;

export const operationRegion = (n: string, space: number, offset: number, length: number): Aml => [
  ...[0x5b, 0x80],
  ...nameString(n),
  space,
  ...integer(offset),
  ...integer(length),
];

/** `Field (region, access, NoLock, Preserve)`; units are [name, bits], a name of "" skips bits. */
export function field(region: string, access: 0 | 1 | 2 | 3, units: [string, number][]): Aml {
  const list = units.flatMap(([n, bits]) => {
    const length = bits < 0x40 ? [bits] : [0x40 | (bits & 0x0f), bits >> 4];
    return [...(n === "" ? [0] : ascii(n.padEnd(4, "_"))), ...length];
  });
  return block([0x5b, 0x81], [...nameString(region), access, ...list]);
}

/** EISAID("PNP0A03") as an integer constant. */
export function eisaId(id: string): Aml {
  const c = (n: number) => id.charCodeAt(n) - 0x40;
  const vendor = (c(0) << 10) | (c(1) << 5) | c(2), product = parseInt(id.slice(3), 16);
  return [0x0c, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
}

// Resource descriptors: chapter 6.4.

/** `IRQ (Edge, ActiveHigh, Exclusive)`: the two-byte form. */
export const irqNoFlags = (...irqs: number[]): Aml => [
  0x22,
  ...le(irqs.reduce((m, n) => m | (1 << n), 0), 2),
];
/** `Interrupt (ResourceConsumer, Level, ActiveHigh, Shared)`. */
export const interrupt = (...gsis: number[]): Aml => [
  0x89,
  ...le(2 + 4 * gsis.length, 2),
  0x09,
  gsis.length,
  ...gsis.flatMap((g) => le(g, 4)),
];
/** `IO (Decode16)`. */
export const io = (base: number, length: number, align = 1): Aml => [
  ...[0x47, 1],
  ...le(base, 2),
  ...le(base, 2),
  align,
  length,
];
/** `DMA (Compatibility, NotBusMaster, Transfer8)`. */
export const dma = (channel: number): Aml => [0x2a, 1 << channel, 0];
export const memory32Fixed = (base: number, length: number, writable: boolean): Aml => [
  ...[0x86, 9, 0, writable ? 1 : 0],
  ...le(base, 4),
  ...le(length, 4),
];

function addressSpace(
  tag: number,
  width: 2 | 4 | 8,
  type: number,
  flags: number,
  specific: number,
  min: number,
  max: number,
): Aml {
  return [
    tag,
    ...le(3 + 5 * width, 2),
    ...[type, flags, specific],
    ...le(0, width),
    ...le(min, width),
    ...le(max, width),
    ...le(0, width),
    ...le(max - min + 1, width),
  ];
}

/** MinFixed, MaxFixed, PosDecode, producer. */
const FIXED = 0x0c;
export const wordBus = (min: number, max: number): Aml =>
  addressSpace(0x88, 2, 2, FIXED, 0, min, max);
/** EntireRange. */
export const wordIo = (min: number, max: number): Aml =>
  addressSpace(0x88, 2, 1, FIXED, 3, min, max);
export const dwordMemory = (min: number, max: number, cacheable: boolean): Aml =>
  addressSpace(0x87, 4, 0, FIXED, cacheable ? 3 : 1, min, max);
export const qwordMemory = (min: number, max: number): Aml =>
  addressSpace(0x8a, 8, 0, FIXED, 3, min, max);

export const resourceTemplate = (...resources: Aml[]): Aml =>
  buffer([...resources.flat(), 0x79, 0x00]);
