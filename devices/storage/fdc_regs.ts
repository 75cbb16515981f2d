/** Registers and commands of the 82078 (Intel datasheet 290468), with its names. */

/** Main Status Register. */
export const MSR = { RQM: 0x80, DIO: 0x40, NONDMA: 0x20, CMDBSY: 0x10 } as const;

/** Digital Output Register. */
export const DOR = { DMAGATE: 0x08, RESET: 0x04, SELECT: 0x03 } as const;

/** Data rate Select Register. */
export const DSR = { SWRESET: 0x80, RATE: 0x03 } as const;

/** Status register 0: interrupt code in bits 6 and 7. */
export const ST0 = { ABNORMAL: 0x40, INVALID: 0x80, POLL: 0xc0, SE: 0x20, EC: 0x10 } as const;
export const ST1 = { EN: 0x80, OR: 0x10, ND: 0x04, NW: 0x02, MA: 0x01 } as const;
export const ST2 = { CM: 0x40, WC: 0x10, SH: 0x08, SN: 0x04 } as const;
export const ST3 = { WP: 0x40, T0: 0x10, FIXED: 0x28 } as const;

/** CONFIGURE's second byte. */
export const CONFIG = { EIS: 0x40, POLL: 0x10 } as const;

export interface FdcCommand {
  readonly name: FdcCommandName;
  /** Bits of the first byte that must agree with {@link code}. */
  readonly mask: number;
  readonly code: number;
  /** Parameter bytes after the first. */
  readonly parameters: number;
}

export type FdcCommandName =
  | "READ DATA"
  | "READ DELETED DATA"
  | "WRITE DATA"
  | "WRITE DELETED DATA"
  | "READ TRACK"
  | "VERIFY"
  | "FORMAT TRACK"
  | "SCAN EQUAL"
  | "SCAN LOW OR EQUAL"
  | "SCAN HIGH OR EQUAL"
  | "RECALIBRATE"
  | "SENSE INTERRUPT STATUS"
  | "SPECIFY"
  | "SENSE DRIVE STATUS"
  | "DRIVE SPECIFICATION"
  | "SEEK"
  | "CONFIGURE"
  | "RELATIVE SEEK"
  | "DUMPREG"
  | "READ ID"
  | "PERPENDICULAR MODE"
  | "LOCK"
  | "PART ID"
  | "POWERDOWN MODE"
  | "OPTION"
  | "SAVE"
  | "RESTORE"
  | "VERSION"
  | "INVALID";

function row(name: FdcCommandName, mask: number, code: number, parameters: number): FdcCommand {
  return { name, mask, code, parameters };
}

/** The command set (datasheet table 5-1). MT, MFM, SK and other option bits are masked out. */
export const commands: readonly FdcCommand[] = [
  row("READ DATA", 0x1f, 0x06, 8),
  row("READ DELETED DATA", 0x1f, 0x0c, 8),
  row("WRITE DATA", 0x3f, 0x05, 8),
  row("WRITE DELETED DATA", 0x3f, 0x09, 8),
  row("READ TRACK", 0x9f, 0x02, 8),
  row("VERIFY", 0x1f, 0x16, 8),
  row("FORMAT TRACK", 0xbf, 0x0d, 5),
  row("SCAN EQUAL", 0x1f, 0x11, 8),
  row("SCAN LOW OR EQUAL", 0x1f, 0x19, 8),
  row("SCAN HIGH OR EQUAL", 0x1f, 0x1d, 8),
  row("RECALIBRATE", 0xff, 0x07, 1),
  row("SENSE INTERRUPT STATUS", 0xff, 0x08, 0),
  row("SPECIFY", 0xff, 0x03, 2),
  row("SENSE DRIVE STATUS", 0xff, 0x04, 1),
  row("DRIVE SPECIFICATION", 0xff, 0x8e, 5),
  row("SEEK", 0xff, 0x0f, 2),
  row("CONFIGURE", 0xff, 0x13, 3),
  row("RELATIVE SEEK", 0xbf, 0x8f, 2),
  row("DUMPREG", 0xff, 0x0e, 0),
  row("READ ID", 0xbf, 0x0a, 1),
  row("PERPENDICULAR MODE", 0xff, 0x12, 1),
  row("LOCK", 0x7f, 0x14, 0),
  row("PART ID", 0xff, 0x18, 0),
  row("POWERDOWN MODE", 0xff, 0x17, 1),
  row("OPTION", 0xff, 0x33, 1),
  row("SAVE", 0xff, 0x2e, 0),
  row("RESTORE", 0xff, 0x4e, 16),
  row("VERSION", 0xff, 0x10, 0),
];

const invalid = row("INVALID", 0, 0, 0);
const byCode: readonly FdcCommand[] = Array.from(
  { length: 256 },
  (_, b) => commands.find((c) => (b & c.mask) === c.code) ?? invalid,
);

/** The command that a first byte starts. */
export function decodeCommand(byte: number): FdcCommand {
  return byCode[byte];
}
