/* kept.c: a file a store, a commit a checkpoint. What was pushed last stands under the same reference in the clone: a
 * remote that does not have it any more was rewritten, which is what a checkpoint elsewhere is there to show. Other
 * stores may push to the same repository: what they added is built upon. */
#include "book/kept.h"
#include "book/names.h"
#include "book/past.h"
#include "book/remote.h"
#include "base/mem.h"
#include <ftw.h>
#include <git2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NEXT_REF   "refs/stanch/next"
#define MAX_FILES  1000
#define MAX_BYTES  (64u << 20)
#define MAX_STORE  64
#define FETCH_SPEC "+" STANCH_KEPT_REF ":refs/stanch/fetched"
#define PUSH_SPEC  NEXT_REF ":" STANCH_KEPT_REF /* without a plus: only forwards */

struct kept {
    git_repository *repo;
    git_remote *remote;
    const char *url;
    char *shown_url;
};

static void close_kept(struct kept *kept)
{
    git_remote_disconnect(kept->remote);
    git_remote_free(kept->remote);
    git_repository_free(kept->repo);
    free(kept->shown_url);
}

static int open_kept(struct kept *kept, const char *url, const char *clone_dir, struct stanch_err *err)
{
    kept->url = url;
    kept->shown_url = stanch_names_clean_text(url);
    stanch_names_scrub(kept->shown_url, url);
    int rc = stanch_remote_open(clone_dir, &kept->repo, err);
    if (rc == 0 && git_remote_create_anonymous(&kept->remote, kept->repo, url) < 0)
        rc =
            stanch_remote__git_err(err, STANCH_E_UNREACHABLE, url, "%s is not a repository's address", kept->shown_url);
    return rc;
}

static int connect_kept(struct kept *kept, git_direction direction, struct stanch_err *err)
{
    git_remote_connect_options options = GIT_REMOTE_CONNECT_OPTIONS_INIT;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    if (git_remote_connect_ext(kept->remote, direction, &options) < 0)
        return stanch_remote__git_err(err, STANCH_E_UNREACHABLE, kept->url, "%s cannot be reached", kept->shown_url);
    return 0;
}

/* What the remote has; returns STANCH_E_NOT_FOUND when it has none. */
static int fetch_kept(struct kept *kept, git_oid *ret, struct stanch_err *err)
{
    const git_remote_head **heads = NULL;
    size_t count = 0;
    bool found = false;
    int rc = connect_kept(kept, GIT_DIRECTION_FETCH, err);
    if (rc < 0)
        return rc;
    if (git_remote_ls(&heads, &count, kept->remote) < 0)
        count = 0;
    for (size_t i = 0; i < count && !found; i++)
        if (strcmp(heads[i]->name, STANCH_KEPT_REF) == 0) {
            *ret = heads[i]->oid;
            found = true;
        }
    if (!found)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s holds no checkpoint (no %s)", kept->shown_url,
                              STANCH_KEPT_REF);
    char spec[] = FETCH_SPEC, *specs[] = {spec};
    git_strarray list = {specs, 1};
    git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    if (git_remote_download(kept->remote, &list, &options) < 0)
        return stanch_remote__git_err(err, STANCH_E_UNREACHABLE, kept->url, "%s could not be fetched", kept->shown_url);
    git_remote_disconnect(kept->remote);
    return 0;
}

/* ---- writing ---- */

/* What to build upon: what the remote has, if that follows what was pushed last. returns 0 | 1 nothing yet | error */
static int choose_parent(struct kept *kept, const char *clone_dir, git_oid *ret, struct stanch_err *err)
{
    git_oid last, there;
    bool has_last = git_reference_name_to_id(&last, kept->repo, STANCH_KEPT_REF) == 0;
    int rc = fetch_kept(kept, &there, err);
    if (rc == STANCH_E_NOT_FOUND && !has_last)
        return 1;
    bool follows = rc == 0 && (!has_last || git_oid_equal(&last, &there) ||
                               git_graph_descendant_of(kept->repo, &there, &last) == 1);
    if (rc < 0 && rc != STANCH_E_NOT_FOUND)
        return rc;
    if (!follows)
        return stanch_err_set(
            err, STANCH_E_REFUSED,
            "%s does not hold the checkpoint that was pushed to it last (%.12s): its %s was rewritten "
            "or removed. If that was meant, remove %s to begin anew",
            kept->shown_url, git_oid_tostr_s(&last), STANCH_KEPT_REF, clone_dir);
    *ret = there;
    return 0;
}

static int write_tree(struct kept *kept, const git_commit *parent, const char *store, const char *text, size_t len,
                      git_oid *ret)
{
    STANCH_AUTO_FREE char *name = stanch_asprintf("%s.jsonl", store);
    git_treebuilder *builder = NULL;
    git_tree *old = NULL;
    git_oid blob;
    int rc = parent ? git_commit_tree(&old, parent) : 0;
    if (rc == 0)
        rc = git_treebuilder_new(&builder, kept->repo, old);
    if (rc == 0)
        rc = git_blob_create_from_buffer(&blob, kept->repo, text, len);
    if (rc == 0)
        rc = git_treebuilder_insert(NULL, builder, name, &blob, GIT_FILEMODE_BLOB);
    if (rc == 0)
        rc = git_treebuilder_write(ret, builder);
    git_treebuilder_free(builder);
    git_tree_free(old);
    return rc;
}

static int write_commit(struct kept *kept, const git_oid *parent_id, const char *store, const char *text, size_t len,
                        git_oid *ret)
{
    STANCH_AUTO_FREE char *message = stanch_asprintf("checkpoint of store %s\n", store);
    git_commit *parent = NULL;
    git_tree *tree = NULL;
    git_signature *who = NULL;
    git_oid tree_id;
    int rc = parent_id ? git_commit_lookup(&parent, kept->repo, parent_id) : 0;
    if (rc == 0)
        rc = write_tree(kept, parent, store, text, len, &tree_id);
    if (rc == 0)
        rc = git_tree_lookup(&tree, kept->repo, &tree_id);
    if (rc == 0)
        rc = git_signature_now(&who, "stanch", "stanch@localhost");
    const git_commit *parents[] = {parent};
    if (rc == 0)
        rc = git_commit_create(ret, kept->repo, NULL, who, who, NULL, message, tree, parent ? 1 : 0, parents);
    git_signature_free(who);
    git_tree_free(tree);
    git_commit_free(parent);
    return rc;
}

static int on_pushed(const char *ref, const char *status, void *payload)
{
    (void)ref;
    char *why = payload;
    if (status)
        (void)snprintf(why, 200, "%s", status);
    return 0;
}

static int set_ref(struct kept *kept, const char *name, const git_oid *commit, struct stanch_err *err)
{
    git_reference *ref = NULL;
    if (git_reference_create(&ref, kept->repo, name, commit, 1, "checkpoint") < 0)
        return stanch_remote__git_err(err, STANCH_E_SYSTEM, kept->url, "the clone could not keep %s", name);
    git_reference_free(ref);
    return 0;
}

static int push(struct kept *kept, struct stanch_err *err)
{
    char spec[] = PUSH_SPEC, *specs[] = {spec}, refused[200] = "";
    git_strarray list = {specs, 1};
    git_push_options options = GIT_PUSH_OPTIONS_INIT;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    options.callbacks.push_update_reference = on_pushed;
    options.callbacks.payload = refused;
    int rc = git_remote_push(kept->remote, &list, &options);
    if (rc < 0)
        return stanch_remote__git_err(err, rc == GIT_ENONFASTFORWARD ? STANCH_E_REFUSED : STANCH_E_UNREACHABLE,
                                      kept->url, "the checkpoint could not be pushed to %s", kept->shown_url);
    if (*refused)
        return stanch_err_set(err, STANCH_E_REFUSED, "%s refuses the checkpoint: %.200s", kept->shown_url, refused);
    return 0;
}

int stanch_kept_push(const char *url, const char *clone_dir, const char *store, const char *text, size_t len,
                     struct stanch_err *err)
{
    STANCH_CLEANUP(close_kept) struct kept kept = {0};
    git_oid parent, commit;
    if (strlen(store) > MAX_STORE || strspn(store, "0123456789abcdef") != strlen(store) || !*store)
        return stanch_err_set(err, STANCH_E_INVALID, "\"%.80s\" is not the name of a store", store);
    int rc = open_kept(&kept, url, clone_dir, err);
    if (rc == 0)
        rc = choose_parent(&kept, clone_dir, &parent, err);
    if (rc < 0)
        return rc;
    if (write_commit(&kept, rc == 0 ? &parent : NULL, store, text, len, &commit) < 0)
        return stanch_remote__git_err(err, STANCH_E_SYSTEM, url, "the checkpoint could not be committed");
    rc = set_ref(&kept, NEXT_REF, &commit, err);
    if (rc == 0)
        rc = push(&kept, err);
    if (rc == 0)
        rc = set_ref(&kept, STANCH_KEPT_REF, &commit, err);
    return rc;
}

/* ---- reading ---- */

static int remove_one(const char *path, const struct stat *info, int what, struct FTW *walk)
{
    (void)info;
    (void)what;
    (void)walk;
    return remove(path);
}

static int read_files(struct kept *kept, const git_oid *id, struct stanch_buf *ret, struct stanch_err *err)
{
    git_commit *commit = NULL;
    git_tree *tree = NULL;
    int rc = git_commit_lookup(&commit, kept->repo, id);
    if (rc == 0)
        rc = git_commit_tree(&tree, commit);
    size_t count = rc == 0 ? git_tree_entrycount(tree) : 0;
    for (size_t i = 0; rc == 0 && i < count && i < MAX_FILES; i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        git_blob *blob = NULL;
        if (git_tree_entry_type(entry) != GIT_OBJECT_BLOB)
            continue;
        rc = git_blob_lookup(&blob, kept->repo, git_tree_entry_id(entry));
        if (rc == 0 && ret->len + (size_t)git_blob_rawsize(blob) <= MAX_BYTES)
            stanch_buf_add(ret, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
        git_blob_free(blob);
    }
    git_tree_free(tree);
    git_commit_free(commit);
    if (rc < 0)
        return stanch_remote__git_err(err, STANCH_E_SYSTEM, kept->url, "the checkpoints in %s cannot be read",
                                      kept->shown_url);
    return 0;
}

int stanch_kept_read(const char *url, struct stanch_buf *ret, struct stanch_err *err)
{
    char dir[] = "/tmp/stanch-kept-XXXXXX";
    git_oid there;
    if (!mkdtemp(dir))
        return stanch_err_set(err, STANCH_E_SYSTEM, "no directory can be made in /tmp");
    struct kept kept = {0};
    int rc = open_kept(&kept, url, dir, err);
    if (rc == 0)
        rc = fetch_kept(&kept, &there, err);
    if (rc == 0)
        rc = read_files(&kept, &there, ret, err);
    close_kept(&kept);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return rc;
}

/* ---- the process ---- */

static int read_stdin(struct stanch_buf *ret, struct stanch_err *err)
{
    char bytes[65536];
    ssize_t got;
    while ((got = read(STDIN_FILENO, bytes, sizeof bytes)) > 0 && ret->len <= MAX_BYTES)
        stanch_buf_add(ret, bytes, (size_t)got);
    if (got == 0 && ret->len && ret->len <= MAX_BYTES)
        return 0;
    return stanch_err_set(err, STANCH_E_INVALID, "there is no checkpoint on stdin, or it is too large");
}

static int write_out(const struct stanch_buf *text, struct stanch_err *err)
{
    return fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0
               ? 0
               : stanch_err_set(err, STANCH_E_SYSTEM, "the output could not be written");
}

static int run(int argc, char **argv, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = stanch_remote_init(err);
    if (rc == 0 && argc == 5 && strcmp(argv[1], "keep") == 0) {
        rc = read_stdin(&text, err);
        return rc < 0 ? rc : stanch_kept_push(argv[2], argv[3], argv[4], text.data, text.len, err);
    }
    if (rc == 0 && argc == 3 && strcmp(argv[1], "kept") == 0) {
        rc = stanch_kept_read(argv[2], &text, err);
        return rc < 0 ? rc : write_out(&text, err);
    }
    if (rc == 0 && argc == 5 && strcmp(argv[1], "files") == 0) {
        rc = stanch_past_read(argv[2], argv[3], argv[4], &text, err);
        return rc < 0 ? rc : write_out(&text, err);
    }
    return rc < 0 ? rc
                  : stanch_err_set(err, STANCH_E_INVALID,
                                   "book: keep REPO CLONE STORE, kept REPO, or files CLONE COMMIT FOLDER");
}

void stanch_kept_main(int argc, char **argv)
{
    struct stanch_err err = {0};
    stanch_book__harden();
    int rc = run(argc, argv, &err);
    if (rc < 0)
        (void)fprintf(stderr, "stanch: %s\n", err.text);
    _exit(stanch_err_exit(rc)); /* what libgit2 keeps for a regular expression it never gives back */
}
