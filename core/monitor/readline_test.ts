import { assertEquals } from "../std/assert.ts";
import { Readline } from "./readline.ts";

/** A line editor with what it printed; escapes are shown as `^`. */
function editor(candidates: readonly string[] = []) {
  let output = "";
  const lines: string[] = [];
  const r = new Readline({
    print: (text) => output += text,
    line: (text) => {
      lines.push(text);
      r.showPrompt();
    },
    complete: (text) => {
      const typed = text.split(" ").at(-1)!;
      return { typed, candidates: candidates.filter((c) => c.startsWith(typed)) };
    },
  }, "> ");
  return {
    lines,
    history: () => r.history,
    type(text: string): string {
      output = "";
      for (const c of text) r.handleByte(c.charCodeAt(0));
      return output.replaceAll("\x1b", "^");
    },
  };
}

Deno.test("typing is drawn byte for byte as QEMU's readline draws it", () => {
  const e = editor();
  assertEquals(e.type("he"), "h^[K^[Dhe^[K");
  assertEquals(e.type("\x7f\x7f"), "^[D^[Dh^[K^[D^[K");
  assertEquals(e.type("\n"), "\n> ");
  assertEquals(e.lines, [""]);
});

Deno.test("editing keys", () => {
  const e = editor();
  e.type("abc def\x17\x01Z\x05Y\x1b[D\x1b[C\x1b[3~\n");
  e.type("world\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x08big \n");
  e.type("xyz\x1b[1~\x04\x1b[C-\x1b[4~!\n");
  e.type("abc\x1bOHx\x1bOFy\n");
  assertEquals(e.lines, ["Zabc Y", "big world", "y-z!", "xabcy"]);
});

Deno.test("history goes up and down and holds a line once", () => {
  const e = editor();
  e.type("one\ntwo\none\n");
  assertEquals(e.history(), ["two", "one"]);
  e.type("\x1b[A\x1b[A\x1b[A\n"); // two, the oldest
  e.type("\x1b[A\x1b[B\x1b[B\n"); // below the newest: empty
  assertEquals(e.lines.slice(3), ["two", ""]);
  assertEquals(e.history(), ["one", "two"]);
  for (let i = 0; i < 70; i++) e.type(`line ${i}\n`);
  assertEquals(e.history().length, 64);
  assertEquals(e.history()[0], "line 6");
});

Deno.test("Tab completes one candidate and lists several", () => {
  const e = editor(["info", "system_reset", "system_wakeup", "dir/"]);
  assertEquals(e.type("in\t"), "i^[K^[Din^[K^[D^[Dinfo ^[K");
  e.type("x\n");
  assertEquals(
    e.type("s\t"),
    "s^[K\nsystem_reset   system_wakeup  \n> system_^[K",
  );
  e.type("r\t\n");
  e.type("d\tfile\n");
  e.type("nothing\t\n");
  assertEquals(e.lines, ["info x", "system_reset ", "dir/file", "nothing"]);
});
