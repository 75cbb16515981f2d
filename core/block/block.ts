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
  /** What this back end reads through to where it has no data of its own (`-snapshot`). */
  readonly backing?: BlockBackend;
  /** Writes an overlay's data to what it backs. Throws BlockError. */
  commit?(): void;
  /** Bytes allocated on the host, for `info block -v`. */
  allocated?(): number;
  /** Lines of `info block -v` about the format, from `cluster_size:` on. */
  readonly formatInfo?: readonly string[];
  /**
   * Takes QEMU-compatible advisory locks for a user that reads (and writes, if `write`). Throws
   * UserError when another process holds conflicting ones. Released by {@link close}.
   */
  lock?(write: boolean): void;
}

/** A host error in a form controllers can report: `ENOSPC` stops the machine, others fail the request. */
export class BlockError extends Error {
  override name = "BlockError";
  constructor(
    readonly code: "EIO" | "ENOSPC" | "EROFS" | "EINVAL" | "EPERM" | "ENOMEDIUM",
    message: string,
  ) {
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
  /** `if=` of `-drive`: what it was asked to be connected to. */
  readonly interface?: string;
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
  /** The host asks for the medium while the door is locked; a CD reports it as a media event. */
  onEjectRequest?: (force: boolean) => void;
  /**
   * Called once by the device that takes the drive: sets {@link attachedTo}, checks that a writer
   * has a writable medium, and locks the image file. Throws UserError.
   */
  attach?(to: DriveAttachment): void;
  /** Closes the tray as the guest's START STOP UNIT does. */
  closeTrayFromGuest?(): void;
  /** What to do about a failed request; `stop` has asked the machine to pause. */
  errorAction?(reading: boolean, e: BlockError): "report" | "ignore" | "stop";
  /** `cache=writethrough`: every write is flushed. */
  readonly writeThrough?: boolean;
  /** `cache=unsafe`: flushes are not carried out. */
  readonly ignoreFlushes?: boolean;
  /** Calls `again` when the machine runs again after a `stop`. */
  retryOnResume?(again: () => void): void;
  /** A reset of the device: requests that wait for the machine to run again are forgotten. */
  dropRetries?(): void;
  /** Counters for `info blockstats`. */
  readonly stats: {
    rdBytes: number;
    wrBytes: number;
    rdOps: number;
    wrOps: number;
    flushOps: number;
  };
}

/** What a device tells about itself in {@link Drive.attach}. */
export interface DriveAttachment {
  /** QOM path or id of the device. */
  readonly path: string;
  /** The device writes to the medium: a read-only one is refused (fixed disks). */
  readonly writes: boolean;
  /** The medium can be changed while the machine runs. */
  readonly removable: boolean;
  /** The device has a tray (CD), rather than a slot (floppy). */
  readonly hasTray?: boolean;
  /** The drive may not be empty: `Device needs media, but drive is empty`. */
  readonly needsMedium?: boolean;
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
