/** HMP commands that run, stop and poke the machine: stop, cont, quit, sendkey, eject, log… */
import { BlockGraph } from "../../block/graph.ts";
import { encodeImage, type ImageFormat } from "../../display/image.ts";
import { KEYS, parseKeys, UNMAPPED } from "../../display/keys.ts";
import { UserError } from "../../errors.ts";
import { parseLogItems, setLogMask, setLogSink } from "../../log.ts";
import { strerror } from "../../errno.ts";
import { logHelp } from "../../options/resolve.ts";
import type { RunState } from "../../machine.ts";
import type { Args } from "./args.ts";
import type { Command, Hmp } from "./command.ts";

/** A UserError's text alone, where QEMU prints no `Error: `. */
function plain(h: Hmp, action: () => void): void {
  try {
    action();
  } catch (e) {
    if (!(e instanceof UserError)) throw e;
    h.print(`${e.message}\n`);
  }
}

const NEEDS_RESET: readonly RunState[] = ["shutdown", "internal-error", "guest-panicked"];

function cont(h: Hmp): void {
  const { machine, blocks } = h.target;
  if (NEEDS_RESET.includes(machine.runState)) {
    throw new UserError("Resetting the Virtual Machine is required");
  }
  if (machine.runState === "suspended") return;
  blocks.resume();
  machine.start();
}

function wakeup(h: Hmp): void {
  const { machine } = h.target;
  if (machine.runState !== "suspended") {
    throw new UserError("Unable to wake up: guest is not in suspended state");
  }
  machine.wakeup();
}

function cpu(h: Hmp, args: Args): void {
  const index = Number(args.number("index"));
  if (index >= h.target.machine.vm.vcpus.length) h.print("invalid CPU index\n");
  else h.cpuIndex = index;
}

/** Moves the machine between the accelerators it has; without an argument says where it is. */
function accel(h: Hmp, args: Args): void {
  const { machine } = h.target, name = args.text("name");
  const vm = machine.vm as { name?: string; switchToName?: (name: string) => void };
  const now = vm.name ?? machine.accelerator.name;
  if (name === undefined) return h.print(`accelerator: ${now}\n`);
  if (name === now) return;
  if (vm.switchToName === undefined) {
    throw new UserError(`accelerator '${name}' is not available`);
  }
  const { running } = machine;
  if (running) machine.stop();
  try {
    vm.switchToName(name);
  } finally {
    if (running) machine.start();
  }
}

/** As C's `strtol` with base 0: what is no number is 0. */
function looseInteger(text: string): number {
  const m = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(text);
  if (m === null) return 0;
  const octal = /^0[0-7]+$/.test(m[2]);
  const value = octal ? parseInt(m[2], 8) : Number(m[2]);
  return (m[1] === "-" ? -value : value) | 0;
}

function mouseMove(h: Hmp, args: Args): void {
  const n = (name: string) => looseInteger(args.text(name) ?? "0");
  h.target.board.input.mouseMove(n("dx_str"), n("dy_str"), n("dz_str"));
}

function sendKey(h: Hmp, args: Args): void {
  const hold = args.integer("hold-time"), ms = Number(hold ?? 100n);
  plain(h, () => h.target.board.input.sendKeys(parseKeys(args.string("keys")), ms));
}

function eject(h: Hmp, args: Args): void {
  h.target.blocks.eject(args.string("device"), args.flag("force"));
}

function change(h: Hmp, args: Args): void {
  const mode = args.text("read-only-mode");
  if (args.string("device") === "vnc") return changeVnc(h, args);
  h.target.blocks.change(
    args.string("device"),
    args.string("target"),
    args.text("arg"),
    mode === undefined ? "retain" : BlockGraph.parseReadOnlyMode(mode),
    args.flag("force"),
  );
}

/** The password of a display that is not there. */
function changeVnc(h: Hmp, args: Args): void {
  if (args.text("read-only-mode") !== undefined) {
    return h.print("Parameter 'read-only-mode' is invalid for VNC\n");
  }
  if (!["passwd", "password"].includes(args.string("target"))) {
    return h.print("Expected 'password' after 'vnc'\n");
  }
  throw new UserError("Could not set password");
}

function screendump(h: Hmp, args: Args): void {
  const { display } = h.target.board, name = args.string("filename");
  const format = args.text("format") ?? "ppm", device = args.text("device");
  if (format !== "ppm" && format !== "png") {
    throw new UserError(`invalid parameter value: ${format}`);
  }
  if (device !== undefined) throw new UserError(`Device '${device}' not found`);
  if (display === undefined) {
    throw new UserError("There is no console to take a screendump from");
  }
  const bytes = encodeImage(display.surface(), format as ImageFormat);
  try {
    Deno.writeFileSync(name, bytes);
  } catch (e) {
    throw new UserError(`failed to open file '${name}': ${strerror(e)}`);
  }
}

/** The items of `log`. */
export function printLogItems(h: Hmp): void {
  const [title, ...items] = logHelp().split("\n");
  h.print([title, "none            remove all logs", ...items].join("\n"));
}

function setLog(h: Hmp, args: Args): void {
  const text = args.string("items");
  if (text === "none") return setLogMask(0);
  try {
    if (/(^|,)-/.test(text)) throw new UserError(`Invalid parameter '${text}'`);
    setLogMask(parseLogItems(text));
  } catch (e) {
    if (!(e instanceof UserError)) throw e;
    printLogItems(h);
  }
}

function logFile(h: Hmp, args: Args): void {
  const name = args.string("filename"), directives = name.match(/%./g) ?? [];
  if (name.includes("%") && (directives.length !== 1 || directives[0] !== "%d")) {
    return h.print(`Bad logfile template: ${name}\n`);
  }
  const path = name.replace("%d", String(Deno.pid));
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { write: true, create: true, truncate: true });
  } catch (e) {
    return h.print(`Error opening logfile ${path}: ${strerror(e)}\n`);
  }
  openLog?.close();
  openLog = file;
  const encoder = new TextEncoder();
  setLogSink((text) => {
    for (let b = encoder.encode(text); b.length > 0;) b = b.subarray(file.writeSync(b));
  });
}

/** What the last `logfile` opened: there is one log for the process. */
let openLog: Deno.FsFile | undefined;

const none = { args: "", params: "" } as const;

export const CONTROL_COMMANDS: readonly Command[] = [
  {
    name: "quit|q",
    ...none,
    help: "quit the emulator",
    run: (h) => {
      h.quit();
      h.target.machine.requestShutdown("host-qmp-quit");
    },
  },
  { name: "stop|s", ...none, help: "stop emulation", run: (h) => h.target.machine.stop() },
  { name: "cont|c", ...none, help: "resume emulation", run: cont },
  { name: "system_wakeup", ...none, help: "wakeup guest from suspend", run: wakeup },
  {
    name: "system_reset",
    ...none,
    help: "reset the system",
    run: async (h) => {
      h.target.machine.requestReset("host-qmp-system-reset");
      // The next command finds the machine reset.
      await new Promise<void>((done) => setImmediate(done));
    },
  },
  {
    name: "system_powerdown",
    ...none,
    help: "send system power down event",
    run: (h) => h.target.machine.requestPowerdown(),
  },
  { name: "nmi", ...none, help: "inject an NMI", run: (h) => h.target.board.nmi() },
  { name: "cpu", args: "index:i", params: "index", help: "set the default CPU", run: cpu },
  {
    name: "accel",
    args: "name:s?",
    params: "[kvm|tcg]",
    help: "show the accelerator, or move the machine to another one",
    run: accel,
    complete: () => ["kvm", "tcg"],
  },
  {
    name: "boot_set",
    args: "bootdevice:s",
    params: "bootdevice",
    help: "define new values for the boot device list",
    run: (h, args) =>
      plain(h, () => {
        const order = args.string("bootdevice");
        h.target.board.setBootOrder(order);
        h.print(`boot device list now set to ${order}\n`);
      }),
  },
  {
    name: "sendkey",
    args: "keys:s,hold-time:i?",
    params: "keys [hold_ms]",
    help: "send keys to the VM (e.g. 'sendkey ctrl-alt-f1', default hold time=100 ms)",
    run: sendKey,
    complete: (_h, n) => n === 0 ? [...KEYS, UNMAPPED] : [],
    separator: "-",
  },
  {
    name: "mouse_move",
    args: "dx_str:s,dy_str:s,dz_str:s?",
    params: "dx dy [dz]",
    help: "send mouse move events",
    run: mouseMove,
  },
  {
    name: "mouse_button",
    args: "button_state:i",
    params: "state",
    help: "change mouse button state (1=L, 2=M, 4=R)",
    run: (h, args) => h.target.board.input.mouseButtons(Number(args.number("button_state"))),
  },
  {
    name: "mouse_set",
    args: "index:i",
    params: "index",
    help: "set which mouse device receives events",
    run: (h, args) => plain(h, () => h.target.board.input.setMouse(Number(args.number("index")))),
  },
  {
    name: "eject",
    args: "force:-f,device:B",
    params: "[-f] device",
    help: "eject a removable medium (use -f to force it)",
    run: eject,
  },
  {
    name: "change",
    args: "device:B,force:-f,target:F,arg:s?,read-only-mode:s?",
    params: "device [-f] filename [format [read-only-mode]]",
    help: "change a removable medium, optional format, use -f to force the operation",
    run: change,
  },
  {
    name: "commit",
    args: "device:B",
    params: "device|all",
    help: "commit changes to the disk images (if -snapshot is used) or backing files",
    run: (h, args) => h.print(h.target.blocks.commit(args.string("device"))),
  },
  {
    name: "screendump",
    args: "filename:F,format:-fs,device:s?,head:i?",
    params: "filename [-f format] [device [head]]",
    help: "save screen from head 'head' of display device 'device'" +
      "in specified format 'format' as image 'filename'." +
      "Currently only 'png' and 'ppm' formats are supported.",
    run: screendump,
  },
  {
    name: "log",
    args: "items:s",
    params: "item1[,...]",
    help: "activate logging of the specified items",
    run: setLog,
  },
  {
    name: "logfile",
    args: "filename:F",
    params: "filename",
    help: "output logs to 'filename'",
    run: logFile,
  },
];
