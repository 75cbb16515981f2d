/** Places a VGA's legacy ports and its memory window at A0000, whatever bus it sits on. */
import type { AddressSpace, Mapping } from "../../core/memory/address_space.ts";
import { ramRegion } from "../../core/memory/region.ts";
import type { Vga } from "./vga.ts";

/** Over system RAM. The linear piece of the window lies one above the register-mapped window. */
export const VGA_WINDOW_PRIORITY = 1;

const WINDOW_BASE = 0xa0000;

/** Maps ports and window and keeps the window's fast path in step. Returns the undo. */
export function mapLegacyVga(vga: Vga, mem: AddressSpace, io: AddressSpace): () => void {
  const ports = [...vga.ports, vga.dispiPorts].map((p) => io.map(p.region, p.port));
  const window = mem.map(vga.window, WINDOW_BASE, VGA_WINDOW_PRIORITY);
  let linear: Mapping | undefined;
  const follow = () =>
    mem.transaction(() => {
      if (linear !== undefined) mem.unmap(linear);
      const w = vga.linearWindow;
      linear = w && mem.map(
        ramRegion("vga.chain4", vga.vram, {
          blockOffset: w.vramOffset,
          size: w.size,
          dirtyLog: true,
        }),
        WINDOW_BASE + w.windowOffset,
        VGA_WINDOW_PRIORITY + 1,
      );
    });
  vga.onWindowChange = follow;
  follow();
  return () => {
    vga.onWindowChange = () => {};
    mem.transaction(() => {
      if (linear !== undefined) mem.unmap(linear);
      mem.unmap(window);
    });
    for (const p of ports) io.unmap(p);
  };
}
