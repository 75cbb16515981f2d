/* Runs every program once and tells COM1 when each is over: `QENO-BENCH name checksum`. */
#include "bench.h"

enum { COM1 = 0x3f8, LINE_STATUS = 5, TRANSMITTER_EMPTY = 0x20 };

static inline void outb(unsigned short port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8 inb(unsigned short port)
{
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(const char *text)
{
    for (; *text; text++) {
        while (!(inb(COM1 + LINE_STATUS) & TRANSMITTER_EMPTY)) continue;
        outb(COM1, *text);
    }
}

static void tell(const char *name, u32 checksum)
{
    char hex[9];
    for (int i = 0; i < 8; i++) hex[i] = "0123456789abcdef"[checksum >> (28 - 4 * i) & 15];
    hex[8] = 0;
    put("QENO-BENCH ");
    put(name);
    put(" ");
    put(hex);
    put("\r\n");
}

static const struct {
    const char *name;
    u32 (*run)(void);
} programs[] = {
    { "sieve", sieve },           { "sha1", sha1 },
    { "qsort", quicksort },       { "fib", fibonacci },
    { "matmul-sse2", matmul_sse2 }, { "matmul-x87", matmul_x87 },
};

void main(void)
{
    tell("start", 0);
    for (unsigned i = 0; i < sizeof programs / sizeof *programs; i++)
        tell(programs[i].name, programs[i].run());
}
