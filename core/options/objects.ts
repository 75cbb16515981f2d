/** `-object rng-random` and `rng-builtin`, which give a virtio-rng its numbers. */
import type { RngOptions } from "./config.ts";
import { fail } from "./host.ts";
import type { Opts } from "./qemu_opts.ts";

const TYPES: Readonly<Record<string, readonly string[]>> = {
  "rng-builtin": [],
  "rng-random": ["filename"],
};
const DEFAULT_FILE = "/dev/urandom";

/** Whether an `-object` is one of these. */
export function isRng(o: Opts): boolean {
  return Object.hasOwn(TYPES, o.get("qom-type") ?? "");
}

/** All of them. Throws UserError in QEMU's words. */
export function resolveRngs(objects: readonly Opts[]): RngOptions[] {
  const list: RngOptions[] = [];
  for (const o of objects.filter(isRng)) {
    const type = o.get("qom-type")!;
    if (o.id === undefined) fail(o.loc, "Parameter 'id' is missing");
    for (const [key] of o.entries) {
      if (key !== "qom-type" && !TYPES[type].includes(key)) {
        fail(o.loc, `Invalid parameter '${key}'`);
      }
    }
    if (objects.filter((other) => other.id === o.id).length > 1) {
      fail(o.loc, `Duplicate ID '${o.id}' for object`);
    }
    const file = type === "rng-random" ? o.get("filename") ?? DEFAULT_FILE : undefined;
    list.push({ id: o.id, file });
  }
  return list;
}
