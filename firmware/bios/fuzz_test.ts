/** The trap port and the BIOS's variables are guest-writable: nothing in them may throw or hang. */
import { assert } from "@std/assert";
import { FRAME_SIZE, TRAP_PORT } from "./frame.ts";
import { Fn, Private, PRIVATE_BASE } from "./layout.ts";
import { BiosRig, memoryDrive } from "./rig.ts";

/** A fixed sequence: xorshift32. */
function random(seed: number): () => number {
  let s = seed;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return s >>> 0;
  };
}

Deno.test("random frames for every function, with random variables", () => {
  const virtio = memoryDrive("v", "disk", new Uint8Array(1 << 20));
  const r = new BiosRig({
    vga: "std",
    drive: () => virtio,
    devices: [{
      driver: "virtio-blk-pci",
      id: undefined,
      props: new Map([["drive", "v"]]),
      loc: "",
    }],
    drives: [
      {
        drive: memoryDrive("h", "disk", new Uint8Array(1 << 20)),
        interface: "ide",
        bus: 0,
        unit: 0,
      },
      {
        drive: memoryDrive("c", "cdrom", new Uint8Array(1 << 20)),
        interface: "ide",
        bus: 1,
        unit: 0,
      },
    ],
  }).post();
  const next = random(0x12345);
  const functions = [...r.bios.handlers.keys()].filter((fn) => fn !== Fn.post);
  const good = r.bytes(PRIVATE_BASE, Private.end);
  const start = performance.now();
  for (let n = 0; n < 6000; n++) {
    const frame = new Uint8Array(FRAME_SIZE);
    for (let k = 0; k < FRAME_SIZE; k++) frame[k] = next();
    const fn = functions[n % functions.length];
    frame[0x38] = fn;
    frame[0x39] = fn >> 8;
    frame[2] = next() % 16; // phases in use
    frame[3] = 0;
    r.mem.writeBytes(0x9000, frame);
    if (n % 50 === 0) {
      r.mem.writeBytes(PRIVATE_BASE, good);
      for (let k = 0; k < 200; k++) {
        r.mem.write(PRIVATE_BASE + next() % Private.end, 1, next() & 0xff);
      }
    }
    r.pc.env.io.write(TRAP_PORT, 4, 0x9000);
  }
  assert(performance.now() - start < 60_000);
});

Deno.test("random phases of POST, and writes that are no frames", () => {
  const r = new BiosRig().post();
  const next = random(0x777);
  for (let n = 0; n < 150; n++) {
    const frame = new Uint8Array(FRAME_SIZE);
    for (let k = 0; k < FRAME_SIZE; k++) frame[k] = next();
    frame.set([0, 0, next() % 18, 0]);
    frame.set([Fn.post & 0xff, Fn.post >> 8], 0x38);
    r.mem.writeBytes(0x9000, frame);
    r.pc.env.io.write(TRAP_PORT, 4, 0x9000);
  }
  for (const [size, value] of [[1, 0], [2, 0xffff], [4, 0xffffffff], [4, 0x10ffef]] as const) {
    r.pc.env.io.write(TRAP_PORT, size, value);
    r.pc.env.io.write(TRAP_PORT + 2, 1, value & 0xff);
  }
});
