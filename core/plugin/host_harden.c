/* host_harden.c: what a host process gives up (PROMISES.md T19, T28): privileges, core dumps, being read,
 * other processes, dangerous system calls; and, before the plugin's open, the file system (Landlock).
 *
 * What remains possible and is not stopped here: sockets that a plugin makes by itself (no network namespace
 * yet), and everything in the plugin's constructors before Landlock (seccomp is there already). */
#include "base/mem.h"
#include "plugin/declaration.h"
#include "plugin/host.h"
#include "plugin/schema.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_MEMORY ((rlim_t)2 << 30)
#define MAX_FILES  1024

static const int denied[] = {
#ifndef STANCH_ASAN /* the leak checker needs these two */
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
#endif
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(quotactl),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(setsid),
    SCMP_SYS(setpgid),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(listen),
    SCMP_SYS(tkill),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
};

static int add_denied(scmp_filter_ctx filter)
{
    int rc = 0;
    uint32_t no = SCMP_ACT_ERRNO(EPERM);
    uint64_t self = (uint64_t)getpid();
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
        rc = rc ? rc : seccomp_rule_add(filter, no, denied[i], 0);
    /* threads, but no processes; clone3 hides its flags in memory, and libc falls back to clone */
    rc = rc ? rc : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    /* signals to itself only, and to no group */
    rc = rc ? rc : seccomp_rule_add(filter, no, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_NE, self));
    rc = rc ? rc : seccomp_rule_add(filter, no, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, self));
    /* unix, inet, inet6 and netlink (the resolver asks for addresses); no raw packets, no AF_ALG, no vsock */
    rc = rc ? rc : seccomp_rule_add(filter, no, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, 16));
#ifndef STANCH_ASAN
    rc = rc ? rc : seccomp_rule_add(filter, no, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    rc = rc ? rc : seccomp_rule_add(filter, no, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_DUMPABLE));
#endif
    return rc;
}

static int load_seccomp(int (*add)(scmp_filter_ctx filter), struct stanch_err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter)
        return stanch_err_set(err, STANCH_E_SYSTEM, "no seccomp filter could be made");
    int rc = add(filter);
    rc = rc ? rc : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    rc = rc ? rc : seccomp_load(filter);
    seccomp_release(filter);
    return rc ? stanch_err_errno(err, STANCH_E_SYSTEM, -rc, "the seccomp filter of a plugin host") : 0;
}

int stanch_host__harden(struct stanch_err *err)
{
    struct rlimit no_core = {0, 0}, files = {MAX_FILES, MAX_FILES};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
        setrlimit(RLIMIT_NOFILE, &files) < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the limits of a plugin host");
#ifndef STANCH_ASAN /* the sanitizer reserves terabytes, and its leak checker reads this process */
    struct rlimit memory = {MAX_MEMORY, MAX_MEMORY};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_AS, &memory) < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the limits of a plugin host");
#endif
    return load_seccomp(add_denied, err);
}

/* ---- a host that only declares ---- */

/* What reaches others, and what changes files without opening them for writing. */
static const int sealed[] = {
    SCMP_SYS(socket),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(creat),
    SCMP_SYS(truncate),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(symlink),
    SCMP_SYS(symlinkat),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(chown),
    SCMP_SYS(fchown),
    SCMP_SYS(lchown),
    SCMP_SYS(fchownat),
    SCMP_SYS(utime),
    SCMP_SYS(utimes),
    SCMP_SYS(futimesat),
    SCMP_SYS(utimensat),
    SCMP_SYS(setxattr),
    SCMP_SYS(lsetxattr),
    SCMP_SYS(fsetxattr),
    SCMP_SYS(removexattr),
    SCMP_SYS(lremovexattr),
    SCMP_SYS(fremovexattr),
    SCMP_SYS(mq_open),
    SCMP_SYS(mq_unlink),
    SCMP_SYS(shmget),
    SCMP_SYS(msgget),
    SCMP_SYS(semget),
    SCMP_SYS(flock),
    /* fchmodat2, setxattrat, removexattrat, file_setattr: younger than the headers, of one number everywhere */
    452,
    463,
    466,
    469,
};

static int add_sealed(scmp_filter_ctx filter)
{
    static const uint64_t writes[][2] = {
        {O_ACCMODE, O_WRONLY}, {O_ACCMODE, O_RDWR}, {O_CREAT, O_CREAT}, {O_TRUNC, O_TRUNC}};
    uint32_t no = SCMP_ACT_ERRNO(EPERM);
    int rc = 0;
    for (size_t i = 0; i < sizeof sealed / sizeof *sealed; i++)
        rc = rc ? rc : seccomp_rule_add(filter, no, sealed[i], 0);
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        struct scmp_arg_cmp open_flags = SCMP_A1(SCMP_CMP_MASKED_EQ, writes[i][0], writes[i][1]);
        struct scmp_arg_cmp openat_flags = SCMP_A2(SCMP_CMP_MASKED_EQ, writes[i][0], writes[i][1]);
        rc = rc ? rc : seccomp_rule_add(filter, no, SCMP_SYS(open), 1, open_flags);
        rc = rc ? rc : seccomp_rule_add(filter, no, SCMP_SYS(openat), 1, openat_flags);
    }
    /* hides its flags in memory, as clone3 does */
    return rc ? rc : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
}

int stanch_host__seal(struct stanch_err *err)
{
    return load_seccomp(add_sealed, err);
}

/* ---- Landlock: https://docs.kernel.org/userspace-api/landlock.html ---- */

#define READ_ACCESS  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_ACCESS (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#define FILE_ACCESS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE)
#define ALL_ACCESS                                                                                                     \
    (READ_ACCESS | WRITE_ACCESS | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                         \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK |                       \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

static void allow(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    struct stat st;
    if (rule.parent_fd < 0)
        return; /* what does not exist needs no permission */
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= FILE_ACCESS; /* Landlock refuses rights of folders for a file */
    (void)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

/* All that a folder of its own is for, renaming from one of its folders into another included. */
#define OWN_ACCESS                                                                                                     \
    (READ_ACCESS | WRITE_ACCESS | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_DIR |                        \
     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

static bool is_read_format(const char *format)
{
    static const char *const words[] = {"ca-file", "file", "secret-file", "client-cert", NULL};
    for (const char *const *word = words; *word; word++)
        if (strcmp(*word, format) == 0)
            return true;
    return false;
}

/* The folder of a path that a setting names (or that it is itself): the plugin may read there, and write when it is a "path". A folder, since
 * what is replaced (a rotated token, a certificate) is another file of that name. */
static int on_format(void *ctx, const char *format, const char *text, const char *where, struct stanch_err *err)
{
    int rules = *(int *)ctx;
    STANCH_AUTO_FREE char *folder = stanch_strdup(text);
    struct stat st;
    bool is_folder = strcmp(format, "path") == 0 && stat(text, &st) == 0 && S_ISDIR(st.st_mode);
    char *slash = is_folder ? NULL : strrchr(folder, '/');
    (void)where;
    (void)err;
    if (strcmp(format, "path") != 0 && !is_read_format(format))
        return 0;
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    allow(rules, folder, strcmp(format, "path") == 0 ? READ_ACCESS | WRITE_ACCESS : READ_ACCESS);
    return 0;
}

int stanch_host__confine(struct stanch_instance *instance, bool *ret_has, struct stanch_err *err)
{
    /* what the resolver, TLS and late loading of libraries read */
    static const char *const readable[] = {
        "/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve", "/run/resolvconf", "/proc/sys", "/dev/urandom", NULL};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    bool has_own = instance->state_dir && *instance->state_dir;
    struct landlock_ruleset_attr attr = {.handled_access_fs = ALL_ACCESS | (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0)};
    if (has_own && abi < 2)
        return 0; /* before Linux 5.19 nothing could be renamed into another folder */
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
        return 0;
    if (rules < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the Landlock rules of a plugin host");
    for (const char *const *path = readable; *path; path++)
        allow(rules, *path, READ_ACCESS | LANDLOCK_ACCESS_FS_EXECUTE);
    allow(rules, "/dev/null", READ_ACCESS | LANDLOCK_ACCESS_FS_WRITE_FILE);
#ifdef STANCH_ASAN
    allow(rules, "/proc", READ_ACCESS);
#endif
    if (has_own)
        allow(rules, instance->state_dir, OWN_ACCESS);
    json_t *schema = stanch_declaration_settings_schema(instance->declaration);
    (void)stanch_schema_each_format(schema, instance->settings, "settings", on_format, &rules, err);
    json_decref(schema);
    int rc = (int)syscall(SYS_landlock_restrict_self, rules, 0);
    *ret_has = rc == 0;
    if (rc < 0)
        rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the Landlock rules of a plugin host");
    close(rules);
    return rc;
}
