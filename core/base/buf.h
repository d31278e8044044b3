/* buf.h: a growing run of bytes, always with a NUL behind it, so that it can be read as text.
 * Owner: whoever holds the struct; {0} is an empty one. Thread: one at a time.
 */
#ifndef STANCH_BASE_BUF_H
#define STANCH_BASE_BUF_H
#include <stddef.h>
#include <stdint.h>

struct stanch_buf {
    char *data; /* NULL while nothing was ever added */
    size_t len; /* bytes, without the NUL */
    size_t cap;
};

/** Free the bytes; the struct is empty again. Accepts an empty one. */
void stanch_buf_done(struct stanch_buf *buf);
/** Forget the content, keep the memory. */
void stanch_buf_clear(struct stanch_buf *buf);
/** Make its memory exactly so many bytes, when that is more than it has. */
void stanch_buf_grow(struct stanch_buf *buf, size_t cap);
/** Make room for `more` bytes behind the content, twice as much as before at least. */
void stanch_buf_reserve(struct stanch_buf *buf, size_t more);
void stanch_buf_add(struct stanch_buf *buf, const void *bytes, size_t len);
void stanch_buf_text(struct stanch_buf *buf, const char *text);
void stanch_buf_char(struct stanch_buf *buf, char c);
/** In decimal. */
void stanch_buf_int(struct stanch_buf *buf, int64_t value);
void stanch_buf_printf(struct stanch_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Drop the first `len` bytes. */
void stanch_buf_drop(struct stanch_buf *buf, size_t len);
/** new; the bytes with their NUL; the struct is empty afterwards. Never NULL. */
char *stanch_buf_take(struct stanch_buf *buf);
/** The content as text; "" while empty. borrowed until the next change. */
const char *stanch_buf_str(const struct stanch_buf *buf);

/** How many bytes of a text are whole characters (UTF-8), of the first `max`: what is cut there is still text. */
size_t stanch_text_cut(const char *text, size_t max);

#define STANCH_AUTO_BUF __attribute__((cleanup(stanch_buf_done)))

#endif
