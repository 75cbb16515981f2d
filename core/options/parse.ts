/** Reading a command line: words to options, one after the other, then what they mean together. */
import { versionText } from "../version.ts";
import { CommandLine } from "./command_line.ts";
import type { MachineConfig } from "./config.ts";
import { addDrive } from "./drives.ts";
import { helpText } from "./help.ts";
import { EarlyExit, fail, type OptionsHost } from "./host.ts";
import { isHelp } from "./qemu_opts.ts";
import { resolve } from "./resolve.ts";
import { findOption, type OptionRow } from "./table.ts";

interface Word {
  row: OptionRow | undefined;
  arg: string;
  loc: string;
}

/** The options of `argv` (without the program's name). Throws UserError for unknown ones. */
function* words(argv: readonly string[]): Generator<Word> {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (!word.startsWith("-")) {
      yield { row: undefined, arg: word, loc: word };
      continue;
    }
    const row = findOption(word.slice(word[1] === "-" ? 2 : 1));
    if (!row) fail(word, "invalid option");
    if (!row.arg) {
      yield { row, arg: "", loc: word };
    } else if (i + 1 >= argv.length) {
      fail(word, "requires an argument");
    } else {
      const arg = argv[++i];
      yield { row, arg, loc: `${word} ${arg}` };
    }
  }
}

/**
 * What `argv` (without the program's name) asks for. Throws UserError for a mistake, EarlyExit when
 * help or the version was asked for and has been printed on `host`.
 */
export function parseCommandLine(
  argv: readonly string[],
  host: OptionsHost,
): MachineConfig {
  // As in QEMU a first pass finds unknown options before any other is acted on.
  const all = [...words(argv)];
  const c = new CommandLine(host);
  for (const { row, arg, loc } of all) {
    if (!row) {
      addDrive(c.groups, loc, undefined, 0, arg, "disk");
    } else if (row.name === "h" || row.name === "help") {
      host.stdout(helpText(host.programName));
      throw new EarlyExit(0);
    } else if (row.name === "version") {
      host.stdout(versionText());
      throw new EarlyExit(0);
    } else if (row.status === "missing") {
      if (isHelp(arg)) row.apply(c, arg, loc);
      fail(loc, "Option not supported in this build");
    } else {
      row.apply(c, arg, loc);
    }
  }
  return resolve(c);
}
