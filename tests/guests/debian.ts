/**
 * Files out of Debian packages, for any architecture, without installing anything and without root:
 * apt runs with a state directory of its own inside the cache.
 */
import { cached, cacheDir, exclusively, exists, GuestUnavailable } from "./cache.ts";

export type Arch = "i386" | "amd64" | "all";

async function run(cmd: string, args: string[], env: Record<string, string> = {}, cwd?: string) {
  let r: Deno.CommandOutput;
  try {
    r = await new Deno.Command(cmd, {
      args,
      env: { ...env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
      cwd,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) {
      throw new GuestUnavailable(`${cmd} is not installed: guests are made from Debian packages`);
    }
    throw e;
  }
  const out = new TextDecoder().decode(r.stdout), err = new TextDecoder().decode(r.stderr);
  return { code: r.code, out, err };
}

/** The environment of apt with its private state; makes and fills that on first use. */
async function aptEnv(): Promise<Record<string, string>> {
  const dir = `${cacheDir()}/apt`;
  const conf = `${dir}/apt.conf`;
  const env = { APT_CONFIG: conf };
  if (exists(`${dir}/updated`)) return env;
  Deno.mkdirSync(`${dir}/state/lists/partial`, { recursive: true });
  Deno.mkdirSync(`${dir}/cache/archives/partial`, { recursive: true });
  Deno.writeTextFileSync(
    conf,
    `Dir::State "${dir}/state";
Dir::State::status "/dev/null";
Dir::Cache "${dir}/cache";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "i386"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
`,
  );
  // A mirror in the middle of an update fails one index and serves the others.
  const r = await run("apt-get", ["-q", "update"], env);
  const lists = [...Deno.readDirSync(`${dir}/state/lists`)].some((f) =>
    f.name.includes("Packages")
  );
  if (!lists) {
    throw new GuestUnavailable(`apt-get update failed: ${lastLine(r.err) || "no package lists"}`);
  }
  Deno.writeTextFileSync(`${dir}/updated`, "");
  return env;
}

function lastLine(s: string): string {
  return s.trim().split("\n").at(-1) ?? "";
}

/** The package that a metapackage such as `linux-image-686` stands for. */
async function resolve(name: string, arch: Arch, env: Record<string, string>): Promise<string> {
  if (!name.startsWith("linux-image-") || /^linux-image-\d+\.\d/.test(name)) return name;
  const r = await run("apt-cache", ["depends", `${name}:${arch}`], env);
  const real = /^\s*Depends: (linux-image-[0-9][^\s:]*)/m.exec(r.out)?.[1];
  if (real === undefined) throw new GuestUnavailable(`apt knows no ${name} for ${arch}`);
  return real;
}

/** The directory with the unpacked files of a package. Throws GuestUnavailable. */
export function debianPackage(name: string, arch: Arch): Promise<string> {
  return cached(`debs/${name}_${arch}`, (temp) =>
    exclusively(async () => {
      const env = await aptEnv();
      const real = await resolve(name, arch, env);
      const spec = arch === "all" ? real : `${real}:${arch}`;
      const dl = `${temp}.deb.tmp`;
      Deno.mkdirSync(dl, { recursive: true });
      try {
        const r = await run("apt-get", ["-q", "download", spec], env, dl);
        const deb = [...Deno.readDirSync(dl)].find((f) => f.name.endsWith(".deb"));
        if (deb === undefined) {
          throw new GuestUnavailable(`apt-get can't download ${spec}: ${lastLine(r.err)}`);
        }
        const x = await run("dpkg-deb", ["-x", `${dl}/${deb.name}`, temp]);
        if (x.code !== 0) throw new GuestUnavailable(`dpkg-deb: ${lastLine(x.err)}`);
      } finally {
        Deno.removeSync(dl, { recursive: true });
      }
    }));
}
