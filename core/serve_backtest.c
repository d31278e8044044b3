/* serve_backtest.c: `stanch rehearse backtest`: which files, out of which place, and the store that they are held against.
 *
 *   DIR                                            the folder (drill/stage.h)
 *   --commit X: the store has it (it was in use)   its files by blob (run/revision.h)
 *               else the clone has it              asked of `stanch book files`, checked like a candidate (book/revision.h)
 *   --> checked like a commit (catalogue.h) --> drill/backtest.h
 */
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "book/revision.h"
#include "drill/backtest.h"
#include "flow_parts.h"
#include "offline_place.h"
#include "run/revision.h"
#include "serve_rehearse_parts.h"
#include "timeline/store.h"
#include <stdlib.h>
#include <string.h>

#define MIN_DIGITS 7
#define MAX_DIGITS 64
#define LISTED     100
#define MAX_LISTED 100000

/* ---- a commit's files ---- */

static int open_journal(struct stanch_loop *loop, const char *dir, struct stanch_journal **ret, struct stanch_err *err)
{
    struct stanch_store *store = NULL;
    int rc = stanch_store_sqlite_open(dir, 0, 1, &store, err);
    return rc < 0 ? rc : stanch_journal_open(loop, store, ret, err);
}

/* returns 1 and its files, when the store has such a commit | 0 | an error */
static int take_used(struct stanch_journal *journal, const char *commit, json_t *described, struct stanch_stage *stage,
                     struct stanch_err *err)
{
    const struct stanch_noun_query query = {.noun = "revision", .id_prefix = commit, .open = -1, .limit = 2};
    STANCH_AUTO_JSON json_t *found = NULL;
    struct stanch_revision_files *files = NULL;
    int rc = stanch_journal_list(journal, &query, &found, err);
    if (rc == 0 && json_array_size(found) > 1)
        return stanch_err_set(err, STANCH_E_CONFLICT, "more than one commit begins with %s: give more of its id",
                              commit);
    if (rc < 0 || json_array_size(found) == 0)
        return rc;
    rc = stanch_revision_load(journal, stanch_json_str(json_array_get(found, 0), "id", ""), &files, err);
    if (rc < 0)
        return rc;
    stanch_stage_open_files(files->sources, files->count, files->commit, described, stage);
    stanch_revision_free(files);
    return 1;
}

static int take_candidate(const struct stanch_buf *text, const char *commit, json_t *described,
                          struct stanch_stage *stage, struct stanch_err *err)
{
    const char *bytes = memchr(stanch_buf_str(text), '\n', text->len);
    size_t len = bytes ? (size_t)(++bytes - stanch_buf_str(text)) : 0;
    STANCH_AUTO_JSON json_t *head = NULL;
    STANCH_CLEANUP(stanch_revision_done) struct stanch_revision revision = {0};
    if (!bytes || stanch_json_parse(stanch_buf_str(text), len - 1, &stanch_json_own_limits, &head, err) < 0)
        return stanch_err_set(err, STANCH_E_CRASHED, "the process that reads git said nothing that can be understood");
    int rc = stanch_revision_read(head, bytes, text->len - len, &revision, err);
    if (rc == 0 && strncmp(revision.commit, commit, strlen(commit)) != 0)
        rc = stanch_err_set(err, STANCH_E_CRASHED, "the process that reads git sent another commit");
    if (rc < 0)
        return rc;
    STANCH_AUTO_FREE struct stanch_source *sources = stanch_alloc(((size_t)revision.file_count + 1) * sizeof *sources);
    for (int i = 0; i < revision.file_count; i++)
        sources[i] = (struct stanch_source){revision.files[i].path, revision.files[i].bytes, revision.files[i].len};
    stanch_stage_open_files(sources, revision.file_count, revision.commit, described, stage);
    return 0;
}

static int take_cloned(const char *store, const char *folder, const char *commit, json_t *described,
                       struct stanch_stage *stage, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *clone = stanch_asprintf("%s/book.git", store);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    const char *const words[] = {"files", clone, commit, folder, NULL};
    int rc = stanch_place_ask_book(words, "", &text, err);
    if (rc == STANCH_E_NOT_FOUND) {
        struct stanch_err why = *err;
        return stanch_err_set(err, rc,
                              "commit %s is not known: the store has no such commit, and %.600s; if it is not pushed "
                              "yet, check it out and give the folder instead",
                              commit, why.text);
    }
    return rc < 0 ? rc : take_candidate(&text, commit, described, stage, err);
}

int stanch_rehearse__stage_commit(struct stanch_loop *loop, const struct stanch_rehearse_past *past,
                                  const json_t *config, json_t *described, struct stanch_stage *ret,
                                  struct stanch_err *err)
{
    struct stanch_journal *journal = NULL;
    size_t len = strlen(past->commit);
    ret->described = described;
    if (len < MIN_DIGITS || len > MAX_DIGITS || strspn(past->commit, "0123456789abcdef") != len)
        return stanch_err_set(err, STANCH_E_INVALID, "--commit takes %d or more hex digits of a commit's id, not %.80s",
                              MIN_DIGITS, past->commit);
    int rc = open_journal(loop, past->store, &journal, err);
    if (rc == 0)
        rc = take_used(journal, past->commit, described, ret, err);
    stanch_journal_close(journal);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    const char *folder = stanch_json_str(json_object_get(config, "runbooks"), "folder", "");
    return take_cloned(past->store, folder, past->commit, described, ret, err);
}

/* ---- checked ---- */

struct checking {
    bool over;
    struct stanch_catalogue *catalogue;
    struct stanch_err err;
};

static void on_checked(void *ctx, struct stanch_catalogue *catalogue, const json_t *errors, const json_t *warnings)
{
    struct checking *checking = ctx;
    const json_t *first = json_array_get(errors, 0);
    (void)warnings;
    checking->over = true;
    checking->catalogue = catalogue;
    if (!catalogue)
        (void)stanch_err_set(&checking->err, STANCH_E_INVALID, "the runbooks would be refused: %s:%lld: %s",
                             stanch_json_str(first, "path", ""), (long long)stanch_json_int(first, "line", 0),
                             stanch_json_str(first, "text", ""));
}

static json_t *instances_of(const struct stanch_stage *stage)
{
    STANCH_AUTO_JSON json_t *list = json_array();
    const char *name;
    json_t *one;
    json_object_foreach(stage->described, name, one) json_array_append(list, one);
    return stanch_flow__describe(list);
}

static int check(struct stanch_stage *stage, struct stanch_catalogue **ret, struct stanch_err *err)
{
    struct stanch_world *world =
        stanch_world_production(stage->loop, NULL, stage->runner); /* nothing but its workers */
    STANCH_AUTO_JSON json_t *instances = instances_of(stage);
    struct checking checking = {0};
    int rc = stanch_catalogue_check(world, NULL, stage->commit, stage->sources, stage->file_count, instances,
                                    on_checked, &checking, err);
    while (rc == 0 && !checking.over)
        stanch_loop_run_next(stage->loop);
    stanch_world_free(world);
    if (rc == 0 && !checking.catalogue) {
        *err = checking.err;
        rc = err->code;
    }
    *ret = checking.catalogue;
    return rc;
}

/* ---- held against the store ---- */

static int read_spec(const struct stanch_rehearse_past *past, struct stanch_backtest_spec *spec, struct stanch_err *err)
{
    long long listed = past->listed ? atoll(past->listed) : LISTED;
    if (listed < 0 || listed > MAX_LISTED)
        return stanch_err_set(err, STANCH_E_INVALID, "--limit is 0 to %d", MAX_LISTED);
    spec->listed = (size_t)listed;
    int rc = past->since ? stanch_time_parse_ago(past->since, stanch_wall_now_ms(), &spec->since_ms, err) : 0;
    return rc < 0 ? stanch_err_wrap(err, "--since") : 0;
}

int stanch_rehearse__backtest(struct stanch_stage *stage, const struct stanch_rehearse_past *past, json_t **ret,
                              struct stanch_err *err)
{
    struct stanch_backtest_spec spec = {.config = stage->config};
    struct stanch_catalogue *catalogue = NULL;
    struct stanch_journal *journal = NULL;
    struct stanch_policy *policy = NULL;
    int rc = read_spec(past, &spec, err);
    rc = rc ? rc : stanch_policy_new(stage->policy, &policy, err);
    rc = rc ? rc : check(stage, &catalogue, err);
    rc = rc ? rc : open_journal(stage->loop, past->store, &journal, err);
    if (rc == 0) {
        spec.journal = journal;
        spec.catalogue = catalogue;
        spec.policy = policy;
        rc = stanch_backtest(&spec, ret, err);
    }
    stanch_journal_close(journal);
    stanch_catalogue_free(catalogue);
    stanch_policy_free(policy);
    return rc;
}
