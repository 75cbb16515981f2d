/* The product of matrices of doubles; the file that includes it decides the instructions. */
#include "bench.h"

enum { SIZE = 96, ROUNDS = 4 };

static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

/* Whole numbers below 2^53 all the way: the result does not depend on rounding. */
static u32 matmul(void)
{
    u32 state = 7, sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SIZE; i++) {
            for (int k = 0; k < SIZE; k++) {
                a[i][k] = (double)(int)(next_random(&state) & 1023);
                b[i][k] = (double)(int)(next_random(&state) & 1023);
            }
        }
        for (int i = 0; i < SIZE; i++) {
            for (int k = 0; k < SIZE; k++) {
                double t = 0;
                for (int j = 0; j < SIZE; j++) t += a[i][j] * b[j][k];
                c[i][k] = t;
            }
        }
        for (int i = 0; i < SIZE; i++)
            for (int k = 0; k < SIZE; k++) sum = sum * 31 + (u32)(int)c[i][k];
    }
    return sum;
}
