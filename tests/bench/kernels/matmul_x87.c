/* Matrix product with the x87, compiled with -mno-sse -mfpmath=387. */
#include "matmul.h"

u32 matmul_x87(void)
{
    return matmul();
}
