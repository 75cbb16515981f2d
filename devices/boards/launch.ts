/** From a configuration to a running machine and its exit status. */
import type { Accelerator } from "../../core/accel.ts";
import { BlockGraph } from "../../core/block/graph.ts";
import { ChardevRegistry } from "../../core/chardev/registry.ts";
import { UserError } from "../../core/errors.ts";
import type { FirmwareBoard, FirmwareProvider } from "../../core/firmware.ts";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { chooseAccelerator } from "../../core/kvm/choose.ts";
import { resolveKvmCpu } from "../../core/kvm/model.ts";
import { SwitchAccelerator } from "../../core/kvm/switch.ts";
import { Machine } from "../../core/machine.ts";
import type { MonitorTarget } from "../../core/monitor/target.ts";
import type { GlobalProperty, MachineConfig } from "../../core/options/config.ts";
import {
  loadDataFile,
  loadFirmware,
  loadFwCfgItem,
  loadOptionRoms,
  uuidBytes,
} from "../../core/options/files.ts";
import { located, report } from "../../core/options/host.ts";
import type { LaunchHooks } from "../../core/options/program.ts";
import { tcgAccelerator, tcgMemory, type Tier } from "../../core/tcg/vm.ts";
import { resolveCpu, type ResolvedModel, tcgFeatures } from "../../core/x86/cpuid/model.ts";
import { dumpCpu } from "../../core/x86/dump.ts";
import { openRng } from "../virtio/rng_backend.ts";
import { findFlash } from "./firmware_rom.ts";
import { MicrovmBoard, type MicrovmConfig, microvmMemoryBytes } from "./microvm.ts";
import { createPc, type PcBoard, pcMemoryBytes } from "./pc.ts";
import type { PcConfig, PcDrive } from "./pc_config.ts";
import { guestMemory } from "./pc_ram.ts";

/** Starts a monitor on a character device. */
export type MonitorStarter = (target: MonitorTarget) => void;

export interface LaunchParts {
  readonly firmware: FirmwareProvider;
  readonly startMonitors: MonitorStarter;
}

/**
 * Builds the machine, calls {@link LaunchHooks.initialised} before the first instruction, runs it,
 * and resolves to the exit status. Throws UserError for what the user got wrong.
 */
export async function launch(
  config: MachineConfig,
  hooks: LaunchHooks,
  parts: LaunchParts,
): Promise<number> {
  const { family } = config.machine;
  if (family !== "pc" && family !== "q35" && family !== "microvm") {
    throw new UserError(`machine type '${config.machine.type}' is not available in this build`);
  }
  const warn = (text: string) => report(hooks.host, "", text);
  let machine: Machine | undefined;
  const chardevs = new ChardevRegistry({
    host: hooks.host,
    escapeChar: config.escapeChar,
    daemonize: config.daemonize,
    mux: {
      terminate: () => machine?.requestShutdown("host-qmp-quit"),
      commitAll: () => void blocks.commit("all"),
      now: () => performance.now(),
    },
  });
  const blocks = new BlockGraph({ warn: (text) => hooks.host.stderr(text + "\n") });
  const stopSignals = onSignals((name, number) => {
    hooks.host.stderr(`${hooks.host.programName}: terminating on signal ${number}\n`);
    if (machine) machine.requestShutdown("host-signal");
    else Deno.exit(name === "SIGINT" ? 130 : 143);
  });
  try {
    await chardevs.createAll(config.chardevs);
    const drives = openDrives(config, blocks);
    const built = build(config, hooks, parts, chardevs, blocks, drives, warn);
    machine = built.machine;
    const target: MonitorTarget = { config, machine, board: built.board, blocks, chardevs, warn };
    parts.startMonitors(target);
    await hooks.initialised();
    machine.powerOn();
    if (!config.startPaused) machine.start();
    return await machine.run();
  } finally {
    stopSignals();
    machine?.vm?.close();
    await chardevs.closeAll();
    for (const d of [...blocks.drives]) blocks.remove(d);
  }
}

function openDrives(config: MachineConfig, blocks: BlockGraph): PcDrive[] {
  const out: PcDrive[] = [];
  for (const d of config.drives) {
    try {
      const drive = blocks.add({
        id: d.id,
        interface: d.interface,
        media: d.media,
        bus: d.bus,
        unit: d.unit,
        file: d.file,
        format: d.format,
        readonly: d.readonly,
        snapshot: d.snapshot,
        cache: d.cache,
        werror: d.werror,
        rerror: d.rerror,
        serial: d.serial,
      });
      if (d.interface === "ide" || d.interface === "floppy") {
        out.push({ drive, interface: d.interface, bus: d.bus, unit: d.unit as 0 | 1 });
      }
    } catch (e) {
      if (!(e instanceof UserError)) throw e;
      throw new UserError(located(d.loc, e.message), e.status, e.hint);
    }
  }
  return out;
}

/** Whether firmware may use system management mode: `-machine smm=`. */
function hasSmm(config: MachineConfig, accelerator: Accelerator): boolean {
  if (config.machine.smm === "off") return false;
  if (accelerator.name === "tcg") return true;
  if (config.machine.smm === "auto") return false;
  throw new UserError("System Management Mode not supported by this hypervisor.");
}

function build(
  config: MachineConfig,
  hooks: LaunchHooks,
  parts: LaunchParts,
  chardevs: ChardevRegistry,
  blocks: BlockGraph,
  drives: PcDrive[],
  warn: (text: string) => void,
): { machine: Machine; board: PcBoard | MicrovmBoard } {
  const { accelerator, usesTcg, irqchip, resolve } = openAccelerator(config, hooks, warn);
  const { model, warnings } = resolve(config.cpu);
  for (const w of warnings) warn(w);
  const rngs = new Map(config.rngs.map((r) => [r.id, openRng(r)]));
  const pflash = findFlash(config, blocks), flashed = pflash?.some((d) => d) ?? false;
  const foreign = flashed ? undefined : loadFirmware(config);
  const pc: PcConfig = {
    family: config.machine.family === "q35" ? "q35" : "pc",
    ramSize: config.memory.size,
    maxRamBelow4g: config.machine.maxRamBelow4g,
    numa: config.numa,
    warn,
    cpus: config.smp.cpus,
    topology: { ...config.smp },
    cpuModel: model,
    bios: foreign ?? (flashed ? new Uint8Array(0) : parts.firmware.image()),
    biosName: config.bios ?? "qeno-bios.bin",
    pflash,
    maxFwSize: config.machine.maxFwSize,
    romFile: (name) =>
      (foreign || flashed ? loadDataFile(name, config.dataDirs) : undefined) ??
        parts.firmware.romFile(name),
    vga: config.vga === "std" ? "std" : "none",
    serials: config.serials.map((id) => chardevs.get(id)),
    parallels: config.parallels.map((id) => chardevs.get(id)),
    drives,
    devices: config.devices,
    globals: [...rtcGlobals(config), ...config.globals],
    chardev: (id) => chardevs.get(id),
    drive: (id) => blocks.find(id),
    rng: (id) => rngs.get(id),
    emptyDrive: (kind) => blocks.addEmpty(kind),
    boot: config.boot,
    uuid: uuidBytes(config.uuid),
    nographic: !config.machine.graphics,
    optionRoms: loadOptionRoms(config, hooks.host),
    fwCfg: config.fwCfg.map((f) => ({ name: f.name, data: loadFwCfgItem(f), loc: f.loc })),
    acpi: config.machine.acpi !== "off",
    hpet: config.machine.hpet,
    sata: config.machine.sata,
    smbus: config.machine.smbus,
    vmport: config.machine.vmport !== "off",
    i8042: config.machine.i8042,
    fdBootchk: config.machine.fdBootchk,
    smm: hasSmm(config, accelerator),
  };
  const microvm = config.machine.family === "microvm"
    ? microvmConfig(pc, config, accelerator, foreign !== undefined)
    : undefined;
  const storage = microvm ? microvmMemoryBytes(microvm) : pcMemoryBytes(pc);
  const memory = guestMemory(
    storage + (usesTcg ? tcgMemory(pc.cpus, storage) : 1 << 20) + (2 << 20),
    pc.ramSize,
  );
  const machine = new Machine({
    memory,
    actions: {
      reboot: config.action.reboot,
      shutdown: config.action.shutdown,
      panic: config.action.panic,
    },
    skipIdle: config.icount?.sleep === false,
    clock: {
      icountShift: config.icount === undefined
        ? undefined
        : config.icount.shift === "auto"
        ? 3
        : config.icount.shift,
      epochMs: rtcEpoch(config),
      followHost: config.rtc.clock === "host" && config.icount === undefined,
    },
  });
  machine.useAccelerator(accelerator, irqchip);
  const board = microvm ? new MicrovmBoard(microvm, machine) : createPc(pc, machine);
  machine.onReset = () => board.reset();
  machine.onSuspend = () => board.suspended();
  machine.onWakeup = (cause) => board.wake(cause);
  machine.onPowerButton = () => board.powerButton();
  machine.onInternalError = (vcpu, message) => {
    if (accelerator.name !== "kvm") message = `CPU ${vcpu.index}: internal error: ${message}\n`;
    hooks.host.stderr(message + dumpCpu(vcpu, { code: machine.mem }));
  };
  blocks.onStop = () => machine.stop("io-error");
  machine.observe((e) => e.event === "RESUME" && blocks.resume());
  const view: FirmwareBoard = {
    mem: machine.mem,
    io: machine.io,
    ramSize: board.lowRamSize,
    highRamSize: board.ramSplit.above4g,
    apicIds: board.vcpus.map((v) => v.apicId),
    fwCfg: board.fwCfg,
    addBootEntry: (path, index) => board.addBootEntry(path, index),
    warn,
    cpuid: (leaf) => board.vcpus[0].cpuid(leaf, 0),
    ...board instanceof MicrovmBoard ? { microvm: board.firmwareView() } : {
      sleep: board.chipset.sleepStates,
      pciAddress: (id) => board.chipset.bus.addressOf(id),
      pciexbar: board.chipset.pciexbar && (() => board.chipset.pciexbar!()),
    },
  };
  parts.firmware.tables(view, config);
  parts.firmware.attach(view);
  if (config.kernel !== undefined) {
    // Without ACPI a kernel knows of the windows by its command line.
    const tell = config.machine.acpi === "off" && config.machine.autoKernelCmdline;
    const windows = tell && board instanceof MicrovmBoard ? board.kernelParameters() : "";
    parts.firmware.loadKernel(view, {
      kernel: config.kernel,
      initrd: config.initrd,
      dtb: config.dtb,
      append: (config.append ?? "") + windows,
    });
  }
  return { machine, board };
}

function microvmConfig(
  pc: PcConfig,
  { machine }: MachineConfig,
  accelerator: Accelerator,
  foreign: boolean,
): MicrovmConfig {
  return {
    ...pc,
    pit: machine.pit !== "off",
    pic: machine.pic !== "off",
    // KVM's guests have its clock.
    rtc: machine.rtc === "on" || (machine.rtc === "auto" && accelerator.name !== "kvm"),
    isaSerial: machine.isaSerial,
    ioapic2: machine.ioapic2 !== "off",
    // The built-in firmware has no other way to start a kernel.
    loadsOptionRoms: machine.optionRoms || !foreign,
  };
}

interface Chosen {
  readonly accelerator: Accelerator;
  /** The machine runs, or may come to run, on tcg, which needs memory for itself. */
  readonly usesTcg: boolean;
  /** Interrupt controllers inside KVM: QEMU's default is all of them. */
  readonly irqchip: "off" | "split" | "on";
  /** Resolves the `-cpu` value for it. */
  readonly resolve: (cpu: string | undefined) => ResolvedModel;
}

const USER_LAPIC_WARNINGS: readonly string[] = [
  "warning: Userspace local APIC is deprecated for KVM.",
  "warning: Do not use kernel-irqchip except for the -M isapc machine type.",
];

/**
 * The first accelerator of the list that works. Under `-enable-kvm` an unusable KVM is one warning,
 * and one that gives up later hands the running machine to tcg.
 */
function openAccelerator(
  config: MachineConfig,
  hooks: LaunchHooks,
  warn: (text: string) => void,
): Chosen {
  const asked = config.accels.find((a) => a.name === "kvm")?.props.get("kernel-irqchip");
  // A machine that may have to leave KVM keeps its interrupt controllers, unless told otherwise.
  const irqchip = (asked ?? (config.enableKvm ? "off" : "on")) as Chosen["irqchip"];
  const portable = config.enableKvm && irqchip === "off";
  let kvm: KvmAccelerator | undefined;
  const tier = config.accels.find((a) => a.name === "tcg")?.props.get("tier");
  const chosenTier = tier === undefined ? undefined : Number(tier) as Tier;
  const tcg = tcgAccelerator(chosenTier, config.smp, true);
  const chosen = chooseAccelerator(
    config,
    (request) => {
      if (request.name === "tcg") return tcg;
      kvm = new KvmAccelerator({ topology: config.smp, portable });
      const { cpus, maxcpus } = config.smp;
      for (const text of kvm.checkCpus({ SMP: cpus, hotpluggable: maxcpus })) {
        report(hooks.host, request.loc, `warning: ${text}`);
      }
      return kvm;
    },
    (line) => hooks.host.stderr(`${line}\n`),
  );
  if (kvm === undefined || chosen !== kvm) {
    return {
      accelerator: tcg,
      usesTcg: true,
      irqchip: "off",
      resolve: (cpu) => {
        // A microvm kernel has no other clock that it could measure its counter against.
        const paravirtual = config.enableKvm || config.machine.family === "microvm";
        const { model, warnings } = resolveCpu(cpu, tcgFeatures, warn, paravirtual);
        return { model, warnings: Array.from({ length: config.smp.cpus }, () => warnings).flat() };
      },
    };
  }
  const host = kvm;
  const resolve = (cpu: string | undefined) => {
    const { model, warnings } = resolveKvmCpu(cpu, host, config.enableKvm, warn);
    const perCpu = Array.from({ length: config.smp.cpus - 1 }, () => warnings).flat();
    const lapic = asked === "off" ? USER_LAPIC_WARNINGS : [];
    return { model, warnings: [...warnings, ...lapic, ...perCpu] };
  };
  if (!config.enableKvm) return { accelerator: host, usesTcg: false, irqchip, resolve };
  const accelerator = new SwitchAccelerator(host, tcg, (message) => {
    warn(`warning: ${message.split("\n")[0]}: the machine goes on under tcg`);
  });
  return { accelerator, usesTcg: true, irqchip, resolve };
}

/** `-rtc driftfix=`, which is a property of the clock by another name. */
function rtcGlobals({ rtc }: MachineConfig): GlobalProperty[] {
  const [driver, property] = ["mc146818rtc", "lost_tick_policy"];
  return rtc.driftfix === "none" ? [] : [{ driver, property, value: rtc.driftfix, used: false }];
}

function rtcEpoch(config: MachineConfig): number {
  switch (config.rtc.base) {
    case "utc":
      return Date.now();
    case "localtime":
      return Date.now() - new Date().getTimezoneOffset() * 60000;
    case "datetime":
      return config.rtc.datetime ?? Date.now();
  }
}

/** Calls `f` on SIGINT, SIGTERM and SIGHUP; gives what takes the handlers away. */
function onSignals(f: (name: Deno.Signal, number: number) => void): () => void {
  const list: [Deno.Signal, number][] = [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]];
  const handlers = list.map(([name, number]) => [name, () => f(name, number)] as const);
  for (const [name, h] of handlers) Deno.addSignalListener(name, h);
  return () => {
    for (const [name, h] of handlers) Deno.removeSignalListener(name, h);
  };
}
