/* desk.h: drills that the daemon plays: begun and ended here, played by a process of their own.
 *
 *   begin --> [process: stanch rehearse live] --up--> drill.started --committed: go--> ... --over--> drill.ended, with its report
 *                  |   pages -->  told through instances of `paging.via`, and no other call
 *   a real sev1 or sev2 (or, for staging, a stop) --> it is ended at once, and says why
 *   its process was killed, or the daemon was --> [process: ... --after WHY] puts away what it left --over--> drill.ended
 *
 * The process has its own store (STATE/drills/D-7), its own socket and no plugin host. What this one keeps of it is the document of the
 * drill (schedule.h), so that after a restart what was under way is put away and said to be over: the process ends with the daemon.
 * One drill with people at a time. Callers  serve.c.  Calls: timeline/, wire/, plugin/ (through its port).   Thread: loop thread.
 */
#ifndef STANCH_GAMEDAY_DESK_H
#define STANCH_GAMEDAY_DESK_H
#include "base/loop.h"
#include "page/pager.h"

struct stanch_journal;
struct stanch_desk;

struct stanch_desk_config { /* copied, but via */
    const char *exe, *config_path;
    const char *plugin_dir; /* NULL: as the configuration says */
    const char *state_dir;
    const char *socket;     /* the drill's: beside the daemon's own */
    const char *listen;     /* the drill's address; NULL: on its socket only */
    const char *url;        /* where people find it; NULL: no links */
    const char *proxy_hash; /* api.h; NULL: there is no proxy */
    const json_t *via;      /* instances that pages go through; borrowed; NULL: none */
};

struct stanch_desk_port {
    struct stanch_pager_port pager;
    /** The commit whose runbooks are in use; "": none yet. borrowed */
    const char *(*commit)(void *ctx);
    /** Is everything stopped? */
    bool (*is_stopped)(void *ctx);
    void *ctx;
};

/** Called exactly once, later; everything that result tells is committed. rc 0: result: the drill's document; borrowed. */
typedef void (*stanch_desk_done)(void *ctx, int rc, const struct stanch_err *err, const json_t *result);

/** What was under way is put away, and over then. port: copied. ret: new. returns 0 | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_desk_start(struct stanch_loop *loop, struct stanch_journal *journal, const struct stanch_desk_config *config,
                      const struct stanch_desk_port *port, struct stanch_desk **ret, struct stanch_err *err);
/** Begin one. input: {"name":of its scenario,"kind"?:"exercise" without it,"speed"?:1 to 60,"drill"?:its id, when it was announced};
 *  borrowed. done: when people can come in, or (virtual) when it is over; NULL: nobody waits. One that was announced and cannot begin is said to be missed.
 *  returns 0 | STANCH_E_CONFLICT one is under way, or a real sev1 or sev2 is | STANCH_E_UNAVAILABLE no runbooks yet, or what one left is put away | STANCH_E_STOPPED |
 *  STANCH_E_INVALID | STANCH_E_SYSTEM ; then done is not called, and nothing was said */
int stanch_desk_begin(struct stanch_desk *desk, const char *by, const json_t *input, stanch_desk_done done, void *ctx,
                      struct stanch_err *err);
/** End one that is under way. input: {"drill":id,"why"?}. done: when it is over. returns 0 | STANCH_E_NOT_FOUND it is not under way */
int stanch_desk_end(struct stanch_desk *desk, const char *by, const json_t *input, stanch_desk_done done, void *ctx,
                    struct stanch_err *err);
/** What is known of how one was, as its process left it: {"report","markdown","html"}; new. returns 0 | STANCH_E_NOT_FOUND there is no such
 *  drill, or no report of it (the text says which) | STANCH_E_SYSTEM, STANCH_E_INVALID it cannot be read */
int stanch_desk_report(const struct stanch_desk *desk, const char *id, json_t **ret, struct stanch_err *err);
/** The people file was read again: drills with people read it, too, so that who may no longer come in is out. */
void stanch_desk_people_changed(struct stanch_desk *desk);
/** The one with people that is under way: {"drill","name","kind","speed","socket","port"?}; new; NULL: there is none */
json_t *stanch_desk_status(const struct stanch_desk *desk);
/** Nothing is appended or called any more; whoever waits is told; processes end by themselves. Before the plugins are freed. Accepts NULL. */
void stanch_desk_halt(struct stanch_desk *desk);
/** After the plugins are freed. Accepts NULL. */
void stanch_desk_free(struct stanch_desk *desk);

#endif
