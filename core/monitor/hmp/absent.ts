/** What commands do whose subject this program does not have: QEMU's words for a machine without it. */
import { UserError } from "../../errors.ts";
import type { Handler } from "./command.ts";

/** A command that can only be refused. */
export function refuse(text: string): Handler {
  return () => {
    throw new UserError(text);
  };
}

/** A command with one answer. */
export function say(text: string): Handler {
  return (h) => h.print(text);
}

/** A command with nothing to act on, and no answer. */
export const nothing: Handler = () => {};

/** QEMU's words for what a program was built without. */
export function notEnabled(feature: string): UserError {
  return new UserError(`The feature '${feature}' is not enabled`);
}
