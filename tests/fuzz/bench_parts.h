/* bench_parts.h: the parts of the bench, as bench.c (the host) uses them: bench_input.c, bench_sound.c. */
#ifndef STANCH_TESTS_FUZZ_BENCH_PARTS_H
#define STANCH_TESTS_FUZZ_BENCH_PARTS_H
#include "bench.h"
#include "stanch/plugin.h"
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static inline struct stanch_text span(const char *text)
{
    return (struct stanch_text){text, text ? strlen(text) : 0};
}

/** The next thing from outside: new, with a NUL behind it; NULL: nothing is left. */
char *bench__next_piece(struct fuzz_bytes *input, size_t *ret_len);
/** Lines of "name: value" up to an empty one. new; *ret_at: what is behind it */
json_t *bench__take_headers(char *text, char **ret_at);

/** An order of a request. */
void bench__check_order(const struct stanch_http_order *order);
/** An object, or nothing (NULL). new */
json_t *bench__object_of(struct stanch_text text);
/** What an operation answered: the forms of sdk/README.md, Operations. */
void bench__check_value(uint32_t op, const json_t *value);

#endif
