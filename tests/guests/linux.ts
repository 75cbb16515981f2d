/** Linux guests: Debian kernels with a busybox initrd, and an isolinux CD around them. */
import { makeIso } from "../../firmware/demo/iso9660.ts";
import { cached } from "./cache.ts";
import { type CpioEntry, gzip, makeCpio } from "./cpio.ts";
import { debianPackage } from "./debian.ts";
import { kernelVersion, moduleEntries } from "./modules.ts";

/** Which kernel: Debian's for i686 without PAE, for any amd64 PC, for amd64 virtual machines. */
export type LinuxFlavour = "686" | "amd64" | "cloud-amd64";

/** Change it when a recipe changes, so that caches are made anew. */
const REVISION = 3;

/** What the guest prints on every console when its init has run; behind it, `cpus=N`. */
export const INIT_MARKER = "QENO-INIT-OK";
/** Printed before {@link INIT_MARKER} when the CD could be mounted on `/cdrom`. */
export const CD_MARKER = "QENO-CD-OK";
/** The file on the CD that says so, and its text. */
export const CD_FILE = "qeno.txt";

/** Loaded by the guest's init. */
const bootModules = [
  "button",
  "evdev",
  "ata_piix",
  "ahci",
  "sr_mod",
  "sd_mod",
  "isofs",
  "virtio_pci",
  "virtio_blk",
];
/** There for modprobe. */
const moreModules = [
  "psmouse",
  "floppy",
  "e1000",
  "8139cp",
  "ne2k-pci",
  "virtio_net",
  "virtio_console",
  "virtio_rng",
  "vfat",
  "nls_cp437",
  "nls_ascii",
  "loop",
  "qemu_fw_cfg",
  "pcspkr",
];

/** Where the interactive guest prints its markers and runs shells. */
type Consoles = readonly string[];
const PC_CONSOLES: Consoles = ["ttyS0", "tty1"];

const rcS = (consoles: Consoles) =>
  `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /run /tmp /cdrom
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
for m in ${bootModules.join(" ")}; do modprobe $m 2>/dev/null; done
acpid -l /dev/null 2>/dev/null
say() { for t in ${
    consoles.map((c) => `/dev/${c}`).join(" ")
  }; do { echo "$1" > $t; } 2>/dev/null; done; }
# The ATA probe runs in the kernel's own time.
i=0
while [ ! -b /dev/sr0 ] && [ $i -lt 20 ] && grep -q cdrom=wait /proc/cmdline; do
  sleep 1; i=$((i+1))
done
mount -t iso9660 -o ro /dev/sr0 /cdrom 2>/dev/null && say "$(cat /cdrom/${CD_FILE} 2>/dev/null)"
say "${INIT_MARKER} cpus=$(nproc) kernel=$(uname -r)"
`;

const inittab = (consoles: Consoles) =>
  `::sysinit:/etc/rcS
${consoles.map((c) => `${c}::respawn:-/bin/sh\n`).join("")}::ctrlaltdel:/bin/reboot
::shutdown:/bin/umount /cdrom
`;

const powerButton = `#!/bin/sh
exec /bin/poweroff
`;

/** Phases of the bench guest, in order; each prints {@link benchMarker} when it is over. */
export const benchPhases = ["init", "md5", "loop", "gzip", "fork"] as const;
export type BenchPhase = typeof benchPhases[number];

/** The line that ends a phase. */
export function benchMarker(phase: BenchPhase): string {
  return `QENO-BENCH ${phase}`;
}

const benchInit = `#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
exec >/dev/console 2>&1
echo "${benchMarker("init")} $(nproc)"
dd if=/dev/zero bs=1M count=64 2>/dev/null | md5sum
echo "${benchMarker("md5")}"
i=0
while [ $i -lt 100000 ]; do i=$((i+1)); done
echo "${benchMarker("loop")}"
dd if=/dev/zero bs=1M count=16 2>/dev/null | gzip -9 | wc -c
echo "${benchMarker("gzip")}"
i=0
while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done
echo "${benchMarker("fork")}"
poweroff -f
`;

function arch(flavour: LinuxFlavour): "i386" | "amd64" {
  return flavour === "686" ? "i386" : "amd64";
}

/** The kernel image (bzImage). */
export function linuxKernel(flavour: LinuxFlavour): Promise<string> {
  return cached(`linux-${flavour}/vmlinuz`, async (temp) => {
    const dir = await debianPackage(`linux-image-${flavour}`, arch(flavour));
    Deno.copyFileSync(`${dir}/boot/vmlinuz-${kernelVersion(dir)}`, temp);
  });
}

async function busybox(flavour: LinuxFlavour): Promise<CpioEntry[]> {
  const dir = await debianPackage("busybox-static", arch(flavour));
  return [
    { path: "dev/console", device: [5, 1], mode: 0o600 },
    { path: "dev/null", device: [1, 3], mode: 0o666 },
    { path: "bin/busybox", data: Deno.readFileSync(`${dir}/bin/busybox`) },
    { path: "bin/sh", link: "busybox" },
    { path: "sbin", link: "bin" },
    { path: "proc" },
    { path: "sys" },
  ];
}

/**
 * The interactive initrd: shells on ttyS0 and tty1, modules for IDE, AHCI, CD, floppy, network and
 * virtio, the power button. `poweroff` and `reboot` work.
 */
export function linuxInitrd(flavour: LinuxFlavour): Promise<string> {
  return interactiveInitrd(flavour, `linux-${flavour}/initrd-${REVISION}.gz`, PC_CONSOLES);
}

/** The same with its shell on hvc0, the console that Xen gives its dom0. */
export function dom0Initrd(flavour: LinuxFlavour): Promise<string> {
  return interactiveInitrd(flavour, `linux-${flavour}/dom0-initrd-${REVISION}.gz`, ["hvc0"]);
}

function interactiveInitrd(flavour: LinuxFlavour, name: string, on: Consoles): Promise<string> {
  return cached(name, async (temp) => {
    const dir = await debianPackage(`linux-image-${flavour}`, arch(flavour));
    const archive = makeCpio([
      ...await busybox(flavour),
      {
        path: "init",
        data: "#!/bin/sh\n/bin/busybox --install -s /bin\nexec /bin/busybox init\n",
      },
      { path: "etc/inittab", data: inittab(on), mode: 0o644 },
      { path: "etc/rcS", data: rcS(on) },
      { path: "etc/profile", data: "export PS1='# ' HOME=/root\n", mode: 0o644 },
      { path: "etc/acpi/PWRF/00000080", data: powerButton },
      { path: "root" },
      ...moduleEntries(dir, [...bootModules, ...moreModules]),
    ]);
    Deno.writeFileSync(temp, await gzip(archive));
  });
}

/** The bench initrd: runs its phases, printing their markers on the console, then powers off. */
export function benchInitrd(flavour: LinuxFlavour): Promise<string> {
  return cached(`linux-${flavour}/bench-${REVISION}.gz`, async (temp) => {
    const archive = makeCpio([...await busybox(flavour), { path: "init", data: benchInit }]);
    Deno.writeFileSync(temp, await gzip(archive));
  });
}

const isolinuxConfig = (options: string) =>
  `SERIAL 0 115200
DEFAULT linux
PROMPT 0
TIMEOUT 0
LABEL linux
  KERNEL /boot/vmlinuz
  INITRD /boot/initrd.gz
  APPEND ${options}
LABEL quiet
  KERNEL /boot/vmlinuz
  INITRD /boot/initrd.gz
  APPEND ${options} quiet
`;

/** A CD that boots the kernel and the interactive initrd under isolinux, on VGA and COM1. */
export function linuxIso(flavour: LinuxFlavour): Promise<string> {
  return cached(`linux-${flavour}/linux-${REVISION}.iso`, async (temp) => {
    const isolinux = await debianPackage("isolinux", "all");
    const syslinux = await debianPackage("syslinux-common", "all");
    const text = new TextEncoder();
    // The kernel for virtual machines has no driver for q35's CD drive.
    const wait = flavour === "cloud-amd64" ? "" : " cdrom=wait";
    const options = `console=tty0 console=ttyS0,115200${wait}`;
    Deno.writeFileSync(
      temp,
      makeIso({
        volumeId: "QENO_LINUX",
        files: [
          {
            path: "isolinux/isolinux.bin",
            data: Deno.readFileSync(`${isolinux}/usr/lib/ISOLINUX/isolinux.bin`),
          },
          {
            path: "isolinux/ldlinux.c32",
            data: Deno.readFileSync(`${syslinux}/usr/lib/syslinux/modules/bios/ldlinux.c32`),
          },
          { path: "isolinux/isolinux.cfg", data: text.encode(isolinuxConfig(options)) },
          { path: "boot/vmlinuz", data: Deno.readFileSync(await linuxKernel(flavour)) },
          { path: "boot/initrd.gz", data: Deno.readFileSync(await linuxInitrd(flavour)) },
          { path: CD_FILE, data: text.encode(CD_MARKER + "\n") },
        ],
        boot: {
          catalog: "isolinux/boot.cat",
          entries: [{
            path: "isolinux/isolinux.bin",
            emulation: "none",
            loadSectors: 4,
            bootInfoTable: true,
          }],
        },
        rockRidge: true,
      }),
    );
  });
}
