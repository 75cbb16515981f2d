/**
 * Functions that emitted code calls: arithmetic too long to repeat in every handler. Each is built once
 * per machine, when the first code that calls it is, and imported by name.
 */
import { CALL, Expr } from "../wasm/expr.ts";
import { type Callee, FunctionBuilder, type FuncType, Label, type Stmt } from "../wasm/func.ts";

interface Entry {
  readonly callee: Callee;
  readonly body: (f: FunctionBuilder) => void;
}

const entries = new Map<string, Entry>();

/**
 * Registers a library function and gives what `call` needs. The body may call other library functions
 * and work on the shared memory; it has no guest-level nodes.
 */
export function library(name: string, type: FuncType, body: (f: FunctionBuilder) => void): Callee {
  if (entries.has(name)) throw new Error(`library function ${name} defined twice`);
  const callee: Callee = { name, type };
  entries.set(name, { callee, body });
  return callee;
}

/**
 * Builds what a module imports by these names, with all that it calls: the rest of the library costs
 * a machine nothing. `have` tells which names need not be built.
 */
export function buildLibrary(
  names: Iterable<string>,
  have: (name: string) => boolean,
): { name: string; f: FunctionBuilder; callee: Callee }[] {
  const out: { name: string; f: FunctionBuilder; callee: Callee }[] = [];
  const seen = new Set<string>();
  const pending = [...names];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const entry = entries.get(name);
    if (entry === undefined || seen.has(name) || have(name)) continue;
    seen.add(name);
    const f = new FunctionBuilder(name, entry.callee.type);
    entry.body(f);
    out.push({ name, f, callee: entry.callee });
    pending.push(...calledBy(f.body));
  }
  return out;
}

/** Names of the functions that statements call. */
function calledBy(body: readonly Stmt[]): Set<string> {
  const names = new Set<string>();
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit);
    else if (node instanceof Expr) {
      if (node.op === CALL) names.add((node.data as Callee).name);
      node.args.forEach(visit);
    } else if (node !== null && typeof node === "object" && !(node instanceof Label)) {
      if ("callee" in node) names.add((node.callee as Callee).name);
      Object.values(node).forEach(visit);
    }
  };
  visit(body);
  return names;
}
