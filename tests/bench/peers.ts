/** The emulators that the bench compares, and how each is started on a workload. */
import { guest, GuestUnavailable } from "../guests/guests.ts";

/** A kernel that tells COM1 when each of its phases is over. */
export interface Workload {
  readonly title: string;
  readonly kernel: string;
  readonly initrd?: string;
  readonly append?: string;
  /** CPU model for qeno and QEMU; v86 has one model, of 32 bits. */
  readonly cpu: "qemu32" | "qemu64";
  /** MiB of RAM. */
  readonly memory: number;
  /** In the order they come; the text of phase N is printed when N is over. */
  readonly phases: readonly { readonly name: string; readonly marker: string }[];
}

export interface Peer {
  readonly name: PeerName;
  /** What runs, such as `QEMU 7.2.22`. Throws GuestUnavailable when it cannot be had here. */
  identify(): Promise<string>;
  command(w: Workload): Promise<string[]>;
  /** Why it cannot run a workload. */
  unfit?(w: Workload): string | undefined;
}

export const PEERS = ["qeno", "v86", "qemu"] as const;
export type PeerName = typeof PEERS[number];

/** For qeno and QEMU: a PC with nothing more than the workload needs, COM1 on standard output. */
function commandLine(w: Workload, accelerator: string): string[] {
  const args = ["-M", "pc", "-accel", accelerator, "-cpu", w.cpu, "-m", String(w.memory)];
  args.push("-nodefaults", "-vga", "std", "-display", "none", "-serial", "stdio", "-no-reboot");
  args.push("-kernel", w.kernel);
  if (w.initrd !== undefined) args.push("-initrd", w.initrd);
  if (w.append !== undefined) args.push("-append", w.append);
  return args;
}

function script(url: string): string[] {
  const path = decodeURIComponent(new URL(url, import.meta.url).pathname);
  // The package of the peer is no dependency of the project: it does not belong in a lock file.
  return [Deno.execPath(), "run", "-A", "--quiet", "--no-lock", path];
}

/** The first line that a command prints; a program that is missing or fails is not available. */
async function firstLine(command: string[]): Promise<string> {
  let out: Deno.CommandOutput;
  try {
    out = await new Deno.Command(command[0], {
      args: command.slice(1),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) {
      throw new GuestUnavailable(`${command[0]} is not installed`);
    }
    throw e;
  }
  const text = (b: Uint8Array) => new TextDecoder().decode(b).trim().split("\n")[0];
  if (!out.success) throw new GuestUnavailable(text(out.stderr) || `status ${out.code}`);
  return text(out.stdout);
}

/** This program. @param tier the value of `-accel tcg,tier=`, or undefined for the default */
function qeno(tier: string | undefined): Peer {
  const program = script("../../cli.ts");
  return {
    name: "qeno",
    identify: async () => {
      await firstLine([...program, "-version"]); // Deno keeps what it has made of the sources
      return tier === undefined ? "qeno" : `qeno, tier ${tier}`;
    },
    command: (w) =>
      Promise.resolve([
        ...program,
        ...commandLine(w, tier === undefined ? "tcg" : `tcg,tier=${tier}`),
      ]),
  };
}

const v86: Peer = {
  name: "v86",
  identify: async () => {
    await Promise.all([guest("seabios"), guest("vgabios-stdvga")]);
    return await firstLine([...script("v86.ts"), "--version"]);
  },
  unfit: (w) => w.cpu === "qemu32" ? undefined : "it has no 64-bit mode",
  command: async (w) => {
    const args = ["--bios", await guest("seabios"), "--vgabios", await guest("vgabios-stdvga")];
    args.push("--memory", String(w.memory), "--kernel", w.kernel);
    if (w.initrd !== undefined) args.push("--initrd", w.initrd);
    if (w.append !== undefined) args.push("--append", w.append);
    return [...script("v86.ts"), ...args];
  },
};

const QEMU = "qemu-system-x86_64";

const qemu: Peer = {
  name: "qemu",
  identify: async () => {
    const line = await firstLine([QEMU, "-version"]);
    return `QEMU ${/version ([\d.]+)/.exec(line)?.[1] ?? line}`;
  },
  command: (w) => Promise.resolve([QEMU, ...commandLine(w, "tcg")]),
};

export function peers(names: readonly PeerName[], tier: string | undefined): Peer[] {
  return [qeno(tier), v86, qemu].filter((p) => names.includes(p.name));
}
