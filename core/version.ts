/** What this program calls itself. */

/** Version of qeno, as in deno.json. */
export const QENO_VERSION = "0.1.0";

/** The QEMU whose options, monitor and guest-visible hardware are followed. */
export const QEMU_VERSION = "7.2.22";

/** What `-version` prints: the first line has the form that scripts parse. */
export function versionText(): string {
  return `QEMU emulator version ${QEMU_VERSION} (qeno ${QENO_VERSION})\n` +
    "A PC emulator in TypeScript that takes the place of qemu-system-x86_64\n";
}
