/* serve_parts.h: the daemon as the files of serve share it.
 * Files    serve.c (the order in which it is put together), serve_setup.c (what the operator's files say), serve_hosts.c (the
 *          plugins), serve_end.c (signals, the drain, taking apart), serve_keep.c (who keeps the store).
 * Thread   loop thread.
 */
#ifndef STANCH_SERVE_PARTS_H
#define STANCH_SERVE_PARTS_H
#include "api/api.h"
#include "flow_parts.h"
#include "gameday/desk.h"
#include "gameday/herald.h"
#include "gameday/schedule.h"
#include "page/pager.h"
#include "people/people.h"
#include "rule/policy.h"
#include "serve_keep.h"
#include "timeline/store.h"
#include <uv.h>

struct stanch_serve_options {
    const char *config;
    bool check;
};

struct stanch_daemon {
    struct stanch_serve_options options;
    char *exe;
    json_t *config, *policy_data;
    struct stanch_loop *loop;
    struct stanch_runner *runner;
    struct stanch_store *store;
    struct stanch_journal *journal;
    struct stanch_plugins *plugins;
    struct stanch_policy *policy;
    struct stanch_people *people; /* NULL: whoever may open the socket may do all */
    struct stanch_world *world;
    struct stanch_engine *engine;
    struct stanch_flow *flow;
    struct stanch_api *api;
    struct stanch_keep *keep;
    struct stanch_flow_keeper keep_port;
    struct stanch_pager *pager;   /* NULL: the store is damaged */
    struct stanch_reload *reload; /* under way */
    struct stanch_desk *desk;     /* NULL: the store is damaged; like schedule and herald */
    struct stanch_schedule *schedule;
    struct stanch_herald *herald;
    uv_signal_t terminate, interrupt, hangup;
    struct stanch_timer *drain_timer;
    int64_t drain_until_mono_ms;
    bool draining, flushed, flush_is_late;
    bool damaged; /* the store is: it is shown, and nothing is done */
    bool found_damage;
    int64_t epoch;
    int64_t newest_ms; /* of the journal, when it was opened */
};

/* serve.c */
/** An entry about the daemon's own life: daemon.started, daemon.stopped. */
void stanch_daemon__append_life(struct stanch_daemon *daemon, const char *kind);

/* serve_setup.c */
/** Evaluate configuration, policy and people file in workers. Every mistake is on stderr; err names the first. */
int stanch_daemon__load_setup(struct stanch_daemon *daemon, struct stanch_err *err);

/** What is kept of the proxy's secret. ret: "" when no proxy is configured. returns 0 | STANCH_E_INVALID too short, or not there */
int stanch_daemon__hash_proxy_secret(const struct stanch_daemon *daemon, char ret[65], struct stanch_err *err);
/** Read policy and people file again: both are taken, or neither is. done: as in flow.h; NULL: nobody waits. returns 0 |
 *  STANCH_E_CONFLICT one is under way */
int stanch_daemon__reload(struct stanch_daemon *daemon, const char *by, stanch_flow_done done, void *ctx,
                          struct stanch_err *err);
/** Give up what is under way; who waits is told. Before the runner is freed. */
void stanch_daemon__end_reload(struct stanch_daemon *daemon);

/* serve_hosts.c */
/** Start the hosts of all instances, and wait until each was up or failed once. */
int stanch_daemon__start_hosts(struct stanch_daemon *daemon, struct stanch_err *err);
/** Only look whether the plugins take their settings: hosts are started under a lock of their own, so that those of a running
 *  daemon are left alone, and ended. */
int stanch_daemon__check_settings(struct stanch_daemon *daemon, struct stanch_err *err);
/** What the pager may ask of the plugins. */
struct stanch_pager_port stanch_daemon__pager_port(struct stanch_daemon *daemon);

/* serve_drills.c */
/** What plays drills; nothing begins before the loop runs. */
int stanch_daemon__start_drills(struct stanch_daemon *daemon, struct stanch_err *err);
/** stanch_flow_keeper.drill; ctx: the daemon */
int stanch_daemon__drill(void *ctx, const char *by, const char *command, const json_t *input, stanch_flow_done done,
                         void *done_ctx, struct stanch_err *err);
/** Add the drill that is under way to the status, if there is one. */
void stanch_daemon__tell_drill(const struct stanch_daemon *daemon, json_t *status);
void stanch_daemon__halt_drills(struct stanch_daemon *daemon);
void stanch_daemon__free_drills(struct stanch_daemon *daemon);

/* serve_end.c */
void stanch_daemon__watch_signals(struct stanch_daemon *daemon);
/** Found by the full check: nothing more is built on this store; the next start only reads. */
void stanch_daemon__on_damage(void *ctx, const char *what);
/** Record how it ended, tell who waits, free. Works on whatever was put together. */
void stanch_daemon__take_apart(struct stanch_daemon *daemon);

#endif
