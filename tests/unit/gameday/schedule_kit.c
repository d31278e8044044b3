/* schedule_kit.c */
#include "schedule_kit.h"
#include "base/digest.h"
#include "base/times.h"
#include "timeline/store.h"
#include <stdio.h>

static struct fixture *fixture; /* of the clock that steps */

static int64_t stepping_wall(struct stanch_loop *loop)
{
    fixture->stepped_ms += fixture->reading_ms;
    return fixture->under->wall_ms(loop) + fixture->stepped_ms;
}

void settle(struct fixture *f)
{
    stanch_loop_sim_advance(f->loop, 5);
}

void append(struct fixture *f, const char *kind, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, "stanch", NULL, data);
    if (stanch_journal_append(f->journal, batch, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static int begin(void *ctx, const json_t *drill, struct stanch_err *err)
{
    struct fixture *f = ctx;
    const char *id = stanch_json_str(drill, "id", "");
    if (f->refuses)
        return stanch_err_set(err, f->refuses_yet ? STANCH_E_UNAVAILABLE : STANCH_E_CONFLICT, "%s", f->refuses);
    json_array_append_new(f->begun, json_string(id));
    if (!f->is_silent)
        append(f, "drill.started",
               json_pack("{s:s, s:O, s:O}", "drill", id, "name", json_object_get(drill, "name"), "kind",
                         json_object_get(drill, "kind")));
    return 0;
}

void start(struct fixture *f)
{
    const struct stanch_schedule_port port = {begin, f};
    struct stanch_err err;
    if (stanch_schedule_start(f->loop, f->journal, f->plans, &port, &f->schedule, &err) < 0)
        fail_msg("%s", err.text);
}

void end(struct fixture *f)
{
    settle(f);
    stanch_schedule_free(f->schedule);
    f->schedule = NULL;
}

void restart(struct fixture *f)
{
    end(f);
    start(f);
    settle(f);
}

json_t *plan(const char *name, const char *rule, const char *from)
{
    json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:[I, I], s:I, s:i}", "name", name, "drill",
                            "checkout", "kind", "exercise", "from", from, "zone", "UTC", "lasts_ms", (json_int_t)HOUR,
                            "announce_ms", (json_int_t)(7 * DAY), "remind_ms", (json_int_t)DAY,
                            (json_int_t)(15 * MINUTE), "late_ms", (json_int_t)(10 * MINUTE), "speed", 1);
    json_object_set_new(one, "rule", rule ? json_string(rule) : json_null());
    return one;
}

int set_up(void **state)
{
    struct fixture *f = fixture = STANCH_NEW(struct fixture);
    struct stanch_err err;
    stanch_digest_init();
    f->loop = stanch_loop_sim_new(1767225600000, 100000); /* Thursday, 2026-01-01T00:00:00Z */
    f->under = f->loop->ops;
    f->ops = *f->under;
    f->ops.wall_ms = stepping_wall;
    f->loop->ops = &f->ops;
    assert_int_equal(stanch_journal_open(f->loop, stanch_store_memory_new(), &f->journal, &err), 0);
    f->plans = json_array();
    f->begun = json_array();
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;
    stanch_schedule_free(f->schedule);
    stanch_journal_close(f->journal);
    f->loop->ops = f->under;
    stanch_loop_sim_free(f->loop);
    json_decref(f->plans);
    json_decref(f->begun);
    free(f);
    return 0;
}

static int on_written(void *ctx, const struct stanch_entry *entry)
{
    char at[32];
    if (strncmp(entry->kind, "drill.", 6) != 0)
        return 0;
    stanch_time_text(entry->at_ms, at);
    stanch_buf_printf(ctx, "%.11s %s %s", at + 5, stanch_json_str(entry->data, "drill", ""), entry->kind + 6);
    const char *const members[] = {"at", "in", "why"};
    for (size_t i = 0; i < 3 && strcmp(entry->kind, "drill.started") != 0; i++) {
        const char *text = stanch_json_str(entry->data, members[i], NULL);
        if (text && !(i == 0 && strcmp(entry->kind, "drill.missed") == 0))
            stanch_buf_printf(ctx, " %s", text);
    }
    stanch_buf_text(ctx, "\n");
    return 0;
}

void assert_said(struct fixture *f, const char *expected)
{
    STANCH_AUTO_BUF struct stanch_buf got = {0};
    const struct stanch_entry_query query = {.limit = 1000};
    struct stanch_err err;
    settle(f);
    assert_int_equal(stanch_journal_entries(f->journal, &query, on_written, &got, &err), 0);
    if (strcmp(stanch_buf_str(&got), expected) != 0)
        fail_msg("said\n%s\nexpected\n%s", stanch_buf_str(&got), expected);
}

static int on_counted(void *ctx, const struct stanch_entry *entry)
{
    (*(int *)ctx)++;
    (void)entry;
    return 0;
}

int count_entries(struct fixture *f)
{
    const struct stanch_entry_query query = {.limit = 1000};
    struct stanch_err err;
    int count = 0;
    settle(f);
    assert_int_equal(stanch_journal_entries(f->journal, &query, on_counted, &count, &err), 0);
    return count;
}
