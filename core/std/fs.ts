/**
 * `@std/fs` over `node:fs`: the functions this project uses, same names and arguments. Mapping the
 * import to `jsr:@std/fs` in deno.json replaces this file.
 */
import { existsSync as nodeExists, mkdirSync } from "node:fs";

/** Whether a path exists. */
export function existsSync(path: string | URL): boolean {
  return nodeExists(path);
}

/** Makes a directory and its parents unless they exist. */
export function ensureDirSync(dir: string | URL): void {
  mkdirSync(dir, { recursive: true });
}
