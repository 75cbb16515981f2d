/**
 * Hosts whose KVM runs only some of the processor's modes. A software KVM (PVM) has no paging outside
 * long mode: KVM_SET_SREGS drops CR0.PG without an error, and MOV to CR0 raises #GP; and it emulates
 * all code of privilege level 0. A machine that has another accelerator in reserve leaves such a KVM
 * before the guest gets there, and when the guest computes there for long.
 */
import type { Segment, Sregs } from "../accel.ts";
import { Req } from "./abi.ts";
import type { Libc } from "./libc.ts";
import { readSregs, Size, Struct, writeSregs } from "./structs.ts";

const CR0_PE = 1n, CR0_PG = 1n << 31n;
const EFER_LMA = 1n << 10n;
/** Where the gate of #GP ends in a 32-bit IDT: 8 bytes for each of 14 vectors. */
const IDT32_LIMIT = 14 * 8 - 1;

/** Paging is on, outside long mode. */
export function isPaged32(s: Sregs): boolean {
  return (s.cr0 & CR0_PG) !== 0n && (s.efer & EFER_LMA) === 0n;
}

/**
 * Protected mode with an interrupt table of its own, outside long mode: what 32-bit systems have by
 * the time they switch paging on, and firmware and boot loaders do not. (At 0 is real mode's.)
 */
export function usesIdt32(s: Sregs): boolean {
  return (s.cr0 & CR0_PE) !== 0n && (s.efer & EFER_LMA) === 0n && s.idt.base !== 0n &&
    s.idt.limit >= IDT32_LIMIT;
}

/** Real mode, or privilege level 0. */
export function isKernelCode(s: Sregs): boolean {
  return (s.cr0 & CR0_PE) === 0n || (s.cs.selector & 3) === 0;
}

/** Asks a vCPU that is never run. @param kvmFd of `/dev/kvm` */
export function canPage32(libc: Libc, kvmFd: number): boolean {
  const vm = libc.ioctl(kvmFd, Req.CREATE_VM);
  const vcpu = vm < 0 ? vm : libc.ioctl(vm, Req.CREATE_VCPU);
  try {
    const s = new Struct(Size.SREGS);
    if (vcpu < 0 || libc.ioctlBuffer(vcpu, Req.GET_SREGS, s.u8) < 0) return false;
    const now = readSregs(s);
    writeSregs(s, { ...flatSegments(), cr0: now.cr0 | CR0_PE | CR0_PG, cr3: 0n });
    if (libc.ioctlBuffer(vcpu, Req.SET_SREGS, s.u8) < 0) return false;
    return libc.ioctlBuffer(vcpu, Req.GET_SREGS, s.u8) >= 0 && isPaged32(readSregs(s));
  } finally {
    for (const fd of [vcpu, vm]) if (fd >= 0) libc.close(fd);
  }
}

function flatSegments(): Pick<Sregs, "cs" | "ds" | "es" | "fs" | "gs" | "ss"> {
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
  const data = flat(16, 3);
  return { cs: flat(8, 0xb), ds: data, es: data, fs: data, gs: data, ss: data };
}
