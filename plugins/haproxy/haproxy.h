/* haproxy.h: what the files of this plugin share.
 * Flow   a call -> read.c asks every HAProxy of the instance -> plan.c says what would change | change.c writes, and
 *        reads back. What is changed is a server of a backend, or an entry of a map (map.c).
 * Words  An instance has one socket or many, each of another process that serves the same. A view is what one socket
 *        says; a value is what can be changed there: {"state","weight"} of a server, {"value"} of an entry.
 */
#ifndef HAPROXY_H
#define HAPROXY_H
#include "state.h"

#define HAPROXY_MAX_SOCKETS 32

/* What one socket says. */
struct haproxy_view {
    const char *address;
    struct haproxy_process process;
    struct haproxy_backend backend;
    struct haproxy_server *server; /* NULL: the whole backend is asked for, or an entry of a map */
    json_t *now;                   /* the value; held by the call. NULL: the whole backend */
    bool is_wide;                  /* "show stat" was asked for all proxies */
};

/* One call: what it is about. Lives as long as the call (sdk_kept). */
struct haproxy_work {
    const char *backend_name;
    const char *server_name;        /* NULL: the whole backend is asked for */
    const char *map_name, *map_key; /* NULL: it is about a server */
    struct haproxy_view *views;
    size_t count, at;
    void (*on_read)(struct sdk_call *call, struct haproxy_work *work);
    const json_t *wanted; /* while writing: the value */
    size_t written;
};

/* read.c */
/** Check the arguments, ask every HAProxy, and call fn with what they say; or answer the call: "invalid" (a name that
 * HAProxy cannot have: it never reaches a socket), "refused" (not in the allow-list), "not-found", "unreachable" (one of
 * them could not be read). Nothing was changed in any of these. */
void haproxy_read(struct sdk_call *call, void (*fn)(struct sdk_call *call, struct haproxy_work *work));
/** Whether it is a name that HAProxy accepts in its configuration: A-Z a-z 0-9 - _ . : */
bool haproxy_is_name(const char *name);
/** The sockets of the instance. */
size_t haproxy_socket_count(struct sdk_instance *instance);
const char *haproxy_socket(struct sdk_instance *instance, size_t at);
/** " on unix:/run/a.sock" when there are many sockets, else "". */
const char *haproxy_where(struct sdk_call *call, const struct haproxy_work *work, const struct haproxy_view *view);

/* map.c */
/** Whether the text may stand in a command as the file, the key or the value of a map's entry. */
bool haproxy_is_map_file(const char *text);
bool haproxy_is_map_word(const char *text);
/** "show map": the value of the key as {"value": text or null}, held by the call. The text is cut into pieces.
 * returns NULL, or what is wrong; *ret_kind is then the error's kind. */
const char *haproxy_parse_map(struct sdk_call *call, char *text, const char *key, json_t **ret_now,
                              const char **ret_kind);
/** The command that makes `value` of `now`. */
const char *haproxy_map_command(struct sdk_call *call, const struct haproxy_work *work, const json_t *now,
                                const json_t *value);
void haproxy_plan_map(struct sdk_call *call, struct haproxy_work *work, const json_t *from, const json_t *to);

/* plan.c */
/** The command for a socket that holds `now`: the field that the action sets, with that of `value`. */
const char *haproxy_command(struct sdk_call *call, const struct haproxy_work *work, const json_t *now,
                            const json_t *value);
/** The same as a line for a person's shell: for all sockets from `now`; now NULL: from what each of them has, without those
 * that have it already. */
const char *haproxy_by_hand(struct sdk_call *call, const struct haproxy_work *work, const json_t *now,
                            const json_t *value);
/** "; 1 of them has it still" when some have `value` and some have not, else "". */
const char *haproxy_kept_text(struct sdk_call *call, const struct haproxy_work *work, const json_t *value);
/** How many sockets have what the action sets of that value. */
size_t haproxy_count(const struct sdk_call *call, const struct haproxy_work *work, const json_t *value);
/** {"state":"ready","weight":100}: what is there now. new */
json_t *haproxy_value(const struct haproxy_server *server);
/** What the call's action makes of `from`. new */
json_t *haproxy_target(struct sdk_call *call, const json_t *from);
/** What is done: the call's action, or of a reapply the one that it makes anew. */
const char *haproxy_action(const struct sdk_call *call);
bool haproxy_is_reapply(const struct sdk_call *call);
/** The member of a value that the action sets, and whether two values have the same there. */
const char *haproxy_field(const struct sdk_call *call);
bool haproxy_has_field(const struct sdk_call *call, const json_t *now, const json_t *value);
/** Whether two values are the same to this action: whole, or of a reapply in what it sets. */
bool haproxy_is_equal(const struct sdk_call *call, const json_t *now, const json_t *value);
/** Whether writing `value` there would take the last serving capacity. Answers the call when so ("refused"). */
bool haproxy_would_starve(struct sdk_call *call, const struct haproxy_work *work, const struct haproxy_view *view,
                          const json_t *value, const char *verb);
/** [{"socket","pid","started_at_ms"}]: which processes were asked. new */
json_t *haproxy_processes(const struct haproxy_work *work);
void haproxy_plan(struct sdk_call *call);

/* change.c */
void haproxy_apply(struct sdk_call *call);
void haproxy_verify(struct sdk_call *call);
void haproxy_undo(struct sdk_call *call);
void haproxy_reconcile(struct sdk_call *call);

#endif
