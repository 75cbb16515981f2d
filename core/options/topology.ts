/** `-smp`: CPU counts from what was given, by the rules of QEMU 6.2 and later (cores first). */
import type { SmpOptions } from "./config.ts";
import { fail, type OptionsHost, warn } from "./host.ts";
import type { Keyval } from "./keyval.ts";
import type { MachineType } from "./machines.ts";
import { parseInt64 } from "./numbers.ts";

const KEYS = ["cpus", "sockets", "dies", "clusters", "cores", "threads", "maxcpus"] as const;
type Key = (typeof KEYS)[number];

/**
 * Fills in what was left out: sockets are counted last, threads and dies default to 1. Throws
 * UserError with QEMU's words for impossible products and too many CPUs.
 */
export function resolveSmp(
  given: Keyval | undefined,
  machine: MachineType,
  host: OptionsHost,
): SmpOptions {
  const counts: Partial<Record<Key, number>> = {};
  for (const key of KEYS) {
    const value = given?.get(key);
    if (value === undefined) continue;
    if (typeof value !== "string") fail("", `Parameters 'smp.${key}.*' are unexpected`);
    const v = parseInt64(value);
    if (typeof v === "string") fail("", `Parameter 'smp.${key}' expects integer`);
    counts[key] = Number(BigInt.asUintN(32, v));
  }
  for (const key of given?.keys() ?? []) {
    if (!(KEYS as readonly string[]).includes(key)) {
      fail("", `Parameter 'smp.${key}' is unexpected`);
    }
  }
  if (KEYS.some((k) => given?.get(k) !== undefined && counts[k] === 0)) {
    warn(
      host,
      "",
      "Deprecated CPU topology (considered invalid): " +
        "CPU topology parameters must be greater than zero",
    );
  }
  if ((counts.clusters ?? 0) > 1) {
    fail("", "clusters not supported by this machine's CPU topology");
  }
  return complete(counts, machine);
}

function complete(counts: Partial<Record<Key, number>>, machine: MachineType): SmpOptions {
  let cpus = counts.cpus ?? 0;
  let maxcpus = counts.maxcpus ?? 0;
  let sockets = counts.sockets ?? 0;
  let cores = counts.cores ?? 0;
  let threads = counts.threads ?? 0;
  const dies = counts.dies || 1;
  if (cpus === 0 && maxcpus === 0) {
    sockets ||= 1;
    cores ||= 1;
    threads ||= 1;
  } else {
    maxcpus ||= cpus;
    if (cores === 0) {
      sockets ||= 1;
      threads ||= 1;
      cores = quotient(maxcpus, sockets * dies * threads);
    } else if (sockets === 0) {
      threads ||= 1;
      sockets = quotient(maxcpus, dies * cores * threads);
    }
    if (threads === 0) threads = quotient(maxcpus, sockets * dies * cores);
  }
  const total = BigInt(sockets) * BigInt(dies) * BigInt(cores) * BigInt(threads);
  maxcpus ||= Number(BigInt.asUintN(32, total));
  cpus ||= maxcpus;
  const hierarchy =
    `sockets (${sockets}) * dies (${dies}) * cores (${cores}) * threads (${threads})`;
  if (BigInt.asUintN(32, total) !== BigInt(maxcpus)) {
    fail(
      "",
      "Invalid CPU topology: product of the hierarchy must match maxcpus: " +
        `${hierarchy} != maxcpus (${maxcpus})`,
    );
  }
  if (maxcpus < cpus) {
    fail(
      "",
      "Invalid CPU topology: maxcpus must be equal to or greater than smp: " +
        `${hierarchy} == maxcpus (${maxcpus}) < smp_cpus (${cpus})`,
    );
  }
  if (maxcpus > machine.maxCpus) {
    fail(
      "",
      `Invalid SMP CPUs ${maxcpus | 0}. The max CPUs supported by machine ` +
        `'${machine.name}' is ${machine.maxCpus}`,
    );
  }
  return { cpus, sockets, dies, cores, threads, maxcpus };
}

function quotient(total: number, by: number): number {
  return by === 0 ? 0 : Math.floor(total / (by >>> 0 || 1));
}
