/* tree.c: walk one folder of a commit. Sizes are asked of the object database before a blob is loaded, and a folder's
 * number of entries before they are looked at, so that a crafted tree costs no more than an honest one. */
#include "book/tree.h"
#include "base/json.h"
#include "base/mem.h"
#include "book/names.h"
#include "book/remote.h"
#include <stdlib.h>
#include <string.h>

struct walk {
    git_repository *repo;
    git_odb *odb;
    struct stanch_tree *out;
    struct stanch_err *err;
};

static int refuse(struct walk *walk, const char *path, const char *why)
{
    STANCH_AUTO_FREE char *shown = stanch_names_clean_text(path);
    return stanch_err_set(walk->err, STANCH_E_REFUSED, "%.200s: %s", *shown ? shown : "the folder of runbooks", why);
}

static int corrupt(struct walk *walk, const char *path)
{
    STANCH_AUTO_FREE char *shown = stanch_names_clean_text(path);
    return stanch_remote__git_err(walk->err, STANCH_E_CORRUPT, "", "%.200s could not be read", shown);
}

static int check_clash(struct walk *walk, const git_tree *tree, const char *path)
{
    size_t count = git_tree_entrycount(tree);
    const char **names = stanch_alloc((count + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = git_tree_entry_name(git_tree_entry_byindex(tree, i));
    int at = stanch_names_find_clash(names, count);
    if (at >= 0) {
        STANCH_AUTO_FREE char *shown = stanch_names_clean_text(path);
        stanch_err_set(walk->err, STANCH_E_REFUSED, "%.200s: \"%.100s\" and \"%.100s\" differ in case only",
                       *shown ? shown : "the folder of runbooks", names[at], names[at + 1]);
    }
    free((void *)names);
    return at >= 0 ? STANCH_E_REFUSED : 0;
}

static int take_bytes(struct walk *walk, const git_oid *id, const char *path)
{
    git_blob *blob = NULL;
    if (git_blob_lookup(&blob, walk->repo, id) < 0)
        return corrupt(walk, path);
    size_t len = (size_t)git_blob_rawsize(blob);
    stanch_buf_add(&walk->out->bytes, git_blob_rawcontent(blob), len);
    git_blob_free(blob);
    json_array_append_new(walk->out->files, json_pack("{s:s,s:I}", "path", path, "len", (json_int_t)len));
    return 0;
}

static int take_file(struct walk *walk, const git_tree_entry *entry, const char *path)
{
    size_t size;
    git_object_t type;
    const git_oid *id = git_tree_entry_id(entry);
    if (git_odb_read_header(&size, &type, walk->odb, id) < 0)
        return corrupt(walk, path);
    if (type != GIT_OBJECT_BLOB)
        return refuse(walk, path, "is not a file, though its folder says so");
    struct stanch_tree *out = walk->out;
    if (++out->all_files > STANCH_BOOK_MAX_FILES)
        return refuse(walk, path, "one more than 1,000 files; give the folder that holds the runbooks");
    bool is_lua = stanch_names_is_lua(path);
    if (is_lua && size > STANCH_BOOK_MAX_LUA_BYTES)
        return refuse(walk, path, "is larger than 128 KiB");
    out->all_bytes += size < STANCH_BOOK_MAX_BYTES ? size : STANCH_BOOK_MAX_BYTES;
    if (out->all_bytes > STANCH_BOOK_MAX_BYTES || size >= STANCH_BOOK_MAX_BYTES)
        return refuse(walk, path, "with it the files are more than 16 MiB; give the folder that holds the runbooks");
    if (is_lua)
        return take_bytes(walk, id, path);
    out->other_files++;
    return 0;
}

static int walk_folder(struct walk *walk, const git_oid *id, const char *path, int depth);

static int take_entry(struct walk *walk, const git_tree_entry *entry, const char *folder, int depth)
{
    const char *name = git_tree_entry_name(entry);
    STANCH_AUTO_FREE char *path = *folder ? stanch_asprintf("%s/%s", folder, name) : stanch_strdup(name);
    if (stanch_names_check(name, walk->err) < 0)
        return *folder ? stanch_err_wrap(walk->err, "%.200s", folder) : STANCH_E_REFUSED;
    if (strlen(path) > STANCH_BOOK_MAX_PATH_BYTES)
        return refuse(walk, path, "is a path of more than 512 bytes");
    switch (git_tree_entry_filemode(entry)) {
    case GIT_FILEMODE_BLOB:
    case GIT_FILEMODE_BLOB_EXECUTABLE:
        return take_file(walk, entry, path);
    case GIT_FILEMODE_TREE:
        return walk_folder(walk, git_tree_entry_id(entry), path, depth + 1);
    case GIT_FILEMODE_LINK:
        return refuse(walk, path, "is a symbolic link; only files are taken");
    case GIT_FILEMODE_COMMIT:
        return refuse(walk, path, "is a submodule; only files are taken");
    case GIT_FILEMODE_UNREADABLE:
    default:
        return refuse(walk, path, "is of an unknown kind; only files are taken");
    }
}

/* Recursive, but never deeper than STANCH_BOOK_MAX_DEPTH. */
static int walk_folder(struct walk *walk, const git_oid *id, const char *path, int depth) // NOLINT(misc-no-recursion)
{
    if (depth > STANCH_BOOK_MAX_DEPTH)
        return refuse(walk, path, "folders more than 16 deep");
    git_tree *tree = NULL;
    if (git_tree_lookup(&tree, walk->repo, id) < 0)
        return corrupt(walk, *path ? path : "the folder of runbooks");
    size_t count = git_tree_entrycount(tree);
    int rc = 0;
    if (count > STANCH_BOOK_MAX_FILES)
        rc = refuse(walk, path, "more than 1,000 files; give the folder that holds the runbooks");
    else
        rc = check_clash(walk, tree, path);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = take_entry(walk, git_tree_entry_byindex(tree, i), path, depth);
    git_tree_free(tree);
    return rc;
}

static int find_folder(struct walk *walk, git_commit *commit, const char *folder, git_oid *ret)
{
    if (!*folder) {
        *ret = *git_commit_tree_id(commit);
        return 0;
    }
    git_tree *root = NULL;
    if (git_commit_tree(&root, commit) < 0)
        return corrupt(walk, "the tree of the commit");
    git_tree_entry *entry = NULL;
    int rc = git_tree_entry_bypath(&entry, root, folder);
    git_tree_free(root);
    if (rc < 0 || git_tree_entry_type(entry) != GIT_OBJECT_TREE) {
        git_tree_entry_free(entry);
        return stanch_err_set(walk->err, STANCH_E_NOT_FOUND, "commit %.12s has no folder \"%s\"",
                              git_oid_tostr_s(git_commit_id(commit)), folder);
    }
    *ret = *git_tree_entry_id(entry);
    git_tree_entry_free(entry);
    return 0;
}

int stanch_tree_read(git_commit *commit, const char *folder, struct stanch_tree *ret, struct stanch_err *err)
{
    struct walk walk = {git_commit_owner(commit), NULL, ret, err};
    ret->files = json_array();
    git_oid id;
    int rc = find_folder(&walk, commit, folder, &id);
    if (rc < 0)
        return rc;
    if (git_repository_odb(&walk.odb, walk.repo) < 0)
        return corrupt(&walk, "the object database");
    rc = walk_folder(&walk, &id, "", 0);
    git_odb_free(walk.odb);
    return rc;
}

static void set_clean(json_t *head, const char *key, const char *text)
{
    STANCH_AUTO_FREE char *clean = stanch_names_clean_text(text);
    json_object_set_new(head, key, json_string(clean));
}

int stanch_tree_candidate(git_commit *commit, const char *folder, struct stanch_tree *ret, json_t **ret_head,
                          struct stanch_err *err)
{
    int rc = stanch_tree_read(commit, folder, ret, err);
    if (rc < 0)
        return rc;
    json_t *head = json_pack(
        "{s:s,s:s,s:I,s:O,s:I}", "t", "candidate", "commit", git_oid_tostr_s(git_commit_id(commit)), "commit_at_ms",
        (json_int_t)git_commit_time(commit) * 1000, "files", ret->files, "other_files", (json_int_t)ret->other_files);
    set_clean(head, "summary", git_commit_summary(commit));
    const git_signature *author = git_commit_author(commit);
    set_clean(head, "author", author ? author->name : "");
    *ret_head = head;
    return 0;
}

void stanch_tree_done(struct stanch_tree *tree)
{
    json_decref(tree->files);
    stanch_buf_done(&tree->bytes);
    *tree = (struct stanch_tree){0};
}
