/* change.c: what an action makes of a head: a tree, and the words of the commit. Nothing leaves the clone here, and for
 * the same head it is the same tree, so that apply can make again what was approved and compare. */
#include "gitops.h"
#include <stdio.h>
#include <string.h>

static int not_there(struct gitops_job *job, const char *id)
{
    return gitops_fail(job, "not-found", "commit: %s is not in the history of %s", id, job->gitops->branch);
}

static int look_up(struct gitops_job *job, const git_oid *id, git_commit **ret)
{
    return git_commit_lookup(ret, job->gitops->repo, id) < 0 ? not_there(job, git_oid_tostr_s(id)) : 0;
}

int gitops_tree_of(struct gitops_job *job, const git_oid *commit_id, git_oid *ret)
{
    GITOPS_AUTO(git_commit) *commit = NULL;
    if (look_up(job, commit_id, &commit) < 0)
        return -1;
    *ret = *git_commit_tree_id(commit);
    return 0;
}

int gitops_plan_id(struct gitops_job *job, const char *side, const char *name, git_oid *ret)
{
    const char *text = json_string_value(json_object_get(json_object_get(job->plan, side), name));
    if (text && strlen(text) == GIT_OID_HEXSZ && git_oid_fromstr(ret, text) == 0)
        return 0;
    return gitops_fail(job, "invalid", "plan.%s.%s: the id of an object was expected; make the plan again", side, name);
}

/* ---- which commit ---- */

static int by_id(struct gitops_job *job, const git_oid *head, const char *id, git_commit **ret)
{
    git_repository *repo = job->gitops->repo;
    git_oid short_id;
    size_t len = strlen(id);
    int rc = len < 7 || len > GIT_OID_HEXSZ ? -1 : git_oid_fromstrn(&short_id, id, len);
    rc = rc ? rc : git_commit_lookup_prefix(ret, repo, &short_id, len);
    if (rc == GIT_EAMBIGUOUS)
        return gitops_fail(job, "invalid", "commit: %s fits several objects; give more of it", id);
    if (rc < 0)
        return not_there(job, id);
    const git_oid *found = git_commit_id(*ret);
    if (git_oid_equal(found, head) || git_graph_descendant_of(repo, head, found) == 1)
        return 0;
    git_commit_free(*ret);
    *ret = NULL;
    return not_there(job, id);
}

/* Somebody's commit (not one of stanch), that changes something beneath the path (a text, or NULL). */
static int is_candidate(struct gitops_job *job, git_commit *commit, void *path)
{
    GITOPS_AUTO(git_commit) *parent = NULL;
    if (gitops_trailer(job, commit, GITOPS_KEY_TRAILER))
        return 0;
    if (!path)
        return 1;
    GITOPS_AUTO(git_tree) *before = NULL, *after = NULL;
    GITOPS_AUTO(git_diff) *diff = NULL;
    bool has_parent = git_commit_parentcount(commit) > 0;
    if ((has_parent && (git_commit_parent(&parent, commit, 0) < 0 || git_commit_tree(&before, parent) < 0)) ||
        git_commit_tree(&after, commit) < 0 || git_diff_tree_to_tree(&diff, job->gitops->repo, before, after, NULL) < 0)
        return gitops_fail(job, "corrupt", "commit %s could not be read: %s", git_oid_tostr_s(git_commit_id(commit)),
                           gitops_git_says(job));
    for (size_t i = 0; i < git_diff_num_deltas(diff); i++)
        if (gitops_is_beneath(gitops_delta_path(git_diff_get_delta(diff, i)), path))
            return 1;
    return 0;
}

static const char *path_arg(const struct gitops_job *job)
{
    return json_string_value(json_object_get(job->args, "path"));
}

static int choose(struct gitops_job *job, const git_oid *head, git_commit **ret)
{
    const char *planned = json_string_value(json_object_get(json_object_get(job->plan, "to"), "reverts"));
    const char *given = planned ? planned : json_string_value(json_object_get(job->args, "commit"));
    const char *path = path_arg(job);
    git_oid found;
    if (given)
        return by_id(job, head, given, ret);
    int rc = gitops_walk_main(job, head, is_candidate, (void *)(uintptr_t)path, &found);
    if (rc < 0)
        return -1;
    if (rc != 1)
        return gitops_fail(job, "not-found", "no commit%s%s among the last %d of %s: name one",
                           path ? " that changes " : "", path ? path : "", GITOPS_MAX_WALK, job->gitops->branch);
    return look_up(job, &found, ret);
}

/* ---- the revert ---- */

/* Conflicts beneath the path refuse; those elsewhere are of files that stay as they are. */
static int settle_conflicts(struct gitops_job *job, git_index *index, const char *root, const git_commit *commit)
{
    git_index_conflict_iterator *all = NULL;
    const git_index_entry *base, *ours, *theirs;
    const char *named = "";
    int count = 0;
    if (!git_index_has_conflicts(index))
        return 0;
    int rc = git_index_conflict_iterator_new(&all, index);
    while (rc == 0 && (rc = git_index_conflict_next(&base, &ours, &theirs, all)) == 0) {
        const char *path = ours ? ours->path : theirs ? theirs->path : base->path;
        if (gitops_is_beneath(path, root) && count++ < 10)
            named = gitops_text(job, "%s%s%s", named, *named ? ", " : "", gitops_clean(job, path));
    }
    git_index_conflict_iterator_free(all);
    if (count > 0)
        return gitops_fail(job, "conflict",
                           "%.12s cannot be reverted by itself, later commits changed the same lines: %s%s. Revert by "
                           "hand, or revert the later commits first",
                           git_oid_tostr_s(git_commit_id(commit)), named, count > 10 ? ", ..." : "");
    return git_index_conflict_cleanup(index) < 0 ? gitops_fail(job, "internal", "%s", gitops_git_says(job)) : 0;
}

static int check_allowed(struct gitops_job *job, const git_oid *from, const git_oid *to)
{
    GITOPS_AUTO(git_diff) *diff = NULL;
    const json_t *paths = job->gitops->paths;
    if (gitops_diff(job, from, to, &diff) < 0)
        return -1;
    for (size_t i = 0; paths && i < git_diff_num_deltas(diff); i++) {
        const char *path = gitops_delta_path(git_diff_get_delta(diff, i));
        bool is_allowed = false;
        for (size_t k = 0; k < json_array_size(paths) && !is_allowed; k++)
            is_allowed = gitops_is_beneath(path, json_string_value(json_array_get(paths, k)));
        if (!is_allowed)
            return gitops_fail(job, "refused",
                               "%s would change, which is not beneath the setting `paths`; `path` limits a revert",
                               gitops_clean(job, path));
    }
    return 0;
}

static int revert_tree(struct gitops_job *job, const git_oid *head, const git_commit *commit, git_oid *from,
                       git_oid *to)
{
    git_repository *repo = job->gitops->repo;
    GITOPS_AUTO(git_commit) *ours = NULL;
    GITOPS_AUTO(git_tree) *before = NULL;
    GITOPS_AUTO(git_index) *index = NULL;
    GITOPS_AUTO(git_diff) *diff = NULL;
    git_diff_options options = GIT_DIFF_OPTIONS_INIT;
    unsigned int mainline = git_commit_parentcount(commit) > 1 ? 1 : 0;
    options.flags = GIT_DIFF_INCLUDE_TYPECHANGE;
    if (look_up(job, head, &ours) < 0)
        return -1;
    if (git_revert_commit(&index, repo, (git_commit *)(uintptr_t)commit, ours, mainline, NULL) < 0)
        return gitops_fail(job, "conflict", "%.12s cannot be reverted: %s", git_oid_tostr_s(git_commit_id(commit)),
                           gitops_git_says(job));
    if (settle_conflicts(job, index, path_arg(job), commit) < 0)
        return -1;
    if (git_commit_tree(&before, ours) < 0 || git_diff_tree_to_index(&diff, repo, before, index, &options) < 0)
        return gitops_fail(job, "corrupt", "the head could not be read: %s", gitops_git_says(job));
    *from = *git_tree_id(before);
    return gitops_tree_with(job, from, diff, path_arg(job), false, to);
}

static int make_revert(struct gitops_job *job, struct gitops_change *ret)
{
    if (choose(job, &ret->head, &ret->reverts) < 0)
        return -1;
    const char *id = gitops_text(job, "%s", git_oid_tostr_s(git_commit_id(ret->reverts))), *path = path_arg(job);
    if (git_commit_parentcount(ret->reverts) == 0)
        return gitops_fail(job, "refused", "%.12s is the first commit: there is nothing to go back to", id);
    if (revert_tree(job, &ret->head, ret->reverts, &ret->from, &ret->to) < 0)
        return -1;
    ret->subject =
        gitops_text(job, "Revert \"%s\"%s%s", gitops_subject(job, ret->reverts), path ? " in " : "", path ? path : "");
    ret->trailer = gitops_text(job, "Stanch-Reverts: %s", id);
    return check_allowed(job, &ret->from, &ret->to);
}

static int make_freeze(struct gitops_job *job, struct gitops_change *ret)
{
    const struct gitops *gitops = job->gitops;
    if (!gitops->freeze_file)
        return gitops_fail(job, "refused", "this instance has no setting freeze_file");
    ret->subject = gitops_text(job, "Freeze deploys: %s", gitops->freeze_file);
    ret->trailer = gitops_text(job, "Stanch-Freezes: %s", gitops->freeze_file);
    int rc = gitops_tree_of(job, &ret->head, &ret->from);
    return rc ? rc : gitops_tree_with_file(job, &ret->from, gitops->freeze_file, gitops->freeze_content, &ret->to);
}

int gitops_change_make(struct gitops_job *job, const git_oid *head, struct gitops_change *ret)
{
    *ret = (struct gitops_change){.head = *head};
    return strcmp(job->action, "freeze") == 0 ? make_freeze(job, ret) : make_revert(job, ret);
}

void gitops_change_done(struct gitops_change *change)
{
    git_commit_free(change->reverts);
    change->reverts = NULL;
}

int gitops_commit(struct gitops_job *job, const git_oid *parent_id, const git_oid *tree_id, const char *subject,
                  const char *body, git_oid *ret)
{
    const struct gitops *gitops = job->gitops;
    GITOPS_AUTO(git_commit) *parent = NULL;
    GITOPS_AUTO(git_tree) *tree = NULL;
    GITOPS_AUTO(git_signature) *who = NULL;
    const char *message = gitops_text(job, "%s\n\n%s\n" GITOPS_KEY_TRAILER ": %s\n", subject, body, job->key);
    if (look_up(job, parent_id, &parent) < 0)
        return -1;
    if (git_tree_lookup(&tree, gitops->repo, tree_id) < 0 ||
        git_signature_now(&who, gitops->author_name, gitops->author_email) < 0 ||
        git_commit_create(ret, gitops->repo, NULL, who, who, "UTF-8", message, tree, 1,
                          (const git_commit *[]){parent}) < 0)
        return gitops_fail(job, "system", "the commit could not be made in the clone: %s", gitops_git_says(job));
    return 0;
}
