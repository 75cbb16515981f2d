/**
 * What `-chardev`, `-serial`, `-monitor` and friends ask for, checked and typed: one record per
 * character device. `parse.ts` makes these from text, `create.ts` makes back ends from them.
 */

/** Where a stream or datagram socket lives. */
export type SocketAddress =
  | {
    type: "inet";
    host: string;
    /** A number, or a service name as given. */
    port: string;
    /** Highest port to try when listening. */
    to: number | undefined;
    ipv4: boolean | undefined;
    ipv6: boolean | undefined;
  }
  | { type: "unix"; path: string; abstract: boolean; tight: boolean }
  | { type: "fd"; fd: string };

/** The part of a record that depends on the back end. */
export type ChardevBackend =
  | { backend: "null" }
  | { backend: "stdio"; signal: boolean }
  /** `inputPath`: a file to read from, for callers other than the command line. */
  | { backend: "file"; path: string; append: boolean; inputPath: string | undefined }
  | { backend: "pipe"; path: string }
  | { backend: "pty" }
  | { backend: "serial"; path: string }
  | { backend: "parallel"; path: string }
  | {
    backend: "socket";
    address: SocketAddress;
    server: boolean;
    wait: boolean;
    nodelay: boolean;
    protocol: "raw" | "telnet" | "tn3270" | "websocket";
    /** Seconds between attempts of a client; 0 does not try again. */
    reconnect: number;
  }
  | {
    backend: "udp";
    remote: { host: string; port: string };
    local: { host: string; port: string } | undefined;
    ipv4: boolean | undefined;
    ipv6: boolean | undefined;
  }
  | {
    backend: "vc";
    /** Character cells, when given so. */
    cols: number | undefined;
    rows: number | undefined;
    /** Pixels, when given so: 8×16 pixels make a cell. */
    width: number | undefined;
    height: number | undefined;
  }
  /** `size`: bytes, a power of two. */
  | { backend: "ringbuf" | "memory"; size: number }
  /** A multiplexer over another character device. */
  | { backend: "mux"; chardev: string };

export type ChardevOptions = ChardevBackend & {
  /** Unique id, the label in `info chardev`. */
  id: string;
  /** Several front ends share it, with escape sequences to switch. */
  mux: boolean;
  /** A mux made by `mon:`: it carries a monitor of its own. */
  monitor: boolean;
  logfile: string | undefined;
  logappend: boolean;
  /** The option it came from, for messages: `-serial stdio`, or empty for a default. */
  loc: string;
  /** A second message after the one that says why the back end cannot be opened. */
  failureNote: string | undefined;
};
