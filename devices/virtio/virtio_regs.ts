/** Numbers of the VIRTIO specification 1.2 that more than one file here needs. */

/** Device types (chapter 5). */
export const DeviceId = {
  net: 1,
  block: 2,
  console: 3,
  rng: 4,
  balloon: 5,
  input: 18,
} as const;

/** Device status bits (2.1). */
export const Status = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** Numbers of the feature bits that belong to every device (chapter 6 and 6.3). */
export const Feature = {
  NOTIFY_ON_EMPTY: 24,
  ANY_LAYOUT: 27,
  INDIRECT_DESC: 28,
  EVENT_IDX: 29,
  /** Never to be accepted: it shows a driver that writes back whatever it has read. */
  BAD_FEATURE: 30,
  VERSION_1: 32,
  RING_RESET: 40,
} as const;

/** Bits that only drivers of the legacy interface are offered. */
export const LEGACY_FEATURES = bit(Feature.NOTIFY_ON_EMPTY) | bit(Feature.ANY_LAYOUT) |
  bit(Feature.BAD_FEATURE);

/** Interrupt status bits (4.1.4.5, 4.2.2). */
export const Isr = { QUEUE: 1, CONFIG: 2 } as const;

/** A queue or the configuration without an MSI-X vector (4.1.5.1.2). */
export const NO_VECTOR = 0xffff;

/** A feature number as a mask. */
export function bit(n: number): bigint {
  return 1n << BigInt(n);
}
