/**
 * What is said of a KVM that refuses something, beside Debian's QEMU: its ioctl calls go through a
 * small shared library that makes one of them fail, ours through another {@link Libc}.
 */
import { assertEquals } from "@std/assert";
import { UserError } from "../../core/errors.ts";
import { Cap, Req } from "../../core/kvm/abi.ts";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { chooseAccelerator } from "../../core/kvm/choose.ts";
import { Errno, Libc } from "../../core/kvm/libc.ts";
import { Bench } from "./harness.ts";
import { QEMU, qemuMissing } from "./session.ts";

const EBUSY = 16, ENOMEM = 12, E2BIG = 7, EIO = 5;

interface Refusal {
  readonly what: string;
  readonly request: number;
  /** Only calls with this argument. */
  readonly argument?: number;
  readonly result: number;
}

const missing = (name: keyof typeof Cap): Refusal => ({
  what: `KVM_CAP_${name} is missing`,
  request: Req.CHECK_EXTENSION,
  argument: Cap[name],
  result: 0,
});

const REFUSALS: readonly Refusal[] = [
  { what: "an older interface", request: Req.GET_API_VERSION, result: 11 },
  { what: "a newer interface", request: Req.GET_API_VERSION, result: 13 },
  { what: "no VM to be had: busy", request: Req.CREATE_VM, result: -EBUSY },
  { what: "no VM to be had: memory", request: Req.CREATE_VM, result: -ENOMEM },
  missing("USER_MEMORY"),
  missing("DESTROY_MEMORY_REGION_WORKS"),
  missing("JOIN_MEMORY_REGIONS_WORKS"),
  missing("SET_TSS_ADDR"),
  missing("EXT_CPUID"),
  missing("MP_STATE"),
  { what: "no place for the TSS", request: Req.SET_TSS_ADDR, result: -EIO },
  { what: "no size of kvm_run", request: Req.GET_VCPU_MMAP_SIZE, result: -Errno.EINVAL },
  { what: "no vCPU to be had", request: Req.CREATE_VCPU, result: -ENOMEM },
  { what: "a CPUID table that is too long", request: Req.SET_CPUID2, result: -E2BIG },
];

const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void *argument = va_arg(list, void *);
  va_end(list);
  const char *only = getenv("REFUSE_ARGUMENT");
  if (strtoul(getenv("REFUSE_REQUEST"), 0, 0) == request
      && (!*only || strtol(only, 0, 0) == (long)argument)) {
    int result = atoi(getenv("REFUSE_RESULT"));
    if (result >= 0) return result;
    errno = -result;
    return -1;
  }
  int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
  return real(fd, request, argument);
}`;

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function compiled(directory: string): Promise<string | undefined> {
  const source = `${directory}/refuse.c`, library = `${directory}/refuse.so`;
  await Deno.writeTextFile(source, SHIM);
  try {
    const { success } = await new Deno.Command("cc", {
      args: ["-shared", "-fPIC", "-o", library, source, "-ldl"],
    }).output();
    return success ? library : undefined;
  } catch {
    return undefined;
  }
}

async function theirs(library: string, r: Refusal): Promise<string[]> {
  const { stderr } = await new Deno.Command(QEMU, {
    args: ["-accel", "kvm", "-cpu", "host", "-display", "none", "-S", "-nodefaults", "-m", "16"],
    env: {
      LD_PRELOAD: library,
      REFUSE_REQUEST: String(r.request),
      REFUSE_ARGUMENT: r.argument === undefined ? "" : String(r.argument),
      REFUSE_RESULT: String(r.result),
    },
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(10_000),
  }).output();
  return decode(stderr).trimEnd().split("\n");
}

/** The real C library but for one request. */
function refusing(r: Refusal): Libc {
  const real = Libc.load();
  const refused = (request: number, argument: unknown) =>
    request === r.request && (r.argument === undefined || r.argument === argument);
  const ioctl: Libc["ioctl"] = (fd, request, argument) =>
    refused(request, argument) ? r.result : real.ioctl(fd, request, argument);
  const ioctlBuffer: Libc["ioctlBuffer"] = (fd, request, argument) =>
    refused(request, argument) ? r.result : real.ioctlBuffer(fd, request, argument);
  const others: Partial<Libc> = { ioctl, ioctlBuffer };
  return new Proxy(real, {
    get(target, name: keyof Libc) {
      const value = others[name] ?? target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function ours(r: Refusal): string[] {
  const lines: string[] = [], name = "qemu-system-x86_64";
  let kvm: KvmAccelerator | undefined;
  try {
    const accels = [{ name: "kvm" as const, props: new Map<string, string>(), loc: "-accel kvm" }];
    const accelerator = chooseAccelerator(
      { accels, enableKvm: false, accelFallback: false, programName: name },
      () => kvm = new KvmAccelerator({ libc: refusing(r) }),
      (line) => lines.push(...line.split("\n")),
    );
    new Bench({ accelerator }).close();
  } catch (e) {
    if (!(e instanceof UserError)) throw e;
    lines.push(`${name}: ${e.message}`);
  } finally {
    kvm?.close();
  }
  return lines;
}

Deno.test({
  name: "what KVM refuses, in QEMU's words" + (qemuMissing ? ` [skipped: ${qemuMissing}]` : ""),
  ignore: qemuMissing !== undefined,
  fn: async (t) => {
    const directory = await Deno.makeTempDir();
    try {
      const library = await compiled(directory);
      for (const r of REFUSALS) {
        await t.step({
          name: r.what + (library ? "" : " [skipped: no C compiler]"),
          ignore: library === undefined,
          fn: async () => assertEquals(ours(r), await theirs(library!, r)),
        });
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
