/** The human monitor beside Debian's QEMU 7.2: one script through both, answers compared. */
import { assertEquals } from "../../core/std/assert.ts";
import { answers, BARE, both, differences, ignore, MAIN, QEMU } from "./pair.ts";

const directory = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));

const bios = "/usr/share/seabios/bios-256k.bin";

const SCRIPT = `help info status
help x
? stop
help nosuch
help info nosuch
foo
info foo
info status a
info status
x
x /4
x /q 0
x 1 2
x 08
x "
p 1+2
p 5|2&1
p $foo
p $eip
p $pc
p $cs.limit
p $edx*0
p /c 65
p /d -1
p /o 8
p 1/0
p (1+2
p abc
print 5
p /x 7
i 0x1234567890
i /w 0x61 2
o 0x80
o /b 0x80 1
cpu
cpu 5
cpu 0
info kvm
info name
info uuid
info block
info blockstats
info network
info chardev
info mice
info tlb
info mem
info usb
info snapshots
info pic
info irq
info lapic
info lapic 5
info registers 5
info registers -z
info registers foo
sendkey
sendkey foo
sendkey a b
sendkey ctrl-alt-delete
sendkey a 10
mouse_move 1
mouse_move 1 1
mouse_button 0
mouse_set 0
eject
eject -z
eject -f foo
change foo
change foo bar
commit
commit all
commit foo
pmemsave 0 16
pmemsave 0 16 /tmp/x
pmemsave 0 16 "/nodir/x"
memsave 0 16 "/nodir/x"
memsave 0 16 "x
screendump
screendump ${directory}/x
screendump ${directory}/x -f gif
log
log int
log none
logfile
logfile /nodir/x
gva2gpa 0
gva2gpa 0xfffff000
gpa2hva 0xd0000000
gpa2hva 0xfee00000
sum 0
sum 0 16
sum 0xffff0 16
sum 0xd0000000 4
boot_set
boot_set zzz
boot_set d
stop
info status
xp /4wx 0xfffffff0
x /2i 0xffff0
xp /8xb 0xffff0
xp /4dh 0xffff0
xp /3oh 0xffff0
xp /3ub 0xffff0
xp /8cb 0xffff0
xp /2c 0xffff0
xp /4xg 0xfffffff0
xp 0xd0000000
xp /i 0xd0000000
chardev-remove foo
chardev-remove compat_monitor0
chardev-add foo
chardev-add null,id=z
chardev-add null,id=z
chardev-remove z
system_wakeup
system_reset foo
stop;cont
info history
quit foo
quit
`;

Deno.test({ name: "answers are QEMU's, word for word", ignore }, async () => {
  const [theirs, ours] = await both([...BARE, "-S", "-bios", bios], SCRIPT);
  assertEquals(differences(answers(ours.output), answers(theirs.output)), "");
  assertEquals([ours.status, theirs.status], [0, 0]);
});

/** A script for a machine with two processors and everything that a PC has by default. */
const DEFAULT_SCRIPT = `info block
info block -v
info block -n
info block ide1-cd0
info block -v ide1-cd0
info block nosuch
info chardev
info pci
info mice
info network
info memory_size_summary
info registers
info registers -a
info cpus
cpu 1
info cpus
cpu 2
cpu -1
cpu abc
info registers 1
info registers -a 1
info lapic
info lapic 1
info lapic 2
info lapic x
info pic
info irq
help eject
help info registers extra
help "info" status
help "info
help "a\\qb"
stop extra
cont extra
system_powerdown
nmi
nmi 1
x/4xw 0
x /3s 0
x /4xz 0
xp /0xw 0
xp /-1xw 0
xp /16cb 0xfe000
xp /4db 0xf0000
xp /4dh 0xf0000
xp /4dw 0xf0000
xp /4dg 0xf0000
xp /4uh 0xf0000
xp /4ob 0xf0000
xp /5xg 0xf0000
p
p 0x10*4
p 7%3
p 1<<4
p ~0
p !0
p 'a'
p 1 2
p /x -1
p /u -1
p /c 300
p /d 0xffffffff
p /i 4
p /z 4
print /x $eip
i 0x60
i /b 0x64
i /w 0xcf8
i /g 0x60
i
o /w 0xcf8 0x80000000
i /w 0xcfc
o
o 1
o 1 2 3
sendkey a-b-c
sendkey a-
sendkey -a
sendkey unmapped-a
sendkey 0x1e
sendkey 0x
sendkey a 0
sendkey a -1
sendkey a b
sendkey a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q
mouse_move
mouse_move 1 2 3
mouse_move a b
mouse_button 7
mouse_set 0
mouse_set 1
mouse_set 2
mouse_set 3
eject -f ide1-cd0
eject ide1-cd0 x
eject floppy0
change ide1-cd0
change ide1-cd0 /nosuch
change ide1-cd0 /nosuch raw
change ide1-cd0 /dev/null
change ide1-cd0 ${directory}/medium raw
info block ide1-cd0
change ide1-cd0 ${directory}/medium raw bad
change ide1-cd0 ${directory}/medium raw read-write
change ide1-cd0 ${directory}/medium nosuch
change -f ide1-cd0 ${directory}/medium
change ide1-cd0 -f ${directory}/medium raw read-only
change floppy0 ${directory}/medium raw read-only
info block floppy0
eject floppy0
info block
pmemsave
pmemsave 0 16
pmemsave 0 -1 "${directory}/dump"
pmemsave 0xffffffffff 16 "${directory}/dump"
memsave 0 16 "${directory}/dump"
memsave 0xffffffff0 16 "${directory}/dump"
memsave 0 16
screendump ${directory}/screen -f png
screendump -f png ${directory}/screen
screendump ${directory}/screen nosuch
screendump /nosuch/screen
log cpu_reset,int
log none
logfile
gva2gpa
gva2gpa x
gva2gpa 0x1000
gva2gpa 0x100000000
x /2xw 0xfffffffc
x /20xb 0xfffffff0
x /xw 0x100000000
xp /3xw 0xfffffffc
memsave 0xfffffffc 16 "${directory}/dump"
memsave 0xd0000000 16 "${directory}/dump"
sum
sum 0 4096
sum 0xf0000 x
sum 0xf0000 65536
sum 0xfffff000 4096
gva2gpa -1
gva2gpa 0x7fff123456789abc
x /3i 0xfffffff0
x /40i 0xf03f0
xp /60i 0xf13e8
x /20i 0x3ffffe0
x /0i 0
boot_set nnnn
system_wakeup
quit now
q x
q
`;

/** Answers without what no two runs have in common, or what QEMU has other than a processor. */
function comparable(output: string): string[] {
  return answers(output).map((line) =>
    line.replace(/thread_id=\d+/, "thread_id=N").replace(/#block\d+/, "#blockN")
      // After RESET FCW is 0040h and no register empty: Intel SDM volume 3A, table 9-1.
      .replace(/FCW=(037f FSW=0000 \[ST=0\] FTW=00|0040 FSW=0000 \[ST=0\] FTW=ff)/, "FCW=reset")
  );
}

Deno.test({ name: "answers on a whole PC with two processors are QEMU's", ignore }, async () => {
  Deno.writeFileSync(`${directory}/medium`, new Uint8Array(4096));
  const machine = ["-M", "pc", "-m", "64", "-smp", "2", "-S", "-bios", bios];
  const ends = ["-display", "none", "-net", "none"];
  const [theirs, ours] = await both([...machine, ...ends], DEFAULT_SCRIPT);
  assertEquals(differences(comparable(ours.output), comparable(theirs.output)), "");
  assertEquals([ours.status, theirs.status], [0, 0]);
});

/** The parts of `info mtree`, with the names of address spaces sorted. */
function mtreeParts(output: string): string[] {
  const lines = output.replaceAll("\r", "").split("\n");
  const kept = lines.filter((line) => !/^(QEMU |\(qemu\) |FlatView #)/.test(line));
  return kept.join("\n").split("\n\n").map((part) => {
    const lines = part.split("\n").filter((line) => line !== "");
    const isName = (line: string) => /^address-space: | AS "/.test(line);
    return [...lines.filter(isName).sort(), ...lines.filter((line) => !isName(line))].join("\n");
  });
}

Deno.test({ name: "info mtree and its flat view of memory are QEMU's", ignore }, async () => {
  const machine = ["-M", "pc", "-m", "64", "-smp", "2", "-S", "-bios", bios];
  const ends = ["-display", "none", "-net", "none"];
  for (
    const [option, least] of [["", 5], [" -f", 1], [" -o", 5], [" -f -o", 1], [" -d", 5]] as const
  ) {
    const [theirs, ours] = await both([...machine, ...ends], `info mtree${option}\nquit\n`);
    const wanted = mtreeParts(theirs.output);
    // Which ports there are is another matter: QEMU has devices for hot-plugging.
    const parts = mtreeParts(ours.output).filter((p) =>
      /^(address-space|memory-region| AS)/.test(p) && !/^(address-space: I\/O| AS "I\/O")/.test(p)
    );
    assertEquals(parts.length >= least, true);
    assertEquals(parts.filter((p) => !wanted.includes(p)), []);
  }
});

/** What this program has and QEMU has not. */
const OWN_COMMANDS = /^(info )?(accel|exits) /;

Deno.test({ name: "help lists commands in QEMU's order and words", ignore }, async () => {
  const [theirs, ours] = await both([...BARE, "-S"], "help\ninfo\nhelp info\n?\n? info\nquit\n");
  const lines = answers(ours.output).filter((line) => !OWN_COMMANDS.test(line));
  const wanted = answers(theirs.output);
  assertEquals(wanted.filter((line) => !lines.includes(line)), []);
  assertEquals(lines, wanted);
});

Deno.test({ name: "editing and completion are QEMU's, byte for byte", ignore }, async () => {
  Deno.writeTextFileSync(`${directory}/long-name`, "");
  Deno.mkdirSync(`${directory}/sub`, { recursive: true });
  const keys = "info nam\t\nx\x7finfo foo\n\x1b[A\x1b[A\x1b[B\nabc def\x17\x01Z\x05Y\n" +
    `h\x1b[A\x04\ninfo reg\t\x01\x1b[C\x1b[3~\nhelp system_r\t\nlogfile ${directory}/lo\t\x17\n` +
    `logfile ${directory}/su\t\x17\nlogfile ${directory}/\t\x17\nx\x1bOHy\x1bOFz\nquit\n`;
  const [theirs, ours] = await both([...BARE, "-S"], keys);
  assertEquals(ours.output, theirs.output);
});

/** Typed in front of Tab, and what takes the completed line away again. */
const COMPLETIONS: readonly string[] = [
  "eje",
  "eject ide",
  "eject ",
  "eject -f i",
  'eject "ide',
  "info block ",
  "commit ",
  "change fl",
  `change floppy0 ${directory}/`,
  `change floppy0 ${directory}/lo`,
  "sendkey kp_",
  "sendkey ctrl-al",
  "sendkey a-",
  "sendkey a ",
  "help syst",
  "help system_r",
  "help info reg",
  "info cp",
  "mouse_",
  `screendump ${directory}/s`,
  `logfile ${directory}/`,
  `memsave 0 16 "${directory}/`,
  `pmemsave 0 16 ${directory}/`,
  "chardev-remove ",
  "log in",
  "p $e",
  "x /4i ",
  "cpu ",
  "boot_set ",
  "device_add pci-te",
  "device_del ",
  "set_link ",
  "migrate_set_capability x",
  "migrate_set_capability xbzrle ",
  "migrate_set_parameter an",
  "watchdog_action re",
  "trace-event foo ",
  "chardev-add nu",
  "chardev-change ",
  "help migrate_s",
  "info virtio-",
  "block_resize i",
  "zzz",
  "zzz ",
];

Deno.test({ name: "Tab completes what QEMU completes, byte for byte", ignore }, async () => {
  Deno.mkdirSync(`${directory}/sub`, { recursive: true });
  Deno.writeTextFileSync(`${directory}/long-name`, "");
  const keys = COMPLETIONS.map((typed) => `${typed}\t${"\x17".repeat(8)}`).join("") + "quit\n";
  const machine = ["-M", "pc", "-m", "16", "-S", "-display", "none", "-net", "none"];
  const [theirs, ours] = await both(machine, keys);
  // What is wrong with a quotation QEMU prints on its own standard output, hence without \r.
  const pieces = (output: string) => output.replaceAll("\r", "").split("\n");
  const wanted = pieces(theirs.output);
  assertEquals(pieces(ours.output).filter((line, i) => line !== wanted[i]), []);
  assertEquals(pieces(ours.output).length, wanted.length);
});

/**
 * Ends of 64 KiB ROMs that turn on paging and halt, 4 MiB pages and 4 KiB pages with many different
 * rights: without and with PAE.
 */
const PAGING_ROMS = {
  legacy: "fa31c08ed88ec0b800108ec031ff31c0b90080fcf3ab2e0f0116d8000f20c00c010f22c066ea2c00" +
    "0f00080066b810008ed88ec08ed0c7050000010007300100c70504000100e7004000c70510000100" +
    "a1008000c705fc0f0100e300c0ffb8100000000f22e0bf00300100b80700000031c989ca83e20783" +
    "fa05740d8907f7c20200000074038027fd83c70405001000004181f94001000072d8b8000001000f" +
    "22d80f20c00d000000800f22c08b1d00004000c6050030000001f4ebfd9090900000000000000000" +
    "ffff0000009acf00ffff00000092cf001700c0000f00",
  pae: "fa31c08ed88ec0b800108ec031ff31c0b90080fcf3ab2e0f0116f0000f20c00c010f22c066ea2c00" +
    "0f00080066b810008ed88ec08ed0c7050000010001100100c7051800010001200100c70500100100" +
    "07300100c70508100100e7004000c70510100100a1002000c705f82f0100e300e0ffb8200000000f" +
    "22e0bf00300100b80700000031c989ca83e20783fa05740d8907f7c20200000074038027fd83c708" +
    "05001000004181f94001000072d8b8000001000f22d80f20c00d000000800f22c08b1d00004000c6" +
    "050030000001f4ebfd909090909090900000000000000000ffff0000009acf00ffff00000092cf00" +
    "1700d8000f00",
};

for (const [name, code] of Object.entries(PAGING_ROMS)) {
  Deno.test({ name: `info mem and info tlb are QEMU's: ${name}`, ignore }, async () => {
    const rom = new Uint8Array(65536), file = `${directory}/${name}.bin`;
    rom.set(Uint8Array.from(code.match(/../g)!, (h) => parseInt(h, 16)));
    rom.set([0xea, 0, 0, 0, 0xf0], 0xfff0); // jmp f000:0000
    Deno.writeFileSync(file, rom);
    const script = "info mem\ninfo tlb\nx /4i $eip\ngva2gpa 0x400123\ngva2gpa 0x5000\n" +
      "x /8wx 0x4ff0\nxp /4wx 0x13000\np /x $pc+1\nsum 0xf0000 65536\nx /2wx 0x2ffff8\n" +
      'memsave 0x3000 0x1000 "/dev/null"\nmemsave 0x4000 0x2000 "/dev/null"\nstop\ninfo status\n' +
      "quit\n";
    const [theirs, ours] = await Promise.all([
      halted([QEMU], file, script),
      halted([Deno.execPath(), "run", "-A", MAIN], file, script),
    ]);
    assertEquals(answers(ours).join("\n"), answers(theirs).join("\n"));
  });
}

/** Waits for the guest to halt with paging on, then types `script`. */
async function halted(command: string[], bios: string, script: string): Promise<string> {
  const child = new Deno.Command(command[0], {
    args: [
      ...command.slice(1),
      ...["-M", "pc", "-m", "16", "-nodefaults", "-nographic", "-monitor", "stdio", "-bios", bios],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter(), reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  const ask = async (line: string, until: RegExp) => {
    await writer.write(new TextEncoder().encode(line));
    let got = "";
    while (!until.test(got)) {
      const { value, done } = await reader.read();
      if (done) break;
      got += decoder.decode(value, { stream: true });
    }
    return got;
  };
  const prompt = /\n\(qemu\) $/;
  await ask("", prompt);
  for (;;) {
    const state = await ask("info registers\n", prompt);
    if (/HLT=1/.test(state) && /CR0=[8-f]/.test(state)) break;
    if (!prompt.test(state)) throw new Error(`the monitor ended: ${state}`);
  }
  const output = await ask(script, /never/);
  await child.status;
  await writer.close().catch(() => {});
  return output;
}

Deno.test(
  "the serial port has the focus first under -nographic, Ctrl-a c changes it",
  async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, "-M", "pc", "-m", "16", "-nographic", "-S"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("quit\n\x01cinfo status\nquit\n"));
    const { code, stdout } = await child.output();
    await writer.close().catch(() => {});
    assertEquals(answers(new TextDecoder().decode(stdout)).slice(0, 4), [
      "QEMU 7.2.22 monitor - type 'help' for more information",
      "(qemu) info status",
      "VM status: paused (prelaunch)",
      "(qemu) quit",
    ]);
    assertEquals(code, 0);
  },
);
