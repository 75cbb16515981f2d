/** x87 instructions against the host processor: a sample of what `tests/oracle/x87_fuzz.ts` runs. */
import { assertEquals } from "@std/assert";
import { X87Bed } from "../../../tests/oracle/x87_bed.ts";
import { Random } from "../../../tests/oracle/x87_cases.ts";
import { forms, transcendental } from "../../../tests/oracle/x87_forms.ts";
import { fuzz, kinds } from "../../../tests/oracle/x87_fuzz.ts";
import { hasNative, NativeX87 } from "../../../tests/oracle/x87_native.ts";
import { compareUlps, ulpKinds } from "../../../tests/oracle/x87_ulp.ts";

const ignore = !hasNative();

Deno.test({ name: "x87: exact instructions equal the host processor's", ignore }, () => {
  const native = new NativeX87(512), bed = new X87Bed(), random = new Random(87);
  const differences: string[] = [];
  for (const form of forms) {
    for (const kind of kinds) {
      fuzz(native, bed, form, 64, random, kind, (text) => differences.push(text));
    }
  }
  native.close();
  assertEquals(differences, []);
});

Deno.test({ name: "x87: transcendentals are within one unit of the host's", ignore }, () => {
  const native = new NativeX87(512), bed = new X87Bed(), random = new Random(287);
  const differences: string[] = [];
  for (const form of transcendental) {
    for (const [name, kind] of ulpKinds(form)) {
      const c = compareUlps(native, bed, form, 100, random, kind, (text) => differences.push(text));
      // Neither side rounds every result correctly; most must agree to the last bit.
      if (c.near > 30) differences.push(`${form.name} ${name}: ${c.near} of 100 off by one`);
    }
  }
  native.close();
  assertEquals(differences, []);
});
