/* Quicksort with a comparison through a pointer: indirect calls and branches hard to foresee. */
#include "bench.h"

enum { COUNT = 100000, ROUNDS = 6 };

typedef int compare(const u32 *, const u32 *);

static u32 numbers[COUNT];

static int upwards(const u32 *a, const u32 *b)
{
    return *a < *b ? -1 : *a > *b;
}

static int downwards(const u32 *a, const u32 *b)
{
    return upwards(b, a);
}

static compare *volatile orders[] = { upwards, downwards };

static void sort(u32 *first, u32 *last, compare *order)
{
    while (first < last) {
        u32 pivot = first[(last - first) / 2], *low = first - 1, *high = last + 1;
        for (;;) {
            do low++;
            while (order(low, &pivot) < 0);
            do high--;
            while (order(high, &pivot) > 0);
            if (low >= high) break;
            u32 t = *low;
            *low = *high;
            *high = t;
        }
        sort(first, high, order);
        first = high + 1;
    }
}

u32 quicksort(void)
{
    u32 state = 1, sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < COUNT; i++) numbers[i] = next_random(&state);
        sort(numbers, numbers + COUNT - 1, orders[round % 2]);
        for (int i = 0; i < COUNT; i += 1000) sum = sum * 31 + numbers[i];
    }
    return sum;
}
