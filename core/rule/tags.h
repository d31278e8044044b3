/* tags.h: what the remote has a target tagged with, held against the globs of a rule. Inside rule/ only.
 * A plugin says it, in its plan: what is no array of texts, or more than anybody tags with, counts as not known. Pure.
 */
#ifndef STANCH_RULE_TAGS_H
#define STANCH_RULE_TAGS_H
#include <jansson.h>
#include <stdbool.h>

/** An array of at most 200 texts, each of 1 to 256 bytes. NULL is not known. */
bool stanch_rule__knows_tags(const json_t *tags);
/** Those of the tags that one of the globs names: sorted by bytes, each once. tags: known. new */
json_t *stanch_rule__named_tags(const json_t *globs, const json_t *tags);

#endif
