/**
 * Where a vCPU's state lies in the shared memory, as byte offsets from the vCPU's base address (the
 * `cpu` parameter of every emitted function). Registers are 64 bits wide in every mode.
 */

/** General register `n` (encoding order) is at `8 * n`; AH, CH, DH, BH are at `8 * (n - 4) + 1`. */
export const GPR = 0x000;
export const RIP = 0x080;
/** Result that ZF, SF and PF are derived from, sign-extended to 64 bits. */
export const FLAG_RES = 0x088;
/**
 * The other flags: bit 31 CF; bit 30 CF xor OF; bit 3 AF; bits 15:8 are xored into the result's low
 * byte before PF is taken, bit 0 into SF. (Carry-vector scheme of D. Mihocka and S. Shwartsman,
 * "Virtualization Without Direct Execution", 2008.)
 */
export const FLAG_AUX = 0x090;
/** TF, IF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID at their RFLAGS positions; all others 0. */
export const FLAG_SYS = 0x094;
/** Instructions left in this slice; below zero the next block end returns to the run loop. */
export const BUDGET = 0x098;
/** Non-zero makes the next block end return to the run loop. */
export const KICK = 0x09c;
/** Translation mode: bits of {@link Mode}. */
export const MODE = 0x0a0;
/** Why emitted code returned: {@link Exit}. */
export const EXIT = 0x0a4;
/** Record of the instruction that faulted or asked to be linked. */
export const EXIT_REC = 0x0a8;
export const EXC_VECTOR = 0x0ac;
/** Error code, or -1 for exceptions without one. */
export const EXC_ERROR = 0x0b0;
/** Non-zero while there are data breakpoints: TypeScript fills the TLB then. */
export const WATCHED = 0x0b8;
/** Instructions retired, low 32 bits wrap. */
export const CR0 = 0x0c0;
export const CR2 = 0x0c8;
export const CR3 = 0x0d0;
export const CR4 = 0x0d8;
export const EFER = 0x0e0;
/** Addresses of the TLB and jump cache in use (those of the current privilege). */
export const TLB_PTR = 0x0e8;
export const JC_PTR = 0x0ec;
/** TLB of the supervisor, for implicit supervisor accesses: the address of the {@link Bank} in use. */
export const TLB_SYS_PTR = 0x0f0;
/** Current privilege level. */
export const CPL = 0x0f4;
/**
 * 1 while the interrupt shadow of STI covers the next instruction; {@link SHADOW_SS} for that of MOV SS
 * and POP SS, which holds back debug exceptions too.
 */
export const SHADOW = 0x0f8;
export const SHADOW_SS = 2;
/** Physical address mask of the A20 gate. */
export const A20_MASK = 0x0fc;

/** Segment caches: ES, CS, SS, DS, FS, GS, LDTR, TR, each {@link SEG_SIZE} bytes. */
export const SEGS = 0x100;
export const SEG_SIZE = 64;
export const SEG_BASE = 0;
/** Limit in bytes, unsigned. */
export const SEG_LIMIT = 8;
/** Descriptor bits 47:40 and 55:52: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15. */
export const SEG_ATTR = 12;
export const SEG_SELECTOR = 16;
/** Lowest and highest (inclusive) offsets that may be read and written; empty when low > high. */
export const SEG_RLO = 24;
export const SEG_RHI = 32;
export const SEG_WLO = 40;
export const SEG_WHI = 48;
export const LDTR = 6;
export const TR = 7;

export const GDTR_BASE = 0x300;
export const GDTR_LIMIT = 0x308;
export const IDTR_BASE = 0x310;
export const IDTR_LIMIT = 0x318;
/** DR0–DR7, 8 bytes each. */
export const DR = 0x320;
/** Non-zero while an interrupt or another event waits for the vCPU: setting IF must go to the run loop. */
export const PENDING = 0x360;
/** Protection-key rights of user pages. */
export const PKRU = 0x364;
/** Extended control register 0: the state components that XSAVE manages; 64 bits. */
export const XCR0 = 0x368;
/** Entries of the supervisor's TLB that hold user pages, present while AC overrides SMAP. */
export const SMAP_PAGES = 0x370;
/** Non-zero when the CPU model knows compacted XSAVE areas. */
export const COMPACTED_AREAS = 0x374;
/** Non-zero when SYSCALL and SYSENTER outside 64-bit mode follow AMD's rules, not Intel's. */
export const AMD_CALLS = 0x378;
/** Bytes of a guest access that cannot be made in place (device registers, page crossing). */
export const BOUNCE = 0x380;
/** 64-bit results and operands exchanged with helper functions. */
export const SCRATCH = 0x3c0;

/** x87 registers R0–R7 (physical), 16 bytes each: significand 8, sign and exponent 2. MMn is Rn. */
export const FPR = 0x400;
export const FCW = 0x480;
/** Status word without TOP. */
export const FSW = 0x484;
/** TOP, 0–7. */
export const FTOP = 0x488;
/** Bit n set when physical register n is empty. */
export const FEMPTY = 0x48c;
export const FIP = 0x490;
export const FDP = 0x498;
export const FCS = 0x4a0;
export const FDS = 0x4a4;
export const FOP = 0x4a8;
export const MXCSR = 0x4ac;
/** Counts the changes of bank, for {@link Bank.STAMP}. */
export const BANK_CLOCK = 0x4c0;
/** Error code of the page fault that the last walk in emitted code found; -1 when it did not decide. */
export const WALK_ERROR = 0x4e0;
/** Non-zero while IRET must not be carried out in emitted code: NMIs are blocked, or RF matters. */
export const IRET_SLOW = 0x4e4;
/** In a memory64: the two storage addresses that wait, 64 bits wide; {@link BOUNCE_TO} is 1. */
export const BOUNCE_FAR = 0x4e8;
export const BOUNCE_FAR2 = 0x4f0;
/** Non-zero once a page of 1 GiB was met and the CPU model has them. */
export const HUGE_PAGES = 0x4cc;
/**
 * The write that waits in the bounce buffer when emitted code carries it out: storage addresses of its
 * two parts and the length of the first. The first is 0 when TypeScript carries it out.
 */
export const BOUNCE_TO = 0x4d0;
export const BOUNCE_TO2 = 0x4d4;
export const BOUNCE_FIRST = 0x4d8;
export const BOUNCE_BYTES = 0x4dc;
/** Vector register n at `XMM + 64 * n`, 32 of them, wide enough for ZMM. */
export const XMM = 0x500;
export const XMM_SIZE = 64;
/** AVX-512 mask registers k0–k7, 8 bytes each. */
export const K = 0xd00;
/** Scratch space of the run-time library. */
export const LIB = 0xd40;
/** Places of 64 bytes for vectors whose elements are taken one by one, {@link ELEMENTS_COUNT} of them. */
export const ELEMENTS = LIB + 0x100;
export const ELEMENTS_COUNT = 4;

/** Numbers of the TLB entries counted by {@link SMAP_PAGES}, 2 bytes each. */
export const SMAP_LIST = 0x1000;
export const SMAP_LIST_ENTRIES = 256;

/** Model-specific registers by their names, 8 bytes each. */
export const IA32_STAR = SMAP_LIST + 2 * SMAP_LIST_ENTRIES;
export const IA32_LSTAR = IA32_STAR + 8;
export const IA32_FMASK = IA32_STAR + 16;
export const IA32_KERNEL_GS_BASE = IA32_STAR + 24;
export const IA32_CSTAR = IA32_STAR + 32;
export const IA32_SYSENTER_CS = IA32_STAR + 40;
export const IA32_SYSENTER_ESP = IA32_STAR + 48;
export const IA32_SYSENTER_EIP = IA32_STAR + 56;
export const IA32_TSC_AUX = IA32_STAR + 64;
/** What the guest has added to its time-stamp counter. */
export const TSC_OFFSET = IA32_STAR + 72;
/**
 * The four page-directory-pointer-table entries of PAE paging, 8 bytes each: walks use these, not what
 * stands in memory. SDM volume 3, 4.4.1.
 */
export const PDPTE = TSC_OFFSET + 8;
export const PDPTES = 4;

/** A TLB: that of the supervisor, or that of user code. */
export const TLB_ENTRIES = 1024;
export const TLB_ENTRY = 32;
/**
 * Tags: page address, or with low bits set when an access of that kind must take the slow path:
 * {@link TLB_CODE} and {@link TLB_SLOW} over a page address whose translation is valid, else -1.
 */
export const TLB_READ = 0;
export const TLB_WRITE = 8;
export const TLB_EXEC = 16;
/**
 * Added to a linear address (mod 2^32) gives the offset in the shared memory. In a memory64 it is a
 * signed number of pages, to be added to the low half of a linear address.
 */
export const TLB_ADDEND = 24;
/** Physical page number and {@link TLB_FLAGS}; 0 in an entry that a flush has emptied. */
export const TLB_PHYS = 28;
export const TLB_BYTES = TLB_ENTRIES * TLB_ENTRY;
/** Low tag bits: a page that holds translated code; a page without storage to write or read in place. */
export const TLB_CODE = 1;
export const TLB_SLOW = 2;
/** Bits above the page number: global, from a page of 2 or 4 MiB, from a page of 1 GiB. */
export const TLB_FLAGS = { GLOBAL: 1 << 30, LARGE: 1 << 29, HUGE: 1 << 28 } as const;
export const TLB_PAGE_MASK = (1 << 28) - 1;

/**
 * A jump cache, one for each TLB; an entry is {tag i64, record i32, state i32}. In an empty one the tag
 * is one that no jump to this entry has (0, in entry 0 of a cache 1). State: {@link JC_STATE}.
 */
export const JC_ENTRIES = 2048;
export const JC_ENTRY = 16;
export const JC_BYTES = JC_ENTRIES * JC_ENTRY;
/** The entry stands in the list of either kind; it leads to code in a global page. */
export const JC_STATE = { LISTED: 1, LISTED_GLOBAL: 2, GLOBAL: 4 } as const;

export const JC_PAGES_ENTRIES = 1024;

/**
 * What a vCPU keeps of translations for one process-context identifier (PCID), as offsets in a bank.
 * The bank in use is where {@link TLB_SYS_PTR} says. A flush clears what its lists name, and the lists
 * of global pages, which most flushes leave, are apart from the others.
 */
export const Bank = (() => {
  let at = 0;
  const next = (bytes: number) => (at += bytes) - bytes;
  return {
    /** Supervisor, then user. */
    TLB: next(2 * TLB_BYTES),
    JC: next(2 * JC_BYTES),
    /** Numbers of the entries in use, 2 bytes each; an entry may have been replaced by another kind. */
    TLB_LIST: next(4 * TLB_ENTRIES),
    TLB_GLOBALS: next(4 * TLB_ENTRIES),
    JC_LIST: next(4 * JC_ENTRIES),
    JC_GLOBALS: next(4 * JC_ENTRIES),
    /** A byte per TLB entry: bit 0 it stands in TLB_LIST, bit 1 in TLB_GLOBALS. */
    TLB_LISTED: next(2 * TLB_ENTRIES),
    /**
     * A bit for each 4 MiB of linear addresses, by bits 31:22 XOR 41:32: TLB entries from large pages.
     */
    CHUNKS: next(128),
    GLOBAL_CHUNKS: next(128),
    /** A byte for each linear page modulo 1024 that jump cache entries lead to. */
    JC_PAGES: next(JC_PAGES_ENTRIES),
    /** Lengths of the lists. */
    TLB_COUNT: next(4),
    TLB_GLOBAL_COUNT: next(4),
    JC_COUNT: next(4),
    JC_GLOBAL_COUNT: next(4),
    /** Non-zero while the TLB may hold entries of 1 GiB pages. */
    HUGE_USED: next(4),
    /** The PCID, or -1 for a bank that is not in use, and when it was last switched to. */
    PCID: next(4),
    STAMP: next(4),
    /** {@link MODE} bits for which the supervisor's and the user's jump cache hold; -1: it is empty. */
    JC_MODE: next(8),
    BYTES: (at + 4095) & ~4095,
  } as const;
})();
export const BANKS = 8;
/** The first bank. */
export const BANK = 0x2000;
/** TLB and jump cache of the first bank. */
export const TLB = BANK + Bank.TLB;
export const JC = BANK + Bank.JC;

export const STATE_BYTES = BANK + BANKS * Bank.BYTES;

/** Why emitted code came back to the run loop. */
export const Exit = {
  /** RIP holds the next instruction: find its translation. */
  LOOKUP: 0,
  /** EXC_VECTOR is to be delivered for the instruction of EXIT_REC. */
  EXCEPTION: 1,
  /** RIP holds the target of the jump at EXIT_REC, which may be linked to its translation. */
  LINK: 2,
  /** The slice is over; RIP is exact. */
  BUDGET: 3,
  /** HLT executed; RIP is behind it. */
  HALT: 4,
  /** The instruction at EXIT_REC must be run by the interpreter of single instructions again. */
  RETRY: 5,
  /** Triple fault. */
  SHUTDOWN: 6,
  /** A fetch breakpoint of some vCPU is at RIP. */
  BREAK: 8,
  /** EXC_VECTOR is to be delivered at RIP: the instruction has had its effect. */
  FAULT_HERE: 9,
  /** The instruction at EXIT_REC needs its slow handler, which is to be made. */
  UNMADE: 10,
} as const;

/** Bits of {@link MODE}: what translations depend on. */
export const Mode = {
  /** Default code size: 0 is 16, 1 is 32, 2 is 64 bits. */
  CODE_MASK: 3,
  /** SS.B: the stack pointer is ESP. */
  SS32: 1 << 2,
  /** DS, ES and SS have base 0, the full limit, and are readable and writable. */
  FLAT: 1 << 3,
  /** CS has base 0 and the full limit. */
  CS_FLAT: 1 << 4,
  PE: 1 << 5,
  VM86: 1 << 6,
  /** One instruction per block: TF, RF, the interrupt shadow, or the accelerator asks for it. */
  SINGLE: 1 << 7,
  /** x87 and MMX instructions raise #NM (CR0.TS or CR0.EM). */
  FPU_TRAP: 1 << 8,
  /** SSE instructions raise #UD (CR4.OSFXSR clear or CR0.EM). */
  SSE_UD: 1 << 9,
  /** SSE instructions raise #NM (CR0.TS). */
  SSE_NM: 1 << 10,
  /** EFER.LMA: descriptors and gates have their long-mode form. */
  LONG: 1 << 11,
  CPL3: 1 << 12,
  /** WAIT raises #NM (CR0.MP and CR0.TS). */
  WAIT_NM: 1 << 13,
  /** AVX instructions raise #UD (CR4.OSXSAVE clear, or XCR0 without SSE and AVX state). */
  AVX_UD: 1 << 14,
  /** AVX-512 instructions run (CR4.OSXSAVE, and XCR0 with their state): else #UD. */
  AVX512: 1 << 15,
  /** Data accesses raise #AC where they are not aligned (CR0.AM, EFLAGS.AC, CPL 3). */
  ALIGN: 1 << 16,
  /** Of translations only: one instruction that a region leaves to tier 0. */
  ALONE: 1 << 17,
} as const;

/** Bits of {@link MODE} that records in a jump cache depend on: each privilege has a cache of its own. */
export const JUMP_MODE = ~(Mode.CPL3 | Mode.SINGLE);

/** RFLAGS bits. */
export const Fl = {
  CF: 1 << 0,
  PF: 1 << 2,
  AF: 1 << 4,
  ZF: 1 << 6,
  SF: 1 << 7,
  TF: 1 << 8,
  IF: 1 << 9,
  DF: 1 << 10,
  OF: 1 << 11,
  IOPL: 3 << 12,
  NT: 1 << 14,
  RF: 1 << 16,
  VM: 1 << 17,
  AC: 1 << 18,
  VIF: 1 << 19,
  VIP: 1 << 20,
  ID: 1 << 21,
} as const;
/** The flags kept in FLAG_RES and FLAG_AUX. */
export const FL_ARITH = Fl.CF | Fl.PF | Fl.AF | Fl.ZF | Fl.SF | Fl.OF;

/** Exception vectors. */
export const Vec = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
} as const;

/** Translated records of tier 0. */
export const Rec = {
  SIZE: 40,
  /** Table index of the handler. */
  HANDLER: 0,
  /** Four state offsets of the register operands, 2 bytes each. */
  SLOTS: 4,
  /** Instruction length (byte) and, from byte 14, its index in the block (2 bytes). */
  LENGTH: 12,
  INDEX: 14,
  /** A byte; 1: what the record is linked to is its one instruction, run in tier 0. */
  ALONE: 13,
  /** RIP of the instruction, 8 bytes. */
  IP: 16,
  /** Immediate, branch target, or number of the decoded instruction, 8 bytes. */
  IMM: 24,
  /** Displacement, sign-extended to 8 bytes; jumps keep their link (record address or 0) here. */
  DISP: 32,
  LINK: 32,
} as const;
