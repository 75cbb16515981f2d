/**
 * Port exits per second: this program's KVM back end, on the main thread and in a vCPU thread,
 * against `qemu-system-x86_64 -accel kvm` where that is installed. All in one run, by turns. The best
 * round says what each can do, since other programs only slow them down; the median is printed too, and
 * the processor time that an exit takes, which other programs change least.
 *
 *     deno task bench:kvm [count [rounds]]
 */
import { ramRegion } from "../../core/memory/region.ts";
import { Bench, hex, kvmMissing } from "./harness.ts";

/** A 64 KiB ROM that writes port 80h `count` times and then 0 to port F4h. */
function rom(count: number): Uint8Array {
  const bytes = new Uint8Array(0x10000);
  bytes.set(hex("66 b9 00 00 00 00 e6 80 66 49 75 fa b0 00 e6 f4 f4"));
  new DataView(bytes.buffer).setUint32(2, count, true);
  bytes.set(hex("ea 00 00 00 f0"), 0xfff0); // jmp f000:0
  return bytes;
}

interface Cost {
  /** Seconds. */
  readonly wall: number;
  /** Seconds of processor time, of all threads, user and system. */
  readonly cpu: number;
}

/** Processor time of this process or of its children that have ended: proc(5), `stat`, in ticks. */
function cpuSeconds(whose: "own" | "children"): number {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  const at = whose === "own" ? 11 : 13;
  return (fields[at] + fields[at + 1]) / 100;
}

/** What `count` writes cost under the bench. */
async function ours(count: number, threaded: boolean): Promise<Cost> {
  const b = new Bench({ extra: 1 << 20 });
  try {
    const block = b.memory.allocBlock("bios", 0x10000);
    block.u8.set(rom(count));
    b.mem.map(ramRegion("bios", block, { readonly: true }), 0xffff0000, 1);
    b.mem.map(ramRegion("isa-bios", block, { readonly: true }), 0xf0000, 1);
    let writes = 0, done = false;
    b.port(0x80, 1, { write: () => writes++ });
    b.port(0xf4, 1, {
      write: () => {
        done = true;
        b.vcpu.kick();
      },
    });
    if (threaded) { // its start is not what is measured
      const run = b.vcpu.runAsync!();
      b.vcpu.kick();
      await run;
    }
    const start = performance.now(), cpu = cpuSeconds("own");
    while (!done) {
      const exit = threaded ? await b.vcpu.runAsync!() : b.vcpu.run(0);
      if (exit.reason !== "interrupted") throw new Error(exit.reason);
    }
    if (writes !== count) throw new Error(`${writes} writes`);
    return { wall: (performance.now() - start) / 1000, cpu: cpuSeconds("own") - cpu };
  } finally {
    b.close();
  }
}

/** What `count` writes cost under QEMU, start-up included; undefined where it cannot run. */
async function qemu(count: number): Promise<Cost | undefined> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, rom(count));
    const start = performance.now(), cpu = cpuSeconds("children");
    const args = ["-accel", "kvm", "-bios", file, "-display", "none", "-nodefaults", "-m", "16"];
    const { code } = await new Deno.Command("qemu-system-x86_64", {
      args: [...args, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
      stderr: "null",
      signal: AbortSignal.timeout(60_000),
    }).output();
    const wall = (performance.now() - start) / 1000;
    return code === 1 ? { wall, cpu: cpuSeconds("children") - cpu } : undefined;
  } catch {
    return undefined;
  } finally {
    await Deno.remove(file);
  }
}

if (import.meta.main) {
  if (kvmMissing !== undefined) {
    console.log(`skipped: ${kvmMissing}`);
    Deno.exit(0);
  }
  const count = Number(Deno.args[0] ?? 50_000), rounds = Number(Deno.args[1] ?? 5);
  await ours(1000, false);
  const rates = new Map<string, number[]>();
  const times = new Map<string, number[]>();
  const note = (name: string, { wall, cpu }: Cost) => {
    if (!rates.has(name)) rates.set(name, []);
    if (!times.has(name)) times.set(name, []);
    rates.get(name)!.push(count / wall);
    times.get(name)!.push(cpu * 1e6 / count);
  };
  for (let i = 0; i < rounds; i++) {
    note("main thread", await ours(count, false));
    note("vCPU thread", await ours(count, true));
    const some = await qemu(1), all = await qemu(count + 1);
    if (some !== undefined && all !== undefined && all.wall > some.wall) {
      note("QEMU", { wall: all.wall - some.wall, cpu: all.cpu - some.cpu });
    }
  }
  const best = (list: number[]) => Math.max(...list);
  const median = (list: number[]) => list.toSorted((a, b) => a - b)[list.length >> 1];
  const base = rates.get("QEMU"), qemuTime = base && median(times.get("QEMU")!);
  for (const [who, list] of rates) {
    const figure = (name: string, of: (list: number[]) => number) =>
      `${name} ${Math.round(of(list))}` +
      (base ? ` (${(of(list) / of(base)).toFixed(2)} x QEMU)` : "");
    console.log(
      `${who.padEnd(12)} port exits/s: ${figure("best", best)}, ${figure("median", median)}; ` +
        `µs of processor each: median ${median(times.get(who)!).toFixed(1)}` +
        (qemuTime ? ` (${(qemuTime / median(times.get(who)!)).toFixed(2)} x QEMU's speed)` : ""),
    );
  }
}
