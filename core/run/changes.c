/* changes.c: recent_changes: what was deployed, pushed or flipped lately, newest first. Most incidents follow a change.
 *
 *   noun "change" (what sources told) ----------+--> by own time --> step.answered
 *   noun "mitigation" (what stanch did itself) -+
 *
 * One change: {"id","kind","service","name","text","by","state","at_ms","environment"?,"commit"?,"previous"?,"link"?,
 * "source"}; kind is the source's word (deploy, flag, push, workflow, ...), or "mitigation", which has "instance",
 * "action" and "targets" too. */
#include "run/engine.h"
#include "base/mem.h"
#include <string.h>

struct search {
    struct stanch_engine *engine;
    const char *service, *kind; /* "": all */
    int64_t since_ms;
    json_t *(*make)(struct search *search, const json_t *doc); /* one change out of a document; new */
    json_t *found;
    struct stanch_err *err;
};

static bool is_wanted(const struct search *search, const json_t *change)
{
    bool is_of = !*search->service || strcmp(stanch_json_str(change, "service", ""), search->service) == 0;
    bool is_kind = !*search->kind || strcmp(stanch_json_str(change, "kind", ""), search->kind) == 0;
    return is_of && is_kind && stanch_json_int(change, "at_ms", 0) >= search->since_ms;
}

/* The service that a run is about: its alert's label, or what its runbook holds ("service:checkout"). */
static json_t *service_of_run(struct search *search, const char *run)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(search->engine->journal, "run", run);
    const json_t *labels = json_object_get(json_object_get(doc, "event"), "labels");
    const char *holds = stanch_json_str(doc, "holds", "");
    const char *held = strncmp(holds, "service:", 8) == 0 ? holds + 8 : "";
    return json_string(stanch_json_str(labels, "service", held));
}

/* new */
static json_t *of_mitigation(struct search *search, const json_t *doc)
{
    const char *action = stanch_json_str(doc, "action", ""), *instance = stanch_json_str(doc, "instance", "");
    json_t *change =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "kind", "mitigation", "instance", instance, "action",
                  action, "text", stanch_json_str(doc, "because", ""), "by", stanch_json_str(doc, "run", ""), "state",
                  stanch_json_str(doc, "state", ""), "source", "stanch", "id", stanch_json_str(doc, "id", ""), "at_ms",
                  (json_int_t)stanch_json_int(doc, "created_ms", 0));
    STANCH_AUTO_FREE char *name = stanch_asprintf("%s.%s", instance, action);
    json_object_set_new(change, "name", json_string(name));
    json_object_set_new(change, "service", service_of_run(search, stanch_json_str(doc, "run", "")));
    json_t *targets = json_object_get(doc, "targets");
    if (targets)
        json_object_set(change, "targets", targets);
    return change;
}

static json_t *of_source(struct search *search, const json_t *doc)
{
    (void)search;
    json_t *change = json_copy(json_object_get(doc, "change"));
    json_object_set(change, "id", json_object_get(doc, "id"));
    json_object_set(change, "source", json_object_get(doc, "source"));
    json_object_set(change, "at_ms", json_object_get(doc, "starts_at_ms"));
    return change;
}

static int look_at(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct search *search = ctx;
    (void)err;
    if (stanch_json_int(doc, "created_ms", 0) < search->since_ms)
        return 1; /* and so is what comes after it */
    STANCH_AUTO_JSON json_t *change = search->make(search, doc);
    if (is_wanted(search, change))
        json_array_append(search->found, change);
    return 0;
}

/* Newest first by when they were recorded, which no change is older than: what was recorded before the time that is
 * asked about happened before it. */
static int search_noun(struct search *search, const char *noun,
                       json_t *(*make)(struct search *search, const json_t *doc))
{
    const struct stanch_noun_query query = {.noun = noun, .open = -1};
    search->make = make;
    int rc = stanch_journal_each(search->engine->journal, &query, look_at, search, search->err);
    return rc < 0 ? rc : 0;
}

static int compare_newest_first(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int64_t at_x = stanch_json_int(x, "at_ms", 0), at_y = stanch_json_int(y, "at_ms", 0);
    if (at_x != at_y)
        return at_x < at_y ? 1 : -1;
    return strcmp(stanch_json_str(y, "id", ""), stanch_json_str(x, "id", ""));
}

/* new */
static json_t *sort(const json_t *found)
{
    size_t count = json_array_size(found);
    STANCH_AUTO_FREE json_t **all = stanch_alloc((count + 1) * sizeof *all);
    for (size_t i = 0; i < count; i++)
        all[i] = json_array_get(found, i);
    qsort(all, count, sizeof(json_t *), compare_newest_first);
    json_t *sorted = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append(sorted, all[i]);
    return sorted;
}

static void start_recent_changes(struct stanch_op *op)
{
    const json_t *args = stanch_op__args(op);
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *found = json_array();
    struct search search = {.engine = op->engine,
                            .service = stanch_json_str(args, "service", ""),
                            .kind = stanch_json_str(args, "kind", ""),
                            .since_ms = stanch_engine__now(op->engine) - stanch_json_int(args, "within_ms", 3600000),
                            .found = found,
                            .err = &err};
    int rc = search_noun(&search, "change", of_source);
    if (rc == 0)
        rc = search_noun(&search, "mitigation", of_mitigation);
    if (rc < 0)
        stanch_op__answer_error(op, stanch_err_word(rc), "%s", err.text);
    else
        stanch_op__answer_ok(op, sort(found));
}

const struct stanch_op_kind stanch_op_recent_changes = {.name = "recent_changes", .start = start_recent_changes};
