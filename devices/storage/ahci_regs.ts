/** Registers and frame types of AHCI (Serial ATA AHCI 1.3.1) and Serial ATA 3.0, with their names. */

/** Generic host control (AHCI 3.1). */
export const Host = { CAP: 0x00, GHC: 0x04, IS: 0x08, PI: 0x0c, VS: 0x10 } as const;
export const GHC_HR = 0x00000001, GHC_IE = 0x00000002, GHC_AE = 0x80000000;
/** Ports: 80h bytes each from 100h on. */
export const PORTS = 0x100, PORT_SIZE = 0x80;

/** Port registers (AHCI 3.3). */
export const Px = {
  CLB: 0x00,
  CLBU: 0x04,
  FB: 0x08,
  FBU: 0x0c,
  IS: 0x10,
  IE: 0x14,
  CMD: 0x18,
  TFD: 0x20,
  SIG: 0x24,
  SSTS: 0x28,
  SCTL: 0x2c,
  SERR: 0x30,
  SACT: 0x34,
  CI: 0x38,
} as const;

/** PxIS and PxIE. */
export const IS_DHRS = 0x00000001, IS_PSS = 0x00000002, IS_SDBS = 0x00000008;
export const IS_HBFS = 0x20000000, IS_TFES = 0x40000000;
export const IE_MASK = 0xfdc000ff;

/** PxCMD. */
export const CMD_ST = 0x0001, CMD_SUD = 0x0002, CMD_POD = 0x0004, CMD_CLO = 0x0008;
export const CMD_FRE = 0x0010, CMD_FR = 0x4000, CMD_CR = 0x8000, CMD_ATAPI = 0x01000000;
export const CMD_CCS_SHIFT = 8;
/** What software writes; the rest follows from the state. */
export const CMD_WRITABLE = 0xff020007 | CMD_FRE | CMD_SUD | CMD_POD;

/** PxSSTS with a device: communication established, generation 1, interface active. */
export const SSTS_PRESENT = 0x113;
export const SCTL_DET = 0x0f, SCTL_DET_INIT = 1;

/** Command header (AHCI 4.2.2). */
export const HEADER_SIZE = 32;
export const CH_CFL = 0x1f, CH_ATAPI = 0x20, CH_WRITE = 0x40, CH_PRDTL_SHIFT = 16;
/** Command table (AHCI 4.2.3). */
export const TABLE_ACMD = 0x40, TABLE_PRDT = 0x80, PRD_SIZE = 16, PRD_DBC = 0x3fffff;

/** Received FIS area (AHCI 4.2.1). */
export const RX_PIO_SETUP = 0x20, RX_D2H = 0x40, RX_SDB = 0x58;

/** Frame types and flags (Serial ATA 10.5). */
export const FIS_H2D = 0x27, FIS_D2H = 0x34, FIS_PIO_SETUP = 0x5f, FIS_SDB = 0xa1;
export const FIS_C = 0x80, FIS_I = 0x40, FIS_D = 0x20;

/** Queued commands (Serial ATA 13.6). */
export const READ_FPDMA_QUEUED = 0x60, WRITE_FPDMA_QUEUED = 0x61;

export const SIG_NONE = 0xffffffff;
/** PxTFD without a device. */
export const TFD_NONE = 0x7f;
