import { assertEquals } from "@std/assert";
import { parseCommandLine } from "./parse.ts";

/** A configuration without where things were asked for. */
function parse(args: string[]): unknown {
  const host = { programName: "q", stdout: () => {}, stderr: () => {} };
  const config = parseCommandLine(args, host);
  return JSON.parse(
    JSON.stringify(config, (key, value) => {
      if (value instanceof Map) return [...value].sort();
      if (value instanceof Set) return [...value];
      if (typeof value === "bigint") return String(value);
      return key === "loc" ? undefined : value;
    }),
  );
}

const CONFIG = `
# A machine with a bit of everything.
[machine]
  type = "q35"
  accel = "tcg"
  hpet = "off"
[smp-opts]
  cpus = "4"
  cores = "2"
[boot-opts]
  order = "dc"
  menu = "on"
[memory]
  size = "256"   the rest of a line is nobody's
[name]
  guest = "a guest, with a comma"
[chardev "com"]
  backend = "file"
  path = "/tmp/a,b"
[chardev "hmp"]
  backend = "null"
[mon "m"]
  chardev = "hmp"
[drive "d"]
  if = "none"
  file = "disk.img"
  format = "raw"
  cache = "none"
[drive]
  index = "2"
  media = "cdrom"
[device "v"]
  driver = "virtio-blk-pci"
  drive = "d"
  bootindex = "1"
[device]
  driver = "isa-serial"
  chardev = "com"
[object "r"]
  qom-type = "rng-builtin"
[device]
  driver = "virtio-rng-pci"
  rng = "r"
[fw_cfg]
  name = "opt/y"
  string = "text"
[global]
  driver = "isa-parallel"
  property = "index"
  value = "1"
[rtc]
  clock = "vm"
[icount]
  shift = "3"
[action]
  panic = "none"
`;

Deno.test("-readconfig: a file means what the same options mean", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, CONFIG);
    const line = [
      ...["-machine", "q35,accel=tcg,hpet=off", "-smp", "cpus=4,cores=2"],
      ...["-boot", "order=dc,menu=on", "-m", "256", "-name", "guest=a guest,, with a comma"],
      ...["-chardev", "file,id=com,path=/tmp/a,,b", "-chardev", "null,id=hmp"],
      ...["-mon", "hmp,id=m", "-drive", "if=none,id=d,file=disk.img,format=raw,cache=none"],
      ...["-drive", "index=2,media=cdrom", "-device", "virtio-blk-pci,id=v,drive=d,bootindex=1"],
      ...["-device", "isa-serial,chardev=com", "-object", "rng-builtin,id=r"],
      ...["-device", "virtio-rng-pci,rng=r", "-fw_cfg", "name=opt/y,string=text"],
      ...["-global", "isa-parallel.index=1", "-rtc", "clock=vm", "-icount", "3"],
      ...["-action", "panic=none", "-display", "none", "-nodefaults"],
    ];
    const rest = ["-display", "none", "-nodefaults"];
    assertEquals(parse(["-readconfig", file, ...rest]), parse(line));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("-readconfig: options before and after the file add to it, the last value wins", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(
      file,
      '[memory]\nsize = "64"\n[machine]\ntype = "q35"\nhpet = "off"\n',
    );
    assertEquals(
      parse(["-m", "32", "-M", "pc", "-readconfig", file, "-m", "size=48", "-M", "smm=off"]),
      parse(["-M", "q35,hpet=off,smm=off", "-m", "48"]),
    );
    // -set reaches what a file has made.
    await Deno.writeTextFile(file, '[device "x"]\ndriver = "isa-debugcon"\nchardev = "c"\n');
    assertEquals(
      parse(["-readconfig", file, "-chardev", "null,id=c", "-set", "device.x.iobase=0x402"]),
      parse(["-device", "isa-debugcon,id=x,chardev=c,iobase=0x402", "-chardev", "null,id=c"]),
    );
  } finally {
    await Deno.remove(file);
  }
});
