/**
 * What a doorbell costs a guest: a port write that exits to this program, against one that KVM turns
 * into a write of an eventfd (KVM_IOEVENTFD), with a reader in a thread of its own that wakes the main
 * thread, as a device behind it would need.
 *
 *     deno run -A tests/kvm/eventfd_bench.ts [count]
 */
import { Req } from "../../core/kvm/abi.ts";
import type { KvmVcpu } from "../../core/kvm/vcpu.ts";
import type { KvmVm } from "../../core/kvm/vm.ts";
import { Struct } from "../../core/kvm/structs.ts";
import { Bench, hex, kvmMissing } from "./harness.ts";

const DOORBELL = 0xc080, END = 0xf4;
/** `struct kvm_ioeventfd`: datamatch 0, addr 8, len 16, fd 20, flags 24. */
const FLAG_PIO = 2;

/** Blocks in read(2) on the eventfd and tells the main thread after each, through shared memory. */
function reader(): void {
  addEventListener("message", (event) => {
    const { libc, fd, words } = (event as MessageEvent).data as {
      libc: string;
      fd: number;
      words: Int32Array;
    };
    const { read } = Deno.dlopen(libc, {
      read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    }).symbols;
    const value = new BigUint64Array(1), bytes = new Uint8Array(value.buffer);
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    while (Number(read(fd, bytes, 8n)) === 8) {
      const rings = Number(value[0] & 0xffffffn);
      Atomics.add(words, 1, rings);
      Atomics.notify(words, 1);
      if (value[0] >= 1n << 32n) break;
    }
    close();
  });
}

interface Figures {
  /** Microseconds per doorbell in the guest. */
  readonly each: number;
  /** Doorbells that the main thread has seen at the end, and after how many wake-ups. */
  readonly seen: number;
  readonly wakeUps: number;
  /** Microseconds from the last doorbell until the main thread has it. */
  readonly late: number;
}

async function run(count: number, how: "exit" | "eventfd", threaded: boolean): Promise<Figures> {
  const b = new Bench({});
  const vm = b.vm as KvmVm, { libc } = vm, vcpu = b.vcpu as KvmVcpu;
  const words = new Int32Array(new SharedArrayBuffer(8));
  let worker: Worker | undefined, fd = -1, seen = 0, wakeUps = 0, done = false, ended = 0;
  try {
    b.port(DOORBELL, 1, { write: () => (seen++, wakeUps++) });
    b.port(END, 1, {
      write: () => {
        done = true;
        ended = performance.now();
        vcpu.kick();
      },
    });
    if (how === "eventfd") {
      fd = libc.c.eventfd(0, 0);
      const s = new Struct(64);
      s.setU64(8, BigInt(DOORBELL));
      s.view.setUint32(16, 1, true);
      s.view.setInt32(20, fd, true);
      s.view.setUint32(24, FLAG_PIO, true);
      const r = libc.ioctlBuffer(vm.fd, Req.IOEVENTFD, s.u8);
      if (r < 0) throw new Error(`KVM_IOEVENTFD: ${libc.strerror(-r)}`);
      const url = URL.createObjectURL(new Blob([`(${reader})()`], { type: "text/javascript" }));
      worker = new Worker(url, { type: "module" });
      worker.postMessage({ libc: libc.name, fd, words });
      const ready = Atomics.waitAsync(words, 0, 0);
      if (ready.async) await ready.value;
      (async () => { // the device: wakes up for what has come
        for (;;) {
          const now = Atomics.load(words, 1);
          if (now !== seen) {
            seen = now;
            wakeUps++;
          }
          const w = Atomics.waitAsync(words, 1, now);
          if (w.async) await w.value;
        }
      })();
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
    const guest = ended - start;
    while (seen < count && performance.now() - ended < 1000) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const late = Math.max(0, performance.now() - ended);
    return { each: guest * 1000 / count, seen, wakeUps, late: late * 1000 };
  } finally {
    if (fd >= 0) {
      libc.c.write(fd, new Uint8Array(new BigUint64Array([1n << 33n]).buffer), 8n);
      worker?.terminate();
    }
    b.close();
    if (fd >= 0) libc.close(fd);
  }
}

if (import.meta.main) {
  if (kvmMissing !== undefined) {
    console.log(`skipped: ${kvmMissing}`);
    Deno.exit(0);
  }
  const count = Number(Deno.args[0] ?? 50_000);
  await run(1000, "exit", false);
  for (const threaded of [false, true]) {
    for (const how of ["exit", "eventfd"] as const) {
      const f = await run(count, how, threaded);
      console.log(
        `${how.padEnd(8)} vCPU on the ${threaded ? "thread" : "main thread"}: ` +
          `${f.each.toFixed(1)} µs each, ${f.seen} of ${count} seen in ${f.wakeUps} wake-ups`,
      );
    }
  }
  Deno.exit(0);
}
