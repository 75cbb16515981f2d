/** The keys that options of the `key=value` kind know, with their types: QEMU's option groups. */
import type { OptsList } from "./qemu_opts.ts";

export const DRIVE_OPTS: OptsList = { name: "drive" };
export const DEVICE_OPTS: OptsList = { name: "device", implied: "driver" };
export const ACCEL_OPTS: OptsList = { name: "accel", implied: "accel" };
export const NET_OPTS: OptsList = { name: "net", implied: "type" };
export const NIC_OPTS: OptsList = { name: "nic", implied: "type" };
export const NUMA_OPTS: OptsList = { name: "numa", implied: "type" };
export const NETDEV_OPTS: OptsList = { name: "netdev", implied: "type" };
export const OBJECT_OPTS: OptsList = { name: "object", implied: "qom-type" };

export const GLOBAL_OPTS: OptsList = {
  name: "global",
  keys: { driver: "string", property: "string", value: "string" },
};

export const MEMORY_OPTS: OptsList = {
  name: "memory",
  implied: "size",
  merge: true,
  keys: { size: "size", slots: "number", maxmem: "size" },
};

/** Only for help: `-smp` is read as a machine property. */
export const SMP_OPTS: OptsList = {
  name: "smp-opts",
  implied: "cpus",
  merge: true,
  keys: {
    cpus: "number",
    sockets: "number",
    dies: "number",
    clusters: "number",
    cores: "number",
    threads: "number",
    maxcpus: "number",
  },
};

/** Only for help: `-boot` is read as a machine property. */
export const BOOT_OPTS: OptsList = {
  name: "boot-opts",
  implied: "order",
  merge: true,
  keys: {
    order: "string",
    once: "string",
    menu: "bool",
    splash: "string",
    "splash-time": "number",
    "reboot-timeout": "number",
    strict: "bool",
  },
};

export const RTC_OPTS: OptsList = {
  name: "rtc",
  merge: true,
  keys: { base: "string", clock: "string", driftfix: "string" },
};

export const ICOUNT_OPTS: OptsList = {
  name: "icount",
  implied: "shift",
  merge: true,
  keys: {
    shift: "string",
    align: "bool",
    sleep: "bool",
    rr: "string",
    rrfile: "string",
    rrsnapshot: "string",
  },
};

export const NAME_OPTS: OptsList = {
  name: "name",
  implied: "guest",
  merge: true,
  keys: { guest: "string", process: "string", "debug-threads": "bool" },
  help: {
    guest: "Sets the name of the guest.\n" +
      "This name will be displayed in the SDL window caption.\n" +
      "The name will also be used for the VNC server",
    process: "Sets the name of the QEMU process, as shown in top etc",
    "debug-threads": "When enabled, name the individual threads; defaults off.\n" +
      "NOTE: The thread names are for debugging and not a\nstable API.",
  },
};

export const MSG_OPTS: OptsList = {
  name: "msg",
  keys: { timestamp: "bool", "guest-name": "bool" },
  help: {
    "guest-name": "Prepends guest name for error messages but only if " +
      "-name guest is set otherwise option is ignored\n",
  },
};

export const OVERCOMMIT_OPTS: OptsList = {
  name: "overcommit",
  keys: { "mem-lock": "bool", "cpu-pm": "bool" },
};

export const SANDBOX_OPTS: OptsList = {
  name: "sandbox",
  implied: "enable",
  keys: {
    enable: "bool",
    obsolete: "string",
    elevateprivileges: "string",
    spawn: "string",
    resourcecontrol: "string",
  },
};

export const ACTION_OPTS: OptsList = {
  name: "action",
  merge: true,
  keys: { shutdown: "string", reboot: "string", panic: "string", watchdog: "string" },
};

export const OPTION_ROM_OPTS: OptsList = {
  name: "option-rom",
  implied: "romfile",
  keys: { bootindex: "number", romfile: "string" },
};

export const FW_CFG_OPTS: OptsList = {
  name: "fw_cfg",
  implied: "name",
  keys: { name: "string", file: "string", string: "string", gen_id: "string" },
  help: {
    name: "Sets the fw_cfg name of the blob to be inserted",
    file: "Sets the name of the file from which the fw_cfg blob will be loaded",
    string: "Sets content of the blob to be inserted from a string",
    gen_id: "Sets id of the object generating the fw_cfg blob to be inserted",
  },
};

export const MON_OPTS: OptsList = {
  name: "mon",
  implied: "chardev",
  keys: { mode: "string", chardev: "string", pretty: "bool" },
};

export const CHARDEV_OPTS: OptsList = {
  name: "chardev",
  implied: "backend",
  keys: {
    backend: "string",
    path: "string",
    host: "string",
    port: "string",
    fd: "string",
    localaddr: "string",
    localport: "string",
    to: "number",
    ipv4: "bool",
    ipv6: "bool",
    wait: "bool",
    server: "bool",
    delay: "bool",
    nodelay: "bool",
    reconnect: "number",
    telnet: "bool",
    tn3270: "bool",
    "tls-creds": "string",
    "tls-authz": "string",
    websocket: "bool",
    width: "number",
    height: "number",
    cols: "number",
    rows: "number",
    mux: "bool",
    signal: "bool",
    name: "string",
    debug: "number",
    size: "size",
    chardev: "string",
    append: "bool",
    logfile: "string",
    logappend: "bool",
    mouse: "bool",
    clipboard: "bool",
    tight: "bool",
    abstract: "bool",
  },
};

/** The groups `-set GROUP.ID.KEY=VALUE` and `-readconfig` can name. */
export const OPTS_GROUPS: readonly OptsList[] = [
  DRIVE_OPTS,
  DEVICE_OPTS,
  ACCEL_OPTS,
  NET_OPTS,
  NIC_OPTS,
  GLOBAL_OPTS,
  MEMORY_OPTS,
  RTC_OPTS,
  ICOUNT_OPTS,
  NAME_OPTS,
  MSG_OPTS,
  OVERCOMMIT_OPTS,
  SANDBOX_OPTS,
  ACTION_OPTS,
  OPTION_ROM_OPTS,
  FW_CFG_OPTS,
  MON_OPTS,
  CHARDEV_OPTS,
];
