/** The block layer's one interface: what storage controllers read and write. */

/**
 * A back end. `read` and `write` either finish before returning (undefined) or return a promise;
 * devices use {@link settle} to take both. Errors are thrown or rejected as {@link BlockError}.
 */
export interface BlockBackend {
  /** Bytes; a multiple of 512 (a trailing part of a raw file is padded with zeros). */
  readonly size: number;
  readonly readonly: boolean;
  /** Fills `into` from byte `offset`. Beyond the end is an error. */
  read(offset: number, into: Uint8Array): Promise<void> | undefined;
  write(offset: number, from: Uint8Array): Promise<void> | undefined;
  /** Makes completed writes durable. */
  flush(): Promise<void> | undefined;
  /** The storage need not be kept; reads give zeros or old data. */
  discard?(offset: number, length: number): Promise<void> | undefined;
  close(): void;
  /** What `info block` prints: file name and format. */
  readonly filename: string;
  readonly format: string;
}

/** A host error in a form controllers can report: `ENOSPC` stops the machine, others fail the request. */
export class BlockError extends Error {
  override name = "BlockError";
  constructor(readonly code: "EIO" | "ENOSPC" | "EROFS" | "EINVAL", message: string) {
    super(message);
  }
}

/**
 * A drive: what a device is attached to. Its medium can be absent, changed and ejected; the device
 * is told through `onMediaChange`. Named as in QEMU (`ide1-cd0`, `floppy0`, or the user's id).
 */
export interface Drive {
  readonly name: string;
  readonly kind: "disk" | "cdrom" | "floppy";
  /** The medium, or undefined when empty. */
  readonly medium: BlockBackend | undefined;
  /** The guest locked the door (CD): `eject` without force is refused. */
  locked: boolean;
  /** The guest opened the tray. */
  trayOpen: boolean;
  /** Set by the device it is attached to. */
  onMediaChange: (() => void) | undefined;
  /** QOM path or id of the attached device for `info block`, such as `/machine/unattached/device[23]`. */
  attachedTo: string | undefined;
  /** Error policy: `report` fails the request, `ignore` drops it, `stop` pauses, `enospc` stops on ENOSPC. */
  readonly werror: "report" | "ignore" | "stop" | "enospc";
  readonly rerror: "report" | "ignore" | "stop";
  readonly serial: string | undefined;
  /** Guest-driven tray movement (ATAPI START STOP UNIT): removes the medium when loej opens. */
  ejectFromGuest(): void;
  /** Counters for `info blockstats`. */
  readonly stats: {
    rdBytes: number;
    wrBytes: number;
    rdOps: number;
    wrOps: number;
    flushOps: number;
  };
}

/** Runs `done` or `fail` when `r` settles: at once, synchronously, for a finished operation. */
export function settle(
  start: () => Promise<void> | undefined,
  done: () => void,
  fail: (e: BlockError) => void,
): void {
  const failed = (e: unknown) =>
    fail(e instanceof BlockError ? e : new BlockError("EIO", String((e as Error).message ?? e)));
  let r: Promise<void> | undefined;
  try {
    r = start();
  } catch (e) {
    return failed(e);
  }
  if (r === undefined) done();
  else r.then(done, failed);
}
