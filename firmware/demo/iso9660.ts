/**
 * An ISO 9660 writer (ECMA-119 interchange level 2), with El Torito boot images and, on request,
 * Joliet and Rock Ridge names. The same input gives the same bytes.
 */
import {
  bootCatalog,
  type BootEntry,
  bootRecord,
  type PlacedImage,
  withBootInfo,
} from "./el_torito.ts";
import {
  be32,
  both16,
  both32,
  le16,
  le32,
  longDate,
  nameBytes,
  type NameSpace,
  record,
  type RecordFields,
  recordLength,
  rockNM,
  rockPX,
  rockTF,
  SECTOR,
  suspCE,
  suspER,
  suspSP,
  text,
  ucs2,
} from "./iso9660_records.ts";

export type { BootEntry } from "./el_torito.ts";

export interface IsoFile {
  /** Path with slashes, such as `boot/vmlinuz`; directories are made as needed. */
  readonly path: string;
  readonly data: Uint8Array;
  /** POSIX permission bits for Rock Ridge; the default is 0o444. */
  readonly mode?: number;
}

export interface IsoOptions {
  /** Up to 32 of A–Z, 0–9 and _; others are replaced. */
  readonly volumeId: string;
  readonly files: readonly IsoFile[];
  readonly boot?: {
    /** The first is the default entry. */
    readonly entries: readonly BootEntry[];
    /** Path under which the catalog appears; the default is `boot.cat`. */
    readonly catalog?: string;
    /** Up to 24 characters in the validation entry. */
    readonly id?: string;
  };
  /** Long Unicode names for Windows and Linux. */
  readonly joliet?: boolean;
  /** POSIX names and modes. */
  readonly rockRidge?: boolean;
  /** Time stamp of everything; the default is fixed. */
  readonly date?: Date;
  /** Empty sectors at the end, for drives that read ahead; the default is 150. */
  readonly padding?: number;
}

interface Node {
  readonly name: string;
  readonly parent: Dir | undefined;
}

interface FileNode extends Node {
  data: Uint8Array;
  lba: number;
  readonly mode: number;
}

interface Dir extends Node {
  readonly children: Map<string, Dir | FileNode>;
  /** Per name space: identifiers, extent and number in the path table. */
  readonly place: Record<NameSpace, { lba: number; size: number; number: number }>;
}

const DEFAULT_DATE = new Date(Date.UTC(2020, 0, 1));
const FIRST_DESCRIPTOR = 16;
/** ECMA-119 6.8.2.1. */
const MAX_DEPTH = 8;
/** Longest ISO name without the version, and longest Joliet name, in characters. */
const MAX_ISO_NAME = 30, MAX_JOLIET_NAME = 64;

function isDir(n: Dir | FileNode): n is Dir {
  return "children" in n;
}

function newDir(name: string, parent: Dir | undefined): Dir {
  const place = () => ({ lba: 0, size: 0, number: 0 });
  return { name, parent, children: new Map(), place: { iso: place(), joliet: place() } };
}

/** `vmlinuz-6.1` becomes `VMLINUZ_6.1`: d-characters, one dot, no longer than level 2 allows. */
function isoName(name: string, directory: boolean): string {
  const clean = (s: string) => s.toUpperCase().replace(/[^A-Z0-9_]/g, "_");
  const dot = name.lastIndexOf(".");
  if (directory) return clean(name).slice(0, MAX_ISO_NAME);
  const stem = clean(dot > 0 ? name.slice(0, dot) : name);
  const extension = dot > 0 ? clean(name.slice(dot + 1)) : "";
  const room = MAX_ISO_NAME - 1;
  const kept = extension.slice(0, room - 1);
  return `${stem.slice(0, room - kept.length)}.${kept}`;
}

class IsoBuilder {
  readonly #o: IsoOptions;
  readonly #date: Date;
  readonly #root = newDir("", undefined);
  readonly #files: FileNode[] = [];
  /** Identifier of each node per name space, unique in its directory. */
  readonly #ids = new Map<Dir | FileNode, Record<NameSpace, string>>();
  readonly #spaces: NameSpace[];
  /** Block of Rock Ridge's ER entry. */
  #continuation = 0;

  constructor(options: IsoOptions) {
    this.#o = options;
    this.#date = options.date ?? DEFAULT_DATE;
    this.#spaces = options.joliet ? ["iso", "joliet"] : ["iso"];
    for (const f of options.files) this.#add(f);
  }

  build(): Uint8Array {
    const { boot } = this.#o;
    const catalog = boot &&
      this.#add({ path: boot.catalog ?? "boot.cat", data: new Uint8Array(SECTOR) });
    const images = boot?.entries.map((entry) => ({ entry, file: this.#find(entry.path) })) ?? [];
    this.#nameAll(this.#root);
    const dirs = this.#dirsInOrder();

    let next = FIRST_DESCRIPTOR + 1 + (boot ? 1 : 0) + (this.#spaces.length - 1) + 1;
    const allot = (bytes: number) => {
      const at = next;
      next += Math.ceil(bytes / SECTOR);
      return at;
    };
    const tables = this.#spaces.map((space) => {
      const size = this.#pathTable(space, dirs.get(space)!, false).length;
      return { space, size, little: allot(size), big: allot(size) };
    });
    if (this.#o.rockRidge) this.#continuation = allot(SECTOR);
    for (const space of this.#spaces) {
      for (const d of dirs.get(space)!) {
        d.place[space].size = this.#dirSize(space, d);
        d.place[space].lba = allot(d.place[space].size);
      }
    }
    for (const f of this.#files) f.lba = f.data.length === 0 ? 0 : allot(f.data.length);
    const padding = this.#o.padding ?? 150;
    const image = new Uint8Array((next + padding) * SECTOR);

    const placed: PlacedImage[] = images.map(({ entry, file }) => {
      if (entry.bootInfoTable) file.data = withBootInfo(file.data, file.lba);
      return { entry, lba: file.lba, data: file.data };
    });
    if (catalog) catalog.data = bootCatalog(placed, boot!.id);

    let vd = FIRST_DESCRIPTOR;
    const descriptor = (b: Uint8Array) => image.set(b, vd++ * SECTOR);
    descriptor(this.#volumeDescriptor("iso", next + padding, tables[0]));
    if (catalog) descriptor(bootRecord(catalog.lba));
    if (this.#o.joliet) descriptor(this.#volumeDescriptor("joliet", next + padding, tables[1]));
    const end = new Uint8Array(SECTOR);
    end[0] = 255;
    text(end, 1, 5, "CD001");
    end[6] = 1;
    descriptor(end);

    for (const t of tables) {
      const list = dirs.get(t.space)!;
      image.set(this.#pathTable(t.space, list, false), t.little * SECTOR);
      image.set(this.#pathTable(t.space, list, true), t.big * SECTOR);
      for (const d of list) this.#putDir(image, t.space, d);
    }
    if (this.#o.rockRidge) image.set(suspER(), this.#continuation * SECTOR);
    for (const f of this.#files) image.set(f.data, f.lba * SECTOR);
    return image;
  }

  #add(f: IsoFile): FileNode {
    const parts = f.path.split("/").filter((p) => p !== "");
    if (parts.length === 0 || parts.length > MAX_DEPTH) throw new RangeError(`bad path: ${f.path}`);
    let dir = this.#root;
    for (const name of parts.slice(0, -1)) {
      let child = dir.children.get(name);
      if (child === undefined) dir.children.set(name, child = newDir(name, dir));
      if (!isDir(child)) throw new RangeError(`${f.path}: ${name} is a file`);
      dir = child;
    }
    const name = parts[parts.length - 1];
    if (dir.children.has(name)) throw new RangeError(`${f.path} is there twice`);
    const node: FileNode = { name, parent: dir, data: f.data, lba: 0, mode: f.mode ?? 0o444 };
    dir.children.set(name, node);
    this.#files.push(node);
    return node;
  }

  #find(path: string): FileNode {
    let at: Dir | FileNode | undefined = this.#root;
    for (const name of path.split("/").filter((p) => p !== "")) {
      at = at !== undefined && isDir(at) ? at.children.get(name) : undefined;
    }
    if (at === undefined || isDir(at)) throw new RangeError(`no such boot image: ${path}`);
    return at;
  }

  /** Gives every node of a directory its identifiers, `~n` endings where two would be the same. */
  #nameAll(dir: Dir): void {
    const used = new Set<string>();
    for (const n of dir.children.values()) {
      const base = isoName(n.name, isDir(n));
      let iso = base;
      for (let i = 1; used.has(iso); i++) {
        const dot = base.lastIndexOf("."), stem = dot < 0 ? base : base.slice(0, dot);
        const tail = `_${i}`, extension = dot < 0 ? "" : base.slice(dot);
        iso = stem.slice(0, MAX_ISO_NAME - tail.length - extension.length) + tail + extension;
      }
      used.add(iso);
      this.#ids.set(n, { iso, joliet: n.name.slice(0, MAX_JOLIET_NAME) });
      if (isDir(n)) this.#nameAll(n);
    }
  }

  #sorted(space: NameSpace, dir: Dir): (Dir | FileNode)[] {
    return [...dir.children.values()].sort((a, b) => {
      const x = this.#ids.get(a)![space], y = this.#ids.get(b)![space];
      return x < y ? -1 : x > y ? 1 : 0;
    });
  }

  /** Directories in path table order: by level, then parent, then name (ECMA-119 6.9.1). */
  #dirsInOrder(): Map<NameSpace, Dir[]> {
    const all = new Map<NameSpace, Dir[]>();
    for (const space of this.#spaces) {
      const list = [this.#root];
      for (let i = 0; i < list.length; i++) {
        list[i].place[space].number = i + 1;
        list.push(...this.#sorted(space, list[i]).filter(isDir));
      }
      all.set(space, list);
    }
    return all;
  }

  #pathTable(space: NameSpace, dirs: readonly Dir[], big: boolean): Uint8Array {
    const parts: number[] = [];
    for (const d of dirs) {
      const name = d.parent ? nameBytes(space, this.#ids.get(d)![space]) : new Uint8Array(1);
      const head = new Uint8Array(8);
      head[0] = name.length;
      const parent = d.parent ? d.parent.place[space].number : 1;
      if (big) {
        be32(head, 2, d.place[space].lba);
        head[6] = parent >> 8;
        head[7] = parent & 0xff;
      } else {
        le32(head, 2, d.place[space].lba);
        le16(head, 6, parent);
      }
      parts.push(...head, ...name);
      if (name.length % 2) parts.push(0);
    }
    return Uint8Array.from(parts);
  }

  /** The records of a directory in order: itself, its parent, its children. */
  #records(space: NameSpace, dir: Dir): RecordFields[] {
    const rock = space === "iso" && (this.#o.rockRidge ?? false);
    const date = this.#date;
    const dirLinks = (d: Dir) => 2 + [...d.children.values()].filter(isDir).length;
    const dirRecord = (d: Dir, name: Uint8Array, systemUse: number[]): RecordFields => ({
      name,
      directory: true,
      lba: d.place[space].lba,
      size: d.place[space].size,
      date,
      systemUse,
    });
    const dirUse = (d: Dir) => rock ? [...rockPX(0o40555, dirLinks(d)), ...rockTF(date)] : [];
    const dotUse = dirUse(dir);
    if (rock && dir === this.#root) {
      dotUse.unshift(...suspSP());
      dotUse.push(...suspCE(this.#continuation, suspER().length));
    }
    const parent = dir.parent ?? dir;
    const list = [
      dirRecord(dir, Uint8Array.of(0), dotUse),
      dirRecord(parent, Uint8Array.of(1), dirUse(parent)),
    ];
    for (const n of this.#sorted(space, dir)) {
      const id = this.#ids.get(n)![space];
      const nm = rock ? rockNM(n.name) : [];
      if (isDir(n)) {
        list.push(dirRecord(n, nameBytes(space, id), [...dirUse(n), ...nm]));
        continue;
      }
      const px = rock ? [...rockPX(0o100000 | n.mode, 1), ...rockTF(date)] : [];
      list.push({
        name: nameBytes(space, id + ";1"),
        directory: false,
        lba: n.lba,
        size: n.data.length,
        date,
        systemUse: [...px, ...nm],
      });
    }
    for (const r of list) {
      if (recordLength(r) > 255) throw new RangeError(`name too long in ${dir.name || "/"}`);
    }
    return list;
  }

  /** Bytes of a directory: records do not cross sectors (6.8.1.1). */
  #dirSize(space: NameSpace, dir: Dir): number {
    let at = 0;
    for (const r of this.#records(space, dir)) at = place(at, recordLength(r)) + recordLength(r);
    return Math.ceil(at / SECTOR) * SECTOR;
  }

  #putDir(image: Uint8Array, space: NameSpace, dir: Dir): void {
    const start = dir.place[space].lba * SECTOR;
    let at = 0;
    for (const r of this.#records(space, dir)) {
      at = place(at, recordLength(r));
      at += record(image, start + at, r);
    }
  }

  /** Primary (8.4) or, for Joliet, supplementary (8.5) volume descriptor. */
  #volumeDescriptor(
    space: NameSpace,
    sectors: number,
    table: { size: number; little: number; big: number },
  ): Uint8Array {
    const b = new Uint8Array(SECTOR), joliet = space === "joliet";
    const put = (at: number, length: number, s: string) =>
      joliet ? ucs2(b, at, length, s) : text(b, at, length, s);
    b[0] = joliet ? 2 : 1;
    text(b, 1, 5, "CD001");
    b[6] = 1;
    put(8, 32, "");
    const id = this.#o.volumeId;
    put(40, 32, joliet ? id : id.toUpperCase().replace(/[^A-Z0-9_]/g, "_"));
    both32(b, 80, sectors);
    if (joliet) text(b, 88, 3, "%/E"); // UCS-2 level 3
    both16(b, 120, 1);
    both16(b, 124, 1);
    both16(b, 128, SECTOR);
    both32(b, 132, table.size);
    le32(b, 140, table.little);
    be32(b, 148, table.big);
    record(b, 156, {
      name: Uint8Array.of(0),
      directory: true,
      lba: this.#root.place[space].lba,
      size: this.#root.place[space].size,
      date: this.#date,
      systemUse: [],
    });
    put(190, 128, "");
    put(318, 128, "");
    put(446, 128, "");
    put(574, 128, "QENO");
    put(702, 37, "");
    put(739, 37, "");
    put(776, 37, "");
    longDate(b, 813, this.#date);
    longDate(b, 830, this.#date);
    longDate(b, 847, undefined);
    longDate(b, 864, undefined);
    b[881] = 1;
    return b;
  }
}

/** Where a record of `length` bytes goes if the last one ended at `at`. */
function place(at: number, length: number): number {
  const left = SECTOR - at % SECTOR;
  return length > left ? at + left : at;
}

/** Makes the image. Throws RangeError for paths, names or boot images that do not fit. */
export function makeIso(options: IsoOptions): Uint8Array {
  return new IsoBuilder(options).build();
}
