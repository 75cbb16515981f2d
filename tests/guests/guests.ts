/** Every guest medium that tests can ask for, by name. */
import { cached } from "./cache.ts";
import { type Arch, debianPackage } from "./debian.ts";
import { grubLinuxIso, grubXenIso } from "./grub.ts";
import { isolinuxIso } from "./isolinux.ts";
import { benchInitrd, dom0Initrd, linuxInitrd, linuxIso, linuxKernel } from "./linux.ts";
import { xenKernel } from "./xen.ts";

export { GuestUnavailable } from "./cache.ts";
export { benchMarker, type BenchPhase, benchPhases, CD_MARKER, INIT_MARKER } from "./linux.ts";

export interface Guest {
  readonly description: string;
  /** The path of the medium, made if the cache lacks it. Throws GuestUnavailable. */
  make(): Promise<string>;
}

function fromPackage(description: string, pkg: string, arch: Arch, path: string): Guest {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return {
    description,
    make: () =>
      cached(`${pkg}/${name}`, async (temp) => {
        const dir = await debianPackage(pkg, arch);
        Deno.copyFileSync(`${dir}/${path}`, temp);
      }),
  };
}

/** One of the two files that start Debian's installer on a text screen. */
function installer(arch: "amd64" | "i386", file: "linux" | "initrd.gz"): Guest {
  const below = `images/12/${arch}/text/debian-installer/${arch}`;
  return fromPackage(
    `Debian's installer for ${arch}, text: ${file}`,
    `debian-installer-12-netboot-${arch}`,
    "all",
    `usr/lib/debian-installer/${below}/${file}`,
  );
}

const memtest = "usr/lib/memtest86+", grub = "usr/lib/grub-rescue", sea = "usr/share/seabios";

export const guests = {
  "linux686-iso": {
    description: "isolinux CD: Debian's 686 kernel, busybox shells on ttyS0 and tty1",
    make: () => linuxIso("686"),
  },
  "linux686-kernel": { description: "its bzImage", make: () => linuxKernel("686") },
  "linux686-initrd": { description: "its initrd", make: () => linuxInitrd("686") },
  "linux686-bench": { description: "initrd with timed phases", make: () => benchInitrd("686") },
  "linuxamd64-iso": {
    description: "the same CD with Debian's amd64 kernel",
    make: () => linuxIso("amd64"),
  },
  "linuxamd64-kernel": { description: "its bzImage", make: () => linuxKernel("amd64") },
  "linuxamd64-initrd": { description: "its initrd", make: () => linuxInitrd("amd64") },
  "linuxcloud-iso": {
    description: "the same CD with Debian's amd64 kernel for virtual machines",
    make: () => linuxIso("cloud-amd64"),
  },
  "linuxcloud-kernel": {
    description: "its bzImage",
    make: () => linuxKernel("cloud-amd64"),
  },
  "linuxcloud-initrd": { description: "its initrd", make: () => linuxInitrd("cloud-amd64") },
  "linuxcloud-bench": {
    description: "initrd with timed phases, 64-bit",
    make: () => benchInitrd("cloud-amd64"),
  },
  "memtest-ia32-iso": fromPackage(
    "memtest86+ CD, 32-bit",
    "memtest86+",
    "amd64",
    `${memtest}/memtest86+ia32.iso`,
  ),
  "memtest-ia32-bin": fromPackage(
    "memtest86+ as a bzImage, 32-bit",
    "memtest86+",
    "amd64",
    "boot/memtest86+ia32.bin",
  ),
  "memtest-x64-iso": fromPackage(
    "memtest86+ CD, 64-bit",
    "memtest86+",
    "amd64",
    `${memtest}/memtest86+x64.iso`,
  ),
  "memtest-x64-bin": fromPackage(
    "memtest86+ as a bzImage, 64-bit",
    "memtest86+",
    "amd64",
    "boot/memtest86+x64.bin",
  ),
  "grub-rescue-iso": fromPackage(
    "GRUB's rescue CD",
    "grub-rescue-pc",
    "amd64",
    `${grub}/grub-rescue-cdrom.iso`,
  ),
  "grub-rescue-floppy": fromPackage(
    "GRUB's rescue floppy",
    "grub-rescue-pc",
    "amd64",
    `${grub}/grub-rescue-floppy.img`,
  ),
  "linuxamd64-grub": {
    description: "GRUB CD: Debian's amd64 kernel, busybox shell on ttyS0",
    make: () => grubLinuxIso("amd64"),
  },
  "linuxcloud-grub": {
    description: "the same with the kernel for virtual machines",
    make: () => grubLinuxIso("cloud-amd64"),
  },
  "xen-kernel": { description: "Xen 4.17, multiboot", make: xenKernel },
  "xen-dom0-initrd": {
    description: "initrd for the amd64 kernel as Xen's dom0",
    make: () => dom0Initrd("amd64"),
  },
  "xen-grub": {
    description: "GRUB CD: Xen 4.17 by multiboot 2 with Debian's amd64 kernel as dom0",
    make: () => grubXenIso("amd64"),
  },
  "installer-amd64-kernel": installer("amd64", "linux"),
  "installer-amd64-initrd": installer("amd64", "initrd.gz"),
  "installer-i386-kernel": installer("i386", "linux"),
  "installer-i386-initrd": installer("i386", "initrd.gz"),
  "isolinux-iso": { description: "isolinux CD that asks what to boot", make: isolinuxIso },
  "ipxe-iso": fromPackage("iPXE's CD", "ipxe", "all", "usr/lib/ipxe/ipxe.iso"),
  "seabios": fromPackage("SeaBIOS, 128 KiB", "seabios", "all", `${sea}/bios.bin`),
  "seabios-256k": fromPackage("SeaBIOS, 256 KiB", "seabios", "all", `${sea}/bios-256k.bin`),
  "seabios-microvm": fromPackage(
    "SeaBIOS for microvm",
    "seabios",
    "all",
    `${sea}/bios-microvm.bin`,
  ),
  "vgabios-stdvga": fromPackage(
    "SeaBIOS' VGA BIOS for stdvga",
    "seabios",
    "all",
    `${sea}/vgabios-stdvga.bin`,
  ),
  "ovmf-code": fromPackage("OVMF, read-only part", "ovmf", "all", "usr/share/OVMF/OVMF_CODE.fd"),
  "ovmf-vars": fromPackage("OVMF's variables", "ovmf", "all", "usr/share/OVMF/OVMF_VARS.fd"),
} satisfies Record<string, Guest>;

export type GuestName = keyof typeof guests;

/** The path of a guest medium. Throws GuestUnavailable with the reason. */
export function guest(name: GuestName): Promise<string> {
  return guests[name].make();
}
