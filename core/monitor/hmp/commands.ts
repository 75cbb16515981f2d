/** All HMP commands, in the order in which `help` lists them. */
import { splitWords } from "./args.ts";
import type { Command } from "./command.ts";
import { BLOCK_COMMANDS, BLOCK_INFO } from "./block.ts";
import { CHANNEL_COMMANDS, CHANNEL_INFO } from "./channels.ts";
import { CONTROL_COMMANDS, printLogItems } from "./control.ts";
import { DEBUGGING_COMMANDS, DEBUGGING_INFO } from "./debugging.ts";
import { DEVICE_COMMANDS, DEVICE_INFO } from "./devices.ts";
import { DUMP_COMMANDS, DUMP_INFO } from "./dump.ts";
import { INFO_COMMANDS } from "./info.ts";
import { MEMORY_COMMANDS } from "./memory.ts";
import { MIGRATION_COMMANDS, MIGRATION_INFO } from "./migration.ts";
import { QOM_COMMANDS, QOM_INFO } from "./qom.ts";

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
    sub: byName([
      ...INFO_COMMANDS,
      ...BLOCK_INFO,
      ...CHANNEL_INFO,
      ...DEBUGGING_INFO,
      ...DEVICE_INFO,
      ...DUMP_INFO,
      ...MIGRATION_INFO,
      ...QOM_INFO,
    ]),
  },
  ...MEMORY_COMMANDS,
  ...CONTROL_COMMANDS,
  ...BLOCK_COMMANDS,
  ...CHANNEL_COMMANDS,
  ...DEBUGGING_COMMANDS,
  ...DEVICE_COMMANDS,
  ...DUMP_COMMANDS,
  ...MIGRATION_COMMANDS,
  ...QOM_COMMANDS,
]);
