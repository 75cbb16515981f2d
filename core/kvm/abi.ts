/**
 * The Linux KVM userspace ABI on x86-64: request numbers, structure offsets, flags and exit reasons.
 * Source: Linux `Documentation/virt/kvm/api.rst` and the uapi header `linux/kvm.h`.
 */

/** ioctl request numbers, named without their `KVM_` prefix. */
export const Req = {
  // on /dev/kvm
  GET_API_VERSION: 0xae00,
  CREATE_VM: 0xae01,
  GET_MSR_INDEX_LIST: 0xc004ae02,
  CHECK_EXTENSION: 0xae03,
  GET_VCPU_MMAP_SIZE: 0xae04,
  GET_SUPPORTED_CPUID: 0xc008ae05,
  // on a VM
  CREATE_VCPU: 0xae41,
  GET_DIRTY_LOG: 0x4010ae42,
  SET_USER_MEMORY_REGION: 0x4020ae46,
  SET_TSS_ADDR: 0xae47,
  SET_IDENTITY_MAP_ADDR: 0x4008ae48,
  CREATE_IRQCHIP: 0xae60,
  IRQ_LINE: 0x4008ae61,
  GET_IRQCHIP: 0xc208ae62,
  SET_IRQCHIP: 0x8208ae63,
  REGISTER_COALESCED_MMIO: 0x4010ae67,
  UNREGISTER_COALESCED_MMIO: 0x4010ae68,
  SET_GSI_ROUTING: 0x4008ae6a,
  REINJECT_CONTROL: 0xae71,
  IRQFD: 0x4020ae76,
  CREATE_PIT2: 0x4040ae77,
  SET_BOOT_CPU_ID: 0xae78,
  IOEVENTFD: 0x4040ae79,
  SET_CLOCK: 0x4030ae7b,
  GET_CLOCK: 0x8030ae7c,
  GET_PIT2: 0x8070ae9f,
  SET_PIT2: 0x4070aea0,
  ENABLE_CAP_VM: 0x4068aea3,
  SIGNAL_MSI: 0x4020aea5,
  // on a vCPU
  RUN: 0xae80,
  GET_REGS: 0x8090ae81,
  SET_REGS: 0x4090ae82,
  GET_SREGS: 0x8138ae83,
  SET_SREGS: 0x4138ae84,
  GET_SREGS2: 0x8140aecc,
  SET_SREGS2: 0x4140aecd,
  INTERRUPT: 0x4004ae86,
  GET_MSRS: 0xc008ae88,
  SET_MSRS: 0x4008ae89,
  SET_SIGNAL_MASK: 0x4004ae8b,
  GET_LAPIC: 0x8400ae8e,
  SET_LAPIC: 0x4400ae8f,
  SET_CPUID2: 0x4008ae90,
  GET_CPUID2: 0xc008ae91,
  GET_MP_STATE: 0x8004ae98,
  SET_MP_STATE: 0x4004ae99,
  NMI: 0xae9a,
  SET_GUEST_DEBUG: 0x4048ae9b,
  GET_VCPU_EVENTS: 0x8040ae9f,
  SET_VCPU_EVENTS: 0x4040aea0,
  GET_DEBUGREGS: 0x8080aea1,
  SET_DEBUGREGS: 0x4080aea2,
  GET_XSAVE: 0x9000aea4,
  SET_XSAVE: 0x5000aea5,
  GET_XCRS: 0x8188aea6,
  SET_XCRS: 0x4188aea7,
  GET_TSC_KHZ: 0xaea3,
  KVMCLOCK_CTRL: 0xaead,
  SMI: 0xaeb7,
} as const;

/** Extension numbers for CHECK_EXTENSION, named without `KVM_CAP_`. */
export const Cap = {
  IRQCHIP: 0,
  USER_MEMORY: 3,
  SET_TSS_ADDR: 4,
  EXT_CPUID: 7,
  NR_VCPUS: 9,
  NR_MEMSLOTS: 10,
  MP_STATE: 14,
  COALESCED_MMIO: 15,
  DESTROY_MEMORY_REGION_WORKS: 21,
  USER_NMI: 22,
  SET_GUEST_DEBUG: 23,
  IRQ_ROUTING: 25,
  JOIN_MEMORY_REGIONS_WORKS: 30,
  IRQFD: 32,
  PIT2: 33,
  PIT_STATE2: 35,
  IOEVENTFD: 36,
  SET_IDENTITY_MAP_ADDR: 37,
  ADJUST_CLOCK: 39,
  INTERNAL_ERROR_DATA: 40,
  VCPU_EVENTS: 41,
  DEBUGREGS: 50,
  XSAVE: 55,
  XCRS: 56,
  MAX_VCPUS: 66,
  SIGNAL_MSI: 77,
  READONLY_MEM: 81,
  X86_SMM: 117,
  SPLIT_IRQCHIP: 121,
  IMMEDIATE_EXIT: 136,
} as const;

/** Flags of `struct kvm_userspace_memory_region`. */
export const MemFlag = { LOG_DIRTY_PAGES: 1, READONLY: 2 } as const;

/** `struct kvm_run` offsets. */
export const Run = {
  REQUEST_INTERRUPT_WINDOW: 0, // u8
  IMMEDIATE_EXIT: 1, // u8
  EXIT_REASON: 8, // u32
  READY_FOR_INTERRUPT_INJECTION: 12, // u8
  IF_FLAG: 13, // u8
  FLAGS: 14, // u16
  CR8: 16, // u64
  APIC_BASE: 24, // u64
  /** Start of the union whose member depends on the exit reason. */
  UNION: 32,
  IO_DIRECTION: 32, // u8, 1 = out
  IO_SIZE: 33, // u8
  IO_PORT: 34, // u16
  IO_COUNT: 36, // u32
  IO_DATA_OFFSET: 40, // u64, from the start of kvm_run
  MMIO_PHYS_ADDR: 32, // u64
  MMIO_DATA: 40, // u8[8]
  MMIO_LEN: 48, // u32
  MMIO_IS_WRITE: 52, // u8
  HW_EXIT_REASON: 32, // u64
  FAIL_ENTRY_CPU: 40, // u32
  INTERNAL_SUBERROR: 32, // u32
  INTERNAL_NDATA: 36, // u32
  INTERNAL_DATA: 40, // u64[16]
  EMULATION_FLAGS: 40, // u64, bit 0: instruction bytes valid
  EMULATION_INSN_SIZE: 48, // u8
  EMULATION_INSN_BYTES: 49, // u8[15]
  DEBUG_EXCEPTION: 32, // u32
  DEBUG_PC: 40, // u64
  DEBUG_DR6: 48, // u64
  DEBUG_DR7: 56, // u64
  TPR_ACCESS_RIP: 32, // u64
  EOI_VECTOR: 32, // u8
  SYSTEM_EVENT_TYPE: 32, // u32
} as const;

/** KVM_EXIT_* numbers. */
export const Exit = {
  UNKNOWN: 0,
  EXCEPTION: 1,
  IO: 2,
  HYPERCALL: 3,
  DEBUG: 4,
  HLT: 5,
  MMIO: 6,
  IRQ_WINDOW_OPEN: 7,
  SHUTDOWN: 8,
  FAIL_ENTRY: 9,
  INTR: 10,
  SET_TPR: 11,
  TPR_ACCESS: 12,
  NMI: 16,
  INTERNAL_ERROR: 17,
  SYSTEM_EVENT: 24,
  IOAPIC_EOI: 26,
  X86_RDMSR: 29,
  X86_WRMSR: 30,
} as const;

/** Names of the exit reasons by number, for counting and messages. */
export const exitNames: readonly string[] = [
  "unknown",
  "exception",
  "io",
  "hypercall",
  "debug",
  "hlt",
  "mmio",
  "irq_window",
  "shutdown",
  "fail_entry",
  "signal",
  "set_tpr",
  "tpr_access",
  "s390_sieic",
  "s390_reset",
  "dcr",
  "nmi",
  "internal_error",
  "osi",
  "papr_hcall",
  "s390_ucontrol",
  "watchdog",
  "s390_tsch",
  "epr",
  "system_event",
  "s390_stsi",
  "ioapic_eoi",
  "hyperv",
  "arm_nisv",
  "rdmsr",
  "wrmsr",
  "dirty_ring_full",
  "ap_reset_hold",
  "bus_lock",
  "xen",
  "riscv_sbi",
  "riscv_csr",
  "notify",
  "loongarch_iocsr",
  "memory_fault",
];

/** KVM_MP_STATE_* numbers, in the order of their values. */
export const mpStates = [
  "runnable",
  "uninitialized",
  "init-received",
  "halted",
  "sipi-received",
] as const;

/** Bits of `kvm_guest_debug.control`. */
export const GuestDbg = {
  ENABLE: 1,
  SINGLESTEP: 2,
  USE_SW_BP: 0x10000,
  USE_HW_BP: 0x20000,
  INJECT_BP: 0x80000,
} as const;

/** INTERNAL_ERROR suberrors, as api.rst names them. */
export const Suberror = { EMULATION: 1, SIMUL_EX: 2, DELIVERY_EV: 3, UNEXPECTED_EXIT: 4 } as const;
