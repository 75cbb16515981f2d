/** What has been read of a command line so far: the raw material `resolve.ts` makes a config of. */
import type { ChardevOptions } from "../chardev/options.ts";
import type { MonitorOptions } from "./config.ts";
import type { OptionsHost } from "./host.ts";
import type { Keyval } from "./keyval.ts";
import { type Opts, OptsGroups } from "./qemu_opts.ts";
import { noSmbios } from "./smbios.ts";

/** An option kept as text until its turn: `-serial`, `-parallel`, `-debugcon`, `-gdb`. */
export interface DeviceText {
  kind: "serial" | "parallel" | "debugcon" | "gdb";
  text: string;
  loc: string;
}

export class CommandLine {
  readonly groups: OptsGroups;
  /** `-machine` and every option that is short for a machine property. */
  readonly machine: Keyval = new Map();
  /** What set the machine's `accel` last. */
  accelFromEnableKvm = false;
  readonly deviceTexts: DeviceText[] = [];
  /** `-chardev` options and the chardevs of `-monitor`, in order. */
  readonly chardevs: (Opts | ChardevOptions)[] = [];
  readonly monitors: (Opts | (MonitorOptions & { loc: string }))[] = [];
  monitorIndex = 0;
  cpu: string | undefined;
  vga: string | undefined;
  nographic = false;
  /** A display other than none that cannot be opened, with its parameters checked. */
  badDisplay: string | undefined;
  displayGl = false;
  readonly gdb: DeviceText[] = [];
  snapshot = false;
  hasDefaults = true;
  defaultSerial = true;
  defaultParallel = true;
  defaultMonitor = true;
  defaultNet = true;
  defaultFloppy = true;
  defaultCdrom = true;
  keyboardLayout: string | undefined;
  startPaused = false;
  logItems: string | undefined;
  logFile: string | undefined;
  uuid: string | undefined;
  readonly smbios = noSmbios();
  /** Complete tables, in order. */
  readonly acpiTables: Uint8Array[] = [];
  pidfile: string | undefined;
  daemonize = false;
  readonly dataDirs: string[] = [];
  listDataDirs = false;
  fdBootchk = true;
  escapeChar = 1;
  seed: number | undefined;

  constructor(readonly host: OptionsHost) {
    this.groups = new OptsGroups(host);
  }
}
