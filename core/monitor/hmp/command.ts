/** What HMP commands are made of, and what their handlers work with. */
import type { Vcpu } from "../../accel.ts";
import type { OptionsHost } from "../../options/host.ts";
import type { MonitorTarget } from "../target.ts";
import type { Args, FormatDefaults } from "./args.ts";
import type { RegisterReader } from "./expr.ts";

/** One row of a command table. */
export interface Command {
  /** Name and aliases, separated by `|`. */
  readonly name: string;
  /** See args.ts. */
  readonly args: string;
  /** Arguments as `help` shows them. */
  readonly params: string;
  readonly help: string;
  /** Absent where {@link sub} does the work. */
  readonly run?: Handler;
  /** Commands below this one (`info`); without one of them, `help` for all is printed. */
  readonly sub?: readonly Command[];
  /** Candidates for Tab for the nth argument, where its type does not tell. */
  readonly complete?: (h: Hmp, n: number) => readonly string[];
  /** What joins the parts of an argument; {@link complete} is about the last part. */
  readonly separator?: string;
}

/** A mistake is thrown as UserError and printed behind `Error: `. */
export type Handler = (h: Hmp, args: Args) => void | Promise<void>;

/** One monitor session: what commands remember from one to the next. */
export interface Hmp {
  readonly target: MonitorTarget;
  readonly defaults: FormatDefaults;
  /** Lines entered, the oldest first. */
  readonly history: readonly string[];
  /** The vCPU chosen with `cpu`. */
  cpuIndex: number;
  readonly vcpu: Vcpu;
  readonly register: RegisterReader;
  /** Answers; `\n` ends a line. */
  print(text: string): void;
  /** Prints help on one command, or on all of a table; `words` are the command's names from the top. */
  help(words: readonly string[]): void;
  /** The process is to end: the session takes no more commands. */
  quit(): void;
}

/** Where option parsers that serve a command put their text: on the monitor. */
export function monitorHost(h: Hmp): OptionsHost {
  return {
    programName: h.target.config.programName,
    stdout: (text) => h.print(text),
    stderr: (text) => h.print(text),
  };
}

/** Whether `name` is one of the names of a command. */
export function isNamed(c: Command, name: string): boolean {
  return c.name.split("|").includes(name);
}
