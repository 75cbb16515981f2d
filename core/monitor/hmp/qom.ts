/**
 * `qom-list`, `qom-get`, `qom-set` and `info qom-tree`: the machine as a tree of objects. It has the
 * machine, its devices at QEMU's paths with the properties that `info qtree` shows, memory back ends
 * and character devices; QEMU has memory regions, interrupt lines and buses in it, too.
 */
import { UserError } from "../../errors.ts";
import type { DeviceNode, PropFormat, PropValue } from "../../qdev.ts";
import type { Args } from "./args.ts";
import type { Command, Hmp } from "./command.ts";

interface Property {
  readonly name: string;
  readonly type: string;
  /** As JSON shows it. */
  readonly value: unknown;
  /** Could be set before the device was made. */
  readonly ofDevice?: boolean;
}

/** An object of the tree. */
class Node {
  readonly children = new Map<string, Node>();
  constructor(
    readonly type: string,
    readonly own: () => readonly Property[] = () => [],
    readonly device?: DeviceNode,
  ) {}

  get properties(): readonly Property[] {
    return [{ name: "type", type: "string", value: this.type }, ...this.own()];
  }

  /** The child at `name`, made as a container where there is none. */
  child(name: string, make = () => new Node("container")): Node {
    let node = this.children.get(name);
    if (node === undefined) this.children.set(name, node = make());
    return node;
  }
}

const TYPES: Readonly<Record<PropFormat, string>> = {
  int: "int",
  size: "size",
  bool: "bool",
  str: "str",
  raw: "str",
};

function json(value: PropValue): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

function deviceProperties(d: DeviceNode): Property[] {
  const bool = (name: string, value: boolean): Property => ({ name, type: "bool", value });
  return [
    { name: "parent_bus", type: "link<bus>", value: d.bus?.name ?? "" },
    bool("realized", true),
    bool("hotplugged", false),
    bool("hotpluggable", d.bus?.type === "PCI" && d.type !== "VGA"),
    ...d.spec.props.map((p): Property => ({
      name: p.name,
      type: TYPES[p.format],
      value: json(d.get(p.name)),
      ofDevice: true,
    })),
  ];
}

/** The tree as it is now. */
function tree(h: Hmp): Node {
  const { config, board, chardevs, machine } = h.target, root = new Node("container");
  const { smp, memory } = config;
  const { cpus, maxcpus, threads, cores, dies, sockets } = smp;
  const cpuCounts = { cpus, maxcpus, threads, cores, dies, sockets, clusters: 1 };
  const top = root.child("machine", () =>
    new Node(`${config.machine.type}-machine`, () => [
      { name: "kernel", type: "string", value: config.kernel ?? "" },
      { name: "append", type: "string", value: config.append ?? "" },
      { name: "initrd", type: "string", value: config.initrd ?? "" },
      { name: "firmware", type: "string", value: config.bios ?? "" },
      { name: "graphics", type: "bool", value: config.machine.graphics },
      { name: "usb", type: "bool", value: config.machine.usb },
      { name: "smm", type: "OnOffAuto", value: config.machine.smm },
      { name: "acpi", type: "OnOffAuto", value: config.machine.acpi },
      { name: "smp", type: "SMPConfiguration", value: cpuCounts },
      { name: "memory", type: "MemorySizeConfiguration", value: { size: memory.size } },
    ]));
  for (const name of ["unattached", "peripheral", "peripheral-anon"]) top.child(name);
  for (const d of board.root.walkDevices()) {
    if (d.path === "") continue;
    const parts = d.path.slice(1).split("/");
    const parent = parts.slice(0, -1).reduce((n, name) => n.child(name), root);
    parent.child(parts.at(-1)!, () => new Node(d.type, () => deviceProperties(d), d));
  }
  const cpu = `${config.cpu?.split(",")[0] ?? "qemu64"}-x86_64-cpu`;
  for (const v of machine.vm.vcpus) {
    top.child("unattached").child(
      `device[${v.index === 0 ? 0 : v.index + 1}]`,
      () => new Node(cpu, () => [{ name: "realized", type: "bool", value: true }]),
    );
  }
  const objects = root.child("objects");
  for (const { memdev, size } of config.numa?.nodes ?? [{ memdev: "pc.ram", size: memory.size }]) {
    if (memdev === undefined) continue;
    objects.child(
      memdev,
      () => new Node("memory-backend-ram", () => [{ name: "size", type: "int", value: size }]),
    );
  }
  for (const c of chardevs.list()) {
    const backend = config.chardevs.find((o) => o.id === c.label)?.backend ?? "null";
    root.child("chardevs").child(c.label, () => new Node(`chardev-${backend}`));
  }
  return root;
}

/** Objects at `path`: from the root, or wherever the tree has those names one below the other. */
function resolve(root: Node, path: string): Node[] {
  const parts = path.split("/").filter((p) => p !== "");
  const below = (from: Node): Node | undefined => {
    let at: Node | undefined = from;
    for (const p of parts) at = at?.children.get(p);
    return at;
  };
  if (path.startsWith("/")) return [below(root)].filter((n) => n !== undefined);
  const found = new Set<Node>();
  const search = (n: Node): void => {
    const hit = below(n);
    if (hit !== undefined) found.add(hit);
    for (const c of n.children.values()) search(c);
  };
  search(root);
  return [...found];
}

function find(h: Hmp, path: string): Node {
  const [node, ...more] = resolve(tree(h), path);
  if (more.length > 0) throw new UserError(`Path '${path}' does not uniquely identify an object`);
  if (node === undefined) throw new UserError(`Device '${path}' not found`);
  return node;
}

function property(node: Node, name: string): Property {
  const p = node.properties.find((p) => p.name === name);
  if (p === undefined) throw new UserError(`Property '${node.type}.${name}' not found`);
  return p;
}

function list(h: Hmp, args: Args): void {
  const path = args.text("path");
  if (path === undefined) return h.print("/\n");
  const node = find(h, path);
  for (const p of node.properties) h.print(`${p.name} (${p.type})\n`);
  for (const [name, c] of node.children) h.print(`${name} (child<${c.type}>)\n`);
}

function get(h: Hmp, args: Args): void {
  const { value } = property(find(h, args.string("path")), args.string("property"));
  h.print(`${JSON.stringify(value, null, 4)}\n`);
}

/** Objects are complete when the monitor starts: what they are made of stays. */
function set(h: Hmp, args: Args): void {
  const node = find(h, args.string("path"));
  if (args.flag("json")) {
    try {
      JSON.parse(args.string("value"));
    } catch {
      throw new UserError("JSON parse error, premature EOI");
    }
  }
  const p = property(node, args.string("property")), { device } = node;
  if (!p.ofDevice || device === undefined) {
    throw new UserError(`Property '${node.type}.${p.name}' is not writable`);
  }
  const what = device.id === "" ? "anonymous device" : `device '${device.id}'`;
  throw new UserError(
    `Attempt to set property '${p.name}' on ${what} (type '${node.type}') after it was realized`,
  );
}

function qomTree(h: Hmp, args: Args): void {
  const path = args.text("path") ?? "/machine", [node] = resolve(tree(h), path);
  if (node === undefined) return h.print(`Path '${path}' could not be resolved.\n`);
  const show = (name: string, n: Node, indent: string): void => {
    h.print(`${indent}/${name} (${n.type})\n`);
    const names = [...n.children.keys()].sort();
    for (const c of names) show(c, n.children.get(c)!, `${indent}  `);
  };
  show(path.split("/").at(-1)!, node, "");
}

/** Commands about the tree of objects. */
export const QOM_COMMANDS: readonly Command[] = [
  {
    name: "qom-list",
    args: "path:s?",
    params: "path",
    help: "list QOM properties",
    run: list,
  },
  {
    name: "qom-get",
    args: "path:s,property:s",
    params: "path property",
    help: "print QOM property",
    run: get,
  },
  {
    name: "qom-set",
    args: "json:-j,path:s,property:s,value:S",
    params: "[-j] path property value",
    help: "set QOM property.\n\t\t\t-j: the value is specified in json format.",
    run: set,
  },
];

/** What `info` tells about it. */
export const QOM_INFO: readonly Command[] = [
  {
    name: "qom-tree",
    args: "path:s?",
    params: "[path]",
    help: "show QOM composition tree",
    run: qomTree,
  },
];
