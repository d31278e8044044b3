/* tree.c: trees and their differences. A tree is changed by way of an index in memory, which knows what becomes of
 * folders. */
#include "gitops.h"
#include <string.h>

bool gitops_is_beneath(const char *path, const char *root)
{
    size_t len = root ? strlen(root) : 0;
    if (len == 0)
        return true;
    if (strncmp(path, root, len) != 0)
        return false;
    return path[len] == '\0' || path[len] == '/' || root[len - 1] == '/';
}

const char *gitops_delta_path(const git_diff_delta *delta)
{
    return delta->status == GIT_DELTA_DELETED ? delta->old_file.path : delta->new_file.path;
}

static int broken(struct gitops_job *job)
{
    return gitops_fail(job, "corrupt", "the clone could not be read (it is only a copy: remove %s): %s",
                       job->gitops->clone_dir, gitops_git_says(job));
}

int gitops_diff(struct gitops_job *job, const git_oid *from, const git_oid *to, git_diff **ret)
{
    git_repository *repo = job->gitops->repo;
    GITOPS_AUTO(git_tree) *before = NULL, *after = NULL;
    git_diff_options options = GIT_DIFF_OPTIONS_INIT;
    options.flags = GIT_DIFF_INCLUDE_TYPECHANGE;
    if (git_tree_lookup(&before, repo, from) < 0 || git_tree_lookup(&after, repo, to) < 0 ||
        git_diff_tree_to_tree(ret, repo, before, after, &options) < 0)
        return broken(job);
    size_t count = git_diff_num_deltas(*ret);
    if (count <= GITOPS_MAX_FILES)
        return 0;
    git_diff_free(*ret);
    *ret = NULL;
    return gitops_fail(job, "too-large", "this would change %zu files; at most %d were expected of a mitigation", count,
                       GITOPS_MAX_FILES);
}

static int read_index(struct gitops_job *job, const git_oid *tree_id, git_index **ret)
{
    GITOPS_AUTO(git_tree) *tree = NULL;
    if (git_tree_lookup(&tree, job->gitops->repo, tree_id) < 0 || git_index_new(ret) < 0 ||
        git_index_read_tree(*ret, tree) < 0)
        return broken(job);
    return 0;
}

static int put_file(git_index *index, const git_diff_file *file)
{
    git_index_entry entry = {.mode = file->mode, .id = file->id, .path = file->path};
    return git_index_add(index, &entry);
}

int gitops_tree_with(struct gitops_job *job, const git_oid *base, const git_diff *diff, const char *root, bool is_back,
                     git_oid *ret)
{
    GITOPS_AUTO(git_index) *index = NULL;
    if (read_index(job, base, &index) < 0)
        return -1;
    git_delta_t gone = is_back ? GIT_DELTA_ADDED : GIT_DELTA_DELETED;
    int rc = 0;
    for (int adding = 0; adding < 2; adding++) /* a folder goes before a file of its name comes */
        for (size_t i = 0; rc == 0 && i < git_diff_num_deltas(diff); i++) {
            const git_diff_delta *delta = git_diff_get_delta(diff, i);
            if (!gitops_is_beneath(gitops_delta_path(delta), root) || (delta->status != gone) != adding)
                continue;
            rc = adding ? put_file(index, is_back ? &delta->old_file : &delta->new_file)
                        : git_index_remove(index, gitops_delta_path(delta), 0);
        }
    return rc < 0 || git_index_write_tree_to(ret, index, job->gitops->repo) < 0 ? broken(job) : 0;
}

int gitops_tree_with_file(struct gitops_job *job, const git_oid *base, const char *path, const char *content,
                          git_oid *ret)
{
    GITOPS_AUTO(git_index) *index = NULL;
    git_index_entry entry = {.mode = GIT_FILEMODE_BLOB, .path = path};
    if (read_index(job, base, &index) < 0)
        return -1;
    if (git_blob_create_from_buffer(&entry.id, job->gitops->repo, content, strlen(content)) < 0 ||
        git_index_add(index, &entry) < 0 || git_index_write_tree_to(ret, index, job->gitops->repo) < 0)
        return broken(job);
    return 0;
}

static bool is_as(const git_tree *tree, const git_diff_file *file, const char *path, bool is_there)
{
    GITOPS_AUTO(git_tree_entry) *entry = NULL;
    bool has = git_tree_entry_bypath(&entry, tree, path) == 0;
    if (!has || !is_there)
        return has == is_there;
    return git_oid_equal(git_tree_entry_id(entry), &file->id) &&
           git_tree_entry_filemode_raw(entry) == (git_filemode_t)file->mode;
}

const char *gitops_first_other(struct gitops_job *job, const git_oid *tree_id, const git_diff *diff, bool is_old)
{
    GITOPS_AUTO(git_tree) *tree = NULL;
    if (git_tree_lookup(&tree, job->gitops->repo, tree_id) < 0)
        return "the tree";
    for (size_t i = 0; i < git_diff_num_deltas(diff); i++) {
        const git_diff_delta *delta = git_diff_get_delta(diff, i);
        const char *path = gitops_delta_path(delta);
        bool is_there = delta->status != (is_old ? GIT_DELTA_ADDED : GIT_DELTA_DELETED);
        if (!is_as(tree, is_old ? &delta->old_file : &delta->new_file, path, is_there))
            return gitops_clean(job, path);
    }
    return NULL;
}
