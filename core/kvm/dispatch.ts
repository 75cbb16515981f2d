/** Carries a KVM_EXIT_IO or KVM_EXIT_MMIO described in `struct kvm_run` to the address spaces. */
import type { AddressSpace } from "../memory/address_space.ts";
import { Run } from "./abi.ts";

/** One or more accesses to one port (REP INS/OUTS gives a count); IN results go back in place. */
export function dispatchIo(run: DataView, io: AddressSpace): void {
  const size = run.getUint8(Run.IO_SIZE), port = run.getUint16(Run.IO_PORT, true);
  const count = run.getUint32(Run.IO_COUNT, true);
  const data = run.getUint32(Run.IO_DATA_OFFSET, true);
  if (run.getUint8(Run.IO_DIRECTION) === 1) {
    for (let i = 0, at = data; i < count; i++, at += size) {
      if (size === 1) io.write(port, 1, run.getUint8(at));
      else if (size === 2) io.write(port, 2, run.getUint16(at, true));
      else io.write(port, 4, run.getUint32(at, true));
    }
  } else {
    for (let i = 0, at = data; i < count; i++, at += size) {
      if (size === 1) run.setUint8(at, io.read(port, 1));
      else if (size === 2) run.setUint16(at, io.read(port, 2), true);
      else run.setUint32(at, io.read(port, 4), true);
    }
  }
}

/** One access of 1 to 8 bytes, as pieces of 4, 2 and 1, low first. */
export function dispatchMmio(run: DataView, mem: AddressSpace): void {
  const low = run.getUint32(Run.MMIO_PHYS_ADDR, true);
  const addr = run.getUint32(Run.MMIO_PHYS_ADDR + 4, true) * 2 ** 32 + low;
  const length = Math.min(run.getUint32(Run.MMIO_LEN, true), 8);
  if (run.getUint8(Run.MMIO_IS_WRITE) !== 0) writeMmio(run, Run.MMIO_DATA, mem, addr, length);
  else readMmio(run, Run.MMIO_DATA, mem, addr, length);
}

/** Writes `length` bytes at `at` of a page that KVM has filled. */
export function writeMmio(
  page: DataView,
  at: number,
  mem: AddressSpace,
  addr: number,
  length: number,
): void {
  for (const end = at + length; at < end;) {
    const size = end - at >= 4 ? 4 : end - at >= 2 ? 2 : 1;
    if (size === 4) mem.write(addr, 4, page.getUint32(at, true));
    else if (size === 2) mem.write(addr, 2, page.getUint16(at, true));
    else mem.write(addr, 1, page.getUint8(at));
    at += size;
    addr += size;
  }
}

function readMmio(
  page: DataView,
  at: number,
  mem: AddressSpace,
  addr: number,
  length: number,
): void {
  for (const end = at + length; at < end;) {
    const size = end - at >= 4 ? 4 : end - at >= 2 ? 2 : 1;
    if (size === 4) page.setUint32(at, mem.read(addr, 4), true);
    else if (size === 2) page.setUint16(at, mem.read(addr, 2), true);
    else page.setUint8(at, mem.read(addr, 1));
    at += size;
    addr += size;
  }
}
