/** What `-cpu help` prints, in QEMU's layout. */
import { recognizedFlags } from "./features.ts";
import { models } from "./models.ts";

const FLAGS_WIDTH = 75;

/** The host's own CPU comes with KVM. */
const LAST: readonly (readonly [name: string, description: string])[] = [
  ["base", "base CPU model type with no features enabled"],
  ["host", "processor with all supported host features "],
  ["max", "Enables all features supported by the accelerator in the current host"],
];

function rows(): [name: string, description: string][] {
  const out: [string, string][] = [];
  for (const m of models) {
    if (m.description !== undefined) continue;
    out.push([m.name, "(alias configured by machine type)"], [`${m.name}-v1`, m.modelId]);
    let id = m.modelId;
    (m.versions ?? []).forEach((v, n) => {
      const name = `${m.name}-v${n + 2}`;
      id = v.modelId ?? id;
      if (v.alias !== undefined) out.push([v.alias, `(alias of ${name})`]);
      out.push([name, v.note === undefined ? id : `${id} [${v.note}]`]);
    });
  }
  return out.sort(([a], [b]) => a < b ? -1 : 1);
}

export function cpuHelp(): string {
  const lines = ["Available CPUs:"];
  for (const [name, text] of [...rows(), ...LAST]) lines.push(`x86 ${name.padEnd(20)}  ${text}`);
  lines.push("", "Recognized CPUID flags:");
  let line = " ";
  for (const flag of recognizedFlags()) {
    if (line.length + flag.length + 1 > FLAGS_WIDTH) {
      lines.push(line);
      line = " ";
    }
    line += ` ${flag}`;
  }
  return [...lines, line, ""].join("\n") + "\n";
}
