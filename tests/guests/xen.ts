/** Xen as Debian packs it. */
import { cached } from "./cache.ts";
import { debianPackage } from "./debian.ts";

/** The hypervisor, unpacked: an ELF image with multiboot and multiboot 2 headers. */
export function xenKernel(): Promise<string> {
  return cached("xen-4.17/xen", async (temp) => {
    const dir = await debianPackage("xen-hypervisor-4.17-amd64", "amd64");
    const name = [...Deno.readDirSync(`${dir}/boot`)].find((f) =>
      /^xen-.*\.gz$/.test(f.name)
    )!.name;
    using packed = await Deno.open(`${dir}/boot/${name}`);
    await Deno.writeFile(temp, packed.readable.pipeThrough(new DecompressionStream("gzip")));
  });
}
