/* limits.c: what was sent lately, and whether one more would be too much.
 *
 *   action.sent --fold--> "sent" documents --recover--> engine->sent, the newest first --check--> ask
 *        \----------------count-----------------------------^
 *
 * A step counts from its intent on, before that is committed: two steps that pass the gate at one time see each other. */
#include "run/limits.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>

#define HOUR_MS (3600LL * 1000)
#define SLACK   1e-9 /* of sums of shares */

struct stanch_sent {
    struct stanch_sent *next;
    char id[48]; /* step */
    char instance[65];
    char incident[64];
    json_t *targets;
    double reach; /* < 0: not known */
    int64_t at_ms;
};

static const struct stanch_guard_limits *limits_of(const struct stanch_engine *engine)
{
    return &stanch_policy_guards(engine->policy)->limits;
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How long something may count. */
static int64_t longest(const struct stanch_guard_limits *limits)
{
    int64_t ms = max_of(limits->actions.within_ms, limits->per_instance.within_ms);
    ms = max_of(ms, max_of(limits->per_target.within_ms, limits->cooldown_ms));
    return max_of(ms, HOUR_MS);
}

/* ---- what was sent ---- */

static void drop(struct stanch_sent *sent)
{
    json_decref(sent->targets);
    free(sent);
}

void stanch_limits__free_all(struct stanch_engine *engine)
{
    for (struct stanch_sent *sent = engine->sent, *next; sent; sent = next) {
        next = sent->next;
        drop(sent);
    }
    engine->sent = NULL;
}

static void forget(struct stanch_engine *engine, int64_t before_ms, const char *id)
{
    for (struct stanch_sent **at = &engine->sent; *at;) {
        struct stanch_sent *sent = *at;
        if (sent->at_ms >= before_ms && strcmp(sent->id, id) != 0) {
            at = &sent->next;
            continue;
        }
        *at = sent->next;
        drop(sent);
    }
}

static struct stanch_sent *new_sent(const char *id, const char *incident, const json_t *counted, int64_t at_ms)
{
    struct stanch_sent *sent = STANCH_NEW(struct stanch_sent);
    (void)snprintf(sent->id, sizeof sent->id, "%s", id);
    (void)snprintf(sent->incident, sizeof sent->incident, "%s", incident);
    (void)snprintf(sent->instance, sizeof sent->instance, "%s", stanch_json_str(counted, "instance", ""));
    sent->targets = json_incref(json_object_get(counted, "targets"));
    sent->reach = stanch_json_real(counted, "reach", -1);
    sent->at_ms = at_ms;
    return sent;
}

json_t *stanch_limits__count(const struct stanch_op *op, const char *instance, const json_t *plan)
{
    struct stanch_engine *engine = op->engine;
    const struct stanch_guard_limits *limits = limits_of(engine);
    json_t *targets = json_object_get(plan, "targets"), *reach = json_object_get(plan, "reach");
    json_t *counted = json_pack("{s:s, s:o}", "instance", instance, "targets",
                                json_is_array(targets) ? json_deep_copy(targets) : json_array());
    if (stanch_json_real(plan, "reach", -1) >= 0)
        json_object_set(counted, "reach", reach);
    if (!limits->any)
        return counted;
    int64_t now = stanch_engine__steady(engine);
    forget(engine, now - longest(limits), op->id); /* another attempt is no other mitigation */
    struct stanch_sent *sent = new_sent(op->id, op->chain, counted, now);
    sent->next = engine->sent;
    engine->sent = sent;
    return counted;
}

static bool is_known(const struct stanch_engine *engine, const char *id)
{
    for (const struct stanch_sent *sent = engine->sent; sent; sent = sent->next)
        if (strcmp(sent->id, id) == 0)
            return true;
    return false;
}

struct recall {
    const struct stanch_engine *engine;
    int64_t since_ms;
    struct stanch_sent **at; /* both are from the newest on */
    bool had_some;           /* another policy counted before */
};

static int recall_one(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct recall *recall = ctx;
    int64_t at_ms = stanch_json_int(doc, "created_ms", 0);
    const char *id = stanch_json_str(doc, "id", "");
    (void)err;
    if (at_ms < recall->since_ms)
        return 1; /* and so is what comes after it */
    if (recall->had_some && is_known(recall->engine, id))
        return 0;
    while (*recall->at && (*recall->at)->at_ms > at_ms)
        recall->at = &(*recall->at)->next;
    struct stanch_sent *sent = new_sent(id, stanch_json_str(doc, "incident", ""), doc, at_ms);
    sent->next = *recall->at;
    *recall->at = sent;
    recall->at = &sent->next;
    return 0;
}

int stanch_limits__recover(struct stanch_engine *engine, struct stanch_err *err)
{
    const struct stanch_guard_limits *limits = limits_of(engine);
    const struct stanch_noun_query query = {.noun = "sent", .open = -1};
    struct recall recall = {.engine = engine,
                            .since_ms = stanch_engine__steady(engine) - longest(limits),
                            .at = &engine->sent,
                            .had_some = engine->sent != NULL};
    if (!limits->any)
        return 0;
    int rc = stanch_journal_each(engine->journal, &query, recall_one, &recall, err);
    return rc < 0 ? stanch_err_wrap(err, "what was sent lately") : 0;
}

/* ---- held against one more ---- */

struct look {
    const struct stanch_subject *about;
    struct stanch_gate *gate;
    const struct stanch_guard_limits *limits;
    int64_t now;
};

static bool is_on(const json_t *targets, const char *target)
{
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *each = json_string_value(json_array_get(targets, i));
        if (each && strcmp(each, target) == 0)
            return true;
    }
    return false;
}

static bool is_own(const struct look *look, const char *step)
{
    return strcmp(step, look->about->step) == 0;
}

/* instance, target: NULL: any */
static bool counts(const struct look *look, const struct stanch_sent *sent, const char *instance, const char *target,
                   int64_t within_ms)
{
    return look->now - sent->at_ms < within_ms && !is_own(look, sent->id) &&
           (!instance || strcmp(sent->instance, instance) == 0) && (!target || is_on(sent->targets, target));
}

static void say_when(int64_t left_ms, char ret[32])
{
    stanch_duration_text((left_ms + 999) / 1000 * 1000, ret);
}

/* about: a target, an instance, an incident; NULL: nothing in particular. used, of: taken. frees_in_ms < 0: not known */
static void add_fact(const struct look *look, const char *name, const char *about, json_t *used, json_t *of,
                     bool is_full, int64_t frees_in_ms)
{
    json_t *fact = json_pack("{s:s, s:o, s:o, s:b}", "name", name, "used", used, "of", of, "full", (int)is_full);
    stanch_json_set_str(fact, "about", about);
    if (is_full && frees_in_ms >= 0)
        json_object_set_new(fact, "frees_in_ms", json_integer(frees_in_ms));
    stanch_gate__fact(look->gate, "limits", fact);
}

/* A limit of how many within a time. instance, target: NULL: any */
struct rate {
    const char *name;
    const struct stanch_rate *limit;
    const char *instance, *target;
    bool is_said; /* it asks already */
};

/* returns true when it is reached. */
static bool check_rate(const struct look *look, const struct rate *rate)
{
    const char *of = rate->target ? rate->target : rate->instance;
    int64_t seen = 0, frees_ms = 0, count = rate->limit->count, within_ms = rate->limit->within_ms;
    if (!count)
        return false;
    for (const struct stanch_sent *sent = look->about->engine->sent; sent; sent = sent->next) {
        if (!counts(look, sent, rate->instance, rate->target, within_ms))
            continue;
        if (++seen == count) /* once this one no longer counts, there is room */
            frees_ms = sent->at_ms + within_ms - look->now;
    }
    char within[32], frees[32];
    stanch_duration_text(within_ms, within);
    if (look->gate->facts)
        add_fact(look, rate->name, of, json_integer(seen), json_sprintf("%lld/%s", (long long)count, within),
                 seen >= count, frees_ms);
    if (seen < count || rate->is_said)
        return seen >= count;
    say_when(frees_ms, frees);
    stanch_gate__guard(look->gate, rate->name, "%s (%lld/%s) is reached%s%.80s: %lld mitigation%s sent; it frees in %s",
                       rate->name, (long long)count, within, of ? " for " : "", of ? of : "", (long long)seen,
                       seen == 1 ? " was" : "s were", frees);
    return true;
}

static bool check_cooldown(const struct look *look, const char *target, bool is_said)
{
    char cooldown[32], ago[32], frees[32];
    const struct stanch_sent *last = look->about->engine->sent;
    if (!look->limits->cooldown_ms)
        return false;
    while (last && !counts(look, last, NULL, target, look->limits->cooldown_ms))
        last = last->next;
    stanch_duration_text(look->limits->cooldown_ms, cooldown);
    say_when(last ? look->now - last->at_ms : 0, ago);
    int64_t frees_ms = last ? last->at_ms + look->limits->cooldown_ms - look->now : 0;
    if (look->gate->facts)
        add_fact(look, "limits.cooldown", target, last ? json_sprintf("%s ago", ago) : json_null(),
                 json_string(cooldown), last != NULL, frees_ms);
    if (!last || is_said)
        return last != NULL;
    say_when(frees_ms, frees);
    stanch_gate__guard(look->gate, "limits.cooldown",
                       "limits.cooldown (%s) of %.80s: the last mitigation on it was sent %s ago; it frees in %s",
                       cooldown, target, ago, frees);
    return true;
}

/* Of several targets the first that is over one asks. */
static void check_targets(const struct look *look)
{
    const json_t *targets = json_object_get(look->about->plan, "targets");
    size_t count = json_array_size(targets);
    bool rated = false, cooled = false;
    if (count == 0 && look->limits->per_target.count)
        stanch_gate__guard(look->gate, "limits.per_target", "limits.per_target is set, and its targets are not known");
    if (count == 0 && look->limits->cooldown_ms)
        stanch_gate__guard(look->gate, "limits.cooldown", "limits.cooldown is set, and its targets are not known");
    for (size_t i = 0; i < count; i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        const struct rate rate = {"limits.per_target", &look->limits->per_target, NULL, target, rated};
        if (!target)
            continue;
        rated = ((!rated || look->gate->facts) && check_rate(look, &rate)) || rated;
        cooled = ((!cooled || look->gate->facts) && check_cooldown(look, target, cooled)) || cooled;
    }
}

/* ---- reach ---- */

static double weight(double reach)
{
    return reach < 0 ? 1 : reach; /* not known: it may have been all of it */
}

struct older {
    const struct look *look;
    double sum;
};

static int add_older(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct older *older = ctx;
    const char *id = stanch_json_str(doc, "id", "");
    (void)err;
    if (!is_own(older->look, id) && !is_known(older->look->about->engine, id))
        older->sum += weight(stanch_json_real(doc, "reach", -1));
    return 0;
}

/* What of an incident no longer is in memory. */
static double older_reach(const struct look *look)
{
    const struct stanch_noun_query query = {.noun = "sent", .chain = look->about->chain, .open = -1};
    struct older older = {.look = look};
    struct stanch_err err;
    int rc = stanch_journal_each(look->about->engine->journal, &query, add_older, &older, &err);
    return rc < 0 ? 1 : older.sum; /* 1: it cannot be told: ask */
}

/* A sum of reaches is full for this one when it would be passed; for one whose reach is not known when there is no room. */
static bool is_over(double sum, double reach, double limit)
{
    return reach < 0 ? sum >= limit - SLACK : sum + reach > limit + SLACK;
}

static void check_incident(const struct look *look, double reach)
{
    const char *chain = look->about->chain;
    double limit = look->limits->reach_per_incident, sum = 0;
    if (limit < 0 || !*chain)
        return;
    for (const struct stanch_sent *sent = look->about->engine->sent; sent; sent = sent->next)
        if (strcmp(sent->incident, chain) == 0 && !is_own(look, sent->id))
            sum += weight(sent->reach);
    sum += older_reach(look);
    if (look->gate->facts)
        add_fact(look, "limits.reach_per_incident", chain, json_real(sum), json_real(limit), is_over(sum, reach, limit),
                 -1);
    if (reach >= 0 && is_over(sum, reach, limit))
        stanch_gate__guard(
            look->gate, "limits.reach_per_incident",
            "with its reach of %.3g limits.reach_per_incident (%.3g) would be passed: %.3g was sent in %s", reach,
            limit, sum, chain);
}

static void check_hour(const struct look *look, double reach)
{
    double limit = look->limits->reach_per_hour, sum = 0, room = limit - (reach < 0 ? 0 : reach) + SLACK;
    int64_t frees_ms = -1;
    if (limit < 0)
        return;
    for (const struct stanch_sent *sent = look->about->engine->sent; sent; sent = sent->next) {
        if (!counts(look, sent, NULL, NULL, HOUR_MS))
            continue;
        sum += weight(sent->reach);
        if (sum > room && frees_ms < 0 && room >= 0)
            frees_ms = sent->at_ms + HOUR_MS - look->now;
    }
    if (look->gate->facts)
        add_fact(look, "limits.reach_per_hour", NULL, json_real(sum), json_real(limit), is_over(sum, reach, limit),
                 frees_ms);
    if (reach < 0 || sum <= room)
        return;
    char frees[32];
    say_when(frees_ms, frees);
    stanch_gate__guard(look->gate, "limits.reach_per_hour",
                       "with its reach of %.3g limits.reach_per_hour (%.3g) would be passed: %.3g was sent%s%s", reach,
                       limit, sum, frees_ms < 0 ? "" : "; it frees in ", frees_ms < 0 ? "" : frees);
}

static void check_reach(const struct look *look)
{
    const struct stanch_guard_limits *limits = look->limits;
    double reach = stanch_json_real(look->about->plan, "reach", -1);
    bool is_over_one = limits->reach >= 0 && reach > limits->reach + SLACK;
    if (limits->reach < 0 && limits->reach_per_incident < 0 && limits->reach_per_hour < 0)
        return;
    if (look->gate->facts && limits->reach >= 0)
        add_fact(look, "limits.reach", NULL, reach < 0 ? json_null() : json_real(reach), json_real(limits->reach),
                 is_over_one, -1);
    if (reach < 0)
        stanch_gate__guard(look->gate, "limits.reach", "there is a limit of reach, and its reach is not known");
    if (reach < 0 && !look->gate->facts)
        return;
    if (is_over_one)
        stanch_gate__guard(look->gate, "limits.reach", "its reach of %.3g is over limits.reach (%.3g)", reach,
                           limits->reach);
    check_incident(look, reach);
    check_hour(look, reach);
}

void stanch_limits__check(const struct stanch_subject *about, struct stanch_gate *gate)
{
    const struct look look = {about, gate, limits_of(about->engine), stanch_engine__steady(about->engine)};
    if (!look.limits->any)
        return;
    check_rate(&look, &(struct rate){"limits.actions", &look.limits->actions, NULL, NULL, false});
    check_rate(&look, &(struct rate){"limits.per_instance", &look.limits->per_instance, about->instance, NULL, false});
    check_targets(&look);
    check_reach(&look);
}
