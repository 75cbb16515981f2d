/** All drives of a machine: naming, opening, and what the monitor does to them. */
import { UserError } from "../errors.ts";
import { type BlockBackend, BlockError, type Drive } from "./block.ts";
import { type CacheMode, DriveImpl, type DriveInterface } from "./drive.ts";
import { toBlockError } from "./host_errors.ts";
import { infoBlock, infoBlockStats } from "./info.ts";
import { openImage } from "./open.ts";

/** One `-drive`, `-hda`, `-cdrom`… */
export interface DriveSpec {
  /** The user's id; absent: QEMU's generated name. */
  readonly id?: string;
  readonly interface?: DriveInterface;
  readonly media?: "disk" | "cdrom";
  readonly bus?: number;
  readonly unit?: number;
  /** Position among all drives of the interface, in place of bus and unit. */
  readonly index?: number;
  /** The image; absent or empty: no medium. */
  readonly file?: string;
  /** A medium that is not a file, in place of {@link file}. */
  readonly backend?: BlockBackend;
  readonly format?: string;
  readonly readonly?: boolean;
  readonly snapshot?: boolean;
  readonly cache?: CacheMode;
  readonly werror?: Drive["werror"];
  readonly rerror?: Drive["rerror"];
  readonly serial?: string;
}

/** How `change` opens the new medium. */
export type ReadOnlyMode = "retain" | "read-only" | "read-write";

/** Units per bus of the interfaces that have buses. */
const unitsPerBus: Partial<Record<DriveInterface, number>> = { ide: 2, scsi: 7 };

export interface BlockGraphOptions {
  /** `-snapshot`: every drive gets a temporary overlay. */
  readonly snapshot?: boolean;
  readonly warn?: (text: string) => void;
}

export class BlockGraph {
  /** In the order in which `info block` lists them. */
  readonly drives: DriveImpl[] = [];
  /** Called when a request failed under a `stop` policy. */
  onStop: (drive: DriveImpl) => void = () => {};
  #node = 0;

  constructor(private readonly options: BlockGraphOptions = {}) {}

  /** Makes a drive and opens its image. Throws UserError with QEMU's words. */
  add(spec: DriveSpec): DriveImpl {
    const iface = spec.interface ?? "ide";
    const media = spec.media ?? "disk";
    const { bus, unit } = this.#place(spec, iface);
    const perBus = unitsPerBus[iface];
    const index = perBus ? bus * perBus + unit : unit;
    if (iface !== "none" && this.get(iface, bus, unit) !== undefined) {
      throw new UserError(`drive with bus=${bus}, unit=${unit} (index=${index}) exists`);
    }
    const letters = media === "cdrom" ? "-cd" : "-hd";
    const name = spec.id ??
      (perBus
        ? `${iface}${bus}${letters}${unit}`
        : media === "cdrom"
        ? `${iface}${letters}${unit}`
        : `${iface}${unit}`);
    if (this.find(name) !== undefined) {
      throw new UserError(`Duplicate ID '${name}' for drive`);
    }
    const readonly = media === "cdrom" || (spec.readonly ?? false);
    const snapshot = spec.snapshot ?? this.options.snapshot ?? false;
    const medium = spec.backend ??
      (spec.file
        ? openImage(spec.file, {
          format: spec.format,
          readonly,
          snapshot,
          warn: this.options.warn,
        })
        : undefined);
    const drive = new DriveImpl(name, {
      kind: media === "cdrom" ? "cdrom" : iface === "floppy" ? "floppy" : "disk",
      medium,
      interface: iface,
      bus,
      unit,
      serial: spec.serial,
      werror: spec.werror,
      rerror: spec.rerror,
      cache: spec.cache,
      snapshot,
      readonly,
    }, {
      stopOnError: (d) => this.onStop(d),
      nextNodeName: () => this.#nextNodeName(),
    });
    this.drives.push(drive);
    return drive;
  }

  /** The drive of a device that was given none: empty, and without a name. */
  addEmpty(kind: "cdrom" | "floppy"): DriveImpl {
    const drive = new DriveImpl("", { kind, readonly: kind === "cdrom" }, {
      stopOnError: (d) => this.onStop(d),
      nextNodeName: () => this.#nextNodeName(),
    });
    this.drives.push(drive);
    return drive;
  }

  /** The drive at a place of an interface, for the board's default devices. */
  get(iface: DriveInterface, bus: number, unit: number): DriveImpl | undefined {
    return this.drives.find((d) => d.interface === iface && d.bus === bus && d.unit === unit);
  }

  /** The drive named `name`. */
  find(name: string): DriveImpl | undefined {
    return name === "" ? undefined : this.drives.find((d) => d.name === name);
  }

  remove(drive: DriveImpl): void {
    const i = this.drives.indexOf(drive);
    if (i >= 0) this.drives.splice(i, 1);
    drive.close();
  }

  /** `eject`. Throws UserError. */
  eject(name: string, force = false): void {
    this.#named(name).eject(force);
  }

  /** `change`. Throws UserError; the old medium then stays. */
  change(
    name: string,
    file: string,
    format?: string,
    mode: ReadOnlyMode = "retain",
    force = false,
  ): void {
    const drive = this.#named(name);
    const readonly = mode === "retain" ? drive.readonlyFlag : mode === "read-only";
    const medium = openImage(file, { format, readonly, warn: this.options.warn });
    try {
      drive.insert(medium, force);
    } catch (e) {
      medium.close();
      throw e;
    }
  }

  /** HMP `commit NAME` or `commit all`: what it prints, nothing on success. */
  commit(name: string): string {
    if (name === "all") {
      const failed = this.drives.filter((d) => d.medium?.commit).map((d) => this.commit(d.name));
      return failed.find((text) => text !== "") ?? "";
    }
    const drive = this.find(name);
    if (drive === undefined) return `Device '${name}' not found\n`;
    const { medium } = drive;
    if (medium === undefined) return `Device '${name}' has no medium\n`;
    try {
      if (medium.commit === undefined) throw new BlockError("EINVAL", "Operation not supported");
      medium.commit();
      return "";
    } catch (e) {
      return `'commit' error for '${name}': ${toBlockError(e).message}\n`;
    }
  }

  /** `change`'s fourth argument. Throws UserError. */
  static parseReadOnlyMode(text: string): ReadOnlyMode {
    if (text === "retain" || text === "read-only" || text === "read-write") return text;
    throw new UserError(`invalid parameter value: ${text}`);
  }

  /** The text of `info block [-v] [name]`. */
  info(name?: string, verbose = false): string {
    return infoBlock(this.drives, name, verbose);
  }

  /** The text of `info blockstats`. */
  infoStats(): string {
    return infoBlockStats(this.drives);
  }

  /** The machine runs again after a stop on error. */
  resume(): void {
    for (const d of this.drives) d.resume();
  }

  /** Makes all completed writes durable; host errors are returned, not thrown. */
  async flushAll(): Promise<Error[]> {
    const errors: Error[] = [];
    for (const d of this.drives) {
      if (d.medium === undefined || d.medium.readonly || d.ignoreFlushes) continue;
      try {
        await d.medium.flush();
      } catch (e) {
        errors.push(e as Error);
      }
    }
    return errors;
  }

  close(): void {
    for (const d of this.drives) d.close();
  }

  #named(name: string): DriveImpl {
    const d = this.find(name);
    if (d === undefined) throw new UserError(`Device '${name}' not found`);
    return d;
  }

  #place(spec: DriveSpec, iface: DriveInterface): { bus: number; unit: number } {
    const perBus = unitsPerBus[iface] ?? 0;
    if (spec.index !== undefined) {
      if (spec.bus !== undefined || spec.unit !== undefined) {
        throw new UserError("index cannot be used with bus and unit");
      }
      return perBus
        ? { bus: Math.floor(spec.index / perBus), unit: spec.index % perBus }
        : { bus: 0, unit: spec.index };
    }
    let bus = spec.bus ?? 0;
    if (spec.unit !== undefined) {
      if (perBus && spec.unit >= perBus) {
        throw new UserError(`unit ${spec.unit} too big (max is ${perBus - 1})`);
      }
      return { bus, unit: spec.unit };
    }
    let unit = 0;
    const taken = (b: number, u: number) =>
      iface === "none" ? this.find(`none${u}`) !== undefined : this.get(iface, b, u) !== undefined;
    while (taken(bus, unit)) {
      unit++;
      if (perBus && unit >= perBus) {
        unit = 0;
        bus++;
      }
    }
    return { bus, unit };
  }

  /** QEMU numbers file and format node of each medium and appends two random digits. */
  #nextNodeName(): string {
    this.#node += 2;
    const digits = String(Math.floor(Math.random() * 100)).padStart(2, "0");
    return `#block${this.#node - 1}${digits}`;
  }
}
