/* Text without a C library. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Bytes before the terminating zero. */
size_t text_length(const char *text);

/*
 * Formats into `out`, cut at `capacity`, and returns the number of bytes written; no terminating zero.
 * Conversions: %s, %c, %%, %u, %x, %lu, %lx.
 */
size_t format_text(char *out, size_t capacity, const char *format, va_list arguments);
