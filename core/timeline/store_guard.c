/* store_guard.c: the files beside the database: the owner's lock, the reserve, the marks of a store whose last commit
 * failed and of one that is being restored. */
#include "timeline/store_sqlite.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_WAIT_MS 2000
#define LOCK_POLL_MS 5

static char *path_of(const char *dir, const char *name)
{
    return stanch_asprintf("%s/%s", dir, name);
}

static void sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

int stanch_guard_dir(const char *dir, int create, struct stanch_err *err)
{
    struct stat info;
    if (stat(dir, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return 0;
        return stanch_err_set(err, STANCH_E_STORE, "%s is not a directory", dir);
    }
    if (errno != ENOENT)
        return stanch_err_errno(err, STANCH_E_STORE, errno, "the store %s", dir);
    if (!create)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no store at %s", dir);
    if (mkdir(dir, 0700) < 0)
        return stanch_err_errno(err, STANCH_E_STORE, errno, "the directory %s cannot be made", dir);
    STANCH_AUTO_FREE char *parent = path_of(dir, "..");
    sync_dir(parent);
    return 0;
}

static void read_owner(int fd, char pid[32])
{
    ssize_t len = pread(fd, pid, 31, 0);
    pid[len > 0 ? len : 0] = 0;
    pid[strcspn(pid, "\n")] = 0;
}

/* What a killed owner had just forked has its lock until it becomes another program: that is over in a moment. */
static int lock_soon(int fd)
{
    for (int waited_ms = 0;; waited_ms += LOCK_POLL_MS) {
        char pid[32];
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        int rc = errno;
        read_owner(fd, pid);
        pid_t owner = (pid_t)strtol(pid, NULL, 10);
        bool is_gone = owner > 0 && kill(owner, 0) < 0 && errno == ESRCH;
        errno = rc;
        if (rc != EINTR && (rc != EWOULDBLOCK || !is_gone || waited_ms >= LOCK_WAIT_MS))
            return -1;
        (void)usleep(LOCK_POLL_MS * 1000);
    }
}

static int refuse_second(int fd, const char *path, struct stanch_err *err)
{
    char pid[32];
    read_owner(fd, pid);
    return stanch_err_set(err, STANCH_E_CONFLICT,
                          "the store is in use by process %s (lock %s); stop that process, or give this one a "
                          "state directory of its own",
                          *pid ? pid : "(unknown)", path);
}

int stanch_guard_lock(const char *dir, int *ret_fd, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = path_of(dir, "stanch.lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return stanch_err_errno(err, STANCH_E_STORE, errno, "the lock %s cannot be opened", path);
    if (lock_soon(fd) < 0) {
        int rc = errno == EWOULDBLOCK ? refuse_second(fd, path, err)
                                      : stanch_err_errno(err, STANCH_E_STORE, errno, "the lock %s", path);
        close(fd);
        return rc;
    }
    char pid[32];
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* A pid that cannot be written (full disk) costs only the name in the refusal; the lock holds. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)len, 0) == len)
        sync_dir(dir);
    *ret_fd = fd;
    return 0;
}

int stanch_guard_reserve(const char *dir, int64_t bytes)
{
    STANCH_AUTO_FREE char *path = path_of(dir, "stanch.reserve");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (posix_fallocate(fd, 0, (off_t)bytes) == 0 && fsync(fd) == 0)
        return fd;
    close(fd);
    (void)unlink(path);
    return -1;
}

void stanch_guard_release(const char *dir, int *fd)
{
    STANCH_AUTO_FREE char *path = path_of(dir, "stanch.reserve");
    (void)unlink(path);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    sync_dir(dir);
}

bool stanch_guard_is_suspect(const char *dir)
{
    STANCH_AUTO_FREE char *path = path_of(dir, "stanch.suspect");
    return access(path, F_OK) == 0;
}

char *stanch_guard_read_damage(const char *dir)
{
    STANCH_AUTO_FREE char *path = path_of(dir, "stanch.suspect");
    char text[400] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[len > 0 ? strcspn(text, "\n") : 0] = 0;
    return *text ? stanch_strdup(text) : NULL;
}

void stanch_guard_set_suspect(const char *dir, bool value)
{
    STANCH_AUTO_FREE char *path = path_of(dir, "stanch.suspect");
    if (!value) {
        (void)unlink(path);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* best effort: the disk is in trouble */
    if (fd >= 0)
        close(fd);
}

int stanch_guard_set_restoring(const char *dir, bool value, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = path_of(dir, "stanch.restoring");
    int fd = value ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (value ? fd < 0 : unlink(path) < 0 && errno != ENOENT)
        return stanch_err_errno(err, STANCH_E_STORE, errno, "the mark %s", path);
    if (fd >= 0)
        close(fd);
    sync_dir(dir);
    return 0;
}

int stanch_guard_check_restoring(const char *dir, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = path_of(dir, "stanch.restoring");
    if (access(path, F_OK) < 0)
        return 0;
    return stanch_err_set(err, STANCH_E_STORE,
                          "a restore of this store was interrupted; run `stanch store restore` again (what was there "
                          "before is kept in before-restore-TIME beside it)");
}

bool stanch_store_is_suspect(struct stanch_store *store)
{
    return store->ops == &stanch_sqlite__ops && stanch_guard_is_suspect(stanch_sqlite__of(store)->dir);
}

void stanch_store_trust(struct stanch_store *store)
{
    if (stanch_store_is_suspect(store))
        stanch_guard_set_suspect(stanch_sqlite__of(store)->dir, false);
}

void stanch_store_condemn(struct stanch_store *store, const char *what)
{
    if (store->ops != &stanch_sqlite__ops)
        return;
    const char *dir = stanch_sqlite__of(store)->dir;
    STANCH_AUTO_FREE char *path = path_of(dir, "stanch.suspect");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, what, strlen(what)) == (ssize_t)strlen(what) && fsync(fd) == 0;
    if (!written) /* the next full check finds it again */
        stanch_log(STANCH_LOG_ERROR, "timeline", "that the store is damaged cannot be marked in %s", path);
    if (fd >= 0)
        close(fd);
    sync_dir(dir);
}

int stanch_store_trust_dir(const char *dir, struct stanch_err *err)
{
    int lock;
    if (!stanch_guard_is_suspect(dir))
        return 0;
    int rc = stanch_guard_lock(dir, &lock, err);
    if (rc < 0)
        return rc;
    stanch_guard_set_suspect(dir, false);
    close(lock);
    return 0;
}
