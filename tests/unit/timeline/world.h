/* world.h: what the tests of the journal share: a directory of their own, a loop that is pumped until something is
 * true, and short ways to append. */
#ifndef TEST_TIMELINE_WORLD_H
#define TEST_TIMELINE_WORLD_H
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/times.h"
#include "timeline/journal_inside.h"
#include "timeline/store_sqlite.h"
#include "timeline/verify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define UNUSED __attribute__((unused))

UNUSED static char *new_dir(void)
{
    char template[] = "/tmp/stanch-timeline-XXXXXX";
    assert_non_null(mkdtemp(template));
    return stanch_strdup(template);
}

UNUSED static void drop_dir(char *dir)
{
    DIR *listing = opendir(dir);
    for (struct dirent *item; listing && (item = readdir(listing));) {
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s", dir, item->d_name);
        if (item->d_name[0] != '.')
            unlink(path);
    }
    if (listing)
        closedir(listing);
    rmdir(dir);
    free(dir);
}

UNUSED static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    char bytes[65536];
    for (size_t len; (len = fread(bytes, 1, sizeof bytes, in)) > 0;)
        assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* Wait for the loop until `*done` is true; ten seconds at most. */
UNUSED static void pump_until(struct stanch_loop *loop, const bool *done)
{
    int64_t until = stanch_mono_now_ms() + 10000;
    while (!*done) {
        assert_true(stanch_mono_now_ms() < until);
        uv_run(stanch_loop_uv(loop), UV_RUN_ONCE);
    }
}

UNUSED static void on_flag(void *ctx)
{
    *(bool *)ctx = true;
}

UNUSED static void settle(struct stanch_loop *loop, struct stanch_journal *journal)
{
    bool done = false;
    stanch_journal_barrier(journal, on_flag, &done);
    pump_until(loop, &done);
}

UNUSED static struct stanch_journal *open_journal(struct stanch_loop *loop, const char *dir)
{
    struct stanch_store *store;
    struct stanch_journal *journal;
    struct stanch_err err = {0};
    if (dir ? stanch_store_sqlite_open(dir, 1, 0, &store, &err) < 0 : !(store = stanch_store_memory_new()))
        fail_msg("%s", err.text);
    if (stanch_journal_open(loop, store, &journal, &err) < 0)
        fail_msg("%s", err.text);
    return journal;
}

/* Append one entry; data as JSON text with 'single' quotes. */
UNUSED static int append_with(struct stanch_journal *journal, const char *chain, const char *kind, const char *data,
                              void (*fn)(void *), void *ctx, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *text = stanch_strdup(data);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    json_t *value = json_loads(text, 0, NULL);
    assert_non_null(value);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, chain, kind, "person:alice", NULL, value);
    return stanch_journal_append(journal, batch, fn, ctx, err);
}

UNUSED static void append(struct stanch_journal *journal, const char *chain, const char *kind, const char *data)
{
    struct stanch_err err = {0};
    if (append_with(journal, chain, kind, data, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

/* A day's work in small: several incidents, runs, steps, a repeat, a key. `count` entries or some more. */
UNUSED static void append_mixed(struct stanch_journal *journal, int count)
{
    for (int i = 0; i * 8 < count; i++) {
        STANCH_AUTO_FREE char *chain = stanch_asprintf("INC-%d", i % 7 + 1);
        STANCH_AUTO_FREE char *event = stanch_asprintf(
            "{'event':'E-%d','key':'k%d','source':'am','labels':{'n':%d,'x':1.5},'title':'Err \xc3\xa9'}", i, i % 5, i);
        STANCH_AUTO_FREE char *repeated = stanch_asprintf("{'event':'E-%d','count':%d}", i, i + 1);
        STANCH_AUTO_FREE char *incident =
            stanch_asprintf("{'incident':'%s','title':'T%d','severity':'sev2'}", chain, i);
        STANCH_AUTO_FREE char *run = stanch_asprintf(
            "{'run':'R-%d','runbook':'rb','event_key':'k%d','path':'a.lua','because':'it burns'}", i, i);
        STANCH_AUTO_FREE char *asked = stanch_asprintf("{'step':'R-%d/1','run':'R-%d','n':1,'op':'action'}", i, i);
        STANCH_AUTO_FREE char *answered =
            stanch_asprintf("{'step':'R-%d/1','outcome':'done','result':{'v':2.0,'big':1e20}}", i);
        append(journal, STANCH_CHAIN_NONE, "event.received", event);
        append(journal, STANCH_CHAIN_NONE, "event.repeated", repeated);
        append(journal, chain, i < 7 ? "incident.declared" : "incident.changed", incident);
        append(journal, chain, "run.started", run);
        append(journal, chain, "step.asked", asked);
        append(journal, chain, "step.answered", answered);
        append(journal, chain, i % 3 ? "run.succeeded" : "run.parked", run);
        append(journal, chain, "step.noted", "{'text':'a note','gone':null}");
    }
}

#endif
