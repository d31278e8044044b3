/* The jail itself, without Lua: what a process may do once it is in, tried in a child per attempt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/times.h"
#include "script/jail.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct stanch_jail_limits limits = {64 << 20, 200};

/* Run `attempt` in the jail; it is 0 when it came back. returns as waitpid */
static int try(int (*attempt)(void))
{
    struct stanch_jail_filter *filter;
    struct stanch_err err;
    int ends[2], status;
    assert_int_equal(stanch_jail_filter_new(&filter, &err), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        if (stanch_jail_enter(filter, &limits, parent, ends[1], &err) < 0)
            _exit(99);
        _exit(attempt());
    }
    stanch_jail_filter_free(filter);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(ends[0]);
    close(ends[1]);
    return status;
}

static int open_file(void)
{
    return open("/etc/passwd", O_RDONLY) < 0;
}
static int open_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0;
}
static int start_process(void)
{
    return fork() < 0;
}
static int execute(void)
{
    return execl("/bin/true", "true", (char *)NULL);
}
static int map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}
static int protect_code(void)
{
    return mprotect((void *)((uintptr_t)&limits & ~4095UL), 4096, PROT_READ | PROT_EXEC);
}
static int kill_parent(void)
{
    return kill(getppid(), 0);
}
static int trace(void)
{
    return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static int get_rights(void)
{
    return prctl(PR_SET_DUMPABLE, 1);
}
static int receive_fd(void)
{
    struct msghdr message = {0};
    return recvmsg(3, &message, MSG_DONTWAIT) < 0;
}
static int look_around(void)
{
    char name[10];
    return (int)syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", name, sizeof name);
}

static void forbidden_calls_kill(void **state)
{
    int (*const attempts[])(void) = {open_file, open_socket, start_process, execute,    map_code,   protect_code,
                                     trace,     kill_parent, get_rights,    receive_fd, look_around};
    (void)state;
    if (STANCH_JAIL_SANITIZED)
        skip(); /* there is no filter under a sanitizer */
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        int status = try(attempts[i]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("attempt %zu ended with %x", i, (unsigned)status);
    }
}

static int use_allowed(void)
{
    struct timespec now;
    char *memory = malloc(10 << 20);
    memset(memory, 1, 10 << 20);
    free(memory);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return write(3, "x", 1) == 1 ? 7 : 0;
}

static int take_memory(void)
{
    char *memory = malloc(200 << 20);
    if (!memory)
        return 7;
    memset(memory, 1, 200 << 20);
    return 0;
}

static int spin(void)
{
    for (volatile unsigned i = 0; i < UINT32_MAX; i++)
        ;
    return 0;
}

static int use_other_descriptors(void)
{
    char byte;
    for (int fd = 0; fd < 64; fd++)
        if (fd != 3 && (fd != 2 || !STANCH_JAIL_SANITIZED) && (read(fd, &byte, 0) == 0 || write(fd, "", 0) == 0))
            return 1;
    return 7;
}

static void limits_hold(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(try(use_allowed)), 7);
    assert_int_equal(WEXITSTATUS(try(use_other_descriptors)), 7);
    if (!STANCH_JAIL_SANITIZED)
        assert_int_equal(WEXITSTATUS(try(take_memory)), 7);
    int status = try(spin);
    assert_true(WIFSIGNALED(status));
    assert_true(WTERMSIG(status) == SIGPROF || WTERMSIG(status) == SIGXCPU);
}

/* The parent's death is the worker's: a grandchild in the jail ends when the child does. */
static void the_jail_dies_with_its_parent(void **state)
{
    int alive[2], status;
    char byte;
    (void)state;
    assert_int_equal(pipe(alive), 0);
    pid_t child = fork();
    if (child == 0) {
        struct stanch_jail_filter *filter;
        struct stanch_err err;
        pid_t self = getpid();
        if (stanch_jail_filter_new(&filter, &err) < 0)
            _exit(1);
        if (fork() == 0) {
            if (stanch_jail_enter(filter, &limits, self, alive[1], &err) < 0 || write(3, "r", 1) != 1)
                _exit(1);
            struct timespec second = {1, 0};
            for (int i = 0; i < 20; i++) /* FUTEX_WAIT: uses no CPU, and ends in time when the test fails */
                (void)!syscall(SYS_futex, &status, 0, status, &second, NULL, 0);
            _exit(1);
        }
        close(alive[1]);
        if (read(alive[0], &byte, 1) != 1) /* it is in */
            _exit(1);
        _exit(0);
    }
    close(alive[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    struct pollfd over = {alive[0], POLLIN, 0};
    assert_int_equal(poll(&over, 1, 10000), 1);
    assert_int_equal(read(alive[0], &byte, 1), 0); /* the end of the file: nobody holds the other end any more */
    close(alive[0]);
}

static int come_back(void)
{
    return 7;
}

static void an_orphan_is_not_let_in(void **state)
{
    struct stanch_jail_filter *filter;
    struct stanch_err err;
    int status;
    (void)state;
    assert_int_equal(WEXITSTATUS(try(come_back)), 7);
    assert_int_equal(stanch_jail_filter_new(&filter, &err), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(stanch_jail_enter(filter, &limits, 1 << 22, 0, &err) < 0 ? 5 : 6);
    stanch_jail_filter_free(filter);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forbidden_calls_kill),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(the_jail_dies_with_its_parent),
        cmocka_unit_test(an_orphan_is_not_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
