/** Writes the script `etc/table-loader`: the commands of QEMU's hw/acpi/bios-linker-loader.c. */

const ALLOCATE = 1, ADD_POINTER = 2, ADD_CHECKSUM = 3;
const ENTRY = 128, NAME = 56;

export class LinkerScript {
  readonly #entries: Uint8Array[] = [];

  #entry(command: number, ...names: [number, string][]): DataView {
    const e = new Uint8Array(ENTRY), v = new DataView(e.buffer);
    v.setUint32(0, command, true);
    for (const [at, name] of names) {
      if (name.length >= NAME) throw new RangeError(`file name too long: ${name}`);
      e.set(new TextEncoder().encode(name), at);
    }
    this.#entries.push(e);
    return v;
  }

  /** Loads a fw_cfg file at a multiple of `align`. */
  allocate(file: string, align: number, zone: "high" | "fseg"): void {
    const v = this.#entry(ALLOCATE, [4, file]);
    v.setUint32(60, align, true);
    v.setUint8(64, zone === "high" ? 1 : 2);
  }

  /** Adds the address of `target` to the `size`-byte integer at `offset` of `file`. */
  addPointer(file: string, offset: number, size: 1 | 2 | 4 | 8, target: string): void {
    const v = this.#entry(ADD_POINTER, [4, file], [60, target]);
    v.setUint32(116, offset, true);
    v.setUint8(120, size);
  }

  /** Makes `length` bytes from `start` of `file` sum to zero by the byte at `offset`. */
  addChecksum(file: string, offset: number, start: number, length: number): void {
    const v = this.#entry(ADD_CHECKSUM, [4, file]);
    v.setUint32(60, offset, true);
    v.setUint32(64, start, true);
    v.setUint32(68, length, true);
  }

  bytes(): Uint8Array {
    const out = new Uint8Array(ENTRY * this.#entries.length);
    this.#entries.forEach((e, n) => out.set(e, n * ENTRY));
    return out;
  }
}
