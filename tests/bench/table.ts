/** What the bench prints: times of several runs as one table. */

/** Seconds by phase of each run. */
export type Runs = readonly (readonly number[])[];

export interface Column {
  readonly name: string;
  readonly runs: Runs;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Three significant digits at least, as far as milliseconds go. */
function time(seconds: number): string {
  return seconds.toFixed(seconds < 10 ? 2 : 1);
}

/** A column's name without version and tier. */
function short(c: Column): string {
  return c.name.split(/[ ,]/)[0];
}

/**
 * A Markdown table: a row for each phase and one for the whole run. With several runs each time is
 * the minimum, the median in brackets. Ratios are of the first column to each other one, of minima.
 */
export function table(phases: readonly string[], columns: readonly Column[]): string {
  const rows = phases.map((name, i) => ({
    name,
    times: columns.map((c) => c.runs.map((r) => r[i])),
  }));
  rows.push({
    name: "whole run",
    times: columns.map((c) => c.runs.map((r) => r.reduce((a, b) => a + b, 0))),
  });
  const [first, ...others] = columns;
  const cells = [
    ["", ...columns.map((c) => c.name), ...others.map((c) => `${short(first)} / ${short(c)}`)],
    ...rows.map(({ name, times }) => {
      const best = times.map((t) => Math.min(...t));
      return [
        name,
        ...times.map((t, i) => time(best[i]) + (t.length > 1 ? ` (${time(median(t))})` : "")),
        ...best.slice(1).map((b) => (best[0] / b).toFixed(2)),
      ];
    }),
  ];
  const width = cells[0].map((_, i) => Math.max(...cells.map((r) => r[i].length), 3));
  const line = (r: readonly string[]) =>
    `| ${r.map((c, i) => i === 0 ? c.padEnd(width[i]) : c.padStart(width[i])).join(" | ")} |`;
  const rule = width.map((w, i) => i === 0 ? "-".repeat(w) : "-".repeat(w - 1) + ":");
  return [line(cells[0]), line(rule), ...cells.slice(1).map(line)].join("\n");
}
