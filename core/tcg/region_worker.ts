/** The thread that makes regions: {@link RegionThreadStart}, then {@link RegionThreadJob}s. */
import { allSemantics } from "../x86/semantics/all.ts";
import { buildRegion } from "./region.ts";
import type { RegionThreadAnswer, RegionThreadJob, RegionThreadStart } from "./region_compiler.ts";

const scope = self as unknown as {
  onmessage: (e: MessageEvent<RegionThreadStart & RegionThreadJob>) => void;
  postMessage(answer: RegionThreadAnswer): void;
};

allSemantics();
scope.onmessage = ({ data: { features, limits } }) => {
  const has = new Set(features);
  scope.onmessage = ({ data: { id, job } }) => {
    const made = buildRegion(job, (f) => has.has(f), limits);
    if (made === undefined) return scope.postMessage({ id });
    const { bytes, ...code } = made;
    scope.postMessage({ id, made: { code, module: new WebAssembly.Module(bytes) } });
  };
};
