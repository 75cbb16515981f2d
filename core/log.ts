/**
 * The log behind `-d ITEMS -D FILE` and HMP `log`. Items are QEMU's; each is one bit of `logMask`,
 * tested before a message is built so that a disabled item costs one AND.
 */
import { UserError } from "./errors.ts";

/** Bits of {@link logMask}, named as QEMU's `-d help` names them. */
export const LogItem = {
  in_asm: 1 << 1,
  op: 1 << 2,
  op_opt: 1 << 3,
  int: 1 << 4,
  exec: 1 << 5,
  pcall: 1 << 6,
  cpu: 1 << 8,
  cpu_reset: 1 << 9,
  unimp: 1 << 10,
  guest_errors: 1 << 11,
  mmu: 1 << 12,
  page: 1 << 14,
  nochain: 1 << 15,
  out_asm: 1 << 0,
} as const;
export type LogItemName = keyof typeof LogItem;

/** What `-d help` prints behind each item. */
export const logItemHelp: Record<LogItemName, string> = {
  out_asm: "show generated host assembly code for each compiled TB",
  in_asm: "show target assembly code for each compiled TB",
  op: "show micro ops for each compiled TB",
  op_opt: "show micro ops after optimization",
  int: "show interrupts/exceptions in short format",
  exec: "show trace before each executed TB (lots of logs)",
  cpu: "show CPU registers before entering a TB (lots of logs)",
  mmu: "log MMU-related activities",
  pcall: "x86 only: show protected mode far calls/returns/exceptions",
  cpu_reset: "show CPU state before CPU resets",
  unimp: "log unimplemented functionality",
  guest_errors: "log when the guest OS does something invalid (eg accessing a\n" +
    "non-existent register)",
  page: "dump pages at beginning of user mode emulation",
  nochain: 'do not chain compiled TBs so that "exec" and "cpu" show\n' + "complete traces",
};

/** OR of the enabled {@link LogItem} bits. Read it; change it with {@link setLogMask}. */
export let logMask = 0;
let sink: (text: string) => void = (t) => {
  Deno.stderr.writeSync(new TextEncoder().encode(t));
};

export function setLogMask(mask: number): void {
  logMask = mask;
}

/** Where log text goes; the default is stderr. */
export function setLogSink(write: (text: string) => void): void {
  sink = write;
}

/** Writes `text` and a newline when `item` is enabled. */
export function log(item: LogItemName, text: string): void {
  if (logMask & LogItem[item]) sink(text + "\n");
}

/** Writes text as it is, whatever the mask: the caller has tested it. */
export function logRaw(text: string): void {
  sink(text);
}

/** Parses `a,b,-c`; throws {@link UserError} on an unknown item. */
export function parseLogItems(text: string): number {
  let mask = 0;
  for (let name of text.split(",")) {
    const off = name.startsWith("-");
    if (off) name = name.slice(1);
    const bits = name === "all"
      ? Object.values(LogItem).reduce((a, b) => a | b, 0)
      : LogItem[name as LogItemName];
    if (bits === undefined) throw new UserError(`Invalid parameter '${name}'`);
    mask = off ? mask & ~bits : mask | bits;
  }
  return mask;
}
