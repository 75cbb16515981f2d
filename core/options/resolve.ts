/**
 * From what was read to what is meant: defaults, cross-checks, and the order in which QEMU finds
 * mistakes, so that of two mistakes the same one is reported.
 */
import { chardevFromOpts, parseCompat } from "../chardev/parse.ts";
import type { ChardevOptions } from "../chardev/options.ts";
import { logItemHelp, parseLogItems } from "../log.ts";
import { UserError } from "../errors.ts";
import { cpuHelp } from "../x86/cpuid/model.ts";
import { resolveAccelerators } from "./accelerators.ts";
import type { CommandLine } from "./command_line.ts";
import type { MachineConfig, MonitorOptions } from "./config.ts";
import { checkCpu } from "./cpus.ts";
import { answerDeviceHelp, checkGlobal, findDeviceType, resolveDevice } from "./devices.ts";
import {
  addDrive,
  applySnapshot,
  checkIdeMedia,
  checkOrphans,
  drivePlaces,
  DriveTable,
} from "./drives.ts";
import { EarlyExit, fail, prefixMessages, report, warn } from "./host.ts";
import { type Keyval, mergeKeyval } from "./keyval.ts";
import * as lists from "./lists.ts";
import { applyMachineProps, type MachineType, selectMachine } from "./machines.ts";
import { isHelp, Opts } from "./qemu_opts.ts";
import { addMonitor } from "./simple_options.ts";
import * as settings from "./settings.ts";
import { resolveNuma } from "./numa.ts";
import { isRng, resolveRngs } from "./objects.ts";
import { resolveSmp } from "./topology.ts";

/** Directories searched after those of `-L`. */
export const DEFAULT_DATA_DIRS = ["/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu"];

/** The configuration a command line asks for. Throws UserError or {@link EarlyExit}. */
export function resolve(c: CommandLine): MachineConfig {
  const { programName } = c.host;
  resolveMessageForm(c);
  checkKernelOptions(c);
  const nameOpts = c.groups.find(lists.NAME_OPTS, undefined);
  const action = settings.resolveActions(c.groups.find(lists.ACTION_OPTS, undefined));
  const logMask = resolveLogItems(c);
  checkLogFile(c.logFile);
  if (c.cpu !== undefined && isHelp(c.cpu)) {
    c.host.stdout(cpuHelp());
    throw new EarlyExit(0);
  }
  answerDeviceHelp(c.groups.all(lists.DEVICE_OPTS), c.host);
  const dataDirs = [...c.dataDirs, ...DEFAULT_DATA_DIRS.filter(isDirectory)];
  if (c.listDataDirs) {
    c.host.stdout(dataDirs.map((d) => d + "\n").join(""));
    throw new EarlyExit(0);
  }
  const icountOpts = c.groups.find(lists.ICOUNT_OPTS, undefined);
  const rtc = settings.resolveRtc(c.groups.find(lists.RTC_OPTS, undefined));
  mergeMemory(c);
  const machineType = selectMachine(c.machine);
  const vga = defaultDevices(c, machineType);
  if (c.badDisplay !== undefined) fail("", `Display '${c.badDisplay}' is not available.`);
  if (c.displayGl) fail("", "OpenGL is not supported by the display");

  const chardevs = new ChardevList(c);
  const places = drivePlaces(machineType.family);
  const drives = resolveDrives(c, machineType.family);
  const machineParts = resolveMachine(c, machineType);
  const icount = settings.resolveIcount(icountOpts);
  const objects = c.groups.all(lists.OBJECT_OPTS);
  const rngs = resolveRngs(objects);
  const numa = resolveNuma(
    c.groups.all(lists.NUMA_OPTS),
    objects.filter((o) => !isRng(o)),
    machineParts.memory,
    machineParts.smp,
    c.host,
  );
  const accelerators = resolveAccelerators(
    c.groups.all(lists.ACCEL_OPTS),
    machineParts.accel,
    c.accelFromEnableKvm,
    icount !== undefined,
    c.host,
    machineParts.kernelIrqchip,
  );
  if (machineType.deprecated) {
    const { name, deprecated } = machineType;
    warn(c.host, "", `Machine type '${name}' is deprecated: ${deprecated}`);
  }
  const monitors = resolveMonitors(c, chardevs);
  const ports = resolvePorts(c, chardevs, monitors);
  if (c.cpu !== undefined) {
    checkCpu(c.cpu, accelerators.accels[0].name === "tcg", c.host);
  }
  settings.checkPcBoot(machineParts.boot);
  checkIdeMedia(drives);
  checkOrphans(drives, places, c.host);
  const fwCfg = resolveFwCfg(c);
  for (const d of drives.filter((d) => d.interface === "virtio")) {
    const opts = c.groups.create(lists.DEVICE_OPTS, undefined, d.loc);
    opts.set("driver", "virtio-blk-pci");
    opts.set("drive", d.id);
  }
  const deviceOpts = c.groups.all(lists.DEVICE_OPTS);
  const context = {
    chardevs: chardevs.ids,
    drives,
    family: machineType.family,
    objects: new Set(rngs.map((r) => r.id)),
    moreDiskBuses: deviceOpts.some((o) => /^(ich9-)?ahci$/.test(o.get("driver") ?? "")),
  };
  const devices = deviceOpts.map((o) => resolveDevice(o, context));
  return {
    programName,
    machine: { ...machineParts.machine, fdBootchk: c.fdBootchk },
    ...accelerators,
    memory: machineParts.memory,
    smp: machineParts.smp,
    cpu: c.cpu,
    drives,
    devices,
    globals: resolveGlobals(c),
    boot: machineParts.boot,
    chardevs: chardevs.list,
    ...ports,
    monitors,
    nographic: c.nographic,
    display: "none",
    vga,
    keyboardLayout: c.keyboardLayout,
    defaults: c.hasDefaults,
    defaultNic: c.hasDefaults && c.defaultNet,
    startPaused: c.startPaused,
    action,
    logMask,
    logFile: c.logFile,
    rtc,
    icount,
    name: nameOpts?.get("guest"),
    processName: nameOpts?.get("process"),
    uuid: c.uuid,
    smbios: c.smbios,
    acpiTables: c.acpiTables,
    pidfile: c.pidfile,
    daemonize: c.daemonize,
    bios: machineParts.firmware,
    dataDirs,
    kernel: machineParts.kernel,
    initrd: machineParts.initrd,
    append: machineParts.append,
    dtb: machineParts.dtb,
    numa,
    rngs,
    optionRoms: c.groups.all(lists.OPTION_ROM_OPTS).map((o) => ({
      file: o.get("romfile")!,
      bootindex: Number(BigInt.asIntN(32, o.number("bootindex") ?? -1n)),
    })),
    fwCfg,
    gdb: c.gdb.map((g) => g.text),
    escapeChar: c.escapeChar,
    seed: c.seed,
  };
}

/** `-msg`: when, and of which guest, each message on stderr is. */
function resolveMessageForm(c: CommandLine): void {
  const opts = c.groups.all(lists.MSG_OPTS).at(-1);
  const timestamp = opts?.bool("timestamp", false) ?? false;
  const named = opts?.bool("guest-name", false) ?? false;
  const guest = c.groups.find(lists.NAME_OPTS, undefined)?.get("guest");
  if (!timestamp && !(named && guest)) return;
  prefixMessages(c.host, () => {
    // The clock here has milliseconds; the form has six digits.
    const when = timestamp ? new Date().toISOString().replace("Z", "000Z ") : "";
    return when + (named && guest ? `${guest} ` : "");
  });
}

function checkKernelOptions(c: CommandLine): void {
  if (c.machine.has("kernel")) return;
  if (c.machine.has("append")) fail("", "-append only allowed with -kernel option");
  if (c.machine.has("initrd")) fail("", "-initrd only allowed with -kernel option");
}

/** `-d`: an item nobody knows prints the list and ends with status 1. */
function resolveLogItems(c: CommandLine): number {
  if (c.logItems === undefined) return 0;
  let mask = 0;
  try {
    mask = c.logItems === "" ? 0 : parseLogItems(c.logItems);
  } catch (e) {
    if (!(e instanceof UserError)) throw e;
  }
  if (mask === 0) {
    c.host.stdout(logHelp());
    throw new EarlyExit(1);
  }
  return mask;
}

/** What `-d help` prints. */
export function logHelp(): string {
  return "Log items (comma separated):\n" +
    Object.entries(logItemHelp).map(([name, text]) => `${name.padEnd(15)} ${text}\n`).join("");
}

function checkLogFile(file: string | undefined): void {
  if (file === undefined) return;
  const directives = file.match(/%./g) ?? [];
  if (file.includes("%") && (directives.length !== 1 || directives[0] !== "%d")) {
    fail("", `Bad logfile template: ${file}`);
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function mergeMemory(c: CommandLine): void {
  const opts = c.groups.find(lists.MEMORY_OPTS, undefined);
  const prop = settings.memoryProperty(opts);
  if (prop.size > 0) mergeKeyval(c.machine, new Map([["memory", prop]]), opts?.loc ?? "");
}

/** Device types whose presence does away with a default device. */
const DISABLES: Record<string, "serial" | "parallel" | "floppy" | "cdrom" | "vga"> = {
  "isa-serial": "serial",
  "isa-parallel": "parallel",
  "isa-fdc": "floppy",
  floppy: "floppy",
  "ide-cd": "cdrom",
  "ide-hd": "cdrom",
  "scsi-cd": "cdrom",
  "scsi-hd": "cdrom",
  VGA: "vga",
  "isa-vga": "vga",
};

/** Which default devices are left; adds the default ports and monitor. Returns the VGA to make. */
function defaultDevices(c: CommandLine, machine: MachineType): MachineConfig["vga"] {
  const off = new Set<string>();
  for (const o of [...c.groups.all(lists.DEVICE_OPTS), ...c.groups.all(lists.GLOBAL_OPTS)]) {
    const what = DISABLES[o.get("driver") ?? ""];
    if (what) off.add(what);
  }
  const wants = (flag: boolean, what: string) => flag && c.hasDefaults && !off.has(what);
  const serial = wants(c.defaultSerial, "serial");
  const parallel = wants(c.defaultParallel, "parallel");
  const monitor = c.defaultMonitor && c.hasDefaults;
  c.defaultFloppy = wants(true, "floppy");
  c.defaultCdrom = wants(true, "cdrom");
  if (c.daemonize && c.nographic && (serial || parallel || monitor)) {
    fail("", "-nographic cannot be used with -daemonize");
  }
  const port = (kind: "serial" | "parallel", text: string) =>
    c.deviceTexts.push({ kind, text, loc: "" });
  if (c.nographic) {
    if (parallel) port("parallel", "null");
    if (serial && monitor) {
      port("serial", "mon:stdio");
    } else {
      if (serial) port("serial", "stdio");
      if (monitor) addMonitor(c, "stdio", "");
    }
  } else {
    if (serial) port("serial", "vc:80Cx24C");
    if (parallel) port("parallel", "vc:80Cx24C");
    if (monitor) addMonitor(c, "vc:80Cx24C", "");
  }
  if (c.vga !== undefined) {
    if (isHelp(c.vga)) {
      c.host.stdout(settings.vgaHelp());
      throw new EarlyExit(0);
    }
    const vga = settings.resolveVga(c.vga);
    if (machine.family !== "microvm" || vga === "none") return vga;
    const unused = "A -vga option was passed but this machine type does not use that option; ";
    warn(c.host, "", unused + "No VGA device has been created");
  }
  if (machine.family === "microvm") return "none";
  if (off.has("vga")) return "device";
  return c.hasDefaults ? "std" : "none";
}

/** Character devices in creation order, each id once. */
class ChardevList {
  readonly list: ChardevOptions[] = [];
  readonly ids = new Set<string>();

  constructor(c: CommandLine) {
    for (const item of c.chardevs) {
      this.add(item instanceof Opts ? chardevFromOpts(item, c.host) : item);
    }
  }

  add(options: ChardevOptions): void {
    this.list.push(options);
    this.ids.add(options.id);
  }
}

function resolveDrives(c: CommandLine, family: MachineType["family"]): MachineConfig["drives"] {
  if (c.snapshot) applySnapshot(c.groups);
  const table = new DriveTable(c.host, drivePlaces(family));
  const disk = family === "microvm" ? "none" : "ide";
  for (const opts of c.groups.all(lists.DRIVE_OPTS)) table.add(opts, disk);
  const addDefault = (type: "ide" | "none" | "floppy" | "sd", index: number, bus: number) => {
    if (table.at(type, bus, 0)) return;
    const opts = addDrive(
      c.groups,
      "",
      type,
      index,
      undefined,
      type === disk ? "cdrom" : undefined,
    );
    if (c.snapshot) opts.set("snapshot", "on");
    table.add(opts, type, true);
  };
  // The third disk in a row: the second bus of a board with two units on each.
  const { ideUnits, noneUnits } = drivePlaces(family);
  if (c.defaultCdrom) addDefault(disk, 2, Math.floor(2 / (noneUnits ?? ideUnits)));
  if (c.defaultFloppy && family === "pc") addDefault("floppy", 0, 0);
  // Nothing is connected to it, but the monitor shows it.
  if (c.hasDefaults) addDefault("sd", 0, 0);
  return table.drives;
}

function resolveMachine(c: CommandLine, type: MachineType) {
  const options: Keyval = new Map();
  for (const [key, value] of c.machine) {
    const dashed = key.replaceAll("_", "-");
    if (dashed !== key && c.machine.has(dashed)) {
      fail("", `Conflict between '${key}' and '${dashed}'`);
    }
    options.set(dashed, value);
  }
  const take = (key: string) => {
    const v = options.get(key);
    options.delete(key);
    return v;
  };
  const text = (key: string) => {
    const v = take(key);
    if (v instanceof Map) fail("", `Parameters '${key}.*' are unexpected`);
    return v;
  };
  const dict = (key: string) => {
    const v = take(key);
    if (typeof v === "string") fail("", `Invalid parameter type for '${key}', expected: object`);
    return v;
  };
  const accel = text("accel");
  text("igd-passthru");
  text("kvm-shadow-mem");
  const kernelIrqchip = text("kernel-irqchip");
  const backend = text("memory-backend");
  if (backend !== undefined) fail("", `Memory backend '${backend}' not found`);
  const [smp, memory, boot] = [dict("smp"), dict("memory"), dict("boot")];
  const [firmware, kernel, initrd, append, dtb] = ["firmware", "kernel", "initrd", "append", "dtb"]
    .map(text);
  return {
    machine: applyMachineProps(type, options, c.host),
    memory: settings.resolveMemory(memory, type, c.host),
    smp: resolveSmp(smp, type, c.host),
    boot: settings.resolveBoot(boot),
    accel,
    kernelIrqchip,
    firmware,
    kernel,
    initrd,
    append,
    dtb,
  };
}

function resolveMonitors(c: CommandLine, chardevs: ChardevList): MonitorOptions[] {
  const inUse = new Set<string>();
  const monitors = c.monitors.map((m) => {
    const loc = m.loc;
    const monitor = m instanceof Opts ? monitorFromOpts(m) : m;
    if (!chardevs.ids.has(monitor.chardev)) fail(loc, `chardev "${monitor.chardev}" not found`);
    const mux = chardevs.list.find((d) => d.id === monitor.chardev)!;
    if (!mux.mux && mux.backend !== "mux" && inUse.has(monitor.chardev)) {
      fail(loc, `Device '${monitor.chardev}' is in use`);
    }
    inUse.add(monitor.chardev);
    const { chardev, mode, pretty, id } = monitor;
    return { chardev, mode, pretty, id };
  });
  return monitors;
}

function monitorFromOpts(o: Opts): MonitorOptions {
  const mode = o.get("mode") ?? "readline";
  if (mode !== "readline" && mode !== "control") {
    fail(o.loc, `Parameter 'mode' does not accept value '${mode}'`);
  }
  const chardev = o.get("chardev");
  if (chardev === undefined) fail(o.loc, "Parameter 'chardev' is missing");
  const pretty = o.bool("pretty", false);
  if (pretty && mode === "readline") {
    fail(o.loc, "'pretty' is not compatible with HMP monitors");
  }
  if (mode === "control") fail(o.loc, "Option not supported in this build");
  return { chardev, mode, pretty, id: o.id };
}

/**
 * `-serial`, then `-parallel`, then `-debugcon`: each is a new chardev or names an old one. A `mon:`
 * one carries a monitor besides, which is attached before the port and so is not in focus at first.
 */
function resolvePorts(c: CommandLine, chardevs: ChardevList, monitors: MonitorOptions[]) {
  const serials: string[] = [];
  const parallels: string[] = [];
  const connect = (label: string, text: string, loc: string, failure: string): string => {
    const chr = parseCompat(c.groups, label, text, loc, c.host, true);
    if (!chr) fail(loc, failure);
    if (chr.kind === "existing") {
      if (!chardevs.ids.has(chr.id)) fail(loc, failure);
      return chr.id;
    }
    if (chardevs.ids.has(label)) {
      report(
        c.host,
        loc,
        `attempt to add duplicate property '${label}' to object (type 'container')`,
      );
      fail(loc, failure);
    }
    chardevs.add({ ...chr.options, failureNote: failure });
    if (chr.options.monitor) {
      monitors.push({ chardev: label, mode: "readline", pretty: false, id: undefined });
    }
    return label;
  };
  const each = (kind: string) => c.deviceTexts.filter((d) => d.kind === kind);
  for (const { text, loc } of each("serial")) {
    if (text === "none") continue;
    const failure = `could not connect serial device to character backend '${text}'`;
    serials.push(connect(`serial${serials.length}`, text, loc, failure));
  }
  for (const { text, loc } of each("parallel")) {
    if (text === "none") continue;
    if (parallels.length === 3) fail(loc, "too many parallel ports");
    const failure = `could not connect parallel device to character backend '${text}'`;
    parallels.push(connect(`parallel${parallels.length}`, text, loc, failure));
  }
  for (const { text, loc } of each("debugcon")) {
    const id = connect("debugcon", text, loc, `invalid character backend '${text}'`);
    const opts = c.groups.create(lists.DEVICE_OPTS, "debugcon", loc);
    opts.set("driver", "isa-debugcon");
    opts.set("chardev", id);
  }
  return { serials, parallels };
}

function resolveFwCfg(c: CommandLine): MachineConfig["fwCfg"] {
  const seen = new Set<string>();
  return c.groups.all(lists.FW_CFG_OPTS).map((o) => {
    const { loc } = o;
    const [name, file, string, generator] = ["name", "file", "string", "gen_id"]
      .map((k) => o.get(k) || undefined);
    if (!name || [file, string, generator].filter((v) => v !== undefined).length !== 1) {
      fail(loc, "name, plus exactly one of file, string and gen_id, are needed");
    }
    if (name.length > 55) fail(loc, "name too long (max. 55 char)");
    if (generator !== undefined) fail(loc, `Cannot find object '${generator}'`);
    if (!name.startsWith("opt/")) {
      const message = 'externally provided fw_cfg item names should be prefixed with "opt/"';
      warn(c.host, loc, message);
    }
    if (file !== undefined) checkReadable(file, loc);
    if (seen.has(name)) fail(loc, `duplicate fw_cfg file name: ${name}`);
    seen.add(name);
    return { name, file, string, loc };
  });
}

function checkReadable(file: string, loc: string): void {
  try {
    Deno.openSync(file).close();
  } catch (e) {
    const why = e instanceof Deno.errors.NotFound
      ? "No such file or directory"
      : "Permission denied";
    fail(loc, `can't load ${file}: Failed to open file “${file}”: ${why}`);
  }
}

function resolveGlobals(c: CommandLine): MachineConfig["globals"] {
  return c.groups.all(lists.GLOBAL_OPTS).map((o) => {
    const [driver, property, value] = ["driver", "property", "value"].map((k) => o.get(k)!);
    const type = findDeviceType(driver);
    if (!type && !/-cpu$/.test(driver)) {
      warn(c.host, "", `global ${driver}.${property} has invalid class name`);
    } else if (type && !type.pluggable) checkGlobal(type, property, value);
    return { driver, property, value, used: false };
  });
}
