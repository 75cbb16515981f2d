/** How the build tasks end when something is wrong. */

/** What the caller can do something about: printed without a stack. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Prints one line and ends with status 1. */
export function fail(task: string, e: unknown): never {
  console.error(`${task}: ${(e as Error).message}`);
  if (!(e instanceof UsageError) && Deno.env.has("QENO_DEBUG")) console.error(e);
  Deno.exit(1);
}
