/* schedule.c: plans become drills; from start to free. What is due next follows from the plans and from what the journal has; in
 * memory there is only where each plan's walk through its times stands.
 *
 *   start: plans and drills of the journal --> known, waiting --look--> missed: what is past --announce--> waiting --> due.c
 *
 * The first time that a plan is seen is in the journal (plan.scheduled): what is missed is counted from there on, also when nothing of
 * it was ever announced.
 */
#include "gameday/room.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "timeline/journal.h"
#include <stdio.h>
#include <string.h>

#define LOOK_MS    60000 /* the wall clock may step */
#define MAX_MISSED 50    /* of one plan, said one by one; those before them are counted */
#define MAX_DRILLS 1000  /* of the journal, in the feed */

struct stanch_schedule__plan *stanch_schedule__find(const struct stanch_schedule *schedule, const char *name)
{
    for (size_t i = 0; i < schedule->count; i++)
        if (strcmp(schedule->plans[i].name, name) == 0)
            return &schedule->plans[i];
    return NULL;
}

static bool append(struct stanch_schedule *schedule, struct stanch_batch *batch)
{
    struct stanch_err err = {0};
    int rc = stanch_journal_append(schedule->journal, batch, NULL, NULL, &err);
    if (rc < 0) /* looked at again within a minute */
        stanch_log(STANCH_LOG_WARN, "gameday", "an entry about a drill could not be recorded: %s", err.text);
    return rc == 0;
}

bool stanch_schedule__say(struct stanch_schedule *schedule, const char *kind, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, STANCH_BY_STANCH, NULL, data);
    return append(schedule, batch);
}

/* ---- the times of a plan ---- */

static bool is_known(const struct stanch_schedule *schedule, const struct stanch_schedule__plan *plan, int64_t at_ms)
{
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s/%lld", plan->name, (long long)at_ms);
    return json_object_get(schedule->known, key) != NULL;
}

static void go_on(const struct stanch_schedule *schedule, struct stanch_schedule__plan *plan)
{
    struct stanch_err err = {0};
    plan->has_next = plan->walk != NULL;
    while (plan->has_next) {
        if (stanch_calendar__walk_next(plan->walk, &plan->next_ms, &err) < 0) {
            plan->has_next = false;
            (void)snprintf(plan->why, sizeof plan->why, "%.299s", err.text);
        } else if (plan->next_ms > plan->done_ms && !is_known(schedule, plan, plan->next_ms)) {
            return;
        }
    }
}

/* One after the other, however many: the last ones are kept. */
static void pass_missed(struct stanch_schedule *schedule, struct stanch_schedule__plan *plan, int64_t now_ms)
{
    int64_t late_ms = stanch_json_int(plan->plan, "late_ms", 0);
    for (; plan->has_next && plan->next_ms + late_ms < now_ms; go_on(schedule, plan)) {
        json_array_append_new(plan->missed, json_integer(plan->next_ms));
        if (json_array_size(plan->missed) <= MAX_MISSED)
            continue;
        json_array_remove(plan->missed, 0);
        plan->unsaid++;
    }
}

static json_t *missed_of(const struct stanch_schedule *schedule, const struct stanch_schedule__plan *plan, size_t at)
{
    char id[32];
    int64_t at_ms = json_integer_value(json_array_get(plan->missed, at));
    stanch_journal_next_id(schedule->journal, "D", id);
    json_t *data = stanch_schedule__drill(plan, id, at_ms);
    const char *why =
        at_ms <= schedule->born_ms ? "stanch was not running then" : "the machine slept, or its clock was set";
    json_object_set_new(data, "why",
                        at == 0 && plan->unsaid
                            ? json_sprintf("%s, and %lld times before that", why, (long long)plan->unsaid)
                            : json_string(why));
    return data;
}

/* returns whether all that was missed is in the journal */
static bool say_missed(struct stanch_schedule *schedule, struct stanch_schedule__plan *plan)
{
    size_t count = json_array_size(plan->missed);
    if (count == 0)
        return true;
    struct stanch_batch *batch = stanch_batch_new();
    for (size_t i = 0; i < count; i++)
        stanch_batch_add(batch, STANCH_CHAIN_NONE, "drill.missed", STANCH_BY_STANCH, NULL,
                         missed_of(schedule, plan, i));
    if (!append(schedule, batch))
        return false;
    json_array_clear(plan->missed);
    plan->unsaid = 0;
    return true;
}

static void see_to_plan(struct stanch_schedule *schedule, struct stanch_schedule__plan *plan, int64_t now_ms)
{
    int64_t announce_ms = stanch_json_int(plan->plan, "announce_ms", 0);
    pass_missed(schedule, plan, now_ms);
    if (!say_missed(schedule, plan))
        return;
    while (plan->has_next && plan->next_ms - announce_ms <= now_ms) {
        if (!stanch_schedule__announce(schedule, plan, plan->next_ms))
            return;
        go_on(schedule, plan);
    }
}

/* ---- looking ---- */

static void on_look(void *ctx);

/* looked_ms: until then all is seen to. What fell due while it was is next, and at once. */
static void arm(struct stanch_schedule *schedule, int64_t looked_ms)
{
    int64_t due_ms = stanch_schedule__next_due(schedule, looked_ms);
    for (size_t i = 0; i < schedule->count; i++) {
        const struct stanch_schedule__plan *plan = &schedule->plans[i];
        int64_t at_ms = plan->next_ms - stanch_json_int(plan->plan, "announce_ms", 0);
        if (plan->has_next && at_ms > looked_ms && at_ms < due_ms)
            due_ms = at_ms;
    }
    int64_t left_ms = due_ms - stanch_loop_wall_ms(schedule->loop);
    int64_t delay_ms = left_ms < LOOK_MS ? left_ms : LOOK_MS;
    stanch_timer_stop(schedule->loop, &schedule->timer);
    schedule->timer = stanch_timer_start(schedule->loop, delay_ms, on_look, schedule);
}

static void on_look(void *ctx)
{
    struct stanch_schedule *schedule = ctx;
    schedule->timer = NULL;
    int64_t now_ms = stanch_loop_wall_ms(schedule->loop);
    for (size_t i = 0; i < schedule->count; i++)
        see_to_plan(schedule, &schedule->plans[i], now_ms);
    stanch_schedule__see_to_waiting(schedule, now_ms);
    arm(schedule, now_ms);
}

/* Never from inside of a follower: a look appends. */
static void on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct stanch_schedule *schedule = ctx;
    if (strncmp(entry->kind, "drill.", 6) != 0)
        return;
    stanch_timer_stop(schedule->loop, &schedule->timer);
    schedule->timer = stanch_timer_start(schedule->loop, 0, on_look, schedule);
}

/* ---- what the journal has ---- */

static bool is_same(const json_t *plan, const json_t *doc, const char *const members[])
{
    for (size_t i = 0; members[i]; i++) {
        json_t *now = json_object_get(plan, members[i]), *before = json_object_get(doc, members[i]);
        if (!now || json_is_null(now) ? before != NULL : !json_equal(now, before))
            return false;
    }
    return true;
}

/* Since when it is as it is; said when it is new, or is due at other times. */
static void recall_plan(struct stanch_schedule *schedule, struct stanch_schedule__plan *plan)
{
    static const char *const when[] = {"rule", "from", "zone", NULL};
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(schedule->journal, "plan", plan->name);
    const char *drill = stanch_json_str(plan->plan, "drill", ""), *kind = stanch_json_str(plan->plan, "kind", "");
    int64_t since_ms = stanch_json_int(doc, "since_ms", schedule->born_ms);
    bool is_old = doc && stanch_json_bool(doc, "open", false) && is_same(plan->plan, doc, when) &&
                  since_ms <= schedule->born_ms; /* else the clock was wrong then */
    plan->since_ms = is_old ? since_ms : schedule->born_ms;
    plan->done_ms = plan->since_ms;
    if (is_old && strcmp(stanch_json_str(doc, "name", ""), drill) == 0 &&
        strcmp(stanch_json_str(doc, "kind", ""), kind) == 0)
        return;
    json_t *data = json_pack("{s:s, s:s, s:s, s:I}", "plan", plan->name, "name", drill, "kind", kind, "since_ms",
                             (json_int_t)plan->since_ms);
    for (size_t i = 0; when[i]; i++) {
        json_t *value = json_object_get(plan->plan, when[i]);
        json_object_set_new(data, when[i], value ? json_incref(value) : json_null());
    }
    (void)stanch_schedule__say(schedule, "plan.scheduled", data);
}

static int drop_plan(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct stanch_schedule *schedule = ctx;
    const char *name = stanch_json_str(doc, "id", "");
    (void)err;
    if (!stanch_schedule__find(schedule, name))
        (void)stanch_schedule__say(schedule, "plan.dropped", json_pack("{s:s}", "plan", name));
    return 0;
}

static bool is_due_then(const struct stanch_schedule__plan *plan, int64_t at_ms)
{
    int64_t next_ms = 0;
    return stanch_calendar_next(plan->plan, at_ms - 1, &next_ms, NULL) == 0 && next_ms == at_ms;
}

static int recall_drill(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct stanch_schedule *schedule = ctx;
    const char *id = stanch_json_str(doc, "id", ""), *name = stanch_json_str(doc, "plan", NULL);
    int64_t at_ms = stanch_json_int(doc, "at_ms", 0);
    struct stanch_schedule__plan *plan = name ? stanch_schedule__find(schedule, name) : NULL;
    (void)err;
    if (!name)
        return 0; /* a person began it */
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s/%lld", name, (long long)at_ms);
    json_object_set_new(schedule->known, key, json_string(id));
    /* those of the plan as it is now were said in their order: what is before the last one needs no look */
    if (plan && at_ms > plan->done_ms && at_ms <= schedule->born_ms &&
        stanch_json_int(doc, "created_ms", 0) >= plan->since_ms)
        plan->done_ms = at_ms;
    if (strcmp(stanch_json_str(doc, "state", ""), "announced") != 0)
        return 0;
    bool is_scheduled = plan && is_due_then(plan, at_ms);
    json_object_set_new(schedule->waiting, id, json_boolean(is_scheduled));
    if (is_scheduled)
        stanch_schedule__renew(schedule, doc);
    return 0;
}

static int recall(struct stanch_schedule *schedule, struct stanch_err *err)
{
    const struct stanch_noun_query open_plans = {.noun = "plan", .open = 1}, drills = {.noun = "drill", .open = -1};
    int rc = stanch_journal_each(schedule->journal, &open_plans, drop_plan, schedule, err);
    for (size_t i = 0; rc == 0 && i < schedule->count; i++)
        recall_plan(schedule, &schedule->plans[i]);
    return rc < 0 ? rc : stanch_journal_each(schedule->journal, &drills, recall_drill, schedule, err);
}

/* ---- life ---- */

static void begin_plan(struct stanch_schedule *schedule, struct stanch_schedule__plan *plan)
{
    struct stanch_err err = {0};
    if (stanch_calendar__walk_new(plan->plan, &plan->walk, &err) < 0) /* it was checked: the machine's zones changed */
        (void)snprintf(plan->why, sizeof plan->why, "%.299s", err.text);
    go_on(schedule, plan);
}

int stanch_schedule_start(struct stanch_loop *loop, struct stanch_journal *journal, const json_t *plans,
                          const struct stanch_schedule_port *port, struct stanch_schedule **ret, struct stanch_err *err)
{
    struct stanch_schedule *schedule = STANCH_NEW(struct stanch_schedule);
    schedule->loop = loop;
    schedule->journal = journal;
    schedule->port = *port;
    schedule->array = plans;
    schedule->count = json_array_size(plans);
    schedule->plans = stanch_alloc((schedule->count + 1) * sizeof *schedule->plans);
    schedule->known = json_object();
    schedule->waiting = json_object();
    schedule->begun = json_object();
    schedule->held = json_object();
    schedule->born_ms = stanch_loop_wall_ms(loop);
    for (size_t i = 0; i < schedule->count; i++)
        schedule->plans[i] =
            (struct stanch_schedule__plan){.plan = json_array_get(plans, i),
                                           .name = stanch_json_str(json_array_get(plans, i), "name", ""),
                                           .missed = json_array()};
    schedule->follower = stanch_journal_follow(journal, on_entry, schedule);
    int rc = recall(schedule, err);
    for (size_t i = 0; rc == 0 && i < schedule->count; i++)
        begin_plan(schedule, &schedule->plans[i]);
    if (rc < 0) {
        stanch_schedule_free(schedule);
        return rc;
    }
    schedule->timer = stanch_timer_start(loop, 0, on_look, schedule);
    *ret = schedule;
    return 0;
}

void stanch_schedule_free(struct stanch_schedule *schedule)
{
    if (!schedule)
        return;
    stanch_journal_unfollow(schedule->journal, schedule->follower);
    stanch_timer_stop(schedule->loop, &schedule->timer);
    for (size_t i = 0; i < schedule->count; i++) {
        stanch_calendar__walk_free(schedule->plans[i].walk);
        json_decref(schedule->plans[i].missed);
    }
    json_decref(schedule->known);
    json_decref(schedule->waiting);
    json_decref(schedule->begun);
    json_decref(schedule->held);
    free(schedule->plans);
    free(schedule);
}

/* ---- what people see ---- */

/* The first that is announced and has not begun. new, or NULL */
static json_t *first_announced(const struct stanch_schedule *schedule, const char *name)
{
    json_t *first = NULL, *value;
    const char *id;
    json_object_foreach(schedule->waiting, id, value)
    {
        json_t *doc = stanch_journal_see(schedule->journal, "drill", id);
        bool is_it = strcmp(stanch_json_str(doc, "plan", ""), name) == 0 && !json_object_get(schedule->begun, id) &&
                     strcmp(stanch_json_str(doc, "state", ""), "announced") == 0 &&
                     (!first || stanch_json_int(doc, "at_ms", 0) < stanch_json_int(first, "at_ms", 0));
        if (is_it) {
            json_decref(first);
            first = json_incref(doc);
        }
        json_decref(doc);
    }
    return first;
}

json_t *stanch_schedule_coming(const struct stanch_schedule *schedule)
{
    json_t *list = json_array();
    for (size_t i = 0; i < schedule->count; i++) {
        const struct stanch_schedule__plan *plan = &schedule->plans[i];
        STANCH_AUTO_JSON json_t *announced = first_announced(schedule, plan->name);
        json_t *one = json_pack("{s:s, s:s, s:s}", "plan", plan->name, "name", stanch_json_str(plan->plan, "drill", ""),
                                "kind", stanch_json_str(plan->plan, "kind", ""));
        if (announced) {
            json_object_set(one, "at_ms", json_object_get(announced, "at_ms"));
            json_object_set(one, "drill", json_object_get(announced, "id"));
        } else if (plan->has_next) {
            json_object_set_new(one, "at_ms", json_integer(plan->next_ms));
        } else {
            json_object_set_new(one, "why", json_string(plan->why));
        }
        json_array_append_new(list, one);
    }
    return list;
}

int stanch_schedule_feed(const struct stanch_schedule *schedule, struct stanch_buf *out, struct stanch_err *err)
{
    const struct stanch_noun_query query = {.noun = "drill", .open = -1, .limit = MAX_DRILLS};
    STANCH_AUTO_JSON json_t *drills = NULL;
    int rc = stanch_journal_list(schedule->journal, &query, &drills, err);
    return rc < 0 ? rc : stanch_calendar_feed(schedule->array, drills, stanch_loop_wall_ms(schedule->loop), out, err);
}
