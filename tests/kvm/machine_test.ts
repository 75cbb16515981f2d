/** The machine's loop over vCPU threads: timers, pause, reset, shutdown, a move in mid-run. */
import { assert, assertEquals } from "@std/assert";
import type { Vcpu } from "../../core/accel.ts";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { hostModel } from "../../core/kvm/cpuid.ts";
import { SwitchAccelerator, type SwitchVm } from "../../core/kvm/switch.ts";
import { Machine } from "../../core/machine.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { type IoOps, ioRegion, ramRegion } from "../../core/memory/region.ts";
import { tcg, tcgMemory } from "../../core/tcg/vm.ts";
import { resolveCpu } from "../../core/x86/cpuid/model.ts";
import { hex, kvmTest, Vectors, within } from "./harness.ts";

/** A machine of RAM and a ROM that jumps to 0:1000h; the second vCPU is started at 0:3000h. */
function build(code: string, apCode: string, fallback: boolean) {
  const kvm = new KvmAccelerator();
  const memory = new GuestMemory((4 << 20) + tcgMemory(2));
  const machine = new Machine({
    memory,
    clock: { epochMs: 0, followHost: false },
    actions: { reboot: "reset", shutdown: "poweroff", panic: "none" },
  });
  machine.useAccelerator(new SwitchAccelerator(kvm, fallback ? tcg : undefined, () => {}));
  const ram = memory.allocBlock("pc.ram", 1 << 20), rom = memory.allocBlock("bios", 0x10000);
  rom.u8.set(hex("ea 00 10 00 00"), 0xfff0);
  machine.mem.map(ramRegion("ram", ram), 0);
  machine.mem.map(ramRegion("bios", rom, { readonly: true }), 0xffff0000);
  ram.u8.set(hex(code), 0x1000);
  ram.u8.set(hex(apCode), 0x3000);
  const { model } = fallback ? resolveCpu("max") : { model: hostModel };
  const vcpus: Vcpu[] = [0, 1].map((i) =>
    machine.vm.createVcpu({ index: i, apicId: i, model, bsp: i === 0 })
  );
  const port = (at: number, ops: Partial<IoOps>) => {
    const all: IoOps = { ...ops, read: ops.read ?? (() => 0), write: ops.write ?? (() => {}) };
    machine.io.map(ioRegion(`port ${at}`, 1, all), at);
  };
  port(0x90, {
    write: (_o, _s, v) => {
      vcpus[1].init();
      vcpus[1].sipi(v);
    },
  });
  port(0xf4, { write: (_o, _s, v) => machine.exit(v) });
  const close = () => {
    machine.exit(0);
    machine.vm.close();
    kvm.close();
  };
  machine.powerOn();
  return { machine, vcpus, ram, port, close };
}

const START_AP = "b0 03 e6 90"; // mov al, 3; out 90h, al
const SPIN = "eb fe";

kvmTest("timers interrupt the first vCPU while both run; accesses know their vCPU", async () => {
  const m = build(`${START_AP} fb ${SPIN}`, "e6 84 ff 06 00 05 eb f8", false);
  try {
    const pic = new Vectors(m.vcpus[0]), from = new Set<number>();
    m.ram.view.setUint32(4 * 0x20, 0x2000, true);
    m.ram.u8.set(hex("e6 85 cf"), 0x2000); // out 85h, al; iret
    let ticks = 0;
    const tick = m.machine.clock.timer(() => {
      pic.raise(0x20);
      tick.arm(m.machine.clock.now() + 1_000_000);
    });
    tick.arm(1_000_000);
    m.port(0x84, { write: () => from.add(m.machine.currentVcpu()!.index) });
    m.port(0x85, {
      write: () => {
        from.add(m.machine.currentVcpu()!.index + 10);
        if (++ticks === 20) m.machine.exit(7);
      },
    });
    m.machine.start();
    assertEquals(await within(10_000, m.machine.run()), 7);
    assertEquals([...from].sort((a, b) => a - b), [1, 10]);
    assert(m.machine.clock.now() >= 20_000_000);
    assertEquals(m.machine.currentVcpu(), undefined);
  } finally {
    m.close();
  }
});

kvmTest("pause holds both vCPUs, resume lets them go on, reset starts over", async () => {
  const m = build(
    `${START_AP} ff 06 00 06 eb fa`, // inc word [600h]; again
    "ff 06 02 06 eb fa", // inc word [602h]; again
    false,
  );
  try {
    const counts = () => m.ram.u8.slice(0x600, 0x604).join();
    const moving = async () => {
      const from = counts().split(","), end = performance.now() + 5000;
      const moved = () => {
        const now = counts().split(",");
        return (now[0] !== from[0] || now[1] !== from[1]) &&
          (now[2] !== from[2] || now[3] !== from[3]);
      };
      while (!moved() && performance.now() < end) await new Promise((r) => setTimeout(r, 2));
      return moved();
    };
    m.machine.start();
    const run = m.machine.run();
    assert(await moving(), "both run");
    for (let i = 0; i < 5; i++) {
      m.machine.stop();
      await new Promise((r) => setTimeout(r, 5));
      const held = counts(), time = m.machine.clock.now();
      await new Promise((r) => setTimeout(r, 10));
      assertEquals(counts(), held);
      assertEquals(m.machine.clock.now(), time);
      m.machine.start();
      assert(await moving(), "both go on");
    }
    m.machine.requestReset("host-qmp-system-reset");
    m.ram.u8.set(hex("e6 f4"), 0x1000); // the code at power-on, from now on: out f4h, al
    assertEquals(await within(10_000, run), 0);
  } finally {
    m.close();
  }
});

kvmTest("two vCPUs move to tcg in mid-run when KVM gives up on one", async () => {
  const m = build(
    `${START_AP} 83 3e 00 07 40 72 f9 ea 00 00 00 d0`, // until word [700h] >= 40h; jmp d000:0
    "ff 06 00 07 eb fa", // inc word [700h]; again
    true,
  );
  try {
    const code = [0xb0, 0x05, 0xe6, 0xf4]; // mov al, 5; out f4h, al
    m.machine.mem.map(
      ioRegion("code", 0x1000, { read: (o) => code[o] ?? 0x90, write: () => {} }),
      0xd0000,
      1,
    );
    m.machine.start();
    assertEquals((m.machine.vm as SwitchVm).name, "kvm");
    assertEquals(await within(10_000, m.machine.run()), 5);
    assertEquals((m.machine.vm as SwitchVm).name, "tcg");
  } finally {
    m.close();
  }
});
