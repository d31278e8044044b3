/* chain_check.c: a row is first held against its own hash (altered), then against the chain before it (removed,
 * inserted, reordered), then against the order of the store, then against a checkpoint (everything, by somebody
 * who computed all hashes anew). */
#include "timeline/chain_check.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define UNKNOWN_CHAIN "?"

void stanch_chain_check_init(struct stanch_chain_check *check, bool is_whole, struct stanch_verify_result *result)
{
    *result = (struct stanch_verify_result){0};
    *check = (struct stanch_chain_check){.result = result, .is_whole = is_whole, .heads = json_object()};
    (void)snprintf(check->link, sizeof check->link, "%s", STANCH_HASH_ZERO);
}

void stanch_chain_check_done(struct stanch_chain_check *check)
{
    json_decref(check->heads);
    json_decref(check->expected);
    json_decref(check->cuts);
    json_decref(check->gaps);
    *check = (struct stanch_chain_check){0};
}

void stanch_chain_check_name(struct stanch_chain_check *check, const char *chain, int64_t n, int64_t seq,
                             const char *fmt, ...)
{
    struct stanch_verify_result *result = check->result;
    if (result->bad_seq)
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(result->what, sizeof result->what, fmt, args);
    va_end(args);
    (void)snprintf(result->bad_chain, sizeof result->bad_chain, "%s", chain);
    result->bad_n = n;
    result->bad_seq = seq > 0 ? seq : 1;
}

static json_t *new_head(int64_t n, const char *hash)
{
    json_t *head = json_object();
    json_object_set_new(head, "n", json_integer(n));
    json_object_set_new(head, "hash", json_string(hash));
    return head;
}

void stanch_chain_check_expect(struct stanch_chain_check *check, const json_t *heads, const char *chain)
{
    size_t i;
    json_t *head;
    if (stanch_is_sabotaged("verify-skips-checkpoint"))
        return;
    check->expected = check->expected ? check->expected : json_object();
    json_array_foreach(heads, i, head)
    {
        const char *name = stanch_json_str(head, "chain", "");
        if (chain && strcmp(chain, name) != 0)
            continue;
        json_object_set_new(check->expected, name,
                            new_head(stanch_json_int(head, "n", 0), stanch_json_str(head, "hash", "")));
    }
}

/* ---- what was pruned ---- */

static void keep_range(json_t *ranges, const json_t *range, size_t at)
{
    char from[32];
    (void)snprintf(from, sizeof from, "%lld", (long long)json_integer_value(json_array_get(range, at)));
    json_object_set_new(ranges, from,
                        json_pack("[O, O]", json_array_get(range, at + 1), json_array_get(range, at + 2)));
}

void stanch_chain_check_pruned(struct stanch_chain_check *check, const json_t *prune)
{
    size_t i;
    json_t *range;
    check->cuts = check->cuts ? check->cuts : json_object();
    check->gaps = check->gaps ? check->gaps : json_object();
    json_array_foreach(json_object_get(prune, "cuts"), i, range)
    {
        const char *chain = json_string_value(json_array_get(range, 0));
        if (chain && !json_object_get(check->cuts, chain))
            json_object_set_new(check->cuts, chain, json_object());
        if (chain)
            keep_range(json_object_get(check->cuts, chain), range, 1);
    }
    json_array_foreach(json_object_get(prune, "gaps"), i, range) keep_range(check->gaps, range, 0);
}

/* A checkpoint from before the prune named an entry that went: only the last of a range can still be compared. */
static void see_expected(struct stanch_chain_check *check, const char *chain, int64_t from, int64_t to,
                         const char *hash)
{
    json_t *expected = json_object_get(check->expected, chain);
    int64_t n = stanch_json_int(expected, "n", 0);
    if (!expected || n < from || n > to || (n == to && strcmp(stanch_json_str(expected, "hash", ""), hash) != 0))
        return;
    json_object_set_new(expected, "seen", json_true());
}

/* The range that begins behind `n`; false when there is none. */
static bool find_range(const json_t *ranges, int64_t n, int64_t *ret_to, const char **ret_hash)
{
    char from[32];
    (void)snprintf(from, sizeof from, "%lld", (long long)(n + 1));
    const json_t *range = json_object_get(ranges, from);
    if (!range || json_integer_value(json_array_get(range, 0)) <= n)
        return false;
    *ret_to = json_integer_value(json_array_get(range, 0));
    *ret_hash = json_string_value(json_array_get(range, 1)) ? json_string_value(json_array_get(range, 1)) : "";
    return true;
}

/* How far a chain is read goes on over what was pruned of it. */
static void skip_cuts(struct stanch_chain_check *check, const char *chain)
{
    const json_t *cuts = json_object_get(check->cuts, chain);
    const char *hash;
    int64_t n = stanch_json_int(json_object_get(check->heads, chain), "n", 0), to;
    for (; cuts && find_range(cuts, n, &to, &hash); n = to) {
        see_expected(check, chain, n + 1, to, hash);
        json_object_set_new(check->heads, chain, new_head(to, hash));
    }
}

static void skip_gaps(struct stanch_chain_check *check)
{
    const char *link;
    int64_t to;
    while (check->is_whole && check->gaps && find_range(check->gaps, check->last_seq, &to, &link)) {
        see_expected(check, STANCH_CHAIN_ALL, check->last_seq + 1, to, link);
        check->last_seq = to;
        (void)snprintf(check->link, sizeof check->link, "%s", link);
    }
}

static bool is_own_hash(const struct stanch_row *row)
{
    struct stanch_entry entry = {
        .at_ms = row->at_ms, .by = row->by, .chain = row->chain, .kind = row->kind, .n = row->n, .run = row->run};
    if (stanch_is_sabotaged("verify-skips-hash"))
        return true;
    if (strlen(row->prev) != 64 || strlen(row->hash) != 64)
        return false;
    (void)snprintf(entry.prev, sizeof entry.prev, "%s", row->prev);
    return stanch_entry_seal_text(&entry, row->data, row->data_len, NULL) == 0 && strcmp(entry.hash, row->hash) == 0;
}

/* What a checkpoint says of this place in a chain. */
static bool is_expected(struct stanch_chain_check *check, const struct stanch_row *row, const char *chain, int64_t n,
                        const char *hash)
{
    json_t *expected = json_object_get(check->expected, chain);
    if (!expected || stanch_json_int(expected, "n", 0) != n)
        return true;
    json_object_set_new(expected, "seen", json_true());
    if (strcmp(stanch_json_str(expected, "hash", ""), hash) == 0)
        return true;
    stanch_chain_check_name(check, row->chain, row->n, row->seq,
                            "altered: this entry, or one before it in its chain, is not the one that the checkpoint "
                            "was made of; its hashes were computed anew");
    return false;
}

/* seq runs without a gap. A gap names its place; whose entry is missing there is told by the next row of its chain,
 * or by the store's heads. A row that was only moved still has the link of its old place. */
static void check_seq(struct stanch_chain_check *check, const struct stanch_row *row)
{
    skip_gaps(check);
    int64_t last = check->last_seq;
    check->last_seq = row->seq;
    if (!check->is_whole || row->seq == last + 1)
        return;
    if (row->seq <= last) {
        stanch_chain_check_name(check, row->chain, row->n, row->seq,
                                "reordered: it cannot stand at place %" PRId64 " of the store", row->seq);
        return;
    }
    char link[65];
    stanch_store_link(last + 1, check->link, row->hash, link);
    if (row->link && strcmp(link, row->link) == 0) {
        stanch_chain_check_name(check, row->chain, row->n, last + 1,
                                "altered: it was moved from place %" PRId64 " in the store to %" PRId64, last + 1,
                                row->seq);
        return;
    }
    stanch_chain_check_name(check, UNKNOWN_CHAIN, 0, last + 1, "removed: %" PRId64 " %s missing here",
                            row->seq - last - 1, row->seq - last == 2 ? "entry is" : "entries are");
    check->is_gap_open = true;
}

/* Now it is known from which chain an entry is missing. */
static void name_gap(struct stanch_chain_check *check, const char *chain, int64_t n)
{
    if (strcmp(check->result->bad_chain, UNKNOWN_CHAIN) != 0)
        return;
    (void)snprintf(check->result->bad_chain, sizeof check->result->bad_chain, "%s", chain);
    check->result->bad_n = n;
    check->is_gap_open = false;
}

/* n and prev continue the chain. */
static bool is_next(struct stanch_chain_check *check, const struct stanch_row *row)
{
    skip_cuts(check, row->chain);
    const json_t *head = json_object_get(check->heads, row->chain);
    int64_t n = stanch_json_int(head, "n", 0);
    const char *hash = stanch_json_str(head, "hash", STANCH_HASH_ZERO);
    if (row->n == n + 1 && strcmp(row->prev, hash) == 0)
        return true;
    if (check->is_gap_open) { /* the gap in seq is named already; now its chain is known */
        name_gap(check, row->chain, n + 1);
        return false;
    }
    if (row->n > n + 1)
        stanch_chain_check_name(check, row->chain, row->n, row->seq,
                                "removed: entry %" PRId64 " of the chain should stand here, this is entry %" PRId64,
                                n + 1, row->n);
    else if (row->n <= n)
        stanch_chain_check_name(check, row->chain, row->n, row->seq,
                                "inserted or reordered: the chain has an entry %" PRId64 " already", row->n);
    else
        stanch_chain_check_name(check, row->chain, row->n, row->seq,
                                "inserted or altered: it does not continue from the entry before it in its chain");
    return false;
}

static bool is_linked(struct stanch_chain_check *check, const struct stanch_row *row)
{
    char link[65];
    if (!check->is_whole)
        return true;
    stanch_store_link(row->seq, check->link, row->hash, link);
    (void)snprintf(check->link, sizeof check->link, "%s", link);
    if (!row->link || strcmp(link, row->link) == 0 || stanch_is_sabotaged("verify-skips-order"))
        return true;
    stanch_chain_check_name(check, row->chain, row->n, row->seq,
                            "reordered: it does not stand at the place in the store where it was written");
    return false;
}

bool stanch_chain_check_row(struct stanch_chain_check *check, const struct stanch_row *row)
{
    check->result->entries++;
    if (!check->is_gap_open)
        check_seq(check, row);
    if (check->result->bad_seq && !check->is_gap_open)
        return false;
    if (!check->is_gap_open && !is_own_hash(row)) {
        stanch_chain_check_name(check, row->chain, row->n, row->seq, "altered: its content does not have its hash");
        return false;
    }
    if (!is_next(check, row))
        return false;
    json_object_set_new(check->heads, row->chain, new_head(row->n, row->hash));
    if (check->is_gap_open)
        return true;
    if (!is_linked(check, row))
        return false;
    return is_expected(check, row, row->chain, row->n, row->hash) &&
           (!check->is_whole || is_expected(check, row, STANCH_CHAIN_ALL, row->seq, check->link));
}

/* What the checkpoint names and was not found. */
bool stanch_chain_check_end(struct stanch_chain_check *check)
{
    const char *chain;
    json_t *expected;
    check->result->chains = (int64_t)json_object_size(check->heads);
    skip_gaps(check);
    json_object_foreach(check->expected, chain, expected)
    {
        skip_cuts(check, chain);
        bool is_all = strcmp(chain, STANCH_CHAIN_ALL) == 0;
        if (stanch_json_bool(expected, "seen", false) || (is_all && json_object_size(check->expected) > 1))
            continue; /* a chain of its own tells more than the whole */
        int64_t n = is_all ? check->last_seq : stanch_json_int(json_object_get(check->heads, chain), "n", 0);
        if (!is_all)
            name_gap(check, chain, n + 1);
        stanch_chain_check_name(check, chain, n + 1, check->last_seq + 1,
                                "%s: the checkpoint was made when the chain had %" PRId64
                                " entries, now it has %" PRId64,
                                n ? "tail cut" : "chain missing", stanch_json_int(expected, "n", 0), n);
    }
    return !check->result->bad_seq;
}

bool stanch_chain_check_heads(struct stanch_chain_check *check, const json_t *heads, const char *chain)
{
    size_t i, known = 0;
    json_t *head;
    json_array_foreach(heads, i, head)
    {
        const char *name = stanch_json_str(head, "chain", "");
        bool is_all = strcmp(name, STANCH_CHAIN_ALL) == 0;
        if ((chain && strcmp(chain, name) != 0) || (is_all && !check->is_whole))
            continue;
        const json_t *read = json_object_get(check->heads, name);
        int64_t n = is_all ? check->last_seq : stanch_json_int(read, "n", 0);
        const char *hash = is_all ? check->link : stanch_json_str(read, "hash", STANCH_HASH_ZERO);
        known += !is_all;
        if (n == stanch_json_int(head, "n", 0) && strcmp(hash, stanch_json_str(head, "hash", "")) == 0)
            continue;
        if (!is_all && n < stanch_json_int(head, "n", 0))
            name_gap(check, name, n + 1);
        stanch_chain_check_name(check, name, n + 1, check->last_seq + 1,
                                "%s: the store's own head names entry %" PRId64 ", the last one found is %" PRId64,
                                n < stanch_json_int(head, "n", 0) ? "tail cut" : "head altered",
                                stanch_json_int(head, "n", 0), n);
    }
    if ((int64_t)known < check->result->chains)
        stanch_chain_check_name(check, chain ? chain : STANCH_CHAIN_ALL, 0, check->last_seq + 1,
                                "head altered: the store's heads lack a chain that has entries");
    return !check->result->bad_seq;
}
