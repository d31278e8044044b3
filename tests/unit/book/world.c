/* world.c: see world.h. */
#include "world.h"
#include <signal.h>
#include <unistd.h>

static void on_candidate(void *ctx, const struct stanch_revision *revision)
{
    struct world *world = ctx;
    world->candidates++;
    (void)snprintf(world->commit, sizeof world->commit, "%s", revision->commit);
    (void)snprintf(world->summary, sizeof world->summary, "%s", revision->summary);
    (void)snprintf(world->author, sizeof world->author, "%s", revision->author);
    world->files[0] = 0;
    for (int i = 0; i < revision->file_count; i++) {
        size_t used = strlen(world->files);
        const struct stanch_book_file *file = &revision->files[i];
        assert_int_equal(strlen(file->blob_hex), 64);
        (void)snprintf(world->files + used, sizeof world->files - used, "%s=%.*s;", file->path, (int)file->len,
                       file->bytes);
    }
    if (world->verdict == ACCEPT)
        stanch_book_accept(world->book, revision->commit);
    if (world->verdict == REFUSE)
        stanch_book_refuse(world->book, revision->commit, "does not lint");
    stanch_loop_stop(world->loop);
}

static void on_fault(void *ctx, const char *commit, const struct stanch_err *err)
{
    struct world *world = ctx;
    world->faults++;
    world->fault = *err;
    (void)snprintf(world->commit, sizeof world->commit, "%s", commit ? commit : "");
    stanch_loop_stop(world->loop);
}

static void on_current(void *ctx, const char *commit)
{
    struct world *world = ctx;
    world->currents++;
    (void)snprintf(world->commit, sizeof world->commit, "%s", commit);
    stanch_loop_stop(world->loop);
}

static void on_synced(void *ctx, int rc, const struct stanch_err *err)
{
    struct world *world = ctx;
    world->syncs++;
    world->sync_rc = rc;
    world->sync_err = err ? *err : (struct stanch_err){0};
    stanch_loop_stop(world->loop);
}

static void on_late(void *ctx)
{
    struct world *world = ctx;
    world->late = true;
    stanch_loop_stop(world->loop);
}

void sh(struct world *world, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *command = NULL;
    assert_true(vasprintf(&command, fmt, ap) > 0);
    va_end(ap);
    char *whole = stanch_asprintf("set -e; cd %s; { %s\n} >log 2>&1 || { cat log >&2; exit 1; }", world->dir, command);
    if (system(whole) != 0)
        fail_msg("%s", command);
    free(whole);
    free(command);
}

const char *line_of(struct world *world, const char *command)
{
    static char line[200];
    char *whole = stanch_asprintf("cd %s; %s", world->dir, command);
    FILE *pipe = popen(whole, "re");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof line, pipe));
    line[strcspn(line, "\n")] = 0;
    (void)pclose(pipe);
    free(whole);
    return line;
}

void commit_file(struct world *world, const char *path, const char *text)
{
    sh(world, "cd repo; mkdir -p \"$(dirname '%s')\"; printf '%%s' '%s' >'%s'; git add -A; git commit -qm 'change %s'",
       path, text, path, path);
}

int setup(void **state)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as the daemon does: a channel may lose its peer */
    (void)setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
    (void)setenv("GIT_CONFIG_SYSTEM", "/dev/null", 1);
    (void)setenv("GIT_AUTHOR_NAME", "Ada", 1);
    (void)setenv("GIT_AUTHOR_EMAIL", "ada@example.org", 1);
    (void)setenv("GIT_COMMITTER_NAME", "Ada", 1);
    (void)setenv("GIT_COMMITTER_EMAIL", "ada@example.org", 1);
    struct world *world = STANCH_NEW(struct world);
    (void)snprintf(world->dir, sizeof world->dir, "/tmp/stanch-book-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    (void)snprintf(world->url, sizeof world->url, "%s/repo", world->dir);
    (void)snprintf(world->clone, sizeof world->clone, "%s/state/clone", world->dir);
    struct stanch_err err;
    world->loop = stanch_loop_new(&err);
    assert_non_null(world->loop);
    const char *exe = getenv("STANCH_BIN");
    world->config = (struct stanch_book_config){
        .exe = exe ? exe : "build/bin/stanch",
        .repo_dir = world->clone,
        .url = world->url,
        .branch = "main",
        .folder = "",
    };
    sh(world, "git init -q -b main repo; git -C repo config core.symlinks true");
    commit_file(world, "checkout.lua", "one");
    *state = world;
    return 0;
}

void start_book(struct world *world)
{
    static const struct stanch_book_events events = {on_candidate, on_fault, on_current};
    struct stanch_err err;
    if (stanch_book_start(world->loop, &world->config, &events, world, &world->book, &err) < 0)
        fail_msg("%s", err.text);
}

void stop_book(struct world *world)
{
    stanch_book_free(world->book);
    world->book = NULL;
}

void wait_for(struct world *world, const int *counter, int value)
{
    struct stanch_timer *watchdog = stanch_timer_start(world->loop, 30000, on_late, world);
    while (*counter < value && !world->late)
        stanch_loop_run(world->loop);
    if (world->late)
        fail_msg("waited 30 s for %d, got %d (fault: %s)", value, *counter, world->fault.text);
    stanch_timer_stop(world->loop, &watchdog);
}

int sync_now(struct world *world)
{
    struct stanch_err err;
    assert_int_equal(stanch_book_sync(world->book, on_synced, world, &err), 0);
    wait_for(world, &world->syncs, ++world->syncs_wanted);
    return world->sync_rc;
}

void start_and_accept(struct world *world)
{
    start_book(world);
    wait_for(world, &world->candidates, 1);
}

int teardown(void **state)
{
    struct world *world = *state;
    stop_book(world);
    stanch_loop_free(world->loop); /* reaps the child */
    sh(world, "chmod -R u+w . ; rm -rf '%s'", world->dir);
    free(world);
    return 0;
}
