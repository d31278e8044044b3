/* effects_break.c: see effects_break.h. */
#include "effects_break.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CHANNEL  3
#define MAX_BOMB 200 /* a bomb with an end, for where nothing else stops it */

static void block(void)
{
    for (;;)
        (void)pause();
}

static void say(const char *bytes, size_t len)
{
    if (write(CHANNEL, bytes, len) < 0)
        perror("effects");
}

static void drip(int64_t every_ms)
{
    for (;;) {
        say(" ", 1);
        usleep((useconds_t)every_ms * 1000);
    }
}

static void fork_bomb(void)
{
    for (int i = 0; i < MAX_BOMB; i++)
        if (fork() == 0)
            block();
}

static void *block_thread(void *nothing)
{
    block();
    return nothing;
}

static void thread_bomb(void)
{
    pthread_t thread;
    for (int i = 0; i < 10 * MAX_BOMB && pthread_create(&thread, NULL, block_thread, NULL) == 0; i++)
        (void)pthread_detach(thread);
}

static void outlive(const char *path)
{
    char go[1024], ready[1024];
    (void)snprintf(go, sizeof go, "%s.go", path);
    (void)snprintf(ready, sizeof ready, "%s.ready", path);
    (void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    int fd = open(ready, O_CREAT | O_WRONLY, 0600);
    if (fd >= 0)
        (void)close(fd);
    while (access(go, F_OK) < 0)
        usleep(20000);
}

void effects_break(const char *what, int64_t number, const char *path)
{
    if (strcmp(what, "segv") == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
        (void)raise(SIGSEGV);
    } else if (strcmp(what, "exit") == 0) {
        say("\x10\0\0\0\0\0\0\0{\"t\":", 13);
        _exit(0);
    } else if (strcmp(what, "stop") == 0) {
        (void)raise(SIGSTOP);
        block();
    } else if (strcmp(what, "close") == 0) {
        (void)close(CHANNEL);
        block();
    } else if (strcmp(what, "drip") == 0) {
        say("\x10\x10\0\0\0\0\0\0", 8);
        drip(number);
    } else if (strcmp(what, "hang") == 0) {
        block();
    } else if (strcmp(what, "fork") == 0) {
        fork_bomb();
        block();
    } else if (strcmp(what, "threads") == 0) {
        thread_bomb();
        block();
    } else if (strcmp(what, "outlive") == 0) {
        outlive(path);
    } else if (strcmp(what, "outlive-child") == 0) {
        if (fork() != 0)
            block();
        outlive(path);
    }
}
