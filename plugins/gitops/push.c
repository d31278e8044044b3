/* push.c: put a commit onto the branch, only where it was planned to go.
 *
 * By ssh or https: the connection tells the branch's head; when it is the expected one the push names it as the old value, and
 * the remote's git takes the push only if it is that still. That is what --force-with-lease does; nothing is forced.
 *
 *     connect --head is another--> stale      sent --"ng"--> failed, stale when the head moved meanwhile
 *         '--> sent --"ok"--> done                '--nothing--> unknown
 *
 * In a directory: the objects are written as a pack, the reference is changed under its lock if it is still the
 * expected one. libgit2 runs no hooks: a repository that has some is refused, since they may be what protects it, or
 * what deploys.
 */
#include "gitops.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PUSH_REF     "refs/stanch/push"
#define LOCK_TRIES   100
#define LOCK_WAIT_NS 20000000L

static int stale(struct gitops_job *job, const git_oid *expected, const git_oid *now)
{
    const char *before = gitops_text(job, "%.12s", git_oid_tostr_s(expected));
    return gitops_fail(job, "stale",
                       "%s has moved from %s to %.12s since: nothing was pushed. Plan again (or somebody may be fixing "
                       "it there)",
                       job->gitops->branch, before, git_oid_tostr_s(now));
}

/* ---- a directory ---- */

static const char *find_hook(struct gitops_job *job)
{
    static const char *const hooks[] = {"pre-receive",  "update",           "post-receive",          "post-update",
                                        "proc-receive", "push-to-checkout", "reference-transaction", NULL};
    for (const char *const *hook = hooks; *hook; hook++) {
        const char *path = gitops_text(job, "%s/hooks/%s", job->gitops->directory, *hook);
        if (access(path, X_OK) == 0)
            return *hook;
    }
    return NULL;
}

static const char *check_directory(struct gitops_job *job, git_repository *remote)
{
    const char *directory = job->gitops->directory, *hook = find_hook(job);
    if (!git_repository_is_bare(remote))
        return gitops_text(job, "%s is no bare repository: what is checked out there would not follow", directory);
    if (hook)
        return gitops_text(job,
                           "%s has the hook %s, which only git itself runs: reach this repository by ssh (url) instead",
                           directory, hook);
    static const char *const written[] = {"objects/pack", "refs/heads", NULL};
    for (const char *const *one = written; *one; one++)
        if (access(gitops_text(job, "%s/%s", directory, *one), W_OK | X_OK) < 0)
            return gitops_text(job, "%s/%s may not be written to by the user that runs Stanch", directory, *one);
    return NULL;
}

static int send_objects(struct gitops_job *job, const git_oid *commit, const git_oid *expected)
{
    git_repository *repo = job->gitops->repo;
    GITOPS_AUTO(git_packbuilder) *pack = NULL;
    GITOPS_AUTO(git_revwalk) *walk = NULL;
    const char *into = gitops_text(job, "%s/objects/pack", job->gitops->directory);
    int rc = git_packbuilder_new(&pack, repo);
    rc = rc ? rc : git_revwalk_new(&walk, repo);
    rc = rc ? rc : git_revwalk_push(walk, commit);
    rc = rc ? rc : git_revwalk_hide(walk, expected);
    rc = rc ? rc : git_packbuilder_insert_walk(pack, walk);
    rc = rc ? rc : git_packbuilder_write(pack, into, 0, NULL, NULL);
    return rc ? gitops_fail(job, "forbidden", "%s could not be written to: %s", into, gitops_git_says(job)) : 0;
}

/* Under the reference's lock, which somebody's push holds for a moment. */
static int change_reference(struct gitops_job *job, git_repository *remote, const git_oid *commit,
                            const git_oid *expected)
{
    int rc = GIT_ELOCKED;
    for (int i = 0; rc == GIT_ELOCKED && i < LOCK_TRIES && !job->is_cut; i++) {
        GITOPS_AUTO(git_reference) *changed = NULL;
        if (i > 0)
            (void)nanosleep(&(struct timespec){.tv_nsec = LOCK_WAIT_NS}, NULL);
        rc = git_reference_create_matching(&changed, remote, job->gitops->ref, commit, 1, expected, "stanch");
    }
    return rc;
}

static int push_directory(struct gitops_job *job, const git_oid *commit, const git_oid *expected)
{
    const struct gitops *gitops = job->gitops;
    GITOPS_AUTO(git_repository) *remote = NULL;
    git_oid now = {{0}};
    if (git_repository_open_bare(&remote, gitops->directory) < 0)
        return gitops_fail(job, "unreachable", "%s cannot be opened: %s", gitops->directory, gitops_git_says(job));
    const char *why = check_directory(job, remote);
    if (why)
        return gitops_fail(job, "refused", "%s", why);
    if (git_reference_name_to_id(&now, remote, gitops->ref) < 0 || !git_oid_equal(&now, expected))
        return stale(job, expected, &now);
    if (send_objects(job, commit, expected) < 0)
        return -1;
    if (job->is_cut)
        return gitops_fail_retry(job, "timeout", "there was no time left to push");
    int rc = change_reference(job, remote, commit, expected);
    if (rc == 0)
        return 0;
    if (rc == GIT_ELOCKED)
        return gitops_fail_retry(job, "busy", "%s in %s is locked: somebody is pushing, or a lock was left behind",
                                 gitops->ref, gitops->directory);
    why = gitops_git_says(job);
    if (git_reference_name_to_id(&now, remote, gitops->ref) == 0 && git_oid_equal(&now, commit))
        return 0;
    return rc == GIT_EMODIFIED ? stale(job, expected, &now)
                               : gitops_fail(job, "forbidden", "%s in %s could not be changed: %s", gitops->ref,
                                             gitops->directory, why);
}

/* ---- by ssh or https ---- */

/* The last moment before something is sent. */
static int on_negotiation(const git_push_update **updates, size_t count, void *payload)
{
    struct gitops_job *job = payload;
    (void)updates;
    (void)count;
    if (job->is_cut)
        return GIT_EUSER;
    job->is_sent = true;
    return 0;
}

static int on_reference(const char *ref, const char *status, void *payload)
{
    struct gitops_job *job = payload;
    (void)ref;
    if (status)
        job->rejected = gitops_clean(job, status);
    return 0;
}

static int look_again(struct gitops_job *job, git_oid *ret)
{
    GITOPS_AUTO(git_remote) *remote = NULL;
    git_remote_callbacks callbacks = GIT_REMOTE_CALLBACKS_INIT;
    int rc = gitops_connect(job, GIT_DIRECTION_FETCH, &callbacks, &remote);
    rc = rc ? rc : gitops_remote_head(job, remote, ret);
    if (remote)
        git_remote_disconnect(remote);
    return rc;
}

static int end_rejected(struct gitops_job *job, const git_oid *commit, const git_oid *expected)
{
    git_oid now;
    const char *said = gitops_clean(job, job->said), *rejected = job->rejected;
    bool is_seen = look_again(job, &now) == 0;
    if (is_seen && git_oid_equal(&now, commit))
        return 0; /* it had come before, and this was its repetition */
    if (is_seen && !git_oid_equal(&now, expected))
        return stale(job, expected, &now);
    return gitops_fail(job, "refused", "%s refused the push to %s: %s%s%s", job->gitops->remote, job->gitops->branch,
                       rejected, *said ? "; it said: " : "", said);
}

/* Statuses that a server answers with before git sees the push; others may come from in between, while it works. */
static bool is_untouched(int status)
{
    static const int statuses[] = {301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 411, 413, 415};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i] == status)
            return true;
    return false;
}

static int end_upload(struct gitops_job *job, int rc, const git_oid *commit, const git_oid *expected)
{
    const char *why = gitops_git_says(job), *remote = job->gitops->remote;
    int status = rc == 0 ? 0 : gitops_http_status(why);
    if (job->rejected)
        return end_rejected(job, commit, expected);
    if (rc == 0)
        return 0;
    if (!job->is_sent)
        return gitops_fail_retry(job, job->is_cut ? "timeout" : "unreachable", "nothing was pushed to %s: %s", remote,
                                 job->is_cut ? "there was no time left" : why);
    if (strstr(why, "unpacking the sent packfile failed"))
        return gitops_fail(job, "forbidden", "%s could not store what was pushed (may its user write there?): %s",
                           remote, gitops_clean(job, job->said));
    if (is_untouched(status) || strstr(why, "unexpected redirect"))
        return gitops_fail(job, status == 401 || status == 403 ? "forbidden" : "refused",
                           "%s did not take the push (%s): may the token push to %s?", remote, why,
                           job->gitops->branch);
    return gitops_unknown(job, "unreachable", "the push to %s was sent, and its answer did not come: %s", remote, why);
}

static int push_remote(struct gitops_job *job, const git_oid *commit, const git_oid *expected)
{
    struct gitops *gitops = job->gitops;
    GITOPS_AUTO(git_remote) *remote = NULL;
    GITOPS_AUTO(git_reference) *ref = NULL;
    git_push_options options = GIT_PUSH_OPTIONS_INIT;
    git_oid now;
    options.callbacks.push_negotiation = on_negotiation;
    options.callbacks.push_update_reference = on_reference;
    const char *spec = gitops_text(job, PUSH_REF ":%s", gitops->ref);
    git_strarray specs = {(char *[]){(char *)(uintptr_t)spec}, 1};
    if (git_reference_create(&ref, gitops->repo, PUSH_REF, commit, 1, "push") < 0)
        return gitops_fail(job, "system", "the clone could not keep " PUSH_REF ": %s", gitops_git_says(job));
    int rc = gitops_connect(job, GIT_DIRECTION_PUSH, &options.callbacks, &remote);
    rc = rc ? rc : gitops_remote_head(job, remote, &now);
    if (rc == 0 && !git_oid_equal(&now, expected))
        rc = stale(job, expected, &now);
    if (rc == 0)
        rc = end_upload(job, git_remote_upload(remote, &specs, &options), commit, expected);
    if (remote)
        git_remote_disconnect(remote);
    return rc;
}

int gitops_push(struct gitops_job *job, const git_oid *commit, const git_oid *expected)
{
    return job->gitops->directory ? push_directory(job, commit, expected) : push_remote(job, commit, expected);
}

/* ---- the check ---- */

const char *gitops_check_push(struct gitops_job *job)
{
    GITOPS_AUTO(git_remote) *connection = NULL;
    git_remote_callbacks callbacks = GIT_REMOTE_CALLBACKS_INIT;
    git_oid head;
    if (job->gitops->directory) {
        GITOPS_AUTO(git_repository) *remote = NULL;
        return git_repository_open_bare(&remote, job->gitops->directory) < 0
                   ? gitops_text(job, "%s is no bare repository: %s", job->gitops->directory, gitops_git_says(job))
                   : check_directory(job, remote);
    }
    int rc = gitops_connect(job, GIT_DIRECTION_PUSH, &callbacks, &connection);
    rc = rc ? rc : gitops_remote_head(job, connection, &head);
    if (connection)
        git_remote_disconnect(connection);
    return rc ? job->why : NULL;
}
