/* serve_rehearse_drill.c: the process behind `stanch drill`; it prints one JSON value.
 *
 *   drill run NAME|FILE DIR --config FILE [--plugins DIR] [--keep DIR] [--kind virtual]
 *                                                                        {"report","markdown","html","good":bool}
 *   drill list DIR --config FILE [--plugins DIR] [--keep DIR]            {"drills","errors","results"?}
 *   drill show RESULT [--keep DIR]                                       {"report","markdown","html","good"}
 *   drill compare [NAME] --keep DIR                                      [{"compared","markdown"}]
 *   drill finding RESULT TEXT --owner WHO --due DATE [--keep DIR]        {"finding"}
 *   drill done RESULT N [--keep DIR]                                     {"finding"}
 *
 * The first two need the simulated world, the others only files.
 */
#include "base/json.h"
#include "base/mem.h"
#include "drill/drill.h"
#include "serve_rehearse_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 4

struct drill {
    const char *words[WORDS]; /* the verb is the first */
    int count;
    const char *config, *plugins, *keep, *owner, *due, *kind;
    json_t *out;
};

static int read_words(int argc, char **argv, struct drill *ret, struct stanch_err *err)
{
    bool only_words = false; /* behind "--" */
    for (int i = 0; i < argc; i++) {
        const char **value = only_words                          ? NULL
                             : strcmp(argv[i], "--config") == 0  ? &ret->config
                             : strcmp(argv[i], "--plugins") == 0 ? &ret->plugins
                             : strcmp(argv[i], "--keep") == 0    ? &ret->keep
                             : strcmp(argv[i], "--owner") == 0   ? &ret->owner
                             : strcmp(argv[i], "--due") == 0     ? &ret->due
                             : strcmp(argv[i], "--kind") == 0    ? &ret->kind
                                                                 : NULL;
        if (value && i + 1 < argc)
            *value = argv[++i];
        else if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = true;
        else if (!value && ret->count < WORDS)
            ret->words[ret->count++] = argv[i];
        else
            return stanch_err_set(err, STANCH_E_INVALID, "drill: %s is not understood", argv[i]);
    }
    return ret->count > 0 ? 0 : stanch_err_set(err, STANCH_E_INVALID, "drill: no command");
}

static const char *word(const struct drill *self, int i)
{
    return i < self->count ? self->words[i] : NULL;
}

static json_t *shown(json_t *report)
{
    STANCH_AUTO_BUF struct stanch_buf markdown = {0}, html = {0};
    stanch_drill_markdown(report, &markdown);
    stanch_drill_html(report, &html);
    return json_pack("{s:o, s:s, s:s, s:b}", "report", report, "markdown", stanch_buf_str(&markdown), "html",
                     stanch_buf_str(&html), "good", stanch_drill_is_good(report));
}

/* ---- in the simulated world ---- */

static int play(void *ctx, struct stanch_stage *stage, struct stanch_err *err)
{
    struct drill *self = ctx;
    STANCH_AUTO_JSON json_t *report = NULL;
    const struct stanch_drill_options options = {.which = word(self, 1), .keep = self->keep, .kind = self->kind};
    int rc = stanch_drill_run(stage, &options, &report, err);
    if (rc == 0)
        self->out = shown(STANCH_TAKE(report));
    return rc;
}

static int list(void *ctx, struct stanch_stage *stage, struct stanch_err *err)
{
    struct drill *self = ctx;
    json_t *kept = NULL;
    int rc = stanch_drill_list(stage, &self->out, err);
    rc = rc == 0 && self->keep ? stanch_drill_kept(self->keep, NULL, &kept, err) : rc;
    if (rc < 0 || !kept)
        return rc;
    json_t *results = json_array();
    for (size_t i = 0; i < json_array_size(kept); i++) {
        const json_t *one = json_array_get(kept, i), *report = json_object_get(one, "report");
        json_array_append_new(
            results, json_pack("{s:s, s:s, s:I, s:I, s:I}", "result", stanch_json_str(one, "result", ""), "drill",
                               stanch_json_str(one, "drill", ""), "met", (json_int_t)stanch_json_int(report, "met", 0),
                               "of", (json_int_t)stanch_json_int(report, "of", 0), "findings",
                               (json_int_t)json_array_size(json_object_get(one, "findings"))));
    }
    json_object_set_new(self->out, "results", results);
    json_decref(kept);
    return 0;
}

static int on_stage(struct drill *self, int folder_at, stanch_rehearse_use use, struct stanch_err *err)
{
    const struct stanch_rehearse_files files = {word(self, folder_at), self->config, self->plugins};
    if (!files.folder || !files.config)
        return stanch_err_set(err, STANCH_E_INVALID, "drill: a folder and --config FILE are needed");
    return stanch_rehearse__on_stage(&files, use, self, err);
}

/* ---- kept ---- */

static int show(struct drill *self, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *result = NULL;
    int rc = stanch_drill_read(self->keep, word(self, 1), &result, err);
    if (rc == 0)
        self->out = shown(json_incref(json_object_get(result, "report")));
    return rc;
}

/* All of one name beside each other; the list is by name. */
static void compare_all(struct drill *self, const json_t *kept)
{
    self->out = json_array();
    for (size_t i = 0, next; i < json_array_size(kept); i = next) {
        STANCH_AUTO_JSON json_t *same = json_array();
        STANCH_AUTO_BUF struct stanch_buf text = {0};
        const char *name = stanch_json_str(json_array_get(kept, i), "drill", "");
        for (next = i; next < json_array_size(kept) &&
                       strcmp(stanch_json_str(json_array_get(kept, next), "drill", ""), name) == 0;
             next++)
            json_array_append(same, json_array_get(kept, next));
        json_t *compared = stanch_drill_compare(same);
        stanch_drill_compare_markdown(compared, &text);
        json_array_append_new(self->out,
                              json_pack("{s:o, s:s}", "compared", compared, "markdown", stanch_buf_str(&text)));
    }
}

static int compare(struct drill *self, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *kept = NULL;
    int rc = self->keep ? stanch_drill_kept(self->keep, word(self, 1), &kept, err)
                        : stanch_err_set(err, STANCH_E_INVALID, "--keep DIR: where are the results?");
    if (rc == 0 && json_array_size(kept) == 0)
        rc = stanch_err_set(err, STANCH_E_NOT_FOUND, "no result%s%.200s is kept in %s", word(self, 1) ? " of " : "",
                            word(self, 1) ? word(self, 1) : "", self->keep);
    if (rc == 0)
        compare_all(self, kept);
    return rc;
}

static int find(struct drill *self, struct stanch_err *err)
{
    json_t *finding = NULL;
    STANCH_AUTO_JSON json_t *given = json_pack("{s:s, s:s, s:s}", "text", word(self, 2) ? word(self, 2) : "", "owner",
                                               self->owner ? self->owner : "", "due", self->due ? self->due : "");
    if (!given)
        return stanch_err_set(err, STANCH_E_INVALID, "a finding is text in UTF-8");
    int rc = stanch_drill_find(self->keep, word(self, 1), given, &finding, err);
    if (rc == 0)
        self->out = json_pack("{s:o}", "finding", finding);
    return rc;
}

static int done(struct drill *self, struct stanch_err *err)
{
    json_t *finding = NULL;
    int rc = stanch_drill_done(self->keep, word(self, 1), word(self, 2) ? strtoll(word(self, 2), NULL, 10) : 0,
                               &finding, err);
    if (rc == 0)
        self->out = json_pack("{s:o}", "finding", finding);
    return rc;
}

static int run(struct drill *self, struct stanch_err *err)
{
    const char *verb = word(self, 0);
    if (strcmp(verb, "list") == 0)
        return on_stage(self, 1, list, err);
    if (strcmp(verb, "compare") == 0)
        return compare(self, err);
    if (self->count < 2)
        return stanch_err_set(err, STANCH_E_INVALID, "drill %s: which one?", verb);
    if (strcmp(verb, "run") == 0)
        return on_stage(self, 2, play, err);
    if (strcmp(verb, "show") == 0)
        return show(self, err);
    if (strcmp(verb, "finding") == 0)
        return find(self, err);
    if (strcmp(verb, "done") == 0)
        return done(self, err);
    return stanch_err_set(err, STANCH_E_INVALID, "drill: no such command \"%s\"", verb);
}

int stanch_rehearse__drill(int argc, char **argv, struct stanch_err *err)
{
    struct drill self = {0};
    int rc = read_words(argc, argv, &self, err);
    rc = rc ? rc : run(&self, err);
    if (rc == 0)
        (void)json_dumpf(self.out, stdout, JSON_COMPACT);
    json_decref(self.out);
    return rc;
}
