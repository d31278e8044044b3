/* entry.h: one record of the timeline, and the table of all kinds of entries.
 * An entry belongs to one chain: an incident's ("INC-7"), or "-" for what belongs to none (start, login,
 * configuration, git, export). Within a chain entries are numbered from 1 without a gap and linked by hash:
 *
 *   hash = SHA-256(JCS({"domain":"stanch.entry","v":1,"value":
 *            {"at":at_ms,"by":by,"chain":chain,"data":data,"kind":kind,"n":n,"prev":prev,"run":run|null}}))
 *   prev of entry 1 is 64 zeros. JCS: RFC 8785.
 */
#ifndef STANCH_MODEL_ENTRY_H
#define STANCH_MODEL_ENTRY_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STANCH_CHAIN_NONE "-"
#define STANCH_HASH_ZERO  "0000000000000000000000000000000000000000000000000000000000000000"
#define STANCH_BY_STANCH  "stanch" /* the principal of what stanch does by itself */

struct stanch_entry {
    int64_t seq; /* place in the store, from 1, over all chains */
    const char *chain;
    int64_t n;        /* place in the chain, from 1 */
    int64_t at_ms;    /* wall clock at append */
    const char *kind; /* one of kind.def */
    const char *by;   /* principal: "person:alice", "token:ci", "run:R-3", "stanch" */
    const char *run;  /* run id, or NULL */
    json_t *data;     /* object */
    char prev[65];
    char hash[65];
};

enum stanch_entry_level { STANCH_HEADLINE, STANCH_DETAIL };

struct stanch_kind {
    const char *name; /* "run.started" */
    enum stanch_entry_level level;
    const char *noun;  /* whose fold it feeds: "run"; NULL: nobody's */
    const char *id;    /* the member of data that names the noun: "run" */
    const char *state; /* the noun's state afterwards; NULL: unchanged */
    bool open;         /* whether a noun in that state is still open (only read when state is set) */
    const char *text;  /* what a person reads; {member} is replaced from data, {by} and {run} from the entry; a
                        * part in [brackets] is left out when one of its members is missing */
};

/** The table entry of a kind; NULL when there is none. */
const struct stanch_kind *stanch_kind_find(const char *name);
/** All kinds, in the order of kind.def. */
const struct stanch_kind *stanch_kind_table(int *ret_count);

/** Compute hash from all other members; prev must be set. returns 0 | STANCH_E_INVALID (data has no
 *  canonical form) */
int stanch_entry_seal(struct stanch_entry *entry, struct stanch_err *err);
/** As stanch_entry_seal, with the canonical text of data at hand (entry->data is not read). */
int stanch_entry_seal_text(struct stanch_entry *entry, const char *data, size_t data_len, struct stanch_err *err);
/** new; the entry as API and export show it:
 *  {"seq","chain","n","at":"RFC 3339","at_ms","kind","by","run"?,"level","text","data","prev","hash"} */
json_t *stanch_entry_json(const struct stanch_entry *entry);
/** new; the sentence of an entry for people, from its kind's text. Control characters are left to the output. */
char *stanch_entry_text(const struct stanch_entry *entry);

#endif
