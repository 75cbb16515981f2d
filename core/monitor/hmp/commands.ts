/** All HMP commands, in the order in which `help` lists them. */
import { splitWords } from "./args.ts";
import type { Command } from "./command.ts";
import { CONTROL_COMMANDS, printLogItems } from "./control.ts";
import { INFO_COMMANDS } from "./info.ts";
import { MEMORY_COMMANDS } from "./memory.ts";

function byName(all: readonly Command[]): readonly Command[] {
  return [...all].sort((a, b) => a.name < b.name ? -1 : 1);
}

export const COMMANDS: readonly Command[] = byName([
  {
    name: "help|?",
    args: "name:S?",
    params: "[cmd]",
    help: "show the help",
    run: (h, args) => {
      const words = splitWords(args.text("name") ?? "");
      if ("complaint" in words) h.print(words.complaint);
      else if (words.length === 1 && words[0] === "log") printLogItems(h);
      else h.help(words);
    },
  },
  {
    name: "info",
    args: "item:s?",
    params: "[subcommand]",
    help: "show various information about the system state",
    sub: byName(INFO_COMMANDS),
  },
  ...MEMORY_COMMANDS,
  ...CONTROL_COMMANDS,
]);
