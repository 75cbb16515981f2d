/** Access rights of 4- and 5-level paging: every combination, judged by a reading of the manual. */
import * as o from "../../firmware/asm/operand.ts";
import { done, type Expect, pageFault, Pf } from "./check.ts";
import { At, CR0, Cr4, EFER, type Kernel64, Msr } from "./kernel64.ts";

const { rax } = o;

type Access = "read" | "write" | "fetch";

/** What decides about an access. SDM volume 3, 4.6. */
interface Rights {
  readonly present: boolean;
  readonly writable: boolean;
  readonly user: boolean;
  readonly noExecute: boolean;
}
interface Mode {
  readonly name: string;
  readonly wp?: boolean;
  readonly smep?: boolean;
  readonly smap?: boolean;
  readonly ac?: boolean;
  readonly nxe?: boolean;
}

const ALL: Rights = { present: true, writable: true, user: true, noExecute: false };
const MODES: readonly Mode[] = [
  { name: "WP", wp: true, nxe: true },
  { name: "no WP", nxe: true },
  { name: "SMEP", wp: true, smep: true, nxe: true },
  { name: "SMAP", wp: true, smap: true, nxe: true },
  { name: "SMAP and AC", wp: true, smap: true, ac: true, nxe: true },
  { name: "no NXE", wp: true },
];

/** The error code of an access, or undefined when it is allowed. */
function judge(r: Rights, access: Access, user: boolean, m: Mode): number | undefined {
  let error = user ? Pf.U : 0;
  if (access === "write") error |= Pf.W;
  // 4.7: I/D is 1 for fetches when NXE (or SMEP) makes them different from reads.
  if (access === "fetch" && (m.nxe || m.smep)) error |= Pf.I;
  if (!r.present) return error;
  error |= Pf.P;
  if (r.noExecute && !m.nxe) return error | Pf.RSVD;
  if (user && !r.user) return error;
  if (access === "fetch") {
    if (r.noExecute || (!user && r.user && m.smep)) return error;
    return undefined;
  }
  if (!user && r.user && m.smap && !m.ac) return error;
  if (access === "write" && !r.writable && (user || m.wp)) return error;
  return undefined;
}

function entryBits(r: Rights): bigint {
  return (r.present ? 1n : 0n) | (r.writable ? 2n : 0n) | (r.user ? 4n : 0n) |
    (r.noExecute ? 1n << 63n : 0n);
}
function words(r: Rights): string {
  if (!r.present) return "not present";
  return `${r.user ? "U" : "S"}${r.writable ? "W" : "R"}${r.noExecute ? " NX" : ""}`;
}

/** Makes the access at `at`, marked; a fetched page holds RET. */
function access(k: Kernel64, kind: Access, at: number): void {
  const { i } = k;
  if (kind === "fetch") {
    // The saved IP is the target: compared through CR2.
    i.mov(rax, at);
    i.call(rax);
  } else {
    i.mov(rax, at);
    k.at();
    if (kind === "read") i.mov(o.rcx, o.mem(rax));
    else i.mov(o.mem(rax), o.rcx);
  }
}

function enter(k: Kernel64, m: Mode): void {
  const { i } = k;
  const set: number[] = [];
  if (m.smep) set.push(Cr4.SMEP);
  if (m.smap) set.push(Cr4.SMAP);
  if (set.length > 0) k.setCr4(set);
  if (!m.wp) k.setCr0(CR0 & ~0x10000);
  if (!m.nxe) k.setMsr(Msr.EFER, EFER & ~0x800);
  if (m.ac) k.a.db(0x0f, 0x01, 0xcb); // STAC
  i.mov(o.ecx, 0xc3c3c3c3);
}

const result = (error: number | undefined, at: number): Expect =>
  error === undefined ? done() : pageFault(error, at);

export function accessRights(k: Kernel64): void {
  const kinds: Access[] = ["read", "write", "fetch"], bools = [false, true];
  const one = (name: string, r: Rights, m: Mode, prepare: () => void) => {
    for (const user of bools) {
      // AC of a program has no meaning for SMAP.
      if (user && m.ac) continue;
      for (const kind of kinds) {
        const where = `${kind} from ring ${user ? 3 : 0}: ${name}, ${m.name}`;
        k.check(where, result(judge(r, kind, user, m), At.LAB), () => {
          prepare();
          enter(k, m);
          if (user) k.user(() => access(k, kind, At.LAB));
          else access(k, kind, At.LAB);
        });
      }
    }
  };
  k.section("3: 4.6.1");
  for (const m of MODES) {
    for (const user of bools) {
      for (const writable of bools) {
        for (const noExecute of bools) {
          const r = { present: true, writable, user, noExecute };
          one(words(r), r, m, () => {
            open(k);
            k.page(0, entryBits(r));
          });
        }
      }
    }
  }
  const none = { ...ALL, present: false };
  one("not present", none, MODES[0], () => (open(k), k.page(0, entryBits(none))));
  one("not present, all other bits set", none, MODES[0], () => (open(k), k.page(0, ~1n)));
  // Each upper level takes away one right.
  const levels: [string, number, number][] = [["PML4E", At.PML4, At.PDPT], [
    "PDPTE",
    At.PDPT,
    At.PD,
  ]];
  levels.push(["PDE", At.PD + 8 * (At.LAB >> 21), At.PT]);
  if (k.la57) levels.push(["PML5E", At.PML5, At.PML4]);
  for (const [name, at, next] of levels) {
    for (const less of [{ writable: false }, { user: false }, { noExecute: true }]) {
      const r = { ...ALL, ...less };
      // Code and stacks are under PML4E and PDPTE too: only what does not take them away.
      const shared = name.startsWith("PM");
      if (shared && (r.noExecute || !r.user || !r.writable)) continue;
      if (name === "PDPTE" && (r.noExecute || !r.writable)) continue;
      one(`${name} ${words(r)}`, r, MODES[0], () => {
        open(k);
        k.page(0, entryBits(ALL));
        k.put(at, entryBits(r) | BigInt(next | 0x20));
        k.i.invlpg(o.mem(At.LAB));
      });
    }
  }
}

/** Gives ring 3 the laboratory's table, and the supervisor's page keeps what its entry says. */
export function open(k: Kernel64): void {
  k.put(At.PD + 8 * (At.LAB >> 21), At.PT | 0x27);
}
