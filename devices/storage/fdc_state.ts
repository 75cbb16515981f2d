/** The state of the 82078 floppy disk controller (Intel datasheet 290468). */
import { DOR } from "./fdc_regs.ts";
import { type FloppyState, initialFloppyState } from "./floppy_drive.ts";

/** Parameters and results are at most 16 bytes and the command byte. */
const FIFO_SIZE = 17;
/** Bytes of a sector. */
export const SECTOR = 512;
export type Phase =
  | "command"
  /** Bytes move between the host and the buffer. */
  | "execute"
  /** The medium is being read or written. */
  | "busy"
  | "result";

export type Operation = "read" | "write" | "format" | "verify" | "scan";

/** All that the controller remembers. */
export interface FdcState {
  dor: number;
  /** Data rate code. */
  rate: number;
  tdr: number;
  srb: number;
  phase: Phase;
  /** Command and parameters so far. */
  fifo: Uint8Array;
  fifoLength: number;
  result: Uint8Array;
  resultPos: number;
  resultLength: number;
  irq: boolean;
  /** Drives whose ready change after a reset SENSE INTERRUPT STATUS has still to report. */
  polls: number;
  /** ST0 of finished seeks per drive, -1 for none. */
  seekDone: number[];
  /** SPECIFY: step rate and head unload; head load and ND. */
  timing: number;
  headLoad: number;
  config: number;
  precompensation: number;
  lock: boolean;
  powerDown: number;
  /** Last EOT, for DUMPREG. */
  lastSector: number;
  /** The data command under way. */
  operation: Operation;
  unit: number;
  c: number;
  h: number;
  r: number;
  n: number;
  eot: number;
  multiTrack: boolean;
  /** READ TRACK: IDs are not searched for. */
  wholeTrack: boolean;
  /** VERIFY with EC: sectors left to check, else 0. */
  sectorsLeft: number;
  filler: number;
  /** SCAN: still equal, and which order satisfies. */
  scanEqual: boolean;
  scanMet: boolean;
  deleted: boolean;
  buffer: Uint8Array;
  pos: number;
  length: number;
  drives: FloppyState[];
}

/** After power-on. */
export function initialState(): FdcState {
  return {
    dor: DOR.RESET | DOR.DMAGATE,
    rate: 0,
    tdr: 0,
    srb: 0xc0,
    phase: "command",
    fifo: new Uint8Array(FIFO_SIZE),
    fifoLength: 0,
    result: new Uint8Array(FIFO_SIZE),
    resultPos: 0,
    resultLength: 0,
    irq: false,
    polls: 0,
    seekDone: [-1, -1, -1, -1],
    timing: 0,
    headLoad: 0,
    config: 0x60,
    precompensation: 0,
    lock: false,
    powerDown: 0,
    lastSector: 0x12,
    operation: "read",
    unit: 0,
    c: 0,
    h: 0,
    r: 0,
    n: 0,
    eot: 0,
    multiTrack: false,
    wholeTrack: false,
    sectorsLeft: 0,
    filler: 0,
    scanEqual: true,
    scanMet: true,
    deleted: false,
    buffer: new Uint8Array(SECTOR),
    pos: 0,
    length: 0,
    drives: [initialFloppyState(), initialFloppyState()],
  };
}
