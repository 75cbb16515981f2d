/** Where virtio-rng gets its numbers: `rng-builtin` and `rng-random`. */
import { UserError } from "../../core/errors.ts";
import type { RngOptions } from "../../core/options/config.ts";
import { strerror } from "../../core/options/host.ts";
import type { RngBackend } from "./virtio_rng.ts";

const POOL = 65536;

/** The host's random source. */
export const builtinRng: RngBackend = {
  fill(bytes) {
    for (let at = 0; at < bytes.length; at += POOL) {
      crypto.getRandomValues(bytes.subarray(at, at + POOL) as Uint8Array<ArrayBuffer>);
    }
  },
};

/** Throws UserError when the file of an `rng-random` cannot be opened. */
export function openRng(options: RngOptions): RngBackend {
  const { file } = options;
  if (file === undefined) return builtinRng;
  let handle: Deno.FsFile;
  try {
    handle = Deno.openSync(file);
  } catch (e) {
    throw new UserError(`Could not open '${file}': ${strerror(e)}`);
  }
  return {
    fill(bytes) {
      for (let done = 0, ended = false; done < bytes.length;) {
        const n = readSome(handle, bytes.subarray(done));
        done += n;
        if (n > 0) ended = false;
        else if (ended) return builtinRng.fill(bytes.subarray(done)); // an empty file
        else {
          ended = true;
          rewind(handle);
        }
      }
    },
  };
}

/** A file that has ended begins again. */
function rewind(file: Deno.FsFile): void {
  try {
    file.seekSync(0, Deno.SeekMode.Start);
  } catch {
    // A pipe has no beginning.
  }
}

function readSome(file: Deno.FsFile, into: Uint8Array): number {
  try {
    return file.readSync(into) ?? 0;
  } catch {
    return 0;
  }
}
