/* Campaign D2, the worker's half: a run that is cut after any answer goes on in a new worker where it was, in a
 * runner of another life too; and a runbook that was changed asks another question before it gets an answer that
 * was not meant for it. */
#include "worker_kit.h"

/* What the engine keeps of a run: its wants by number, and the answers in their order. */
struct journal {
    json_t *wants;   /* [want] */
    json_t *answers; /* [[n, answer]] */
};

struct replay {
    struct act act;
    struct journal *journal;
    size_t delivered;
    size_t cut_after; /* answers; then the worker is killed */
    size_t fresh;     /* answers that were not in the journal */
    bool diverged, was_cut;
    bool all_is_well; /* no action fails */
    uint64_t *random;
};

static void journal_begin(struct journal *journal)
{
    journal->wants = json_array();
    journal->answers = json_array();
}

static void journal_done(struct journal *journal)
{
    json_decref(journal->wants);
    json_decref(journal->answers);
}

static json_t *make_answer(const json_t *want, size_t count, bool all_is_well)
{
    const char *op = stanch_json_str(want, "op", "");
    if (strcmp(op, "check") == 0)
        return json_pack("{s:{s:s, s:f}}", "ok", "result", "bad", "value", 9.5);
    if (strcmp(op, "verify") == 0)
        return json_pack("{s:{s:s, s:f}}", "ok", "result", count % 3 ? "bad" : "good", "value", 0.25 * (double)count);
    if (strcmp(op, "action") == 0 && count % 5 == 4 && !all_is_well)
        return json_pack("{s:{s:s, s:s}}", "error", "kind", "remote", "text", "it answered 500");
    if (strcmp(op, "action") == 0)
        return json_pack("{s:{s:i, s:o}}", "ok", "value", (int)count, "mitigation", json_sprintf("M-%zu", count));
    if (strcmp(op, "now") == 0)
        return json_pack("{s:I}", "ok", (json_int_t)(1700000000000 + (json_int_t)count));
    return json_pack("{s:{}}", "ok");
}

static bool is_same(const json_t *a, const json_t *b)
{
    return strcmp(stanch_json_str(a, "op", ""), stanch_json_str(b, "op", "")) == 0 &&
           json_equal(json_object_get(a, "args"), json_object_get(b, "args"));
}

static void stop_here(struct replay *replay)
{
    stanch_worker_kill(replay->act.worker);
    replay->act.worker = NULL;
    stanch_loop_stop(replay->act.kit->loop);
}

static void give_answer(struct replay *replay)
{
    struct journal *journal = replay->journal;
    json_t *next = json_array_get(journal->answers, replay->delivered);
    struct stanch_err err;
    if (!next) { /* the world answers one that is open; which, is its own business */
        size_t open = json_array_size(replay->act.pending);
        assert_true(open > 0);
        *replay->random = *replay->random * 6364136223846793005ULL + 1442695040888963407ULL;
        const json_t *want = json_array_get(replay->act.pending, (size_t)(*replay->random >> 33) % open);
        next = json_pack("[I, o]", (json_int_t)stanch_json_int(want, "n", 0),
                         make_answer(want, replay->delivered, replay->all_is_well));
        json_array_append_new(journal->answers, next);
        replay->fresh++;
    }
    int64_t n = json_integer_value(json_array_get(next, 0));
    for (size_t i = 0; i < json_array_size(replay->act.pending); i++)
        if (stanch_json_int(json_array_get(replay->act.pending, i), "n", 0) == n)
            json_array_remove(replay->act.pending, i);
    replay->delivered++;
    assert_int_equal(stanch_worker_answer(replay->act.worker, n, json_array_get(next, 1), &err), 0);
}

static void on_wants(void *ctx, const json_t *wants)
{
    struct replay *replay = ctx;
    const json_t *want;
    size_t i;
    json_array_foreach(wants, i, want)
    {
        size_t n = (size_t)stanch_json_int(want, "n", 0);
        const json_t *held = json_array_get(replay->journal->wants, n - 1);
        if (held && !is_same(held, want)) {
            replay->diverged = true;
            stop_here(replay);
            return;
        }
        if (!held)
            json_array_append(replay->journal->wants, (json_t *)(uintptr_t)want);
        json_array_append(replay->act.pending, (json_t *)(uintptr_t)want);
    }
    if (replay->delivered == replay->cut_after) {
        replay->was_cut = true;
        stop_here(replay);
        return;
    }
    give_answer(replay);
}

static void on_end(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct replay *replay = ctx;
    act_on_end(&replay->act, rc, err, result);
    stanch_loop_stop(replay->act.kit->loop);
}

static void run(struct kit *kit, struct replay *replay, const char *text)
{
    static const struct stanch_worker_events events = {on_wants, on_end};
    struct stanch_source source = {"a.lua", text, strlen(text)};
    json_t *input = act_input();
    struct stanch_worker_spec spec = {"run", input, &source, 1};
    struct stanch_err err;
    replay->act.kit = kit;
    replay->act.wants = json_array();
    replay->act.pending = json_array();
    while (stanch_worker_start(kit->runner, &spec, &events, replay, &replay->act.worker, &err) < 0)
        stanch_loop_run_once(kit->loop);
    json_decref(input);
    stanch_loop_run(kit->loop);
}

#define HEAD                                                                                                           \
    "local edge, prom = haproxy 'edge-eu', prometheus 'main'\n"                                                        \
    "runbook 't' { summary = 's', owner = 'o', on = alert { alertname = 'A' }, uses = { edge.drain, prom.query },\n"   \
    "symptom = symptom { ask = prom.query { expr = 'e' }, bad = '> 5', good = '< 1' },\n"                              \
    "run = function(incident, p)\n"

static const char story[] =
    HEAD "local function drain(b) return function() return edge.drain { backend = b, because = 'because of ' .. b } "
         "end end\n"
         "note('began %s %d', incident.id, math.random(1000))\n"
         "local seen = {}\n"
         "parallel { function() for i = 1, 3 do seen[now()] = i end end,\n"
         "  function() pcall(drain 'x') sleep '1s' pcall(drain 'y') end,\n"
         "  function() parallel { function() note 'in' end, function() seen.b = now() end } end }\n"
         "for k, v in pairs(seen) do note(tostring(k) .. '=' .. tostring(v)) end\n"
         "local r = ladder { rung { drain 'a' }, rung { function() error 'no' end },\n"
         "  rung { function() parallel { drain 'b', drain 'c' } end }, rung { drain 'd' },\n"
         "  otherwise = function() page('ic', 'nothing helped ' .. tostring({})) end }\n"
         "return { r, math.random(100) } end }";

static void a_cut_run_goes_on_where_it_was(void **state)
{
    uint64_t seed = stanch_random_u64(), random = seed;
    struct kit kit;
    struct journal whole;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    kit_start(&kit, NULL);
    journal_begin(&whole);
    struct replay first = {.journal = &whole, .cut_after = SIZE_MAX, .random = &random};
    run(&kit, &first, story);
    assert_string_equal(first.act.err.text, "");
    size_t count = json_array_size(whole.answers);
    assert_true(count > 25);
    for (size_t cut = 0; cut < count; cut++) {
        struct journal journal = {json_array(), json_array()};
        struct replay before = {.journal = &journal, .cut_after = cut, .random = &random};
        json_array_extend(journal.answers, whole.answers); /* the world's answers are what they were */
        run(&kit, &before, story);
        assert_true(before.was_cut && !before.diverged);
        act_done(&before.act);
        if (cut % 6 == 0) { /* a runner of another life: other addresses, another hash seed */
            kit_stop(&kit);
            kit_start(&kit, NULL);
        }
        struct replay after = {.journal = &journal, .cut_after = SIZE_MAX, .random = &random};
        run(&kit, &after, story);
        assert_false(after.diverged);
        assert_int_equal(after.fresh, 0);
        assert_true(json_equal(after.act.result, first.act.result));
        assert_true(json_equal(journal.wants, whole.wants));
        act_done(&after.act);
        journal_done(&journal);
    }
    act_done(&first.act);
    journal_done(&whole);
    kit_stop(&kit);
}

/* ---- mutations ---- */

#define LINES 12

/* One of 12 kinds of line; `variant` changes its arguments. */
static void add_line(struct stanch_buf *out, unsigned kind, unsigned variant)
{
    static const char *const ops[] = {"note '%u'\n",
                                      "decide '%u'\n",
                                      "sleep '%us'\n",
                                      "prom.query { expr = 'q%u' }\n",
                                      "edge.drain { backend = 'b%u', because = 'x' }\n",
                                      "edge.drain { backend = 'b', because = 'x%u' }\n",
                                      "edge.drain { backend = 'b', because = 'x', lease = '%us' }\n",
                                      "page('ic', '%u')\n",
                                      "undo('M-%u')\n",
                                      "recent_changes { service = 's%u' }\n",
                                      "note(tostring(now() + %u))\n",
                                      "parallel { function() note 'p%u' end, now }\n"};
    char line[120];
    unsigned number = variant % 1000 + 1;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(line, sizeof line, ops[kind % 12], number);
#pragma GCC diagnostic pop
    stanch_buf_text(out, line);
}

static char *program(const unsigned *kinds, const unsigned *variants, int count)
{
    struct stanch_buf out = {0};
    stanch_buf_text(&out, HEAD);
    for (int i = 0; i < count; i++)
        add_line(&out, kinds[i], variants[i]);
    stanch_buf_text(&out, "end }");
    return stanch_buf_take(&out);
}

/* Change one line: its operation, its argument, its place; drop it, or put one before it. returns the count */
static int mutate(uint64_t r, unsigned *kinds, unsigned *variants, int count)
{
    int at = (int)((r >> 8) % (unsigned)(count - 1));
    size_t rest = (size_t)(count - at - 1) * sizeof *kinds;
    switch (r % 5) {
    case 0:
        kinds[at] += 1 + (unsigned)(r >> 20) % 11;
        return count;
    case 1:
        variants[at] += 1 + (unsigned)(r >> 20) % 999;
        return count;
    case 2: {
        unsigned kind = kinds[at], variant = variants[at];
        kinds[at] = kinds[at + 1];
        variants[at] = variants[at + 1];
        kinds[at + 1] = kind;
        variants[at + 1] = variant;
        return count;
    }
    case 3:
        memmove(kinds + at, kinds + at + 1, rest);
        memmove(variants + at, variants + at + 1, rest);
        return count - 1;
    default:
        memmove(kinds + at + 1, kinds + at, rest + sizeof *kinds);
        memmove(variants + at + 1, variants + at, rest + sizeof *variants);
        variants[at] += 500;
        return count + 1;
    }
}

static void every_mutation_is_noticed(void **state)
{
    uint64_t seed = stanch_random_u64(), random = seed;
    struct kit kit;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    kit_start(&kit, NULL);
    for (int round = 0; round < 20; round++) {
        unsigned kinds[LINES + 1], variants[LINES + 1];
        for (unsigned i = 0; i < LINES; i++) {
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            kinds[i] = (unsigned)(random >> 33) % 12;
            variants[i] = (unsigned)(random >> 40) % 40 * 12 + i; /* no two lines alike */
        }
        struct journal journal;
        journal_begin(&journal);
        char *text = program(kinds, variants, LINES);
        struct replay original = {.journal = &journal, .cut_after = SIZE_MAX, .random = &random, .all_is_well = true};
        run(&kit, &original, text);
        free(text);
        size_t answers = json_array_size(journal.answers);
        for (int i = 0; i < 25; i++) {
            unsigned k[LINES + 1], v[LINES + 1];
            memcpy(k, kinds, sizeof k);
            memcpy(v, variants, sizeof v);
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            char *changed = program(k, v, mutate(random >> 20, k, v, LINES));
            struct replay replay = {.journal = &journal, .cut_after = SIZE_MAX, .random = &random};
            run(&kit, &replay, changed);
            if (!replay.diverged || replay.fresh || json_array_size(journal.answers) != answers)
                fail_msg("not noticed:\n%s", changed);
            act_done(&replay.act);
            free(changed);
        }
        act_done(&original.act);
        journal_done(&journal);
    }
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_run_goes_on_where_it_was),
        cmocka_unit_test(every_mutation_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
