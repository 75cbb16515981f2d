/** The monitor's block commands side by side with an installed QEMU 7.2. */
import { assertEquals } from "@std/assert";
import { UserError } from "../errors.ts";
import { BlockGraph } from "./graph.ts";

const QEMU = "qemu-system-x86_64";

function qemuVersion(): string {
  try {
    const r = new Deno.Command(QEMU, { args: ["--version"], stdout: "piped", stderr: "null" })
      .outputSync();
    return /version (\d+\.\d+)/.exec(new TextDecoder().decode(r.stdout))?.[1] ?? "";
  } catch {
    return "";
  }
}

/** Starts QEMU without running the guest and answers HMP commands through its QMP. */
async function qemuHmp(cwd: string, args: string[], commands: string[]): Promise<string[]> {
  const p = new Deno.Command(QEMU, {
    args: [..."-S -display none -serial none -monitor none -qmp stdio".split(" "), ...args],
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = p.stdin.getWriter();
  const send = (o: unknown) => writer.write(new TextEncoder().encode(JSON.stringify(o) + "\n"));
  await send({ execute: "qmp_capabilities" });
  for (const c of commands) {
    await send({ execute: "human-monitor-command", arguments: { "command-line": c } });
  }
  await send({ execute: "quit" });
  await writer.close();
  const text = new TextDecoder().decode((await p.output()).stdout);
  return text.trim().split("\n").map((l) => JSON.parse(l)).filter((o) =>
    typeof o.return === "string"
  )
    .map((o) => o.return.replaceAll("\r", ""));
}

/** The same commands on a graph, as the monitor runs them. */
function ours(graph: BlockGraph, command: string): string {
  const [verb, ...rest] = command.split(" ");
  try {
    if (command === "info blockstats") return graph.infoStats();
    if (verb === "info") {
      const args = rest.slice(1);
      return graph.info(args.find((a) => !a.startsWith("-")), args.includes("-v"));
    }
    const force = rest[0] === "-f";
    if (force) rest.shift();
    if (verb === "eject") graph.eject(rest[0], force);
    else {
      const mode = rest[3] === undefined ? undefined : BlockGraph.parseReadOnlyMode(rest[3]);
      graph.change(rest[0], rest[1], rest[2], mode, force);
    }
    return "";
  } catch (e) {
    if (!(e instanceof UserError)) throw e;
    return `Error: ${e.message}\n`;
  }
}

const commands = [
  "info block",
  "info block -v",
  "info blockstats",
  "info block floppy0",
  "info block nope",
  "eject ide0-hd0",
  "eject nope",
  "eject ide1-cd0",
  "info block",
  "eject ide1-cd0",
  "change ide1-cd0 nofile",
  "change ide1-cd0 c.iso nonsense",
  "change ide1-cd0 c.iso qcow2",
  "change ide1-cd0 c.iso vmdk",
  "change ide1-cd0 c.iso vdi",
  "change ide1-cd0 c.iso bochs",
  "change ide1-cd0 c.iso dmg",
  "change ide1-cd0 c.iso parallels",
  "change ide1-cd0 c.iso qcow",
  "change ide1-cd0 c.iso qed",
  "change ide1-cd0 c.iso vpc",
  "change ide1-cd0 c.iso vhdx",
  "change ide1-cd0 c.iso host_device",
  "change ide1-cd0 .",
  "change ide1-cd0 foo:bar",
  "info block ide1-cd0",
  "change ide1-cd0 c.iso",
  "info block ide1-cd0",
  "change ide1-cd0 file:c.iso raw",
  "change ide0-hd0 c.iso raw",
  "change nope c.iso raw",
  "change floppy0 f.img raw read-sometimes",
  "change floppy0 f.img raw read-only",
  "info block floppy0",
  "change floppy0 f.img raw read-write",
  "info block -v floppy0",
  "eject -f floppy0",
  "info block",
  "info block -v mine",
];

Deno.test({
  name: "info block, eject and change print what QEMU 7.2 prints",
  ignore: qemuVersion() !== "7.2",
  async fn() {
    const dir = Deno.makeTempDirSync(), home = Deno.cwd();
    for (
      const [name, size] of [["a.img", 5 << 20], ["c.iso", 717312], ["f.img", 1474560]] as const
    ) {
      Deno.writeFileSync(`${dir}/${name}`, new Uint8Array(size));
    }
    try {
      const args = "-drive file=a.img,format=raw,cache=none -cdrom c.iso " +
        "-drive file=f.img,if=none,id=mine,format=raw,readonly=on,cache=unsafe";
      const theirs = await qemuHmp(dir, args.split(" "), commands);
      Deno.chdir(dir);
      const graph = new BlockGraph({ warn: () => {} });
      const attach = (name: string, n: number, removable: boolean, hasTray = false) =>
        graph.find(name)!.attach({
          path: `/machine/unattached/device[${n}]`,
          writes: !removable,
          removable,
          hasTray,
        });
      graph.add({ file: "a.img", format: "raw", cache: "none" });
      graph.add({ file: "c.iso", media: "cdrom", index: 2 });
      const readonly = { readonly: true, cache: "unsafe" } as const;
      graph.add({ interface: "none", id: "mine", file: "f.img", format: "raw", ...readonly });
      graph.add({ interface: "floppy" });
      graph.add({ interface: "sd" });
      attach("ide0-hd0", 22, false);
      attach("ide1-cd0", 23, true, true);
      attach("floppy0", 15, true);
      const normal = (s: string) =>
        s.replace(/#block\d+/g, "#block").replace(/device\[\d+\]/g, "device[N]");
      commands.forEach((c, i) => assertEquals(normal(ours(graph, c)), normal(theirs[i]), c));
      graph.close();
    } finally {
      Deno.chdir(home);
      Deno.removeSync(dir, { recursive: true });
    }
  },
});
