/**
 * HMP commands about drives that come and go, block jobs, exports, and machine states kept in images.
 * Drives are raw files here: there are no jobs, no NBD server and no image that keeps states; what
 * QEMU 7.2 says of such a machine is said here.
 */
import type { DriveImpl } from "../../block/drive.ts";
import { UserError } from "../../errors.ts";
import type { DriveInterface, DriveOptions } from "../../options/config.ts";
import { drivePlaces, DriveTable } from "../../options/drives.ts";
import { EarlyExit } from "../../options/host.ts";
import { DRIVE_OPTS } from "../../options/lists.ts";
import { OptsGroups } from "../../options/qemu_opts.ts";
import { notEnabled, refuse, say } from "./absent.ts";
import type { Args } from "./args.ts";
import { type Command, type Handler, type Hmp, monitorHost } from "./command.ts";

/** A drive with a medium; `unknown` is said of a name that no drive has. */
function withMedium(h: Hmp, name: string, unknown: string): DriveImpl {
  const drive = h.target.blocks.find(name);
  if (drive === undefined) throw new UserError(unknown);
  if (drive.medium === undefined) throw new UserError(`Device '${name}' has no medium`);
  return drive;
}

function byNodeName(h: Hmp, name: string): DriveImpl {
  return withMedium(h, name, `Cannot find device='${name}' nor node-name='${name}'`);
}

function byDevice(h: Hmp, name: string): DriveImpl {
  return withMedium(h, name, `Cannot find device='${name}' nor node-name=''`);
}

/** A job on a drive that may not be there. */
function needsJobs(find: (h: Hmp, name: string) => DriveImpl): Handler {
  return (h, args) => {
    find(h, args.string("device"));
    throw notEnabled("block-jobs");
  };
}

const noJob: Handler = (_h, args) => {
  throw new UserError(`Block job '${args.string("device")}' not found`);
};

function blockResize(h: Hmp, args: Args): void {
  byDevice(h, args.string("device"));
  throw new UserError("Image format driver does not support resize");
}

function throttle(h: Hmp, args: Args): void {
  const name = args.string("device"), drive = h.target.blocks.find(name);
  if (drive === undefined) throw new UserError(`Device '${name}' not found`);
  if (drive.medium === undefined) throw new UserError("Device has no medium");
  const limit = (key: string) => args.number(key) !== 0n;
  const both = (kind: string) => limit(kind) && (limit(`${kind}_rd`) || limit(`${kind}_wr`));
  if (both("bps") || both("iops")) {
    throw new UserError(
      "bps/iops/max total values and read/write values cannot be used at the same time",
    );
  }
  const names = ["bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"];
  if (names.some(limit)) throw notEnabled("throttling");
}

function snapshotFile(h: Hmp, args: Args): void {
  if (args.text("snapshot-file") === undefined) {
    throw new UserError("Parameter 'snapshot-file' is missing");
  }
  byDevice(h, args.string("device"));
  throw notEnabled("qcow2");
}

function snapshotInternal(h: Hmp, args: Args): void {
  const name = args.string("device"), { medium } = byNodeName(h, name);
  throw new UserError(
    `Block format '${medium!.format}' used by device '${name}' does not support internal snapshots`,
  );
}

function snapshotDelete(h: Hmp, args: Args): void {
  byNodeName(h, args.string("device"));
  throw new UserError("Failed to get a snapshot list: Operation not supported");
}

function nbdStart(_h: Hmp, args: Args): void {
  const uri = args.string("uri");
  if (!uri.includes(":")) throw new UserError(`error parsing address '${uri}'`);
  throw notEnabled("nbd");
}

function nbdAdd(h: Hmp, args: Args): void {
  byNodeName(h, args.string("device"));
  throw new UserError("NBD server not running");
}

function qemuIo(h: Hmp, args: Args): void {
  const name = args.string("device"), drive = h.target.blocks.find(name);
  if (drive === undefined) {
    throw new UserError(
      args.flag("qdev")
        ? `Device '${name}' not found`
        : `Cannot find device='' nor node-name='${name}'`,
    );
  }
  throw notEnabled("qemu-io");
}

/** Images that can be written and cannot hold a state, or none that could hold one. */
function stateless(h: Hmp): UserError | undefined {
  const writable = h.target.blocks.drives.find((d) => d.medium && !d.medium.readonly);
  return writable &&
    new UserError(`Device '${writable.name}' is writable but does not support snapshots`);
}

const needsVmstate: Handler = (h) => {
  throw stateless(h) ?? new UserError("no block device can store vmstate for snapshot");
};

const delvm: Handler = (h) => {
  const error = stateless(h);
  if (error !== undefined) throw error;
};

/** Numbers of interfaces in QEMU's message. */
const INTERFACE_NUMBERS: Partial<Record<DriveInterface, number>> = {
  ...{ none: 0, ide: 1, scsi: 2, floppy: 3, pflash: 4, mtd: 5, sd: 6, virtio: 7 },
};

/** Adds a drive for a device to come; only drives without an interface can be added. */
function driveAdd(h: Hmp, args: Args): void {
  const { config, blocks } = h.target, host = monitorHost(h);
  if (args.flag("node")) return h.print("'node-name' needs to be specified\n");
  const type = /(?:^|,)if=(\w+)/.exec(args.string("opts"))?.[1];
  if (type === "virtio") return h.print("Can't hot-add drive to type 7\n");
  try {
    const opts = new OptsGroups(host).parse(DRIVE_OPTS, args.string("opts"), "");
    const table = new DriveTable(host, drivePlaces(config.machine.family));
    table.drives.push(...config.drives, ...blocks.drives.map(taken));
    if (opts.id !== undefined && blocks.find(opts.id)) {
      throw new UserError(`Duplicate ID '${opts.id}' for drive`);
    }
    const d = table.add(opts, "ide");
    if (d.interface !== "none") {
      return h.print(`Can't hot-add drive to type ${INTERFACE_NUMBERS[d.interface]}\n`);
    }
    blocks.add({ ...d, id: d.id });
    h.print("OK\n");
  } catch (e) {
    if (e instanceof EarlyExit) return;
    if (!(e instanceof UserError)) throw e;
    h.print(`${e.message}\n${e.hint === undefined ? "" : `${e.hint}\n`}`);
  }
}

/** A drive's place, for finding a free one. */
function taken(d: DriveImpl): DriveOptions {
  return { id: d.name, interface: d.interface, bus: d.bus, unit: d.unit } as DriveOptions;
}

/** Takes a drive away; one that a device has goes on as an empty one. */
function driveDel(h: Hmp, args: Args): void {
  const { blocks } = h.target, drive = blocks.find(args.string("id"));
  if (drive === undefined) return h.print(`Device '${args.string("id")}' not found\n`);
  if (drive.attachedTo === undefined) blocks.remove(drive);
  else drive.close();
}

/** Commands about drives, block jobs, exports and saved states. */
export const BLOCK_COMMANDS: readonly Command[] = [
  {
    name: "block_resize",
    args: "device:B,size:o",
    params: "device size",
    help: "resize a block image",
    run: blockResize,
  },
  {
    name: "block_stream",
    args: "device:B,speed:o?,base:s?",
    params: "device [speed [base]]",
    help: "copy data from a backing file into a block device",
    run: needsJobs(byNodeName),
  },
  {
    name: "block_set_io_throttle",
    args: "device:B,bps:l,bps_rd:l,bps_wr:l,iops:l,iops_rd:l,iops_wr:l",
    params: "device bps bps_rd bps_wr iops iops_rd iops_wr",
    help: "change I/O throttle limits for a block drive",
    run: throttle,
  },
  {
    name: "block_job_set_speed",
    args: "device:B,speed:o",
    params: "device speed",
    help: "set maximum speed for a background block operation",
    run: noJob,
  },
  {
    name: "block_job_cancel",
    args: "force:-f,device:B",
    params: "[-f] device",
    help:
      "stop an active background block operation (use -f\n\t\t\t if you want to abort the operation immediately\n\t\t\t instead of keep running until data is in sync)",
    run: noJob,
  },
  {
    name: "block_job_complete",
    args: "device:B",
    params: "device",
    help: "stop an active background block operation",
    run: noJob,
  },
  {
    name: "block_job_pause",
    args: "device:B",
    params: "device",
    help: "pause an active background block operation",
    run: noJob,
  },
  {
    name: "block_job_resume",
    args: "device:B",
    params: "device",
    help: "resume a paused background block operation",
    run: noJob,
  },
  {
    name: "drive_add",
    args: "node:-n,pci_addr:s,opts:s",
    params:
      "[-n] [[<domain>:]<bus>:]<slot>\n[file=file][,if=type][,bus=n]\n[,unit=m][,media=d][,index=i]\n[,snapshot=on|off][,cache=on|off]\n[,readonly=on|off][,copy-on-read=on|off]",
    help: "add drive to PCI storage controller",
    run: driveAdd,
  },
  {
    name: "drive_del",
    args: "id:B",
    params: "device",
    help: "remove host block device",
    run: driveDel,
  },
  {
    name: "drive_mirror",
    args: "reuse:-n,full:-f,device:B,target:s,format:s?",
    params: "[-n] [-f] device target [format]",
    help:
      "initiates live storage\n\t\t\tmigration for a device. The device's contents are\n\t\t\tcopied to the new image file, including data that\n\t\t\tis written after the command is started.\n\t\t\tThe -n flag requests QEMU to reuse the image found\n\t\t\tin new-image-file, instead of recreating it from scratch.\n\t\t\tThe -f flag requests QEMU to copy the whole disk,\n\t\t\tso that the result does not need a backing file.\n\t\t\t",
    run: needsJobs(byNodeName),
  },
  {
    name: "drive_backup",
    args: "reuse:-n,full:-f,compress:-c,device:B,target:s,format:s?",
    params: "[-n] [-f] [-c] device target [format]",
    help:
      "initiates a point-in-time\n\t\t\tcopy for a device. The device's contents are\n\t\t\tcopied to the new image file, excluding data that\n\t\t\tis written after the command is started.\n\t\t\tThe -n flag requests QEMU to reuse the image found\n\t\t\tin new-image-file, instead of recreating it from scratch.\n\t\t\tThe -f flag requests QEMU to copy the whole disk,\n\t\t\tso that the result does not need a backing file.\n\t\t\tThe -c flag requests QEMU to compress backup data\n\t\t\t(if the target format supports it).\n\t\t\t",
    run: needsJobs((h, name) => withMedium(h, name, `Device '${name}' has no medium`)),
  },
  {
    name: "snapshot_blkdev",
    args: "reuse:-n,device:B,snapshot-file:s?,format:s?",
    params: "[-n] device [new-image-file] [format]",
    help:
      "initiates a live snapshot\n\t\t\tof device. If a new image file is specified, the\n\t\t\tnew image file will become the new root image.\n\t\t\tIf format is specified, the snapshot file will\n\t\t\tbe created in that format.\n\t\t\tThe default format is qcow2.  The -n flag requests QEMU\n\t\t\tto reuse the image found in new-image-file, instead of\n\t\t\trecreating it from scratch.",
    run: snapshotFile,
  },
  {
    name: "snapshot_blkdev_internal",
    args: "device:B,name:s",
    params: "device name",
    help:
      "take an internal snapshot of device.\n\t\t\tThe format of the image used by device must\n\t\t\tsupport it, such as qcow2.\n\t\t\t",
    run: snapshotInternal,
  },
  {
    name: "snapshot_delete_blkdev_internal",
    args: "device:B,name:s,id:s?",
    params: "device name [id]",
    help:
      "delete an internal snapshot of device.\n\t\t\tIf id is specified, qemu will try delete\n\t\t\tthe snapshot matching both id and name.\n\t\t\tThe format of the image used by device must\n\t\t\tsupport it, such as qcow2.\n\t\t\t",
    run: snapshotDelete,
  },
  {
    name: "nbd_server_start",
    args: "all:-a,writable:-w,uri:s",
    params: "nbd_server_start [-a] [-w] host:port",
    help: "serve block devices on the given host and port",
    run: nbdStart,
  },
  {
    name: "nbd_server_add",
    args: "writable:-w,device:B,name:s?",
    params: "nbd_server_add [-w] device [name]",
    help: "export a block device via NBD",
    run: nbdAdd,
  },
  {
    name: "nbd_server_remove",
    args: "force:-f,name:s",
    params: "nbd_server_remove [-f] name",
    help: "remove an export previously exposed via NBD",
    run: (_h, args) => {
      throw new UserError(`Export '${args.string("name")}' is not found`);
    },
  },
  {
    name: "nbd_server_stop",
    args: "",
    params: "nbd_server_stop",
    help: "stop serving block devices using the NBD protocol",
    run: refuse("NBD server not running"),
  },
  {
    name: "qemu-io",
    args: "qdev:-d,device:B,command:s",
    params: '[-d] [device] "[command]"',
    help:
      "run a qemu-io command on a block device\n\t\t\t-d: [device] is a device ID rather than a drive ID or node name",
    run: qemuIo,
  },
  {
    name: "savevm",
    args: "name:s?",
    params: "tag",
    help: "save a VM snapshot. If no tag is provided, a new snapshot is created",
    run: needsVmstate,
  },
  {
    name: "loadvm",
    args: "name:s",
    params: "tag",
    help: "restore a VM snapshot from its tag",
    run: needsVmstate,
  },
  {
    name: "delvm",
    args: "name:s",
    params: "tag",
    help: "delete a VM snapshot from its tag",
    run: delvm,
  },
];

/** What `info` tells about them. */
export const BLOCK_INFO: readonly Command[] = [
  {
    name: "block-jobs",
    args: "",
    params: "",
    help: "show progress of ongoing block device operations",
    run: say("No active jobs\n"),
  },
  {
    name: "snapshots",
    args: "",
    params: "",
    help: "show the currently saved VM snapshots",
    run: say("no block device can store vmstate for snapshot\n"),
  },
];
