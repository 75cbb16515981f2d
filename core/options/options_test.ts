import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UserError } from "../errors.ts";
import { LogItem } from "../log.ts";
import type { MachineConfig } from "./config.ts";
import { EarlyExit, formatUserError, type OptionsHost } from "./host.ts";
import { parseCommandLine } from "./parse.ts";
import { parseInteger, parseSize } from "./numbers.ts";
import { OPTIONS } from "./table.ts";

function host(programName = "qemu-system-x86_64"): OptionsHost & { text: string; errors: string } {
  return {
    programName,
    text: "",
    errors: "",
    stdout(t) {
      this.text += t;
    },
    stderr(t) {
      this.errors += t;
    },
  };
}

/** Parses words separated by blanks; nothing may be printed. */
function parse(line: string, on = host()): MachineConfig {
  const config = parseCommandLine(line === "" ? [] : line.split(" "), on);
  assertEquals(on.errors, "");
  return config;
}

function message(line: string): string {
  const on = host();
  const e = assertThrows(() => parseCommandLine(line.split(" "), on), UserError);
  return on.errors + formatUserError(e, on.programName);
}

Deno.test("sizes and integers", () => {
  const bytes = (t: string, unit?: string) => {
    const s = parseSize(t, unit);
    return typeof s === "string" ? s : Number(s.bytes);
  };
  assertEquals(bytes("4"), 4);
  assertEquals(bytes("4", "M"), 4 << 20);
  assertEquals(bytes("1.5G"), 1.5 * 2 ** 30);
  assertEquals(bytes("5.G"), 5 * 2 ** 30);
  assertEquals(bytes("0x10"), 16);
  assertEquals(bytes("0x1M"), 1 << 20);
  assertEquals(bytes("7b"), 7);
  assertEquals(bytes("2P"), 2 ** 51);
  for (const bad of ["", "1.5", "x", "-1", "1MB", "1e3", ".5G", "0x"]) {
    assertEquals(bytes(bad), "syntax", bad);
  }
  assertEquals(bytes("16E"), "range");
  assertEquals(parseInteger(" 017"), 15n);
  assertEquals(parseInteger("-0x10"), -16n);
  assertEquals(parseInteger("08"), undefined);
});

Deno.test("nothing given: QEMU's default machine", () => {
  const c = parse("");
  assertEquals(c.machine.type, "pc-i440fx-7.2");
  assertEquals(c.accels.map((a) => a.name), ["tcg", "kvm"]);
  assertEquals(c.memory, { size: 128 << 20, slots: 0, maxmem: 128 << 20 });
  assertEquals(c.smp, { cpus: 1, sockets: 1, dies: 1, cores: 1, threads: 1, maxcpus: 1 });
  assertEquals(c.drives.map((d) => [d.id, d.isDefault]), [
    ["ide1-cd0", true],
    ["floppy0", true],
    ["sd0", true],
  ]);
  assertEquals(c.chardevs.map((d) => `${d.id}=${d.backend}`), [
    "compat_monitor0=vc",
    "serial0=vc",
    "parallel0=vc",
  ]);
  assertEquals([c.serials, c.parallels], [["serial0"], ["parallel0"]]);
  assertEquals(c.monitors.map((m) => m.chardev), ["compat_monitor0"]);
  assertEquals(c.vga, "std");
  assertEquals(c.startPaused, false);
});

Deno.test("-nodefaults: nothing but what is asked for", () => {
  const c = parse("-nodefaults -serial null");
  assertEquals([c.drives, c.monitors, c.parallels, c.vga], [[], [], [], "none"]);
  assertEquals(c.serials, ["serial0"]);
});

Deno.test("-nographic: serial and monitor share stdio, the monitor in the background", () => {
  const c = parse("-nographic");
  const stdio = c.chardevs.find((d) => d.id === "serial0")!;
  assert(stdio.backend === "stdio" && stdio.mux && !stdio.signal);
  assertEquals(c.monitors, [{
    chardev: "serial0",
    mode: "readline",
    pretty: false,
    id: undefined,
  }]);
  assertEquals(c.chardevs.find((d) => d.id === "parallel0")!.backend, "null");
  assertEquals(c.machine.graphics, false);
  const split = parse("-nographic -serial null");
  assertEquals(split.chardevs.map((d) => `${d.id}=${d.backend}`), [
    "compat_monitor0=stdio",
    "serial0=null",
    "parallel0=null",
  ]);
  assertEquals(parse("-nographic -serial mon:stdio").monitors.length, 1);
});

Deno.test("ports: none takes no index, chardev: names an existing device", () => {
  const c = parse("-chardev ringbuf,id=r,size=64K -serial none -serial chardev:r -serial file:x");
  assertEquals(c.serials, ["r", "serial1"]);
  const file = c.chardevs.find((d) => d.id === "serial1")!;
  assertEquals(file.failureNote, "could not connect serial device to character backend 'file:x'");
  const debug = parse("-debugcon file:log -global isa-debugcon.iobase=0x402");
  assertEquals(debug.devices[0].driver, "isa-debugcon");
  assertEquals(debug.devices[0].props.get("chardev"), "debugcon");
  assertEquals(debug.globals, [
    { driver: "isa-debugcon", property: "iobase", value: "0x402", used: false },
  ]);
});

Deno.test("old-style character devices", () => {
  const backend = (text: string) =>
    parse(`-serial ${text}`).chardevs.find((d) => d.id === "serial0");
  const tcp = backend("tcp:localhost:4444,server,nowait,nodelay");
  assert(tcp?.backend === "socket" && tcp.server && !tcp.wait && tcp.nodelay);
  assert(tcp.address.type === "inet");
  assertEquals([tcp.address.host, tcp.address.port, tcp.protocol], ["localhost", "4444", "raw"]);
  const telnet = backend("telnet::5555,server=on");
  assert(telnet?.backend === "socket" && telnet.protocol === "telnet" && telnet.wait);
  const unix = backend("unix:/run/a,,b,server=on,wait=off");
  assert(unix?.backend === "socket" && unix.address.type === "unix");
  assertEquals(unix.address.path, "/run/a,b");
  const udp = backend("udp:host:9@:7");
  assert(udp?.backend === "udp");
  assertEquals([udp.remote, udp.local], [{ host: "host", port: "9" }, { host: "", port: "7" }]);
  const vc = backend("vc:100Cx30C");
  assert(vc?.backend === "vc" && vc.cols === 100 && vc.rows === 30);
  const tty = backend("/dev/ttyS0");
  assert(tty?.backend === "serial" && tty.path === "/dev/ttyS0");
});

Deno.test("chardev options", () => {
  const c = parse(
    "-chardev socket,id=s,host=::1,port=0,to=9,server=on,ipv6=on,telnet=on,logfile=l,logappend=on " +
      "-chardev null,id=m,mux=on -mon chardev=m -serial chardev:m",
  );
  const s = c.chardevs[0];
  assert(s.backend === "socket" && s.address.type === "inet");
  assertEquals([s.address.to, s.address.ipv6, s.logfile, s.logappend], [9, true, "l", true]);
  assertEquals(c.chardevs[1].mux, true);
  assertEquals([c.monitors[0].chardev, c.serials[0]], ["m", "m"]);
});

Deno.test("drives: places, names, policies", () => {
  const c = parse(
    "-hda a -hdb b -cdrom c -drive file=d,,e,format=raw,index=3,cache=none,werror=stop " +
      "-fda f -drive if=none,id=x,file=g,readonly=on,snapshot=on,discard=unmap",
  );
  const at = (id: string) => c.drives.find((d) => d.id === id)!;
  assertEquals(
    c.drives.map((d) => d.id).join(" "),
    "ide0-hd0 ide0-hd1 ide1-cd0 ide1-hd1 floppy0 x sd0",
  );
  assertEquals([at("ide1-hd1").file, at("ide1-hd1").cache, at("ide1-hd1").werror], [
    "d,e",
    "none",
    "stop",
  ]);
  const x = at("x");
  assertEquals([x.readonly, x.snapshot, x.discard, x.interface], [true, true, true, "none"]);
});

Deno.test("-snapshot makes every drive temporary unless it says otherwise", () => {
  const c = parse("-snapshot -hda a -drive file=b,snapshot=off,format=raw");
  assertEquals(c.drives.filter((d) => d.file).map((d) => d.snapshot), [true, false]);
});

Deno.test("machine, accelerators, memory, topology", () => {
  const c = parse(
    "-M pc,accel=kvm:tcg,hpet=off -machine usb=on,x_oem_id=ABC -m 1.5G,slots=2,maxmem=4G -smp 4,threads=2",
  );
  assertEquals(c.accels.map((a) => a.name), ["kvm", "tcg"]);
  assertEquals([c.machine.hpet, c.machine.usb, c.machine.oemId], [false, true, "ABC"]);
  assertEquals(c.memory, { size: 1.5 * 2 ** 30, slots: 2, maxmem: 2 ** 32 });
  assertEquals(c.smp, { cpus: 4, sockets: 1, dies: 1, cores: 2, threads: 2, maxcpus: 4 });
  assertEquals(parse("-smp 2,maxcpus=8,sockets=2").smp.cores, 4);
  assertEquals(parse("-smp cores=3").smp.cpus, 3);
  const list = parse("-accel tcg,thread=multi -accel kvm");
  assertEquals(list.accels[0].props.get("thread"), "multi");
  assertEquals(parse("-accel tcg,tier=0").accels[0].props.get("tier"), "0");
  const tier = assertThrows(() => parse("-accel tcg,tier=2"), UserError);
  assertStringIncludes(tier.message, "Parameter 'tier' does not accept value '2'");
  assertEquals(parse("", host("kvm")).accels.map((a) => a.name), ["kvm", "tcg"]);
});

Deno.test("-enable-kvm falls back to tcg; what is said last counts", () => {
  const c = parse("-enable-kvm");
  assertEquals([c.enableKvm, c.accels.map((a) => a.name)], [true, ["kvm", "tcg"]]);
  assertEquals(parse("-enable-kvm -M accel=tcg").enableKvm, false);
  const kvm = parse("-accel kvm");
  assertEquals([kvm.enableKvm, kvm.accels.map((a) => a.name)], [false, ["kvm"]]);
});

Deno.test("an unknown accelerator is reported and skipped", () => {
  const on = host();
  const c = parseCommandLine(["-M", "accel=foo:tcg"], on);
  assertEquals(on.errors, "qemu-system-x86_64: invalid accelerator foo\n");
  assertEquals([c.accelFallback, c.accels.length], [true, 1]);
});

Deno.test("single settings", () => {
  const c = parse(
    "-boot order=dc,once=n,menu=on,splash-time=100 -rtc base=2006-06-17T16:01:21,clock=vm " +
      "-icount 7,sleep=off -name guest,process=p -uuid 550E8400-e29b-41d4-a716-446655440000 -S " +
      "-no-reboot -no-shutdown -action panic=none -d int,in_asm -D f.log -L dir -bios b.bin -k de " +
      "-kernel k -initrd i -append root=/dev/sda -option-rom r,bootindex=3 -fw_cfg opt/a,string=b " +
      "-echr 0x14 -seed 7 -pidfile p.pid -no-acpi -no-hpet -no-fd-bootchk",
  );
  assertEquals([c.boot.order, c.boot.once, c.boot.menu, c.boot.splashTime], ["dc", "n", true, 100]);
  assertEquals([c.rtc.datetime, c.rtc.clock], [Date.UTC(2006, 5, 17, 16, 1, 21), "vm"]);
  assertEquals(c.icount, { shift: 7, align: false, sleep: false });
  assertEquals([c.name, c.processName], ["guest", "p"]);
  assertEquals(c.uuid, "550e8400-e29b-41d4-a716-446655440000");
  assertEquals(c.action, {
    reboot: "shutdown",
    shutdown: "pause",
    panic: "none",
    watchdog: "reset",
  });
  assertEquals(c.logMask, LogItem.int | LogItem.in_asm);
  assertEquals([c.logFile, c.dataDirs[0], c.bios], ["f.log", "dir", "b.bin"]);
  assertEquals([c.kernel, c.initrd, c.append], ["k", "i", "root=/dev/sda"]);
  assertEquals(c.optionRoms, [{ file: "r", bootindex: 3 }]);
  assertEquals(c.fwCfg[0].string, "b");
  assertEquals([c.escapeChar, c.seed, c.pidfile, c.keyboardLayout], [0x14, 7, "p.pid", "de"]);
  assertEquals([c.machine.acpi, c.machine.hpet, c.machine.fdBootchk], ["off", false, false]);
  assertEquals(c.startPaused, true);
});

Deno.test("two dashes are as good as one", () => {
  assertEquals(parse("--m 64 --nographic --smp 2").smp.cpus, 2);
});

Deno.test("devices: properties are kept in order, -set adds to them", () => {
  const c = parse(
    "-device isa-debug-exit,id=d,iobase=0xf4 -set device.d.iosize=4 -drive if=none,id=x,file=f " +
      "-device ide-hd,drive=x,bus=ide.1,unit=1",
  );
  assertEquals([...c.devices[0].props], [["iobase", "0xf4"], ["iosize", "4"]]);
  assertEquals(c.devices[1].props.get("bus"), "ide.1");
  assertEquals(c.drives.some((d) => d.id === "ide1-cd0"), false, "no default CD-ROM beside ide-hd");
  const json = parse('-device {"driver":"pvpanic","ioport":1285}');
  assertEquals(json.devices[0].props.get("ioport"), "1285");
});

Deno.test("what is not there says so, what does nothing is accepted", () => {
  for (const name of ["qmp x", "netdev user,id=n", "object rng-egd,id=r", "virtfs local"]) {
    assertEquals(
      message(`-${name}`),
      `qemu-system-x86_64: -${name}: Option not supported in this build\n`,
    );
  }
  assertStringIncludes(message("-vga cirrus"), "Cirrus VGA not available");
  assertStringIncludes(message("-vnc :1"), "VNC support is disabled");
  parse(
    "-no-user-config -overcommit mem-lock=off -sandbox on -msg timestamp=off -net none -nic none -vnc none",
  );
  parse("-audiodev none,id=a -singlestep -mem-prealloc -compat deprecated-input=accept");
});

Deno.test("-msg: a time, and the guest's name, before each message", () => {
  assertEquals(
    message("-msg timestamp=on,guest-name=on -name guest=g -append x")
      .replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z /, "TIME "),
    "TIME g qemu-system-x86_64: -append only allowed with -kernel option\n",
  );
  assertEquals(
    message("-msg guest-name=on -append x"),
    "qemu-system-x86_64: -append only allowed with -kernel option\n",
  );
  const on = host();
  assertEquals(parseCommandLine(["-msg", "timestamp=on"], on).programName, "qemu-system-x86_64");
});

Deno.test("warnings are QEMU's", () => {
  const on = host();
  parseCommandLine(["-chardev", "socket,id=s,path=x,server,nowait"], on);
  assertEquals(
    on.errors,
    "qemu-system-x86_64: -chardev socket,id=s,path=x,server,nowait: warning: " +
      "short-form boolean option 'server' deprecated\nPlease use server=on instead\n" +
      "qemu-system-x86_64: -chardev socket,id=s,path=x,server,nowait: warning: " +
      "short-form boolean option 'nowait' deprecated\nPlease use wait=off instead\n",
  );
  const old = host();
  parseCommandLine(["-M", "pc-i440fx-1.4", "-smp", "0"], old);
  assertEquals(
    old.errors,
    "qemu-system-x86_64: warning: Deprecated CPU topology (considered invalid): " +
      "CPU topology parameters must be greater than zero\n" +
      "qemu-system-x86_64: warning: Machine type 'pc-i440fx-1.4' is deprecated: " +
      "old and unattended - use a newer version instead\n",
  );
});

Deno.test("-help and -version", () => {
  for (const option of ["-help", "-h", "--help"]) {
    const on = host();
    const e = assertThrows(() => parseCommandLine([option], on), EarlyExit);
    assertEquals([e.status, on.errors], [0, ""]);
    assertStringIncludes(on.text, "usage: qemu-system-x86_64 [options] [disk_image]");
    for (const o of OPTIONS) {
      if (o.usage !== "" && o.status !== "missing") assertStringIncludes(on.text, o.usage);
    }
  }
  const on = host();
  assertThrows(() => parseCommandLine(["-version"], on), EarlyExit);
  assert(/^QEMU emulator version [0-9]+\.[0-9]+\.[0-9]+ \(qeno .*\)\n/.test(on.text));
});

Deno.test("the table names each option once and explains what differs", () => {
  assertEquals(new Set(OPTIONS.map((o) => o.name)).size, OPTIONS.length);
  for (const o of OPTIONS) {
    assertEquals(o.status === "works", o.note === undefined, o.name);
    if (o.usage.startsWith("-")) assert(/^--?[a-zA-Z]/.test(o.usage), o.name);
  }
});
