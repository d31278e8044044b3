/* kind.c: the table of all kinds, out of kind.def. */
#include "model/entry.h"
#include <string.h>

static const struct stanch_kind kinds[] = {
#define STANCH_KIND(name, level, noun, id, state, open, text) {name, level, noun, id, state, open, text},
#include "kind.def"
#undef STANCH_KIND
};

const struct stanch_kind *stanch_kind_table(int *ret_count)
{
    *ret_count = (int)(sizeof kinds / sizeof *kinds);
    return kinds;
}

const struct stanch_kind *stanch_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}
