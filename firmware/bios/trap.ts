/** The trap port: takes a stub's frame to the handler of its function and back. */
import { log } from "../../core/log.ts";
import { type IoRegion, ioRegion } from "../../core/memory/region.ts";
import { type BiosHandler, type BiosMachine, FRAME_SIZE, FrameContext } from "./frame.ts";

/** Handlers by function number. */
export type HandlerTable = Map<number, BiosHandler>;

/** The region to map at {@link TRAP_PORT}. Unknown functions return to their caller unchanged. */
export function trapRegion(machine: BiosMachine, handlers: HandlerTable): IoRegion {
  const context = new FrameContext(machine);
  return ioRegion("bios-trap", 4, {
    read: () => 0xff,
    write(offset, size, value) {
      if (size !== 4 || offset !== 0 || value > 0x10ffef - FRAME_SIZE) {
        log("guest_errors", `bios-trap: write of ${size} bytes, 0x${value.toString(16)}`);
        return;
      }
      context.load(value);
      context.action = 0;
      const handler = handlers.get(context.fn);
      if (handler === undefined) {
        log("guest_errors", `bios-trap: no function 0x${context.fn.toString(16)}`);
      } else handler(context);
      context.store();
    },
  });
}
