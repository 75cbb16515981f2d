/** The virtio devices that `-device` can name: functions for PCI, and devices for a virtio bus. */
import type { DeviceType, Prop } from "./devices.ts";

type Props = Readonly<Record<string, Prop>>;

/** What other devices have, too. */
export interface SharedProps {
  readonly pci: Props;
  readonly block: Props;
  readonly chardev: Prop;
  readonly onError: Prop;
}

const ON_OFF = "on/off";
const on: Prop = { type: "bool", preset: true, text: ON_OFF };
const off: Prop = { type: "bool", preset: false, text: ON_OFF };
/** Features that are not there: they cannot be switched on. */
const never: Prop = { ...off, onlyOff: true };
const bool = (preset: boolean): Prop => ({ type: "bool", preset });
const u32 = (preset: number): Prop => ({ type: "uint32", preset });
const u16 = (preset: number): Prop => ({ type: "uint16", preset });
const IOTHREAD: Prop = { type: "link", word: "link<iothread>" };

/** Of every virtio device. */
const COMMON: Props = {
  any_layout: on,
  event_idx: on,
  indirect_desc: on,
  iommu_platform: never,
  notify_on_empty: on,
  packed: never,
  queue_reset: on,
  "use-disabled-flag": bool(true),
  "use-started": bool(true),
  "x-disable-legacy-check": bool(false),
};

/** Of every function. */
const FUNCTION: Props = {
  aer: never,
  ats: never,
  "migrate-extra": on,
  "modern-pio-notify": never,
  "page-per-vq": off,
  "virtio-pci-bus-master-bug-migration": off,
  "x-ats-page-aligned": on,
  "x-disable-pcie": off,
  "x-ignore-backend-features": bool(false),
  "x-pcie-deverr-init": on,
  "x-pcie-flr-init": on,
  "x-pcie-lnkctl-init": on,
  "x-pcie-pm-init": on,
};
const MODES: Props = {
  "disable-legacy": { type: "OnOffAuto", preset: "auto", text: "on/off/auto" },
  "disable-modern": bool(false),
};
const UNSET = 4294967295;

interface Kind {
  /** `virtio-blk`. */
  readonly name: string;
  readonly category: string;
  /** Of the device, and what its function has besides. */
  readonly props: Props;
  readonly functionProps: Props;
  /** There are `-transitional` and `-non-transitional` functions. */
  readonly variants: boolean;
}

function kinds(shared: SharedProps): Kind[] {
  const { unit: _unit, ...block } = shared.block;
  const ioeventfd = { ioeventfd: on }, klass = { class: u32(0) };
  return [
    {
      name: "virtio-blk",
      category: "Storage",
      props: {
        ...block,
        bootindex: { type: "int32" },
        "config-wce": on,
        cyls: u32(0),
        discard: on,
        heads: u32(0),
        iothread: IOTHREAD,
        lcyls: u32(0),
        lheads: u32(0),
        lsecs: u32(0),
        "max-discard-sectors": u32(4194303),
        "max-write-zeroes-sectors": u32(4194303),
        "num-queues": u16(65535),
        "queue-size": u16(256),
        "report-discard-granularity": bool(true),
        "request-merging": on,
        rerror: shared.onError,
        scsi: never,
        secs: u32(0),
        "seg-max-adjust": bool(true),
        serial: { type: "str" },
        werror: shared.onError,
        "write-zeroes": on,
        "x-enable-wce-if-config-wce": bool(true),
      },
      functionProps: { ...klass, ...ioeventfd, vectors: u32(UNSET) },
      variants: true,
    },
    {
      name: "virtio-serial",
      category: "Input",
      props: { "emergency-write": on, max_ports: u32(31) },
      functionProps: { ...klass, ...ioeventfd, vectors: u32(2) },
      variants: true,
    },
    {
      name: "virtio-balloon",
      category: "Misc",
      props: {
        "deflate-on-oom": off,
        "free-page-hint": never,
        "free-page-reporting": never,
        "guest-stats": { type: "readonly", word: "guest statistics" },
        "guest-stats-polling-interval": { type: "int64", word: "int" },
        iothread: IOTHREAD,
        "page-poison": on,
        "qemu-4-0-config-size": bool(false),
      },
      functionProps: {},
      variants: true,
    },
    {
      name: "virtio-rng",
      category: "Misc",
      props: {
        "max-bytes": { type: "uint64", preset: "9223372036854775807", bare: true },
        period: u32(65536),
        rng: { type: "link", word: "link<rng-backend>" },
      },
      functionProps: { ...ioeventfd, vectors: u32(UNSET) },
      variants: true,
    },
  ];
}

/** Keyboard, mouse, tablet. */
const INPUTS: readonly Kind[] = ["keyboard", "mouse", "tablet"].map((kind) => ({
  name: `virtio-${kind}`,
  category: "Input",
  props: {
    ...(kind === "keyboard" ? {} : { "wheel-axis": bool(true) }),
    display: { type: "str" },
    head: u32(0),
    serial: { type: "str" },
  },
  functionProps: { vectors: u32(2) },
  variants: false,
}));

/** In no particular order. */
export function virtioTypes(shared: SharedProps): DeviceType[] {
  const list: DeviceType[] = [];
  for (const k of [...kinds(shared), ...INPUTS]) {
    const device = `${k.name}-device`;
    list.push({
      name: device,
      bus: "virtio-bus",
      category: k.category,
      props: { ...COMMON, ...k.props },
      pluggable: true,
    });
    const backend: Prop = { type: "readonly", word: `child<${device}>` };
    const functions: [suffix: string, modes: Props][] = [["", MODES]];
    if (k.variants) functions.push(["-non-transitional", {}], ["-transitional", {}]);
    for (const [suffix, modes] of functions) {
      list.push({
        name: `${k.name}-pci${suffix}`,
        bus: "PCI",
        category: k.category,
        alias: suffix === "" ? k.name : undefined,
        props: {
          ...shared.pci,
          ...FUNCTION,
          ...modes,
          ...COMMON,
          ...k.props,
          ...k.functionProps,
          "virtio-backend": backend,
        },
        pluggable: true,
      });
    }
  }
  for (const name of ["virtconsole", "virtserialport"]) {
    list.push({
      name,
      bus: "virtio-serial-bus",
      category: "Input",
      props: { chardev: shared.chardev, name: { type: "str" }, nr: u32(UNSET) },
      pluggable: true,
    });
  }
  return list;
}
