/**
 * VMware's "backdoor" port 5658h: the call is in the CPU's registers (EAX magic, ECX command), the
 * answer goes back the same way. open-vm-tools, frontends/VMwareX.c of many guests.
 */
import type { Vcpu } from "../../core/accel.ts";
import type { Device, DeviceState } from "../../core/device.ts";
import { ioRegion } from "../../core/memory/region.ts";

const MAGIC = 0x564d5868;
const GET_SPEED = 1, GET_VERSION = 10, GET_BIOS_UUID = 19, GET_RAM_SIZE = 20, GET_HZ = 45;
const GET_VCPU_INFO = 68;
/** As QEMU: `vmware-vmx-version` and `vmware-vmx-type` (2: server). */
const VMX_VERSION = 6, VMX_TYPE = 2;
const VCPU_RESERVED = 1 << 31, VCPU_LEGACY_X2APIC_OK = 1 << 3;
const APIC_BUS_HZ = 1_000_000_000;

interface Answer {
  eax: number;
  ebx?: number;
  ecx?: number;
  edx?: number;
}

export type VmportCommand = (ebx: number) => Answer;

export interface VmportOptions {
  readonly ramSize: number;
  readonly tscKhz: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** The vCPU that executes the IN, or undefined (then the port reads as ones). */
  readonly currentVcpu: () => Vcpu | undefined;
}

export class Vmport implements Device {
  readonly type = "vmport";
  readonly #commands = new Map<number, VmportCommand>();
  readonly region = ioRegion("vmport", 1, {
    read: () => this.#call(),
    write: () => void this.#call(),
  });

  constructor(private readonly opts: VmportOptions) {
    const uuid = new DataView(opts.uuid.buffer, opts.uuid.byteOffset, 16);
    this.register(GET_SPEED, () => ({ eax: Math.floor(opts.tscKhz / 1000) }));
    this.register(GET_VERSION, () => ({ eax: VMX_VERSION, ebx: MAGIC, ecx: VMX_TYPE }));
    this.register(GET_BIOS_UUID, () => ({
      eax: uuid.getUint32(0, true),
      ebx: uuid.getUint32(4, true),
      ecx: uuid.getUint32(8, true),
      edx: uuid.getUint32(12, true),
    }));
    this.register(GET_RAM_SIZE, () => ({ eax: opts.ramSize >>> 0, ebx: 0x1177 }));
    this.register(GET_HZ, () => ({
      eax: (opts.tscKhz * 1000) % 2 ** 32,
      ebx: Math.floor(opts.tscKhz * 1000 / 2 ** 32),
      ecx: APIC_BUS_HZ,
    }));
    this.register(GET_VCPU_INFO, () => ({ eax: VCPU_RESERVED | VCPU_LEGACY_X2APIC_OK }));
  }

  /** Adds a command, such as the absolute pointer's (39–41). */
  register(command: number, handler: VmportCommand): void {
    this.#commands.set(command, handler);
  }

  #call(): number {
    const cpu = this.opts.currentVcpu();
    if (cpu === undefined) return 0xffffffff;
    const r = cpu.getRegs();
    if (Number(r.rax & 0xffffffffn) !== MAGIC) return 0xffffffff;
    const handler = this.#commands.get(Number(r.rcx & 0xffffn));
    if (handler === undefined) return 0xffffffff;
    const a = handler(Number(r.rbx & 0xffffffffn));
    const eax = a.eax >>> 0;
    cpu.setRegs({
      rax: BigInt(eax),
      rbx: a.ebx === undefined ? r.rbx : BigInt(a.ebx >>> 0),
      rcx: a.ecx === undefined ? r.rcx : BigInt(a.ecx >>> 0),
      rdx: a.edx === undefined ? r.rdx : BigInt(a.edx >>> 0),
    });
    return eax;
  }

  reset(): void {}
  save(): DeviceState {
    return {};
  }
  load(): void {}
}
