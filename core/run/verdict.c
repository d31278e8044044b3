/* verdict.c: a verify and the sample before it: what they say of what the run did in between. */
#include "run/verdict.h"
#include "base/mem.h"
#include "rule/match.h"
#include <string.h>

static const struct {
    const char *word, *counter;
} words[] = {{"verified", "mitigations_verified"},
             {"no_effect", "mitigations_without_effect"},
             {"worse", "mitigations_worse"},
             {"no_data", "mitigations_without_data"}};
enum { VERIFIED, NO_EFFECT, WORSE, NO_DATA };

static const struct stanch_step_record *record_of(const struct stanch_op *op, int64_t n)
{
    return n >= 1 && n <= op->run->step_count ? &op->run->steps[n - 1] : NULL;
}

static bool is_op(const struct stanch_step_record *record, const char *name)
{
    return record && record->op && strcmp(record->op, name) == 0;
}

/* A mitigation that left; a read or what there was no need for changed nothing. */
static bool has_acted(const struct stanch_op *op, int64_t n)
{
    const struct stanch_step_record *record = record_of(op, n);
    if (!is_op(record, "action") || !json_object_get(record->answer, "ok"))
        return false;
    char step[48];
    (void)snprintf(step, sizeof step, "%.30s/%lld", op->run_id, (long long)n);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(op->engine->journal, "step", step);
    return json_is_object(json_object_get(doc, "counted"));
}

/* The first thing that it did since its last verify; 0: there is none. */
static int64_t first_act(const struct stanch_op *op)
{
    int64_t first = 0;
    for (int64_t n = op->n - 1; n >= 1 && !is_op(record_of(op, n), "verify"); n--)
        if (has_acted(op, n))
            first = n;
    return first;
}

static bool asks_the_same(const struct stanch_step_record *record, const json_t *symptom)
{
    STANCH_AUTO_JSON json_t *args = record->args ? json_loads(record->args, JSON_DECODE_ANY, NULL) : NULL;
    return json_equal(json_object_get(json_object_get(args, "symptom"), "ask"), json_object_get(symptom, "ask"));
}

/* The last sample of this symptom before step n. What was measured of an act that was taken back is no longer so: then it is the
 * last one before that act. */
static void find_before(const struct stanch_op *op, const json_t *symptom, int64_t n, struct stanch_verdict *ret)
{
    bool taken_back = false;
    while (--n >= 1) {
        const struct stanch_step_record *record = record_of(op, n);
        const json_t *ok = record ? json_object_get(record->answer, "ok") : NULL;
        bool is_sample = is_op(record, "check") || is_op(record, "verify");
        if (ok && is_op(record, "undo"))
            taken_back = true;
        else if (taken_back && has_acted(op, n))
            taken_back = false;
        if (!ok || !is_sample || taken_back || !asks_the_same(record, symptom))
            continue;
        const json_t *value = json_object_get(ok, "value");
        ret->sampled = json_is_number(value) ? value : NULL;
        ret->before = json_number_value(value);
        return;
    }
}

static int judge(const struct stanch_verdict *verdict, const char *result, const json_t *symptom)
{
    if (strcmp(result, "good") == 0)
        return VERIFIED;
    if (!verdict->is_measured)
        return NO_DATA;
    return verdict->sampled &&
                   stanch_range_is_worse(stanch_json_str(symptom, "bad", ""), verdict->before, verdict->after)
               ? WORSE
               : NO_EFFECT;
}

void stanch_verdict__find(const struct stanch_op *op, const char *result, const json_t *value,
                          struct stanch_verdict *ret)
{
    const json_t *symptom = json_object_get(stanch_op__args(op), "symptom");
    *ret = (struct stanch_verdict){.is_measured = json_is_number(value), .after = json_number_value(value)};
    int64_t first = op->run ? first_act(op) : 0;
    if (first == 0)
        return;
    find_before(op, symptom, first, ret);
    int which = judge(ret, result, symptom);
    ret->word = words[which].word;
    ret->counter = words[which].counter;
}

char *stanch_verdict__said(const struct stanch_verdict *verdict)
{
    if (!verdict->word)
        return NULL;
    bool worse = strcmp(verdict->word, "worse") == 0, none = strcmp(verdict->word, "no_effect") == 0;
    if (!verdict->sampled)
        return none ? stanch_strdup("no effect was seen, and nothing was measured before") : NULL;
    return stanch_asprintf("%sit was %.9g before", worse ? "worse: " : none ? "no effect: " : "", verdict->before);
}

char *stanch_verdict__why(const struct stanch_verdict *verdict)
{
    if (!verdict->is_measured)
        return stanch_strdup("the symptom is without data after it, so nobody can tell");
    bool worse = verdict->word && strcmp(verdict->word, "worse") == 0;
    if (!verdict->sampled)
        return stanch_asprintf("no effect: the symptom is %.9g after it, and was not measured before", verdict->after);
    return stanch_asprintf("%s: the symptom was %.9g before and is %.9g after it",
                           worse ? "it made it worse" : "no effect", verdict->before, verdict->after);
}
