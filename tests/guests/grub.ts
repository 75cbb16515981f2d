/** CDs that start Linux or Xen through GRUB 2, on COM1. */
import { type IsoFile, makeIso } from "../../firmware/demo/iso9660.ts";
import { SECTOR } from "../../firmware/demo/iso9660_records.ts";
import { cached } from "./cache.ts";
import { debianPackage } from "./debian.ts";
import { dom0Initrd, type LinuxFlavour, linuxInitrd, linuxKernel } from "./linux.ts";
import { xenKernel } from "./xen.ts";

/** Change it when a recipe changes, so that caches are made anew. */
const REVISION = 1;

/** Where GRUB's own CD images look for modules and configuration. */
const PREFIX = "boot/grub";

const head = `insmod serial
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
`;

/**
 * GRUB's boot image for CDs (cdboot.img and core.img): the one on the rescue CD of Debian's package,
 * found through that CD's boot catalog ("El Torito" 1.0, figures 2, 4 and 7) and the boot info
 * table that says how long it is.
 */
async function eltoritoImage(): Promise<Uint8Array> {
  const dir = await debianPackage("grub-rescue-pc", "amd64");
  const cd = Deno.readFileSync(`${dir}/usr/lib/grub-rescue/grub-rescue-cdrom.iso`);
  const view = new DataView(cd.buffer);
  const bootRecord = 17 * SECTOR;
  const catalog = view.getUint32(bootRecord + 0x47, true) * SECTOR;
  const image = view.getUint32(catalog + 0x20 + 8, true) * SECTOR;
  return cd.slice(image, image + view.getUint32(image + 16, true));
}

/** A CD that starts GRUB with `config` and has GRUB's modules beside `files`. */
async function grubIso(volumeId: string, config: string, files: IsoFile[]): Promise<Uint8Array> {
  const modules = `${await debianPackage("grub-pc-bin", "amd64")}/usr/lib/grub/i386-pc`;
  const image = `${PREFIX}/i386-pc/eltorito.img`;
  const all: IsoFile[] = [
    { path: image, data: await eltoritoImage() },
    { path: `${PREFIX}/grub.cfg`, data: new TextEncoder().encode(head + config) },
    ...files,
  ];
  for (const { name } of Deno.readDirSync(modules)) {
    if (!/\.(mod|lst)$/.test(name)) continue;
    const data = Deno.readFileSync(`${modules}/${name}`);
    all.push({ path: `${PREFIX}/i386-pc/${name}`, data });
  }
  const entry = { path: image, emulation: "none", loadSectors: 4, bootInfoTable: true } as const;
  return makeIso({ volumeId, files: all, boot: { entries: [entry] }, rockRidge: true });
}

function bootFiles(files: Record<string, string>): IsoFile[] {
  return Object.entries(files).map(([name, from]) => ({
    path: `boot/${name}`,
    data: Deno.readFileSync(from),
  }));
}

/** A CD on which GRUB starts the kernel with the interactive initrd, on COM1. */
export function grubLinuxIso(flavour: LinuxFlavour): Promise<string> {
  return cached(`linux-${flavour}/grub-${REVISION}.iso`, async (temp) => {
    const config = `menuentry "Linux" {
  linux /boot/vmlinuz console=ttyS0,115200
  initrd /boot/initrd.gz
}
`;
    const files = bootFiles({
      "vmlinuz": await linuxKernel(flavour),
      "initrd.gz": await linuxInitrd(flavour),
    });
    Deno.writeFileSync(temp, await grubIso("QENO_GRUB", config, files));
  });
}

/** A CD on which GRUB starts Xen by multiboot 2, with the kernel as its dom0, on COM1. */
export function grubXenIso(flavour: LinuxFlavour): Promise<string> {
  return cached(`linux-${flavour}/grub-xen-${REVISION}.iso`, async (temp) => {
    const config = `menuentry "Xen" {
  multiboot2 /boot/xen com1=115200,8n1 console=com1
  module2 /boot/vmlinuz console=hvc0
  module2 /boot/initrd.gz
}
`;
    const files = bootFiles({
      "xen": await xenKernel(),
      "vmlinuz": await linuxKernel(flavour),
      "initrd.gz": await dom0Initrd(flavour),
    });
    Deno.writeFileSync(temp, await grubIso("QENO_XEN", config, files));
  });
}
