/** Interrupts, events, registers and the memory map, changed from outside while a guest runs. */
import { assert, assertEquals } from "@std/assert";
import { Req } from "../../core/kvm/abi.ts";
import { Struct } from "../../core/kvm/structs.ts";
import type { KvmVm } from "../../core/kvm/vm.ts";
import { ramRegion } from "../../core/memory/region.ts";
import { type Bench, guestTest, hex, kvmTest, Vectors, withBench } from "./harness.ts";

/** Real-mode handler for `vector` at 0:address. */
function vector(b: Bench, n: number, address: number, code: string): void {
  b.ram.view.setUint32(4 * n, address, true);
  b.load(address, hex(code));
}

guestTest(
  "an interrupt waits for IF, wakes a halted vCPU, and is delivered once",
  (opts) =>
    withBench(opts, (b) => {
      const pic = new Vectors(b.vcpu);
      b.watch(0x80);
      vector(b, 0x21, 0x2000, "b0 21 e6 80 fe c4 cf"); // mov al, 21h; out 80h, al; inc ah; iret
      vector(b, 0x22, 0x2100, "b0 22 e6 80 fe c4 cf");
      b.load(
        0x1000,
        hex(`
      fa             ; cli
      b0 01 e6 80    ; out 80h, 1
      b0 02 e6 80    ; out 80h, 2
      b4 00          ; mov ah, 0
      fb             ; sti
      80 fc 02 75 fb ; both must come: cmp ah, 2; jne here
      b0 03 e6 80    ; out 80h, 3
      f4             ; hlt
      b0 04 e6 80    ; out 80h, 4
      fa f4          ; cli; hlt`),
      );
      b.realMode(0x100, 0);
      pic.raise(0x21);
      pic.raise(0x22);
      assertEquals(b.run().reason, "hlt");
      assertEquals(b.log.map((a) => a.value), [1, 2, 0x21, 0x22, 3]);
      assertEquals(b.run().reason, "hlt");
      assertEquals(b.log.length, 5, "nothing runs while nothing is pending");
      pic.raise(0x21);
      assertEquals(b.run().reason, "hlt");
      assertEquals(b.log.map((a) => a.value).slice(5), [0x21, 4]);
      pic.raise(0x22);
      assertEquals(b.run().reason, "hlt");
      assertEquals(b.log.length, 7, "IF is clear");
      if (b.accel.name === "kvm") assert((b.vcpu.exits.get("irq_window") ?? 0) >= 1);
    }),
);

guestTest("an NMI wakes a vCPU halted with IF clear", (opts) =>
  withBench(opts, (b) => {
    b.watch(0x80);
    vector(b, 2, 0x2000, "b0 02 e6 80 cf");
    b.load(0x1000, hex("fa f4 b0 04 e6 80 f4"));
    b.realMode(0x100, 0);
    assertEquals(b.run().reason, "hlt");
    b.vcpu.nmi();
    assertEquals(b.run().reason, "hlt");
    assertEquals(b.log.map((a) => a.value), [2, 4]);
  }));

guestTest(
  "INIT and SIPI start the second vCPU, from a handler of the first",
  (opts) =>
    withBench(opts, (b) => {
      const [bsp, ap] = b.vm.vcpus;
      b.watch(0x80, 2);
      b.port(0x90, 1, {
        write: (_o, _s, v) => {
          ap.init();
          ap.sipi(v);
        },
      });
      b.load(0x1000, hex("b0 03 e6 90 f4")); // mov al, 3; out 90h, al; hlt
      b.load(0x3000, hex("8c c8 e7 80 f4")); // mov ax, cs; out 80h, ax; hlt
      b.realMode(0x100, 0);
      assertEquals(ap.mpState, "uninitialized");
      assertEquals(ap.run(1).reason, "hlt");
      assertEquals(b.run({ vcpu: bsp }).reason, "hlt");
      assertEquals(b.run({ vcpu: ap }).reason, "hlt");
      assertEquals(b.log.map((a) => [a.size, a.value]), [[2, 0x300]]);
      ap.sipi(9);
      assertEquals(ap.mpState, "halted", "a SIPI without INIT is ignored");
    }),
  2,
);

guestTest(
  "a handler of a port write sees and sets the registers behind the instruction",
  (opts) =>
    withBench(opts, (b) => {
      b.watch(0x80);
      const rips: bigint[] = [];
      b.port(0x90, 1, {
        write: () => {
          const r = b.vcpu.getRegs();
          rips.push(r.rip);
          if (rips.length === 2) b.vcpu.kick();
          b.vcpu.setRegs({ rax: r.rbx + 1n, rip: 0x20n });
        },
      });
      b.load(0x1000, hex("b3 41 30 ff e6 90 f4")); // mov bl, 41h; xor bh, bh; out 90h, al; hlt
      b.load(0x1020, hex("e6 80 e6 90 f4"));
      b.realMode(0x100, 0);
      b.vcpu.setRegs({ rbx: 0n });
      b.run({ until: () => rips.length >= 2 });
      assertEquals(rips.slice(0, 2), [6n, 0x24n]);
      assertEquals(b.log[0].value, 0x42);
    }),
);

guestTest(
  "a device may be read in mid-instruction: the read retires later",
  (opts) =>
    withBench(opts, (b) => {
      const rips: bigint[] = [];
      b.port(0x90, 1, {
        read: () => {
          rips.push(b.vcpu.getRegs().rip);
          return 0x77;
        },
      });
      b.load(0x1000, hex("e4 90 f4"));
      b.realMode(0x100, 0);
      assertEquals(b.run().reason, "hlt");
      assertEquals(b.vcpu.getRegs().rax & 0xffn, 0x77n);
      assertEquals(rips, [0n]);
    }),
);

guestTest("register groups come back as they were set", (opts) =>
  withBench(opts, (b) => {
    const v = b.vcpu, fpu = v.getFpu();
    fpu.fpr.set([1, 2, 3, 4, 5, 6, 7, 0x80, 0xff, 0x3f]);
    fpu.xmm.set([9, 8, 7], 16 * 15);
    fpu.fcw = 0x37f;
    fpu.ftwx = 0x80;
    fpu.mxcsr = 0x7fa0; // round toward zero, precision flag
    if (fpu.xcr0 !== undefined) fpu.xcr0 = 3n;
    v.setFpu(fpu);
    assertEquals(v.getFpu(), fpu);
    const names = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"] as const;
    const high = ["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const;
    [...names, ...high].forEach((n, i) => v.setRegs({ [n]: 0x1111111111111111n * BigInt(i) }));
    [...names, ...high].forEach((n, i) =>
      assertEquals(v.getRegs()[n], 0x1111111111111111n * BigInt(i), n)
    );
    const s = v.getSregs();
    v.setSregs({
      gdt: { base: 0x1234n, limit: 0x57 },
      cr3: 0x5000n,
      ds: { ...s.ds, limit: 0xfff },
    });
    const t = v.getSregs();
    assertEquals([t.gdt, t.cr3, t.ds.limit], [{ base: 0x1234n, limit: 0x57 }, 0x5000n, 0xfff]);
    v.setDebugRegs({ db: [1n, 2n, 3n, 4n], dr6: 0xffff0ff1n, dr7: 0x401n });
    assertEquals(v.getDebugRegs(), { db: [1n, 2n, 3n, 4n], dr6: 0xffff0ff1n, dr7: 0x401n });
    assert(v.setMsr(0x174, 8n)); // IA32_SYSENTER_CS
    assertEquals(v.getMsr(0x174), 8n);
    assertEquals(v.getMsr(0x12345678), undefined);
    assertEquals(v.setMsr(0x12345678, 0n), false);
    v.reset();
    const r = v.getRegs(), cs = v.getSregs().cs;
    assertEquals([r.rip, r.rflags, cs.base, cs.selector], [0xfff0n, 2n, 0xffff0000n, 0xf000]);
    assertEquals(v.getMsr(0x174), 0n);
    assertEquals(r.rdx, BigInt(v.cpuid(1, 0).eax));
    assertEquals([v.getFpu().mxcsr, v.getFpu().xcr0 ?? 1n], [0x1f80, 1n]);
  }));

kvmTest(
  "kvmclock is kept up for a guest that asks, and stands still while the machine is paused",
  () =>
    withBench({}, (b) => {
      if (!((b.vcpu.cpuid(0x40000001, 0).eax >>> 3) & 1)) return; // an old host
      b.load(
        0x1000,
        hex(`
      66 b9 01 4d 56 4b   ; mov ecx, MSR_KVM_SYSTEM_TIME_NEW
      66 b8 01 60 00 00   ; mov eax, 6001h: the structure is at 6000h, enabled
      66 31 d2 0f 30 f4   ; xor edx, edx; wrmsr; hlt`),
      );
      b.realMode(0x100, 0);
      assertEquals(b.run().reason, "hlt");
      const v = b.ram.view, version = v.getUint32(0x6000, true);
      assert(version > 0 && version % 2 === 0, `version ${version}`);
      assert(v.getUint32(0x6018, true) > 0, "multiplier");

      const vm = b.vm as KvmVm, clock = new Struct(48);
      const now = () => {
        vm.libc.ioctlBuffer(vm.fd, Req.GET_CLOCK, clock.u8);
        return Number(clock.u64(0));
      };
      const start = performance.now(), before = now();
      vm.setRunning(true);
      vm.setRunning(false);
      const stopped = performance.now();
      while (performance.now() - stopped < 100);
      const paused = performance.now() - stopped;
      vm.setRunning(true);
      const guest = now() - before, host = (performance.now() - start) * 1e6;
      assert(guest <= host - paused * 1e6 + 1e6, `${guest} ns of ${host}, ${paused} ms paused`);
    }),
);

kvmTest("AVX state moves with the vCPU that has it", () =>
  withBench({}, (b) => {
    const fpu = b.vcpu.getFpu();
    if (fpu.ymmHigh === undefined || fpu.xcr0 === undefined) return; // an old processor
    fpu.ymmHigh.set([1, 2, 3], 16 * 15);
    b.vcpu.setFpu({ xcr0: 7n, ymmHigh: fpu.ymmHigh });
    withBench({}, (other) => {
      other.vcpu.setFpu(b.vcpu.getFpu());
      assertEquals(other.vcpu.getFpu(), { ...fpu, xcr0: 7n });
    });
    b.vcpu.reset();
    assertEquals(b.vcpu.getFpu().ymmHigh, new Uint8Array(256));
  }));

guestTest("CPUID in the guest is what the vCPU says", (opts) =>
  withBench(opts, (b) => {
    b.load(
      0x1000,
      hex(`
      66 b8 01 00 00 00   ; mov eax, 1
      66 31 c9            ; xor ecx, ecx
      0f a2 f4            ; cpuid; hlt`),
    );
    b.realMode(0x100, 0);
    assertEquals(b.run().reason, "hlt");
    const r = b.vcpu.getRegs(), c = b.vcpu.cpuid(1, 0);
    assertEquals([r.rax, r.rbx, r.rdx].map(Number), [c.eax, c.ebx, c.edx].map((v) => v >>> 0));
    assertEquals(Number(r.rcx), c.ecx >>> 0);
  }));

guestTest(
  "ROM writes are dropped or reach the flash; regions move while the guest runs",
  (opts) =>
    withBench(opts, (b) => {
      const writes: number[][] = [];
      const rom = b.memory.allocBlock("rom", 0x1000), flash = b.memory.allocBlock("flash", 0x1000);
      rom.u8[5] = 0x55;
      const shadow = b.mem.map(ramRegion("rom", rom, { readonly: true }), 0xf0000, 1);
      b.mem.map(
        ramRegion("flash", flash, {
          readonly: true,
          writeOps: { read: () => 0, write: (o, s, v) => writes.push([o, s, v]) },
        }),
        0xe0000,
        1,
      );
      b.port(0x90, 1, { write: (_o, _s, v) => b.mem.setEnabled(shadow, v === 0) });
      b.watch(0x80);
      b.load(
        0x1000,
        hex(`
      b8 00 f0 8e d8       ; mov ax, f000h; mov ds, ax
      b8 00 e0 8e c0       ; mov ax, e000h; mov es, ax
      c6 06 05 00 aa       ; mov byte [5], aah: dropped
      26 c7 06 10 00 34 12 ; mov word es:[10h], 1234h
      a0 05 00 e6 80       ; out 80h, [5]
      b0 01 e6 90          ; hides the ROM
      c6 06 05 00 bb       ; mov byte [5], bbh
      a0 05 00 e6 80
      b0 00 e6 90          ; shows it again
      a0 05 00 e6 80 f4`),
      );
      b.realMode(0x100, 0);
      assertEquals(b.run().reason, "hlt");
      assertEquals(b.log.map((a) => a.value), [0x55, 0xbb, 0x55]);
      assertEquals(writes, [[0x10, 2, 0x1234]]);
      assertEquals(b.ram.u8[0xf0005], 0xbb);
    }),
);

guestTest("A20 low shows the first megabyte in the second", (opts) =>
  withBench(opts, (b) => {
    b.watch(0x80);
    b.ram.u8[0x500] = 0x11;
    b.ram.u8[0x100500] = 0x22;
    b.port(0x92, 1, { write: (_o, _s, v) => b.vm.setA20((v & 2) !== 0) });
    b.load(
      0x1000,
      hex(`
      b8 ff ff 8e d8       ; mov ax, ffffh; mov ds, ax
      a0 10 05 e6 80       ; out 80h, [ffff:510h]
      b0 00 e6 92
      a0 10 05 e6 80
      b0 02 e6 92
      a0 10 05 e6 80 f4`),
    );
    b.realMode(0x100, 0);
    assertEquals(b.run().reason, "hlt");
    assertEquals(b.log.map((a) => a.value), [0x22, 0x11, 0x22]);
  }));

guestTest(
  "a guest that never exits gives the thread back, and a kick is obeyed at once",
  (opts) =>
    withBench(opts, (b) => {
      b.load(0x1000, hex("e6 80 eb fc")); // again: out 80h, al; jmp again
      b.realMode(0x100, 0);
      let n = 0;
      b.port(0x80, 1, {
        write: () => {
          if (++n % 10 === 0) b.vcpu.kick();
        },
      });
      for (let i = 1; i <= 5; i++) {
        while (n < 10 * i) b.run({ until: () => true });
        assert(n <= 10 * i, `${n} writes after ${i} kicks`);
      }
      b.load(0x1000, hex("eb fe"));
      b.vcpu.setRegs({ rip: 0n });
      for (let i = 0; i < 3; i++) assertEquals(b.vcpu.run(1).reason, "interrupted");
    }),
);

guestTest("single step and hardware breakpoints", (opts) =>
  withBench(opts, (b) => {
    b.load(0x1000, hex("90 40 90 40 90 f4"));
    b.protectedMode(0x1000);
    b.vcpu.setRegs({ rax: 0n });
    b.vcpu.setGuestDebug({ step: true, breakpoints: [] });
    assertEquals(b.run().reason, "debug");
    assertEquals(b.vcpu.getRegs().rip, 0x1001n);
    const second = b.run();
    assert(second.reason === "debug" && second.pc === 0x1002n);
    b.vcpu.setGuestDebug({ step: false, breakpoints: [0x1004n] });
    const hit = b.run();
    assert(hit.reason === "debug" && hit.pc === 0x1004n && (hit.dr6 & 1n) === 1n);
    assertEquals(b.vcpu.getRegs().rax, 2n);
    b.vcpu.setGuestDebug({ step: false, breakpoints: [] });
    assertEquals(b.run().reason, "hlt");
  }));

// Whether an INT3 then stops the guest depends on the host: a KVM that emulates real mode delivers it.
kvmTest(
  "a fifth breakpoint is INT3 in memory while the guest runs, and only then",
  () =>
    withBench({}, (b) => {
      const seen: number[] = [];
      b.port(0x80, 1, { write: () => seen.push(b.ram.u8[0x1006]) });
      b.load(0x1000, hex("90 90 e6 80 90 90 90 f4")); // nop; nop; out 80h, al; nop; nop; nop; hlt
      b.realMode(0x100, 0);
      const four = [0x1001n, 0x1004n, 0x1005n, 0x1007n];
      for (const pc of four.slice(0, 3)) {
        // One that has been hit gives its debug register to an address that is never reached.
        const others = four.map((p) => p < pc ? 0x5000n : p);
        b.vcpu.setGuestDebug({ step: false, breakpoints: [...others, 0x1006n] });
        const exit = b.run();
        assert(exit.reason === "debug" && exit.pc === pc, `${pc}`);
        assertEquals(b.ram.u8[0x1006], 0x90);
      }
      assertEquals(seen, [0xcc]);
      b.vcpu.setGuestDebug({ step: false, breakpoints: [] });
      assertEquals(b.run().reason, "hlt");
    }),
);

guestTest(
  "PAE's page-directory-pointer entries move with the vCPU",
  (opts) =>
    withBench(opts, (b) => {
      const v = b.vcpu, { view } = b.ram, PDPT = 0x4000, DIR = 0x5000;
      b.load(0x1000, hex("f4")); // hlt
      view.setBigUint64(DIR, 0xe7n, true);
      view.setBigUint64(PDPT, BigInt(DIR | 1), true);
      b.protectedMode(0x1000);
      const entry = BigInt(DIR | 1), pdptes = [entry, entry, 0n, 0n], s = v.getSregs();
      v.setSregs({ ...s, cr0: s.cr0 | 1n << 31n, cr3: BigInt(PDPT), cr4: s.cr4 | 0x20n, pdptes });
      const now = v.getSregs();
      if (!(now.cr0 >> 31n & 1n) || now.pdptes === undefined) return; // a host that cannot
      assertEquals(now.pdptes, pdptes);
      v.setSregs({ ...now, pdptes: undefined });
      assertEquals(v.getSregs().pdptes, [entry, 0n, 0n, 0n]);
    }),
);
