/** The layout of HMP `info mtree`, as QEMU 7.2 prints a tree of memory regions. */
import type { Mapping } from "../../core/memory/address_space.ts";
import type { Region } from "../../core/memory/region.ts";
import type { OwnerOf } from "./mtree_owners.ts";

export interface MtreeNode {
  readonly start: number | bigint;
  /** The last address. */
  readonly end: number | bigint;
  readonly priority: number;
  readonly kind: "i/o" | "ram" | "rom" | "romd";
  readonly name: string;
  /** Shown as an alias of (part of) another region, addresses counted from its start. */
  readonly alias?: { readonly of: string; readonly start: number | bigint };
  children?: readonly MtreeNode[];
  /** Answers itself where no child does; other nodes with children are containers. */
  readonly backed?: boolean;
}

export const MTREE_LAST = 0xffffffffffffffffn;

function hex(v: number | bigint): string {
  return v.toString(16).padStart(16, "0");
}

/** The lines of a node and everything in it. */
export function mtreeLines(node: MtreeNode, indent = 2, owner?: OwnerOf): string[] {
  const { start, end, alias } = node;
  let line = `${" ".repeat(indent)}${hex(start)}-${hex(end)} (prio ${node.priority}, ` +
    `${node.kind}): `;
  if (alias === undefined) line += node.name;
  else {
    const last = BigInt(alias.start) + BigInt(end) - BigInt(start);
    line += `alias ${node.name} @${alias.of} ${hex(alias.start)}-${hex(last)}`;
  }
  if (owner !== undefined) line += owner(node.name, start);
  const children = [...node.children ?? []].sort((a, b) =>
    a.start < b.start ? -1 : a.start > b.start ? 1 : b.priority - a.priority
  );
  return [line, ...children.flatMap((c) => mtreeLines(c, indent + 2, owner))];
}

/** The kind as QEMU words it. */
export function regionKind(r: Region): MtreeNode["kind"] {
  if (r.kind === "io") return "i/o";
  return r.writeOps !== undefined ? "romd" : r.readonly ? "rom" : "ram";
}

/** A mapped region; one that shows a RAM block under another name is an alias of it. */
export function mappingNode(m: Mapping, priority = Math.floor(m.priority)): MtreeNode {
  const r = m.region;
  return {
    start: m.base,
    end: m.base + r.size - 1,
    priority,
    kind: regionKind(r),
    name: r.name,
    alias: r.kind === "ram" && r.name !== r.block.name
      ? { of: r.block.name, start: r.blockOffset }
      : undefined,
    children: r.kind === "io" && r.parts
      ? r.parts.map(({ name, offset, size }) => ({
        start: m.base + offset,
        end: m.base + offset + size - 1,
        priority: 0,
        kind: "i/o",
        name,
      }))
      : undefined,
  };
}
