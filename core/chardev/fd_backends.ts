/** Back ends on host descriptors: pseudo terminal, pair of FIFOs, serial line, parallel port. */
import { fail, strerror } from "../options/host.ts";
import { BaseChardev, type LineParams } from "./base.ts";
import { HostFd, pollNow } from "./host_fd.ts";
import {
  errnoError,
  libc,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDWR,
  openFd,
  POLLHUP,
  POLLOUT,
  TERMIOS_SIZE,
} from "./libc.ts";
import type { ChardevOptions } from "./options.ts";

/** Options of one kind of back end. */
type Of<B> = Extract<ChardevOptions, { backend: B }>;

/** How often a pseudo terminal without a user is looked at (ms), as QEMU does. */
const PTY_POLL = 1000;

/** A new pseudo terminal, raw; its name is told to the user. */
export class PtyChardev extends BaseChardev {
  readonly path: string;
  #io: HostFd;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param poll how often (ms) an unused terminal is looked at */
  constructor(options: Of<"pty">, label?: string, private readonly poll = PTY_POLL) {
    super(options, label);
    const c = libc();
    const fd = c.posix_openpt(O_RDWR | O_NOCTTY);
    if (fd < 0 || c.grantpt(fd) < 0 || c.unlockpt(fd) < 0) {
      fail(options.loc, `Failed to create PTY: ${strerror(errnoError("pty"))}`);
    }
    const name = new Uint8Array(64);
    c.ptsname_r(fd, name, 64n);
    this.path = new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
    // Opening the slave once makes the master report a hang-up until somebody uses it.
    const slave = openFd(this.path, O_RDWR | O_NOCTTY);
    makeRaw(slave);
    c.close(slave);
    this.#io = new HostFd(fd, {
      data: (bytes) => this.input(bytes),
      hangup: () => {
        if (this.connected) this.event("close");
        return this.poll;
      },
      ready: () => this.event("open"),
    });
    this.#watch();
  }

  get filename(): string {
    return `pty:${this.path}`;
  }

  /** A user who only listens sends nothing: his coming shows in the hang-up flag going away. */
  #watch(): void {
    this.#timer = setInterval(() => this.#look(), this.poll);
  }

  #look(): boolean {
    const up = (pollNow(this.#io.fd, POLLOUT) & POLLHUP) === 0;
    if (up) this.#io.markUp();
    return up;
  }

  protected override transmit(bytes: Uint8Array): void {
    if (this.#look()) this.#io.write(bytes);
  }

  protected override async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#io.close();
  }
}

/** No echo, no line editing, no translation. */
function makeRaw(fd: number): void {
  const termios = new Uint8Array(TERMIOS_SIZE);
  const c = libc();
  if (c.tcgetattr(fd, termios) < 0) return;
  c.cfmakeraw(termios);
  c.tcsetattr(fd, 0, termios);
}

/** `PATH.in` and `PATH.out` if there are both, else `PATH` for both directions. */
export class PipeChardev extends BaseChardev {
  #io: HostFd;

  constructor(options: Of<"pipe">, label?: string) {
    super(options, label);
    const { path, loc } = options;
    const open = (p: string) => {
      try {
        return openFd(p, O_RDWR | O_NONBLOCK);
      } catch {
        return -1;
      }
    };
    let input = open(path + ".in");
    let output = open(path + ".out");
    if (input < 0 || output < 0) {
      for (const fd of [input, output]) if (fd >= 0) libc().close(fd);
      try {
        input = output = openFd(path, O_RDWR | O_NONBLOCK);
      } catch (e) {
        fail(loc, `Could not open '${path}': ${strerror(e)}`);
      }
    }
    this.connected = true;
    const handler = {
      data: (bytes: Uint8Array) => this.input(bytes),
      hangup: () => {
        if (this.connected) this.event("close");
        return undefined;
      },
    };
    this.#io = new HostFd(input, handler, output);
  }

  get filename(): string {
    return "pipe";
  }

  protected override transmit(bytes: Uint8Array): void {
    this.#io.write(bytes);
  }

  protected override release(): Promise<void> {
    return this.#io.close();
  }
}

/** termios speed constants by bits per second. */
const SPEEDS: Record<number, number> = {
  50: 1,
  75: 2,
  110: 3,
  134: 4,
  150: 5,
  200: 6,
  300: 7,
  600: 8,
  1200: 9,
  1800: 10,
  2400: 11,
  4800: 12,
  9600: 13,
  19200: 14,
  38400: 15,
  57600: 0x1001,
  115200: 0x1002,
  230400: 0x1003,
  460800: 0x1004,
  500000: 0x1005,
  576000: 0x1006,
  921600: 0x1007,
  1000000: 0x1008,
};
const CSTOPB = 0o100;
const CREAD = 0o200;
const PARENB = 0o400;
const PARODD = 0o1000;
const CLOCAL = 0o4000;
/** Offset of c_cflag in struct termios. */
const C_CFLAG = 8;

/** A host serial line; the guest's line parameters are set on it. */
export class SerialChardev extends BaseChardev {
  #io: HostFd;

  constructor(options: Of<"serial">, label?: string) {
    super(options, label);
    let fd: number;
    try {
      fd = openFd(options.path, O_RDWR | O_NONBLOCK | O_NOCTTY);
    } catch (e) {
      fail(options.loc, `Could not open '${options.path}': ${strerror(e)}`);
    }
    makeRaw(fd);
    this.connected = true;
    this.#io = new HostFd(fd, {
      data: (bytes) => this.input(bytes),
      hangup: () => {
        if (this.connected) this.event("close");
        return undefined;
      },
    });
    this.setLineParams({ speed: 115200, parity: "N", dataBits: 8, stopBits: 1 });
  }

  get filename(): string {
    return "serial";
  }

  protected override setLineParams(p: LineParams): void {
    const termios = new Uint8Array(TERMIOS_SIZE);
    const c = libc();
    if (c.tcgetattr(this.#io.fd, termios) < 0) return;
    const speeds = Object.keys(SPEEDS).map(Number);
    const nearest = speeds.reduce((a, b) => Math.abs(b - p.speed) < Math.abs(a - p.speed) ? b : a);
    c.cfmakeraw(termios);
    const view = new DataView(termios.buffer);
    let flags = view.getUint32(C_CFLAG, true) & ~(0o60 | CSTOPB | PARENB | PARODD);
    flags |= (Math.min(8, Math.max(5, p.dataBits)) - 5) << 4;
    if (p.stopBits > 1) flags |= CSTOPB;
    if (p.parity !== "N") flags |= PARENB;
    if (p.parity === "O") flags |= PARODD;
    view.setUint32(C_CFLAG, flags | CREAD | CLOCAL, true);
    c.cfsetspeed(termios, SPEEDS[nearest]);
    c.tcsetattr(this.#io.fd, 0, termios);
  }

  protected override transmit(bytes: Uint8Array): void {
    this.#io.write(bytes);
  }

  protected override release(): Promise<void> {
    return this.#io.close();
  }
}

/** PPCLAIM and PPRELEASE of <linux/ppdev.h>. */
const PPCLAIM = 0x708bn;
const PPRELEASE = 0x708cn;
/** PPWDATA: puts a byte on the data lines. */
const PPWDATA = 0x40017086n;

/** A host parallel port through ppdev: bytes go to its data lines. */
export class ParallelChardev extends BaseChardev {
  #fd: number;

  constructor(options: Of<"parallel">, label?: string) {
    super(options, label);
    try {
      this.#fd = openFd(options.path, O_RDWR);
    } catch (e) {
      fail(options.loc, `Could not open '${options.path}': ${strerror(e)}`);
    }
    if (libc().ioctl(this.#fd, PPCLAIM, null) < 0) {
      const why = strerror(errnoError("PPCLAIM"));
      libc().close(this.#fd);
      fail(options.loc, `not a parallel port: ${why}`);
    }
    this.connected = true;
  }

  get filename(): string {
    return "parallel";
  }

  protected override transmit(bytes: Uint8Array): void {
    for (const b of bytes) libc().ioctl(this.#fd, PPWDATA, Uint8Array.of(b));
  }

  protected override release(): void {
    libc().ioctl(this.#fd, PPRELEASE, null);
    libc().close(this.#fd);
  }
}

/** Whether `fd` is open and a socket. */
export function isSocket(fd: number): boolean {
  const SOL_SOCKET = 1, SO_TYPE = 3;
  return libc().getsockopt(fd, SOL_SOCKET, SO_TYPE, new Int32Array(1), new Int32Array([4])) === 0;
}
