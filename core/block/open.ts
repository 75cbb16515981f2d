/** Opening an image as `-drive`, `-hda` and HMP `change` do: protocol, format, overlay. */
import { UserError } from "../errors.ts";
import type { BlockBackend } from "./block.ts";
import { knownFormats, probeFormat } from "./format.ts";
import { RawFile } from "./raw.ts";
import { SnapshotOverlay } from "./snapshot.ts";

export interface OpenOptions {
  /** `format=`; absent: guess, with QEMU's warning when an image to be written is taken as raw. */
  readonly format?: string;
  readonly readonly?: boolean;
  /** Writes go to a temporary overlay. */
  readonly snapshot?: boolean;
  /** Where warnings go; the default is stderr. */
  readonly warn?: (text: string) => void;
}

/**
 * Opens `name` (a path, or `file:PATH`). Throws UserError with QEMU's words. The image is not locked:
 * {@link BlockBackend.lock} follows when a device takes it.
 */
export function openImage(name: string, options: OpenOptions = {}): BlockBackend {
  const path = localPath(name);
  const snapshot = options.snapshot ?? false;
  const readonly = options.readonly ?? false;
  const { format } = options;
  if (format !== undefined && !knownFormats.includes(format)) {
    throw new UserError(`Unknown driver '${format}'`);
  }
  const asRaw = format === "raw" || format === "file" || format === "host_device";
  if (format === "host_device" && isRegular(path)) {
    throw new UserError(
      `'host_device' driver requires '${path}' to be either a character or block device`,
    );
  }
  const probed = format === undefined;
  const image = new RawFile(path, {
    readonly: readonly || snapshot,
    probed,
    format: asRaw ? format : "raw",
  });
  try {
    if (!asRaw) refuseOtherThanRaw(image, path, format);
  } catch (e) {
    image.close();
    throw e;
  }
  if (probed && !readonly && !snapshot) (options.warn ?? warnOnStderr)(probeWarning(path));
  return snapshot ? new SnapshotOverlay(image, readonly) : image;
}

/** QEMU's warning about a guessed raw format, without a final newline. */
export function probeWarning(path: string): string {
  return `WARNING: Image format was not specified for '${path}' and probing guessed raw.\n` +
    "         Automatically detecting the format is dangerous for raw images, write operations " +
    "on block 0 will be restricted.\n" +
    "         Specify the 'raw' format explicitly to remove the restrictions.";
}

function isRegular(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // opening it gives the error
  }
}

function warnOnStderr(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text + "\n"));
}

/** The path behind an optional `file:`; any other `word:` before the first slash is a protocol. */
function localPath(name: string): string {
  const protocol = /^([^/:]*):/.exec(name)?.[1];
  if (protocol === undefined || protocol === "") return name;
  if (protocol === "file") return name.slice(5);
  throw new UserError(`Unknown protocol '${protocol}'`);
}

/** What QEMU's drivers say of an image that is not theirs. */
const mismatch: Readonly<Record<string, string>> = {
  bochs: "Image not in Bochs format",
  dmg: "Could not locate UDIF trailer in dmg file",
  parallels: "Image not in Parallels format",
  qcow: "Image not in qcow format",
  qcow2: "Image is not in qcow2 format",
  qed: "Image not in QED format",
  vmdk: "invalid VMDK image descriptor",
  vpc: "invalid VPC image",
};

function refuseOtherThanRaw(image: RawFile, path: string, format: string | undefined): void {
  const head = new Uint8Array(Math.min(image.size, 512));
  image.read(0, head);
  const found = probeFormat(head);
  if (format !== undefined && found !== format) {
    if (format === "vdi") {
      const signature = [67, 66, 65, 64].map((i) => (head[i] ?? 0).toString(16).padStart(2, "0"));
      throw new UserError(`Image not in VDI format (bad signature ${signature.join("")})`);
    }
    throw new UserError(mismatch[format] ?? `Could not open '${path}': Invalid argument`);
  }
  if (found !== "raw") {
    throw new UserError(`Could not open '${path}': Image format '${found}' is not supported`);
  }
}
