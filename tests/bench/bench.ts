#!/usr/bin/env -S deno run -A
/**
 * `deno task bench`: the same guests under qeno, v86 and QEMU, one after the other. Each guest tells
 * its serial port when a phase is over; times are those of the host when it reads that.
 */
import { benchMarker, benchPhases, guest, GuestUnavailable } from "../guests/guests.ts";
import { benchKernel, PROGRAMS } from "./kernels/build.ts";
import { measure, type Measured, RunFailed } from "./measure.ts";
import { type Peer, type PeerName, PEERS, peers, type Workload } from "./peers.ts";
import { table } from "./table.ts";

const USAGE =
  `usage: deno task bench [linux] [linux64] [micro] [--runs N] [--only PEER,...] [--tier0 | --tier1]
                      [--timeout SECONDS]

  linux      Debian's 686 kernel to its init, then shell work (512 MiB)
  micro      small programs on the bare machine, compiled with gcc
             (both when neither is named)
  --runs     runs of each; times are the minimum, medians in brackets (default 1)
  --only     some of: ${PEERS.join(", ")}
  --tier0    qeno without regions (-accel tcg,tier=0); --tier1 with them
  --timeout  how long a run may take (default 600)
`;

export interface BenchOptions {
  readonly kinds: readonly Kind[];
  readonly runs: number;
  readonly only: readonly PeerName[];
  readonly tier: "0" | "1" | undefined;
  readonly timeout: number;
}

const KINDS = ["linux", "linux64", "micro"] as const;
type Kind = typeof KINDS[number];

/** Throws an Error that says what is wrong. */
export function parseArguments(args: readonly string[]): BenchOptions {
  const kinds: Kind[] = [];
  let runs = 1, timeout = 600, tier: BenchOptions["tier"];
  let only: readonly PeerName[] = PEERS;
  const rest = [...args];
  const value = (name: string) => {
    const v = rest.shift();
    if (v === undefined) throw new Error(`${name} needs a value`);
    return v;
  };
  const positive = (name: string) => {
    const v = value(name), n = Number(v);
    if (!Number.isInteger(n) || n < 1) throw new Error(`${name}: not a positive number: ${v}`);
    return n;
  };
  for (let a = rest.shift(); a !== undefined; a = rest.shift()) {
    if ((KINDS as readonly string[]).includes(a)) kinds.push(a as Kind);
    else if (a === "--runs") runs = positive(a);
    else if (a === "--timeout") timeout = positive(a);
    else if (a === "--tier0") tier = "0";
    else if (a === "--tier1") tier = "1";
    else if (a === "--only") {
      const names = value(a).split(",");
      const wrong = names.find((n) => !(PEERS as readonly string[]).includes(n));
      if (wrong !== undefined) throw new Error(`--only: no such peer: ${wrong}`);
      only = PEERS.filter((p) => names.includes(p));
    } else throw new Error(`unknown argument: ${a}`);
  }
  return { kinds: kinds.length > 0 ? kinds : KINDS, runs, only, tier, timeout };
}

/** Throws GuestUnavailable. */
async function workload(kind: Kind): Promise<Workload> {
  if (kind !== "micro") {
    const wide = kind === "linux64";
    return {
      title: `Linux ${wide ? "amd64 (cloud)" : "686"} and busybox, 512 MiB`,
      kernel: await guest(wide ? "linuxcloud-kernel" : "linux686-kernel"),
      initrd: await guest(wide ? "linuxcloud-bench" : "linux686-bench"),
      append: "console=ttyS0 quiet",
      memory: 512,
      cpu: wide ? "qemu64" : "qemu32",
      phases: benchPhases.map((name) => ({ name, marker: benchMarker(name) })),
    };
  }
  return {
    title: "Programs on the bare machine",
    cpu: "qemu32",
    kernel: await benchKernel(),
    memory: 64,
    phases: PROGRAMS.map((name) => ({ name, marker: `QENO-BENCH ${name}` })),
  };
}

interface Entry {
  readonly peer: Peer;
  readonly label: string;
  readonly results: Measured[];
}

/** Runs every peer `runs` times, taking turns; gives those that came through. */
async function runAll(entries: Entry[], w: Workload, o: BenchOptions): Promise<Entry[]> {
  const failed = new Set<Entry>();
  for (let run = 1; run <= o.runs; run++) {
    for (const e of entries) {
      if (failed.has(e)) continue;
      const count = o.runs > 1 ? ` (${run} of ${o.runs})` : "";
      console.error(`${w.title}: ${e.label}${count}…`);
      try {
        e.results.push(await measure(await e.peer.command(w), w.phases, o.timeout));
      } catch (error) {
        if (!(error instanceof RunFailed)) throw error;
        console.log(`${e.label} failed: ${error.message}`);
        failed.add(e);
      }
    }
  }
  return entries.filter((e) => !failed.has(e));
}

/** Phases whose remark (the checksum of a program) is not the same everywhere. */
function differing(entries: readonly Entry[], w: Workload): string[] {
  return w.phases.filter((_, i) =>
    new Set(entries.flatMap((e) => e.results.map((r) => r.remarks[i]))).size > 1
  ).map((p) => p.name);
}

async function bench(o: BenchOptions): Promise<number> {
  let status = 0;
  const present: [Peer, string][] = [];
  for (const peer of peers(o.only, o.tier)) {
    try {
      present.push([peer, await peer.identify()]);
    } catch (e) {
      if (!(e instanceof GuestUnavailable)) throw e;
      console.log(`${peer.name} skipped: ${e.message}`);
    }
  }
  for (const kind of o.kinds) {
    let w: Workload;
    try {
      w = await workload(kind);
    } catch (e) {
      if (!(e instanceof GuestUnavailable)) throw e;
      console.log(`\n${kind} skipped: ${e.message}`);
      continue;
    }
    console.log(
      `\n${w.title}, seconds${o.runs > 1 ? `: minimum (median) of ${o.runs} runs` : ""}\n`,
    );
    const entries: Entry[] = [];
    for (const [peer, label] of present) {
      const why = peer.unfit?.(w);
      if (why === undefined) entries.push({ peer, label, results: [] });
      else console.log(`${label} skipped: ${why}`);
    }
    const done = await runAll(entries, w, o);
    if (done.length < entries.length) status = 1;
    if (done.length === 0) continue;
    const columns = done.map((e) => ({ name: e.label, runs: e.results.map((r) => r.seconds) }));
    console.log(table(w.phases.map((p) => p.name), columns));
    const wrong = differing(done, w);
    if (wrong.length > 0) {
      console.log(`Results differ: ${wrong.join(", ")}`);
      status = 1;
    }
  }
  return status;
}

if (import.meta.main) {
  let options: BenchOptions;
  try {
    options = parseArguments(Deno.args);
  } catch (e) {
    console.error(`bench: ${(e as Error).message}\n${USAGE}`);
    Deno.exit(1);
  }
  Deno.exit(await bench(options));
}
