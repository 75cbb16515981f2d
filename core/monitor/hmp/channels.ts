/**
 * HMP commands about character devices and the other ways into a machine: passed file descriptors,
 * passwords of remote displays, captured sound. Of the latter there are none here; QEMU 7.2's words
 * for a machine without them are given.
 */
import type { Chardev } from "../../chardev/chardev.ts";
import { MuxChardev } from "../../chardev/mux.ts";
import { chardevFromOpts } from "../../chardev/parse.ts";
import { RingbufChardev } from "../../chardev/simple.ts";
import { UserError } from "../../errors.ts";
import { CHARDEV_OPTS } from "../../options/lists.ts";
import { OptsGroups } from "../../options/qemu_opts.ts";
import { nothing, refuse, say } from "./absent.ts";
import type { Args } from "./args.ts";
import { type Command, type Hmp, monitorHost } from "./command.ts";

const labels = (h: Hmp) => h.target.chardevs.list().map((c) => c.label);
const rings = (h: Hmp) =>
  h.target.chardevs.list().filter((c) => c instanceof RingbufChardev).map((c) => c.label);

/** Names for `chardev-add`, in the order in which Tab offers them. */
const BACKENDS = [
  ...["file", "memory", "mux", "null", "parallel", "pipe", "pty", "ringbuf", "serial", "socket"],
  ...["stdio", "udp", "vc"],
];

async function chardevAdd(h: Hmp, args: Args): Promise<void> {
  const host = monitorHost(h);
  const opts = new OptsGroups(host).parse(CHARDEV_OPTS, args.string("args"), "");
  const options = chardevFromOpts(opts, host);
  if (h.target.chardevs.get(options.id) !== undefined) {
    throw new UserError(
      `attempt to add duplicate property '${options.id}' to object (type 'container')`,
    );
  }
  await h.target.chardevs.create(options);
}

/** Whether something of the machine is connected to a character device. */
function inUse(h: Hmp, id: string): boolean {
  const { config } = h.target;
  return [
    ...config.serials,
    ...config.parallels,
    ...config.monitors.map((m) => m.chardev),
    ...config.devices.map((d) => d.props.get("chardev")),
  ].includes(id);
}

async function chardevRemove(h: Hmp, args: Args): Promise<void> {
  const id = args.string("id"), { chardevs } = h.target;
  if (chardevs.get(id) !== undefined && inUse(h, id)) {
    throw new UserError(`Chardev '${id}' is busy`);
  }
  await chardevs.remove(id);
}

/** Puts another back end in the place of one that nothing uses. */
async function chardevChange(h: Hmp, args: Args): Promise<void> {
  const id = args.string("id"), { chardevs } = h.target, old = chardevs.get(id);
  if (old === undefined) throw new UserError(`Chardev '${id}' does not exist`);
  if (old instanceof MuxChardev) throw new UserError("Mux device hotswap not supported yet");
  if (inUse(h, id)) throw new UserError("Chardev user does not support chardev hotswap");
  const host = monitorHost(h);
  const text = `${args.string("args")},id=${id}`;
  const options = chardevFromOpts(new OptsGroups(host).parse(CHARDEV_OPTS, text, ""), host);
  await chardevs.remove(id);
  await chardevs.create(options);
}

function sendBreak(h: Hmp, args: Args): void {
  const id = args.string("id"), chardev = h.target.chardevs.get(id);
  if (chardev === undefined) throw new UserError(`Chardev '${id}' not found`);
  chardev.sendBreak?.();
}

function ring(h: Hmp, args: Args): RingbufChardev {
  const id = args.string("device"), chardev: Chardev | undefined = h.target.chardevs.get(id);
  if (chardev === undefined) throw new UserError(`Device '${id}' not found`);
  if (!(chardev instanceof RingbufChardev)) throw new UserError(`${id} is not a ringbuf device`);
  return chardev;
}

/** Bytes as text: control characters, which a terminal would obey, as `\\uXXXX`. */
function ringbufRead(h: Hmp, args: Args): void {
  const size = Number(args.number("size")), chardev = ring(h, args);
  if (size <= 0) throw new UserError("size must be greater than zero");
  let text = "";
  for (const c of new TextDecoder().decode(chardev.read(size))) {
    const code = c.charCodeAt(0), control = code < 0x20 && c !== "\n" || code === 0x7f;
    if (c === "\\") text += "\\\\";
    else text += control ? `\\u${code.toString(16).toUpperCase().padStart(4, "0")}` : c;
  }
  h.print(`${text}\n`);
}

function ringbufWrite(h: Hmp, args: Args): void {
  ring(h, args).write(Uint8Array.from(args.string("data"), (c) => c.charCodeAt(0)));
}

/** What a password can be for, and what happens to those who are connected. */
function checkProtocol(args: Args): void {
  const protocol = args.string("protocol");
  if (protocol === "spice") throw new UserError("SPICE is not in use");
  if (protocol !== "vnc") throw new UserError(`invalid parameter value: ${protocol}`);
}

function setPassword(_h: Hmp, args: Args): void {
  const connected = args.text("connected") ?? "keep";
  if (!["keep", "disconnect", "fail"].includes(connected)) {
    throw new UserError(`invalid parameter value: ${connected}`);
  }
  checkProtocol(args);
  if (connected !== "keep") throw new UserError("Invalid parameter 'connected'");
  throw new UserError("Could not set password");
}

function expirePassword(_h: Hmp, args: Args): void {
  checkProtocol(args);
  throw new UserError("Could not set password expire time");
}

/** Commands about character devices and what else connects machine and host. */
export const CHANNEL_COMMANDS: readonly Command[] = [
  {
    name: "getfd",
    args: "fdname:s",
    params: "getfd name",
    help: "receive a file descriptor via SCM rights and assign it a name",
    run: refuse("No file descriptor supplied via SCM_RIGHTS"),
  },
  {
    name: "closefd",
    args: "fdname:s",
    params: "closefd name",
    help: "close a file descriptor previously passed via SCM rights",
    run: (_h, args) => {
      throw new UserError(`File descriptor named '${args.string("fdname")}' not found`);
    },
  },
  {
    name: "set_password",
    args: "protocol:s,password:s,display:-ds,connected:s?",
    params: "protocol password [-d display] [action-if-connected]",
    help: "set spice/vnc password",
    run: setPassword,
  },
  {
    name: "expire_password",
    args: "protocol:s,time:s,display:-ds",
    params: "protocol time [-d display]",
    help: "set spice/vnc password expire-time",
    run: expirePassword,
  },
  {
    name: "wavcapture",
    args: "path:F,audiodev:s,freq:i?,bits:i?,nchannels:i?",
    params: "path audiodev [frequency [bits [channels]]]",
    help: "capture audio to a wave file (default frequency=44100 bits=16 channels=2)",
    run: (h, args) => h.print(`Audiodev '${args.string("audiodev")}' not found\n`),
  },
  {
    name: "stopcapture",
    args: "n:i",
    params: "capture index",
    help: "stop capture",
    run: nothing,
  },
  {
    name: "chardev-add",
    args: "args:s",
    params: "args",
    help: "add chardev",
    run: chardevAdd,
    complete: (_h, n) => n === 0 ? BACKENDS : [],
  },
  {
    name: "chardev-change",
    args: "id:s,args:s",
    params: "id args",
    help: "change chardev",
    run: chardevChange,
  },
  {
    name: "chardev-remove",
    args: "id:s",
    params: "id",
    help: "remove chardev",
    run: chardevRemove,
    complete: (h) => labels(h),
  },
  {
    name: "chardev-send-break",
    args: "id:s",
    params: "id",
    help: "send a break on chardev",
    run: sendBreak,
    complete: (h) => labels(h),
  },
  {
    name: "ringbuf_read",
    args: "device:s,size:i",
    params: "device size",
    help: "Read from a ring buffer character device",
    run: ringbufRead,
    complete: (h, n) => n === 0 ? rings(h) : [],
  },
  {
    name: "ringbuf_write",
    args: "device:s,data:s",
    params: "device data",
    help: "Write to a ring buffer character device",
    run: ringbufWrite,
    complete: (h, n) => n === 0 ? rings(h) : [],
  },
];

/** What `info` tells about it. */
export const CHANNEL_INFO: readonly Command[] = [
  {
    name: "capture",
    args: "",
    params: "",
    help: "show capture information",
    run: nothing,
  },
  {
    name: "spice",
    args: "",
    params: "",
    help: "show the spice server status",
    run: say("Server: disabled\n"),
  },
  {
    name: "vnc",
    args: "",
    params: "",
    help: "show the vnc server status",
    run: say("None\n"),
  },
];
