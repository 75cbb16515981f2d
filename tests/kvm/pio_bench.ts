/**
 * Port exits per second: this program's KVM back end, on the main thread and in a vCPU thread,
 * against `qemu-system-x86_64 -accel kvm` where that is installed. All in one run, by turns. The best
 * round says what each can do, since other programs only slow them down; the median is printed too.
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

/** Seconds for `count` writes under the bench. */
async function ours(count: number, threaded: boolean): Promise<number> {
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
    const start = performance.now();
    while (!done) {
      const exit = threaded ? await b.vcpu.runAsync!() : b.vcpu.run(0);
      if (exit.reason !== "interrupted") throw new Error(exit.reason);
    }
    if (writes !== count) throw new Error(`${writes} writes`);
    return (performance.now() - start) / 1000;
  } finally {
    b.close();
  }
}

/** Seconds for `count` writes under QEMU, start-up included; undefined where it cannot run. */
async function qemu(count: number): Promise<number | undefined> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, rom(count));
    const start = performance.now();
    const args = ["-accel", "kvm", "-bios", file, "-display", "none", "-nodefaults", "-m", "16"];
    const { code } = await new Deno.Command("qemu-system-x86_64", {
      args: [...args, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
      stderr: "null",
      signal: AbortSignal.timeout(60_000),
    }).output();
    return code === 1 ? (performance.now() - start) / 1000 : undefined;
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
  const note = (name: string, seconds: number) => {
    if (!rates.has(name)) rates.set(name, []);
    rates.get(name)!.push(count / seconds);
  };
  for (let i = 0; i < rounds; i++) {
    note("main thread", await ours(count, false));
    note("vCPU thread", await ours(count, true));
    const some = await qemu(1), all = await qemu(count + 1);
    if (some !== undefined && all !== undefined && all > some) note("QEMU", all - some);
  }
  const best = (list: number[]) => Math.max(...list);
  const median = (list: number[]) => list.toSorted((a, b) => a - b)[list.length >> 1];
  const base = rates.get("QEMU");
  for (const [who, list] of rates) {
    const figure = (name: string, of: (list: number[]) => number) =>
      `${name} ${Math.round(of(list))}` +
      (base ? ` (${(of(list) / of(base)).toFixed(2)} x QEMU)` : "");
    console.log(
      `${who.padEnd(12)} port exits/s: ${figure("best", best)}, ${figure("median", median)}`,
    );
  }
}
