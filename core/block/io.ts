/** How storage controllers use a drive: requests with statistics, cache mode and error policy. */
import { BlockError, type Drive, settle } from "./block.ts";

export type DriveOp = "read" | "write" | "flush" | "discard";

/**
 * One request at byte `offset` of the drive's medium. Calls `done` or `fail` exactly once: before
 * returning when the back end is synchronous. Under `werror=stop` neither is called until the machine
 * runs again and the request is retried; under `ignore` a failed request counts as done.
 *
 * @param length bytes, for `discard` only; otherwise `buffer.length`
 */
export function driveIo(
  drive: Drive,
  op: DriveOp,
  offset: number,
  buffer: Uint8Array | undefined,
  done: () => void,
  fail: (e: BlockError) => void,
  length = buffer?.length ?? 0,
): void {
  const medium = drive.medium;
  if (medium === undefined) return fail(new BlockError("ENOMEDIUM", "No medium found"));
  if (op !== "flush" && (offset < 0 || offset + length > medium.size)) {
    return fail(new BlockError("EIO", "Input/output error"));
  }
  settle(
    () => {
      if (op === "read") return medium.read(offset, buffer!);
      if (op === "write") {
        const r = medium.write(offset, buffer!);
        if (!drive.writeThrough) return r;
        return r === undefined ? medium.flush() : r.then(() => medium.flush());
      }
      if (op === "discard") return medium.discard?.(offset, length);
      return drive.ignoreFlushes ? undefined : medium.flush();
    },
    () => {
      const s = drive.stats;
      if (op === "read") {
        s.rdOps++;
        s.rdBytes += length;
      } else if (op === "write") {
        s.wrOps++;
        s.wrBytes += length;
      } else if (op === "flush") s.flushOps++;
      done();
    },
    (e) => {
      const action = drive.errorAction?.(op === "read", e) ?? "report";
      if (action === "ignore") done();
      else if (action === "stop" && drive.retryOnResume) {
        drive.retryOnResume(() => driveIo(drive, op, offset, buffer, done, fail, length));
      } else fail(e);
    },
  );
}
