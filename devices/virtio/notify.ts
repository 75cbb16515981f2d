/**
 * Where a driver's "buffers are available" writes go, described so that an accelerator can take them
 * over (KVM's ioeventfd): a write there means {@link NotifyRange.notify} and nothing else.
 */
export interface NotifyRange {
  readonly space: "mem" | "io";
  readonly address: number;
  /** Bytes of the write: 2 or 4. */
  readonly size: 2 | 4;
  /** Only a write of this value counts; absent: any. */
  readonly datamatch?: number;
  notify(): void;
}

/** Of a transport: the ranges that hold now, and what is called when they have changed. */
export interface NotifySource {
  notifyRanges(): NotifyRange[];
  onNotifyRanges: () => void;
}
