/**
 * What a command line means: everything a board, the monitor and the back ends need, already
 * checked. `parseCommandLine` (parse.ts) makes it; `devices/boards/launch.ts` consumes it.
 */
import type { ChardevOptions } from "../chardev/options.ts";
import type { NumaOptions } from "./numa.ts";
import type { SmbiosOptions } from "./smbios.ts";

/** QEMU's three-valued switch; `auto` lets the board decide. */
export type OnOffAuto = "on" | "off" | "auto";

/** `-machine`, with the sugar options (`-no-acpi`, `-no-hpet`, `-usb`, `-bios`, …) merged in. */
export interface MachineOptions {
  /** Canonical versioned name, such as `pc-i440fx-7.2`. */
  type: string;
  /** The board model that name belongs to. */
  family: "pc" | "q35" | "isapc" | "microvm" | "none";
  /** `Standard PC (i440FX + PIIX, 1996)`. */
  description: string;
  acpi: OnOffAuto;
  hpet: boolean;
  smm: OnOffAuto;
  vmport: OnOffAuto;
  pic: OnOffAuto;
  pit: OnOffAuto;
  i8042: boolean;
  usb: boolean;
  sata: boolean;
  smbus: boolean;
  /** False under `-nographic`: firmware may mirror its output on the serial port. */
  graphics: boolean;
  /** False for `-no-fd-bootchk` and `fd-bootchk=off`. */
  fdBootchk: boolean;
  /** Bytes. */
  maxFwSize: number;
  /** `pflash0=` and `pflash1=`: ids of drives with system firmware. */
  pflash: [string | undefined, string | undefined];
  /** Bytes of RAM below 4 GiB at most; undefined lets the board choose. */
  maxRamBelow4g: number | undefined;
  smbiosEntryPointType: "32" | "64" | undefined;
  /** ACPI table header ids: at most 6 and 8 bytes. */
  oemId: string | undefined;
  oemTableId: string | undefined;
  /** Of microvm alone. */
  rtc: OnOffAuto;
  pcie: OnOffAuto;
  ioapic2: OnOffAuto;
  isaSerial: boolean;
  optionRoms: boolean;
  /** The virtio-mmio windows in use are named on the kernel's command line. */
  autoKernelCmdline: boolean;
}

/** `-object rng-random` (a file) or `rng-builtin`. */
export interface RngOptions {
  id: string;
  /** Undefined: the program's own numbers. */
  file: string | undefined;
}

export interface AcceleratorOptions {
  name: "tcg" | "kvm";
  /** Properties as given, such as `thread=single`, already checked. */
  props: ReadonlyMap<string, string>;
  /** Where it was asked for, for messages: `-accel kvm`, or empty. */
  loc: string;
}

export interface MemoryOptions {
  /** Bytes. */
  size: number;
  slots: number;
  /** Bytes; equal to {@link size} when there is no hotplug range. */
  maxmem: number;
}

/** CPU counts after QEMU's topology rules: sockets·dies·cores·threads = maxcpus ≥ cpus. */
export interface SmpOptions {
  cpus: number;
  sockets: number;
  dies: number;
  cores: number;
  threads: number;
  maxcpus: number;
}

export type DriveInterface =
  | "none"
  | "ide"
  | "floppy"
  | "pflash"
  | "virtio"
  | "scsi"
  | "sd"
  | "mtd";

/** One `-drive`, `-hda`, `-cdrom`, … or a default drive. */
export interface DriveOptions {
  /** The user's id or the generated name (`ide0-hd0`, `ide1-cd0`, `floppy0`). */
  id: string;
  interface: DriveInterface;
  bus: number;
  unit: number;
  media: "disk" | "cdrom";
  /** Undefined: an empty drive. */
  file: string | undefined;
  /** Undefined: probe, and treat a raw image with QEMU's warning. */
  format: string | undefined;
  readonly: boolean;
  snapshot: boolean;
  cache: "none" | "writeback" | "writethrough" | "directsync" | "unsafe";
  discard: boolean;
  detectZeroes: "off" | "on" | "unmap";
  werror: "report" | "ignore" | "stop" | "enospc";
  rerror: "report" | "ignore" | "stop";
  serial: string | undefined;
  /** Created because nothing else used the slot (empty CD-ROM, floppy). */
  isDefault: boolean;
  /** Where it was asked for, for messages: `-hda disk.img`, or empty. */
  loc: string;
}

/** One `-device`: the driver's canonical name and its checked properties, in order. */
export interface DeviceOptions {
  driver: string;
  id: string | undefined;
  props: ReadonlyMap<string, string>;
  loc: string;
}

/** `-global driver.property=value`, in order. */
export interface GlobalProperty {
  driver: string;
  property: string;
  value: string;
  /** Set by a board when a device of that type consumed it; unused ones get QEMU's warning. */
  used: boolean;
}

export interface BootOptions {
  /** Letters a–p; the first boots first. Undefined: the board's default, `cad`. */
  order: string | undefined;
  /** Order for the first boot only. */
  once: string | undefined;
  menu: boolean;
  strict: boolean;
  splash: string | undefined;
  /** ms, 0–65535. */
  splashTime: number | undefined;
  /** ms, 0–65535; -1 means no reboot. */
  rebootTimeout: number | undefined;
}

/** A monitor on a character device. */
export interface MonitorOptions {
  /** Chardev id. */
  chardev: string;
  mode: "readline" | "control";
  pretty: boolean;
  /** The `id=` of `-mon`, or the label of a compatibility monitor. */
  id: string | undefined;
}

export interface RtcOptions {
  base: "utc" | "localtime" | "datetime";
  /** ms since 1970 (UTC) for `datetime`. */
  datetime: number | undefined;
  clock: "host" | "rt" | "vm";
  driftfix: "none" | "slew";
}

export interface IcountOptions {
  /** ns per instruction is 2^shift; `auto` adapts. */
  shift: number | "auto";
  align: boolean;
  sleep: boolean;
}

export interface FwCfgItem {
  name: string;
  file: string | undefined;
  string: string | undefined;
  loc: string;
}

export interface ActionOptions {
  reboot: "reset" | "shutdown";
  shutdown: "poweroff" | "pause";
  panic: "pause" | "shutdown" | "exit-failure" | "none";
  watchdog: "reset" | "shutdown" | "poweroff" | "inject-nmi" | "pause" | "debug" | "none";
}

export interface MachineConfig {
  /** What messages begin with: the base name of the program as invoked. */
  programName: string;
  machine: MachineOptions;
  /** In order of preference; the first that can be initialised runs the machine. */
  accels: AcceleratorOptions[];
  /**
   * `-enable-kvm` was given: when kvm cannot be used the machine warns once and runs under the next
   * accelerator of {@link accels}.
   */
  enableKvm: boolean;
  /** An accelerator in front of {@link accels} was unknown: say `falling back to NAME` when one works. */
  accelFallback: boolean;
  memory: MemoryOptions;
  smp: SmpOptions;
  /** The `-cpu` value as given (model and features), or undefined for the machine's default. */
  cpu: string | undefined;
  drives: DriveOptions[];
  devices: DeviceOptions[];
  globals: GlobalProperty[];
  boot: BootOptions;
  /** Every character device, in creation order. */
  chardevs: ChardevOptions[];
  /** Chardev id of each COM port: index 0 is COM1. */
  serials: string[];
  /** Chardev id of each LPT port. */
  parallels: string[];
  monitors: MonitorOptions[];
  nographic: boolean;
  display: "none";
  vga: "std" | "none" | "device";
  keyboardLayout: string | undefined;
  /** False under `-nodefaults`. */
  defaults: boolean;
  /** False when a default network card would have been made but none is wanted (`-net none`, …). */
  defaultNic: boolean;
  /** `-S`. */
  startPaused: boolean;
  action: ActionOptions;
  /** `-d`: OR of LogItem bits, 0 when absent. */
  logMask: number;
  /** `-D`. */
  logFile: string | undefined;
  rtc: RtcOptions;
  icount: IcountOptions | undefined;
  /** `-name guest=`. */
  name: string | undefined;
  /** `-name process=`. */
  processName: string | undefined;
  /** 16 bytes as written (RFC 4122 text), lower case. */
  uuid: string | undefined;
  smbios: SmbiosOptions;
  /** `-acpitable`: complete tables, in order. */
  acpiTables: readonly Uint8Array[];
  pidfile: string | undefined;
  daemonize: boolean;
  /** `-bios` as given: a path, or a name searched in {@link dataDirs}. */
  bios: string | undefined;
  /** `-L` directories in order, then the built-in defaults. */
  dataDirs: string[];
  kernel: string | undefined;
  initrd: string | undefined;
  dtb: string | undefined;
  numa: NumaOptions | undefined;
  /** Sources of random numbers that devices can name. */
  rngs: RngOptions[];
  append: string | undefined;
  optionRoms: { file: string; bootindex: number }[];
  fwCfg: FwCfgItem[];
  /** Chardev descriptions of `-gdb`, such as `tcp::1234`. */
  gdb: string[];
  /** Mux escape byte, 1 is Ctrl-a. */
  escapeChar: number;
  /** `-seed`: makes what is random repeat. */
  seed: number | undefined;
}
