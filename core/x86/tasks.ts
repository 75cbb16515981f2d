import type { Cpu } from "./cpu.ts";

/** Hardware task switch. */
export function switchTask(
  _c: Cpu,
  _s: number,
  _k: "gate" | "jmp" | "call" | "iret",
  _e = 0,
): void {
  throw new Error("task switch");
}
