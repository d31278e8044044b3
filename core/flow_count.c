/* flow_count.c: what comes too often for an entry each: repeats of an event, webhooks and people that are refused. They are counted
 * in memory and written now and then; those counts are all that a crash may lose.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow_parts.h"
#include <string.h>

#define REFUSALS_EVERY_MS 60000

/* ---- repeats: the same event again ---- */

void stanch_flow__note_repeat(struct stanch_flow *flow, const char *event)
{
    json_object_set_new(flow->repeats, event, json_integer(stanch_json_int(flow->repeats, event, 0) + 1));
}

static void flush_repeats(struct stanch_flow *flow)
{
    if (json_object_size(flow->repeats) == 0)
        return;
    struct stanch_batch *batch = stanch_batch_new();
    const char *event;
    json_t *count;
    json_object_foreach(flow->repeats, event, count)
    {
        STANCH_AUTO_JSON json_t *doc = stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "event", event);
        stanch_batch_add(
            batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), "event.repeated", STANCH_BY_STANCH, NULL,
            json_pack("{s:s, s:O, s:s}", "event", event, "count", count, "name", stanch_json_str(doc, "name", "")));
    }
    struct stanch_err err;
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) == 0)
        json_object_clear(flow->repeats);
}

/* ---- refused: the first of a kind is an entry at once, those of the next minute are one more ---- */

/* What may be sent again has not been refused: it is late. And the store may be why. */
static bool is_for_good(const struct stanch_err *err)
{
    static const int for_good[] = {STANCH_E_INVALID,    STANCH_E_UNAUTHORIZED, STANCH_E_FORBIDDEN, STANCH_E_TOO_LARGE,
                                   STANCH_E_MEDIA_TYPE, STANCH_E_REFUSED,      STANCH_E_PROTOCOL};
    for (size_t i = 0; i < sizeof for_good / sizeof *for_good; i++)
        if (err->code == for_good[i])
            return true;
    return false;
}

static bool append_refusal(struct stanch_flow *flow, const json_t *seen)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    json_int_t more = stanch_json_int(seen, "more", 0);
    json_t *data = json_pack("{s:O*, s:O*, s:O*, s:O*}", "source", json_object_get(seen, "source"), "what",
                             json_object_get(seen, "what"), "remote", json_object_get(seen, "remote"), "why",
                             json_object_get(seen, "why"));
    if (more > 0)
        json_object_set_new(data, "count", json_integer(more));
    stanch_batch_add(batch, STANCH_CHAIN_NONE, stanch_json_str(seen, "kind", ""),
                     stanch_json_str(seen, "by", STANCH_BY_STANCH), NULL, data);
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) == 0)
        return true;
    stanch_log(STANCH_LOG_WARN, "flow", "a refusal could not be recorded: %s", err.text);
    return false;
}

/* first: what the entry says of the first of its kind; taken. Kinds are few: this is bounded. */
static void note_refused(struct stanch_flow *flow, const char *key, json_t *first, const char *remote, const char *why)
{
    json_t *seen = json_object_get(flow->refusals, key);
    bool is_first = !seen;
    if (is_first) {
        seen = json_incref(first);
        json_object_set_new(seen, "since_ms", json_integer(stanch_loop_mono_ms(flow->loop)));
        json_object_set_new(seen, "more", json_integer(0));
        json_object_set_new(flow->refusals, key, seen);
    }
    json_decref(first);
    json_object_set_new(seen, "remote", json_string(remote));
    json_object_set_new(seen, "why", json_string(why));
    if (!is_first || !append_refusal(flow, seen))
        json_object_set_new(seen, "more", json_integer(stanch_json_int(seen, "more", 0) + 1));
}

void stanch_flow__note_refusal(struct stanch_flow *flow, const char *source, const char *remote,
                               const struct stanch_err *err)
{
    if (!is_for_good(err))
        return;
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s %s", source, stanch_err_word(err->code));
    note_refused(flow, key, json_pack("{s:s, s:s}", "kind", "event.refused", "source", source), remote, err->text);
}

void stanch_flow_note_refused(struct stanch_flow *flow, const char *by, const char *what, const char *remote,
                              const struct stanch_err *err)
{
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s %s", *by ? by : "nobody", what);
    json_t *first = json_pack("{s:s, s:s}", "kind", "access.refused", "what", what);
    stanch_json_set_str(first, "by", *by ? by : "nobody");
    note_refused(flow, key, first, remote, err->text);
}

static void flush_refusals(struct stanch_flow *flow)
{
    int64_t now = stanch_loop_mono_ms(flow->loop);
    const char *key;
    json_t *seen;
    void *next;
    json_object_foreach_safe(flow->refusals, next, key, seen)
    {
        bool is_due = flow->draining || now - stanch_json_int(seen, "since_ms", 0) >= REFUSALS_EVERY_MS;
        if (!is_due)
            continue;
        if (stanch_json_int(seen, "more", 0) == 0) {
            json_object_del(flow->refusals, key);
        } else if (append_refusal(flow, seen)) {
            json_object_set_new(seen, "more", json_integer(0));
            json_object_set_new(seen, "since_ms", json_integer(now));
        }
    }
}

void stanch_flow__flush_counts(struct stanch_flow *flow)
{
    flush_repeats(flow);
    flush_refusals(flow);
}
