/** Where the BIOS keeps things in memory, and the numbers of its trap functions. */

/** BIOS data area at segment 40h: linear addresses (IBM PC/AT Technical Reference, BIOS listing). */
export const Bda = {
  comPorts: 0x400,
  lptPorts: 0x408,
  ebdaSegment: 0x40e,
  equipment: 0x410,
  memoryKiB: 0x413,
  shiftFlags: 0x417,
  shiftFlags2: 0x418,
  altKeypad: 0x419,
  kbdHead: 0x41a,
  kbdTail: 0x41c,
  kbdBuffer: 0x41e,
  floppyRecalibrate: 0x43e,
  floppyMotor: 0x43f,
  floppyMotorCount: 0x440,
  floppyStatus: 0x441,
  floppyResult: 0x442,
  videoMode: 0x449,
  videoColumns: 0x44a,
  cursor: 0x450,
  crtcPort: 0x463,
  /** seg:off where a reset with shutdown code 5 or 0Ah goes on. */
  resumeVector: 0x467,
  ticks: 0x46c,
  midnight: 0x470,
  breakFlag: 0x471,
  resetFlag: 0x472,
  diskStatus: 0x474,
  diskCount: 0x475,
  diskControl: 0x476,
  lptTimeouts: 0x478,
  comTimeouts: 0x47c,
  kbdBufferStart: 0x480,
  kbdBufferEnd: 0x482,
  videoRows: 0x484,
  floppyRate: 0x48b,
  floppyInfo: 0x48f,
  floppyMedia0: 0x490,
  floppyTrack0: 0x494,
  diskStatusRegister: 0x48c,
  diskInterruptFlag: 0x48e,
  kbdMode: 0x496,
  kbdLeds: 0x497,
  waitFlagPointer: 0x498,
  waitCount: 0x49c,
  waitActive: 0x4a0,
} as const;

/** Extended BIOS data area: the last KiB below 640 KiB, offsets as other BIOSes use them. */
export const EBDA_SEGMENT = 0x9fc0;
export const Ebda = {
  size: 0x9fc00,
  mouseHandler: 0x9fc22,
  mouseFlags1: 0x9fc26,
  mouseFlags2: 0x9fc27,
  mouseData: 0x9fc28,
  /** Fixed disk parameter tables that INT 41h and INT 46h point to. */
  fdpt0: 0x9fc3d,
  fdpt1: 0x9fc4d,
} as const;

/**
 * The BIOS's own variables: 4 KiB of shadow RAM that stays writable (PAM region EC000h–EFFFFh).
 * Offsets are from {@link PRIVATE_BASE}.
 */
export const PRIVATE_SEGMENT = 0xef00;
export const PRIVATE_BASE = 0xef000;
export const Private = {
  /** dword: APs that have reached the trampoline. */
  apCount: 0x00,
  /** word: entries of msrTable. */
  msrCount: 0x04,
  /** {index, low, high} dwords which every CPU writes at start-up. */
  msrTable: 0x10,
  msrMax: 30,
  /** dword: vector that serial console mirroring has hooked (the video BIOS's INT 10h). */
  videoVector: 0x180,
  /** word: serial port that mirrors the console, 0 for none. */
  serconPort: 0x184,
  /** Two bytes: cursor column and row as the terminal knows them. */
  serconColumn: 0x186,
  serconRow: 0x187,
  serconAttr: 0x188,
  /** Escape sequence being received: length, then bytes. */
  serconInput: 0x18a,
  /** byte: F12/Esc was pressed while the boot menu could be asked for. */
  bootMenuKey: 0x192,
  /** byte: next entry of the boot list. */
  bootIndex: 0x193,
  bootCount: 0x194,
  /** byte: drive number of the CD emulation, its state; see eltorito.ts. */
  cdEmulation: 0x1a0,
  /** Physical Region Descriptor and one bounce sector are at fixed places. */
  prd: 0x1e0,
  /** INT 13h packet and buffers of the boot code. */
  bootPacket: 0x1f0,
  /** Free: a sector buffer for the boot code (2 KiB). */
  sector: 0x800,
  /** Drive table: see drives.ts. */
  drives: 0x200,
  driveSize: 0x20,
  driveMax: 24,
  /** Boot list: 16 entries × 12 bytes; see boot.ts. */
  bootList: 0x500,
  bootListMax: 24,
} as const;

/** Size of the ROM image; it ends at 1 MiB and at 4 GiB. */
export const ROM_SIZE = 0x20000;
export const ROM_BASE = 0xe0000;

/** Space in the F segment for the tables that POST places there. */
export const TABLES_START = 0xf3000;
export const TABLES_END = 0xfe000;

/** Trap function numbers: 00h–FFh are the interrupts of the same number. */
export const Fn = {
  post: 0x100,
  sercon: 0x101,
  /** A hardware interrupt nobody has claimed: acknowledge and return. */
  spurious: 0x102,
  boot: 0x103,
  /** Bootstrap entry of -kernel; see firmware/boot. */
  linuxboot: 0x104,
  multiboot: 0x105,
  /** First function of the video BIOS's option ROM (00h–0Fh are its own choice). */
  video: 0x200,
} as const;
