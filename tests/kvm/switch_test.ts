/** A machine that changes its accelerator: while it computes, and when KVM gives up. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { SwitchAccelerator, type SwitchVm } from "../../core/kvm/switch.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { Bench, hex, kvmTest, Vectors, withBench, within } from "./harness.ts";

const code = hex(`
  fb                         ; sti
  66 31 c0                   ; xor eax, eax
  66 69 c0 0d 66 19 00       ; next: imul eax, eax, 1664525
  66 05 5f f3 6e 3c          ; add eax, 3c6ef35fh
  66 31 c3                   ; xor ebx, eax
  e7 80                      ; out 80h, ax
  e5 82                      ; in ax, 82h
  66 49 75 e8                ; dec ecx; jnz next
  e6 91 f4`);

kvmTest(
  "moved a hundred times under load, with interrupts, on the main thread and in a vCPU thread",
  async () => {
    for (const threaded of [false, true]) {
      const wanted = threaded ? 15 : 100; // each move starts a thread anew
      const accelerators = [new KvmAccelerator(), new KvmAccelerator()];
      const accelerator = new SwitchAccelerator(accelerators[0], undefined, () => {});
      const b = new Bench({ accelerator }), vm = b.vm as SwitchVm;
      try {
        const pic = new Vectors(b.vcpu);
        let hash = 0, interrupts = 0, raised = 0, done = false, outs = 0;
        b.port(0x80, 2, {
          write: (_o, _s, v) => {
            hash = (Math.imul(hash, 31) + v) | 0;
            if (++outs % 20 === 0) b.vcpu.kick();
          },
        });
        b.port(0x82, 2, { read: () => hash & 0xffff });
        b.port(0x90, 1, { write: () => interrupts++ });
        b.port(0x91, 1, {
          write: () => {
            done = true;
            b.vcpu.kick();
          },
        });
        b.load(0x1000, code);
        b.load(0x2000, hex("e6 90 cf"));
        b.ram.view.setUint32(4 * 0x20, 0x2000, true);
        b.realMode(0x100, 0);
        b.vcpu.setRegs({ rcx: 3000n, rbx: 0n });
        let moves = 0;
        while (!done) {
          const exit = threaded ? await within(5000, b.vcpu.runAsync!()) : b.vcpu.run(0);
          assertEquals(exit.reason, "interrupted");
          if (moves >= wanted) continue;
          if (moves % 3 === 0) {
            pic.raise(0x20);
            raised++;
          }
          vm.switchTo(accelerators[++moves % 2]);
        }
        assertEquals(moves, wanted);
        // The same in JavaScript.
        let eax = 0, ebx = 0, expected = 0;
        for (let i = 0; i < 3000; i++) {
          eax = (Math.imul(eax, 1664525) + 0x3c6ef35f) | 0;
          ebx ^= eax;
          expected = (Math.imul(expected, 31) + (eax & 0xffff)) | 0;
          eax = (eax & ~0xffff) | (expected & 0xffff);
        }
        const r = b.vcpu.getRegs();
        assertEquals([r.rcx, Number(r.rbx), hash], [0n, ebx >>> 0, expected]);
        assertEquals(interrupts, raised);
      } finally {
        b.close();
        for (const a of accelerators) a.close();
      }
    }
  },
);

kvmTest("an internal error moves the machine, with one warning, and the guest goes on", () => {
  const [first, second] = [new KvmAccelerator(), new KvmAccelerator()];
  const warnings: string[] = [];
  // What the first KVM cannot run here is code in device registers; the second is given RAM there.
  const accelerator = new SwitchAccelerator(first, second, (text) => {
    warnings.push(text);
    const ram = bench!.memory.allocBlock("code", 0x1000);
    ram.u8.set(hex("b0 07 e6 80 f4"));
    bench!.mem.map(ramRegion("code", ram), 0xd0000, 2);
  });
  let bench: Bench | undefined;
  withBench({ accelerator, extra: 1 << 20 }, (b) => {
    bench = b;
    b.watch(0x80);
    b.mmio(0xd0000, 0x1000, { read: () => 0x90 });
    b.load(0x1000, hex("b0 05 e6 80 ea 00 00 00 d0")); // out 80h, 5; jmp d000:0
    b.realMode(0x100, 0);
    assertEquals(b.run().reason, "hlt");
    assertEquals(b.log.map((a) => a.value), [5, 7]);
    assertEquals(warnings.length, 1);
    assertStringIncludes(warnings[0], "KVM internal error. Suberror: 1");
    assertEquals(b.vcpu.exits.get("internal_error"), 1, "counted where it happened");
  });
  first.close();
  second.close();
});
