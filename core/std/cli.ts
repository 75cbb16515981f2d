/**
 * `@std/cli` over `node:`: the functions this project uses, same names and arguments. Mapping the
 * import to `jsr:@std/cli` in deno.json replaces this file.
 */
import { stripVTControlCharacters } from "node:util";

/** Columns a string takes on a terminal (wide East Asian characters take two). */
export function unicodeWidth(str: string): number {
  let n = 0;
  for (const ch of stripVTControlCharacters(str)) {
    const c = ch.codePointAt(0)!;
    n += /\p{Mn}|\p{Cc}/u.test(ch) ? 0 : c >= 0x1100 &&
        /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u
          .test(ch)
      ? 2
      : 1;
  }
  return n;
}
