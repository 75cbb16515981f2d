/** Errors whose message is meant for the user: printed in QEMU's style, never as a stack trace. */

/**
 * A mistake in what the user gave (option, file, monitor argument). `cli.ts` prints
 * `qemu-system-x86_64: MESSAGE` and exits with `status`; the monitor prints `Error: MESSAGE`.
 */
export class UserError extends Error {
  override name = "UserError";
  constructor(message: string, readonly status = 1, readonly hint?: string) {
    super(message);
  }
}
