/* early.c: a plugin for tests whose code runs as early as it can, while it is loaded, and tries what would be an
 * effect outside. Its summary tells how each try ended. early-dies and early-hangs end there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stanch/sdk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef EARLY_NAME
#define EARLY_NAME "early"
#endif

static char declaration[1000], tried[500];

static void add_try(const char *what, int rc)
{
    size_t len = strlen(tried);
    (void)snprintf(tried + len, sizeof tried - len, "%s%s=%s", len ? " " : "", what,
                   rc < 0 ? strerrorname_np(errno) : "works");
    if (rc > 0)
        close(rc);
}

/* What works is taken back: a host that opens a plugin does not stop this. */
static void try_files(void)
{
    char dir[64], file[80], other[80];
    (void)snprintf(dir, sizeof dir, "/tmp/stanch-early-%d", (int)getpid());
    (void)snprintf(file, sizeof file, "%s/file", dir);
    (void)snprintf(other, sizeof other, "%s/other", dir);
    add_try("mkdir", mkdir(dir, 0700));
    add_try("create", open(file, O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
    add_try("write", open("/dev/null", O_WRONLY | O_CLOEXEC));
    add_try("change", open("/dev/null", O_RDWR | O_CLOEXEC));
    add_try("read", open("/dev/null", O_RDONLY | O_CLOEXEC));
    add_try("link", link(file, other));
    add_try("chmod", chmod(file, 0640));
    add_try("truncate", truncate(file, 0));
    (void)unlink(other); /* a file is not renamed onto itself */
    add_try("rename", rename(file, other));
    add_try("unlink", unlink(other));
    add_try("rmdir", rmdir(dir));
}

__attribute__((constructor)) static void begin(void)
{
#ifdef EARLY_DIES
    (void)kill(getpid(), SIGKILL);
#endif
#ifdef EARLY_HANGS
    for (;;)
        pause();
#endif
    add_try("inet", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    add_try("unix", socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    try_files();
    add_try("parent", kill(getppid(), 0));
    add_try("environment", getenv("PATH") ? 0 : (errno = ENOENT, -1));
    (void)snprintf(declaration, sizeof declaration,
                   "{\"name\": \"" EARLY_NAME "\", \"version\": \"1\", \"summary\": \"%s\","
                   " \"actions\": {\"look\": {\"summary\": \"-\", \"effect\": \"read\", \"class\": \"read-only\"}}}",
                   tried);
}

static void look(struct sdk_call *call)
{
    sdk_done(call, json_object());
}

static const struct sdk_handler handlers[] = {{"look", STANCH_OP_READ, look}, {0}};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers};
STANCH_PLUGIN(plugin)
