/** The texts of `info block` and `info blockstats`, laid out as QEMU 7.2 prints them. */
import type { BlockBackend } from "./block.ts";
import type { DriveImpl } from "./drive.ts";

/** printf's %0.3g for 0 to 1000: toPrecision but for ties, which go to the even digit. */
function threeDigits(v: number): string {
  const scale = v >= 100 ? 1 : v >= 10 ? 10 : v >= 1 ? 100 : 1000;
  const scaled = v * scale, floor = Math.floor(scaled);
  const tie = scaled - floor === 0.5;
  return String(tie ? (floor + floor % 2) / scale : Number(v.toPrecision(3)));
}

/** `1.41 MiB`: three significant digits, as printf's %0.3g gives them. */
export function humanSize(bytes: number): string {
  const units = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
  let i = 0;
  // 1000 of one unit are already printed in the next.
  for (let v = bytes; v >= 1000 && i < units.length - 1; v /= 1024) i++;
  return `${threeDigits(bytes / 1024 ** i)} ${units[i]}B`;
}

function cacheText(d: DriveImpl): string {
  return (d.writeThrough ? "writethrough" : "writeback") +
    (d.cache === "none" || d.cache === "directsync" ? ", direct" : "") +
    (d.ignoreFlushes ? ", ignore flushes" : "");
}

function image(b: BlockBackend): string {
  let s = `image: ${b.filename}\nfile format: ${b.format}\n` +
    `virtual size: ${humanSize(b.size)} (${b.size} bytes)\n`;
  const disk = b.allocated?.();
  s += `disk size: ${disk === undefined ? "unavailable" : humanSize(disk)}\n`;
  for (const line of b.formatInfo ?? []) s += line + "\n";
  if (b.backing) s += image(b.backing);
  return s;
}

function chainDepth(b: BlockBackend): number {
  return b.backing ? 1 + chainDepth(b.backing) : 0;
}

function one(d: DriveImpl, verbose: boolean): string {
  const m = d.medium;
  let s = d.name || (d.attachedTo ?? "");
  if (m) {
    s += ` (${d.nodeName}): ${m.filename} (${m.format}${m.readonly ? ", read-only" : ""})\n`;
  } else s += ": [not inserted]\n";
  if (d.attachedTo !== undefined) s += `    Attached to:      ${d.attachedTo}\n`;
  if (d.ioStatus !== "ok") s += `    I/O status:       ${d.ioStatus}\n`;
  if (d.removable) {
    s += `    Removable device: ${d.locked ? "" : "not "}locked, tray ${
      d.trayOpen ? "open" : "closed"
    }\n`;
  }
  if (!m) return s;
  s += `    Cache mode:       ${cacheText(d)}\n`;
  if (m.backing) {
    s += `    Backing file:     ${m.backing.filename} (chain depth: ${chainDepth(m)})\n`;
  }
  if (verbose) s += "\nImages:\n" + image(m);
  return s;
}

/** `info block [-v] [name]`; an unknown name gives no text. */
export function infoBlock(drives: readonly DriveImpl[], name?: string, verbose = false): string {
  let s = "";
  drives.forEach((d, i) => {
    if (name !== undefined && d.name !== name) return;
    s += (i > 0 ? "\n" : "") + one(d, verbose);
  });
  return s;
}

/** `info blockstats`. */
export function infoBlockStats(drives: readonly DriveImpl[]): string {
  return drives.map((d) => {
    const s = d.stats;
    return `${d.name}: rd_bytes=${s.rdBytes} wr_bytes=${s.wrBytes} rd_operations=${s.rdOps} ` +
      `wr_operations=${s.wrOps} flush_operations=${s.flushOps} wr_total_time_ns=0 ` +
      "rd_total_time_ns=0 flush_total_time_ns=0 rd_merged=0 wr_merged=0 idle_time_ns=0\n";
  }).join("");
}
