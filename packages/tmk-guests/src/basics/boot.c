/* The shortest way through the protocol. */
#include "../lib/tmk.h"

/* Exactly one line: the smallest guest that shows the whole path, MMIO exit included. */
TMK_TEST(basics, boot)
{
    tmk_log("booted");
}
