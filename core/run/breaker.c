/* breaker.c: counts what did not help, opens, closes. What is counted lies in the journal and nowhere else. */
#include "run/breaker.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>

#define WHY_MAX 120 /* bytes of what did not help, in a question */

static const struct stanch_guard_breaker *rule_of(const struct stanch_engine *engine)
{
    return &stanch_policy_guards(engine->policy)->breaker;
}

static char *id_of(const char *runbook, const char *target)
{
    return stanch_asprintf("%s %s", runbook, target); /* a runbook's name has no space */
}

/* The runbook of a step, also when its run has ended. new */
static char *runbook_of(const struct stanch_op *op)
{
    STANCH_AUTO_JSON json_t *doc =
        op->run ? json_incref(op->run->doc) : stanch_journal_see(op->engine->journal, "run", op->run_id);
    return stanch_strdup(stanch_json_str(doc, "runbook", ""));
}

static bool is_state(const json_t *doc, const char *state)
{
    return strcmp(stanch_json_str(doc, "state", ""), state) == 0;
}

/* Open, and its time has not come. */
static bool holds(struct stanch_engine *engine, const json_t *doc)
{
    return is_state(doc, "open") && stanch_json_int(doc, "closes_ms", 0) > stanch_engine__steady(engine);
}

/* The document is of no incident: it outlives them, and what is pruned of one must not be missed in it. Where people look, it is
 * told. text: taken */
static void note(struct stanch_engine *engine, const char *chain, const char *run, const char *by, const char *runbook,
                 const char *target, const char *now, char *text, struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *incident = stanch_journal_see(engine->journal, "incident", chain);
    if (incident) /* and not pruned since */
        stanch_batch_add(
            batch, chain, "breaker.noted", by, run,
            json_pack("{s:s, s:s, s:s, s:s}", "runbook", runbook, "target", target, "now", now, "text", text));
    free(text);
}

/* ---- counting ---- */

/* What did not help, and what showed it. */
struct failure {
    const char *step, *how, *why;
};

/* What still counts, and this one. new */
static json_t *add_failure(struct stanch_engine *engine, const json_t *doc, const struct failure *failure)
{
    const struct stanch_guard_breaker *rule = rule_of(engine);
    int64_t now = stanch_engine__steady(engine);
    const json_t *before = json_object_get(doc, "failures");
    json_t *failures = json_array();
    for (size_t i = 0; i < json_array_size(before); i++)
        if (now - stanch_json_int(json_array_get(before, i), "at_ms", 0) < rule->within_ms)
            json_array_append(failures, json_array_get(before, i));
    while ((int64_t)json_array_size(failures) >= rule->after)
        json_array_remove(failures, 0);
    json_array_append_new(failures, json_pack("{s:I, s:s, s:s, s:s}", "at_ms", (json_int_t)now, "step", failure->step,
                                              "how", failure->how, "why", failure->why));
    return failures;
}

/* {how: n}; new */
static json_t *count_each(const json_t *failures)
{
    json_t *counts = json_object();
    for (size_t i = 0; i < json_array_size(failures); i++) {
        const char *how = stanch_json_str(json_array_get(failures, i), "how", NULL);
        if (how) /* one of an earlier release does not say */
            json_object_set_new(counts, how, json_integer(stanch_json_int(counts, how, 0) + 1));
    }
    return counts;
}

/* "2 worse, 1 without effect"; new */
static char *tally(const json_t *counts)
{
    static const struct {
        const char *how, *text;
    } ways[] = {{"worse", "worse"},
                {"no_effect", "without effect"},
                {"no_data", "without data"},
                {STANCH_BREAKER_FAILED, "failed"},
                {STANCH_BREAKER_UNVERIFIED, "unverified"}};
    struct stanch_buf out = {0};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int64_t count = stanch_json_int(counts, ways[i].how, 0);
        if (count > 0)
            stanch_buf_printf(&out, "%s%lld %s", out.len ? ", " : "", (long long)count, ways[i].text);
    }
    return stanch_buf_take(&out);
}

static void count_one(const struct stanch_op *op, const char *runbook, const char *target,
                      const struct failure *failure, struct stanch_batch *batch)
{
    struct stanch_engine *engine = op->engine;
    const struct stanch_guard_breaker *rule = rule_of(engine);
    STANCH_AUTO_FREE char *id = id_of(runbook, target);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(engine->journal, "breaker", id);
    json_t *failures = add_failure(engine, doc, failure), *counts = count_each(failures);
    STANCH_AUTO_FREE char *told = tally(counts);
    bool opens = (int64_t)json_array_size(failures) >= rule->after || holds(engine, doc);
    char within[32], lasts[32];
    stanch_duration_text(rule->within_ms, within);
    stanch_duration_text(rule->closes_after_ms, lasts);
    json_t *data = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:s, s:n}", "breaker", id, "runbook",
                             runbook, "target", target, "step", failure->step, "how", failure->how, "why", failure->why,
                             "within", within, "count", (json_int_t)json_array_size(failures), "failures", failures,
                             "counts", counts, "tally", told, "closed_why");
    if (opens) {
        int64_t now = stanch_engine__steady(engine), closes_ms = now + rule->closes_after_ms;
        json_object_set_new(data, "opened_ms", json_integer(now));
        json_object_set_new(data, "closes_ms", json_integer(closes_ms));
        json_object_set_new(data, "lasts", json_string(lasts));
        json_object_set_new(data, "opened_in", json_string(op->chain));
        note(engine, op->chain, op->run_id, STANCH_BY_STANCH, runbook, target, "open",
             stanch_asprintf("%zu mitigations did not help within %s, the last %s: %s (%s). For %s the next one asks",
                             json_array_size(failures), within, failure->step, failure->why, told, lasts),
             batch);
        stanch_engine__count(engine, "breakers_opened");
        stanch_engine__due(engine, closes_ms);
    }
    stanch_batch_add(batch, STANCH_CHAIN_NONE, opens ? "breaker.opened" : "breaker.counted", STANCH_BY_STANCH,
                     op->run_id, data);
}

void stanch_breaker__failed(const struct stanch_op *op, const json_t *plan, const char *how, const char *why,
                            struct stanch_batch *batch)
{
    const json_t *targets = json_object_get(plan, "targets");
    const struct failure failure = {op->id, how, why};
    STANCH_AUTO_FREE char *counter = stanch_asprintf("mitigations_%s", how);
    stanch_engine__count(op->engine, counter);
    if (!rule_of(op->engine)->on)
        return;
    STANCH_AUTO_FREE char *runbook = runbook_of(op);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        if (target && *runbook)
            count_one(op, runbook, target, &failure, batch);
    }
}

/* ---- closing ---- */

static void close_one(struct stanch_engine *engine, const json_t *doc, const char *run, const char *by, const char *why,
                      struct stanch_batch *batch)
{
    bool was_open = is_state(doc, "open");
    const char *runbook = stanch_json_str(doc, "runbook", ""), *target = stanch_json_str(doc, "target", "");
    stanch_batch_add(batch, STANCH_CHAIN_NONE, was_open ? "breaker.closed" : "breaker.cleared", by, run,
                     json_pack("{s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:n, s:i}", "breaker",
                               stanch_json_str(doc, "id", ""), "runbook", runbook, "target", target, "closed_why", why,
                               "failures", "closes_ms", "counts", "tally", "count", 0));
    if (was_open)
        note(engine, stanch_json_str(doc, "opened_in", ""), run, by, runbook, target, "closed",
             stanch_asprintf("%s", why), batch);
}

/* step: the one that helped. approved: by a person */
static void close_helped(const struct stanch_op *op, const char *target, const char *step, bool approved,
                         const char *how, struct stanch_batch *batch)
{
    STANCH_AUTO_FREE char *runbook = runbook_of(op);
    STANCH_AUTO_FREE char *id = id_of(runbook, target);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(op->engine->journal, "breaker", id);
    if (json_array_size(json_object_get(doc, "failures")) == 0)
        return;
    STANCH_AUTO_FREE char *why = stanch_asprintf("%s%s %s", step, approved ? ", which was approved," : "", how);
    close_one(op->engine, doc, op->run_id, STANCH_BY_STANCH, why, batch);
}

static bool was_approved(const struct stanch_op *op, const char *step)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(op->engine->journal, "step", step);
    return stanch_json_str(doc, "approval", NULL) != NULL;
}

void stanch_breaker__done(const struct stanch_op *op, const json_t *plan, struct stanch_batch *batch)
{
    const json_t *targets = json_object_get(plan, "targets");
    if (!op->run || json_is_object(json_object_get(op->run->doc, "symptom")) || !was_approved(op, op->id))
        return;
    for (size_t i = 0; i < json_array_size(targets); i++)
        if (json_is_string(json_array_get(targets, i)))
            close_helped(op, json_string_value(json_array_get(targets, i)), op->id, true, "was done", batch);
}

int stanch_breaker__lapse(struct stanch_engine *engine, const char *id)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "breaker", id);
    if (!is_state(doc, "open") || holds(engine, doc))
        return 0;
    STANCH_AUTO_FREE char *why = stanch_asprintf("it was open for %s", stanch_json_str(doc, "lasts", "its time"));
    struct stanch_batch *batch = stanch_batch_new();
    close_one(engine, doc, NULL, STANCH_BY_STANCH, why, batch);
    return stanch_engine__append(engine, batch, NULL, NULL, NULL);
}

int stanch_engine_close_breaker(struct stanch_engine *engine, const char *by, const char *runbook, const char *target,
                                const char *because, struct stanch_batch *batch, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *id = id_of(runbook, target);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "breaker", id);
    if (!doc)
        return stanch_err_set(err, STANCH_E_NOT_FOUND,
                              "there is no breaker of %.64s on %.100s; `stanch breakers` lists "
                              "them",
                              runbook, target);
    if (!is_state(doc, "open"))
        return stanch_err_set(err, STANCH_E_CONFLICT, "the breaker of %.64s on %.100s is not open", runbook, target);
    close_one(engine, doc, NULL, by, because, batch);
    return 0;
}

/* ---- the symptom tells ---- */

static bool is_in_force(const struct stanch_op *op, const json_t *answer)
{
    const char *id = stanch_json_str(json_object_get(answer, "ok"), "mitigation", NULL);
    if (!id) /* it cannot be undone, so it is */
        return true;
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(op->engine->journal, "mitigation", id);
    return is_state(doc, "in-force");
}

/* Targets of a step, unless they were done by a later one already: {target: step} */
static void add_targets(const struct stanch_op *op, int64_t n, json_t *into)
{
    char step[48];
    (void)snprintf(step, sizeof step, "%.30s/%lld", op->run_id, (long long)n);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(op->engine->journal, "step", step);
    const json_t *targets = json_object_get(json_object_get(doc, "counted"), "targets");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        if (target && !json_object_get(into, target))
            json_object_set_new(into, target, json_string(step));
    }
}

/* What the run did since its last verify: what failed was counted when it did. new */
static json_t *judged(const struct stanch_op *op)
{
    json_t *found = json_object();
    for (int64_t n = op->n - 1; n >= 1 && n <= op->run->step_count; n--) {
        const struct stanch_step_record *record = &op->run->steps[n - 1];
        if (record->op && strcmp(record->op, "verify") == 0)
            break;
        if (record->op && strcmp(record->op, "action") == 0 && json_object_get(record->answer, "ok") &&
            is_in_force(op, record->answer))
            add_targets(op, n, found);
    }
    return found;
}

void stanch_breaker__verified(const struct stanch_op *op, const char *result, const struct stanch_verdict *verdict,
                              struct stanch_batch *batch)
{
    const char *target;
    json_t *step;
    if (verdict->counter)
        stanch_engine__count(op->engine, verdict->counter);
    if (!op->run || !verdict->word || !rule_of(op->engine)->on)
        return;
    bool good = strcmp(result, "good") == 0;
    STANCH_AUTO_FREE char *runbook = runbook_of(op);
    STANCH_AUTO_JSON json_t *found = judged(op);
    STANCH_AUTO_FREE char *why = stanch_verdict__why(verdict);
    json_object_foreach(found, target, step)
    {
        const char *id = json_string_value(step);
        if (good)
            close_helped(op, target, id, was_approved(op, id), "helped: the symptom is good", batch);
        else if (*runbook)
            count_one(op, runbook, target, &(struct failure){id, verdict->word, why}, batch);
    }
}

/* ---- asking ---- */

/* How many of the failures would still count with the next one. */
static int64_t still_counted(struct stanch_engine *engine, const json_t *doc)
{
    const json_t *failures = json_object_get(doc, "failures");
    int64_t now = stanch_engine__steady(engine), count = 0;
    for (size_t i = 0; i < json_array_size(failures); i++)
        count += now - stanch_json_int(json_array_get(failures, i), "at_ms", 0) < rule_of(engine)->within_ms;
    return count;
}

static json_t *fact_of(struct stanch_engine *engine, const json_t *doc)
{
    bool is_open = holds(engine, doc);
    int64_t count = is_open ? stanch_json_int(doc, "count", 0) : still_counted(engine, doc);
    json_t *fact = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s}", "runbook", stanch_json_str(doc, "runbook", ""),
                             "target", stanch_json_str(doc, "target", ""), "state",
                             is_open     ? "open"
                             : count > 0 ? "counting"
                                         : "closed",
                             "used", (json_int_t)count, "of", (json_int_t)rule_of(engine)->after, "step",
                             stanch_json_str(doc, "step", ""), "why", stanch_json_str(doc, "why", ""));
    if (is_open)
        json_object_set_new(fact, "frees_in_ms",
                            json_integer(stanch_json_int(doc, "closes_ms", 0) - stanch_engine__steady(engine)));
    return fact;
}

static void ask_of_open(struct stanch_engine *engine, const json_t *doc, struct stanch_gate *gate)
{
    char left[32];
    const char *why = stanch_json_str(doc, "why", "");
    stanch_duration_text((stanch_json_int(doc, "closes_ms", 0) - stanch_engine__steady(engine) + 999) / 1000 * 1000,
                         left);
    stanch_gate__guard(gate, "breaker",
                       "the breaker of %.64s on %.80s is open: %lld mitigations did not help within %.20s, the last "
                       "%.40s: %.*s (%.100s); it closes in %s",
                       stanch_json_str(doc, "runbook", ""), stanch_json_str(doc, "target", ""),
                       (long long)stanch_json_int(doc, "count", 0), stanch_json_str(doc, "within", ""),
                       stanch_json_str(doc, "step", ""), (int)stanch_text_cut(why, WHY_MAX), why,
                       stanch_json_str(doc, "tally", "of an earlier release"), left);
}

void stanch_breaker__check(const struct stanch_subject *about, struct stanch_gate *gate)
{
    struct stanch_engine *engine = about->engine;
    const json_t *targets = json_object_get(about->plan, "targets");
    bool asked = false;
    if (!rule_of(engine)->on || !*about->runbook)
        return;
    for (size_t i = 0; i < json_array_size(targets) && (!asked || gate->facts); i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        STANCH_AUTO_FREE char *id = id_of(about->runbook, target ? target : "");
        STANCH_AUTO_JSON json_t *doc = stanch_journal_see(engine->journal, "breaker", id);
        if (doc)
            stanch_gate__fact(gate, "breakers", fact_of(engine, doc));
        if (!asked && holds(engine, doc)) {
            ask_of_open(engine, doc, gate);
            asked = true;
        }
    }
}
