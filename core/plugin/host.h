/* host.h: the inside of the host process (`stanch plugin-host`): one instance, its calls, its services.
 * Included by host_*.c only. The structs are what the ABI's opaque handles point to.
 * Thread: everything on the loop thread.
 */
#ifndef STANCH_PLUGIN_HOST_H
#define STANCH_PLUGIN_HOST_H
#include "base/buf.h"
#include "plugin/scrub.h"
#include "stanch/plugin.h"
#include "wire/channel.h"
#include <jansson.h>
#include <stdbool.h>
#include <time.h>

#define STANCH_HOST_MAX_CALLS 300 /* core allows 256 under way; more is a broken core */

struct stanch_host_http;
struct stanch_host_launcher;
struct addrinfo;
struct sockaddr;

/* A setting that names where the plugin may connect to. */
struct stanch_host_place {
    struct stanch_host_place *next;
    char *text;   /* the setting's value */
    char *host;   /* of a URL or tcp address, lower case, without brackets; NULL for unix */
    char *scheme; /* "http", "https", "tcp", "unix" */
    int port;
};

struct stanch_instance {
    struct stanch_loop *loop;
    struct stanch_channel *channel;
    char *name;
    char *settings_text; /* JSON, secrets left out */
    json_t *settings;
    json_t *declaration;
    struct stanch_scrub *scrub; /* knows all secrets */
    json_t *secret_names;       /* {"token":true} */
    struct stanch_host_secret *secrets;
    struct stanch_host_place *places;
    char *ca_file, *client_cert;
    const char *client_key; /* the name of the secret, in the declaration */
    char *state_dir;        /* NULL: none */
    void *library;
    const struct stanch_plugin *plugin;
    void *state;
    bool is_open;
    bool is_over;              /* the channel is closed: the process ends */
    struct stanch_call *calls; /* under way */
    struct stanch_call *ended; /* answered; freed when control is back in the loop */
    bool is_reaping;
    struct stanch_host_http *http;
    struct stanch_host_launcher *launcher; /* NULL: no link */
};

/* Work of a call that waits: HTTP, exchange, timer. Embedded in its own struct. */
struct stanch_host_work {
    struct stanch_host_work *next, **at;
    /** The call was answered: stop, free, tell nobody. */
    void (*abandon)(struct stanch_host_work *work);
};

struct stanch_call {
    struct stanch_call *next, **at;
    struct stanch_instance *instance;
    int64_t id;
    uint32_t op;
    char *action;
    char *input;
    size_t input_len;
    struct stanch_buf body;
    int64_t deadline_mono_ms;
    struct stanch_timer *timer;
    bool is_cancelled, is_answered;
    void *kept;
    void (*release)(void *ptr);
    struct stanch_host_work *work;
};

/* host_call.c */
/** A "call" frame. */
void stanch_host__call_start(struct stanch_instance *instance, const json_t *head, const void *body, size_t len);
void stanch_host__call_cancel(struct stanch_instance *instance, int64_t id);
/** Whether the pointer is a call that waits for an answer; logs when it is not (a second answer). */
bool stanch_host__call_is_open(struct stanch_instance *instance, const struct stanch_call *call);
void stanch_host__answer(struct stanch_call *call, const char *outcome, json_t *value);
void stanch_host__answer_error(struct stanch_call *call, const char *outcome, const char *kind, const char *text,
                               bool retry, uint32_t retry_after_ms);
void stanch_host__call_free_all(struct stanch_instance *instance);
void stanch_host__work_add(struct stanch_call *call, struct stanch_host_work *work);
void stanch_host__work_remove(struct stanch_host_work *work);

/* host_api.c: the table of services */
extern const struct stanch_host stanch_host__services;
/** The one instance of this process, before its plugin's code runs. */
void stanch_host__bind(struct stanch_instance *instance);
/** A log frame to core, scrubbed. level: as in the ABI. */
void stanch_host__log(struct stanch_instance *instance, int level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* host_load.c */
/** Load the shared object, check ABI, declaration and settings, open it. ret_digest: 65 bytes */
int stanch_host__load(struct stanch_instance *instance, const char *path, char ret_digest[65], struct stanch_err *err);
/** Load the shared object and check ABI and declaration, no more: it is not opened. by_settings: ask it also what it
 *  declares by the instance's settings. */
int stanch_host__load_declaration(struct stanch_instance *instance, const char *path, bool by_settings,
                                  char ret_digest[65], struct stanch_err *err);
void stanch_host__unload(struct stanch_instance *instance);

/* host_secret.c */
struct stanch_host_secret {
    struct stanch_host_secret *next;
    char *setting;
    char *value;
    size_t len;
    char *path;               /* "format":"secret-file": read again when the file has changed; else NULL */
    struct timespec modified; /* of the file that was read */
    uint64_t inode;
};
/** Read the descriptor whole, strip one trailing newline, close it. returns 0 | STANCH_E_INVALID |
 * STANCH_E_SYSTEM */
int stanch_host__secret_read(struct stanch_instance *instance, const char *setting, int fd, struct stanch_err *err);
/** A file whose content is the secret, now and whenever it has changed: what a platform rotates. */
void stanch_host__secret_follow(struct stanch_instance *instance, const char *setting, const char *path);
/** A secret that the plugin came by; value NULL or empty removes it. returns false when the name is none. */
bool stanch_host__secret_keep(struct stanch_instance *instance, const char *name, const char *value, size_t len);
/** Whether that can name a secret, set or not: a setting declared so, or a name that begins with ".". */
bool stanch_host__secret_is_name(const struct stanch_instance *instance, const char *name);
/** NULL: not set */
const struct stanch_host_secret *stanch_host__secret_find(const struct stanch_instance *instance, const char *setting,
                                                          size_t len);
void stanch_host__secret_free_all(struct stanch_instance *instance);

/* host_place.c */
/** Collect the places of the settings. returns 0 | STANCH_E_INVALID */
int stanch_host__places_collect(struct stanch_instance *instance, struct stanch_err *err);
void stanch_host__places_free(struct stanch_instance *instance);
/** The place with that scheme, host and port; NULL: none. */
const struct stanch_host_place *stanch_host__place_find(const struct stanch_instance *instance, const char *scheme,
                                                        const char *host, int port);
/** Whether a connection of `place` may go to that address; ret_why: for people, when not. */
bool stanch_host__address_ok(const struct stanch_host_place *place, const struct sockaddr *address, char ret_why[300]);

/* host_http.c, host_exchange.c */
struct stanch_host_http *stanch_host__http_new(struct stanch_instance *instance);
void stanch_host__http_free(struct stanch_host_http *http);
void stanch_host__http_start(struct stanch_call *call, const struct stanch_http_order *order,
                             void (*on_ended)(struct stanch_call *, void *, const struct stanch_http_exchange *),
                             void *ctx);
void stanch_host__exchange_start(
    struct stanch_call *call, struct stanch_text address, struct stanch_text send, uint64_t max_answer,
    void (*on_ended)(struct stanch_call *, void *, uint32_t, struct stanch_text, struct stanch_text), void *ctx);

/* host_run.c */
/** The link to the launcher. fd: taken */
int stanch_host__launcher_open(struct stanch_instance *instance, int fd, struct stanch_err *err);
void stanch_host__launcher_close(struct stanch_instance *instance);
void stanch_host__run_start(struct stanch_call *call, const struct stanch_run_order *order,
                            void (*on_ended)(struct stanch_call *, void *, const struct stanch_run_result *),
                            void *ctx);

/* host_harden.c */
/** Before the plugin's code is there: limits, no new privileges, no core dumps, seccomp. */
int stanch_host__harden(struct stanch_err *err);
/** For a host that only declares, before the plugin's code is there: it can reach nothing and change nothing any more. */
int stanch_host__seal(struct stanch_err *err);
/** Before open: Landlock, files. returns 0; *ret_has false when the kernel has no Landlock. */
int stanch_host__confine(struct stanch_instance *instance, bool *ret_has, struct stanch_err *err);

#endif
