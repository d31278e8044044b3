/* libc_faulty.h: the Nth call on the files beside the database (stop file, reserve, suspect, keys, locks, checkpoints)
 * fails: open, write, sync, truncate, allocate, rename, unlink. For the executable or the preloaded object that includes
 * it: what it defines comes before the C library's. Only files below one folder count, and not the database's own. */
#ifndef TEST_CAMPAIGN_LIBC_FAULTY_H
#define TEST_CAMPAIGN_LIBC_FAULTY_H
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

static struct {
    const char *dir; /* NULL: nothing fails */
    int at, count;   /* the Nth such call from now fails, and so many in a row; at 0: they are only counted */
    int errnum;      /* ENOSPC, EIO; a write of two bytes and more is cut in half instead when it is 0 */
    int *calls;      /* such calls so far */
    void (*on_fault)(void);
} libc_fault;

static bool libc_is_ours(const char *path)
{
    size_t len = libc_fault.dir ? strlen(libc_fault.dir) : 0;
    if (!len || strncmp(path, libc_fault.dir, len) != 0 || (path[len] && path[len] != '/'))
        return false;
    return strncmp(path + len, "/stanch.db", 10) != 0 && strncmp(path + len, "/book.git", 9) != 0;
}

static bool libc_is_due(const char *path)
{
    if (!libc_is_ours(path))
        return false;
    int n = __atomic_add_fetch(libc_fault.calls, 1, __ATOMIC_SEQ_CST);
    bool due = libc_fault.at > 0 && n >= libc_fault.at && n < libc_fault.at + libc_fault.count;
    if (due && libc_fault.on_fault)
        libc_fault.on_fault();
    if (due)
        errno = libc_fault.errnum ? libc_fault.errnum : EIO;
    return due;
}

static bool libc_is_fd_due(int fd)
{
    char link[40], path[PATH_MAX];
    if (!libc_fault.dir)
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = syscall(SYS_readlink, link, path, sizeof path - 1);
    if (len <= 0)
        return false;
    path[len] = 0;
    return libc_is_due(path);
}

SHOWN int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, int) : 0;
    va_end(args);
    return libc_is_due(path) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

SHOWN ssize_t write(int fd, const void *bytes, size_t len)
{
    bool due = libc_is_fd_due(fd);
    if (due && (libc_fault.errnum || len < 2))
        return -1;
    return syscall(SYS_write, fd, bytes, due ? len / 2 : len);
}

SHOWN ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return libc_is_fd_due(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, len, at);
}

SHOWN int fsync(int fd)
{
    return libc_is_fd_due(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

SHOWN int fdatasync(int fd)
{
    return libc_is_fd_due(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

SHOWN int ftruncate(int fd, off_t len)
{
    return libc_is_fd_due(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

SHOWN int posix_fallocate(int fd, off_t from, off_t len)
{
    if (libc_is_fd_due(fd))
        return errno;
    return syscall(SYS_fallocate, fd, 0, from, len) == 0 ? 0 : errno;
}

SHOWN int rename(const char *from, const char *to)
{
    return libc_is_due(to) ? -1 : (int)syscall(SYS_rename, from, to);
}

SHOWN int unlink(const char *path)
{
    return libc_is_due(path) ? -1 : (int)syscall(SYS_unlink, path);
}

#endif
