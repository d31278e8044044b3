/* bench_backtest.c: a year of events in a store, as flow records them: what came, and what was decided for it.
 *
 *   bench_backtest DIR N     events (so many are in the store)
 *
 * It only makes the store, for `stanch backtest` to be measured on. */
#include "bench.h"
#include "base/digest.h"
#include "base/json.h"
#include "timeline/journal.h"
#include "timeline/store.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BATCH     250
#define UNDER_WAY 4
#define YEAR_MS   (365LL * 24 * 3600 * 1000)
#define BEGAN_MS  1700000000000LL
#define NAMES     40
#define SERVERS   500

struct bench {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    int64_t to_do, done, under_way;
};

static json_t *event_of(int64_t i, int64_t of, const char *id)
{
    char name[32], server[32], key[65];
    int64_t at_ms = BEGAN_MS + YEAR_MS / of * i;
    (void)snprintf(name, sizeof name, "Alert%" PRId64, i % NAMES);
    (void)snprintf(server, sizeof server, "server-%" PRId64, i * 7919 % SERVERS);
    stanch_digest_hex(id, strlen(id), key);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s}, s:I, s:I}", "event", id, "id",
                     id, "key", key, "kind", "alert", "name", name, "source", "am", "state",
                     i % 5 == 4 ? "resolved" : "firing", "severity", "sev3", "labels", "alertname", name, "instance",
                     server, "env", i % 3 == 2 ? "staging" : "prod", "severity", i % 2 ? "page" : "ticket",
                     "starts_at_ms", (json_int_t)at_ms - 15000, "received_ms", (json_int_t)at_ms);
}

static void add_event(struct stanch_batch *batch, int64_t i, int64_t of)
{
    char id[32];
    (void)snprintf(id, sizeof id, "E-%" PRId64, i + 1);
    bool matched = i % 10 == 0;
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "event.received", STANCH_BY_STANCH, NULL, event_of(i, of, id));
    json_t *first = matched ? json_pack("{s:s, s:b, s:s, s:s, s:s}", "runbook", "r0", "match", 1, "why", "", "outcome",
                                        "started", "run", "R-1")
                            : json_pack("{s:s, s:b, s:s}", "runbook", "r0", "match", 0, "why",
                                        "label severity is \"ticket\", not \"page\"");
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "event.matched", STANCH_BY_STANCH, NULL,
                     json_pack("{s:s, s:[o, {s:s, s:b, s:s}], s:b, s:[], s:s}", "event", id, "considered", first,
                               "runbook", "r1", "match", 0, "why", "label env is \"prod\", not \"staging\"", "matched",
                               1, "runs", "commit", "0123456789012345678901234567890123456789"));
}

static void append_more(struct bench *bench);

static void on_committed(void *ctx)
{
    struct bench *bench = ctx;
    bench->under_way--;
    append_more(bench);
    if (bench->under_way == 0)
        stanch_loop_stop(bench->loop);
}

static void append_more(struct bench *bench)
{
    struct stanch_err err;
    while (bench->under_way < UNDER_WAY && bench->done < bench->to_do) {
        struct stanch_batch *batch = stanch_batch_new();
        for (int i = 0; i < BATCH && bench->done < bench->to_do; i++)
            add_event(batch, bench->done++, bench->to_do);
        bench->under_way++;
        if (stanch_journal_append(bench->journal, batch, on_committed, bench, &err) < 0)
            bench_die("%s", err.text);
    }
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    struct stanch_store *store = NULL;
    struct stanch_err err;
    if (argc != 3)
        bench_die("usage: bench_backtest DIR N");
    bench.to_do = bench_number(argv[2], "N");
    stanch_digest_init();
    bench.loop = stanch_loop_new(&err);
    if (!bench.loop || stanch_store_sqlite_open(argv[1], 1, 0, &store, &err) < 0 ||
        stanch_journal_open(bench.loop, store, &bench.journal, &err) < 0)
        bench_die("%s", err.text);
    append_more(&bench);
    stanch_loop_run(bench.loop);
    STANCH_AUTO_JSON json_t *health = stanch_journal_health(bench.journal);
    if (stanch_json_int(health, "entries", 0) < 2 * bench.to_do)
        bench_die("%lld entries are committed of %lld", (long long)stanch_json_int(health, "entries", 0),
                  (long long)(2 * bench.to_do));
    bench_print("events", (double)bench.done);
    stanch_journal_close(bench.journal);
    stanch_loop_free(bench.loop);
    return 0;
}
