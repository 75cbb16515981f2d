/** Dirty log, save and load into another VM, and exits that mean the host has given up. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { VmExit } from "../../core/accel.ts";
import { ioRegion, ramRegion } from "../../core/memory/region.ts";
import { Bench, hex, kvmTest, Vectors, withBench, within } from "./harness.ts";

kvmTest("the dirty log tells each written page once", () =>
  withBench({ extra: 1 << 20 }, (b) => {
    const vram = b.memory.allocBlock("vga.vram", 0x10000);
    b.mem.map(ramRegion("vga", vram, { dirtyLog: true }), 0xa0000, 1);
    b.load(
      0x1000,
      hex(`
      b8 00 a0 8e d8     ; mov ds, a000h
      c6 06 34 12 01     ; mov byte [1234h], 1
      c6 06 ff 5f 02     ; mov byte [5fffh], 2
      f4
      c6 06 00 f0 03     ; mov byte [f000h], 3
      f4`),
    );
    b.realMode(0x100, 0);
    const dirty = () => {
      const pages: number[] = [];
      b.vm.dirtyPages!((offset) => pages.push((offset - vram.offset) >> 12));
      return pages;
    };
    dirty();
    assertEquals(b.run().reason, "hlt");
    assertEquals(dirty(), [1, 5]);
    assertEquals(dirty(), []);
    b.vcpu.mpState = "runnable";
    assertEquals(b.run().reason, "hlt");
    assertEquals(dirty(), [15]);
    assertEquals([vram.u8[0x1234], vram.u8[0x5fff], vram.u8[0xf000]], [1, 2, 3]);
  }));

kvmTest(
  "coalesced writes arrive in order, in front of the next exit, and without exits",
  () =>
    withBench({}, (b) => {
      const seen: number[][] = [];
      const write = (o: number, size: number, v: number) => seen.push([o, size, v]);
      const window = {
        ...ioRegion("window", 0x1000, { read: () => 0x5a, write }),
        coalesced: true,
      };
      const mapping = b.mem.map(window, 0xb8000, 1);
      b.port(0x80, 1, { write: (_o, _s, v) => seen.push([-1, 1, v]) });
      b.port(0x90, 1, { write: () => b.mem.setEnabled(mapping, false) });
      b.load(
        0x1000,
        hex(`
      b8 00 b8 8e c0     ; mov es, b800h
      26 c6 06 00 00 11  ; mov byte es:[0], 11h
      26 c7 06 02 00 33 22 ; mov word es:[2], 2233h
      e6 80              ; out 80h, al
      31 ff b9 f4 01     ; xor di, di; mov cx, 500
      b8 07 41 fc f3 ab  ; mov ax, 4107h; cld; rep stosw: more than the ring holds
      26 a0 00 00        ; mov al, es:[0]
      26 a2 02 00        ; mov es:[2], al
      e6 90 f4           ; out 90h: takes the window away`),
      );
      b.realMode(0x100, 0);
      assertEquals(b.run().reason, "hlt");
      assertEquals(seen.slice(0, 3), [[0, 1, 0x11], [2, 2, 0x2233], [-1, 1, 0]]);
      const cells = seen.slice(3, 503);
      cells.forEach((c, i) => assertEquals(c, [2 * i, 2, 0x4107]));
      assertEquals(seen.slice(503), [[2, 1, 0x5a]]);
      const exits = b.vcpu.exits.get("mmio") ?? 0;
      assert(exits < 50, `${exits} exits for 503 writes and one read`);
    }),
);

/** Everything the monitor's savevm keeps of a vCPU, in the order of the interface. */
function copyVcpu(from: Bench, to: Bench): void {
  const a = from.vcpu, z = to.vcpu;
  const saved = structuredClone({
    events: a.saveEvents(),
    regs: a.getRegs(),
    sregs: a.getSregs(),
    fpu: a.getFpu(),
    debug: a.getDebugRegs(),
  });
  z.setRegs(saved.regs);
  z.setFpu(saved.fpu);
  z.setSregs(saved.sregs);
  z.setDebugRegs(saved.debug);
  z.loadEvents(saved.events);
  to.ram.u8.set(from.ram.u8);
}

kvmTest("a guest moved between two VMs a hundred times computes the same", () => {
  const code = hex(`
    fb                 ; sti
    66 31 c0           ; xor eax, eax
    66 69 c0 0d 66 19 00       ; next: imul eax, eax, 1664525
    66 05 5f f3 6e 3c          ; add eax, 3c6ef35fh
    66 31 c3                   ; xor ebx, eax
    e7 80                      ; out 80h, ax
    e5 82                      ; in ax, 82h
    66 49 75 e8                ; dec ecx; jnz next
    f4`);
  const vms = [0, 1].map(() => {
    const b = new Bench(), pic = new Vectors(b.vcpu);
    return { b, pic };
  });
  try {
    let hash = 0, outs = 0, interrupts = 0;
    for (const { b } of vms) {
      b.port(0x80, 2, {
        write: (_o, _s, v) => {
          hash = (Math.imul(hash, 31) + v) | 0;
          if (++outs % 7 === 0) b.vcpu.kick();
        },
      });
      b.port(0x82, 2, { read: () => hash & 0xffff });
      b.port(0x90, 1, { write: () => interrupts++ });
    }
    const fpr = Uint8Array.from({ length: 128 }, (_, i) => i % 16 < 10 ? i + 1 : 0);
    const xmm = Uint8Array.from({ length: 256 }, (_, i) => 255 - i);
    const start = (b: Bench) => {
      b.load(0x1000, code);
      b.load(0x2000, hex("e6 90 cf"));
      b.ram.view.setUint32(4 * 0x20, 0x2000, true);
      b.realMode(0x100, 0);
      b.vcpu.setFpu({ fcw: 0x37f, fsw: 0x3800, ftwx: 0x80, fpr, xmm });
      b.vcpu.setRegs({ rcx: 1000n, rbx: 0n });
    };
    const finish = (b: Bench) => {
      const r = b.vcpu.getRegs(), f = b.vcpu.getFpu();
      const result = [r.rax, r.rbx, r.rcx, hash, outs, f];
      hash = outs = 0;
      return result;
    };
    start(vms[0].b);
    assertEquals(vms[0].b.run().reason, "hlt");
    const alone = finish(vms[0].b);
    assertEquals(alone.slice(2, 5), [0n, alone[3], 1000]);

    vms[0].b.vcpu.mpState = "runnable";
    start(vms[0].b);
    let moves = 0, at = 0, raised = 0;
    for (let exit: VmExit; (exit = vms[at].b.vcpu.run(0)).reason !== "hlt";) {
      assertEquals(exit.reason, "interrupted");
      if (moves >= 120) continue;
      if (moves % 4 === 0) {
        vms[at].pic.raise(0x20);
        raised++;
      }
      copyVcpu(vms[at].b, vms[1 - at].b);
      vms[1 - at].pic.queue.push(...vms[at].pic.queue.splice(0));
      vms[at].b.vcpu.setIntr(false);
      at = 1 - at;
      vms[at].b.vcpu.setIntr(vms[at].pic.queue.length > 0);
      moves++;
    }
    assert(moves >= 100, `${moves} moves`);
    assertEquals(finish(vms[at].b), alone);
    assertEquals(interrupts, raised);
  } finally {
    for (const { b } of vms) b.close();
  }
});

kvmTest(
  "an instruction that KVM cannot run is an internal error; the vCPU can be looked at",
  () =>
    withBench({}, (b) => {
      b.mmio(0xd0000, 0x1000, { read: () => 0x90 });
      b.load(0x1000, hex("ea 00 00 00 d0")); // jmp d000:0, where only device registers are
      b.realMode(0x100, 0);
      const exit = b.run();
      assert(exit.reason === "internal-error");
      assertStringIncludes(exit.message, "KVM internal error. Suberror: 1\n");
      assertStringIncludes(exit.message, "emulation failure\n");
      assertEquals(b.vcpu.getSregs().cs.selector, 0xd000);
      assertEquals(b.vcpu.exits.get("internal_error"), 1);
    }),
);

kvmTest("closed machines leave no descriptor, thread or mapping behind", async () => {
  const count = (path: string) => [...Deno.readDirSync(path)].length;
  const kvmFds = () =>
    [...Deno.readDirSync("/proc/self/fd")].filter((e) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${e.name}`).includes("kvm");
      } catch {
        return false;
      }
    }).length;
  const maps = () => Deno.readTextFileSync("/proc/self/maps").split("kvm-vcpu").length - 1;
  const before = [kvmFds(), maps()];
  const tasks = count("/proc/self/task");
  for (let i = 0; i < 3; i++) {
    const b = new Bench({ vcpus: 2 });
    b.load(0x1000, hex("eb fe"));
    b.realMode(0x100, 0);
    const runs = b.vm.vcpus.map((v) => v.runAsync!());
    await new Promise((r) => setTimeout(r, 80));
    assert(kvmFds() > before[0] && maps() > before[1]);
    b.close();
    await within(5000, Promise.all(runs));
  }
  assertEquals([kvmFds(), maps()], before);
  const end = performance.now() + 5000;
  while (count("/proc/self/task") > tasks && performance.now() < end) {
    await new Promise((r) => setTimeout(r, 10));
  }
  assert(count("/proc/self/task") <= tasks, "threads are left");
});
