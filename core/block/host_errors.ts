/** Host errors in the words of strerror(3), as QEMU prints them. */
import { BlockError } from "./block.ts";

const words: Record<string, string> = {
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EPERM: "Operation not permitted",
  EISDIR: "Is a directory",
  ENOTDIR: "Not a directory",
  ELOOP: "Too many levels of symbolic links",
  ENAMETOOLONG: "File name too long",
  EMFILE: "Too many open files",
  ENFILE: "Too many open files in system",
  EROFS: "Read-only file system",
  ETXTBSY: "Text file busy",
  EBUSY: "Device or resource busy",
  ENXIO: "No such device or address",
  ENODEV: "No such device",
  ENOMEDIUM: "No medium found",
  ENOSPC: "No space left on device",
  EFBIG: "File too large",
  EIO: "Input/output error",
  EINVAL: "Invalid argument",
};

/** The errno name of an error thrown by Deno's file functions, or `EIO`. */
export function errnoOf(e: unknown): string {
  const code = (e as { code?: unknown }).code;
  if (typeof code === "string" && code in words) return code;
  const os = /\(os error (\d+)\)/.exec(String((e as Error).message));
  const byNumber: Record<string, string> = {
    1: "EPERM",
    6: "ENXIO",
    28: "ENOSPC",
    123: "ENOMEDIUM",
  };
  if (os && os[1] in byNumber) return byNumber[os[1]];
  if (e instanceof Deno.errors.NotFound) return "ENOENT";
  if (e instanceof Deno.errors.PermissionDenied) return "EACCES";
  return "EIO";
}

/** strerror(3)'s text for an errno name. */
export function strerror(errno: string): string {
  return words[errno] ?? errno;
}

/** A host error as the {@link BlockError} of a failed request. */
export function toBlockError(e: unknown): BlockError {
  if (e instanceof BlockError) return e;
  const errno = errnoOf(e);
  const code = errno === "ENOSPC" || errno === "EROFS" || errno === "EINVAL" || errno === "EPERM"
    ? errno
    : "EIO";
  return new BlockError(code, strerror(errno));
}
