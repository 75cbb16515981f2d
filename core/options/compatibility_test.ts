import { assert, assertEquals } from "@std/assert";
import { compatibilityPage, PAGE } from "./compatibility.ts";
import { OPTIONS } from "./table.ts";

Deno.test("docs/compatibility.md is what the tables say (deno task compat writes it)", () => {
  assertEquals(Deno.readTextFileSync(PAGE), compatibilityPage());
});

Deno.test("every option that QEMU 7.2's help names is in the table", async () => {
  let help: string;
  try {
    const out = await new Deno.Command("qemu-system-x86_64", { args: ["-help"], stderr: "null" })
      .output();
    help = new TextDecoder().decode(out.stdout);
  } catch {
    return;
  }
  if (!help.startsWith("QEMU emulator version 7.2.")) return;
  const known = new Set(OPTIONS.map((o) => o.name));
  const missing = new Set<string>();
  for (const m of help.matchAll(/^--?([a-zA-Z][a-zA-Z0-9_-]*)(?:\/-([a-z]+))?/gm)) {
    for (const name of m.slice(1)) if (name && !known.has(name)) missing.add(name);
  }
  assertEquals([...missing], []);
  assert(known.size > 120);
});
