/**
 * Caches as CPUID tells of them: leaf 2 descriptors, leaf 4 and AMD's 80000005h, 80000006h, 8000001Dh.
 * Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E. Sizes and ways are those of QEMU's models.
 */

/** Models whose caches are told as they are; the others tell each leaf's own traditional sizes. */
export type CacheSet = "epyc" | "epyc-rome" | "epyc-milan";

export interface Cache {
  readonly type: "data" | "instruction" | "unified";
  readonly level: 1 | 2 | 3;
  readonly kib: number;
  readonly ways: number;
  readonly selfInitializing: boolean;
  /** EDX of leaves 4 and 8000001Dh: WBINVD's reach, inclusiveness, indexing. */
  readonly flags: number;
}

export interface Caches {
  readonly data: Cache;
  readonly instruction: Cache;
  readonly l2: Cache;
  readonly l3: Cache;
}

const LINE = 64;
/** WBINVD does not reach caches below; inclusive of them and with a complex index. */
const NO_REACH = 1, INCLUSIVE_COMPLEX = 6;

function cache(
  type: Cache["type"],
  level: Cache["level"],
  kib: number,
  ways: number,
  flags: number,
  selfInitializing = true,
): Cache {
  return { type, level, kib, ways, flags, selfInitializing };
}

function zen(instructionKib: number, instructionWays: number, l3Kib: number): Caches {
  return {
    data: cache("data", 1, 32, 8, NO_REACH),
    instruction: cache("instruction", 1, instructionKib, instructionWays, NO_REACH),
    l2: cache("unified", 2, 512, 8, 0, false),
    l3: cache("unified", 3, l3Kib, 16, INCLUSIVE_COMPLEX),
  };
}

const sets: Record<CacheSet, Caches> = {
  "epyc": zen(64, 4, 8192),
  "epyc-rome": zen(32, 8, 16384),
  "epyc-milan": zen(32, 8, 32768),
};

const L3 = cache("unified", 3, 16384, 16, INCLUSIVE_COMPLEX);
const INTEL_L1 = {
  data: cache("data", 1, 32, 8, NO_REACH),
  instruction: cache("instruction", 1, 32, 8, NO_REACH),
};
/** What leaf 4, leaf 2 and AMD's leaves say of the same processor differs, as it does in QEMU. */
const LEAF4: Caches = { ...INTEL_L1, l2: cache("unified", 2, 4096, 16, NO_REACH), l3: L3 };
const LEAF2: Caches = { ...INTEL_L1, l2: cache("unified", 2, 2048, 8, NO_REACH), l3: L3 };
const AMD: Caches = {
  data: cache("data", 1, 64, 2, NO_REACH),
  instruction: cache("instruction", 1, 64, 2, NO_REACH),
  l2: cache("unified", 2, 512, 16, 0, false),
  l3: L3,
};

/** The caches that a kind of leaf tells of. */
export function cachesOf(set: CacheSet | undefined, leaf: "leaf2" | "leaf4" | "amd"): Caches {
  if (set !== undefined) return sets[set];
  return leaf === "leaf2" ? LEAF2 : leaf === "leaf4" ? LEAF4 : AMD;
}

/** Leaf 2 descriptors of the caches that have one; FFh sends to leaf 4. */
const DESCRIPTORS: ReadonlyMap<string, number> = new Map([
  ["data 32 8", 0x2c],
  ["instruction 32 8", 0x30],
  ["unified 2048 8", 0x7d],
  ["unified 512 8", 0x80],
  ["unified 8192 16", 0x4b],
  ["unified 16384 16", 0x4d],
]);

export function descriptor(c: Cache): number {
  return DESCRIPTORS.get(`${c.type} ${c.kib} ${c.ways}`) ?? 0xff;
}

const TYPES = { data: 1, instruction: 2, unified: 3 } as const;

export interface CacheAnswer {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

/**
 * A subleaf of leaf 4 or 8000001Dh.
 * @param sharing logical processors (or APIC IDs) that share the cache
 * @param cores core IDs of a package in leaf 4; 1 where the field is reserved
 */
export function cacheParameters(c: Cache, sharing: number, cores: number): CacheAnswer {
  return {
    eax: TYPES[c.type] | c.level << 5 | (c.selfInitializing ? 1 << 8 : 0) | (sharing - 1) << 14 |
      (cores - 1) << 26,
    ebx: LINE - 1 | (c.ways - 1) << 22,
    ecx: c.kib * 1024 / (LINE * c.ways) - 1,
    edx: c.flags,
  };
}

/** 80000005h ECX or EDX: size, ways, lines per tag, line size. */
export function l1Word(c: Cache): number {
  return c.kib << 24 | c.ways << 16 | 1 << 8 | LINE;
}

/** The 4-bit associativity of 80000006h. */
const ASSOCIATIVITY: ReadonlyMap<number, number> = new Map([[8, 6], [16, 8]]);

/** 80000006h ECX. */
export function l2Word(c: Cache): number {
  return c.kib << 16 | (ASSOCIATIVITY.get(c.ways) ?? 0) << 12 | 1 << 8 | LINE;
}

/** 80000006h EDX: the size in units of 512 KiB. */
export function l3Word(c: Cache): number {
  return c.kib / 512 << 18 | (ASSOCIATIVITY.get(c.ways) ?? 0) << 12 | 1 << 8 | LINE;
}
