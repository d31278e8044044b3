/* drill.c: which scenario is meant, its play, and the report of it. */
#include "drill/drill.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <stdio.h>
#include <string.h>

#define FOLDER "drills/"

static bool is_drill_file(const char *path)
{
    return strncmp(path, FOLDER, strlen(FOLDER)) == 0;
}

static bool is_drill(const json_t *scenario)
{
    return strcmp(stanch_json_str(scenario, "kind", ""), "drill") == 0;
}

static const char *kind_of(const json_t *scenario)
{
    return stanch_json_str(scenario, "drill", "virtual");
}

/* ---- what there is ---- */

static json_t *listed(const json_t *scenario)
{
    json_t *one =
        json_pack("{s:s, s:s, s:I, s:s, s:I, s:I}", "name", stanch_json_str(scenario, "name", ""), "file",
                  stanch_json_str(scenario, "file", ""), "line", (json_int_t)stanch_json_int(scenario, "line", 0),
                  "kind", kind_of(scenario), "alerts", (json_int_t)json_array_size(json_object_get(scenario, "alerts")),
                  "people", (json_int_t)json_array_size(json_object_get(scenario, "people")));
    stanch_json_set_str(one, "summary", stanch_json_str(scenario, "summary", NULL));
    stanch_json_set_str(one, "owner", stanch_json_str(scenario, "owner", NULL));
    return one;
}

int stanch_drill_list(struct stanch_stage *stage, json_t **ret, struct stanch_err *err)
{
    json_t *drills = json_array(), *errors = json_array();
    (void)err;
    for (int i = 0; i < stage->file_count; i++) {
        STANCH_AUTO_JSON json_t *scenarios = NULL;
        const char *path = stage->files[i].path;
        struct stanch_err own = {0};
        if (!is_drill_file(path))
            continue;
        if (stanch_stage_list(stage, path, &scenarios, &own) < 0)
            json_array_append_new(errors, json_pack("{s:s, s:s}", "file", path, "text", own.text));
        for (size_t k = 0; k < json_array_size(scenarios); k++)
            if (is_drill(json_array_get(scenarios, k)))
                json_array_append_new(drills, listed(json_array_get(scenarios, k)));
    }
    *ret = json_pack("{s:o, s:o}", "drills", drills, "errors", errors);
    return 0;
}

/* ---- which one ---- */

struct choice {
    json_t *scenario; /* new */
    int index;
    json_t *names; /* of all that there are */
};

/* name: NULL: the only one of the file */
static int look_in(struct stanch_stage *stage, const char *path, const char *name, struct choice *choice,
                   struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *scenarios = NULL;
    int rc = stanch_stage_list(stage, path, &scenarios, err);
    for (size_t i = 0; rc == 0 && i < json_array_size(scenarios); i++) {
        json_t *scenario = json_array_get(scenarios, i);
        const char *own = stanch_json_str(scenario, "name", "");
        if (!is_drill(scenario))
            continue;
        json_array_append_new(choice->names, json_string(own));
        if (name && strcmp(name, own) != 0)
            continue;
        if (choice->scenario)
            return stanch_err_set(err, STANCH_E_INVALID, "\"%.100s\" is there twice, in %s and in %s", own,
                                  stanch_json_str(choice->scenario, "file", ""), path);
        choice->scenario = json_incref(scenario);
        choice->index = (int)i + 1;
    }
    return rc;
}

static int say_which(const json_t *names, const char *which, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf all = {0};
    for (size_t i = 0; i < json_array_size(names); i++)
        stanch_buf_printf(&all, "%s\"%s\"", i ? ", " : "", json_string_value(json_array_get(names, i)));
    return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no drill \"%.200s\"; %s%.600s", which,
                          all.len ? "there is " : "there is none in " FOLDER, stanch_buf_str(&all));
}

/* A file need not be of the folder: it is read as if it were. */
static int choose_of_file(struct stanch_stage *stage, const char *path, struct choice *choice, struct stanch_err *err)
{
    const char *slash = strrchr(path, '/');
    STANCH_AUTO_FREE char *name = stanch_asprintf(FOLDER "%s", slash ? slash + 1 : path);
    int rc = stanch_stage_add(stage, path, name, err);
    rc = rc ? rc : look_in(stage, name, NULL, choice, err);
    if (rc == 0 && !choice->scenario)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s holds no drill", path);
    if (rc < 0 && json_array_size(choice->names) > 1)
        return stanch_err_set(err, STANCH_E_INVALID, "%s holds more than one drill; name one of them", path);
    return rc;
}

static int choose(struct stanch_stage *stage, const char *which, struct choice *choice, struct stanch_err *err)
{
    size_t len = strlen(which);
    if (len > 4 && strcmp(which + len - 4, ".lua") == 0)
        return choose_of_file(stage, which, choice, err);
    for (int i = 0; i < stage->file_count; i++) {
        int rc = is_drill_file(stage->files[i].path) ? look_in(stage, stage->files[i].path, which, choice, err) : 0;
        if (rc < 0)
            return rc;
    }
    return choice->scenario ? 0 : say_which(choice->names, which, err);
}

/* How it is played: as asked, or as the scenario says. ret: borrowed */
static int choose_kind(const json_t *scenario, const struct stanch_drill_options *options, const char **ret,
                       struct stanch_err *err)
{
    const char *kind = options->kind ? options->kind : kind_of(scenario);
    bool is_live = strcmp(kind, "exercise") == 0 || strcmp(kind, "staging") == 0;
    *ret = kind;
    if (!is_live && strcmp(kind, "virtual") != 0)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "kind: \"%.40s\" is none; there are \"virtual\", \"exercise\" and \"staging\"", kind);
    if (strcmp(kind, "staging") == 0 && json_object_size(json_object_get(scenario, "instances")) == 0)
        return stanch_err_set(
            err, STANCH_E_INVALID,
            "%s:%lld: a drill of kind \"staging\" says which instances stand for which: instances = { edge = "
            "\"edge-staging\" }; all other are answered by its world",
            stanch_json_str(scenario, "file", ""), (long long)stanch_json_int(scenario, "line", 0));
    if (is_live && !options->live)
        return stanch_err_set(
            err, STANCH_E_INVALID,
            "%s:%lld: a drill of kind \"%s\" is for people: a daemon begins it (`stanch drill begin`); "
            "`--kind virtual` plays it here, with the people of its scenario",
            stanch_json_str(scenario, "file", ""), (long long)stanch_json_int(scenario, "line", 0), kind);
    return 0;
}

/* ---- the report ---- */

static void take_words(json_t *report, const json_t *scenario)
{
    static const char *const words[] = {"summary", "owner", "objectives", "begins"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        json_t *word = json_object_get(scenario, words[i]);
        if (word && !json_is_null(word))
            json_object_set(report, words[i], word);
    }
}

static json_t *report_of(const json_t *scenario, const char *kind, const struct stanch_rehearsal_live *live,
                         const json_t *result)
{
    json_t *report = json_pack("{s:s, s:s, s:s}", "drill", stanch_json_str(scenario, "name", ""), "kind", kind, "file",
                               stanch_json_str(scenario, "file", ""));
    json_t *score = json_object_get(result, "told"), *seen = json_object_get(result, "seen");
    json_t *promises = stanch_drill_promises(scenario, score, seen, json_object_get(result, "failures"));
    int met = 0;
    take_words(report, scenario);
    if (live) { /* the scenario's is for its virtual clock */
        json_object_set(report, "begins", json_object_get(result, "begins"));
        json_object_set_new(report, "speed", json_integer(live->speed));
    }
    stanch_json_set_str(report, "ended", stanch_json_str(result, "ended", NULL));
    stanch_json_set_str(report, "left", stanch_json_str(result, "left", NULL));
    json_object_set(report, "lasted_ms", json_object_get(result, "took_ms"));
    for (size_t i = 0; i < json_array_size(promises); i++)
        met += stanch_json_bool(json_array_get(promises, i), "met", false);
    json_object_set_new(report, "met", json_integer(met));
    json_object_set_new(report, "of", json_integer((json_int_t)json_array_size(promises)));
    json_object_set_new(report, "promises", promises);
    json_object_update(report, score);
    json_object_set(report, "in_force", json_object_get(seen, "in_force"));
    stanch_json_set_str(report, "broken", stanch_json_str(result, "broken", NULL));
    return report;
}

bool stanch_drill_is_good(const json_t *report)
{
    return !json_object_get(report, "broken") && !json_object_get(report, "not_judged") &&
           stanch_json_int(report, "met", 0) == stanch_json_int(report, "of", -1);
}

/* The files by which it was played: so that it shows later what was changed. */
static const char *digest_of(const struct stanch_stage *stage, const char *path)
{
    for (int i = 0; i < stage->file_count; i++)
        if (strcmp(stage->files[i].path, path) == 0)
            return stage->files[i].blob_hex;
    return "";
}

static void digest_runbooks(const struct stanch_stage *stage, char ret_hex[65])
{
    STANCH_AUTO_BUF struct stanch_buf all = {0};
    for (int i = 0; i < stage->file_count; i++)
        if (!is_drill_file(stage->files[i].path))
            stanch_buf_printf(&all, "%s %s\n", stage->files[i].blob_hex, stage->files[i].path);
    stanch_digest_hex(stanch_buf_str(&all), all.len, ret_hex);
}

static int keep_it(const struct stanch_stage *stage, const struct stanch_drill_options *options, json_t *report,
                   struct stanch_err *err)
{
    const char *keep = options->keep;
    STANCH_AUTO_FREE char *name = NULL;
    STANCH_AUTO_JSON json_t *before = NULL;
    char runbooks[65];
    digest_runbooks(stage, runbooks);
    int rc = stanch_drill_kept(keep, stanch_json_str(report, "drill", ""), &before, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *result = json_pack("{s:O, s:s, s:s, s:O, s:[]}", "drill", json_object_get(report, "drill"),
                                                "scenario", digest_of(stage, stanch_json_str(report, "file", "")),
                                                "runbooks", runbooks, "report", report, "findings");
    stanch_json_set_str(result, "id", options->id);
    rc = stanch_drill_keep(keep, result, &name, err);
    if (rc == 0) {
        stanch_json_set_str(report, "result", name);
        stanch_drill_add_past(report, before);
    }
    return rc;
}

/* The report of the drill of that id, when it was kept. new; NULL: it was not */
static json_t *find_kept(const struct stanch_drill_options *options, const char *drill, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *kept = NULL, *result = NULL;
    if (!options->id || stanch_drill_kept(options->keep, drill, &kept, err) < 0)
        return NULL;
    for (size_t i = json_array_size(kept); i > 0 && !result; i--) {
        const json_t *one = json_array_get(kept, i - 1);
        if (strcmp(stanch_json_str(one, "id", ""), options->id) == 0 &&
            stanch_drill_read(options->keep, stanch_json_str(one, "result", ""), &result, err) < 0)
            return NULL;
    }
    return json_incref(json_object_get(result, "report"));
}

static json_t *report_after(const json_t *scenario, const char *kind, const struct stanch_rehearsal_live *live,
                            const char *why, json_t *result)
{
    json_object_set_new(result, "ended", json_string(why));
    json_t *report = report_of(scenario, kind, live, result);
    json_object_set_new(report, "not_judged", json_string("what `expect` says: its world died with its process"));
    return report;
}

static int report_left(struct stanch_stage *stage, const struct stanch_drill_options *options, const json_t *scenario,
                       const char *why, json_t *result, json_t **ret, struct stanch_err *err)
{
    *ret = find_kept(options, stanch_json_str(scenario, "name", ""), err);
    if (!*ret && json_object_get(result, "told")) {
        *ret = report_after(scenario, options->kind, options->live, why, result);
        return options->keep ? keep_it(stage, options, *ret, err) : 0;
    }
    if (!*ret)
        *ret = json_pack("{s:s}", "ended", why);
    stanch_json_set_str(*ret, "left", stanch_json_str(result, "left", NULL));
    return 0;
}

int stanch_drill_after(struct stanch_stage *stage, const struct stanch_drill_options *options, const char *why,
                       json_t **ret, struct stanch_err *err)
{
    struct choice choice = {.names = json_array()};
    STANCH_AUTO_JSON json_t *result = NULL;
    int rc = choose(stage, options->which, &choice, err);
    if (rc == 0) {
        const struct stanch_rehearsal_spec spec = {
            .scenario = choice.scenario, .index = choice.index, .live = options->live, .tell = stanch_drill_score};
        rc = stanch_rehearse_after(stage, &spec, &result, err);
    }
    rc = rc ? rc : report_left(stage, options, choice.scenario, why, result, ret, err);
    json_decref(choice.scenario);
    json_decref(choice.names);
    return rc;
}

int stanch_drill_run(struct stanch_stage *stage, const struct stanch_drill_options *options, json_t **ret,
                     struct stanch_err *err)
{
    const struct stanch_rehearsal_live *live = NULL;
    const char *kind = NULL;
    struct choice choice = {.names = json_array()};
    STANCH_AUTO_JSON json_t *result = NULL;
    int rc = choose(stage, options->which, &choice, err);
    rc = rc ? rc : choose_kind(choice.scenario, options, &kind, err);
    if (rc == 0) {
        live = strcmp(kind, "virtual") != 0 ? options->live : NULL;
        const struct stanch_rehearsal_spec spec = {
            .scenario = choice.scenario, .index = choice.index, .live = live, .tell = stanch_drill_score};
        rc = stanch_rehearse(stage, &spec, &result, err);
    }
    if (rc == 0) {
        *ret = report_of(choice.scenario, kind, live, result);
        rc = options->keep ? keep_it(stage, options, *ret, err) : 0;
    }
    json_decref(choice.scenario);
    json_decref(choice.names);
    return rc;
}
