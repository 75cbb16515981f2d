/**
 * Structured control flow for a region: WebAssembly has blocks and loops only, so a graph of basic
 * blocks is put into nesting order by its dominator tree (N. Ramsey, "Beyond Relooper: Recursive
 * Translation of Unstructured Control Flow to Structured Control Flow", ICFP 2022).
 */
import type { I32 } from "../wasm/expr.ts";
import type { FunctionBuilder, Label, Stmt } from "../wasm/func.ts";

/** A way from one node to another. */
export interface Edge {
  to: CfgNode;
  /** What happens on the way. */
  readonly stmts: Stmt[];
  /** Not taken inside the region: {@link Structure.leave} is emitted instead. */
  cut: boolean;
}

export interface CfgNode {
  /** The node's code; without edges it ends by leaving the function. */
  readonly stmts: Stmt[];
  /** Chooses `edges[0]` when true. With one edge or none there is no condition. */
  cond: I32 | undefined;
  edges: Edge[];
}

export interface Structure {
  /** Emits the way out of the region to the beginning of `to`. */
  leave(to: CfgNode): void;
  /** Emitted before each branch back to a loop's beginning. */
  backEdge(to: CfgNode): void;
}

interface Info {
  order: number;
  idom: CfgNode;
  forwardIn: number;
  header: boolean;
  children: CfgNode[];
}

const live = (n: CfgNode) => n.edges.filter((e) => !e.cut);

function postorder(entry: CfgNode): CfgNode[] {
  const out: CfgNode[] = [], seen = new Set<CfgNode>();
  const visit = (n: CfgNode) => {
    seen.add(n);
    // The last edge first: a fall-through then follows its branch in the order.
    for (const e of live(n)) if (!seen.has(e.to)) visit(e.to);
    out.push(n);
  };
  visit(entry);
  return out;
}

/** Order, dominators (Cooper, Harvey, Kennedy) and edge counts. */
function analyse(entry: CfgNode): Map<CfgNode, Info> {
  const rpo = postorder(entry).reverse();
  const info = new Map<CfgNode, Info>();
  const preds = new Map<CfgNode, CfgNode[]>(rpo.map((n) => [n, []]));
  rpo.forEach((n, order) =>
    info.set(n, { order, idom: entry, forwardIn: 0, header: false, children: [] })
  );
  for (const n of rpo) for (const e of live(n)) preds.get(e.to)!.push(n);
  const known = new Set([entry]);
  for (let changed = true; changed;) {
    changed = false;
    for (const n of rpo.slice(1)) {
      let dom: CfgNode | undefined;
      for (const p of preds.get(n)!) {
        if (!known.has(p)) continue;
        if (dom === undefined) dom = p;
        else {
          let a: CfgNode = dom, b: CfgNode = p;
          while (a !== b) {
            if (info.get(a)!.order > info.get(b)!.order) a = info.get(a)!.idom;
            else b = info.get(b)!.idom;
          }
          dom = a;
        }
      }
      if (!known.has(n) || info.get(n)!.idom !== dom) {
        known.add(n);
        info.get(n)!.idom = dom!;
        changed = true;
      }
    }
  }
  for (const n of rpo) {
    const i = info.get(n)!;
    if (n !== entry) info.get(i.idom)!.children.push(n);
    for (const e of live(n)) {
      const t = info.get(e.to)!;
      if (t.order <= i.order) t.header = true;
      else t.forwardIn++;
    }
  }
  return info;
}

/** Cuts edges back to nodes that do not dominate where they come from, until there are none. */
function makeReducible(entry: CfgNode): Map<CfgNode, Info> {
  for (;;) {
    const info = analyse(entry);
    let cut = false;
    for (const [n, i] of info) {
      for (const e of live(n)) {
        const t = info.get(e.to)!;
        if (t.order > i.order) continue;
        let d = n;
        while (d !== e.to && d !== entry) d = info.get(d)!.idom;
        if (d !== e.to) e.cut = cut = true;
      }
    }
    if (!cut) return info;
  }
}

/** Emits the graph that begins at `entry`. Returns the number of loops. */
export function structure(f: FunctionBuilder, entry: CfgNode, s: Structure): number {
  const info = makeReducible(entry);
  const labels = new Map<CfgNode, Label>(), loops = new Map<CfgNode, Label>();

  const branch = (from: CfgNode, e: Edge): void => {
    for (const x of e.stmts) f.emit(x);
    if (e.cut) return s.leave(e.to);
    const t = info.get(e.to)!;
    if (t.order <= info.get(from)!.order) {
      s.backEdge(e.to);
      f.br(loops.get(e.to)!);
    } else if (t.forwardIn > 1) f.br(labels.get(e.to)!);
    else node(e.to);
  };
  const within = (n: CfgNode, merges: CfgNode[]): void => {
    if (merges.length > 0) {
      f.block((label) => {
        labels.set(merges[0], label);
        within(n, merges.slice(1));
      });
      return node(merges[0]);
    }
    for (const x of n.stmts) f.emit(x);
    if (n.cond !== undefined && n.edges.length === 2) {
      f.if(n.cond, () => branch(n, n.edges[0]));
      branch(n, n.edges[1]);
    } else if (n.edges.length > 0) branch(n, n.edges[0]);
  };
  const node = (n: CfgNode): void => {
    const i = info.get(n)!;
    const merges = i.children.filter((c) => info.get(c)!.forwardIn > 1)
      .sort((a, b) => info.get(b)!.order - info.get(a)!.order);
    if (!i.header) return within(n, merges);
    f.loop((label) => {
      loops.set(n, label);
      within(n, merges);
    });
  };
  node(entry);
  return loops.size;
}
