/**
 * KVM's own interrupt controllers: `on` has the 8259A pair, the IOAPIC, the 8254 and a LAPIC per
 * vCPU in the kernel, `split` the LAPICs alone. Linux `Documentation/virt/kvm/api.rst`:
 * KVM_CREATE_IRQCHIP, KVM_CAP_SPLIT_IRQCHIP, KVM_SET_GSI_ROUTING.
 */
import type { KernelIrqchip } from "../accel.ts";
import type { DeviceState } from "../device.ts";
import { UserError } from "../errors.ts";
import { Cap, Req } from "./abi.ts";
import type { Libc } from "./libc.ts";
import { KernelPit } from "./pit.ts";
import { Size, Struct } from "./structs.ts";

const IOAPIC_PINS = 24, PIC_PINS = 16;
/** `kvm_irqchip.chip_id`. */
const PIC_MASTER = 0, PIC_SLAVE = 1, IOAPIC = 2;
/** Where the state begins in `struct kvm_irqchip`. */
const CHIP_STATE = 8;
const ROUTE_IRQCHIP = 1, ROUTE_MSI = 2, ROUTE_SIZE = 48;
/** KVM_PIT_SPEAKER_DUMMY: the kernel answers port 61h too. */
const PIT_SPEAKER_DUMMY = 1;
const IRQFD_DEASSIGN = 1, EFD_NONBLOCK_CLOEXEC = 0o2004000;

interface Route {
  gsi: number;
  type: number;
  /** Chip and pin, or the message's address and data. */
  a: number;
  b: number;
}

/** A message-signalled interrupt. */
export interface Message {
  /** 0xfeexxxxx. */
  readonly address: number;
  readonly data: number;
}

/** Made by {@link KvmIrqchip.irqfd}. */
export interface Irqfd {
  /** The eventfd, for a thread that writes to it. */
  readonly fd: number;
  /** Sends the message from this thread. */
  raise(): void;
  /** Another message from here on (a driver has rewritten its MSI-X entry). */
  setMessage(message: Message): void;
  close(): void;
}

interface ChipStates {
  chips: Uint8Array[];
  pit: Uint8Array | undefined;
}

export class KvmIrqchip implements KernelIrqchip {
  readonly type: string;
  readonly pitPorts: KernelPit | undefined;
  onEoi: (vector: number) => void = () => {};
  readonly #line = new Struct(8);
  readonly #msi = new Struct(32);
  /** `on`: what wires reach. */
  readonly #wires: readonly Route[];
  /** Messages of the GSIs that {@link irqfd} has given out. */
  readonly #eventMessages = new Map<number, Message>();
  readonly #messages = new Map<number, Message>();
  readonly #initial: ChipStates;

  /** Must be made before the first vCPU. Throws when the host has no such irqchip. */
  constructor(
    private readonly libc: Libc,
    private readonly vmFd: number,
    readonly mode: "on" | "split",
    readonly lapic: (index: number) => Uint8Array,
  ) {
    this.type = mode === "on" ? "kvm-irqchip" : "kvm-split-irqchip";
    if (mode === "split") {
      const cap = new Struct(104);
      cap.view.setUint32(0, Cap.SPLIT_IRQCHIP, true);
      cap.setU64(8, BigInt(IOAPIC_PINS));
      const r = libc.ioctlBuffer(vmFd, Req.ENABLE_CAP_VM, cap.u8);
      if (r < 0) throw new UserError(`Could not enable split irqchip mode: ${libc.strerror(-r)}`);
    } else {
      const r = libc.ioctl(vmFd, Req.CREATE_IRQCHIP);
      if (r < 0) throw new UserError(`Create kernel irqchip failed: ${libc.strerror(-r)}`);
      const pit = new Struct(64);
      pit.view.setUint32(0, PIT_SPEAKER_DUMMY, true);
      this.#must(Req.CREATE_PIT2, pit.u8, "Create kernel PIC irqchip failed");
      // No waiting for the guest's EOI between two ticks: one made from this side goes unnoticed.
      libc.ioctlBuffer(vmFd, Req.REINJECT_CONTROL, new Uint8Array(32));
      this.pitPorts = new KernelPit(libc, vmFd);
    }
    this.#wires = mode === "on" ? isaRoutes() : [];
    this.#setRoutes();
    this.#initial = this.#read();
  }

  /**
   * An eventfd that sends a message when its count is written (KVM_IRQFD), by any thread, past the main
   * thread. For the main thread it is no gain over {@link signalMsi}: each is one system call.
   * @returns undefined when KVM has no place for another one
   */
  irqfd(message: Message): Irqfd | undefined {
    const { libc, vmFd } = this;
    let gsi = IOAPIC_PINS;
    while (this.#eventMessages.has(gsi)) gsi++;
    this.#eventMessages.set(gsi, { ...message });
    const fd = this.#tryRoutes() < 0 ? -1 : libc.c.eventfd(0, EFD_NONBLOCK_CLOEXEC);
    const assign = (flags: number): number => {
      const s = new Struct(32); // struct kvm_irqfd: fd 0, gsi 4, flags 8
      s.view.setInt32(0, fd, true);
      s.view.setUint32(4, gsi, true);
      s.view.setUint32(8, flags, true);
      return libc.ioctlBuffer(vmFd, Req.IRQFD, s.u8);
    };
    if (fd < 0 || assign(0) < 0) {
      if (fd >= 0) libc.close(fd);
      this.#eventMessages.delete(gsi);
      this.#tryRoutes();
      return undefined;
    }
    const one = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);
    return {
      fd,
      raise: () => void libc.c.write(fd, one, 8n),
      setMessage: (next) => {
        this.#eventMessages.set(gsi, { ...next });
        this.#setRoutes();
      },
      close: () => {
        assign(IRQFD_DEASSIGN);
        libc.close(fd);
        this.#eventMessages.delete(gsi);
        this.#setRoutes();
      },
    };
  }

  setIrqLine(gsi: number, level: boolean): void {
    this.#line.view.setUint32(0, gsi, true);
    this.#line.view.setUint32(4, level ? 1 : 0, true);
    this.libc.ioctlBuffer(this.vmFd, Req.IRQ_LINE, this.#line.u8);
  }

  signalMsi(address: number, data: number): boolean {
    this.#msi.view.setUint32(0, address, true);
    this.#msi.view.setUint32(8, data, true);
    return this.libc.ioctlBuffer(this.vmFd, Req.SIGNAL_MSI, this.#msi.u8) > 0;
  }

  setRoute(pin: number, message: Message | undefined): void {
    const old = this.#messages.get(pin);
    if (old?.address === message?.address && old?.data === message?.data) return;
    if (message) this.#messages.set(pin, message);
    else this.#messages.delete(pin);
    this.#setRoutes();
  }

  #setRoutes(): void {
    const r = this.#tryRoutes();
    if (r < 0) throw new Error(`KVM_SET_GSI_ROUTING failed: ${this.libc.strerror(-r)}`);
  }

  /** Tells KVM of all routes. */
  #tryRoutes(): number {
    const routes = [...this.#wires];
    for (const [gsi, m] of [...this.#messages, ...this.#eventMessages]) {
      routes.push({ gsi, type: ROUTE_MSI, a: m.address, b: m.data });
    }
    const s = new Struct(8 + ROUTE_SIZE * routes.length), v = s.view;
    v.setUint32(0, routes.length, true);
    routes.forEach((r, i) => {
      const at = 8 + ROUTE_SIZE * i;
      v.setUint32(at, r.gsi, true);
      v.setUint32(at + 4, r.type, true);
      v.setUint32(at + 16, r.a, true);
      v.setUint32(at + (r.type === ROUTE_MSI ? 24 : 20), r.b, true);
    });
    return this.libc.ioctlBuffer(this.vmFd, Req.SET_GSI_ROUTING, s.u8);
  }

  reset(): void {
    this.#write(this.#initial);
    if (this.mode === "split") {
      this.#messages.clear();
      this.#setRoutes();
    }
  }

  save(): DeviceState {
    return { ...this.#read(), messages: [...this.#messages] };
  }

  load(state: DeviceState): void {
    const s = state as ChipStates & { messages: [number, Message][] };
    this.#write(s);
    if (this.mode !== "split") return;
    this.#messages.clear();
    this.#setRoutes();
    for (const [pin, m] of s.messages) this.setRoute(pin, m);
  }

  chip(id: number): Uint8Array {
    return this.#readChip(id).subarray(CHIP_STATE);
  }

  setChip(id: number, state: Uint8Array): void {
    const s = new Struct(Size.IRQCHIP);
    s.view.setUint32(0, id, true);
    s.u8.set(state, CHIP_STATE);
    this.#must(Req.SET_IRQCHIP, s.u8, "KVM_SET_IRQCHIP failed");
  }

  #readChip(id: number): Uint8Array {
    const s = new Struct(Size.IRQCHIP);
    s.view.setUint32(0, id, true);
    this.#must(Req.GET_IRQCHIP, s.u8, "KVM_GET_IRQCHIP failed");
    return s.u8;
  }

  #read(): ChipStates {
    if (this.mode === "split") return { chips: [], pit: undefined };
    const chips = [PIC_MASTER, PIC_SLAVE, IOAPIC].map((id) => this.#readChip(id));
    const pit = new Uint8Array(Size.PIT_STATE2);
    this.#must(Req.GET_PIT2, pit, "KVM_GET_PIT2 failed");
    return { chips, pit };
  }

  #write(s: ChipStates): void {
    for (const chip of s.chips) {
      this.#must(Req.SET_IRQCHIP, new Uint8Array(chip), "KVM_SET_IRQCHIP failed");
    }
    if (s.pit) this.#must(Req.SET_PIT2, new Uint8Array(s.pit), "KVM_SET_PIT2 failed");
  }

  #must(request: number, arg: Uint8Array<ArrayBuffer>, message: string): void {
    const r = this.libc.ioctlBuffer(this.vmFd, request, arg);
    if (r < 0) throw new Error(`${message}: ${this.libc.strerror(-r)}`);
  }
}

/** ISA interrupts to the PICs; all to the IOAPIC, with the timer on its pin 2. */
function isaRoutes(): Route[] {
  const routes: Route[] = [];
  for (let gsi = 0; gsi < PIC_PINS; gsi++) {
    routes.push({ gsi, type: ROUTE_IRQCHIP, a: gsi < 8 ? PIC_MASTER : PIC_SLAVE, b: gsi & 7 });
  }
  for (let gsi = 0; gsi < IOAPIC_PINS; gsi++) {
    if (gsi === 2) continue;
    routes.push({ gsi, type: ROUTE_IRQCHIP, a: IOAPIC, b: gsi === 0 ? 2 : gsi });
  }
  return routes;
}
