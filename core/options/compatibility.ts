/**
 * Writes docs/compatibility.md from the tables that drive the command line: `deno task compat`. A
 * test fails when the file is not what the tables say.
 */
import { QEMU_VERSION } from "../version.ts";
import { BACKENDS } from "../chardev/parse.ts";
import { MONITOR_DIFFERENCES } from "../monitor/hmp/differences.ts";
import { models } from "../x86/cpuid/models.ts";
import { ACCELERATORS } from "./accelerators.ts";
import { DEVICE_TYPES } from "./devices.ts";
import { MACHINE_TYPES } from "./machines.ts";
import { OPTIONS, SECTIONS } from "./table.ts";

const INTRO = `# Compatibility with QEMU

qeno takes the command line of \`qemu-system-x86_64\` ${QEMU_VERSION}: the same options, the same rules for
their values, the same messages and exit status when something is wrong. This page is made from the
table that drives the parser (\`deno task compat\`), so it says what the program does.

- **works**: as in QEMU.
- **differs**: the note says how.
- **missing**: refused with \`Option not supported in this build\` and status 1, never ignored.

Any option may be written with one dash or two.

## What differs on purpose

- \`-enable-kvm\` uses KVM where it can. Where it cannot, it warns once and runs under tcg; QEMU ends
  with an error. \`-accel kvm\` alone fails as QEMU does.
- The default display is none: there is no window. Serial port, parallel port and monitor are
  virtual consoles by default, as in QEMU, but no window shows them: \`-nographic\`, \`-serial stdio\`
  or \`-monitor stdio\` puts them on the terminal.
- There is no default network card while there are no network back ends.
- All versions of \`pc-i440fx\` are the same board, and so are those of \`pc-q35\`.
- \`-accel tcg,tier=0\` keeps hot code from being compiled into regions (tier 1); \`tier=1\` lets it.
- In telnet mode a data byte of 255 is doubled on output, as RFC 854 asks.
- The message about a signal does not name the process that sent it, which Deno does not tell.
- \`-version\` names qeno behind the QEMU version it follows.
`;

function table(header: string[], rows: string[][]): string {
  const width = header.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i].length)));
  const line = (r: string[]) => `| ${r.map((c, i) => c.padEnd(width[i])).join(" | ")} |`;
  return [line(header), `| ${width.map((w) => "-".repeat(w)).join(" | ")} |`, ...rows.map(line)]
    .join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** First and last version of each family of machines. */
function machineNames(machines: readonly { name: string; family: string }[]): string {
  return [...new Set(machines.map((m) => m.family))].map((family) => {
    const names = machines.filter((m) => m.family === family).map((m) => m.name);
    return names.length === 1 ? names[0] : `${family}, ${names[0]} to ${names.at(-1)}`;
  }).join("; ");
}

/** The whole page. */
export function compatibilityPage(): string {
  const parts = [INTRO, "## Options\n"];
  for (const section of SECTIONS) {
    const list = OPTIONS.filter((o) => o.section === section);
    const rows = list.map((o) => [
      `\`-${o.name}\`${o.arg ? " …" : ""}`,
      section === "Other targets" ? "as in QEMU" : o.status,
      escaped(
        section === "Other targets" ? "`Option not supported for this target`" : o.note ?? "",
      ),
    ]);
    parts.push(`### ${section}\n`, table(["Option", "Status", "Note"], rows), "");
  }
  parts.push(
    "## Monitor\n",
    "Every HMP command of QEMU 7.2 is known, with its arguments, help and errors. These differ:\n",
    table(
      ["Command", "How"],
      MONITOR_DIFFERENCES.map(([names, note]) => [
        names.startsWith("migrate ") ? names : names.split(", ").map((n) => `\`${n}\``).join(", "),
        escaped(note),
      ]),
    ),
    "",
  );
  const machines = MACHINE_TYPES.filter((m) => m.implemented);
  parts.push(
    "## Values\n",
    table(["What", "Names"], [
      ["Machines", machineNames(machines)],
      ["Accelerators", ACCELERATORS.join(", ")],
      ["CPU models", `${models.map((m) => m.name).sort().join(", ")}; their versions and aliases`],
      ["Devices", DEVICE_TYPES.filter((t) => t.pluggable).map((t) => t.name).join(", ")],
      ["Character devices", BACKENDS.join(", ")],
    ]),
    "",
  );
  return parts.join("\n");
}

export const PAGE = new URL("../../docs/compatibility.md", import.meta.url);

if (import.meta.main) Deno.writeTextFileSync(PAGE, compatibilityPage());
