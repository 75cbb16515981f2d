/**
 * Keyboard layouts (`-k`): from characters to key presses. `en-us` is built in; others are read
 * from files in the format QEMU's keymaps have: lines of keysym name, key number and modifiers
 * (`shift`, `altgr`, `numlock`, `addupper`), with `include NAME`.
 */
import { UserError } from "../errors.ts";
import { type Key, keyByNumber } from "./keys.ts";

/** How a layout makes a character: a key and the modifiers held with it. */
export interface KeyPress {
  readonly key: Key;
  readonly shift: boolean;
  readonly altgr: boolean;
}

/** X11 names of the Latin-1 characters that are not their own name, from 20h and from A0h on. */
const ASCII_NAMES = "space exclam quotedbl numbersign dollar percent ampersand apostrophe " +
  "parenleft parenright asterisk plus comma minus period slash 0 1 2 3 4 5 6 7 8 9 colon " +
  "semicolon less equal greater question at";
const AFTER_UPPER = "bracketleft backslash bracketright asciicircum underscore grave";
const AFTER_LOWER = "braceleft bar braceright asciitilde";
const LATIN1_NAMES = "nobreakspace exclamdown cent sterling currency yen brokenbar section " +
  "diaeresis copyright ordfeminine guillemotleft notsign hyphen registered macron degree " +
  "plusminus twosuperior threesuperior acute mu paragraph periodcentered cedilla onesuperior " +
  "masculine guillemotright onequarter onehalf threequarters questiondown Agrave Aacute " +
  "Acircumflex Atilde Adiaeresis Aring AE Ccedilla Egrave Eacute Ecircumflex Ediaeresis Igrave " +
  "Iacute Icircumflex Idiaeresis ETH Ntilde Ograve Oacute Ocircumflex Otilde Odiaeresis multiply " +
  "Oslash Ugrave Uacute Ucircumflex Udiaeresis Yacute THORN ssharp agrave aacute acircumflex " +
  "atilde adiaeresis aring ae ccedilla egrave eacute ecircumflex ediaeresis igrave iacute " +
  "icircumflex idiaeresis eth ntilde ograve oacute ocircumflex otilde odiaeresis division oslash " +
  "ugrave uacute ucircumflex udiaeresis yacute thorn ydiaeresis";

const CHARACTERS = new Map<string, string>([
  ["EuroSign", "€"],
  ["Return", "\n"],
  ["Tab", "\t"],
  ["BackSpace", "\b"],
  ["Escape", "\x1b"],
  ["Delete", "\x7f"],
]);
function name(names: string, from: number): void {
  names.split(" ").forEach((n, i) => CHARACTERS.set(n, String.fromCodePoint(from + i)));
}
name(ASCII_NAMES, 0x20);
name(AFTER_UPPER, 0x5b);
name(AFTER_LOWER, 0x7b);
name(LATIN1_NAMES, 0xa0);

/** The character a keysym name stands for: a letter itself, a Latin-1 name, or `U20AC`. */
export function keysymCharacter(keysym: string): string | undefined {
  if ([...keysym].length === 1) return keysym;
  const unicode = /^U([0-9A-Fa-f]{4,6})$/.exec(keysym);
  if (unicode !== null) {
    const code = parseInt(unicode[1], 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
  }
  return CHARACTERS.get(keysym);
}

/** Keys of the US layout: characters without and with Shift. */
const EN_US: readonly (readonly [Key, string])[] = [
  ["grave_accent", "`~"],
  ["1", "1!"],
  ["2", "2@"],
  ["3", "3#"],
  ["4", "4$"],
  ["5", "5%"],
  ["6", "6^"],
  ["7", "7&"],
  ["8", "8*"],
  ["9", "9("],
  ["0", "0)"],
  ["minus", "-_"],
  ["equal", "=+"],
  ["bracket_left", "[{"],
  ["bracket_right", "]}"],
  ["backslash", "\\|"],
  ["semicolon", ";:"],
  ["apostrophe", "'\""],
  ["comma", ",<"],
  ["dot", ".>"],
  ["slash", "/?"],
  ["spc", " "],
  ["ret", "\n"],
  ["tab", "\t"],
  ["backspace", "\b"],
  ["esc", "\x1b"],
  ["delete", "\x7f"],
  ...[..."abcdefghijklmnopqrstuvwxyz"].map((c) => [c as Key, c + c.toUpperCase()] as const),
];

export class Keymap {
  readonly #presses = new Map<string, KeyPress>();

  /** How to type a character (`\r` is Return), or undefined when the layout has no way. */
  press(char: string): KeyPress | undefined {
    return this.#presses.get(char === "\r" ? "\n" : char);
  }

  /** The keys to hold together for a character, modifiers first. */
  keys(char: string): Key[] | undefined {
    const p = this.press(char);
    if (p === undefined) return undefined;
    return [...(p.shift ? ["shift" as const] : []), ...(p.altgr ? ["alt_r" as const] : []), p.key];
  }

  /** Adds a way to type `char` unless there is one already. */
  add(char: string, press: KeyPress): void {
    if (!this.#presses.has(char)) this.#presses.set(char, press);
  }

  /**
   * Adds the lines of a layout file; lines with unknown keysyms or keys are skipped.
   * @param include gives the text of another layout by name
   */
  parse(text: string, include: (name: string) => string): void {
    for (const line of text.split("\n")) {
      const words = line.trim().split(/\s+/);
      if (words[0] === "" || words[0].startsWith("#") || words[0] === "map") continue;
      if (words[0] === "include" && words.length > 1) {
        this.parse(include(words[1]), include);
        continue;
      }
      const [keysym, number, ...modifiers] = words;
      const char = keysymCharacter(keysym), key = keyByNumber(Number(number));
      if (char === undefined || key === undefined || modifiers.includes("numlock")) continue;
      const shift = modifiers.includes("shift"), altgr = modifiers.includes("altgr");
      this.add(char, { key, shift, altgr });
      if (modifiers.includes("addupper")) {
        this.add(char.toUpperCase(), { key, shift: true, altgr });
      }
    }
  }
}

/** The built-in US layout. */
export function usKeymap(): Keymap {
  const map = new Keymap();
  for (const [key, chars] of EN_US) {
    [...chars].forEach((c, i) => map.add(c, { key, shift: i === 1, altgr: false }));
  }
  return map;
}

/**
 * The layout `-k NAME`.
 * @param read gives a layout file's text, or undefined when there is none of that name
 * Throws {@link UserError} when the layout or one it includes cannot be read.
 */
export function loadKeymap(name: string, read: (name: string) => string | undefined): Keymap {
  const depth = { left: 16 };
  const get = (n: string): string => {
    const text = depth.left-- > 0 ? read(n) : undefined;
    if (text === undefined) throw new UserError(`could not read keymap file: '${n}'`);
    return text;
  };
  if (name === "en-us" && read(name) === undefined) return usKeymap();
  const map = new Keymap();
  map.parse(get(name), get);
  return map;
}
