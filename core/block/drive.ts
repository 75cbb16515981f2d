/** A drive with a medium that can be changed, as `-drive` makes it and the monitor's commands see it. */
import { UserError } from "../errors.ts";
import type { BlockBackend, BlockError, Drive, DriveAttachment } from "./block.ts";

/** `if=` of `-drive`. */
export type DriveInterface =
  | "none"
  | "ide"
  | "scsi"
  | "floppy"
  | "pflash"
  | "mtd"
  | "sd"
  | "virtio"
  | "xen";

/** `cache=` of `-drive`. */
export type CacheMode = "none" | "writeback" | "writethrough" | "directsync" | "unsafe";

export interface DriveOptions {
  readonly kind: Drive["kind"];
  readonly medium?: BlockBackend;
  readonly interface?: DriveInterface;
  readonly bus?: number;
  readonly unit?: number;
  readonly serial?: string;
  readonly werror?: Drive["werror"];
  readonly rerror?: Drive["rerror"];
  readonly cache?: CacheMode;
  /** `-snapshot`, or `snapshot=on`. */
  readonly snapshot?: boolean;
  /** The medium is opened read-only, and so are later ones under `change … retain`. */
  readonly readonly?: boolean;
}

/** What the machine does for drives. */
export interface DriveHost {
  /** A request failed under a `stop` policy: pause with run state `io-error`. */
  stopOnError(drive: DriveImpl): void;
  /** A name for a medium's node, such as `#block161`. */
  nextNodeName(): string;
}

export class DriveImpl implements Drive {
  readonly kind: Drive["kind"];
  readonly interface: DriveInterface;
  readonly bus: number;
  readonly unit: number;
  readonly werror: Drive["werror"];
  readonly rerror: Drive["rerror"];
  readonly serial: string | undefined;
  readonly cache: CacheMode;
  readonly snapshot: boolean;
  readonlyFlag: boolean;
  locked = false;
  trayOpen = false;
  onMediaChange: (() => void) | undefined = undefined;
  onEjectRequest?: (force: boolean) => void;
  /** QEMU's name of the medium's node. */
  nodeName = "";
  /** The last failed request under a `stop` policy. */
  ioStatus: "ok" | "failed" | "nospace" = "ok";
  readonly stats = { rdBytes: 0, wrBytes: 0, rdOps: 0, wrOps: 0, flushOps: 0 };

  #medium: BlockBackend | undefined;
  #attachment: DriveAttachment | undefined;
  #retries: (() => void)[] = [];

  constructor(readonly name: string, options: DriveOptions, private readonly host: DriveHost) {
    this.kind = options.kind;
    this.interface = options.interface ?? "none";
    this.bus = options.bus ?? 0;
    this.unit = options.unit ?? 0;
    this.werror = options.werror ?? "enospc";
    this.rerror = options.rerror ?? "report";
    this.serial = options.serial;
    this.cache = options.cache ?? "writeback";
    this.snapshot = options.snapshot ?? false;
    this.#medium = options.medium;
    this.readonlyFlag = options.readonly ?? options.medium?.readonly ?? options.kind === "cdrom";
    if (options.medium !== undefined) this.nodeName = host.nextNodeName();
  }

  get medium(): BlockBackend | undefined {
    return this.#medium;
  }

  get attachedTo(): string | undefined {
    return this.#attachment?.path;
  }

  set attachedTo(path: string | undefined) {
    this.#attachment = path === undefined ? undefined : {
      writes: false,
      removable: this.kind !== "disk",
      hasTray: this.kind === "cdrom",
      ...this.#attachment,
      path,
    };
  }

  get writeThrough(): boolean {
    return this.cache === "writethrough" || this.cache === "directsync";
  }

  get ignoreFlushes(): boolean {
    return this.cache === "unsafe" || this.snapshot;
  }

  /** Anything without a device can be changed, as can what its device calls removable. */
  get removable(): boolean {
    return this.#attachment?.removable ?? true;
  }

  get hasTray(): boolean {
    return this.#attachment?.hasTray ?? false;
  }

  attach(to: DriveAttachment): void {
    if (to.needsMedium && this.#medium === undefined) {
      throw new UserError("Device needs media, but drive is empty");
    }
    if (to.writes && this.#medium?.readonly) throw new UserError("Block node is read-only");
    this.#medium?.lock?.(!this.#medium.readonly);
    this.#attachment = to;
  }

  errorAction(reading: boolean, e: BlockError): "report" | "ignore" | "stop" {
    const policy = reading ? this.rerror : this.werror;
    if (policy === "enospc" ? e.code !== "ENOSPC" : policy === "report") return "report";
    if (policy === "ignore") return "ignore";
    this.ioStatus = e.code === "ENOSPC" ? "nospace" : "failed";
    this.host.stopOnError(this);
    return "stop";
  }

  retryOnResume(again: () => void): void {
    this.#retries.push(again);
  }

  /** The machine runs again: requests that failed under a `stop` policy are retried. */
  resume(): void {
    this.ioStatus = "ok";
    const list = this.#retries;
    this.#retries = [];
    for (const again of list) again();
  }

  dropRetries(): void {
    this.#retries = [];
    this.ioStatus = "ok";
  }

  ejectFromGuest(): void {
    if (!this.hasTray || this.trayOpen) return;
    this.trayOpen = true;
  }

  closeTrayFromGuest(): void {
    this.trayOpen = false;
  }

  /** HMP and QMP `eject`. Throws UserError with QEMU's words. */
  eject(force = false): void {
    this.#openTray(force);
    this.#remove();
  }

  /** The end of HMP and QMP `change`: `medium` takes the place of the present one. */
  insert(medium: BlockBackend, force = false): void {
    this.#openTray(force);
    this.#remove();
    if (this.#attachment !== undefined) medium.lock?.(!medium.readonly);
    this.#medium = medium;
    this.readonlyFlag = medium.readonly;
    this.nodeName = this.host.nextNodeName();
    this.trayOpen = false;
    this.onMediaChange?.();
  }

  close(): void {
    this.#medium?.close();
    this.#medium = undefined;
  }

  #openTray(force: boolean): void {
    if (!this.removable) throw new UserError(`Device '${this.name}' is not removable`);
    if (!this.hasTray || this.trayOpen) return;
    const locked = this.locked;
    if (locked) this.onEjectRequest?.(force);
    if (!locked || force) {
      this.trayOpen = true;
      this.onMediaChange?.();
      return;
    }
    throw new UserError(
      `Device '${this.name}' is locked and force was not specified, ` +
        "wait for tray to open and try again",
    );
  }

  #remove(): void {
    const old = this.#medium;
    if (old === undefined) return;
    this.#medium = undefined;
    this.nodeName = "";
    old.close();
    if (!this.hasTray) this.onMediaChange?.();
  }
}
