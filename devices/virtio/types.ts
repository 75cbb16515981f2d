/** Virtio device types as `info qtree` shows them: names, order and defaults of QEMU 7.2. */
import type { DeviceTypeSpec, PropFormat, PropSpec, PropValue } from "../../core/qdev.ts";

const prop = (format: PropFormat) => (name: string, value: PropValue): PropSpec => ({
  name,
  format,
  value,
});
const int = prop("int"), bool = prop("bool"), str = prop("str");
const UNSET = 0xffffffff;

/** Of every device, behind its own. */
const COMMON: readonly PropSpec[] = [
  bool("indirect_desc", true),
  bool("event_idx", true),
  bool("notify_on_empty", true),
  bool("any_layout", true),
  bool("iommu_platform", false),
  bool("packed", false),
  bool("queue_reset", true),
  bool("use-started", true),
  bool("use-disabled-flag", true),
  bool("x-disable-legacy-check", false),
];

/** Of every function, behind its own. */
const FUNCTION: readonly PropSpec[] = [
  bool("virtio-pci-bus-master-bug-migration", false),
  bool("migrate-extra", true),
  bool("modern-pio-notify", false),
  bool("x-disable-pcie", false),
  bool("page-per-vq", false),
  bool("x-ignore-backend-features", false),
  bool("ats", false),
  bool("x-ats-page-aligned", true),
  bool("x-pcie-deverr-init", true),
  bool("x-pcie-lnkctl-init", true),
  bool("x-pcie-pm-init", true),
  bool("x-pcie-flr-init", true),
  bool("aer", false),
];

const IOEVENTFD = bool("ioeventfd", true);

interface Kind {
  readonly name: string;
  readonly category: "Storage" | "Input" | "Misc";
  readonly props: readonly PropSpec[];
  readonly functionProps: readonly PropSpec[];
  readonly variants: boolean;
}

function kinds(block: readonly PropSpec[]): Kind[] {
  return [
    {
      name: "virtio-blk",
      category: "Storage",
      props: [
        ...block,
        str("rerror", "auto"),
        str("werror", "auto"),
        int("cyls", 0),
        int("heads", 0),
        int("secs", 0),
        int("lcyls", 0),
        int("lheads", 0),
        int("lsecs", 0),
        str("serial", ""),
        bool("config-wce", true),
        bool("scsi", false),
        bool("request-merging", true),
        int("num-queues", 0xffff),
        int("queue-size", 256),
        bool("seg-max-adjust", true),
        bool("discard", true),
        bool("report-discard-granularity", true),
        bool("write-zeroes", true),
        int("max-discard-sectors", 4194303),
        int("max-write-zeroes-sectors", 4194303),
        bool("x-enable-wce-if-config-wce", true),
      ],
      functionProps: [int("class", 0), IOEVENTFD, int("vectors", UNSET)],
      variants: true,
    },
    {
      name: "virtio-serial",
      category: "Input",
      props: [int("max_ports", 31), bool("emergency-write", true)],
      functionProps: [IOEVENTFD, int("vectors", 2), int("class", 0)],
      variants: true,
    },
    {
      name: "virtio-balloon",
      category: "Misc",
      props: [
        bool("deflate-on-oom", false),
        bool("free-page-hint", false),
        bool("page-poison", true),
        bool("free-page-reporting", false),
        bool("qemu-4-0-config-size", false),
      ],
      functionProps: [],
      variants: true,
    },
    {
      name: "virtio-rng",
      category: "Misc",
      props: [int("max-bytes", 0x7fffffffffffffffn), int("period", 65536)],
      functionProps: [IOEVENTFD, int("vectors", UNSET)],
      variants: true,
    },
  ];
}

/** Keyboard, mouse, tablet: never with the legacy interface. */
const INPUTS: readonly Kind[] = ["keyboard", "mouse", "tablet"].map((kind) => ({
  name: `virtio-${kind}`,
  category: "Input",
  props: [
    ...(kind === "keyboard" ? [] : [bool("wheel-axis", true)]),
    str("display", ""),
    int("head", 0),
    str("serial", ""),
  ],
  functionProps: [int("vectors", 2)],
  variants: false,
}));

/** @param shared properties of every PCI device, and of every disk */
export function virtioSpecs(
  shared: { readonly pci: readonly PropSpec[]; readonly block: readonly PropSpec[] },
): DeviceTypeSpec[] {
  const list: DeviceTypeSpec[] = [];
  const modes = [str("disable-legacy", "auto"), bool("disable-modern", false)];
  for (const k of [...kinds(shared.block), ...INPUTS]) {
    const base = { category: k.category, user: true, wires: [] };
    const device: DeviceTypeSpec = {
      ...base,
      name: `${k.name}-device`,
      bus: "virtio-bus",
      props: [...k.props, ...COMMON],
    };
    list.push(device);
    for (const suffix of k.variants ? ["", "-non-transitional", "-transitional"] : [""]) {
      list.push({
        ...base,
        name: `${k.name}-pci${suffix}`,
        bus: "PCI",
        alias: suffix === "" ? k.name : undefined,
        props: [
          ...(suffix === "" ? modes : []),
          ...k.functionProps,
          ...FUNCTION,
          ...shared.pci,
        ],
        backend: device.name,
      });
    }
  }
  for (const name of ["virtconsole", "virtserialport"]) {
    list.push({
      name,
      bus: "virtio-serial-bus",
      category: "Input",
      user: true,
      wires: [],
      props: [str("chardev", ""), int("nr", UNSET), str("name", "")],
    });
  }
  list.push({
    name: "acpi-ged-x86",
    bus: "System",
    category: "Uncategorized",
    user: false,
    wires: ['gpio-out "sysbus-irq" 1'],
    props: [int("ged-event", 2)],
  });
  list.push({
    name: "isabus-bridge",
    bus: "System",
    category: "Controller/Bridge/Hub",
    user: false,
    wires: [],
    props: [],
  });
  list.push({
    name: "virtio-mmio",
    bus: "System",
    category: "Misc",
    user: false,
    wires: ['gpio-out "sysbus-irq" 1'],
    props: [
      bool("format_transport_address", true),
      bool("force-legacy", true),
      bool("ioeventfd", true),
    ],
  });
  return list;
}
