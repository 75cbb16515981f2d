/**
 * Text to {@link ChardevOptions}: `-chardev BACKEND,id=…` and the older one-word descriptions that
 * `-serial`, `-parallel`, `-monitor`, `-debugcon` and `-gdb` take. Messages are QEMU 7.2's.
 */
import { EarlyExit, fail, headed, type OptionsHost, report, warn } from "../options/host.ts";
import { isHelp, type Opts, type OptsGroups, splitOpts } from "../options/qemu_opts.ts";
import { CHARDEV_OPTS } from "../options/lists.ts";
import { UserError } from "../errors.ts";
import type { ChardevBackend, ChardevOptions, SocketAddress } from "./options.ts";

/** Back ends, as `-chardev help` lists them. */
export const BACKENDS = [
  "file",
  "memory",
  "mux",
  "null",
  "parallel",
  "pipe",
  "pty",
  "ringbuf",
  "serial",
  "socket",
  "stdio",
  "udp",
  "vc",
] as const;

const ALIASES: Record<string, string> = { tty: "serial", parport: "parallel" };

/** What `-chardev help` prints. */
export function chardevHelp(): string {
  return "Available chardev backend types: \n" + BACKENDS.map((b) => `  ${b}\n`).join("");
}

/** Turns one `-chardev` into a record. Throws UserError; `-chardev help` prints and ends. */
export function chardevFromOpts(opts: Opts, host: OptionsHost): ChardevOptions {
  const { loc, id } = opts;
  const name = opts.get("backend");
  if (name !== undefined && isHelp(name)) {
    host.stdout(chardevHelp());
    throw new EarlyExit(0);
  }
  if (id === undefined) fail(loc, "chardev: no id specified");
  if (name === undefined) fail(loc, `chardev: "${id}" missing backend`);
  const real = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name;
  if (real !== name) {
    warn(host, loc, `The alias '${name}' is deprecated, use '${real}' instead`);
  }
  if (!(BACKENDS as readonly string[]).includes(real)) {
    fail(loc, `'${real}' is not a valid char driver name`);
  }
  return {
    ...parseBackend(real as (typeof BACKENDS)[number], opts),
    id,
    mux: opts.bool("mux", false),
    monitor: false,
    logfile: opts.get("logfile"),
    logappend: opts.bool("logappend", false),
    loc,
    failureNote: undefined,
  };
}

function parseBackend(backend: (typeof BACKENDS)[number], opts: Opts): ChardevBackend {
  const { loc } = opts;
  const path = (message: string) => opts.get("path") ?? fail(loc, message);
  const count = (key: string) => {
    const v = opts.number(key);
    return v === undefined ? undefined : Number(v);
  };
  switch (backend) {
    case "null":
    case "pty":
      return { backend };
    case "stdio":
      return { backend, signal: opts.bool("signal", true) };
    case "file":
      return {
        backend,
        path: path("chardev: file: no filename given"),
        append: opts.bool("append", false),
        inputPath: undefined,
      };
    case "pipe":
      return { backend, path: path("chardev: pipe: no device path given") };
    case "serial":
      return { backend, path: path("chardev: serial/tty: no device path given") };
    case "parallel":
      return { backend, path: path("chardev: parallel: no device path given") };
    case "mux":
      return {
        backend,
        chardev: opts.get("chardev") ?? fail(loc, "chardev: mux: no chardev given"),
      };
    case "ringbuf":
    case "memory": {
      const size = Number(opts.size("size") || 65536n);
      if (!Number.isInteger(Math.log2(size))) {
        fail(
          loc,
          `size of ${backend === "memory" ? "ringbuf" : backend} chardev must be power of two`,
        );
      }
      return { backend, size };
    }
    case "vc":
      return {
        backend,
        cols: count("cols"),
        rows: count("rows"),
        width: count("width"),
        height: count("height"),
      };
    case "udp":
      return parseUdp(opts);
    case "socket":
      return parseSocket(opts);
  }
}

function optionalBool(opts: Opts, key: string): boolean | undefined {
  return opts.has(key) ? opts.bool(key, false) : undefined;
}

function parseUdp(opts: Opts): ChardevBackend {
  const port = opts.get("port");
  if (port === undefined || port === "") {
    fail(opts.loc, "chardev: udp: remote port not specified");
  }
  const localaddr = opts.get("localaddr");
  const localport = opts.get("localport");
  return {
    backend: "udp",
    remote: { host: opts.get("host") || "localhost", port },
    local: localaddr === undefined && localport === undefined
      ? undefined
      : { host: localaddr ?? "", port: localport || "0" },
    ipv4: optionalBool(opts, "ipv4"),
    ipv6: optionalBool(opts, "ipv6"),
  };
}

function parseSocket(opts: Opts): ChardevBackend {
  const { loc } = opts;
  const [path, host, port, fd] = ["path", "host", "port", "fd"].map((k) => opts.get(k));
  if ([path, host, fd].filter((v) => v !== undefined).length > 1) {
    fail(loc, "None or one of 'path', 'fd' or 'host' option required.");
  }
  if (host !== undefined && port === undefined) fail(loc, "chardev: socket: no port given");
  if (opts.has("tls-creds")) fail(loc, `No TLS credentials with id '${opts.get("tls-creds")}'`);
  if (opts.has("tls-authz")) fail(loc, "'tls_authz' option requires 'tls_creds' option");
  let address: SocketAddress;
  if (path !== undefined) {
    address = {
      type: "unix",
      path,
      abstract: opts.bool("abstract", false),
      tight: opts.bool("tight", true),
    };
  } else if (host !== undefined) {
    const to = opts.number("to");
    address = {
      type: "inet",
      host,
      port: port!,
      to: to === undefined ? undefined : Number(to),
      ipv4: optionalBool(opts, "ipv4"),
      ipv6: optionalBool(opts, "ipv6"),
    };
  } else {
    address = { type: "fd", fd: fd ?? "" };
  }
  const server = opts.bool("server", false);
  const reconnect = Number(opts.number("reconnect") ?? 0n);
  const websocket = opts.bool("websocket", false);
  if (address.type === "fd" && opts.has("reconnect")) {
    fail(loc, "'reconnect' option is incompatible with 'fd' address type");
  }
  if (server && opts.has("reconnect")) {
    fail(loc, "'reconnect' option is incompatible with socket in server listen mode");
  }
  if (!server && websocket) fail(loc, "Websocket client is not implemented");
  if (!server && opts.has("wait")) {
    fail(loc, "'wait' option is incompatible with socket in client connect mode");
  }
  if (address.type === "fd") {
    if (!/^[0-9]+$/.test(address.fd)) fail(loc, `Unable to parse FD number ${address.fd}`);
  }
  const telnet = opts.bool("telnet", false);
  const tn3270 = opts.bool("tn3270", false);
  if (websocket) fail(loc, "Websocket server is not supported in this build");
  if (tn3270) fail(loc, "tn3270 is not supported in this build");
  return {
    backend: "socket",
    address,
    server,
    wait: server && opts.bool("wait", true),
    nodelay: opts.bool("nodelay", !opts.bool("delay", true)),
    protocol: telnet ? "telnet" : "raw",
    reconnect,
  };
}

/** Outcome of reading an old-style description. */
export type CompatChardev =
  | { kind: "new"; options: ChardevOptions }
  /** `chardev:ID`: an existing one. */
  | { kind: "existing"; id: string };

const PLAIN = ["null", "pty", "stdio"];
/** Words QEMU knows whose back ends are not here. */
const ABSENT = ["msmouse", "wctablet", "braille", "testdev"];

/**
 * Reads a description such as `mon:stdio` or `tcp:localhost:4444,server=on` as character device
 * `label`. Undefined: it is malformed, and the reason, if QEMU gives one, has been printed.
 */
export function parseCompat(
  groups: OptsGroups,
  label: string,
  text: string,
  loc: string,
  host: OptionsHost,
  permitMonitor: boolean,
): CompatChardev | undefined {
  if (text.startsWith("chardev:")) return { kind: "existing", id: text.slice(8) };
  try {
    const opts = groups.create(CHARDEV_OPTS, label, loc);
    const all = groups.all(CHARDEV_OPTS);
    all.splice(all.indexOf(opts), 1);
    const monitor = text.startsWith("mon:");
    if (monitor) {
      if (!permitMonitor) fail(loc, "mon: isn't supported in this context");
      text = text.slice(4);
      opts.set("mux", "on");
      if (text === "stdio") opts.set("signal", "off");
    }
    if (!describe(groups, opts, text)) return undefined;
    return { kind: "new", options: { ...chardevFromOpts(opts, host), monitor } };
  } catch (e) {
    if (!(e instanceof UserError)) throw e;
    host.stderr(`${headed(host.programName, e.message)}\n`);
    if (e.hint) host.stderr(e.hint + "\n");
    return undefined;
  }

  /** Sets the options a description stands for; false when its address part is malformed. */
  function describe(groups: OptsGroups, opts: Opts, text: string): boolean {
    const set = (pairs: Record<string, string>) => {
      for (const [k, v] of Object.entries(pairs)) opts.set(k, v);
    };
    if (PLAIN.includes(text) || ABSENT.includes(text)) {
      set({ backend: text });
      return true;
    }
    if (text.startsWith("vc")) {
      set({ backend: "vc" });
      if (text[2] !== ":") return true;
      const pixels = /^([0-9]{1,7})x([0-9]{1,7})/.exec(text.slice(3));
      const cells = /^([0-9]{1,7})Cx([0-9]{1,7})C?/.exec(text.slice(3));
      if (pixels) set({ width: pixels[1], height: pixels[2] });
      else if (cells) set({ cols: cells[1], rows: cells[2] });
      return pixels !== null || cells !== null;
    }
    if (text === "con:") {
      set({ backend: "console" });
      return true;
    }
    if (text.startsWith("COM")) {
      set({ backend: "serial", path: text });
      return true;
    }
    const colon = text.indexOf(":");
    const kind = text.slice(0, colon + 1);
    const rest = text.slice(colon + 1);
    switch (kind) {
      case "file:":
        set({ backend: "file", path: rest });
        return true;
      case "pipe:":
        set({ backend: "pipe", path: rest });
        return true;
      case "tcp:":
      case "telnet:":
      case "tn3270:":
      case "websocket:": {
        const m = /^([^:]{0,64}):([^,]{1,32})/.exec(rest);
        if (!m) return false;
        set({ backend: "socket", host: m[1], port: m[2] });
        if (rest[m[0].length] === ",") more(groups, opts, rest.slice(m[0].length + 1));
        if (kind !== "tcp:") set({ [kind.slice(0, -1)]: "on" });
        return true;
      }
      case "udp:": {
        const m = /^([^:]{0,64}):([^@,]{1,32})(@?)/.exec(rest);
        if (!m) return false;
        set({ backend: "udp", host: m[1], port: m[2] });
        if (m[3] === "") return true;
        const local = /^([^:]{0,64}):([^,]{1,32})/.exec(rest.slice(m[0].length));
        if (!local) return false;
        set({ localaddr: local[1], localport: local[2] });
        return true;
      }
      case "unix:":
        set({ backend: "socket" });
        more(groups, opts, rest, "path");
        return true;
    }
    if (text.startsWith("/dev/")) {
      const parallel = text.startsWith("/dev/parport") || text.startsWith("/dev/ppi");
      set({ backend: parallel ? "parallel" : "serial", path: text });
      return true;
    }
    report(host, loc, `'${text}' is not a valid char driver`);
    return false;
  }
}

/** The `,key=value` part behind an address; flags such as `nowait` need no value here. */
function more(groups: OptsGroups, opts: Opts, text: string, implied?: string): void {
  for (const { key, value } of splitOpts(text, implied)) {
    if (key !== "id") groups.add(opts, key, value);
  }
}
