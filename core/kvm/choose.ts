/**
 * Takes the first accelerator that can be initialised, in QEMU's words: a failure is told on stderr,
 * the next one announced by `falling back to NAME`. Under `-enable-kvm` (ours) there is one warning
 * instead.
 */
import type { Accelerator } from "../accel.ts";
import { UserError } from "../errors.ts";
import { KvmUnavailable } from "./accel.ts";

/** As `core/options` resolves them. */
export interface AcceleratorRequest {
  readonly name: "tcg" | "kvm";
  readonly props: ReadonlyMap<string, string>;
  /** Where it was asked for, such as `-accel kvm`, or empty. */
  readonly loc: string;
}

export interface ChooseOptions {
  readonly accels: readonly AcceleratorRequest[];
  /** `-enable-kvm`: warn and fall back. */
  readonly enableKvm: boolean;
  /** An unknown accelerator stood before these: the one taken is a fallback. */
  readonly accelFallback: boolean;
  readonly programName: string;
}

/**
 * @param make opens an accelerator or throws {@link UserError}
 * @param print a line for stderr, without its newline
 * @throws UserError of the last one when none works
 */
export function chooseAccelerator(
  options: ChooseOptions,
  make: (request: AcceleratorRequest) => Accelerator,
  print: (line: string) => void,
): Accelerator {
  const { accels, programName } = options;
  let fallback = options.accelFallback;
  for (const [i, request] of accels.entries()) {
    try {
      const accelerator = make(request);
      if (fallback) print(`${programName}: falling back to ${request.name}`);
      return accelerator;
    } catch (e) {
      if (!(e instanceof UserError)) throw e;
      const detail = e instanceof KvmUnavailable ? e.detail : undefined;
      const last = i === accels.length - 1;
      if (options.enableKvm && !last) {
        const why = (detail ?? e.message).split("\n")[0];
        print(`${programName}: warning: ${why}; falling back to ${accels[i + 1].name}`);
        continue;
      }
      if (detail !== undefined) print(detail);
      const message = request.loc ? `${request.loc}: ${e.message}` : e.message;
      if (last) throw new UserError(message, e.status, e.hint);
      print(`${programName}: ${message}`);
      fallback = true;
    }
  }
  throw new UserError("no accelerator found");
}
