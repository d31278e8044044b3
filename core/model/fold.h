/* fold.h: current state out of entries. One uniform rule, driven by kind.def: the members of an entry's data
 * are merged into the noun that the entry names, and the noun takes the kind's state. What needs more than the
 * rule (a key that must be found again, a counter) has a line of its own in fold.c.
 *
 * A noun's document is a JSON object with at least {"id","state","open","incident"?,"created_ms","updated_ms",
 * "seq","updated_seq"}: seq of its first entry, updated_seq of its last. A member of data that is null is removed.
 * Pure: reads and writes only through its port.
 */
#ifndef STANCH_MODEL_FOLD_H
#define STANCH_MODEL_FOLD_H
#include "model/entry.h"

struct stanch_fold_port {
    /** The noun's document as it stands, including what is appended but not yet committed; NULL when there is
     *  none. returns: new */
    json_t *(*get)(void *ctx, const char *noun, const char *id);
    /** The noun's new document. doc: taken. open: is it still open. chain: the noun's incident,
     *  or "-". */
    void (*put)(void *ctx, const char *noun, const char *id, const char *chain, bool open, json_t *doc);
    void *ctx;
};

#define STANCH_DUE_NEVER  INT64_MIN
#define STANCH_DUE_QUEUED (-2) /* a run that has not begun: its turn is not a matter of time */
/** When must the engine look at a noun again, if nothing happens to it? A time; 0: it is under way, also after a
 *  restart; STANCH_DUE_NEVER: not by itself.
 *   run         0; one that rests: its wake_ms, or never; STANCH_DUE_QUEUED before it has begun   approval    its reminder,
 *              then its expiry
 *   mitigation  the end of its lease; 0 while its undo is ordered or out      hold  its end
 *   breaker     when it closes by itself                  incident  one that is watched: the next sample of its symptoms */
int64_t stanch_fold_due(const char *noun, const json_t *doc);
/** When a question is over; STANCH_DUE_NEVER: it has no end. approval: its document, or NULL */
int64_t stanch_fold_expiry(const json_t *approval);

/** Feed one entry to the folds of the nouns that it touches. An entry of a kind that is unknown (written by a
 *  newer release) changes nothing. */
void stanch_fold(const struct stanch_entry *entry, const struct stanch_fold_port *port);

#endif
