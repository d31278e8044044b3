/* test_stopped.c: what was stopped while events came, out of the entries that said so, whenever that was. */
#include "drill/recorded.h"
#include <stdlib.h>

static void say(struct fixture *f, const char *kind, const char *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    json_t *said = json_loads(data, 0, NULL);
    assert_non_null(said);
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, "person:ada", NULL, said);
    append(f, batch);
}

static void start_daemon(struct fixture *f)
{
    say(f, "daemon.started", "{\"version\":\"1\",\"pid\":1,\"epoch\":1}");
}

#define SWITCH "{\"reason\":\"hands off\",\"set_by\":\"person:ada\"}"
#define STOP   "{\"level\":\"runbook\",\"name\":\"heal\",\"file\":\"runbook:heal\",\"reason\":\"x\",\"set_by\":\"ada\"}"
#define STOP_IN_FILE(file, more)                                                                                       \
    "{\"level\":\"runbook\",\"name\":\"heal\",\"file\":\"" file "\",\"reason\":\"x\",\"set_by\":\"ada\"" more "}"

/* What each event since then would have become: "+" it starts, "-" a stop holds it. */
static void assert_stopped(struct fixture *f, int64_t since_ms, const char *expected)
{
    char was[64] = "";
    const json_t *report = look(f, since_ms, 100), *fired = json_object_get(json_object_get(report, "fired"), "listed");
    int64_t events = stanch_json_int(report, "events", -1);
    assert_in_range(events, 0, (int64_t)sizeof was - 1);
    for (int64_t i = 0; i < events; i++)
        was[i] = '-';
    for (size_t i = 0; i < json_array_size(fired); i++) {
        long number = strtol(stanch_json_str(json_array_get(fired, i), "event", "E-0") + 2, NULL, 10);
        was[number - 1 - (f->events - events)] = '+';
    }
    assert_string_equal(was, expected);
    int64_t held = stanch_json_int(json_object_get(first_runbook(report), "held"), "stop", 0);
    assert_int_equal(held, events - (int64_t)json_array_size(fired));
}

/* A stop was a person's word, and no part of a version: it holds this one too, and what it held then is no difference. */
static void what_was_stopped_then_is_stopped(void **state)
{
    (void)state;
    struct fixture f;
    char id[16];
    begin(&f, APART);
    happen(&f, "", STARTED, id);
    say(&f, "stop.engaged", SWITCH);
    happen(&f, "", HELD, id);
    happen(&f, "", NO_MATCH, id); /* of this version, it would have matched; it would not have started */
    say(&f, "stop.engaged", STOP);
    say(&f, "stop.released", "{\"reason\":\"over\"}");
    happen(&f, "", HELD, id);
    say(&f, "stop.released", "{\"level\":\"runbook\",\"name\":\"heal\",\"file\":\"runbook:heal\",\"reason\":\"fine\"}");
    happen(&f, "", STARTED, id);
    say(&f, "stop.engaged", "{\"level\":\"runbook\",\"name\":\"other\",\"set_by\":\"ada\"}");
    say(&f, "stop.engaged", "{\"level\":\"instance\",\"name\":\"edge\",\"set_by\":\"ada\"}");
    happen(&f, "", STARTED, id);
    assert_stopped(&f, 0, "+---++");
    assert_int_equal(count(f.report, "would_start") + count(f.report, "would_not"), 0);
    assert_int_equal(stanch_json_int(first_runbook(f.report), "matched", 0), 6);
    end(&f);
}

/* What the timeline does not tell of is not known: it was not recorded, or a daemon saw the file later. */
static void a_difference_that_a_stop_makes_says_so(void **state)
{
    (void)state;
    struct fixture f;
    char id[16];
    begin(&f, APART);
    happen(&f, "", HELD, id);
    say(&f, "stop.engaged", STOP);
    happen(&f, "", STARTED, id);
    assert_stopped(&f, 0, "+-");
    assert_int_equal(count(f.report, "would_start"), 1);
    const json_t *now = json_object_get(listed(f.report, "would_not", 0), "now");
    assert_string_equal(stanch_json_str(now, "outcome", ""), "held");
    assert_string_equal(stanch_json_str(now, "by", ""), "stop");
    assert_string_equal(stanch_json_str(now, "why", ""), "runbook heal is stopped by ada: x");
    end(&f);
}

/* By its own time, whether or not that was said; what is said of the same file again takes its place. */
static void a_stop_ends_when_its_time_is_over(void **state)
{
    (void)state;
    struct fixture f;
    char id[16];
    begin(&f, APART);
    say(&f, "stop.engaged", STOP);
    say(&f, "stop.engaged", STOP_IN_FILE("runbook:heal", ",\"until_ms\":1700000060000"));
    stanch_loop_sim_advance(f.loop, MINUTE - 1);
    happen(&f, "", HELD, id);
    stanch_loop_sim_advance(f.loop, 1);
    happen(&f, "", STARTED, id);
    say(&f, "stop.engaged", STOP_IN_FILE("runbook:heal", ",\"until_ms\":1700000120000"));
    happen(&f, "", HELD, id);
    stanch_loop_sim_advance(f.loop, MINUTE);
    happen(&f, "", STARTED, id);
    assert_stopped(&f, 0, "-+-+");
    end(&f);
}

/* Two files of one name, each a stop of its own; an earlier release did not name them. */
static void each_file_is_a_stop(void **state)
{
    (void)state;
    struct fixture f;
    char id[16];
    begin(&f, APART);
    say(&f, "stop.engaged", STOP_IN_FILE("runbook:heal", ""));
    say(&f, "stop.engaged", STOP_IN_FILE("runbook:%68eal", ""));
    say(&f, "stop.released", STOP_IN_FILE("runbook:heal", ""));
    happen(&f, "", HELD, id);
    say(&f, "stop.released", STOP_IN_FILE("runbook:%68eal", ""));
    happen(&f, "", STARTED, id);
    say(&f, "stop.engaged", "{\"level\":\"runbook\",\"name\":\"heal\",\"reason\":\"x\",\"set_by\":\"ada\"}");
    say(&f, "stop.engaged", "{\"level\":\"all\",\"reason\":\"no name\",\"set_by\":\"unknown\"}");
    say(&f, "stop.released", "{\"level\":\"runbook\",\"name\":\"heal\",\"reason\":\"x\"}");
    happen(&f, "", HELD, id);
    say(&f, "stop.released", "{\"level\":\"all\",\"reason\":\"removed\"}");
    happen(&f, "", STARTED, id);
    assert_stopped(&f, 0, "-+-+");
    end(&f);
}

/* Its file was removed while no daemon was there: nobody said so, but the next start would have said that it is set. */
static void a_start_of_the_daemon_says_what_is_still_stopped(void **state)
{
    (void)state;
    struct fixture f;
    char id[16];
    begin(&f, APART);
    start_daemon(&f);
    say(&f, "stop.engaged", SWITCH);
    say(&f, "stop.engaged", STOP);
    happen(&f, "", HELD, id);
    start_daemon(&f);
    say(&f, "stop.engaged", STOP);
    happen(&f, "", HELD, id);
    start_daemon(&f);
    happen(&f, "", STARTED, id);
    assert_stopped(&f, 0, "--+");
    end(&f);
}

/* Far outside of all windows, and pages of entries ago; from before and from behind each. */
static void what_was_engaged_long_before_since_still_holds(void **state)
{
    (void)state;
    enum { MANY = 1200 };
    struct fixture f;
    char id[16];
    int64_t at_ms[4];
    begin(&f, APART);
    for (int part = 0; part < 4; part++) {
        at_ms[part] = stanch_loop_wall_ms(f.loop);
        if (part == 1)
            say(&f, "stop.engaged", STOP);
        if (part == 2) {
            start_daemon(&f);
            say(&f, "stop.engaged", SWITCH);
        }
        if (part == 3)
            say(&f, "stop.released", "{\"reason\":\"fine\"}");
        for (int i = 0; i < MANY; i++) {
            happen(&f, "", NO_MATCH, id);
            stanch_loop_sim_advance(f.loop, MINUTE);
        }
    }
    static const int held[] = {2 * MANY, 2 * MANY, MANY, 0};
    for (int part = 0; part < 4; part++)
        for (int64_t behind = 0; behind <= 2; behind++) {
            const json_t *report = look(&f, at_ms[part] + behind * MINUTE, 1);
            int64_t left = part == 1 || part == 2 ? held[part] - behind : held[part];
            assert_int_equal(stanch_json_int(report, "events", -1), (4 - part) * MANY - behind);
            assert_int_equal(stanch_json_int(json_object_get(first_runbook(report), "held"), "stop", 0), left);
        }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_stopped_then_is_stopped),
        cmocka_unit_test(a_difference_that_a_stop_makes_says_so),
        cmocka_unit_test(a_stop_ends_when_its_time_is_over),
        cmocka_unit_test(each_file_is_a_stop),
        cmocka_unit_test(a_start_of_the_daemon_says_what_is_still_stopped),
        cmocka_unit_test(what_was_engaged_long_before_since_still_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
