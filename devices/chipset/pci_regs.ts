/** Offsets and bits of PCI configuration space: PCI Local Bus Specification 3.0, chapter 6. */

export const PCI_VENDOR_ID = 0x00;
export const PCI_DEVICE_ID = 0x02;
export const PCI_COMMAND = 0x04;
export const PCI_COMMAND_IO = 0x001;
export const PCI_COMMAND_MEMORY = 0x002;
export const PCI_COMMAND_MASTER = 0x004;
export const PCI_COMMAND_SERR = 0x100;
export const PCI_COMMAND_INTX_DISABLE = 0x400;
export const PCI_STATUS = 0x06;
export const PCI_STATUS_INTERRUPT = 0x08;
export const PCI_STATUS_CAP_LIST = 0x10;
export const PCI_STATUS_66MHZ = 0x20;
export const PCI_STATUS_FAST_BACK = 0x80;
export const PCI_STATUS_DEVSEL_MEDIUM = 0x200;
/** Parity, target abort, master abort and SERR bits: cleared by writing ones. */
export const PCI_STATUS_W1C = 0xf900;
export const PCI_REVISION_ID = 0x08;
/** Programming interface; sub-class and base class follow. */
export const PCI_CLASS_PROG = 0x09;
export const PCI_CLASS_DEVICE = 0x0a;
export const PCI_CACHE_LINE_SIZE = 0x0c;
export const PCI_LATENCY_TIMER = 0x0d;
export const PCI_HEADER_TYPE = 0x0e;
export const PCI_HEADER_MULTI_FUNCTION = 0x80;
export const PCI_BASE_ADDRESS_0 = 0x10;
export const PCI_SUBSYSTEM_VENDOR_ID = 0x2c;
export const PCI_SUBSYSTEM_ID = 0x2e;
export const PCI_ROM_ADDRESS = 0x30;
export const PCI_ROM_ADDRESS_ENABLE = 1;
export const PCI_CAPABILITY_LIST = 0x34;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;
export const PCI_HEADER_SIZE = 0x40;

/** Header type 1 (PCI-to-PCI bridge): PCI-to-PCI Bridge Architecture Specification 1.2. */
export const PCI_PRIMARY_BUS = 0x18;
export const PCI_SECONDARY_BUS = 0x19;
export const PCI_SUBORDINATE_BUS = 0x1a;
export const PCI_IO_BASE = 0x1c;
export const PCI_IO_LIMIT = 0x1d;
export const PCI_SEC_STATUS = 0x1e;
export const PCI_MEMORY_BASE = 0x20;
export const PCI_MEMORY_LIMIT = 0x22;
export const PCI_PREF_MEMORY_BASE = 0x24;
export const PCI_PREF_MEMORY_LIMIT = 0x26;
export const PCI_PREF_BASE_UPPER32 = 0x28;
export const PCI_PREF_LIMIT_UPPER32 = 0x2c;
export const PCI_IO_BASE_UPPER16 = 0x30;
export const PCI_IO_LIMIT_UPPER16 = 0x32;
export const PCI_BRIDGE_ROM_ADDRESS = 0x38;
export const PCI_BRIDGE_CONTROL = 0x3e;
export const PCI_BRIDGE_CTL_BUS_RESET = 0x40;

/** Names of base class and sub-class as QEMU 7.2's `info pci` prints them. */
const CLASS_NAMES: Readonly<Record<number, string>> = {
  0x0001: "VGA controller",
  0x0100: "SCSI controller",
  0x0101: "IDE controller",
  0x0102: "Floppy controller",
  0x0103: "IPI controller",
  0x0104: "RAID controller",
  0x0106: "SATA controller",
  0x0107: "SAS controller",
  0x0180: "Storage controller",
  0x0200: "Ethernet controller",
  0x0201: "Token Ring controller",
  0x0202: "FDDI controller",
  0x0203: "ATM controller",
  0x0280: "Network controller",
  0x0300: "VGA controller",
  0x0301: "XGA controller",
  0x0302: "3D controller",
  0x0380: "Display controller",
  0x0400: "Video controller",
  0x0401: "Audio controller",
  0x0402: "Phone",
  0x0403: "Audio controller",
  0x0480: "Multimedia controller",
  0x0500: "RAM controller",
  0x0501: "Flash controller",
  0x0580: "Memory controller",
  0x0600: "Host bridge",
  0x0601: "ISA bridge",
  0x0602: "EISA bridge",
  0x0603: "MC bridge",
  0x0604: "PCI bridge",
  0x0605: "PCMCIA bridge",
  0x0606: "NUBUS bridge",
  0x0607: "CARDBUS bridge",
  0x0608: "RACEWAY bridge",
  0x0680: "Bridge",
  0x0700: "Serial port",
  0x0701: "Parallel port",
  0x0800: "Interrupt controller",
  0x0801: "DMA controller",
  0x0802: "Timer",
  0x0803: "RTC",
  0x0900: "Keyboard",
  0x0901: "Pen",
  0x0902: "Mouse",
  0x0a00: "Dock station",
  0x0b00: "i386 cpu",
  0x0b01: "i486 cpu",
  0x0b02: "pentium cpu",
  0x0c00: "Firewire controller",
  0x0c01: "Access bus controller",
  0x0c02: "SSA controller",
  0x0c03: "USB controller",
  0x0c04: "Fibre channel controller",
  0x0c05: "SMBus",
};

/** `Class ABCD` when the 16-bit class has no name; QEMU's `info pci` writes that in decimal. */
export function pciClassName(cls: number, radix: 10 | 16 = 16): string {
  return CLASS_NAMES[cls] ?? `Class ${cls.toString(radix).padStart(4, "0")}`;
}
