/** Character devices: the two ends of a byte stream between a guest device and the host. */

/** The guest's side: a UART, a monitor, a virtio console port. */
export interface ChardevFrontend {
  /** How many bytes {@link receive} can take now; 0 makes the back end wait. */
  canReceive(): number;
  /** Bytes from the host, at most {@link canReceive} of them. */
  receive(bytes: Uint8Array): void;
  /** `open`/`close`: a peer came or went; `break`: a serial break; `mux-in`/`mux-out`: focus. */
  event(ev: ChardevEvent): void;
}

export type ChardevEvent = "open" | "close" | "break" | "mux-in" | "mux-out";

/** The host's side: stdio, a socket, a file. */
export interface Chardev {
  /** The `id=` or generated label (`serial0`, `compat_monitor0`), as `info chardev` prints it. */
  readonly label: string;
  /** What `info chardev` prints behind `filename=`, such as `pty:/dev/pts/3` or `disconnected:…`. */
  readonly filename: string;
  /** Connects a front end; a `mux` takes several, any other kind one (else throws UserError). */
  attach(fe: ChardevFrontend): ChardevPort;
  /** Tells the front end of a serial break, as if the peer had sent one. */
  sendBreak?(): void;
  /** Stops reading and releases the host's resources. Output written before is delivered. */
  close(): Promise<void>;
}

/** What a front end holds of its back end. */
export interface ChardevPort {
  readonly chardev: Chardev;
  /** Queues bytes for the host, in order. Never blocks; a missing peer swallows them. */
  write(bytes: Uint8Array): void;
  /** The front end can take more: back ends holding data call `receive` again. */
  acceptInput(): void;
  /** Serial line parameters for back ends that have a line (host ttys); others ignore it. */
  setParams(
    p: { speed: number; parity: "N" | "E" | "O"; dataBits: number; stopBits: number },
  ): void;
  /** Modem control lines towards the host, for back ends that have them. */
  detach(): void;
}
