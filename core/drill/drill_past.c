/* drill_past.c: results of one scenario beside each other: what came before a drill, what was found in it, what changed. */
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "drill/drill.h"
#include <string.h>

#define SHOWN        5   /* of the last ones */
#define MAX_FINDINGS 100 /* in a report, the newest */

static const json_t *report_of(const json_t *result)
{
    return json_object_get(result, "report");
}

static size_t first_shown(size_t count)
{
    return count > SHOWN ? count - SHOWN : 0;
}

/* ---- into a report ---- */

static json_t *row_of(const json_t *result)
{
    const json_t *report = report_of(result), *times = json_object_get(report, "times");
    json_t *worst = json_object();
    for (size_t i = 0; i < json_array_size(times); i++) {
        const json_t *one = json_array_get(times, i);
        json_object_set(worst, stanch_json_str(one, "what", ""), json_object_get(one, "worst_ms"));
    }
    return json_pack("{s:s, s:I, s:I, s:o}", "result", stanch_json_str(result, "result", ""), "met",
                     (json_int_t)stanch_json_int(report, "met", 0), "of", (json_int_t)stanch_json_int(report, "of", 0),
                     "worst_ms", worst);
}

static void add_findings(json_t *findings, const json_t *result)
{
    const json_t *own = json_object_get(result, "findings");
    for (size_t i = 0; i < json_array_size(own); i++) {
        json_t *finding = json_copy(json_array_get(own, i));
        json_object_set(finding, "result", json_object_get(result, "result"));
        json_array_append_new(findings, finding);
        if (json_array_size(findings) > MAX_FINDINGS)
            json_array_remove(findings, 0);
    }
}

void stanch_drill_add_past(json_t *report, const json_t *kept)
{
    json_t *past = json_array(), *findings = json_array();
    const char *self = stanch_json_str(report, "result", "");
    for (size_t i = 0; i < json_array_size(kept); i++) {
        const json_t *result = json_array_get(kept, i);
        add_findings(findings, result);
        if (strcmp(stanch_json_str(result, "result", ""), self) != 0)
            json_array_append_new(past, row_of(result));
        if (json_array_size(past) > SHOWN)
            json_array_remove(past, 0);
    }
    json_object_set_new(report, "past", past);
    json_object_set_new(report, "findings", findings);
}

/* ---- side by side ---- */

struct comparing {
    const json_t *kept;
    size_t first;
    json_t *rows;
};

static json_t *promise_of(const json_t *report, const char *name)
{
    const json_t *promises = json_object_get(report, "promises");
    for (size_t i = 0; i < json_array_size(promises); i++)
        if (strcmp(stanch_json_str(json_array_get(promises, i), "promise", ""), name) == 0)
            return json_array_get(promises, i);
    return NULL;
}

static void add_promise_row(struct comparing *c, const char *name)
{
    json_t *values = json_array();
    for (size_t i = c->first; i < json_array_size(c->kept); i++) {
        const json_t *promise = promise_of(report_of(json_array_get(c->kept, i)), name);
        json_array_append_new(values, !promise
                                          ? json_string("-")
                                          : json_sprintf("%s of %s, %s", stanch_json_str(promise, "measured", ""),
                                                         stanch_json_str(promise, "target", ""),
                                                         stanch_json_bool(promise, "met", false) ? "met" : "missed"));
    }
    json_array_append_new(c->rows, json_pack("{s:s, s:o}", "what", name, "values", values));
}

/* Every promise that one of them has, once. */
static void add_promises(struct comparing *c)
{
    STANCH_AUTO_JSON json_t *known = json_object();
    for (size_t i = c->first; i < json_array_size(c->kept); i++) {
        const json_t *promises = json_object_get(report_of(json_array_get(c->kept, i)), "promises");
        for (size_t k = 0; k < json_array_size(promises); k++) {
            const char *name = stanch_json_str(json_array_get(promises, k), "promise", "");
            if (!json_object_get(known, name))
                add_promise_row(c, name);
            json_object_set_new(known, name, json_true());
        }
    }
}

static json_t *worst_of(const json_t *report, const char *what)
{
    const json_t *times = json_object_get(report, "times");
    char text[32];
    for (size_t i = 0; i < json_array_size(times); i++) {
        const json_t *one = json_array_get(times, i), *worst_ms = json_object_get(one, "worst_ms");
        if (strcmp(stanch_json_str(one, "what", ""), what) != 0 || !json_is_integer(worst_ms))
            continue;
        stanch_duration_text(json_integer_value(worst_ms), text);
        return json_string(text);
    }
    return json_string("-");
}

static void add_times(struct comparing *c)
{
    static const char *const whats[] = {"detect", "acknowledge", "first mitigation", "mitigate", "resolve"};
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++) {
        json_t *values = json_array();
        for (size_t k = c->first; k < json_array_size(c->kept); k++)
            json_array_append_new(values, worst_of(report_of(json_array_get(c->kept, k)), whats[i]));
        json_array_append_new(
            c->rows, json_pack("{s:o, s:o}", "what", json_sprintf("longest time to %s", whats[i]), "values", values));
    }
}

json_t *stanch_drill_compare(const json_t *kept)
{
    size_t count = json_array_size(kept);
    struct comparing c = {kept, first_shown(count), json_array()};
    json_t *results = json_array();
    for (size_t i = c.first; i < count; i++) {
        const json_t *result = json_array_get(kept, i);
        json_array_append_new(results,
                              json_pack("{s:s, s:I, s:I, s:s, s:s}", "result", stanch_json_str(result, "result", ""),
                                        "met", (json_int_t)stanch_json_int(report_of(result), "met", 0), "of",
                                        (json_int_t)stanch_json_int(report_of(result), "of", 0), "scenario",
                                        stanch_json_str(result, "scenario", ""), "runbooks",
                                        stanch_json_str(result, "runbooks", "")));
    }
    add_promises(&c);
    add_times(&c);
    return json_pack("{s:s, s:o, s:o}", "drill", stanch_json_str(json_array_get(kept, count - 1), "drill", ""),
                     "results", results, "rows", c.rows);
}
