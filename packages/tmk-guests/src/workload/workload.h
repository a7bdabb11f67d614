/* The workload around its phases, wherever it runs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Runs the phases, and says where each round begins and ends:
 *     begin NAME
 *     end NAME CHECKSUM
 * so that whoever hears the lines can take the time between them. Words of the command line: `rounds=N` (one digit,
 * 3 by default), and names of phases, all by default.
 */
void run_workload(const char *command_line);

/* Whether `word` is one of the command line's. */
bool has_word(const char *command_line, const char *word);

/* Where the lines go; each platform has its own. */
void put_text(const char *text, uint32_t length);
