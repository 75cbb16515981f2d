/* Matrix product with SSE2, compiled with -msse2 -mfpmath=sse. */
#include "matmul.h"

u32 matmul_sse2(void)
{
    return matmul();
}
