/**
 * `-numa node`, `-numa dist` and the `-object memory-backend-ram` that gives a node its memory, by
 * QEMU's rules and with its words (7.2, hw/core/numa.c's behaviour side by side).
 */
import type { MemoryOptions, SmpOptions } from "./config.ts";
import { fail, type OptionsHost, warn } from "./host.ts";
import { parseBool, parseSize, parseUint64 } from "./numbers.ts";
import type { Opts } from "./qemu_opts.ts";

const MAX_NODES = 128, LOCAL = 10, MIN_DISTANCE = 10;

export interface NumaNode {
  /** Bytes. */
  readonly size: number;
  /** Indices of its CPUs, rising. */
  readonly cpus: readonly number[];
  /** The memory back end that was named for it. */
  readonly memdev?: string;
}

export interface NumaOptions {
  readonly nodes: readonly NumaNode[];
  /** From node to node, when any distance was given. */
  readonly distances: readonly (readonly number[])[] | undefined;
}

/** Properties of memory backends that change nothing here. */
const BACKEND_SWITCHES = ["share", "prealloc", "merge", "dump", "reserve"];

/** Types that QEMU has and this program lacks. */
const ELSEWHERE = new RegExp(
  "^(authz-|can-|colo-compare$|cryptodev-|dbus-|filter-|input-|iothread$|main-loop$|" +
    "memory-backend-|pr-manager|rng-|secret|sev-guest$|throttle-group$|tls-|x-)",
);

/** Sizes of the memory backends by id. Throws UserError. */
function memoryBackends(objects: readonly Opts[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const o of objects) {
    const type = o.get("qom-type");
    if (type === undefined) fail(o.loc, "Parameter 'qom-type' is missing");
    if (type !== "memory-backend-ram") {
      if (ELSEWHERE.test(type)) fail(o.loc, "Option not supported in this build");
      fail(o.loc, `Parameter 'qom-type' does not accept value '${type}'`);
    }
    if (o.id === undefined) fail(o.loc, "Parameter 'id' is missing");
    let size: number | undefined;
    for (const [key, value] of o.entries) {
      if (key === "qom-type") continue;
      if (key === "size") {
        const parsed = parseSize(value);
        if (typeof parsed === "string") fail(o.loc, "Parameter 'size' expects a size");
        size = Number(parsed.bytes);
      } else if (BACKEND_SWITCHES.includes(key)) {
        if (parseBool(value) === undefined) fail(o.loc, `Parameter '${key}' expects 'on' or 'off'`);
      } else fail(o.loc, `Invalid parameter '${key}'`);
    }
    if (size === undefined) fail(o.loc, "Parameter 'size' is missing");
    if (size === 0) fail(o.loc, "can't create backend with size 0");
    if (sizes.has(o.id)) fail(o.loc, `Duplicate ID '${o.id}' for object`);
    sizes.set(o.id, size);
  }
  return sizes;
}

/** A number in range, or QEMU's words. */
function integer(o: Opts, key: string, limit = 0xffff): number | undefined {
  const text = o.get(key);
  if (text === undefined) return undefined;
  const v = parseUint64(text);
  if (typeof v === "string") fail(o.loc, `Parameter '${key}' expects an integer`);
  if (v > BigInt(limit)) {
    fail(o.loc, `Parameter '${key}' expects an integer between 0 and ${limit}`);
  }
  return Number(v);
}

function cpuRanges(o: Opts): number[] {
  const out: number[] = [];
  for (const [key, value] of o.entries) {
    if (key !== "cpus") continue;
    const m = /^(\d+)(?:-(\d+))?$/.exec(value), first = Number(m?.[1]);
    const last = m?.[2] === undefined ? first : Number(m[2]);
    if (!m || last < first || last - first >= 65536) {
      fail(o.loc, "Parameter 'cpus' expects a uint64 value or range");
    }
    for (let n = first; n <= last; n++) out.push(n);
  }
  return out;
}

const KEYS: Record<string, readonly string[]> = {
  node: ["nodeid", "cpus", "mem", "memdev", "initiator"],
  dist: ["src", "dst", "val"],
};

class Numa {
  readonly sizes: number[] = [];
  /** Memory back end of each node that names one. */
  readonly memdevs: (string | undefined)[] = [];
  /** Node of each CPU. */
  readonly nodeOf: (number | undefined)[];
  readonly distances: number[][] = Array.from({ length: MAX_NODES }, () => []);
  readonly #used = new Set<string>();
  hasDistances = false;

  constructor(readonly backends: ReadonlyMap<string, number>, readonly maxcpus: number) {
    this.nodeOf = new Array(maxcpus).fill(undefined);
  }

  get count(): number {
    return this.sizes.filter((s) => s !== undefined).length;
  }

  node(o: Opts): void {
    const id = integer(o, "nodeid") ?? this.count;
    if (id >= MAX_NODES) fail(o.loc, `Max number of NUMA nodes reached: ${id}`);
    if (this.sizes[id] !== undefined) fail(o.loc, `Duplicate NUMA nodeid: ${id}`);
    for (const cpu of cpuRanges(o)) {
      if (cpu >= this.maxcpus) {
        fail(o.loc, `CPU index (${cpu}) should be smaller than maxcpus (${this.maxcpus})`);
      }
      const has = this.nodeOf[cpu];
      if (has !== undefined && has !== id) {
        fail(o.loc, `CPU is already assigned to node-id: ${has}`);
      }
      this.nodeOf[cpu] = id;
    }
    if (o.has("mem")) {
      const message = "Parameter -numa node,mem is not supported by this machine type";
      fail(o.loc, message, "Use -numa node,memdev instead");
    }
    const memdev = o.get("memdev");
    let size = 0;
    if (memdev !== undefined) {
      const backend = this.backends.get(memdev);
      if (backend === undefined) fail(o.loc, `memdev=${memdev} is ambiguous`);
      if (this.#used.has(memdev)) {
        fail("", `memory backend ${memdev} can't be used multiple times.`);
      }
      this.#used.add(memdev);
      size = backend;
    }
    this.sizes[id] = size;
    this.memdevs[id] = memdev;
  }

  distance(o: Opts): void {
    const [src, dst] = ["src", "dst"].map((key) => {
      const v = integer(o, key, MAX_NODES - 1);
      if (v === undefined) fail(o.loc, `Parameter '${key}' is missing`);
      return v;
    });
    const val = integer(o, "val", 0xff);
    if (val === undefined) fail(o.loc, "Parameter 'val' is missing");
    if (this.sizes[src] === undefined || this.sizes[dst] === undefined) {
      fail(
        o.loc,
        "Source/Destination NUMA node is missing. Please use '-numa node' option to declare it " +
          "first.",
      );
    }
    if (val < MIN_DISTANCE) {
      fail(
        o.loc,
        `NUMA distance (${val}) is invalid, it shouldn't be less than ${MIN_DISTANCE}.`,
      );
    }
    if (src === dst && val !== LOCAL) {
      fail(o.loc, `Local distance of node ${src} should be ${LOCAL}.`);
    }
    this.distances[src][dst] = val;
    this.hasDistances = true;
  }

  /** Fills in the other direction of each pair, when all pairs were given one way alone. */
  completeDistances(): number[][] {
    const n = this.count, d = this.distances;
    let asymmetric = false, oneWay = false;
    for (let a = 0; a < n; a++) {
      for (let b = a + 1; b < n; b++) {
        const [there, back] = [d[a][b], d[b][a]];
        if (there === undefined && back === undefined) {
          fail(
            "",
            `The distance between node ${a} and ${b} is missing, at least one distance value ` +
              "between each nodes should be provided.",
          );
        }
        if (there !== undefined && back !== undefined && there !== back) asymmetric = true;
        if (there === undefined || back === undefined) oneWay = true;
      }
    }
    if (asymmetric && oneWay) {
      fail(
        "",
        "At least one asymmetrical pair of distances is given, please provide distances for both " +
          "directions of all node pairs.",
      );
    }
    return Array.from(
      { length: n },
      (_, a) => Array.from({ length: n }, (_, b) => a === b ? LOCAL : d[a][b] ?? d[b][a]),
    );
  }
}

/** The NUMA topology of a command line; undefined when it has none. Throws UserError. */
export function resolveNuma(
  options: readonly Opts[],
  objects: readonly Opts[],
  memory: MemoryOptions,
  smp: SmpOptions,
  host: OptionsHost,
): NumaOptions | undefined {
  const numa = new Numa(memoryBackends(objects), smp.maxcpus);
  for (const o of options) {
    const type = o.get("type");
    if (type === undefined) fail(o.loc, "Parameter 'type' is missing");
    if (!Object.hasOwn(KEYS, type)) {
      const known = ["cpu", "hmat-lb", "hmat-cache"].includes(type);
      fail(
        o.loc,
        known
          ? `-numa ${type} is not supported in this build`
          : `Parameter 'type' does not accept value '${type}'`,
      );
    }
    for (const [key] of o.entries) {
      if (key !== "type" && !KEYS[type].includes(key)) fail(o.loc, `Invalid parameter '${key}'`);
    }
    if (type === "node") numa.node(o);
    else numa.distance(o);
  }
  const count = numa.count;
  if (count === 0) return undefined;
  for (let n = 0; n < count; n++) {
    if (numa.sizes[n] === undefined) fail("", `numa: Node ID missing: ${n}`);
  }
  const total = numa.sizes.reduce((a, b) => a + b, 0);
  if (total !== memory.size) {
    const hex = (v: number) => "0x" + v.toString(16);
    fail(
      "",
      `total memory for NUMA nodes (${hex(total)}) should equal RAM size (${hex(memory.size)})`,
    );
  }
  const distances = numa.hasDistances ? numa.completeDistances() : undefined;
  assignCpus(numa, smp, host);
  const nodes = numa.sizes.map((size, id) => ({
    size,
    memdev: numa.memdevs[id],
    cpus: [...Array(smp.cpus).keys()].filter((cpu) => numa.nodeOf[cpu] === id),
  }));
  return { nodes, distances };
}

/** CPUs nobody has placed: socket by socket when none was, else in node 0 with a warning. */
function assignCpus(numa: Numa, smp: SmpOptions, host: OptionsHost): void {
  const { nodeOf, count } = numa, perCore = smp.threads, perSocket = smp.dies * smp.cores * perCore;
  const placed = nodeOf.some((n) => n !== undefined);
  const left: string[] = [];
  for (let cpu = 0; cpu < nodeOf.length; cpu++) {
    if (nodeOf[cpu] !== undefined) continue;
    const socket = Math.floor(cpu / perSocket), core = Math.floor(cpu / perCore) % smp.cores;
    const die = Math.floor(cpu / (perCore * smp.cores)) % smp.dies;
    nodeOf[cpu] = placed ? 0 : socket % count;
    left.push(
      `CPU ${cpu} [socket-id: ${socket}, ${smp.dies > 1 ? `die-id: ${die}, ` : ""}` +
        `core-id: ${core}, thread-id: ${cpu % perCore}]`,
    );
  }
  if (!placed || left.length === 0) return;
  warn(host, "", `CPU(s) not present in any NUMA nodes: ${left.join(", ")}`);
  warn(
    host,
    "",
    "All CPU(s) up to maxcpus should be described in NUMA config, ability to start up with " +
      "partial NUMA mappings is obsoleted and will be removed in future",
  );
}
