/** A KVM virtual machine: its memory slots and vCPUs. */
import type { AddressSpace } from "../memory/address_space.ts";
import type { Vcpu, VcpuOptions, Vm, VmOptions } from "../accel.ts";
import { Cap, Req } from "./abi.ts";
import type { KvmAccelerator } from "./accel.ts";
import { Errno, type Libc } from "./libc.ts";
import { Slots } from "./slots.ts";
import { KvmVcpu } from "./vcpu.ts";

/** Where Intel hosts without unrestricted guest keep a page table and a TSS: above 16 MiB of ROM. */
const IDENTITY_MAP = 0xfeffc000;
const TSS = IDENTITY_MAP + 0x1000;

export class KvmVm implements Vm {
  readonly libc: Libc;
  readonly fd: number;
  readonly mem: AddressSpace;
  readonly io: AddressSpace;
  readonly slots: Slots;
  readonly vcpus: Vcpu[] = [];

  constructor(readonly accel: KvmAccelerator, opts: VmOptions) {
    const libc = this.libc = accel.libc;
    this.mem = opts.mem;
    this.io = opts.io;
    let fd: number;
    do fd = libc.ioctl(accel.fd, Req.CREATE_VM); while (fd === -Errno.EINTR);
    if (fd < 0) throw new Error(`ioctl(KVM_CREATE_VM) failed: ${-fd} ${libc.strerror(-fd)}`);
    this.fd = fd;
    const identity = new Uint8Array(8);
    new DataView(identity.buffer).setUint32(0, IDENTITY_MAP, true);
    libc.ioctlBuffer(fd, Req.SET_IDENTITY_MAP_ADDR, identity);
    libc.ioctl(fd, Req.SET_TSS_ADDR, TSS);
    const limit = accel.extension(Cap.NR_MEMSLOTS) || 32;
    this.slots = new Slots(libc, fd, opts.memory, opts.mem, limit);
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

  /** Closes the VM and its vCPUs. */
  close(): void {
    for (const v of this.vcpus) (v as KvmVcpu).close();
    this.vcpus.length = 0;
    this.libc.close(this.fd);
  }
}
