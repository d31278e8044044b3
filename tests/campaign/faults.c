/* faults.c: faults of the disk and of memory in the real daemon: preloaded (LD_PRELOAD) into `stanch serve`; its children start with an
 * environment of their own and know nothing of it.
 *   STANCH_FAULT=CLASS:N[:COUNT]  the Nth call of that class fails, COUNT in a row (1). Classes: the VFS's (vfs_faulty.h),
 *                                 and file-full, file-error, file-short for the files beside the database, and memory: the
 *                                 Nth allocation, memory-others: of those that ask past base/mem.h. N 0: only count
 *   STANCH_FAULT_IN=any           in every process that has this environment, a command too; else in `serve` only
 *   STANCH_FAULT_DIR=DIR          where those files are
 *   STANCH_FAULT_SEEN=FILE        16 bytes: calls so far, 1 when a fault came, CLOCK_MONOTONIC in ns of the first one */
#include "timeline/vfs_faulty.h"
#include "libc_faulty.h"
#include "malloc_faulty.h"
#include <assert.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

struct seen {
    int calls, faulted;
    int64_t at_ns;
};
static struct seen *seen;

static void note_fault(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!__atomic_exchange_n(&seen->faulted, 1, __ATOMIC_SEQ_CST))
        seen->at_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool is_wanted_here(void)
{
    const char *in = getenv("STANCH_FAULT_IN");
    if (in && strcmp(in, "any") == 0)
        return true;
    char words[4096] = {0};
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    ssize_t len = fd < 0 ? 0 : read(fd, words, sizeof words - 1);
    if (fd >= 0)
        close(fd);
    return len > 0 && strcmp(words + strlen(words) + 1, "serve") == 0;
}

static void fail_files(const char *class, int at, int count)
{
    libc_fault.errnum = strcmp(class, "file-full") == 0 ? ENOSPC : strcmp(class, "file-error") == 0 ? EIO : 0;
    libc_fault.calls = &seen->calls;
    libc_fault.on_fault = note_fault;
    libc_fault.at = at;
    libc_fault.count = count;
    libc_fault.dir = getenv("STANCH_FAULT_DIR");
}

/* Where the code is that ends with 71 itself: the executable's, which comes first and has no name (dl_iterate_phdr(3)), and
 * SQLite's, whose allocator is ours. */
static int skip_ours(struct dl_phdr_info *info, size_t size, void *ctx)
{
    size_t *count = ctx, most = sizeof malloc_fault.skipped / sizeof *malloc_fault.skipped;
    (void)size;
    if (*info->dlpi_name && !strstr(info->dlpi_name, "/libsqlite3.so"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && *count < most; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            malloc_fault.skipped[*count].from = from;
            malloc_fault.skipped[(*count)++].to = from + info->dlpi_phdr[i].p_memsz;
        }
    return 0;
}

static void fail_memory(int at, int count)
{
    malloc_fault.calls = &seen->calls;
    malloc_fault.on_fault = note_fault;
    malloc_fault.at = at;
    malloc_fault.count = count;
    malloc_fault.counts = true;
}

static void fail_database(enum vfs_fault fault, int at, int count)
{
    vfs_register();
    vfs.calls = &seen->calls;
    vfs.on_fault = note_fault;
    vfs.fault = fault;
    vfs.fault_at = at;
    vfs.fault_count = count;
    sqlite3_vfs_register(&vfs.vfs, 1);
}

/* An assertion of a library: the C library's own words of it need memory. */
__attribute__((visibility("default"))) void __assert_fail(const char *assertion, const char *file, unsigned line,
                                                          const char *function)
{
    char text[512];
    int len = snprintf(text, sizeof text, "%s:%u: %s: \"%s\" does not hold\n", file, line, function, assertion);
    if (write(STDERR_FILENO, text, len < (int)sizeof text ? (size_t)len : sizeof text - 1) < 0)
        _exit(98);
    abort();
}

__attribute__((constructor)) static void begin(void)
{
    static const char *const names[VFS_FAULT_COUNT] = {"none",       "write-full",    "write-error", "write-torn",
                                                       "sync-error", "sync-kept",     "sync-torn",   "read-error",
                                                       "lock-busy",  "truncate-error"};
    const char *wanted = getenv("STANCH_FAULT"), *path = getenv("STANCH_FAULT_SEEN");
    char class[32] = "";
    int at = 0, count = 1;
    if (!wanted || !path || !is_wanted_here() || sscanf(wanted, "%31[^:]:%d:%d", class, &at, &count) < 2)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    seen = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (seen == MAP_FAILED)
        _exit(99);
    close(fd);
    if (strcmp(class, "memory-others") == 0)
        (void)dl_iterate_phdr(skip_ours, &(size_t){0});
    if (strncmp(class, "memory", 6) == 0)
        fail_memory(at, count);
    if (strncmp(class, "file-", 5) == 0)
        fail_files(class, at, count);
    for (int i = 1; i < VFS_FAULT_COUNT; i++)
        if (strcmp(names[i], class) == 0)
            fail_database((enum vfs_fault)i, at, count);
}
