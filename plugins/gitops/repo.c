/* repo.c: the clone (bare, in the instance's own directory) and its connections.
 *
 * ssh is libssh2 inside of libgit2. It trusts the host keys of $HOME/.ssh/known_hosts and nothing else; HOME is a
 * folder of the instance's own, where known_hosts is a link to the file that the settings name. libgit2 tells the
 * callback whether the key was good; a key that was not is refused there.
 *
 * https goes over streams of our own (stream.c), to the host of the settings alone. The token is given when that host has asked
 * for it.
 */
#include "gitops.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FETCH_BYTES   ((size_t)1 << 30)
#define MAX_FETCH_OBJECTS 4000000u
#define MAX_DEPTH         16

/* ---- the library ---- */

static int put_known_hosts(const char *home, const char *known_hosts)
{
    char path[PATH_MAX];
    if (mkdir(home, 0700) < 0 && errno != EEXIST)
        return -1;
    (void)snprintf(path, sizeof path, "%s/.ssh", home);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -1;
    (void)snprintf(path, sizeof path, "%s/.ssh/known_hosts", home);
    if (unlink(path) < 0 && errno != ENOENT)
        return -1;
    return known_hosts ? symlink(known_hosts, path) : 0;
}

const char *gitops_library_start(const char *state_dir, const char *known_hosts)
{
    static const int levels[] = {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL,
                                 GIT_CONFIG_LEVEL_PROGRAMDATA};
    char home[PATH_MAX];
    (void)snprintf(home, sizeof home, "%s/home", state_dir);
    if (put_known_hosts(home, known_hosts) < 0 || setenv("HOME", home, 1) < 0)
        return "its own directory could not be written to";
    if (git_libgit2_init() < 0)
        return "libgit2 did not start";
    /* The operator names the repository, whoever owns its files; nothing of it is executed here. */
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 1);
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1);
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)32 << 20); /* a host has 2 GiB of addresses */
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)512 << 20);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
    return NULL;
}

/* ---- the clone ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* A host that was killed leaves lock files and half of a pack; nobody else writes here. */
static void remove_leftovers(const char *path, int depth)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        char below[PATH_MAX];
        if (ends_with(entry->d_name, ".lock") || strncmp(entry->d_name, "pack_git2_", 10) == 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        else if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && depth < MAX_DEPTH &&
                 snprintf(below, sizeof below, "%s/%s", path, entry->d_name) < (int)sizeof below)
            remove_leftovers(below, depth + 1);
    }
    if (dir)
        closedir(dir);
}

int gitops_open_clone(struct gitops *gitops, struct gitops_job *job)
{
    remove_leftovers(gitops->clone_dir, 0);
    int rc = git_repository_open_bare(&gitops->repo, gitops->clone_dir);
    if (rc == GIT_ENOTFOUND) {
        git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
        options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR;
        options.mode = 0700;
        rc = git_repository_init_ext(&gitops->repo, gitops->clone_dir, &options);
    }
    if (rc < 0)
        return gitops_fail(job, "system", "the clone in %s cannot be used (it is only a copy: remove it): %s",
                           gitops->clone_dir, gitops_git_says(job));
    return 0;
}

/* ---- connections ---- */

static int on_certificate(git_cert *cert, int is_valid, const char *host, void *payload)
{
    struct gitops_job *job = payload;
    (void)host;
    if (job->is_cut)
        return GIT_EUSER;
    if (cert->cert_type == (job->gitops->token ? GIT_CERT_X509 : GIT_CERT_HOSTKEY_LIBSSH2) && is_valid)
        return 0; /* of https it was looked at before: stream.c */
    const git_cert_hostkey *key = (const git_cert_hostkey *)cert;
    const char *print = "";
    if (cert->cert_type == GIT_CERT_HOSTKEY_LIBSSH2 && (key->type & GIT_CERT_SSH_SHA256))
        for (size_t i = 0; i < sizeof key->hash_sha256; i++)
            print = gitops_text(job, "%s%02x", print, key->hash_sha256[i]);
    job->bad_host_key = print;
    return GIT_ECERTIFICATE;
}

static int on_credentials(git_credential **ret, const char *url, const char *user, unsigned int allowed, void *payload)
{
    struct gitops_job *job = payload;
    const struct gitops *gitops = job->gitops;
    (void)url;
    (void)user;
    if (gitops->token) {
        job->is_key_refused = !(allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) || job->was_asked_key;
        job->was_asked_key = true;
        return job->is_key_refused ? GIT_EAUTH
                                   : git_credential_userpass_plaintext_new(ret, gitops->user, gitops->token);
    }
    if (allowed == GIT_CREDENTIAL_USERNAME)
        return git_credential_username_new(ret, gitops->user);
    if (job->was_asked_key || !gitops->key || !(allowed & GIT_CREDENTIAL_SSH_MEMORY)) {
        job->is_key_refused = true;
        return GIT_EAUTH;
    }
    job->was_asked_key = true;
    return git_credential_ssh_key_memory_new(ret, gitops->user, NULL, gitops->key, NULL);
}

static int on_said(const char *text, int len, void *payload)
{
    struct gitops_job *job = payload;
    gitops_moved(job->gitops);
    for (int i = 0; i < len && job->said_len + 1 < sizeof job->said; i++)
        job->said[job->said_len++] = text[i];
    job->said[job->said_len] = '\0';
    return job->is_cut && !job->is_sent ? GIT_EUSER : 0;
}

int gitops_http_status(const char *why)
{
    static const char said[] = "unexpected http status code: ";
    const char *at = strstr(why, said);
    return at ? (int)strtol(at + sizeof said - 1, NULL, 10) : 0;
}

/* What only https has. */
static int fail_https(struct gitops_job *job, const char *why)
{
    const char *remote = job->gitops->remote;
    int status = gitops_http_status(why);
    if (job->bad_certificate)
        return gitops_fail(
            job, "unauthorized",
            "%s has no good certificate (trusted is ca_file, or the system when it is not set), and nothing "
            "was sent: %s",
            remote, job->bad_certificate);
    if (job->elsewhere)
        return gitops_fail(job, "refused", "%s sends to %s, and redirects are not followed: set the right url", remote,
                           job->elsewhere);
    if (job->is_key_refused || status == 401 || status == 403)
        return gitops_fail(job, "unauthorized",
                           "%s does not take the token for the user %s: may it read and push there? (%s)", remote,
                           job->gitops->user, why);
    if (status == 404 || status == 410)
        return gitops_fail(job, "not-found", "%s: there is no repository, or the token may not see it (%s)", remote,
                           why);
    if ((status >= 300 && status < 400) || strstr(why, "redirect"))
        return gitops_fail(job, "refused", "%s redirects, which is not followed: set the right url (%s)", remote, why);
    return gitops_fail_retry(job, "unreachable", "%s cannot be reached: %s", remote, why);
}

static int fail_connect(struct gitops_job *job)
{
    const char *remote = job->gitops->remote, *why = gitops_git_says(job);
    if (job->bad_host_key)
        return gitops_fail(job, "unauthorized",
                           "%s showed a host key that known_hosts does not have for it (SHA-256 %s): nothing was sent. "
                           "If that key is right, add it (ssh-keyscan prints it)",
                           remote, job->bad_host_key);
    if (job->is_cut)
        return gitops_fail_retry(job, "unreachable", "%s did not answer in time", remote);
    if (job->gitops->token)
        return fail_https(job, why);
    if (job->is_key_refused || strstr(why, "authenticate"))
        return gitops_fail(job, "unauthorized",
                           "%s does not take the key of the setting ssh_key for the user %s: add its public half there "
                           "(an ed25519 or ECDSA key without a passphrase; RSA is not possible): %s",
                           remote, job->gitops->user, why);
    return gitops_fail_retry(job, "unreachable", "%s cannot be reached: %s", remote, why);
}

#ifdef STANCH_ASAN
void __lsan_disable(void);
void __lsan_enable(void);
#endif

/* libgit2 1.5 does not free what it read of known_hosts: some hundred bytes a connection, which are not ours. */
static int connect_remote(git_remote *remote, git_direction direction, const git_remote_connect_options *options)
{
#ifdef STANCH_ASAN
    __lsan_disable();
#endif
    int rc = git_remote_connect_ext(remote, direction, options);
#ifdef STANCH_ASAN
    __lsan_enable();
#endif
    return rc;
}

int gitops_connect(struct gitops_job *job, git_direction direction, git_remote_callbacks *callbacks, git_remote **ret)
{
    git_remote_connect_options options = GIT_REMOTE_CONNECT_OPTIONS_INIT;
    job->was_asked_key = job->is_key_refused = false;
    job->bad_certificate = job->elsewhere = NULL;
    job->said_len = 0;
    callbacks->certificate_check = on_certificate;
    callbacks->credentials = on_credentials;
    callbacks->sideband_progress = on_said;
    callbacks->payload = job;
    options.callbacks = *callbacks;
    options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;
    if (job->is_cut)
        return gitops_fail_retry(job, "unavailable", "there was no time left to ask %s", job->gitops->remote);
    git_remote *remote = NULL;
    git_remote_create_options made = GIT_REMOTE_CREATE_OPTIONS_INIT;
    made.repository = job->gitops->repo;
    made.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF; /* the settings say where to; and libgit2 1.5 leaks there */
    if (git_remote_create_with_opts(&remote, job->gitops->remote, &made) < 0)
        return gitops_fail(job, "invalid", "%s is no address of a repository: %s", job->gitops->remote,
                           gitops_git_says(job));
    gitops_stream_for(job);
    if (connect_remote(remote, direction, &options) < 0) {
        (void)fail_connect(job);
        git_remote_free(remote);
        return -1;
    }
    *ret = remote;
    return 0;
}

int gitops_remote_head(struct gitops_job *job, git_remote *remote, git_oid *ret)
{
    const git_remote_head **heads = NULL;
    size_t count = 0;
    if (git_remote_ls(&heads, &count, remote) < 0)
        return gitops_fail_retry(job, "unreachable", "%s did not tell its branches: %s", job->gitops->remote,
                                 gitops_git_says(job));
    for (size_t i = 0; i < count; i++)
        if (strcmp(heads[i]->name, job->gitops->ref) == 0) {
            *ret = heads[i]->oid;
            return 0;
        }
    return gitops_fail(job, "not-found", "%s has no branch \"%s\"", job->gitops->remote, job->gitops->branch);
}

static int on_progress(const git_indexer_progress *stats, void *payload)
{
    struct gitops_job *job = payload;
    job->gitops->objects = stats->received_objects;
    gitops_moved(job->gitops);
    if (stats->received_bytes > MAX_FETCH_BYTES || stats->total_objects > MAX_FETCH_OBJECTS) {
        (void)gitops_fail(job, "too-large", "%s is larger than %zu MiB or %u objects", job->gitops->remote,
                          MAX_FETCH_BYTES >> 20, MAX_FETCH_OBJECTS);
        return GIT_EUSER;
    }
    return job->is_cut ? GIT_EUSER : 0;
}

static bool has_commit(git_repository *repo, const git_oid *id)
{
    GITOPS_AUTO(git_commit) *commit = NULL;
    return git_commit_lookup(&commit, repo, id) == 0;
}

static int download(struct gitops_job *job, git_remote *remote, const git_remote_callbacks *callbacks,
                    const git_oid *head)
{
    struct gitops *gitops = job->gitops;
    GITOPS_AUTO(git_reference) *kept = NULL;
    const char *spec = gitops_text(job, "+%s:%s", gitops->ref, gitops->ref);
    git_strarray specs = {(char *[]){(char *)(uintptr_t)spec}, 1};
    git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.update_fetchhead = 0;
    options.callbacks = *callbacks;
    if (!has_commit(gitops->repo, head) && git_remote_download(remote, &specs, &options) < 0) {
        if (job->why)
            return -1;
        return job->is_cut
                   ? gitops_fail_retry(job, "unreachable", "%s did not send its commits in time", gitops->remote)
                   : gitops_fail_retry(job, "unreachable", "%s could not be fetched: %s", gitops->remote,
                                       gitops_git_says(job));
    }
    if (!has_commit(gitops->repo, head))
        return gitops_fail(job, "protocol", "%s did not send its commit %s", gitops->remote, git_oid_tostr_s(head));
    if (git_reference_create(&kept, gitops->repo, gitops->ref, head, 1, "fetch") < 0)
        return gitops_fail(job, "system", "the clone could not keep %s: %s", gitops->ref, gitops_git_says(job));
    return 0;
}

int gitops_fetch(struct gitops_job *job, git_oid *ret)
{
    GITOPS_AUTO(git_remote) *remote = NULL;
    git_remote_callbacks callbacks = GIT_REMOTE_CALLBACKS_INIT;
    callbacks.transfer_progress = on_progress;
    int rc = gitops_connect(job, GIT_DIRECTION_FETCH, &callbacks, &remote);
    rc = rc ? rc : gitops_remote_head(job, remote, ret);
    rc = rc ? rc : download(job, remote, &callbacks, ret);
    if (remote)
        git_remote_disconnect(remote);
    return rc;
}
