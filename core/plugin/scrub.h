/* scrub.h: replaces secrets in what leaves a process: raw, base64 (at each of its three alignments, both
 * alphabets), URL-encoded and JSON-escaped. Pure. */
#ifndef STANCH_PLUGIN_SCRUB_H
#define STANCH_PLUGIN_SCRUB_H
#include "base/buf.h"
#include <jansson.h>

#define STANCH_SCRUB_MIN 4 /* shorter secrets are not looked for: they would hit everywhere */

struct stanch_scrub;
struct stanch_scrub *stanch_scrub_new(void);
void stanch_scrub_free(struct stanch_scrub *scrub);
void stanch_scrub_add(struct stanch_scrub *scrub, const char *secret, size_t len);
/** new; the text with each secret replaced by "[secret]". */
char *stanch_scrub_text(const struct stanch_scrub *scrub, const char *text, size_t len);
/** new reference; texts, keys and numbers of the value replaced. The value itself when nothing was found. */
json_t *stanch_scrub_json(const struct stanch_scrub *scrub, json_t *value);

#endif
