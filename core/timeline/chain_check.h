/* chain_check.h: the checker behind verify: fed row by row, it names the first row that is not what was written.
 * Knows neither stores nor files. Rows come in order of seq.
 */
#ifndef STANCH_TIMELINE_CHAIN_CHECK_H
#define STANCH_TIMELINE_CHAIN_CHECK_H
#include "timeline/store_ops.h"
#include "timeline/verify.h"

struct stanch_chain_check {
    struct stanch_verify_result *result;
    json_t *heads;    /* chain -> {"n","hash"}: how far each chain is read */
    json_t *expected; /* chain -> {"n","hash","seen":bool}: what a checkpoint says; NULL: no checkpoint */
    json_t *cuts;     /* chain -> from_n -> [to_n, hash]: what was pruned of it */
    json_t *gaps;     /* from_seq -> [to_seq, link] */
    bool is_whole;    /* all chains, from seq 1: then seq and link are checked too */
    bool is_gap_open; /* a seq is missing and its chain is not known yet: look on */
    int64_t last_seq;
    char link[65];
};

/** is_whole: all rows of a store are fed. ret_result: zeroed here, filled while checking. */
void stanch_chain_check_init(struct stanch_chain_check *check, bool is_whole, struct stanch_verify_result *result);
void stanch_chain_check_done(struct stanch_chain_check *check);
/** Heads that must be found on the way: [{"chain","n","hash"}]. chain NULL: all of them. */
void stanch_chain_check_expect(struct stanch_chain_check *check, const json_t *heads, const char *chain);
/** What was pruned, as a signed entry of it says (prune.h): missed without a word. Before the first row. */
void stanch_chain_check_pruned(struct stanch_chain_check *check, const json_t *prune);
/** Check one row. link may be NULL (an export has none). returns false once a bad one is named: stop feeding */
bool stanch_chain_check_row(struct stanch_chain_check *check, const struct stanch_row *row);
/** After the last row: what should have come. returns false when something is missing. */
bool stanch_chain_check_end(struct stanch_chain_check *check);
/** Compare how far chains were read with heads kept elsewhere. returns false when they differ */
bool stanch_chain_check_heads(struct stanch_chain_check *check, const json_t *heads, const char *chain);
/** Name a place as bad unless one is named already. */
void stanch_chain_check_name(struct stanch_chain_check *check, const char *chain, int64_t n, int64_t seq,
                             const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
