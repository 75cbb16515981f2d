/**
 * `-daemonize`: the program starts a copy of itself in a session of its own and ends when the copy
 * says that its machine is ready, or has failed. The copy keeps standard error until then.
 */
import { libc } from "../chardev/libc.ts";

const SOCKET_VARIABLE = "QENO_DAEMON_SOCKET";

/** This process is the copy. */
export function isDaemon(): boolean {
  return Deno.env.has(SOCKET_VARIABLE);
}

/** The command that runs this program again: Deno and the main module, or a compiled binary. */
function ownCommand(): { program: string; args: string[] } {
  const program = Deno.execPath();
  const main = Deno.mainModule;
  if (Deno.build.standalone) return { program, args: [] };
  return { program, args: ["run", "-A", main] };
}

/** Starts the copy and resolves to the status this process is to exit with. */
export async function startDaemon(argv: readonly string[]): Promise<number> {
  const dir = await Deno.makeTempDir({ prefix: "qeno-" });
  const path = `${dir}/ready`;
  const listener = Deno.listen({ transport: "unix", path });
  try {
    const { program, args } = ownCommand();
    const child = new Deno.Command(program, {
      args: [...args, ...argv],
      env: { [SOCKET_VARIABLE]: path },
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
    const ready = listener.accept().then((conn) => {
      conn.close();
      return 0;
    });
    ready.catch(() => {});
    const status = await Promise.race([ready, child.status.then((s) => s.code || 1)]);
    child.unref();
    return status;
  } finally {
    listener.close();
    await Deno.remove(dir, { recursive: true }).catch(() => {});
  }
}

/** In the copy: leaves the caller's session. */
export function leaveSession(): void {
  libc().setsid();
}

/** In the copy: tells the parent, and lets go of its terminal and directory. */
export async function reportReady(): Promise<void> {
  const path = Deno.env.get(SOCKET_VARIABLE);
  if (path === undefined) return;
  Deno.env.delete(SOCKET_VARIABLE);
  const c = libc();
  Deno.chdir("/");
  const nothing = c.open(new TextEncoder().encode("/dev/null\0"), 2, 0);
  for (const fd of [0, 1, 2]) c.dup2(nothing, fd);
  c.close(nothing);
  const conn = await Deno.connect({ transport: "unix", path });
  conn.close();
}
