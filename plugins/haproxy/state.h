/* state.h: what a backend of HAProxy looks like, read from the text of its runtime API, and what it can serve.
 * Flow     read.c gets the text -> [state] -> plan.c, change.c.       Calls: nothing; memory from the call.
 * Source   HAProxy 2.6 management guide 9.3, "show servers state" (format version 1), "show stat" (CSV), and
 *          include/haproxy/server-t.h for the bits of srv_admin_state; each seen on HAProxy 2.6.12.
 */
#ifndef HAPROXY_STATE_H
#define HAPROXY_STATE_H
#include "stanch/sdk.h"

/* srv_op_state */
enum { HAPROXY_OP_STOPPED = 0, HAPROXY_OP_STARTING = 1, HAPROXY_OP_RUNNING = 2, HAPROXY_OP_STOPPING = 3 };
/* srv_admin_state */
enum {
    HAPROXY_FORCED_MAINT = 0x01,    /* "state maint" */
    HAPROXY_INHERITED_MAINT = 0x02, /* of the server it tracks */
    HAPROXY_FORCED_DRAIN = 0x08,    /* "state drain" */
    HAPROXY_INHERITED_DRAIN = 0x10,
    HAPROXY_RESOLUTION_MAINT = 0x20, /* its name has no address */
    HAPROXY_ANY_MAINT = 0x23,
    HAPROXY_ANY_DRAIN = 0x18,
};

struct haproxy_server {
    const char *name;
    const char *check; /* the state as "show stat" words it: "UP", "DOWN", "no check", "MAINT (via b/s)" */
    int64_t op, admin, weight, initial_weight, sessions;
    bool is_backup;
    bool has_stat; /* its line in "show stat" was there */
};
struct haproxy_backend {
    const char *name;
    struct haproxy_server *servers; /* in the order of the configuration */
    size_t count;
};
/* Which process answered, to tell one from its successor: a reload forgets what was set at run time. */
struct haproxy_process {
    int64_t pid, started_at_ms; /* 0: it did not say */
};
/* What really takes new requests. */
struct haproxy_capacity {
    int64_t weight;
    int servers;
    bool is_backup; /* all of it is a backup server's */
};

/** Cut the answer to "show info", the last one, off a text: the blocks before it stay. */
struct haproxy_process haproxy_parse_info(char *text, int64_t now_ms);
/** Whether it is another process: its pid, or its start by more than 5 s. Not known: no. */
bool haproxy_is_other_process(struct haproxy_process a, struct haproxy_process b);
/** Parse the answer to "show servers state B;show stat B 4 -1". text: writable, is cut into pieces that the
 * backend points into. returns NULL, or what is wrong with it; *ret_kind is then the error's kind. */
const char *haproxy_parse(struct sdk_call *call, char *text, struct haproxy_backend *ret, const char **ret_kind);
struct haproxy_server *haproxy_find(const struct haproxy_backend *backend, const char *name);

/** The state that a person forced: "ready", "drain" or "maint". */
const char *haproxy_state_word(const struct haproxy_server *server);
/** Whether the server takes new requests when its turn comes: up, not drained, not in maintenance, weight over
 * 0. Backup servers too; whether their turn comes is haproxy_capacity's matter. */
bool haproxy_is_usable(const struct haproxy_server *server);
/** Servers that are usable and not backup; when there is none, the first usable backup (all of them serve only
 * under `option allbackups`, which the runtime API does not tell: so this is at least what is there). */
struct haproxy_capacity haproxy_capacity(const struct haproxy_backend *backend);
/** The share of the backend's requests that go to that server, 0..1. */
double haproxy_share(const struct haproxy_backend *backend, const struct haproxy_server *server);
/** A copy in which `name` has another state (NULL: as it is) and weight (negative: as it is). A server that
 * leaves maintenance counts as up: HAProxy lets it serve until a check fails. One that is down by its check
 * stays down. */
struct haproxy_backend haproxy_project(struct sdk_call *call, const struct haproxy_backend *backend, const char *name,
                                       const char *state, int64_t weight);
/** One server, as JSON for people. new */
json_t *haproxy_server_json(const struct haproxy_backend *backend, const struct haproxy_server *server);

#endif
