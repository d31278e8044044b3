/* flow_book.c: commits of the runbook repository: candidate -> check -> accepted whole or refused whole.
 * The files of an accepted commit are kept in the journal by blob id, so no run and no restart needs git. */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow_parts.h"
#include "run/revision.h"
#include <string.h>

#define CHECK_AGAIN_MS 500
#define KEEP_AGAIN_MS  2000

static void check_candidate(void *ctx);

static int append_one(struct stanch_flow *flow, struct stanch_batch *batch, const char *kind, json_t *data)
{
    struct stanch_err err;
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, STANCH_BY_STANCH, NULL, data);
    int rc = stanch_journal_append(flow->journal, batch, NULL, NULL, &err);
    if (rc < 0)
        stanch_log(STANCH_LOG_ERROR, "flow", "%s could not be recorded: %s", kind, err.text);
    return rc;
}

static void set_book(struct stanch_flow *flow, const char *state, const char *why)
{
    (void)snprintf(flow->book_state, sizeof flow->book_state, "%s", state);
    (void)snprintf(flow->book_why, sizeof flow->book_why, "%s", why);
}

/* The repository has told where its branch is. */
static void note_contact(struct stanch_flow *flow)
{
    flow->contact_mono_ms = stanch_loop_mono_ms(flow->loop);
}

static void swap_in(struct stanch_flow *flow, struct stanch_catalogue *catalogue)
{
    bool first = !flow->catalogue;
    stanch_catalogue_free(flow->catalogue);
    flow->catalogue = catalogue;
    memcpy(flow->accepted_commit, catalogue->commit, sizeof flow->accepted_commit);
    set_book(flow, "ok", "");
    stanch_log(STANCH_LOG_INFO, "flow", "%d runbook(s) loaded commit=%.12s", catalogue->count, catalogue->commit);
    if (first)
        stanch_flow__match_waiting_soon(flow);
}

/* ---- a candidate ---- */

static char *errors_text(const json_t *errors)
{
    struct stanch_buf text = {0};
    for (size_t i = 0; i < json_array_size(errors) && i < 8; i++) {
        const json_t *error = json_array_get(errors, i);
        stanch_buf_printf(&text, "%s%s:%lld: %s", i ? "; " : "", stanch_json_str(error, "path", "?"),
                          (long long)stanch_json_int(error, "line", 0), stanch_json_str(error, "text", ""));
    }
    return stanch_buf_take(&text);
}

static int record_accepted(struct stanch_flow *flow, const struct stanch_catalogue *catalogue)
{
    struct stanch_batch *batch = stanch_batch_new();
    json_t *files = json_array();
    const json_t *list = json_object_get(flow->candidate, "files");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *file = json_array_get(list, i);
        const json_t *text = json_object_get(file, "text");
        stanch_batch_blob(batch, stanch_json_str(file, "blob", ""), json_string_value(text), json_string_length(text));
        json_array_append_new(files, json_pack("{s:O, s:O}", "path", json_object_get(file, "path"), "blob",
                                               json_object_get(file, "blob")));
    }
    flow->accepted_at_ms = stanch_flow__now(flow);
    if (flow->is_first_book)
        stanch_flow__accept_all(flow, catalogue, "it is of the first commit that this store has taken", batch);
    return append_one(flow, batch, "book.accepted",
                      json_pack("{s:s, s:O, s:O, s:o, s:i, s:O, s:o}", "commit", catalogue->commit, "summary",
                                json_object_get(flow->candidate, "summary"), "author",
                                json_object_get(flow->candidate, "author"), "files", files, "runbooks",
                                catalogue->count, "warnings", catalogue->warnings, "digests",
                                stanch_flow__digests(catalogue)));
}

static void on_checked(void *ctx, struct stanch_catalogue *catalogue, const json_t *errors, const json_t *warnings)
{
    struct stanch_flow *flow = ctx;
    (void)warnings;
    if (flow->draining || !flow->candidate) {
        stanch_catalogue_free(catalogue);
        return;
    }
    const char *commit = stanch_json_str(flow->candidate, "commit", "");
    if (catalogue && record_accepted(flow, catalogue) < 0) {
        /* a run of it could not be taken up again: it waits until it can be kept */
        stanch_catalogue_free(catalogue);
        set_book(flow, "away", "a new commit of the runbooks could not be recorded");
        stanch_timer_start(flow->loop, KEEP_AGAIN_MS, check_candidate, flow);
        return;
    }
    if (catalogue) {
        flow->is_first_book = false;
        if (flow->book)
            stanch_book_accept(flow->book, commit);
        swap_in(flow, catalogue);
    } else {
        STANCH_AUTO_FREE char *why = errors_text(errors);
        stanch_log(STANCH_LOG_WARN, "flow", "commit refused, the last good one stays commit=%.12s: %s", commit, why);
        append_one(flow, stanch_batch_new(), "book.refused",
                   json_pack("{s:s, s:s, s:O}", "commit", commit, "why", why, "errors", errors));
        set_book(flow, "refused", why);
        if (flow->book)
            stanch_book_refuse(flow->book, commit, why);
    }
    json_decref(flow->candidate);
    flow->candidate = NULL;
}

/* The files of the candidate as sources; texts are borrowed from it. */
static struct stanch_source *candidate_sources(const json_t *files, int *ret_count)
{
    struct stanch_source *sources = stanch_alloc((json_array_size(files) + 1) * sizeof *sources);
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *text = json_object_get(json_array_get(files, i), "text");
        sources[i] = (struct stanch_source){stanch_json_str(json_array_get(files, i), "path", ""),
                                            json_string_value(text), json_string_length(text)};
    }
    *ret_count = (int)json_array_size(files);
    return sources;
}

static void check_candidate(void *ctx)
{
    struct stanch_flow *flow = ctx;
    if (flow->draining || !flow->candidate)
        return;
    int count;
    STANCH_AUTO_FREE struct stanch_source *sources =
        candidate_sources(json_object_get(flow->candidate, "files"), &count);
    STANCH_AUTO_JSON json_t *instances = stanch_flow__instances(flow);
    struct stanch_err err;
    int rc = stanch_catalogue_check(flow->world, flow->policy, stanch_json_str(flow->candidate, "commit", ""), sources,
                                    count, instances, on_checked, flow, &err);
    if (rc == STANCH_E_UNAVAILABLE || rc == STANCH_E_BUSY) {
        stanch_timer_start(flow->loop, CHECK_AGAIN_MS, check_candidate, flow);
    } else if (rc < 0) {
        STANCH_AUTO_JSON json_t *errors = json_pack("[{s:s, s:i, s:s}]", "path", "", "line", 0, "text", err.text);
        on_checked(flow, NULL, errors, NULL);
    }
}

static void on_candidate(void *ctx, const struct stanch_revision *revision)
{
    struct stanch_flow *flow = ctx;
    note_contact(flow);
    json_decref(flow->candidate);
    json_t *files = json_array();
    for (int i = 0; i < revision->file_count; i++) {
        const struct stanch_book_file *file = &revision->files[i];
        json_t *text = json_stringn(file->bytes, file->len);
        if (!text) {
            STANCH_AUTO_FREE char *why = stanch_asprintf("%s is not UTF-8 text", file->path);
            json_decref(files);
            flow->candidate = NULL;
            append_one(flow, stanch_batch_new(), "book.refused",
                       json_pack("{s:s, s:s}", "commit", revision->commit, "why", why));
            set_book(flow, "refused", why);
            if (flow->book)
                stanch_book_refuse(flow->book, revision->commit, why);
            return;
        }
        json_array_append_new(files,
                              json_pack("{s:s, s:s, s:o}", "path", file->path, "blob", file->blob_hex, "text", text));
    }
    flow->candidate = json_pack("{s:s, s:s, s:s, s:o}", "commit", revision->commit, "summary",
                                revision->summary ? revision->summary : "", "author",
                                revision->author ? revision->author : "", "files", files);
    check_candidate(flow);
}

void stanch_flow_offer(struct stanch_flow *flow, const struct stanch_revision *revision)
{
    on_candidate(flow, revision);
}

static void on_fault(void *ctx, const char *commit, const struct stanch_err *err)
{
    struct stanch_flow *flow = ctx;
    bool refused = err->code == STANCH_E_REFUSED;
    if (refused)
        note_contact(flow);
    stanch_log(STANCH_LOG_WARN, "flow", "runbooks: %s", err->text);
    set_book(flow, refused ? "refused" : "away", err->text);
    json_t *data = json_pack("{s:s, s:s}", "why", err->text, "kind", stanch_err_word(err->code));
    stanch_json_set_str(data, "commit", commit);
    append_one(flow, stanch_batch_new(), refused ? "book.refused" : "book.away", data);
}

static void on_current(void *ctx, const char *commit)
{
    struct stanch_flow *flow = ctx;
    note_contact(flow);
    if (strcmp(flow->accepted_commit, commit) == 0)
        set_book(flow, "ok", "");
}

/* ---- start: first what the journal holds, then git ---- */

static int start_book(struct stanch_flow *flow, struct stanch_err *err)
{
    const json_t *config = json_object_get(flow->config, "runbooks");
    if (!json_is_object(config))
        return 0;
    STANCH_AUTO_FREE char *repo_dir = stanch_asprintf("%s/book.git", flow->state_dir);
    struct stanch_book_config book = {
        .exe = flow->exe,
        .repo_dir = repo_dir,
        .url = stanch_json_str(config, "url", ""),
        .branch = stanch_json_str(config, "branch", "main"),
        .folder = stanch_json_str(config, "folder", ""),
        .poll_ms = stanch_json_int(config, "poll_ms", 30000),
        .deadline_ms = stanch_json_int(config, "deadline_ms", 60000),
        .allow_rewrite = stanch_json_bool(config, "allow_rewrite", false),
        .accepted = flow->accepted_commit[0] ? flow->accepted_commit : NULL,
    };
    static const struct stanch_book_events events = {on_candidate, on_fault, on_current};
    return stanch_book_start(flow->loop, &book, &events, flow, &flow->book, err);
}

static void on_kept_checked(void *ctx, struct stanch_catalogue *catalogue, const json_t *errors, const json_t *warnings)
{
    struct stanch_flow *flow = ctx;
    (void)warnings;
    struct stanch_err err;
    if (flow->draining) {
        stanch_catalogue_free(catalogue);
        return;
    }
    if (catalogue) {
        stanch_flow__accept_kept(flow, catalogue);
        swap_in(flow, catalogue);
    } else {
        STANCH_AUTO_FREE char *why = errors_text(errors);
        stanch_log(STANCH_LOG_ERROR, "flow", "the kept commit does not load any more commit=%.12s: %s",
                   flow->accepted_commit, why);
        set_book(flow, "refused", why);
        flow->accepted_commit[0] = 0; /* let git offer it, or a newer one, anew */
    }
    if (start_book(flow, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "flow", "the repository is not followed: %s", err.text);
}

static int last_accepted(struct stanch_flow *flow, char ret[72], struct stanch_err *err)
{
    struct stanch_noun_query query = {.noun = "revision", .open = -1, .limit = 1000};
    STANCH_AUTO_JSON json_t *revisions = NULL;
    int rc = stanch_journal_list(flow->journal, &query, &revisions, err);
    int64_t newest = 0;
    ret[0] = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(revisions); i++) {
        const json_t *doc = json_array_get(revisions, i);
        if (stanch_json_int(doc, "updated_seq", 0) > newest) {
            newest = stanch_json_int(doc, "updated_seq", 0);
            flow->accepted_at_ms = stanch_json_int(doc, "updated_ms", 0);
            (void)snprintf(ret, 72, "%s", stanch_json_str(doc, "id", ""));
        }
    }
    return rc;
}

int stanch_flow__follow(struct stanch_flow *flow, struct stanch_err *err)
{
    int rc = last_accepted(flow, flow->accepted_commit, err);
    if (rc < 0)
        return rc;
    flow->is_first_book = !flow->accepted_commit[0];
    if (flow->is_first_book)
        return start_book(flow, err);
    int64_t age = stanch_flow__now(flow) - flow->accepted_at_ms; /* all that is known of earlier lives */
    flow->contact_mono_ms = stanch_loop_mono_ms(flow->loop) - (age > 0 ? age : 0);
    struct stanch_revision_files *kept = NULL;
    rc = stanch_revision_load(flow->journal, flow->accepted_commit, &kept, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *instances = stanch_flow__instances(flow);
    rc = stanch_catalogue_check(flow->world, flow->policy, kept->commit, kept->sources, kept->count, instances,
                                on_kept_checked, flow, err);
    stanch_revision_free(kept);
    return rc;
}

/* ---- commands ---- */

struct sync {
    struct stanch_flow *flow;
    stanch_flow_done done;
    void *ctx;
    int64_t tries;
    char before[72];
};

static void tell_verdict(void *ctx)
{
    struct sync *sync = ctx;
    struct stanch_flow *flow = sync->flow;
    struct stanch_err err;
    if (strcmp(flow->book_state, "ok") != 0) {
        int kind = strcmp(flow->book_state, "refused") == 0 ? STANCH_E_REFUSED : STANCH_E_UNREACHABLE;
        sync->done(sync->ctx, stanch_err_set(&err, kind, "%s", flow->book_why), &err, NULL);
    } else {
        STANCH_AUTO_JSON json_t *result = json_pack("{s:s, s:b}", "commit", flow->accepted_commit, "changed",
                                                    strcmp(sync->before, flow->accepted_commit) != 0);
        sync->done(sync->ctx, 0, NULL, result);
    }
    free(sync);
}

/* A candidate that came with this fetch is still being checked: wait for its verdict, and for its commit. */
static void await_verdict(void *ctx)
{
    struct sync *sync = ctx;
    if (sync->flow->candidate && sync->tries++ < 200)
        stanch_timer_start(sync->flow->loop, 50, await_verdict, sync);
    else
        stanch_journal_barrier(sync->flow->journal, tell_verdict, sync);
}

static void on_synced(void *ctx, int rc, const struct stanch_err *err)
{
    struct sync *sync = ctx;
    if (rc < 0) {
        sync->done(sync->ctx, rc, err, NULL);
        free(sync);
        return;
    }
    await_verdict(sync);
}

int stanch_flow__sync(struct stanch_flow *flow, stanch_flow_done done, void *ctx, struct stanch_err *err)
{
    if (!flow->book)
        return stanch_err_set(err, STANCH_E_CONFLICT,
                              "no repository of runbooks is configured (runbooks = {...} in stanch.lua)");
    struct sync *sync = STANCH_NEW(struct sync);
    *sync = (struct sync){.flow = flow, .done = done, .ctx = ctx};
    memcpy(sync->before, flow->accepted_commit, sizeof sync->before);
    int rc = stanch_book_sync(flow->book, on_synced, sync, err);
    if (rc < 0)
        free(sync);
    return rc;
}

struct lint {
    stanch_flow_done done;
    void *ctx;
};

static void on_linted(void *ctx, struct stanch_catalogue *catalogue, const json_t *errors, const json_t *warnings)
{
    struct lint *lint = ctx;
    STANCH_AUTO_JSON json_t *names = json_array();
    for (int i = 0; catalogue && i < catalogue->count; i++)
        json_array_append(names, json_object_get(catalogue->runbooks[i].declared, "name"));
    STANCH_AUTO_JSON json_t *result = json_pack("{s:b, s:O, s:O, s:O}", "ok", catalogue != NULL, "errors", errors,
                                                "warnings", warnings, "runbooks", names);
    stanch_catalogue_free(catalogue);
    lint->done(lint->ctx, 0, NULL, result);
    free(lint);
}

int stanch_flow__lint(struct stanch_flow *flow, const json_t *input, stanch_flow_done done, void *ctx,
                      struct stanch_err *err)
{
    const json_t *files = json_object_get(input, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        if (!*stanch_json_str(file, "path", "") || !json_is_string(json_object_get(file, "text")))
            return stanch_err_set(err, STANCH_E_INVALID, "files[%zu]: give path and text", i);
    }
    if (json_array_size(files) == 0)
        return stanch_err_set(err, STANCH_E_INVALID, "files: there is nothing to check");
    int count;
    STANCH_AUTO_FREE struct stanch_source *sources = candidate_sources(files, &count);
    STANCH_AUTO_JSON json_t *instances = stanch_flow__instances(flow);
    struct lint *lint = STANCH_NEW(struct lint);
    lint->done = done;
    lint->ctx = ctx;
    int rc = stanch_catalogue_check(flow->world, flow->policy, "lint", sources, count, instances, on_linted, lint, err);
    if (rc < 0)
        free(lint);
    return rc;
}
