/** Kernel modules for an initrd, with what they depend on. */
import type { CpioEntry } from "./cpio.ts";

/** A kernel module in a package. */
interface Module {
  /** Path below `/lib/modules/VERSION/`. */
  readonly path: string;
  readonly file: string;
}

function moduleName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).replace(/\.ko$/, "").replaceAll("-", "_");
}

function findModules(dir: string, prefix = ""): Module[] {
  const list: Module[] = [];
  for (const f of Deno.readDirSync(`${dir}/${prefix}`)) {
    const path = prefix + f.name;
    if (f.isDirectory) list.push(...findModules(dir, path + "/"));
    else if (f.name.endsWith(".ko")) list.push({ path, file: `${dir}/${path}` });
  }
  return list;
}

/** The `depends=` of a module's `.modinfo` section. */
function dependencies(image: Uint8Array): string[] {
  const key = new TextEncoder().encode("\0depends=");
  outer: for (let i = 0; i + key.length < image.length; i++) {
    for (let k = 0; k < key.length; k++) if (image[i + k] !== key[k]) continue outer;
    const from = i + key.length, to = image.indexOf(0, from);
    const names = new TextDecoder().decode(image.subarray(from, to));
    return names === "" ? [] : names.split(",").map((n) => n.replaceAll("-", "_"));
  }
  return [];
}

/** Version of the kernel in an unpacked package, such as `6.1.0-50-686`. */
export function kernelVersion(packageDir: string): string {
  for (const f of Deno.readDirSync(`${packageDir}/lib/modules`)) return f.name;
  throw new Error("no kernel modules in the package");
}

/** The archive entries for `wanted` (those that exist) and a `modules.dep` for modprobe. */
export function moduleEntries(packageDir: string, wanted: readonly string[]): CpioEntry[] {
  const version = kernelVersion(packageDir);
  const all = new Map(
    findModules(`${packageDir}/lib/modules/${version}`).map((m) => [moduleName(m.path), m]),
  );
  const taken = new Map<string, { module: Module; data: Uint8Array; needs: string[] }>();
  const take = (name: string) => {
    const module = all.get(name);
    if (module === undefined || taken.has(name)) return;
    const data = Deno.readFileSync(module.file);
    const needs = dependencies(data);
    taken.set(name, { module, data, needs });
    needs.forEach(take);
  };
  wanted.forEach((n) => take(n.replaceAll("-", "_")));
  const closure = (name: string, seen = new Set<string>()): string[] => {
    for (const n of taken.get(name)?.needs ?? []) {
      if (seen.has(n)) continue;
      seen.add(n);
      closure(n, seen);
    }
    return [...seen];
  };
  const root = `lib/modules/${version}`;
  let dep = "";
  for (const [name, { module }] of taken) {
    const needs = closure(name).filter((n) => taken.has(n)).map((n) => taken.get(n)!.module.path);
    dep += `${module.path}: ${needs.join(" ")}`.trimEnd() + "\n";
  }
  return [
    ...[...taken.values()].map(({ module, data }) => ({
      path: `${root}/${module.path}`,
      data,
      mode: 0o644,
    })),
    { path: `${root}/modules.dep`, data: dep, mode: 0o644 },
  ];
}
