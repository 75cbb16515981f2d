/** A Linux guest that tries out its virtio devices, says what it found, and powers off. */
import { cached } from "./cache.ts";
import { gzip, makeCpio } from "./cpio.ts";
import { debianPackage } from "./debian.ts";
import { moduleEntries } from "./modules.ts";

/** Change it when the recipe changes. */
const REVISION = 1;

const MODULES = [
  ...["virtio_pci", "virtio_mmio", "virtio_blk", "virtio_console", "virtio_rng"],
  ...["virtio_balloon", "button"],
];

/** What it writes to the console `/dev/hvc0`. */
export const HVC_TEXT = "QENO-HVC-OK";

/**
 * `/dev/vda` is read as a whole, its first half copied to its second, and read again; `/dev/hwrng`
 * gives 4096 bytes twice. Each line is `QENO WHAT …`.
 */
const init = `#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
exec >/dev/console 2>&1
for m in ${MODULES.join(" ")}; do modprobe $m; done
i=0
while [ ! -b /dev/vda ] && [ $i -lt 20 ]; do sleep 0.2; i=$((i+1)); done
size=$(cat /sys/block/vda/size)
echo "QENO disk $size serial=$(cat /sys/block/vda/serial) ro=$(cat /sys/block/vda/ro)"
echo "QENO before $(md5sum < /dev/vda)"
half=$((size / 16))
if [ $(cat /sys/block/vda/ro) = 0 ]; then
  dd if=/dev/vda of=/dev/vda bs=4096 count=$half seek=$half conv=fsync 2>/dev/null
  echo 3 > /proc/sys/vm/drop_caches
  echo "QENO after $(md5sum < /dev/vda)"
fi
head -c 4096 /dev/hwrng > /r1
head -c 4096 /dev/hwrng > /r2
cmp -s /r1 /r2 && echo "QENO rng repeats" || echo "QENO rng $(cat /r1 /r2 | wc -c)"
[ -c /dev/hvc0 ] && echo "${HVC_TEXT} $(ls /dev/vport* 2>/dev/null | wc -l)" > /dev/hvc0
for p in /sys/class/virtio-ports/*/name; do [ -f $p ] && echo "QENO port $(cat $p)"; done
grep -E "virtio|CPU0" /proc/interrupts | sed "s/^/QENO irq /"
echo "QENO done"
poweroff -f
`;

/** The initrd, for Debian's kernel for virtual machines. */
export function virtioInitrd(): Promise<string> {
  return cached(`linux-cloud-amd64/virtio-${REVISION}.gz`, async (temp) => {
    const kernel = await debianPackage("linux-image-cloud-amd64", "amd64");
    const busybox = await debianPackage("busybox-static", "amd64");
    const archive = makeCpio([
      { path: "bin/busybox", data: Deno.readFileSync(`${busybox}/bin/busybox`) },
      { path: "bin/sh", link: "busybox" },
      { path: "dev/console", device: [5, 1], mode: 0o600 },
      { path: "proc" },
      { path: "sys" },
      { path: "init", data: init },
      ...moduleEntries(kernel, MODULES),
    ]);
    Deno.writeFileSync(temp, await gzip(archive));
  });
}
