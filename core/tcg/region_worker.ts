/** The thread that makes regions: {@link RegionThreadStart}, then {@link RegionThreadJob}s. */
import { memoryType } from "../memory/guest_memory.ts";
import type { MemoryLimits } from "../wasm/module.ts";
import { allSemantics } from "../x86/semantics/all.ts";
import { buildRegion } from "./region.ts";
import type { RegionThreadAnswer, RegionThreadJob, RegionThreadStart } from "./region_compiler.ts";

const scope = self as unknown as {
  onmessage: (e: MessageEvent<RegionThreadStart & RegionThreadJob>) => void;
  postMessage(answer: RegionThreadAnswer): void;
};

/** Calls functions so that V8 compiles them here and not where they are needed. */
class Warmer {
  readonly #memory: WebAssembly.Memory | undefined;
  readonly #table = new WebAssembly.Table({ element: "anyfunc", initial: 1 });

  constructor({ initial, address }: MemoryLimits) {
    try {
      this.#memory = new WebAssembly.Memory(memoryType(initial, address ?? "i32"));
    } catch {
      // There is no room for another memory of this size, though hardly any of it would be used.
    }
  }

  /** Calls the function `name` of `module` in a memory of zeros, where imports do nothing. */
  call(module: WebAssembly.Module, name: string): void {
    if (this.#memory === undefined) return;
    const env: WebAssembly.ModuleImports = { memory: this.#memory, table: this.#table };
    for (const i of WebAssembly.Module.imports(module)) {
      if (i.kind === "function") env[i.name] = () => 0;
    }
    try {
      (new WebAssembly.Instance(module, { env }).exports[name] as CallableFunction)(0, 0);
    } catch {
      // An import should have given an i64: the function has been compiled nevertheless.
    }
  }
}

allSemantics();
scope.onmessage = ({ data: { features, limits } }) => {
  const has = new Set(features), warmer = new Warmer(limits);
  scope.onmessage = ({ data: { id, job } }) => {
    const made = buildRegion(job, (f) => has.has(f), limits);
    if (made === undefined) return scope.postMessage({ id });
    const { bytes, ...code } = made;
    const module = new WebAssembly.Module(bytes);
    warmer.call(module, "region");
    scope.postMessage({ id, made: { code, module } });
  };
};
