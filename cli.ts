#!/usr/bin/env -S DENO_NO_UPDATE_CHECK=1 deno run -A
// The program as a command. Under a symlink such as `qemu-system-x86_64` Deno takes imports relative
// to the link, and a name without `.ts` for JavaScript: hence no static import and no types here.
const here = Deno.realPathSync(new URL(import.meta.url));
const { main } = await import(new URL("main.ts", new URL(`file://${encodeURI(here)}`)).href);
Deno.exit(await main());
