/* serve_rehearse_jobs.c: the same words in several processes, each with its slice; their reports become one. */
#include "base/json.h"
#include "base/mem.h"
#include "serve_rehearse_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_JOBS  64
#define MAX_WORDS 40

struct job {
    pid_t pid;
    int fd;
    int said_fd; /* what it has to say to a person: told once, not by each of them */
};

static void become(int argc, char **argv, int slice, int slices, int out_fd, int said_fd)
{
    char self[] = "/proc/self/exe", name[] = "stanch", is_slice[] = "--slice", is_slices[] = "--slices";
    char *words[MAX_WORDS + 6] = {name};
    char of_slice[16], of_slices[16];
    int count = 1;
    (void)snprintf(of_slice, sizeof of_slice, "%d", slice);
    (void)snprintf(of_slices, sizeof of_slices, "%d", slices);
    for (int i = 0; i < argc && i < MAX_WORDS; i++)
        words[count++] = argv[i];
    words[count++] = is_slice;
    words[count++] = of_slice;
    words[count++] = is_slices;
    words[count] = of_slices;
    (void)dup2(out_fd, STDOUT_FILENO);
    (void)dup2(said_fd, STDERR_FILENO);
    execv(self, words);
    _exit(126);
}

static int start_job(int argc, char **argv, int slice, int slices, struct job *ret, struct stanch_err *err)
{
    int ends[2];
    ret->said_fd = memfd_create("said", MFD_CLOEXEC);
    if (ret->said_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "no pipe");
    ret->pid = fork();
    if (ret->pid == 0)
        become(argc, argv, slice, slices, ends[1], ret->said_fd);
    close(ends[1]);
    ret->fd = ends[0];
    if (ret->pid < 0) {
        close(ends[0]);
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "no process");
    }
    return 0;
}

static void tell_said(int fd)
{
    char some[4096];
    ssize_t got;
    (void)lseek(fd, 0, SEEK_SET);
    while ((got = read(fd, some, sizeof some)) > 0)
        (void)fwrite(some, 1, (size_t)got, stderr);
}

static int end_job(const struct job *job, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    char some[65536];
    ssize_t got;
    int status = 0;
    while ((got = read(job->fd, some, sizeof some)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0)
            stanch_buf_add(&text, some, (size_t)got);
    close(job->fd);
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        return stanch_err_set(err, STANCH_E_CRASHED, "a process of the tests ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "%s", ""); /* it says why */
    json_error_t why;
    *ret = json_loadb(stanch_buf_str(&text), text.len, 0, &why);
    return *ret ? 0
                : stanch_err_set(err, STANCH_E_PROTOCOL, "a process of the tests said what is no JSON: %s", why.text);
}

/* By number: the order of the files. Each slice is in order already. */
static void merge_list(json_t *all, const json_t *one)
{
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(one); i++) {
        json_t *each = json_array_get(one, i);
        int64_t number = stanch_json_int(each, "number", 0);
        while (at < json_array_size(all) && stanch_json_int(json_array_get(all, at), "number", 0) <= number)
            at++;
        json_array_insert(all, at, each);
    }
}

static void merge(json_t *all, const json_t *one)
{
    const char *path;
    json_t *lines, *covered = json_object_get(all, "covered");
    merge_list(json_object_get(all, "tests"), json_object_get(one, "tests"));
    if (json_object_get(all, "mutants"))
        merge_list(json_object_get(all, "mutants"), json_object_get(one, "mutants"));
    json_object_foreach(json_object_get(one, "covered"), path, lines)
    {
        json_t *known = json_object_get(covered, path);
        if (known)
            json_object_update(known, lines);
        else
            json_object_set(covered, path, lines);
    }
    json_object_update_missing(all, (json_t *)(uintptr_t)one);
}

int stanch_rehearse__in_jobs(int argc, char **argv, int jobs, json_t **ret, struct stanch_err *err)
{
    struct job started[MAX_JOBS];
    int count = 0, rc = 0;
    jobs = jobs < MAX_JOBS ? jobs : MAX_JOBS;
    for (; rc == 0 && count < jobs; count += rc == 0)
        rc = start_job(argc, argv, count, jobs, &started[count], err);
    *ret = json_pack("{s:[], s:{}}", "tests", "covered");
    for (int i = 0; i < count; i++) {
        STANCH_AUTO_JSON json_t *one = NULL;
        struct stanch_err own = {0};
        int ended = end_job(&started[i], &one, &own);
        if (rc == 0 && (ended < 0 || i == 0))
            tell_said(started[i].said_fd);
        close(started[i].said_fd);
        if (ended == 0)
            merge(*ret, one);
        else if (rc == 0)
            rc = (*err = own, ended);
    }
    for (size_t i = 0; i < json_array_size(json_object_get(*ret, "tests")); i++)
        if (!stanch_json_bool(json_array_get(json_object_get(*ret, "tests"), i), "ok", false))
            json_object_del(*ret, "mutants"); /* another slice did not know of it */
    if (rc < 0) {
        json_decref(*ret);
        *ret = NULL;
    }
    return rc;
}
