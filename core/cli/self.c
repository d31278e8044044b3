/* self.c: this executable again, as a child, for its offline and serve doors. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS 32

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

int stanch_cli__find_store(struct stanch_cli *cli, char **ret)
{
    STANCH_AUTO_JSON json_t *status = NULL;
    const char *given = stanch_cli__value(cli, STANCH_CLI__STORE);
    if (given) {
        *ret = stanch_strdup(given);
        return 0;
    }
    int rc = stanch_cli__get(cli, "/v1/status", &status);
    if (rc != 0)
        return stanch_err_wrap(&cli->err, "--store DIR reads a store without the daemon");
    const char *dir = stanch_json_str(status, "state_dir", NULL);
    if (!dir)
        return stanch_err_set(&cli->err, STANCH_E_PROTOCOL,
                              "the daemon does not say where its store is; use --store DIR");
    *ret = stanch_strdup(dir);
    return 0;
}

int stanch_cli__go_offline(struct stanch_cli *cli, const char *verb, const char *store, const char *const *more,
                           struct stanch_buf *ret)
{
    const char *words[WORDS] = {"offline", verb, "--store", store};
    char *argv[WORDS + 1] = {0};
    int count = 4;
    for (; more && *more && count < WORDS; more++)
        words[count++] = *more;
    for (int i = 0; i < count; i++)
        argv[i] = stanch_strdup(words[i]);
    int rc = stanch_cli__run_self(cli, argv, ret);
    for (int i = 0; i < count; i++)
        free(argv[i]);
    return rc;
}

int stanch_cli__ask_offline(struct stanch_cli *cli, const char *verb, const char *store, const char *const *more,
                            json_t **ret)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = stanch_cli__go_offline(cli, verb, store, more, &text);
    return rc ? rc : stanch_json_parse(stanch_buf_str(&text), text.len, &stanch_json_own_limits, ret, &cli->err);
}
