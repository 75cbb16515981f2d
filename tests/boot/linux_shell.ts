/** The shell of a Linux guest on the serial port: what it prints when asked, and what it complains of. */
import { INIT_MARKER } from "../guests/guests.ts";
import type { Session } from "./session.ts";

/** Waits for the guest's init with so many processors, and for its prompt. */
export async function shell(s: Session, cpus: number, seconds: number, from = 0): Promise<void> {
  const at = await s.expect(new RegExp(`${INIT_MARKER} cpus=${cpus}\\b`), from, seconds);
  await s.expect(/# /, at, seconds);
}

/** Output of a shell command, with plain new lines; call it at a prompt, it returns at the next one. */
export async function ask(s: Session, command: string, seconds = 120): Promise<string> {
  const from = s.text.length;
  // The shell echoes what is typed: only the evaluated marks are looked for.
  await s.type(`echo BEGIN$((0)); ${command}; echo END$((0))\n`);
  const begin = await s.expect(/BEGIN0\r*\n/, from, seconds);
  const end = await s.expect(/END0\r*\n/, begin, seconds);
  // What is typed while the shell sets its terminal up for a line is lost now and then.
  await s.expect(/# /, end, seconds);
  const output = s.text.slice(begin, end).replaceAll("\r", "");
  return output.slice(0, output.lastIndexOf("END0"));
}

const COMPLAINT = /\b(fail\w*|warning|bug|unsupported|invalid|error|unable|can't|cannot|broken)\b/i;
/** Kernel log priorities up to "warning" (linux/kern_levels.h). */
const WARNING = 4;

/**
 * What a kernel's log complains of, from the output of `dmesg -r`: messages of warning priority or
 * worse, and others with words of failure. Numbers become N, so that two runs can be compared.
 */
export function complaints(dmesg: string): string[] {
  const found = new Set<string>();
  for (const line of dmesg.split("\n")) {
    const m = /^<(\d+)>\[ *[\d.]+\] (.*)$/.exec(line);
    if (m === null) continue;
    const text = m[2].replace(/\b(0x)?[0-9a-f]*\d[0-9a-f]*\b/gi, "N");
    if ((Number(m[1]) & 7) <= WARNING || COMPLAINT.test(text)) found.add(text);
  }
  return [...found];
}
