/** Raw 2352-byte sectors around 2048 bytes of mode 1 data (ECMA-130 14 to annex A). */

export const RAW_SECTOR = 2352;

const edcTable = new Uint32Array(256);
/** GF(256) of x^8+x^4+x^3+x^2+1: multiplication by alpha and its use in the parity recurrence. */
const eccForward = new Uint8Array(256), eccBack = new Uint8Array(256);
for (let i = 0; i < 256; i++) {
  const twice = (i << 1) ^ (i & 0x80 ? 0x11d : 0);
  eccForward[i] = twice;
  eccBack[i ^ (twice & 0xff)] = i;
  let edc = i;
  for (let b = 0; b < 8; b++) edc = (edc >>> 1) ^ (edc & 1 ? 0xd8018001 : 0);
  edcTable[i] = edc >>> 0;
}

function bcd(n: number): number {
  return Math.floor(n / 10) << 4 | n % 10;
}

/** Makes sector `lba` at `at`, where the user data already lies at `at + 16`. */
export function wrapMode1(b: Uint8Array, at: number, lba: number): void {
  b.fill(0xff, at, at + 12);
  b[at] = b[at + 11] = 0;
  const block = lba + 150;
  b[at + 12] = bcd(Math.floor(block / 75 / 60) % 100);
  b[at + 13] = bcd(Math.floor(block / 75) % 60);
  b[at + 14] = bcd(block % 75);
  b[at + 15] = 1;
  let edc = 0;
  for (let i = 0; i < 2064; i++) edc = (edc >>> 8) ^ edcTable[(edc ^ b[at + i]) & 0xff];
  for (let i = 0; i < 4; i++) b[at + 2064 + i] = (edc >>> (8 * i)) & 0xff;
  b.fill(0, at + 2068, at + 2076);
  parity(b, at + 12, 86, 24, 2, 86, at + 2076);
  parity(b, at + 12, 52, 43, 86, 88, at + 2248);
}

/** Reed-Solomon product code parity of `major` words of `minor` bytes each. */
function parity(
  b: Uint8Array,
  from: number,
  major: number,
  minor: number,
  majorStep: number,
  minorStep: number,
  to: number,
): void {
  const size = major * minor;
  for (let i = 0; i < major; i++) {
    let index = (i >> 1) * majorStep + (i & 1), p = 0, q = 0;
    for (let j = 0; j < minor; j++) {
      const byte = b[from + index];
      index += minorStep;
      if (index >= size) index -= size;
      p = eccForward[p ^ byte];
      q ^= byte;
    }
    p = eccBack[eccForward[p] ^ q];
    b[to + i] = p;
    b[to + i + major] = p ^ q;
  }
}
