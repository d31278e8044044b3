/* remote.c: the bare clone and its remote, on libgit2.
 *
 * The remote is asked first for what its branch is at (the list of references), so that a branch that was deleted is
 * told from one that did not move, and a fetch that brings nothing costs nothing. What was fetched is kept alive by
 * one reference of ours; history is judged against the accepted commit, never against that reference.
 */
#include "book/remote.h"
#include "base/log.h"
#include "base/mem.h"
#include "book/names.h"
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_FETCH_BYTES   (256u << 20)
#define MAX_FETCH_OBJECTS 2000000u
#define MAX_REF_DEPTH     16
#define CERTIFICATES      "/etc/ssl/certs/ca-certificates.crt"

int stanch_remote__git_err(struct stanch_err *err, int code, const char *url, const char *fmt, ...)
{
    char where[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(where, sizeof where, fmt, ap);
    va_end(ap);
    const git_error *last = git_error_last();
    STANCH_AUTO_FREE char *why = stanch_names_clean_text(last && last->message ? last->message : "no reason given");
    STANCH_AUTO_FREE char *text = stanch_asprintf("%s: %s", where, why);
    stanch_names_scrub(text, url);
    return stanch_err_set(err, code, "%s", text);
}

int stanch_remote_init(struct stanch_err *err)
{
    if (stanch_remote__use_memory() < 0 || git_libgit2_init() < 0)
        return stanch_remote__git_err(err, STANCH_E_SYSTEM, "", "libgit2 did not start");
    /* The operator's configuration names the repository, whoever owns its files; nothing of it is executed here. */
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 1);
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1);
    static const int levels[] = {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL,
                                 GIT_CONFIG_LEVEL_PROGRAMDATA};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
    if (access(CERTIFICATES, R_OK) == 0)
        git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, CERTIFICATES, NULL);
    return 0;
}

/* A fetch that was killed leaves its half-written pack; this process is the only writer. */
static void remove_leftovers(const char *repo_dir)
{
    STANCH_AUTO_FREE char *packs = stanch_asprintf("%s/objects/pack", repo_dir);
    DIR *dir = opendir(packs);
    if (!dir)
        return;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (strncmp(entry->d_name, "pack_git2_", 10) == 0 && unlinkat(dirfd(dir), entry->d_name, 0) < 0)
            stanch_log(STANCH_LOG_WARN, "book", "a left-over pack stays file=%s/%s", packs, entry->d_name);
    closedir(dir);
}

/* A process that was killed while it wrote leaves git's lock files, at the top and among the references. */
static void remove_locks(const char *path, int depth)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name);
        bool is_lock = len > 5 && strcmp(entry->d_name + len - 5, ".lock") == 0;
        if (is_lock && unlinkat(dirfd(dir), entry->d_name, 0) < 0)
            stanch_log(STANCH_LOG_WARN, "book", "a left-over lock stays file=%s/%s", path, entry->d_name);
        bool is_inside = entry->d_type == DT_DIR && entry->d_name[0] != '.';
        if (is_inside && depth < MAX_REF_DEPTH && (depth > 0 || strcmp(entry->d_name, "refs") == 0)) {
            STANCH_AUTO_FREE char *below = stanch_asprintf("%s/%s", path, entry->d_name);
            remove_locks(below, depth + 1);
        }
    }
    closedir(dir);
}

int stanch_remote_open(const char *repo_dir, git_repository **ret, struct stanch_err *err)
{
    remove_locks(repo_dir, 0);
    int rc = git_repository_open_bare(ret, repo_dir);
    if (rc == GIT_ENOTFOUND) {
        git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
        options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_MKPATH;
        options.mode = 0700;
        rc = git_repository_init_ext(ret, repo_dir, &options);
    }
    if (rc < 0)
        return stanch_remote__git_err(err, STANCH_E_SYSTEM, "",
                                      "the clone in %s cannot be used (it is only a copy: remove it to fetch anew)",
                                      repo_dir);
    remove_leftovers(repo_dir);
    return 0;
}

struct fetch {
    bool too_large;
};

static int on_progress(const git_indexer_progress *stats, void *payload)
{
    struct fetch *fetch = payload;
    fetch->too_large = stats->received_bytes > MAX_FETCH_BYTES || stats->total_objects > MAX_FETCH_OBJECTS;
    return fetch->too_large ? GIT_EUSER : 0;
}

static int on_credentials(git_credential **ret, const char *url, const char *user, unsigned int allowed, void *payload)
{
    (void)ret;
    (void)url;
    (void)user;
    (void)allowed;
    (void)payload;
    git_error_set_str(GIT_ERROR_CALLBACK, "the remote asks for a credential, and none is configured");
    return GIT_EUSER;
}

static const git_oid *find_branch(git_remote *remote, const char *ref, size_t *ret_count)
{
    const git_remote_head **heads = NULL;
    if (git_remote_ls(&heads, ret_count, remote) < 0)
        *ret_count = 0;
    for (size_t i = 0; i < *ret_count; i++)
        if (strcmp(heads[i]->name, ref) == 0)
            return &heads[i]->oid;
    return NULL;
}

static int download(git_remote *remote, git_repository *repo, const git_oid *head, const char *ref,
                    const git_fetch_options *options, const char *shown_url, const char *url, struct stanch_err *err)
{
    git_commit *commit = NULL;
    if (git_commit_lookup(&commit, repo, head) == 0) {
        git_commit_free(commit);
        return 0;
    }
    STANCH_AUTO_FREE char *spec = stanch_asprintf("+%s:%s", ref, ref);
    git_strarray specs = {&spec, 1};
    const struct fetch *fetch = options->callbacks.payload;
    if (git_remote_download(remote, &specs, options) < 0) {
        if (fetch->too_large)
            return stanch_err_set(err, STANCH_E_REFUSED, "%s is larger than %u MiB or %u objects", shown_url,
                                  MAX_FETCH_BYTES >> 20, MAX_FETCH_OBJECTS);
        return stanch_remote__git_err(err, STANCH_E_UNREACHABLE, url, "%s could not be fetched", shown_url);
    }
    if (git_commit_lookup(&commit, repo, head) < 0)
        return stanch_remote__git_err(err, STANCH_E_UNREACHABLE, url, "%s did not send its commit %s", shown_url,
                                      git_oid_tostr_s(head));
    git_commit_free(commit);
    git_reference *kept = NULL;
    if (git_reference_create(&kept, repo, ref, head, 1, "fetch") < 0)
        return stanch_remote__git_err(err, STANCH_E_SYSTEM, url, "the clone could not keep %s", ref);
    git_reference_free(kept);
    return 0;
}

static int fetch_connected(git_remote *remote, git_repository *repo, const char *url, const char *shown_url,
                           const char *branch, const git_fetch_options *options, git_oid *ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *ref = stanch_asprintf("refs/heads/%s", branch);
    size_t count = 0;
    const git_oid *head = find_branch(remote, ref, &count);
    if (!head && count == 0)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s is empty: it has no commit", shown_url);
    if (!head)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s has no branch \"%s\"", shown_url, branch);
    *ret = *head;
    return download(remote, repo, ret, ref, options, shown_url, url, err);
}

int stanch_remote_fetch(git_repository *repo, const char *url, const char *branch, git_oid *ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *shown_url = stanch_names_clean_text(url);
    stanch_names_scrub(shown_url, url);
    STANCH_AUTO_FREE char *ref = stanch_asprintf("refs/heads/%s", branch);
    int valid = 0;
    if (git_reference_name_is_valid(&valid, ref) < 0 || !valid)
        return stanch_err_set(err, STANCH_E_INVALID, "\"%s\" is not a name of a branch", branch);
    git_remote *remote = NULL;
    git_remote_create_options made = GIT_REMOTE_CREATE_OPTIONS_INIT;
    made.repository = repo;
    made.flags =
        GIT_REMOTE_CREATE_SKIP_INSTEADOF; /* libgit2 1.5 leaks 20 KiB for each line of its configuration there */
    if (git_remote_create_with_opts(&remote, url, &made) < 0)
        return stanch_remote__git_err(err, STANCH_E_UNREACHABLE, url, "%s is not a repository's address", shown_url);

    struct fetch fetch = {0};
    git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    options.callbacks.transfer_progress = on_progress;
    options.callbacks.credentials = on_credentials;
    options.callbacks.payload = &fetch;
    git_remote_connect_options connect = GIT_REMOTE_CONNECT_OPTIONS_INIT;
    connect.callbacks = options.callbacks;
    connect.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    int rc;
    if (git_remote_connect_ext(remote, GIT_DIRECTION_FETCH, &connect) < 0)
        rc = stanch_remote__git_err(err, STANCH_E_UNREACHABLE, url, "%s cannot be reached", shown_url);
    else
        rc = fetch_connected(remote, repo, url, shown_url, branch, &options, ret, err);
    git_remote_disconnect(remote);
    git_remote_free(remote);
    return rc;
}

int stanch_remote_check_follows(git_repository *repo, const git_oid *head, const char *accepted, struct stanch_err *err)
{
    git_oid old;
    if (git_oid_fromstr(&old, accepted) < 0)
        return stanch_err_set(err, STANCH_E_INTERNAL, "\"%s\" is not the id of a commit", accepted);
    if (git_oid_equal(head, &old))
        return 0;
    git_commit *commit = NULL;
    int known = git_commit_lookup(&commit, repo, &old); /* a commit that was not fetched is in no history of `head` */
    git_commit_free(commit);
    int follows = known == GIT_ENOTFOUND ? 0 : git_graph_descendant_of(repo, head, &old);
    if (follows == 1)
        return 0;
    if (follows == 0)
        return stanch_err_set(err, STANCH_E_REFUSED,
                              "%.12s is not a fast-forward from %.12s: history was rewritten. The old commit stays; "
                              "allow_rewrite follows it",
                              git_oid_tostr_s(head), accepted);
    return stanch_remote__git_err(err, STANCH_E_CORRUPT, "", "the history of %.12s could not be read", accepted);
}
