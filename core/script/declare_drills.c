/* declare_drills.c: the configuration's `drills`: who is told, and the schedule. Rules and zones are not looked into here: a
 * worker has no libical and no files (gameday/gameday.h checks them when the daemon sets itself up).
 */
#include "script/declare_check.h"
#include "base/json.h"
#include "base/times.h"
#include <string.h>
#include <strings.h>

#define MAX_PLANS     200
#define MAX_REMINDERS 10

static const char *const kind_words[] = {"virtual", "exercise", "staging", NULL};
static const struct stanch_bounds lasts_bounds = {60e3, 7 * 86400e3}, announce_bounds = {0, 90 * 86400e3},
                                  late_bounds = {0, 86400e3}, speed_bounds = {1, 60};

/* { "1d", "15m" } */
static void read_remind(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    if (!stanch_check_is_list(L, idx) || lua_rawlen(L, idx) > MAX_REMINDERS) {
        stanch_check_expected(check, idx, "a list of at most 10 durations, as in { \"1d\", \"15m\" }");
        return;
    }
    json_t *list = json_array();
    for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
        size_t before = stanch_check_enter_index(check, i);
        int64_t ms = 0;
        if (stanch_check_duration(check, lua_gettop(L), &ms)) {
            if (ms > 0)
                json_array_append_new(list, json_integer(ms));
            else
                stanch_check_fail(check, "expected more than 0s");
        }
        stanch_check_leave(check, before);
    }
    lua_pop(L, 1);
    json_object_set_new(into, key->json, list);
}

const struct stanch_section stanch_section_plan = {
    "drills.schedule[n]",
    (const struct stanch_key[]){
        {"name", NULL, stanch_read_name, NULL, NULL, true, "name",
         "what the plan is called; no two are called the same"},
        {"drill", NULL, stanch_read_text, NULL, NULL, true, "text", "the scenario, as `stanch drill list` has it"},
        {"kind", NULL, stanch_read_word, kind_words, NULL, true, "\"virtual\", \"exercise\" or \"staging\"",
         "how it is played"},
        {"rule", NULL, stanch_read_text, NULL, "null", false, "text",
         "when it comes round, as RFC 5545 writes it: `FREQ=MONTHLY;INTERVAL=3;BYDAY=1TU`; by the day or rarer; none: "
         "once, at `from`"},
        {"from", NULL, stanch_read_text, NULL, NULL, true, "text",
         "since when, and at what time of day: `2026-01-06T10:00`, on the clock of `zone`"},
        {"zone", NULL, stanch_read_text, NULL, "\"UTC\"", false, "text", "the time zone: `Europe/Berlin`"},
        {"lasts", "lasts_ms", stanch_read_duration, &lasts_bounds, "\"1h\"", false, "duration",
         "how long people keep free for it: its end in the calendar feed"},
        {"announce", "announce_ms", stanch_read_duration, &announce_bounds, "\"7d\"", false, "duration",
         "how long before its time it is announced; at most 90d"},
        {"remind", "remind_ms", read_remind, NULL, "[\"1d\",\"15m\"]", false, "list of durations",
         "how long before its time people are reminded, each shorter than `announce`; when it is not set, those of "
         "them that are"},
        {"late", "late_ms", stanch_read_duration, &late_bounds, "\"10m\"", false, "duration",
         "how much later than its time it may still begin; then it was missed"},
        {"speed", NULL, stanch_read_integer, &speed_bounds, "1", false, "number",
         "how many times as fast as a clock an exercise is played, 1 to 60"},
        {0}}};

static bool is_given(lua_State *L, int idx, const char *key)
{
    lua_pushstring(L, key);
    bool is = lua_rawget(L, idx) != LUA_TNIL;
    lua_pop(L, 1);
    return is;
}

static void fail_at(struct stanch_check *check, const char *key, const char *text)
{
    size_t before = stanch_check_enter(check, key);
    stanch_check_fail(check, "%s", text);
    stanch_check_leave(check, before);
}

/* What stands in no key alone. */
static void check_plan(struct stanch_check *check, int idx, json_t *plan)
{
    json_t *remind = json_object_get(plan, "remind_ms"), *announce = json_object_get(plan, "announce_ms");
    for (size_t i = announce ? json_array_size(remind) : 0; i-- > 0;) {
        if (json_integer_value(json_array_get(remind, i)) < json_integer_value(announce))
            continue;
        if (is_given(check->L, idx, "remind"))
            fail_at(check, "remind", "a reminder comes after the announcement: expected less than `announce`");
        json_array_remove(remind, i);
    }
    if (stanch_json_int(plan, "speed", 1) > 1 && strcmp(stanch_json_str(plan, "kind", "exercise"), "exercise") != 0)
        fail_at(check, "speed", "only an exercise is played faster than a clock; leave it out");
}

static void read_schedule(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    if (!stanch_check_is_list(L, idx) || lua_rawlen(L, idx) > MAX_PLANS) {
        stanch_check_expected(check, idx, "a list of at most 200 plans, as in { { name = ..., drill = ... }, ... }");
        return;
    }
    json_t *plans = json_array();
    for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
        size_t before = stanch_check_enter_index(check, i);
        json_t *plan = json_object();
        stanch_check_section(check, lua_gettop(L), &stanch_section_plan, false, plan);
        if (lua_istable(L, -1))
            check_plan(check, lua_gettop(L), plan);
        json_array_append_new(plans, plan);
        stanch_check_leave(check, before);
    }
    lua_pop(L, 1);
    json_object_set_new(into, key->name, plans);
}

/* Where a drill may really act. What everybody calls production is none of them, whoever says so. */
static void read_environments(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    static const char *const never[] = {"prod", "production", "live"};
    stanch_read_texts(check, idx, key, into);
    const json_t *names = json_object_get(into, key->name);
    for (size_t i = 0; i < json_array_size(names); i++)
        for (size_t k = 0; k < sizeof never / sizeof *never; k++)
            if (strcasecmp(json_string_value(json_array_get(names, i)), never[k]) == 0)
                stanch_check_fail(check, "\"%s\" is where drills never act",
                                  json_string_value(json_array_get(names, i)));
}

const struct stanch_section stanch_section_drills = {
    "drills", (const struct stanch_key[]){
                  {"tell", NULL, stanch_read_instances_named, NULL, "[]", false, "list of names",
                   "instances whose plugin has the notice `send` (webhook): they are told what becomes of drills"},
                  {"environments", NULL, read_environments, NULL, "[]", false, "list of names",
                   "where drills of kind staging may act: environments of instances; never prod, production or live"},
                  {"listen", NULL, stanch_read_listen, NULL, "null", false, "\"address:port\" or false",
                   "where people come into a drill, beside its socket, which is `drill.sock` beside `socket`"},
                  {"url", NULL, stanch_read_address, "http", "null", false, "address",
                   "where people reach that: what the links of a drill's pages begin with"},
                  {"schedule", NULL, read_schedule, NULL, "[]", false, "list of tables", "what comes round, see below"},
                  {0}}};
