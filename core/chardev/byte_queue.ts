/** Bytes waiting to go out: single bytes from a UART gather, so that they leave in large writes. */

const FIRST_SIZE = 256;

export class ByteQueue {
  #buffer = new Uint8Array(FIRST_SIZE);
  #start = 0;
  #end = 0;

  /** @param limit bytes kept at most; what is too much is dropped whole */
  constructor(private readonly limit: number) {}

  get length(): number {
    return this.#end - this.#start;
  }

  /** Copies `bytes` to the end; false when they were dropped. */
  push(bytes: Uint8Array): boolean {
    if (this.length + bytes.length > this.limit) return false;
    if (this.#end + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
    return true;
  }

  #makeRoom(more: number): void {
    const length = this.length;
    let size = this.#buffer.length;
    while (size < 2 * (length + more)) size *= 2;
    const old = this.#buffer.subarray(this.#start, this.#end);
    if (size === this.#buffer.length) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    } else {
      this.#buffer = new Uint8Array(size);
      this.#buffer.set(old);
    }
    this.#start = 0;
    this.#end = length;
  }

  /** All bytes, in place: valid until the next {@link push}. */
  peek(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Forgets the first `count` bytes. */
  drop(count: number): void {
    this.#start += count;
    if (this.#start === this.#end) this.#start = this.#end = 0;
  }

  clear(): void {
    this.#start = this.#end = 0;
  }
}
