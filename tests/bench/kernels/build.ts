/** The measured programs as one multiboot kernel, compiled with the host's gcc. */
import { cached, exists, GuestUnavailable } from "../../guests/cache.ts";

/** What the kernel says on COM1 when it is over, in order; the first is its start. */
export const PROGRAMS = [
  "start",
  "sieve",
  "sha1",
  "qsort",
  "fib",
  "matmul-sse2",
  "matmul-x87",
] as const;

const COMMON = [
  ..."-m32 -march=i686 -O2 -ffreestanding -nostdlib -fno-pic -fno-builtin".split(" "),
  ..."-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables".split(" "),
  "-fno-tree-vectorize",
];
const X87 = ["-mno-sse", "-mno-mmx", "-mfpmath=387"];
const SOURCES: [file: string, flags: string[]][] = [
  ["start.S", []],
  ["main.c", X87],
  ["sieve.c", X87],
  ["sha1.c", X87],
  ["qsort.c", X87],
  ["fib.c", ["-fno-optimize-sibling-calls", "-fno-inline", ...X87]],
  ["matmul_sse2.c", ["-msse2", "-mfpmath=sse"]],
  ["matmul_x87.c", X87],
];

async function gcc(args: string[]): Promise<void> {
  let out: Deno.CommandOutput;
  try {
    out = await new Deno.Command("gcc", { args, stdin: "null", stdout: "null", stderr: "piped" })
      .output();
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) throw new GuestUnavailable("gcc is not installed");
    throw e;
  }
  if (out.success) return;
  const lines = new TextDecoder().decode(out.stderr).trim().split("\n");
  throw new GuestUnavailable(`gcc: ${lines.find((l) => l.includes("error")) ?? lines[0]}`);
}

/** A name that changes with the sources and the flags. */
async function fingerprint(dir: string): Promise<string> {
  const names = [...Deno.readDirSync(dir)].map((e) => e.name).filter((n) => !/\.ts$/.test(n));
  const parts = names.sort().map((n) => `${n}\0${Deno.readTextFileSync(`${dir}/${n}`)}`);
  const text = JSON.stringify([COMMON, SOURCES, parts]);
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(hash).toHex().slice(0, 16);
}

/** The path of the kernel. Throws GuestUnavailable when it cannot be compiled here. */
export async function benchKernel(): Promise<string> {
  const dir = decodeURIComponent(new URL(".", import.meta.url).pathname).replace(/\/$/, "");
  return await cached(`bench-kernel/${await fingerprint(dir)}.elf`, async (temp) => {
    const objects: string[] = [];
    try {
      for (const [file, flags] of SOURCES) {
        const object = `${temp}-${file}.o`;
        objects.push(object);
        await gcc([...COMMON, ...flags, "-c", `${dir}/${file}`, "-o", object]);
      }
      const link = ["-m32", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none"];
      await gcc([...link, "-Wl,-T", `-Wl,${dir}/kernel.ld`, ...objects, "-o", temp]);
    } finally {
      for (const o of objects) if (exists(o)) Deno.removeSync(o);
    }
  });
}
