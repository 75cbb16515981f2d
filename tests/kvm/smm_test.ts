/** System management mode under tcg, alone and beside Debian's QEMU. */
import { assert, assertEquals } from "../../core/std/assert.ts";
import type { CpuModel } from "../../core/accel.ts";
import { resolveCpu } from "../../core/x86/cpuid/model.ts";
import { type Bench, hex, tcgOptions, Vectors, withBench } from "./harness.ts";
import { runRom } from "./rom_pair.ts";
import { smmRom } from "./smm_rom.ts";

const SMBASE = 0x30000, HANDLER = SMBASE + 0x8000, CODE = 0x1000;

/** A bench whose SMI handler at 38000h writes AL to port 80h, runs `body` and leaves by RSM. */
function withSmm(
  body: string,
  fn: (b: Bench, put: (at: number, v: number) => void, get: (at: number) => number) => void,
  model: CpuModel = resolveCpu("qemu64").model,
): void {
  withBench({ ...tcgOptions(), model }, (b) => {
    const v = b.ram.view;
    b.watch(0x80, 4);
    b.load(HANDLER, hex(`2e 66 a1 fc fe e6 80 ${body} 0f aa`)); // mov eax, cs:[fefch]; out 80h, al
    fn(b, (at, x) => v.setUint32(SMBASE + at, x, true), (at) => v.getUint32(SMBASE + at, true));
  });
}

const values = (b: Bench) => b.log.map((l) => l.value);

Deno.test("RSM goes back into the HLT that the SMI ended, unless the handler says otherwise", () => {
  for (const [body, after] of [["", "hlt"], ["2e c6 06 c9 fe 00", "out"]]) {
    withSmm(body, (b) => {
      b.load(CODE, hex("f4 b0 99 e6 80 f4"));
      b.realMode(0x100, 0);
      assertEquals(b.run().reason, "hlt");
      b.vcpu.smi();
      assertEquals(b.run().reason, "hlt");
      assertEquals(values(b), after === "out" ? [0x64, 0x99] : [0x64]);
      assertEquals(b.vcpu.mpState, "halted");
    });
  }
});

Deno.test("NMI, INIT and SMI wait for the end of system management mode", () => {
  let busy = true;
  withSmm("e6 90", (b) => { // out 90h, al
    b.port(0x90, 1, {
      write: () => {
        if (busy) { for (const event of ["nmi", "smi"] as const) b.vcpu[event](); }
        busy = false;
      },
    });
    b.load(CODE, hex("b0 11 e6 80 f4"));
    b.load(0x1100, hex("b0 22 e6 80 f4")); // the NMI handler
    b.load(8, hex("00 00 10 01"));
    b.realMode(0x100, 0);
    b.vcpu.smi();
    assertEquals(b.run().reason, "hlt");
    // Twice in SMM, then the NMI before the program.
    assertEquals(values(b), [0x64, 0x64, 0x22]);
  });
});

Deno.test("an interrupt that waits with an SMI is taken after RSM", () => {
  withSmm("", (b) => {
    const pic = new Vectors(b.vcpu);
    b.load(CODE, hex("fb f4 f4"));
    b.load(0x1100, hex("b0 22 e6 80 cf"));
    b.load(4 * 0x40, hex("00 00 10 01"));
    b.realMode(0x100, 0);
    assertEquals(b.run().reason, "hlt");
    pic.raise(0x40);
    b.vcpu.smi();
    b.run();
    assertEquals(values(b), [0x64, 0x22]);
  });
});

Deno.test("an NMI handler stays one across an SMI", () => {
  withSmm("", (b) => {
    let first = true;
    b.port(0x90, 1, {
      write: () => {
        if (first) { for (const event of ["smi", "nmi"] as const) b.vcpu[event](); }
        first = false;
      },
    });
    b.load(CODE, hex("90 f4"));
    b.load(0x1100, hex("b0 22 e6 80 e6 90 b0 23 e6 80 cf"));
    b.load(8, hex("00 00 10 01"));
    b.realMode(0x100, 0);
    b.vcpu.nmi();
    assertEquals(b.run().reason, "hlt");
    // The second NMI comes behind the first one's IRET, not behind RSM.
    assertEquals(values(b), [0x22, 0x64, 0x23, 0x22, 0x23]);
  });
});

Deno.test("RSM outside of system management mode is undefined; a bad state shuts down", () => {
  withSmm("", (b) => {
    b.load(CODE, hex("0f aa"));
    b.load(0x1100, hex("b0 06 e6 80 f4"));
    b.load(4 * 6, hex("00 00 10 01"));
    b.realMode(0x100, 0);
    assertEquals(b.run().reason, "hlt");
    assertEquals(values(b), [6]);
  });
  const bad = [
    "66 2e c7 06 58 ff 00 00 00 80", // CR0: PG without PE
    "66 2e c7 06 58 ff 10 00 00 20", // CR0: NW without CD
    "66 2e c7 06 48 ff 00 00 00 80", // CR4: reserved
  ];
  for (const body of bad) {
    withSmm(body, (b) => {
      b.load(CODE, hex("f4"));
      b.realMode(0x100, 0);
      b.vcpu.smi();
      assertEquals(b.run().reason, "shutdown");
    });
  }
});

Deno.test("without long mode the save area is Intel's 32-bit one", () => {
  withSmm("66 2e c7 06 f8 fe 00 00 04 00", (b, _put, get) => { // SMBASE = 40000h
    b.load(CODE, hex("f4"));
    b.realMode(0x100, 0);
    b.vcpu.setRegs({ rax: 0x11n, rcx: 0x22n, rbx: 0x33n, rdi: 0x77n });
    b.vcpu.smi();
    assertEquals(b.run().reason, "hlt");
    assertEquals(values(b), [0]);
    // SDM volume 3, table 31-1, counted from SMBASE.
    const fields = [0xfffc, 0xfff0, 0xffd0, 0xffd4, 0xffdc, 0xffec, 0xffac, 0xfefc, 0xfef8];
    assertEquals(fields.map((at) => get(at).toString(16)), [
      "60000010", // CR0
      "0", // EIP
      "11",
      "22",
      "33",
      "77",
      "100", // CS
      "20000",
      "40000",
    ]);
    // The next one is taken at the new base.
    b.load(0x48000, hex("b0 55 e6 80 0f aa"));
    b.vcpu.smi();
    b.run();
    assertEquals(values(b), [0, 0x55]);
    b.vcpu.reset();
    const events = b.vcpu.saveEvents() as { smbase: number; smm: boolean };
    assertEquals([events.smbase, events.smm], [SMBASE, false]);
  }, resolveCpu("pentium3").model);
});

Deno.test("state saved in system management mode goes on there", () => {
  withSmm("e6 90", (b) => {
    b.port(0x90, 1, { write: () => b.vcpu.kick() });
    b.load(CODE, hex("b0 11 e6 80 f4"));
    b.realMode(0x100, 0);
    b.vcpu.smi();
    assertEquals(b.vcpu.run(1000).reason, "interrupted");
    const state = structuredClone(b.vcpu.saveEvents());
    assertEquals((state as { smm: boolean }).smm, true);
    b.vcpu.loadEvents(state);
    assertEquals(b.run().reason, "hlt");
    assertEquals(values(b), [0x64, 0x11]);
  });
});

Deno.test("a ROM that relocates SMBASE into SMRAM sees what it sees on QEMU", async () => {
  const { image, names } = smmRom();
  const { ours, theirs } = await runRom(image, "-machine", "pc,smm=on");
  const value = (name: string) => parseInt(ours[names.indexOf(name)], 16);
  assertEquals(value("RAX after RSM"), 0xcafebabe);
  assertEquals(value("SMRAM is seen from outside"), 0);
  assertEquals(value("SMIs in all"), 5);
  assertEquals(value("long: saved EFER"), 0x500);
  assert(names.length < ours.length);
  // QEMU shows RAM at A0000 where no device decodes it.
  const outside = names.indexOf("SMRAM is seen from outside");
  const line = (v: string, n: number) => `${names[n]} ${n === outside ? "" : v}`;
  if (theirs !== undefined) assertEquals(ours.map(line), theirs.map(line));
});
