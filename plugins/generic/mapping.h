/* mapping.h: the declared mapping of any JSON to events.
 *
 * A place is a JSON Pointer (RFC 6901, "/incident/id"; "" is the whole), or a text that begins with "=" and stands for
 * itself ("=deploy"). Pointers are looked up in the item (what `each` gives), or with a "^" before them in the whole body.
 */
#ifndef STANCH_GENERIC_MAPPING_H
#define STANCH_GENERIC_MAPPING_H
#include <stanch/sdk.h>

/** Is the mapping in these settings sound? returns NULL, or what is wrong, with its key (as long as the instance) */
const char *generic_check_mapping(struct sdk_instance *instance);

/** The body as events, by the instance's mapping. events: appended to.
 *  returns NULL, or what is wrong with the body, with its place (as long as the call) */
const char *generic_events(struct sdk_call *call, const json_t *body, json_t *events);

#endif
