/** The paced clock and the machine's turns, with a host whose time the test moves. */
import { assert, assertEquals } from "@std/assert";
import type { Vcpu, VmExit } from "./accel.ts";
import { Machine } from "./machine.ts";
import { MachineClock } from "./machine_clock.ts";
import { GuestMemory } from "./memory/guest_memory.ts";

const MS = 1e6;

class Host {
  ms = 0;
  readonly now = () => this.ms;
}

function pacedClock(): { host: Host; clock: MachineClock } {
  const host = new Host();
  const clock = new MachineClock({ epochMs: 0, followHost: false, hostNow: host.now });
  clock.start();
  return { host, clock };
}

Deno.test("without turns the clock is the host's", () => {
  const { host, clock } = pacedClock();
  host.ms = 7;
  assertEquals(clock.now(), 7 * MS);
  clock.stop();
  host.ms = 9;
  assertEquals(clock.now(), 7 * MS);
  clock.start();
  host.ms = 10;
  assertEquals(clock.now(), 8 * MS);
});

Deno.test("a turn goes no further than its end, and tells whoever reads the clock there", () => {
  const { host, clock } = pacedClock();
  let told = 0;
  clock.onLimit = () => told++;
  assertEquals(clock.beginSlice(MS), MS);
  host.ms = 0.5;
  assertEquals([clock.now(), told], [0.5 * MS, 0]);
  host.ms = 30;
  assertEquals([clock.now(), told], [MS, 1]);
  assertEquals(clock.endSlice(), 30 * MS);
  assertEquals(clock.lag, 29 * MS);
});

Deno.test("time waits for a timer that is due, also for one armed in the turn", () => {
  const { host, clock } = pacedClock();
  const fired: number[] = [];
  const timer = clock.timer(() => fired.push(clock.now()));
  timer.arm(0.4 * MS);
  assertEquals(clock.beginSlice(MS), 0.4 * MS);
  host.ms = 5;
  assertEquals(clock.now(), 0.4 * MS);
  clock.endSlice();
  clock.queue.run(clock.now());
  assertEquals(fired, [0.4 * MS]);
  clock.beginSlice(MS);
  timer.arm(0.6 * MS);
  host.ms = 9;
  assertEquals(clock.now(), 0.6 * MS);
});

Deno.test("between turns the clock stands; lag is made up half as fast again", () => {
  const { host, clock } = pacedClock();
  clock.beginSlice(MS);
  host.ms = 1;
  clock.endSlice();
  host.ms = 5;
  assertEquals(clock.now(), MS);
  clock.beginSlice(100 * MS);
  assertEquals(clock.lag, 4 * MS);
  host.ms = 7;
  assertEquals(clock.now(), 4 * MS);
  host.ms = 20;
  assertEquals(clock.now(), 20 * MS, "and never ahead of the host");
  assertEquals(clock.lag, 0);
});

Deno.test("idle time makes up lag at once, from timer to timer", () => {
  const { host, clock } = pacedClock();
  clock.beginSlice(MS);
  host.ms = 50;
  clock.endSlice();
  const timer = clock.timer(() => {});
  timer.arm(10 * MS);
  clock.idle();
  assertEquals(clock.now(), 10 * MS);
  clock.queue.run(clock.now());
  assertEquals(clock.now(), 50 * MS);
});

Deno.test("idle time ends with the timer that fires: who is told of it finds no later time", () => {
  const { host, clock } = pacedClock();
  clock.beginSlice(MS);
  host.ms = 5000;
  clock.endSlice();
  const read: number[] = [];
  clock.timer(() => read.push(clock.now())).arm(10 * MS);
  clock.idle();
  clock.fire();
  host.ms = 5001;
  clock.beginSlice(MS);
  assertEquals([...read, clock.now()], [10 * MS, 10 * MS]);
  host.ms = 5002;
  assertEquals(clock.now(), 11 * MS);
  clock.endSlice();
  clock.idle();
  assertEquals(clock.now(), 5002 * MS);
});

Deno.test("between two reads no more time passes than what the guest did can take", () => {
  const { host, clock } = pacedClock();
  let effort = 0;
  clock.effort = () => effort;
  clock.beginSlice(MS);
  effort += 3000;
  host.ms = 0.5;
  const first = clock.now();
  assert(first >= 3000 && first < 10_000, `${first}`);
  host.ms = 0.501;
  effort += 50_000;
  assertEquals(clock.now() - first, 1500, "no more than what has passed, and the making up of lag");
  host.ms = 2;
  effort += MS;
  assertEquals(clock.now(), MS, "the end of the turn");
});

Deno.test("a long absence is forgotten like a pause", () => {
  const { host, clock } = pacedClock();
  clock.beginSlice(MS);
  host.ms = 3_600_000;
  clock.endSlice();
  assertEquals(clock.lag, 10e9);
});

Deno.test("back to the host's pace, no time is lost or gained", () => {
  const { host, clock } = pacedClock();
  clock.beginSlice(MS);
  host.ms = 3;
  clock.endSlice();
  clock.free();
  host.ms = 4;
  assertEquals(clock.now(), 2 * MS);
});

/** A processor that takes `nsPerInstruction` and does what the test says in a turn. */
class FakeVcpu {
  readonly index = 0;
  readonly apicId = 0;
  instructions = 0;
  readonly exits = new Map<string, number>();
  kicked = false;
  readonly budgets: number[] = [];
  constructor(readonly host: Host, public nsPerInstruction: number) {}
  work: (v: FakeVcpu) => void = () => {};
  kick(): void {
    this.kicked = true;
  }
  reset(): void {}
  run(budget: number): VmExit {
    this.budgets.push(budget);
    this.kicked = false;
    for (let n = 0; n < budget && !this.kicked; n += 100) {
      this.instructions += 100;
      this.host.ms += 100 * this.nsPerInstruction / 1e6;
      this.work(this);
    }
    return { reason: "interrupted" };
  }
}

function machineOf(host: Host, vcpus: FakeVcpu[], icountShift?: number): Machine {
  const machine = new Machine({
    memory: new GuestMemory(1 << 20),
    clock: { epochMs: 0, followHost: false, hostNow: host.now, icountShift },
    actions: { reboot: "reset", shutdown: "poweroff", panic: "none" },
  });
  machine.useAccelerator({
    name: "tcg",
    createVm: () => ({
      vcpus: vcpus as unknown as Vcpu[],
      createVcpu: () => {
        throw new Error("fixed");
      },
      setA20() {},
      close() {},
    }),
  });
  return machine;
}

/** Arms a timer every `period` ns; gives the times at which it has fired. */
function periodic(machine: Machine, period: number, count: number): number[] {
  const times: number[] = [];
  const { clock } = machine;
  const timer = clock.timer(() => {
    times.push(clock.now());
    if (times.length === count) machine.exit(0);
    else timer.arm(period * (times.length + 1));
  });
  timer.arm(period);
  return times;
}

Deno.test("a 1 kHz timer misses no tick, however slow the processor or late the host", async () => {
  const host = new Host(), vcpu = new FakeVcpu(host, 1000);
  const machine = machineOf(host, [vcpu]);
  const times = periodic(machine, MS, 50);
  let seen = 0, turns = 0;
  vcpu.work = (v) => {
    // Each tick is seen by the guest before the next one comes.
    assert(times.length - seen <= 1);
    seen = times.length;
    if (++turns % 97 === 0) v.host.ms += 20;
  };
  machine.start();
  await machine.run();
  assertEquals(times, Array.from({ length: 50 }, (_, i) => (i + 1) * MS));
});

Deno.test("turns become as long as the processor's speed allows", async () => {
  const host = new Host(), vcpu = new FakeVcpu(host, 1);
  const machine = machineOf(host, [vcpu]);
  periodic(machine, 4 * MS, 100);
  machine.start();
  await machine.run();
  // 1 ns each, a millisecond a turn.
  const late = vcpu.budgets.slice(-40, -1), mean = late.reduce((a, b) => a + b) / late.length;
  assert(mean > 500_000 && mean < 1_100_000, `${mean}`);
});

Deno.test("turns stay long when only some of them are held up", async () => {
  const host = new Host(), vcpu = new FakeVcpu(host, 10);
  const machine = machineOf(host, [vcpu]);
  periodic(machine, 4 * MS, 100);
  let turns = 0;
  const run = vcpu.run.bind(vcpu);
  vcpu.run = (budget) => {
    // Every tenth turn the host is away for 5 ms.
    if (++turns % 10 === 0) host.ms += 5;
    return run(budget);
  };
  machine.start();
  await machine.run();
  const late = vcpu.budgets.slice(-100), mean = late.reduce((a, b) => a + b) / late.length;
  // n instructions take 10n ns and every tenth time 5 ms more; that is to be 1 ms / 1.5: n = 16,667.
  assert(mean > 12_000 && mean < 40_000, `${mean}`);
});

Deno.test("a busy guest makes up what the host held back, and turns keep their length", async () => {
  const host = new Host(), vcpu = new FakeVcpu(host, 10);
  const machine = machineOf(host, [vcpu]);
  periodic(machine, 4 * MS, 100);
  let before = -1, after = -1;
  vcpu.work = (v) => {
    if (v.instructions === 1_000_000) {
      v.host.ms += 50;
      before = machine.clock.lag;
    }
    if (host.ms > 250 && after < 0) after = machine.clock.lag;
  };
  machine.start();
  await machine.run();
  assert(before < 1000, `${before}`);
  // 10 ms in, 50 ms late, half of the time since then: all of it has been made up.
  assert(after >= 0 && after < 2 * MS, `${after}`);
});

Deno.test("every clock a guest can read agrees and never goes back", async () => {
  const host = new Host(), vcpus = [new FakeVcpu(host, 7), new FakeVcpu(host, 7)];
  const machine = machineOf(host, vcpus);
  periodic(machine, 0.3 * MS, 200);
  let last = 0;
  for (const v of vcpus) {
    v.work = () => {
      const t = machine.clock.now();
      assert(t >= last && t <= (machine.clock.queue.next ?? Infinity));
      last = t;
    };
  }
  machine.start();
  await machine.run();
  assert(last >= 59 * MS);
});

Deno.test("a timer armed in a turn ends the turn in time", async () => {
  const host = new Host(), vcpu = new FakeVcpu(host, 10);
  const machine = machineOf(host, [vcpu]);
  let armed = -1, fired = -1;
  const timer = machine.clock.timer(() => {
    fired = vcpu.instructions;
    machine.exit(0);
  });
  vcpu.work = (v) => {
    if (v.instructions === 20_000) {
      armed = v.instructions;
      timer.arm(machine.clock.now() + 50_000);
    }
  };
  machine.start();
  await machine.run();
  assertEquals(armed, 20_000);
  // 50 µs are 5000 instructions; a turn would have gone on for 100,000.
  assert(fired - armed >= 5000 && fired - armed < 6500, `${fired - armed}`);
});

Deno.test("-icount: a timer armed in a turn fires at its instruction, run for run", async () => {
  const run = async () => {
    const host = new Host(), vcpu = new FakeVcpu(host, Math.PI);
    const machine = machineOf(host, [vcpu], 0);
    let fired = -1;
    const timer = machine.clock.timer(() => {
      fired = vcpu.instructions;
      machine.exit(0);
    });
    vcpu.work = (v) => {
      if (v.instructions === 20_000) timer.arm(machine.clock.now() + 7_000);
    };
    machine.start();
    await machine.run();
    return fired;
  };
  assertEquals([await run(), await run()], [27_000, 27_000]);
});

Deno.test("S3: the alarm runs on, and a wake-up resets and resumes", async () => {
  const host = new Host(), vcpu = new FakeVcpu(host, 1);
  const machine = machineOf(host, [vcpu]);
  const events: string[] = [];
  machine.observe((e) => events.push(e.event));
  machine.onSuspend = () => events.push("suspending");
  machine.onReset = () => events.push("reset");
  machine.onWakeup = (cause) => events.push(cause);
  const alarm = machine.clock.timer(() => machine.wakeup("rtc"));
  let slept = false;
  vcpu.work = () => {
    if (slept) machine.exit(0);
    else machine.requestSuspend();
    slept = true;
    alarm.arm(machine.clock.now() + 1000);
    host.ms += 1;
  };
  machine.wakeup();
  machine.start();
  await machine.run();
  assertEquals(events, ["RESUME", "suspending", "SUSPEND", "reset", "rtc", "WAKEUP"]);
});
