/* fingerprint.c: the identity of a set of labels. Source: prometheus/common model/signature.go,
 * labelSetToFingerprint; FNV-1a, 64 bits. Checked against fingerprints that Alertmanager 0.25 sent. */
#include "alert.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FNV_OFFSET 14695981039346656037ull
#define FNV_PRIME  1099511628211ull
#define SEPARATOR  0xffu

static uint64_t add_byte(uint64_t sum, unsigned byte)
{
    return (sum ^ byte) * FNV_PRIME;
}

static uint64_t add_text(uint64_t sum, const char *text)
{
    for (; *text; text++)
        sum = add_byte(sum, (unsigned char)*text);
    return add_byte(sum, SEPARATOR);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void alertmanager_fingerprint(const json_t *labels, char ret_hex[17])
{
    size_t count = json_object_size(labels), n = 0;
    const char **names = calloc(count + 1, sizeof *names);
    const char *name;
    json_t *value;
    uint64_t sum = FNV_OFFSET;
    if (!names)
        abort();
    json_object_foreach((json_t *)(uintptr_t)labels, name, value) names[n++] = name;
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        sum = add_text(add_text(sum, names[i]), json_string_value(json_object_get(labels, names[i])));
    free(names);
    (void)snprintf(ret_hex, 17, "%016llx", (unsigned long long)sum);
}
