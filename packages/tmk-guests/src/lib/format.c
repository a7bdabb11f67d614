#include "format.h"

#include <stdint.h>

struct sink {
    char *out;
    size_t capacity;
    size_t length;
};

static void put(struct sink *sink, char c)
{
    if (sink->length < sink->capacity)
        sink->out[sink->length++] = c;
}

static void put_text(struct sink *sink, const char *text)
{
    while (*text)
        put(sink, *text++);
}

static void put_number(struct sink *sink, uint64_t value, unsigned base)
{
    char digits[20]; /* 2^64 has twenty decimal digits */
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count)
        put(sink, digits[--count]);
}

size_t text_length(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

size_t format_text(char *out, size_t capacity, const char *format, va_list arguments)
{
    struct sink sink = {.out = out, .capacity = capacity};
    for (const char *p = format; *p; p++) {
        if (*p != '%') {
            put(&sink, *p);
            continue;
        }
        p++;
        _Bool wide = *p == 'l';
        if (wide)
            p++;
        switch (*p) {
        case 's':
            put_text(&sink, va_arg(arguments, const char *));
            break;
        case 'c':
            put(&sink, (char)va_arg(arguments, int));
            break;
        case 'u':
        case 'x': {
            uint64_t value = wide ? va_arg(arguments, uint64_t) : va_arg(arguments, uint32_t);
            put_number(&sink, value, *p == 'u' ? 10 : 16);
            break;
        }
        case '%':
            put(&sink, '%');
            break;
        default: /* the compiler's format check lets more through than this knows: show it as it stands */
            put(&sink, '%');
            put(&sink, *p);
            if (!*p)
                return sink.length;
        }
    }
    return sink.length;
}
