/** All character devices of a machine: made from options, found by id, listed for the monitor. */
import { formatUserError, type OptionsHost } from "../options/host.ts";
import { UserError } from "../errors.ts";
import type { Chardev } from "./chardev.ts";
import type { ChardevOptions } from "./options.ts";
import { glibOrder } from "./glib_order.ts";
import { MuxChardev, type MuxHost } from "./mux.ts";
import { FileChardev, NullChardev, RingbufChardev } from "./simple.ts";
import { ParallelChardev, PipeChardev, PtyChardev, SerialChardev } from "./fd_backends.ts";
import { SocketChardev } from "./socket.ts";
import { StdioChardev } from "./stdio.ts";
import { UdpChardev } from "./udp.ts";
import { VcChardev } from "./vc.ts";

export interface RegistryOptions {
  host: OptionsHost;
  mux: MuxHost;
  /** `-echr`. */
  escapeChar?: number;
  /** `-daemonize`: stdio is refused. */
  daemonize?: boolean;
}

export class ChardevRegistry {
  readonly #all = new Map<string, Chardev>();
  constructor(private readonly options: RegistryOptions) {}

  /** Throws UserError: an id twice is the monitor user's mistake. */
  #register(chr: Chardev): Chardev {
    if (this.#all.has(chr.label)) {
      throw new UserError(`Chardev with id '${chr.label}' already exists`);
    }
    this.#all.set(chr.label, chr);
    return chr;
  }

  get(id: string): Chardev | undefined {
    return this.#all.get(id);
  }

  /** In order of creation. */
  list(): Chardev[] {
    return [...this.#all.values()];
  }

  /**
   * Makes one device; `mux=on` makes `ID-base` and a multiplexer `ID` over it. Waits for a client
   * where the option says so. Throws UserError with QEMU's words, after printing the first of two
   * messages where QEMU prints two.
   */
  async create(options: ChardevOptions): Promise<Chardev> {
    try {
      if (!options.mux || options.backend === "mux") {
        return this.#register(await this.#make(options));
      }
      const base = this.#register(await this.#make(options, `${options.id}-base`));
      return this.#register(this.#muxOver(options.id, base));
    } catch (e) {
      if (!(e instanceof UserError) || options.failureNote === undefined) throw e;
      const { host } = this.options;
      host.stderr(formatUserError(e, host.programName));
      const { loc, failureNote } = options;
      throw new UserError(loc === "" ? failureNote : `${loc}: ${failureNote}`);
    }
  }

  /** Makes several in order; closes what was made when one fails. */
  async createAll(list: readonly ChardevOptions[]): Promise<void> {
    try {
      for (const options of list) await this.create(options);
    } catch (e) {
      await this.closeAll();
      throw e;
    }
  }

  #muxOver(id: string, base: Chardev): MuxChardev {
    return new MuxChardev(id, base, this.options.mux, this.options.escapeChar);
  }

  async #make(o: ChardevOptions, label = o.id): Promise<Chardev> {
    const { host } = this.options;
    switch (o.backend) {
      case "null":
        return new NullChardev(o, label);
      case "file":
        return new FileChardev(o, label);
      case "ringbuf":
      case "memory":
        return new RingbufChardev(o, label);
      case "vc":
        return new VcChardev(o, label);
      case "stdio":
        return new StdioChardev(o, label, this.options.daemonize);
      case "pty": {
        const pty = new PtyChardev(o, label);
        host.stdout(`char device redirected to ${pty.path} (label ${label})\n`);
        return pty;
      }
      case "pipe":
        return new PipeChardev(o, label);
      case "serial":
        return new SerialChardev(o, label);
      case "parallel":
        return new ParallelChardev(o, label);
      case "socket":
        return await SocketChardev.open(o, label, host);
      case "udp":
        return await UdpChardev.open(o, label);
      case "mux": {
        const base = this.get(o.chardev);
        if (!base) {
          const message = `mux: base chardev ${o.chardev} not found`;
          throw new UserError(o.loc === "" ? message : `${o.loc}: ${message}`);
        }
        return this.#muxOver(label, base);
      }
    }
  }

  /** What HMP `info chardev` prints: `label: filename=…` lines in QEMU's order. */
  info(): string {
    // QEMU collects them by putting each in front of the others.
    const ids = glibOrder(this.#all.keys()).reverse();
    return ids.map((id) => `${id}: filename=${this.#all.get(id)!.filename}\n`).join("");
  }

  /** Takes one out and closes it. Throws UserError when there is none. */
  async remove(id: string): Promise<void> {
    const chr = this.#all.get(id);
    if (!chr) throw new UserError(`Chardev '${id}' not found`);
    this.#all.delete(id);
    await chr.close();
  }

  /** Delivers what was written and closes all; bases after their multiplexers. */
  async closeAll(): Promise<void> {
    const list = this.list().reverse();
    this.#all.clear();
    const owned = new Set(
      list.filter((c) => c instanceof MuxChardev).map((m) => `${m.label}-base`),
    );
    for (const chr of list) if (!owned.has(chr.label)) await chr.close();
  }
}
