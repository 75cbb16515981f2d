/**
 * Command lines whose outcome is compared with QEMU 7.2's, and how QEMU's is got. `deno run -A
 * core/options/qemu_lines.ts` records it in qemu_7_2.json, for machines without QEMU and for speed.
 */

import { BAD_CONFIGS, GOOD_CONFIGS } from "./qemu_configs.ts";

export const QEMU = "qemu-system-x86_64";

export interface Outcome {
  stdout: string;
  stderr: string;
  status: number;
}

/** Every line is a command line (words apart by blanks; `''` is an empty word). */
export const BAD = String.raw`
-foo
--foo
---hda
-
--
-help2
-foo -help
-version -foo
-hda
--hda
-m
-cpu
-no-acpi=x
-S=1
-nodefconfig
-sdl
-balloon virtio
-g 800x600
-old-param
-prom-env x
-xen-domid 1
-m 1x
--m 12x
-m 1.5
-m 128MB
-m -1
-m 1e3
-m .5G
-m 99999999999999999999
-m 17E
-m 128,,x
-m size=128,foo=1
-m 128,slots=x
-m 128,maxmem=x
-m 128,id=x
-m 128,slots=2
-m 128,slots=2,maxmem=64
-m 128,slots=1,maxmem=128M
-m 128,slots=300,maxmem=1G
-m 128,slots=-1,maxmem=1G
-m help
-m 1x -h
-smp 3,cores=2
-smp 2,maxcpus=1
-smp 256
-smp -1
-smp x
-smp 1.5
-smp 99999999999999999999
-smp cpus=
-smp 2,foo
-smp 2,foo=1
-smp 2,cores=x
-smp 2,cores=-1
-smp 2,cores=2,threads=2
-smp 8,sockets=2,cores=2,threads=1
-smp 2,clusters=2
-smp 2,,3
-smp =2
-smp cpus
-smp cpus.x=1
-smp 256,maxcpus=300
-smp 1,maxcpus=256
-smp cores=2,maxcpus=3
-smp 6,sockets=4
-M foo
-M PC
-M type=
-M pc,foo=1
-M pc,acpi
-M pc,acpi=maybe
-M pc,hpet=x
-M pc,usb=2
-M pc,vmport=x
-M pc,sata=x
-M pc,help=on
-M =pc
-M pc,,x
-M ,pc
-M acpi=off,pc
-M pc,a.b=1
-M pc,1=2
-M pc,acpi_=x
-M pc,smp=2
-M pc,boot=c
-M pc,boot.order=z
-M pc,boot.foo=1
-M pc,memory.size=1x
-M pc,max-ram-below-4g=x
-M pc,max-ram-below-4g=5G
-M pc,smbios-entry-point-type=3
-M pc,x-oem-id=1234567
-M pc,x-oem-table-id=123456789
-M pc,max-fw-size=100M
-M pc,append=x
-M pc,mem-merge=x
-M pc,memory-backend=x
-M pc -M foo
-smp 2 -M pc,smp=3
-accel foo
-accel hax
-accel kvm:tcg
-accel TCG
-accel tcg,thread=x
-accel tcg,foo=1
-accel tcg,foo
-accel tcg,tb-size=x
-accel tcg,split-wx=x
-accel tcg,help
-accel kvm,kernel-irqchip=x
-accel kvm,thread=single
-accel kvm,kvm-shadow-mem=x
-M accel=foo
-M accel=foo:bar
-accel tcg -M accel=tcg
-enable-kvm -accel tcg
-icount 1 -accel tcg,thread=multi
-cpu ''
-cpu foo
-cpu ,x
-cpu help,x
-cpu qemu32,+foo
-cpu qemu32,-foo
-cpu qemu32,foo=1
-cpu qemu32,foo
-cpu qemu32,help
-cpu qemu32,sse=x
-cpu qemu32,level=x
-cpu qemu32,vendor=abc
-cpu qemu32,family=999
-cpu qemu32,stepping=16
-cpu qemu32,check=x
-cpu qemu32,tsc-frequency=1G
-cpu host
-append x
-initrd x
-initrd x -append y
-bios nosuch.bin
-bios odd
-bios /tmp
-M pc,firmware=/nope
-kernel nosuch
-kernel nosuch -initrd nosuch
-kernel .
-M pc,kernel=/nope
-boot dd
-boot e
-boot z
-boot cx
-boot once=z
-boot menu
-boot menu=x
-boot strict=foo
-boot foo=1
-boot c,d
-boot abcd
-boot order=cc,menu=on
-boot splash-time=99999
-boot splash-time=-2
-boot splash-time=x
-boot reboot-timeout=70000
-boot reboot-timeout=-2
-rtc base=foo
-rtc base=
-rtc clock=x
-rtc driftfix=x
-rtc foo=1
-rtc utc
-rtc clock=host -rtc clock=z
-icount x
-icount 11
-icount -1
-icount 5x
-icount shift=x
-icount 3,align=x
-icount 3,sleep=off,align=on
-icount rr=foo
-icount 3,rr=record
-icount foo=1
-icount align=on
-icount shift=3 -icount auto,foo=1
-name a,foo=1
-name a,debug-threads=x
-name foo,bar
-uuid x
-uuid 550e8400-e29b-41d4-a716-44665544000
-uuid 550e8400e29b41d4a716446655440000
-D /nope/x
-d int -D /nope/x
-d int -D a%s
-vga foo
-vga stdfoo
-vga std,retrace=x
-vga ''
-action foo=x
-action reboot=x
-action shutdown=x,panic=y
-action reboot
-watchdog-action foo
-seed x
-seed -1
-seed ''
-rotate 7
-msg timestamp=x
-msg foo=1
-overcommit x
-overcommit mem-lock=x
-sandbox x
-compat x
-compat deprecated-input=x
-compat foo=1
-trace foo,x
-option-rom foo=x
-option-rom bootindex=1
-option-rom x,bootindex=q
-fw_cfg x
-fw_cfg name=opt/x,file=/nope,string=y
-fw_cfg x,foo=1
-fw_cfg opt/x,file=/nope
-fw_cfg opt/x,string=a -fw_cfg opt/x,string=b
-fw_cfg opt/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,string=x
-display foo
-display cocoa
-display vnc
-display gtk
-display sdl
-display sdl,foo=x
-display none,foo=1
-display none,gl=x
-display none,gl=on
-display none,full-screen=x
-display none=x
-net foo
-net none,foo=1
-nic foo
-nic id=1
-audiodev none
-audiodev foo
-audiodev id=x
-audiodev foo,id=a
-audiodev none,id=x,foo=1
-set a
-set device.x
-set drive.x.y=1
-set foo.a.b=1
-global foo
-global a.b
-global driver=a
-global driver=a,property=b
-global isa-fdc.foo=1
-chardev stdio
-chardev id=a
-chardev foo,id=a
-chardev stdio,id=1a
-chardev stdio,id=a -chardev null,id=a
-chardev file,id=a
-chardev file,id=a,path=/nope/x
-chardev file,id=a,path=/tmp
-chardev pipe,id=a
-chardev pipe,id=a,path=/nope
-chardev pipe,id=a,path=/tmp
-chardev serial,id=a
-chardev serial,id=a,path=/nope
-chardev tty,id=a,path=/nope
-chardev parport,id=a,path=/dev/null
-chardev socket,id=a
-chardev socket,id=a,port=1
-chardev socket,id=a,host=x
-chardev socket,id=a,path=x,port=1,host=a
-chardev socket,id=a,path=x,server=on,reconnect=1
-chardev socket,id=a,path=x,wait=on
-chardev socket,id=a,path=x,telnet=on,websocket=on
-chardev socket,id=a,path=/nope/y
-chardev socket,id=a,path=/nope/y,server=on,wait=off
-chardev socket,id=a,fd=1000
-chardev socket,id=a,fd=x
-chardev socket,id=a,server=maybe
-chardev socket,id=a,host=127.0.0.1,port=1
-chardev socket,id=a,host=localhost,port=x
-chardev socket,id=a,host=192.0.2.1,port=5,server=on,wait=off
-chardev socket,id=a,path=x,tls-creds=x
-chardev udp,id=a
-chardev udp,id=a,host=127.0.0.1,port=x
-chardev ringbuf,id=a,size=3
-chardev ringbuf,id=a,size=x
-chardev mux,id=a
-chardev mux,id=a,chardev=zz
-chardev vc,id=a,width=x
-chardev null,id=a,foo=1
-chardev null,id=a,mux=x
-chardev stdio,id=a,logfile=/nope/x
-chardev stdio,id=a,help
-serial foo
-serial tcp:
-serial tcp:x
-serial tcp::4444,foo
-serial tcp:localhost:1
-serial tcp:localhost:1,nowait
-serial telnet:127.0.0.1:1
-serial unix:
-serial unix:/nope/x
-serial file:
-serial file:/nope/x
-serial pipe:/nope
-serial udp:x
-serial chardev:zz
-serial mon:
-serial mon:foo
-serial vc:1
-serial vc:80Cx
-serial con:
-serial COM1
-serial /dev/nope
-serial none,x
-serial fdname:
-serial ringbuf:x
-chardev null,id=serial0 -serial null
-parallel foo
-parallel null -parallel null -parallel null -parallel null
-debugcon foo
-debugcon none
-debugcon null -debugcon null
-monitor foo
-monitor chardev:x
-mon x
-mon chardev=x
-mon mode=foo
-mon x,mode=foo
-mon mode=readline
-chardev null,id=a -mon a,pretty=on
-chardev null,id=a -mon a -mon a
-nographic -daemonize
-nofile.img
nofile.img
-hda nofile
-hdb nofile
-hda a,b
-cdrom nofile
-fda nofile
-drive file=a,,b
-drive file=x,if=foo
-drive file=x,foo=1
-drive file=disk,format=foo
-drive file=disk,format=qcow2
-drive file=disk,format=raw,media=foo
-drive file=disk,format=raw,index=x
-drive file=disk,format=raw,index=1,unit=1
-drive file=disk,format=raw,index=4
-drive file=disk,format=raw,bus=2
-drive file=disk,format=raw,bus=0,unit=2
-drive file=disk,format=raw,if=floppy,index=2
-drive file=disk,format=raw,cache=foo
-drive file=disk,format=raw,werror=foo
-drive file=disk,format=raw,rerror=enospc
-drive file=disk,format=raw,werror=stop,if=floppy
-drive file=disk,format=raw,aio=foo
-drive file=disk,format=raw,snapshot=x
-drive file=disk,format=raw,readonly=on
-drive file=disk,format=raw,readonly=x
-drive file=disk,format=raw,readonly=on,read-only=on
-drive file=disk,format=raw,id=1
-drive file=disk,format=raw,foo=bar
-drive file=disk,format=raw,serial=x
-drive file=disk,format=raw,discard=foo
-drive file=disk,format=raw,detect-zeroes=foo
-drive file=disk,format=raw,bps=-1
-drive file=disk,format=raw,if=scsi
-drive file=disk,format=raw,if=sd
-drive file=disk,format=raw,if=xen
-drive file=disk,format=raw,if=mtd
-drive driver=raw,format=raw,file=disk
-drive file=foo:bar
-drive if=ide
-drive ''
-drive file=
-drive readonly
-drive help
-drive id=a,if=none -drive id=a,if=none
-drive file=disk,format=raw -hda disk
-drive file=disk,format=raw,index=2 -cdrom disk
-drive id=ide0-hd0,if=none -drive file=disk,format=raw
-device foo
-device iobase=1
-device isa-debug-exit,foo=1
-device isa-debug-exit,iobase
-device isa-debug-exit,iobase=x
-device isa-debug-exit,iobase=-1
-device isa-debug-exit,iobase=0x10000000000
-device isa-debug-exit,id=1
-device isa-debug-exit,id=a -device isa-debug-exit,id=a
-device isa-debug-exit,bus=foo
-device isa-debug-exit,bus=pci.0
-device isa-debug-exit,id=x -set device.x.foo=1
-device pvpanic,ioport=70000
-device pvpanic,events=x
-device isa-serial,chardev=x
-device isa-serial,index=9
-device isa-parallel
-device isa-debugcon
-device isa-debugcon,chardev=b
-device ide-hd
-device ide-hd,drive=x
-device ide-hd,bootindex=x
-device ide-hd,wwn=x
-device ide-cd,bus=ide.5
-device ide-cd,bus=ide.1,unit=2
-device ide-cd,unit=x
-device ide-cd,werror=x
-device floppy,drive=q
-device PIIX3
-device i440FX
-device hpet
-device isa-pcspk
-device VGA,addr=99
-device VGA,vgamem_mb=x
-device VGA,edid=x
-device {
-smbios
-smbios help
-smbios foo
-smbios vendor=x
-smbios type=0,vendor=x,foo=1
-smbios type=99
-smbios type=5
-smbios type=x
-smbios type=1x
-smbios type=011
-smbios type=-1
-smbios type=256
-smbios type=
-smbios file=nosuch
-smbios file=.
-smbios file=
-smbios file=words
-smbios file=structure,type=1
-smbios type=1,uuid=zz
-smbios type=0,release=1.x
-smbios type=0,release=1.
-smbios type=0,uefi=maybe
-smbios type=17,speed=fast
-smbios type=4,max-speed=x
-smbios type=4,max-speed=70000
-smbios type=4,processor-id=x
-smbios type=8,port_type=x
-smbios type=11,path=nosuch
-smbios type=11,path=.
-smbios type=11,path=structure
-smbios type=11,foo=1
-smbios type=41,kind=foo
-smbios type=41,instance=x
-smbios type=11 -smbios file=structure
-smbios file=structure -smbios type=11
-smbios id=a,type=1 -smbios id=a,type=2
-acpitable
-acpitable help
-acpitable foo
-acpitable sig=ABCD
-acpitable file=nosuch
-acpitable data=words:nosuch
-acpitable data=words::words
-acpitable data=.
-acpitable data=
-acpitable file=
-acpitable file=words
-acpitable data=odd
-acpitable file=table,data=words
-acpitable foo=1,data=words
-acpitable rev=x,data=words
-acpitable rev=-1,data=words
-acpitable rev=256,data=words
-acpitable oem_rev=4294967296,data=words
-acpitable asl_compiler_rev=y
-readconfig
-readconfig ''
-readconfig help
-readconfig nosuch
-readconfig .
-readconfig dev.cfg -readconfig nosuch
-readconfig chardevbad.cfg -M nosuch
`.trim().split("\n").concat(Object.keys(BAD_CONFIGS).map((n) => `-readconfig ${n}.cfg`));

/** What is accepted, with warnings. */
export const WARNED = String.raw`
-smp 0
-smp 2,sockets=0
-m 0x100
-m 0x80M
-m ''
-m 128B
-M ''
-M pc-i440fx-1.4
-M pc-i440fx-1.7,acpi=off
-M accel=tcg:foo
-M accel=foo:tcg
-accel foo -accel tcg
-enable-kvm -M accel=tcg
-global a.b=c
-global driver=a,property=b,value=c
-global isa-debug-exit.iobase=1
-global isa-debugcon.foo=1
-fw_cfg x,string=y
-fw_cfg opt/x,string=y
-msg timestamp=off
-trace foo
-serial tcp:127.0.0.1:0,server,nowait
-chardev socket,id=s,host=127.0.0.1,port=0,server,nowait
-chardev socket,id=s,path=sock,server=on,wait=off
-chardev null,id=a -serial chardev:a
-chardev null,id=a,mux=on -serial chardev:a -serial chardev:a -mon a
-monitor none -serial none -parallel none
-net none
-nic none,model=x
-vnc none
-echr 5x
-rtc base=2006-06-16T16
-rtc base=1969-01-01,clock=vm,driftfix=slew
-icount auto,align=on
-icount sleep=on
-boot order=
-boot order=dc,once=d,menu=on,splash-time=100,reboot-timeout=-1,strict=on
-audiodev none,id=a
-sandbox on
-overcommit cpu-pm=on
-compat deprecated-input=accept
-action panic=none
-win2k-hack -no-fd-bootchk -no-acpi -no-hpet -full-screen -portrait -singlestep
-mem-prealloc -only-migratable -async-teardown -enable-sync-profile -no-user-config
-name a -name b,debug-threads=on
-uuid 550e8400-e29b-41d4-a716-446655440000 -seed 18446744073709551615 -L /nope
-device isa-debug-exit,id=x -set device.x.iobase=1
-device VGA -vga none
-device isa-serial
-device pvpanic -device pc-testdev
-nodefaults -vga std
-drive if=none
-drive file=disk,format=raw,if=none,werror=stop,rerror=ignore,cache=unsafe,aio=threads
-drive file.filename=disk,file.driver=file,format=raw,file.locking=off
-drive driver=raw,file=disk,copy-on-read=on,detect-zeroes=unmap,discard=on
-drive file=disk,format=raw,media=cdrom,copy-on-read=on
-snapshot -hda disk -cdrom disk -fda disk
disk
-cdrom disk
-drive file=disk
-cpu qemu32,+sse,-sse,sse=on,level=5,vendor=GenuineIntel,model-id=foo
-cpu 486-v1
-cpu pentium3,check=off
-smbios type=0,vendor
-smbios type=0,release=300.1
-smbios type=8,port_type=300
-smbios file=structure -smbios file=structure
-smbios type=11,value=a,value=,path=words
-smbios type=1,uuid=00112233-4455-6677-8899-AABBCCDDEEFF
-acpitable data=words
-acpitable words:words
-acpitable sig=ABCDE,data=words
-acpitable file=table
-acpitable file=wrong
-readconfig good.cfg -readconfig empty.cfg
-readconfig machine.cfg -M pc
`.trim().split("\n").concat(Object.keys(GOOD_CONFIGS).map((n) => `-readconfig ${n}.cfg`));

/** What succeeds or fails with help: only status and standard error are compared. */
export const HELP = String.raw`
-help
-h
-version
--version
-M foo -version
-machine help
-M help
-M pc,help
-M foo,help
-cpu help
-accel help
-accel ''
-chardev help
-chardev stdio,help
-device help
-device ?
-device isa-debug-exit,help
-device foo,help
-d help
-d foo
-d ''
-d int,foo
-display help
-audiodev help
-netdev help
-vga help
-smp help
-boot help
-rtc help
-action help
-msg help
-global help
-L help
-drive format=help
`.trim().split("\n");

/** Help that is printed word for word: keys and properties. */
export const SAME_HELP = [
  "-M pc,help",
  "-M isapc,foo=1 -version -foo",
  "-accel help",
  "-smp help",
  "-boot help",
  "-rtc help",
  "-action help",
  "-msg help",
  "-global help",
  "-chardev stdio,help",
  "-device isa-debug-exit,help",
  "-device isa-debugcon,help",
  "-device isa-parallel,help",
  "-device ide-hd,help",
  "-device ide-cd,help",
  "-device floppy,help",
  "-device pci-bridge,help",
  "-device pc-testdev,help",
  "-device VGA,help",
  "-device isa-fdc,help",
  "-device piix3-ide,help",
];

/** The words of a line: blanks separate, `''` is an empty word. */
export function split(line: string): string[] {
  return line.split(" ").map((w) => (w === "''" ? "" : w));
}

/** Nothing of the real display is wanted. */
export function quiet(args: string[]): string[] {
  const common = args.includes("-display") ? [] : ["-display", "none"];
  return [...common, ...args];
}

/** Whether QEMU 7.2 is installed. */
export async function haveQemu(): Promise<boolean> {
  try {
    const out = await new Deno.Command(QEMU, { args: ["-version"], stderr: "null" }).output();
    return new TextDecoder().decode(out.stdout).startsWith("QEMU emulator version 7.2.");
  } catch {
    return false;
  }
}

/** Runs QEMU with `typed` on its standard input. */
export async function runQemu(args: string[], cwd: string, typed = ""): Promise<Outcome> {
  const child = new Deno.Command(QEMU, {
    args,
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C.UTF-8" },
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const stdin = child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(typed)).catch(() => {});
  await stdin.close().catch(() => {});
  const out = await child.output();
  clearTimeout(timer);
  // Debian's build tells of modules that are not installed.
  const text = (b: Uint8Array) => new TextDecoder().decode(b).replace(/^qemu: module .*\n/gm, "");
  return { stdout: text(out.stdout), stderr: text(out.stderr), status: out.code };
}

/** A directory with the images that the lines name, removed at the end. */
export async function inImageDir<T>(f: (dir: string) => Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir();
  try {
    Deno.writeFileSync(`${dir}/disk`, new Uint8Array(1 << 20));
    Deno.writeFileSync(`${dir}/odd`, new Uint8Array(70_000));
    // An SMBIOS structure, ACPI tables with and without their true length, a text too short for both.
    Deno.writeFileSync(`${dir}/structure`, Uint8Array.of(11, 5, 0x34, 0x12, 1, 0x61, 0, 0));
    Deno.writeFileSync(`${dir}/table`, new Uint8Array(40).fill(40, 4, 5));
    Deno.writeFileSync(`${dir}/wrong`, new Uint8Array(40).fill(41, 4, 5));
    Deno.writeTextFileSync(`${dir}/words`, "abc");
    for (const [name, text] of Object.entries({ ...BAD_CONFIGS, ...GOOD_CONFIGS })) {
      Deno.writeTextFileSync(`${dir}/${name}.cfg`, text);
    }
    return await f(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** QEMU's outcome of a line; an accepted one is ended through its monitor. */
export function askQemu(line: string, accepted: boolean): Promise<Outcome> {
  const monitor = ["-chardev", "stdio,id=the_monitor", "-mon", "the_monitor", "-S"];
  return inImageDir((dir) =>
    accepted
      ? runQemu([...monitor, ...quiet(split(line))], dir, "quit\n")
      : runQemu(quiet(split(line)), dir)
  );
}

/** What is compared of an outcome. */
export type Recorded = Record<string, { status: number; stderr: string; stdout?: string }>;

/** Which lines there are, and what is compared of them. */
export const KINDS = {
  bad: { lines: BAD, accepted: false, stdout: false },
  warned: { lines: WARNED, accepted: true, stdout: false },
  help: { lines: HELP, accepted: false, stdout: false },
  sameHelp: { lines: SAME_HELP, accepted: false, stdout: true },
} as const;
export type Kind = keyof typeof KINDS;

/** Asks QEMU about `lines`, several at a time. */
export async function record(kind: Kind, lines: readonly string[]): Promise<Recorded> {
  const { accepted, stdout: withOutput } = KINDS[kind];
  const queue = [...lines];
  const got: Recorded = {};
  const worker = async () => {
    for (let line; (line = queue.shift()) !== undefined;) {
      const { status, stderr, stdout } = await askQemu(line, accepted);
      got[line] = { status, stderr, ...(withOutput ? { stdout } : {}) };
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  return Object.fromEntries(lines.map((l) => [l, got[l]]));
}

export const RECORD = new URL("qemu_7_2.json", import.meta.url);

if (import.meta.main) {
  const all: Partial<Record<Kind, Recorded>> = {};
  for (const kind of Object.keys(KINDS) as Kind[]) {
    all[kind] = await record(kind, KINDS[kind].lines);
  }
  Deno.writeTextFileSync(RECORD, JSON.stringify(all, undefined, 2) + "\n");
}
