/**
 * Commands whose subjects this program lacks, or that change what is plugged in: the words and the
 * errors are those of Debian's QEMU 7.2 for the same machine.
 */
import { assertEquals } from "../../core/std/assert.ts";
import { answers, BARE, both, differences, ignore } from "./pair.ts";

const SCRIPT = `announce_self
announce_self a b
announce_self a b c
balloon
balloon 10
balloon x
block_job_cancel
block_job_cancel foo
block_job_cancel -f foo
block_job_complete
block_job_complete foo
block_job_pause foo
block_job_resume foo
block_job_set_speed
block_job_set_speed foo
block_job_set_speed foo 1
block_resize
block_resize foo
block_resize foo 1
block_resize foo x
block_resize foo -1
block_set_io_throttle
block_set_io_throttle foo 1 2 3 4 5 6
block_set_io_throttle foo 1
block_stream
block_stream foo
block_stream foo 1 bar
calc_dirty_rate
calc_dirty_rate 0
calc_dirty_rate 100
calc_dirty_rate 1 1
calc_dirty_rate -r -b 1
cancel_vcpu_dirty_limit
cancel_vcpu_dirty_limit 0
chardev-change
chardev-change foo
chardev-change foo null
chardev-change compat_monitor0 null
chardev-send-break
chardev-send-break foo
chardev-send-break compat_monitor0
client_migrate_info
client_migrate_info spice localhost
client_migrate_info spice localhost 1
client_migrate_info foo localhost 1
closefd
closefd foo
delvm
delvm foo
device_add
device_add foo
device_add isa-serial
device_add VGA,help
device_add VGA
device_add pci-testdev,id=p1
device_add pci-testdev,id=p1
device_add pci-testdev,id=p2,foo=1
device_add pci-testdev,id=1x
device_add pci-testdev,addr=99
device_del
device_del foo
device_del p1
device_del p1
drive_add
drive_add 0
drive_add 0 if=none
drive_add 0 if=none,id=foo
drive_backup
drive_backup foo
drive_del
drive_del foo
drive_mirror
drive_mirror foo bar
dumpdtb
exit_preconfig
expire_password
expire_password vnc
expire_password vnc now
expire_password spice now
expire_password foo now
expire_password vnc now -d foo
expire_password vnc xyz
getfd
getfd foo
getfd 1foo
hostfwd_add
hostfwd_add tcp::1-:2
hostfwd_add foo tcp::1-:2
hostfwd_remove
hostfwd_remove tcp::1
hostfwd_remove foo tcp::1
loadvm
loadvm foo
savevm
savevm foo
info snapshots
info balloon
info block-jobs
info capture
info dirty_rate
info dump
info hotpluggable-cpus
info iothreads
info memdev
info memory-devices
info migrate
info migrate_capabilities
info migrate_parameters
info opcount
info profile
info rdma
info replay
info rocker
info rocker foo
info rocker-of-dpa-flows foo
info rocker-of-dpa-flows foo 1
info rocker-of-dpa-groups foo
info rocker-of-dpa-groups foo 1
info rocker-ports foo
info sev
info sgx
info spice
info stats
info stats vm
info stats vcpu
info stats foo
info stats vm foo
info stats vm * kvm
info sync-profile
info sync-profile -m
info sync-profile -n 5
info sync-profile -1
info tpm
info trace-events foo
info trace-events vfio_vga_* 0
info trace-events foo 7
info usbhost
info usernet
info vcpu_dirty_limit
info virtio
info virtio-queue-element /foo 0
info virtio-queue-status /foo 0
info virtio-status /foo
info virtio-status
info virtio-vhost-queue-status /foo 0
info vm-generation-id
info vnc
mce
mce 0 1 2 3 4 5
mce 9 1 2 3 4 5
mce 0 99 2 3 4 5
migrate
migrate foo
migrate_cancel
migrate_continue
migrate_continue foo
migrate_incoming
migrate_incoming tcp:x
migrate_incoming defer
migrate_pause
migrate_recover
migrate_recover foo
info migrate_capabilities
info migrate_parameters
migrate_start_postcopy
nbd_server_add
nbd_server_add foo
nbd_server_add -w foo bar
nbd_server_remove
nbd_server_remove foo
nbd_server_remove -f foo
nbd_server_start
nbd_server_start foo
nbd_server_start -a foo
object_del
object_del foo
info memdev
object_del m
pcie_aer_inject_error
pcie_aer_inject_error foo
pcie_aer_inject_error foo 1
pcie_aer_inject_error foo COR_INTERNAL
qemu-io
qemu-io foo
qemu-io foo "help"
qemu-io -d foo "help"
replay_break
replay_break 1
replay_break -1
replay_delete_break
replay_seek
replay_seek 1
ringbuf_read
ringbuf_read foo
ringbuf_read foo 1
ringbuf_read compat_monitor0 1
ringbuf_write
ringbuf_write foo
ringbuf_write foo bar
ringbuf_write compat_monitor0 foo
set_link
set_link foo
set_link foo on
set_link foo off
set_link foo bar
set_password
set_password vnc
set_password vnc abc
set_password spice abc
set_password foo abc
set_password vnc abc keep
set_password vnc abc disconnect
set_password vnc abc foo
set_password vnc abc -d vnc2
set_password vnc abc -d vnc2 keep
set_vcpu_dirty_limit
set_vcpu_dirty_limit 1
singlestep
singlestep on
singlestep off
singlestep foo
snapshot_blkdev
snapshot_blkdev foo
snapshot_blkdev foo bar
snapshot_blkdev -n foo bar qcow2
snapshot_blkdev_internal
snapshot_blkdev_internal foo bar
snapshot_delete_blkdev_internal foo bar
snapshot_delete_blkdev_internal foo bar baz
stopcapture
stopcapture 0
stopcapture x
sync-profile
sync-profile on
sync-profile
sync-profile reset
sync-profile off
sync-profile foo
trace-event
trace-event foo
trace-event foo on
trace-event foo bar
watchdog_action
watchdog_action foo
watchdog_action reset
watchdog_action inject-nmi
wavcapture
x_colo_lost_heartbeat
info usb
info numa
info network
change vnc
change vnc foo
change vnc x y z
change floppy0 foo
change foo
change foo bar baz qux
commit foo
x_colo
usb_add
usb_del x
savevm a b
loadvm a b
mouse_button
mouse_button -1
mouse_button 8
mouse_button x
change vnc -f x
change vnc password foo
change vnc -f password foo retain
device_add foo,help
device_add driver=pci-testdev,id=z
device_add id=z
device_del isa.0
device_add pci-testdev,bus=foo
device_add pci-testdev,bus=isa.0
device_add isa-debug-exit
device_add pci-testdev,addr=3.1
device_add pci-testdev,addr=3
device_add pci-testdev,addr=4,multifunction=on,id=m0
device_add pci-testdev,addr=4.1,id=m1
device_del m0
device_del m0
qom-list /objects
qom-get /objects/pc.ram size
qom-list
qom-list /chardevs/compat_monitor0
qom-get /chardevs/compat_monitor0 type
qom-get /chardevs/compat_monitor0 addr
info qom-tree /chardevs
qom-get /machine
qom-get /machine type
qom-get /foo type
qom-get /machine foo
qom-get /machine smm
qom-get /machine smp
qom-get /machine memory
qom-list /foo
qom-set
qom-set /machine foo
qom-set /machine foo 1
qom-set /foo foo 1
qom-set -j /machine foo {
info qom-tree /foo
info qom-tree nosuch
qom-get m0 membar
qom-get m0 type
qom-set m0 membar 5
qom-set m0 hotplugged on
qom-set m0 type x
object_del pc.ram
chardev-add ringbuf,id=r,size=16
ringbuf_write r "abc\\n\\\\d"
ringbuf_read r 10
ringbuf_read r 0
ringbuf_read r 3
chardev-change r null
chardev-change r foo
info chardev
chardev-send-break r
quit
`;

Deno.test({ name: "what is not there is told of in QEMU's words", ignore }, async () => {
  const [theirs, ours] = await both([...BARE, "-S"], SCRIPT);
  assertEquals(differences(answers(ours.output), answers(theirs.output)), "");
  assertEquals([ours.status, theirs.status], [0, 0]);
});

const CPUS = "info hotpluggable-cpus\ninfo memdev\ninfo numa\nquit\n";

for (
  const options of [
    ["-smp", "2,maxcpus=4"],
    ["-smp", "4,cores=2,threads=2", "-cpu", "pentium3"],
    ["-smp", "2,sockets=1,dies=2"],
    ["-object", "memory-backend-ram,id=m0,size=16M", "-numa", "node,memdev=m0"],
  ]
) {
  Deno.test({ name: `CPUs and memory of ${options.join(" ")}`, ignore }, async () => {
    const [theirs, ours] = await both([...BARE, "-S", ...options], CPUS);
    assertEquals(differences(answers(ours.output), answers(theirs.output)), "");
  });
}

Deno.test(
  { name: "a device that has been asked to leave does at the next reset", ignore },
  async () => {
    const script = "device_add pci-testdev,id=z,addr=5\ninfo pci\ndevice_del z\ndevice_del z\n" +
      "system_reset\ninfo status\ninfo status\ninfo pci\ndevice_del z\nquit\n";
    const lines = async () => {
      const found = (text: string) =>
        answers(text).filter((l) => /device +5,|unplug$|not found$/.test(l));
      const [theirs, ours] = await both([...BARE, "-S"], script);
      return [found(ours.output), found(theirs.output)];
    };
    const [own, wanted] = await lines();
    assertEquals(own, wanted);
    assertEquals(own.length, 3);
  },
);
