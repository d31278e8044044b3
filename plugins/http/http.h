/* http.h: what the files of this plugin share.
 * Flow   settings -> declare.c makes actions of them.   A call -> fill.c makes a request of what the configuration
 *        declares and the call's arguments -> ask.c sends it and judges the answer -> change.c plan, apply, verify, undo,
 *        reconcile.
 * Words  A step is one request of an action: "read", "apply", "undo", "verify". A place is "{name}" in a text of the
 *        configuration.
 */
#ifndef HTTP_H
#define HTTP_H
#include "stanch/sdk.h"

/* ---- declare.c ---- */

/** As sdk_plugin.declare. */
const char *http_declare(const json_t *settings, json_t **ret_more);
/** Whether a member of the action is this word. */
bool http_is_word(const json_t *action, const char *member, const char *word);

/* ---- fill.c ---- */

/* What places are filled with, beside the call's arguments. */
struct http_filling {
    const json_t *from; /* the value that was read; NULL: there is none */
    bool is_shown;      /* for people and plans: {key} stays as it is */
};
/* A request, ready to be sent. All of it lives as long as the call. */
struct http_request {
    const char *method;
    const char *path;   /* with its query, escaped */
    const json_t *json; /* NULL: no body */
};
/** The call's action, as the settings have it. */
const json_t *http_action(struct sdk_call *call);
/** A step of it; NULL: not declared. */
const json_t *http_step(struct sdk_call *call, const char *step);
/** Fill a step's request. returns false when it cannot be: then the call was answered ("invalid"). */
bool http_fill(struct sdk_call *call, const char *step, const struct http_filling *with, struct http_request *ret);
/** Fill a JSON value: a text that is one place becomes that value, of its own type. where: the key path, for the error.
 *  returns NULL when it cannot be: then the call was answered. */
json_t *http_fill_json(struct sdk_call *call, const json_t *template, const struct http_filling *with,
                       const char *where);
/** Fill a text for people. returns NULL: as above */
const char *http_fill_text(struct sdk_call *call, const char *template, const struct http_filling *with,
                           const char *where);
/** A step as a line for a person's shell: its by_hand, or the request for curl. returns NULL: as above */
const char *http_by_hand(struct sdk_call *call, const char *step, const struct http_filling *with);

/* ---- ask.c ---- */

/** Send a step's request and call fn. etag: for If-Match; NULL: none. */
void http_send(struct sdk_call *call, const char *step, const struct http_request *request, const char *etag,
               void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer));
/** Whether the answer is the one that the step expects. Otherwise answers the call: failed when nothing has changed, else
 *  unknown. */
bool http_is_expected(struct sdk_call *call, const char *step, const struct sdk_http_answer *answer);
/** Read and call fn with the value at the step's pointer (borrowed from the call; null when it is absent) and the ETag
 *  (NULL: none came); or answer the call. step: "read" or "verify". */
void http_read_value(struct sdk_call *call, const char *step,
                     void (*fn)(struct sdk_call *call, json_t *value, const char *etag));
/** Whether two values are the same; a number by its value, whatever its form. */
bool http_is_same(const json_t *a, const json_t *b);
/** The handler of actions whose effect is read or notify. */
void http_read(struct sdk_call *call);

/* ---- change.c ---- */

void http_plan(struct sdk_call *call);
void http_apply(struct sdk_call *call);
void http_verify(struct sdk_call *call);
void http_undo(struct sdk_call *call);
void http_reconcile(struct sdk_call *call);

#endif
