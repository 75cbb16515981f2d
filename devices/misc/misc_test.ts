import { assertEquals, assertThrows } from "@std/assert";
import type { Chardev, ChardevPort } from "../../core/chardev/chardev.ts";
import type { Regs, Vcpu } from "../../core/accel.ts";
import { UserError } from "../../core/errors.ts";
import { AddressSpace } from "../../core/memory/address_space.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { DebugCon } from "./debugcon.ts";
import { FwCfg, FwCfgKey } from "./fw_cfg.ts";
import { IsaDebugExit } from "./isa_debug_exit.ts";
import { PvPanic } from "./pvpanic.ts";
import { Vmport } from "./vmport.ts";

const bytes = (s: string) => new TextEncoder().encode(s);
const text = (b: Uint8Array) => new TextDecoder().decode(b);

function rig() {
  const memory = new GuestMemory(1 << 17);
  const mem = new AddressSpace("memory", 2 ** 36, 0), io = new AddressSpace("I/O", 65536, 0xff);
  const ram = memory.allocBlock("ram", 65536);
  mem.map(ramRegion("ram", ram), 0);
  const fw = new FwCfg(mem);
  io.map(fw.region, 0x510);
  io.map(fw.dmaRegion, 0x514);
  const read = (key: number, n: number) => {
    io.write(0x510, 2, key);
    return Uint8Array.from({ length: n }, () => io.read(0x511, 1));
  };
  const swap = (v: number) =>
    new DataView(new Uint8Array(new Uint32Array([v]).buffer).buffer).getUint32(0);
  const dma = (control: number, length: number, address: number) => {
    const v = new DataView(new ArrayBuffer(16));
    v.setUint32(0, control);
    v.setUint32(4, length);
    v.setBigUint64(8, BigInt(address));
    mem.writeBytes(0x100, new Uint8Array(v.buffer));
    io.write(0x514, 4, 0);
    io.write(0x518, 4, swap(0x100));
    return ram.view.getUint32(0x100);
  };
  return { mem, io, ram, fw, read, dma };
}

Deno.test("fw_cfg: signature, feature bits, unknown items and ends read as zero", () => {
  const { io, read } = rig();
  assertEquals(text(read(FwCfgKey.SIGNATURE, 4)), "QEMU");
  assertEquals([...read(FwCfgKey.ID, 6)], [3, 0, 0, 0, 0, 0]);
  assertEquals([...read(0x1f, 2)], [0, 0]);
  // The DMA register answers "QEMU CFG" in big endian.
  assertEquals([io.read(0x514, 4), io.read(0x518, 4)], [0x554d4551, 0x47464320]);
});

Deno.test("fw_cfg: the directory is sorted by name and big endian", () => {
  const { fw, read } = rig();
  fw.addFile("opt/b", bytes("second"));
  fw.addFile("etc/a", () => bytes("first"));
  const dir = read(FwCfgKey.FILE_DIR, 4 + 128);
  const v = new DataView(dir.buffer);
  assertEquals(v.getUint32(0), 2);
  assertEquals([v.getUint32(4), v.getUint16(8), text(dir.subarray(12, 18))], [5, 0x20, "etc/a\0"]);
  assertEquals([v.getUint32(68), v.getUint16(72)], [6, 0x21]);
  assertEquals(text(read(0x21, 6)), "second");
});

Deno.test("fw_cfg: files are refused as QEMU refuses them", () => {
  const { fw } = rig();
  fw.addFile("opt/a", bytes("x"));
  assertThrows(
    () => fw.addFile("opt/a", bytes("y")),
    UserError,
    "duplicate fw_cfg file name: opt/a",
  );
  assertThrows(
    () => fw.addFile("o".repeat(56), bytes("")),
    UserError,
    "name too long (max. 55 char)",
  );
  fw.setFile("opt/a", bytes("y"));
  assertEquals(text(fw.fileContents("opt/a")!), "y");
});

Deno.test("fw_cfg DMA: select, read with zero fill, skip, bad write", () => {
  const { fw, ram, dma } = rig();
  fw.addFile("etc/a", bytes("abcdef"));
  ram.u8.fill(0xff, 0x200, 0x210);
  assertEquals(dma((0x20 << 16) | 8 | 2, 8, 0x200), 0);
  assertEquals([...ram.u8.subarray(0x206, 0x209)], [0, 0, 0xff]);
  assertEquals(text(ram.u8.slice(0x200, 0x206)), "abcdef");
  dma((0x20 << 16) | 8, 0, 0);
  dma(4, 2, 0);
  dma(2, 2, 0x220);
  assertEquals(text(ram.u8.slice(0x220, 0x222)), "cd");
  assertEquals(dma((0x20 << 16) | 8 | 0x10, 4, 0x200), 1, "read-only");
  assertEquals(dma(2, 0xffffffff, 0xfffffff0), 0, "a huge read ends");
});

Deno.test("fw_cfg DMA: a writable file takes what fits, and keeps it over save and load", () => {
  const { fw, ram, dma } = rig();
  const seen: [number, number][] = [];
  fw.addFile("etc/w", bytes("12345678"), (_d, offset, length) => void seen.push([offset, length]));
  ram.u8.set(bytes("xy"), 0x200);
  assertEquals(dma((0x20 << 16) | 8 | 4, 3, 0), 0);
  assertEquals(dma(0x10, 2, 0x200), 0);
  assertEquals([seen, text(fw.fileContents("etc/w")!)], [[[3, 2]], "123xy678"]);
  assertEquals(dma(0x10, 9, 0x200), 1);
  const saved = fw.save();
  fw.reset();
  assertEquals(text(fw.fileContents("etc/w")!), "12345678");
  fw.load(saved);
  assertEquals(text(fw.fileContents("etc/w")!), "123xy678");
});

Deno.test("debugcon: reads E9h, writes go to the chardev", () => {
  const out: number[] = [];
  const d = new DebugCon();
  d.region.ops.write(0, 1, 0x40);
  d.attach(
    {
      chardev: undefined as unknown as Chardev,
      write: (b: Uint8Array) => void out.push(...b),
      acceptInput: () => {},
      setParams: () => {},
      detach: () => {},
    } satisfies ChardevPort,
  );
  d.region.ops.write(0, 1, 0x41);
  assertEquals([d.region.ops.read(0, 1), out], [0xe9, [0x41]]);
});

Deno.test("isa-debug-exit: status is (value << 1) | 1", () => {
  const codes: number[] = [];
  const d = new IsaDebugExit((c) => void codes.push(c));
  for (const v of [0, 0x10, 0x31, 0x1ff]) d.region.ops.write(0, 2, v);
  assertEquals(codes, [1, 0x21, 0x63, 0xff]);
});

Deno.test("pvpanic: announces its events and reports them", () => {
  const seen: string[] = [];
  const d = new PvPanic((e) => void seen.push(e));
  assertEquals(d.region.ops.read(0, 1), 3);
  for (const v of [1, 2, 4]) d.region.ops.write(0, 1, v);
  assertEquals(seen, ["panicked", "crash-loaded"]);
});

Deno.test("vmport: answers in registers, only to its magic", () => {
  const regs = { rax: 0n, rbx: 0n, rcx: 0n, rdx: 0n };
  const cpu = {
    getRegs: () => ({ ...regs }) as Regs,
    setRegs: (r: Partial<Regs>) => void Object.assign(regs, r),
  } as unknown as Vcpu;
  const d = new Vmport({
    ramSize: 0x8000000,
    tscKhz: 1000000,
    uuid: new Uint8Array(16).fill(7),
    currentVcpu: () => cpu,
  });
  assertEquals(d.region.ops.read(0, 4), 0xffffffff);
  Object.assign(regs, { rax: 0x564d5868n, rcx: 10n, rdx: 0x5658n });
  assertEquals(d.region.ops.read(0, 4), 6);
  assertEquals(regs, { rax: 6n, rbx: 0x564d5868n, rcx: 2n, rdx: 0x5658n });
  Object.assign(regs, { rax: 0x564d5868n, rcx: 20n });
  assertEquals(d.region.ops.read(0, 4), 0x8000000);
});
