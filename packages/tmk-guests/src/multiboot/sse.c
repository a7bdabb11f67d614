/* SSE code, as a compiler emits it, behind CR4.OSFXSR, which the tests before have set. */
#include "kernel.h"

#include "../lib/tmk.h"

static const float left[4] = {1, 2, 3, 4}, right[4] = {10, 20, 30, 40};

void test_sse(void)
{
    float sum[4];
    uint32_t integers[4];
    asm volatile("movups %2, %%xmm0\n\tmovups %3, %%xmm1\n\taddps %%xmm1, %%xmm0\n\tmovups %%xmm0, %0\n\t"
                 "cvttps2dq %%xmm0, %%xmm2\n\tmovdqu %%xmm2, %1"
                 : "=m"(sum), "=m"(integers)
                 : "m"(left), "m"(right));
    for (uint32_t i = 0; i < 4; i++)
        ASSERT_EQ(integers[i], 11 * (i + 1));

    /* 1^2 + 2^2 + … + 100^2 in double precision. */
    uint64_t squares;
    asm volatile("xorpd %%xmm0, %%xmm0\n\tmovl $1, %%ecx\n"
                 "1: cvtsi2sd %%ecx, %%xmm1\n\tmulsd %%xmm1, %%xmm1\n\taddsd %%xmm1, %%xmm0\n\t"
                 "incl %%ecx\n\tcmpl $101, %%ecx\n\tjne 1b\n\tcvttsd2si %%xmm0, %0"
                 : "=r"(squares)
                 :
                 : "rcx", "cc");
    ASSERT_EQ(squares, 338350);
    tmk_log("sse: sums and squares");
}
