/** The local APIC's register page and the fields in it. Intel SDM volume 3A, table 11-1. */

/** Offsets of the registers in the page. */
export const Reg = {
  ID: 0x020,
  VERSION: 0x030,
  TPR: 0x080,
  APR: 0x090,
  PPR: 0x0a0,
  EOI: 0x0b0,
  RRD: 0x0c0,
  LDR: 0x0d0,
  DFR: 0x0e0,
  SVR: 0x0f0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ESR: 0x280,
  ICR_LOW: 0x300,
  ICR_HIGH: 0x310,
  LVT_TIMER: 0x320,
  LVT_THERMAL: 0x330,
  LVT_PERF: 0x340,
  LVT_LINT0: 0x350,
  LVT_LINT1: 0x360,
  LVT_ERROR: 0x370,
  TIMER_INITIAL: 0x380,
  TIMER_CURRENT: 0x390,
  TIMER_DIVIDE: 0x3e0,
} as const;

/** Delivery modes, as ICR, LVT entries, I/O APIC entries and MSI data encode them. */
export const Delivery = {
  fixed: 0,
  lowestPriority: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startup: 6,
  extInt: 7,
} as const;

/** ESR bits. */
export const ApicError = {
  sendIllegalVector: 0x20,
  receiveIllegalVector: 0x40,
  illegalRegister: 0x80,
} as const;

export const LVT_MASKED = 0x10000;
export const LVT_PERIODIC = 0x20000;
export const LVT_TSC_DEADLINE = 0x40000;
export const LVT_LEVEL = 0x8000;
export const LVT_REMOTE_IRR = 0x4000;
export const SVR_ENABLE = 0x100;

/** LVT bits a guest can write; TSC-deadline mode adds bit 18 to the timer's. */
export const LVT_WRITABLE: ReadonlyMap<number, number> = new Map([
  [Reg.LVT_TIMER, 0x300ff],
  [Reg.LVT_THERMAL, 0x107ff],
  [Reg.LVT_PERF, 0x107ff],
  [Reg.LVT_LINT0, 0x1a7ff],
  [Reg.LVT_LINT1, 0x1a7ff],
  [Reg.LVT_ERROR, 0x100ff],
]);
