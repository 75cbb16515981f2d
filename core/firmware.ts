/** How built-in firmware meets a board: neither imports the other. */
import type { AddressSpace } from "./memory/address_space.ts";
import type { MachineConfig } from "./options/config.ts";

/** A kernel to start directly: `-kernel`, `-initrd`, `-append`, `-dtb`. */
export interface DirectKernel {
  readonly kernel: string;
  readonly initrd: string | undefined;
  readonly append: string;
  /** A flattened device tree, handed to bzImages alone. */
  readonly dtb?: string;
}

/** What firmware needs of a board. */
export interface FirmwareBoard {
  readonly mem: AddressSpace;
  readonly io: AddressSpace;
  /** Bytes of RAM below the PCI hole. */
  readonly ramSize: number;
  /** Bytes of RAM from 4 GiB on, default none. */
  readonly highRamSize?: number;
  /** Sleep states that properties take away, and SLP_TYP of S4. */
  readonly sleep?: {
    readonly disableS3: boolean;
    readonly disableS4: boolean;
    readonly s4Value: number;
  };
  readonly apicIds: readonly number[];
  /** Memory-mapped PCI configuration space on a board that has one: where it is now. */
  readonly pciexbar?: () => number | undefined;
  /** What a microvm board has instead of a chip set. */
  readonly microvm?: {
    /** Virtio-mmio windows with a device in them, the last first. */
    readonly windows: readonly { index: number; address: number; gsi: number }[];
    /** Address of the I/O APIC of interrupts 24 to 47. */
    readonly ioapic2: number | undefined;
    readonly rtc: boolean;
    readonly serials: number;
    readonly ged: { gsi: number; events: number; registers: number };
    /** Kernels are started by option ROMs. */
    readonly optionRoms: boolean;
  };
  readonly fwCfg: {
    /** A function is asked when firmware reads the file. */
    addFile(name: string, data: Uint8Array | (() => Uint8Array)): void;
    /** A numbered item. */
    add(key: number, data: Uint8Array): void;
  };
  /** A device path for `bootorder`, such as `/rom@genroms/linuxboot_dma.bin`. */
  addBootEntry(path: string, index: number): void;
  /** Prints a warning as the program does. */
  warn(text: string): void;
  /** Bus number × 256 + devfn of the PCI device with this id, as it is now. */
  readonly pciAddress?: (id: string) => number | undefined;
  /** CPUID as the boot processor's guest sees it. */
  cpuid(leaf: number): { eax: number; ebx: number; ecx: number; edx: number };
}

/** What the built-in firmware offers. */
export interface FirmwareProvider {
  /** The system firmware image used without `-bios`. */
  image(): Uint8Array;
  /** Connects the image's services to the machine. */
  attach(board: FirmwareBoard): void;
  /** Puts a kernel where firmware finds it. Throws UserError with QEMU's words. */
  loadKernel(board: FirmwareBoard, kernel: DirectKernel): void;
  /** ACPI and SMBIOS tables, as fw_cfg files. */
  tables(board: FirmwareBoard, config: MachineConfig): void;
  /** A ROM file that the data directories do not have, such as `vgabios-stdvga.bin`. */
  romFile(name: string): Uint8Array | undefined;
}
