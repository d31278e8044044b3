/* schema.h: the subset of JSON Schema that plugins declare their arguments and settings in.
 * Keywords: type (one of string, integer, number, boolean, array, object; any: not looked into), enum, minimum, maximum, minLength,
 * maxLength, pattern (base/pattern.h, must match somewhere: anchor it), properties, required,
 * additionalProperties (false; or true; or the schema of members that are not in properties), items, minItems, maxItems; and for people: summary,
 * description, default. "format" is for settings (sdk/README.md has the list). A keyword that is not known is
 * refused when the schema is loaded: what looks like a check must be one. Pure. Source: JSON Schema 2020-12,
 * validation vocabulary.
 */
#ifndef STANCH_PLUGIN_SCHEMA_H
#define STANCH_PLUGIN_SCHEMA_H
#include "base/err.h"
#include <jansson.h>

/** Check a schema itself. where: what the text begins with ("actions.drain.params.weight").
 *  returns 0 | STANCH_E_INVALID */
int stanch_schema_load(const json_t *schema, const char *where, struct stanch_err *err);
/** Check a value. where: the value's path in the text ("args"). what: how a member is called ("argument").
 *  returns 0 | STANCH_E_INVALID: names the path, what was given, what was expected */
int stanch_schema_check(const json_t *schema, const json_t *value, const char *where, const char *what,
                        struct stanch_err *err);
/** Call fn for every text of `value` whose schema has a "format". Stops at the first that is not 0. */
int stanch_schema_each_format(const json_t *schema, const json_t *value, const char *where,
                              int (*fn)(void *ctx, const char *format, const char *text, const char *where,
                                        struct stanch_err *err),
                              void *ctx, struct stanch_err *err);

#endif
