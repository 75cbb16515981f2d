/** What the kernels of the conformance set share: their checks and how a multiboot image begins. */
import { Assembler, type Instructions } from "../../firmware/asm/assembler.ts";
import { sym } from "../../firmware/asm/operand.ts";
import { type Check, type Expect, LOAD } from "./check.ts";

/** Multiboot Specification 0.6.96, 3.1: load addresses are in the header. */
const MAGIC = 0x1badb002, FLAGS = 0x10000;
export const DEBUGCON = 0xe9, EXIT = 0xf4;

export type Body = (i: Instructions) => void;

export interface CheckOptions {
  /** The CPUID feature, by QEMU's name, that the check is about. */
  readonly needs?: string;
}

/** A kernel that runs checks one after another, each from the same state. */
/** By a check's name and the feature it needs. */
export type LeaveOut = (name: string, needs: string | undefined) => boolean;

export abstract class Kernel {
  readonly a = new Assembler(32, LOAD);
  readonly i: Instructions = this.a.i;
  readonly checks: Check[] = [];
  /** Checks that were left out. */
  leftOut = 0;
  #sdm = "";
  #needs: string | undefined;
  #image: Uint8Array | undefined;
  /** Linear address minus address of the code that is being written. */
  protected alias = 0;
  readonly #marks: string[] = [];

  /**
   * @param leaveOut tells which checks are not to be in the image
   * @param options what QEMU's command line needs beside `-cpu max`
   */
  constructor(
    readonly leaveOut: LeaveOut = () => false,
    readonly options: readonly string[] = [],
  ) {
    const { a } = this;
    a.dd(MAGIC, FLAGS, (-(MAGIC + FLAGS)) >>> 0);
    a.dd(LOAD, LOAD, sym("image.end"), sym("image.end"), sym("start"));
  }

  /** The checks that follow are about this section of the Intel SDM (and need this feature). */
  section(sdm: string, needs?: string): void {
    this.#sdm = sdm;
    this.#needs = needs;
  }

  /** A check: `body` is its code in ring 0, and INT 30h follows it. */
  check(name: string, expect: Expect, body: Body, options: CheckOptions = {}): void {
    const index = this.checks.length, needs = options.needs ?? this.#needs;
    if (this.leaveOut(name, needs)) {
      this.leftOut++;
      return;
    }
    this.checks.push({
      name,
      sdm: this.#sdm,
      expect,
      marked: false,
      ...needs === undefined ? {} : { needs },
    });
    this.#marks.push("");
    this.a.label(`check.${index}`);
    this.alias = 0;
    body(this.i);
    this.i.int(0x30);
    this.leave();
  }
  /** Ends a check's code: what follows is of the kernel's own size again. */
  protected abstract leave(): void;

  /**
   * The event that ends the check must have saved the address of what is written next; the last call
   * counts.
   */
  at(): void {
    const index = this.checks.length - 1, label = this.a.unique("at");
    this.a.label(label);
    this.checks[index].marked = true;
    this.#marks[index] = this.alias === 0 ? label : `${label}+${this.alias}`;
  }

  /** Addresses of every check's code and of its marked instruction, 16 bytes each. */
  protected table(): void {
    const { a } = this;
    a.align(16);
    a.label("table");
    this.checks.forEach((_, n) => {
      a.dq(sym(`check.${n}`));
      const [label, alias] = this.#marks[n].split("+");
      if (label === "") a.dq(0);
      else a.dq(sym(label, Number(alias ?? 0)));
    });
  }

  /** The multiboot image. No check may follow. */
  image(): Uint8Array {
    return this.#image ??= this.build();
  }
  protected abstract build(): Uint8Array;
}
