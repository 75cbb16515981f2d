/** HMP commands that show and save memory and ports: x, xp, p, i, o, sum, memsave, gva2gpa… */
import { UserError } from "../../errors.ts";
import { hostAddress } from "../host_memory.ts";
import type { AccessSize } from "../../memory/region.ts";
import { strerror } from "../../errno.ts";
import { disassembleAt, listingLines } from "../../x86/disasm.ts";
import type { Args, Format } from "./args.ts";
import type { Command, Handler, Hmp } from "./command.ts";

const MAX_INSN = 15;
/** Bytes moved at a time by the commands that move many. */
const CHUNK = 1 << 16;

const hex = (v: bigint | number, digits: number) => v.toString(16).padStart(digits, "0");
const unsigned = (v: bigint) => BigInt.asUintN(64, v);

/** Reads where something is mapped for every byte; undefined otherwise. */
function readPhysical(h: Hmp, at: bigint, length: number): Uint8Array | undefined {
  const { mem } = h.target.machine, start = Number(at), out = new Uint8Array(length);
  if (start + length > mem.size) return undefined;
  for (let a = start; a < start + length;) {
    const range = mem.find(a);
    if (range === undefined) return undefined;
    a = range.end;
  }
  mem.readBytes(start, out);
  return out;
}

const CR0_PG = 1n << 31n;

/** Physical addresses have no more bits than page tables can give. */
const PHYSICAL = (1n << 52n) - 1n;

/** Physical address of a linear one. Without paging more than 32 bits count, as a debugger gives them. */
function translate(h: Hmp, linear: bigint): bigint | undefined {
  if (linear >> 32n && !(h.vcpu.getSregs().cr0 & CR0_PG)) return linear & PHYSICAL;
  const at = h.vcpu.translate(linear);
  return at === undefined ? undefined : BigInt(at);
}

function readVirtual(h: Hmp, at: bigint, length: number): Uint8Array | undefined {
  const out = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const linear = unsigned(at + BigInt(done)), inPage = Number(linear & 0xfffn);
    const physical = translate(h, linear);
    const n = Math.min(length - done, 4096 - inPage);
    const part = physical === undefined ? undefined : readPhysical(h, physical, n);
    if (part === undefined) return undefined;
    out.set(part, done);
    done += n;
  }
  return out;
}

type Reader = (h: Hmp, at: bigint, length: number) => Uint8Array | undefined;

/** A character as C would write it. */
export function quoteChar(value: bigint): string {
  const n = Number(BigInt.asIntN(32, value));
  const names: Record<number, string> = { 10: "\\n", 13: "\\r", 39: "\\'", 92: "\\\\" };
  const text = names[n] ??
    (n >= 32 && n <= 126 ? String.fromCharCode(n) : `\\x${hex(n >>> 0, 2)}`);
  return `'${text}'`;
}

/** One item of a dump, padded to the width of the widest of its size. */
export function dumpItem(value: bigint, format: string, size: number): string {
  const bits = size * 8;
  switch (format) {
    case "o":
      return (value === 0n ? "0" : "0" + value.toString(8)).padStart(Math.ceil(bits / 3));
    case "u":
      return value.toString().padStart(Math.ceil(bits * 10 / 33));
    case "d":
      // QEMU has no sign below 64 bits.
      return BigInt.asIntN(64, value).toString().padStart(Math.ceil(bits * 10 / 33));
    case "c":
      return quoteChar(value);
    default:
      return "0x" + hex(value, bits / 4);
  }
}

function dump(read: Reader): Handler {
  return (h, args) => {
    const f = args.format, at = unsigned(args.number("addr"));
    if (f.format === "i") return listInstructions(h, f.count, at, read);
    dumpData(h, f, at, read);
  };
}

function dumpData(h: Hmp, f: Format, start: bigint, read: Reader): void {
  const lineSize = f.size === 1 ? 8 : 16, item = f.format === "c" ? 1 : f.size;
  let at = start;
  for (let left = f.size * f.count; left > 0;) {
    const n = Math.min(left, lineSize);
    const bytes = read(h, at, n);
    if (bytes === undefined) return h.print(`${hex(at, 16)}: Cannot access memory\n`);
    let line = `${hex(at, 16)}:`;
    for (let i = 0; i < n; i += item) {
      let value = 0n;
      for (let b = item - 1; b >= 0; b--) value = value << 8n | BigInt(bytes[i + b]);
      line += " " + dumpItem(value, f.format, item);
    }
    h.print(line + "\n");
    at = unsigned(at + BigInt(n));
    left -= n;
  }
}

/** Bytes in hand at most, and the boundary up to which memory is read at a time. */
const LOOK_AHEAD = 32, READ_BOUNDARY = 1024n;

/**
 * Reads ahead as QEMU does: an instruction that is cut off at a boundary lists as bytes, and the
 * listing ends before memory that cannot be read although what is in hand may hold more instructions.
 */
function listInstructions(h: Hmp, count: number, start: bigint, read: Reader): void {
  const { cs, efer } = h.vcpu.getSregs();
  const bits = (efer & 0x400n) !== 0n && cs.l ? 64 : cs.db ? 32 : 16;
  let bytes = new Uint8Array(0);
  for (let at = start, left = Math.max(1, count); left > 0; left--) {
    const next = at + BigInt(bytes.length), room = LOOK_AHEAD - bytes.length;
    const boundary = (next / READ_BOUNDARY + 1n) * READ_BOUNDARY;
    const more = read(h, unsigned(next), Math.min(room, Number(boundary - at)));
    if (more === undefined) return h.print(`0x${hex(at, 8)}: unable to read memory\n`);
    const held = new Uint8Array(bytes.length + more.length);
    held.set(bytes);
    held.set(more, bytes.length);
    const insn = disassembleAt(held, 0, Math.min(held.length, MAX_INSN), at, bits);
    h.print(listingLines(insn, held, 0).join("\n") + "\n");
    bytes = held.slice(insn.length);
    at = unsigned(at + BigInt(insn.length));
  }
}

function print(h: Hmp, args: Args): void {
  const v = args.number("val");
  h.print(formatValue(v, args.format.format) + "\n");
}

/** A value as `print` shows it: octal and hexadecimal with the prefix that C's `#` gives. */
export function formatValue(v: bigint, format: string): string {
  const u = unsigned(v);
  switch (format) {
    case "o":
      return u === 0n ? "0" : "0" + u.toString(8);
    case "x":
      return u === 0n ? "0" : "0x" + u.toString(16);
    case "u":
      return u.toString();
    case "c":
      return quoteChar(v);
    default:
      return v.toString();
  }
}

/** Ports know 1, 2 and 4 bytes; any other format size reads a byte, shown as wide as was asked. */
function portSize(size: number): { bytes: AccessSize; letter: string; digits: number } {
  const digits = Math.abs(size) * 2;
  if (size === 2) return { bytes: 2, letter: "w", digits };
  return size === 4 ? { bytes: 4, letter: "l", digits } : { bytes: 1, letter: "b", digits };
}

function portRead(h: Hmp, args: Args): void {
  const { io } = h.target.machine, index = args.integer("index");
  let port = Number(args.number("addr") & 0xffffn);
  if (index !== undefined) {
    io.write(port, 1, Number(index & 0xffn));
    port = (port + 1) & 0xffff;
  }
  const { bytes, letter, digits } = portSize(args.format.size);
  h.print(`port${letter}[0x${hex(port, 4)}] = 0x${hex(io.read(port, bytes), digits)}\n`);
}

function portWrite(h: Hmp, args: Args): void {
  const port = Number(args.number("addr") & 0xffffn), { bytes } = portSize(args.format.size);
  const value = Number(BigInt.asUintN(8 * bytes, args.number("val")));
  h.target.machine.io.write(port, bytes, value);
}

/** Guest memory as a debugger reads it: zeros where nothing is mapped. */
function readSparse(h: Hmp, start: number, into: Uint8Array): void {
  const { mem } = h.target.machine;
  into.fill(0);
  for (let done = 0; done < into.length;) {
    const range = mem.find(start + done);
    if (range === undefined) {
      const next = mem.flat.find((r) => r.start > start + done)?.start ?? Infinity;
      done = Math.min(into.length, next - start);
      continue;
    }
    const n = Math.min(into.length - done, range.end - start - done);
    mem.readBytes(start + done, into.subarray(done, done + n));
    done += n;
  }
}

function sum(h: Hmp, args: Args): void {
  const start = Number(args.number("start")), buffer = new Uint8Array(CHUNK);
  // The end has 32 bits, as in QEMU: a region that goes beyond 4 GiB has none.
  const size = ((start + Number(args.number("size"))) >>> 0) - start;
  let total = 0;
  for (let done = 0; done < size; done += CHUNK) {
    const part = buffer.subarray(0, Math.min(CHUNK, size - done));
    readSparse(h, start + done, part);
    for (const b of part) total = (((total >> 1) | (total << 15)) + b) & 0xffff;
  }
  h.print(`${String(total).padStart(5, "0")}\n`);
}

function save(read: (h: Hmp, at: bigint, into: Uint8Array) => boolean): Handler {
  return (h, args) => {
    const start = unsigned(args.number("val")), size = Number(args.number("size"));
    const name = args.string("filename");
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(name, { write: true, create: true, truncate: true });
    } catch (e) {
      throw new UserError(`Could not open '${name}': ${strerror(e)}`);
    }
    try {
      const buffer = new Uint8Array(CHUNK);
      for (let done = 0; done < size; done += CHUNK) {
        const part = buffer.subarray(0, Math.min(CHUNK, size - done));
        if (!read(h, unsigned(start + BigInt(done)), part)) {
          throw new UserError(`Invalid addr 0x${hex(start, 16)}/size ${size} specified`);
        }
        for (let at = 0; at < part.length;) at += file.writeSync(part.subarray(at));
      }
    } catch (e) {
      if (e instanceof UserError) throw e;
      throw new UserError("An IO error has occurred");
    } finally {
      file.close();
    }
  };
}

function savePhysical(h: Hmp, at: bigint, into: Uint8Array): boolean {
  if (Number(at) + into.length > h.target.machine.mem.size) return false;
  readSparse(h, Number(at), into);
  return true;
}

function saveVirtual(h: Hmp, at: bigint, into: Uint8Array): boolean {
  const bytes = readVirtual(h, at, into.length);
  if (bytes !== undefined) into.set(bytes);
  return bytes !== undefined;
}

function gva2gpa(h: Hmp, args: Args): void {
  const at = translate(h, unsigned(args.number("addr")));
  h.print(at === undefined ? "Unmapped\n" : `gpa: ${formatValue(at, "x")}\n`);
}

/** The storage behind a guest physical address; says why there is none. */
function storage(h: Hmp, at: bigint): { name: string; offset: number } | undefined {
  const { mem } = h.target.machine, name = `0x${at.toString(16)}`;
  const range = Number(at) < mem.size ? mem.find(Number(at)) : undefined;
  if (range === undefined) h.print(`No memory is mapped at address ${name}\n`);
  else if (range.region.kind !== "ram") h.print(`Memory at address ${name} is not RAM\n`);
  else {
    const { block, blockOffset } = range.region;
    const offset = block.offset + blockOffset + range.offset + Number(at) - range.start;
    return { name: block.name, offset };
  }
  return undefined;
}

function gpa2hva(h: Hmp, args: Args): void {
  const at = unsigned(args.number("addr")), found = storage(h, at);
  if (found === undefined) return;
  const host = hostAddress(h.target.machine.memory, found.offset);
  h.print(
    `Host virtual address for 0x${at.toString(16)} (${found.name}) is 0x${host.toString(16)}\n`,
  );
}

function gpa2hpa(h: Hmp, args: Args): void {
  const at = unsigned(args.number("addr")), found = storage(h, at);
  if (found === undefined) return;
  const host = hostAddress(h.target.machine.memory, found.offset);
  const entry = new DataView(new ArrayBuffer(8));
  const cannot = (why: string) => new UserError(`Virtual address 0x${host.toString(16)} ${why}`);
  try {
    const file = Deno.openSync("/proc/self/pagemap");
    try {
      file.seekSync(host / 4096n * 8n, Deno.SeekMode.Start);
      if (file.readSync(new Uint8Array(entry.buffer)) !== 8) throw new Error("short read");
    } finally {
      file.close();
    }
  } catch {
    throw new UserError("Cannot open /proc/self/pagemap");
  }
  const page = entry.getBigUint64(0, true);
  if (!(page >> 63n)) throw cannot("not present in RAM");
  const frame = page & ((1n << 55n) - 1n);
  if (frame === 0n) throw new UserError("Cannot obtain physical address of virtual page");
  const physical = frame * 4096n + host % 4096n;
  h.print(
    `Host physical address for 0x${at.toString(16)} (${found.name}) is 0x${
      physical.toString(16)
    }\n`,
  );
}

export const MEMORY_COMMANDS: readonly Command[] = [
  {
    name: "x",
    args: "fmt:/,addr:l",
    params: "/fmt addr",
    help: "virtual memory dump starting at 'addr'",
    run: dump(readVirtual),
  },
  {
    name: "xp",
    args: "fmt:/,addr:l",
    params: "/fmt addr",
    help: "physical memory dump starting at 'addr'",
    run: dump(readPhysical),
  },
  {
    name: "gpa2hva",
    args: "addr:l",
    params: "addr",
    help: "print the host virtual address corresponding to a guest physical address",
    run: gpa2hva,
  },
  {
    name: "gpa2hpa",
    args: "addr:l",
    params: "addr",
    help: "print the host physical address corresponding to a guest physical address",
    run: gpa2hpa,
  },
  {
    name: "gva2gpa",
    args: "addr:l",
    params: "addr",
    help: "print the guest physical address corresponding to a guest virtual address",
    run: gva2gpa,
  },
  {
    name: "print|p",
    args: "fmt:/,val:l",
    params: "/fmt expr",
    help: "print expression value (use $reg for CPU register access)",
    run: print,
  },
  {
    name: "i",
    args: "fmt:/,addr:i,index:i.",
    params: "/fmt addr",
    help: "I/O port read",
    run: portRead,
  },
  {
    name: "o",
    args: "fmt:/,addr:i,val:i",
    params: "/fmt addr value",
    help: "I/O port write",
    run: portWrite,
  },
  {
    name: "sum",
    args: "start:i,size:i",
    params: "addr size",
    help: "compute the checksum of a memory region",
    run: sum,
  },
  {
    name: "memsave",
    args: "val:l,size:i,filename:s",
    params: "addr size file",
    help: "save to disk virtual memory dump starting at 'addr' of size 'size'",
    run: save(saveVirtual),
  },
  {
    name: "pmemsave",
    args: "val:l,size:i,filename:s",
    params: "addr size file",
    help: "save to disk physical memory dump starting at 'addr' of size 'size'",
    run: save(savePhysical),
  },
];
