/* self.c: this executable again, as a child, for its offline and serve doors. */
#include "cli/room.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS 16

static void become(char *const words[], int out_fd)
{
    char self[] = "/proc/self/exe", name[] = "stanch";
    char *argv[WORDS + 2] = {name};
    for (int i = 0; words[i] && i < WORDS; i++)
        argv[i + 1] = words[i];
    if (out_fd >= 0)
        (void)dup2(out_fd, STDOUT_FILENO);
    execv(self, argv);
    _exit(126);
}

static int read_all(int fd, struct stanch_buf *ret)
{
    char some[65536];
    ssize_t got;
    while ((got = read(fd, some, sizeof some)) != 0) {
        if (got > 0)
            stanch_buf_add(ret, some, (size_t)got);
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

/* An exit code that is not 0 comes with a message of the child's on stderr: only the code is handed on. */
static int wait_for(struct stanch_cli *cli, pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return stanch_err_errno(&cli->err, STANCH_E_SYSTEM, errno, "lost the child process");
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return stanch_err_set(&cli->err, STANCH_E_CRASHED, "the child process died of signal %d", WTERMSIG(status));
}

int stanch_cli__run_self(struct stanch_cli *cli, char *const argv[], struct stanch_buf *ret)
{
    int fds[2] = {-1, -1};
    if (ret && pipe(fds) != 0)
        return stanch_err_errno(&cli->err, STANCH_E_SYSTEM, errno, "no pipe");
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (fds[0] >= 0)
            close(fds[0]);
        become(argv, fds[1]);
    }
    if (fds[1] >= 0)
        close(fds[1]);
    if (pid < 0) {
        if (fds[0] >= 0)
            close(fds[0]);
        return stanch_err_errno(&cli->err, STANCH_E_SYSTEM, errno, "no process");
    }
    int rc = ret ? read_all(fds[0], ret) : 0;
    if (fds[0] >= 0)
        close(fds[0]);
    int code = wait_for(cli, pid);
    return rc == 0 ? code : stanch_err_set(&cli->err, STANCH_E_SYSTEM, "cannot read from the child process");
}
