/* act.c: apply, verify, undo, reconcile. Our commit is found again by what it is: its parent is the head that was
 * planned against, its tree the one that was planned, and it carries the trailer; the key names the intent.
 *
 *   apply   key there already --> done      head is another --> stale     tree comes out other --> stale     push
 *   undo    key there already --> done      a file is not as we left it --> stale      push of the former files
 */
#include "gitops.h"
#include <string.h>

struct ours {
    git_oid head, planned; /* the branch now; what the plan was made against */
    git_oid from, to;      /* trees */
    git_oid commit;        /* ours */
    bool is_there;
};

static int done_with(struct gitops_job *job, const git_oid *commit, const char *how)
{
    job->value = json_pack("{s:s, s:b}", "commit", git_oid_tostr_s(commit), how, 1);
    return 0;
}

static int is_ours(struct gitops_job *job, git_commit *commit, void *ctx)
{
    const struct ours *ours = ctx;
    return git_commit_parentcount(commit) == 1 && git_oid_equal(git_commit_parent_id(commit, 0), &ours->planned) &&
           git_oid_equal(git_commit_tree_id(commit), &ours->to) && gitops_trailer(job, commit, GITOPS_KEY_TRAILER);
}

static int read_plan(struct gitops_job *job, struct ours *ret)
{
    int rc = gitops_plan_id(job, "from", "commit", &ret->planned);
    rc = rc ? rc : gitops_plan_id(job, "from", "tree", &ret->from);
    return rc ? rc : gitops_plan_id(job, "to", "tree", &ret->to);
}

/* The branch as it is, and our commit in it. */
static int find_ours(struct gitops_job *job, struct ours *ret)
{
    int rc = read_plan(job, ret);
    rc = rc ? rc : gitops_fetch(job, &ret->head);
    if (rc < 0)
        return -1;
    rc = gitops_walk(job, &ret->head, &ret->planned, is_ours, ret, &ret->commit);
    ret->is_there = rc == 1;
    return rc < 0 ? -1 : 0;
}

/* ---- apply ---- */

static int push_change(struct gitops_job *job, const struct gitops_change *change)
{
    git_oid commit, planned_tree;
    if (gitops_plan_id(job, "to", "tree", &planned_tree) < 0)
        return -1;
    if (!git_oid_equal(&planned_tree, &change->to))
        return gitops_fail(job, "stale", "the change comes out other than planned; plan again");
    if (git_oid_equal(&change->from, &change->to)) {
        job->value = json_pack("{s:b, s:s}", "no_change", 1, "head", git_oid_tostr_s(&change->head));
        return 0;
    }
    const char *body = change->trailer;
    if (change->reverts)
        body = gitops_text(job, "This reverts commit %s.\n\n%s", git_oid_tostr_s(git_commit_id(change->reverts)), body);
    if (gitops_commit(job, &change->head, &change->to, change->subject, body, &commit) < 0 ||
        gitops_push(job, &commit, &change->head) < 0)
        return -1;
    return done_with(job, &commit, "pushed");
}

int gitops_apply(struct gitops_job *job)
{
    struct ours ours = {0};
    struct gitops_change change = {0};
    if (read_plan(job, &ours) < 0 || gitops_fetch(job, &ours.head) < 0)
        return -1;
    int found = gitops_find_key(job, &ours.head, &ours.planned, job->key, &ours.commit);
    if (found < 0)
        return -1;
    if (found == 1)
        return done_with(job, &ours.commit, "already");
    if (!git_oid_equal(&ours.head, &ours.planned)) {
        const char *planned = gitops_text(job, "%.12s", git_oid_tostr_s(&ours.planned));
        return gitops_fail(job, "stale", "%s is at %.12s now; the plan was made for %s", job->gitops->branch,
                           git_oid_tostr_s(&ours.head), planned);
    }
    int rc = gitops_change_make(job, &ours.head, &change);
    rc = rc ? rc : push_change(job, &change);
    gitops_change_done(&change);
    return rc;
}

/* ---- verify ---- */

/* Nothing was to be done: it holds as long as there is nothing to be done. */
static int verify_no_change(struct gitops_job *job, const struct ours *ours)
{
    struct gitops_change change = {0};
    int rc = gitops_change_make(job, &ours->head, &change);
    bool holds = rc == 0 && git_oid_equal(&change.from, &change.to);
    gitops_change_done(&change);
    if (rc == 0)
        job->value = json_pack("{s:b, s:{s:s}}", "holds", holds, "seen", "head", git_oid_tostr_s(&ours->head));
    return rc;
}

int gitops_verify(struct gitops_job *job)
{
    struct ours ours = {0};
    GITOPS_AUTO(git_diff) *diff = NULL;
    git_oid now;
    if (find_ours(job, &ours) < 0)
        return -1;
    if (git_oid_equal(&ours.from, &ours.to))
        return verify_no_change(job, &ours);
    json_t *seen = json_pack("{s:s}", "head", git_oid_tostr_s(&ours.head));
    job->value = json_pack("{s:o}", "seen", seen);
    const char *other = "the commit is not on the branch";
    if (ours.is_there) {
        if (gitops_tree_of(job, &ours.head, &now) < 0 || gitops_diff(job, &ours.from, &ours.to, &diff) < 0)
            return -1;
        other = gitops_first_other(job, &now, diff, false);
        json_object_set_new(seen, "commit", json_string(git_oid_tostr_s(&ours.commit)));
        if (other)
            other = gitops_text(job, "%s was changed since", other);
    }
    if (other)
        json_object_set_new(seen, "why", json_string(other));
    json_object_set_new(job->value, "holds", json_boolean(!other));
    return 0;
}

/* ---- undo ---- */

static int push_undo(struct gitops_job *job, const struct ours *ours, const git_diff *diff)
{
    const char *what = json_string_value(json_object_get(json_object_get(job->plan, "to"), "commit"));
    const char *ours_text = gitops_text(job, "%s", git_oid_tostr_s(&ours->commit));
    git_oid base, tree, commit;
    if (gitops_tree_of(job, &ours->head, &base) < 0 || gitops_tree_with(job, &base, diff, NULL, true, &tree) < 0 ||
        gitops_commit(job, &ours->head, &tree, gitops_text(job, "Take back: %s", gitops_clean(job, what ? what : "")),
                      gitops_text(job, "This reverts commit %s.\n\nStanch-Undoes: %s", ours_text, ours_text),
                      &commit) < 0 ||
        gitops_push(job, &commit, &ours->head) < 0)
        return -1;
    return done_with(job, &commit, "pushed");
}

int gitops_undo(struct gitops_job *job)
{
    struct ours ours = {0};
    GITOPS_AUTO(git_diff) *diff = NULL;
    git_oid now, earlier;
    if (find_ours(job, &ours) < 0)
        return -1;
    int found = gitops_find_key(job, &ours.head, &ours.planned, job->key, &earlier);
    if (found != 0 && found != 2)
        return found < 0 ? -1 : done_with(job, &earlier, "already");
    if (gitops_tree_of(job, &ours.head, &now) < 0)
        return -1;
    if (!ours.is_there && !git_oid_equal(&now, &ours.from))
        return gitops_fail(job, "stale", "%s does not have the commit of this mitigation (any more): nothing was done",
                           job->gitops->branch);
    if (gitops_diff(job, &ours.from, &ours.to, &diff) < 0)
        return -1;
    if (git_diff_num_deltas(diff) == 0 || !gitops_first_other(job, &now, diff, true))
        return done_with(job, &ours.head, "already");
    const char *other = gitops_first_other(job, &now, diff, false);
    if (other)
        return gitops_fail(job, "stale",
                           "%s was changed on %s since this mitigation; what is there now is somebody else's. Nothing "
                           "was done; by hand: git revert %.12s",
                           other, job->gitops->branch, git_oid_tostr_s(&ours.commit));
    return push_undo(job, &ours, diff);
}

/* ---- reconcile ---- */

/* A push that is still on its way can land only on the very head that it was made for, and so can its repetition: of
 * the two one takes effect. */
int gitops_reconcile(struct gitops_job *job)
{
    struct ours ours = {0};
    git_oid found_at;
    if (read_plan(job, &ours) < 0 || gitops_fetch(job, &ours.head) < 0)
        return -1;
    int found = gitops_find_key(job, &ours.head, &ours.planned, job->key, &found_at);
    if (found < 0)
        return -1;
    bool is_linear = git_oid_equal(&ours.head, &ours.planned) ||
                     git_graph_descendant_of(job->gitops->repo, &ours.head, &ours.planned) == 1;
    job->value = json_string(found == 1 ? "done" : found == 0 && is_linear ? "not-done" : "cannot-tell");
    return 0;
}
