/** The PC's `info mtree`: how QEMU's containers and aliases would show the flat address spaces. */
import type { Mapping } from "../../core/memory/address_space.ts";
import type { RamBlock } from "../../core/memory/guest_memory.ts";
import { flatViews } from "./flatview.ts";
import { mappingNode, MTREE_LAST, mtreeLines, type MtreeNode } from "./mtree.ts";
import { type OwnerOf, regionOwners } from "./mtree_owners.ts";
import type { PcBoard } from "./pc.ts";

const VGA_WINDOWS = new Set(["vga-lowmem", "vga.chain4"]);
const PAM_NAMES = new Set(["pam-pci", "pam-rom", "pam-shadow", "pc.rom", "isa-bios"]);

/** What `info mtree -f` prints. */
export function infoFlatViews(b: PcBoard, owners = false): string {
  const names = ["memory", ...b.vcpus.map((v) => `cpu-memory-${v.index}`)];
  return flatViews([
    { names: ["I/O"], root: ioNode(b), targets: new Map() },
    { names, root: systemNode(b), targets: new Map([["pci", pciNode(b)]]) },
  ], owners ? regionOwners(b) : undefined);
}

/** What `info mtree` prints. */
export function infoMtree(b: PcBoard, owners = false): string {
  const owner = owners ? regionOwners(b) : undefined;
  const lines = (node: MtreeNode) => mtreeLines(node, 2, owner);
  const system = systemNode(b), pci = pciNode(b), bios = b.firmware.block;
  const spaces = [
    ["address-space: I/O", ...lines(ioNode(b))],
    [
      ...b.vcpus.map((v) => `address-space: cpu-memory-${v.index}`),
      "address-space: memory",
      ...lines(system),
    ],
    ["memory-region: smram", ...smramLines(b, owner)],
    ["memory-region: pc.ram", ...lines(blockNode(b.ram, 0, "ram", b.config.ramSize))],
    [
      `memory-region: ${bios.name}`,
      ...lines(blockNode(bios, 2 ** 32 - bios.size, "rom", bios.size)),
    ],
    ["memory-region: pci", ...lines(pci)],
  ];
  return spaces.map((lines) => lines.join("\n") + "\n\n").join("");
}

/** Blobs that QEMU keeps as resizable memory, in its order. */
const TABLE_FILES = ["etc/acpi/tables", "etc/table-loader", "etc/acpi/rsdp"];

/** What `info roms` prints: ROMs given by fw_cfg, the system firmware, tables made at the start. */
export function infoRoms(b: PcBoard): string {
  const { fwCfg, config, firmware } = b;
  const size = (bytes: number) => `size=0x${bytes.toString(16).padStart(6, "0")}`;
  const length = (name: string) => fwCfg.fileContents(name)?.length ?? 0;
  const files = fwCfg.fileNames.filter((f) => /^(genroms|vgaroms)\//.test(f)).map((f) =>
    `fw=${f} ${size(length(f))} name="${f.slice(f.indexOf("/") + 1)}"`
  );
  if (firmware.flash.length === 0) {
    const at = (2 ** 32 - config.bios.length).toString(16).padStart(16, "0");
    files.push(`addr=${at} ${size(config.bios.length)} mem=rom name="${config.biosName ?? ""}"`);
  }
  const tables = TABLE_FILES.filter((f) => fwCfg.hasFile(f)).map((f) =>
    `/rom@${f} ${size(length(f))} name="${f}"`
  );
  return [...files, ...tables].map((line) => line + "\n").join("");
}

function blockNode(block: RamBlock, start: number, kind: "ram" | "rom", size: number): MtreeNode {
  return { start, end: start + size - 1, priority: 0, kind, name: block.name };
}

function ioNode(b: PcBoard): MtreeNode {
  const resetControl = b.chipset.resetControlName;
  const containers = b.chipset.portContainers(), children: MtreeNode[] = [...containers];
  for (const m of b.env.io.mappings) {
    if (!m.enabled) continue;
    if (m.region === b.chipset.hostConfig.region) {
      children.push(
        { start: 0xcf8, end: 0xcfb, priority: 0, kind: "i/o", name: "pci-conf-idx" },
        { start: 0xcf9, end: 0xcf9, priority: 1, kind: "i/o", name: resetControl },
        { start: 0xcfc, end: 0xcff, priority: 0, kind: "i/o", name: "pci-conf-data" },
      );
    } else if (m.region === b.dma.pages) {
      // One region here, four in QEMU: between them are ports that only store a byte.
      for (const [start, end] of [[0x81, 0x83], [0x87, 0x87], [0x89, 0x8b], [0x8f, 0x8f]]) {
        children.push({ start, end, priority: 0, kind: "i/o", name: "dma-page" });
      }
    } else {
      const node = m.region.name === "rtc"
        ? rtcNode(m)
        : mappingNode(m, Math.max(0, Math.floor(m.priority)));
      const inside = containers.find((c) =>
        m.priority < 0 && m.base >= Number(c.start) && m.base <= Number(c.end)
      );
      if (inside === undefined) children.push(node);
      else inside.children = [...inside.children ?? [], node];
    }
  }
  return { start: 0, end: 0xffff, priority: 0, kind: "i/o", name: "io", children, backed: true };
}

/** The port of the RTC's index register lies in a region of its own. */
function rtcNode(m: Mapping): MtreeNode {
  const index: MtreeNode = {
    start: m.base,
    end: m.base,
    priority: 0,
    kind: "i/o",
    name: "rtc-index",
  };
  return { ...mappingNode(m), children: [index], backed: true };
}

/** The `pci` container: adapters' windows, ROMs below 1 MiB, BARs, the firmware at the top. */
function pciNode(b: PcBoard): MtreeNode {
  const children: MtreeNode[] = [
    { ...blockNode(b.optionRom, 0xc0000, "rom", b.optionRom.size), priority: 1 },
  ];
  const bios = b.firmware.block, isa = b.firmware.isaBios.size;
  children.push({
    start: 0x100000 - isa,
    end: 0xfffff,
    priority: 1,
    kind: "rom",
    name: "isa-bios",
    alias: { of: bios.name, start: bios.size - isa },
  });
  for (const m of b.env.mem.mappings) {
    if (!m.enabled) continue;
    if (VGA_WINDOWS.has(m.region.name)) children.push(mappingNode(m));
    else if (m.priority === -1) children.push(mappingNode(m, 0));
    else if (m.priority < 0) children.push(mappingNode(m, 1));
  }
  return { start: 0, end: MTREE_LAST, priority: -1, kind: "i/o", name: "pci", children };
}

function systemNode(b: PcBoard): MtreeNode {
  const children: MtreeNode[] = [pciNode(b)];
  for (const m of b.env.mem.mappings) {
    if (m.enabled && !isPci(m)) children.push(mappingNode(m));
  }
  if (!b.chipset.bridge.smramOpen) children.push(pciAlias("smram-region", 0xa0000, 0x20000));
  children.push(
    ...b.chipset.bridge.segments().map(({ base, size, attribute }): MtreeNode => {
      if ((attribute & 1) === 0) return pciAlias("pam-pci", base, size);
      return {
        start: base,
        end: base + size - 1,
        priority: 1,
        kind: "ram",
        name: attribute === 3 ? "pam-ram" : "pam-rom",
        alias: { of: "pc.ram", start: base },
      };
    }),
  );
  return { start: 0, end: MTREE_LAST, priority: 0, kind: "i/o", name: "system", children };
}

/** Mappings that stand elsewhere in the tree: in `pci`, or as PAM and SMRAM aliases. */
function isPci(m: Mapping): boolean {
  const { name } = m.region;
  return m.priority < 0 || VGA_WINDOWS.has(name) || name === "smram-region" ||
    name === "smram-low" || (PAM_NAMES.has(name) && m.priority === 1);
}

function pciAlias(name: string, base: number, size: number): MtreeNode {
  return {
    start: base,
    end: base + size - 1,
    priority: 1,
    kind: "i/o",
    name,
    alias: { of: "pci", start: base },
  };
}

/** The i440FX disables the container until SMRAM is enabled, the MCH what is in it. */
function smramLines(b: PcBoard, owner: OwnerOf | undefined): string[] {
  const { bridge: { smramEnabled }, pciexbar } = b.chipset;
  const low: MtreeNode = {
    start: 0xa0000,
    end: 0xbffff,
    priority: 0,
    kind: "ram",
    name: "smram-low",
    alias: { of: "pc.ram", start: 0xa0000 },
  };
  if (!smramEnabled && pciexbar === undefined) return mtreeLines(low, 4, owner);
  const children = smramEnabled ? [low] : [];
  return mtreeLines(
    {
      start: 0,
      end: 2 ** 32 - 1,
      priority: 0,
      kind: "i/o",
      name: "smram",
      children,
    },
    2,
    owner,
  );
}
