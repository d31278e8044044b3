/* suggest.h: "did you mean ...?" for names that are not known. Pure. */
#ifndef STANCH_PLUGIN_SUGGEST_H
#define STANCH_PLUGIN_SUGGEST_H
#include <jansson.h>

/** The key of `known` (an object) nearest to `name`; NULL when none is near. borrowed from `known`. */
const char *stanch_suggest_key(const json_t *known, const char *name);
/** The end of an error's text: "; did you mean \"server\"?", or "; known are backend, server", or "".
 *  ret: at least 400 bytes */
void stanch_suggest_text(const json_t *known, const char *name, char ret[400]);

#endif
