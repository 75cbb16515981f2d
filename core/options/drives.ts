/**
 * `-drive`, `-hda`, `-cdrom`, … as drives: interface, place on it, name, media and error policy, by
 * QEMU's rules (7.2: a bus of IDE has two units; a drive without a place takes the first free one).
 */
import type { DriveInterface, DriveOptions, MachineOptions } from "./config.ts";
import { EarlyExit, fail, type OptionsHost, report, warn } from "./host.ts";
import { parseUint64 } from "./numbers.ts";
import { checkBool, isHelp, type Opts, type OptsGroups } from "./qemu_opts.ts";
import { DRIVE_OPTS } from "./lists.ts";
import { UserError } from "../errors.ts";

/** Where a board has places for drives. */
export interface DrivePlaces {
  /** Buses for `if=ide`, and units on each. */
  readonly ideBuses: number;
  readonly ideUnits: number;
  /** Units on each bus of `if=none`, where that is what a drive has by default. */
  readonly noneUnits?: number;
}

/** Of a machine family. */
export function drivePlaces(family: MachineOptions["family"]): DrivePlaces {
  if (family === "microvm") return { ideBuses: 0, ideUnits: 2, noneUnits: 1 };
  return family === "q35" ? { ideBuses: 6, ideUnits: 1 } : { ideBuses: 2, ideUnits: 2 };
}

const INTERFACES = ["none", "ide", "scsi", "floppy", "pflash", "mtd", "sd", "virtio", "xen"];

/** `-hda FILE` and its like: `index` -1 leaves the place open. */
export function addDrive(
  groups: OptsGroups,
  loc: string,
  type: DriveInterface | undefined,
  index: number,
  file: string | undefined,
  media?: "disk" | "cdrom",
): Opts {
  const opts = groups.create(DRIVE_OPTS, undefined, loc);
  if (media) opts.set("media", media);
  if (type) opts.set("if", type);
  if (index >= 0) opts.set("index", String(index));
  if (file !== undefined) opts.set("file", file);
  return opts;
}

/** Old spellings and what they mean. */
const RENAMED: Record<string, string> = {
  iops: "throttling.iops-total",
  iops_rd: "throttling.iops-read",
  iops_wr: "throttling.iops-write",
  bps: "throttling.bps-total",
  bps_rd: "throttling.bps-read",
  bps_wr: "throttling.bps-write",
  iops_max: "throttling.iops-total-max",
  iops_rd_max: "throttling.iops-read-max",
  iops_wr_max: "throttling.iops-write-max",
  bps_max: "throttling.bps-total-max",
  bps_rd_max: "throttling.bps-read-max",
  bps_wr_max: "throttling.bps-write-max",
  iops_size: "throttling.iops-size",
  group: "throttling.group",
  readonly: "read-only",
};

/** Keys whose values change nothing a guest can see, with what they accept. */
const HINT_KEYS: Record<string, (value: string, loc: string) => void> = {
  aio: (v, loc) => {
    if (!["threads", "native", "io_uring"].includes(v)) fail(loc, "invalid aio option");
  },
  "copy-on-read": (v, loc) => void checkBool(loc, "copy-on-read", v),
  "auto-read-only": (v, loc) => void checkBool(loc, "auto-read-only", v),
  "force-share": (v, loc) => void checkBool(loc, "force-share", v),
  "stats-account-invalid": (v, loc) => void checkBool(loc, "stats-account-invalid", v),
  "stats-account-failed": (v, loc) => void checkBool(loc, "stats-account-failed", v),
  "file.locking": (v, loc) => {
    if (!["on", "off", "auto"].includes(v)) {
      fail(loc, `Parameter 'locking' does not accept value '${v}'`);
    }
  },
  "file.aio": (v, loc) => HINT_KEYS.aio(v, loc),
  "node-name": () => {},
};

/** Formats `-drive format=help` lists. */
const FORMATS = "file host_device raw";

function integer(value: string | undefined, key: string, loc: string, absent: number): number {
  if (value === undefined) return absent;
  const v = parseUint64(value);
  if (v === "range") fail(loc, `Value '${value}' is too large for parameter '${key}'`);
  if (v === "syntax") fail(loc, `Parameter '${key}' expects a number`);
  return Number(BigInt.asIntN(32, v));
}

/** Takes keys out of one drive's option text; what nobody took is an unknown option. */
class DriveKeys {
  readonly left = new Map<string, string>();
  constructor(opts: Opts) {
    for (const [key, value] of opts.entries) {
      const name = RENAMED[key] ?? key;
      if (name !== key && opts.has(name)) {
        fail(opts.loc, `'${name}' and its alias '${key}' can't be used at the same time`);
      }
      this.left.set(name, value);
    }
  }
  take(key: string): string | undefined {
    const v = this.left.get(key);
    this.left.delete(key);
    return v;
  }
}

function parseCache(keys: DriveKeys, loc: string): DriveOptions["cache"] {
  const text = keys.take("cache");
  const modes: Record<string, [boolean, boolean, boolean]> = {
    none: [true, true, false],
    off: [true, true, false],
    writeback: [true, false, false],
    writethrough: [false, false, false],
    directsync: [false, true, false],
    unsafe: [true, false, true],
  };
  if (text !== undefined && !Object.hasOwn(modes, text)) fail(loc, "invalid cache option");
  let [writeback, direct, noFlush] = modes[text ?? "writeback"];
  const sub = (key: string, was: boolean) => {
    const v = keys.take(`cache.${key}`);
    return v === undefined ? was : checkBool(loc, `cache.${key}`, v);
  };
  writeback = sub("writeback", writeback);
  direct = sub("direct", direct);
  noFlush = sub("no-flush", noFlush);
  if (noFlush) return "unsafe";
  return direct ? (writeback ? "none" : "directsync") : (writeback ? "writeback" : "writethrough");
}

function parseThrottling(keys: DriveKeys, loc: string): void {
  for (const [key, value] of [...keys.left]) {
    if (!key.startsWith("throttling.")) continue;
    keys.left.delete(key);
    if (key === "throttling.group") continue;
    const v = integer(value, key, loc, 0);
    const wide = parseUint64(value) as bigint;
    if (v < 0 || wide > 10n ** 15n) {
      fail(loc, "bps/iops/max values must be within [0, 1000000000000000]");
    }
    if (wide !== 0n) fail(loc, "I/O throttling is not supported in this build");
  }
}

/** All drives of a command line. */
export class DriveTable {
  readonly drives: DriveOptions[] = [];
  /** Units per bus of the interfaces that have buses. */
  readonly #unitsPerBus: Partial<Record<string, number>>;

  constructor(private readonly host: OptionsHost, places: DrivePlaces) {
    this.#unitsPerBus = { ide: places.ideUnits, scsi: 7, none: places.noneUnits };
  }

  at(type: DriveInterface, bus: number, unit: number): DriveOptions | undefined {
    return this.drives.find((d) => d.interface === type && d.bus === bus && d.unit === unit);
  }

  /**
   * Makes the drive `opts` describes. Throws UserError with QEMU's words; `format=help` prints and
   * ends. `defaultType` is the machine's interface for drives that name none.
   */
  add(opts: Opts, defaultType: DriveInterface, isDefault = false): DriveOptions {
    const { loc } = opts;
    const keys = new DriveKeys(opts);
    const cache = parseCache(keys, loc);
    const busText = keys.take("bus");
    const unitText = keys.take("unit");
    const indexText = keys.take("index");
    let bus = integer(busText, "bus", loc, 0);
    let unit = integer(unitText, "unit", loc, -1);
    const index = integer(indexText, "index", loc, -1);
    const mediaText = keys.take("media") ?? "disk";
    if (mediaText !== "disk" && mediaText !== "cdrom") fail(loc, `'${mediaText}' invalid media`);
    const readonlyText = keys.take("read-only");
    const readonly = (readonlyText !== undefined && checkBool(loc, "read-only", readonlyText)) ||
      mediaText === "cdrom";
    const copyOnRead = keys.left.get("copy-on-read");
    if (copyOnRead !== undefined && checkBool(loc, "copy-on-read", copyOnRead) && readonly) {
      warn(this.host, loc, "disabling copy-on-read on read-only drive");
    }
    const ifText = keys.take("if") ?? defaultType;
    if (!INTERFACES.includes(ifText)) fail(loc, `unsupported bus type '${ifText}'`);
    const type = ifText as DriveInterface;
    const perBus = this.#unitsPerBus[type];
    if (index !== -1) {
      if (bus !== 0 || unit !== -1) fail(loc, "index cannot be used with bus and unit");
      bus = perBus ? Math.trunc(index / perBus) : 0;
      unit = perBus ? index % perBus : index;
    }
    if (unit === -1) {
      unit = 0;
      while (this.at(type, bus, unit)) {
        unit++;
        if (perBus && unit >= perBus) {
          unit -= perBus;
          bus++;
        }
      }
    }
    if (perBus && unit >= perBus) fail(loc, `unit ${unit} too big (max is ${perBus - 1})`);
    if (this.at(type, bus, unit)) {
      const at = perBus ? bus * perBus + unit : unit;
      fail(loc, `drive with bus=${bus}, unit=${unit} (index=${at}) exists`);
    }
    const id = opts.id ?? generatedId(type, mediaText, bus, unit, perBus !== undefined);
    const werrorText = keys.take("werror");
    const rerrorText = keys.take("rerror");
    const policies = ["ide", "scsi", "virtio", "none"].includes(type);
    if (werrorText !== undefined && !policies) {
      fail(loc, "werror is not supported by this bus type");
    }
    if (rerrorText !== undefined && !policies) {
      fail(loc, "rerror is not supported by this bus type");
    }
    const snapshotText = keys.take("snapshot");
    const snapshot = snapshotText !== undefined && checkBool(loc, "snapshot", snapshotText);
    for (const [key, check] of Object.entries(HINT_KEYS)) {
      const v = keys.take(key);
      if (v !== undefined) check(v, loc);
    }
    parseThrottling(keys, loc);
    const zeroes = keys.take("detect-zeroes") ?? "off";
    if (zeroes !== "off" && zeroes !== "on" && zeroes !== "unmap") {
      fail(loc, `invalid parameter value: ${zeroes}`);
    }
    const formatText = keys.take("format");
    if (formatText !== undefined && isHelp(formatText)) {
      this.host.stdout(
        `Supported formats: ${FORMATS}\nSupported formats (read-only): ${FORMATS}\n`,
      );
      throw new EarlyExit(0);
    }
    const driver = keys.take("driver");
    if (formatText !== undefined && driver !== undefined) {
      fail(loc, "Cannot specify both 'driver' and 'format'");
    }
    const format = formatText ?? driver;
    const werror = policy(werrorText, ["report", "ignore", "stop", "enospc"], "write", loc);
    const rerror = policy(rerrorText, ["report", "ignore", "stop"], "read", loc);
    if (this.drives.some((d) => d.id === id)) fail(loc, `Device with id '${id}' already exists`);
    const fileDriver = keys.take("file.driver");
    if (fileDriver !== undefined && fileDriver !== "file" && fileDriver !== "host_device") {
      fail(loc, `Unknown driver '${fileDriver}'`);
    }
    const direct = keys.take("file.filename");
    const file = keys.take("file") ?? direct;
    if (file === undefined || file === "") {
      if (format !== undefined) fail(loc, "Must specify either driver or file");
    }
    const discardText = keys.take("discard") ?? "ignore";
    if (!["ignore", "off", "unmap", "on"].includes(discardText)) {
      fail(loc, "Invalid discard option");
    }
    for (const key of keys.left.keys()) {
      if (file === undefined || file === "") fail(loc, "Must specify either driver or file");
      // An image that cannot be opened is reported before a key that nobody knows.
      fileMustOpen(file, loc);
      fail(loc, `Block format '${format ?? "raw"}' does not support the option '${key}'`);
    }
    const drive: DriveOptions = {
      id,
      interface: type,
      bus,
      unit,
      media: mediaText,
      file: file === "" ? undefined : file,
      format,
      readonly,
      snapshot,
      cache,
      discard: discardText === "unmap" || discardText === "on",
      detectZeroes: zeroes,
      werror,
      rerror,
      serial: undefined,
      isDefault,
      loc,
    };
    this.drives.push(drive);
    return drive;
  }
}

function policy<T extends string>(
  text: string | undefined,
  accepted: readonly T[],
  what: "read" | "write",
  loc: string,
): T {
  const fallback = (what === "write" ? "enospc" : "report") as T;
  if (text === undefined) return fallback;
  return accepted.find((a) => a === text) ?? fail(loc, `'${text}' invalid ${what} error action`);
}

function generatedId(
  type: string,
  media: string,
  bus: number,
  unit: number,
  buses: boolean,
): string {
  const letters = type === "ide" || type === "scsi" ? (media === "cdrom" ? "-cd" : "-hd") : "";
  return buses ? `${type}${bus}${letters}${unit}` : `${type}${letters}${unit}`;
}

function fileMustOpen(file: string, loc: string): void {
  try {
    Deno.statSync(file);
  } catch {
    fail(loc, `Could not open '${file}': No such file or directory`);
  }
}

/** Drives at places the board does not have: QEMU's message for the first one. */
export function checkOrphans(
  drives: readonly DriveOptions[],
  places: DrivePlaces,
  host: OptionsHost,
): void {
  const orphans = drives.filter((d) => !d.isDefault && !hasPlace(d, places));
  if (orphans.length > 0) {
    // Images have been opened before places are looked at.
    for (const d of drives) if (d.file !== undefined) fileMustOpen(d.file, d.loc);
  }
  const message = (d: DriveOptions) =>
    `machine type does not support if=${d.interface},bus=${d.bus},unit=${d.unit}`;
  for (const d of orphans.slice(0, -1)) {
    report(host, d.loc, message(d));
  }
  const last = orphans.at(-1);
  if (last) fail(last.loc, message(last));
}

function hasPlace(d: DriveOptions, places: DrivePlaces): boolean {
  switch (d.interface) {
    case "none":
    case "virtio": // a device of its own is made for it
      return true;
    case "ide":
      return d.bus < places.ideBuses && d.unit < places.ideUnits;
    case "floppy":
    case "pflash":
      return d.bus === 0 && d.unit < 2 && places.ideBuses > 0;
    default:
      return false;
  }
}

/** Disks that are empty or read-only cannot be ATA disks: the board's messages. */
export function checkIdeMedia(drives: readonly DriveOptions[]): void {
  for (const d of drives) {
    if (d.interface !== "ide" || d.media === "cdrom") continue;
    if (d.file === undefined) throw new UserError("Device needs media, but drive is empty");
    if (d.readonly) throw new UserError("Block node is read-only");
  }
}

/** `-snapshot` makes every drive that says nothing else temporary. */
export function applySnapshot(groups: OptsGroups): void {
  for (const o of groups.all(DRIVE_OPTS)) {
    if (!o.has("snapshot")) o.set("snapshot", "on");
  }
}
