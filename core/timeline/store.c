/* store.c: what all kinds of stores share. */
#include "timeline/store_ops.h"
#include "base/digest.h"
#include "base/json.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int64_t stanch_store_epoch(const struct stanch_store *store)
{
    return store->epoch;
}

void stanch_store_close(struct stanch_store *store)
{
    if (store)
        store->ops->close(store);
}

void stanch_store_link(int64_t seq, const char *prev_link, const char *hash, char ret[65])
{
    char text[192];
    int len = snprintf(text, sizeof text, "stanch.link 1 %" PRId64 " %.64s %.64s", seq, prev_link, hash);
    stanch_digest_hex(text, (size_t)len, ret);
}

bool stanch_store_is_headline(const char *kind)
{
    const struct stanch_kind *known = stanch_kind_find(kind);
    return !known || known->level == STANCH_HEADLINE;
}

int stanch_store_parse(const char *text, size_t len, json_t **ret, struct stanch_err *err)
{
    struct stanch_err why = {0};
    if (stanch_json_parse(text, len, &stanch_json_own_limits, ret, &why) < 0)
        return stanch_err_set(err, STANCH_E_CORRUPT, "stored JSON does not parse: %s", why.text);
    return 0;
}

int stanch_store_entry(const struct stanch_row *row, struct stanch_entry *ret, struct stanch_err *err)
{
    json_t *data;
    int rc = stanch_store_parse(row->data, row->data_len, &data, err);
    if (rc < 0)
        (void)stanch_err_wrap(err, "entry %" PRId64 " of the store", row->seq);
    if (rc < 0)
        return rc;
    *ret = (struct stanch_entry){.seq = row->seq,
                                 .chain = row->chain,
                                 .n = row->n,
                                 .at_ms = row->at_ms,
                                 .kind = row->kind,
                                 .by = row->by,
                                 .run = row->run,
                                 .data = data};
    (void)snprintf(ret->prev, sizeof ret->prev, "%s", row->prev);
    (void)snprintf(ret->hash, sizeof ret->hash, "%s", row->hash);
    return 0;
}
