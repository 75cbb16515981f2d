/**
 * Every command line option, once: its name, whether it takes an argument, what `-help` says about
 * it, how far it works, and what it does. Parsing, `-help`, messages about options that are not
 * there, and docs/compatibility.md all come from this table. Usage lines use QEMU 7.2's words.
 */
import { addAcpiTable } from "./acpitable.ts";
import { addDrive } from "./drives.ts";
import * as lists from "./lists.ts";
import * as does from "./simple_options.ts";
import { readConfig } from "./readconfig.ts";
import { parseUuid } from "./settings.ts";
import { addSmbios } from "./smbios.ts";

/** `works`: as in QEMU. `differs`: see the note. `missing`: refused with a message. */
export type OptionStatus = "works" | "differs" | "missing";

export interface OptionRow {
  name: string;
  /** It takes the next word of the command line. */
  arg: boolean;
  section: Section;
  /** Lines for `-help`; rows without one share the line of another row. */
  usage: string;
  status: OptionStatus;
  /** What differs, or what a missing option is for. */
  note?: string;
  apply: does.Apply;
}

export const SECTIONS = [
  "Standard options",
  "Block device options",
  "USB convenience options",
  "Display options",
  "i386 target only",
  "Network options",
  "Character device options",
  "Boot Image or Kernel specific",
  "Debug/Expert options",
  "Generic object creation",
  "Other targets",
] as const;
export type Section = (typeof SECTIONS)[number];

interface Extra {
  status?: OptionStatus;
  note?: string;
}

function rows(section: Section, ...list: Omit<OptionRow, "section">[]): OptionRow[] {
  return list.map((row) => ({ section, ...row }));
}

/** An option with an argument. */
function arg(name: string, usage: string, apply: does.Apply, extra: Extra = {}) {
  return { name, arg: true, usage, apply, status: "works" as OptionStatus, ...extra };
}

/** An option without one. */
function flag(name: string, usage: string, apply: does.Apply, extra: Extra = {}) {
  return { name, arg: false, usage, apply, status: "works" as OptionStatus, ...extra };
}

/** An option that is refused. */
function missing(name: string, takesArg: boolean, note: string) {
  return {
    name,
    arg: takesArg,
    usage: "",
    apply: does.nothing,
    status: "missing" as OptionStatus,
    note,
  };
}

const differs = (note: string): Extra => ({ status: "differs", note });
const NO_EFFECT = differs("accepted and checked; it changes nothing here");

const disk = (index: number): does.Apply => (c, file, loc) =>
  void addDrive(c.groups, loc, undefined, index, file, "disk");
const floppy = (index: number): does.Apply => (c, file, loc) =>
  void addDrive(c.groups, loc, "floppy", index, file);

export const OPTIONS: readonly OptionRow[] = [
  ...rows(
    "Standard options",
    flag("h", "-h or -help     display this help and exit", does.nothing),
    flag("help", "", does.nothing),
    flag("version", "-version        display version information and exit", does.nothing),
    arg(
      "machine",
      `-machine [type=]name[,prop[=value][,...]]
                selects emulated machine ('-machine help' for list)
                property accel=accel1[:accel2[:...]] selects accelerator
                supported accelerators are kvm or tcg (default: tcg)
                vmport=on|off|auto controls emulation of vmport (default: auto)
                hpet=on|off, acpi=on|off, i8042=on|off, usb=on|off and others
                ('-machine name,help' for list)`,
      does.machine,
      differs(
        "every version of pc-i440fx, and of pc-q35, is the same board; microvm without pcie; isapc to come",
      ),
    ),
    arg("M", "", does.machine, differs("as -machine")),
    arg("cpu", "-cpu cpu        select CPU ('-cpu help' for list)", (c, text) => c.cpu = text),
    arg(
      "accel",
      `-accel [accel=]accelerator[,prop[=value][,...]]
                select accelerator (kvm or tcg; use 'help' for a list)
                kernel-irqchip=on|off|split controls accelerated irqchip support (default=on)
                tb-size=n (TCG translation block cache size)
                thread=single|multi (enable multi-threaded TCG)
                tier=0|1 (tcg: 0 keeps hot code from being compiled into regions)`,
      does.accel,
    ),
    arg(
      "smp",
      "-smp [[cpus=]n][,maxcpus=maxcpus][,sockets=sockets][,dies=dies][,clusters=clusters]" +
        `[,cores=cores][,threads=threads]
                set the number of initial CPUs to 'n' [default=1]
                maxcpus= maximum number of total CPUs, including
                offline CPUs for hotplug, etc
                sockets= number of sockets on the machine board
                dies= number of dies in one socket
                cores= number of cores in one die
                threads= number of threads in one core`,
      does.machineStruct("smp", lists.SMP_OPTS),
    ),
    arg(
      "numa",
      `-numa node[,memdev=id][,cpus=firstcpu[-lastcpu]][,nodeid=node]
-numa dist,src=source,dst=destination,val=distance`,
      does.group(lists.NUMA_OPTS),
      differs("`node` and `dist`; `cpu`, `hmat-lb` and `hmat-cache` are refused"),
    ),
    missing("add-fd", true, "file descriptor sets"),
    arg(
      "set",
      `-set group.id.arg=value
                set <arg> parameter for item <id> of type <group>
                i.e. -set drive.$id.file=/path/to/image`,
      does.set,
    ),
    arg(
      "global",
      `-global driver.property=value
-global driver=driver,property=property,value=value
                set a global default for a driver property`,
      does.global,
    ),
    arg(
      "boot",
      `-boot [order=drives][,once=drives][,menu=on|off]
      [,splash=sp_name][,splash-time=sp_time][,reboot-timeout=rb_time][,strict=on|off]
                'drives': floppy (a), hard disk (c), CD-ROM (d), network (n)
                'sp_name': the file's name that would be passed to bios as logo picture, if menu=on
                'sp_time': the period that splash picture last if menu=on, unit is ms
                'rb_timeout': the timeout before guest reboot when boot failed, unit is ms`,
      does.machineStruct("boot", lists.BOOT_OPTS),
    ),
    arg(
      "m",
      `-m [size=]megs[,slots=n,maxmem=size]
                configure guest RAM
                size: initial amount of guest memory
                slots: number of hotplug slots (default: none)
                maxmem: maximum amount of guest memory (default: none)`,
      does.group(lists.MEMORY_OPTS),
    ),
    missing("mem-path", true, "guest RAM in a file"),
    flag(
      "mem-prealloc",
      "-mem-prealloc   preallocate guest memory",
      does.nothing,
      NO_EFFECT,
    ),
    arg(
      "k",
      "-k language     use keyboard layout (for example 'fr' for French)",
      (c, text) => c.keyboardLayout = text,
    ),
    missing("audio-help", false, "sound"),
    missing("audio", true, "sound"),
    arg(
      "audiodev",
      `-audiodev none,id=id[,prop[=value][,...]]
                dummy driver that discards all output
                Use \`\`-audiodev help\`\` to list the available drivers`,
      does.audiodev,
      differs("only the driver none"),
    ),
    arg(
      "device",
      `-device driver[,prop[=value][,...]]
                add device (based on driver)
                prop=value,... sets driver properties
                use '-device help' to print all possible drivers
                use '-device driver,help' to print all possible properties`,
      does.device,
      differs("the devices that -device help lists"),
    ),
    arg(
      "name",
      `-name string1[,process=string2][,debug-threads=on|off]
                set the name of the guest
                string1 sets the window title and string2 the process name`,
      does.group(lists.NAME_OPTS),
    ),
    arg(
      "uuid",
      `-uuid %08x-%04x-%04x-%04x-%012x
                specify machine UUID`,
      (c, text, loc) => c.uuid = parseUuid(text, loc),
    ),
  ),
  ...rows(
    "Block device options",
    arg("fda", "-fda/-fdb file  use 'file' as floppy disk 0/1 image", floppy(0)),
    arg("fdb", "", floppy(1)),
    arg("hda", "-hda/-hdb file  use 'file' as hard disk 0/1 image", disk(0)),
    arg("hdb", "", disk(1)),
    arg("hdc", "-hdc/-hdd file  use 'file' as hard disk 2/3 image", disk(2)),
    arg("hdd", "", disk(3)),
    arg(
      "cdrom",
      "-cdrom file     use 'file' as CD-ROM image",
      (c, file, loc) => void addDrive(c.groups, loc, undefined, 2, file, "cdrom"),
    ),
    missing("blockdev", true, "block back ends as nodes"),
    arg(
      "drive",
      `-drive [file=file][,if=type][,bus=n][,unit=m][,media=d][,index=i]
       [,cache=writethrough|writeback|none|directsync|unsafe][,format=f]
       [,snapshot=on|off][,rerror=ignore|stop|report]
       [,werror=ignore|stop|report|enospc][,id=name]
       [,aio=threads|native|io_uring]
       [,readonly=on|off][,copy-on-read=on|off]
       [,discard=ignore|unmap][,detect-zeroes=on|off|unmap]
                use 'file' as a drive image`,
      (c, text, loc) => void c.groups.parse(lists.DRIVE_OPTS, text, loc, false),
      differs("raw images; if=ide, virtio, floppy, pflash and none; no I/O throttling"),
    ),
    arg("mtdblock", "", (c, file, loc) => void addDrive(c.groups, loc, "mtd", -1, file)),
    arg("sd", "", (c, file, loc) => void addDrive(c.groups, loc, "sd", -1, file)),
    flag(
      "snapshot",
      "-snapshot       write to temporary files instead of disk image files",
      (c) => c.snapshot = true,
    ),
    missing("fsdev", true, "file system back ends"),
    missing("virtfs", true, "sharing host directories"),
    missing("iscsi", true, "iSCSI sessions"),
  ),
  ...rows(
    "USB convenience options",
    flag(
      "usb",
      "-usb            enable on-board USB host controller (if not enabled by default)",
      does.machineProp("usb", "on"),
      differs("accepted; there is no USB controller yet"),
    ),
    missing("usbdevice", true, "USB devices"),
  ),
  ...rows(
    "Display options",
    arg(
      "display",
      `-display none
                select display backend type
                The default display is none: screens are read with the monitor's screendump`,
      does.display,
      differs("only none, and it is the default"),
    ),
    flag(
      "nographic",
      "-nographic      disable graphical output and redirect serial I/Os to console",
      does.nographic,
    ),
    missing("spice", true, "the SPICE display"),
    flag("portrait", "", does.nothing, NO_EFFECT),
    arg("rotate", "", does.rotate, NO_EFFECT),
    arg(
      "vga",
      `-vga [std|none]
                select video card type`,
      (c, text) => c.vga = text,
      differs("std and none"),
    ),
    flag("full-screen", "", does.nothing, NO_EFFECT),
    arg("vnc", "", does.vnc, differs("only none")),
  ),
  ...rows(
    "i386 target only",
    flag("win2k-hack", "", does.nothing, NO_EFFECT),
    flag(
      "no-fd-bootchk",
      "-no-fd-bootchk  disable boot signature checking for floppy disks",
      (c) => c.fdBootchk = false,
    ),
    flag("no-acpi", "-no-acpi        disable ACPI", does.machineProp("acpi", "off")),
    flag("no-hpet", "-no-hpet        disable HPET", does.machineProp("hpet", "off")),
    arg(
      "acpitable",
      "-acpitable [sig=str][,rev=n][,oem_id=str][,oem_table_id=str][,oem_rev=n]" +
        "[,asl_compiler_id=str][,asl_compiler_rev=n][,{data|file}=file1[:file2]...]\n" +
        "                ACPI table description",
      addAcpiTable,
    ),
    arg(
      "smbios",
      `-smbios file=binary
                load SMBIOS entry from binary file
-smbios type=0[,vendor=str][,version=str][,date=str][,release=%d.%d]
              [,uefi=on|off]
                specify SMBIOS type 0 fields
-smbios type=1[,manufacturer=str][,product=str][,version=str][,serial=str]
              [,uuid=uuid][,sku=str][,family=str]
                specify SMBIOS type 1 fields
-smbios type=2[,manufacturer=str][,product=str][,version=str][,serial=str]
              [,asset=str][,location=str]
                specify SMBIOS type 2 fields
-smbios type=3[,manufacturer=str][,version=str][,serial=str][,asset=str]
              [,sku=str]
                specify SMBIOS type 3 fields
-smbios type=4[,sock_pfx=str][,manufacturer=str][,version=str][,serial=str]
              [,asset=str][,part=str][,max-speed=%d][,current-speed=%d]
              [,processor-id=%d]
                specify SMBIOS type 4 fields
-smbios type=8[,external_reference=str][,internal_reference=str][,connector_type=%d][,port_type=%d]
                specify SMBIOS type 8 fields
-smbios type=11[,value=str][,path=filename]
                specify SMBIOS type 11 fields
-smbios type=17[,loc_pfx=str][,bank=str][,manufacturer=str][,serial=str]
               [,asset=str][,part=str][,speed=%d]
                specify SMBIOS type 17 fields
-smbios type=41[,designation=str][,kind=str][,instance=%d][,pcidev=str]
                specify SMBIOS type 41 fields`,
      addSmbios,
    ),
  ),
  ...rows(
    "Network options",
    arg("netdev", "", does.netdev, { status: "missing", note: "network back ends" }),
    arg(
      "nic",
      `-nic none       use it alone to have zero network devices`,
      does.net(lists.NIC_OPTS),
      differs("only none; there is no default network card either"),
    ),
    arg("net", "-net none       the same", does.net(lists.NET_OPTS), differs("only none")),
  ),
  ...rows(
    "Character device options",
    arg(
      "chardev",
      `-chardev help
-chardev null,id=id[,mux=on|off][,logfile=PATH][,logappend=on|off]
-chardev socket,id=id[,host=host],port=port[,to=to][,ipv4=on|off][,ipv6=on|off][,nodelay=on|off]
         [,server=on|off][,wait=on|off][,telnet=on|off][,reconnect=seconds][,mux=on|off]
         [,logfile=PATH][,logappend=on|off] (tcp)
-chardev socket,id=id,path=path[,server=on|off][,wait=on|off][,telnet=on|off][,reconnect=seconds]
         [,mux=on|off][,logfile=PATH][,logappend=on|off][,abstract=on|off][,tight=on|off] (unix)
-chardev udp,id=id[,host=host],port=port[,localaddr=localaddr]
         [,localport=localport][,ipv4=on|off][,ipv6=on|off][,mux=on|off]
         [,logfile=PATH][,logappend=on|off]
-chardev vc,id=id[[,width=width][,height=height]][[,cols=cols][,rows=rows]]
         [,mux=on|off][,logfile=PATH][,logappend=on|off]
-chardev ringbuf,id=id[,size=size][,logfile=PATH][,logappend=on|off]
-chardev file,id=id,path=path[,mux=on|off][,logfile=PATH][,logappend=on|off]
-chardev pipe,id=id,path=path[,mux=on|off][,logfile=PATH][,logappend=on|off]
-chardev pty,id=id[,mux=on|off][,logfile=PATH][,logappend=on|off]
-chardev stdio,id=id[,mux=on|off][,signal=on|off][,logfile=PATH][,logappend=on|off]
-chardev serial,id=id,path=path[,mux=on|off][,logfile=PATH][,logappend=on|off]
-chardev parallel,id=id,path=path[,mux=on|off][,logfile=PATH][,logappend=on|off]`,
      does.chardev,
      differs("no TLS, websocket, tn3270, msmouse, wctablet, braille, testdev, spice, vdagent"),
    ),
    missing("tpmdev", true, "trusted platform modules"),
  ),
  ...rows(
    "Boot Image or Kernel specific",
    arg("bios", "-bios file      set the filename for the BIOS", does.machineArg("firmware")),
    arg(
      "pflash",
      "-pflash file    use 'file' as a parallel flash image",
      (c, file, loc) => void addDrive(c.groups, loc, "pflash", -1, file),
    ),
    arg(
      "kernel",
      "-kernel bzImage use 'bzImage' as kernel image",
      does.machineArg("kernel"),
    ),
    arg(
      "append",
      "-append cmdline use 'cmdline' as kernel command line",
      does.machineArg("append"),
    ),
    arg("initrd", "-initrd file    use 'file' as initial ram disk", does.machineArg("initrd")),
    arg("dtb", "-dtb    file    use 'file' as device tree image", does.machineArg("dtb")),
  ),
  ...rows(
    "Debug/Expert options",
    arg("compat", "", does.compat, NO_EFFECT),
    arg(
      "fw_cfg",
      `-fw_cfg [name=]<name>,file=<file>
                add named fw_cfg entry with contents from file
-fw_cfg [name=]<name>,string=<str>
                add named fw_cfg entry with contents from string`,
      does.group(lists.FW_CFG_OPTS),
    ),
    arg("serial", "-serial dev     redirect the serial port to char device 'dev'", does.serial),
    arg(
      "parallel",
      "-parallel dev   redirect the parallel port to char device 'dev'",
      does.parallel,
    ),
    arg("monitor", "-monitor dev    redirect the monitor to char device 'dev'", does.monitor),
    missing("qmp", true, "the QMP monitor"),
    missing("qmp-pretty", true, "the QMP monitor"),
    arg(
      "mon",
      "-mon [chardev=]name[,mode=readline]",
      does.mon,
      differs("no mode=control: the QMP monitor is to come"),
    ),
    arg(
      "debugcon",
      "-debugcon dev   redirect the debug console to char device 'dev'",
      does.debugcon,
    ),
    arg("pidfile", "-pidfile file   write PID to 'file'", (c, file) => c.pidfile = file),
    flag("singlestep", "", does.nothing, NO_EFFECT),
    missing("preconfig", false, "pausing before the machine is made"),
    flag(
      "S",
      "-S              freeze CPU at startup (use 'c' to start execution)",
      (c) => c.startPaused = true,
    ),
    arg(
      "overcommit",
      `-overcommit [mem-lock=on|off][cpu-pm=on|off]
                run qemu with overcommit hints`,
      does.group(lists.OVERCOMMIT_OPTS, false),
      NO_EFFECT,
    ),
    arg("gdb", "", does.gdb(), { status: "missing", note: "the gdb stub" }),
    flag("s", "", does.gdb("tcp::1234"), { status: "missing", note: "the gdb stub" }),
    arg(
      "d",
      "-d item1,...    enable logging of specified items (use '-d help' for a list of log items)",
      (c, text) => c.logItems = text,
    ),
    arg(
      "D",
      "-D logfile      output log to logfile (default stderr)",
      (c, file) => c.logFile = file,
    ),
    missing("dfilter", true, "logging of some addresses only"),
    arg("seed", "-seed number       seed the pseudo-random number generator", does.seed),
    arg(
      "L",
      "-L path         set the directory for the BIOS, VGA BIOS and keymaps",
      does.dataDir,
    ),
    flag(
      "enable-kvm",
      "-enable-kvm     enable KVM full virtualization support",
      does.enableKvm,
      differs("where KVM cannot be used it warns once and runs under tcg instead of failing"),
    ),
    flag(
      "no-reboot",
      "-no-reboot      exit instead of rebooting",
      does.action("reboot", "shutdown"),
    ),
    flag("no-shutdown", "-no-shutdown    stop before shutdown", does.action("shutdown", "pause")),
    arg(
      "action",
      `-action reboot=reset|shutdown
                   action when guest reboots [default=reset]
-action shutdown=poweroff|pause
                   action when guest shuts down [default=poweroff]
-action panic=pause|shutdown|exit-failure|none
                   action when guest panics [default=shutdown]
-action watchdog=reset|shutdown|poweroff|inject-nmi|pause|debug|none
                   action when watchdog fires [default=reset]`,
      does.group(lists.ACTION_OPTS, false),
    ),
    missing("loadvm", true, "starting from a saved state"),
    flag(
      "daemonize",
      "-daemonize      daemonize QEMU after initializing",
      (c) => c.daemonize = true,
    ),
    arg(
      "option-rom",
      "-option-rom rom load a file, rom, into the option ROM space",
      does.optionRom,
    ),
    arg(
      "rtc",
      `-rtc [base=utc|localtime|<datetime>][,clock=host|rt|vm][,driftfix=none|slew]
                set the RTC base and clock, enable drift fix for clock ticks (x86 only)`,
      does.group(lists.RTC_OPTS, false),
    ),
    arg(
      "icount",
      `-icount [shift=N|auto][,align=on|off][,sleep=on|off]
                enable virtual instruction counter with 2^N clock ticks per
                instruction, enable aligning the host and virtual clocks
                or disable real time cpu sleeping`,
      does.group(lists.ICOUNT_OPTS),
      differs("no record and replay"),
    ),
    arg(
      "watchdog-action",
      `-watchdog-action reset|shutdown|poweroff|inject-nmi|pause|debug|none
                action when watchdog fires [default=reset]`,
      (c, text, loc) => does.action("watchdog", text)(c, text, loc),
    ),
    arg(
      "echr",
      "-echr chr       set terminal escape character instead of ctrl-a",
      does.echr,
    ),
    missing("incoming", true, "incoming migration"),
    flag("only-migratable", "", does.nothing, NO_EFFECT),
    flag(
      "nodefaults",
      "-nodefaults     don't create default devices",
      (c) => c.hasDefaults = false,
    ),
    missing("chroot", true, "changing the root directory"),
    missing("runas", true, "changing the user"),
    arg(
      "sandbox",
      `-sandbox on[,obsolete=allow|deny][,elevateprivileges=allow|deny|children]
          [,spawn=allow|deny][,resourcecontrol=allow|deny]`,
      does.group(lists.SANDBOX_OPTS),
      differs("accepted and checked; no system call filter is set up"),
    ),
    arg("readconfig", "-readconfig <file>\n                read config file", readConfig),
    flag(
      "no-user-config",
      `-no-user-config
                do not load default user-provided config files at startup`,
      does.nothing,
      differs("there are no default configuration files"),
    ),
    arg("trace", "", does.trace, differs("there are no trace events")),
    missing("plugin", true, "TCG plugins"),
    missing("qtest", true, "the device test protocol"),
    missing("qtest-log", true, "the device test protocol"),
    flag("async-teardown", "", does.nothing, NO_EFFECT),
    arg(
      "msg",
      `-msg [timestamp[=on|off]][,guest-name=[on|off]]
                control error message format
                timestamp=on enables timestamps (default: off)
                guest-name=on enables guest name prefix but only if
                              -name guest option is set (default: off)`,
      does.group(lists.MSG_OPTS, false),
    ),
    missing("dump-vmstate", true, "the layout of saved states"),
    flag("enable-sync-profile", "", does.nothing, NO_EFFECT),
  ),
  ...rows(
    "Generic object creation",
    arg(
      "object",
      `-object TYPENAME[,PROP1=VALUE1,...]
                create a new object of type TYPENAME setting properties
                in the order they are specified.  Note that the 'id'
                property must be set.  These objects are placed in the
                '/objects' path.`,
      does.group(lists.OBJECT_OPTS),
      differs("`memory-backend-ram`, `rng-random` and `rng-builtin`"),
    ),
  ),
  ...rows(
    "Other targets",
    arg("g", "", does.foreign),
    flag("old-param", "", does.foreign),
    flag("semihosting", "", does.foreign),
    arg("semihosting-config", "", does.foreign),
    arg("prom-env", "", does.foreign),
    arg("xen-domid", "", does.foreign),
    flag("xen-attach", "", does.foreign),
    flag("xen-domid-restrict", "", does.foreign),
  ),
];

const byName = new Map(OPTIONS.map((o) => [o.name, o]));

export function findOption(name: string): OptionRow | undefined {
  return byName.get(name);
}
