/**
 * KVM's paravirtual interface in CPUID: the signature of leaf 40000000h and the features of leaf
 * 40000001h. Linux, Documentation/virt/kvm/x86/cpuid.rst; names as QEMU's `-cpu` takes them.
 */
import type { CpuidResult } from "./model.ts";

/** Bits of leaf 40000001h by feature name: features in EAX, hints in EDX. */
const BITS: Readonly<Record<string, { readonly eax?: number; readonly edx?: number }>> = {
  // The clock has two pairs of MSRs, each announced by a bit of its own.
  kvmclock: { eax: 1 << 0 | 1 << 3 },
  "kvm-nopiodelay": { eax: 1 << 1 },
  "kvm-pv-eoi": { eax: 1 << 6 },
  "kvmclock-stable-bit": { eax: 1 << 24 },
  "kvm-hint-dedicated": { edx: 1 << 0 },
};

/**
 * What a guest gets where KVM's interface is expected. The others that QEMU offers under KVM are left
 * out: no page of a software vCPU is ever away (asynchronous page faults), and no other guest steals
 * its time.
 */
export const DEFAULT_PARAVIRTUAL: ReadonlySet<string> = new Set([
  "kvmclock",
  "kvm-nopiodelay",
  "kvm-pv-eoi",
  "kvmclock-stable-bit",
]);

/** Features that the software accelerator can offer. */
export const offeredParavirtual: ReadonlySet<string> = new Set(Object.keys(BITS));

/** Leaf 40000001h. */
export function paravirtualLeaf(features: ReadonlySet<string>): CpuidResult {
  let eax = 0, edx = 0;
  for (const f of features) {
    eax |= BITS[f]?.eax ?? 0;
    edx |= BITS[f]?.edx ?? 0;
  }
  return { eax, ebx: 0, ecx: 0, edx };
}

/** Leaf 40000000h: the highest leaf, and "KVMKVMKVM" in EBX, ECX, EDX. */
export function paravirtualSignature(): CpuidResult {
  return { eax: 0x40000001, ebx: 0x4b4d564b, ecx: 0x564b4d56, edx: 0x4d };
}
