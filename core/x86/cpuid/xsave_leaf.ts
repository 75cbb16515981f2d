/**
 * CPUID leaf 0Dh of a processor after reset (XCR0 = 1). An accelerator follows XCR0 from there. Intel
 * SDM volume 1, chapter 13.
 */
import type { CpuidResult } from "./model.ts";

interface Component {
  readonly number: number;
  readonly features: readonly string[];
  /** Place in the standard area. */
  readonly offset: number;
  readonly bytes: number;
  /** Aligned to 64 bytes in a compacted area. */
  readonly aligned?: true;
}

const LEGACY_AND_HEADER = 576;

const COMPONENTS: readonly Component[] = [
  { number: 2, features: ["avx"], offset: 576, bytes: 256 },
  { number: 3, features: ["mpx"], offset: 960, bytes: 64 },
  { number: 4, features: ["mpx"], offset: 1024, bytes: 64 },
  { number: 5, features: ["avx512f"], offset: 1088, bytes: 64 },
  { number: 6, features: ["avx512f"], offset: 1152, bytes: 512 },
  { number: 7, features: ["avx512f"], offset: 1664, bytes: 1024 },
  { number: 9, features: ["pku"], offset: 2688, bytes: 8 },
  { number: 17, features: ["amx-tile"], offset: 2752, bytes: 64, aligned: true },
  { number: 18, features: ["amx-tile"], offset: 2816, bytes: 8192, aligned: true },
];

/** @param instructions EAX of subleaf 1 */
export function xsaveLeaf(
  model: { has(feature: string): boolean },
  instructions: number,
  subleaf: number,
): CpuidResult {
  const none = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
  if (!model.has("xsave")) return none;
  const all = COMPONENTS.filter((c) => c.features.some((f) => model.has(f)));
  if (subleaf === 0) {
    return {
      eax: all.reduce((m, c) => m | 1 << c.number, 3),
      ebx: LEGACY_AND_HEADER,
      ecx: all.reduce((size, c) => Math.max(size, c.offset + c.bytes), LEGACY_AND_HEADER),
      edx: 0,
    };
  }
  if (subleaf === 1) {
    const size = all.reduce(
      (at, c) => (c.aligned ? (at + 63) & ~63 : at) + c.bytes,
      LEGACY_AND_HEADER,
    );
    return { ...none, eax: instructions, ebx: size };
  }
  const c = all.find((o) => o.number === subleaf);
  return c === undefined ? none : { ...none, eax: c.bytes, ebx: c.offset, ecx: c.aligned ? 2 : 0 };
}
