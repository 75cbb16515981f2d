/** Whole reads and writes of host files at an offset, with errors as {@link BlockError}. */
import { toBlockError } from "./host_errors.ts";

/** Fills `into` from byte `offset`; what lies behind the end of the file reads as zeros. */
export function readAt(file: Deno.FsFile, offset: number, into: Uint8Array): void {
  try {
    file.seekSync(offset, Deno.SeekMode.Start);
    for (let done = 0; done < into.length;) {
      const n = file.readSync(into.subarray(done));
      if (n === null || n === 0) {
        into.fill(0, done);
        return;
      }
      done += n;
    }
  } catch (e) {
    throw toBlockError(e);
  }
}

/** Writes all of `from` at byte `offset`. */
export function writeAt(file: Deno.FsFile, offset: number, from: Uint8Array): void {
  try {
    file.seekSync(offset, Deno.SeekMode.Start);
    for (let done = 0; done < from.length;) done += file.writeSync(from.subarray(done));
  } catch (e) {
    throw toBlockError(e);
  }
}
