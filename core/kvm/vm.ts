/** A KVM virtual machine: its memory slots, vCPUs, and KVM's interrupt controllers if wanted. */
import type { Doorbell, Vcpu, VcpuOptions, Vm, VmOptions } from "../accel.ts";
import type { Clock } from "../clock.ts";
import type { AddressSpace } from "../memory/address_space.ts";
import { Cap, Req } from "./abi.ts";
import type { KvmAccelerator } from "./accel.ts";
import { CoalescedMmio } from "./coalesced.ts";
import { Doorbells } from "./doorbells.ts";
import { KvmIrqchip } from "./irqchip.ts";
import type { Libc } from "./libc.ts";
import { Seat } from "./pace.ts";
import { Slots } from "./slots.ts";
import { Size, Struct } from "./structs.ts";
import { KvmVcpu } from "./vcpu.ts";

export class KvmVm implements Vm {
  readonly libc: Libc;
  readonly mem: AddressSpace;
  readonly io: AddressSpace;
  readonly slots: Slots;
  readonly vcpus: KvmVcpu[] = [];
  readonly irqchip: KvmIrqchip | undefined;
  readonly seat = new Seat();
  readonly coalesced: CoalescedMmio;
  readonly doorbells: Doorbells;
  /** The vCPU whose exit is being handled. */
  current: KvmVcpu | undefined;
  /** Reports as an internal error what a weak host (weak_host.ts) does badly. */
  leaveBeforePaging = false;
  readonly clock: Clock;
  #closed = false;

  /** @param fd from KVM_CREATE_VM; closed by {@link close} */
  constructor(readonly accel: KvmAccelerator, readonly fd: number, opts: VmOptions) {
    const libc = this.libc = accel.libc;
    this.mem = opts.mem;
    this.io = opts.io;
    this.clock = opts.clock;
    const chip = opts.kernelIrqchip ?? "off";
    this.irqchip = chip === "off" ? undefined : new KvmIrqchip(
      libc,
      fd,
      chip,
      (index) => this.vcpus[index].lapicPage(),
    );
    this.coalesced = new CoalescedMmio(libc, fd, opts.mem);
    this.doorbells = new Doorbells(libc, fd, this.seat);
    const limit = accel.extension(Cap.NR_MEMSLOTS) || 32;
    this.slots = new Slots(libc, fd, opts.memory, opts.mem, limit, () => {
      for (const v of this.vcpus) v.stop();
    });
  }

  /** Where in a vCPU's mapping the ring of coalesced MMIO is, or 0 when the host has none. */
  get ringOffset(): number {
    return 4096 * this.accel.extension(Cap.COALESCED_MMIO);
  }

  /** Undefined where the host does not tell. */
  get tscKhz(): number | undefined {
    const khz = this.libc.ioctl(this.vcpus[0].fd, Req.GET_TSC_KHZ);
    return khz > 0 ? khz : undefined;
  }

  createVcpu(opts: VcpuOptions): Vcpu {
    const vcpu = new KvmVcpu(this, opts);
    this.vcpus.push(vcpu);
    return vcpu;
  }

  /** The second megabyte shows the first while A20 is low; higher odd megabytes are not folded. */
  setA20(enabled: boolean): void {
    this.slots.setA20(enabled);
  }

  dirtyPages(page: (offset: number) => void): boolean {
    this.coalesced.drain();
    return this.slots.dirtyPages(page);
  }

  /**
   * Only where vCPUs run in threads: one on the main thread would keep the device waiting until its
   * slice is over, longer than an exit takes.
   */
  setDoorbells(owner: object, bells: readonly Doorbell[]): void {
    const threads = this.irqchip !== undefined || this.vcpus.length > 1;
    this.doorbells.set(owner, threads ? bells : []);
  }

  #clock: bigint | undefined;

  setRunning(running: boolean): void {
    const s = new Struct(Size.CLOCK);
    if (!running) {
      this.doorbells.drain();
      this.#clock ??= this.libc.ioctlBuffer(this.fd, Req.GET_CLOCK, s.u8) < 0 ? 0n : s.u64(0);
      return;
    }
    if (this.#clock === undefined) return;
    s.setU64(0, this.#clock);
    this.#clock = undefined;
    this.libc.ioctlBuffer(this.fd, Req.SET_CLOCK, s.u8);
    for (const v of this.vcpus) this.libc.ioctl(v.fd, Req.KVMCLOCK_CTRL);
  }

  /** Closes the VM and its vCPUs; a `run` in progress ends with `interrupted`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.slots.close();
    this.coalesced.close();
    this.doorbells.close();
    for (const v of this.vcpus) v.close();
    this.libc.close(this.fd);
  }
}
