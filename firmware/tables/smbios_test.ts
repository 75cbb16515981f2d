/** The structures that `-smbios` asks for, against those read from the memory of QEMU 7.2's guests. */
import { assertEquals, assertThrows } from "@std/assert";
import { UserError } from "../../core/errors.ts";
import { uuidBytes } from "../../core/options/files.ts";
import { parseCommandLine } from "../../core/options/parse.ts";
import { buildSmbios, type SmbiosFiles } from "./smbios.ts";

/** What a PC of 128 MiB with `sockets` processors of `cores` cores has for the options of `line`. */
function smbios(line: string, sockets = 1, cores = 1): SmbiosFiles {
  const host = { programName: "q", stdout: () => {}, stderr: () => {} };
  const config = parseCommandLine(line.split(" "), host);
  return buildSmbios({
    ramSize: 128 << 20,
    lowRamSize: 128 << 20,
    sockets,
    coresPerSocket: cores,
    threadsPerSocket: cores,
    cpuSignature: 0x60fb1,
    cpuFeatures: 0x78bfbfd,
    uuid: uuidBytes(config.uuid),
    product: config.machine.description,
    version: config.machine.type,
    wide: config.machine.smbiosEntryPointType === "64",
    options: config.smbios,
    pciAddress: (id) => id === "rr" ? 0x28 : undefined,
  });
}

const hex = (b: Uint8Array) => [...b].map((x) => x.toString(16).padStart(2, "0")).join("");

async function withFile(bytes: Uint8Array, f: (path: string) => void): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, bytes);
    f(path);
  } finally {
    await Deno.remove(path);
  }
}

const EVERY_TYPE = [
  "00180000010200e803000800000000000000001c2c01ffff5600312e3000640000",
  "011b00010102030033221100554477668899aabbccddeeff06040551454d55005374616e646172642050432028" +
  "693434304658202b20504949582c2031393936290070632d6934343066782d372e32007300460000",
  "020f00020102030000010400030a0051454d55005374616e646172642050432028693434304658202b20504949" +
  "582c2031393936290070632d6934343066782d372e3200686572650000",
  "0316000301010200030303030200000000000000000051454d5500563300410000",
  "042a00040103010288776655443322110300000046003c004101ffffffffffff04050601010102000100534b20" +
  "300051454d550070632d6934343066782d372e320053004100500000",
  "0809000001000207096900650000",
  "0809010000000000000000",
  "0b05000e046f6e650074776f006162630000",
  "1017001001030600000200feff010000000000000000000000",
  "112800110010feffffffffff80000900010207020070110300000000000000007011000000000000" +
  "4c203000620051454d550000",
  "131f001300000000ffff0100001001000000000000000000000000000000000000",
  "200b0020000000000000000000",
  "290b002901830300000000440000",
  "290b012901850100000028450000",
  "7f04007f0000",
];

Deno.test("-smbios: fields of every type, later options over earlier ones", () =>
  withFile(new TextEncoder().encode("abc"), (text) => {
    const { anchor, tables } = smbios([
      "-smbios type=0,vendor=V,version=1.0,date=d,release=300.1,uefi=on",
      "-smbios type=1,serial=s,sku=s,family=s,uuid=00112233-4455-6677-8899-AABBCCDDEEFF",
      "-smbios type=1,family=F,serial= -smbios type=2,location=here -smbios type=3,asset=A",
      "-smbios type=4,processor-id=0x1122334455667788,max-speed=70,current-speed=60,sock_pfx=SK," +
      "part=P,asset=A,serial=S",
      "-smbios type=8,internal_reference=i,external_reference=e,connector_type=7,port_type=9",
      `-smbios type=8 -smbios type=11,value=one,value=two,value=,path=${text}`,
      "-smbios type=17,speed=70000,bank=b,loc_pfx=L",
      "-smbios type=41,designation=D,kind=video,instance=3",
      "-smbios type=41,designation=E,kind=ethernet,pcidev=rr -smbios type=3,version=V3",
    ].join(" "));
    assertEquals(hex(tables), EVERY_TYPE.join(""));
    const wanted = "5f534d5f001f020855000000000000005f444d495f00f201000000000f0028";
    assertEquals(hex(anchor), wanted);
  }));

const WIDE = [
  "0b053412016162630000",
  "00180000000000e80000080000000000000000140000ffff0000",
  "011b0001010203000000000000000000000000000000000006000051454d55005374616e646172642050432028" +
  "693434304658202b20504949582c2031393936290070632d6934343066782d372e320000",
  "0316000301010200000303030200000000000000000051454d550070632d6934343066782d372e320000",
  "0430000401030102010000000000000003000000d007d0074101ffffffffffff00000002020202000100020002" +
  "00020043505520300051454d550070632d6934343066782d372e320000",
  "0430010401030102010000000000000003000000d007d0074101ffffffffffff00000002020202000100020002" +
  "00020043505520310051454d550070632d6934343066782d372e320000",
  "1017001001030600000200feff010000000000000000000000",
  "112800110010feffffffffff80000900010007020000000200000000000000000000000000000000" +
  "44494d4d20300051454d550000",
  "131f001300000000ffff0100001001000000000000000000000000000000000000",
  "200b0020000000000000000000",
  "7f04007f0000",
];

Deno.test("-smbios file= comes first; smbios-entry-point-type=64; empty fields", () =>
  withFile(Uint8Array.of(11, 5, 0x34, 0x12, 1, 0x61, 0x62, 0x63, 0, 0), (file) => {
    const { anchor, tables } = smbios(
      `-M pc,smbios-entry-point-type=64 -smbios type=0 -smbios file=${file} ` +
        "-smbios type=4,processor-id=1",
      2,
      2,
    );
    assertEquals(hex(tables), WIDE.join(""));
    assertEquals(hex(anchor), "5f534d335f00180300000100b5010000" + "00".repeat(8));
  }));

Deno.test("-smbios file= of a type keeps the machine's own away", () =>
  withFile(Uint8Array.of(4, 5, 0, 4, 1, 0x61, 0, 0), (file) => {
    const { tables } = smbios(`-smbios file=${file}`);
    assertEquals(hex(tables.subarray(0, 8)), "0405000401610000");
    assertEquals(hex(tables.subarray(8, 12)), "011b0001");
    assertEquals(hex(tables).includes("042a0004"), false);
    const twice = `-smbios file=${file} -smbios file=${file}`;
    assertThrows(() => smbios(twice), UserError, "Expected 1 SMBIOS Type 4 tables, got 2 instead");
  }));

Deno.test("-smbios type=41 of a device that is not there", () => {
  const wrong = "No PCI device x for SMBIOS type 41 entry (null)";
  assertThrows(() => smbios("-smbios type=41,pcidev=x"), UserError, wrong);
});
