import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type IsoOptions, makeIso } from "./iso9660.ts";

const bytes = (n: number, seed = 1) => new Uint8Array(n).map((_, i) => i * 7 + seed);

function ascii(b: Uint8Array, at: number, n: number): string {
  return String.fromCharCode(...b.subarray(at, at + n));
}

/** A reader of the primary tree for these tests: path to [first sector, bytes]. */
function list(iso: Uint8Array, descriptor = 16): Map<string, [number, number]> {
  const v = new DataView(iso.buffer);
  const found = new Map<string, [number, number]>();
  const walk = (lba: number, size: number, prefix: string) => {
    for (let at = lba * 2048; at < lba * 2048 + size;) {
      const length = iso[at];
      if (length === 0) {
        at = (Math.floor(at / 2048) + 1) * 2048;
        continue;
      }
      assert(Math.floor(at / 2048) === Math.floor((at + length - 1) / 2048), "crosses a sector");
      const first = v.getUint32(at + 2, true), n = v.getUint32(at + 10, true);
      assertEquals([v.getUint32(at + 6), v.getUint32(at + 14)], [first, n], "both byte orders");
      const name = ascii(iso, at + 33, iso[at + 32]);
      if (name !== "\0" && name !== "\x01") {
        if (iso[at + 25] & 2) walk(first, n, `${prefix}${name}/`);
        else found.set(prefix + name, [first, n]);
      }
      at += length;
    }
  };
  const root = descriptor * 2048 + 156;
  walk(v.getUint32(root + 2, true), v.getUint32(root + 10, true), "");
  return found;
}

Deno.test("files and directories come back, names in ISO form", () => {
  const files = [
    { path: "boot/isolinux/isolinux.cfg", data: bytes(100) },
    { path: "boot/vmlinuz-6.1.0-50-686", data: bytes(5000, 2) },
    { path: "README", data: bytes(2048, 3) },
    { path: "empty.txt", data: bytes(0) },
  ];
  const iso = makeIso({ volumeId: "Test disc", files });
  assertEquals(ascii(iso, 16 * 2048, 7), "\x01CD001\x01");
  assertEquals(ascii(iso, 17 * 2048, 7), "\xffCD001\x01");
  assertEquals(ascii(iso, 16 * 2048 + 40, 10), "TEST_DISC ");
  assertEquals(new DataView(iso.buffer).getUint32(16 * 2048 + 80, true) * 2048, iso.length);
  const found = list(iso);
  assertEquals([...found.keys()].sort(), [
    "BOOT/ISOLINUX/ISOLINUX.CFG;1",
    "BOOT/VMLINUZ_6_1.0_50_686;1",
    "EMPTY.TXT;1",
    "README.;1",
  ]);
  const [lba, size] = found.get("BOOT/VMLINUZ_6_1.0_50_686;1")!;
  assertEquals(iso.slice(lba * 2048, lba * 2048 + size), files[1].data);
});

Deno.test("many files fill several directory sectors; equal ISO names are made different", () => {
  const files = Array.from({ length: 200 }, (_, i) => ({
    path: `dir/a rather long file name, number ${i}.text`,
    data: bytes(10, i),
  }));
  const iso = makeIso({ volumeId: "MANY", files, rockRidge: true, joliet: true });
  const found = list(iso);
  assertEquals(found.size, 200);
  const firsts = new Set([...found.values()].map(([lba]) => iso[lba * 2048]));
  assertEquals(firsts.size, 200);
  assertEquals(list(iso, 17).size, 200, "the Joliet tree");
});

Deno.test("El Torito: catalog, default entry, sections, boot info table", () => {
  const loader = bytes(4096), floppy = bytes(1474560), disk = new Uint8Array(1024);
  disk[0x1c2] = 0x0c;
  const iso = makeIso({
    volumeId: "BOOT",
    files: [
      { path: "isolinux.bin", data: loader },
      { path: "floppy.img", data: floppy },
      { path: "disk.img", data: disk },
    ],
    boot: {
      id: "QENO",
      entries: [
        { path: "isolinux.bin", emulation: "none", bootInfoTable: true, loadSectors: 4 },
        { path: "floppy.img", emulation: "floppy" },
        { path: "disk.img", emulation: "hd", loadSegment: 0x1000, platform: 0xef },
      ],
    },
  });
  const v = new DataView(iso.buffer);
  assertEquals(ascii(iso, 17 * 2048 + 7, 23), "EL TORITO SPECIFICATION");
  const catalog = v.getUint32(17 * 2048 + 0x47, true) * 2048;
  const found = list(iso);
  const at = (name: string) => found.get(name)![0];
  assertEquals(catalog, at("BOOT.CAT;1") * 2048);
  let sum = 0;
  for (let i = 0; i < 32; i += 2) sum += v.getUint16(catalog + i, true);
  assertEquals([sum & 0xffff, iso[catalog], v.getUint16(catalog + 0x1e)], [0, 1, 0x55aa]);
  const entry = (o: number) => [
    iso[catalog + o],
    iso[catalog + o + 1],
    v.getUint16(catalog + o + 2, true),
    iso[catalog + o + 4],
    v.getUint16(catalog + o + 6, true),
    v.getUint32(catalog + o + 8, true),
  ];
  assertEquals(entry(0x20), [0x88, 0, 0, 0, 4, at("ISOLINUX.BIN;1")]);
  assertEquals([...iso.subarray(catalog + 0x40, catalog + 0x44)], [0x90, 0, 1, 0]);
  assertEquals(entry(0x60), [0x88, 2, 0, 0, 1, at("FLOPPY.IMG;1")]);
  assertEquals([...iso.subarray(catalog + 0x80, catalog + 0x84)], [0x91, 0xef, 1, 0]);
  assertEquals(entry(0xa0), [0x88, 4, 0x1000, 0x0c, 1, at("DISK.IMG;1")]);
  const image = at("ISOLINUX.BIN;1") * 2048;
  let words = 0;
  for (let i = 64; i < 4096; i += 4) {
    words = (words + new DataView(loader.buffer).getUint32(i, true)) >>> 0;
  }
  assertEquals(
    [8, 12, 16, 20].map((o) => v.getUint32(image + o, true)),
    [16, at("ISOLINUX.BIN;1"), 4096, words],
  );
  assertEquals(loader[8], bytes(9)[8], "the caller's image is untouched");
});

Deno.test("input that does not fit is refused", () => {
  const make = (o: Partial<IsoOptions>) => () => makeIso({ volumeId: "X", files: [], ...o });
  const file = { path: "a/b", data: bytes(1) };
  assertThrows(make({ files: [file, file] }), RangeError, "twice");
  assertThrows(make({ files: [file, { path: "a", data: bytes(1) }] }), RangeError, "twice");
  assertThrows(make({ files: [{ path: "1/2/3/4/5/6/7/8/9", data: bytes(1) }] }), RangeError);
  const boot = { entries: [{ path: "a/b", emulation: "floppy" as const }] };
  assertThrows(make({ files: [file], boot }), RangeError, "no floppy image");
  assertThrows(make({ boot }), RangeError, "no such boot image");
});

function have(tool: string): boolean {
  try {
    return new Deno.Command(tool, { args: ["-version"], stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "xorriso reads the disc: tree, El Torito, Rock Ridge names and contents",
  ignore: !have("xorriso"),
  fn() {
    const dir = Deno.makeTempDirSync();
    try {
      const data = bytes(70000);
      for (const extra of [{}, { rockRidge: true }, { joliet: true }]) {
        Deno.writeFileSync(
          `${dir}/x.iso`,
          makeIso({
            volumeId: "QENO_TEST",
            files: [
              { path: "boot/loader.bin", data: bytes(4096) },
              { path: "sub/dir/Long name.data", data },
            ],
            boot: {
              entries: [{ path: "boot/loader.bin", emulation: "none", bootInfoTable: true }],
            },
            ...extra,
          }),
        );
        const run = (...args: string[]) => {
          const r = new Deno.Command("xorriso", { args: ["-indev", `${dir}/x.iso`, ...args] })
            .outputSync();
          const out = new TextDecoder().decode(r.stdout) + new TextDecoder().decode(r.stderr);
          assertEquals(r.code, 0, out);
          assert(!/FAILURE|SORRY|WARNING/.test(out), out);
          return out;
        };
        assertStringIncludes(run("-toc"), "QENO_TEST");
        const boot = run("-report_el_torito", "plain");
        assertStringIncludes(boot.toLowerCase(), "/boot/loader.bin");
        assertStringIncludes(boot, "boot-info-table");
        const tree = run("-find", "/", "-type", "f");
        const name = "rockRidge" in extra || "joliet" in extra
          ? "'/sub/dir/Long name.data'"
          : "'/SUB/DIR/LONG_NAME.DATA'";
        assertStringIncludes(tree, name.replaceAll("'", ""), tree);
        const path = name.slice(1, -1);
        run("-osirrox", "on", "-extract", path, `${dir}/out${Object.keys(extra)}`);
        assertEquals(Deno.readFileSync(`${dir}/out${Object.keys(extra)}`), data);
      }
    } finally {
      Deno.removeSync(dir, { recursive: true });
    }
  },
});
