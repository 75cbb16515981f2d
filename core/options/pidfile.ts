/** `-pidfile`: written, locked, and removed at the end. */
import { errnoError, libc } from "../chardev/libc.ts";
import { UserError } from "../errors.ts";
import { strerror } from "./host.ts";

const LOCK_EX_NB = 2 | 4;

export class PidFile {
  private constructor(private readonly path: string, private readonly fd: number) {}

  /** Throws UserError when it cannot be made, or another instance holds it. */
  static create(path: string): PidFile {
    const c = libc();
    const O_RDWR_CREAT_CLOEXEC = 2 | 0o100 | 0o2000000;
    const name = new TextEncoder().encode(path + "\0");
    const fd = c.open(name, O_RDWR_CREAT_CLOEXEC, 0o600);
    if (fd < 0) {
      const why = strerror(errnoError(path));
      throw new UserError(`cannot create PID file: Could not create '${path}': ${why}`);
    }
    if (c.flock(fd, LOCK_EX_NB) < 0) {
      const why = strerror(errnoError(path));
      c.close(fd);
      throw new UserError(`cannot create PID file: Cannot lock pid file: ${why}`);
    }
    Deno.truncateSync(path);
    const text = new TextEncoder().encode(`${Deno.pid}\n`);
    if (Number(c.write(fd, text, BigInt(text.length))) !== text.length) {
      const why = strerror(errnoError(path));
      throw new UserError(`cannot create PID file: Failed to write pid file: ${why}`);
    }
    return new PidFile(Deno.realPathSync(path), fd);
  }

  remove(): void {
    try {
      Deno.removeSync(this.path);
    } catch {
      // Somebody has removed it before.
    }
    libc().close(this.fd);
  }
}
