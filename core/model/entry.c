/* entry.c: sealing an entry into its chain, and showing it to programs. */
#include "model/entry.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <inttypes.h>
#include <string.h>

/* `,"name":` and the value of a text member; NULL becomes null. */
static int write_text(struct stanch_buf *out, const char *name, const char *text, struct stanch_err *err)
{
    stanch_buf_printf(out, ",\"%s\":", name);
    if (!text) {
        stanch_buf_text(out, "null");
        return 0;
    }
    STANCH_AUTO_JSON json_t *value = json_string(text);
    if (!value)
        return stanch_err_set(err, STANCH_E_INVALID, "\"%s\" of an entry is not UTF-8", name);
    return stanch_json_canonical(value, out, err);
}

int stanch_entry_seal_text(struct stanch_entry *entry, const char *data, size_t data_len, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    stanch_buf_reserve(&out, data_len + 512);
    /* the members in the order of RFC 8785 */
    stanch_buf_printf(&out, "{\"domain\":\"stanch.entry\",\"v\":1,\"value\":{\"at\":%" PRId64, entry->at_ms);
    int rc = write_text(&out, "by", entry->by, err);
    if (rc == 0)
        rc = write_text(&out, "chain", entry->chain, err);
    stanch_buf_text(&out, ",\"data\":");
    stanch_buf_add(&out, data, data_len);
    if (rc == 0)
        rc = write_text(&out, "kind", entry->kind, err);
    stanch_buf_printf(&out, ",\"n\":%" PRId64, entry->n);
    if (rc == 0)
        rc = write_text(&out, "prev", entry->prev, err);
    if (rc == 0)
        rc = write_text(&out, "run", entry->run, err);
    if (rc < 0)
        return rc;
    stanch_buf_text(&out, "}}");
    stanch_digest_hex(out.data, out.len, entry->hash);
    return 0;
}

int stanch_entry_seal(struct stanch_entry *entry, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf data = {0};
    int rc = stanch_json_canonical(entry->data, &data, err);
    if (rc < 0)
        return rc;
    return stanch_entry_seal_text(entry, data.data, data.len, err);
}

json_t *stanch_entry_json(const struct stanch_entry *entry)
{
    const struct stanch_kind *kind = stanch_kind_find(entry->kind);
    STANCH_AUTO_FREE char *text = stanch_entry_text(entry);
    char at[32];
    stanch_time_text(entry->at_ms, at);
    json_t *obj = json_object();
    json_object_set_new(obj, "seq", json_integer(entry->seq));
    json_object_set_new(obj, "chain", json_string(entry->chain));
    json_object_set_new(obj, "n", json_integer(entry->n));
    json_object_set_new(obj, "at", json_string(at));
    json_object_set_new(obj, "at_ms", json_integer(entry->at_ms));
    json_object_set_new(obj, "kind", json_string(entry->kind));
    json_object_set_new(obj, "by", json_string(entry->by));
    stanch_json_set_str(obj, "run", entry->run);
    json_object_set_new(obj, "level", json_string(kind && kind->level == STANCH_HEADLINE ? "headline" : "detail"));
    json_object_set_new(obj, "text", json_string(text));
    json_object_set(obj, "data", entry->data);
    json_object_set_new(obj, "prev", json_string(entry->prev));
    json_object_set_new(obj, "hash", json_string(entry->hash));
    return obj;
}
