/* The protocol's way to fail. */
#include "../lib/tmk.h"

/* A host that reports this test as an error does not honour the descriptor's flag. */
TMK_TEST_WITH_FLAGS(basics, expected_failure, TMK_EXPECTED_FAILURE)
{
    tmk_log("about to fail, as expected");
    PANIC("this test is meant to fail");
}
