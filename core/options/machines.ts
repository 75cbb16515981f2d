/**
 * Machine types and their properties: names and descriptions as QEMU 7.2 lists them. A versioned
 * name is accepted for compatibility; every version of a family is the same board here.
 */
import { fail, located, type OptionsHost } from "./host.ts";
import type { MachineOptions, OnOffAuto } from "./config.ts";
import type { Keyval } from "./keyval.ts";
import { parseBool, parseInt64, parseSize } from "./numbers.ts";
import { UserError } from "../errors.ts";

export interface MachineType {
  name: string;
  alias?: string;
  description: string;
  family: MachineOptions["family"];
  /** Boards not built yet are refused and not listed. */
  implemented: boolean;
  isDefault?: boolean;
  maxCpus: number;
  /** Bytes. */
  defaultRam: number;
  deprecated?: string;
}

const I440FX = [
  ...["7.2", "7.1", "7.0", "6.2", "6.1", "6.0", "5.2", "5.1", "5.0", "4.2", "4.1", "4.0", "3.1"],
  ...["3.0", "2.9", "2.8", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.12", "2.11", "2.10"],
  ...["2.1", "2.0", "1.7", "1.6", "1.5", "1.4"],
];
const Q35 = [
  ...["7.2", "7.1", "7.0", "6.2", "6.1", "6.0", "5.2", "5.1", "5.0", "4.2", "4.1", "4.0.1", "4.0"],
  ...["3.1", "3.0", "2.9", "2.8", "2.7", "2.6", "2.5", "2.4", "2.12", "2.11", "2.10"],
];
const MIB = 1 << 20;

/** In the order of `-machine help`. */
export const MACHINE_TYPES: readonly MachineType[] = [
  {
    name: "microvm",
    description: "microvm (i386)",
    family: "microvm",
    implemented: true,
    maxCpus: 288,
    defaultRam: 128 * MIB,
  },
  ...I440FX.map((v): MachineType => ({
    name: `pc-i440fx-${v}`,
    alias: v === "7.2" ? "pc" : undefined,
    description: "Standard PC (i440FX + PIIX, 1996)",
    family: "pc",
    implemented: true,
    isDefault: v === "7.2",
    maxCpus: 255,
    defaultRam: 128 * MIB,
    deprecated: v.startsWith("1.") ? "old and unattended - use a newer version instead" : undefined,
  })),
  ...Q35.map((v): MachineType => ({
    name: `pc-q35-${v}`,
    alias: v === "7.2" ? "q35" : undefined,
    description: "Standard PC (Q35 + ICH9, 2009)",
    family: "q35",
    implemented: true,
    maxCpus: 288,
    defaultRam: 128 * MIB,
  })),
  {
    name: "isapc",
    description: "ISA-only PC",
    family: "isapc",
    implemented: false,
    maxCpus: 1,
    defaultRam: 128 * MIB,
  },
  {
    name: "none",
    description: "empty machine",
    family: "none",
    implemented: false,
    maxCpus: 1,
    defaultRam: 0,
  },
];

/** What `-machine help` prints. */
export function machineHelp(): string {
  let text = "Supported machines are:\n";
  for (const m of MACHINE_TYPES) {
    if (!m.implemented) continue;
    if (m.alias) text += `${m.alias.padEnd(20)} ${m.description} (alias of ${m.name})\n`;
    const flags = (m.isDefault ? " (default)" : "") + (m.deprecated ? " (deprecated)" : "");
    text += `${m.name.padEnd(20)} ${m.description}${flags}\n`;
  }
  return text;
}

export function findMachine(name: string): MachineType | undefined {
  return MACHINE_TYPES.find((m) => m.implemented && (m.name === name || m.alias === name));
}

/** Takes `type` out of the options. Throws QEMU's message for a type that is not there. */
export function selectMachine(options: Keyval): MachineType {
  const type = options.get("type");
  options.delete("type");
  const found = type === undefined
    ? MACHINE_TYPES.find((m) => m.isDefault)
    : findMachine(String(type));
  if (!found) {
    throw new UserError(
      "unsupported machine type",
      1,
      "Use -machine help to list supported machines",
    );
  }
  return found;
}

type PropType = "bool" | "OnOffAuto" | "string" | "size" | "uint64_t" | "int" | "link" | "struct";

interface MachineProp {
  type: PropType;
  /** The word in help when it is not the type's name. */
  word?: string;
  description?: string;
  /** Not in help. */
  hidden?: boolean;
}

/** In the order of `-machine pc,help`. */
export const MACHINE_PROPS: Readonly<Record<string, MachineProp>> = {
  acpi: { type: "OnOffAuto", description: "Enable ACPI" },
  append: { type: "string", description: "Linux kernel command line" },
  boot: { type: "struct", word: "BootConfiguration", description: "Boot configuration" },
  "bus-lock-ratelimit": {
    type: "uint64_t",
    description: "Set the ratelimit for the bus locks acquired in VMs",
  },
  "confidential-guest-support": {
    type: "link",
    word: "link<confidential-guest-support>",
    description: "Set confidential guest scheme to support",
  },
  "default-bus-bypass-iommu": { type: "bool" },
  "dt-compatible": {
    type: "string",
    description: 'Overrides the "compatible" property of the dt root node',
  },
  dtb: { type: "string", description: "Linux kernel device tree file" },
  "dump-guest-core": { type: "bool", description: "Include guest memory in a core dump" },
  dumpdtb: { type: "string", description: "Dump current dtb to a file and quit" },
  firmware: { type: "string", description: "Firmware image" },
  graphics: { type: "bool", description: "Set on/off to enable/disable graphics emulation" },
  hmat: {
    type: "bool",
    description: "Set on/off to enable/disable ACPI Heterogeneous Memory Attribute Table (HMAT)",
  },
  hpet: {
    type: "bool",
    description: "Enable/disable high precision event timer emulation",
  },
  i8042: { type: "bool" },
  initrd: { type: "string", description: "Linux initial ramdisk file" },
  kernel: { type: "string", description: "Linux kernel image file" },
  "max-fw-size": { type: "size", description: "Maximum combined firmware size" },
  "max-ram-below-4g": {
    type: "size",
    description: "Maximum ram below the 4G boundary (32bit boundary)",
  },
  "mem-merge": { type: "bool", description: "Enable/disable memory merge support" },
  "memory-backend": {
    type: "link",
    word: "link<memory-backend>",
    description: "Set RAM backendValid value is ID of hostmem based backend",
  },
  "memory-encryption": { type: "string", description: "Set memory encryption object to use" },
  memory: {
    type: "struct",
    word: "MemorySizeConfiguration",
    description: "Memory size configuration",
  },
  nvdimm: { type: "bool", description: "Set on/off to enable/disable NVDIMM instantiation" },
  "phandle-start": {
    type: "int",
    description: "The first phandle ID we may generate dynamically",
  },
  pflash0: { type: "string", hidden: true },
  pflash1: { type: "string", hidden: true },
  pic: { type: "OnOffAuto", description: "Enable i8259 PIC" },
  pit: { type: "OnOffAuto", description: "Enable i8254 PIT" },
  sata: { type: "bool", description: "Enable/disable Serial ATA bus" },
  "sgx-epc": { type: "struct", word: "SgxEPC", description: "SGX EPC device" },
  "smbios-entry-point-type": {
    type: "string",
    word: "str",
    description: "SMBIOS Entry Point type [32, 64]",
  },
  smbus: { type: "bool", description: "Enable/disable system management bus" },
  smm: { type: "OnOffAuto", description: "Enable SMM" },
  smp: { type: "struct", word: "SMPConfiguration", description: "CPU topology" },
  "suppress-vmdesc": {
    type: "bool",
    description: "Set on to disable self-describing migration",
  },
  usb: { type: "bool", description: "Set on/off to enable/disable usb" },
  vmport: { type: "OnOffAuto", description: "Enable vmport (pc & q35)" },
  "x-oem-id": {
    type: "string",
    description: "Override the default value of field OEMID in ACPI table header." +
      "The string may be up to 6 bytes in size",
  },
  "x-oem-table-id": {
    type: "string",
    description: "Override the default value of field OEM Table ID in ACPI table header." +
      "The string may be up to 8 bytes in size",
  },
};

/** Those of microvm alone. */
const MICROVM_PROPS: Readonly<Record<string, MachineProp>> = {
  "auto-kernel-cmdline": {
    type: "bool",
    description: "Set off to disable adding virtio-mmio devices to the kernel cmdline",
  },
  ioapic2: { type: "OnOffAuto", description: "Enable second IO-APIC" },
  "isa-serial": {
    type: "bool",
    description: "Set off to disable the instantiation an ISA serial port",
  },
  pcie: { type: "OnOffAuto", description: "Enable PCIe" },
  rtc: { type: "OnOffAuto", description: "Enable MC146818 RTC" },
  "x-option-roms": {
    type: "bool",
    description: "Set off to disable loading option ROMs",
  },
};
/** Those of a PC that microvm has not. */
const NOT_ON_MICROVM = [
  ...["default-bus-bypass-iommu", "hmat", "hpet", "i8042", "max-fw-size", "max-ram-below-4g"],
  ...["nvdimm", "pflash0", "pflash1", "sata", "smbios-entry-point-type", "smbus", "vmport"],
];

function propOf(m: MachineType, name: string): MachineProp | undefined {
  if (m.family === "microvm") {
    if (NOT_ON_MICROVM.includes(name)) return undefined;
    if (Object.hasOwn(MICROVM_PROPS, name)) return MICROVM_PROPS[name];
  }
  return Object.hasOwn(MACHINE_PROPS, name) ? MACHINE_PROPS[name] : undefined;
}

/** Properties of the pc board that QEMU has but no list shows, or that mean nothing here. */
const NOT_ON_PC = ["hmat", "nvdimm"];

/** What `-machine TYPE,help` prints. */
export function machinePropsHelp(m: MachineType): string {
  const microvm = m.family === "microvm";
  const lines: string[] = [];
  for (const [name, p] of Object.entries({ ...MACHINE_PROPS, ...microvm && MICROVM_PROPS })) {
    if (p.hidden || NOT_ON_PC.includes(name) || propOf(m, name) === undefined) continue;
    const head = `  ${name}=<${p.word ?? p.type}>`;
    lines.push((p.description ? `${head.padEnd(24)} - ${p.description}` : head) + "\n");
  }
  return `${m.name}-machine options:\n${(microvm ? lines.sort() : lines).join("")}`;
}

/** Values a property of this machine may not have: their features are not there. */
const ONLY_OFF = ["nvdimm", "hmat"];

/**
 * Turns what is left of `-machine` into typed options. `boot`, `smp` and `memory` have been taken
 * out before. Throws QEMU's messages for unknown properties and bad values.
 */
export function applyMachineProps(
  m: MachineType,
  options: Keyval,
  host: OptionsHost,
): MachineOptions {
  const result: MachineOptions = {
    type: m.name,
    family: m.family,
    description: m.description,
    acpi: "auto",
    hpet: true,
    smm: "auto",
    vmport: "auto",
    pic: "auto",
    pit: "auto",
    i8042: true,
    usb: false,
    sata: true,
    smbus: true,
    graphics: true,
    fdBootchk: true,
    maxFwSize: 8 * MIB,
    pflash: [undefined, undefined],
    maxRamBelow4g: undefined,
    smbiosEntryPointType: undefined,
    oemId: undefined,
    oemTableId: undefined,
    rtc: "auto",
    pcie: "auto",
    ioapic2: "auto",
    isaSerial: true,
    optionRoms: true,
    autoKernelCmdline: true,
  };
  for (const [name, value] of options) {
    const prop = propOf(m, name);
    if (!prop) fail("", `Property '${m.name}-machine.${name}' not found`);
    if (typeof value !== "string") fail("", `Parameters '${name}.*' are unexpected`);
    if (prop.type === "struct") {
      fail("", `Invalid parameter type for '${name}', expected: object`);
    }
    setProp(result, name, prop.type, value, host);
  }
  return result;
}

function setProp(
  o: MachineOptions,
  name: string,
  type: PropType,
  value: string,
  host: OptionsHost,
): void {
  const flag = type === "bool" ? checkBool(name, value) : false;
  const three = type === "OnOffAuto" ? checkOnOffAuto(name, value) : "auto";
  const size = type === "size" ? checkSize(name, value) : 0;
  if (type === "uint64_t" || type === "int") {
    if (typeof parseInt64(value) === "string") fail("", `Parameter '${name}' expects integer`);
  }
  if (flag && ONLY_OFF.includes(name)) {
    fail("", `Property '${o.type}-machine.${name}' cannot be switched on in this build`);
  }
  switch (name) {
    case "acpi":
    case "smm":
    case "vmport":
    case "pic":
    case "pit":
    case "rtc":
    case "ioapic2":
      o[name] = three;
      break;
    case "pcie":
      if (three === "on") {
        fail("", `Property '${o.type}-machine.${name}' cannot be switched on in this build`);
      }
      o[name] = three;
      break;
    case "isa-serial":
      o.isaSerial = flag;
      break;
    case "x-option-roms":
      o.optionRoms = flag;
      break;
    case "auto-kernel-cmdline":
      o.autoKernelCmdline = flag;
      break;
    case "hpet":
    case "i8042":
    case "usb":
    case "sata":
    case "smbus":
    case "graphics":
      o[name] = flag;
      break;
    case "max-fw-size":
      if (size > 16 * MIB) {
        fail(
          "",
          `User specified max allowed firmware size ${size} is greater than 16MiB. If combined ` +
            "firwmare size exceeds 16MiB the system may not boot, or experience intermittent" +
            "stability issues.",
        );
      }
      o.maxFwSize = size;
      break;
    case "pflash0":
    case "pflash1":
      o.pflash[name === "pflash0" ? 0 : 1] = value;
      break;
    case "max-ram-below-4g":
      if (size > 2 ** 32) {
        fail("", `Machine option 'max-ram-below-4g=${size}' expects size less than or equal to 4G`);
      }
      if (size < MIB) {
        const small = `Only ${size} bytes of RAM below the 4GiB boundary,` +
          "BIOS may not work with less than 1MiB";
        host.stderr(`${host.programName}: ${located("", "warning: " + small)}\n`);
      }
      o.maxRamBelow4g = size;
      break;
    case "smbios-entry-point-type":
      if (value !== "32" && value !== "64") notAccepted(name, value);
      o.smbiosEntryPointType = value;
      break;
    case "x-oem-id":
      if (value.length > 6) {
        fail("", "User specified x-oem-id value is bigger than 6 bytes in size");
      }
      o.oemId = value;
      break;
    case "x-oem-table-id":
      if (value.length > 8) {
        fail("", "User specified x-oem-table-id value is bigger than 8 bytes in size");
      }
      o.oemTableId = value;
      break;
  }
}

function notAccepted(name: string, value: string): never {
  fail("", `Parameter '${name}' does not accept value '${value}'`);
}

function checkBool(name: string, value: string): boolean {
  return parseBool(value) ?? fail("", `Parameter '${name}' expects 'on' or 'off'`);
}

function checkOnOffAuto(name: string, value: string): OnOffAuto {
  if (value === "on" || value === "off" || value === "auto") return value;
  notAccepted(name, value);
}

function checkSize(name: string, value: string): number {
  const s = parseSize(value);
  if (s === "syntax" || s === "range") fail("", `Parameter '${name}' expects size`);
  return Number(s.bytes);
}
