/** Doorbells by eventfd (KVM_IOEVENTFD), and interrupts by eventfd (KVM_IRQFD). */
import { assert, assertEquals } from "@std/assert";
import type { Doorbell } from "../../core/accel.ts";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { SwitchAccelerator, type SwitchVm } from "../../core/kvm/switch.ts";
import type { KvmVm } from "../../core/kvm/vm.ts";
import { tcg } from "../../core/tcg/vm.ts";
import { Bench, hex, kvmTest, tcgOptions, withBench, within, withThreads } from "./harness.ts";

const PORT = 0xc080, REGISTERS = 0xd0000, END = 0x90;

/** Rings of bells, by name, and the writes that reached the registers. */
function device(b: Bench) {
  const rings = new Map<string, number>(), writes: string[] = [], ends: number[] = [];
  let heard: () => void = () => {};
  b.port(PORT, 4, { write: (o, size, v) => writes.push(`port ${o} ${size} ${v}`) });
  b.mmio(REGISTERS, 0x1000, { write: (o, size, v) => writes.push(`mem ${o} ${size} ${v}`) });
  b.port(END, 1, {
    write: (_o, _size, value) => {
      ends.push(value);
      b.vcpu.kick();
    },
  });
  const bell = (
    name: string,
    at: number,
    size: 1 | 2 | 4,
    datamatch?: number,
  ): Doorbell => ({
    space: at < 0x10000 ? "io" : "mem",
    address: at,
    size,
    datamatch,
    notify: () => {
      rings.set(name, (rings.get(name) ?? 0) + 1);
      heard();
    },
  });
  /** Until each of these has been rung. */
  const until = async (...names: string[]) => {
    while (!names.every((n) => rings.has(n))) {
      await within(5000, new Promise<void>((resolve) => heard = resolve));
    }
  };
  return { rings, writes, ends, bell, until };
}

/** Rings: ports by word 0, word 1 and byte; then registers by word and dword. Ends at port 90h. */
const RINGS = hex(`
  ba 80 c0 31 c0 ef 40 ef ee   ; mov dx, c080h; xor ax, ax; out dx, ax; inc ax; out dx, ax; out dx, al
  b8 00 d0 8e d8               ; ds = d000h
  c7 06 10 00 34 12            ; mov word [10h], 1234h
  66 c7 06 14 00 78 56 34 12   ; mov dword [14h], 12345678h
  e6 90 eb fc                  ; again: out 90h, al; jmp again`);

for (const options of [{ vcpus: 2 }, { kernelIrqchip: "on" as const }]) {
  kvmTest(
    `a ring does not exit, other writes do (${JSON.stringify(options)})`,
    () =>
      withThreads(options, async (b) => {
        const d = device(b), owner = {}, vm = b.vm as KvmVm;
        vm.setDoorbells(owner, [
          d.bell("first", PORT, 2, 0),
          d.bell("any", REGISTERS + 0x10, 2),
          d.bell("wide", REGISTERS + 0x14, 4),
        ]);
        assertEquals(vm.doorbells.size, 3);
        b.load(0x1000, RINGS);
        b.realMode(0x100, 0);
        assertEquals((await within(5000, b.vcpu.runAsync!())).reason, "interrupted");
        await d.until("first", "any", "wide");
        assertEquals(d.writes, ["port 0 2 1", "port 0 1 1"]);
        assertEquals(b.vcpu.exits.get("mmio"), undefined);
        assertEquals(Object.fromEntries(d.rings), { first: 1, any: 1, wide: 1 });
        vm.setDoorbells(owner, []); // as after a BAR has been switched off
        b.realMode(0x100, 0);
        d.writes.length = 0;
        assertEquals((await within(5000, b.vcpu.runAsync!())).reason, "interrupted");
        assertEquals(d.writes, [
          ...["port 0 2 0", "port 0 2 1", "port 0 1 1"],
          ...["mem 16 2 4660", "mem 20 4 305419896"],
        ]);
        assertEquals(d.rings.get("any"), 1);
      }),
  );
}

kvmTest(
  "thousands of rings of two devices cost no exits, and the last is heard",
  () =>
    withThreads({ vcpus: 2 }, async (b) => {
      const d = device(b);
      let seen = 0;
      b.vm.setDoorbells!({}, [{
        ...d.bell("", PORT, 2),
        notify: () => seen = b.ram.view.getUint16(0x500, true),
      }]);
      b.vm.setDoorbells!({}, [d.bell("other", PORT + 2, 2)]);
      b.load(
        0x1000,
        hex(`
      31 db 8e db ba 80 c0                    ; xor bx, bx; ds = 0; mov dx, c080h
      43 89 1e 00 05 ef 81 fb 88 13 75 f4     ; inc bx; mov [500h], bx; out dx, ax; until bx = 5000
      83 c2 02 ef e6 90 eb fc`),
      );
      b.realMode(0x100, 0);
      await within(20_000, b.vcpu.runAsync!());
      await d.until("other");
      while (seen !== 5000) await within(5000, new Promise((r) => setTimeout(r, 1)));
      assertEquals([d.writes, b.vcpu.exits.get("io")], [[], 1]);
    }),
);

kvmTest(
  "a ring before its range goes, or before the machine stops, is heard",
  () =>
    withThreads({}, async (b) => {
      const d = device(b), owner = {}, vm = b.vm as KvmVm;
      b.load(0x1000, RINGS);
      for (const name of ["gone", "stopped"]) {
        vm.doorbells.set(owner, [d.bell(name, PORT, 2, 0)]);
        b.realMode(0x100, 0);
        const ends = d.ends.length; // on this thread, which is not told meanwhile
        b.run({ until: () => d.ends.length > ends });
        assertEquals(d.rings.get(name), undefined);
        if (name === "gone") {
          vm.doorbells.set(owner, []);
          await Promise.resolve();
        } else vm.setRunning(false);
        assertEquals(d.rings.get(name), 1, name);
      }
    }),
);

kvmTest("a vCPU on the main thread keeps its exits", () =>
  withBench({}, (b) => {
    const d = device(b);
    b.vm.setDoorbells!({}, [d.bell("first", PORT, 2, 0)]);
    b.load(0x1000, RINGS);
    b.realMode(0x100, 0);
    b.run({ until: () => d.writes.length === 5 });
    assertEquals(d.rings.size, 0);
  }));

kvmTest("doorbells go with the machine: to tcg, where all writes arrive, and back", async () => {
  const kvm = new KvmAccelerator();
  const accelerator = new SwitchAccelerator(kvm, undefined, () => {});
  await withThreads({ ...tcgOptions(2), accelerator }, async (b) => {
    const d = device(b), vm = b.vm as SwitchVm, owner = {};
    vm.setDoorbells(owner, [d.bell("before", PORT, 2, 0)]);
    b.load(0x1000, RINGS);
    const round = async () => {
      d.writes.length = 0;
      b.realMode(0x100, 0);
      for (const ends = d.ends.length; d.ends.length === ends;) { // a move leaves a kick behind
        if (b.vcpu.runAsync) await within(5000, b.vcpu.runAsync());
        else b.run({ until: () => d.ends.length > ends });
      }
      return d.writes.length;
    };
    assertEquals(await round(), 4);
    await d.until("before");
    vm.switchTo(tcg);
    vm.setDoorbells(owner, [d.bell("after", PORT, 2, 1)]);
    assertEquals(await round(), 5);
    vm.switchTo(kvm);
    assertEquals(await round(), 4);
    assert(!d.writes.includes("port 0 2 1"));
    await d.until("after");
  });
  kvm.close();
});

kvmTest("closed machines leave no doorbell's thread or descriptor behind", async () => {
  const links = () =>
    [...Deno.readDirSync("/proc/self/fd")].filter((e) => {
      try {
        return /eventpoll|eventfd/.test(Deno.readLinkSync(`/proc/self/fd/${e.name}`));
      } catch {
        return false;
      }
    }).length;
  const tasks = () => [...Deno.readDirSync("/proc/self/task")].length;
  const bell = new Bench({ vcpus: 2 }); // what the program opens once
  bell.vm.setDoorbells!({}, [device(bell).bell("x", PORT, 2)]);
  const open = links();
  bell.close();
  const settle = async (there: () => boolean) => {
    for (const end = performance.now() + 5000; !there() && performance.now() < end;) {
      await new Promise((r) => setTimeout(r, 10));
    }
    return there();
  };
  assert(await settle(() => links() < open));
  const before = [links(), tasks()];
  for (let i = 0; i < 3; i++) {
    const b = new Bench({ vcpus: 2 });
    const d = device(b);
    b.vm.setDoorbells!({}, [d.bell("x", PORT, 2), d.bell("y", REGISTERS, 4)]);
    assert(links() > before[0]);
    b.close();
  }
  assert(await settle(() => links() <= before[0]), "descriptors are left");
  assert(await settle(() => tasks() <= before[1]), "threads are left");
});

for (const kernelIrqchip of ["on", "split"] as const) {
  kvmTest(
    `an eventfd sends its message (${kernelIrqchip})`,
    () =>
      withThreads({ kernelIrqchip }, async (b) => {
        const chip = (b.vm as KvmVm).irqchip!;
        const a = chip.irqfd({ address: 0xfee00000, data: 0x51 })!;
        const other = chip.irqfd({ address: 0xfee00000, data: 0x52 })!;
        for (const n of [0x51, 0x52, 0x53]) {
          b.ram.view.setUint32(4 * n, n * 0x40, true);
          // out 80h, n; EOI; iret
          b.load(n * 0x40, hex(`b0 ${n.toString(16)} e6 80 66 c7 06 b0 00 00 00 00 00 cf`));
        }
        b.watch(0x80);
        b.load(0x1000, hex("66 c7 06 f0 00 ff 01 00 00 fb e6 80 f4 eb fd")); // SVR; sti; out; hlt
        unreal(b);
        const run = b.vcpu.runAsync!();
        const count = async (n: number) => {
          for (const end = performance.now() + 5000; b.log.length < n;) {
            assert(performance.now() < end, `${b.log.length} interrupts`);
            await new Promise((r) => setTimeout(r, 1));
          }
        };
        await count(1);
        a.raise();
        await count(2);
        other.raise();
        await count(3);
        a.setMessage({ address: 0xfee00000, data: 0x53 });
        a.raise();
        await count(4);
        a.close();
        if (kernelIrqchip === "split") chip.reset(); // its own routes only
        other.raise();
        await count(5);
        assertEquals(b.log.slice(1).map((x) => x.value), [0x51, 0x52, 0x53, 0x52]);
        other.close();
        b.vcpu.kick();
        await within(5000, run);
      }),
  );
}

/** Real mode at 100h:0 with DS reaching the LAPIC, based at FEE00000h. */
function unreal(b: Bench): void {
  b.realMode(0x100, 0);
  const { ds } = b.vcpu.getSregs();
  b.vcpu.setSregs({ ds: { ...ds, base: 0xfee00000n, limit: 0xffffffff } });
}
