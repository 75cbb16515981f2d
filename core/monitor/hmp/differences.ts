/** HMP commands that do not do all that QEMU 7.2's do, and why; the others answer as QEMU's. */
export const MONITOR_DIFFERENCES: readonly (readonly [commands: string, note: string])[] = [
  ["accel, info accel, info exits", "this program's own"],
  ["info version", "qeno's version stands where QEMU's package has its"],
  [
    "x /i, xp /i",
    "CBW and CWD in 16-bit code have their names; newer instructions than QEMU's are known, not XOP",
  ],
  ["info registers", "x87 state after a reset is the processor's (FCW=0040)"],
  ["info mtree -d", "there is no dispatch tree: as without it"],
  ["info mtree -D", "no disabled regions are kept: as without it"],
  ["info mtree", "no ports for ACPI hot-plugging, no address spaces of bus masters"],
  ["info jit", "instructions executed, as there are no translated blocks of QEMU's kind"],
  ["info ramblock", "offsets are those in the shared memory; no blocks for tables"],
  ["info trace-events, trace-event", "there are no trace events"],
  ["info qdm, device_add help", "the types there are"],
  [
    "device_add, device_del",
    "PCI functions of a pc; the guest is not told (no ACPI hot-plugging): it has to rescan, and a " +
    "device leaves at the next reset",
  ],
  ["qom-list, qom-get, qom-set, info qom-tree", "no memory regions, interrupt lines and buses"],
  [
    "info virtio-status, info virtio-queue-status, info virtio-queue-element, " +
    "info virtio-vhost-queue-status",
    "no path is that of a VirtIO device",
  ],
  ["object_add, netdev_add", "there is nothing that could be added"],
  ["drive_add", "drives without an interface; no device can be given one later"],
  ["block_resize, block_stream, drive_mirror, drive_backup", "no block jobs, no resizing"],
  ["snapshot_blkdev, savevm, loadvm, delvm", "no image format that keeps snapshots"],
  ["nbd_server_start, nbd_server_add, qemu-io", "refused: no NBD server, no qemu-io"],
  ["block_set_io_throttle", "limits other than none are refused"],
  ["migrate and what belongs to it", "refused once its arguments are right"],
  ["calc_dirty_rate", "refused once its arguments are right"],
  ["gdbserver", "no gdb stub: no device can be opened for it"],
  ["chardev-change", "only for a device that nothing uses"],
  ["dump-guest-memory", "uncompressed; -p only while the guest does not page"],
  ["mce", "only errors that end a guest without machine checks"],
  ["singlestep, sync-profile", "accepted; they change nothing"],
  ["screendump", "of the first display"],
];
