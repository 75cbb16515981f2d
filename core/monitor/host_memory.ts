/** Where guest storage lies in this process. */
import type { GuestMemory } from "../memory/guest_memory.ts";

/** Host virtual address of an offset into the shared memory. */
export function hostAddress(memory: GuestMemory, offset: number): bigint {
  const base = Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory.u8));
  return base + BigInt(offset);
}
