/** File names for Tab. */

/** Paths that begin with `typed`; directories end in a slash. */
export function completeFile(typed: string): string[] {
  const slash = typed.lastIndexOf("/") + 1, directory = typed.slice(0, slash);
  const start = typed.slice(slash), out: string[] = [];
  try {
    for (const e of Deno.readDirSync(directory === "" ? "." : directory)) {
      if (!e.name.startsWith(start)) continue;
      const path = directory + e.name;
      out.push(isDirectory(path) ? path + "/" : path);
    }
  } catch {
    // Nothing there that could be listed.
  }
  return out;
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
