import { assertEquals } from "@std/assert";
import { isNamed } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { MONITOR_DIFFERENCES } from "./differences.ts";

Deno.test("each command that is said to differ is one", () => {
  const known = (name: string): boolean => {
    let table: typeof COMMANDS | undefined = COMMANDS;
    for (const word of name.replace(/ [-/].*| help$/, "").split(" ")) {
      const command: (typeof COMMANDS)[number] | undefined = table?.find((c) => isNamed(c, word));
      if (command === undefined) return false;
      table = command.sub;
    }
    return true;
  };
  const names = MONITOR_DIFFERENCES.flatMap(([names]) => names.split(", "));
  assertEquals(names.filter((n) => !n.startsWith("migrate ") && !known(n)), []);
});
