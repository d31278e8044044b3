/* plan.c: what reads only: the plan, head, log, check. */
#include "gitops.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_SHOWN 50 /* files by name */

/* ---- commands for a person ---- */

static const char *quote(struct gitops_job *job, const char *text)
{
    const char *out = "'";
    for (const char *quoted = strchr(text, '\''); quoted; text = quoted + 1, quoted = strchr(text, '\''))
        out = gitops_text(job, "%s%.*s'\\''", out, (int)(quoted - text), text);
    return gitops_text(job, "%s%s'", out, text);
}

static const char *by_hand(struct gitops_job *job, const char *lease, const char *work)
{
    const char *remote = quote(job, job->gitops->remote), *branch = quote(job, job->gitops->branch);
    return gitops_text(job,
                       "git clone --branch %s %s by-hand && cd by-hand && %s && git push --force-with-lease=%s%s%s "
                       "origin HEAD:%s",
                       branch, remote, work, branch, *lease ? ":" : "", lease, branch);
}

static const char *revert_by_hand(struct gitops_job *job, const struct gitops_change *change)
{
    const char *path = json_string_value(json_object_get(job->args, "path"));
    const char *id = gitops_text(job, "%s%s", git_commit_parentcount(change->reverts) > 1 ? "-m 1 " : "",
                                 git_oid_tostr_s(git_commit_id(change->reverts)));
    if (!path)
        return gitops_text(job, "git revert --no-edit %s", id);
    return gitops_text(job, "git revert --no-commit %s && git restore -SW --source=HEAD -- . %s && git commit -m %s",
                       id, quote(job, gitops_text(job, ":(exclude)%s", path)), quote(job, change->subject));
}

static const char *freeze_by_hand(struct gitops_job *job)
{
    const char *file = quote(job, job->gitops->freeze_file), *slash = strrchr(job->gitops->freeze_file, '/');
    const char *folder =
        !slash
            ? ""
            : quote(job, gitops_text(job, "%.*s", (int)(slash - job->gitops->freeze_file), job->gitops->freeze_file));
    return gitops_text(job, "%s%s%sprintf %%s %s > %s && git add %s && git commit -m 'Freeze deploys'",
                       slash ? "mkdir -p " : "", folder, slash ? " && " : "", quote(job, job->gitops->freeze_content),
                       file, file);
}

static const char *undo_by_hand(struct gitops_job *job, const struct gitops_change *change)
{
    const char *which = quote(job, gitops_text(job, "^%s", change->trailer));
    return by_hand(job, "", gitops_text(job, "git revert --no-edit \"$(git log -1 --format=%%H --grep=%s)\"", which));
}

/* ---- the plan ---- */

static json_t *files_json(struct gitops_job *job, const git_diff *diff)
{
    json_t *files = json_array();
    for (size_t i = 0; i < git_diff_num_deltas(diff) && i < MAX_SHOWN; i++) {
        const git_diff_delta *delta = git_diff_get_delta(diff, i);
        const char *how = delta->status == GIT_DELTA_ADDED     ? "added"
                          : delta->status == GIT_DELTA_DELETED ? "removed"
                                                               : "changed";
        json_array_append_new(files,
                              json_pack("{s:s, s:s}", "path", gitops_clean(job, gitops_delta_path(delta)), "is", how));
    }
    return files;
}

static const char *impact(struct gitops_job *job, const struct gitops_change *change, git_diff *diff,
                          const json_t *data)
{
    GITOPS_AUTO(git_diff_stats) *stats = NULL;
    const char *branch = job->gitops->branch;
    size_t count = git_diff_num_deltas(diff);
    if (git_diff_get_stats(&stats, diff) < 0)
        git_error_clear(); /* the counts of lines are then left out */
    const char *lines = stats ? gitops_text(job, " (+%zu -%zu lines)", git_diff_stats_insertions(stats),
                                            git_diff_stats_deletions(stats))
                              : "";
    if (!change->reverts)
        return gitops_text(job, "%s: %s is written, as the deployer's sign to stop%s", branch, job->gitops->freeze_file,
                           lines);
    return gitops_text(job, "%s: %.8s \"%s\" is taken back: %zu file%s%s. Data: %s", branch,
                       git_oid_tostr_s(git_commit_id(change->reverts)), gitops_subject(job, change->reverts), count,
                       count == 1 ? "" : "s", lines, json_string_value(json_object_get(data, "text")));
}

static json_t *to_json(struct gitops_job *job, const struct gitops_change *change, git_diff *diff)
{
    const char *tree = gitops_text(job, "%s", git_oid_tostr_s(&change->to));
    json_t *to = json_pack("{s:s, s:s, s:I, s:o}", "tree", tree, "commit", change->subject, "count",
                           (json_int_t)git_diff_num_deltas(diff), "files", files_json(job, diff));
    if (change->reverts)
        json_object_set_new(to, "reverts", json_string(git_oid_tostr_s(git_commit_id(change->reverts))));
    else
        json_object_set_new(to, "content", json_string(job->gitops->freeze_content));
    return to;
}

static int answer_plan(struct gitops_job *job, const struct gitops_change *change, git_commit *head)
{
    GITOPS_AUTO(git_diff) *diff = NULL;
    json_t *data = NULL;
    if (gitops_diff(job, &change->from, &change->to, &diff) < 0 ||
        (change->reverts && gitops_data(job, &change->head, change->reverts, &data) < 0))
        return -1;
    bool is_safe = !data || (json_is_true(json_object_get(data, "known")) &&
                             json_array_size(json_object_get(data, "migrations")) == 0);
    json_t *from = gitops_commit_json(job, head), *to = to_json(job, change, diff);
    json_object_set_new(from, "tree", json_string(git_oid_tostr_s(&change->from)));
    const char *lease = gitops_text(job, "%s", git_oid_tostr_s(&change->head));
    job->value =
        json_pack("{s:[o], s:o, s:o, s:{s:O, s:{s:O}}, s:s, s:s, s:s, s:s*, s:b, s:{s:I, s:o}}", "targets",
                  json_sprintf("git:%s#%s", job->gitops->remote, job->gitops->branch), "from", from, "to", to, "undo",
                  "tree", json_object_get(from, "tree"), "only_if", "tree", json_object_get(to, "tree"), "by_hand",
                  by_hand(job, lease, change->reverts ? revert_by_hand(job, change) : freeze_by_hand(job)),
                  "undo_by_hand", undo_by_hand(job, change), "impact", impact(job, change, diff, data), "risk",
                  is_safe ? NULL : "high", "no_change", git_oid_equal(&change->from, &change->to), "observed",
                  "as_of_ms", (json_int_t)time(NULL) * 1000, "data", data ? data : json_null());
    return job->value ? 0 : gitops_fail(job, "internal", "the plan could not be put into words");
}

static int look_up_head(struct gitops_job *job, const git_oid *head, git_commit **ret)
{
    return git_commit_lookup(ret, job->gitops->repo, head) == 0
               ? 0
               : gitops_fail(job, "corrupt", "the head could not be read: %s", gitops_git_says(job));
}

int gitops_plan(struct gitops_job *job)
{
    GITOPS_AUTO(git_commit) *commit = NULL;
    struct gitops_change change = {0};
    git_oid head;
    if (gitops_fetch(job, &head) < 0 || look_up_head(job, &head, &commit) < 0)
        return -1;
    const char *why = job->gitops->directory ? gitops_check_push(job) : NULL; /* of ssh it shows when pushing */
    int rc = why ? gitops_fail(job, "refused", "%s", why) : gitops_change_make(job, &head, &change);
    rc = rc ? rc : answer_plan(job, &change, commit);
    gitops_change_done(&change);
    return rc;
}

/* ---- reads ---- */

static json_t *describe(struct gitops_job *job, const git_commit *commit)
{
    json_t *value = gitops_commit_json(job, commit);
    json_object_set_new(value, "by_stanch", json_boolean(gitops_trailer(job, commit, GITOPS_KEY_TRAILER) != NULL));
    json_object_set_new(value, "merge", json_boolean(git_commit_parentcount(commit) > 1));
    return value;
}

static bool is_frozen(struct gitops_job *job, const git_commit *commit)
{
    GITOPS_AUTO(git_tree) *tree = NULL;
    GITOPS_AUTO(git_tree_entry) *entry = NULL;
    const char *file = job->gitops->freeze_file;
    return file && git_commit_tree(&tree, commit) == 0 && git_tree_entry_bypath(&entry, tree, file) == 0;
}

int gitops_head(struct gitops_job *job)
{
    GITOPS_AUTO(git_commit) *commit = NULL;
    git_oid head;
    if (gitops_fetch(job, &head) < 0 || look_up_head(job, &head, &commit) < 0)
        return -1;
    job->value = describe(job, commit);
    json_object_set_new(job->value, "branch", json_string(job->gitops->branch));
    if (job->gitops->freeze_file)
        json_object_set_new(job->value, "frozen", json_boolean(is_frozen(job, commit)));
    return 0;
}

struct listing {
    json_t *commits;
    json_int_t left;
};

static int list_commit(struct gitops_job *job, git_commit *commit, void *ctx)
{
    struct listing *listing = ctx;
    json_array_append_new(listing->commits, describe(job, commit));
    return --listing->left <= 0;
}

int gitops_log(struct gitops_job *job)
{
    json_t *count = json_object_get(job->args, "count");
    struct listing listing = {.left = count ? json_integer_value(count) : 10};
    git_oid head;
    if (gitops_fetch(job, &head) < 0)
        return -1;
    listing.commits = json_array();
    job->value = json_pack("{s:s, s:o}", "branch", job->gitops->branch, "commits", listing.commits);
    return gitops_walk_main(job, &head, list_commit, &listing, &(git_oid){{0}}) < 0 ? -1 : 0;
}

/* ---- check ---- */

static void note(struct gitops_job *job, const char *name, bool is_ok, const char *text)
{
    json_array_append_new(job->value, json_pack("{s:s, s:b, s:s}", "name", name, "ok", is_ok, "text", text));
}

int gitops_check(struct gitops_job *job)
{
    const struct gitops *gitops = job->gitops;
    git_oid head;
    job->value = json_array();
    int rc = gitops_fetch(job, &head);
    note(job, "read", rc == 0,
         rc ? job->why : gitops_text(job, "%s is at %.12s", gitops->branch, git_oid_tostr_s(&head)));
    if (rc == 0) {
        const char *why = gitops_check_push(job);
        note(job, "push", !why,
             why ? why
             : gitops->directory
                 ? "it may be written to"
                 : "the remote lets this key begin a push; whether a hook or a rule for the branch refuses shows with "
                   "the first one");
    }
    job->outcome = GITOPS_DONE;
    return 0;
}
