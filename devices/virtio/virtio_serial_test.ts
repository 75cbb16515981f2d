import { assert, assertEquals } from "@std/assert";
import type { Chardev, ChardevFrontend, ChardevPort } from "../../core/chardev/chardev.ts";
import { ManualClock } from "../../core/clock.ts";
import { Status } from "./virtio_regs.ts";
import { type DeviceRig, deviceRig } from "./virtio_rig.ts";
import { VirtioSerial } from "./virtio_serial.ts";

const Event = { READY: 0, ADD: 1, PORT_READY: 3, CONSOLE: 4, OPEN: 6, NAME: 7 };
const CONTROL_IN = 2, CONTROL_OUT = 3;

/** A back end that keeps what it gets. */
class TestChardev implements Chardev {
  readonly label = "c0";
  readonly filename = "test";
  sent = "";
  frontend: ChardevFrontend | undefined;
  accepted = 0;
  attach(fe: ChardevFrontend): ChardevPort {
    this.frontend = fe;
    return {
      chardev: this,
      write: (bytes) => void (this.sent += new TextDecoder().decode(bytes)),
      acceptInput: () => void this.accepted++,
      setParams: () => {},
      detach: () => {},
    };
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface Rig extends DeviceRig<VirtioSerial> {
  heads: number[];
}

/** A console on port 0 and a named port 1, with buffers for control messages. */
function rig(): { r: Rig; console: TestChardev; channel: TestChardev } {
  const device = new VirtioSerial({ clock: new ManualClock(), maxPorts: 31 });
  const console = new TestChardev(), channel = new TestChardev();
  device.addPort(0, true, "").attach(console);
  device.addPort(1, false, "org.x").attach(channel);
  const r = { ...deviceRig(device, 6), heads: new Array(6).fill(0) };
  for (let n = 0; n < 8; n++) give(r, CONTROL_IN, 32);
  return { r, console, channel };
}

/** Makes a chain of one buffer available and notifies; gives the buffer's address. */
function give(r: Rig, queue: number, part: Uint8Array | number): number {
  const q = r.queues[queue], head = r.heads[queue]++ & (q.size - 1);
  const [at] = q.chain(head, [part]);
  q.offer(head);
  r.device.notifyQueue(queue);
  return at;
}

function control(r: Rig, id: number, event: number, value: number): void {
  const b = new Uint8Array(8), v = new DataView(b.buffer);
  v.setUint32(0, id, true);
  v.setUint16(4, event, true);
  v.setUint16(6, value, true);
  give(r, CONTROL_OUT, b);
}

/** Control messages that have arrived: id, event, value, text. */
function messages(r: Rig): [number, number, number, string][] {
  const q = r.queues[CONTROL_IN], list: [number, number, number, string][] = [];
  for (let u = q.take(); u !== undefined; u = q.take()) {
    const [head, length] = u, address = r.mem.read(q.desc + 16 * head, 4);
    const b = q.bytes(address, length), v = new DataView(b.buffer);
    const text = new TextDecoder().decode(b.subarray(8));
    list.push([v.getUint32(0, true), v.getUint16(4, true), v.getUint16(6, true), text]);
  }
  return list;
}

const text = (s: string) => new TextEncoder().encode(s);

Deno.test("ports are announced, named, and opened on both sides", () => {
  const { r, channel } = rig();
  assertEquals(r.device.readConfig(4, 4), 31);
  control(r, 0xffffffff, Event.READY, 1);
  assertEquals(messages(r), [[0, Event.ADD, 1, ""], [1, Event.ADD, 1, ""]]);
  control(r, 0, Event.PORT_READY, 1);
  assertEquals(messages(r), [[0, Event.CONSOLE, 1, ""], [0, Event.OPEN, 1, ""]]);
  control(r, 1, Event.PORT_READY, 1);
  assertEquals(messages(r), [[1, Event.NAME, 1, "org.x\0"]]);
  channel.frontend!.event("open");
  assertEquals(messages(r), [[1, Event.OPEN, 1, ""]]);
  assertEquals(r.device.ports.get(1)!.describe(), "port 1, guest off, host on, throttle off");
  control(r, 1, Event.OPEN, 1);
  assertEquals(r.device.ports.get(1)!.describe(), "port 1, guest on, host on, throttle off");
  channel.frontend!.event("close");
  assertEquals(messages(r), [[1, Event.OPEN, 0, ""]]);
});

Deno.test("output goes to the back end of its port while that is open", () => {
  const { r, console, channel } = rig();
  give(r, 1, text("hello "));
  give(r, 1, text("console"));
  give(r, 5, text("nobody listens"));
  assertEquals([console.sent, channel.sent], ["hello console", ""]);
  channel.frontend!.event("open");
  give(r, 5, text("now"));
  assertEquals(channel.sent, "now");
  assertEquals(r.queues[5].usedIndex, 2, "what nobody takes is given back all the same");
});

Deno.test("input waits for an open port and for buffers; none of it is lost", () => {
  const { r, console } = rig();
  const fe = console.frontend!;
  assertEquals(fe.canReceive(), 0);
  const first = give(r, 0, 4);
  assertEquals(fe.canReceive(), 0, "the guest has not opened the port");
  control(r, 0, Event.OPEN, 1);
  assert(console.accepted > 0);
  assert(fe.canReceive() > 0);
  fe.receive(text("abcdef"));
  assertEquals(r.queues[0].take(), [0, 4]);
  assertEquals(fe.canReceive(), 0, "there is more to give first");
  const saved = r.device.save(), second = give(r, 0, 16);
  assertEquals(r.queues[0].take(), [1, 2]);
  assertEquals([...r.queues[0].bytes(first, 4), ...r.queues[0].bytes(second, 2)], [
    ...text("abcdef"),
  ]);
  r.device.load(saved);
  assertEquals(new TextDecoder().decode(r.device.portState(0).pending), "ef");
});

Deno.test("the emergency character is written at once", () => {
  const { r, console } = rig();
  r.device.writeConfig(8, 4, 0x21);
  assertEquals(console.sent, "!");
});

Deno.test("control messages nobody understands are taken and forgotten", () => {
  const { r } = rig();
  control(r, 77, Event.PORT_READY, 1);
  control(r, 0, 99, 1);
  give(r, CONTROL_OUT, text("abc"));
  assertEquals(messages(r), []);
  assertEquals(r.queues[CONTROL_OUT].usedIndex, 3);
  assertEquals(r.device.status & Status.NEEDS_RESET, 0);
});

Deno.test("a driver that asks without end does not fill the host's memory", () => {
  const { r } = rig();
  for (let n = 0; n < 1000; n++) control(r, 0, Event.READY, 1);
  assert(r.device.state.control.length < 200);
});
