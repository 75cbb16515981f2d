/** What a board needs from the machine it is part of. */
import type { Vcpu, Vm } from "../../core/accel.ts";
import type { Clock } from "../../core/clock.ts";
import type { AddressSpace } from "../../core/memory/address_space.ts";
import type { GuestMemory } from "../../core/memory/guest_memory.ts";

/** Why a reset was asked for: QMP's `ShutdownCause` names. */
export type ResetReason = "guest-reset" | "host-qmp-system-reset" | "subsystem-reset";
/** Why a shutdown was asked for. */
export type ShutdownReason = "guest-shutdown" | "guest-panic" | "host-qmp-quit";

export interface MachineEnv {
  readonly memory: GuestMemory;
  /** Physical addresses, 36 bits or more. */
  readonly mem: AddressSpace;
  /** The 65536 I/O ports. */
  readonly io: AddressSpace;
  readonly clock: Clock;
  readonly vm: Vm;
  /** The vCPU whose access is being served, or undefined when a device or the monitor makes it. */
  currentVcpu(): Vcpu | undefined;
  /** Each of these is carried out after the current instruction. */
  requestReset(reason: ResetReason): void;
  requestShutdown(reason: ShutdownReason): void;
  /** ACPI S3: the machine stops until it is woken. */
  requestSuspend(): void;
  /** Ends ACPI S3; does nothing in another state. */
  wakeup?(cause: "power-button" | "rtc" | "other"): void;
  /** Ends the process with `status` (`isa-debug-exit`). */
  exit(status: number): void;
  /** pvpanic: the guest's kernel has crashed. */
  panicked(event: "panicked" | "crash-loaded"): void;
}
