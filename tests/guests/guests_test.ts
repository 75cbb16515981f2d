import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { cached, cacheDir } from "./cache.ts";
import { gzip, makeCpio } from "./cpio.ts";
import { guest, GuestUnavailable } from "./guests.ts";

/** The entries of a newc archive: name to [mode, data as text]. */
function readCpio(b: Uint8Array): Map<string, [number, string]> {
  const found = new Map<string, [number, string]>();
  const latin1 = new TextDecoder("latin1");
  const ascii = (at: number, n: number) => latin1.decode(b.subarray(at, at + n));
  for (let at = 0; at < b.length;) {
    if (ascii(at, 6) !== "070701") break;
    const field = (i: number) => parseInt(ascii(at + 6 + 8 * i, 8), 16);
    const size = field(6), nameSize = field(11);
    const name = ascii(at + 110, nameSize - 1);
    const data = Math.ceil((at + 110 + nameSize) / 4) * 4;
    found.set(name, [field(1), ascii(data, size)]);
    at = Math.ceil((data + size) / 4) * 4;
  }
  return found;
}

Deno.test("cpio: parents come first, kinds and modes are the kernel's", () => {
  const archive = makeCpio([
    { path: "a/b/file", data: "hello", mode: 0o644 },
    { path: "a/link", link: "b/file" },
    { path: "dev/console", device: [5, 1], mode: 0o600 },
    { path: "empty" },
  ]);
  assertEquals(archive.length % 512, 0);
  assertEquals([...readCpio(archive)], [
    ["a", [0o40755, ""]],
    ["a/b", [0o40755, ""]],
    ["a/b/file", [0o100644, "hello"]],
    ["a/link", [0o120777, "b/file"]],
    ["dev", [0o40755, ""]],
    ["dev/console", [0o20600, ""]],
    ["empty", [0o40755, ""]],
    ["TRAILER!!!", [0, ""]],
  ]);
});

Deno.test("gzip gives a stream that unpacks to the input", async () => {
  const data = new Uint8Array(100000).map((_, i) => i >> 5);
  const packed = await gzip(data);
  assertEquals([...packed.subarray(0, 3)], [0x1f, 0x8b, 8]);
  const stream = new Blob([packed as Uint8Array<ArrayBuffer>]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  assertEquals(new Uint8Array(await new Response(stream).arrayBuffer()), data);
});

Deno.test("cached: builders racing for an entry leave one complete file", async () => {
  const name = `test-${crypto.randomUUID()}/x`;
  try {
    let built = 0;
    const build = async (temp: string) => {
      built++;
      await new Promise((r) => setTimeout(r, 1));
      Deno.writeTextFileSync(temp, "whole");
    };
    const paths = await Promise.all([cached(name, build), cached(name, build)]);
    assertEquals([paths[0], built], [paths[1], 2]);
    assertEquals(Deno.readTextFileSync(paths[0]), "whole");
    await cached(name, build);
    assertEquals(built, 2);
    const fails = () => Promise.reject(new GuestUnavailable("no apt"));
    await assertRejects(() => cached(name + "2", fails), GuestUnavailable, "no apt");
    const left = [...Deno.readDirSync(`${cacheDir()}/${name.slice(0, -2)}`)].map((f) => f.name);
    assertEquals(left, ["x"]);
  } finally {
    Deno.removeSync(`${cacheDir()}/${name.slice(0, -2)}`, { recursive: true });
  }
});

Deno.test("the 686 initrd has busybox, init and the modules a PC's CD needs", async (t) => {
  let path: string;
  try {
    path = await guest("linux686-initrd");
  } catch (e) {
    if (!(e instanceof GuestUnavailable)) throw e;
    await t.step({ name: `skipped: ${e.message}`, ignore: true, fn() {} });
    return;
  }
  const stream = (await Deno.open(path)).readable.pipeThrough(new DecompressionStream("gzip"));
  const found = readCpio(new Uint8Array(await new Response(stream).arrayBuffer()));
  for (const name of ["init", "bin/busybox", "etc/inittab", "etc/rcS"]) {
    assert(found.has(name), name);
  }
  assertEquals(found.get("bin/busybox")![1].slice(0, 4), "\x7fELF");
  const dep = [...found].find(([name]) => name.endsWith("modules.dep"))![1][1];
  const line = dep.split("\n").find((l) => l.includes("sr_mod.ko:"))!;
  assertStringIncludes(line, "cdrom.ko");
  assertStringIncludes(line, "scsi_mod.ko");
  for (const path of dep.matchAll(/\S+\.ko/g)) {
    assert([...found.keys()].some((n) => n.endsWith(path[0])), path[0]);
  }
});
