/** Opening `/dev/kvm`: version and capability checks with QEMU's words, and the Accelerator. */
import type { Accelerator, Vm, VmOptions } from "../accel.ts";
import { UserError } from "../errors.ts";
import { Cap, Req } from "./abi.ts";
import { type CpuidEntry, parseCpuid2 } from "./cpuid.ts";
import { Errno, Libc } from "./libc.ts";
import { KvmVm } from "./vm.ts";

const API_VERSION = 12;

/** Extensions without which the machine cannot run, under the names QEMU prints. */
const required = [
  "USER_MEMORY",
  "DESTROY_MEMORY_REGION_WORKS",
  "JOIN_MEMORY_REGIONS_WORKS",
  "SET_TSS_ADDR",
  "EXT_CPUID",
  "MP_STATE",
  "SET_IDENTITY_MAP_ADDR",
  "VCPU_EVENTS",
  "IMMEDIATE_EXIT",
] as const;

export interface KvmOptions {
  /** The device; `-accel kvm,device=`. */
  readonly device?: string;
  /** Cores, threads and sockets as `-smp` gives them, for CPUID. Default: one of each. */
  readonly topology?: { cores: number; threads: number; sockets: number };
}

/** An open `/dev/kvm`. */
export class KvmAccelerator implements Accelerator {
  readonly name = "kvm";
  readonly libc: Libc;
  readonly fd: number;
  readonly topology: { cores: number; threads: number; sockets: number };
  /** KVM_GET_SUPPORTED_CPUID. */
  readonly supportedCpuid: readonly CpuidEntry[];
  /** KVM_GET_MSR_INDEX_LIST: the MSRs to save. */
  readonly msrIndexes: readonly number[];
  /** Size of one mapped `struct kvm_run` with its data pages. */
  readonly runSize: number;

  /** Throws {@link UserError} in QEMU's words when KVM cannot be used. */
  constructor(options: KvmOptions = {}) {
    this.topology = options.topology ?? { cores: 1, threads: 1, sockets: 1 };
    const libc = this.libc = Libc.load(), device = options.device ?? "/dev/kvm";
    this.fd = libc.open(device);
    if (this.fd < 0) {
      const words = libc.strerror(-this.fd);
      throw failed(`Could not access KVM kernel module: ${words}`, words);
    }
    try {
      const version = libc.ioctl(this.fd, Req.GET_API_VERSION);
      if (version < API_VERSION) {
        const words = libc.strerror(version < 0 ? -version : Errno.EINVAL);
        throw failed("kvm version too old", words);
      }
      if (version > API_VERSION) {
        throw failed("kvm version not supported", libc.strerror(Errno.EINVAL));
      }
      for (const name of required) {
        if (this.extension(Cap[name]) > 0) continue;
        throw failed(
          `kvm does not support KVM_CAP_${name}\nPlease upgrade to at least kernel 2.6.29 or recent ` +
            "kvm-kmod (see http://sourceforge.net/projects/kvm).",
          libc.strerror(Errno.EINVAL),
        );
      }
      this.runSize = libc.ioctl(this.fd, Req.GET_VCPU_MMAP_SIZE);
      this.supportedCpuid = this.#cpuid();
      this.msrIndexes = this.#msrs();
    } catch (e) {
      libc.close(this.fd);
      throw e;
    }
  }

  /** KVM_CHECK_EXTENSION: 0 when absent, else its value. */
  extension(cap: number): number {
    return Math.max(0, this.libc.ioctl(this.fd, Req.CHECK_EXTENSION, cap));
  }

  createVm(opts: VmOptions): Vm {
    return new KvmVm(this, opts);
  }

  close(): void {
    this.libc.close(this.fd);
  }

  #cpuid(): CpuidEntry[] {
    const bytes = new Uint8Array(8 + 40 * 256);
    new DataView(bytes.buffer).setUint32(0, 256, true);
    const r = this.libc.ioctlBuffer(this.fd, Req.GET_SUPPORTED_CPUID, bytes);
    if (r < 0) throw failed("KVM_GET_SUPPORTED_CPUID failed", this.libc.strerror(-r));
    return parseCpuid2(bytes);
  }

  #msrs(): number[] {
    const words = new Uint32Array(1 + 2048);
    words[0] = words.length - 1;
    const r = this.libc.ioctlBuffer(
      this.fd,
      Req.GET_MSR_INDEX_LIST,
      new Uint8Array(words.buffer),
    );
    return r < 0 ? [] : [...words.subarray(1, 1 + words[0])];
  }
}

function failed(message: string, reason: string): UserError {
  return new UserError(message, 1, `failed to initialize kvm: ${reason}`);
}
