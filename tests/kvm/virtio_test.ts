/** A virtio disk under KVM: its doorbell does not stop the vCPU where that runs in a thread. */
import { assert, assertEquals } from "@std/assert";
import { makeRom, OURS, QEMU, qemuTest, Session, withFile } from "./session.ts";

const RINGS = 40, RESULT = 0x500;

/**
 * Sets up queue 0 of the legacy virtio-blk function 00:05.0 at 2000h and reads sector 0 to 6000h, 40
 * times, waiting for each in the used ring without an exit. Then copies its first dword to 500h.
 */
const READS = makeRom(`
  fa 31 c0 8e d8                     ; cli; ds = 0
  66 b8 10 28 00 80 ba f8 0c 66 ef   ; configuration address 10h: BAR 0
  66 b8 00 c0 00 00 b2 fc 66 ef      ; = ports c000h
  66 b8 04 28 00 80 b2 f8 66 ef      ; command
  66 b8 05 00 00 00 b2 fc 66 ef      ; = I/O, bus master
  ba 12 c0 b0 00 ee b0 03 ee         ; device status 0, then ACKNOWLEDGE and DRIVER
  b2 0e 31 c0 ef                     ; queue select 0
  b2 08 66 b8 02 00 00 00 66 ef      ; queue address 2000h
  66 c7 06 00 20 00 50 00 00         ; descriptor 0: header at 5000h, all zeros: IN, sector 0
  66 c7 06 08 20 10 00 00 00         ; 16 bytes
  66 c7 06 0c 20 01 00 01 00         ; NEXT, 1
  66 c7 06 10 20 00 60 00 00         ; descriptor 1: data at 6000h
  66 c7 06 18 20 00 02 00 00         ; 512 bytes
  66 c7 06 1c 20 03 00 02 00         ; NEXT, WRITE, 2
  66 c7 06 20 20 10 50 00 00         ; descriptor 2: status at 5010h
  66 c7 06 28 20 01 00 00 00         ; 1 byte
  66 c7 06 2c 20 02 00 00 00         ; WRITE
  c7 06 00 30 01 00                  ; available ring at 3000h: NO_INTERRUPT
  b2 12 b0 07 ee                     ; status: DRIVER_OK
  b9 28 00 b2 10                     ; 40 times; queue notify
  ff 06 02 30 31 c0 ef               ; again: inc available index; out dx, ax
  a1 02 40 3b 06 02 30 75 f7         ; wait: until the used index has come up to it
  e2 ee                              ; loop again
  66 a1 00 60 66 a3 00 05 f4         ; [500h] = dword [6000h]; hlt`);

async function exitsOf(
  program: string,
  args: readonly string[],
  rom: string,
  disk: string,
): Promise<number> {
  await using s = new Session(program, [
    ...[...args, "-nodefaults", "-m", "16", "-bios", rom],
    ...["-drive", `file=${disk},if=none,id=d,format=raw`],
  ], 120_000);
  const word = (a: string[]) => parseInt(a[0].split(": ")[1], 16);
  const result = await s.poll(`xp /1wx ${RESULT}`, (a) => word(a) !== 0);
  assertEquals(word(result), 0x64636261);
  const line = program === OURS
    ? (await s.command("info exits")).find((l) => /^io /.test(l))
    : undefined;
  assertEquals(await s.quit(), 0);
  return Number(line?.split(/ +/)[1] ?? 0);
}

qemuTest(
  "a doorbell exits by ioeventfd=off and on the main thread only",
  () =>
    withFile(
      READS,
      (rom) =>
        withFile(new TextEncoder().encode("abcd".repeat(512)), async (disk) => {
          const device = "virtio-blk-pci,drive=d,addr=5";
          await exitsOf(QEMU, ["-accel", "kvm", "-device", device], rom, disk);
          const threaded = await exitsOf(OURS, ["-accel", "kvm", "-device", device], rom, disk);
          assert(threaded < 30, `${threaded} port exits with an eventfd`);
          const off = `${device},ioeventfd=off`;
          const plain = await exitsOf(OURS, ["-accel", "kvm", "-device", off], rom, disk);
          assertEquals(plain, threaded + RINGS);
          const here = await exitsOf(OURS, ["-enable-kvm", "-device", device], rom, disk);
          assertEquals(here, plain);
          const two = ["-accel", "kvm,kernel-irqchip=off", "-smp", "2", "-device", device];
          assertEquals(await exitsOf(OURS, two, rom, disk), threaded);
        }),
    ),
);
