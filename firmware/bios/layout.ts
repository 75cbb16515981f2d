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
 * The BIOS's own variables: 16 KiB of shadow RAM that stays writable (PAM region EC000h–EFFFFh).
 * Offsets are from {@link PRIVATE_BASE}.
 */
export const PRIVATE_SEGMENT = 0xec00;
export const PRIVATE_BASE = 0xec000;
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
  /** Bytes: the terminal's cursor column and row, its colours, escape sequence being received. */
  serconColumn: 0x186,
  serconRow: 0x187,
  serconAttr: 0x188,
  serconInput: 0x18a,
  /** dword: first free byte of the F segment's table space. */
  tablesFree: 0x194,
  /** dwords: first free byte, and end, of the block reserved at the top of low RAM. */
  highFree: 0x198,
  highEnd: 0x19c,
  /** dword: RSDP, 0 when there is none. */
  rsdp: 0x1a0,
  /** byte: last PCI bus. */
  lastBus: 0x1a4,
  /** byte: a key for the boot menu was pressed. */
  menuKey: 0x1a5,
  /** byte: next entry of the boot list; byte: its length. */
  bootIndex: 0x1a6,
  bootCount: 0x1a7,
  /** dword: where POST stands in a list (option ROMs, drives). */
  cursor: 0x1a8,
  /** dword: next address for an option ROM. */
  romNext: 0x1ac,
  /** dword: tick count of a deadline. */
  deadline: 0x1b0,
  /** word: number of INT 15h/E820h entries. */
  e820Count: 0x1b4,
  /** byte: disk drives, CD drives, floppy drives in the drive table. */
  driveCount: 0x1b6,
  /** El Torito emulation: see eltorito.ts. */
  emulation: 0x1c0,
  emulationSize: 0x20,
  /** fw_cfg DMA descriptor (16 bytes). */
  fwCfgDma: 0x1e0,
  /** Physical region descriptors of the IDE bus master (8 bytes each). */
  prd: 0x1f0,
  prdMax: 34,
  /** INT 13h packet of the boot code. */
  packet: 0x300,
  /** The disk transfer in progress: see ata.ts. */
  transfer: 0x320,
  /** What the bootstrap processor says of itself: CPUID 1, physical address bits. */
  cpuid: 0x350,
  physicalBits: 0x360,
  /** Device parameter table extension of INT 13h/48h. */
  dpte: 0x340,
  /** Drive table: see drives.ts. */
  drives: 0x400,
  driveSize: 0x20,
  driveMax: 16,
  /** Boot list: see boot.ts. */
  bootList: 0x600,
  bootEntry: 0x40,
  bootMax: 24,
  /** E820 entries, 20 bytes each. */
  e820: 0xc00,
  e820Max: 48,
  /** Text on its way to INT 10h. */
  text: 0x2000,
  textMax: 0x800,
  /** AHCI command list (1 KiB), received frames (256 bytes) and command table: see ahci.ts. */
  ahciList: 0x2c00,
  ahciFrames: 0x3c00,
  ahciTable: 0x3d00,
  /** A page with the virtqueue of the virtio disk in use, and its request: see virtio_blk.ts. */
  virtioQueue: 0x3000,
  virtioRequest: 0x3800,
  virtioStatus: 0x3810,
  /** dwords: the disk in use, 0 for none; address and bytes of the larger queue of legacy ports. */
  virtioOwner: 0x3814,
  virtioRing: 0x3818,
  virtioRingSize: 0x381c,
  /** Device path of the option ROM being initialised, 256 bytes. */
  romName: 0x2900,
  /** 2 KiB buffers: drivers' and the boot code's. */
  bounce: 0x1000,
  sector: 0x1800,
  end: 0x4000,
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
  /** First function of the video BIOS's option ROM (00h–0Fh are its own choice). */
  video: 0x200,
} as const;
