/** TCP and Unix stream sockets, waiting for a client or being one, raw or telnet. */
import { BaseChardev } from "./base.ts";
import { ByteQueue } from "./byte_queue.ts";
import type { ChardevOptions } from "./options.ts";
import { connect, hostPort, listen } from "./address.ts";
import { type OptionsHost, report } from "../options/host.ts";
import { UserError } from "../errors.ts";
import { TELNET_GREETING, TelnetFilter } from "./telnet.ts";
import { HostFd } from "./host_fd.ts";
import { isSocket } from "./fd_backends.ts";
import { libc } from "./libc.ts";

type SocketOptions = Extract<ChardevOptions, { backend: "socket" }>;

/** One connection: where bytes go and come from. */
interface Stream {
  /** `local <-> remote` parts for `info chardev`. */
  local: string;
  remote: string;
  write(bytes: Uint8Array): void;
  /** Resolves when the peer or {@link close} has ended it. */
  readonly done: Promise<void>;
  close(): void;
}

const MAX_QUEUED = 16 << 20;

export class SocketChardev extends BaseChardev {
  #options: SocketOptions;
  #listener: Deno.Listener | undefined;
  #stream: Stream | undefined;
  #closed = false;
  #address = "";
  #telnet: TelnetFilter | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #tasks = new Set<Promise<unknown>>();
  #complained = false;
  #listenFd: HostFd | undefined;

  private constructor(options: SocketOptions, label: string, private readonly host: OptionsHost) {
    super(options, label);
    this.#options = options;
  }

  /**
   * Connects, or listens and with `wait=on` returns when the first client is there. Throws UserError
   * when that is impossible.
   */
  static async open(
    options: SocketOptions,
    label: string,
    host: OptionsHost,
  ): Promise<SocketChardev> {
    const chr = new SocketChardev(options, label, host);
    try {
      await chr.#start();
    } catch (e) {
      await chr.close();
      throw e instanceof UserError ? chr.error(e.message, e.hint) : e;
    }
    return chr;
  }

  get filename(): string {
    const { address, protocol, server } = this.#options;
    const kind = address.type === "inet" ? (protocol === "telnet" ? "telnet" : "tcp") : "unix";
    const on = server ? ",server=on" : "";
    if (!this.#stream) {
      const abstract = address.type === "unix" && address.abstract
        ? `,abstract=on${address.tight ? ",tight=on" : ""}`
        : "";
      if (address.type === "fd") return `disconnected:fd:${address.fd}${on}`;
      return `disconnected:${kind}:${this.#address}${abstract}${on}`;
    }
    if (kind === "unix") return `unix:${server ? this.#address : ""}${on}`;
    return `${kind}:${this.#stream.local}${on} <-> ${this.#stream.remote}`;
  }

  async #start(): Promise<void> {
    const { address, server, wait, reconnect, loc } = this.#options;
    this.#address = address.type === "unix"
      ? address.path
      : address.type === "inet"
      ? `${address.host}:${address.port}`
      : address.fd;
    if (address.type === "fd") return this.#adopt(Number(address.fd));
    if (!server) {
      if (reconnect > 0) this.#task(this.#connectOrRetry());
      else this.#serve(await this.#dial());
      return;
    }
    this.#listener = await listen(address);
    if (address.type === "inet") {
      this.#address = hostPort(this.#listener.addr as Deno.NetAddr, false);
    }
    if (wait) {
      report(this.host, loc, `info: QEMU waiting for connection on: ${this.filename}`);
      this.#serve(wrapConn(await this.#listener.accept(), (b) => this.#received(b)));
    } else {
      this.#task(this.#accept());
    }
  }

  #task(p: Promise<unknown>): void {
    this.#tasks.add(p);
    p.finally(() => this.#tasks.delete(p)).catch(() => {});
  }

  async #dial(): Promise<Stream> {
    return wrapConn(await connect(this.#options.address), (b) => this.#received(b));
  }

  async #connectOrRetry(): Promise<void> {
    try {
      const stream = await this.#dial();
      this.#complained = false;
      if (this.#closed) stream.close();
      else this.#serve(stream);
    } catch (e) {
      if (!this.#complained && !this.#closed) {
        const why = (e as Error).message;
        report(this.host, "", `Unable to connect character device ${this.label}: ${why}`);
        this.#complained = true;
      }
      this.#later();
    }
  }

  #later(): void {
    if (this.#closed) return;
    this.#retry = setTimeout(
      () => this.#task(this.#connectOrRetry()),
      this.#options.reconnect * 1000,
    );
  }

  async #accept(): Promise<void> {
    let conn: Deno.Conn;
    try {
      conn = await this.#listener!.accept();
    } catch {
      return;
    }
    if (this.#closed) conn.close();
    else this.#serve(wrapConn(conn, (b) => this.#received(b)));
  }

  /** A descriptor that somebody has opened for us: a connection, or with `server=on` a listener. */
  #adopt(fd: number): void {
    if (!isSocket(fd)) throw new UserError(`File descriptor '${fd}' is not a socket`);
    if (!this.#options.server) {
      this.#serve(wrapFd(fd, (b) => this.#received(b)));
      return;
    }
    const F_DUPFD_CLOEXEC = 1030;
    const watch = libc().fcntl(fd, F_DUPFD_CLOEXEC, 3);
    // A listening socket is readable when a client waits; reading it fails, which is the signal.
    this.#listenFd = new HostFd(watch, {
      data: () => undefined,
      hangup: () => {
        if (this.#stream) return 100;
        const SOCK_CLOEXEC = 0o2000000;
        const client = libc().accept4(fd, null, null, SOCK_CLOEXEC);
        if (client >= 0) this.#serve(wrapFd(client, (b) => this.#received(b)));
        return 0;
      },
    });
  }

  #serve(stream: Stream): void {
    this.#stream = stream;
    const telnet = this.#options.protocol === "telnet";
    this.#telnet = telnet ? new TelnetFilter(() => this.event("break")) : undefined;
    if (telnet && this.#options.server) stream.write(TELNET_GREETING);
    this.event("open");
    this.#task(stream.done.then(() => this.#ended(stream)));
  }

  #received(bytes: Uint8Array): Promise<void> | undefined {
    const data = this.#telnet ? this.#telnet.decode(bytes) : bytes;
    return data.length > 0 ? this.input(data) : undefined;
  }

  #ended(stream: Stream): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    if (this.#closed) return;
    this.event("close");
    if (this.#listener) this.#task(this.#accept());
    else if (this.#options.reconnect > 0) this.#later();
  }

  protected override transmit(bytes: Uint8Array): void {
    this.#stream?.write(this.#telnet ? this.#telnet.encode(bytes) : bytes);
  }

  protected override async release(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#listener?.close();
    await this.#listenFd?.close();
    const { address, server } = this.#options;
    if (this.#listener && server && address.type === "unix" && !address.abstract) {
      await Deno.remove(address.path).catch(() => {});
    }
    this.#stream?.close();
    await Promise.allSettled([...this.#tasks]);
  }
}

/** A connection with an output queue; closing it delivers the queue first. */
function wrapConn(
  conn: Deno.Conn,
  receive: (bytes: Uint8Array) => Promise<void> | undefined,
): Stream {
  const inet = conn.localAddr.transport === "tcp";
  const queue = new ByteQueue(MAX_QUEUED);
  let writing: Promise<void> | undefined;
  let closing = false;
  let dead = false;
  let finish = () => {};
  const done = new Promise<void>((resolve) => finish = resolve);
  const end = () => {
    if (dead) return;
    dead = true;
    try {
      conn.close();
    } catch {
      // Closed by an error before.
    }
    finish();
  };
  const pump = async () => {
    try {
      // What a guest writes in one go is sent in one go.
      await Promise.resolve();
      while (queue.length > 0) {
        const bytes = queue.peek().slice();
        queue.clear();
        for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
      }
      writing = undefined;
      if (closing) end();
    } catch {
      end();
    }
  };
  const read = async () => {
    const buffer = new Uint8Array(4096);
    try {
      for (let n; (n = await conn.read(buffer)) !== null;) {
        const held = receive(buffer.slice(0, n));
        if (held) await held;
      }
    } catch {
      // Reset by the peer, or closed here.
    }
    end();
  };
  read();
  return {
    local: inet ? hostPort(conn.localAddr as Deno.NetAddr, true) : "",
    remote: inet ? hostPort(conn.remoteAddr as Deno.NetAddr, true) : "",
    done,
    write(bytes) {
      if (closing || dead || !queue.push(bytes)) return;
      writing ??= pump();
    },
    close() {
      closing = true;
      if (!writing) end();
    },
  };
}

function wrapFd(fd: number, receive: (bytes: Uint8Array) => Promise<void> | undefined): Stream {
  let finish = () => {};
  const done = new Promise<void>((resolve) => finish = resolve);
  const io = new HostFd(fd, {
    data: receive,
    hangup: () => {
      queueMicrotask(() => io.close().then(finish));
      return undefined;
    },
  });
  return {
    local: "",
    remote: "",
    done,
    write: (bytes) => io.write(bytes),
    close: () => void io.close().then(finish),
  };
}
