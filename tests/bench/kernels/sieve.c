/* Primes below a million by crossing out multiples: byte loads and stores with a stride. */
#include "bench.h"

enum { LIMIT = 1000000, ROUNDS = 20 };

static u8 composite[LIMIT];

u32 sieve(void)
{
    u32 sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (u32 i = 0; i < LIMIT; i++) composite[i] = 0;
        for (u32 i = 2; i * i < LIMIT; i++) {
            if (composite[i]) continue;
            for (u32 k = i * i; k < LIMIT; k += i) composite[k] = 1;
        }
        for (u32 i = 2; i < LIMIT; i++)
            if (!composite[i]) sum += i;
    }
    return sum;
}
