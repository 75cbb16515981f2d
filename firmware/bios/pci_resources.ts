/**
 * Address assignment for PCI: every BAR is sized, grouped by bus and kind, and placed in order of
 * falling alignment. Ports start at C000h (A000h if there are many); memory ends below the I/O APIC.
 */
import type { FrameContext } from "./frame.ts";
import {
  Pci,
  type PciBusInfo,
  PciCommand,
  type PciFunction,
  readConfig,
  writeConfig,
} from "./pci.ts";

type Kind = "io" | "mem" | "pref";

interface Resource {
  size: number;
  align: number;
  /** Could be placed above 4 GiB. */
  wide: boolean;
  place(c: FrameContext, base: number): void;
}

/** The windows that the root bus gives away. */
export interface PciWindows {
  /** First byte of the 32-bit memory window; it ends at `memEnd`. */
  readonly memStart: number;
  readonly memEnd: number;
  /** First byte of the window above 4 GiB. */
  readonly highStart: number;
}

const roundUp = (v: number, to: number) => Math.ceil(v / to) * to;
const roundDown = (v: number, to: number) => Math.floor(v / to) * to;

/** What one bus needs of one kind. */
class Pool {
  readonly items: Resource[] = [];
  get sum(): number {
    return this.items.reduce((n, r) => n + r.size, 0);
  }
  get align(): number {
    return this.items.reduce((n, r) => Math.max(n, r.align), 1);
  }
  /** Places everything upward from `base` and returns the end. */
  place(c: FrameContext, base: number): number {
    this.items.sort((x, y) => y.align - x.align || y.size - x.size);
    for (const r of this.items) {
      base = roundUp(base, r.align);
      r.place(c, base);
      base += r.size;
    }
    return base;
  }
}

type Pools = Record<Kind, Pool>;

function barResources(c: FrameContext, f: PciFunction, pools: Pools): void {
  const bars = f.headerType === 1 ? 2 : 6;
  for (let n = 0; n < bars; n++) {
    const reg = Pci.BAR0 + 4 * n;
    const old = readConfig(c, f.bdf, reg, 4);
    writeConfig(c, f.bdf, reg, 4, 0xffffffff);
    const mask = readConfig(c, f.bdf, reg, 4);
    writeConfig(c, f.bdf, reg, 4, old);
    if (mask === 0) continue;
    if (mask & 1) {
      const size = (~(mask & 0xfffc) & 0xffff) + 1;
      pools.io.items.push({
        size,
        align: size,
        wide: false,
        place: (c, base) => writeConfig(c, f.bdf, reg, 4, base),
      });
      continue;
    }
    const wide = (mask & 6) === 4;
    let size = ((~(mask & 0xfffffff0)) >>> 0) + 1;
    if (wide) {
      const oldHigh = readConfig(c, f.bdf, reg + 4, 4);
      writeConfig(c, f.bdf, reg + 4, 4, 0xffffffff);
      const high = readConfig(c, f.bdf, reg + 4, 4);
      writeConfig(c, f.bdf, reg + 4, 4, oldHigh);
      if (high !== 0xffffffff) {
        size = (mask & 0xfffffff0) === 0 ? 2 ** 32 * ((~high >>> 0) + 1) : size;
      }
      n++;
    }
    const resource: Resource = {
      size,
      align: Math.max(size, 4096),
      wide,
      place(c, base) {
        writeConfig(c, f.bdf, reg, 4, base % 2 ** 32);
        if (wide) writeConfig(c, f.bdf, reg + 4, 4, Math.floor(base / 2 ** 32));
      },
    };
    pools[mask & 8 ? "pref" : "mem"].items.push(resource);
  }
  const rom = f.headerType === 1 ? Pci.BRIDGE_ROM_ADDRESS : Pci.ROM_ADDRESS;
  writeConfig(c, f.bdf, rom, 4, 0xfffff800);
  const mask = readConfig(c, f.bdf, rom, 4) & 0xfffff800;
  writeConfig(c, f.bdf, rom, 4, 0);
  if (mask === 0) return;
  const size = (~mask >>> 0) + 1;
  pools.mem.items.push({
    size,
    align: Math.max(size, 4096),
    wide: false,
    place: (c, base) => writeConfig(c, f.bdf, rom, 4, base), // enabled only while it is copied
  });
}

function bridgeResources(c: FrameContext, f: PciFunction, child: Pools, pools: Pools): void {
  const granularity: Record<Kind, number> = { io: 0x1000, mem: 0x100000, pref: 0x100000 };
  for (const kind of ["io", "mem", "pref"] as const) {
    const pool = child[kind], unit = granularity[kind];
    const size = roundUp(pool.sum, unit);
    const program = (c: FrameContext, base: number, end: number) => {
      if (kind === "io") {
        writeConfig(c, f.bdf, Pci.IO_BASE, 1, (base >> 8) & 0xf0);
        writeConfig(c, f.bdf, Pci.IO_LIMIT, 1, ((end - 1) >> 8) & 0xf0);
        writeConfig(c, f.bdf, Pci.IO_BASE_UPPER, 4, 0);
        return;
      }
      const at = kind === "mem" ? Pci.MEMORY_BASE : Pci.PREF_BASE;
      const high = (v: number) => Math.floor(v / 2 ** 32);
      writeConfig(c, f.bdf, at, 2, ((base % 2 ** 32) / 0x10000) & 0xfff0);
      writeConfig(c, f.bdf, at + 2, 2, (((end - 1) % 2 ** 32) / 0x10000) & 0xfff0);
      if (kind === "pref") {
        writeConfig(c, f.bdf, Pci.PREF_BASE_UPPER, 4, high(base));
        writeConfig(c, f.bdf, Pci.PREF_LIMIT_UPPER, 4, high(end - 1));
      }
    };
    if (size === 0) {
      // A base above the limit closes the window.
      if (kind === "io") {
        writeConfig(c, f.bdf, Pci.IO_BASE, 1, 0xf0);
        writeConfig(c, f.bdf, Pci.IO_LIMIT, 1, 0);
      } else {
        const at = kind === "mem" ? Pci.MEMORY_BASE : Pci.PREF_BASE;
        writeConfig(c, f.bdf, at, 2, 0xfff0);
        writeConfig(c, f.bdf, at + 2, 2, 0);
      }
      continue;
    }
    pools[kind].items.push({
      size,
      align: Math.max(unit, pool.align),
      wide: kind === "pref" && pool.items.every((r) => r.wide),
      place(c, base) {
        program(c, base, base + size);
        pool.place(c, base);
      },
    });
  }
}

function collect(c: FrameContext, bus: PciBusInfo): Pools {
  const pools: Pools = { io: new Pool(), mem: new Pool(), pref: new Pool() };
  for (const f of bus.functions) {
    if (f.headerType > 1) continue;
    barResources(c, f, pools);
    if (f.secondary) bridgeResources(c, f, collect(c, f.secondary), pools);
  }
  return pools;
}

/** Assigns everything behind the root bus and turns decoding on. Returns the lowest memory used. */
export function assignResources(c: FrameContext, root: PciBusInfo, w: PciWindows): number {
  const pools = collect(c, root);
  pools.io.place(c, pools.io.sum <= 0x4000 ? 0xc000 : 0xa000);

  // The kind with the larger alignment goes below the other one: less is lost between them.
  let [upper, lower] = [pools.mem, pools.pref];
  if (upper.align > lower.align) [upper, lower] = [lower, upper];
  const bases = () => {
    const u = roundDown(w.memEnd - upper.sum, upper.align);
    return [u, roundDown(u - lower.sum, lower.align)];
  };
  const high = new Pool();
  let [u, l] = bases();
  while (l < w.memStart) {
    const wide = [...upper.items, ...lower.items].filter((r) => r.wide)
      .sort((x, y) => y.size - x.size)[0];
    if (wide === undefined) break;
    for (const p of [upper, lower]) {
      const n = p.items.indexOf(wide);
      if (n >= 0) p.items.splice(n, 1);
    }
    high.items.push(wide);
    [u, l] = bases();
  }
  upper.place(c, u);
  lower.place(c, l);
  high.place(c, roundUp(w.highStart, high.align));
  enableAll(c, root);
  return l;
}

function enableAll(c: FrameContext, bus: PciBusInfo): void {
  for (const f of bus.functions) {
    const command = readConfig(c, f.bdf, Pci.COMMAND, 2);
    const on = PciCommand.IO | PciCommand.MEMORY | PciCommand.SERR |
      (f.secondary ? PciCommand.MASTER : 0);
    writeConfig(c, f.bdf, Pci.COMMAND, 2, command | on);
    if (f.secondary) enableAll(c, f.secondary);
  }
}
