/**
 * Typed WebAssembly expressions. An `I32` is a tree that leaves an i32 on the stack; mixing widths is
 * a TypeScript error. Trees are evaluated where they are used: bind a value that is used twice, or
 * that must be read before a later effect, with `FunctionBuilder.let`.
 *
 * Operation numbers from {@link GUEST} up are not WebAssembly's: they are the guest-level nodes of
 * `core/x86/ir.ts`, which a tier's lowering replaces while the function is encoded.
 */
import { opcode, type ValType } from "./opcodes.ts";

/** Pseudo-operations. */
export const CONST = -1;
export const LOCAL_GET = -2;
export const CALL = -3;
export const SELECT = -4;
export const CALL_INDIRECT = -5;
/** First operation number of guest-level nodes. */
export const GUEST = 0x1000000;

export type Arg = Expr | undefined;

export abstract class Expr {
  abstract readonly type: ValType;
  constructor(
    /** Instruction number of `opcodes.ts`, or a pseudo-operation. */
    readonly op: number,
    readonly args: readonly Expr[],
    /** Constant, local index, lane, memory offset, or a guest node's number. */
    readonly imm: number | bigint = 0,
    /** Callee, shuffle bytes, or a guest node's data. */
    readonly data: unknown = undefined,
  ) {}

  get isConst(): boolean {
    return this.op === CONST;
  }
}

type Num = number | bigint;

abstract class Int extends Expr {
  abstract constant(v: Num): this;
  abstract make(name: string, ...args: Expr[]): this;
  abstract test(name: string, ...args: Expr[]): I32;
  abstract readonly bits: 32 | 64;

  #arg(b: this | Num): this {
    return typeof b === "object" ? b : this.constant(b);
  }
  #is(b: this | Num, v: number): boolean {
    return typeof b === "object"
      ? b.op === CONST && BigInt(b.imm) === BigInt(v)
      : BigInt(b) === BigInt(v);
  }

  add(b: this | Num): this {
    return this.#is(b, 0) ? this : this.make("add", this, this.#arg(b));
  }
  sub(b: this | Num): this {
    return this.#is(b, 0) ? this : this.make("sub", this, this.#arg(b));
  }
  mul(b: this | Num): this {
    return this.make("mul", this, this.#arg(b));
  }
  div_s(b: this | Num): this {
    return this.make("div_s", this, this.#arg(b));
  }
  div_u(b: this | Num): this {
    return this.make("div_u", this, this.#arg(b));
  }
  rem_s(b: this | Num): this {
    return this.make("rem_s", this, this.#arg(b));
  }
  rem_u(b: this | Num): this {
    return this.make("rem_u", this, this.#arg(b));
  }
  and(b: this | Num): this {
    return this.make("and", this, this.#arg(b));
  }
  or(b: this | Num): this {
    return this.#is(b, 0) ? this : this.make("or", this, this.#arg(b));
  }
  xor(b: this | Num): this {
    return this.#is(b, 0) ? this : this.make("xor", this, this.#arg(b));
  }
  not(): this {
    return this.xor(-1);
  }
  neg(): this {
    return this.constant(0).sub(this);
  }
  shl(b: this | Num): this {
    return this.#is(b, 0) ? this : this.make("shl", this, this.#arg(b));
  }
  shr_u(b: this | Num): this {
    return this.#is(b, 0) ? this : this.make("shr_u", this, this.#arg(b));
  }
  shr_s(b: this | Num): this {
    return this.#is(b, 0) ? this : this.make("shr_s", this, this.#arg(b));
  }
  rotl(b: this | Num): this {
    return this.make("rotl", this, this.#arg(b));
  }
  rotr(b: this | Num): this {
    return this.make("rotr", this, this.#arg(b));
  }
  clz(): this {
    return this.make("clz", this);
  }
  ctz(): this {
    return this.make("ctz", this);
  }
  popcnt(): this {
    return this.make("popcnt", this);
  }
  extend8_s(): this {
    return this.make("extend8_s", this);
  }
  extend16_s(): this {
    return this.make("extend16_s", this);
  }
  eqz(): I32 {
    return this.test("eqz", this);
  }
  eq(b: this | Num): I32 {
    return this.#is(b, 0) ? this.eqz() : this.test("eq", this, this.#arg(b));
  }
  ne(b: this | Num): I32 {
    return this.test("ne", this, this.#arg(b));
  }
  lt_s(b: this | Num): I32 {
    return this.test("lt_s", this, this.#arg(b));
  }
  lt_u(b: this | Num): I32 {
    return this.test("lt_u", this, this.#arg(b));
  }
  gt_s(b: this | Num): I32 {
    return this.test("gt_s", this, this.#arg(b));
  }
  gt_u(b: this | Num): I32 {
    return this.test("gt_u", this, this.#arg(b));
  }
  le_s(b: this | Num): I32 {
    return this.test("le_s", this, this.#arg(b));
  }
  le_u(b: this | Num): I32 {
    return this.test("le_u", this, this.#arg(b));
  }
  ge_s(b: this | Num): I32 {
    return this.test("ge_s", this, this.#arg(b));
  }
  ge_u(b: this | Num): I32 {
    return this.test("ge_u", this, this.#arg(b));
  }
}

/** Operation numbers by method name, filled as they are met. */
const ops = new Map<string, number>();
function num(prefix: string, name: string): number {
  const key = prefix + name;
  let op = ops.get(key);
  if (op === undefined) ops.set(key, op = opcode(`${prefix}.${name}`));
  return op;
}

const fold32: Record<string, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shr_u: (a, b) => a >>> b,
  shr_s: (a, b) => a >> b,
};

export class I32 extends Int {
  readonly type = "i32";
  readonly bits = 32;
  static of(v: Num): I32 {
    return new I32(CONST, [], Number(BigInt.asIntN(32, BigInt(v))));
  }
  constant(v: Num): this {
    return I32.of(v) as this;
  }
  make(name: string, ...args: Expr[]): this {
    check("i32", name, args);
    const fold = fold32[name];
    if (fold !== undefined && args[0].op === CONST && args[1].op === CONST) {
      return I32.of(fold(args[0].imm as number, args[1].imm as number) | 0) as this;
    }
    return new I32(num("i32", name), args) as this;
  }
  test(name: string, ...args: Expr[]): I32 {
    check("i32", name, args);
    return new I32(num("i32", name), args);
  }
  extend_s(): I64 {
    return this.op === CONST ? I64.of(this.imm) : new I64(num("i64", "extend_i32_s"), [this]);
  }
  extend_u(): I64 {
    return this.op === CONST
      ? I64.of(Number(this.imm) >>> 0)
      : new I64(num("i64", "extend_i32_u"), [this]);
  }
  f32(): F32 {
    return new F32(num("f32", "reinterpret_i32"), [this]);
  }
  toF64_s(): F64 {
    return new F64(num("f64", "convert_i32_s"), [this]);
  }
  toF64_u(): F64 {
    return new F64(num("f64", "convert_i32_u"), [this]);
  }
  toF32_s(): F32 {
    return new F32(num("f32", "convert_i32_s"), [this]);
  }
  /** `this ? a : b`, both evaluated. */
  select<T extends Expr>(a: T, b: T): T {
    check(a.type, "select", [a, b]);
    return wrap(a.type, SELECT, [a, b, this]) as T;
  }
  splat(shape: "i8x16" | "i16x8" | "i32x4"): V128 {
    return new V128(num(shape, "splat"), [this]);
  }
}

export class I64 extends Int {
  readonly type = "i64";
  readonly bits = 64;
  static of(v: Num): I64 {
    return new I64(CONST, [], BigInt.asIntN(64, BigInt(v)));
  }
  constant(v: Num): this {
    return I64.of(v) as this;
  }
  make(name: string, ...args: Expr[]): this {
    check("i64", name, args);
    return new I64(num("i64", name), args) as this;
  }
  test(name: string, ...args: Expr[]): I32 {
    check("i64", name, args);
    return new I32(num("i64", name), args);
  }
  wrap(): I32 {
    return this.op === CONST ? I32.of(this.imm) : new I32(num("i32", "wrap_i64"), [this]);
  }
  extend32_s(): I64 {
    return new I64(num("i64", "extend32_s"), [this]);
  }
  f64(): F64 {
    return new F64(num("f64", "reinterpret_i64"), [this]);
  }
  toF64_s(): F64 {
    return new F64(num("f64", "convert_i64_s"), [this]);
  }
  toF64_u(): F64 {
    return new F64(num("f64", "convert_i64_u"), [this]);
  }
  toF32_s(): F32 {
    return new F32(num("f32", "convert_i64_s"), [this]);
  }
  splat(): V128 {
    return new V128(num("i64x2", "splat"), [this]);
  }
}

abstract class Float extends Expr {
  abstract make(name: string, ...args: Expr[]): this;
  abstract test(name: string, ...args: Expr[]): I32;
  add(b: this): this {
    return this.make("add", this, b);
  }
  sub(b: this): this {
    return this.make("sub", this, b);
  }
  mul(b: this): this {
    return this.make("mul", this, b);
  }
  div(b: this): this {
    return this.make("div", this, b);
  }
  min(b: this): this {
    return this.make("min", this, b);
  }
  max(b: this): this {
    return this.make("max", this, b);
  }
  sqrt(): this {
    return this.make("sqrt", this);
  }
  abs(): this {
    return this.make("abs", this);
  }
  neg(): this {
    return this.make("neg", this);
  }
  nearest(): this {
    return this.make("nearest", this);
  }
  floor(): this {
    return this.make("floor", this);
  }
  ceil(): this {
    return this.make("ceil", this);
  }
  trunc(): this {
    return this.make("trunc", this);
  }
  eq(b: this): I32 {
    return this.test("eq", this, b);
  }
  ne(b: this): I32 {
    return this.test("ne", this, b);
  }
  lt(b: this): I32 {
    return this.test("lt", this, b);
  }
  gt(b: this): I32 {
    return this.test("gt", this, b);
  }
  le(b: this): I32 {
    return this.test("le", this, b);
  }
  ge(b: this): I32 {
    return this.test("ge", this, b);
  }
}

export class F32 extends Float {
  readonly type = "f32";
  static of(v: number): F32 {
    return new F32(CONST, [], v);
  }
  make(name: string, ...args: Expr[]): this {
    check("f32", name, args);
    return new F32(num("f32", name), args) as this;
  }
  test(name: string, ...args: Expr[]): I32 {
    check("f32", name, args);
    return new I32(num("f32", name), args);
  }
  bits(): I32 {
    return new I32(num("i32", "reinterpret_f32"), [this]);
  }
  promote(): F64 {
    return new F64(num("f64", "promote_f32"), [this]);
  }
  splat(): V128 {
    return new V128(num("f32x4", "splat"), [this]);
  }
}

export class F64 extends Float {
  readonly type = "f64";
  static of(v: number): F64 {
    return new F64(CONST, [], v);
  }
  make(name: string, ...args: Expr[]): this {
    check("f64", name, args);
    return new F64(num("f64", name), args) as this;
  }
  test(name: string, ...args: Expr[]): I32 {
    check("f64", name, args);
    return new I32(num("f64", name), args);
  }
  bits(): I64 {
    return new I64(num("i64", "reinterpret_f64"), [this]);
  }
  demote(): F32 {
    return new F32(num("f32", "demote_f64"), [this]);
  }
  toI32_sat_s(): I32 {
    return new I32(num("i32", "trunc_sat_f64_s"), [this]);
  }
  toI64_sat_s(): I64 {
    return new I64(num("i64", "trunc_sat_f64_s"), [this]);
  }
  splat(): V128 {
    return new V128(num("f64x2", "splat"), [this]);
  }
}

export type Shape = "i8x16" | "i16x8" | "i32x4" | "i64x2" | "f32x4" | "f64x2" | "v128";

export class V128 extends Expr {
  readonly type = "v128";
  /** A constant from two 64-bit halves, low first. */
  static of(lo: bigint, hi: bigint): V128 {
    return new V128(CONST, [], (BigInt.asUintN(64, hi) << 64n) | BigInt.asUintN(64, lo));
  }
  /** Lane operation giving a vector, such as `simd("i16x8.add_sat_s", b)`; shifts take an I32. */
  simd(name: `${Shape}.${string}`, ...rest: Expr[]): V128 {
    return new V128(opcode(name), [this, ...rest]);
  }
  /** Operation giving an i32: `any_true`, `all_true`, `bitmask`. */
  reduce(name: `${Shape}.${string}`): I32 {
    return new I32(opcode(name), [this]);
  }
  /** Bytes of `this` (0–15) and `b` (16–31) in the order of the sixteen `lanes`. */
  shuffle(b: V128, lanes: readonly number[]): V128 {
    return new V128(num("i8x16", "shuffle"), [this, b], 0, lanes);
  }
  and(b: V128): V128 {
    return this.simd("v128.and", b);
  }
  or(b: V128): V128 {
    return this.simd("v128.or", b);
  }
  xor(b: V128): V128 {
    return this.simd("v128.xor", b);
  }
  /** `this & ~b` */
  andnot(b: V128): V128 {
    return this.simd("v128.andnot", b);
  }
  not(): V128 {
    return this.simd("v128.not");
  }
  /** Bits of `this` where `mask` is 1, else of `b`. */
  bitselect(b: V128, mask: V128): V128 {
    return this.simd("v128.bitselect", b, mask);
  }
  lane32(lane: number, shape: "i8x16" | "i16x8" | "i32x4" = "i32x4", signed = false): I32 {
    const name = shape === "i32x4" ? "extract_lane" : signed ? "extract_lane_s" : "extract_lane_u";
    return new I32(num(shape, name), [this], lane);
  }
  lane64(lane: number): I64 {
    return new I64(num("i64x2", "extract_lane"), [this], lane);
  }
  laneF32(lane: number): F32 {
    return new F32(num("f32x4", "extract_lane"), [this], lane);
  }
  laneF64(lane: number): F64 {
    return new F64(num("f64x2", "extract_lane"), [this], lane);
  }
  withLane(shape: Exclude<Shape, "v128">, lane: number, v: Expr): V128 {
    return new V128(num(shape, "replace_lane"), [this, v], lane);
  }
}

function check(type: ValType, name: string, args: readonly Expr[]): void {
  for (const a of args) {
    if (a.type !== type) throw new TypeError(`${type}.${name} on ${a.type}`);
  }
}

/** Makes a node of the class that belongs to `type`. */
export function wrap(
  type: ValType,
  op: number,
  args: readonly Expr[],
  imm: Num = 0,
  data?: unknown,
): Expr {
  switch (type) {
    case "i32":
      return new I32(op, args, imm, data);
    case "i64":
      return new I64(op, args, imm, data);
    case "f32":
      return new F32(op, args, imm, data);
    case "f64":
      return new F64(op, args, imm, data);
    case "v128":
      return new V128(op, args, imm, data);
  }
}

export interface TypeMap {
  i32: I32;
  i64: I64;
  f32: F32;
  f64: F64;
  v128: V128;
}

/** An integer of either width: what size-generic semantics compute with. */
export type AnyInt = Int;

/** How wide an address in the memory of a module can be: i64 in a memory64. */
export type AddressType = "i32" | "i64";

/**
 * `v` as a full address. Loads, stores and bulk operations take any i32 as it is: in a memory64 the
 * encoder extends it, so that only what may lie above 4 GiB has to be an i64.
 */
export function asAddress(type: AddressType, v: I32): AnyInt {
  return type === "i64" ? v.extend_u() : v;
}

/** A load from the shared memory at `addr + offset`. */
export function load<T extends ValType>(
  name: `${T}.${string}`,
  addr: AnyInt,
  offset = 0,
): TypeMap[T] {
  return wrap(
    name.slice(0, name.indexOf(".")) as ValType,
    opcode(name),
    [addr],
    offset,
  ) as TypeMap[T];
}

/** An atomic read-modify-write; the result is the old value. */
export function atomicRmw<T extends "i32" | "i64">(
  name: `${T}.atomic.${string}`,
  addr: AnyInt,
  ...rest: TypeMap[T][]
): TypeMap[T] {
  return wrap(name.slice(0, 3) as ValType, opcode(name), [addr, ...rest], 0) as TypeMap[T];
}
