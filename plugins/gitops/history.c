/* history.c: what the commits say: trailers, and what is known of migrations. */
#include "gitops.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_TEXT       200
#define MAX_MIGRATIONS 20

/* ---- text ---- */

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != 0x7f;
}

const char *gitops_clean(struct gitops_job *job, const char *text)
{
    size_t len = strnlen(text, MAX_TEXT);
    while (len == MAX_TEXT && len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--; /* not in the middle of a character */
    while (len > 0 && strchr(" \r\n", text[len - 1]))
        len--;
    char *copy = (char *)(uintptr_t)gitops_text(job, "%.*s", (int)len, text);
    for (char *p = copy; *p; p++)
        if (!is_plain((unsigned char)*p))
            *p = ' ';
    json_t *valid = json_string(copy);
    for (char *p = copy; !valid && *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    json_decref(valid);
    return copy;
}

const char *gitops_subject(struct gitops_job *job, const git_commit *commit)
{
    const char *summary = git_commit_summary((git_commit *)(uintptr_t)commit);
    return gitops_clean(job, summary ? summary : "");
}

json_t *gitops_commit_json(struct gitops_job *job, const git_commit *commit)
{
    const git_signature *author = git_commit_author(commit);
    return json_pack("{s:s, s:s, s:s, s:I}", "commit", git_oid_tostr_s(git_commit_id(commit)), "subject",
                     gitops_subject(job, commit), "author", gitops_clean(job, author ? author->name : ""), "at_ms",
                     (json_int_t)(author ? author->when.time : 0) * 1000);
}

const char *gitops_trailer(struct gitops_job *job, const git_commit *commit, const char *name)
{
    git_message_trailer_array trailers = {0};
    const char *found = NULL;
    const char *message = git_commit_message(commit);
    if (!message || git_message_trailers(&trailers, message) < 0)
        return NULL;
    for (size_t i = 0; i < trailers.count && !found; i++)
        if (strcasecmp(trailers.trailers[i].key, name) == 0)
            found = gitops_clean(job, trailers.trailers[i].value);
    git_message_trailer_array_free(&trailers);
    return found;
}

/* ---- walking ---- */

static int broken(struct gitops_job *job)
{
    return gitops_fail(job, "corrupt", "the history of %s could not be read: %s", job->gitops->branch,
                       gitops_git_says(job));
}

/* From child to first parent: times of commits mean nothing here (clocks are wrong, several share a second). */
int gitops_walk_main(struct gitops_job *job, const git_oid *head,
                     int (*fn)(struct gitops_job *job, git_commit *commit, void *ctx), void *ctx, git_oid *ret)
{
    git_oid id = *head;
    for (int seen = 0; seen < GITOPS_MAX_WALK; seen++) {
        GITOPS_AUTO(git_commit) *commit = NULL;
        if (git_commit_lookup(&commit, job->gitops->repo, &id) < 0)
            return broken(job);
        int is_found = fn(job, commit, ctx);
        if (is_found < 0)
            return -1;
        if (is_found) {
            *ret = id;
            return 1;
        }
        if (git_commit_parentcount(commit) == 0)
            return 0;
        id = *git_commit_parent_id(commit, 0);
    }
    return 2;
}

int gitops_walk(struct gitops_job *job, const git_oid *head, const git_oid *hide,
                int (*fn)(struct gitops_job *job, git_commit *commit, void *ctx), void *ctx, git_oid *ret)
{
    git_repository *repo = job->gitops->repo;
    GITOPS_AUTO(git_revwalk) *walk = NULL;
    git_oid id;
    int rc = git_revwalk_new(&walk, repo), seen = 0, is_found = 0;
    rc = rc ? rc : git_revwalk_push(walk, head);
    if (rc == 0 && git_revwalk_hide(walk, hide) < 0)
        git_error_clear(); /* history was rewritten, and the clone does not have it: then there is nothing to hide */
    while (rc == 0 && !is_found && seen++ < GITOPS_MAX_WALK && (rc = git_revwalk_next(&id, walk)) == 0) {
        GITOPS_AUTO(git_commit) *commit = NULL;
        rc = git_commit_lookup(&commit, repo, &id);
        is_found = rc == 0 ? fn(job, commit, ctx) : 0;
    }
    if (rc < 0 && rc != GIT_ITEROVER)
        return broken(job);
    if (is_found < 0)
        return -1;
    if (is_found)
        *ret = id;
    return is_found ? 1 : rc == GIT_ITEROVER ? 0 : 2;
}

static int has_key(struct gitops_job *job, git_commit *commit, void *ctx)
{
    const char *message = git_commit_message(commit);
    if (!message || !strstr(message, ctx))
        return 0;
    const char *key = gitops_trailer(job, commit, GITOPS_KEY_TRAILER);
    return key && strcmp(key, ctx) == 0;
}

int gitops_find_key(struct gitops_job *job, const git_oid *head, const git_oid *hide, const char *key, git_oid *ret)
{
    return *key ? gitops_walk(job, head, hide, has_key, (void *)(uintptr_t)key, ret) : 0;
}

/* ---- migrations ---- */

struct data {
    git_pathspec *globs;
    json_t *found; /* [{"commit","what"}] */
    int commits;
    bool is_each_told; /* each commit said itself that it has none */
};

static void note_migration(struct gitops_job *job, struct data *data, const git_commit *commit, const char *what)
{
    if (json_array_size(data->found) < MAX_MIGRATIONS)
        json_array_append_new(data->found, json_pack("{s:s, s:s}", "commit", git_oid_tostr_s(git_commit_id(commit)),
                                                     "what", gitops_clean(job, what)));
}

static int note_files(struct gitops_job *job, struct data *data, const git_commit *commit)
{
    git_repository *repo = job->gitops->repo;
    GITOPS_AUTO(git_commit) *parent = NULL;
    GITOPS_AUTO(git_tree) *before = NULL, *after = NULL;
    GITOPS_AUTO(git_diff) *diff = NULL;
    if (git_commit_tree(&after, commit) < 0 ||
        (git_commit_parentcount(commit) > 0 &&
         (git_commit_parent(&parent, commit, 0) < 0 || git_commit_tree(&before, parent) < 0)) ||
        git_diff_tree_to_tree(&diff, repo, before, after, NULL) < 0)
        return gitops_fail(job, "corrupt", "commit %s could not be read: %s", git_oid_tostr_s(git_commit_id(commit)),
                           gitops_git_says(job));
    for (size_t i = 0; i < git_diff_num_deltas(diff); i++) {
        const char *path = gitops_delta_path(git_diff_get_delta(diff, i));
        if (git_pathspec_matches_path(data->globs, GIT_PATHSPEC_DEFAULT, path) == 1)
            note_migration(job, data, commit, path);
    }
    return 0;
}

static int look_for_data(struct gitops_job *job, git_commit *commit, void *ctx)
{
    struct data *data = ctx;
    const char *told = gitops_trailer(job, commit, GITOPS_DATA_TRAILER);
    data->commits++;
    if (told && strcasecmp(told, "none") == 0)
        return 0;
    if (told)
        note_migration(job, data, commit, told);
    else if (!gitops_trailer(job, commit, GITOPS_KEY_TRAILER))
        data->is_each_told = false;
    return data->globs ? note_files(job, data, commit) : 0;
}

static int make_globs(struct gitops_job *job, git_pathspec **ret)
{
    const json_t *list = job->gitops->migrations;
    size_t count = json_array_size(list);
    if (count == 0)
        return 0;
    char **texts = calloc(count, sizeof *texts);
    for (size_t i = 0; texts && i < count; i++)
        texts[i] = (char *)(uintptr_t)json_string_value(json_array_get(list, i));
    git_strarray array = {texts, count};
    int rc = texts ? git_pathspec_new(ret, &array) : -1;
    free(texts);
    return rc < 0 ? gitops_fail(job, "invalid", "settings.migrations: %s", gitops_git_says(job)) : 0;
}

static const char *data_text(struct gitops_job *job, const struct data *data, bool is_known, bool is_whole)
{
    const json_t *first = json_array_get(data->found, 0);
    if (first)
        return gitops_text(
            job,
            "%zu migration%s since what this goes back to (%s in %.8s): the old version may not work with "
            "the data as it is now, or lose some",
            json_array_size(data->found), json_array_size(data->found) == 1 ? "" : "s",
            json_string_value(json_object_get(first, "what")), json_string_value(json_object_get(first, "commit")));
    if (is_known)
        return gitops_text(job, "no migration among the %d commit%s since what this goes back to", data->commits,
                           data->commits == 1 ? "" : "s");
    return is_whole ? "whether a migration lies in between is not known (no setting `migrations`, no trailer "
                      "Stanch-Migration)"
                    : "whether a migration lies in between is not known: too many commits";
}

int gitops_data(struct gitops_job *job, const git_oid *head, const git_commit *commit, json_t **ret)
{
    GITOPS_AUTO(git_pathspec) *globs = NULL;
    if (make_globs(job, &globs) < 0)
        return -1;
    struct data data = {.globs = globs, .found = json_array(), .is_each_told = true};
    int rc = gitops_walk(job, head, git_commit_parent_id(commit, 0), look_for_data, &data, &(git_oid){{0}});
    bool is_known = rc == 0 && (globs || data.is_each_told);
    if (rc >= 0)
        *ret = json_pack("{s:b, s:i, s:s, s:O}", "known", is_known, "commits", data.commits, "text",
                         data_text(job, &data, is_known, rc == 0), "migrations", data.found);
    json_decref(data.found);
    return rc < 0 ? -1 : 0;
}
