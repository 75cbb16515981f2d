/**
 * HMP commands about moving a machine to another host, which this program does not do: arguments are
 * checked as QEMU 7.2 checks them, and a migration that could begin is refused. `info` shows QEMU's
 * defaults.
 */
import { UserError } from "../../errors.ts";
import { notEnabled, nothing, refuse, say } from "./absent.ts";
import type { Args } from "./args.ts";
import type { Command, Hmp } from "./command.ts";

const CAPABILITIES: readonly string[] = [
  ...["xbzrle", "rdma-pin-all", "auto-converge", "zero-blocks", "compress", "events"],
  ...["postcopy-ram", "x-colo", "release-ram", "block", "return-path", "pause-before-switchover"],
  ...["multifd", "dirty-bitmaps", "postcopy-blocktime", "late-block-activate", "x-ignore-shared"],
  ...["validate-uuid", "background-snapshot", "zero-copy-send", "postcopy-preempt"],
];

/** Name, and what `info migrate_parameters` shows; undefined: not shown while unused. */
const PARAMETERS: readonly (readonly [string, string | undefined])[] = [
  ["announce-initial", "50 ms"],
  ["announce-max", "550 ms"],
  ["announce-rounds", "5"],
  ["announce-step", "100 ms"],
  ["compress-level", "1"],
  ["compress-threads", "8"],
  ["compress-wait-thread", "on"],
  ["decompress-threads", "2"],
  ["throttle-trigger-threshold", "50"],
  ["cpu-throttle-initial", "20"],
  ["cpu-throttle-increment", "10"],
  ["cpu-throttle-tailslow", "off"],
  ["max-cpu-throttle", "99"],
  ["tls-creds", "''"],
  ["tls-hostname", "''"],
  ["max-bandwidth", "134217728 bytes/second"],
  ["downtime-limit", "300 ms"],
  ["x-checkpoint-delay", "20000 ms"],
  ["block-incremental", "off"],
  ["multifd-channels", "2"],
  ["multifd-compression", "none"],
  ["xbzrle-cache-size", "67108864 bytes"],
  ["max-postcopy-bandwidth", "0"],
  ["tls-authz", "''"],
  ["multifd-zlib-level", undefined],
  ["multifd-zstd-level", undefined],
  ["block-bitmap-mapping", undefined],
];

const GLOBALS = "globals:\nstore-global-state: on\nonly-migratable: off\nsend-configuration: on\n" +
  "send-section-footer: on\ndecompress-error-check: on\nclear-bitmap-shift: 18\n";

const DIRTY_RATE = "Status: unstarted\nStart Time: 0 (ms)\nSample Pages: 0 (per GB)\n" +
  "Period: 0 (sec)\nMode: page-sampling\nDirty rate: (not ready)\n";

/** States in which a migration can wait to be continued. */
const MIGRATION_STATES = [
  ...["none", "setup", "cancelling", "cancelled", "active", "postcopy-active", "postcopy-paused"],
  ...["postcopy-recover", "completed", "failed", "colo", "pre-switchover", "device"],
  "wait-unplug",
];

function migrate(_h: Hmp, args: Args): void {
  const uri = args.string("uri");
  if (args.flag("resume")) throw new UserError("Cannot resume if there is no paused migration");
  const address = /^(?:tcp|vsock):(.*)$/.exec(uri)?.[1];
  if (address !== undefined && !address.includes(":")) {
    throw new UserError(`error parsing address '${address}'`);
  }
  if (!/^(tcp|vsock|exec|unix|fd):/.test(uri)) {
    throw new UserError("Parameter 'uri' expects a valid migration protocol");
  }
  throw notEnabled("migration");
}

function migrateContinue(_h: Hmp, args: Args): void {
  const state = args.string("state");
  if (!MIGRATION_STATES.includes(state)) throw new UserError(`invalid parameter value: ${state}`);
  throw new UserError("Migration not in expected state: none");
}

function setCapability(_h: Hmp, args: Args): void {
  const name = args.string("capability");
  if (!CAPABILITIES.includes(name)) throw new UserError(`invalid parameter value: ${name}`);
  if (args.flag("state")) throw notEnabled("migration");
}

function setParameter(_h: Hmp, args: Args): void {
  const name = args.string("parameter");
  if (!PARAMETERS.some((p) => p[0] === name)) {
    throw new UserError(`invalid parameter value: ${name}`);
  }
  throw notEnabled("migration");
}

function clientInfo(_h: Hmp, args: Args): void {
  if (args.string("protocol") === "spice") throw new UserError("SPICE is not in use");
  throw new UserError("Parameter 'protocol' expects 'spice'");
}

function calcDirtyRate(h: Hmp, args: Args): void {
  const seconds = args.number("second"), pages = args.integer("sample_pages_per_GB");
  if (seconds === 0n) return h.print("Incorrect period length specified!\n");
  if (args.flag("dirty_ring") && args.flag("dirty_bitmap")) {
    return h.print("Either dirty ring or dirty bitmap can be specified!\n");
  }
  if (seconds < 1n || seconds > 60n) throw new UserError("calc-time is out of range[1, 60].");
  if (pages !== undefined && (pages < 128n || pages > 16384n)) {
    throw new UserError("sample-pages is out of range[128, 16384].");
  }
  throw notEnabled("dirty-rate");
}

function infoCapabilities(h: Hmp): void {
  for (const name of CAPABILITIES) h.print(`${name}: off\n`);
}

function infoParameters(h: Hmp): void {
  for (const [name, value] of PARAMETERS) if (value !== undefined) h.print(`${name}: ${value}\n`);
}
/** Commands about moving a machine to another host. */
export const MIGRATION_COMMANDS: readonly Command[] = [
  {
    name: "announce_self",
    args: "interfaces:s?,id:s?",
    params: "[interfaces] [id]",
    help: "Trigger GARP/RARP announcements",
    run: nothing,
  },
  {
    name: "migrate",
    args: "detach:-d,blk:-b,inc:-i,resume:-r,uri:s",
    params: "[-d] [-b] [-i] [-r] uri",
    help:
      "migrate to URI (using -d to not wait for completion)\n\t\t\t -b for migration without shared storage with full copy of disk\n\t\t\t -i for migration without shared storage with incremental copy of disk (base image shared between src and destination)\n\t\t\t -r to resume a paused migration",
    run: migrate,
  },
  {
    name: "migrate_cancel",
    args: "",
    params: "",
    help: "cancel the current VM migration",
    run: nothing,
  },
  {
    name: "migrate_continue",
    args: "state:s",
    params: "state",
    help: "Continue migration from the given paused state",
    run: migrateContinue,
  },
  {
    name: "migrate_incoming",
    args: "uri:s",
    params: "uri",
    help: "Continue an incoming migration from an -incoming defer",
    run: refuse("'-incoming' was not specified on the command line"),
  },
  {
    name: "migrate_pause",
    args: "",
    params: "",
    help: "Pause an ongoing migration (postcopy-only)",
    run: refuse("migrate-pause is currently only supported during postcopy-active state"),
  },
  {
    name: "migrate_recover",
    args: "uri:s",
    params: "uri",
    help: "Continue a paused incoming postcopy migration",
    run: refuse("Migrate recover can only be run when postcopy is paused."),
  },
  {
    name: "migrate_set_capability",
    args: "capability:s,state:b",
    params: "capability state",
    help: "Enable/Disable the usage of a capability for migration",
    run: setCapability,
    complete: (_h, n) => n === 0 ? CAPABILITIES : n === 1 ? ["on", "off"] : [],
  },
  {
    name: "migrate_set_parameter",
    args: "parameter:s,value:s",
    params: "parameter value",
    help: "Set the parameter for migration",
    run: setParameter,
    complete: (_h, n) => n === 0 ? PARAMETERS.map((p) => p[0]) : [],
  },
  {
    name: "migrate_start_postcopy",
    args: "",
    params: "",
    help:
      "Followup to a migration command to switch the migration to postcopy mode. The postcopy-ram capability must be set on both source and destination before the original migration command .",
    run: refuse("Enable postcopy with migrate_set_capability before the start of migration"),
  },
  {
    name: "client_migrate_info",
    args: "protocol:s,hostname:s,port:i?,tls-port:i?,cert-subject:s?",
    params: "protocol hostname port tls-port cert-subject",
    help: "set migration information for remote display",
    run: clientInfo,
  },
  {
    name: "x_colo_lost_heartbeat",
    args: "",
    params: "",
    help: "Tell COLO that heartbeat is lost,\n\t\t\ta failover or takeover is needed.",
    run: refuse("The feature 'colo' is not enabled"),
  },
  {
    name: "calc_dirty_rate",
    args: "dirty_ring:-r,dirty_bitmap:-b,second:l,sample_pages_per_GB:l?",
    params: "[-r] [-b] second [sample_pages_per_GB]",
    help:
      "start a round of guest dirty rate measurement (using -r to\n\t\t\t specify dirty ring as the method of calculation and\n\t\t\t -b to specify dirty bitmap as method of calculation)",
    run: calcDirtyRate,
  },
  {
    name: "set_vcpu_dirty_limit",
    args: "dirty_rate:l,cpu_index:l?",
    params: "dirty_rate [cpu_index]",
    help:
      "set dirty page rate limit, use cpu_index to set limit\n\t\t\t\t\t on a specified virtual cpu",
    run: refuse(
      "dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'",
    ),
  },
  {
    name: "cancel_vcpu_dirty_limit",
    args: "cpu_index:l?",
    params: "[cpu_index]",
    help:
      "cancel dirty page rate limit, use cpu_index to cancel\n\t\t\t\t\t limit on a specified virtual cpu",
    run: say("[Please use 'info vcpu_dirty_limit' to query dirty limit for virtual CPU]\n"),
  },
];

/** What `info` tells about it. */
export const MIGRATION_INFO: readonly Command[] = [
  {
    name: "migrate",
    args: "",
    params: "",
    help: "show migration status",
    run: say(GLOBALS),
  },
  {
    name: "migrate_capabilities",
    args: "",
    params: "",
    help: "show current migration capabilities",
    run: infoCapabilities,
  },
  {
    name: "migrate_parameters",
    args: "",
    params: "",
    help: "show current migration parameters",
    run: infoParameters,
  },
  {
    name: "dirty_rate",
    args: "",
    params: "",
    help: "show dirty rate information",
    run: say(DIRTY_RATE),
  },
  {
    name: "vcpu_dirty_limit",
    args: "",
    params: "",
    help: "show dirty page limit information of all vCPU",
    run: say("Dirty page limit not enabled!\n"),
  },
  {
    name: "rdma",
    args: "",
    params: "",
    help: "show RDMA state",
    run: nothing,
  },
];
