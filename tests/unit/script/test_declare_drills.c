/* test_declare_drills.c: the section drills of stanch.lua: what is said of every mistake in it. */
#include "declare_kit.h"

#define PLAN(more)                                                                                                     \
    "stanch { drills = { schedule = { { name = 'p', drill = 'd', from = '2026-01-06T10:00'" more " } } } }"
#define AT "stanch.lua:1: drills.schedule[1]."

static void every_mistake_about_drills_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct mistake mistakes[] = {
        {PLAN(""), AT "kind: missing; expected \"virtual\", \"exercise\" or \"staging\""},
        {PLAN(", kind = 'real'"), AT "kind: expected \"virtual\", \"exercise\" or \"staging\", not \"real\""},
        {PLAN(", kind = 'virtual', speed = 2"),
         AT "speed: only an exercise is played faster than a clock; leave it out"},
        {PLAN(", kind = 'exercise', speed = 61"), AT "speed: expected 1 to 60"},
        {PLAN(", kind = 'virtual', remind = { '7d' }"),
         AT "remind: a reminder comes after the announcement: expected less than `announce`"},
        {PLAN(", kind = 'virtual', remind = '1d'"),
         AT "remind: expected a list of at most 10 durations, as in { \"1d\", \"15m\" }, not \"1d\""},
        {PLAN(", kind = 'virtual', remind = { '1h', 'x' }"),
         AT "remind[2]: \"x\" is not a duration; write it like 250ms, 15s, 10m, 2h or 7d"},
        {PLAN(", kind = 'virtual', remind = { '0s' }"), AT "remind[1]: expected more than 0s"},
        {PLAN(", kind = 'virtual', annouce = '1d'"), AT "annouce: there is no such key; did you mean \"announce\"?"},
        {PLAN(", kind = 'virtual', announce = '91d'"), AT "announce: expected 0s to 90d"},
        {PLAN(", kind = 'virtual', rule = 5"), AT "rule: expected a text, not 5"},
        {"stanch { drills = { schedule = { 'x' } } }",
         "stanch.lua:1: drills.schedule[1]: expected { key = value, ... }, not \"x\""},
        {"stanch { drills = { schedule = { name = 'x' } } }",
         "stanch.lua:1: drills.schedule: expected a list of at most 200 plans, as in { { name = ..., drill = ... }, "
         "... "
         "}, not a table"},
        {"stanch { drills = { tell = { 'hook' } } }",
         "stanch.lua:1: drills.tell: there is no instance \"hook\" in the list instances"},
        {"stanch { instances = { webhook 'hook' {} }, drills = { tell = { 'hook', 'hook' } } }",
         "stanch.lua:1: drills.tell: \"hook\" is in tell twice"},
        {"stanch { instances = { webhook 'hook' {} }, paging = { via = { 'hook', 'hook' } } }",
         "stanch.lua:1: paging.via: \"hook\" is in via twice"},
        {"stanch { drills = { environments = { 'staging', 'Production' } } }",
         "stanch.lua:1: drills.environments: \"Production\" is where drills never act"},
        {"stanch { drills = { environments = 'staging' } }",
         "stanch.lua:1: drills.environments: expected a list of texts, as in { \"a\", \"b\" }, not \"staging\""},
        {"stanch { drills = { url = 'stanch.example' } }",
         "stanch.lua:1: drills.url: \"stanch.example\" is not an address; it begins with https:// or http://"},
        {"stanch { drills = { listen = '8471' } }",
         "stanch.lua:1: drills.listen: \"8471\" is not an address; write it like 127.0.0.1:8470 or [::1]:8470"},
    };
    check_mistakes("config", "stanch.lua", mistakes, sizeof mistakes / sizeof *mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_about_drills_is_told_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
