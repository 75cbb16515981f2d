/**
 * Modules: imports, functions, exports, and the only encoder of WebAssembly's binary form. Every
 * module imports the machine's shared memory and the shared function table.
 */
import {
  type AddressType,
  CALL,
  CALL_INDIRECT,
  CONST,
  type Expr,
  GUEST,
  type I32,
  LOCAL_GET,
  SELECT,
} from "./expr.ts";
import type { Callee, FunctionBuilder, FuncType, Label, Stmt } from "./func.ts";
import { naturalAlign, opInfo, VAL, type ValType } from "./opcodes.ts";

/** Replaces guest-level nodes while a function is encoded. */
export interface Lowering {
  expr(node: Expr): Expr;
  /** Statements in place of a guest-level one. */
  stmt(s: Stmt & { k: "guest" }): readonly Stmt[];
}

/** A lowering for functions that have no guest-level nodes. */
export const PLAIN: Lowering = {
  expr(n) {
    throw new Error(`guest node ${n.op - GUEST} in a plain function`);
  },
  stmt(s) {
    throw new Error(`guest statement ${s.op - GUEST} in a plain function`);
  },
};

const aligns = new Map<number, number>();
function alignOf(op: number): number {
  let a = aligns.get(op);
  if (a === undefined) {
    const info = opInfo.get(op)!;
    // Guest accesses may be unaligned; alignment is a hint except for atomics.
    a = /atomic/.test(info.name) ? naturalAlign(info.name) : 0;
    aligns.set(op, a);
  }
  return a;
}

/** A growing byte string. */
class Bytes {
  #buf = new Uint8Array(1024);
  length = 0;

  #room(n: number): void {
    if (this.length + n <= this.#buf.length) return;
    const b = new Uint8Array(Math.max(this.#buf.length * 2, this.length + n));
    b.set(this.#buf);
    this.#buf = b;
  }
  u8(v: number): void {
    this.#room(1);
    this.#buf[this.length++] = v;
  }
  u(v: number): void {
    v >>>= 0;
    while (v > 0x7f) {
      this.u8(v & 0x7f | 0x80);
      v >>>= 7;
    }
    this.u8(v);
  }
  s32(v: number): void {
    for (;;) {
      const b = v & 0x7f;
      v >>= 7;
      if ((v === 0 && !(b & 0x40)) || (v === -1 && (b & 0x40))) return this.u8(b);
      this.u8(b | 0x80);
    }
  }
  s64(v: bigint): void {
    if (v >= -0x80000000n && v <= 0x7fffffffn) return this.s32(Number(v));
    for (;;) {
      const b = Number(v & 0x7fn);
      v >>= 7n;
      if ((v === 0n && !(b & 0x40)) || (v === -1n && (b & 0x40))) return this.u8(b);
      this.u8(b | 0x80);
    }
  }
  bytes(b: Uint8Array): void {
    this.#room(b.length);
    this.#buf.set(b, this.length);
    this.length += b.length;
  }
  str(s: string): void {
    const b = new TextEncoder().encode(s);
    this.u(b.length);
    this.bytes(b);
  }
  section(id: number, body: Bytes): void {
    this.u8(id);
    this.u(body.length);
    this.bytes(body.done());
  }
  done(): Uint8Array {
    return this.#buf.subarray(0, this.length);
  }
}

const f64buf = new DataView(new ArrayBuffer(16));

/** The type of the shared memory; its limits are in 64 KiB pages. */
export interface MemoryLimits {
  readonly initial: number;
  readonly maximum: number;
  /** `i64` for a memory64. Default: `i32`. */
  readonly address?: AddressType;
}

export class ModuleBuilder {
  readonly #types: { type: FuncType; key: string }[] = [];
  readonly #imports: Callee[] = [];
  readonly #funcs: {
    f: FunctionBuilder;
    lowering: Lowering;
    exported: string | undefined;
    callee: Callee;
  }[] = [];
  readonly #index = new Map<Callee, number>();

  /** @param memory type of the shared memory, imported as `env.memory` */
  constructor(readonly memory: MemoryLimits) {}

  /** Adds a function, exported as `name` when given. Others may call it by itself or `callee`. */
  add(f: FunctionBuilder, lowering: Lowering = PLAIN, name?: string, callee: Callee = f): void {
    this.#funcs.push({ f, lowering, exported: name, callee });
  }

  /** Functions that are called but not added are imported from `env` under their names. */
  encode(): Uint8Array<ArrayBuffer> {
    const code = this.#funcs.map(({ f, lowering }) => new FuncEncoder(this, f, lowering));
    // Imports come first in the index space, so find them before encoding any call.
    const own = new Set<Callee>(this.#funcs.flatMap((x) => [x.f, x.callee]));
    for (const c of code) {
      for (const callee of c.collectCallees()) {
        if (!own.has(callee) && !this.#index.has(callee)) {
          this.#index.set(callee, this.#imports.length);
          this.#imports.push(callee);
        }
      }
    }
    this.#funcs.forEach(({ f, callee }, i) => {
      this.#index.set(f, this.#imports.length + i);
      this.#index.set(callee, this.#imports.length + i);
    });
    const bodies = code.map((c) => c.encode());

    const out = new Bytes();
    out.bytes(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
    const funcTypes = this.#funcs.map(({ f }) => this.typeIndex(f.type));
    const importTypes = this.#imports.map((c) => this.typeIndex(c.type));

    const types = new Bytes();
    types.u(this.#types.length);
    for (const { type } of this.#types) {
      types.u8(0x60);
      types.u(type.params.length);
      for (const p of type.params) types.u8(VAL[p]);
      types.u(type.results.length);
      for (const r of type.results) types.u8(VAL[r]);
    }
    out.section(1, types);

    const imports = new Bytes();
    imports.u(this.#imports.length + 2);
    this.#imports.forEach((c, i) => {
      imports.str("env");
      imports.str(c.name);
      imports.u8(0);
      imports.u(importTypes[i]);
    });
    imports.str("env");
    imports.str("memory");
    imports.u8(2);
    // Shared, with a maximum; bit 2 for 64-bit addresses.
    imports.u8(this.memory.address === "i64" ? 7 : 3);
    imports.u(this.memory.initial);
    imports.u(this.memory.maximum);
    imports.str("env");
    imports.str("table");
    imports.u8(1);
    imports.u8(0x70);
    imports.u8(0);
    imports.u(1);
    out.section(2, imports);

    const funcs = new Bytes();
    funcs.u(funcTypes.length);
    for (const t of funcTypes) funcs.u(t);
    out.section(3, funcs);

    const exports = new Bytes();
    const exported = this.#funcs.filter((x) => x.exported !== undefined);
    exports.u(exported.length);
    for (const x of exported) {
      exports.str(x.exported!);
      exports.u8(0);
      exports.u(this.#index.get(x.f)!);
    }
    out.section(7, exports);

    const hinted = code.flatMap((c, i) => c.hints.length > 0 ? [{ hints: c.hints, i }] : []);
    if (hinted.length > 0) {
      // WebAssembly 3.0, appendix "Custom Sections": branch hints.
      const hints = new Bytes();
      hints.str("metadata.code.branch_hint");
      hints.u(hinted.length);
      for (const h of hinted) {
        hints.u(this.#imports.length + h.i);
        hints.u(h.hints.length);
        for (const { at, likely } of h.hints) {
          hints.u(at);
          hints.u(1);
          hints.u8(likely ? 1 : 0);
        }
      }
      out.section(0, hints);
    }

    const codes = new Bytes();
    codes.u(bodies.length);
    for (const b of bodies) {
      codes.u(b.length);
      codes.bytes(b);
    }
    out.section(10, codes);
    return out.done().slice();
  }

  typeIndex(t: FuncType): number {
    const key = `${t.params}>${t.results}`;
    let i = this.#types.findIndex((x) => x.key === key);
    if (i < 0) i = this.#types.push({ type: t, key }) - 1;
    return i;
  }

  funcIndex(c: Callee): number {
    return this.#index.get(c)!;
  }
}

class FuncEncoder {
  readonly #out = new Bytes();
  /** Branches whose way is known, by their offsets in the body. */
  readonly hints: { readonly at: number; readonly likely: boolean }[] = [];
  readonly #labels: (Label | undefined)[] = [];
  /** The body with every guest node replaced. */
  readonly #body: readonly Stmt[];
  readonly #callees = new Set<Callee>();

  constructor(readonly module: ModuleBuilder, readonly f: FunctionBuilder, readonly low: Lowering) {
    if (low === PLAIN) {
      this.#body = f.body;
      this.#findCallees(f.body);
    } else this.#body = this.#lowerAll(f.body);
  }

  /** For bodies that stay as they are. */
  #findCallees(stmts: readonly Stmt[]): void {
    const inside = (x: Expr) => {
      if (x.op === CALL) this.#callees.add(x.data as Callee);
      for (const a of x.args) inside(a);
    };
    for (const s of stmts) {
      switch (s.k) {
        case "guest":
          PLAIN.stmt(s);
          break;
        case "set":
        case "drop":
          inside(s.value);
          break;
        case "store":
          inside(s.addr);
          inside(s.value);
          break;
        case "call":
        case "tail":
          this.#callees.add(s.callee);
          s.args.forEach(inside);
          break;
        case "tailIndirect":
          s.args.forEach(inside);
          inside(s.index);
          break;
        case "if":
          inside(s.cond);
          this.#findCallees(s.then);
          this.#findCallees(s.else);
          break;
        case "block":
          this.#findCallees(s.body);
          break;
        case "brIf":
          inside(s.cond);
          break;
        case "brTable":
          inside(s.index);
          break;
        case "return":
          if (s.value !== undefined) inside(s.value);
          break;
        case "fill":
          inside(s.addr);
          inside(s.value);
          inside(s.length);
          break;
        case "copy":
          inside(s.to);
          inside(s.from);
          inside(s.length);
          break;
      }
    }
  }

  collectCallees(): Iterable<Callee> {
    return this.#callees;
  }

  #lowerAll(stmts: readonly Stmt[]): Stmt[] {
    const out: Stmt[] = [];
    for (const s of stmts) this.#lowerStmt(s, out);
    return out;
  }

  #lowerStmt(s: Stmt, out: Stmt[]): void {
    const e = (x: Expr) => this.#lower(x);
    switch (s.k) {
      case "guest":
        for (const x of this.low.stmt(s)) this.#lowerStmt(x, out);
        return;
      case "set":
      case "drop":
        out.push({ ...s, value: e(s.value) });
        return;
      case "store":
        out.push({ ...s, addr: e(s.addr), value: e(s.value) });
        return;
      case "call":
      case "tail":
        this.#callees.add(s.callee);
        out.push({ ...s, args: s.args.map(e) });
        return;
      case "tailIndirect":
        out.push({ ...s, args: s.args.map(e), index: e(s.index) });
        return;
      case "if":
        out.push({
          k: "if",
          cond: e(s.cond),
          then: this.#lowerAll(s.then),
          else: this.#lowerAll(s.else),
          likely: s.likely,
        });
        return;
      case "block":
        out.push({ ...s, body: this.#lowerAll(s.body) });
        return;
      case "brIf":
        out.push({ ...s, cond: e(s.cond) });
        return;
      case "brTable":
        out.push({ ...s, index: e(s.index) });
        return;
      case "return":
        out.push({ ...s, value: s.value && e(s.value) });
        return;
      case "fill":
        out.push({ ...s, addr: e(s.addr), value: e(s.value), length: e(s.length) });
        return;
      case "copy":
        out.push({ ...s, to: e(s.to), from: e(s.from), length: e(s.length) });
        return;
      default:
        out.push(s);
    }
  }

  #lower(x: Expr): Expr {
    while (x.op >= GUEST) x = this.low.expr(x);
    if (x.op === CALL) this.#callees.add(x.data as Callee);
    if (x.args.length === 0) return x;
    let changed = false;
    const args = x.args.map((a) => {
      const b = this.#lower(a);
      if (b !== a) changed = true;
      return b;
    });
    if (!changed) return x;
    return new (x.constructor as new (
      o: number,
      a: Expr[],
      i: number | bigint,
      d: unknown,
    ) => Expr)(
      x.op,
      args,
      x.imm,
      x.data,
    );
  }

  encode(): Uint8Array {
    const o = this.#out;
    const runs: { type: ValType; n: number }[] = [];
    for (const t of this.f.locals) {
      if (runs.at(-1)?.type === t) runs.at(-1)!.n++;
      else runs.push({ type: t, n: 1 });
    }
    o.u(runs.length);
    for (const r of runs) {
      o.u(r.n);
      o.u8(VAL[r.type]);
    }
    this.#stmts(this.#body);
    // A body whose last statement leaves the function has nothing to give at its end.
    if (this.f.type.results.length > 0) o.u8(0x00);
    o.u8(0x0b);
    return o.done();
  }

  #stmts(list: readonly Stmt[]): void {
    for (const s of list) this.#stmt(s);
  }

  #depth(label: Label): number {
    const i = this.#labels.lastIndexOf(label);
    if (i < 0) throw new Error("branch to a label that is not open");
    return this.#labels.length - 1 - i;
  }

  #stmt(s: Stmt): void {
    const o = this.#out;
    switch (s.k) {
      case "set":
        this.#expr(s.value);
        o.u8(0x21);
        o.u(s.local);
        return;
      case "store":
        this.#address(s.addr);
        this.#expr(s.value);
        this.#memOp(s.op, s.offset);
        return;
      case "drop":
        this.#expr(s.value);
        o.u8(0x1a);
        return;
      case "call":
        for (const a of s.args) this.#expr(a);
        o.u8(0x10);
        o.u(this.module.funcIndex(s.callee));
        for (const _ of s.callee.type.results) o.u8(0x1a);
        return;
      case "if":
        this.#expr(s.cond);
        if (s.likely !== undefined) this.hints.push({ at: o.length, likely: s.likely });
        o.u8(0x04);
        o.u8(0x40);
        this.#labels.push(undefined);
        this.#stmts(s.then);
        if (s.else.length > 0) {
          o.u8(0x05);
          this.#stmts(s.else);
        }
        this.#labels.pop();
        o.u8(0x0b);
        return;
      case "block":
        o.u8(s.label.kind === "loop" ? 0x03 : 0x02);
        o.u8(0x40);
        this.#labels.push(s.label);
        this.#stmts(s.body);
        this.#labels.pop();
        o.u8(0x0b);
        return;
      case "br":
        o.u8(0x0c);
        o.u(this.#depth(s.label));
        return;
      case "brIf":
        this.#expr(s.cond);
        o.u8(0x0d);
        o.u(this.#depth(s.label));
        return;
      case "brTable":
        this.#expr(s.index);
        o.u8(0x0e);
        o.u(s.labels.length);
        for (const l of s.labels) o.u(this.#depth(l));
        o.u(this.#depth(s.otherwise));
        return;
      case "return":
        if (s.value) this.#expr(s.value);
        o.u8(0x0f);
        return;
      case "tail":
        for (const a of s.args) this.#expr(a);
        o.u8(0x12);
        o.u(this.module.funcIndex(s.callee));
        return;
      case "tailIndirect":
        for (const a of s.args) this.#expr(a);
        this.#expr(s.index);
        o.u8(0x13);
        o.u(this.module.typeIndex(s.type));
        o.u8(0);
        return;
      case "fill":
        this.#address(s.addr);
        this.#expr(s.value);
        this.#address(s.length);
        o.u8(0xfc);
        o.u8(11);
        o.u8(0);
        return;
      case "copy":
        this.#address(s.to);
        this.#address(s.from);
        this.#address(s.length);
        o.u8(0xfc);
        o.u8(10);
        o.u8(0);
        o.u8(0);
        return;
      case "fence":
        o.u8(0xfe);
        o.u8(3);
        o.u8(0);
        return;
      case "unreachable":
        o.u8(0x00);
        return;
      case "guest":
        throw new Error("guest statement left after lowering");
    }
  }

  /** An operand as wide as the memory's addresses: an i32 counts from 0 to 4 GiB. */
  #address(x: Expr): void {
    const want = this.module.memory.address ?? "i32";
    if (x.type === want) return this.#expr(x);
    if (x.type !== "i32") throw new TypeError(`${x.type} address in an ${want} memory`);
    this.#expr((x as I32).extend_u());
  }

  #memOp(op: number, offset: number): void {
    this.#op(op);
    this.#out.u(alignOf(op));
    this.#out.u(offset);
  }

  #op(op: number): void {
    const prefix = op >>> 12;
    if (prefix === 0) return this.#out.u8(op);
    this.#out.u8(prefix);
    this.#out.u(op & 0xfff);
  }

  #expr(x: Expr): void {
    const o = this.#out;
    switch (x.op) {
      case CONST:
        return this.#constant(x);
      case LOCAL_GET:
        o.u8(0x20);
        o.u(x.imm as number);
        return;
      case CALL:
        for (const a of x.args) this.#expr(a);
        o.u8(0x10);
        o.u(this.module.funcIndex(x.data as Callee));
        return;
      case CALL_INDIRECT:
        for (const a of x.args) this.#expr(a);
        o.u8(0x11);
        o.u(this.module.typeIndex(x.data as FuncType));
        o.u8(0);
        return;
      case SELECT:
        for (const a of x.args) this.#expr(a);
        if (x.type === "v128") {
          o.u8(0x1c);
          o.u8(1);
          o.u8(VAL.v128);
        } else o.u8(0x1b);
        return;
    }
    const info = opInfo.get(x.op)!;
    if (info.memory) {
      this.#address(x.args[0]);
      for (let n = 1; n < x.args.length; n++) this.#expr(x.args[n]);
      this.#memOp(x.op, x.imm as number);
      if (info.lane) o.u8(x.data as number);
      return;
    }
    for (const a of x.args) this.#expr(a);
    this.#op(x.op);
    if (info.lane) o.u8(x.imm as number);
    else if (x.op === SHUFFLE) { for (const b of x.data as number[]) o.u8(b); }
  }

  #constant(x: Expr): void {
    const o = this.#out;
    switch (x.type) {
      case "i32":
        o.u8(0x41);
        return o.s32(x.imm as number);
      case "i64":
        o.u8(0x42);
        return o.s64(x.imm as bigint);
      case "f32":
        o.u8(0x43);
        f64buf.setFloat32(0, x.imm as number, true);
        return o.bytes(new Uint8Array(f64buf.buffer, 0, 4));
      case "f64":
        o.u8(0x44);
        f64buf.setFloat64(0, x.imm as number, true);
        return o.bytes(new Uint8Array(f64buf.buffer, 0, 8));
      case "v128": {
        o.u8(0xfd);
        o.u8(12);
        const v = x.imm as bigint;
        f64buf.setBigUint64(0, v & 0xffffffffffffffffn, true);
        f64buf.setBigUint64(8, v >> 64n, true);
        return o.bytes(new Uint8Array(f64buf.buffer, 0, 16));
      }
    }
  }
}

const SHUFFLE = (0xfd << 12) | 13;
