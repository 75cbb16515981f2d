/** Every exit kind, run by small guests on the real /dev/kvm. */
import { assert, assertEquals } from "@std/assert";
import { guestTest, hex, withBench } from "./harness.ts";

guestTest("port output and halt in real mode", (opts) =>
  withBench(opts, (b) => {
    b.watch(0x80, 4);
    b.load(
      0x1000,
      hex(`
      b0 41          ; mov al, 41h
      e6 80          ; out 80h, al
      b8 34 12       ; mov ax, 1234h
      e7 81          ; out 81h, ax
      66 b8 78 56 34 12 ; mov eax, 12345678h
      66 e7 80       ; out 80h, eax
      f4             ; hlt`),
    );
    b.realMode(0x100, 0);
    assertEquals(b.run().reason, "hlt");
    assertEquals(b.log.map((a) => [a.at, a.size, a.value]), [
      [0x80, 1, 0x41],
      [0x81, 2, 0x1234],
      [0x80, 4, 0x12345678],
    ]);
    assertEquals(b.vcpu.mpState, "halted");
    assertEquals(b.vcpu.run(1).reason, "hlt");
    assertEquals(b.vcpu.getRegs().rip, 0x13n);
    if (b.accel.name === "kvm") {
      assertEquals(b.vcpu.exits.get("io"), 3);
      assertEquals(b.vcpu.exits.get("hlt"), 1);
    }
  }));

guestTest("port input of each size", (opts) =>
  withBench(opts, (b) => {
    b.watch(0x80, 4, 0xa1b2c3d4);
    b.load(
      0x1000,
      hex(`
      e4 80          ; in al, 80h
      88 c3          ; mov bl, al
      e5 80          ; in ax, 80h
      89 c1          ; mov cx, ax
      66 e5 80       ; in eax, 80h
      f4`),
    );
    b.realMode(0x100, 0);
    b.vcpu.setRegs({ rax: 0n, rbx: 0n, rcx: 0n });
    assertEquals(b.run().reason, "hlt");
    const r = b.vcpu.getRegs();
    assertEquals([r.rbx, r.rcx, r.rax], [0xd4n, 0xc3d4n, 0xa1b2c3d4n]);
  }));

guestTest("string input and output", (opts) =>
  withBench(opts, (b) => {
    let next = 0;
    const seen: number[] = [];
    b.port(0x1f0, 4, { read: () => next++, write: (_, _s, v) => seen.push(v) });
    b.load(
      0x1000,
      hex(`
      fc             ; cld
      ba f0 01       ; mov dx, 1f0h
      b9 00 01       ; mov cx, 256
      bf 00 20       ; mov di, 2000h
      f3 6d          ; rep insw
      b9 00 01       ; mov cx, 256
      be 00 20       ; mov si, 2000h
      f3 6f          ; rep outsw
      f4`),
    );
    b.realMode(0x100, 0);
    assertEquals(b.run().reason, "hlt");
    assertEquals(seen, Array.from({ length: 256 }, (_, i) => i));
    assertEquals(b.ram.view.getUint16(0x3000 + 2 * 255, true), 255);
    const r = b.vcpu.getRegs();
    assertEquals([r.rcx, r.rsi & 0xffffn, r.rdi & 0xffffn], [0n, 0x2200n, 0x2200n]);
  }));

guestTest("memory-mapped registers in protected mode", (opts) =>
  withBench(opts, (b) => {
    const seen: number[][] = [];
    b.mmio(0xfed00000, 0x1000, {
      read: (o, size) => 0x11223344 + o + size,
      write: (o, size, v) => seen.push([o, size, v]),
    });
    b.load(
      0x1000,
      hex(`
      bb 00 00 d0 fe           ; mov ebx, fed00000h
      8b 43 10                 ; mov eax, [ebx+10h]
      89 43 20                 ; mov [ebx+20h], eax
      66 c7 43 24 cd ab        ; mov word [ebx+24h], abcdh
      c6 43 26 5a              ; mov byte [ebx+26h], 5ah
      0f b6 4b 31              ; movzx ecx, byte [ebx+31h]
      f4`),
    );
    b.protectedMode(0x1000);
    assertEquals(b.run().reason, "hlt");
    assertEquals(seen, [[0x20, 4, 0x11223358], [0x24, 2, 0xabcd], [0x26, 1, 0x5a]]);
    assertEquals(b.vcpu.getRegs().rcx, 0x76n);
    if (b.accel.name === "kvm") assert((b.vcpu.exits.get("mmio") ?? 0) >= 5);
  }));

guestTest("a triple fault is a shutdown", (opts) =>
  withBench(opts, (b) => {
    b.load(
      0x1000,
      hex(`
      0f 01 1e 00 01   ; lidt [100h], an empty table
      0f 0b            ; ud2`),
    );
    b.realMode(0x100, 0);
    b.protectedMode(0x1000);
    assertEquals(b.run().reason, "shutdown");
  }));
