/**
 * What a vCPU has beside its register groups: pending events and KVM's own extras. The first fields
 * are common to the accelerators, so that a vCPU can move from one to another; `kvm` is there only
 * when KVM has saved it.
 */
import type { MpState } from "../accel.ts";
import { Size } from "./structs.ts";

export interface VcpuEvents {
  /** Level of the INTR input. */
  intr: boolean;
  /** An NMI waits; NMIs are blocked until IRET. */
  nmi: boolean;
  nmiBlocked: boolean;
  /** Waiting events of the in-user-space APIC; KVM has none: it is told when they happen. */
  smi: boolean;
  init: boolean;
  /** Start-up vector that waits, or -1. */
  sipi: number;
  /** 1 when the shadow of STI or MOV SS covers the next instruction. */
  shadow: number;
  mpState: MpState;
  /** An interrupt that the controller has given and the processor not yet taken, or -1. */
  vector: number;
  kvm?: KvmState;
}

export interface KvmState {
  /** `struct kvm_vcpu_events`, `kvm_xsave`, `kvm_xcrs`, and with kernel-irqchip `kvm_lapic_state`. */
  events: Uint8Array;
  xsave: Uint8Array;
  xcrs: Uint8Array;
  lapic: Uint8Array | undefined;
  msrs: [number, bigint][];
}

/** `struct kvm_vcpu_events`. */
const INTERRUPT_INJECTED = 8, INTERRUPT_NR = 9, INTERRUPT_SOFT = 10, INTERRUPT_SHADOW = 11;
const NMI_INJECTED = 12, NMI_PENDING = 13, NMI_MASKED = 14, FLAGS = 20;
const SHADOW_STI = 2;
const VALID_NMI_PENDING = 1, VALID_SHADOW = 4;

/** The common part, as far as KVM's structure tells. */
export function readEvents(e: Uint8Array): VcpuEvents {
  const vector = e[INTERRUPT_INJECTED] && !e[INTERRUPT_SOFT] ? e[INTERRUPT_NR] : -1;
  return {
    intr: false,
    nmi: (e[NMI_PENDING] | e[NMI_INJECTED]) !== 0,
    nmiBlocked: e[NMI_MASKED] !== 0 && e[NMI_INJECTED] === 0,
    smi: false,
    init: false,
    sipi: -1,
    shadow: e[INTERRUPT_SHADOW] ? 1 : 0,
    mpState: "runnable",
    vector,
  };
}

/** KVM's structure for events that another accelerator has saved. */
export function makeEvents(s: VcpuEvents): Uint8Array<ArrayBuffer> {
  const e = new Uint8Array(Size.VCPU_EVENTS);
  const vector = s.vector ?? -1; // the software accelerator takes an interrupt at once
  if (vector >= 0) {
    e[INTERRUPT_INJECTED] = 1;
    e[INTERRUPT_NR] = vector;
  }
  e[INTERRUPT_SHADOW] = s.shadow ? SHADOW_STI : 0;
  e[NMI_MASKED] = s.nmiBlocked ? 1 : 0;
  e[FLAGS] = VALID_NMI_PENDING | VALID_SHADOW;
  return e;
}

/** Takes a pending or half-delivered NMI out. One being delivered has blocked the next already. */
export function clearNmiPending(e: Uint8Array): void {
  if (e[NMI_INJECTED]) e[NMI_MASKED] = 0;
  e[NMI_INJECTED] = e[NMI_PENDING] = 0;
}
