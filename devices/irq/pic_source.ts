/**
 * The 8259 pair as the processor's interrupt source, for processors without a local APIC
 * (`-cpu 486`, `isapc`): INT is wired to INTR, INTA goes to the pair.
 */
import type { InterruptSource } from "../../core/accel.ts";
import type { I8259 } from "./i8259.ts";

export class PicSource implements InterruptSource {
  readonly tpr = 0;
  readonly apicBase = 0n;

  constructor(private readonly pic: I8259) {}

  acknowledge(): number {
    return this.pic.output ? this.pic.acknowledge() : -1;
  }

  setTpr(_value: number): void {}

  /** There is no IA32_APIC_BASE without an APIC: #GP. */
  setApicBase(_value: bigint): boolean {
    return false;
  }

  readMsr(_index: number): bigint | undefined {
    return undefined;
  }

  writeMsr(_index: number, _value: bigint): boolean {
    return false;
  }
}
