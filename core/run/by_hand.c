/* by_hand.c: what people take by hand (the noun "hold"): while it stands, nothing that stanch starts by itself happens on its
 * target before somebody was asked. One holder for each target; in memory are the names of the targets that are held, all else
 * is in the journal.
 *
 *   held --its holder again--> held, for longer
 *     |  \--released by its holder, or by somebody who names the holder--> released
 *     \--its end (due.c)--> expired
 */
#include "run/engine.h"
#include "base/mem.h"
#include "base/times.h"
#include "model/fold.h"
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FOR_MS (3600LL * 1000)
#define MAX_FOR_MS     (24LL * 3600 * 1000)
#define MAX_HELD       1000 /* targets, in all */
#define MAX_TARGET     1000 /* bytes */
#define MAX_REASON     500
#define WHY_MAX        200 /* bytes of each of its words in a sentence */

json_t *stanch_by_hand__of(struct stanch_engine *engine, const char *target)
{
    const char *id = json_string_value(json_object_get(engine->by_hand, target));
    json_t *doc = id ? stanch_journal_see(engine->journal, "hold", id) : NULL;
    if (doc && strcmp(stanch_json_str(doc, "state", ""), "held") == 0 &&
        stanch_fold_due("hold", doc) > stanch_engine__steady(engine))
        return doc;
    json_decref(doc);
    return NULL;
}

static int cut(const char *text)
{
    return (int)stanch_text_cut(text, WHY_MAX);
}

char *stanch_by_hand__why(const json_t *hold)
{
    char until[32];
    const char *reason = stanch_json_str(hold, "reason", ""), *target = stanch_json_str(hold, "target", "");
    const char *holder = stanch_json_str(hold, "holder", "");
    stanch_time_text(stanch_json_int(hold, "ends_ms", 0), until);
    return stanch_asprintf("%.*s is held by %.*s until %s%s%.*s", cut(target), target, cut(holder), holder, until,
                           *reason ? ": " : "", cut(reason), reason);
}

/* ---- taken ---- */

static int check_words(const struct stanch_hold_words *words, struct stanch_err *err)
{
    if (!*words->target || strlen(words->target) > MAX_TARGET)
        return stanch_err_set(err, STANCH_E_INVALID, "target: says what is held, as plans name it, in at most %d bytes",
                              MAX_TARGET);
    if (strlen(words->reason) > MAX_REASON)
        return stanch_err_set(err, STANCH_E_INVALID, "reason: at most %d bytes", MAX_REASON);
    if (words->for_ms < 0 || words->for_ms > MAX_FOR_MS)
        return stanch_err_set(err, STANCH_E_INVALID, "for_ms: for how long, in milliseconds, 24 h at most");
    return 0;
}

/* Who takes something by hand wants to know what is on its way there. ret: steps and mitigations; NULL: nothing. new */
static json_t *under_way(const struct stanch_engine *engine, const char *target)
{
    json_t *found = json_array();
    for (const struct stanch_op *op = engine->ops; op; op = op->next) {
        bool has_effect = op->kind == &stanch_op_action || op->kind == &stanch_op_undo;
        const struct stanch_effect *effect = has_effect ? op->state : NULL; /* the first member of both */
        const json_t *plan = effect && effect->open ? json_object_get(effect->input, "plan") : NULL;
        const json_t *targets = json_object_get(plan, "targets");
        for (size_t i = 0; i < json_array_size(targets); i++)
            if (strcmp(json_string_value(json_array_get(targets, i)), target) == 0)
                json_array_append_new(found, json_string(op->id));
    }
    if (json_array_size(found) > 0)
        return found;
    json_decref(found);
    return NULL;
}

static json_t *taken(struct stanch_engine *engine, const char *id, const struct stanch_hold_words *words,
                     const char *reason, int64_t for_ms)
{
    char until[32];
    int64_t ends_ms = stanch_engine__now(engine) + for_ms, due_ms = stanch_engine__steady(engine) + for_ms;
    stanch_time_text(ends_ms, until);
    json_t *data = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:I}", "hold", id, "target", words->target, "holder",
                             words->by, "reason", reason, "fence", (json_int_t)atoll(id + 2), "ends_ms",
                             (json_int_t)ends_ms, "until", until, "due_ms", (json_int_t)due_ms);
    json_t *busy = under_way(engine, words->target);
    json_object_set_new(data, "under_way", busy ? busy : json_null());
    return data;
}

/* ret_id: of the hold to extend, or a new one. returns 0 | STANCH_E_CONFLICT | STANCH_E_REFUSED */
static int find_or_new(struct stanch_engine *engine, const json_t *held, const struct stanch_hold_words *words,
                       char ret_id[32], struct stanch_err *err)
{
    if (!held && json_object_size(engine->by_hand) >= MAX_HELD)
        return stanch_err_set(err, STANCH_E_REFUSED, "%d targets are held by hand already; `stanch holds` lists them",
                              MAX_HELD);
    if (!held) {
        stanch_journal_next_id(engine->journal, "H", ret_id);
        return 0;
    }
    if (strcmp(stanch_json_str(held, "holder", ""), words->by) != 0) {
        STANCH_AUTO_FREE char *why = stanch_by_hand__why(held);
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s", why);
    }
    (void)snprintf(ret_id, 32, "%s", stanch_json_str(held, "id", ""));
    return 0;
}

int stanch_engine_hold(struct stanch_engine *engine, const struct stanch_hold_words *words, char ret_id[32],
                       struct stanch_err *err)
{
    int64_t for_ms = words->for_ms > 0 ? words->for_ms : DEFAULT_FOR_MS;
    int rc = check_words(words, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *held = stanch_by_hand__of(engine, words->target);
    rc = find_or_new(engine, held, words, ret_id, err);
    if (rc < 0)
        return rc;
    int64_t left_ms = held ? stanch_fold_due("hold", held) - stanch_engine__steady(engine) : 0;
    const char *reason = *words->reason ? words->reason : stanch_json_str(held, "reason", "");
    json_t *data = taken(engine, ret_id, words, reason, left_ms > for_ms ? left_ms : for_ms);
    int64_t due_ms = stanch_json_int(data, "due_ms", 0);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "hold.taken", words->by, NULL, data);
    rc = stanch_journal_append(engine->journal, batch, NULL, NULL, err);
    if (rc < 0)
        return rc;
    json_object_set_new(engine->by_hand, words->target, json_string(ret_id));
    stanch_engine__due(engine, due_ms);
    return 0;
}

/* ---- released ---- */

int stanch_engine_release(struct stanch_engine *engine, const char *by, const char *target, const char *of,
                          const char *reason, char ret_id[32], struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *held = stanch_by_hand__of(engine, target);
    const char *holder = stanch_json_str(held, "holder", "");
    if (!held)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%.*s is not held by hand; `stanch holds` lists what is",
                              cut(target), target);
    if (of && strcmp(of, holder) != 0)
        return stanch_err_set(err, STANCH_E_CONFLICT, "%.*s is held by %.*s, not by %.*s", cut(target), target,
                              cut(holder), holder, cut(of), of);
    if (!of && strcmp(by, holder) != 0)
        return stanch_err_set(err, STANCH_E_CONFLICT,
                              "%.*s is held by %.*s: who names the holder (`--of %.*s`) releases it all the same",
                              cut(target), target, cut(holder), holder, cut(holder), holder);
    (void)snprintf(ret_id, 32, "%s", stanch_json_str(held, "id", ""));
    json_t *data = json_pack("{s:s, s:s, s:s}", "hold", ret_id, "target", target, "released_by", by);
    stanch_json_set_str(data, "of", strcmp(by, holder) != 0 ? holder : NULL);
    stanch_json_set_str(data, "why", reason && *reason ? reason : NULL);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "hold.released", by, NULL, data);
    int rc = stanch_journal_append(engine->journal, batch, NULL, NULL, err);
    if (rc == 0)
        json_object_del(engine->by_hand, target);
    return rc;
}

/* ---- its end ---- */

int stanch_by_hand__expire(struct stanch_engine *engine, const char *id)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "hold", id);
    int64_t due_ms = stanch_fold_due("hold", doc);
    if (due_ms == STANCH_DUE_NEVER || due_ms > stanch_engine__steady(engine))
        return 0; /* released, or extended */
    const char *target = stanch_json_str(doc, "target", "");
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "hold.expired", STANCH_BY_STANCH, NULL,
                     json_pack("{s:s, s:s, s:s, s:s*}", "hold", id, "target", target, "holder",
                               stanch_json_str(doc, "holder", ""), "late",
                               due_ms < engine->began_ms ? "while stanch was down" : NULL));
    int rc = stanch_engine__append(engine, batch, NULL, NULL, NULL);
    const char *current = json_string_value(json_object_get(engine->by_hand, target));
    if (rc == 0 && current && strcmp(current, id) == 0) /* else somebody has taken it since */
        json_object_del(engine->by_hand, target);
    return rc;
}

static int recover_one(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct stanch_engine *engine = ctx;
    const char *target = stanch_json_str(doc, "target", "");
    (void)err;
    if (!json_object_get(engine->by_hand, target)) /* the newest comes first */
        json_object_set_new(engine->by_hand, target, json_string(stanch_json_str(doc, "id", "")));
    return 0;
}

int stanch_by_hand__recover(struct stanch_engine *engine, struct stanch_err *err)
{
    const struct stanch_noun_query query = {.noun = "hold", .open = 1};
    return stanch_journal_each(engine->journal, &query, recover_one, engine, err);
}
