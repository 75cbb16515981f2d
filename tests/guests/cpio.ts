/** A writer of cpio archives in the kernel's initramfs format, "newc" (initramfs buffer-format.rst). */

export interface CpioEntry {
  /** Path without a leading slash. */
  readonly path: string;
  /** What it is; a directory when absent. */
  readonly data?: Uint8Array | string;
  /** Target of a symbolic link, in place of {@link data}. */
  readonly link?: string;
  /** Character device numbers, in place of {@link data}. */
  readonly device?: readonly [major: number, minor: number];
  /** Permission bits; the default is 0o755. */
  readonly mode?: number;
}

const S_IFREG = 0o100000, S_IFDIR = 0o040000, S_IFLNK = 0o120000, S_IFCHR = 0o020000;

/** Makes the archive; missing parent directories are added in front of what needs them. */
export function makeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  const dirs = new Set<string>();
  let inode = 1, size = 0;
  const push = (b: Uint8Array) => {
    parts.push(b);
    size += b.length;
    const pad = -size & 3;
    if (pad) {
      parts.push(new Uint8Array(pad));
      size += pad;
    }
  };
  const emit = (
    path: string,
    mode: number,
    data: Uint8Array,
    device: readonly [number, number],
  ) => {
    const name = encoder.encode(path + "\0");
    const links = mode >> 12 === S_IFDIR >> 12 ? 2 : 1;
    const fields = [
      inode++,
      mode,
      0,
      0,
      links,
      0,
      data.length,
      0,
      0,
      device[0],
      device[1],
      name.length,
      0,
    ];
    const header = "070701" + fields.map((f) => f.toString(16).padStart(8, "0")).join("");
    const head = new Uint8Array(header.length + name.length);
    head.set(encoder.encode(header));
    head.set(name, header.length);
    push(head);
    push(data);
  };
  const none = new Uint8Array(0);
  const addDir = (path: string, mode = 0o755) => {
    if (path === "" || dirs.has(path)) return;
    addDir(path.slice(0, Math.max(0, path.lastIndexOf("/"))));
    dirs.add(path);
    emit(path, S_IFDIR | mode, none, [0, 0]);
  };
  for (const e of entries) {
    const mode = e.mode ?? 0o755;
    if (e.data === undefined && e.link === undefined && e.device === undefined) {
      addDir(e.path, mode);
      continue;
    }
    addDir(e.path.slice(0, Math.max(0, e.path.lastIndexOf("/"))));
    if (e.device) emit(e.path, S_IFCHR | mode, none, e.device);
    else if (e.link !== undefined) emit(e.path, S_IFLNK | 0o777, encoder.encode(e.link), [0, 0]);
    else {
      const data = typeof e.data === "string" ? encoder.encode(e.data) : e.data!;
      emit(e.path, S_IFREG | mode, data, [0, 0]);
    }
  }
  emit("TRAILER!!!", 0, none, [0, 0]);
  const all = new Uint8Array(Math.ceil(size / 512) * 512);
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

/** gzip, as the kernel and GRUB unpack it. */
export async function gzip(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
