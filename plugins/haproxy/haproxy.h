/* haproxy.h: what the files of this plugin share.
 * Flow   a call -> read.c asks HAProxy -> plan.c says what would change | change.c writes, and reads back.
 */
#ifndef HAPROXY_H
#define HAPROXY_H
#include "state.h"

/* One call: what it is about. Lives as long as the call (sdk_kept). */
struct haproxy_work {
    const char *backend_name;
    const char *server_name; /* NULL: the whole backend is asked for */
    struct haproxy_backend backend;
    struct haproxy_server *server;
    void (*on_read)(struct sdk_call *call, struct haproxy_work *work);
    bool is_wide; /* "show stat" is asked for all proxies */
};

/* read.c */
/** Check the arguments, ask HAProxy for the backend, and call fn with what it is; or answer the call: "invalid"
 * (a name that HAProxy cannot have: it never reaches the socket), "refused" (not in the allow-list),
 * "not-found", "unreachable". Nothing was changed in any of these. */
void haproxy_read(struct sdk_call *call, void (*fn)(struct sdk_call *call, struct haproxy_work *work));
/** Whether it is a name that HAProxy accepts in its configuration: A-Z a-z 0-9 - _ . : */
bool haproxy_is_name(const char *name);

/* plan.c */
/** The command for the socket: the field that `action` sets, with that value of {"state","weight"}. */
const char *haproxy_command(struct sdk_call *call, const struct haproxy_work *work, const json_t *value);
/** The same as a line for a person's shell. */
const char *haproxy_by_hand(struct sdk_call *call, const char *command);
/** {"state":"ready","weight":100}: what is there now. new */
json_t *haproxy_value(const struct haproxy_server *server);
/** What the call's action makes of `from`. new */
json_t *haproxy_target(struct sdk_call *call, const json_t *from);
/** The field of {"state","weight"} that the call's action sets. */
const char *haproxy_field(const struct sdk_call *call);
/** Whether writing `value` would take the last serving capacity. Answers the call when so ("refused"). */
bool haproxy_would_starve(struct sdk_call *call, const struct haproxy_work *work, const json_t *value,
                          const char *verb);
void haproxy_plan(struct sdk_call *call);

/* change.c */
void haproxy_apply(struct sdk_call *call);
void haproxy_verify(struct sdk_call *call);
void haproxy_undo(struct sdk_call *call);
void haproxy_reconcile(struct sdk_call *call);

#endif
