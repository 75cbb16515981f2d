/** The HMP command interpreter: finds commands, runs them, helps, and completes what is typed. */
import type { Vcpu } from "../../accel.ts";
import { UserError } from "../../errors.ts";
import { EarlyExit } from "../../options/host.ts";
import type { Completion } from "../readline.ts";
import type { MonitorTarget } from "../target.ts";
import { ArgumentError, argumentType, parseArgs, splitWords } from "./args.ts";
import { type Command, type Hmp, isNamed } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { isSpace } from "./expr.ts";
import { completeFile } from "./files.ts";
import { readRegister } from "./registers.ts";

export interface InterpreterOptions {
  readonly target: MonitorTarget;
  /** Takes the answers; `\n` ends a line. */
  print(text: string): void;
  /** Lines for `info history`. */
  history?(): readonly string[];
}

interface Found {
  readonly command: Command;
  /** Where its arguments begin. */
  readonly at: number;
}

export class HmpInterpreter implements Hmp {
  readonly target: MonitorTarget;
  readonly defaults = { format: "x", size: 4 };
  cpuIndex = 0;
  #quitting = false;

  constructor(private readonly options: InterpreterOptions) {
    this.target = options.target;
  }

  /** `quit` was given: no more lines are to be read. */
  get quitting(): boolean {
    return this.#quitting;
  }
  get history(): readonly string[] {
    return this.options.history?.() ?? [];
  }
  get vcpu(): Vcpu {
    return this.target.machine.vm.vcpus[this.cpuIndex];
  }
  readonly register = (name: string): bigint | undefined => readRegister(this.vcpu, name);

  print(text: string): void {
    this.options.print(text);
  }
  quit(): void {
    this.#quitting = true;
  }

  /**
   * Runs a line. Never throws and never rejects: mistakes are printed.
   * @returns a promise when the command takes time
   */
  execute(line: string): void | Promise<void> {
    try {
      const found = this.#find(line);
      if (found === undefined) return;
      const { command, at } = found;
      const { name, args } = command;
      const parsed = parseArgs(args, line, at, {
        name,
        register: this.register,
        defaults: this.defaults,
      });
      if (command.run === undefined) return this.help([name]);
      const running = command.run(this, parsed);
      if (running !== undefined) return running.catch((e) => this.#report(line, at, e));
    } catch (e) {
      this.#report(line, this.#find(line, true)?.at ?? 0, e);
    }
  }

  #report(line: string, at: number, e: unknown): void {
    if (e instanceof EarlyExit) return;
    if (e instanceof ArgumentError) {
      const command = line.slice(0, at).trim();
      return this.print(`${e.message}Try "help ${command}" for more information\n`);
    }
    if (e instanceof UserError) return this.print(`Error: ${e.message}\n`);
    this.print(`Error: internal error: ${e instanceof Error ? e.message : String(e)}\n`);
  }

  /** Follows the words of a line down the tables; complains about unknown ones. */
  #find(line: string, quiet = false): Found | undefined {
    let table = COMMANDS, at = 0, command: Command | undefined;
    for (;;) {
      const m = /^[ \t\n\v\f\r]*([^ \t\n\v\f\r/]*)[ \t\n\v\f\r]*/.exec(line.slice(at))!;
      const name = m[1];
      if (name === "") return undefined;
      command = table.find((c) => isNamed(c, name));
      const end = at + m[0].length;
      if (command === undefined) {
        const typed = line.slice(0, end).trim();
        if (!quiet) this.print(`unknown command: '${typed}'\n`);
        return undefined;
      }
      at = end;
      if (command.sub === undefined || at >= line.length) return { command, at };
      table = command.sub;
    }
  }

  help(words: readonly string[]): void {
    let table = COMMANDS, prefix = "";
    for (const [i, name] of words.entries()) {
      const command = table.find((c) => isNamed(c, name));
      if (command === undefined) {
        return this.print(`unknown command: '${words.slice(0, i + 1).join(" ")}'\n`);
      }
      if (command.sub === undefined || (i === words.length - 1 && command.sub.length === 0)) {
        return this.#describe(prefix, command);
      }
      prefix += `${name} `;
      table = command.sub;
    }
    for (const command of table) this.#describe(prefix, command);
  }

  #describe(prefix: string, c: Command): void {
    this.print(`${prefix}${c.name} ${c.params} -- ${c.help}\n`);
  }

  /** Candidates for the last word of a line; an open quotation is complained about. */
  complete(line: string): Completion {
    const words = splitWords(line);
    if ("complaint" in words) {
      this.print(words.complaint);
      return { typed: "", candidates: [] };
    }
    if (line === "" || isSpace(line.at(-1))) words.push("");
    return this.#completeIn(COMMANDS, words);
  }

  #completeIn(table: readonly Command[], words: readonly string[]): Completion {
    const typed = words.at(-1)!;
    const matching = (all: readonly string[], part = typed) => ({
      typed: part,
      candidates: all.filter((c) => c.startsWith(part)),
    });
    if (words.length <= 1) return matching(table.flatMap((c) => c.name.split("|")));
    const command = table.find((c) => isNamed(c, words[0]));
    if (command === undefined) return { typed, candidates: [] };
    if (command.sub !== undefined) return this.#completeIn(command.sub, words.slice(1));
    if (isNamed(command, "help")) return this.#completeIn(COMMANDS, words.slice(1));
    const n = words.slice(1, -1).filter((w) => !w.startsWith("-")).length;
    if (command.complete) {
      const { separator } = command;
      const part = separator === undefined ? typed : typed.split(separator).at(-1)!;
      return matching(command.complete(this, n), part);
    }
    switch (argumentType(command.args, n)) {
      case "F":
        return { typed, candidates: completeFile(typed) };
      case "B":
        return matching(this.target.blocks.drives.map((d) => d.name));
      default:
        return { typed, candidates: [] };
    }
  }
}
