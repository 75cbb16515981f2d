/** Host errors as the block layer tells them. */
import { errnoCode, errnoWords } from "../errno.ts";
import { BlockError } from "./block.ts";

/** The errno name of an error thrown by Deno's file functions, or `EIO`. */
export function errnoOf(e: unknown): string {
  const code = errnoCode(e);
  if (code !== undefined) return code;
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

/** A host error as the {@link BlockError} of a failed request. */
export function toBlockError(e: unknown): BlockError {
  if (e instanceof BlockError) return e;
  const errno = errnoOf(e);
  const code = errno === "ENOSPC" || errno === "EROFS" || errno === "EINVAL" || errno === "EPERM"
    ? errno
    : "EIO";
  return new BlockError(code, errnoWords(errno));
}
