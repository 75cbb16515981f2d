/**
 * A bench for guest code: RAM, a physical and a port address space and vCPUs on any accelerator,
 * by default KVM. Load a flat binary, run it until an exit or a port write, look at the result.
 */
import type {
  Accelerator,
  CpuModel,
  InterruptSource,
  Segment,
  Vcpu,
  Vm,
  VmExit,
} from "../../core/accel.ts";
import { ManualClock } from "../../core/clock.ts";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { hostModel } from "../../core/kvm/cpuid.ts";
import { tcg, tcgMemory } from "../../core/tcg/vm.ts";
import { resolveCpu } from "../../core/x86/cpuid/model.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory, type RamBlock } from "../../core/memory/guest_memory.ts";
import { type AccessSize, type IoOps, ioRegion, ramRegion } from "../../core/memory/region.ts";

/** Why KVM cannot be used here, or undefined when it can. */
export const kvmMissing: string | undefined = (() => {
  try {
    new KvmAccelerator().close();
    return undefined;
  } catch (e) {
    return (e as Error).message;
  }
})();

/** A test that needs KVM: skipped, with the reason in its name, where there is none. */
export function kvmTest(name: string, fn: () => void | Promise<void>): void {
  const ignore = kvmMissing !== undefined;
  Deno.test({ name: ignore ? `${name} [skipped: ${kvmMissing}]` : name, ignore, fn });
}

/** Bench options for the software accelerator. */
export function tcgOptions(vcpus = 1): BenchOptions {
  const { model } = resolveCpu("max");
  return { accelerator: tcg, model, vcpus, extra: tcgMemory(vcpus) + (2 << 20) };
}

/**
 * A test of guest code that both accelerators must run alike; the one on KVM is skipped where there
 * is none. `fn` gets the options to pass on to the bench.
 */
export function guestTest(
  name: string,
  fn: (opts: BenchOptions) => void | Promise<void>,
  vcpus = 1,
): void {
  kvmTest(`${name} (kvm)`, () => fn({ vcpus, extra: 2 << 20 }));
  Deno.test(`${name} (tcg)`, () => fn(tcgOptions(vcpus)));
}

/** One access to a port or a register. */
export interface Access {
  readonly at: number;
  readonly size: AccessSize;
  readonly value: number;
  readonly write: boolean;
}

export interface BenchOptions {
  /** RAM bytes at address 0. Default 4 MiB. */
  readonly ram?: number;
  readonly vcpus?: number;
  readonly accelerator?: Accelerator;
  readonly model?: CpuModel;
  readonly kernelIrqchip?: "off" | "split" | "on";
  /** Extra bytes of storage for {@link Bench.memory} blocks that the caller adds (ROMs). */
  readonly extra?: number;
}

export class Bench {
  readonly memory: GuestMemory;
  readonly mem: AddressSpace;
  readonly io = new AddressSpace("I/O", 65536, 0xff);
  readonly clock = new ManualClock();
  readonly ram: RamBlock;
  readonly accel: Accelerator;
  readonly vm: Vm;
  /** Accesses to the ports given to {@link watch}, in order. */
  readonly log: Access[] = [];

  constructor(opts: BenchOptions = {}) {
    const size = opts.ram ?? 4 << 20;
    this.accel = opts.accelerator ?? new KvmAccelerator();
    this.memory = new GuestMemory(size + (opts.extra ?? 0) + (8 << 20));
    this.mem = new AddressSpace("memory", 2 ** 36, 0);
    this.ram = this.memory.allocBlock("pc.ram", size);
    this.mem.map(ramRegion("ram-below-4g", this.ram), 0);
    this.vm = this.accel.createVm({
      memory: this.memory,
      mem: this.mem,
      io: this.io,
      clock: this.clock,
      kernelIrqchip: opts.kernelIrqchip,
    });
    for (let i = 0; i < (opts.vcpus ?? 1); i++) {
      this.vm.createVcpu({ index: i, apicId: i, model: opts.model ?? hostModel, bsp: i === 0 });
    }
  }

  get vcpu(): Vcpu {
    return this.vm.vcpus[0];
  }

  /** Port handlers; the default reads all ones. */
  port(first: number, count: number, ops: Partial<IoOps>): void {
    this.io.map(ioRegion(`port ${first.toString(16)}`, count, complete(ops)), first);
  }

  /** Logs every access to ports `first`… in {@link log}; reads give `value`. */
  watch(first: number, count = 1, value = 0): void {
    this.port(first, count, {
      read: (o, size) => {
        this.log.push({ at: first + o, size, value, write: false });
        return value;
      },
      write: (o, size, value) => this.log.push({ at: first + o, size, value, write: true }),
    });
  }

  /** Device registers at a physical address. */
  mmio(base: number, size: number, ops: Partial<IoOps>, priority = 1): void {
    this.mem.map(ioRegion(`mmio ${base.toString(16)}`, size, complete(ops)), base, priority);
  }

  load(address: number, bytes: Uint8Array | readonly number[]): void {
    this.ram.u8.set(bytes, address);
  }

  /** Real mode at `segment:offset` with a stack below it at `segment:fff0`. */
  realMode(segment: number, offset: number, vcpu = this.vcpu): void {
    const s = vcpu.getSregs(), base = BigInt(segment) << 4n;
    const at = (r: Segment): Segment => ({ ...r, selector: segment, base });
    vcpu.setSregs({ cs: at(s.cs), ds: at(s.ds), es: at(s.es), ss: at(s.ss) });
    vcpu.setRegs({ rip: BigInt(offset), rsp: 0xfff0n, rflags: 2n });
  }

  /** Flat 32-bit protected mode without paging, at `eip`, with the stack growing down from there. */
  protectedMode(eip: number, vcpu = this.vcpu): void {
    const flat = (selector: number, type: number): Segment => ({
      selector,
      base: 0n,
      limit: 0xffffffff,
      type,
      s: 1,
      dpl: 0,
      present: 1,
      avl: 0,
      l: 0,
      db: 1,
      g: 1,
      unusable: 0,
    });
    const data = flat(16, 3), s = vcpu.getSregs();
    vcpu.setSregs({
      cs: flat(8, 0xb),
      ds: data,
      es: data,
      fs: data,
      gs: data,
      ss: data,
      cr0: s.cr0 | 1n,
    });
    vcpu.setRegs({ rip: BigInt(eip), rsp: BigInt(eip), rflags: 2n });
  }

  /**
   * Runs until an exit other than `interrupted`, or until `until` says so (asked after each slice:
   * call `vcpu.kick()` in a handler to be asked at once). Throws after `timeoutMs` of host time.
   */
  run(opts: { until?: () => boolean; timeoutMs?: number; vcpu?: Vcpu } = {}): VmExit {
    const end = performance.now() + (opts.timeoutMs ?? 5000), vcpu = opts.vcpu ?? this.vcpu;
    for (;;) {
      const exit = vcpu.run(100_000);
      if (exit.reason !== "interrupted" || opts.until?.()) return exit;
      if (performance.now() > end) {
        const { cs } = vcpu.getSregs(), { rip } = vcpu.getRegs();
        throw new Error(`no exit in time, at ${cs.selector.toString(16)}:${rip.toString(16)}`);
      }
    }
  }

  #closed = false;
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.vm.close();
    if (this.accel instanceof KvmAccelerator) this.accel.close();
  }
}

/** A controller that has a queue of vectors and drives INTR while it is not empty. */
export class Vectors implements InterruptSource {
  readonly queue: number[] = [];
  tpr = 0;
  apicBase = 0xfee00900n;
  constructor(private readonly vcpu: Vcpu) {
    vcpu.interruptSource = this;
  }
  raise(vector: number): void {
    this.queue.push(vector);
    this.vcpu.setIntr(true);
  }
  acknowledge(): number {
    const v = this.queue.shift() ?? -1;
    this.vcpu.setIntr(this.queue.length > 0);
    return v;
  }
  setTpr(value: number): void {
    this.tpr = value;
  }
  setApicBase(value: bigint): boolean {
    this.apicBase = value;
    return true;
  }
  readMsr(): bigint | undefined {
    return undefined;
  }
  writeMsr(): boolean {
    return false;
  }
}

function complete(ops: Partial<IoOps>): IoOps {
  return { ...ops, read: ops.read ?? (() => 0xffffffff), write: ops.write ?? (() => {}) };
}

/** Runs `fn` on a bench that is closed afterwards. */
export function withBench(opts: BenchOptions, fn: (b: Bench) => void): void {
  const b = new Bench(opts);
  try {
    fn(b);
  } finally {
    b.close();
  }
}

/** Like {@link withBench}, for vCPUs run by `runAsync`. */
export async function withThreads(
  opts: BenchOptions,
  fn: (b: Bench) => Promise<void>,
): Promise<void> {
  const b = new Bench(opts);
  try {
    await fn(b);
  } finally {
    b.close();
  }
}

/** Fails the test instead of hanging it. */
export async function within<T>(ms: number, what: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("not in time")), ms);
  });
  try {
    return await Promise.race([what, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Machine code from hex: `b0 41 e6 80 f4`; anything after `;` on a line is a comment. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/;.*$/gm, "").replace(/\s+/g, "");
  return Uint8Array.from(digits.match(/../g) ?? [], (b) => parseInt(b, 16));
}
