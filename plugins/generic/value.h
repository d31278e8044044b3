/* value.h: a place in a body, as a text, a time, or a number of texts. Pure. */
#ifndef STANCH_GENERIC_VALUE_H
#define STANCH_GENERIC_VALUE_H
#include <stanch/sdk.h>

struct generic_item {
    struct sdk_call *call;
    const json_t *body, *item;
    const char *where; /* "/alerts/2": what errors begin with */
    const char *why;   /* the first thing that is wrong; NULL: nothing */
};

/** Note what is wrong, unless something is already. */
void generic_wrong(struct generic_item *item, const char *key, const char *place, const char *what);
/** Is it a place? */
bool generic_is_place(const char *text);
/** What stands at a place; NULL: nothing. borrowed. Constants have no value here: generic_text. */
const json_t *generic_at(const struct generic_item *item, const char *place);
/** A text, number or truth as text; "" when there is nothing. place NULL: "". What is an object or array is wrong. */
const char *generic_text(struct generic_item *item, const char *key, const char *place);
/** RFC 3339, or a number: seconds, milliseconds or nanoseconds since 1970 by its size. returns false: nothing there */
bool generic_time(struct generic_item *item, const char *key, const char *place, int64_t *ret_ms);

#endif
