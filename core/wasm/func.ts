/** Functions under construction: locals and a structured list of statements. */
import {
  type AnyInt,
  CALL,
  CALL_INDIRECT,
  Expr,
  I32,
  LOCAL_GET,
  type TypeMap,
  wrap,
} from "./expr.ts";
import { opcode, type ValType } from "./opcodes.ts";

/** A function signature. */
export interface FuncType {
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
}

/** Something callable by index: an import or a function of the module. */
export interface Callee {
  readonly name: string;
  readonly type: FuncType;
}

/** The target of a branch: made by `block` or `loop`. */
export class Label {
  constructor(readonly kind: "block" | "loop") {}
}

export type Stmt =
  | { k: "set"; local: number; value: Expr }
  | { k: "store"; op: number; addr: Expr; value: Expr; offset: number }
  | { k: "drop"; value: Expr }
  | { k: "call"; callee: Callee; args: readonly Expr[] }
  | { k: "if"; cond: Expr; then: Stmt[]; else: Stmt[]; likely?: boolean }
  | { k: "block"; label: Label; body: Stmt[] }
  | { k: "br"; label: Label }
  | { k: "brIf"; label: Label; cond: Expr }
  | { k: "brTable"; labels: readonly Label[]; otherwise: Label; index: Expr }
  | { k: "return"; value: Expr | undefined }
  | { k: "tailIndirect"; type: FuncType; args: readonly Expr[]; index: Expr }
  | { k: "tail"; callee: Callee; args: readonly Expr[] }
  | { k: "fill"; addr: Expr; value: Expr; length: Expr }
  | { k: "copy"; to: Expr; from: Expr; length: Expr }
  | { k: "fence" }
  | { k: "unreachable" }
  /** A guest-level statement: the tier's lowering replaces it. */
  | { k: "guest"; op: number; args: readonly Expr[]; data: unknown };

/** Builds one function. Statements go to the innermost open block. */
export class FunctionBuilder {
  readonly locals: ValType[] = [];
  readonly body: Stmt[] = [];
  #out: Stmt[] = this.body;
  /** Locals that nobody uses any more, by scope and type. */
  readonly #free = new Map<string, number[]>();
  /** The innermost {@link scoped}: its name and the locals made in it. */
  #scope: { readonly name: string; readonly made: [number, ValType][] } | undefined;

  constructor(readonly name: string, readonly type: FuncType) {}

  param<T extends ValType>(index: number, type: T): TypeMap[T] {
    if (this.type.params[index] !== type) throw new TypeError(`parameter ${index} is not ${type}`);
    return wrap(type, LOCAL_GET, [], index) as TypeMap[T];
  }

  /** A new local variable, zero at entry; inside {@link scoped} it may hold anything. */
  local<T extends ValType>(type: T): Local<T> {
    const scope = this.#scope;
    const old = scope && this.#free.get(`${scope.name} ${type}`)?.pop();
    const index = old ?? this.type.params.length + this.locals.push(type) - 1;
    scope?.made.push([index, type]);
    return new Local(this, index, type);
  }

  /**
   * Runs `body`. Local variables made in it are not used behind it: later scopes of the same name make
   * theirs from them. Code of scopes with the same name must not be mixed.
   */
  scoped<R>(name: string, body: () => R): R {
    const outer = this.#scope, scope = { name, made: [] as [number, ValType][] };
    this.#scope = scope;
    try {
      return body();
    } finally {
      this.#scope = outer;
      for (const [index, type] of scope.made) {
        const key = `${name} ${type}`, list = this.#free.get(key);
        if (list === undefined) this.#free.set(key, [index]);
        else list.push(index);
      }
    }
  }

  /** Evaluates `value` now and names the result. Constants and locals never reassigned stay as they are. */
  let<E extends Expr>(value: E): E {
    if (value.isConst) return value;
    const l = this.local(value.type);
    l.set(value as never);
    return l.get() as unknown as E;
  }

  emit(s: Stmt): void {
    this.#out.push(s);
  }

  store(name: string, addr: AnyInt, value: Expr, offset = 0): void {
    this.emit({ k: "store", op: opcode(name), addr, value, offset });
  }

  drop(value: Expr): void {
    this.emit({ k: "drop", value });
  }

  /** Calls a function for its effect; results are dropped. */
  call(callee: Callee, ...args: Expr[]): void {
    checkArgs(callee, args);
    this.emit({ k: "call", callee, args });
  }

  /** @param likely tells the engine which way the branch usually goes: it moves the other one away */
  if(cond: I32, then: () => void, otherwise?: () => void, likely?: boolean): void {
    const s: Stmt = { k: "if", cond, then: [], else: [], likely };
    this.emit(s);
    this.#inside(s.then, then);
    if (otherwise) this.#inside(s.else, otherwise);
  }

  /** What is hardly ever done. */
  ifRare(cond: I32, then: () => void): void {
    this.if(cond, then, undefined, false);
  }

  /** A branch to the label leaves the block. */
  block(body: (label: Label) => void): void {
    this.#labelled("block", body);
  }

  /** A branch to the label starts the body again; falling out of the body leaves the loop. */
  loop(body: (label: Label) => void): void {
    this.#labelled("loop", body);
  }

  br(label: Label): void {
    this.emit({ k: "br", label });
  }

  brIf(label: Label, cond: I32): void {
    this.emit({ k: "brIf", label, cond });
  }

  brTable(labels: readonly Label[], otherwise: Label, index: I32): void {
    this.emit({ k: "brTable", labels, otherwise, index });
  }

  return(value?: Expr): void {
    this.emit({ k: "return", value });
  }

  tail(callee: Callee, ...args: Expr[]): void {
    checkArgs(callee, args);
    this.emit({ k: "tail", callee, args });
  }

  tailIndirect(type: FuncType, index: I32, ...args: Expr[]): void {
    this.emit({ k: "tailIndirect", type, args, index });
  }

  fill(addr: AnyInt, value: I32, length: I32): void {
    this.emit({ k: "fill", addr, value, length });
  }

  copy(to: AnyInt, from: AnyInt, length: I32): void {
    this.emit({ k: "copy", to, from, length });
  }

  unreachable(): void {
    this.emit({ k: "unreachable" });
  }

  /** Numbers of the guest-level statements that the function has. */
  readonly guestOps = new Set<number>();

  /** A guest-level statement. */
  guest(op: number, args: readonly Expr[], data?: unknown): void {
    this.guestOps.add(op);
    this.emit({ k: "guest", op, args, data });
  }

  /** Runs `f` with statements going to `into`. */
  collect(into: Stmt[], f: () => void): void {
    this.#inside(into, f);
  }

  #labelled(kind: "block" | "loop", body: (label: Label) => void): void {
    const label = new Label(kind);
    const s: Stmt = { k: "block", label, body: [] };
    this.emit(s);
    this.#inside(s.body, () => body(label));
  }

  #inside(into: Stmt[], f: () => void): void {
    const outer = this.#out;
    this.#out = into;
    f();
    this.#out = outer;
  }
}

/** A local variable. */
export class Local<T extends ValType> {
  constructor(readonly f: FunctionBuilder, readonly index: number, readonly type: T) {}
  get(): TypeMap[T] {
    return wrap(this.type, LOCAL_GET, [], this.index) as TypeMap[T];
  }
  set(value: TypeMap[T]): void {
    if ((value as Expr).type !== this.type) {
      throw new TypeError(`local of ${this.type} set to ${(value as Expr).type}`);
    }
    this.f.emit({ k: "set", local: this.index, value: value as Expr });
  }
}

/** The single result of a call, as an expression. */
export function call<T extends ValType>(callee: Callee, type: T, ...args: Expr[]): TypeMap[T] {
  checkArgs(callee, args);
  if (callee.type.results[0] !== type) throw new TypeError(`${callee.name} does not give ${type}`);
  return wrap(type, CALL, args, 0, callee) as TypeMap[T];
}

/** Calls entry `index` of the shared function table. */
export function callIndirect<T extends ValType>(
  type: FuncType,
  result: T,
  index: I32,
  ...args: Expr[]
): TypeMap[T] {
  return wrap(result, CALL_INDIRECT, [...args, index], 0, type) as TypeMap[T];
}

function checkArgs(callee: Callee, args: readonly Expr[]): void {
  const p = callee.type.params;
  if (args.length !== p.length || args.some((a, i) => a.type !== p[i])) {
    throw new TypeError(`${callee.name}(${p}) called with (${args.map((a) => a.type)})`);
  }
}
