/* The measured programs. Each gives a checksum of its result, the same on every right machine. */
#ifndef BENCH_H
#define BENCH_H

typedef unsigned char u8;
typedef unsigned int u32;

u32 sieve(void);
u32 sha1(void);
u32 quicksort(void);
u32 fibonacci(void);
u32 matmul_sse2(void);
u32 matmul_x87(void);

/* The next of a fixed sequence of numbers: a linear congruential generator modulo 2^32. */
static inline u32 next_random(u32 *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#endif
