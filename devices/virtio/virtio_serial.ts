/**
 * Virtio console device with several ports, QEMU's virtio-serial: VIRTIO specification 1.2, 5.3. Port
 * 0 has queues 0 and 1, the control queues are 2 and 3, port n has queues 2n+2 and 2n+3.
 */
import type { Chardev, ChardevEvent, ChardevPort } from "../../core/chardev/chardev.ts";
import type { Clock } from "../../core/clock.ts";
import { log } from "../../core/log.ts";
import { type CommonFeatures, VirtioDevice } from "./virtio_device.ts";
import { bit, DeviceId } from "./virtio_regs.ts";
import type { Virtqueue } from "./virtqueue.ts";

const F = { MULTIPORT: 1, EMERG_WRITE: 2 } as const;
const C = { COLS: 0, ROWS: 2, MAX_NR_PORTS: 4, EMERG_WR: 8, SIZE: 12 } as const;
/** Control events (5.3.6.2). */
const Event = {
  DEVICE_READY: 0,
  PORT_ADD: 1,
  PORT_READY: 3,
  CONSOLE_PORT: 4,
  PORT_OPEN: 6,
  PORT_NAME: 7,
} as const;
const PORT_QUEUE = 128, CONTROL_QUEUE = 32, CONTROL_IN = 2;
const CONTROL_SIZE = 8;
/** Bytes taken from the host at a time, and given to it. */
const INPUT_MAX = 4096, OUTPUT_CHUNK = 65536;
/** A driver sends pages; what is longer is not output. */
const OUTPUT_MAX = 1 << 24;

export interface VirtioSerialOptions {
  readonly clock: Clock;
  /** 1 to 511. */
  readonly maxPorts: number;
  readonly emergencyWrite?: boolean;
  readonly common?: CommonFeatures;
}

interface PortState {
  guestConnected: boolean;
  hostConnected: boolean;
  /** Bytes from the host that no buffer has been there for. */
  pending: Uint8Array<ArrayBuffer>;
}

export interface VirtioSerialState {
  ports: Record<number, PortState>;
  /** Control messages that no buffer has been there for. */
  control: Uint8Array<ArrayBuffer>[];
}

const NOTHING = new Uint8Array(0);

/** A port, and the front end of its character device. */
export class SerialPort {
  readonly #device: VirtioSerial;
  #chardev: ChardevPort | undefined;

  /** @param id number of the port */
  constructor(
    device: VirtioSerial,
    readonly id: number,
    readonly isConsole: boolean,
    /** What the guest finds it by, or empty. */
    readonly name: string,
  ) {
    this.#device = device;
  }

  /** Connects a back end. A console is open on the host's side from then on. */
  attach(chardev: Chardev): void {
    this.#chardev = chardev.attach(this);
    if (this.isConsole) this.#device.setHostConnected(this, true);
  }

  get state(): PortState {
    return this.#device.portState(this.id);
  }

  /** Lines of `info qtree`. */
  describe(): string {
    const { guestConnected, hostConnected } = this.state;
    const on = (b: boolean) => b ? "on" : "off";
    return `port ${this.id}, guest ${on(guestConnected)}, host ${on(hostConnected)}, throttle off`;
  }

  canReceive(): number {
    return this.state.pending.length === 0 && this.#device.hasInputBuffer(this) ? INPUT_MAX : 0;
  }

  receive(bytes: Uint8Array): void {
    this.#device.fromHost(this, bytes);
  }

  event(ev: ChardevEvent): void {
    if (this.isConsole || (ev !== "open" && ev !== "close")) return;
    this.#device.setHostConnected(this, ev === "open");
  }

  send(bytes: Uint8Array): void {
    this.#chardev?.write(bytes);
  }

  acceptInput(): void {
    this.#chardev?.acceptInput();
  }

  detach(): void {
    this.#chardev?.detach();
    this.#chardev = undefined;
  }
}

export class VirtioSerial extends VirtioDevice<VirtioSerialState> {
  override readonly type = "virtio-serial-device";
  override readonly shortName = "virtio-serial";
  override readonly deviceId = DeviceId.console;
  readonly ports = new Map<number, SerialPort>();
  readonly #maxPorts: number;
  readonly #emergencyWrite: boolean;
  /** Of the host's side, which a reset does not change. */
  readonly #hostConnected = new Set<number>();

  constructor(options: VirtioSerialOptions) {
    super(options.clock, () => ({ ports: {}, control: [] }), C.SIZE, options.common);
    this.#maxPorts = options.maxPorts;
    this.#emergencyWrite = options.emergencyWrite ?? true;
    const input = (q: Virtqueue) => this.#inputReady(q), output = (q: Virtqueue) => this.#output(q);
    this.addQueue(PORT_QUEUE, input);
    this.addQueue(PORT_QUEUE, output);
    this.addQueue(CONTROL_QUEUE, () => this.#flushControl());
    this.addQueue(CONTROL_QUEUE, (q) => this.#control(q));
    for (let n = 1; n < options.maxPorts; n++) {
      this.addQueue(PORT_QUEUE, input);
      this.addQueue(PORT_QUEUE, output);
    }
  }

  get maxPorts(): number {
    return this.#maxPorts;
  }

  protected override deviceFeatures(): bigint {
    return (this.#maxPorts > 1 ? bit(F.MULTIPORT) : 0n) |
      (this.#emergencyWrite ? bit(F.EMERG_WRITE) : 0n);
  }

  /** Adds a port, before the machine starts. */
  addPort(id: number, isConsole: boolean, name: string): SerialPort {
    const port = new SerialPort(this, id, isConsole, name);
    this.ports.set(id, port);
    return port;
  }

  portState(id: number): PortState {
    return this.state.ports[id] ??= {
      guestConnected: false,
      hostConnected: this.#hostConnected.has(id),
      pending: NOTHING,
    };
  }

  get #multiport(): boolean {
    return this.hasFeature(F.MULTIPORT);
  }

  protected override updateConfig(): void {
    this.configView.setUint32(C.MAX_NR_PORTS, this.#maxPorts, true);
  }

  protected override onConfigWrite(offset: number): void {
    if (offset !== C.EMERG_WR || !this.#emergencyWrite) return;
    this.ports.get(0)?.send(Uint8Array.of(this.config[C.EMERG_WR]));
  }

  // Host to guest

  #inputQueue(port: SerialPort): Virtqueue {
    return this.queues[port.id === 0 ? 0 : 2 * port.id + 2];
  }

  hasInputBuffer(port: SerialPort): boolean {
    if (!this.driverOk || (this.#multiport && !port.state.guestConnected)) return false;
    return !this.#inputQueue(port).empty;
  }

  fromHost(port: SerialPort, bytes: Uint8Array): void {
    const s = port.state, all = new Uint8Array(s.pending.length + bytes.length);
    all.set(s.pending);
    all.set(bytes, s.pending.length);
    s.pending = all;
    this.#flushInput(port);
  }

  #flushInput(port: SerialPort): void {
    const s = port.state, q = this.#inputQueue(port);
    let any = false;
    while (s.pending.length > 0) {
      const c = q.pop();
      if (c === undefined) break;
      const n = c.write(0, s.pending);
      s.pending = s.pending.slice(n);
      q.push(c, n);
      any = true;
      if (n === 0) break;
    }
    if (any) q.signal();
  }

  #inputReady(q: Virtqueue): void {
    const port = this.#portOf(q);
    if (port === undefined) return;
    this.#flushInput(port);
    if (port.canReceive() > 0) port.acceptInput();
  }

  #portOf(q: Virtqueue): SerialPort | undefined {
    return this.ports.get(q.index < 2 ? 0 : (q.index >> 1) - 1);
  }

  // Guest to host

  #output(q: Virtqueue): void {
    const port = this.#portOf(q);
    let any = false;
    q.drain((c) => {
      if (c.outLength > OUTPUT_MAX) return this.fault(`output of ${c.outLength} bytes`);
      if (port !== undefined && port.state.hostConnected) {
        for (let at = 0; at < c.outLength; at += OUTPUT_CHUNK) {
          const bytes = new Uint8Array(Math.min(OUTPUT_CHUNK, c.outLength - at));
          c.read(at, bytes);
          port.send(bytes);
        }
      }
      q.push(c, 0);
      any = true;
    });
    if (any) q.signal();
  }

  // Control

  setHostConnected(port: SerialPort, on: boolean): void {
    if (on) this.#hostConnected.add(port.id);
    else this.#hostConnected.delete(port.id);
    const s = port.state;
    if (s.hostConnected === on) return;
    s.hostConnected = on;
    if (this.driverOk) this.#sendControl(port.id, Event.PORT_OPEN, on ? 1 : 0);
  }

  #sendControl(id: number, event: number, value: number, text = ""): void {
    if (!this.#multiport) return;
    const name = new TextEncoder().encode(text);
    const message = new Uint8Array(CONTROL_SIZE + (text === "" ? 0 : name.length + 1));
    const v = new DataView(message.buffer);
    v.setUint32(0, id, true);
    v.setUint16(4, event, true);
    v.setUint16(6, value, true);
    message.set(name, CONTROL_SIZE);
    this.state.control.push(message);
    this.#flushControl();
  }

  #flushControl(): void {
    const q = this.queues[CONTROL_IN], { control } = this.state;
    let any = false;
    while (control.length > 0) {
      const c = q.pop();
      if (c === undefined) break;
      q.push(c, c.write(0, control.shift()!));
      any = true;
    }
    if (any) q.signal();
  }

  #control(q: Virtqueue): void {
    const bytes = new Uint8Array(CONTROL_SIZE), v = new DataView(bytes.buffer);
    let any = false;
    q.drain((c) => {
      if (c.read(0, bytes) === CONTROL_SIZE) {
        this.#message(v.getUint32(0, true), v.getUint16(4, true), v.getUint16(6, true));
      }
      q.push(c, 0);
      any = true;
    });
    if (any) q.signal();
  }

  #message(id: number, event: number, value: number): void {
    // Answers wait for buffers; a driver that only ever asks gets no more of them.
    if (this.state.control.length > 4 * this.#maxPorts) return;
    if (event === Event.DEVICE_READY) {
      if (value !== 1) return;
      for (const n of this.ports.keys()) this.#sendControl(n, Event.PORT_ADD, 1);
      return;
    }
    const port = this.ports.get(id);
    if (port === undefined) {
      log("guest_errors", `virtio-serial: message ${event} for port ${id}`);
      return;
    }
    if (event === Event.PORT_READY) {
      if (value !== 1) return;
      if (port.isConsole) this.#sendControl(id, Event.CONSOLE_PORT, 1);
      if (port.name !== "") this.#sendControl(id, Event.PORT_NAME, 1, port.name);
      if (port.state.hostConnected) this.#sendControl(id, Event.PORT_OPEN, 1);
    } else if (event === Event.PORT_OPEN) {
      port.state.guestConnected = value !== 0;
      if (port.canReceive() > 0) port.acceptInput();
    }
  }

  override release(): void {
    for (const port of this.ports.values()) port.detach();
  }

  protected override onDriverOk(): void {
    for (const port of this.ports.values()) if (port.canReceive() > 0) port.acceptInput();
  }
}
