/* job.c: libgit2 waits inside of its calls, and the host has one thread: so a worker of the instance does the work,
 * one job after the other (there is one clone), and the call asks now and then whether its job is over.
 *
 *   call --> job --> queue --> worker --> over        call: every POLL_MS: over? answer.
 *                                                     the running job is late? cut its connections.
 *
 * A job must not push after its call was answered "unknown" by the deadline: it is marked as cut a little before that,
 * its sockets are shut, and push.c looks at the mark at the last moment before anything is sent. libgit2 1.5 has no
 * time limits of its own; shutting the sockets of this process (which has no others to the network) ends its waiting.
 */
#include "gitops.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS       15
#define BEFORE_END_MS 500 /* of a call: then its job is cut */
#define KEEP_MS       5000
#define WARM_MS       600000 /* the first clone, which no call waits for */
#define STUCK_MS      15000  /* ... unless nothing comes, and calls wait behind it */
#define MAX_FD        1024

struct gitops_memory {
    struct gitops_memory *next;
    char text[];
};

static int64_t mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((format(printf, 2, 0))) static const char *keep_text(struct gitops_job *job, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    struct gitops_memory *memory = malloc(sizeof *memory + (len > 0 ? (size_t)len : 0) + 1);
    if (!memory)
        return "";
    memory->text[0] = '\0';
    if (len > 0)
        (void)vsnprintf(memory->text, (size_t)len + 1, fmt, ap);
    memory->next = job->memory;
    job->memory = memory;
    return memory->text;
}

const char *gitops_text(struct gitops_job *job, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = keep_text(job, fmt, ap);
    va_end(ap);
    return text;
}

#define END_JOB(result, word, again)                                                                                   \
    va_list ap;                                                                                                        \
    va_start(ap, fmt);                                                                                                 \
    job->outcome = (result);                                                                                           \
    job->kind = (word);                                                                                                \
    job->is_retry = (again);                                                                                           \
    job->why = keep_text(job, fmt, ap);                                                                                \
    va_end(ap);                                                                                                        \
    return -1

int gitops_fail(struct gitops_job *job, const char *kind, const char *fmt, ...)
{
    END_JOB(GITOPS_FAILED, kind, false);
}

int gitops_fail_retry(struct gitops_job *job, const char *kind, const char *fmt, ...)
{
    END_JOB(GITOPS_FAILED, kind, true);
}

int gitops_unknown(struct gitops_job *job, const char *kind, const char *fmt, ...)
{
    END_JOB(GITOPS_UNKNOWN, kind, false);
}

const char *gitops_git_says(struct gitops_job *job)
{
    const git_error *last = git_error_last();
    return gitops_clean(job, last && last->message ? last->message : "no reason given");
}

static void free_job(struct gitops_job *job)
{
    while (job->memory) {
        struct gitops_memory *next = job->memory->next;
        free(job->memory);
        job->memory = next;
    }
    json_decref(job->args);
    json_decref(job->plan);
    json_decref(job->value);
    free(job->action);
    free(job->key);
    free(job->reconciles);
    free(job);
}

/* ---- the worker ---- */

void gitops_moved(struct gitops *gitops)
{
    gitops->moved_mono_ms = mono_ms();
}

static int do_job(struct gitops_job *job)
{
    if (!*job->action && job->op == 0)
        return gitops_fetch(job, &(git_oid){{0}});
    switch (job->op) {
    case STANCH_OP_PLAN:
        return gitops_plan(job);
    case STANCH_OP_APPLY:
        return gitops_apply(job);
    case STANCH_OP_VERIFY:
        return gitops_verify(job);
    case STANCH_OP_UNDO:
        return gitops_undo(job);
    case STANCH_OP_RECONCILE:
        return gitops_reconcile(job);
    case STANCH_OP_CHECK:
        return gitops_check(job);
    default:
        return strcmp(job->action, "log") == 0 ? gitops_log(job) : gitops_head(job);
    }
}

static void run_job(struct gitops *gitops, struct gitops_job *job)
{
    gitops->objects = 0;
    gitops_moved(gitops);
    if (job->is_cut)
        (void)gitops_fail_retry(job, "unavailable", "it was given up before its turn came");
    else if (gitops->repo || gitops_open_clone(gitops, job) == 0)
        (void)do_job(job);
}

static void *work(void *arg)
{
    struct gitops *gitops = arg;
    pthread_mutex_lock(&gitops->lock);
    while (!gitops->is_stopping) {
        struct gitops_job *job = gitops->queue;
        if (!job) {
            pthread_cond_wait(&gitops->wake, &gitops->lock);
            continue;
        }
        gitops->queue = job->next;
        gitops->running = job;
        pthread_mutex_unlock(&gitops->lock);
        run_job(gitops, job);
        pthread_mutex_lock(&gitops->lock);
        gitops->running = NULL;
        job->is_over = true;
        job->next = gitops->spent;
        gitops->spent = job;
    }
    pthread_mutex_unlock(&gitops->lock);
    return NULL;
}

/* All connections of this process to the network are libgit2's. */
static void cut_connections(void)
{
    for (int fd = 3; fd < MAX_FD; fd++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
            (address.ss_family == AF_INET || address.ss_family == AF_INET6))
            (void)shutdown(fd, SHUT_RDWR);
    }
}

/* With the lock held: a job whose time is up ends now, also when its own call is not asking any more. Each time anew:
 * when it was cut it may not have had the connection yet that it waits on. */
static void cut_late(struct gitops *gitops)
{
    struct gitops_job *running = gitops->running;
    if (!running)
        return;
    bool is_stuck = running->op == 0 && mono_ms() > gitops->moved_mono_ms + STUCK_MS;
    if (!running->is_cut && mono_ms() < running->deadline_mono_ms && !is_stuck)
        return;
    running->is_cut = true;
    cut_connections();
}

static void add_job(struct gitops *gitops, struct gitops_job *job)
{
    pthread_mutex_lock(&gitops->lock);
    struct gitops_job **at = &gitops->spent;
    while (*at) { /* whose call was answered by its deadline */
        struct gitops_job *old = *at;
        if (mono_ms() > old->deadline_mono_ms + KEEP_MS) {
            *at = old->next;
            free_job(old);
        } else
            at = &old->next;
    }
    for (at = &gitops->queue; *at; at = &(*at)->next)
        ;
    *at = job;
    pthread_cond_signal(&gitops->wake);
    pthread_mutex_unlock(&gitops->lock);
}

static struct gitops_job *new_job(struct gitops *gitops, uint32_t op, const char *action, uint32_t within_ms)
{
    struct gitops_job *job = calloc(1, sizeof *job);
    if (!job)
        abort();
    job->gitops = gitops;
    job->op = op;
    job->action = strdup(action);
    job->deadline_mono_ms = mono_ms() + (within_ms > 2 * BEFORE_END_MS ? within_ms - BEFORE_END_MS : within_ms / 2);
    return job;
}

const char *gitops_start(struct gitops *gitops)
{
    pthread_mutex_init(&gitops->lock, NULL);
    pthread_cond_init(&gitops->wake, NULL);
    if (pthread_create(&gitops->worker, NULL, work, gitops) != 0)
        return "the thread that does the work could not be started";
    if (access(gitops->clone_dir, F_OK) < 0) /* so that the first plan has little to fetch */
        add_job(gitops, new_job(gitops, 0, "", WARM_MS));
    return NULL;
}

void gitops_stop(struct gitops *gitops)
{
    pthread_mutex_lock(&gitops->lock);
    gitops->is_stopping = true;
    if (gitops->running) {
        gitops->running->is_cut = true;
        cut_connections();
    }
    pthread_cond_signal(&gitops->wake);
    pthread_mutex_unlock(&gitops->lock);
    pthread_join(gitops->worker, NULL);
    struct gitops_job *const lists[] = {gitops->queue, gitops->spent};
    for (size_t i = 0; i < 2; i++)
        for (struct gitops_job *job = lists[i], *next; job; job = next) {
            next = job->next;
            free_job(job);
        }
    pthread_cond_destroy(&gitops->wake);
    pthread_mutex_destroy(&gitops->lock);
}

/* ---- the call ---- */

static json_t *take(json_t *value, const char *name)
{
    return json_incref(json_object_get(value, name));
}

static void answer_plan(struct sdk_call *call, json_t *value)
{
    sdk_plan(call, &(struct sdk_plan){
                       .targets = take(value, "targets"),
                       .from = take(value, "from"),
                       .to = take(value, "to"),
                       .undo = take(value, "undo"),
                       .by_hand = json_string_value(json_object_get(value, "by_hand")),
                       .undo_by_hand = json_string_value(json_object_get(value, "undo_by_hand")),
                       .impact = json_string_value(json_object_get(value, "impact")),
                       .risk = json_string_value(json_object_get(value, "risk")),
                       .reach = -1,
                       .observed = take(value, "observed"),
                       .no_change = json_is_true(json_object_get(value, "no_change")),
                   });
}

static void answer_checks(struct sdk_call *call, const json_t *checks)
{
    size_t i;
    json_t *one;
    json_array_foreach(checks, i, one)
        sdk_check(call, json_string_value(json_object_get(one, "name")), json_is_true(json_object_get(one, "ok")), "%s",
                  json_string_value(json_object_get(one, "text")));
    sdk_checked(call);
}

static void answer(struct sdk_call *call, struct gitops_job *job)
{
    if (job->outcome == GITOPS_UNKNOWN)
        sdk_unknown(call, job->kind, "%s", job->why);
    else if (job->outcome == GITOPS_FAILED && job->is_retry)
        sdk_fail_retry(call, 0, job->kind, "%s", job->why);
    else if (job->outcome == GITOPS_FAILED)
        sdk_fail(call, job->kind, "%s", job->why);
    else if (job->op == STANCH_OP_PLAN)
        answer_plan(call, job->value);
    else if (job->op == STANCH_OP_CHECK)
        answer_checks(call, job->value);
    else if (job->op == STANCH_OP_VERIFY)
        sdk_holds(call, json_is_true(json_object_get(job->value, "holds")), take(job->value, "seen"));
    else if (job->op == STANCH_OP_RECONCILE)
        sdk_reconciled(call, json_string_value(job->value));
    else
        sdk_done(call, json_incref(job->value));
}

static void unlink_job(struct gitops_job **list, const struct gitops_job *job)
{
    struct gitops_job **at = list;
    while (*at && *at != job)
        at = &(*at)->next;
    if (*at)
        *at = job->next;
}

static void on_poll(struct sdk_call *call)
{
    struct gitops_job *job = sdk_kept(call);
    struct gitops *gitops = job->gitops;
    pthread_mutex_lock(&gitops->lock);
    bool is_over = job->is_over, is_waiting = !is_over && gitops->running != job;
    bool is_late = is_waiting && mono_ms() >= job->deadline_mono_ms;
    if (is_over)
        unlink_job(&gitops->spent, job);
    if (is_late) {
        unlink_job(&gitops->queue, job);
        (void)gitops_fail_retry(
            job, "unavailable",
            "the repository is busy with earlier work (%u objects of a fetch have come so far); try "
            "again later",
            atomic_load(&gitops->objects));
    }
    cut_late(gitops);
    pthread_mutex_unlock(&gitops->lock);
    if (is_over || is_late) {
        answer(call, job);
        free_job(job);
    } else
        sdk_later(call, POLL_MS, on_poll);
}

void gitops_call(struct sdk_call *call)
{
    struct gitops *gitops = sdk_state(call);
    struct gitops_job *job = new_job(gitops, sdk_op(call), sdk_action(call), sdk_left_ms(call));
    job->args = json_deep_copy(sdk_args(call));
    job->plan = json_deep_copy(sdk_plan_of(call));
    job->key = strdup(sdk_key(call));
    job->reconciles = strdup(sdk_op(call) == STANCH_OP_RECONCILE ? sdk_reconciles(call) : "");
    sdk_keep(call, job);
    add_job(gitops, job);
    sdk_later(call, 1, on_poll);
}

void gitops_cancel(struct sdk_call *call)
{
    struct gitops_job *job = sdk_kept(call);
    if (!job)
        return;
    pthread_mutex_lock(&job->gitops->lock);
    job->is_cut = true;
    if (job->gitops->running == job)
        cut_connections();
    pthread_mutex_unlock(&job->gitops->lock);
}
