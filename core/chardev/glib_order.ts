/**
 * The order in which QEMU lists named objects. It keeps them in a GLib hash table and walks that, so
 * `info chardev` and others print neither by name nor by age. This replays the table's rules
 * (GLib 2.74: string hash by 33, times 11 modulo a prime, quadratic probing, growth by a third, in-place
 * rehash) on names alone.
 */

/** Moduli for tables of 2^n places. */
const MODULUS = [
  ...[1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071],
];
const MIN_SHIFT = 3;

/** g_str_hash; 0 and 1 mark unused places, so the table never stores them. */
function hash(name: string): number {
  let h = 5381;
  for (const b of new TextEncoder().encode(name)) h = (Math.imul(h, 33) + (b << 24 >> 24)) >>> 0;
  return h < 2 ? 2 : h;
}

class NameTable {
  #shift = MIN_SHIFT;
  #slots: (string | undefined)[] = new Array(1 << MIN_SHIFT);
  #count = 0;

  #home(name: string): number {
    return (Math.imul(hash(name), 11) >>> 0) % MODULUS[this.#shift];
  }

  add(name: string): void {
    const mask = this.#slots.length - 1;
    let at = this.#home(name);
    for (let step = 1; this.#slots[at] !== undefined; step++) {
      if (this.#slots[at] === name) return;
      at = (at + step) & mask;
    }
    this.#slots[at] = name;
    this.#count++;
    if (this.#slots.length <= this.#count + Math.floor(this.#count / 16)) this.#grow();
  }

  #grow(): void {
    let n = Math.floor(this.#count * 1.333);
    let shift = 0;
    for (; n > 0; n >>= 1) shift++;
    this.#shift = Math.max(shift, MIN_SHIFT);
    const old = this.#slots.length;
    const size = 1 << this.#shift;
    this.#slots.length = size;
    const placed = new Array<boolean>(size).fill(false);
    for (let i = 0; i < old; i++) {
      let moving = placed[i] ? undefined : this.#slots[i];
      if (moving === undefined) continue;
      this.#slots[i] = undefined;
      while (moving !== undefined) {
        let at = this.#home(moving);
        for (let step = 1; placed[at]; step++) at = (at + step) & (size - 1);
        placed[at] = true;
        const evicted: string | undefined = this.#slots[at];
        this.#slots[at] = moving;
        moving = evicted;
      }
    }
  }

  names(): string[] {
    return this.#slots.filter((n) => n !== undefined);
  }
}

/** `names`, given in order of creation, as QEMU walks them. */
export function glibOrder(names: Iterable<string>): string[] {
  const table = new NameTable();
  for (const n of names) table.add(n);
  return table.names();
}
