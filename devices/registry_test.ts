/**
 * What `-device` accepts (core/options/devices.ts) and what boards can make (registry.ts) is said in
 * two places, since core does not know devices. Here they are held to be one list.
 */
import { assert, assertEquals } from "@std/assert";
import { DEVICE_TYPES as OPTION_TYPES } from "../core/options/devices.ts";
import { DEVICE_TYPES } from "./registry.ts";

/** Properties the tree leaves out (QEMU keeps them in the class), and those of the UART in a port. */
const NOT_IN_TREE = new Set([
  ...["bootindex", "bootindexA", "bootindexB"],
  ...["baudbase", "chardev", "wakeup"],
  ...["big-endian-framebuffer", "disable_s3", "disable_s4", "s4_val"],
  ...["iothread", "rng", "guest-stats", "guest-stats-polling-interval", "virtio-backend"],
]);

Deno.test("every type -device can name can be made", () => {
  const asked = OPTION_TYPES.filter((t) => t.pluggable).map((t) => t.name).sort();
  const made = new Set(DEVICE_TYPES.filter((t) => t.user).map((t) => t.name));
  assertEquals(asked.filter((name) => !made.has(name)), []);
});

Deno.test("bus, category and description are the same in both", () => {
  for (const o of OPTION_TYPES.filter((t) => t.pluggable)) {
    const t = DEVICE_TYPES.find((t) => t.name === o.name)!;
    assertEquals(
      [o.bus, o.category, o.description, o.alias],
      [t.bus, t.category, t.description, t.alias],
      o.name,
    );
  }
});

Deno.test("each property -device takes is one the device has", () => {
  for (const o of OPTION_TYPES) {
    const t = DEVICE_TYPES.find((t) => t.name === o.name);
    assert(t !== undefined || !o.pluggable, o.name);
    const inside = DEVICE_TYPES.find((d) => d.name === t?.backend);
    const known = new Set([...t?.props ?? [], ...inside?.props ?? []].map((p) => p.name));
    for (const name of Object.keys(o.props)) {
      assert(t === undefined || known.has(name) || NOT_IN_TREE.has(name), `${o.name}.${name}`);
    }
  }
});
