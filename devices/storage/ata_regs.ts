/** Registers and codes of ATA/ATAPI-7 (T13/1532D), with the standard's names. */

/** Status register bits (ATA/ATAPI-7 5.14). */
export const Status = {
  ERR: 0x01,
  DRQ: 0x08,
  /** "Device seek complete" of ATA-3; QEMU keeps setting it. */
  DSC: 0x10,
  DF: 0x20,
  DRDY: 0x40,
  BSY: 0x80,
} as const;

/** Error register bits (ATA/ATAPI-7 5.9). */
export const AtaError = {
  ABRT: 0x04,
  IDNF: 0x10,
  UNC: 0x40,
} as const;

/** Device Control register bits (ATA/ATAPI-7 5.8). */
export const Control = { nIEN: 0x02, SRST: 0x04, HOB: 0x80 } as const;

/** Device register bits (ATA/ATAPI-7 5.7). */
export const DeviceReg = { DEV: 0x10, OBSOLETE: 0xa0, LBA: 0x40 } as const;

/** Interrupt reason of the PACKET command, in the sector count register. */
export const Reason = { CoD: 0x01, IO: 0x02 } as const;

/** Offsets in the command block. */
export const Reg = {
  data: 0,
  features: 1,
  count: 2,
  lbaLow: 3,
  lbaMid: 4,
  lbaHigh: 5,
  device: 6,
  command: 7,
} as const;

/** Command codes. */
export const Cmd = {
  NOP: 0x00,
  DATA_SET_MANAGEMENT: 0x06,
  DEVICE_RESET: 0x08,
  RECALIBRATE: 0x10,
  READ_SECTORS: 0x20,
  READ_SECTORS_NORETRY: 0x21,
  READ_SECTORS_EXT: 0x24,
  READ_DMA_EXT: 0x25,
  READ_NATIVE_MAX_EXT: 0x27,
  READ_MULTIPLE_EXT: 0x29,
  WRITE_SECTORS: 0x30,
  WRITE_SECTORS_NORETRY: 0x31,
  WRITE_SECTORS_EXT: 0x34,
  WRITE_DMA_EXT: 0x35,
  WRITE_MULTIPLE_EXT: 0x39,
  WRITE_VERIFY: 0x3c,
  READ_VERIFY: 0x40,
  READ_VERIFY_NORETRY: 0x41,
  READ_VERIFY_EXT: 0x42,
  SEEK: 0x70,
  EXECUTE_DEVICE_DIAGNOSTIC: 0x90,
  INITIALIZE_DEVICE_PARAMETERS: 0x91,
  OLD_STANDBY_IMMEDIATE: 0x94,
  OLD_IDLE_IMMEDIATE: 0x95,
  OLD_STANDBY: 0x96,
  OLD_IDLE: 0x97,
  OLD_CHECK_POWER_MODE: 0x98,
  OLD_SLEEP: 0x99,
  PACKET: 0xa0,
  IDENTIFY_PACKET_DEVICE: 0xa1,
  SMART: 0xb0,
  READ_MULTIPLE: 0xc4,
  WRITE_MULTIPLE: 0xc5,
  SET_MULTIPLE_MODE: 0xc6,
  READ_DMA: 0xc8,
  READ_DMA_NORETRY: 0xc9,
  WRITE_DMA: 0xca,
  WRITE_DMA_NORETRY: 0xcb,
  STANDBY_IMMEDIATE: 0xe0,
  IDLE_IMMEDIATE: 0xe1,
  STANDBY: 0xe2,
  IDLE: 0xe3,
  CHECK_POWER_MODE: 0xe5,
  SLEEP: 0xe6,
  FLUSH_CACHE: 0xe7,
  FLUSH_CACHE_EXT: 0xea,
  IDENTIFY_DEVICE: 0xec,
  SET_FEATURES: 0xef,
  SECURITY_FREEZE_LOCK: 0xf5,
  READ_NATIVE_MAX: 0xf8,
} as const;
