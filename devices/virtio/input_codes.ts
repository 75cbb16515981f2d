/** Linux's evdev codes (include/uapi/linux/input-event-codes.h) of keys and buttons. */
import type { MouseButton } from "../../core/display/input.ts";
import { type Key, KEY_NUMBERS, KEYS } from "../../core/display/keys.ts";

/** KEY_* of those keys whose code is not their set 1 scancode. */
const OTHERS: Partial<Record<Key, number>> = {
  ro: 89,
  henkan: 92,
  katakanahiragana: 93,
  muhenkan: 94,
  kp_enter: 96,
  ctrl_r: 97,
  kp_divide: 98,
  sysrq: 99,
  print: 99,
  alt_r: 100,
  lf: 101,
  home: 102,
  up: 103,
  pgup: 104,
  left: 105,
  right: 106,
  end: 107,
  down: 108,
  pgdn: 109,
  insert: 110,
  delete: 111,
  audiomute: 113,
  volumedown: 114,
  volumeup: 115,
  power: 116,
  kp_equals: 117,
  pause: 119,
  kp_comma: 121,
  lang1: 122,
  lang2: 123,
  yen: 124,
  meta_l: 125,
  meta_r: 126,
  compose: 127,
  stop: 128,
  again: 129,
  props: 130,
  undo: 131,
  front: 132,
  copy: 133,
  open: 134,
  paste: 135,
  find: 136,
  cut: 137,
  help: 138,
  menu: 139,
  calculator: 140,
  sleep: 142,
  wake: 143,
  mail: 155,
  ac_bookmarks: 156,
  computer: 157,
  ac_back: 158,
  ac_forward: 159,
  audionext: 163,
  audioplay: 164,
  audioprev: 165,
  audiostop: 166,
  ac_home: 172,
  ac_refresh: 173,
  hiragana: 91,
  mediaselect: 226,
};
/** The last scancode of the main block that is a code, too. */
const MAIN_BLOCK = 88;

/** Code by key. */
export const KEY_CODES: Readonly<Partial<Record<Key, number>>> = Object.fromEntries(
  KEYS.flatMap((key) => {
    const code = OTHERS[key] ?? (KEY_NUMBERS[key] <= MAIN_BLOCK ? KEY_NUMBERS[key] : undefined);
    return code === undefined ? [] : [[key, code]];
  }),
);

/** BTN_*. */
export const BUTTON_CODES: Readonly<Record<keyof typeof MouseButton, number>> = {
  left: 0x110,
  right: 0x111,
  middle: 0x112,
  side: 0x113,
  extra: 0x114,
};
