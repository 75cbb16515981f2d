/**
 * A peer for the bench: v86 from npm in this Deno, COM1 on standard output. With `--version` it only
 * loads the package (fetching it if need be) and says its version.
 *
 *     deno run -A tests/bench/v86.ts --bios F --vgabios F --memory MIB --kernel F
 *         [--initrd F] [--append TEXT]
 */
import { findMultibootHeader } from "../../firmware/boot/multiboot.ts";

const VERSION = "0.5.462";
const PACKAGE = `npm:v86@${VERSION}`;

/** The part of v86's interface that is used here. */
interface V86Options {
  wasm_path: string;
  memory_size: number;
  bios: Image;
  vga_bios: Image;
  bzimage?: Image;
  multiboot?: Image;
  initrd?: Image;
  cmdline?: string;
  autostart: boolean;
  disable_keyboard: boolean;
  disable_mouse: boolean;
  disable_speaker: boolean;
}
interface Image {
  buffer: ArrayBuffer;
}
interface V86Package {
  V86: new (options: V86Options) => {
    add_listener(event: "serial0-output-byte", f: (byte: number) => void): void;
  };
}

function image(path: string | undefined): Image | undefined {
  return path === undefined ? undefined : { buffer: Deno.readFileSync(path).buffer };
}

const options = new Map<string, string>();
for (let i = 0; i + 1 < Deno.args.length; i += 2) options.set(Deno.args[i], Deno.args[i + 1]);

// Not written as a literal, so that nothing but a run of the bench asks for the package.
const { V86 } = await import(PACKAGE) as V86Package;
if (Deno.args[0] === "--version") {
  console.log(`v86 ${VERSION}`);
  Deno.exit(0);
}
const kernel = image(options.get("--kernel"))!;
const multiboot = findMultibootHeader(new Uint8Array(kernel.buffer)) !== undefined;
const emulator = new V86({
  wasm_path: new URL(import.meta.resolve(`${PACKAGE}/build/v86.wasm`)).pathname,
  memory_size: Number(options.get("--memory")) * 2 ** 20,
  bios: image(options.get("--bios"))!,
  vga_bios: image(options.get("--vgabios"))!,
  ...multiboot ? { multiboot: kernel } : { bzimage: kernel },
  initrd: image(options.get("--initrd")),
  cmdline: options.get("--append"),
  autostart: true,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
});
const line: number[] = [];
emulator.add_listener("serial0-output-byte", (byte) => {
  line.push(byte);
  if (byte === 10) Deno.stdout.writeSync(Uint8Array.from(line.splice(0)));
});
