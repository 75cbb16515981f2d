/**
 * Compares the transcendental x87 instructions with the host processor and counts results by distance:
 * `deno run -A tests/oracle/x87_ulp.ts [cases per instruction] [name filter] [seed]`.
 */
import { X87Bed } from "./x87_bed.ts";
import { type CaseOptions, makeCase, Random } from "./x87_cases.ts";
import { describe } from "./x87_fuzz.ts";
import { type Form, transcendental } from "./x87_forms.ts";
import { Case, MEMORY_BYTES, NativeX87 } from "./x87_native.ts";
import * as S from "../../core/x86/state.ts";

const BATCH = 256;

export interface UlpCounts {
  same: number;
  /** Results one unit in the last place apart, or with another C1. */
  near: number;
  /** Any other difference. */
  wrong: number;
}

/** Distance in units of the last place between two extended values of like sign. */
function distance(h: number, l: bigint, h2: number, l2: bigint): bigint {
  if ((h ^ h2) & 0x8000) return 1n << 80n;
  const order = (a: number, b: bigint) => (BigInt(a & 0x7fff) << 63n) + (b & ((1n << 63n) - 1n));
  const d = order(h, l) - order(h2, l2);
  return d < 0n ? -d : d;
}

export function compareUlps(
  native: NativeX87,
  bed: X87Bed,
  form: Form,
  count: number,
  random: Random,
  options: CaseOptions,
  report: (text: string) => void,
): UlpCounts {
  const counts = { same: 0, near: 0, wrong: 0 };
  bed.prepare(form.bytes);
  const { u8, view } = native, cpu = bed.cpu;
  for (let done = 0; done < count; done += BATCH) {
    const n = Math.min(BATCH, count - done);
    for (let k = 0; k < n; k++) makeCase(random, u8, view, k * Case.SIZE, options);
    const before = u8.slice(0, n * Case.SIZE), input = new DataView(before.buffer);
    native.run(form.bytes, n);
    for (let k = 0; k < n; k++) {
      const at = k * Case.SIZE, out = at + Case.OUT;
      bed.load(before, input, at);
      bed.step();
      const memory = u8.subarray(at + Case.MEMORY, at + Case.MEMORY + MEMORY_BYTES);
      const text = bed.compare(view, at, memory);
      const plain = text.replace(/FIP [^,]*(, )?/, "");
      if (plain === "") {
        counts.same++;
        continue;
      }
      // Forgive the rounding: C1, and one unit in ST(0) and ST(1).
      const top = cpu.get32(S.FTOP);
      let near = true;
      for (let i = 0; i < 2; i++) {
        const r = S.FPR + 16 * ((top + i) & 7), from = out + 32 + 16 * i;
        const h = view.getUint16(from + 8, true), l = view.getBigUint64(from, true);
        const d = distance(cpu.view.getUint16(r + 8, true), cpu.get64(r), h, l);
        if (d > 1n) near = false;
        cpu.set64(r, l);
        cpu.view.setUint16(r + 8, h, true);
      }
      const sw = view.getUint16(out + 2, true);
      cpu.set32(S.FSW, (cpu.get32(S.FSW) & ~0x200) | (sw & 0x200));
      near &&= bed.compare(view, at, memory).replace(/FIP [^,]*(, )?/, "") === "";
      if (near) {
        counts.near++;
        if (Deno.env.get("X87_NEAR")) report(`near ${form.name}: ${describe(input, at)}: ${plain}`);
      } else if (counts.wrong++ < 8) report(`${form.name}: ${describe(input, at)}: ${plain}`);
    }
  }
  return counts;
}

/** Operands in the instructions' ordinary ranges. */
export function ordinary(name: string) {
  return (r: Random): { h: number; l: bigint }[] => {
    const value = (low: number, high: number) => ({
      h: (r.below(2) << 15) | (0x3fff + low + r.below(high - low + 1)),
      l: r.sparse() | (1n << 63n),
    });
    switch (name) {
      case "F2XM1":
        return [value(-20, -1)];
      case "FYL2XP1":
        return [value(-40, -3), value(-20, 20)];
      case "FYL2X": {
        const x = r.below(2) ? value(-1, 0) : value(-60, 60);
        return [{ ...x, h: x.h & 0x7fff }, value(-20, 20)];
      }
      case "FPATAN":
        return [value(-20, 20), value(-20, 20)];
      default:
        return [value(-30, r.below(2) ? 3 : 62)];
    }
  };
}

/** The kinds of cases that one instruction is tried with. */
export function ulpKinds(form: Form): [string, CaseOptions][] {
  return [
    ["ordinary", { emptiness: 0, unmasked: false, operands: ordinary(form.name) }],
    ["any", { emptiness: 0, unmasked: false }],
    ["stack", { emptiness: 16, unmasked: false }],
    ["unmasked", { emptiness: 3, unmasked: true }],
  ];
}

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? 2000), filter = Deno.args[1] ?? "";
  const random = new Random(Number(Deno.args[2] ?? 1));
  const native = new NativeX87(BATCH), bed = new X87Bed();
  for (const form of transcendental) {
    if (!form.name.includes(filter)) continue;
    for (const [kind, options] of ulpKinds(form)) {
      const t = performance.now();
      const c = compareUlps(native, bed, form, count, random, options, (s) => console.log(s));
      const us = ((performance.now() - t) * 1000 / count).toFixed(0);
      console.log(
        `${form.name} ${kind}: ${c.same} same, ${c.near} near, ${c.wrong} wrong; ${us} us`,
      );
    }
  }
  native.close();
}
