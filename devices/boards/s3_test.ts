/** Suspend to RAM: a guest sleeps, something wakes it, and the BIOS goes to its waking vector. */
import { assertEquals } from "@std/assert";
import { DriveImpl } from "../../core/block/drive.ts";
import { MemoryBackend } from "../../core/block/memory.ts";
import type { FirmwareBoard } from "../../core/firmware.ts";
import { Machine } from "../../core/machine.ts";
import { GuestMemory } from "../../core/memory/guest_memory.ts";
import { ioRegion } from "../../core/memory/region.ts";
import type { MachineConfig } from "../../core/options/config.ts";
import { tcg, tcgMemory } from "../../core/tcg/vm.ts";
import { resolveCpu, tcgFeatures } from "../../core/x86/cpuid/model.ts";
import { firmware } from "../../firmware/provider.ts";
import { createPc, pcMemoryBytes } from "./pc.ts";
import { bareConfig, type PcConfig } from "./pc_config.ts";

const MIB = 1 << 20;
const REPORT = 0x99, WAKING_VECTOR = 0x9000;

function hex(text: string): Uint8Array {
  return new Uint8Array(text.trim().split(/\s+/).map((b) => parseInt(b, 16)));
}

// Says 1, writes SLP_TYP 1 and SLP_EN to PM1_CNT, halts.
const SLEEP = hex("fa b0 01 e6 99 ba 04 06 b8 00 24 ef f4 eb fe");
// Says 2 and waits.
const AWAKE = hex("b0 02 e6 99 f4 eb fd");
// An RTC alarm at every second, then sleeps.
const ALARM = hex(
  "fa b0 01 e6 70 b0 ff e6 71 b0 03 e6 70 b0 ff e6 71 b0 05 e6 70 b0 ff e6 71 " +
    "b0 0b e6 70 b0 22 e6 71 b0 0c e6 70 e4 71",
);

/** Runs boot sector `code`; each report calls `seen`, each change of the run state `told`. */
async function boot(
  code: Uint8Array,
  seen: (value: number, m: Machine) => void,
  told: (event: string, m: Machine, input: () => void) => void,
): Promise<void> {
  const { model } = resolveCpu("qemu64", tcgFeatures);
  const sector = new Uint8Array(1440 * 1024);
  sector.set(code);
  sector.set([0x55, 0xaa], 510);
  const medium = new MemoryBackend(sector);
  const drive = new DriveImpl("floppy0", { kind: "floppy", medium }, {
    stopOnError: () => {},
    nextNodeName: () => "#block0",
  });
  const config: PcConfig = {
    ...bareConfig({ ramSize: 16 * MIB, cpuModel: model, bios: firmware.image() }),
    romFile: firmware.romFile,
    vga: "std",
    drives: [{ drive, interface: "floppy", bus: 0, unit: 0 }],
  };
  const machine = new Machine({
    memory: new GuestMemory(pcMemoryBytes(config) + tcgMemory(1) + 2 * MIB),
    clock: { icountShift: 3, epochMs: 0, followHost: false },
    skipIdle: true,
    actions: { reboot: "shutdown", shutdown: "poweroff", panic: "none" },
  });
  machine.useAccelerator(tcg);
  const board = createPc(config, machine);
  machine.onReset = () => board.reset();
  machine.onSuspend = () => board.suspended();
  machine.onWakeup = (cause) => board.wake(cause);
  const view: FirmwareBoard = {
    mem: machine.mem,
    io: machine.io,
    ramSize: config.ramSize,
    apicIds: [0],
    fwCfg: board.fwCfg,
    addBootEntry: () => {},
    warn: () => {},
    cpuid: (leaf) => board.vcpus[0].cpuid(leaf, 0),
  };
  firmware.tables(view, {
    machine: { acpi: "on", hpet: true, i8042: true, oemId: "QENO", oemTableId: "QENO" },
    serials: [],
    parallels: [],
    acpiTables: [],
    smp: { cpus: 1, sockets: 1, cores: 1, dies: 1, threads: 1 },
  } as unknown as MachineConfig);
  firmware.attach(view);
  machine.io.map(
    ioRegion("report", 1, { read: () => 0xff, write: (_o, _s, v) => seen(v, machine) }),
    REPORT,
  );
  machine.observe((e) => told(e.event, machine, () => board.input.keyEvent("ret", true)));
  machine.powerOn();
  machine.start();
  await machine.run();
}

/** Puts the waking vector and the code behind it where the BIOS and it are looked for. */
function prepareWaking({ mem }: Machine): void {
  mem.writeBytes(WAKING_VECTOR, AWAKE);
  let rsdp = 0xe0000;
  const signature = new Uint8Array(8);
  for (; rsdp < 0x100000; rsdp += 16) {
    mem.readBytes(rsdp, signature);
    if (new TextDecoder().decode(signature) === "RSD PTR ") break;
  }
  const fadt = mem.read(mem.read(rsdp + 16, 4) + 36, 4), facs = mem.read(fadt + 36, 4);
  mem.write(facs + 12, 4, WAKING_VECTOR);
}

async function sleepAndWake(
  code: Uint8Array,
  rouse: (machine: Machine, input: () => void) => void,
): Promise<{ log: string[]; status: number }> {
  const log: string[] = [];
  let status = 0;
  await boot(code, (value, m) => {
    log.push(`report ${value}`);
    if (value === 1) return prepareWaking(m);
    status = m.io.read(0x600, 2);
    m.exit(0);
  }, (event, m, input) => {
    log.push(event);
    if (event === "SUSPEND") rouse(m, input);
  });
  return { log, status };
}

const WAK = 0x8000, RTC = 0x400, PWRBTN = 0x100;

Deno.test("S3: woken by the monitor, the guest goes on at its waking vector", async () => {
  const { log, status } = await sleepAndWake(SLEEP, (m) => m.wakeup());
  assertEquals(log, ["RESUME", "report 1", "SUSPEND", "WAKEUP", "report 2"]);
  // As on QEMU, whatever is neither alarm nor timer shows as the power button.
  assertEquals(status & (WAK | RTC | PWRBTN), WAK | PWRBTN);
});

Deno.test("S3: a key wakes it", async () => {
  const { log } = await sleepAndWake(SLEEP, (_m, input) => input());
  assertEquals(log, ["RESUME", "report 1", "SUSPEND", "WAKEUP", "report 2"]);
});

Deno.test("S3: the alarm wakes it and says so", async () => {
  const code = new Uint8Array([...ALARM, ...SLEEP]);
  const { log, status } = await sleepAndWake(code, () => {});
  assertEquals(log, ["RESUME", "report 1", "SUSPEND", "WAKEUP", "report 2"]);
  assertEquals(status & (WAK | RTC | PWRBTN), WAK | RTC);
});
