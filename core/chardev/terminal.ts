/**
 * The program's own terminal: raw while `stdio` is used, put back as it was at the end, however the
 * program ends.
 */

let raw: { signals: boolean } | undefined;
let hooked = false;

/** Raw mode. With `signals` Ctrl-C and Ctrl-Z still act on the program. */
export function enterRawMode(signals: boolean): void {
  if (!Deno.stdin.isTerminal()) return;
  raw = { signals };
  apply();
  if (hooked) return;
  hooked = true;
  globalThis.addEventListener("unload", restoreTerminal);
  Deno.addSignalListener("SIGCONT", apply);
}

function apply(): void {
  if (raw) Deno.stdin.setRaw(true, { cbreak: raw.signals });
}

/** Puts the terminal back; harmless when it was never changed. */
export function restoreTerminal(): void {
  if (!raw) return;
  raw = undefined;
  Deno.removeSignalListener("SIGCONT", apply);
  hooked = false;
  globalThis.removeEventListener("unload", restoreTerminal);
  try {
    Deno.stdin.setRaw(false);
  } catch {
    // The terminal has gone away.
  }
}
