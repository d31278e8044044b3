/* past.c: a commit by its name, out of the clone as it is. */
#include "book/past.h"
#include "base/json.h"
#include "book/remote.h"
#include "book/tree.h"
#include <string.h>

#define MIN_DIGITS 7

static int find_commit(git_repository *repo, const char *name, git_commit **ret, struct stanch_err *err)
{
    git_oid id;
    size_t len = strlen(name);
    if (len < MIN_DIGITS || len > GIT_OID_HEXSZ || strspn(name, "0123456789abcdef") != len ||
        git_oid_fromstrn(&id, name, len) < 0)
        return stanch_err_set(err, STANCH_E_INVALID, "\"%.80s\" is no commit: give %d to %d hex digits of its id", name,
                              MIN_DIGITS, GIT_OID_HEXSZ);
    int rc = git_commit_lookup_prefix(ret, repo, &id, len);
    if (rc == GIT_ENOTFOUND)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "the clone of the repository has no commit %s", name);
    if (rc == GIT_EAMBIGUOUS)
        return stanch_err_set(err, STANCH_E_CONFLICT, "more than one object begins with %s: give more of its id", name);
    return rc < 0 ? stanch_remote__git_err(err, STANCH_E_CORRUPT, "", "commit %s could not be read", name) : 0;
}

static int write_commit(git_commit *commit, const char *folder, struct stanch_buf *ret, struct stanch_err *err)
{
    struct stanch_tree tree = {0};
    json_t *head = NULL;
    int rc = stanch_tree_candidate(commit, folder, &tree, &head, err);
    if (rc == 0) {
        stanch_json_write(head, ret);
        stanch_buf_char(ret, '\n');
        stanch_buf_add(ret, tree.bytes.data, tree.bytes.len);
    }
    json_decref(head);
    stanch_tree_done(&tree);
    return rc;
}

int stanch_past_read(const char *clone_dir, const char *commit, const char *folder, struct stanch_buf *ret,
                     struct stanch_err *err)
{
    git_repository *repo = NULL;
    git_commit *found = NULL;
    if (git_repository_open_bare(&repo, clone_dir) < 0)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no clone of the repository at %.500s", clone_dir);
    int rc = find_commit(repo, commit, &found, err);
    rc = rc ? rc : write_commit(found, folder, ret, err);
    git_commit_free(found);
    git_repository_free(repo);
    return rc;
}
