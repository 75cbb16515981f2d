/**
 * `deno task bundle [FILE]`: one executable file that needs nothing but a shell and its usual
 * tools (tail, gzip, tar). It is a shell script with an archive behind it: this Deno and the program's
 * sources. The first run unpacks it into the cache directory under a name made from its content.
 */
import { fail, UsageError } from "./report.ts";

const ROOT = new URL("../../", import.meta.url);
const PARTS = ["core", "devices", "firmware"];
const SINGLE = ["main.ts", "deno.json", "LICENSE"];

/** Regular files of the program below `dir`, relative to the root, in a fixed order. */
function programFiles(): string[] {
  const found: string[] = [];
  const walk = (dir: string) => {
    const entries = [...Deno.readDirSync(new URL(dir, ROOT))]
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const e of entries) {
      if (e.name.startsWith(".")) continue;
      if (e.isDirectory) walk(`${dir}/${e.name}`);
      else if (e.isFile && !/_test\.tsx?$/.test(e.name)) found.push(`${dir}/${e.name}`);
    }
  };
  for (const part of PARTS) walk(part);
  for (const name of SINGLE) {
    try {
      if (Deno.statSync(new URL(name, ROOT)).isFile) found.push(name);
    } catch {
      // Not part of this checkout.
    }
  }
  return found.filter((f) => !f.startsWith("core/build/"));
}

const BLOCK = 512;

/** A ustar header (POSIX.1-1988) for a file of `size` bytes. */
function tarHeader(name: string, size: number, mode: number): Uint8Array {
  const h = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => h.set(new TextEncoder().encode(text), at);
  const octal = (n: number, width: number) => n.toString(8).padStart(width - 1, "0") + "\0";
  if (name.length > 100) throw new UsageError(`${name}: the name is too long for the archive`);
  put(0, name);
  put(100, octal(mode, 8));
  put(108, octal(0, 8));
  put(116, octal(0, 8));
  put(124, octal(size, 12));
  put(136, octal(0, 12));
  put(148, "        ");
  put(156, "0");
  put(257, "ustar\x0000");
  put(148, octal(h.reduce((a, b) => a + b, 0), 7) + " ");
  return h;
}

/** The archive: the program and Deno. Times and owners are zero, so the same input gives the same. */
function makeArchive(): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  const add = (name: string, data: Uint8Array, mode: number) => {
    chunks.push(tarHeader(name, data.length, mode), data);
    chunks.push(new Uint8Array((BLOCK - data.length % BLOCK) % BLOCK));
  };
  for (const name of programFiles()) add(name, Deno.readFileSync(new URL(name, ROOT)), 0o644);
  add("deno", Deno.readFileSync(Deno.execPath()), 0o755);
  chunks.push(new Uint8Array(2 * BLOCK));
  const all = new Uint8Array(chunks.reduce((n, c) => n + c.length, 0));
  let at = 0;
  for (const c of chunks) {
    all.set(c, at);
    at += c.length;
  }
  return all;
}

async function gzip(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Writes the executable file `output`. */
export async function bundle(output: string): Promise<void> {
  const archive = makeArchive();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", archive));
  const name = [...digest.subarray(0, 12)].map((b) => b.toString(16).padStart(2, "0")).join("");
  const template = Deno.readTextFileSync(new URL("header.sh", import.meta.url))
    .replace("@NAME@", name);
  // The offset's own digits count: nine of them are always enough and always there.
  const size = new TextEncoder().encode(template.replace("@OFFSET@", "0".repeat(9))).length;
  const header = template.replace("@OFFSET@", String(size + 1).padEnd(9));
  const dir = output.slice(0, output.lastIndexOf("/") + 1);
  if (dir !== "") Deno.mkdirSync(dir, { recursive: true });
  using file = Deno.openSync(output, { write: true, create: true, truncate: true });
  const payload = await gzip(archive);
  for (const part of [new TextEncoder().encode(header), payload]) {
    for (let b = part; b.length > 0;) b = b.subarray(file.writeSync(b));
  }
  Deno.chmodSync(output, 0o755);
}

if (import.meta.main) {
  const output = Deno.args[0] ?? "dist/qemu-system-x86_64";
  try {
    await bundle(output);
    const size = (Deno.statSync(output).size / 1e6).toFixed(0);
    console.log(`${output}: ${size} MB, for ${Deno.build.os} on ${Deno.build.arch}`);
  } catch (e) {
    fail("bundle", e);
  }
}
