/** `info …`: what the machine is and how it is doing. */
import { UserError } from "../../errors.ts";
import type { MachineConfig } from "../../options/config.ts";
import { QEMU_VERSION, QENO_VERSION } from "../../version.ts";
import { dumpCpu } from "../../x86/dump.ts";
import type { Args } from "./args.ts";
import type { Command, Hmp } from "./command.ts";
import { infoMem, infoTlb } from "./paging.ts";

/** Name of the accelerator that runs the machine now. */
function acceleratorName(h: Hmp): string {
  const { machine } = h.target;
  return (machine.vm as { name?: string }).name ?? machine.accelerator.name;
}

function status(h: Hmp): void {
  const { runState } = h.target.machine;
  if (runState === "running") return h.print("VM status: running\n");
  h.print(`VM status: paused${runState === "paused" ? "" : ` (${runState})`}\n`);
}

function cpus(h: Hmp): void {
  for (const v of h.target.machine.vm.vcpus) {
    h.print(`${v.index === h.cpuIndex ? "*" : " "} CPU #${v.index}: thread_id=${Deno.pid}\n`);
  }
}

function registers(h: Hmp, args: Args): void {
  const { vcpus } = h.target.machine.vm, asked = args.integer("vcpu");
  const one = asked === undefined ? h.vcpu : vcpus[Number(asked)];
  if (!args.flag("cpustate_all") && one === undefined) {
    return h.print(`CPU#${asked} not available\n`);
  }
  const limitBits = acceleratorName(h) === "tcg";
  for (const v of args.flag("cpustate_all") ? vcpus : [one]) {
    h.print(`\nCPU#${v.index}\n${dumpCpu(v, { fpu: true, limitBits })}`);
  }
}

function lapic(h: Hmp, args: Args): void {
  const { vcpus } = h.target.machine.vm, id = args.integer("apic-id");
  const v = id === undefined ? h.vcpu : vcpus.find((v) => BigInt(v.apicId) === id);
  h.print(v === undefined ? "No CPU available\n" : h.target.board.infoLapic(v.index));
}

function block(h: Hmp, args: Args): void {
  if (args.flag("nodes")) return;
  h.print(h.target.blocks.info(args.text("device"), args.flag("verbose")));
}

/** When `info exits` was last asked of a machine, in ms, and what the totals were then. */
const exitsBefore = new WeakMap<object, { at: number; totals: Map<string, number> }>();

/**
 * Exits of all vCPUs by reason, the most frequent first: the trap-and-emulate cycle in numbers. The
 * rate is that since the last time it was asked, or since the program began.
 */
function exits(h: Hmp): void {
  const { machine } = h.target, { vcpus } = machine.vm, totals = new Map<string, number>();
  for (const v of vcpus) {
    for (const [reason, n] of v.exits) totals.set(reason, (totals.get(reason) ?? 0) + n);
  }
  const at = performance.now(), before = exitsBefore.get(machine);
  const seconds = (at - (before?.at ?? 0)) / 1000;
  const rate = (reason: string, total: number) =>
    String(Math.round((total - (before?.totals.get(reason) ?? 0)) / seconds));
  exitsBefore.set(machine, { at, totals });
  const reasons = [...totals].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const rows = [
    ["reason", ...vcpus.map((v) => `CPU#${v.index}`), "total", "per s"],
    ...reasons.map(([reason, total]) => [
      reason,
      ...vcpus.map((v) => String(v.exits.get(reason) ?? 0)),
      String(total),
      rate(reason, total),
    ]),
  ];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((r) => r[i].length)));
  for (const row of rows) {
    h.print(
      row.map((cell, i) => i === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[i])).join("  ") +
        "\n",
    );
  }
}

function jit(h: Hmp): void {
  if (acceleratorName(h) !== "tcg") {
    throw new UserError("JIT information is only available with accel=tcg");
  }
  for (const v of h.target.machine.vm.vcpus) {
    h.print(`CPU#${v.index}: ${v.instructions} instructions executed\n`);
  }
}

function lines(h: Hmp, all: Iterable<string>): void {
  for (const line of all) h.print(line);
}

const none = { args: "", params: "" } as const;

/** Nodes with their CPUs and memory; memory cannot be added later. */
function infoNuma(numa: MachineConfig["numa"]): string {
  const nodes = numa?.nodes ?? [];
  const text = nodes.map(({ size, cpus }, n) =>
    `node ${n} cpus:${cpus.map((cpu) => ` ${cpu}`).join("")}\n` +
    `node ${n} size: ${Math.floor(size / 2 ** 20)} MB\nnode ${n} plugged: 0 MB\n`
  );
  return `${nodes.length} nodes\n${text.join("")}`;
}

export const INFO_COMMANDS: readonly Command[] = [
  {
    name: "version",
    ...none,
    help: "show the version of QEMU",
    run: (h) => h.print(`${QEMU_VERSION}qeno ${QENO_VERSION}\n`),
  },
  {
    name: "network",
    ...none,
    help: "show the network state",
    run: () => {},
  },
  {
    name: "chardev",
    ...none,
    help: "show the character devices",
    run: (h) => h.print(h.target.chardevs.info()),
  },
  {
    name: "block",
    args: "nodes:-n,verbose:-v,device:B?",
    params: "[-n] [-v] [device]",
    help: "show info of one block device or all block devices " +
      "(-n: show named nodes; -v: show details)",
    run: block,
  },
  {
    name: "blockstats",
    ...none,
    help: "show block device statistics",
    run: (h) => h.print(h.target.blocks.infoStats()),
  },
  {
    name: "registers",
    args: "cpustate_all:-a,vcpu:i?",
    params: "[-a|vcpu]",
    help: "show the cpu registers (-a: show register info for all cpus; vcpu: specific vCPU to " +
      "query; show the current CPU's registers if no argument is specified)",
    run: registers,
  },
  {
    name: "lapic",
    args: "apic-id:i?",
    params: "[apic-id]",
    help: "show local apic state (apic-id: local apic to read, default is which of current CPU)",
    run: lapic,
  },
  { name: "cpus", ...none, help: "show infos for each CPU", run: cpus },
  {
    name: "history",
    ...none,
    help: "show the command line history",
    run: (h) => h.history.forEach((line, i) => h.print(`${i}: '${line}'\n`)),
  },
  {
    name: "irq",
    ...none,
    help: "show the interrupts statistics (if available)",
    run: (h) => h.print(h.target.board.infoIrq()),
  },
  {
    name: "pic",
    ...none,
    help: "show PIC state",
    run: (h) => h.print(h.target.board.infoPic()),
  },
  {
    name: "pci",
    ...none,
    help: "show PCI info",
    run: (h) => h.print(h.target.board.infoPci()),
  },
  {
    name: "tlb",
    ...none,
    help: "show virtual to physical memory mappings",
    run: (h) => lines(h, infoTlb(h.vcpu, h.target.machine.mem)),
  },
  {
    name: "mem",
    ...none,
    help: "show the active virtual memory mappings",
    run: (h) => lines(h, infoMem(h.vcpu, h.target.machine.mem)),
  },
  {
    name: "mtree",
    args: "flatview:-f,dispatch_tree:-d,owner:-o,disabled:-D",
    params: "[-f][-d][-o][-D]",
    help: "show memory tree (-f: dump flat view for address spaces;-d: dump dispatch tree, " +
      "valid with -f only);-o: dump region owners/parents;-D: dump disabled regions",
    run: (h, args) => h.print(h.target.board.infoMtree(args.flag("flatview"), args.flag("owner"))),
  },
  {
    name: "numa",
    ...none,
    help: "show NUMA information",
    run: (h) => h.print(infoNuma(h.target.config.numa)),
  },
  {
    name: "roms",
    ...none,
    help: "show roms",
    run: (h) => h.print(h.target.board.infoRoms()),
  },
  {
    name: "memory_size_summary",
    ...none,
    help: "show the amount of initially allocated and present hotpluggable (if enabled) memory " +
      "in bytes.",
    run: (h) => h.print(`base memory: ${h.target.config.memory.size}\nplugged memory: 0\n`),
  },
  { name: "jit", ...none, help: "show dynamic compiler info", run: jit },
  {
    name: "kvm",
    ...none,
    help: "show KVM information",
    run: (h) => h.print(`kvm support: ${acceleratorName(h) === "kvm" ? "enabled" : "disabled"}\n`),
  },
  {
    name: "accel",
    ...none,
    help: "show the accelerator that runs the machine",
    run: (h) => h.print(`accelerator: ${acceleratorName(h)}\n`),
  },
  { name: "exits", ...none, help: "show how often and why vCPUs left guest code", run: exits },
  {
    name: "usb",
    ...none,
    help: "show guest USB devices",
    run: () => {
      throw new UserError("USB support not enabled");
    },
  },
  { name: "status", ...none, help: "show the current VM status (running|paused)", run: status },
  {
    name: "mice",
    ...none,
    help: "show which guest mouse is receiving events",
    run: (h) => h.print(h.target.board.input.infoMice()),
  },
  {
    name: "name",
    ...none,
    help: "show the current VM name",
    run: (h) => {
      const { name } = h.target.config;
      if (name !== undefined) h.print(`${name}\n`);
    },
  },
  {
    name: "uuid",
    ...none,
    help: "show the current VM UUID",
    run: (h) => h.print(`${h.target.config.uuid ?? "00000000-0000-0000-0000-000000000000"}\n`),
  },
  {
    name: "qtree",
    ...none,
    help: "show device tree",
    run: (h) => h.print(h.target.board.infoQtree()),
  },
  {
    name: "qdm",
    ...none,
    help: "show qdev device model list",
    run: (h) => h.print(h.target.board.infoQdm()),
  },
];
