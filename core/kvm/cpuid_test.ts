import { assert, assertEquals, assertThrows } from "@std/assert";
import type { CpuidEnv } from "../accel.ts";
import { allFeatures } from "../x86/cpuid/features.ts";
import { UserError } from "../errors.ts";
import { resolveCpu, tcgFeatures } from "../x86/cpuid/model.ts";
import { buildCpuid, type CpuidEntry, encodeCpuid2, NO_ENTRY, parseCpuid2 } from "./cpuid.ts";
import {
  LAPIC_FEATURES,
  makeHostModel,
  missingFeatures,
  supportedFeatures,
  vendorOf,
} from "./features.ts";
import { resolveKvmCpu } from "./model.ts";

const env: CpuidEnv = {
  apicId: 3,
  cores: 2,
  threads: 2,
  sockets: 1,
  osxsave: false,
  apicEnabled: true,
};
const entry = (e: Partial<CpuidEntry>): CpuidEntry => ({ ...NO_ENTRY, ...e });

/** A host with a handful of leaves: fpu, tsc, apic, cmov, sse, sse2; cx16, x2apic, tsc-deadline. */
const host: CpuidEntry[] = [
  entry({ leaf: 0, eax: 0xd, ebx: 0x756e6547, ecx: 0x6c65746e, edx: 0x49656e69 }),
  entry({ leaf: 1, eax: 0x50657, ebx: 0x800, ecx: 0x01202000, edx: 0x06008211 }),
  entry({ leaf: 4, subleaf: 0, indexed: true, eax: 0x121 }),
  entry({ leaf: 4, subleaf: 1, indexed: true, eax: 0 }),
  entry({ leaf: 7, indexed: true, eax: 1, ebx: 0x20 }),
  entry({ leaf: 0x80000000, eax: 0x80000008 }),
  entry({ leaf: 0x80000001, edx: 0x20100800 }),
  entry({ leaf: 0x40000000, eax: 0x40000001 }),
  entry({ leaf: 0x40000001, eax: 0x01007efb }),
];
const at = (table: CpuidEntry[], leaf: number, subleaf = 0) =>
  table.find((e) => e.leaf === leaf && e.subleaf === subleaf)!;

Deno.test("struct kvm_cpuid2 there and back", () => {
  assertEquals(parseCpuid2(encodeCpuid2(host)), host);
  assertEquals(encodeCpuid2(host).length, 8 + 40 * host.length);
});

Deno.test("host features by QEMU's names", () => {
  const names = supportedFeatures(host);
  for (const f of ["fpu", "tsc", "apic", "cmov", "sse", "sse2", "cx16", "x2apic", "avx2", "lm"]) {
    assert(names.has(f), f);
  }
  for (const f of ["vme", "pni", "avx"]) assert(!names.has(f), f);
});

Deno.test("-cpu host: the host's list with this machine's topology", () => {
  const table = buildCpuid(makeHostModel(supportedFeatures(host)), host, env, false);
  const one = at(table, 1);
  assertEquals(one.ebx, 0x03040800);
  assertEquals(one.edx, 0x16008211, "HTT is set for four logical processors");
  assertEquals(one.ecx, 0x80002000, "no x2APIC or TSC deadline without KVM's LAPIC");
  assertEquals(at(table, 4).eax >>> 26, 1);
  assertEquals(
    at(table, 0xb, 0),
    entry({ leaf: 0xb, indexed: true, eax: 1, ebx: 2, ecx: 0x100, edx: 3 }),
  );
  assertEquals([at(table, 0xb, 1).eax, at(table, 0xb, 1).ebx], [2, 4]);
  assertEquals(at(table, 0x40000000).ebx, 0x4b4d564b);
  const inKernel = buildCpuid(makeHostModel(supportedFeatures(host)), host, env, true);
  assertEquals(at(inKernel, 1).ecx >>> 0, 0x81202000);
});

Deno.test("paravirtual features: all, those without KVM's LAPIC, those that survive a move", () => {
  const model = makeHostModel(supportedFeatures(host));
  const eax = (lapic: boolean, portable: boolean) =>
    at(buildCpuid(model, host, env, lapic, portable), 0x40000001).eax >>> 0;
  assertEquals(eax(true, false), 0x01007efb);
  assertEquals(eax(false, false), 0x0100366b, "no PV_UNHALT, ASYNC_PF, PV_SEND_IPI, ASYNC_PF_INT");
  assertEquals(eax(false, true), 0x2, "KVM_FEATURE_NOP_IO_DELAY");
});

Deno.test("named models take the host's vendor, unless told otherwise", () => {
  assertEquals(vendorOf(host), "GenuineIntel");
  const features = new Set(allFeatures()), vendor = vendorOf(host);
  const ebx = (text: string) => {
    const { model } = resolveKvmCpu(text, { features, vendor }, false);
    return model.cpuid(0, 0, env).ebx;
  };
  assertEquals(ebx("EPYC"), 0x756e6547);
  assertEquals(ebx("EPYC,vendor=AuthenticAMD"), 0x68747541);
});

Deno.test("-cpu host,-sse2", () => {
  const features = new Set(supportedFeatures(host));
  features.delete("sse2");
  const table = buildCpuid(makeHostModel(features), host, env, false);
  assertEquals(at(table, 1).edx, 0x12008211);
});

Deno.test("a named model is cut to what KVM supports, and QEMU's warnings say what is gone", () => {
  const { model } = resolveCpu("qemu64", new Set(allFeatures()));
  const table = buildCpuid(model, host, env, false);
  assertEquals(at(table, 1).edx & ~0x10000000, 0x06008211);
  assertEquals(at(table, 1).ecx & 1, 0);
  const warnings = missingFeatures(model, supportedFeatures(host));
  // As Debian's QEMU 7.2.22 prints it for qemu64 on a host without SSE3.
  assert(
    warnings.includes(
      "warning: host doesn't support requested feature: CPUID.01H:ECX.pni [bit 0]",
    ),
  );
  assertEquals(missingFeatures(makeHostModel(new Set()), new Set()), []);
});

// Lines as Debian's QEMU 7.2.22 prints them on a host without SSE3 and AVX-512.
const without = (f: string, word: string, bit: number) =>
  `warning: host doesn't support requested feature: CPUID.${word}.${f} [bit ${bit}]`;

Deno.test("-cpu under KVM warns, or refuses under enforce, in QEMU's words", () => {
  const features = new Set(allFeatures().filter((f) => !/^(pni|avx512.*)$/.test(f)));
  const pni = without("pni", "01H:ECX", 0), avx = without("avx512f", "07H:EBX", 16);
  assertEquals(resolveKvmCpu(undefined, { features }, false).warnings, [pni]);
  assertEquals(resolveKvmCpu("qemu32", { features }, true).warnings, [pni]);
  assertEquals(resolveKvmCpu("host,+avx512f", { features }, false).warnings, [avx]);
  assertEquals(resolveKvmCpu("max,-sse2", { features }, false).warnings, []);
  assertEquals(resolveKvmCpu("qemu64,check=off", { features }, false).warnings, []);
  for (const [text, line] of [["qemu64,enforce", pni], ["host,+avx512f,enforce", avx]]) {
    const lines: string[] = [];
    const refuse = () => resolveKvmCpu(text, { features }, false, (l) => lines.push(l));
    assertEquals(
      (assertThrows(refuse, UserError) as UserError).message,
      "Host doesn't support requested features",
    );
    assertEquals(lines, [line]);
  }
});

Deno.test("a machine that may have to move to tcg gets what both have", () => {
  const features = new Set(allFeatures());
  const alone = resolveKvmCpu("qemu64,+avx2,+aes", { features }, false).model;
  const portable = resolveKvmCpu("qemu64,+avx2,+aes", { features }, true).model;
  for (const f of allFeatures()) {
    const both = tcgFeatures.has(f) && !LAPIC_FEATURES.includes(f);
    assertEquals(portable.has(f), alone.has(f) && both, f);
  }
  assert(resolveKvmCpu("host", { features }, true).model.has("avx512f"), "host is the host");
  // What tcg shows of KVM after a move is what KVM showed before it: no clock, no end of interrupt.
  const env = { apicId: 0, cores: 1, threads: 1, sockets: 1, osxsave: false, apicEnabled: true };
  const leaf = (text: string, n: number) =>
    resolveKvmCpu(text, { features }, true).model.cpuid(n, 0, env);
  assertEquals(leaf("qemu64", 0x40000000).ebx, 0x4b4d564b);
  assertEquals(leaf("qemu64", 0x40000001).eax, 2);
  assertEquals(leaf("qemu64,kvm=off", 0x40000001).eax, 0);
  assert(!resolveKvmCpu("host,-avx2", { features }, true).model.has("avx2"));
  assertEquals(resolveKvmCpu("host", { features }, false).model.name, "host");
});
