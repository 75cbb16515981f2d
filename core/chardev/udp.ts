/** Datagrams: each write is one, each that comes is input. */
import { createSocket, type Socket } from "node:dgram";
import { BaseChardev } from "./base.ts";
import { resolveInet } from "./address.ts";
import type { ChardevOptions } from "./options.ts";
import { UserError } from "../errors.ts";
import { strerror } from "../options/host.ts";

type UdpOptions = Extract<ChardevOptions, { backend: "udp" }>;

export class UdpChardev extends BaseChardev {
  private constructor(
    options: UdpOptions,
    label: string,
    private readonly socket: Socket,
    private readonly to: { address: string; port: number },
  ) {
    super(options, label);
    this.connected = true;
    socket.on("message", (bytes) => void this.input(new Uint8Array(bytes)));
    // A peer that does not listen yet answers with ICMP errors.
    socket.on("error", () => {});
  }

  /** Binds and notes the peer. Throws UserError. */
  static async open(options: UdpOptions, label: string): Promise<UdpChardev> {
    const { remote, local, ipv4, ipv6, loc } = options;
    const located = (m: string) => new UserError(loc === "" ? m : `${loc}: ${m}`);
    const family = { ipv4, ipv6, to: undefined, type: "inet" as const };
    let peer: Deno.NetAddr;
    let own: Deno.NetAddr | undefined;
    try {
      [peer] = await resolveInet({ ...remote, ...family }, false);
      if (local) {
        const v6 = peer.hostname.includes(":");
        const same = { ...family, ipv4: !v6, ipv6: v6 };
        [own] = await resolveInet({ ...local, ...same }, true);
      }
    } catch (e) {
      throw e instanceof UserError ? located(e.message) : e;
    }
    const socket = createSocket({
      type: peer.hostname.includes(":") ? "udp6" : "udp4",
      reuseAddr: true,
    });
    await new Promise<void>((resolve, reject) => {
      socket.once("error", (e) => reject(located(`Failed to bind socket: ${strerror(e)}`)));
      socket.bind(own?.port ?? 0, own?.hostname, () => {
        socket.removeAllListeners("error");
        resolve();
      });
    });
    return new UdpChardev(options, label, socket, { address: peer.hostname, port: peer.port });
  }

  get filename(): string {
    return "udp";
  }

  /** The port it is bound to. */
  get localPort(): number {
    return this.socket.address().port;
  }

  protected override transmit(bytes: Uint8Array): void {
    this.socket.send(bytes.slice(), this.to.port, this.to.address);
  }

  protected override release(): Promise<void> {
    return new Promise((resolve) => this.socket.close(() => resolve()));
  }
}
