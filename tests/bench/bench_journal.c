/* bench_journal.c: the journal alone: entries of steps as runs write them, hash-chained, folded into documents, in
 * batches of 100 rows, on SQLite.
 *
 *   bench_journal DIR N     per_s (entries), per_sync (entries that share one)
 *
 * Two batches are under way: while one is written, the next one is folded and hashed. */
#include "bench.h"
#include "base/digest.h"
#include "base/json.h"
#include "timeline/journal.h"
#include "timeline/store.h"

#define BATCH 100

struct bench {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    int64_t begun, to_do, under_way;
    int64_t step;
};

/* What one step writes: question, intent, outcome, answer. */
static void add_step(struct stanch_batch *batch, int64_t step)
{
    char id[48], run[32], chain[32];
    (void)snprintf(run, sizeof run, "R-%lld", (long long)(step / 10));
    (void)snprintf(id, sizeof id, "%s/%lld", run, (long long)(step % 10 + 1));
    (void)snprintf(chain, sizeof chain, "INC-%lld", (long long)(step / 10 % 64));
    stanch_batch_add(batch, chain, "step.asked", "run:R", run,
                     json_pack("{s:s, s:s, s:I, s:s, s:{s:s, s:s, s:{s:s}, s:s}, s:s, s:i}", "step", id, "run", run,
                               "n", (json_int_t)(step % 10 + 1), "op", "action", "args", "instance", "hit", "action",
                               "hit", "args", "name", "i00000000deadbeef", "because", "it is measured", "file",
                               "hit.lua", "line", 8));
    stanch_batch_add(batch, chain, "action.sent", STANCH_BY_STANCH, run,
                     json_pack("{s:s, s:i, s:s, s:s, s:{s:s}, s:s, s:s}", "step", id, "attempt", 1, "instance", "hit",
                               "action", "hit", "sent_args", "name", "i00000000deadbeef", "plan_digest",
                               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "because",
                               "it is measured"));
    stanch_batch_add(batch, chain, "action.answered", STANCH_BY_STANCH, run,
                     json_pack("{s:s, s:s, s:s, s:s, s:{s:b}}", "step", id, "instance", "hit", "action", "hit",
                               "outcome", "done", "value", "hit", 1));
    stanch_batch_add(batch, chain, "step.answered", STANCH_BY_STANCH, run,
                     json_pack("{s:s, s:s, s:I, s:I, s:{s:{s:{s:b}}}}", "step", id, "run", run, "n",
                               (json_int_t)(step % 10 + 1), "order", (json_int_t)(step % 10 + 1), "answer", "ok",
                               "value", "hit", 1));
}

static void append_next(struct bench *bench);

static void on_committed(void *ctx)
{
    struct bench *bench = ctx;
    bench->under_way--;
    if (bench->begun < bench->to_do)
        append_next(bench);
    else if (bench->under_way == 0)
        stanch_loop_stop(bench->loop);
}

static void append_next(struct bench *bench)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    for (int i = 0; i < BATCH / 4; i++)
        add_step(batch, bench->step++);
    bench->begun++;
    bench->under_way++;
    if (stanch_journal_append(bench->journal, batch, on_committed, bench, &err) < 0)
        bench_die("%s", err.text);
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    struct stanch_store *store = NULL;
    struct stanch_err err;
    if (argc != 3)
        bench_die("usage: bench_journal DIR N");
    bench.to_do = bench_number(argv[2], "N") / BATCH + 1;
    stanch_digest_init();
    bench.loop = stanch_loop_new(&err);
    if (!bench.loop || stanch_store_sqlite_open(argv[1], 1, 0, &store, &err) < 0 ||
        stanch_journal_open(bench.loop, store, &bench.journal, &err) < 0)
        bench_die("%s", err.text);
    int64_t begin = bench_now_ns();
    append_next(&bench);
    if (bench.begun < bench.to_do)
        append_next(&bench);
    stanch_loop_run(bench.loop);
    double seconds = (double)(bench_now_ns() - begin) / 1e9, rows = (double)bench.to_do * BATCH;
    STANCH_AUTO_JSON json_t *health = stanch_journal_health(bench.journal);
    if (stanch_json_int(health, "entries", 0) < (int64_t)rows)
        bench_die("%.0f entries were appended, %lld are committed", rows,
                  (long long)stanch_json_int(health, "entries", 0));
    bench_print("per_s", rows / seconds);
    bench_print("per_sync", rows / (double)stanch_json_int(health, "syncs", 1));
    stanch_journal_close(bench.journal);
    stanch_loop_free(bench.loop);
    return 0;
}
