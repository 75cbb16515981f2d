/**
 * Compares x87 instructions with the host processor:
 * `deno run -A tests/oracle/x87_fuzz.ts [cases per instruction] [name filter] [seed]`.
 */
import { ext, X87Bed } from "./x87_bed.ts";
import { type CaseOptions, makeCase, Random, randomEnvironment } from "./x87_cases.ts";
import { type Form, forms } from "./x87_forms.ts";
import { Case, MEMORY_BYTES, NativeX87 } from "./x87_native.ts";

export interface Difference {
  readonly form: Form;
  readonly text: string;
}

/** Batch size: cases that run natively in one call. */
export const BATCH = 512;

/** Runs `count` random cases of a form; gives the number of differences and describes the first few. */
export function fuzz(
  native: NativeX87,
  bed: X87Bed,
  form: Form,
  count: number,
  random: Random,
  options: CaseOptions,
  report: (text: string) => void,
): number {
  let wrong = 0;
  bed.prepare(form.bytes);
  const { u8, view } = native;
  if (form.pointers) options = { ...options, memory: randomEnvironment };
  for (let done = 0; done < count; done += BATCH) {
    const n = Math.min(BATCH, count - done);
    for (let k = 0; k < n; k++) makeCase(random, u8, view, k * Case.SIZE, options);
    const before = u8.slice(0, n * Case.SIZE);
    const input = new DataView(before.buffer);
    native.run(form.bytes, n);
    for (let k = 0; k < n; k++) {
      const at = k * Case.SIZE;
      bed.load(before, input, at);
      const vector = bed.step();
      const text = vector !== undefined ? `raised ${vector}` : bed.compare(
        view,
        at,
        u8.subarray(at + Case.MEMORY, at + Case.MEMORY + MEMORY_BYTES),
        form.pointers
          ? undefined
          : { ip: native.ip, operand: native.base + BigInt(at + Case.MEMORY) },
      );
      if (text !== "" && wrong++ < 5) report(`${form.name}: ${describe(input, at)}: ${text}`);
    }
  }
  return wrong;
}

export function describe(view: DataView, at: number): string {
  const st = (i: number) =>
    ext(view.getUint16(at + 40 + 16 * i, true), view.getBigUint64(at + 32 + 16 * i, true));
  const hex = (v: number) => v.toString(16);
  return `cw ${hex(view.getUint16(at, true))} sw ${hex(view.getUint16(at + 2, true))} tags ${
    hex(view.getUint8(at + 4))
  } st0 ${st(0)} st1 ${st(1)} mem ${
    ext(
      view.getUint16(at + Case.MEMORY + 8, true),
      view.getBigUint64(at + Case.MEMORY, true),
    )
  }`;
}

/** The three kinds of cases: masked without stack faults, with them, and unmasked. */
export const kinds: readonly CaseOptions[] = [
  { emptiness: 0, unmasked: false },
  { emptiness: 12, unmasked: false },
  { emptiness: 3, unmasked: true },
];

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? 20000), filter = Deno.args[1] ?? "";
  const random = new Random(Number(Deno.args[2] ?? 1));
  const native = new NativeX87(BATCH), bed = new X87Bed();
  let bad = 0;
  const t = performance.now();
  for (const form of forms) {
    if (!form.name.includes(filter)) continue;
    for (const [n, kind] of kinds.entries()) {
      const wrong = fuzz(native, bed, form, count, random, kind, (text) => console.log(text));
      if (wrong) console.log(`${form.name} kind ${n}: ${wrong} of ${count} differ`);
      bad += wrong;
    }
  }
  console.log(`${bad} differences, ${((performance.now() - t) / 1000).toFixed(1)} s`);
  native.close();
}
