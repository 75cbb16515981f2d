/** A small isolinux CD that asks what to boot, on VGA and COM1. */
import { makeIso } from "../../firmware/demo/iso9660.ts";
import { cached } from "./cache.ts";
import { debianPackage } from "./debian.ts";

const config = `SERIAL 0 115200
PROMPT 1
TIMEOUT 0
LABEL next
  LOCALBOOT -1
`;

/** `next` at its prompt hands back to the BIOS, for the next boot device. */
export function isolinuxIso(): Promise<string> {
  return cached("isolinux/prompt-2.iso", async (temp) => {
    const isolinux = await debianPackage("isolinux", "all");
    const syslinux = await debianPackage("syslinux-common", "all");
    const file = (path: string, from: string) => ({ path, data: Deno.readFileSync(from) });
    const files = [
      file("isolinux/isolinux.bin", `${isolinux}/usr/lib/ISOLINUX/isolinux.bin`),
      file("isolinux/ldlinux.c32", `${syslinux}/usr/lib/syslinux/modules/bios/ldlinux.c32`),
      { path: "isolinux/isolinux.cfg", data: new TextEncoder().encode(config) },
    ];
    const entry = {
      path: "isolinux/isolinux.bin",
      emulation: "none",
      loadSectors: 4,
      bootInfoTable: true,
    } as const;
    const boot = { catalog: "isolinux/boot.cat", entries: [entry] };
    Deno.writeFileSync(temp, makeIso({ volumeId: "QENO_PROMPT", files, boot }));
  });
}
