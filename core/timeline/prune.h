/* prune.h: the end of a timeline's life. Whole ended incidents go, and events that belong to none; what is open or in
 * force stays, with all that belongs to it. What went is said by a signed entry, timeline.pruned, in the chain of what
 * belongs to no incident:
 *
 *   {"before","incidents":[id],"events":n,"entries":n,
 *    "prune":{"store","cuts":[[chain,from_n,to_n,hash]],"gaps":[[from_seq,to_seq,link]]},"key","signature"}
 *
 * A cut tells verify that the entries from_n..to_n of a chain went, and with which hash the chain goes on; a gap tells
 * it the same of the order of the store. Whole incidents in one transaction, so that a crash leaves none in
 * part.
 */
#ifndef STANCH_TIMELINE_PRUNE_H
#define STANCH_TIMELINE_PRUNE_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** A source may repeat an alert for so long: until then its keys are kept, or the repeat would be a new event. */
#define STANCH_PRUNE_LEAST_AGE_MS (7 * 86400 * 1000LL)

struct stanch_prune_result {
    int64_t incidents, events, entries; /* only_look: of the first round, some hundred incidents at most */
};

/** Prune what ended, and was not heard of again, before `before_ms`. by: whose doing it is ("uid:0"). only_look: count,
 *  change nothing. Blocking; takes the store for itself.
 *  returns 0 | STANCH_E_CONFLICT a daemon owns the store | STANCH_E_REFUSED younger than STANCH_PRUNE_LEAST_AGE_MS |
 *  STANCH_E_NOT_FOUND | STANCH_E_CORRUPT | STANCH_E_STORE */
int stanch_timeline_prune(const char *store_dir, int64_t before_ms, int64_t now_ms, const char *by, bool only_look,
                          struct stanch_prune_result *ret, struct stanch_err *err);

#endif
