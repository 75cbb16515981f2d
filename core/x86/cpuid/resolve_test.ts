import { assert, assertEquals, assertThrows } from "../../std/assert.ts";
import { UserError } from "../../errors.ts";
import { resolveCpu, tcgFeatures } from "./model.ts";
import { findModel, models } from "./models.ts";

const TCG = "warning: TCG doesn't support requested feature: ";
const DEPENDS = "warning: This feature depends on other features that were not requested: ";
/** A software CPU without these. */
const without = (...features: string[]) =>
  new Set([...tcgFeatures].filter((f) => !features.includes(f)));

// The lines below are those of Debian's QEMU 7.2.22 under TCG.

Deno.test("a line for each feature of a model that the accelerator has not, in QEMU's order", () => {
  const available = without("pcid", "x2apic", "tsc-deadline", "invpcid", "avx512f");
  assertEquals(
    resolveCpu("Haswell,+avx512f,avx512f=off,-avx2,avx2=on,erms=off", available).warnings,
    [
      TCG + "CPUID.01H:ECX.pcid [bit 17]",
      TCG + "CPUID.01H:ECX.x2apic [bit 21]",
      TCG + "CPUID.01H:ECX.tsc-deadline [bit 24]",
      TCG + "CPUID.07H:EBX.hle [bit 4]",
      TCG + "CPUID.07H:EBX.invpcid [bit 10]",
      TCG + "CPUID.07H:EBX.rtm [bit 11]",
      TCG + "CPUID.07H:EBX.avx512f [bit 16]",
    ],
  );
  assertEquals(resolveCpu("qemu64,+pmm,svm=off").warnings, [
    TCG + "CPUID.C0000001H:EDX.pmm [bit 12]",
  ]);
  assertEquals(resolveCpu("qemu64,+ibpb,svm=off").warnings, [
    TCG + "CPUID.80000008H:EBX.ibpb [bit 12]",
  ]);
  assertEquals(resolveCpu("kvm64,+pmm,check=off").warnings, []);
  assertEquals(resolveCpu(undefined).warnings, []);
  assertEquals(resolveCpu("max").warnings, []);
  assertEquals(resolveCpu("kvm64,hv-vendor-id=abcdefghijklmn,+pmm").warnings, [
    "warning: hv-vendor-id truncated to 12 characters",
    TCG + "CPUID.C0000001H:EDX.pmm [bit 12]",
  ]);
});

Deno.test("AVX-512 is in the models that have it, and for those who ask", () => {
  const has = (text: string) => {
    const { model, warnings } = resolveCpu(text);
    const word = model.cpuid(7, 0, { apicId: 0, apicEnabled: true, cores: 1, threads: 1 } as never);
    const five = ["f", "dq", "cd", "bw", "vl"].filter((s) => model.has(`avx512${s}`));
    return [
      five.join(" "),
      (word.ebx >>> 16 & 1) === 1,
      warnings.some((w) => w.includes("avx512f")),
    ];
  };
  const all = "f dq cd bw vl";
  assertEquals(has("max"), ["", false, false]);
  assertEquals(has("Haswell"), ["", false, false]);
  assertEquals(has("max,+avx512f"), ["f", true, false]);
  assertEquals(has("Skylake-Server"), [all, true, false]);
  assertEquals(has("Cascadelake-Server,-avx512bw"), ["f dq cd vl", true, false]);
  // What there is not stays a warning.
  assertEquals(
    resolveCpu("Icelake-Server").warnings.filter((w) => w.includes("avx512")).map((w) =>
      w.replace(TCG, "")
    ),
    [
      "CPUID.07H:ECX.avx512vbmi [bit 1]",
      "CPUID.07H:ECX.avx512vbmi2 [bit 6]",
      "CPUID.07H:ECX.avx512vnni [bit 11]",
      "CPUID.07H:ECX.avx512bitalg [bit 12]",
      "CPUID.07H:ECX.avx512-vpopcntdq [bit 14]",
    ],
  );
});

Deno.test("the invariant TSC is for those who ask", () => {
  const has = (text: string) => resolveCpu(text).model.has("invtsc");
  assertEquals(
    ["max", "qemu64", "max,migratable=off", "qemu64,+invtsc", "max,invtsc=on"].map(has),
    [
      false,
      false,
      true,
      true,
      true,
    ],
  );
});

Deno.test("features that need others", () => {
  const asked = "kvm64,+sgx1,+intel-pt-lip,+rdctl-no,+full-width-write,+split-lock-detect";
  assertEquals(resolveCpu(asked).warnings, [
    DEPENDS + "MSR(10AH).rdctl-no [bit 0]",
    DEPENDS + "MSR(CFH).split-lock-detect [bit 5]",
    DEPENDS + "MSR(345H).full-width-write [bit 13]",
    DEPENDS + "CPUID.14H:ECX.intel-pt-lip [bit 31]",
    TCG + "CPUID.12H:EAX.sgx1 [bit 0]",
  ]);
  assertEquals(resolveCpu("qemu64,+npt,-svm").warnings, [
    DEPENDS + "CPUID.8000000AH:EDX.npt [bit 0]",
  ]);
});

Deno.test("+feature beats feature=off, -feature beats both", () => {
  const has = (text: string, f: string) => resolveCpu(text).model.has(f);
  assert(has("kvm64,+avx2,avx2=off", "avx2"));
  assert(!has("kvm64,-avx2,avx2=on,+avx2", "avx2"));
  assert(has("kvm64,sse4_1,xd=off,sse4-2=on", "sse4.1"));
  assert(!has("kvm64,xd=off", "nx"));
  assert(has("kvm64", "hypervisor") && !has("kvm64,-hypervisor", "hypervisor"));
});

Deno.test("versions and aliases", () => {
  const set = (name: string) => resolveCpu(name, new Set([...findModel(name)!.set])).model.features;
  assertEquals(set("Haswell-noTSX"), set("Haswell-v2"));
  assert(
    set("Haswell").has("hle") && !set("Haswell-v2").has("hle") && set("Haswell-v3").has("hle"),
  );
  assertEquals(findModel("Icelake-Server-v6")!.model, 106);
  assertEquals(findModel("Icelake-Server")!.model, 134);
  for (const name of ["Icelake-Server-v7", "max-v1", "base-v1", "host-v1", "Haswell-", "haswell"]) {
    assertEquals(findModel(name), undefined, name);
  }
  assertEquals(models.length, 40);
});

Deno.test("what QEMU refuses", () => {
  const refuse = (text: string, message: string, warned: string[] = []) => {
    const lines: string[] = [];
    const e = assertThrows(() => resolveCpu(text, tcgFeatures, (l) => lines.push(l)), UserError);
    assertEquals([(e as UserError).message, lines], [message, warned]);
  };
  refuse("kvm64,phys-bits=20", "phys-bits should be between 32 and 52  (but is 20)");
  refuse("pentium3,phys-bits=36", "phys-bits is not user-configurable in 32 bit");
  refuse("Haswell,legacy-cache=off", "CPU model 'Haswell' doesn't support legacy-cache=off");
  refuse("foo", "unable to find CPU model 'foo'");
  refuse("kvm64,+osxsave", "Property 'kvm64-x86_64-cpu.osxsave' not found");
  refuse("kvm64,+npt,enforce", "TCG doesn't support requested features", [
    DEPENDS + "CPUID.8000000AH:EDX.npt [bit 0]",
  ]);
  refuse("kvm64,+ht,enforce", "TCG doesn't support requested features", [
    TCG + "CPUID.01H:EDX.ht [bit 28]",
  ]);
});
