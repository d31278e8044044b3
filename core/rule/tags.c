/* tags.c: which tags there are, and which of them a rule names. */
#include "rule/tags.h"
#include "rule/glob.h"
#include <string.h>

#define MAX_TAGS      200
#define MAX_TAG_BYTES 256

bool stanch_rule__knows_tags(const json_t *tags)
{
    if (!json_is_array(tags) || json_array_size(tags) > MAX_TAGS)
        return false;
    for (size_t i = 0; i < json_array_size(tags); i++) {
        size_t len = json_string_length(json_array_get(tags, i)); /* of another value: 0 */
        if (len == 0 || len > MAX_TAG_BYTES)
            return false;
    }
    return true;
}

static bool is_named(const json_t *globs, const char *tag)
{
    for (size_t i = 0; i < json_array_size(globs); i++) {
        const char *glob = json_string_value(json_array_get(globs, i));
        if (glob && stanch_glob_matches(glob, tag))
            return true;
    }
    return false;
}

static void add_sorted(json_t *sorted, json_t *tag)
{
    size_t at = 0;
    int order = -1;
    while (at < json_array_size(sorted) &&
           (order = strcmp(json_string_value(json_array_get(sorted, at)), json_string_value(tag))) < 0)
        at++;
    if (at == json_array_size(sorted) || order != 0)
        json_array_insert(sorted, at, tag);
}

json_t *stanch_rule__named_tags(const json_t *globs, const json_t *tags)
{
    json_t *named = json_array();
    for (size_t i = 0; i < json_array_size(tags); i++) {
        json_t *tag = json_array_get(tags, i);
        if (is_named(globs, json_string_value(tag)))
            add_sorted(named, tag);
    }
    return named;
}
