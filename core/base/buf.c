/* buf.c: a growing run of bytes. */
#include "base/buf.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void stanch_buf_done(struct stanch_buf *buf)
{
    free(buf->data);
    *buf = (struct stanch_buf){0};
}

void stanch_buf_clear(struct stanch_buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = 0;
}

void stanch_buf_grow(struct stanch_buf *buf, size_t cap)
{
    if (cap <= buf->cap)
        return;
    buf->data = stanch_realloc(buf->data, cap);
    buf->cap = cap;
    buf->data[buf->len] = 0;
}

void stanch_buf_reserve(struct stanch_buf *buf, size_t more)
{
    size_t need = buf->len + more + 1, twice = buf->cap ? buf->cap * 2 : 256;
    if (need > buf->cap)
        stanch_buf_grow(buf, twice < need ? need : twice);
}

void stanch_buf_add(struct stanch_buf *buf, const void *bytes, size_t len)
{
    stanch_buf_reserve(buf, len);
    if (len)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = 0;
}

void stanch_buf_text(struct stanch_buf *buf, const char *text)
{
    stanch_buf_add(buf, text, strlen(text));
}

void stanch_buf_char(struct stanch_buf *buf, char c)
{
    if (buf->len + 2 > buf->cap)
        stanch_buf_reserve(buf, 1);
    buf->data[buf->len++] = c;
    buf->data[buf->len] = 0;
}

void stanch_buf_int(struct stanch_buf *buf, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        digits[--at] = '-';
    stanch_buf_add(buf, digits + at, sizeof digits - at);
}

#define PRINTF_GUESS 96 /* most texts fit at the first try */

void stanch_buf_printf(struct stanch_buf *buf, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    stanch_buf_reserve(buf, PRINTF_GUESS);
    int n = vsnprintf(buf->data + buf->len, buf->cap - buf->len, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n >= buf->cap - buf->len) {
        stanch_buf_reserve(buf, (size_t)n);
        (void)vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
    }
    if (n > 0)
        buf->len += (size_t)n;
    buf->data[buf->len] = 0;
    va_end(again);
}

void stanch_buf_drop(struct stanch_buf *buf, size_t len)
{
    if (len >= buf->len) {
        stanch_buf_clear(buf);
        return;
    }
    memmove(buf->data, buf->data + len, buf->len - len + 1);
    buf->len -= len;
}

char *stanch_buf_take(struct stanch_buf *buf)
{
    stanch_buf_reserve(buf, 0);
    char *data = buf->data;
    *buf = (struct stanch_buf){0};
    return data;
}

const char *stanch_buf_str(const struct stanch_buf *buf)
{
    return buf->data ? buf->data : "";
}

size_t stanch_text_cut(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);
    if (len <= max)
        return len;
    while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80)
        max--;
    return max;
}
