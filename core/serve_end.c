/* serve_end.c: the end of the daemon.
 *
 *   SIGTERM: no new events or steps -> up to `drain` for calls under way -> what is out is recorded as unknown -> all that waits
 *   for a commit is told -> the store is closed
 */
#include "serve_parts.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_MS 8000

/* ---- the drain ---- */

static void look_whether_drained(void *ctx)
{
    struct stanch_daemon *daemon = ctx;
    daemon->drain_timer = NULL;
    bool late = stanch_loop_mono_ms(daemon->loop) >= daemon->drain_until_mono_ms;
    if ((stanch_engine_calls(daemon->engine) == 0 && stanch_flow_receiving(daemon->flow) == 0) || late) {
        stanch_loop_stop(daemon->loop);
        return;
    }
    daemon->drain_timer = stanch_timer_start(daemon->loop, 20, look_whether_drained, daemon);
}

static void shut_down(struct stanch_daemon *daemon)
{
    daemon->draining = true;
    stanch_api_drain(daemon->api);
    stanch_flow_drain(daemon->flow);
    daemon->drain_until_mono_ms =
        stanch_loop_mono_ms(daemon->loop) + stanch_json_int(daemon->config, "drain_ms", 25000);
    look_whether_drained(daemon);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct stanch_daemon *daemon = signal->data;
    if (daemon->draining)
        return;
    stanch_log(STANCH_LOG_INFO, "serve", "shutting down signal=%d", number);
    shut_down(daemon);
}

/* As daemons do: read again what can be read again. */
static void on_hangup(uv_signal_t *signal, int number)
{
    struct stanch_daemon *daemon = signal->data;
    struct stanch_err err;
    (void)number;
    if (!daemon->draining && stanch_daemon__reload(daemon, STANCH_BY_STANCH, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_WARN, "serve", "%s", err.text);
}

void stanch_daemon__on_damage(void *ctx, const char *what)
{
    struct stanch_daemon *daemon = ctx;
    stanch_store_condemn(daemon->store, what);
    if (daemon->damaged)
        return; /* known, and nothing is done on it */
    daemon->found_damage = true;
    stanch_log(STANCH_LOG_ERROR, "serve", "the store is damaged, shutting down; the next start only reads: %s", what);
    if (!daemon->draining)
        shut_down(daemon);
}

/* ---- signals ---- */

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
#define WATCHED ((int)(sizeof signals / sizeof *signals))

void stanch_daemon__watch_signals(struct stanch_daemon *daemon)
{
    uv_signal_t *const watched[] = {&daemon->terminate, &daemon->interrupt, &daemon->hangup};
    for (int i = 0; i < WATCHED; i++) {
        uv_signal_init(stanch_loop_uv(daemon->loop), watched[i]);
        watched[i]->data = daemon;
        uv_signal_start(watched[i], signals[i] == SIGHUP ? on_hangup : on_signal, signals[i]);
    }
}

/* libuv gives a signal back to the system with its handle, and then a second SIGTERM would kill what is at its end. */
static void stop_watching_signals(struct stanch_daemon *daemon)
{
    uv_signal_t *const watched[] = {&daemon->terminate, &daemon->interrupt, &daemon->hangup};
    sigset_t set, before;
    sigemptyset(&set);
    for (int i = 0; i < WATCHED; i++)
        sigaddset(&set, signals[i]);
    pthread_sigmask(SIG_BLOCK, &set, &before); /* all other threads have ended */
    for (int i = 0; i < WATCHED; i++) {
        uv_close((uv_handle_t *)watched[i], NULL);
        signal(signals[i], SIG_IGN); /* takes away one that came in between, too */
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void on_flag(void *ctx)
{
    *(bool *)ctx = true;
}

/* Whoever waits for a commit is told, while all of them still live. When another process holds the store locked, what
 * waits is given up as by a kill: nobody was told that it is recorded. */
static void flush_journal(struct stanch_daemon *daemon)
{
    if (!daemon->damaged)
        stanch_daemon__append_life(daemon, "daemon.stopped");
    stanch_journal_barrier(daemon->journal, on_flag, &daemon->flushed);
    struct stanch_timer *late = stanch_timer_start(daemon->loop, FLUSH_MS, on_flag, &daemon->flush_is_late);
    while (!daemon->flushed && !daemon->flush_is_late)
        uv_run(stanch_loop_uv(daemon->loop), UV_RUN_ONCE);
    if (daemon->flush_is_late) {
        stanch_log(STANCH_LOG_ERROR, "serve",
                   "what waits could not be recorded within %d s; the next start goes on "
                   "from what is",
                   FLUSH_MS / 1000);
        _exit(STANCH_EXIT_STORE);
    }
    stanch_timer_stop(daemon->loop, &late);
}

void stanch_daemon__take_apart(struct stanch_daemon *daemon)
{
    if (daemon->loop)
        stanch_timer_stop(daemon->loop, &daemon->drain_timer);
    if (daemon->engine && !daemon->damaged)
        stanch_engine_leave(daemon->engine);
    if (daemon->engine)
        stanch_engine_halt(daemon->engine);
    if (daemon->flow)
        stanch_flow_halt(daemon->flow);
    stanch_pager_halt(daemon->pager);
    stanch_daemon__halt_drills(daemon);
    stanch_plugins_halt(daemon->plugins); /* whoever asks until the doors are closed hears that there is none */
    stanch_daemon__end_reload(daemon);
    stanch_runner_free(daemon->runner);
    if (daemon->journal)
        flush_journal(daemon);
    stanch_keep_finish(daemon->keep); /* of all that was recorded, the end too */
    if (daemon->flow)
        stanch_flow_keep(daemon->flow, (struct stanch_flow_keeper){0});
    stanch_keep_free(daemon->keep);
    stanch_api_free(daemon->api);
    if (daemon->loop)
        stanch_loop_run_once(daemon->loop); /* what was deferred */
    stanch_plugins_free(daemon->plugins);
    stanch_pager_free(daemon->pager);
    stanch_daemon__free_drills(daemon);
    stanch_flow_free(daemon->flow);
    stanch_engine_free(daemon->engine);
    stanch_world_free(daemon->world);
    stanch_journal_close(daemon->journal);
    stanch_policy_free(daemon->policy);
    stanch_people_free(daemon->people);
    json_decref(daemon->config);
    json_decref(daemon->policy_data);
    if (daemon->terminate.data)
        stop_watching_signals(daemon);
    if (daemon->loop)
        stanch_loop_run_once(daemon->loop);
    stanch_loop_free(daemon->loop);
    free(daemon->exe);
}
