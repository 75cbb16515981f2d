/** Errors of the host by name, in the words of strerror(3), as QEMU prints them. */

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EPERM: "Operation not permitted",
  EISDIR: "Is a directory",
  ENOTDIR: "Not a directory",
  EEXIST: "File exists",
  EROFS: "Read-only file system",
  ENXIO: "No such device or address",
  ENODEV: "No such device",
  EBUSY: "Device or resource busy",
  ENOSPC: "No space left on device",
  EMFILE: "Too many open files",
  ENAMETOOLONG: "File name too long",
  ELOOP: "Too many levels of symbolic links",
  ECONNREFUSED: "Connection refused",
  EADDRINUSE: "Address already in use",
  EADDRNOTAVAIL: "Cannot assign requested address",
  ENETUNREACH: "Network is unreachable",
  EHOSTUNREACH: "No route to host",
  ETIMEDOUT: "Connection timed out",
  ENOTSOCK: "Socket operation on non-socket",
  EINVAL: "Invalid argument",
  ENOTTY: "Inappropriate ioctl for device",
  EIO: "Input/output error",
  ETXTBSY: "Text file busy",
  EAGAIN: "Resource temporarily unavailable",
  ENFILE: "Too many open files in system",
  ENOMEDIUM: "No medium found",
  EFBIG: "File too large",
};

/** The words for an errno name; the name itself where it is not known. */
export function errnoWords(name: string): string {
  return WORDS[name] ?? name;
}

/** The errno name that an error thrown by Deno carries, where it is a known one. */
export function errnoCode(e: unknown): string | undefined {
  const code = (e as { code?: unknown } | undefined)?.code;
  return typeof code === "string" && Object.hasOwn(WORDS, code) ? code : undefined;
}

/** The words for an error of Deno's file and network functions. */
export function strerror(e: unknown): string {
  const code = errnoCode(e);
  if (code !== undefined) return WORDS[code];
  if (e instanceof Deno.errors.NotFound) return WORDS.ENOENT;
  if (e instanceof Deno.errors.PermissionDenied) return WORDS.EACCES;
  if (e instanceof Deno.errors.ConnectionRefused) return WORDS.ECONNREFUSED;
  if (e instanceof Deno.errors.AddrInUse) return WORDS.EADDRINUSE;
  const m = /^(.*?) \(os error \d+\)/.exec((e as Error)?.message ?? "");
  return m ? m[1] : String((e as Error)?.message ?? e);
}
