/** Code page 437, the character set of the PC's text screens, to and from Unicode. */
import type { TextScreen } from "./display.ts";

const LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const HIGH =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌" +
  "█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

/** The glyph of each byte as a Unicode character. */
export const CP437: readonly string[] = Array.from(
  { length: 256 },
  (_, i) => i < 32 ? LOW[i] : i < 127 ? String.fromCharCode(i) : i === 127 ? "⌂" : HIGH[i - 128],
);

const FROM_UNICODE = new Map(CP437.map((c, i) => [c, i]));
FROM_UNICODE.set(" ", 0x20);

/** The byte whose glyph is `char`, or undefined when the code page has none. */
export function toCp437(char: string): number | undefined {
  return FROM_UNICODE.get(char);
}

/** The screen as text: one line per row, spaces at the end of rows removed. */
export function screenText(t: TextScreen): string {
  const lines: string[] = [];
  for (let row = 0; row < t.rows; row++) {
    let line = "";
    for (let column = 0; column < t.columns; column++) {
      line += CP437[t.chars[row * t.columns + column]];
    }
    lines.push(line.replace(/[ \u00a0]+$/, ""));
  }
  return lines.join("\n");
}
