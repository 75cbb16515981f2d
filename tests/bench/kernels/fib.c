/* Fibonacci numbers by recursion: calls, returns and the stack. */
#include "bench.h"

enum { N = 33 };

__attribute__((noinline)) static u32 fib(u32 n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

u32 fibonacci(void)
{
    return fib(N);
}
