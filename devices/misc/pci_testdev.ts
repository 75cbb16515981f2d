/**
 * QEMU's `pci-testdev` (docs/specs/pci-testdev): a function that counts writes, for measuring how
 * long an exit takes. BAR 0 (memory) and BAR 1 (ports) each hold a header that a write to byte 0
 * selects; a write of its data to its offset then counts.
 *
 * The tests whose name ends in `-eventfd` take the matching write away before the device sees it, so
 * that their count stays 0, as it does on QEMU without KVM.
 */
import { type AccessSize, ioRegion } from "../../core/memory/region.ts";
import { PciDevice } from "../chipset/pci.ts";

const MEMORY_SIZE = 4096, PORTS_SIZE = 256;
const TESTS = ["no-eventfd", "wildcard-eventfd", "datamatch-eventfd"];
const TYPES = ["mmio", "portio"];
/** Data whose write counts; the wildcard test announces another, since any will do. */
const DATA_MATCH = 0xfa, DATA_ANY = 0xce;
/** Offsets in the header: test, width, offset (32 bits), data, count (32 bits), name. */
const HDR_TEST = 0, HDR_WIDTH = 1, HDR_OFFSET = 4, HDR_DATA = 8, HDR_COUNT = 12, HDR_NAME = 16;

export interface PciTestDevState {
  /** Test in progress: type × 3 + test, or -1. */
  current: number;
  /** Writes counted by each. */
  counts: number[];
}

interface Test {
  readonly header: Uint8Array;
  readonly offset: number;
  /** The data that counts, or undefined for any. */
  readonly data: number | undefined;
  readonly notifies: boolean;
}

function makeTest(n: number): Test {
  const type = Math.floor(n / TESTS.length), name = TESTS[n % TESTS.length];
  const any = name === "wildcard-eventfd";
  const text = new TextEncoder().encode(`${TYPES[type]}-${name}\0`);
  const header = new Uint8Array(HDR_NAME + text.length), v = new DataView(header.buffer);
  const offset = (type === 0 ? MEMORY_SIZE : PORTS_SIZE) / 2 + n;
  v.setUint8(HDR_TEST, n);
  v.setUint8(HDR_WIDTH, 1);
  v.setUint32(HDR_OFFSET, offset, true);
  v.setUint8(HDR_DATA, any ? DATA_ANY : DATA_MATCH);
  header.set(text, HDR_NAME);
  return { header, offset, data: any ? undefined : DATA_MATCH, notifies: name !== "no-eventfd" };
}

export class PciTestDev extends PciDevice<PciTestDevState> {
  override readonly type = "pci-testdev";
  readonly #tests = Array.from({ length: TYPES.length * TESTS.length }, (_, n) => makeTest(n));

  /** @param membar bytes of BAR 2, memory with nothing behind it: a power of two, or 0 for none */
  constructor(membar = 0) {
    super(
      { vendor: 0x1b36, device: 0x0005, classCode: 0x00ff00 },
      () => ({ current: -1, counts: new Array(TYPES.length * TESTS.length).fill(0) }),
    );
    TYPES.forEach((type, n) => {
      const region = ioRegion(`pci-testdev-${type}`, n === 0 ? MEMORY_SIZE : PORTS_SIZE, {
        read: (offset, size) => this.#read(offset, size),
        write: (offset, size, value) => this.#write(n, offset, size, value),
      });
      this.addBar(n, n === 0 ? "mem" : "io", region);
    });
    if (membar !== 0) {
      const none = ioRegion("pci-testdev-membar", membar, {
        read: (_offset, size) => 0xffffffff >>> (32 - 8 * size),
        write: () => {},
      });
      this.addBar(2, "mem", none, { prefetchable: true, is64: true });
    }
  }

  #read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#byte(offset + i) << (8 * i);
    return value >>> 0;
  }

  #byte(offset: number): number {
    const { current, counts } = this.state, header = this.#tests[current]?.header;
    // The last byte, the name's NUL, is not shown.
    if (header === undefined || offset + 1 >= header.length) return 0;
    if (offset >= HDR_COUNT && offset < HDR_COUNT + 4) {
      return (counts[current] >>> (8 * (offset - HDR_COUNT))) & 0xff;
    }
    return header[offset];
  }

  #write(type: number, offset: number, size: AccessSize, value: number): void {
    const part = (offset & -offset) || size;
    if (part < size) {
      // Unaligned, it comes as aligned parts.
      this.#write(type, offset, part as AccessSize, value & (2 ** (8 * part) - 1));
      for (let i = part; i < size; i++) {
        this.#write(type, offset + i, 1, (value >>> (8 * i)) & 0xff);
      }
      return;
    }
    const test = this.#tests[this.state.current];
    const taken = test !== undefined && test.notifies && size === 1 && offset === test.offset &&
      (test.data === undefined || test.data === value);
    if (taken) return;
    for (let i = 0; i < size; i++) this.#writeByte(type, offset + i, (value >>> (8 * i)) & 0xff);
  }

  #writeByte(type: number, offset: number, value: number): void {
    const s = this.state;
    if (offset === HDR_TEST) {
      s.current = value < TESTS.length ? type * TESTS.length + value : -1;
      if (s.current >= 0) s.counts[s.current] = 0;
      return;
    }
    const test = this.#tests[s.current];
    if (test === undefined || offset !== test.offset) return;
    if (test.data === undefined || test.data === value) {
      s.counts[s.current] = (s.counts[s.current] + 1) >>> 0;
    }
  }
}
