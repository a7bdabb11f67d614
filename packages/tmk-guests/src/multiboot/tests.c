#include "kernel.h"

#include "../lib/interrupts.h"
#include "../lib/tmk.h"

void kernel_tests(void)
{
    struct fault fault = TRY_INSTRUCTION("ud2");
    ASSERT(fault.taken);
    ASSERT_EQ(fault.vector, VECTOR_UD);
    tmk_log("faults");
}
