/** Opening `/dev/kvm`: version and capability checks with QEMU's words, and the Accelerator. */
import type { Accelerator, Vm, VmOptions } from "../accel.ts";
import { UserError } from "../errors.ts";
import { Cap, Req } from "./abi.ts";
import { type CpuidEntry, parseCpuid2 } from "./cpuid.ts";
import { supportedFeatures, vendorOf } from "./features.ts";
import { Errno, type Host, Libc } from "./libc.ts";
import { Struct } from "./structs.ts";
import { KvmVm } from "./vm.ts";
import { canPage32 } from "./weak_host.ts";

const API_VERSION = 12;
/** Where Intel hosts without unrestricted guest keep a page table and a TSS: below 16 MiB of ROM. */
const IDENTITY_MAP = 0xfeffc000;
const TSS = IDENTITY_MAP + 0x1000;

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
  "DEBUGREGS",
  "XSAVE",
  "IMMEDIATE_EXIT",
] as const;

const UPGRADE = "Please upgrade to at least kernel 2.6.29 or recent kvm-kmod\n" +
  "(see http://sourceforge.net/projects/kvm).";

/**
 * KVM cannot be used. QEMU prints two things: {@link detail} as it is, then the message behind the
 * program's name (and behind `-accel kvm: ` when that option asked), as in
 *
 *     Could not access KVM kernel module: No such file or directory
 *     qemu-system-x86_64: failed to initialize kvm: No such file or directory
 */
export class KvmUnavailable extends UserError {
  override name = "KvmUnavailable";
  /** @param reason of the failure, as strerror words it */
  constructor(readonly detail: string | undefined, reason: string) {
    super(`failed to initialize kvm: ${reason}`);
  }
}

export interface KvmOptions {
  /** Default `/dev/kvm`. */
  readonly device?: string;
  /** Another way to the kernel than this process's C library. */
  readonly libc?: Libc;
  /** Default: the host this runs on. */
  readonly host?: Host;
  /** Cores, threads and sockets as `-smp` gives them, for CPUID. Default: one of each. */
  readonly topology?: { cores: number; threads: number; sockets: number; dies?: number };
  /** The machine may go on under another accelerator: guests get no paravirtual clock and the like. */
  readonly portable?: boolean;
}

/** An open `/dev/kvm` with one VM created: from here on only resources can run out. */
export class KvmAccelerator implements Accelerator {
  readonly name = "kvm";
  readonly libc: Libc;
  readonly fd: number;
  readonly topology: { cores: number; threads: number; sockets: number; dies?: number };
  readonly portable: boolean;
  /** KVM_GET_SUPPORTED_CPUID. */
  readonly supportedCpuid: readonly CpuidEntry[];
  /** CPUID's vendor string. */
  readonly vendor: string | undefined;
  /** The same as QEMU's feature names: what `-cpu` may ask for. */
  readonly features: ReadonlySet<string>;
  /** KVM_GET_MSR_INDEX_LIST: the MSRs to save. */
  readonly msrIndexes: readonly number[];
  /** Size of one mapped `struct kvm_run` with its data pages, or a negative errno. */
  readonly runSize: number;
  /** Made early, so that a host that refuses is found out while there is a choice. */
  #vmFd: number | undefined;

  /** Throws {@link KvmUnavailable} in QEMU's words when KVM cannot be used. */
  constructor(options: KvmOptions = {}) {
    this.topology = options.topology ?? { cores: 1, threads: 1, sockets: 1 };
    this.portable = options.portable ?? false;
    const libc = this.libc = options.libc ?? loadLibc(options.host);
    this.fd = libc.open(options.device ?? "/dev/kvm");
    if (this.fd < 0) {
      const words = libc.strerror(-this.fd);
      throw new KvmUnavailable(`Could not access KVM kernel module: ${words}`, words);
    }
    try {
      this.#check();
      this.runSize = libc.ioctl(this.fd, Req.GET_VCPU_MMAP_SIZE);
      this.supportedCpuid = this.#cpuid();
      this.features = supportedFeatures(this.supportedCpuid);
      this.vendor = vendorOf(this.supportedCpuid);
      this.msrIndexes = this.#msrs();
      this.#vmFd = this.#createVmFd();
    } catch (e) {
      libc.close(this.fd);
      throw e;
    }
  }

  #check(): void {
    const version = this.libc.ioctl(this.fd, Req.GET_API_VERSION);
    const words = this.libc.strerror(version < 0 ? -version : Errno.EINVAL);
    if (version < API_VERSION) throw new KvmUnavailable("kvm version too old", words);
    if (version > API_VERSION) throw new KvmUnavailable("kvm version not supported", words);
    for (const name of required) {
      if (this.extension(Cap[name]) > 0) continue;
      throw new KvmUnavailable(`kvm does not support KVM_CAP_${name}\n${UPGRADE}`, words);
    }
  }

  /**
   * What KVM has to say about the number of processors.
   * @param counts by the names that QEMU prints, such as `SMP`
   * @returns warnings, without a prefix
   * @throws UserError when there are more than KVM can have
   */
  checkCpus(counts: Readonly<Record<string, number>>): string[] {
    const soft = this.extension(Cap.NR_VCPUS) || 4, hard = this.extension(Cap.MAX_VCPUS) || soft;
    const text = (name: string, limit: string, n: number) =>
      `Number of ${name} cpus requested (${counts[name]}) exceeds the ${limit} cpus supported ` +
      `by KVM (${n})`;
    const warnings: string[] = [];
    for (const [name, count] of Object.entries(counts)) {
      if (count > soft) warnings.push(text(name, "recommended", soft));
      if (count > hard) throw new UserError(text(name, "maximum", hard));
    }
    return warnings;
  }

  /** KVM_CHECK_EXTENSION: 0 when absent, else its value. */
  extension(cap: number): number {
    return Math.max(0, this.libc.ioctl(this.fd, Req.CHECK_EXTENSION, cap));
  }

  createVm(opts: VmOptions): Vm {
    const fd = this.#vmFd ?? this.#createVmFd();
    this.#vmFd = undefined;
    return new KvmVm(this, fd, opts);
  }

  #createVmFd(): number {
    let fd: number;
    do fd = this.libc.ioctl(this.fd, Req.CREATE_VM); while (fd === -Errno.EINTR);
    if (fd < 0) {
      const words = this.libc.strerror(-fd);
      throw new KvmUnavailable(`ioctl(KVM_CREATE_VM) failed: ${-fd} ${words}`, words);
    }
    const identity = new Struct(8);
    identity.setU64(0, BigInt(IDENTITY_MAP));
    let r = this.libc.ioctlBuffer(fd, Req.SET_IDENTITY_MAP_ADDR, identity.u8);
    if (r >= 0) r = this.libc.ioctl(fd, Req.SET_TSS_ADDR, TSS);
    if (r >= 0) return fd;
    this.libc.close(fd);
    throw new KvmUnavailable(undefined, this.libc.strerror(-r));
  }

  #pages32: boolean | undefined;
  /** Whether guests may page outside long mode: false under some software KVMs. */
  get pages32(): boolean {
    return this.#pages32 ??= canPage32(this.libc, this.fd);
  }

  close(): void {
    if (this.#vmFd !== undefined) this.libc.close(this.#vmFd);
    this.#vmFd = undefined;
    this.libc.close(this.fd);
  }

  #cpuid(): CpuidEntry[] {
    const bytes = new Uint8Array(8 + 40 * 256);
    new DataView(bytes.buffer).setUint32(0, 256, true);
    const r = this.libc.ioctlBuffer(this.fd, Req.GET_SUPPORTED_CPUID, bytes);
    if (r >= 0) return parseCpuid2(bytes);
    const words = this.libc.strerror(-r);
    throw new KvmUnavailable(`KVM_GET_SUPPORTED_CPUID failed: ${words}`, words);
  }

  #msrs(): number[] {
    const words = new Uint32Array(1 + 2048);
    words[0] = words.length - 1;
    const bytes = new Uint8Array(words.buffer);
    const r = this.libc.ioctlBuffer(this.fd, Req.GET_MSR_INDEX_LIST, bytes);
    return r < 0 ? [] : [...words.subarray(1, 1 + words[0])];
  }
}

/** Not Linux on x86-64, or no permission for FFI: as if there were no module to talk to. */
function loadLibc(host?: Host): Libc {
  try {
    return Libc.load(host);
  } catch (e) {
    const words = (e as Error).message;
    throw new KvmUnavailable(`Could not access KVM kernel module: ${words}`, words);
  }
}
