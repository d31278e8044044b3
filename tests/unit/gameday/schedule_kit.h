/* schedule_kit.h: a schedule in virtual time, on a store in memory, with a wall clock that steps and a port that begins what it is told. */
#ifndef STANCH_TEST_SCHEDULE_KIT_H
#define STANCH_TEST_SCHEDULE_KIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/loop_sim.h"
#include "base/mem.h"
#include "gameday/schedule.h"
#include "timeline/journal.h"
#include <string.h>

#define MINUTE 60000LL
#define HOUR   3600000LL
#define DAY    86400000LL

struct fixture {
    struct stanch_loop *loop;
    struct stanch_loop_ops ops; /* the loop's, with a wall clock that steps */
    const struct stanch_loop_ops *under;
    struct stanch_journal *journal;
    struct stanch_schedule *schedule;
    json_t *plans, *begun; /* begun: ids */
    const char *refuses;   /* what begin says, or NULL */
    bool refuses_yet;      /* it could, later */
    bool is_silent;        /* begin says nothing more: the process ends before drill.started */
    int64_t stepped_ms;
    int64_t reading_ms; /* by how much the wall clock goes on while it is read: a slow machine */
};
/* What is due at once is done: a timer takes a millisecond. */
void settle(struct fixture *f);
void append(struct fixture *f, const char *kind, json_t *data);
/* One life of the daemon; start reads f->plans. */
void start(struct fixture *f);
void end(struct fixture *f);
void restart(struct fixture *f);
/* A plan of an exercise, announced 7 days before, reminded of 1 day and 15 minutes before, 10 minutes late at most. new */
json_t *plan(const char *name, const char *rule, const char *from);
/* All that was said of drills so far, a line each. */
void assert_said(struct fixture *f, const char *expected);
int count_entries(struct fixture *f);
/* It is Thursday, 2026-01-01T00:00:00Z. */
int set_up(void **state);
int tear_down(void **state);

#define UP_TO_15M                                                                                                      \
    "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"                                                                 \
    "01-05T10:00 D-1 reminded 1d\n"                                                                                    \
    "01-06T09:45 D-1 reminded 15m\n"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
