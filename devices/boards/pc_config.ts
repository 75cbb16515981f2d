/** What a PC is to be made of: the board's part of a machine configuration, with files loaded. */
import type { CpuModel } from "../../core/accel.ts";
import type { Drive } from "../../core/block/block.ts";
import type { Chardev } from "../../core/chardev/chardev.ts";
import type { NumaOptions } from "../../core/options/numa.ts";
import type { RngBackend } from "../virtio/virtio_rng.ts";
import type { BootOptions, DeviceOptions, GlobalProperty } from "../../core/options/config.ts";

/** A drive for one of the board's own controllers. Those for `-device` come by {@link PcConfig.drive}. */
export interface PcDrive {
  readonly drive: Drive;
  readonly interface: "ide" | "floppy";
  /** IDE channel (0 or 1). */
  readonly bus: number;
  readonly unit: 0 | 1;
}

export interface PcConfig {
  /** Which board it is; default `pc`. */
  readonly family?: "pc" | "q35";
  /** Bytes, a multiple of 4096. */
  readonly ramSize: number;
  /** `max-ram-below-4g`, bytes; default as far as PCI leaves room. */
  readonly maxRamBelow4g?: number;
  /** Memory and CPUs of each NUMA node. */
  readonly numa?: Pick<NumaOptions, "nodes">;
  /** Prints a warning as the program does. */
  readonly warn?: (text: string) => void;
  readonly cpus: number;
  readonly topology: {
    readonly sockets: number;
    readonly dies: number;
    readonly cores: number;
    readonly threads: number;
    readonly maxcpus: number;
  };
  readonly cpuModel: CpuModel;
  /** System firmware: a multiple of 64 KiB. Not used with flash. */
  readonly bios: Uint8Array;
  /** What the monitor calls it: the file's name as the user gave it. */
  readonly biosName?: string;
  /** Flash chips with system firmware: the one with the reset vector, and the one below it. */
  readonly pflash?: readonly [Drive | undefined, Drive | undefined];
  /** Bytes all flash chips together may have; default 8 MiB. */
  readonly maxFwSize?: number;
  /** A file of the data directories (`vgabios-stdvga.bin`), or undefined when there is none. */
  readonly romFile: (name: string) => Uint8Array | undefined;
  readonly vga: "std" | "none";
  /** Back ends of COM1 to COM4; undefined leaves a port out. */
  readonly serials: readonly (Chardev | undefined)[];
  readonly parallels: readonly (Chardev | undefined)[];
  readonly drives: readonly PcDrive[];
  /** `-device`, in order, already checked by name and value. */
  readonly devices: readonly DeviceOptions[];
  readonly globals: readonly GlobalProperty[];
  /** Back ends that `-device` refers to by id. */
  readonly chardev: (id: string) => Chardev | undefined;
  readonly drive: (id: string) => Drive | undefined;
  /** Sources of random numbers by id. Throws UserError when one cannot be opened. */
  readonly rng?: (id: string) => RngBackend | undefined;
  /** A drive for a CD-ROM or floppy device that was given none. */
  readonly emptyDrive?: (kind: "cdrom" | "floppy") => Drive;
  readonly boot: BootOptions;
  /** 16 bytes in RFC 4122 order; zeros when not given. */
  readonly uuid?: Uint8Array;
  readonly nographic?: boolean;
  /** Files for `genroms/`, in boot order where `bootindex` is not negative. */
  readonly optionRoms?: readonly { name: string; data: Uint8Array; bootindex: number }[];
  /** `-fw_cfg` items. */
  readonly fwCfg?: readonly { name: string; data: Uint8Array; loc: string }[];
  readonly acpi?: boolean;
  readonly hpet?: boolean;
  /** q35: whether there is a disk controller, and an SMBus; default true. */
  readonly sata?: boolean;
  readonly smbus?: boolean;
  /** Whether firmware may set up SMM; the accelerator has to implement it. */
  readonly smm?: boolean;
  readonly vmport?: boolean;
  readonly i8042?: boolean;
  /** False lets SeaBIOS skip the check of the floppy's boot signature. */
  readonly fdBootchk?: boolean;
  /** The accelerator's TSC frequency, kHz. */
  readonly tscKhz?: number;
}

/** A configuration with nothing but RAM and firmware, to be filled in. */
export function bareConfig(
  required: Pick<PcConfig, "ramSize" | "cpuModel" | "bios">,
): PcConfig {
  return {
    ...required,
    cpus: 1,
    topology: { sockets: 1, dies: 1, cores: 1, threads: 1, maxcpus: 1 },
    romFile: () => undefined,
    vga: "none",
    serials: [],
    parallels: [],
    drives: [],
    devices: [],
    globals: [],
    chardev: () => undefined,
    drive: () => undefined,
    boot: {
      order: undefined,
      once: undefined,
      menu: false,
      strict: false,
      splash: undefined,
      splashTime: undefined,
      rebootTimeout: undefined,
    },
  };
}
