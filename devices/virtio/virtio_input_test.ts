import { assertEquals } from "@std/assert";
import { ManualClock } from "../../core/clock.ts";
import { InputRouter } from "../../core/display/input.ts";
import { type DeviceRig, deviceRig } from "./virtio_rig.ts";
import { type InputKind, VirtioInput } from "./virtio_input.ts";

interface Rig extends DeviceRig<VirtioInput> {
  input: InputRouter;
  /** Offers `n` event buffers. */
  offer(n: number): void;
  /** Events that have arrived: type, code, value. */
  events(): number[][];
}

function rig(kind: InputKind): Rig {
  const clock = new ManualClock(), input = new InputRouter(clock);
  const r = deviceRig(new VirtioInput({ clock, kind, input }), 2);
  const [q] = r.queues;
  let head = 0;
  return {
    ...r,
    input,
    offer(n) {
      for (; n > 0; n--, head = (head + 1) & 63) {
        q.chain(head, [8]);
        q.offer(head);
      }
      r.device.notifyQueue(0);
    },
    events() {
      const list: number[][] = [];
      for (let u = q.take(); u !== undefined; u = q.take()) {
        const at = r.mem.read(q.desc + 16 * u[0], 4), v = new DataView(q.bytes(at, 8).buffer);
        list.push([v.getUint16(0, true), v.getUint16(2, true), v.getInt32(4, true)]);
      }
      return list;
    },
  };
}

/** What configuration space says of a selection. */
function describe(r: Rig, select: number, subsel: number): number[] {
  r.device.writeConfig(0, 1, select);
  r.device.writeConfig(1, 1, subsel);
  return Array.from({ length: r.device.readConfig(2, 1) }, (_, n) => r.device.readConfig(8 + n, 1));
}

Deno.test("keyboard: keys by evdev's codes, each followed by its end", () => {
  const r = rig("keyboard");
  r.offer(16);
  r.input.keyEvent("a", true);
  r.input.keyEvent("a", false);
  r.input.keyEvent("kp_enter", true);
  // KEY_A is 30, KEY_KPENTER 96.
  assertEquals(r.events(), [[1, 30, 1], [0, 0, 0], [1, 30, 0], [0, 0, 0], [1, 96, 1], [0, 0, 0]]);
});

Deno.test("what the devices say of themselves", () => {
  const text = (s: string) => [...new TextEncoder().encode(s)];
  const keyboard = rig("keyboard");
  assertEquals(describe(keyboard, 1, 0), text("QEMU Virtio Keyboard"));
  assertEquals(describe(keyboard, 3, 0), [6, 0, 0x27, 6, 1, 0, 1, 0]);
  assertEquals(describe(keyboard, 0x11, 0x11), [7]);
  const keys = describe(keyboard, 0x11, 1);
  assertEquals([keys[0] & 2, keys[30 >> 3] & (1 << (30 & 7))], [2, 64]);
  assertEquals(describe(keyboard, 0x11, 2), []);
  const mouse = rig("mouse"), tablet = rig("tablet");
  assertEquals(describe(mouse, 0x11, 2), [3, 1]);
  assertEquals(describe(mouse, 0x11, 3), []);
  assertEquals(describe(tablet, 0x11, 3), [3]);
  assertEquals(describe(tablet, 0x12, 0).slice(0, 8), [0, 0, 0, 0, 0xff, 0x7f, 0, 0]);
  assertEquals(describe(tablet, 0xff, 0), []);
});

Deno.test("mouse and tablet: movement, position, buttons, wheel", () => {
  const mouse = rig("mouse");
  mouse.offer(32);
  mouse.input.mouseMove(5, -3, 1);
  mouse.input.mouseButtons(5);
  mouse.input.mouseButtons(1);
  assertEquals(mouse.events(), [
    ...[[2, 0, 5], [2, 1, -3], [2, 8, 1], [0, 0, 0]],
    ...[[1, 0x110, 1], [1, 0x112, 1], [0, 0, 0]],
    ...[[1, 0x112, 0], [0, 0, 0]],
  ]);
  const tablet = rig("tablet");
  tablet.offer(8);
  assertEquals(tablet.input.mouseTo(100, 0x7fff), true);
  assertEquals(tablet.events(), [[3, 0, 100], [3, 1, 0x7fff], [0, 0, 0]]);
});

Deno.test("a group of events waits until all of it fits", () => {
  const r = rig("mouse");
  r.offer(2);
  r.input.mouseMove(1, 1, 0);
  assertEquals(r.events(), []);
  r.offer(1);
  assertEquals(r.events().length, 3);
});

Deno.test("without a driver nothing listens", () => {
  const r = rig("keyboard");
  r.device.reset();
  r.input.keyEvent("a", true);
  assertEquals(r.device.state.waiting, []);
  const tablet = rig("tablet");
  const saved = tablet.device.save();
  tablet.device.reset();
  assertEquals(tablet.input.mouseTo(1, 1), false);
  tablet.device.load(saved);
  assertEquals(tablet.input.mouseTo(1, 1), true);
});

Deno.test("a guest that takes no events does not fill the host's memory", () => {
  const r = rig("mouse");
  for (let n = 0; n < 5000; n++) r.input.mouseMove(1, 1, 0);
  assertEquals(r.device.state.waiting.length, 256);
});
