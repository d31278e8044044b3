/* sdk.h: what makes a plugin short. Lives inside the plugin (sdk/src is compiled into it) and is no part of
 * the ABI, which is plugin.h. JSON is jansson's json_t here.
 *
 *   static void plan_drain(struct sdk_call *call)  { ... sdk_http(call, &order, on_state); }
 *   static void on_state(struct sdk_call *call, const struct sdk_http_answer *answer)
 *   {
 *       if (!sdk_http_ok(call, answer))
 *           return;                        // the call was answered: failed, or unknown where it may have
 * happened sdk_done(call, json_pack("{s:s}", "state", "drain"));
 *   }
 *   static const struct sdk_handler handlers[] = {{"drain", STANCH_OP_PLAN, plan_drain}, ..., {0}};
 *   static const struct sdk_plugin plugin = {.declaration = DECLARATION, .handlers = handlers};
 *   STANCH_PLUGIN(plugin)
 *
 * A handler starts the work and returns; the call is answered exactly once, at once or from a callback, by
 * sdk_done, sdk_plan, sdk_fail, sdk_unknown (or by a check that failed: functions that answer say so). The
 * handle `call` stays valid until the function that answered has returned to the host; no callback comes
 * after that. Everything is on one thread.
 *
 * Ownership: text that comes out of a call lives as long as the call; json_t results are borrowed unless the
 * text says "new"; json_t values given to sdk_done, sdk_plan and sdk_http are taken.
 */
#ifndef STANCH_SDK_H
#define STANCH_SDK_H
#include "stanch/plugin.h"
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct sdk_instance; /* the configured instance: its settings, and the plugin's own state */
struct sdk_call;     /* one call */
typedef void (*sdk_fn)(struct sdk_call *call);

/* ---- The plugin -------------------------------------------------------------------------------------------
 */

struct sdk_handler {
    const char *name; /* the action's, the source's for RECEIVE, "check" for CHECK; "*": any; NULL ends the table */
    uint32_t op;      /* STANCH_OP_* */
    sdk_fn fn;
};

struct sdk_plugin {
    const char *declaration;            /* JSON text; sdk/README.md describes it */
    const struct sdk_handler *handlers; /* ends with {0} */
    /** The instance begins; look at its settings, make a state of your own. May be NULL.
     *  returns NULL, or a text why these settings make no sense (static, or from sdk_why) */
    const char *(*open)(struct sdk_instance *instance, void **ret_state);
    void (*close)(void *state); /* may be NULL */
    sdk_fn cancel;              /* the caller gave up: answer soon. May be NULL */
    /** What this instance has beyond the declaration: {"actions":{},"sources":{}}, in ret_more (new). Its handlers
     *  are those named "*". May be NULL. returns NULL, or a text why these settings make no sense (static, or made
     *  with sdk_declare_why) */
    const char *(*declare)(const json_t *settings, json_t **ret_more);
};

/** Write once, at the end of the plugin's main file. */
#define STANCH_PLUGIN(plugin)                                                                                          \
    static uint32_t sdk_open_this(const struct stanch_host *host, struct stanch_instance *instance, void **ret_state,  \
                                  struct stanch_text *ret_why)                                                         \
    {                                                                                                                  \
        return sdk_open__(&(plugin), host, instance, ret_state, ret_why);                                              \
    }                                                                                                                  \
    static uint32_t sdk_declare_this(struct stanch_text settings, struct stanch_text *ret_more,                        \
                                     struct stanch_text *ret_why)                                                      \
    {                                                                                                                  \
        return sdk_declare__(&(plugin), settings, ret_more, ret_why);                                                  \
    }                                                                                                                  \
    const struct stanch_plugin *stanch_plugin_entry(void)                                                              \
    {                                                                                                                  \
        static struct stanch_plugin entry;                                                                             \
        entry = sdk_entry__(&(plugin), sdk_open_this, sdk_declare_this);                                               \
        return &entry;                                                                                                 \
    }

/* ---- The instance -----------------------------------------------------------------------------------------
 */

struct sdk_instance *sdk_instance(struct sdk_call *call);
/** What open gave in ret_state. */
void *sdk_state(struct sdk_call *call);
const char *sdk_instance_name(const struct sdk_instance *instance);
/** All settings but the secrets: an object, checked against the declaration. */
const json_t *sdk_settings(const struct sdk_instance *instance);
/** A text setting, or `otherwise` when it is not set. Lives as long as the instance. */
const char *sdk_setting(const struct sdk_instance *instance, const char *name, const char *otherwise);
/** Whether that secret setting is set. (sdk_http sends secrets by name: a plugin seldom needs a value.) */
bool sdk_has_secret(const struct sdk_instance *instance, const char *name);
/** The value of a secret setting, or of one that was kept; "" when it is not set. Only for a request that carries it in
 * its body: headers and signatures take secrets by name. Lives as long as the call; never put it into an answer. */
const char *sdk_secret(struct sdk_call *call, const char *name);
/** The same outside of a call, for a library that has to have it (a private key). Lives as long as the instance, unless
 * the setting's format is "secret-file". ret_len: may be NULL. returns NULL when it is not set */
const char *sdk_instance_secret(const struct sdk_instance *instance, const char *name, size_t *ret_len);
/** Keep a secret that came up while working (a session's token) under a name that begins with "."; it can stand
 * wherever the name of a secret setting can. NULL or "" removes it. returns false when the name is none. */
bool sdk_keep_secret(struct sdk_instance *instance, const char *name, const char *value);
/** The instance's own directory ("needs":["state"]), absolute; "" when it was not declared. */
const char *sdk_state_dir(const struct sdk_instance *instance);
/** A text for `declare` to return. */
const char *sdk_declare_why(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** A text for `open` to return; lives as long as the instance. */
const char *sdk_why(struct sdk_instance *instance, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** level: 0 error, 1 warn, 2 info, 3 debug. Secrets are scrubbed by the host. */
void sdk_log(const struct sdk_instance *instance, uint32_t level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- What a call asks
 * --------------------------------------------------------------------------------------- */

uint32_t sdk_op(const struct sdk_call *call);
const char *sdk_action(const struct sdk_call *call);  /* or the source */
const json_t *sdk_input(const struct sdk_call *call); /* the whole input, an object */
/** The action's arguments: an object, checked against "params" by core before the call. */
const json_t *sdk_args(const struct sdk_call *call);
const char *sdk_arg_str(const struct sdk_call *call, const char *name, const char *otherwise);
int64_t sdk_arg_int(const struct sdk_call *call, const char *name, int64_t otherwise);
double sdk_arg_real(const struct sdk_call *call, const char *name, double otherwise);
bool sdk_arg_bool(const struct sdk_call *call, const char *name, bool otherwise);
/** An argument that the operator's list limits: `list` is a setting, an array of names in which * stands for any run of
 * characters. An argument that was left out is the list's only name. `otherwise`: when the list is not set: the value of
 * an argument that was left out, and all that is allowed; NULL: everything is allowed, and the argument is required.
 * returns NULL when the call was answered: "refused" (it is not on the list), "invalid" (it was left out) */
const char *sdk_arg_listed(struct sdk_call *call, const char *name, const char *list, const char *otherwise);
/** The plan as this plugin made it (apply, verify, undo, reconcile); NULL for other operations. */
const json_t *sdk_plan_of(const struct sdk_call *call);
/** A member of the plan: `from`, `to`, `undo`, `observed`, ...; NULL when it is not there. */
const json_t *sdk_plan_member(const struct sdk_call *call, const char *name);
/** The idempotency key of this intent (apply, undo, reconcile, a notice); "" for other operations. */
const char *sdk_key(const struct sdk_call *call);
/** Why it is done, in a person's words (apply, undo): for a comment at the remote; "" when it was not said. */
const char *sdk_because(const struct sdk_call *call);
/** The fencing epoch of the core that calls (apply, undo). */
int64_t sdk_epoch(const struct sdk_call *call);
/** RECONCILE: which operation is asked about, "apply" or "undo". */
const char *sdk_reconciles(const struct sdk_call *call);
uint32_t sdk_left_ms(const struct sdk_call *call);
bool sdk_is_cancelled(const struct sdk_call *call);
/** Whether this operation changes the remote (apply, undo, a notice): an exchange that got lost is then unknown. */
bool sdk_is_change(const struct sdk_call *call);
int64_t sdk_now_ms(const struct sdk_call *call);

/* ---- Memory that ends with the call -----------------------------------------------------------------------
 */

/** Formatted text. */
const char *sdk_text(struct sdk_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Zeroed bytes. Never NULL. */
void *sdk_memory(struct sdk_call *call, size_t bytes);
/** Give a value to the call: it is decref'd when the call ends. returns: value */
json_t *sdk_hold(struct sdk_call *call, json_t *value);
/** A pointer of yours, for the next callback. Not freed: point into sdk_memory. */
void sdk_keep(struct sdk_call *call, void *ptr);
void *sdk_kept(const struct sdk_call *call);

/* ---- Answers: exactly one
 * ----------------------------------------------------------------------------------- */

/** It is done. value: taken. */
void sdk_done(struct sdk_call *call, json_t *value);
/** It failed, explicitly: nothing has changed at the remote. kind: a word of core's table: "invalid",
 * "unauthorized", "forbidden", "not-found", "conflict", "stale", "refused", "rate", "unavailable", "remote",
 * "unreachable", "protocol". The text says what was wrong and what to do about it. */
void sdk_fail(struct sdk_call *call, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** As sdk_fail, and trying again after that time can help (0: whenever). */
void sdk_fail_retry(struct sdk_call *call, uint32_t after_ms, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/** It may or may not have happened. */
void sdk_unknown(struct sdk_call *call, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** The answer to PLAN. Members that are NULL are left out; json_t members are taken. Approval binds targets,
 * from, to and undo, and of the tags those that a rule of the policy went by; impact, reach and observed are shown
 * "as of" and not bound. */
struct sdk_plan {
    json_t *targets;          /* array of text: "haproxy:edge-eu/checkout/s2"; at least one. What is locked. */
    json_t *from;             /* the values that are there now, and that apply insists on */
    json_t *to;               /* the values that will be there */
    json_t *undo;             /* what undo needs (usually the former values) */
    const char *by_hand;      /* the command a person would type */
    const char *undo_by_hand; /* ... to take it back */
    const char *impact;       /* one line for the approver: "serving capacity 3 -> 2 servers" */
    const char *risk;         /* "medium", "high": raises what was declared, never lowers it; NULL: as declared */
    double reach;             /* share of the whole that is affected, 0..1; negative: not known */
    json_t *observed;         /* what was seen and matters to the approver */
    bool no_change;           /* it is so already: apply would change nothing */
    /** Array of text: what the remote has its target tagged with, which rules of the policy can go by. An empty array says
     *  that it has none; NULL that nobody knows, and then no rule permits by a tag. All of them or NULL, never some (NULL too
     *  where several targets are not tagged alike); nothing that came in as an argument. Sorted, and each once, by sdk_plan; core takes 200 of 256 bytes. */
    json_t *tags;
};
void sdk_plan(struct sdk_call *call, const struct sdk_plan *plan);
/** The answer to VERIFY. seen: taken. */
void sdk_holds(struct sdk_call *call, bool holds, json_t *seen);
/** The same: it does not hold, and asking again will not help (a rollout has failed). seen: taken. */
void sdk_never_holds(struct sdk_call *call, json_t *seen);
/** The answer to RECONCILE: "done" | "not-done" | "cannot-tell". */
void sdk_reconciled(struct sdk_call *call, const char *state);

/* ---- HTTP
 * --------------------------------------------------------------------------------------------------- */

/* AWS SigV4: key_id, key and token name secrets (settings, or kept ones); token NULL: none. */
struct sdk_sigv4 {
    const char *region, *service, *key_id, *key, *token;
};
struct sdk_http_order {
    const char *method;         /* NULL: GET */
    const char *setting;        /* the setting (declared "format":"url") that `path` is put behind; NULL: "url" */
    const char *path;           /* "/api/v1/query?query=..." : parts must be escaped, see sdk_escape; NULL: nothing */
    json_t *headers;            /* {"Name":"value"}; taken; may be NULL */
    const char *bearer;         /* name of a secret setting: sent as bearer token when it is set */
    const char *basic_user;     /* name of a setting, and */
    const char *basic_password; /* name of a secret setting: sent as basic credentials when both are set */
    /** Headers that carry a secret: {"Authorization":{"secret":"token","before":"GenieKey "}}; "before" may be left
     * out. One whose secret is not set is left out. Taken; may be NULL. */
    json_t *secret_headers;
    const struct sdk_sigv4 *sigv4; /* sign by AWS SigV4; make the path with sdk_url. May be NULL */
    json_t *json;                  /* body, as JSON (Content-Type is set); taken; may be NULL */
    const char *body;              /* or body as text */
    size_t body_len;               /* 0: strlen(body) */
    const char *content_type;      /* of `body` */
    uint32_t deadline_ms;          /* 0: what is left of the call's time */
    uint64_t max_body;             /* of the answer; 0: 4 MiB */
    /** It changes nothing, whatever the method and the operation: asked again when it got lost, and what it cannot
     * tell is failed, not unknown. Only before the first request of a call that changes something. */
    bool is_read;
};
struct sdk_http_answer {
    uint32_t ended;          /* STANCH_HTTP_ANSWERED | _NOT_SENT | _LOST */
    uint32_t status;         /* 0 unless answered */
    uint32_t retry_after_ms; /* of Retry-After; of a 429 without it: of X-RateLimit-Reset */
    const json_t *headers;   /* lower-case names; an empty object unless answered */
    const char *body;        /* with a NUL behind it */
    size_t body_len;
    const char *why; /* for people, when it was not answered; else "" */
    bool is_read;    /* of its order */
};
/** Ask. fn: called later, exactly once unless the call was answered before. Redirects are not followed, TLS
 * is verified, and only hosts that a setting names are reached. */
void sdk_http(struct sdk_call *call, const struct sdk_http_order *order,
              void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer));
/** True when it was answered with 2xx. Otherwise answers the call and returns false (a change here is one in an
 * operation that changes, whose order was not is_read):
 *    not sent                    failed, "unreachable", try again
 *    lost                        unknown for a change, else failed "unreachable", try again
 *    401, 403                    failed "unauthorized" / "forbidden"      404  failed "not-found"
 *    409, 412                    failed "stale"                           429  failed "rate", try again
 *    503                         failed "unavailable", try again
 *    500, 502, 504, other 5xx    unknown for a change, else failed "remote", try again
 *    other                       failed "remote", with the beginning of the body */
bool sdk_http_ok(struct sdk_call *call, const struct sdk_http_answer *answer);
/** The body as JSON, borrowed from the call; NULL when it is none, and then the call was answered
 * ("protocol"). */
const json_t *sdk_http_json(struct sdk_call *call, const struct sdk_http_answer *answer);
/** One word of a command line for a shell, in quotes: for by_hand. */
const char *sdk_shell_word(struct sdk_call *call, const char *word);
/** Escape one part of a path or query. */
const char *sdk_escape(struct sdk_call *call, const char *part);
/** `path` (escaped already) with a query of these parameters, sorted by name and escaped. query: {"name":value},
 * borrowed; a value is a text, a number, true, false, or an array of such (repeated); null is left out. */
const char *sdk_url(struct sdk_call *call, const char *path, const json_t *query);
/** As sdk_http, and asks again what is safe to ask again: always after "not sent", 429 and 503, since nothing
 * happened; a GET or HEAD in an operation that changes nothing, and what is_read, also after "lost", 500, 502 and 504. A change that got
 * lost is never repeated. Waits with full jitter (up to 0.25 s, doubling to 8 s), at least what Retry-After says.
 * fn gets the last answer when the call's time would not do for another one. Each one gets order->deadline_ms at most. */
void sdk_http_retry(struct sdk_call *call, const struct sdk_http_order *order,
                    void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer));

/* Many pages. */
struct sdk_pages {
    struct sdk_http_order order; /* of the first page; a GET */
    const char *items;           /* JSON Pointer to each page's array: "/items"; "": the page itself */
    const char *token;           /* JSON Pointer to the next page's token: "/metadata/continue"; NULL: by Link */
    const char *token_param;     /* the query's parameter that takes it: "continue" */
    uint32_t max_pages;          /* 0: 100. More is failed "too-large" */
};
/** Read all pages, with sdk_http_retry, following the token, or the header `Link: <...>; rel="next"` (to the same
 * scheme, host and port only). fn: with all items, an array, borrowed from the call. A page that fails answers the
 * call as sdk_http_ok does. */
void sdk_http_pages(struct sdk_call *call, const struct sdk_pages *pages,
                    void (*fn)(struct sdk_call *call, json_t *items));

/* ---- JSON, time, base64
 * -------------------------------------------------------------------------------------- */

/** The value at a JSON Pointer (RFC 6901): "" is the whole, "/a/0/b~1c". Borrowed; NULL when it is not there. */
const json_t *sdk_json_at(const json_t *value, const char *pointer);
/** RFC 3339 in UTC with milliseconds: "2026-11-21T07:46:05.120Z". */
const char *sdk_time_text(struct sdk_call *call, int64_t ms);
/** Strict base64 (RFC 4648 section 4, padded, nothing else in it). NULL when it is none. A NUL stands behind it. */
const char *sdk_base64_decode(struct sdk_call *call, const char *text, size_t *ret_len);
const char *sdk_base64(struct sdk_call *call, const void *data, size_t len);

/* ---- Places: texts of the configuration that are filled with a runbook's parameters
 * -------------------------------------------------------------------------------- */

#define SDK_PLACE_ROOM 80
/** The next place of a text: "{name}" with a-z A-Z 0-9 _ - . in it; "{{" is a brace and no place.
 *  at: where to look from.  returns where the place begins, its name in ret_name and its end in ret_end; NULL: none */
const char *sdk_next_place(const char *at, char ret_name[SDK_PLACE_ROOM], const char **ret_end);
/** What stands between places, as it is meant: "{{" is one brace. */
const char *sdk_literal(struct sdk_call *call, const char *text, size_t len);
/** A text, number, true or false as people write it; NULL: it is none of these, or has a NUL in it. */
const char *sdk_scalar(struct sdk_call *call, const json_t *value);

/* ---- Other work that waits
 * ---------------------------------------------------------------------------------- */

/** Send a text to "unix:/path" or "tcp:host:port" (the value of a setting declared "format":"address"), read
 * to the end. max_answer 0: 4 MiB. answer has a NUL behind it. ended: STANCH_HTTP_ANSWERED when the peer
 * closed properly. */
void sdk_exchange(struct sdk_call *call, const char *address, const char *send, uint64_t max_answer,
                  void (*fn)(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why));
/** As sdk_http_ok, for an exchange: true when answered; else answers the call: failed "unreachable" when not
 * sent; unknown when lost and sdk_is_change(call), else failed "unreachable". */
bool sdk_exchange_ok(struct sdk_call *call, uint32_t ended, const char *why);
/** Call fn after that time, unless the call was answered before. */
void sdk_later(struct sdk_call *call, uint32_t delay_ms, sdk_fn fn);
/** For VERIFY, when what was read is not yet what it should be: call `ask` again after about every_ms; or, when
 * within_ms have passed since this was first called (0: the call's time), answer that it does not hold.
 * seen: taken. */
void sdk_not_yet(struct sdk_call *call, sdk_fn ask, uint32_t every_ms, uint32_t within_ms, json_t *seen);

/* ---- Commands
 * ----------------------------------------------------------------------------------------------- */

struct sdk_run_order {
    const char *command;        /* absolute path: the value of a setting with "format":"command" */
    json_t *args;               /* array of texts, without the command's name; taken; may be NULL */
    json_t *environment;        /* {"NAME":"value"}: all that is in its environment; taken; may be NULL */
    json_t *secret_environment; /* {"NAME":"SETTING"}; taken; may be NULL */
    const char *input;          /* its standard input; NULL: none */
    uint32_t deadline_ms;       /* then SIGTERM to its process group; 0: what is left of the call's, less the grace */
    uint32_t grace_ms;          /* from SIGTERM to SIGKILL; 0: 1000 */
    bool is_cut_ok;             /* output over max_output is cut; else the command is ended */
    uint64_t max_output;        /* of standard output and of standard error each; 0: 256 KiB */
};
struct sdk_run_result {
    uint32_t ended; /* STANCH_RUN_EXITED | _NOT_STARTED | _SIGNALLED | _KILLED */
    int code;       /* exit code, or signal */
    bool is_cut;
    const char *output, *errors; /* with a NUL behind them */
    size_t output_len, errors_len;
    const char *why; /* for people, unless it exited */
};
/** Run a command: no shell, a process group of its own, which is ended with it. fn: later, once. */
void sdk_run(struct sdk_call *call, const struct sdk_run_order *order,
             void (*fn)(struct sdk_call *call, const struct sdk_run_result *result));

/* ---- Checks (CHECK)
 * ----------------------------------------------------------------------------------------- */

/** Note one thing that was looked at. name: a few words ("read applications"); the text says what was found, and when
 * it is not ok what to do about it. */
void sdk_check(struct sdk_call *call, const char *name, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/** Note an answer by HTTP: ok when it is 2xx, else what it means. Does not answer the call. returns: ok */
bool sdk_check_http(struct sdk_call *call, const char *name, const struct sdk_http_answer *answer);
/** Answer with what was noted. */
void sdk_checked(struct sdk_call *call);

/* ---- Webhooks (RECEIVE)
 * -------------------------------------------------------------------------------------- */

/** A request header, by its lower-case name; NULL when it was not sent. */
const char *sdk_header(const struct sdk_call *call, const char *name);
const char *sdk_query(const struct sdk_call *call);
/** Whether no credential is to be asked for: a person tries a sample (`stanch source test`; nothing is recorded), or the sender
 *  has shown core a token for this source. */
bool sdk_is_test(const struct sdk_call *call);
const char *sdk_remote(const struct sdk_call *call);
/** The raw bytes as they came: check signatures over these. */
const char *sdk_body(const struct sdk_call *call, size_t *ret_len);
/** Whether "Authorization: Bearer" carries that secret. False when the secret is not set. Constant time. */
bool sdk_bearer_ok(const struct sdk_call *call, const char *secret);
/** Whether "Authorization: Basic" carries setting `user` and secret `password`. False when one is not set. */
bool sdk_basic_ok(const struct sdk_call *call, const char *user, const char *password);
/** HMAC-SHA256 with that secret, as 64 hex digits. False when the secret is not set. */
bool sdk_hmac_hex(const struct sdk_call *call, const char *secret, const void *data, size_t len, char ret_hex[65]);
/** How a sender signs: HMAC-SHA256 over `before` and the body, in a header. */
struct sdk_signature {
    const char *secret;      /* name of the secret setting */
    const char *header;      /* lower case: "x-hub-signature-256" */
    const char *prefix;      /* of each signature in it: "sha256=", "v0=", "v1,"; "" for none */
    const char *time_header; /* carries the time stamp, s since 1970; NULL: none, or */
    const char *time_prefix; /* the time stands in `header` itself: "t="; NULL: there is no time stamp */
    const char *before;      /* signed before the body; %t is the time stamp, %h{name} a header: "v0:%t:" */
    bool is_base64;          /* the signature is base64; else hex */
    uint32_t within_s;       /* of now, both ways; 0: 300 */
};
/** Whether the body carries a good signature. Several may stand in the header (secret rotation), separated by commas
 * or blanks. Constant time. NULL when it is good, else why not (static). */
const char *sdk_signature_why(const struct sdk_call *call, const struct sdk_signature *signature);
/** Constant time for texts of equal length. */
bool sdk_equal(const struct sdk_call *call, const char *a, const char *b);
/** The body as JSON (depth 64 at most, no duplicate keys), borrowed from the call; NULL when it is not, and
 * then the call was answered with "invalid", line and column. */
const json_t *sdk_body_json(struct sdk_call *call);

/** What changed: a deploy, a flag, a push. Runbooks find it with recent_changes. Members that are NULL are left out. */
struct sdk_change {
    const char *kind;        /* "deploy", "flag", "push", "workflow", "config", ...: a word */
    const char *service;     /* whose change: what a runbook asks for */
    const char *name;        /* of the flag, the workflow, the branch */
    const char *text;        /* one line for people */
    const char *by;          /* who made it */
    const char *state;       /* "started", "succeeded", "failed"; or the sender's word */
    const char *environment; /* where it went */
    const char *commit, *previous;
    const char *link;
};
/** One normalised signal. */
struct sdk_event {
    const char *kind;        /* NULL: "alert" */
    const char *fingerprint; /* the sender's identity of this alert; with start time and state: the key of repeats */
    bool resolved;           /* else firing */
    int64_t starts_at_ms;
    int64_t ends_at_ms; /* 0 or less: not ended */
    const char *name;
    const char *summary;       /* may be NULL */
    const json_t *labels;      /* {"name":"value"}; borrowed; may be NULL */
    const json_t *annotations; /* as labels */
    const char *link;          /* may be NULL */
    const char *severity;      /* "sev1".."sev4", when the source knows; NULL: the configuration's labels say it */
    const struct sdk_change *change; /* not NULL: it is a change, which has happened and does not resolve */
};
/** Append an event to an array that becomes the answer. */
void sdk_event(json_t *events, const struct sdk_event *event);
/** The answer to RECEIVE. events: taken. truncated: alerts that the sender left out. */
void sdk_received(struct sdk_call *call, json_t *events, int64_t truncated);

/** RFC 3339 to ms since 1970, any offset and fraction. Times before 1970 ("0001-01-01T00:00:00Z", the
 * sender's "not ended") give 0. returns false when it is not a time. */
bool sdk_time_parse(const char *text, int64_t *ret_ms);

/* ---- Behind the macro
 * ---------------------------------------------------------------------------------------- */

uint32_t sdk_open__(const struct sdk_plugin *plugin, const struct stanch_host *host, struct stanch_instance *instance,
                    void **ret_state, struct stanch_text *ret_why);
uint32_t sdk_declare__(const struct sdk_plugin *plugin, struct stanch_text settings, struct stanch_text *ret_more,
                       struct stanch_text *ret_why);
struct stanch_plugin sdk_entry__(const struct sdk_plugin *plugin,
                                 uint32_t (*open)(const struct stanch_host *, struct stanch_instance *, void **,
                                                  struct stanch_text *),
                                 uint32_t (*declare)(struct stanch_text, struct stanch_text *, struct stanch_text *));
#endif
