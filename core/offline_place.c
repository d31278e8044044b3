/* offline_place.c: checkpoints go out and come back. git is read and written by `stanch book`, as everywhere. */
#include "offline_place.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "plugin/post.h"
#include "timeline/checkpoint.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define POST_DEADLINE_MS 20000

static const char *after(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : NULL;
}

static bool is_url(const char *place)
{
    return after(place, "http://") || after(place, "https://");
}

/* ---- stanch book ---- */

/* A file in memory that a child can have as stdin, stdout or stderr. */
static int memory_file(const char *text, size_t len)
{
    int fd = memfd_create("stanch", MFD_CLOEXEC);
    if (fd >= 0 && len && (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void read_back(int fd, struct stanch_buf *ret)
{
    char bytes[65536];
    ssize_t got;
    for (off_t at = 0; (got = pread(fd, bytes, sizeof bytes, at)) > 0; at += got)
        stanch_buf_add(ret, bytes, (size_t)got);
}

static int end_of(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Run `stanch book ARGS`: its exit code, or -1. fds: its stdin, stdout, stderr. */
static int run_book(char *const argv[], const int fds[3])
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        char *no_env[] = {NULL};
        for (int i = 0; i < 3; i++)
            (void)dup2(fds[i], i);
        execve("/proc/self/exe", argv, no_env);
        _exit(126);
    }
    return pid < 0 ? -1 : end_of(pid);
}

int stanch_place_ask_book(const char *const *words, const char *input, struct stanch_buf *ret, struct stanch_err *err)
{
    char *argv[8] = {stanch_strdup("stanch"), stanch_strdup("book")};
    int count = 2, fds[3] = {memory_file(input, strlen(input)), memory_file("", 0), memory_file("", 0)};
    STANCH_AUTO_BUF struct stanch_buf complaint = {0};
    for (; *words && count < 7; words++)
        argv[count++] = stanch_strdup(*words);
    bool is_open = fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0;
    int code = is_open ? run_book(argv, fds) : -1;
    if (is_open) {
        read_back(fds[1], ret);
        read_back(fds[2], &complaint);
    }
    for (int i = 0; i < count; i++)
        free(argv[i]);
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (code == 0)
        return 0;
    const char *text = stanch_buf_str(&complaint), *own = after(text, "stanch: ");
    int kind = code == stanch_err_exit(STANCH_E_NOT_FOUND)  ? STANCH_E_NOT_FOUND
               : code == stanch_err_exit(STANCH_E_INVALID)  ? STANCH_E_INVALID
               : code == stanch_err_exit(STANCH_E_CONFLICT) ? STANCH_E_CONFLICT
               : code == stanch_err_exit(STANCH_E_REFUSED)  ? STANCH_E_REFUSED
               : code == stanch_err_exit(STANCH_E_REMOTE)   ? STANCH_E_UNREACHABLE
                                                            : STANCH_E_SYSTEM;
    own = own ? own : *text ? text : "the process that speaks git ended without a word";
    return stanch_err_set(err, kind, "%.*s", (int)strcspn(own, "\n"), own);
}

/* ---- out ---- */

static int send_to_git(const char *repo, const char *store_dir, const json_t *signed_checkpoint, const char *text,
                       struct stanch_err *err)
{
    STANCH_AUTO_FREE char *clone = stanch_asprintf("%s/checkpoints.git", store_dir);
    STANCH_AUTO_BUF struct stanch_buf ignored = {0};
    const char *store = stanch_json_str(json_object_get(signed_checkpoint, "checkpoint"), "store", "");
    return stanch_place_ask_book((const char *const[]){"keep", repo, clone, store, NULL}, text, &ignored, err);
}

int stanch_place_send(const char *place, const char *store_dir, int token_fd, const json_t *signed_checkpoint,
                      struct stanch_err *err)
{
    const char *repo = after(place, "git:"), *file = after(place, "file:");
    if (!repo && !is_url(place))
        return stanch_checkpoint_append(file ? file : place, signed_checkpoint, err);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = stanch_json_canonical(signed_checkpoint, &text, err);
    if (rc < 0)
        return rc;
    stanch_buf_char(&text, '\n');
    return repo ? send_to_git(repo, store_dir, signed_checkpoint, stanch_buf_str(&text), err)
                : stanch_post_json(place, token_fd, text.data, text.len, POST_DEADLINE_MS, err);
}

/* ---- back ---- */

/* The name of the store that `target` is, or is an export of. new, or NULL */
static char *name_of(const char *target)
{
    struct stat info;
    STANCH_AUTO_JSON json_t *own = NULL;
    struct stanch_store *store;
    if (stat(target, &info) < 0)
        return NULL;
    if (!S_ISDIR(info.st_mode))
        return stanch_checkpoint_read(target, &own, NULL) < 0
                   ? NULL
                   : stanch_strdup(stanch_json_str(json_object_get(own, "checkpoint"), "store", NULL));
    if (stanch_store_sqlite_open(target, 0, 1, &store, NULL) < 0)
        return NULL;
    char *name = stanch_checkpoint_store_name(store);
    stanch_store_close(store);
    return name;
}

static bool is_of_store(const char *line, size_t len, const char *name)
{
    STANCH_AUTO_JSON json_t *value = NULL;
    return stanch_json_parse(line, len, &stanch_json_own_limits, &value, NULL) == 0 &&
           strcmp(stanch_json_str(json_object_get(value, "checkpoint"), "store", ""), name) == 0;
}

/* The line of the store, or else the last one: that it is another store's is said when it is compared. */
static void choose_line(const char *text, const char *name, const char **ret, size_t *ret_len)
{
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, "\n");
        bool is_own = name && is_of_store(at, len, name);
        if (len) {
            *ret = at;
            *ret_len = len;
        }
        if (is_own)
            return;
        at += len + (at[len] == '\n');
    }
}

static int fetch_from_git(const char *repo, const char *target, char **ret, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    STANCH_AUTO_FREE char *name = name_of(target);
    const char *line = "";
    size_t len = 0;
    int rc = stanch_place_ask_book((const char *const[]){"kept", repo, NULL}, "", &text, err);
    if (rc < 0)
        return rc;
    choose_line(stanch_buf_str(&text), name, &line, &len);
    int fd = memory_file(line, len); /* stays open until this process ends */
    if (fd < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the checkpoint cannot be held in memory");
    *ret = stanch_asprintf("/proc/self/fd/%d", fd);
    return 0;
}

int stanch_place_fetch(const char *place, const char *target, char **ret, struct stanch_err *err)
{
    const char *repo = after(place, "git:"), *file = after(place, "file:");
    if (repo)
        return fetch_from_git(repo, target, ret, err);
    if (is_url(place))
        return stanch_err_set(err, STANCH_E_INVALID,
                              "a checkpoint that was posted cannot be fetched back: give the file that the receiver "
                              "kept, or git:REPO");
    *ret = stanch_strdup(file ? file : place);
    return 0;
}
