/** Booleans, integers and sizes as QEMU's option parsers read them. */

/** `on`, `yes`, `true`, `y` / `off`, `no`, `false`, `n`; undefined for anything else. */
export function parseBool(text: string): boolean | undefined {
  if (text === "on" || text === "yes" || text === "true" || text === "y") return true;
  if (text === "off" || text === "no" || text === "false" || text === "n") return false;
  return undefined;
}

/**
 * A C integer (`10`, `0x1f`, `017`, leading blanks and sign) as an exact value, or undefined when
 * the text is not one or has something behind it.
 */
export function parseInteger(text: string): bigint | undefined {
  const m = /^[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(text);
  if (!m) return undefined;
  const digits = m[2];
  const value = /^0[0-7]+$/.test(digits) ? BigInt("0o" + digits.slice(1)) : BigInt(digits);
  return m[1] === "-" ? -value : value;
}

/** An unsigned 64-bit number; negative ones wrap as strtoull does. `range`: it does not fit. */
export function parseUint64(text: string): bigint | "syntax" | "range" {
  const v = parseInteger(text);
  if (v === undefined) return "syntax";
  if (v >= 1n << 64n || v <= -(1n << 64n)) return "range";
  return BigInt.asUintN(64, v);
}

/** A signed 64-bit number. */
export function parseInt64(text: string): bigint | "syntax" | "range" {
  const v = parseInteger(text);
  if (v === undefined) return "syntax";
  return v > (1n << 63n) - 1n || v < -(1n << 63n) ? "range" : v;
}

export interface ParsedSize {
  /** Bytes. */
  bytes: bigint;
  /** A suffix stands behind a hexadecimal number, which QEMU accepts with a warning. */
  hexSuffix: boolean;
}

const SUFFIX = "BKMGTPE";

/**
 * A size: decimal (`1.5G`) or hexadecimal, an optional suffix B K M G T P E of either case, powers
 * of 1024, with `defaultSuffix` when there is none. A fraction of a byte is an error.
 */
export function parseSize(text: string, defaultSuffix = "B"): ParsedSize | "syntax" | "range" {
  const hex = /^[ \t\n\v\f\r]*\+?0[xX]([0-9a-fA-F]+)(.?)$/.exec(text);
  const dec = /^[ \t\n\v\f\r]*\+?([0-9]+)(\.[0-9]*)?([a-zA-Z]?)$/.exec(text);
  if (hex) {
    // B and E are hexadecimal digits, so only K M G T P can follow as suffixes.
    const suffix = hex[2] === "" ? defaultSuffix : hex[2].toUpperCase();
    const at = SUFFIX.indexOf(suffix);
    if (at < 0) return "syntax";
    const bytes = BigInt("0x" + hex[1]) << BigInt(10 * at);
    return bytes >= 1n << 64n ? "range" : { bytes, hexSuffix: hex[2] !== "" };
  }
  if (!dec) return "syntax";
  const at = SUFFIX.indexOf((dec[3] || defaultSuffix).toUpperCase());
  if (at < 0) return "syntax";
  const unit = 1n << BigInt(10 * at);
  let bytes = BigInt(dec[1]) * unit;
  const fraction = dec[2] === undefined ? 0 : Number("0" + dec[2] + "0");
  if (fraction !== 0) {
    if (unit === 1n) return "syntax";
    bytes += BigInt(Math.floor(fraction * Number(unit)));
  }
  return bytes >= 1n << 64n ? "range" : { bytes, hexSuffix: false };
}
