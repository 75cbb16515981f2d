/**
 * HMP `info mtree -f`: what the tree of memory regions comes to once priorities and aliases are
 * resolved, in QEMU 7.2's layout.
 */
import type { MtreeNode } from "./mtree.ts";
import type { OwnerOf } from "./mtree_owners.ts";

/** A range of addresses that one region answers. */
interface Range {
  start: bigint;
  /** The last address. */
  end: bigint;
  readonly name: string;
  readonly priority: number;
  readonly kind: MtreeNode["kind"];
  /** Of `start` in the region. */
  readonly offset: bigint;
}

/** An address space: its names, the region at its root, and regions that aliases lead to, by name. */
export interface FlatSpace {
  readonly names: readonly string[];
  readonly root: MtreeNode;
  readonly targets: ReadonlyMap<string, MtreeNode>;
}

const min = (a: bigint, b: bigint) => a < b ? a : b;
const max = (a: bigint, b: bigint) => a > b ? a : b;

/** The ranges of a space, sorted, neighbours of the same region joined. */
export function flatten({ root, targets }: FlatSpace): readonly Range[] {
  const view: Range[] = [];

  /** Adds what of `r` nothing has covered yet. */
  const add = (r: Range) => {
    let at = r.start;
    const put = (end: bigint) => {
      if (at <= end) fresh.push({ ...r, start: at, end, offset: r.offset + at - r.start });
    };
    const fresh: Range[] = [];
    for (const v of view) {
      if (v.end < at) continue;
      if (v.start > r.end) break;
      put(v.start - 1n);
      at = v.end + 1n;
    }
    put(r.end);
    view.push(...fresh);
    view.sort((a, b) => a.start < b.start ? -1 : 1);
  };

  /** @param shift what to add to the node's own addresses */
  const render = (node: MtreeNode, shift: bigint, low: bigint, high: bigint) => {
    const base = BigInt(node.start) + shift;
    const start = max(base, low), end = min(BigInt(node.end) + shift, high);
    if (start > end) return;
    const { alias } = node, target = alias && targets.get(alias.of);
    if (target?.children !== undefined) {
      return render(target, base - BigInt(alias!.start), start, end);
    }
    const children = [...node.children ?? []].sort((a, b) => b.priority - a.priority);
    for (const c of children) render(c, shift, start, end);
    if (node.children !== undefined && !node.backed) return;
    add({
      start,
      end,
      name: alias?.of ?? node.name,
      priority: alias === undefined ? node.priority : target?.priority ?? 0,
      kind: node.name === "pam-rom" ? "rom" : node.kind,
      offset: start - base + BigInt(alias?.start ?? 0),
    });
  };

  render(root, 0n, BigInt(root.start), BigInt(root.end));
  const joined: Range[] = [];
  for (const r of view) {
    const last = joined.at(-1);
    const same = last !== undefined && last.end + 1n === r.start && last.name === r.name &&
      last.kind === r.kind && last.offset + r.start - last.start === r.offset;
    if (same) last.end = r.end;
    else joined.push(r);
  }
  return joined;
}

/** What `info mtree -f` prints. */
export function flatViews(spaces: readonly FlatSpace[], owner?: OwnerOf): string {
  const hex = (v: bigint) => v.toString(16).padStart(16, "0");
  return spaces.map((space, i) => {
    const { name } = space.root;
    const ranges = flatten(space).map((r) =>
      `  ${hex(r.start)}-${hex(r.end)} (prio ${r.priority}, ${r.kind}): ${r.name}` +
      (r.offset === 0n ? "" : ` @${hex(r.offset)}`) + (owner?.(r.name, r.start) ?? "")
    );
    return [
      `FlatView #${i}`,
      ...space.names.map((n) => ` AS "${n}", root: ${name}`),
      ` Root memory region: ${name}`,
      ...ranges,
      "\n",
    ].join("\n");
  }).join("");
}
