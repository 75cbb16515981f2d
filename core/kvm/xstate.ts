/**
 * The x87, SSE, AVX and AVX-512 state of a KVM vCPU, by KVM_GET_XSAVE and KVM_GET_XCRS. (KVM_GET_FPU and
 * KVM_SET_FPU leave MXCSR out.) Layout: Intel SDM vol. 1, 13.4, standard form of the XSAVE area.
 */
import type { Fpu } from "../accel.ts";
import type { CpuidEntry } from "./cpuid.ts";
import { Size, Struct } from "./structs.ts";

/** The legacy region, as FXSAVE64 writes it. */
const FCW = 0, FSW = 2, FTW = 4, FOP = 6, FIP = 8, FDP = 16, MXCSR = 24, MXCSR_MASK = 28;
const ST = 32, XMM = 160, XSTATE_BV = 512;
const X87 = 1, SSE = 2, AVX = 4, AVX512 = 0xe0;
const MXCSR_ALL = 0xffff;
/** State components by number, at the offset that CPUID leaf 0Dh gives in EBX. */
const YMM_HIGH = 2, OPMASK = 5, ZMM_HIGH = 6, HI16_ZMM = 7, PKRU = 9;
const PKRU_BIT = 1 << PKRU;
/** `struct kvm_xcrs`: a count, flags, and 16 entries of index, padding, value. */
const XCRS_COUNT = 0, XCRS_INDEX = 8, XCRS_VALUE = 16;

/** Where the components are that move between accelerators; 0 for one that the host has not. */
export interface XstateLayout {
  readonly ymmHigh: number;
  readonly opmask: number;
  readonly zmmHigh: number;
  readonly hi16Zmm: number;
  readonly pkru: number;
}

/** @param supported KVM's list of CPUID entries */
export function xstateLayout(supported: readonly CpuidEntry[]): XstateLayout {
  const at = (n: number) => {
    const e = supported.find((e) => e.leaf === 0xd && e.subleaf === n);
    return e !== undefined && e.eax > 0 && e.ebx + e.eax <= Size.XSAVE ? e.ebx : 0;
  };
  return {
    ymmHigh: at(YMM_HIGH),
    opmask: at(OPMASK),
    zmmHigh: at(ZMM_HIGH),
    hi16Zmm: at(HI16_ZMM),
    pkru: at(PKRU),
  };
}

/** @param s `struct kvm_xsave` as KVM_GET_XSAVE fills it: components in their initial state too */
export function readXstate(s: Struct, at: XstateLayout): Fpu {
  const v = s.view;
  return {
    fpr: s.u8.slice(ST, ST + 128),
    fcw: v.getUint16(FCW, true),
    fsw: v.getUint16(FSW, true),
    ftwx: v.getUint8(FTW),
    lastOpcode: v.getUint16(FOP, true),
    lastIp: s.u64(FIP),
    lastDp: s.u64(FDP),
    xmm: s.u8.slice(XMM, XMM + 256),
    mxcsr: v.getUint32(MXCSR, true),
    ...at.ymmHigh > 0 && { ymmHigh: s.u8.slice(at.ymmHigh, at.ymmHigh + 256) },
    ...at.opmask > 0 && { opmask: s.u8.slice(at.opmask, at.opmask + 64) },
    ...at.zmmHigh > 0 && { zmmHigh: s.u8.slice(at.zmmHigh, at.zmmHigh + 512) },
    ...at.hi16Zmm > 0 && { hi16Zmm: s.u8.slice(at.hi16Zmm, at.hi16Zmm + 1024) },
    ...at.pkru > 0 && { pkru: v.getUint32(at.pkru, true) },
  };
}

/** Reserved bits of MXCSR and FTW's upper half are left out: KVM refuses them. */
export function writeXstate(s: Struct, at: XstateLayout, f: Partial<Fpu>): void {
  const v = s.view;
  let components = X87 | SSE;
  if (f.fpr) s.u8.set(f.fpr.subarray(0, 128), ST);
  if (f.fcw !== undefined) v.setUint16(FCW, f.fcw, true);
  if (f.fsw !== undefined) v.setUint16(FSW, f.fsw, true);
  if (f.ftwx !== undefined) v.setUint16(FTW, f.ftwx & 0xff, true);
  if (f.lastOpcode !== undefined) v.setUint16(FOP, f.lastOpcode, true);
  if (f.lastIp !== undefined) s.setU64(FIP, f.lastIp);
  if (f.lastDp !== undefined) s.setU64(FDP, f.lastDp);
  if (f.xmm) s.u8.set(f.xmm.subarray(0, 256), XMM);
  if (f.mxcsr !== undefined) {
    v.setUint32(MXCSR, f.mxcsr & (v.getUint32(MXCSR_MASK, true) || MXCSR_ALL), true);
  }
  if (f.ymmHigh && at.ymmHigh > 0) {
    s.u8.set(f.ymmHigh.subarray(0, 256), at.ymmHigh);
    components |= AVX;
  }
  if (at.opmask > 0 && at.zmmHigh > 0 && at.hi16Zmm > 0) {
    if (f.opmask) s.u8.set(f.opmask.subarray(0, 64), at.opmask);
    if (f.zmmHigh) s.u8.set(f.zmmHigh.subarray(0, 512), at.zmmHigh);
    if (f.hi16Zmm) s.u8.set(f.hi16Zmm.subarray(0, 1024), at.hi16Zmm);
    if (f.opmask || f.zmmHigh || f.hi16Zmm) components |= AVX512;
  }
  if (f.pkru !== undefined && at.pkru > 0) {
    v.setUint32(at.pkru, f.pkru, true);
    components |= PKRU_BIT;
  }
  v.setUint32(XSTATE_BV, v.getUint32(XSTATE_BV, true) | components, true);
}

export function readXcr0(s: Struct): bigint {
  return s.u64(XCRS_VALUE);
}

export function makeXcrs(xcr0: bigint): Struct {
  const s = new Struct(Size.XCRS);
  s.view.setUint32(XCRS_COUNT, 1, true);
  s.view.setUint32(XCRS_INDEX, 0, true);
  s.setU64(XCRS_VALUE, xcr0);
  return s;
}
