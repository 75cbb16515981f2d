/**
 * `dump-guest-memory`: RAM and registers as an ELF core file that crash and gdb read, in the layout of
 * QEMU 7.2: program headers by physical address, a PRSTATUS note and a QEMU note per processor.
 */
import type { Segment, TableRegister, Vcpu } from "../../accel.ts";
import { strerror } from "../../errno.ts";
import { UserError } from "../../errors.ts";
import type { AddressSpace } from "../../memory/address_space.ts";
import type { Machine } from "../../machine.ts";
import { Msr } from "../../x86/msr.ts";
import { notEnabled } from "./absent.ts";
import type { Args } from "./args.ts";
import type { Command, Hmp } from "./command.ts";

const EHDR = 64, SHDR = 64, PHDR = 56, NOTE_HEADER = 20;
const ET_CORE = 4, EM_386 = 3, EM_X86_64 = 62, PT_LOAD = 1, PT_NOTE = 4, SHT_STRTAB = 3;
const NT_PRSTATUS = 1;
/** Sizes of the notes' contents: `elf_prstatus` of both architectures, and QEMU's `QEMUCPUState`. */
const PRSTATUS_386 = 144, PRSTATUS_X86_64 = 336, QEMU_STATE = 440;
const SECTION_NAMES = "\0.shstrtab\0";
const CR0_PG = 1n << 31n, EFER_LMA = 1n << 10n;
/** Bytes moved at a time. */
const CHUNK = 1 << 20;

/** Adjacent guest memory in one piece of storage. */
interface Block {
  start: number;
  end: number;
  /** Of `start` in the shared memory. */
  readonly storage: number;
}

/** What the guest has as memory, by rising address, within `begin` and `length`. */
function blocks(mem: AddressSpace, begin: number, length: number): Block[] {
  const out: Block[] = [];
  for (const r of mem.flat) {
    if (r.region.kind !== "ram") continue;
    const start = Math.max(r.start, begin), end = Math.min(r.end, begin + length);
    if (start >= end) continue;
    const { block, blockOffset } = r.region, last = out.at(-1);
    const storage = block.offset + blockOffset + r.offset + start - r.start;
    if (last?.end === start && last.storage + start - last.start === storage) last.end = end;
    else out.push({ start, end, storage });
  }
  return out;
}

/** Writes numbers one after the other, little endian. */
class Writer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  constructor(size: number, public at = 0) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }
  u16(...values: number[]): void {
    for (const v of values) this.#view.setUint16((this.at += 2) - 2, v, true);
  }
  u32(...values: (number | bigint)[]): void {
    for (const v of values) {
      this.#view.setUint32((this.at += 4) - 4, Number(BigInt.asUintN(32, BigInt(v))), true);
    }
  }
  u64(...values: (number | bigint)[]): void {
    for (const v of values) {
      this.#view.setBigUint64((this.at += 8) - 8, BigInt.asUintN(64, BigInt(v)), true);
    }
  }
}

function note(name: string, type: number, size: number): Writer {
  const w = new Writer(NOTE_HEADER + size);
  w.u32(name.length + 1, size, type);
  for (let i = 0; i < name.length; i++) w.bytes[12 + i] = name.charCodeAt(i);
  w.at = NOTE_HEADER;
  return w;
}

function prstatus386(v: Vcpu): Writer {
  const w = note("CORE", NT_PRSTATUS, PRSTATUS_386), r = v.getRegs(), s = v.getSregs();
  w.at += 24;
  w.u32(v.index + 1);
  w.at += 44;
  w.u32(r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rax);
  w.u32(s.ds.selector, s.es.selector, s.fs.selector, s.gs.selector, 0);
  w.u32(r.rip, s.cs.selector, r.rflags, r.rsp, s.ss.selector);
  return w;
}

function prstatus64(v: Vcpu): Writer {
  const w = note("CORE", NT_PRSTATUS, PRSTATUS_X86_64), r = v.getRegs(), s = v.getSregs();
  w.at += 32;
  w.u32(v.index + 1);
  w.at += 76;
  w.u64(r.r15, r.r14, r.r13, r.r12, r.rbp, r.rbx, r.r11, r.r10, r.r9, r.r8, r.rax, r.rcx, r.rdx);
  w.u64(r.rsi, r.rdi, 0, r.rip, s.cs.selector, r.rflags, r.rsp, s.ss.selector);
  w.u64(s.fs.base, s.gs.base, s.ds.selector, s.es.selector, s.fs.selector, s.gs.selector);
  return w;
}

/** Access rights where a descriptor's second dword has them. */
function flags(s: Segment): number {
  return s.type << 8 | s.s << 12 | s.dpl << 13 | s.present << 15 | s.avl << 20 | s.l << 21 |
    s.db << 22 | s.g << 23;
}

function qemuState(v: Vcpu): Writer {
  const w = note("QEMU", 0, QEMU_STATE), r = v.getRegs(), s = v.getSregs();
  w.u32(1, QEMU_STATE);
  w.u64(r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rsp, r.rbp);
  w.u64(r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip, r.rflags);
  const segment = (s: Segment) => {
    w.u32(s.selector, s.limit, flags(s), 0);
    w.u64(s.base);
  };
  const table = (t: TableRegister) => {
    w.u32(0, t.limit, 0, 0);
    w.u64(t.base);
  };
  [s.cs, s.ds, s.es, s.fs, s.gs, s.ss, s.ldt, s.tr].forEach(segment);
  [s.gdt, s.idt].forEach(table);
  w.u64(s.cr0, 0, s.cr2, s.cr3, s.cr4, v.getMsr(Msr.IA32_KERNEL_GS_BASE) ?? 0);
  return w;
}

/** The core file in pieces. */
function* coreFile(machine: Machine, parts: readonly Block[]): Generator<Uint8Array> {
  const { vcpus } = machine.vm, long = (vcpus[0].getSregs().efer & EFER_LMA) !== 0n;
  const notes = [...vcpus.map(long ? prstatus64 : prstatus386), ...vcpus.map(qemuState)];
  const noteBytes = notes.reduce((n, w) => n + w.bytes.length, 0);
  const headers = EHDR + 2 * SHDR + PHDR * (1 + parts.length);
  const memory = headers + noteBytes;
  const end = parts.reduce((n, p) => n + p.end - p.start, memory);
  const w = new Writer(headers);
  w.bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  w.at = 16;
  w.u16(ET_CORE, long ? EM_X86_64 : EM_386);
  w.u32(1);
  w.u64(0, EHDR + 2 * SHDR, EHDR);
  w.u32(0);
  w.u16(EHDR, PHDR, 1 + parts.length, SHDR, 2, 1);
  w.at = EHDR + SHDR;
  w.u32(1, SHT_STRTAB);
  w.u64(0, 0, end, SECTION_NAMES.length);
  w.at = EHDR + 2 * SHDR;
  w.u32(PT_NOTE, 0);
  w.u64(headers, 0, 0, noteBytes, noteBytes, 0);
  let offset = memory;
  for (const { start, end } of parts) {
    w.u32(PT_LOAD, 0);
    w.u64(offset, start, start, end - start, end - start, 0);
    offset += end - start;
  }
  yield w.bytes;
  for (const n of notes) yield n.bytes;
  for (const { start, end, storage } of parts) {
    for (let at = 0; at < end - start; at += CHUNK) {
      const n = Math.min(CHUNK, end - start - at);
      yield machine.memory.u8.slice(storage + at, storage + at + n);
    }
  }
  yield new TextEncoder().encode(SECTION_NAMES);
}

/** How the last dump of a machine ended. */
const results = new WeakMap<Machine, "completed" | "failed">();

function dump(h: Hmp, args: Args): void {
  const { machine } = h.target, path = args.string("filename");
  const begin = args.integer("begin"), length = args.integer("length");
  const formats = ["zlib", "lzo", "snappy", "windmp"].filter((f) => args.flag(f));
  if (formats.length > 1) throw new UserError("only one of '-z|-l|-s|-w' can be set");
  const [format] = formats;
  if (begin !== undefined && length === undefined) {
    throw new UserError("Parameter 'length' is missing");
  }
  if (format !== undefined && args.flag("paging")) {
    throw new UserError("kdump-compressed format doesn't support paging or filter");
  }
  if (format === "lzo" || format === "snappy") {
    throw new UserError(`kdump-${format} is not available now`);
  }
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { write: true, create: true, truncate: true, mode: 0o400 });
  } catch (e) {
    throw new UserError(`Could not open '${path}': ${strerror(e)}`);
  }
  try {
    results.set(machine, "failed");
    if (format === "windmp") throw new UserError("win-dump: invalid vmcoreinfo note size");
    if (format !== undefined) throw notEnabled("kdump-zlib");
    if (args.flag("paging") && h.vcpu.getSregs().cr0 & CR0_PG) throw notEnabled("paging");
    const parts = blocks(machine.mem, Number(begin ?? 0n), Number(length ?? 1n << 52n));
    if (parts.length === 0) throw new UserError("dump: no guest memory to dump");
    for (const bytes of coreFile(machine, parts)) {
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    }
    results.set(machine, "completed");
  } catch (e) {
    if (e instanceof UserError) throw e;
    throw new UserError(`dump: failed to save memory: ${strerror(e)}`);
  } finally {
    file.close();
  }
}

/** The command. */
export const DUMP_COMMANDS: readonly Command[] = [
  {
    name: "dump-guest-memory",
    args: "paging:-p,detach:-d,windmp:-w,zlib:-z,lzo:-l,snappy:-s,filename:F,begin:l?,length:l?",
    params: "[-p] [-d] [-z|-l|-s|-w] filename [begin length]",
    help:
      "dump guest memory into file 'filename'.\n\t\t\t-p: do paging to get guest's memory mapping.\n\t\t\t-d: return immediately (do not wait for completion).\n\t\t\t-z: dump in kdump-compressed format, with zlib compression.\n\t\t\t-l: dump in kdump-compressed format, with lzo compression.\n\t\t\t-s: dump in kdump-compressed format, with snappy compression.\n\t\t\t-w: dump in Windows crashdump format (can be used instead of ELF-dump converting),\n\t\t\t    for Windows x86 and x64 guests with vmcoreinfo driver only.\n\t\t\tbegin: the starting physical address.\n\t\t\tlength: the memory size, in bytes.",
    run: dump,
  },
];

/** How it ended. */
export const DUMP_INFO: readonly Command[] = [
  {
    name: "dump",
    args: "",
    params: "",
    help: "Display the latest dump status",
    run: (h) => h.print(`Status: ${results.get(h.target.machine) ?? "none"}\n`),
  },
];
