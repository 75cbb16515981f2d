/**
 * `@std/assert` over `node:assert`: the functions this project uses, with the same names and
 * argument order. Mapping the import to `jsr:@std/assert` in deno.json replaces this file.
 */
import assertNode from "node:assert";

export class AssertionError extends Error {
  override name = "AssertionError";
}

function fail_(msg: string | undefined, standard: string): never {
  throw new AssertionError(msg === undefined ? standard : `${msg}: ${standard}`);
}

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Deep strict equality. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    assertNode.deepStrictEqual(actual, expected);
  } catch (e) {
    fail_(msg, (e as Error).message);
  }
}

/** Deep strict inequality. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    assertNode.notDeepStrictEqual(actual, expected);
  } catch (e) {
    fail_(msg, (e as Error).message);
  }
}

/** `Object.is` identity. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): void {
  if (!Object.is(actual, expected)) fail_(msg, `${String(actual)} is not ${String(expected)}`);
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) {
    fail_(msg, `${JSON.stringify(actual)} does not include ${JSON.stringify(expected)}`);
  }
}

/** Fails unless `actual` matches `expected`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) fail_(msg, `${JSON.stringify(actual)} does not match ${expected}`);
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) fail_(msg, `${actual} is less than ${expected}`);
}

// deno-lint-ignore no-explicit-any -- the shape of a constructor in the API this mirrors
type ErrorClass<E extends Error> = new (...args: any[]) => E;

function checkError<E extends Error>(
  error: unknown,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
): E {
  if (!(error instanceof Error)) fail_(undefined, "a non-Error was thrown");
  if (errorClass && !(error instanceof errorClass)) {
    fail_(undefined, `expected ${errorClass.name}, got ${error.name}: ${error.message}`);
  }
  if (msgIncludes !== undefined && !error.message.includes(msgIncludes)) {
    fail_(undefined, `error message ${JSON.stringify(error.message)} lacks ${msgIncludes}`);
  }
  return error as E;
}

/** Fails unless `fn` throws (an `errorClass` whose message includes `msgIncludes`). */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
): E {
  try {
    fn();
  } catch (e) {
    return checkError(e, errorClass, msgIncludes);
  }
  fail_(undefined, "expected function to throw");
}

/** Fails unless the promise of `fn` is rejected. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass?: ErrorClass<E>,
  msgIncludes?: string,
): Promise<E> {
  try {
    await fn();
  } catch (e) {
    return checkError(e, errorClass, msgIncludes);
  }
  fail_(undefined, "expected function to reject");
}

/** Fails always. */
export function fail(msg?: string): never {
  throw new AssertionError(msg ?? "failed");
}
