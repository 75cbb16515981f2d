/** A machine that changes its accelerator: while it computes, and when KVM gives up. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { Accelerator } from "../../core/accel.ts";
import { UserError } from "../../core/errors.ts";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { SwitchAccelerator, type SwitchVm } from "../../core/kvm/switch.ts";
import { tcg } from "../../core/tcg/vm.ts";
import { Bench, hex, kvmTest, tcgOptions, Vectors, withBench, within } from "./harness.ts";

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

/** What the program computes for `count` rounds: EBX and the hash of what it writes to port 80h. */
function expected(count: number): { ebx: number; hash: number } {
  let eax = 0, ebx = 0, hash = 0;
  for (let i = 0; i < count; i++) {
    eax = (Math.imul(eax, 1664525) + 0x3c6ef35f) | 0;
    ebx ^= eax;
    hash = (Math.imul(hash, 31) + (eax & 0xffff)) | 0;
    eax = (eax & ~0xffff) | (hash & 0xffff);
  }
  return { ebx: ebx >>> 0, hash };
}

/** Runs the program while the machine moves between two accelerators at every 20th port write. */
async function moveAround(
  accelerators: readonly [Accelerator, Accelerator],
  opts: { moves: number; threaded: boolean },
): Promise<void> {
  const accelerator = new SwitchAccelerator(accelerators[0], undefined, () => {});
  const b = new Bench({ ...tcgOptions(), accelerator }), vm = b.vm as SwitchVm;
  try {
    const pic = new Vectors(b.vcpu), count = Math.max(3000, opts.moves * 25);
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
    b.vcpu.setRegs({ rcx: BigInt(count), rbx: 0n });
    let moves = 0;
    while (!done) {
      const there = opts.threaded && b.vcpu.runAsync;
      const exit = there ? await within(5000, there()) : b.vcpu.run(100_000);
      assertEquals(exit.reason, "interrupted");
      if (moves >= opts.moves) continue;
      if (moves % 3 === 0) {
        pic.raise(0x20);
        raised++;
      }
      vm.switchTo(accelerators[++moves % 2]);
    }
    assertEquals(moves, opts.moves);
    const r = b.vcpu.getRegs(), right = expected(count);
    assertEquals([r.rcx, Number(r.rbx), hash], [0n, right.ebx, right.hash]);
    assertEquals(interrupts, raised);
  } finally {
    b.close();
    for (const a of accelerators) if (a instanceof KvmAccelerator) a.close();
  }
}

kvmTest(
  "KVM to tcg and back a hundred times under load, with interrupts",
  () => moveAround([new KvmAccelerator(), tcg], { moves: 100, threaded: false }),
);

kvmTest(
  "KVM to tcg and back out of a vCPU thread",
  () => moveAround([new KvmAccelerator(), tcg], { moves: 50, threaded: true }),
);

kvmTest(
  "from one KVM to another and back",
  () => moveAround([new KvmAccelerator(), new KvmAccelerator()], { moves: 100, threaded: true }),
);

kvmTest("what this KVM cannot run goes on under tcg, with one warning", () => {
  const kvm = new KvmAccelerator(), warnings: string[] = [];
  const accelerator = new SwitchAccelerator(kvm, tcg, (text) => warnings.push(text));
  withBench({ ...tcgOptions(2), accelerator }, (b) => {
    b.watch(0x80);
    b.mmio(0xd0000, 0x1000, { read: (o) => [0xb0, 0x07, 0xe6, 0x80, 0xf4][o] ?? 0x90 });
    b.load(0x1000, hex("b0 05 e6 80 ea 00 00 00 d0")); // out 80h, 5; jmp d000:0, device registers
    b.realMode(0x100, 0);
    const vm = b.vm as SwitchVm;
    assertEquals(vm.name, "kvm");
    assertEquals(b.run().reason, "hlt");
    assertEquals(b.log.map((a) => a.value), [5, 7]);
    assertEquals(vm.name, "tcg");
    assertEquals(warnings.length, 1);
    assertStringIncludes(warnings[0], "KVM internal error. Suberror: 1");
    assertEquals(b.vcpu.exits.get("internal_error"), 1, "counted where it happened");
    assertEquals(b.vm.vcpus[1].mpState, "uninitialized");
    vm.switchToName("kvm");
    assertEquals(vm.name, "kvm");
    assertThrows(() => vm.switchToName("xen"), UserError, "accelerator 'xen' is not available");
  });
  kvm.close();
});
