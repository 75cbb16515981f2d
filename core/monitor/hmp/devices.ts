/**
 * HMP commands about devices that come and go: PCI functions can be added to a running machine and
 * are taken away at its next reset; there are no network or USB devices to act on, and QEMU
 * 7.2's words for a machine without them are given.
 */
import { UserError } from "../../errors.ts";
import {
  deviceHelp,
  findDeviceType,
  PLUGGABLE_NAMES,
  resolveDevice,
} from "../../options/devices.ts";
import { DEVICE_OPTS, NETDEV_OPTS } from "../../options/lists.ts";
import { isHelp, type Opts, OptsGroups, type OptsList } from "../../options/qemu_opts.ts";
import { nothing, refuse, say } from "./absent.ts";
import { type Args, ArgumentError } from "./args.ts";
import { type Command, type Hmp, monitorHost } from "./command.ts";
import type { MonitorBalloon } from "../target.ts";

/** An option group's text; a malformed one is an error of the command's arguments. */
function parseOpts(h: Hmp, list: OptsList, text: string): Opts {
  try {
    return new OptsGroups(monitorHost(h)).parse(list, text, "");
  } catch (e) {
    if (!(e instanceof UserError)) throw e;
    // QEMU says it where the program's own messages go.
    h.target.warn(e.hint === undefined ? e.message : `${e.message}\n${e.hint}`);
    throw new ArgumentError("");
  }
}

function deviceAdd(h: Hmp, args: Args): void {
  const { config, board, blocks, chardevs } = h.target, host = monitorHost(h);
  const opts = parseOpts(h, DEVICE_OPTS, args.string("device"));
  const driver = opts.get("driver");
  const type = driver === undefined ? undefined : findDeviceType(driver);
  if (driver !== undefined && !isHelp(driver) && type === undefined && opts.has("help")) {
    return h.print(`Device '${driver}' not found\n`);
  }
  if (deviceHelp(opts, host)) return;
  // Whether a bus takes new devices is asked before properties are looked at.
  if (type?.pluggable && type.bus !== "PCI") {
    const bus = opts.get("bus") ?? board.defaultBus(type.bus);
    throw new UserError(
      bus === undefined
        ? `No '${type.bus}' bus found for device '${type.name}'`
        : `Bus '${bus}' does not support hotplugging`,
    );
  }
  if (type?.name === "VGA") {
    throw new UserError("Parameter 'driver' expects a pluggable device type");
  }
  const device = resolveDevice(opts, {
    chardevs: new Set(chardevs.list().map((c) => c.label)),
    drives: blocks.drives.map((d) => ({ id: d.name })),
    family: config.machine.family,
  });
  board.plug(device);
}

function deviceDel(h: Hmp, args: Args): void {
  h.target.board.unplug(args.string("id"));
}

/** The value that stands for `qom-type=`. */
function firstKey(text: string): string {
  return text.split(",")[0].replace(/^qom-type=/, "");
}

/** Memory behind the machine, by the names of its back ends. */
function backends(h: Hmp): readonly { readonly name: string; readonly size: number }[] {
  const { numa, memory } = h.target.config, out: { name: string; size: number }[] = [];
  for (const { memdev, size } of numa?.nodes ?? []) {
    if (memdev !== undefined) out.push({ name: memdev, size });
  }
  return out.length > 0 ? out : [{ name: "pc.ram", size: memory.size }];
}

function memdev(h: Hmp): void {
  for (const { name, size } of backends(h)) {
    h.print(
      `memory backend: ${name}\n  size:  ${size}\n  merge: true\n  dump: true\n` +
        "  prealloc: false\n  share: false\n  reserve: true\n  policy: default\n" +
        "  host nodes: \n",
    );
  }
  h.print("\n");
}

function objectDel(h: Hmp, args: Args): void {
  const id = args.string("id");
  throw new UserError(
    backends(h).some((b) => b.name === id)
      ? `object '${id}' is in use, can not be deleted`
      : `object '${id}' not found`,
  );
}

function netdevAdd(h: Hmp, args: Args): void {
  const opts = parseOpts(h, NETDEV_OPTS, args.string("netdev"));
  if (opts.id === undefined) throw new UserError("Parameter 'id' is missing");
  throw new UserError(`Parameter 'type' does not accept value '${opts.get("type") ?? ""}'`);
}

function hostfwd(h: Hmp, args: Args): void {
  h.print(
    args.text("arg2") === undefined
      ? "user mode network stack not in use\n"
      : `unrecognized netdev id '${args.string("arg1")}'\n`,
  );
}

const WATCHDOG_ACTIONS = ["reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi"];

function watchdogAction(h: Hmp, args: Args): void {
  const action = args.string("action");
  if (!WATCHDOG_ACTIONS.includes(action)) {
    throw new UserError(`invalid parameter value: ${action}`);
  }
  h.target.config.action.watchdog = action as typeof h.target.config.action.watchdog;
}

/** Processors that are there and those that there is a place for; the last first. */
function hotpluggableCpus(h: Hmp): void {
  const { smp, cpu, numa } = h.target.config, { vcpus } = h.target.machine.vm;
  const type = `${cpu?.split(",")[0] ?? "qemu64"}-x86_64-cpu`;
  h.print("Hotpluggable CPUs:\n");
  for (let i = smp.maxcpus - 1; i >= 0; i--) {
    const thread = i % smp.threads, core = Math.floor(i / smp.threads) % smp.cores;
    const die = Math.floor(i / (smp.threads * smp.cores)) % smp.dies;
    const socket = Math.floor(i / (smp.threads * smp.cores * smp.dies));
    const node = numa?.nodes.findIndex((n) => n.cpus.includes(i)) ?? -1;
    const path = `/machine/unattached/device[${i === 0 ? 0 : i + 1}]`;
    h.print(
      `  type: "${type}"\n  vcpus_count: "1"\n` +
        (i < vcpus.length ? `  qom_path: "${path}"\n` : "") +
        `  CPUInstance Properties:\n${
          node < 0 ? "" : `    node-id: "${node}"\n`
        }    socket-id: "${socket}"\n` +
        (smp.dies > 1 ? `    die-id: "${die}"\n` : "") +
        `    core-id: "${core}"\n    thread-id: "${thread}"\n`,
    );
  }
}

/** Commands about devices and what is behind them. */
export const DEVICE_COMMANDS: readonly Command[] = [
  {
    name: "device_add",
    args: "device:O",
    params: "driver[,prop=value][,...]",
    help: "add device, like -device on the command line",
    run: deviceAdd,
    complete: (_h, n) => n === 0 ? PLUGGABLE_NAMES : [],
  },
  {
    name: "device_del",
    args: "id:s",
    params: "device",
    help: "remove device",
    run: deviceDel,
    complete: (h, n) => n === 0 ? h.target.board.pluggedIds() : [],
  },
  {
    name: "object_add",
    args: "object:S",
    params: "[qom-type=]type,id=str[,prop=value][,...]",
    help: "create QOM object",
    run: (_h, args) => {
      throw new UserError(
        `Parameter 'qom-type' does not accept value '${firstKey(args.string("object"))}'`,
      );
    },
  },
  {
    name: "object_del",
    args: "id:s",
    params: "id",
    help: "destroy QOM object",
    run: objectDel,
  },
  {
    name: "netdev_add",
    args: "netdev:O",
    params:
      "[user|tap|socket|stream|dgram|vde|bridge|hubport|netmap|vhost-user],id=str[,prop=value][,...]",
    help: "add host network device",
    run: netdevAdd,
  },
  {
    name: "netdev_del",
    args: "id:s",
    params: "id",
    help: "remove host network device",
    run: (_h, args) => {
      throw new UserError(`Device '${args.string("id")}' not found`);
    },
  },
  {
    name: "set_link",
    args: "name:s,up:b",
    params: "name on|off",
    help: "change the link status of a network adapter",
    run: (_h, args) => {
      throw new UserError(`Device '${args.string("name")}' not found`);
    },
  },
  {
    name: "hostfwd_add",
    args: "arg1:s,arg2:s?",
    params: "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
    help: "redirect TCP or UDP connections from host to guest (requires -net user)",
    run: hostfwd,
  },
  {
    name: "hostfwd_remove",
    args: "arg1:s,arg2:s?",
    params: "[netdev_id] [tcp|udp]:[hostaddr]:hostport",
    help: "remove host-to-guest TCP or UDP redirection",
    run: hostfwd,
  },
  {
    name: "pcie_aer_inject_error",
    args:
      "advisory_non_fatal:-a,correctable:-c,id:s,error_status:s,header0:i?,header1:i?,header2:i?,header3:i?,prefix0:i?,prefix1:i?,prefix2:i?,prefix3:i?",
    params: "[-a] [-c] id <error_status> [<tlp header> [<tlp header prefix>]]",
    help:
      "inject pcie aer error\n\t\t\t -a for advisory non fatal error\n\t\t\t -c for correctable error\n\t\t\t<id> = qdev device id\n\t\t\t<error_status> = error string or 32bit\n\t\t\t<tlp header> = 32bit x 4\n\t\t\t<tlp header prefix> = 32bit x 4",
    run: (h, args) =>
      h.print(`id or pci device path is invalid or device not found. ${args.string("id")}\n`),
  },
  {
    name: "balloon",
    args: "value:M",
    params: "target",
    help: "request VM to change its memory allocation (in MB)",
    run: (h, args) => {
      const target = Number(args.number("value")), device = balloon(h);
      if (target <= 0) throw new UserError("Parameter 'target' expects a size");
      device.setTarget(target);
    },
  },
  {
    name: "watchdog_action",
    args: "action:s",
    params: "[reset|shutdown|poweroff|pause|debug|none]",
    help: "change watchdog action",
    run: watchdogAction,
    complete: () => WATCHDOG_ACTIONS,
  },
];

function balloon(h: Hmp): MonitorBalloon {
  const device = h.target.board.balloon;
  if (device === undefined) throw new UserError("No balloon device has been activated");
  return device;
}

/** What `info` tells about them. */
export const DEVICE_INFO: readonly Command[] = [
  {
    name: "balloon",
    args: "",
    params: "",
    help: "show balloon information",
    run: (h) => h.print(`balloon: actual=${Math.floor(balloon(h).actual / 2 ** 20)}\n`),
  },
  {
    name: "hotpluggable-cpus",
    args: "",
    params: "",
    help: "Show information about hotpluggable CPUs",
    run: hotpluggableCpus,
  },
  {
    name: "memdev",
    args: "",
    params: "",
    help: "show memory backends",
    run: memdev,
  },
  {
    name: "memory-devices",
    args: "",
    params: "",
    help: "show memory devices",
    run: nothing,
  },
  {
    name: "iothreads",
    args: "",
    params: "",
    help: "show iothreads",
    run: nothing,
  },
  {
    name: "rocker",
    args: "name:s",
    params: "name",
    help: "Show rocker switch",
    run: (_h, args) => {
      throw new UserError(`rocker ${args.string("name")} not found`);
    },
  },
  {
    name: "rocker-ports",
    args: "name:s",
    params: "name",
    help: "Show rocker ports",
    run: (_h, args) => {
      throw new UserError(`rocker ${args.string("name")} not found`);
    },
  },
  {
    name: "rocker-of-dpa-flows",
    args: "name:s,tbl_id:i?",
    params: "name [tbl_id]",
    help: "Show rocker OF-DPA flow tables",
    run: (_h, args) => {
      throw new UserError(`rocker ${args.string("name")} not found`);
    },
  },
  {
    name: "rocker-of-dpa-groups",
    args: "name:s,type:i?",
    params: "name [type]",
    help: "Show rocker OF-DPA groups",
    run: (_h, args) => {
      throw new UserError(`rocker ${args.string("name")} not found`);
    },
  },
  {
    name: "tpm",
    args: "",
    params: "",
    help: "show the TPM device",
    run: nothing,
  },
  {
    name: "usbhost",
    args: "",
    params: "",
    help: "show host USB devices",
    run: (h) => h.print('Command "info usbhost" is not available.\n'),
  },
  {
    name: "usernet",
    args: "",
    params: "",
    help: "show user network stack connection states",
    run: nothing,
  },
  {
    name: "virtio",
    args: "",
    params: "",
    help: "List all available virtio devices",
    run: (h) => h.print(h.target.board.infoVirtio?.() || "No VirtIO devices\n"),
  },
  {
    name: "virtio-queue-element",
    args: "path:s,queue:i,index:i?",
    params: "path queue [index]",
    help: "Display element of a given virtio queue",
    run: (_h, args) => {
      throw new UserError(`Path ${args.string("path")} is not a VirtIO device`);
    },
  },
  {
    name: "virtio-queue-status",
    args: "path:s,queue:i",
    params: "path queue",
    help: "Display status of a given virtio queue",
    run: (_h, args) => {
      throw new UserError(`Path ${args.string("path")} is not a VirtIODevice`);
    },
  },
  {
    name: "virtio-status",
    args: "path:s",
    params: "path",
    help: "Display status of a given virtio device",
    run: (_h, args) => {
      throw new UserError(`Path ${args.string("path")} is not a VirtIODevice`);
    },
  },
  {
    name: "virtio-vhost-queue-status",
    args: "path:s,queue:i",
    params: "path queue",
    help: "Display status of a given vhost queue",
    run: (_h, args) => {
      throw new UserError(`Path ${args.string("path")} is not a VirtIODevice`);
    },
  },
  {
    name: "vm-generation-id",
    args: "",
    params: "",
    help: "Show Virtual Machine Generation ID",
    run: refuse("VM Generation ID device not found"),
  },
  {
    name: "sev",
    args: "",
    params: "",
    help: "show SEV information",
    run: say("SEV is not enabled\n"),
  },
  {
    name: "sgx",
    args: "",
    params: "",
    help: "show intel SGX information",
    run: say("No EPC regions defined, SGX not available\n"),
  },
];
