import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { buildAcpi } from "./acpi.ts";
import * as aml from "./aml.ts";
import { buildMpConfig, buildMpPointer } from "./mp.ts";
import { buildPir } from "./pir.ts";
import { buildSmbios } from "./smbios.ts";

const machine = {
  cpus: [{ apicId: 0, present: true }, { apicId: 1, present: true }],
  ioapicId: 0,
  hpet: true,
  keyboard: true,
  floppy: true,
  serials: [{ port: 0x3f8, irq: 4 }, { port: 0x2f8, irq: 3 }],
  parallels: [{ port: 0x378, irq: 7 }],
  pciMemStart: 0xe0000000,
  s3: true,
  s4Type: 2,
};

const sum = (b: Uint8Array) => b.reduce((a, x) => a + x, 0) & 0xff;

async function run(...args: string[]): Promise<string | undefined> {
  try {
    const r = await new Deno.Command(args[0], {
      args: args.slice(1),
      stdout: "piped",
      stderr: "piped",
    }).output();
    return new TextDecoder().decode(r.stdout) + new TextDecoder().decode(r.stderr);
  } catch {
    return undefined;
  }
}
const haveIasl = await run("iasl", "-v") !== undefined;

/** Tables of the blob by signature, checksums put in as firmware would. */
function tablesOf(blob: Uint8Array): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>(), v = new DataView(blob.buffer);
  for (let at = 64; at + 36 <= blob.length; at += 16) {
    const signature = String.fromCharCode(...blob.subarray(at, at + 4));
    if (!/^[A-Z]{4}$/.test(signature) || v.getUint32(at + 12, true) === 0) continue;
    const table = blob.slice(at, at + v.getUint32(at + 4, true));
    table[9] = 0;
    table[9] = -sum(table);
    found.set(signature, table);
    at += Math.floor((table.length - 1) / 16) * 16;
  }
  return found;
}

const q35 = { ...machine, chipset: "ich9" as const, pciexbar: 0xb0000000, pciMemStart: 0xa0000000 };

/** The tables as iasl prints them; fails on anything iasl complains about. */
async function disassemble(blob: Uint8Array): Promise<Map<string, string>> {
  const dir = await Deno.makeTempDir(), texts = new Map<string, string>();
  try {
    for (const [name, bytes] of tablesOf(blob)) {
      await Deno.writeFile(`${dir}/${name}.aml`, bytes);
      await run("iasl", "-d", `${dir}/${name}.aml`);
      const text = await Deno.readTextFile(`${dir}/${name}.dsl`);
      assert(!/Incorrect checksum|Invalid|Error|Unknown/.test(text), `${name}: ${text}`);
      texts.set(name, text);
    }
    const compiled = await run("iasl", `${dir}/DSDT.dsl`);
    assertStringIncludes(compiled!, "Compilation successful. 0 Errors");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  return texts;
}

Deno.test({
  name: "iasl disassembles every table, and compiles the DSDT again",
  ignore: !haveIasl,
  fn: async () => {
    const texts = await disassemble(buildAcpi(machine).tables);
    assertEquals([...texts.keys()], ["DSDT", "FACP", "APIC", "HPET", "WAET", "RSDT", "XSDT"]);
    assertStringIncludes(texts.get("FACP")!, "PM Timer Block Address : 00000608");
    assertStringIncludes(texts.get("FACP")!, "Reset Register");
    assertStringIncludes(texts.get("DSDT")!, "Name (_PRT, Package (0x80)");
    assertStringIncludes(texts.get("DSDT")!, 'EisaId ("PNP0A03")');
  },
});

Deno.test({
  name: "Q35: iasl reads the tables; MCFG, the ICH9's ports, both routing tables",
  ignore: !haveIasl,
  fn: async () => {
    const texts = await disassemble(buildAcpi(q35).tables);
    assertEquals([...texts.keys()].includes("MCFG"), true);
    assertStringIncludes(texts.get("MCFG")!, "Base Address : 00000000B0000000");
    assertStringIncludes(texts.get("MCFG")!, "End Bus Number : FF");
    const fadt = texts.get("FACP")!;
    assertStringIncludes(fadt, "GPE0 Block Address : 00000620");
    assertStringIncludes(fadt, "GPE0 Block Length : 10");
    assertStringIncludes(fadt, "ACPI Enable Value : 02");
    const dsdt = texts.get("DSDT")!;
    assertStringIncludes(dsdt, 'EisaId ("PNP0A08")');
    assertStringIncludes(dsdt, "Name (PRTA, Package (0x80)");
    // Slot 31, INTA: PIRQA, input 16. Slot 1, INTA: PIRQF, input 21.
    assertMatch(dsdt, /0x001FFFFF,\s+Zero,\s+Zero,\s+0x10/);
    assertMatch(dsdt, /0x0001FFFF,\s+Zero,\s+Zero,\s+0x15/);
    // PCI memory does not overlap the configuration space.
    assertMatch(dsdt, /0xA0000000,\s+\/\/ Range Minimum\s+0xAFFFFFFF,/);
    assertMatch(dsdt, /0xC0000000,\s+\/\/ Range Minimum\s+0xFEBFFFFF,/);
  },
});

Deno.test("ACPI: fewer devices, no HPET, no sleep states still make tables", () => {
  const small = tablesOf(
    buildAcpi({
      ...machine,
      hpet: false,
      keyboard: false,
      floppy: false,
      serials: [],
      parallels: [],
      s3: false,
      s4Type: undefined,
      pciMem64: { start: 2 ** 33, end: 2 ** 34 },
    }).tables,
  );
  assertEquals(small.has("HPET"), false);
  const text = String.fromCharCode(...small.get("DSDT")!);
  assertEquals([text.includes("_S3_"), text.includes("_S5_"), text.includes("COM1")], [
    false,
    true,
    false,
  ]);
});

Deno.test("AML: names, integers and package lengths as the specification encodes them", () => {
  assertEquals(aml.nameString("\\_SB.PCI0"), [
    ...[0x5c, 0x2e, 0x5f, 0x53, 0x42, 0x5f, 0x50, 0x43, 0x49, 0x30],
  ]);
  assertEquals(aml.nameString("^ISA"), [0x5e, 0x49, 0x53, 0x41, 0x5f]);
  assertEquals(aml.integer(1), [1]);
  assertEquals(aml.integer(0x1234), [0x0b, 0x34, 0x12]);
  assertEquals(aml.integer(2 ** 32), [0x0e, 0, 0, 0, 0, 1, 0, 0, 0]);
  assertEquals(aml.eisaId("PNP0A03"), [0x0c, 0x41, 0xd0, 0x0a, 0x03]);
  assertEquals(aml.pkgLength(new Array(62).fill(0)), [63]);
  assertEquals(aml.pkgLength(new Array(63).fill(0)), [0x41, 0x04]);
  assertEquals(aml.pkgLength(new Array(0x1000).fill(0)), [0x83, 0x00, 0x01]);
});

Deno.test("MP table: counts, checksums, the timer on input 2", () => {
  const config = buildMpConfig({
    cpus: [{ apicId: 0, bsp: true }, { apicId: 1, bsp: false }],
    signature: 0x663,
    features: 0x78bfbff,
    ioapicId: 0,
    pciBuses: [0],
    pciInterrupts: [{ bus: 0, slot: 3, pin: 0, gsi: 11 }],
    irq0Override: true,
  });
  const v = new DataView(config.buffer);
  assertEquals([sum(config), v.getUint16(4, true)], [0, config.length]);
  // 2 processors, 2 buses, 1 I/O APIC, 1 PCI and 14 ISA interrupts (not 2, not 11), 2 local ones
  assertEquals(v.getUint16(34, true), 2 + 2 + 1 + 1 + 14 + 2);
  const entries: Uint8Array[] = [];
  for (let at = 44; at < config.length; at += config[at] === 0 ? 20 : 8) {
    entries.push(config.subarray(at, at + (config[at] === 0 ? 20 : 8)));
  }
  const timer = entries.find((e) => e[0] === 3 && e[4] === 1 && e[5] === 0);
  assertEquals(timer?.[7], 2);
  const pointer = buildMpPointer(0xf3000);
  assertEquals([sum(pointer), pointer.length], [0, 16]);
});

Deno.test("PCI routing table: size and checksum", () => {
  const pir = buildPir({
    router: 8,
    routerId: 0x70008086,
    slots: [{ slot: 1, first: 0 }, { slot: 2, first: 1 }],
    irqMask: 0x0c00,
  });
  assertEquals([sum(pir), pir.length], [0, 64]);
  assertEquals([...pir.subarray(48, 54)], [0, 0x10, 0x61, 0x00, 0x0c, 0x62]);
});

Deno.test("SMBIOS: structures in order, strings ended, the entry point's counts", () => {
  const { anchor, tables } = buildSmbios({
    ramSize: 128 << 20,
    lowRamSize: 128 << 20,
    sockets: 2,
    coresPerSocket: 1,
    threadsPerSocket: 1,
    cpuSignature: 0x663,
    cpuFeatures: 0x78bfbff,
    uuid: Uint8Array.from({ length: 16 }, (_, n) => n),
    product: "Standard PC (i440FX + PIIX, 1996)",
    version: "pc-i440fx-7.2",
  });
  const types: number[] = [];
  let longest = 0;
  for (let at = 0; at < tables.length;) {
    const start = at;
    types.push(tables[at]);
    if (tables[at] === 1) assertEquals([...tables.subarray(at + 8, at + 13)], [3, 2, 1, 0, 5]);
    at += tables[at + 1];
    while (tables[at] !== 0 || tables[at + 1] !== 0) at++;
    at += 2;
    longest = Math.max(longest, at - start);
  }
  assertEquals(types, [1, 3, 4, 4, 16, 17, 19, 32, 127]);
  const v = new DataView(anchor.buffer);
  assertEquals([v.getUint16(22, true), v.getUint16(28, true)], [tables.length, types.length]);
  assertEquals(v.getUint16(8, true), longest);
});

Deno.test("ACPI: the user's tables come last in the lists; with a SLIC its names are the RSDT's", () => {
  const table = (signature: string, name: string) => {
    const t = new Uint8Array(40), v = new DataView(t.buffer);
    t.set(new TextEncoder().encode(signature));
    v.setUint32(4, t.length, true);
    t.set(new TextEncoder().encode(name), 10);
    return t;
  };
  const userTables = [table("USER", "ABCDEFGHIJKLMN"), table("SLIC", "OEM-IDTABLE-ID")];
  const { tables } = buildAcpi({ ...machine, userTables });
  const found = tablesOf(tables),
    name = (t: Uint8Array) => String.fromCharCode(...t.subarray(10, 24));
  const [rsdt, fadt, madt] = ["RSDT", "FACP", "APIC"].map((s) => found.get(s)!);
  assertEquals([name(rsdt), name(fadt), name(madt)], [
    "OEM-IDTABLE-ID",
    "OEM-IDTABLE-ID",
    "QENO  QENOPC  ",
  ]);
  const v = new DataView(rsdt.buffer, rsdt.byteOffset, rsdt.length);
  for (const [n, user] of userTables.entries()) {
    const at = v.getUint32(rsdt.length - 8 + 4 * n, true);
    assertEquals(tables.slice(at, at + 40), user);
  }
});
