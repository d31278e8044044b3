/* json.h: JSON on jansson, with limits at the door and RFC 8785 wherever it is hashed.
 * Thread: any; a json_t belongs to one thread at a time.
 * Source: RFC 8259 (JSON), RFC 8785 (canonical form), ECMA-262 Number::toString (numbers).
 */
#ifndef STANCH_BASE_JSON_H
#define STANCH_BASE_JSON_H
#include "base/buf.h"
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define STANCH_JSON_SAFE_INT 9007199254740991LL /* 2^53-1: what every JSON reader keeps exactly */

struct stanch_json_limits {
    size_t max_bytes; /* 0: no limit */
    int max_depth;    /* arrays and objects inside each other */
    size_t max_nodes; /* values and keys, roughly: counted by their separators */
    bool
        has_reals_whole; /* an integer beyond 2^53 is a real: 1e20 in canonical form. Else it becomes its decimal text */
};

/** What the doors accept: 1 MiB, depth 64, 100,000 nodes. */
extern const struct stanch_json_limits stanch_json_door_limits;
/** What is read back from our own processes and store: depth 64 + an envelope, no other limit. Integers beyond 2^53 have
 *  become texts at a door before, so what looks like one is a real (has_reals_whole). */
extern const struct stanch_json_limits stanch_json_own_limits;

/** Parse one JSON text. Refuses duplicate keys, invalid UTF-8, NUL in text, trailing bytes, numbers out of
 *  range; integers beyond 2^53: see limits. ret: new.
 *  returns 0 | STANCH_E_INVALID (text names line and column) | STANCH_E_TOO_LARGE (over a limit) */
int stanch_json_parse(const char *text, size_t len, const struct stanch_json_limits *limits, json_t **ret,
                      struct stanch_err *err);

/** Append the canonical form (RFC 8785). Refuses integers beyond 2^53, NaN and infinities.
 *  returns 0 | STANCH_E_INVALID */
int stanch_json_canonical(const json_t *value, struct stanch_buf *out, struct stanch_err *err);

/** Append compact JSON (not canonical; for the wire and for answers). */
void stanch_json_write(const json_t *value, struct stanch_buf *out);
/** The same for people: a real has the fewest digits that are read back as the same one: 0.07, 3, 1e+21. */
void stanch_json_write_short(const json_t *value, struct stanch_buf *out);

/** SHA-256 over the canonical form of {"domain":domain,"v":version,"value":value}, as 64 hex digits.
 *  Domain separation: the same value digested for two purposes gives two digests. ret: 65 bytes. */
int stanch_json_digest(const char *domain, int version, const json_t *value, char ret_hex[65], struct stanch_err *err);

/** Read a member with a default; the object may be NULL. Texts are borrowed from the object. */
const char *stanch_json_str(const json_t *obj, const char *key, const char *otherwise);
int64_t stanch_json_int(const json_t *obj, const char *key, int64_t otherwise);
double stanch_json_real(const json_t *obj, const char *key, double otherwise);
bool stanch_json_bool(const json_t *obj, const char *key, bool otherwise);

/** Set a text member unless `text` is NULL. */
void stanch_json_set_str(json_t *obj, const char *key, const char *text);

void stanch_json_cleanup(json_t **value);
#define STANCH_AUTO_JSON __attribute__((cleanup(stanch_json_cleanup)))

#endif
