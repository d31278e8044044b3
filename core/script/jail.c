/* jail.c: see jail.h. The order matters: descriptors, then limits, then the filter, which lets nothing of this
 * happen again. */
#include "script/jail.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define CHANNEL_FD   3
#define CPU_GRACE_MS 100 /* the VM's own look at the clock comes first: it can tell the line */

struct stanch_jail_filter {
    struct sock_fprog prog;
};

static int add_rules(scmp_filter_ctx ctx)
{
    static const int allowed[] = {
        SCMP_SYS(read),   SCMP_SYS(write),  SCMP_SYS(sendto),       SCMP_SYS(recvfrom),        SCMP_SYS(exit),
        SCMP_SYS(brk),    SCMP_SYS(munmap), SCMP_SYS(exit_group),   SCMP_SYS(clock_gettime),   SCMP_SYS(madvise),
        SCMP_SYS(mremap), SCMP_SYS(futex),  SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(getrandom),
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
    if (rc == 0) /* memory, never code */
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0) /* malloc's own, when it comes near RLIMIT_AS */
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return rc;
}

/* libseccomp 2.5 writes its program to a descriptor only. */
static int read_program(int fd, struct stanch_jail_filter *filter, struct stanch_err *err)
{
    off_t size = lseek(fd, 0, SEEK_END);
    if (size <= 0 || size % (off_t)sizeof(struct sock_filter) != 0)
        return stanch_err_set(err, STANCH_E_SYSTEM, "the system call filter could not be made");
    filter->prog.filter = stanch_alloc((size_t)size);
    filter->prog.len = (unsigned short)((size_t)size / sizeof(struct sock_filter));
    if (pread(fd, filter->prog.filter, (size_t)size, 0) != size)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the system call filter could not be read back");
    return 0;
}

int stanch_jail_filter_new(struct stanch_jail_filter **ret, struct stanch_err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int fd = memfd_create("filter", MFD_CLOEXEC);
    struct stanch_jail_filter *filter = STANCH_NEW(struct stanch_jail_filter);
    int rc = 0;
    if (!ctx || fd < 0 || add_rules(ctx) < 0 || seccomp_export_bpf(ctx, fd) < 0)
        rc = stanch_err_set(err, STANCH_E_SYSTEM, "the system call filter for workers could not be made");
    else
        rc = read_program(fd, filter, err);
    if (fd >= 0)
        close(fd);
    if (ctx)
        seccomp_release(ctx);
    if (rc < 0)
        stanch_jail_filter_free(filter);
    else
        *ret = filter;
    return rc;
}

void stanch_jail_filter_free(struct stanch_jail_filter *filter)
{
    if (filter)
        free(filter->prog.filter);
    free(filter);
}

static void close_others(int fd)
{
    if (fd != CHANNEL_FD)
        dup2(fd, CHANNEL_FD);
    for (int i = 0; i < CHANNEL_FD; i++)
        if (!STANCH_JAIL_SANITIZED || i != STDERR_FILENO)
            close(i);
    if (syscall(SYS_close_range, CHANNEL_FD + 1, ~0U, 0) < 0)
        for (int i = CHANNEL_FD + 1; i < 65536; i++)
            close(i);
}

/* Bytes that this process has mapped now: the runner's own code and libraries. */
static int64_t mapped_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%ld", &pages) != 1)
            pages = 0;
        (void)fclose(file);
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int limit(int what, int64_t value, struct stanch_err *err)
{
    struct rlimit both = {(rlim_t)value, (rlim_t)value};
    if (setrlimit((__rlimit_resource_t)what, &both) < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "limit %d of a worker", what);
    return 0;
}

/* RLIMIT_CPU counts whole seconds; the profiling timer, whose signal ends the process too, counts milliseconds. */
static int limit_cpu(int64_t cpu_ms, struct stanch_err *err)
{
    int64_t ms = cpu_ms + CPU_GRACE_MS;
    struct itimerval timer = {.it_value = {ms / 1000, (ms % 1000) * 1000}, .it_interval = {0, 10000}};
    signal(SIGPROF, SIG_DFL);
    if (setitimer(ITIMER_PROF, &timer, NULL) < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the CPU timer of a worker");
    return limit(RLIMIT_CPU, (ms + 999) / 1000 + 1, err);
}

static int limit_all(const struct stanch_jail_limits *limits, int64_t mapped, struct stanch_err *err)
{
    int rc = 0;
    if (!STANCH_JAIL_SANITIZED)
        rc = limit(RLIMIT_AS, mapped + limits->memory_bytes, err);
    if (rc == 0)
        rc = limit_cpu(limits->cpu_ms, err);
    if (rc == 0)
        rc = limit(RLIMIT_CORE, 0, err);
    if (rc == 0)
        rc = limit(RLIMIT_FSIZE, 0, err);
    if (rc == 0)
        rc = limit(RLIMIT_NPROC, 0, err);
    if (rc == 0)
        rc = limit(RLIMIT_NOFILE, STANCH_JAIL_SANITIZED ? 16 : 0, err);
    return rc;
}

int stanch_jail_enter(const struct stanch_jail_filter *filter, const struct stanch_jail_limits *limits, pid_t parent,
                      int fd, struct stanch_err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        return stanch_err_set(err, STANCH_E_SYSTEM, "the runner is gone");
    int64_t mapped = mapped_bytes();
    close_others(fd);
    int rc = limit_all(limits, mapped, err);
    if (rc < 0)
        return rc;
    if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "a worker could not give up its rights");
    if (!STANCH_JAIL_SANITIZED && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter->prog) < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the system call filter of a worker");
    return 0;
}
