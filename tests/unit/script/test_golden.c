/* Campaign D2: golden histories (tests/golden/README.md). Each is replayed under runner processes of their own, with
 * other addresses and another hash seed, cut after an answer and taken up by the next: every want must be the same byte
 * for byte, and so must the result. */
#include "worker_kit.h"
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

/* A run as the journal holds it: {"language","path","sources":[{"path","text"}],"input","wants","answers":[[n,answer]],
 * "result"}. */
struct golden {
    struct act act;
    json_t *history;
    size_t delivered, cut_after;
    bool records, was_cut, diverged;
    uint64_t random;
};

static const char *golden_dir(void)
{
    static char path[4096];
    const char *record = getenv("STANCH_RECORD"), *source = getenv("STANCH_SOURCE");
    if (record)
        return record;
    (void)snprintf(path, sizeof path, "%s/tests/golden", source ? source : ".");
    return path;
}

/* ---- the world that answers when a history is recorded ---- */

static json_t *make_answer(const json_t *want, size_t count)
{
    const char *op = stanch_json_str(want, "op", "");
    if (strcmp(op, "check") == 0)
        return json_pack("{s:{s:s, s:f}}", "ok", "result", "bad", "value", 9.5);
    if (strcmp(op, "verify") == 0) {
        const char *verdict = count % 3 == 0 ? "verified" : count % 2 ? "worse" : "no_effect";
        return json_pack("{s:{s:s, s:f, s:s, s:f}}", "ok", "result", count % 3 ? "bad" : "good", "value",
                         0.25 * (double)count, "verdict", verdict, "before", 9.5);
    }
    if (strcmp(op, "wait_for") == 0)
        return json_pack("{s:{s:s, s:i}}", "ok", "result", "held", "value", 1);
    if (strcmp(op, "ask") == 0)
        return json_pack("{s:{s:s, s:s, s:s}}", "ok", "choice", "yes", "by", "person:ada", "note", "go");
    if (strcmp(op, "recent_changes") == 0)
        return json_pack("{s:[{s:s, s:s}]}", "ok", "id", "E-1", "kind", "deploy");
    if (strcmp(op, "action") == 0 && count % 4 == 3)
        return json_pack("{s:{s:s, s:s}}", "error", "kind", "remote", "text", "it answered 500");
    if (strcmp(op, "action") == 0)
        return json_pack("{s:{s:i, s:o}}", "ok", "value", (int)count, "mitigation", json_sprintf("M-%zu", count));
    if (strcmp(op, "now") == 0)
        return json_pack("{s:I}", "ok", (json_int_t)(1700000000000 + (json_int_t)count * 1000));
    return json_pack("{s:{}}", "ok");
}

static json_t *next_answer(struct golden *golden)
{
    json_t *answers = json_object_get(golden->history, "answers");
    json_t *next = json_array_get(answers, golden->delivered);
    if (next || !golden->records)
        return next;
    golden->random = golden->random * 6364136223846793005ULL + 1442695040888963407ULL;
    size_t open = json_array_size(golden->act.pending);
    const json_t *want = json_array_get(golden->act.pending, (size_t)(golden->random >> 33) % open);
    next = json_pack("[I, o]", (json_int_t)stanch_json_int(want, "n", 0), make_answer(want, golden->delivered));
    json_array_append_new(answers, next);
    return next;
}

/* ---- one activation ---- */

static void stop_here(struct golden *golden)
{
    stanch_worker_kill(golden->act.worker);
    golden->act.worker = NULL;
    stanch_loop_stop(golden->act.kit->loop);
}

static bool is_same_text(const json_t *a, const json_t *b)
{
    STANCH_AUTO_BUF struct stanch_buf left = {0}, right = {0};
    struct stanch_err err;
    if (!a || !b || stanch_json_canonical(a, &left, &err) < 0 || stanch_json_canonical(b, &right, &err) < 0)
        return false;
    return left.len == right.len && memcmp(stanch_buf_str(&left), stanch_buf_str(&right), left.len) == 0;
}

static void take_want(struct golden *golden, json_t *want)
{
    json_t *wants = json_object_get(golden->history, "wants");
    const json_t *held = json_array_get(wants, (size_t)stanch_json_int(want, "n", 0) - 1);
    if (!held && golden->records)
        json_array_append(wants, want);
    else if (!is_same_text(held, want))
        golden->diverged = true;
    json_array_append(golden->act.pending, want);
}

static void on_wants(void *ctx, const json_t *wants)
{
    struct golden *golden = ctx;
    struct stanch_err err;
    for (size_t i = 0; i < json_array_size(wants); i++)
        take_want(golden, json_array_get(wants, i));
    const json_t *next = golden->diverged || golden->delivered == golden->cut_after ? NULL : next_answer(golden);
    if (!next) {
        golden->was_cut = !golden->diverged;
        stop_here(golden);
        return;
    }
    int64_t n = json_integer_value(json_array_get(next, 0));
    for (size_t i = 0; i < json_array_size(golden->act.pending); i++)
        if (stanch_json_int(json_array_get(golden->act.pending, i), "n", 0) == n)
            json_array_remove(golden->act.pending, i);
    golden->delivered++;
    assert_int_equal(stanch_worker_answer(golden->act.worker, n, json_array_get(next, 1), &err), 0);
}

static void on_end(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct golden *golden = ctx;
    act_on_end(&golden->act, rc, err, result);
    stanch_loop_stop(golden->act.kit->loop);
}

/* In a runner of its own. */
static void play(struct golden *golden)
{
    static const struct stanch_worker_events events = {on_wants, on_end};
    struct kit kit;
    struct stanch_source sources[8];
    struct stanch_err err;
    const json_t *kept = json_object_get(golden->history, "sources");
    int count = (int)json_array_size(kept);
    for (int i = 0; i < count && i < 8; i++) {
        const json_t *text = json_object_get(json_array_get(kept, (size_t)i), "text");
        sources[i] = (struct stanch_source){stanch_json_str(json_array_get(kept, (size_t)i), "path", ""),
                                            json_string_value(text), json_string_length(text)};
    }
    struct stanch_worker_spec spec = {"run", json_object_get(golden->history, "input"), sources, count};
    kit_start(&kit, NULL);
    golden->act.kit = &kit;
    golden->act.wants = json_array();
    golden->act.pending = json_array();
    while (stanch_worker_start(kit.runner, &spec, &events, golden, &golden->act.worker, &err) < 0)
        stanch_loop_run_once(kit.loop);
    stanch_loop_run(kit.loop);
    kit_stop(&kit);
}

/* ---- histories ---- */

static json_t *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    char text[65536];
    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    size_t len = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    return json_stringn(text, len);
}

static void record(const char *path, const char *name)
{
    json_t *input = act_input();
    json_object_set_new(input, "path", json_string("book.lua"));
    json_object_set_new(input, "runbook", json_string(name));
    struct golden golden = {.records = true, .cut_after = SIZE_MAX, .random = 14};
    golden.history =
        json_pack("{s:i, s:s, s:[{s:s, s:o}], s:o, s:[], s:[]}", "language", STANCH_LANGUAGE, "path", "book.lua",
                  "sources", "path", "book.lua", "text", read_text(path), "input", input, "wants", "answers");
    play(&golden);
    if (golden.act.rc < 0)
        print_message("%s ended with: %s\n", name, golden.act.err.text);
    json_object_set(golden.history, "result", golden.act.result);
    char to[4200];
    (void)snprintf(to, sizeof to, "%s/language-%d", golden_dir(), STANCH_LANGUAGE);
    (void)mkdir(to, 0755);
    (void)snprintf(to, sizeof to, "%s/language-%d/%s.json", golden_dir(), STANCH_LANGUAGE, name);
    assert_int_equal(json_dump_file(golden.history, to, JSON_INDENT(1) | JSON_SORT_KEYS), 0);
    print_message("%s: %zu wants\n", to, json_array_size(json_object_get(golden.history, "wants")));
    json_decref(golden.history);
    act_done(&golden.act);
}

static void record_all(void)
{
    static const char *const names[] = {"words", "branches", "ladder", "verdict"};
    char path[4200];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s.lua", golden_dir(), names[i]);
        record(path, names[i]);
    }
    (void)snprintf(path, sizeof path, "%s/../../runbooks/checkout/checkout.lua", golden_dir());
    record(path, "checkout-errors");
}

/* Cut after `cut` answers, then to the end: each in a runner of its own. */
static void replay(json_t *history, size_t cut, const char *name)
{
    for (int whole = 0; whole < 2; whole++) {
        struct golden golden = {.history = history, .cut_after = whole ? SIZE_MAX : cut};
        play(&golden);
        if (golden.diverged || (!whole && !golden.was_cut))
            fail_msg("%s diverged after %zu answers", name, golden.delivered);
        if (whole && !is_same_text(golden.act.result, json_object_get(history, "result")))
            fail_msg("%s has another result", name);
        act_done(&golden.act);
    }
}

static int replay_file(const char *dir, const char *name, int times)
{
    char path[8400];
    json_error_t error;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    json_t *history = json_load_file(path, 0, &error);
    if (!history)
        fail_msg("%s: %s", path, error.text);
    size_t answers = json_array_size(json_object_get(history, "answers"));
    assert_true(answers > 0);
    for (int i = 0; i < times; i++)
        replay(history, answers ? (size_t)i % answers : 0, name);
    json_decref(history);
    return times;
}

static void every_history_replays(void **state)
{
    (void)state;
    const char *times = getenv("STANCH_REPLAYS");
    int files = 0, replays = 0;
    if (getenv("STANCH_RECORD")) {
        record_all();
        return;
    }
    for (int language = STANCH_LANGUAGE_OLDEST; language <= STANCH_LANGUAGE; language++) {
        char dir[4200];
        (void)snprintf(dir, sizeof dir, "%s/language-%d", golden_dir(), language);
        DIR *listing = opendir(dir);
        if (!listing)
            fail_msg("version %d of the language has no golden histories in %s", language, dir);
        for (struct dirent *item; listing && (item = readdir(listing));) {
            if (!strstr(item->d_name, ".json"))
                continue;
            files++;
            replays += replay_file(dir, item->d_name, times ? (int)strtol(times, NULL, 10) : 2);
        }
        if (listing)
            closedir(listing);
    }
    assert_true(files >= 4);
    print_message("%d histories, %d replays\n", files, replays);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_history_replays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
