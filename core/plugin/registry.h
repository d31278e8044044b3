/* registry.h: core's side, inside: instances, their hosts, calls. Included by registry.c, instance.c, call.c,
 * launcher.c and declared.c only. Thread: loop thread.
 */
#ifndef STANCH_PLUGIN_REGISTRY_H
#define STANCH_PLUGIN_REGISTRY_H
#include "plugin/plugin.h"
#include "wire/channel.h"

#define STANCH_PLUGIN_MAX_CALLS     256
#define STANCH_PLUGIN_HELLO_MS      15000
#define STANCH_PLUGIN_LATE_MS       800  /* after the deadline: the host is hung, and is killed */
#define STANCH_PLUGIN_LATE_AGAIN_MS 150  /* ... and answered for, even if it has not died yet */
#define STANCH_PLUGIN_LAUNCHER_MS   2000 /* a launcher ends with its host by itself; then it is killed */
#define STANCH_PLUGIN_MAX_DEATHS    5
#define STANCH_PLUGIN_DEATH_WINDOW  (10 * 60 * 1000)

enum stanch_plugin_state {
    STANCH_PLUGIN_STARTING, /* the host runs, it has not said hello */
    STANCH_PLUGIN_UP,
    STANCH_PLUGIN_DYING,    /* told that it is over; waits for the end of process and channel */
    STANCH_PLUGIN_DOWN,     /* no host; a timer starts the next one */
    STANCH_PLUGIN_DISABLED, /* no host until a person says so */
};

struct stanch_plugin_instance {
    struct stanch_plugin_instance *next;
    struct stanch_plugins *plugins;
    char *name, *plugin, *environment, *so_path;
    int64_t line;     /* in the configuration; 0: not known */
    json_t *settings; /* with references to secrets, never their values */
    enum stanch_plugin_state state;
    bool is_first;   /* neither hello nor failure yet */
    bool refuses;    /* the plugin said that it cannot be opened: no use in starting it again */
    char *why;       /* of the state; NULL */
    char *death_why; /* what is known about the death that is going on; NULL */
    int restarts;
    int64_t deaths_mono_ms[STANCH_PLUGIN_MAX_DEATHS];
    int death_count; /* within the window */
    struct stanch_child *child;
    int link_fd;                             /* for a launcher, until it is known whether one is needed; 0: none */
    struct stanch_plugin_launcher *launcher; /* runs its commands; NULL: it has none */
    bool has_exited, has_closed;
    struct stanch_timer *timer; /* hello, drain or restart, by state */
    int64_t log_since_mono_ms;
    int log_lines;
    char digest[65];
    json_t *declaration, *actions, *description;
    struct stanch_plugin_call *calls;
    int call_count;
};

struct stanch_plugin_call {
    struct stanch_plugin_call *next;
    struct stanch_plugin_instance *instance;
    int64_t id;
    uint64_t started_ns;
    int64_t deadline_ms;
    bool is_late;
    struct stanch_timer *timer;
    void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer);
    void *ctx;
};

struct stanch_plugins {
    struct stanch_loop *loop;
    char *exe, *plugin_dir, *state_dir, *lock_path;
    int lock_fd;
    struct stanch_plugin_instance *instances, **last;
    int64_t last_call_id;
    struct stanch_err first_err; /* of the first instance that failed */
    void (*on_ready)(void *ctx, const struct stanch_err *err);
    void *ready_ctx;
    struct stanch_timer *ready_timer;
    void (*on_change)(void *ctx, const char *instance, const char *state, const char *why);
    void *change_ctx;
};

/* registry.c */
/** Without a lock, a state directory, and instances. new; stanch_plugins_free takes it. */
struct stanch_plugins *stanch_plugin__registry_new(struct stanch_loop *loop, const char *exe, const char *plugin_dir);
/** Check a configuration and make the instance; nothing is started. ret: new
 *  returns 0 | STANCH_E_INVALID | STANCH_E_NOT_FOUND */
int stanch_plugin__instance_new(struct stanch_plugins *plugins, const json_t *config,
                                struct stanch_plugin_instance **ret, struct stanch_err *err);
/** Taken, as the last one. */
void stanch_plugin__instance_add(struct stanch_plugin_instance *instance);
/** Put "line 12: http \"shop\": " before the text. line 0: not known. */
void stanch_plugin__err_where(struct stanch_err *err, int64_t line, const char *plugin, const char *name);
struct stanch_plugin_instance *stanch_plugin__find(struct stanch_plugins *plugins, const char *name);
const char *stanch_plugin__state_word(enum stanch_plugin_state state);
/** An instance has a new state: forget its description, tell the listeners. */
void stanch_plugin__changed(struct stanch_plugin_instance *instance);
/** The first failure of an instance at its start is what when_ready tells. */
void stanch_plugin__first_failed(struct stanch_plugin_instance *instance, const struct stanch_err *err);
/** Write the pids of all hosts beside the lock. */
void stanch_plugin__note_hosts(struct stanch_plugins *plugins);

/* instance.c */
/** Keep what it is. hello: its declaration was checked */
void stanch_plugin__take_hello(struct stanch_plugin_instance *instance, const json_t *hello);
/** How a host ended. status: of on_exit. new */
char *stanch_plugin__exit_text(int status);
/** Start a host. returns 0 | STANCH_E_INVALID (a secret) | STANCH_E_SYSTEM */
int stanch_plugin__start(struct stanch_plugin_instance *instance, struct stanch_err *err);
/** The host is of no use any more: kill it; its calls become unknown when it is gone. why: for people */
void stanch_plugin__kill(struct stanch_plugin_instance *instance, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void stanch_plugin__instance_free(struct stanch_plugin_instance *instance);

/** Its launcher is gone: with a host that is dying that is the rest of its death, else the host goes too. */
void stanch_plugin__launcher_gone(struct stanch_plugin_instance *instance);

/* launcher.c */
/** A new link; the host's end is the caller's to pass on and close. */
int stanch_plugin__link_new(struct stanch_plugin_instance *instance, int *ret_host_fd, struct stanch_err *err);
void stanch_plugin__link_close(struct stanch_plugin_instance *instance);
/** Start one when the settings name commands; the link is used up in any case. returns 0 | STANCH_E_SYSTEM */
int stanch_plugin__launcher_start(struct stanch_plugin_instance *instance, struct stanch_err *err);
void stanch_plugin__launcher_kill(struct stanch_plugin_instance *instance);
void stanch_plugin__launcher_free(struct stanch_plugin_instance *instance);
/** 0: there is none */
int stanch_plugin__launcher_pid(const struct stanch_plugin_instance *instance);

/* call.c */
/** An answer frame. returns 0 | STANCH_E_PROTOCOL */
int stanch_plugin__answered(struct stanch_plugin_instance *instance, const json_t *head, struct stanch_err *err);
/** All calls of a host that is gone: unknown. */
void stanch_plugin__calls_lost(struct stanch_plugin_instance *instance, const char *why);
void stanch_plugin__calls_drop(struct stanch_plugin_instance *instance);

#endif
