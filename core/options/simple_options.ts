/** What single options do to a {@link CommandLine}; the table in `table.ts` names these. */
import type { CommandLine } from "./command_line.ts";
import { parseCompat } from "../chardev/parse.ts";
import { acceleratorHelp } from "./accelerators.ts";
import { EarlyExit, fail, warn } from "./host.ts";
import { type Keyval, mergeKeyval, parseKeyval } from "./keyval.ts";
import * as lists from "./lists.ts";
import { findMachine, machineHelp, machinePropsHelp } from "./machines.ts";
import { parseBool, parseInt64, parseUint64 } from "./numbers.ts";
import { isHelp, optsHelp, type OptsList } from "./qemu_opts.ts";

/** Applies one option. `loc` is `-name value` as the user wrote it. */
export type Apply = (c: CommandLine, arg: string, loc: string) => void;

function printAndExit(c: CommandLine, text: string): never {
  c.host.stdout(text);
  throw new EarlyExit(0);
}

/** `-machine TYPE,key=value,…`. */
export const machine: Apply = (c, arg, loc) => {
  const dict: Keyval = new Map();
  const help = parseKeyval(dict, arg, "type", loc);
  if (dict.has("accel")) c.accelFromEnableKvm = false;
  mergeKeyval(c.machine, dict, loc);
  if (!help) return;
  const type = c.machine.get("type");
  const found = typeof type === "string" ? findMachine(type) : undefined;
  printAndExit(c, found ? machinePropsHelp(found) : machineHelp());
};

/** An option that is a machine property with a fixed value. */
export function machineProp(key: string, value: string): Apply {
  return (c) => void c.machine.set(key, value);
}

/** An option whose argument is a machine property. */
export function machineArg(key: string): Apply {
  return (c, arg) => void c.machine.set(key, arg);
}

export const enableKvm: Apply = (c) => {
  c.machine.set("accel", "kvm");
  c.accelFromEnableKvm = true;
};

/** `-smp` and `-boot`: dictionary-valued machine properties. */
export function machineStruct(key: string, list: OptsList): Apply {
  return (c, arg, loc) => {
    const dict: Keyval = new Map();
    if (parseKeyval(dict, arg, list.implied, loc)) printAndExit(c, optsHelp(list));
    mergeKeyval(c.machine, new Map([[key, dict]]), loc);
  };
}

export const accel: Apply = (c, arg, loc) => {
  const opts = c.groups.parse(lists.ACCEL_OPTS, arg, loc);
  const name = opts.get("accel");
  if (name === undefined || isHelp(name)) printAndExit(c, acceleratorHelp());
};

/** Adds the option to its group, checked against the group's keys. */
export function group(list: OptsList, permitAbbrev = true): Apply {
  return (c, arg, loc) => void c.groups.parse(list, arg, loc, permitAbbrev);
}

/** `-global driver.property=value` or with the three keys. */
export const global: Apply = (c, arg, loc) => {
  const m = /^([^.=]{1,63})\.([^=]{1,63})=(.*)$/s.exec(arg);
  if (m) {
    const opts = c.groups.create(lists.GLOBAL_OPTS, undefined, loc);
    opts.set("driver", m[1]);
    opts.set("property", m[2]);
    opts.set("value", m[3]);
    return;
  }
  const opts = c.groups.parse(lists.GLOBAL_OPTS, arg, loc, false);
  if (!opts.has("driver") || !opts.has("property") || !opts.has("value")) {
    fail(loc, "options 'driver', 'property', and 'value' are required");
  }
};

/** `-set group.id.key=value`. */
export const set: Apply = (c, arg, loc) => {
  const m = /^([^.]{1,63})\.([^.]{1,63})\.([^=]{1,63})=(.*)$/s.exec(arg);
  if (!m) fail(loc, `can't parse: "${arg}"`);
  const [, groupName, id, key, value] = m;
  if (["object", "machine", "smp-opts", "boot-opts"].includes(groupName)) {
    fail(loc, `-set is not supported with ${groupName}`);
  }
  const list = lists.OPTS_GROUPS.find((l) => l.name === groupName);
  if (!list) fail(loc, `There is no option group '${groupName}'`);
  const opts = c.groups.find(list, id);
  if (!opts) fail(loc, `there is no ${groupName} "${id}" defined`);
  c.groups.add(opts, key, value, loc);
};

export const monitor: Apply = (c, arg, loc) => {
  c.defaultMonitor = false;
  if (!arg.startsWith("none")) addMonitor(c, arg, loc);
};

/** A readline monitor on an old-style chardev description. */
export function addMonitor(c: CommandLine, text: string, loc: string): void {
  const label = `compat_monitor${c.monitorIndex}`;
  const chr = parseCompat(c.groups, label, text, loc, c.host, true);
  if (!chr) fail(loc, `parse error: ${text}`);
  if (chr.kind === "new") c.chardevs.push(chr.options);
  const chardev = chr.kind === "new" ? label : chr.id;
  c.monitors.push({ chardev, mode: "readline", pretty: false, id: chardev, loc });
  c.monitorIndex++;
}

export const mon: Apply = (c, arg, loc) => {
  c.monitors.push(c.groups.parse(lists.MON_OPTS, arg, loc));
  c.defaultMonitor = false;
};

export const chardev: Apply = (c, arg, loc) => {
  c.chardevs.push(c.groups.parse(lists.CHARDEV_OPTS, arg, loc));
};

export const serial: Apply = (c, arg, loc) => {
  c.deviceTexts.push({ kind: "serial", text: arg, loc });
  c.defaultSerial = false;
  if (arg.startsWith("mon:")) c.defaultMonitor = false;
};

export const parallel: Apply = (c, arg, loc) => {
  c.deviceTexts.push({ kind: "parallel", text: arg, loc });
  c.defaultParallel = false;
  if (arg.startsWith("mon:")) c.defaultMonitor = false;
};

export const debugcon: Apply = (c, arg, loc) => {
  c.deviceTexts.push({ kind: "debugcon", text: arg, loc });
};

/** Remembers text for a later phase. */
export function gdb(text?: string): Apply {
  return (c, arg, loc) => {
    c.gdb.push({ kind: "gdb", text: text ?? arg, loc });
  };
}

/** `-net`, `-nic`: only `none` has a meaning while there are no network back ends. */
export function net(list: OptsList): Apply {
  return (c, arg, loc) => {
    c.defaultNet = false;
    const opts = c.groups.parse(list, arg, loc);
    const type = opts.get("type");
    if (type === undefined) fail(loc, "Parameter 'type' is missing");
    if (type === "none") {
      for (const [key] of opts.entries) {
        if (key !== "type" && key !== "model") fail(loc, `Invalid parameter '${key}'`);
      }
      return;
    }
    const known =
      "nic user tap l2tpv3 socket stream dgram vde bridge hubport vhost-user vhost-vdpa";
    if (!known.split(" ").includes(type)) {
      fail(loc, `Parameter 'type' does not accept value '${type}'`);
    }
    fail(loc, "Option not supported in this build");
  };
}

export const netdev: Apply = (c, arg, loc) => {
  c.defaultNet = false;
  if (isHelp(arg)) printAndExit(c, "Available netdev backend types:\n");
  fail(loc, "Option not supported in this build");
};

const DISPLAY_TYPES = [
  ...["default", "none", "gtk", "sdl", "egl-headless", "curses", "cocoa", "spice-app", "dbus"],
];
/** Display types of other hosts, which QEMU's Linux build does not know. */
const FOREIGN_DISPLAYS = ["cocoa"];

/** Keys that single display types have besides the common ones. */
const DISPLAY_KEYS: Record<string, string[]> = {
  gtk: ["grab-on-hover", "zoom-to-fit", "show-tabs", "show-menubar"],
  sdl: ["grab-mod"],
  curses: ["charset"],
  "egl-headless": ["rendernode"],
  dbus: ["rendernode", "addr", "p2p", "audiodev"],
};

export const display: Apply = (c, arg, loc) => {
  if (isHelp(arg)) printAndExit(c, "Available display backend types:\nnone\n");
  if (arg.startsWith("vnc")) {
    if (arg[3] !== "=") fail(loc, "VNC requires a display argument vnc=<display>");
    return vnc(c, arg.slice(4), loc);
  }
  const dict: Keyval = new Map();
  if (parseKeyval(dict, arg, "type", loc)) fail(loc, "Help is not available for this option");
  const type = dict.get("type");
  if (type === undefined) fail(loc, "Parameter 'type' is missing");
  if (
    typeof type !== "string" || !DISPLAY_TYPES.includes(type) || FOREIGN_DISPLAYS.includes(type)
  ) {
    fail(loc, `Parameter 'type' does not accept value '${type}'`);
  }
  let gl = false;
  for (const [key, value] of dict) {
    if (key === "type") continue;
    if (typeof value !== "string") fail(loc, `Parameters '${key}.*' are unexpected`);
    if (key === "full-screen" || key === "window-close" || key === "show-cursor") {
      if (parseBool(value) === undefined) {
        fail(loc, `Parameter '${key}' expects 'on' or 'off'`);
      }
    } else if (key === "gl") {
      if (!["on", "off", "core", "es"].includes(value)) {
        fail(loc, `Parameter 'gl' does not accept value '${value}'`);
      }
      gl = value !== "off";
    } else if (!DISPLAY_KEYS[type]?.includes(key)) {
      fail(loc, `Parameter '${key}' is unexpected`);
    }
  }
  c.badDisplay = type === "none" || type === "default" ? undefined : type;
  c.displayGl = gl;
};

export const vnc: Apply = (_c, arg, loc) => {
  if (arg !== "none") fail(loc, "VNC support is disabled");
};

export const nographic: Apply = (c) => {
  c.machine.set("graphics", "off");
  c.nographic = true;
  c.badDisplay = undefined;
};

/** `-audiodev`: only the driver that throws sound away. */
export const audiodev: Apply = (c, arg, loc) => {
  if (isHelp(arg)) printAndExit(c, "Available audio drivers:\nnone\n");
  const dict: Keyval = new Map();
  if (parseKeyval(dict, arg, "driver", loc)) printAndExit(c, "Available audio drivers:\nnone\n");
  if (!dict.has("id")) fail(loc, "Parameter 'id' is missing");
  const driver = dict.get("driver");
  if (driver === undefined) fail(loc, "Parameter 'driver' is missing");
  const others = ["alsa", "dbus", "oss", "pa", "sdl", "sndio", "spice", "wav", "jack"];
  if (typeof driver === "string" && others.includes(driver)) {
    fail(loc, "Option not supported in this build");
  }
  if (driver !== "none") fail(loc, `Parameter 'driver' does not accept value '${driver}'`);
  for (const key of dict.keys()) {
    if (!["id", "driver", "timer-period", "in", "out"].includes(key)) {
      fail(loc, `Parameter '${key}' is unexpected`);
    }
  }
};

/** `-device driver,key=value` or a JSON object. */
export const device: Apply = (c, arg, loc) => {
  if (!arg.startsWith("{")) {
    c.groups.parse(lists.DEVICE_OPTS, arg, loc);
    return;
  }
  let object: Record<string, unknown>;
  try {
    object = JSON.parse(arg);
  } catch {
    fail(loc, "JSON parse error, premature EOI");
  }
  const id = object.id;
  const opts = c.groups.create(lists.DEVICE_OPTS, id === undefined ? id : String(id), loc);
  for (const [key, value] of Object.entries(object)) {
    if (key === "id") continue;
    opts.set(key, value === true ? "on" : value === false ? "off" : String(value));
  }
};

/** `-trace`: there are no trace events, so none exists. */
export const trace: Apply = (c, arg, loc) => {
  const list: OptsList = {
    name: "trace",
    implied: "enable",
    keys: { enable: "string", events: "string", file: "string" },
  };
  const opts = c.groups.parse(list, arg, loc);
  const enable = opts.get("enable");
  if (enable === undefined) return;
  if (isHelp(enable)) throw new EarlyExit(0);
  if (!enable.includes("*")) warn(c.host, loc, `trace event '${enable}' does not exist`);
};

export const dataDir: Apply = (c, arg) => {
  if (isHelp(arg)) c.listDataDirs = true;
  else c.dataDirs.push(arg);
};

export const seed: Apply = (c, arg, loc) => {
  const v = parseUint64(arg);
  if (typeof v === "string" || arg.trim().startsWith("-")) {
    fail(loc, `Invalid seed number: ${arg}`);
  }
  c.seed = Number(v);
};

/** `-echr N`: decimal, octal or hexadecimal; text behind the number is ignored as in C. */
export const echr: Apply = (c, arg) => {
  const m = /^\s*[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(arg);
  const v = m && parseInt64(m[0]);
  c.escapeChar = typeof v === "bigint" ? Number(v & 0xffn) : 0;
  if (!m) c.host.stdout("Bad argument to echr\n");
};

export const optionRom: Apply = (c, arg, loc) => {
  const opts = c.groups.parse(lists.OPTION_ROM_OPTS, arg, loc);
  if (!opts.has("romfile")) fail(loc, "Option ROM file is not specified");
};

/** Adds `text` to the merged `-action` group. */
export function action(key: string, value: string): Apply {
  return (c, _arg, loc) => c.groups.create(lists.ACTION_OPTS, undefined, loc).set(key, value);
}

export const compat: Apply = (_c, arg, loc) => {
  const dict: Keyval = new Map();
  parseKeyval(dict, arg, undefined, loc);
  const inputs = ["accept", "reject", "crash"];
  const outputs = ["accept", "hide"];
  const known: Record<string, string[]> = {
    "deprecated-input": inputs,
    "deprecated-output": outputs,
    "unstable-input": inputs,
    "unstable-output": outputs,
  };
  for (const [key, value] of dict) {
    if (!Object.hasOwn(known, key)) fail(loc, `Parameter '${key}' is unexpected`);
    if (!known[key].includes(String(value))) {
      fail(loc, `Parameter '${key}' does not accept value '${value}'`);
    }
  }
};

export const rotate: Apply = (_c, arg, loc) => {
  // What does not begin with a number counts as 0.
  if (/^\s*[+-]?[0-9]/.test(arg) && !/^\s*\+?0*(0|90|180|270)(?![0-9])/.test(arg)) {
    fail(loc, "only 90, 180, 270 deg rotation is available");
  }
};

/** Refuses an option of other targets. */
export const foreign: Apply = (_c, _arg, loc) => fail(loc, "Option not supported for this target");

export const nothing: Apply = () => {};
