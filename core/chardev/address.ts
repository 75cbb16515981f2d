/** Socket addresses: looking names up, naming them as QEMU does, connecting and listening. */
import { lookup } from "node:dns/promises";
import { UserError } from "../errors.ts";
import { strerror } from "../options/host.ts";
import type { SocketAddress } from "./options.ts";

type Inet = Extract<SocketAddress, { type: "inet" }>;
type Unix = Extract<SocketAddress, { type: "unix" }>;

const SERVICES: Record<string, number> = { telnet: 23, http: 80, ssh: 22, ftp: 21, https: 443 };

/** Thrown without a location; the back end adds its option. */
function bad(message: string, hint?: string): never {
  throw new UserError(message, 1, hint);
}

/** The addresses behind a name, in the resolver's order. An empty host is any (or, to connect, this). */
export async function resolveInet(a: Inet, listening: boolean): Promise<Deno.NetAddr[]> {
  const name = `${a.host}:${a.port}`;
  if (a.host === "" && a.port === "") {
    bad("address resolution failed for :: Name or service not known");
  }
  const port = /^\s*[0-9]+$/.test(a.port) ? Number(a.port) & 0xffff : SERVICES[a.port] ?? bad(
    `address resolution failed for ${name}: Servname not supported for ai_socktype`,
  );
  const only4 = a.ipv4 === true && a.ipv6 !== true || a.ipv6 === false;
  const only6 = a.ipv6 === true && a.ipv4 !== true || a.ipv4 === false;
  if (a.ipv4 === false && a.ipv6 === false) bad("Cannot disable IPv4 and IPv6 at same time");
  let found: { address: string; family: number }[];
  if (a.host === "") {
    found = [
      { address: listening ? "0.0.0.0" : "127.0.0.1", family: 4 },
      { address: listening ? "::" : "::1", family: 6 },
    ];
  } else {
    try {
      found = await lookup(a.host, { all: true, verbatim: true });
    } catch {
      bad(`address resolution failed for ${name}: Name or service not known`);
    }
  }
  const wanted = found.filter((f) => only4 ? f.family === 4 : only6 ? f.family === 6 : true);
  if (wanted.length === 0) {
    bad(
      `address resolution failed for ${name}: Address family for hostname not supported`,
    );
  }
  return wanted.map((f) => ({ transport: "tcp", hostname: f.address, port }));
}

/** The kernel's name of a Unix socket: an abstract one begins with NUL. */
export function unixPath(a: Unix): string {
  const length = new TextEncoder().encode(a.path).length;
  if (length > (a.abstract ? 107 : 107)) {
    bad(`UNIX socket path '${a.path}' is too long`, "Path must be less than 108 bytes");
  }
  if (!a.abstract) return a.path;
  return "\0" + a.path + (a.tight ? "" : "\0".repeat(107 - length));
}

/** Connects; the first address that answers wins. Throws UserError. */
export async function connect(a: SocketAddress): Promise<Deno.Conn> {
  if (a.type === "unix") {
    const path = unixPath(a);
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (e) {
      bad(`Failed to connect to '${a.path}': ${strerror(e)}`);
    }
  }
  if (a.type === "fd") bad(`Unable to parse FD number ${a.fd}`);
  let last: unknown;
  for (const { hostname, port } of await resolveInet(a, false)) {
    try {
      return await Deno.connect({ hostname, port });
    } catch (e) {
      last = e;
    }
  }
  bad(`Failed to connect to '${a.host}:${a.port}': ${strerror(last)}`);
}

/** Listens; tries the ports up to `to` when the first is taken. Throws UserError. */
export async function listen(a: SocketAddress): Promise<Deno.Listener> {
  if (a.type === "unix") {
    const path = unixPath(a);
    if (!a.abstract) await Deno.remove(path).catch(() => {});
    try {
      return Deno.listen({ transport: "unix", path }) as unknown as Deno.Listener;
    } catch (e) {
      bad(`Failed to bind socket to ${a.path}: ${strerror(e)}`);
    }
  }
  if (a.type === "fd") bad(`Unable to parse FD number ${a.fd}`);
  let last: unknown;
  for (const { hostname, port: first } of await resolveInet(a, true)) {
    for (let port = first; port <= Math.max(first, a.to ?? first); port++) {
      try {
        return Deno.listen({ hostname, port });
      } catch (e) {
        last = e;
        if (!(e instanceof Deno.errors.AddrInUse)) break;
      }
    }
    if (last instanceof Deno.errors.AddrInUse) {
      bad(`Failed to find an available port: ${strerror(last)}`);
    }
  }
  bad(`Failed to bind socket: ${strerror(last)}`);
}

/** `host:port`, with brackets around an IPv6 address when asked. */
export function hostPort(a: { hostname: string; port: number }, brackets: boolean): string {
  const v6 = brackets && a.hostname.includes(":");
  return `${v6 ? `[${a.hostname}]` : a.hostname}:${a.port}`;
}
