import { assertEquals, assertThrows } from "@std/assert";
import type { Accelerator } from "../accel.ts";
import { UserError } from "../errors.ts";
import { KvmAccelerator } from "./accel.ts";
import { type AcceleratorRequest, chooseAccelerator } from "./choose.ts";
import type { Host } from "./libc.ts";

const kvm = (loc = ""): AcceleratorRequest => ({ name: "kvm", props: new Map(), loc });
const tcg = (loc = ""): AcceleratorRequest => ({ name: "tcg", props: new Map(), loc });

function choose(
  accels: AcceleratorRequest[],
  device: string,
  opts: { enableKvm?: boolean; accelFallback?: boolean; host?: Host } = {},
) {
  const lines: string[] = [];
  const software: Accelerator = {
    name: "tcg",
    createVm: () => {
      throw new Error("not in this test");
    },
  };
  const run = () =>
    chooseAccelerator(
      {
        enableKvm: false,
        accelFallback: false,
        ...opts,
        accels,
        programName: "qemu-system-x86_64",
      },
      (r) => r.name === "tcg" ? software : new KvmAccelerator({ device, host: opts.host }),
      (line) => lines.push(line),
    ).name;
  return { lines, run };
}

const ignore = Deno.build.os !== "linux" || Deno.build.arch !== "x86_64";

// Lines recorded from Debian's QEMU 7.2.22 with /dev hidden, or /dev/null in the place of /dev/kvm.

Deno.test({ name: "no /dev/kvm: -accel kvm fails in QEMU's words", ignore }, () => {
  for (const loc of ["-accel kvm", ""]) {
    const { lines, run } = choose([kvm(loc)], "/nonexistent/kvm");
    const e = assertThrows(run, UserError) as UserError;
    assertEquals(lines, ["Could not access KVM kernel module: No such file or directory"]);
    const prefix = loc ? "-accel kvm: " : "";
    assertEquals(e.message, `${prefix}failed to initialize kvm: No such file or directory`);
    assertEquals(e.status, 1);
  }
});

Deno.test({ name: "not a KVM device: -accel kvm -accel tcg falls back", ignore }, () => {
  const { lines, run } = choose([kvm("-accel kvm"), tcg("-accel tcg")], "/dev/null");
  assertEquals(run(), "tcg");
  assertEquals(lines, [
    "kvm version too old",
    "qemu-system-x86_64: -accel kvm: failed to initialize kvm: Inappropriate ioctl for device",
    "qemu-system-x86_64: falling back to tcg",
  ]);
});

Deno.test({ name: "-machine accel=kvm:tcg", ignore }, () => {
  const { lines, run } = choose([kvm(), tcg()], "/nonexistent/kvm");
  assertEquals(run(), "tcg");
  assertEquals(lines, [
    "Could not access KVM kernel module: No such file or directory",
    "qemu-system-x86_64: failed to initialize kvm: No such file or directory",
    "qemu-system-x86_64: falling back to tcg",
  ]);
});

Deno.test({ name: "-enable-kvm warns once", ignore }, () => {
  const { lines, run } = choose([kvm(), tcg()], "/nonexistent/kvm", { enableKvm: true });
  assertEquals(run(), "tcg");
  assertEquals(lines, [
    "qemu-system-x86_64: warning: Could not access KVM kernel module: No such file or directory; " +
    "falling back to tcg",
  ]);
});

Deno.test("other systems and processors: as if there were no KVM module to talk to", () => {
  const why = "Could not access KVM kernel module: Function not implemented";
  const hosts: Host[] = [
    { os: "darwin", arch: "aarch64" },
    { os: "windows", arch: "x86_64" },
    { os: "freebsd", arch: "x86_64" },
    { os: "linux", arch: "aarch64" },
  ];
  for (const host of hosts) {
    const only = choose([kvm("-accel kvm")], "/dev/kvm", { host });
    const e = assertThrows(only.run, UserError) as UserError;
    assertEquals([e.status, only.lines], [1, [why]]);
    assertEquals(e.message, "-accel kvm: failed to initialize kvm: Function not implemented");
    const either = choose([kvm(), tcg()], "/dev/kvm", { host, enableKvm: true });
    assertEquals(either.run(), "tcg");
    assertEquals(either.lines, [`qemu-system-x86_64: warning: ${why}; falling back to tcg`]);
  }
});

Deno.test("an unknown accelerator in front makes the first a fallback", () => {
  const { lines, run } = choose([tcg()], "", { accelFallback: true });
  assertEquals(run(), "tcg");
  assertEquals(lines, ["qemu-system-x86_64: falling back to tcg"]);
});

Deno.test(
  { name: "without --allow-ffi KVM is out of reach, and that is said", ignore },
  async () => {
    const accel = new URL("./accel.ts", import.meta.url).href;
    const script = `
    import { KvmAccelerator } from ${JSON.stringify(accel)};
    try { new KvmAccelerator(); } catch (e) { console.log(e.name, "|", e.detail); }`;
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(file, script);
    const run = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-read", "--no-check", file],
      stderr: "null",
    }).output();
    await Deno.remove(file);
    const text = new TextDecoder().decode(run.stdout);
    assertEquals(
      text,
      "KvmUnavailable | Could not access KVM kernel module: Permission denied (run with --allow-ffi)\n",
    );
  },
);
