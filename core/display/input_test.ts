import { assertEquals, assertThrows } from "@std/assert";
import { ManualClock } from "../clock.ts";
import { UserError } from "../errors.ts";
import { InputRouter, type PointerSink } from "./input.ts";
import { Keymap, keysymCharacter, loadKeymap, usKeymap } from "./keymap.ts";
import { KEYS, parseKeys } from "./keys.ts";

function rig() {
  const clock = new ManualClock(), router = new InputRouter(clock), events: string[] = [];
  router.addKeyboard({
    name: "kbd",
    keyEvent: (key, down) => events.push(`${down ? "+" : "-"}${key}@${clock.now() / 1e6}`),
  });
  return { clock, router, events };
}

function pointer(name: string, absolute: boolean, events: string[]): PointerSink {
  return {
    name,
    absolute,
    move: (...d) => events.push(`${name} move ${d}`),
    moveTo: (...p) => events.push(`${name} to ${p}`),
    buttons: (m) => events.push(`${name} buttons ${m}`),
  };
}

Deno.test("sendkey arguments: names, numbers, < and QEMU's error", () => {
  assertEquals(parseKeys("ctrl-alt-f1"), ["ctrl", "alt", "f1"]);
  assertEquals(parseKeys("0x1e"), ["a"]);
  assertEquals(parseKeys("0xc8-0x9d"), ["up", "ctrl_r"]);
  assertEquals(parseKeys("0x54"), ["sysrq"]);
  assertEquals(parseKeys("0xb7"), ["print"]);
  assertEquals(parseKeys("0xfff"), [], "a number that is no key is ignored");
  assertEquals(parseKeys("<"), ["less"]);
  assertEquals(parseKeys("unmapped-a"), ["a"]);
  for (const [text, wrong] of [["foo", "foo"], ["a-", ""], ["a-foo-b", "foo"], ["0xzz", "0xzz"]]) {
    assertThrows(() => parseKeys(text), UserError, `invalid parameter: ${wrong}`);
  }
  assertEquals(KEYS.length, 149, "QKeyCode of QEMU 7.2 without `unmapped`");
});

Deno.test("sendkey holds the keys and releases them in reverse", () => {
  const { clock, router, events } = rig();
  router.sendKeys(["ctrl", "alt", "delete"]);
  router.sendKeys(["a"], 20);
  assertEquals(events, ["+ctrl@0", "+alt@0", "+delete@0"]);
  clock.advance(1e9);
  assertEquals(events.slice(3), [
    "-delete@100",
    "-alt@100",
    "-ctrl@100",
    "+a@200",
    "-a@220",
  ]);
});

Deno.test("a key released twice is released once; focus loss releases all", () => {
  const { router, events } = rig();
  router.keyEvent("a", false);
  router.keyEvent("shift", true);
  router.keyEvent("a", true);
  router.keyEvent("a", true);
  router.releaseAll();
  router.keyEvent("a", false);
  assertEquals(events, ["+shift@0", "+a@0", "+a@0", "-shift@0", "-a@0"]);
});

Deno.test("info mice, mouse_set and routing by kind", () => {
  const { router } = rig(), events: string[] = [];
  assertEquals(router.infoMice(), "No mouse devices connected\n");
  router.addMouse(pointer("QEMU PS/2 Mouse", false, events));
  assertEquals(router.infoMice(), "* Mouse #2: QEMU PS/2 Mouse\n");
  assertEquals(router.mouseTo(1, 2), false);
  router.addMouse(pointer("tablet", true, events));
  assertEquals(router.infoMice(), "* Mouse #3: tablet (absolute)\n  Mouse #2: QEMU PS/2 Mouse\n");
  router.mouseMove(1, 2);
  router.mouseTo(5, 6);
  router.mouseButtons(1);
  assertThrows(() => router.setMouse(1), UserError, "is not a mouse");
  assertThrows(() => router.setMouse(4), UserError, "Mouse at index '4' not found");
  router.setMouse(2);
  router.mouseButtons(2);
  assertEquals(events, [
    "QEMU PS/2 Mouse move 1,2,0",
    "tablet to 5,6",
    "tablet buttons 1",
    "QEMU PS/2 Mouse buttons 2",
  ]);
  assertThrows(() => router.setMouse(9), UserError, "Mouse at index '9' not found");
});

Deno.test("the US layout types every printable ASCII character", () => {
  const us = usKeymap();
  for (let c = 0x20; c < 0x7f; c++) {
    const char = String.fromCharCode(c);
    assertEquals(us.press(char) !== undefined, true, char);
  }
  assertEquals(us.keys("A"), ["shift", "a"]);
  assertEquals(us.keys("\r"), ["ret"]);
  assertEquals(us.keys('"'), ["shift", "apostrophe"]);
  assertEquals(us.keys("ä"), undefined);
});

Deno.test("layout files: modifiers, includes, numbers behind E0", () => {
  const files: Record<string, string> = {
    de: "# comment\ninclude common\nz 0x15\nat 0x10 altgr\nadiaeresis 0x28\nquestion 0x0c shift\n" +
      "KP_7 0x47 numlock\nnosuchkeysym 0x10\nEuroSign 0x12 altgr\nq 0x10 addupper\n",
    common: "slash 0x08 shift\nDelete 0xd3\n",
    loop: "include loop\n",
  };
  const map = loadKeymap("de", (n) => files[n]);
  assertEquals(map.keys("z"), ["y"]);
  assertEquals(map.keys("@"), ["alt_r", "q"]);
  assertEquals(map.keys("ä"), ["apostrophe"]);
  assertEquals(map.keys("?"), ["shift", "minus"]);
  assertEquals(map.keys("€"), ["alt_r", "e"]);
  assertEquals(map.keys("/"), ["shift", "7"]);
  assertEquals(map.keys("Q"), ["shift", "q"]);
  assertEquals(map.keys("\x7f"), ["delete"]);
  assertThrows(
    () => loadKeymap("xx", (n) => files[n]),
    UserError,
    "could not read keymap file: 'xx'",
  );
  assertThrows(() => loadKeymap("loop", (n) => files[n]), UserError);
  assertEquals(loadKeymap("en-us", () => undefined) instanceof Keymap, true);
});

Deno.test("keysym names", () => {
  assertEquals(
    ["a", "Adiaeresis", "ydiaeresis", "asciitilde", "U20AC", "bracketleft", "F1"].map(
      keysymCharacter,
    ),
    ["a", "Ä", "ÿ", "~", "€", "[", undefined],
  );
});
