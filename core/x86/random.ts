/** Where RDRAND and RDSEED get their numbers. */

const MASK = (1n << 64n) - 1n;
const word = new BigUint64Array(1);

/** 64 bits of the host's random source. */
export function hostRandom(): bigint {
  crypto.getRandomValues(word);
  return word[0];
}

/**
 * 64 bits that a repeated run gives again: a hash of when and where the instruction is executed, so
 * that there is no generator's state to save. (Mixing steps: S. Vigna's splitmix64.)
 * @param instructions retired by the vCPU
 * @param rip of the instruction
 */
export function repeatableRandom(vcpu: number, instructions: number, rip: bigint): bigint {
  let z = (BigInt(instructions) * 0x9e3779b97f4a7c15n + rip * 0xd1342543de82ef95n +
    BigInt(vcpu + 1) * 0xda942042e4dd58b5n) & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}
