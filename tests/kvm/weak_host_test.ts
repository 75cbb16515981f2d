/** A host whose KVM has no 32-bit paging, real or pretended: found out, left in time, not gone back to. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UserError } from "../../core/errors.ts";
import { KvmAccelerator } from "../../core/kvm/accel.ts";
import { SwitchAccelerator, type SwitchVm } from "../../core/kvm/switch.ts";
import { tcg } from "../../core/tcg/vm.ts";
import { Bench, hex, kvmTest, tcgOptions, withBench, within } from "./harness.ts";

class WeakHost extends KvmAccelerator {
  override get pages32(): boolean {
    return false;
  }
}

/** Maps linear 4 MiB to physical 0 with a 4 MiB page and reads through it; 0AAh to port 80h if right. */
const PAGING = `
  b8 00 00 01 00 0f 22 d8        ; mov eax, 10000h; mov cr3, eax
  0f 20 e0 83 c8 10 0f 22 e0     ; mov eax, cr4; or eax, PSE; mov cr4, eax
  0f 20 c0 0d 00 00 00 80        ; mov eax, cr0; or eax, PG
  0f 22 c0                       ; mov cr0, eax
  a1 00 50 40 00                 ; mov eax, [405000h]
  3d 78 56 34 12 75 04           ; cmp eax, 12345678h; jne end
  b0 aa e6 80 f4                 ; mov al, AAh; out 80h, al; end: hlt`;

function prepare(b: Bench, code: string): void {
  const v = b.ram.view;
  v.setUint32(0x10000, 0x83, true);
  v.setUint32(0x10004, 0x83, true);
  v.setUint32(0x5000, 0x12345678, true);
  b.watch(0x80);
  b.load(0x3000, hex("ff 00 00 40 00 00")); // IDTR: 4000h, 32 gates, all absent
  b.load(0x1000, hex(code));
  b.protectedMode(0x1000);
  b.vcpu.setRegs({ rsp: 0x8000n });
}

kvmTest("what the host says of 32-bit paging is what a guest sees", () => {
  const kvm = new KvmAccelerator();
  withBench({ accelerator: kvm }, (b) => {
    prepare(b, PAGING);
    const exit = b.run();
    assertEquals(exit.reason, kvm.pages32 ? "hlt" : "shutdown");
    assertEquals(b.log.map((a) => a.value), kvm.pages32 ? [0xaa] : []);
  });
});

kvmTest(
  "a 32-bit system leaves a weak host at its first exit with an IDT, with one warning",
  () => {
    const kvm = new WeakHost(), warnings: string[] = [];
    const accelerator = new SwitchAccelerator(kvm, tcg, (text) => warnings.push(text));
    withBench({ ...tcgOptions(), accelerator }, (b) => {
      const vm = b.vm as SwitchVm, where: string[] = [];
      b.port(0x90, 1, { write: () => where.push(vm.name) });
      // out 90h; lidt [3000h]; out 90h; out 90h
      prepare(b, `e6 90 0f 01 1d 00 30 00 00 e6 90 e6 90 ${PAGING}`);
      assertEquals(b.run().reason, "hlt");
      assertEquals(where, ["kvm", "kvm", "tcg"]);
      assertEquals(b.log.map((a) => a.value), [0xaa]);
      assertEquals(warnings, ["KVM: this host cannot page 32-bit guests\n"]);
      const before = b.vcpu.getRegs();
      const e = assertThrows(() => vm.switchToName("kvm"), UserError) as UserError;
      assertStringIncludes(e.message, "cannot page 32-bit guests (CPU 0)");
      assertEquals([vm.name, b.vcpu.getRegs()], ["tcg", before]);
      b.vcpu.setSregs({ cr0: 0x11n });
      vm.switchToName("kvm");
      assertEquals([vm.name, b.vcpu.getRegs().rip], ["kvm", before.rip]);
    });
    kvm.close();
  },
);

kvmTest("kernel code that runs long without an exit is taken off a weak host", async () => {
  for (const threaded of [false, true]) {
    const kvm = new WeakHost(), warnings: string[] = [];
    const accelerator = new SwitchAccelerator(kvm, tcg, (text) => warnings.push(text));
    const b = new Bench({ ...tcgOptions(), accelerator });
    try {
      const vm = b.vm as SwitchVm;
      b.load(0x1000, hex("66 40 eb fc")); // again: inc eax; jmp again
      b.realMode(0x100, 0);
      b.vcpu.setRegs({ rax: 0n });
      const end = performance.now() + 10_000;
      while (vm.name === "kvm" && performance.now() < end) {
        const exit = threaded ? await within(5000, b.vcpu.runAsync!()) : b.vcpu.run(1000);
        assertEquals(exit.reason, "interrupted");
      }
      assertEquals(warnings, ["KVM: this host emulates the guest's kernel\n"]);
      const { rax } = b.vcpu.getRegs();
      b.vcpu.run(1000);
      assert(b.vcpu.getRegs().rax > rax, "it goes on");
    } finally {
      b.close();
      kvm.close();
    }
  }
});

kvmTest("one that had no exit in between triple-faults there, and goes on all the same", () => {
  const kvm = new KvmAccelerator(), warnings: string[] = [];
  const accelerator = new SwitchAccelerator(kvm, tcg, (text) => warnings.push(text));
  withBench({ ...tcgOptions(), accelerator }, (b) => {
    prepare(b, PAGING);
    b.vcpu.setSregs({ idt: { base: 0n, limit: 0 } });
    assertEquals(b.run().reason, "hlt");
    assertEquals(b.log.map((a) => a.value), [0xaa]);
    assertEquals(warnings, kvm.pages32 ? [] : ["KVM: shutdown"]);
  });
  kvm.close();
});

kvmTest("a triple fault of the guest's own is a shutdown under both", () => {
  const kvm = new WeakHost();
  const accelerator = new SwitchAccelerator(kvm, tcg, () => {});
  withBench({ ...tcgOptions(), accelerator }, (b) => {
    prepare(b, "0f 0b"); // ud2
    b.vcpu.setSregs({ idt: { base: 0n, limit: 0 } });
    assertEquals(b.run().reason, "shutdown");
    assertEquals((b.vm as SwitchVm).name, "tcg");
  });
  kvm.close();
});
