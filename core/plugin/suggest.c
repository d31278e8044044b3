/* suggest.c: the nearest known name, by edit distance. */
#include "plugin/suggest.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAME 64

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein, one row at a time; names over MAX_NAME are far from everything. */
static size_t distance(const char *a, const char *b)
{
    size_t row[MAX_NAME + 1], a_len = strlen(a), b_len = strlen(b);
    if (a_len > MAX_NAME || b_len > MAX_NAME)
        return MAX_NAME;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *stanch_suggest_key(const json_t *known, const char *name)
{
    const char *best = NULL, *key;
    json_t *value;
    size_t best_distance = strlen(name) / 3 + 2; /* one slip in a short name, more in a long one */
    json_object_foreach((json_t *)(uintptr_t)known, key, value)
    {
        size_t d = distance(name, key);
        if (d < best_distance) {
            best = key;
            best_distance = d;
        }
    }
    return best;
}

void stanch_suggest_text(const json_t *known, const char *name, char ret[400])
{
    const char *near = stanch_suggest_key(known, name), *key, *sep = "; known are ";
    json_t *value;
    size_t len = 0;
    ret[0] = '\0';
    if (near) {
        (void)snprintf(ret, 400, "; did you mean \"%s\"?", near);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)known, key, value)
    {
        int n = snprintf(ret + len, 400 - len, "%s%s", sep, key);
        if (n < 0 || (size_t)n >= 400 - len)
            return;
        len += (size_t)n;
        sep = ", ";
    }
}
