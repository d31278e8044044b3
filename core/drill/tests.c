/* tests.c: which tests there are, and what each is held to. */
#include "drill/tests.h"
#include "base/json.h"
#include "base/mem.h"
#include "drill/mutants.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_FAILURES 20 /* of one test that are told */

struct tests {
    struct stanch_stage *stage;
    const struct stanch_tests_options *options;
    json_t *list, *covered;
    int number; /* over all files */
};

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool is_test_file(const char *path)
{
    return stanch_stage_is_scenario(path) && strncmp(path, "drills/", 7) != 0;
}

/* ---- failures ---- */

static void add_failure(json_t *failures, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_failure(json_t *failures, const char *fmt, ...)
{
    va_list ap;
    char text[2000];
    if (json_array_size(failures) >= MAX_FAILURES)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_t *made = json_string(text);
    json_array_append_new(failures, made ? made : json_string("(not UTF-8)"));
}

/* ---- what holds whatever goes wrong ---- */

static bool is_going(const json_t *run)
{
    const char *state = stanch_json_str(run, "state", "");
    return strcmp(state, "running") == 0 || strcmp(state, "queued") == 0;
}

static void check_ended(const json_t *seen, const char *when, json_t *failures)
{
    const json_t *runs = json_object_get(seen, "runs");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        const char *why = stanch_json_str(run, "why", "");
        if (is_going(run))
            add_failure(failures, "%s: %s of %s did not end, and waits for nobody", when,
                        stanch_json_str(run, "id", ""), stanch_json_str(run, "runbook", ""));
        if (strcmp(stanch_json_str(run, "state", ""), "failed") == 0 && strstr(why, "attempt to "))
            add_failure(failures, "%s: %s", when, why);
    }
    const json_t *notes = json_object_get(seen, "notes"); /* of a ladder: a rung that broke is noted, not raised */
    for (size_t i = 0; i < json_array_size(notes); i++)
        if (strstr(json_string_value(json_array_get(notes, i)), "attempt to "))
            add_failure(failures, "%s: %s", when, json_string_value(json_array_get(notes, i)));
}

static void check_once(const json_t *effects, const char *when, json_t *failures)
{
    for (size_t i = 0; i < json_array_size(effects); i++) {
        const json_t *one = json_array_get(effects, i);
        for (size_t k = i + 1; !stanch_may_repeat(one) && k < json_array_size(effects); k++) {
            const json_t *other = json_array_get(effects, k);
            if (strcmp(stanch_json_str(one, "key", ""), stanch_json_str(other, "key", "")) == 0 &&
                strcmp(stanch_json_str(one, "op", ""), stanch_json_str(other, "op", "")) == 0)
                add_failure(failures, "%s: %s of %s.%s happened twice for one intent", when,
                            stanch_json_str(one, "op", ""), stanch_json_str(one, "instance", ""),
                            stanch_json_str(one, "action", ""));
        }
    }
}

/* What must be the same, whatever came in between. new */
static json_t *end_of(const json_t *result)
{
    const json_t *seen = json_object_get(result, "seen"), *effects = json_object_get(result, "effects");
    const json_t *runs = json_object_get(seen, "runs"), *in_force = json_object_get(seen, "in_force");
    json_t *end =
        json_pack("{s:[], s:[], s:[], s:O}", "done", "runs", "in_force", "notes", json_object_get(seen, "notes"));
    for (size_t i = 0; i < json_array_size(effects); i++) {
        const json_t *one = json_array_get(effects, i);
        json_array_append_new(json_object_get(end, "done"),
                              json_pack("[O, O, O, O]", json_object_get(one, "op"), json_object_get(one, "instance"),
                                        json_object_get(one, "action"), json_object_get(one, "args")));
    }
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *one = json_array_get(runs, i);
        json_array_append_new(json_object_get(end, "runs"),
                              json_pack("[O, O]", json_object_get(one, "runbook"), json_object_get(one, "state")));
    }
    for (size_t i = 0; i < json_array_size(in_force); i++) {
        const json_t *one = json_array_get(in_force, i);
        json_array_append_new(json_object_get(end, "in_force"),
                              json_pack("[O, O]", json_object_get(one, "instance"), json_object_get(one, "action")));
    }
    return end;
}

static void check_same_end(const json_t *result, const json_t *expected, const char *when, json_t *failures)
{
    STANCH_AUTO_JSON json_t *end = end_of(result);
    if (json_equal(end, expected))
        return;
    STANCH_AUTO_FREE char *was = json_dumps(expected, JSON_COMPACT | JSON_SORT_KEYS);
    STANCH_AUTO_FREE char *is = json_dumps(end, JSON_COMPACT | JSON_SORT_KEYS);
    add_failure(failures, "%s: another end: %s, else: %s", when, is, was);
}

/* Of what is unprotected nobody can tell whether it happened: a person has to say so, as promised (PROMISES.md 1.3). */
static bool asks_whether_it_happened(const json_t *result)
{
    const json_t *asks = json_object_get(json_object_get(result, "seen"), "asks");
    for (size_t i = 0; i < json_array_size(asks); i++)
        if (strcmp(stanch_json_str(json_array_get(asks, i), "about", ""), "unknown") == 0)
            return true;
    return false;
}

/* ---- plays ---- */

static void keep_covered(struct tests *tests, const json_t *result)
{
    const char *path;
    json_t *lines;
    json_object_foreach(json_object_get(result, "covered"), path, lines)
    {
        json_t *known = json_object_get(tests->covered, path);
        if (known)
            json_object_update(known, lines);
        else
            json_object_set(tests->covered, path, lines);
    }
}

/* returns the result; new; NULL: it could not be played, which is a failure that was told */
static json_t *play(struct tests *tests, const struct stanch_rehearsal_spec *spec, const char *when, json_t *failures)
{
    struct stanch_err err = {0};
    json_t *result = NULL;
    if (stanch_rehearse(tests->stage, spec, &result, &err) < 0) {
        add_failure(failures, "%s%s%s", when, *when ? ": " : "", err.text);
        return NULL;
    }
    keep_covered(tests, result);
    if (json_object_get(result, "broken"))
        add_failure(failures, "%s%s%s", when, *when ? ": " : "", stanch_json_str(result, "broken", ""));
    return result;
}

static void play_upset(struct tests *tests, const struct stanch_rehearsal_spec *spec, const json_t *call,
                       const json_t *expected, json_t *failures)
{
    STANCH_AUTO_FREE char *when = stanch_asprintf(
        "call %d (%s of %s.%s) %s", spec->upset_call, stanch_json_str(call, "op", ""),
        stanch_json_str(call, "instance", ""), stanch_json_str(call, "action", ""), stanch_upset_word(spec->upset));
    STANCH_AUTO_JSON json_t *result = play(tests, spec, when, failures);
    if (!result)
        return;
    check_ended(json_object_get(result, "seen"), when, failures);
    check_once(json_object_get(result, "effects"), when, failures);
    if (spec->upset == STANCH_UPSET_TWICE)
        check_same_end(result, expected, when, failures);
}

static int play_faults(struct tests *tests, const struct stanch_rehearsal_spec *plain, const json_t *first,
                       json_t *failures)
{
    const json_t *calls = json_object_get(first, "calls");
    STANCH_AUTO_JSON json_t *expected = end_of(first);
    int plays = 0;
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *call = json_array_get(calls, i);
        for (int upset = 1; upset < STANCH_UPSET_COUNT; upset++) {
            struct stanch_rehearsal_spec spec = *plain;
            spec.upset = (enum stanch_upset)upset;
            spec.upset_call = (int)i + 1;
            if (spec.upset == STANCH_UPSET_TWICE && !stanch_may_repeat(call))
                continue;
            play_upset(tests, &spec, call, expected, failures);
            plays++;
        }
    }
    return plays;
}

static int play_crashes(struct tests *tests, const struct stanch_rehearsal_spec *plain, const json_t *first,
                        json_t *failures)
{
    int commits = (int)stanch_json_int(first, "commits", 0);
    STANCH_AUTO_JSON json_t *expected = end_of(first);
    for (int at = 1; at <= commits; at++) {
        struct stanch_rehearsal_spec spec = *plain;
        spec.crash_at = at;
        STANCH_AUTO_FREE char *when = stanch_asprintf("killed after commit %d of %d", at, commits);
        STANCH_AUTO_JSON json_t *result = play(tests, &spec, when, failures);
        if (result && !asks_whether_it_happened(result))
            check_same_end(result, expected, when, failures);
    }
    return commits;
}

/* ---- one test ---- */

static void play_test(struct tests *tests, const json_t *scenario, int index)
{
    struct stanch_rehearsal_spec spec = {.scenario = scenario, .index = index, .cover = tests->options->cover};
    json_t *failures = json_array();
    int64_t began = now_us();
    int plays = 1;
    STANCH_AUTO_JSON json_t *first = play(tests, &spec, "", failures);
    json_array_extend(failures, json_object_get(first, "failures"));
    spec.cover = false;
    if (json_array_size(failures) == 0 && tests->options->faults)
        plays += play_faults(tests, &spec, first, failures);
    if (json_array_size(failures) == 0 && tests->options->crash)
        plays += play_crashes(tests, &spec, first, failures);
    json_array_append_new(tests->list,
                          json_pack("{s:i, s:O, s:O, s:O, s:b, s:o, s:I, s:i}", "number", tests->number, "path",
                                    json_object_get(scenario, "file"), "line", json_object_get(scenario, "line"),
                                    "name", json_object_get(scenario, "name"), "ok", json_array_size(failures) == 0,
                                    "failures", failures, "took_us", (json_int_t)(now_us() - began), "plays", plays));
}

static bool is_mine(struct tests *tests)
{
    int slices = tests->options->slices > 0 ? tests->options->slices : 1;
    return tests->number++ % slices == tests->options->slice;
}

static bool is_wanted(const struct tests *tests, const char *path, const char *name)
{
    const char *filter = tests->options->filter;
    return !filter || strstr(path, filter) || strstr(name, filter);
}

/* A file that cannot be read is a test that failed. */
static void fail_file(struct tests *tests, const char *path, const struct stanch_err *err)
{
    json_array_append_new(tests->list, json_pack("{s:i, s:s, s:i, s:s, s:b, s:[s], s:i, s:i}", "number", tests->number,
                                                 "path", path, "line", 0, "name", "the file", "ok", 0, "failures",
                                                 err->text, "took_us", 0, "plays", 0));
}

static void run_file(struct tests *tests, const char *path)
{
    STANCH_AUTO_JSON json_t *list = NULL;
    struct stanch_err err = {0};
    if (stanch_stage_list(tests->stage, path, &list, &err) < 0) {
        if (is_mine(tests))
            fail_file(tests, path, &err);
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *scenario = json_array_get(list, i);
        if (is_wanted(tests, path, stanch_json_str(scenario, "name", "")) && is_mine(tests))
            play_test(tests, scenario, (int)i + 1);
    }
}

json_t *stanch_tests_list(struct stanch_stage *stage, const char *filter)
{
    const struct stanch_tests_options options = {.filter = filter};
    const struct tests tests = {.stage = stage, .options = &options};
    json_t *all = json_array();
    for (int i = stage->book_count; i < stage->file_count; i++) {
        STANCH_AUTO_JSON json_t *list = NULL;
        struct stanch_err err;
        const char *path = stage->files[i].path;
        if (!is_test_file(path) || stanch_stage_list(stage, path, &list, &err) < 0)
            continue;
        for (size_t k = 0; k < json_array_size(list); k++) {
            json_t *scenario = json_array_get(list, k);
            json_object_set_new(scenario, "index", json_integer((json_int_t)k + 1));
            if (is_wanted(&tests, path, stanch_json_str(scenario, "name", "")))
                json_array_append(all, scenario);
        }
    }
    return all;
}

static bool all_passed(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!stanch_json_bool(json_array_get(list, i), "ok", false))
            return false;
    return true;
}

int stanch_tests_run(struct stanch_stage *stage, const struct stanch_tests_options *options, json_t **ret,
                     struct stanch_err *err)
{
    struct tests tests = {.stage = stage, .options = options, .list = json_array(), .covered = json_object()};
    int rc = 0;
    for (int i = 0; i < stage->file_count; i++)
        if (is_test_file(stage->files[i].path))
            run_file(&tests, stage->files[i].path);
    *ret = json_pack("{s:o, s:o}", "tests", tests.list, "covered", tests.covered);
    json_t *lines = NULL, *mutants = NULL;
    if (options->cover)
        rc = stanch_stage_lines(stage, &lines, err);
    if (rc == 0 && options->mutate && all_passed(tests.list)) {
        STANCH_AUTO_JSON json_t *scenarios = stanch_tests_list(stage, options->filter);
        rc = stanch_mutants_try(stage, scenarios, options->slice, options->slices > 0 ? options->slices : 1, &mutants,
                                err);
    }
    if (lines)
        json_object_set_new(*ret, "lines", lines);
    if (mutants)
        json_object_set_new(*ret, "mutants", mutants);
    return rc;
}
