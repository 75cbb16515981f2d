/** The cache of guest media: `.cache/guests` under the repository, or `$QENO_GUESTS`. */

/** A guest can't be made here; the message says why, for tests to skip with. */
export class GuestUnavailable extends Error {
  override name = "GuestUnavailable";
}

export function cacheDir(): string {
  const own = Deno.env.get("QENO_GUESTS");
  const dir = own || decodeURIComponent(new URL("../../.cache/guests", import.meta.url).pathname);
  Deno.mkdirSync(dir, { recursive: true });
  return dir;
}

export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * The path of cache entry `name`, made by `build` when missing. `build` writes to the path it is
 * given (a file or a directory); it gets its final name when it is complete, so that several
 * processes may make the same entry at once.
 */
export async function cached(
  name: string,
  build: (temp: string) => Promise<void>,
): Promise<string> {
  const path = `${cacheDir()}/${name}`;
  if (exists(path)) return path;
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  const temp = `${path}.${Deno.pid}-${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    await build(temp);
    try {
      Deno.renameSync(temp, path);
    } catch (e) {
      if (!exists(path)) throw e; // another process was faster
    }
  } finally {
    if (exists(temp)) Deno.removeSync(temp, { recursive: true });
  }
  return path;
}

/** Runs `f` while no other process of this cache does. */
export async function exclusively<T>(f: () => Promise<T>): Promise<T> {
  using file = Deno.openSync(`${cacheDir()}/lock`, { create: true, write: true });
  await file.lock(true);
  try {
    return await f();
  } finally {
    file.unlockSync();
  }
}
