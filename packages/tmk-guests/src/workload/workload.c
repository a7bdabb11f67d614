#include "workload.h"

#include <stddef.h>

#include "phases.h"

#define DEFAULT_ROUNDS 3
#define LINE_LENGTH 64

static bool is_word_end(char c)
{
    return c == '\0' || c == ' ';
}

/* What follows `prefix` where a word of `text` begins with it, or NULL. */
static const char *find_word(const char *text, const char *prefix)
{
    for (;;) {
        const char *at = text, *wanted = prefix;
        while (*wanted && *at == *wanted) {
            at++;
            wanted++;
        }
        if (!*wanted)
            return at;
        while (!is_word_end(*text))
            text++;
        if (!*text)
            return NULL;
        text++;
    }
}

bool has_word(const char *command_line, const char *word)
{
    for (const char *at = find_word(command_line, word); at; at = find_word(at, word))
        if (is_word_end(*at))
            return true;
    return false;
}

static char *append(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
    return at;
}

static void say(const char *what, const char *name, const uint32_t *checksum)
{
    char line[LINE_LENGTH];
    char *at = append(append(append(line, what), " "), name);
    if (checksum) {
        *at++ = ' ';
        for (int shift = 28; shift >= 0; shift -= 4)
            *at++ = "0123456789abcdef"[*checksum >> shift & 15];
    }
    *at++ = '\n';
    put_text(line, (uint32_t)(at - line));
}

void run_workload(const char *command_line)
{
    const char *given = find_word(command_line, "rounds=");
    int rounds = given ? *given - '0' : DEFAULT_ROUNDS;
    bool all = true;
    for (int i = 0; i < PHASES; i++)
        all = all && !has_word(command_line, phases[i].name);
    for (int i = 0; i < PHASES; i++) {
        if (!all && !has_word(command_line, phases[i].name))
            continue;
        for (int round = 0; round < rounds; round++) {
            say("begin", phases[i].name, NULL);
            uint32_t checksum = phases[i].round();
            say("end", phases[i].name, &checksum);
        }
    }
}
