/** The microvm's `info mtree` and `info roms`, in QEMU 7.2's layout. */
import { flatViews } from "./flatview.ts";
import type { MicrovmBoard } from "./microvm.ts";
import { mappingNode, MTREE_LAST, mtreeLines, type MtreeNode } from "./mtree.ts";

/** What `info mtree` prints. */
export function infoMicrovmMtree(b: MicrovmBoard): string {
  const { ram, bios } = b;
  const block = (name: string, start: number, size: number): MtreeNode => ({
    start,
    end: start + size - 1,
    priority: 0,
    kind: "ram",
    name,
  });
  const spaces = [
    ["address-space: I/O", ...mtreeLines(ioNode(b))],
    [
      ...b.vcpus.map((v) => `address-space: cpu-memory-${v.index}`),
      "address-space: memory",
      ...mtreeLines(systemNode(b)),
    ],
    [`memory-region: ${ram.name}`, ...mtreeLines(block(ram.name, 0, b.config.ramSize))],
    [
      `memory-region: ${bios.name}`,
      ...mtreeLines(block(bios.name, 2 ** 32 - bios.size, bios.size)),
    ],
  ];
  return spaces.map((lines) => lines.join("\n") + "\n\n").join("");
}

/** What `info mtree -f` prints. */
export function infoMicrovmFlat(b: MicrovmBoard): string {
  const names = ["memory", ...b.vcpus.map((v) => `cpu-memory-${v.index}`)];
  return flatViews([
    { names: ["I/O"], root: ioNode(b), targets: new Map() },
    { names, root: systemNode(b), targets: new Map() },
  ]);
}

/** What `info roms` prints. */
export function infoMicrovmRoms({ fwCfg, config }: MicrovmBoard): string {
  const size = (bytes: number) => `size=0x${bytes.toString(16).padStart(6, "0")}`;
  const length = (name: string) => fwCfg.fileContents(name)?.length ?? 0;
  const lines = fwCfg.fileNames.filter((f) => f.startsWith("genroms/")).map((f) =>
    `fw=${f} ${size(length(f))} name="${f.slice(f.indexOf("/") + 1)}"`
  );
  const at = (2 ** 32 - config.bios.length).toString(16).padStart(16, "0");
  lines.push(`addr=${at} ${size(config.bios.length)} mem=ram name="${config.biosName ?? ""}"`);
  for (const f of ["etc/acpi/tables", "etc/table-loader", "etc/acpi/rsdp"]) {
    if (fwCfg.hasFile(f)) lines.push(`/rom@${f} ${size(length(f))} name="${f}"`);
  }
  return lines.map((line) => line + "\n").join("");
}

function ioNode(b: MicrovmBoard): MtreeNode {
  const children = b.env.io.mappings.filter((m) => m.enabled).map((m): MtreeNode => {
    const node = mappingNode(m);
    if (m.region.name !== "rtc") return node;
    const { start, priority, kind } = node;
    return {
      ...node,
      children: [{ start, end: start, priority, kind, name: "rtc-index" }],
      backed: true,
    };
  });
  return { start: 0, end: 0xffff, priority: 0, kind: "i/o", name: "io", children, backed: true };
}

function systemNode(b: MicrovmBoard): MtreeNode {
  const children = b.env.mem.mappings.filter((m) => m.enabled).map((m) => mappingNode(m));
  return { start: 0, end: MTREE_LAST, priority: 0, kind: "i/o", name: "system", children };
}
