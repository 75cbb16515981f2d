/** What the exit reasons mean: QEMU's words for failures, and lines for `-d exec`. */
import type { VmExit } from "../accel.ts";
import { Exit, exitNames, Run, Suberror } from "./abi.ts";

/** VM-entry failure, invalid guest state (SDM vol. 3C, appendix C: bit 31 and reason 33). */
const VMX_INVALID_GUEST_STATE = 0x80000021n;
const INVALID_STATE_TEXT = `
If you're running a guest on an Intel machine without unrestricted mode
support, the failure can be most likely due to the guest entering an invalid
state for Intel VT. For example, the guest maybe running in big real mode
which is not supported on less recent Intel processors.

`;

/** An exit that stops the machine. The message ends in a newline, as QEMU prints it. */
export function failure(reason: number, run: DataView): VmExit {
  return { reason: "internal-error", message: failureText(reason, run) };
}

function failureText(reason: number, run: DataView): string {
  const hardware = run.getBigUint64(Run.HW_EXIT_REASON, true);
  switch (reason) {
    case Exit.INTERNAL_ERROR:
      return internalErrorText(run);
    case Exit.FAIL_ENTRY:
      return `KVM: entry failed, hardware error 0x${hardware.toString(16)}\n` +
        (hardware === VMX_INVALID_GUEST_STATE ? INVALID_STATE_TEXT : "");
    case Exit.EXCEPTION:
      return `KVM: exception ${run.getUint32(Run.UNION, true)} exit (error code 0x` +
        `${run.getUint32(Run.UNION + 4, true).toString(16)})\n`;
    case Exit.UNKNOWN:
      return `KVM: unknown exit, hardware reason ${hardware.toString(16)}\n`;
    default:
      return `KVM: unknown exit reason ${reason}\n`;
  }
}

function internalErrorText(run: DataView): string {
  const suberror = run.getUint32(Run.INTERNAL_SUBERROR, true);
  const ndata = Math.min(run.getUint32(Run.INTERNAL_NDATA, true), 16);
  let text = `KVM internal error. Suberror: ${suberror}\n`;
  for (let i = 0; i < ndata; i++) {
    const word = run.getBigUint64(Run.INTERNAL_DATA + 8 * i, true);
    text += `extra data[${i}]: 0x${word.toString(16).padStart(16, "0")}\n`;
  }
  if (suberror === Suberror.EMULATION) text += "emulation failure\n";
  return text;
}

/** One line about an exit, before it is handled: what `-d exec` shows of the KVM_RUN loop. */
export function describeExit(index: number, reason: number, run: DataView): string {
  const name = exitNames[reason] ?? String(reason);
  return `KVM_RUN cpu ${index}: ${name}${detail(reason, run)}`;
}

function detail(reason: number, run: DataView): string {
  switch (reason) {
    case Exit.IO: {
      const out = run.getUint8(Run.IO_DIRECTION) === 1, size = run.getUint8(Run.IO_SIZE);
      const count = run.getUint32(Run.IO_COUNT, true);
      let text = ` ${out ? "out" : "in"} port 0x${hex(run.getUint16(Run.IO_PORT, true), 4)}` +
        ` size ${size}`;
      if (count !== 1) text += ` count ${count}`;
      if (out) text += ` value 0x${value(run, run.getUint32(Run.IO_DATA_OFFSET, true), size)}`;
      return text;
    }
    case Exit.MMIO: {
      const write = run.getUint8(Run.MMIO_IS_WRITE) !== 0;
      const length = Math.min(run.getUint32(Run.MMIO_LEN, true), 8);
      const address = run.getBigUint64(Run.MMIO_PHYS_ADDR, true);
      return ` ${write ? "write" : "read"} 0x${address.toString(16).padStart(8, "0")}` +
        ` size ${length}` + (write ? ` value 0x${value(run, Run.MMIO_DATA, length)}` : "");
    }
    case Exit.DEBUG:
      return ` pc 0x${run.getBigUint64(Run.DEBUG_PC, true).toString(16)}`;
    case Exit.IOAPIC_EOI:
      return ` vector 0x${hex(run.getUint8(Run.EOI_VECTOR), 2)}`;
    default:
      return "";
  }
}

function hex(n: number, digits: number): string {
  return n.toString(16).padStart(digits, "0");
}

/** `size` little-endian bytes as one number. */
function value(run: DataView, at: number, size: number): string {
  let text = "";
  for (let i = size - 1; i >= 0; i--) text += hex(run.getUint8(at + i), 2);
  return text;
}
