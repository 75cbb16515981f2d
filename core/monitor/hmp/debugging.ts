/** HMP commands that look into a machine, stop it at a place, or make it fail. */
import { UserError } from "../../errors.ts";
import { Msr } from "../../x86/msr.ts";
import { refuse, say } from "./absent.ts";
import type { Args } from "./args.ts";
import type { Command, Hmp } from "./command.ts";

function gdbserver(h: Hmp, args: Args): void {
  const device = args.text("device") ?? "tcp::1234";
  h.print(
    device === "none" ? "Disabled gdbserver\n" : `Could not open gdbserver on device '${device}'\n`,
  );
}

/** Translated blocks have no length that a guest or a log could see: nothing changes. */
function singleStep(h: Hmp, args: Args): void {
  const option = args.text("option") ?? "on";
  if (option !== "on" && option !== "off") h.print(`unexpected option ${option}\n`);
}

/** Whether `sync-profile` was turned on. There are no locks to be profiled. */
let syncProfiling = false;

function syncProfile(h: Hmp, args: Args): void {
  switch (args.text("op")) {
    case undefined:
      return h.print(`sync-profile is ${syncProfiling ? "on" : "off"}\n`);
    case "on":
      syncProfiling = true;
      return;
    case "off":
      syncProfiling = false;
      return;
    case "reset":
      return;
    default:
      throw new UserError(`Invalid parameter '${args.string("op")}'`);
  }
}

const RULE = "-".repeat(79);
const SYNC_PROFILE =
  "Type               Object  Call site  Wait Time (s)         Count  Average (us)\n" +
  `${RULE}\n${RULE}\n`;

/** There are no trace events; a pattern matches none without a word. */
function eventsNamed(h: Hmp, args: Args): void {
  const name = args.text("name"), vcpu = args.integer("vcpu");
  if (vcpu !== undefined && vcpu >= BigInt(h.target.machine.vm.vcpus.length)) {
    return h.print(`invalid vCPU index ${vcpu}\n`);
  }
  if (name !== undefined && !name.includes("*")) h.print(`unknown event "${name}"\n`);
}

const traceEvent = eventsNamed, infoTraceEvents = eventsNamed;

/** Storage that the guest can see, the largest first. */
function ramblock(h: Hmp): void {
  const hex = (v: number) => "0x" + v.toString(16).padStart(16, "0");
  const blocks = [...h.target.machine.memory.blocks].sort((a, b) => b.size - a.size);
  h.print(
    "              Block Name    PSize              Offset               Used              Total\n",
  );
  for (const { name, offset, size } of blocks) {
    h.print(`${name.padStart(24)}    4 KiB  ${hex(offset)} ${hex(size)} ${hex(size)}\n`);
  }
}

function stats(h: Hmp, args: Args): void {
  const target = args.string("target");
  if (target !== "vm" && target !== "vcpu") h.print(`invalid stats target ${target}\n`);
}

const MCI_STATUS_VAL = 1n << 63n, MCI_STATUS_UC = 1n << 61n, CR4_MCE = 1n << 6n;

/**
 * A machine check. Arguments are checked, and an uncorrected error ends a guest that does not take
 * machine checks; others are not delivered.
 */
function mce(h: Hmp, args: Args): void {
  const { machine } = h.target, vcpu = machine.vm.vcpus[Number(args.number("cpu_index"))];
  const capability = vcpu?.getMsr(Msr.IA32_MCG_CAP);
  if (capability === undefined) return;
  if (args.number("bank") >= (capability & 0xffn)) return h.print("Invalid MCE bank number\n");
  const status = BigInt.asUintN(64, args.number("status"));
  if (!(status & MCI_STATUS_VAL)) return h.print("Invalid MCE status code\n");
  if (!(status & MCI_STATUS_UC)) return;
  if (vcpu.getSregs().cr4 & CR4_MCE) throw new UserError("The feature 'mce' is not enabled");
  h.print(`CPU ${vcpu.index}: MCE capability is not enabled, raising triple fault`);
  machine.requestReset("guest-reset");
}

/** Commands that look into the machine or make it fail. */
export const DEBUGGING_COMMANDS: readonly Command[] = [
  {
    name: "gdbserver",
    args: "device:s?",
    params: "[device]",
    help: "start gdbserver on given device (default 'tcp::1234'), stop with 'none'",
    run: gdbserver,
  },
  {
    name: "singlestep",
    args: "option:s?",
    params: "[on|off]",
    help: "run emulation in singlestep mode or switch to normal mode",
    run: singleStep,
  },
  {
    name: "sync-profile",
    args: "op:s?",
    params: "[on|off|reset]",
    help:
      "enable, disable or reset synchronization profiling. With no arguments, prints whether profiling is on or off.",
    run: syncProfile,
  },
  {
    name: "trace-event",
    args: "name:s,option:b,vcpu:i?",
    params: "name on|off [vcpu]",
    help: "changes status of a specific trace event (vcpu: vCPU to set, default is all)",
    run: traceEvent,
    complete: (_h, n) => n === 1 ? ["on", "off"] : [],
  },
  {
    name: "replay_break",
    args: "icount:l",
    params: "icount",
    help: "set breakpoint at the specified instruction count",
    run: say("setting the breakpoint is allowed only in play mode\n"),
  },
  {
    name: "replay_delete_break",
    args: "",
    params: "",
    help: "remove replay breakpoint",
    run: say("replay breakpoints are allowed only in play mode\n"),
  },
  {
    name: "replay_seek",
    args: "icount:l",
    params: "icount",
    help: "replay execution to the specified instruction count",
    run: say("replay must be enabled to seek\n"),
  },
  {
    name: "dumpdtb",
    args: "filename:F",
    params: "filename",
    help: "dump the FDT in dtb format to 'filename'",
    run: refuse("This machine doesn't have a FDT"),
  },
  {
    name: "mce",
    args: "broadcast:-b,cpu_index:i,bank:i,status:l,mcg_status:l,addr:l,misc:l",
    params: "[-b] cpu bank status mcgstatus addr misc",
    help: "inject a MCE on the given CPU [and broadcast to other CPUs with -b option]",
    run: mce,
  },
  {
    name: "exit_preconfig",
    args: "",
    params: "",
    help: "exit the preconfig state",
    run: refuse("The command is permitted only before machine initialization"),
  },
];

/** What `info` tells about it. */
export const DEBUGGING_INFO: readonly Command[] = [
  {
    name: "opcount",
    args: "",
    params: "",
    help: "show dynamic compiler opcode counters",
    run: say("[TCG profiler not compiled]\n"),
  },
  {
    name: "profile",
    args: "",
    params: "",
    help: "show profiling information",
    run: refuse("Internal profiler not compiled"),
  },
  {
    name: "ramblock",
    args: "",
    params: "",
    help: "Display system ramblock information",
    run: ramblock,
  },
  {
    name: "replay",
    args: "",
    params: "",
    help: "show record/replay information",
    run: say("Record/replay is not active\n"),
  },
  {
    name: "stats",
    args: "target:s,names:s?,provider:s?",
    params: "target [names] [provider]",
    help:
      "show statistics for the given target (vm or vcpu); optionally filter byname (comma-separated list, or * for all) and provider",
    run: stats,
  },
  {
    name: "sync-profile",
    args: "mean:-m,no_coalesce:-n,max:i?",
    params: "[-m] [-n] [max]",
    help:
      "show synchronization profiling info, up to max entries (default: 10), sorted by total wait time. (-m: sort by mean wait time; -n: do not coalesce objects with the same call site)",
    run: say(SYNC_PROFILE),
  },
  {
    name: "trace-events",
    args: "name:s?,vcpu:i?",
    params: "[name] [vcpu]",
    help:
      "show available trace-events & their state (name: event name pattern; vcpu: vCPU to query, default is any)",
    run: infoTraceEvents,
  },
];
