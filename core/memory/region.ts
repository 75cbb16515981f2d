/** What can be placed in a physical or port address space. */
import type { RamBlock } from "./guest_memory.ts";

/** Width of one device access in bytes. 8-byte guest accesses arrive as two of 4, low half first. */
export type AccessSize = 1 | 2 | 4;

/**
 * A device's registers. `offset` counts from the region's start. Values are unsigned and masked to
 * `size` both ways. Neither call throws, whatever the guest asks.
 */
export interface IoOps {
  read(offset: number, size: AccessSize): number;
  write(offset: number, size: AccessSize, value: number): void;
  /**
   * Access sizes the device implements, default 1 to 4. The dispatcher splits wider accesses and
   * widens narrower ones (read: the aligned wider register shifted; write: value zero-extended).
   */
  readonly minAccess?: AccessSize;
  readonly maxAccess?: AccessSize;
}

/** A region of device registers. */
export interface IoRegion {
  readonly kind: "io";
  readonly name: string;
  /** Bytes (or ports) covered. */
  readonly size: number;
  readonly ops: IoOps;
  /**
   * Writes may reach the device late, in order: at the writer's next other access outside RAM or
   * when {@link Vm.dirtyPages} is called. KVM then needs no exit for each (VGA window).
   */
  readonly coalesced?: boolean;
  /** What it is made of, for `info mtree`; nothing else depends on it. */
  readonly parts?: readonly {
    readonly name: string;
    readonly offset: number;
    readonly size: number;
  }[];
}

/** A region backed by storage: (part of) a {@link RamBlock}. */
export interface RamRegion {
  readonly kind: "ram";
  readonly name: string;
  readonly size: number;
  readonly block: RamBlock;
  /** Where in the block the region starts. A multiple of 4096. */
  readonly blockOffset: number;
  /** Guest writes are dropped (ROM), or go to `writeOps` when there are any (flash). */
  readonly readonly: boolean;
  readonly writeOps?: IoOps;
  /** Guest writes mark pages in the dirty log (video RAM). */
  readonly dirtyLog?: boolean;
}

export type Region = IoRegion | RamRegion;

export function ioRegion(name: string, size: number, ops: IoOps): IoRegion {
  return { kind: "io", name, size, ops };
}

export function ramRegion(
  name: string,
  block: RamBlock,
  opts: Partial<Pick<RamRegion, "size" | "blockOffset" | "readonly" | "writeOps" | "dirtyLog">> =
    {},
): RamRegion {
  const blockOffset = opts.blockOffset ?? 0;
  return {
    kind: "ram",
    name,
    block,
    blockOffset,
    size: opts.size ?? block.size - blockOffset,
    readonly: opts.readonly ?? false,
    writeOps: opts.writeOps,
    dirtyLog: opts.dirtyLog,
  };
}
