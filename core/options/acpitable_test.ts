import { assertEquals } from "@std/assert";
import { parseCommandLine } from "./parse.ts";

async function tables(line: (file: string) => string, content: string): Promise<string[]> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, content);
    const host = { programName: "q", stdout: () => {}, stderr: () => {} };
    const { acpiTables } = parseCommandLine(line(file).split(" "), host);
    return acpiTables.map((t) => String.fromCharCode(...t));
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("-acpitable data=: QEMU's header, fields cut and filled, the checksum", async () => {
  const line = (file: string) =>
    `-acpitable sig=SLIC,oem_id=AB,oem_table_id=TABLEID,data=${file} ` +
    `-acpitable sig=LONGER,oem_table_id=LONGTABLE,asl_compiler_rev=0x10,data=${file}`;
  const [t, long] = await tables(line, "hello");
  // As in the memory of a guest of QEMU 7.2.
  assertEquals(t, "SLIC)\0\0\0\x01\xe5AB\0\0\0\0TABLEID\0\x01\0\0\0QEMU\x01\0\0\0hello");
  assertEquals(long.slice(0, 9), "LONG)\0\0\0\x01");
  assertEquals(long.slice(10), "QEMUQELONGTABL\x01\0\0\0QEMU\x10\0\0\0hello");
});

Deno.test("-acpitable file=: the header is the file's, but for what is given and the length", async () => {
  const header = "OEM1" + "\xff\xff\xff\xff" + "\x02\0ABCDEFTABLE..." + "\0".repeat(12) + "x";
  const latin = new Uint8Array([...header].map((c) => c.charCodeAt(0)));
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, latin);
    const host = { programName: "q", stdout: () => {}, stderr: () => {} };
    const line = ["-acpitable", `oem_rev=0x01020304,file=${file}:${file}`];
    const [t] = parseCommandLine(line, host).acpiTables;
    assertEquals(t.length, 74);
    assertEquals([...t.subarray(4, 9)], [74, 0, 0, 0, 2]);
    assertEquals([...t.subarray(24, 28)], [4, 3, 2, 1]);
    assertEquals(t.reduce((a, b) => a + b, 0) & 0xff, 0);
    assertEquals([...t.subarray(37)], [...latin]);
  } finally {
    await Deno.remove(file);
  }
});
