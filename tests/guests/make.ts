#!/usr/bin/env -S deno run -A
/**
 * `deno task guests`: makes guest media in the cache. Without arguments it lists them; `all` or
 * names make them.
 */
import { type Guest, guests, GuestUnavailable } from "./guests.ts";

const all = Object.entries(guests) as [string, Guest][];
const args = Deno.args;

if (args.length === 0) {
  console.log("usage: deno task guests all | NAME...\n");
  for (const [name, g] of all) console.log(`  ${name.padEnd(20)} ${g.description}`);
  Deno.exit(0);
}

const unknown = args.filter((a) => a !== "all" && !(a in guests));
if (unknown.length > 0) {
  console.error(`no such guest: ${unknown.join(", ")}`);
  Deno.exit(1);
}

const terminal = Deno.stdout.isTerminal();
const write = (s: string) => Deno.stdout.writeSync(new TextEncoder().encode(s));
const chosen = all.filter(([name]) => args.includes("all") || args.includes(name));
let failed = 0;
for (const [i, [name, g]] of chosen.entries()) {
  const head = `[${i + 1}/${chosen.length}] ${name.padEnd(20)} `;
  if (terminal) write(head + "…");
  const start = performance.now();
  let result: string;
  try {
    const path = await g.make();
    const size = (Deno.statSync(path).size / 2 ** 20).toFixed(1);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    result = `${path} (${size} MiB, ${seconds} s)`;
  } catch (e) {
    failed++;
    result = e instanceof GuestUnavailable ? `not available: ${e.message}` : `failed: ${e}`;
  }
  write((terminal ? "\r\x1b[K" : "") + head + result + "\n");
}
Deno.exit(failed > 0 ? 1 : 0);
