/* pattern.c: regular expressions with limits.
 * Texts come from outside, so neither the expression nor the text may decide how long a match takes. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/pattern.h"
#include "base/mem.h"
#include <pcre2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXPRESSION_BYTES 4096
#define MATCH_LIMIT          100000 /* about a millisecond */
#define DEPTH_LIMIT          5000
#define HEAP_LIMIT_KIB       4096

struct stanch_pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

static void *allocate(PCRE2_SIZE bytes, void *ctx)
{
    (void)ctx;
    return stanch_mem_malloc(bytes);
}

static void release(void *ptr, void *ctx)
{
    (void)ctx;
    free(ptr);
}

int stanch_pattern_new(const char *expression, enum stanch_pattern_at where, struct stanch_pattern **ret,
                       struct stanch_err *err)
{
    size_t len = strlen(expression);
    if (len > MAX_EXPRESSION_BYTES)
        return stanch_err_set(err, STANCH_E_INVALID, "the expression has %zu bytes; %d are allowed", len,
                              MAX_EXPRESSION_BYTES);
    /* DOTALL, as Prometheus has it: a line break in a hostile label must not slip past ".*". */
    uint32_t options = PCRE2_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
    options |= where == STANCH_PATTERN_WHOLE ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0;
    int number = 0;
    PCRE2_SIZE at = 0;
    /* what is made of this context, and of the code, allocates as it does */
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    pcre2_compile_context *compiling = pcre2_compile_context_create(memory);
    pcre2_match_context *limits = pcre2_match_context_create(memory);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)expression, len, options, &number, &at, compiling);
    pcre2_compile_context_free(compiling);
    pcre2_general_context_free(memory);
    if (!code) {
        pcre2_match_context_free(limits);
        char why[200] = "";
        (void)pcre2_get_error_message(number, (PCRE2_UCHAR *)why, sizeof why);
        return stanch_err_set(err, STANCH_E_INVALID, "%s (at character %zu)", why, (size_t)at + 1);
    }
    struct stanch_pattern *pattern = STANCH_NEW(struct stanch_pattern);
    pattern->code = code;
    pattern->data = pcre2_match_data_create_from_pattern(code, NULL);
    pattern->limits = limits;
    (void)pcre2_set_match_limit(pattern->limits, MATCH_LIMIT);
    (void)pcre2_set_depth_limit(pattern->limits, DEPTH_LIMIT);
    (void)pcre2_set_heap_limit(pattern->limits, HEAP_LIMIT_KIB);
    *ret = pattern;
    return 0;
}

void stanch_pattern_free(struct stanch_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_match_context_free(pattern->limits);
    pcre2_match_data_free(pattern->data);
    pcre2_code_free(pattern->code);
    free(pattern);
}

int stanch_pattern_matches(const struct stanch_pattern *pattern, const char *text)
{
    int rc = pcre2_match(pattern->code, (PCRE2_SPTR)text, strlen(text), 0, 0, pattern->data, pattern->limits);
    if (rc >= 0)
        return 1;
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    bool bad_text = rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21;
    return bad_text ? STANCH_E_INVALID : STANCH_E_TIMEOUT;
}
