/* SHA-1 (FIPS 180-4, 6.1) over a growing message: shifts, rotates and adds in registers. */
#include "bench.h"

enum { BLOCKS = 200000 };

static inline u32 rotate(u32 v, int n)
{
    return v << n | v >> (32 - n);
}

static void block(u32 h[5], const u32 m[16])
{
    u32 w[80];
    for (int t = 0; t < 16; t++) w[t] = m[t];
    for (int t = 16; t < 80; t++) w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    u32 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int t = 0; t < 80; t++) {
        u32 f, k;
        if (t < 20) {
            f = (b & c) | (~b & d);
            k = 0x5a827999;
        } else if (t < 40) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        } else if (t < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        }
        u32 next = rotate(a, 5) + f + e + k + w[t];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

u32 sha1(void)
{
    u32 h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    u32 m[16] = { 0 };
    for (u32 n = 0; n < BLOCKS; n++) {
        m[n % 16] += n;
        block(h, m);
    }
    return h[0] ^ h[1] ^ h[2] ^ h[3] ^ h[4];
}
