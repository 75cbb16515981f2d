import type { Cpu } from "./cpu.ts";
import type { EventSource } from "./events.ts";

/** Event delivery in long mode. */
export function deliverLong(_c: Cpu, _v: number, _e: number, _s: EventSource): void {
  throw new Error("long mode event");
}
