/**
 * Functions that emitted code calls: arithmetic too long to repeat in every handler. Each is built once
 * per machine into the run-time module and imported by name.
 */
import type { Callee, FuncType } from "../wasm/func.ts";
import { FunctionBuilder } from "../wasm/func.ts";

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

/** All functions registered, built: for the run-time module. Calls between them stay inside it. */
export function buildLibrary(): { name: string; f: FunctionBuilder; callee: Callee }[] {
  return [...entries.values()].map(({ callee, body }) => {
    const f = new FunctionBuilder(callee.name, callee.type);
    body(f);
    return { name: callee.name, f, callee };
  });
}
