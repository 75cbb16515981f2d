/** The text of `-help`. */
import { versionText } from "../version.ts";
import { OPTIONS, SECTIONS } from "./table.ts";

/** Options by section in QEMU's order; only what can be used is shown. */
export function helpText(programName: string): string {
  let text = versionText() +
    `usage: ${programName} [options] [disk_image]\n\n` +
    "'disk_image' is a raw hard disk image for IDE hard disk 0\n";
  for (const section of SECTIONS) {
    const shown = OPTIONS.filter((o) =>
      o.section === section && o.status !== "missing" && o.usage !== ""
    );
    if (shown.length === 0) continue;
    text += `\n${section}:\n` + shown.map((o) => o.usage + "\n").join("");
  }
  return text +
    "\nWhen using -nographic, press 'ctrl-a h' to get some help.\n\n" +
    "docs/compatibility.md tells what differs from QEMU.\n";
}
