/**
 * What a doorbell costs a guest: a port write that exits to this program, against one that KVM turns
 * into a count of an eventfd, whose thread wakes the main thread (core/kvm/doorbells.ts). And what an
 * interrupt costs the main thread: KVM_SIGNAL_MSI, against a write to an eventfd that KVM listens to.
 *
 *     deno run -A tests/kvm/eventfd_bench.ts [count [rounds]]
 */
import { Doorbells } from "../../core/kvm/doorbells.ts";
import type { KvmVcpu } from "../../core/kvm/vcpu.ts";
import type { KvmVm } from "../../core/kvm/vm.ts";
import { Bench, hex, kvmMissing } from "./harness.ts";

const DOORBELL = 0xc080, END = 0xf4;

interface Figures {
  /** Microseconds per doorbell in the guest. */
  readonly each: number;
  /** How often the device has been told. */
  readonly told: number;
}

async function ring(count: number, how: "exit" | "eventfd", threaded: boolean): Promise<Figures> {
  const b = new Bench({}), vm = b.vm as KvmVm, vcpu = b.vcpu as KvmVcpu;
  const bells = new Doorbells(vm.libc, vm.fd, vm.seat);
  let told = 0, done = false, ended = 0;
  try {
    b.port(DOORBELL, 1, { write: () => told++ });
    b.port(END, 1, {
      write: () => {
        done = true;
        ended = performance.now();
        vcpu.kick();
      },
    });
    if (how === "eventfd") {
      bells.set({}, [{ space: "io", address: DOORBELL, size: 1, notify: () => told++ }]);
      await new Promise((resolve) => setTimeout(resolve, 200)); // its thread starts
    }
    // mov ecx, count; mov dx, DOORBELL; again: out dx, al; dec ecx; jnz again; out END; hlt
    b.load(0x1000, hex(`66 b9 00 00 00 00 ba 80 c0 ee 66 49 75 fb e6 f4 f4`));
    b.ram.view.setUint32(0x1002, count, true);
    b.realMode(0x100, 0);
    if (threaded) { // its start is not what is measured
      const first = vcpu.runAsync();
      vcpu.kick();
      await first;
    }
    const start = performance.now();
    while (!done) {
      if (threaded) await vcpu.runAsync();
      else {
        vcpu.run(0);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
    return { each: (ended - start) * 1000 / count, told };
  } finally {
    bells.close();
    b.close();
  }
}

/** Microseconds that the main thread spends on an interrupt of a vCPU that does not run. */
function interrupt(count: number, how: "message" | "eventfd"): number {
  const b = new Bench({ kernelIrqchip: "on" }), chip = (b.vm as KvmVm).irqchip!;
  try {
    const message = { address: 0xfee00000, data: 0x51 }, irqfd = chip.irqfd(message)!;
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      if (how === "message") chip.signalMsi(message.address, message.data);
      else irqfd.raise();
    }
    return (performance.now() - start) * 1000 / count;
  } finally {
    b.close();
  }
}

if (import.meta.main) {
  if (kvmMissing !== undefined) {
    console.log(`skipped: ${kvmMissing}`);
    Deno.exit(0);
  }
  const count = Number(Deno.args[0] ?? 20_000), rounds = Number(Deno.args[1] ?? 3);
  await ring(1000, "exit", false);
  const figures = new Map<string, { each: number[]; told: number[] }>();
  const note = (name: string, each: number, told: number) => {
    if (!figures.has(name)) figures.set(name, { each: [], told: [] });
    figures.get(name)!.each.push(each);
    figures.get(name)!.told.push(told);
  };
  for (let i = 0; i < rounds; i++) {
    for (const threaded of [false, true]) {
      for (const how of ["exit", "eventfd"] as const) {
        const f = await ring(count, how, threaded);
        note(`doorbell by ${how}, vCPU on ${threaded ? "a" : "the main"} thread`, f.each, f.told);
      }
    }
    for (const how of ["message", "eventfd"] as const) {
      note(`interrupt by ${how}`, interrupt(count, how), count);
    }
  }
  for (const [name, { each, told }] of figures) {
    const sorted = each.toSorted((a, b) => a - b);
    console.log(
      `${name}: µs each best ${sorted[0].toFixed(1)}, median ${
        sorted[rounds >> 1].toFixed(1)
      }; device told ${Math.min(...told)} to ${Math.max(...told)} times of ${count}`,
    );
  }
  Deno.exit(0);
}
