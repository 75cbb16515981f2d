/**
 * Integer expressions of HMP arguments, 64 bits wide and wrapping. From the weakest to the strongest
 * binding: `+ -`, then `& | ^`, then `* / %`, then the signs `+ - ~`, parentheses, `'c'`, `$register`
 * and C's integer constants. QEMU's precedence, in which `5|2&1` reads from left to right.
 */
import { UserError } from "../../errors.ts";

/** Value of a register by its name without `$`; undefined: there is none. */
export type RegisterReader = (name: string) => bigint | undefined;

/** Characters that C's `isspace` knows. */
export function isSpace(c: string | undefined): boolean {
  return c !== undefined && c !== "" && " \t\n\v\f\r".includes(c);
}

const wrap = (v: bigint) => BigInt.asIntN(64, v);

/** Parentheses inside each other: more would only serve to exhaust the stack. */
const MAX_DEPTH = 256;

/** A cursor over the arguments of a command line. */
export class Scanner {
  /** Open parentheses of the expression being read. */
  depth = 0;
  constructor(readonly text: string, public at: number) {}

  get char(): string {
    return this.text.charAt(this.at);
  }
  get done(): boolean {
    return this.at >= this.text.length;
  }
  is(char: string): boolean {
    return this.char === char;
  }
  skipSpace(): void {
    while (isSpace(this.char)) this.at++;
  }
}

/**
 * Parses one expression and leaves the scanner behind it and the space that follows. Throws UserError.
 * @returns a signed 64-bit value
 */
export function parseExpression(s: Scanner, register: RegisterReader): bigint {
  s.skipSpace();
  return sum(s, register);
}

function next(s: Scanner): void {
  if (s.done) return;
  s.at++;
  s.skipSpace();
}

function sum(s: Scanner, reg: RegisterReader): bigint {
  let value = logic(s, reg);
  for (let op = s.char; op === "+" || op === "-"; op = s.char) {
    next(s);
    const right = logic(s, reg);
    value = wrap(op === "+" ? value + right : value - right);
  }
  return value;
}

function logic(s: Scanner, reg: RegisterReader): bigint {
  let value = product(s, reg);
  for (let op = s.char; op === "&" || op === "|" || op === "^"; op = s.char) {
    next(s);
    const right = product(s, reg);
    value = op === "&" ? value & right : op === "|" ? value | right : value ^ right;
  }
  return value;
}

function product(s: Scanner, reg: RegisterReader): bigint {
  let value = unary(s, reg);
  for (let op = s.char; op === "*" || op === "/" || op === "%"; op = s.char) {
    next(s);
    const right = unary(s, reg);
    if (op === "*") value = wrap(value * right);
    else if (right === 0n) throw new UserError("division by zero");
    else value = wrap(op === "/" ? value / right : value % right);
  }
  return value;
}

function unary(s: Scanner, reg: RegisterReader): bigint {
  // A loop, so that a line of a thousand signs does not recurse.
  const signs: string[] = [];
  while (s.char !== "" && "+-~".includes(s.char)) {
    signs.push(s.char);
    next(s);
  }
  let value = primary(s, reg);
  for (const sign of signs.reverse()) {
    if (sign === "-") value = wrap(-value);
    else if (sign === "~") value = ~value;
  }
  return value;
}

function primary(s: Scanner, reg: RegisterReader): bigint {
  switch (s.char) {
    case "":
      throw new UserError("unexpected end of expression");
    case "(": {
      if (++s.depth > MAX_DEPTH) throw new UserError("')' expected");
      next(s);
      const value = sum(s, reg);
      s.depth--;
      if (!s.is(")")) throw new UserError("')' expected");
      next(s);
      return value;
    }
    case "'": {
      s.at++;
      if (s.done) throw new UserError("character constant expected");
      const value = BigInt(s.char.charCodeAt(0));
      s.at++;
      if (!s.is("'")) throw new UserError("missing terminating ' character");
      next(s);
      return value;
    }
    case "$": {
      const name = /^[\w.]*/.exec(s.text.slice(s.at + 1))![0];
      s.at += 1 + name.length;
      s.skipSpace();
      const value = reg(name);
      if (value === undefined) throw new UserError("unknown register");
      return wrap(value);
    }
    default:
      return constant(s);
  }
}

/** As `strtoull` with base 0 reads it: `0x` hexadecimal, a leading 0 octal. */
function constant(s: Scanner): bigint {
  const digits = /^(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)/.exec(s.text.slice(s.at))?.[0];
  if (digits === undefined) throw new UserError(`invalid char '${s.char}' in expression`);
  s.at += digits.length;
  s.skipSpace();
  const octal = digits.length > 1 && digits[0] === "0" && !/[xX]/.test(digits);
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
  if (value >> 64n) throw new UserError("number too large");
  return wrap(value);
}
