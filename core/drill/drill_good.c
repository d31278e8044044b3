/* drill_good.c: what good looks like, held against what was measured: a row for each promise, in one order. */
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "drill/drill.h"
#include <math.h>
#include <string.h>

struct holding {
    const json_t *good, *score, *seen;
    json_t *rows;
};

static json_t *add_row(struct holding *h, const char *promise, const char *target, const char *measured, bool met)
{
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:b}", "promise", promise, "target", target, "measured", measured, "met", met);
    json_array_append_new(h->rows, row);
    return row;
}

/* "INC-1, INC-4, INC-9 and 3 more"; new */
static char *some_of(const json_t *ids)
{
    struct stanch_buf text = {0};
    size_t count = json_array_size(ids), shown = count < 5 ? count : 5;
    for (size_t i = 0; i < shown; i++)
        stanch_buf_printf(&text, "%s%s", i ? ", " : "", json_string_value(json_array_get(ids, i)));
    if (count > shown)
        stanch_buf_printf(&text, " and %zu more", count - shown);
    return stanch_buf_take(&text);
}

/* ---- times ---- */

static void hold_time(struct holding *h, const char *promise, int64_t worst_ms, const char *worst_in,
                      const json_t *missing)
{
    char target[32], measured[32] = "never";
    int64_t target_ms = stanch_json_int(h->good, promise, 0);
    bool is_missing = json_array_size(missing) > 0, met = !is_missing && worst_ms <= target_ms;
    if (!json_object_get(h->good, promise))
        return;
    stanch_duration_text(target_ms, target);
    if (worst_ms >= 0)
        stanch_duration_text(worst_ms, measured);
    else if (!is_missing)
        memcpy(measured, "-", 2);
    json_t *row = add_row(h, promise, target, measured, met);
    json_object_set_new(row, "target_ms", json_integer(target_ms));
    json_object_set_new(row, "measured_ms", worst_ms >= 0 ? json_integer(worst_ms) : json_null());
    STANCH_AUTO_FREE char *ids = some_of(missing);
    STANCH_AUTO_FREE char *why = is_missing     ? stanch_asprintf("it did not happen in %s", ids)
                                 : worst_ms < 0 ? stanch_strdup("there was nothing to measure")
                                                : stanch_asprintf("the longest, in %s", worst_in);
    stanch_json_set_str(row, "why", why);
}

static void hold_measured(struct holding *h, const char *promise, const char *what)
{
    const json_t *times = json_object_get(h->score, "times");
    for (size_t i = 0; i < json_array_size(times); i++) {
        const json_t *one = json_array_get(times, i);
        if (strcmp(stanch_json_str(one, "what", ""), what) == 0)
            hold_time(h, promise, stanch_json_int(one, "worst_ms", -1), stanch_json_str(one, "worst_in", ""),
                      json_object_get(one, "missing"));
    }
}

/* The longest that a question waited, whatever became of it. */
static void hold_waiting(struct holding *h)
{
    const json_t *waits = json_object_get(h->score, "waits");
    const char *worst = "";
    int64_t worst_ms = -1;
    for (size_t i = 0; i < json_array_size(waits); i++) {
        const json_t *wait = json_array_get(waits, i);
        if (stanch_json_int(wait, "waited_ms", 0) <= worst_ms)
            continue;
        worst_ms = stanch_json_int(wait, "waited_ms", 0);
        worst = stanch_json_str(wait, "approval", "");
    }
    hold_time(h, "approval", worst_ms, worst, NULL);
}

/* ---- outcomes ---- */

static int count_runs(const json_t *runs, const char *state)
{
    int count = 0;
    for (size_t i = 0; i < json_array_size(runs); i++)
        count += strcmp(stanch_json_str(json_array_get(runs, i), "state", ""), state) == 0;
    return count;
}

/* "38 succeeded, 2 failed"; held ones began nothing, and are no outcome. new */
static char *outcomes_of(const json_t *runs)
{
    STANCH_AUTO_JSON json_t *known = json_object();
    struct stanch_buf text = {0};
    json_object_set_new(known, "held", json_true());
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const char *state = stanch_json_str(json_array_get(runs, i), "state", "");
        if (json_object_get(known, state))
            continue;
        stanch_buf_printf(&text, "%s%d %s", text.len ? ", " : "", count_runs(runs, state), state);
        json_object_set_new(known, state, json_true());
    }
    if (!text.len)
        stanch_buf_text(&text, "no run");
    return stanch_buf_take(&text);
}

static void hold_outcome(struct holding *h)
{
    const char *target = stanch_json_str(h->good, "outcome", NULL);
    const json_t *runs = json_object_get(h->score, "runs");
    if (!target)
        return;
    STANCH_AUTO_FREE char *measured = outcomes_of(runs);
    int going = (int)json_array_size(runs) - count_runs(runs, "held");
    add_row(h, "outcome", target, measured, going ? count_runs(runs, target) == going : strcmp(target, "none") == 0);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, "a, b"; new */
static char *joined(char **names, size_t count)
{
    struct stanch_buf text = {0};
    qsort(names, count, sizeof *names, compare_texts);
    for (size_t i = 0; i < count; i++) {
        stanch_buf_printf(&text, "%s%s", i ? ", " : "", names[i]);
        free(names[i]);
    }
    if (count == 0)
        stanch_buf_text(&text, "nothing");
    return stanch_buf_take(&text);
}

static void hold_in_force(struct holding *h)
{
    const json_t *wanted = json_object_get(h->good, "in_force"), *there = json_object_get(h->seen, "in_force");
    size_t wanted_count = json_array_size(wanted), count = json_array_size(there);
    if (!wanted)
        return;
    STANCH_AUTO_FREE char **names = stanch_alloc((wanted_count + count + 1) * sizeof *names);
    for (size_t i = 0; i < wanted_count; i++)
        names[i] = stanch_strdup(json_string_value(json_array_get(wanted, i)));
    STANCH_AUTO_FREE char *target = joined(names, wanted_count);
    for (size_t i = 0; i < count; i++)
        names[i] = stanch_asprintf("%s.%s", stanch_json_str(json_array_get(there, i), "instance", ""),
                                   stanch_json_str(json_array_get(there, i), "action", ""));
    STANCH_AUTO_FREE char *measured = joined(names, count);
    add_row(h, "in_force", target, measured, strcmp(target, measured) == 0);
}

/* ---- counts ---- */

static int64_t count_with(const json_t *list, const char *member, const char *value)
{
    int64_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        count += strcmp(stanch_json_str(json_array_get(list, i), member, ""), value) == 0;
    return count;
}

static int64_t count_unmatched(const json_t *incidents)
{
    int64_t count = 0;
    for (size_t i = 0; i < json_array_size(incidents); i++)
        count += json_array_size(json_object_get(json_array_get(incidents, i), "runbooks")) == 0;
    return count;
}

static void hold_count(struct holding *h, const char *promise, int64_t count)
{
    const json_t *given = json_object_get(h->good, promise);
    int64_t target = (int64_t)llround(json_number_value(given));
    if (!given)
        return;
    STANCH_AUTO_FREE char *target_text = stanch_asprintf("%lld at most", (long long)target);
    STANCH_AUTO_FREE char *measured = stanch_asprintf("%lld", (long long)count);
    add_row(h, promise, target_text, measured, count <= target);
}

json_t *stanch_drill_promises(const json_t *scenario, const json_t *score, const json_t *seen, const json_t *failures)
{
    struct holding h = {json_object_get(scenario, "good"), score, seen, json_array()};
    const json_t *decisions = json_object_get(score, "decisions");
    hold_measured(&h, "detect", "detect");
    hold_measured(&h, "acknowledge", "acknowledge");
    hold_measured(&h, "first_mitigation", "first mitigation");
    hold_measured(&h, "mitigate", "mitigate");
    hold_measured(&h, "resolve", "resolve");
    hold_waiting(&h);
    hold_outcome(&h);
    hold_in_force(&h);
    hold_count(&h, "wrong_decisions", count_with(decisions, "verdict", "wrong"));
    hold_count(&h, "late_decisions", count_with(decisions, "verdict", "late"));
    hold_count(&h, "expired", count_with(json_object_get(score, "waits"), "outcome", "expired"));
    hold_count(&h, "failed_steps", (int64_t)json_array_size(json_object_get(score, "failed_steps")));
    hold_count(&h, "unmatched", count_unmatched(json_object_get(score, "incidents")));
    hold_count(&h, "pages", stanch_json_int(score, "pages", 0));
    for (size_t i = 0; i < json_array_size(failures); i++)
        add_row(&h, "expect", "as the scenario expects", json_string_value(json_array_get(failures, i)), false);
    return h.rows;
}
