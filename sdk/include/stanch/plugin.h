/* plugin.h: the ABI between a plugin and its host. History at the bottom of this comment.
 *
 * A plugin is a shared object NAME.so that exports one symbol, stanch_plugin_entry. It is loaded into a process of
 * its own (`stanch plugin-host`), one per instance. It declares itself as JSON (settings, actions, sources) and is
 * then called: plan, apply, verify, undo, reconcile, read, receive, check. Everything is asynchronous: a call gets a handle,
 * the plugin answers on it exactly once, from the host's only thread, now or later. A call that is not answered by
 * its deadline is answered "unknown" by the host.
 *
 * Across this line go only fixed-width integers, text with a length, JSON as text, and function tables that begin
 * with major, minor and size. Who allocates frees: text given to a plugin lives until the call is answered (settings
 * and secrets: until close); text given to the host is copied before the function returns.
 *
 * C helpers that make this comfortable (arguments, answers, HTTP with JSON, jansson) are in stanch/sdk.h, which
 * lives inside the plugin and is no part of the ABI.
 *
 * Versions. A plugin says which major and minor its headers had; the host takes it when the major is its own and the minor
 * no higher, and otherwise refuses it with a text. Within a major nothing is changed, moved or removed: a new minor appends
 * members to the tables and structs that begin with a size, appends values to the enums, and adds members to the JSON that
 * goes across. So who has a struct of the other side looks at its size before a member that its own first version did not
 * have; what is shorter ends with zeros. A value of an enum that is not known: an operation is answered failed "not-found",
 * an end is treated as LOST or KILLED. Structs without a size (stanch_text) and functions keep their form for ever; another
 * form is another member. tests/abi holds every size, offset and value of 1.0.
 *
 * History: 1.0 the first that is kept. (0.1 to 0.3 came before: hosts and plugins of 0 and 1 refuse each other.)
 */
#ifndef STANCH_PLUGIN_H
#define STANCH_PLUGIN_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STANCH_ABI_MAJOR 1u /* another one: refused at load */
#define STANCH_ABI_MINOR 0u /* a plugin's that is higher than the host's: refused at load */

/** Text with a length; UTF-8; not NUL-terminated as a rule. */
struct stanch_text {
    const char *data;
    uint64_t len;
};

struct stanch_instance; /* the host's handle for the configured instance */
struct stanch_call;     /* the host's handle for one call */

/* What is called. */
enum {
    STANCH_OP_PLAN = 1,      /* what would change; a read only */
    STANCH_OP_APPLY = 2,     /* make the approved plan true, conditional on its `from` */
    STANCH_OP_VERIFY = 3,    /* read the effect back */
    STANCH_OP_UNDO = 4,      /* write the former value back, only if the value we set is still there */
    STANCH_OP_RECONCILE = 5, /* did that apply (or undo) happen? done, not-done, cannot-tell */
    STANCH_OP_READ = 6,      /* an action whose effect is "read" or "notify" */
    STANCH_OP_RECEIVE = 7,   /* a webhook: check its signature, make events of it */
    STANCH_OP_CHECK = 8,     /* reach the system with the configured credentials; say what is missing. Reads only */
};

/* How an HTTP exchange ended. */
enum {
    STANCH_HTTP_ANSWERED = 0, /* status, headers and body are there */
    STANCH_HTTP_NOT_SENT = 1, /* refused before a byte of the request left: nothing happened at the remote */
    STANCH_HTTP_LOST = 2,     /* the request may have arrived, the answer did not: unknown */
};

struct stanch_http_exchange {
    uint32_t size;  /* sizeof this struct */
    uint32_t ended; /* STANCH_HTTP_* */
    uint32_t status;
    uint32_t retry_after_ms;    /* from Retry-After; 0: none */
    struct stanch_text headers; /* JSON object, lower-case names */
    struct stanch_text body;
    struct stanch_text why; /* for people, when it was not answered */
};

struct stanch_http_order {
    uint32_t size;        /* sizeof this struct */
    uint32_t deadline_ms; /* 0: what is left of the call's */
    struct stanch_text method;
    struct stanch_text url;     /* host and port must be those of a setting declared with "format":"url" */
    struct stanch_text headers; /* JSON object {"Name":"value"}; or empty */
    struct stanch_text bearer;  /* NAME of a secret setting sent as "Authorization: Bearer"; or empty */
    struct stanch_text basic;   /* "SETTING_USER:SECRET_NAME": names of settings sent as basic credentials; or empty */
    struct stanch_text body;
    uint64_t max_body; /* of the answer; 0: 4 MiB */
    /** JSON {"NAME":{"secret":"SETTING","before":"GenieKey "}}: headers whose value is a secret of the instance, with
     *  a text before it (or none). A secret that is not set: that header is left out. Or empty. */
    struct stanch_text secret_headers;
    /** JSON {"region","service","key_id","key","token"}: sign by AWS SigV4. key_id, key and token (which may be left
     *  out) name secrets. The query must be sorted and escaped: it is signed as it is. Or empty. */
    struct stanch_text sigv4;
};

/* How a command ended. */
enum {
    STANCH_RUN_EXITED = 0,      /* code: its exit code */
    STANCH_RUN_NOT_STARTED = 1, /* refused, or could not be started: nothing happened; why */
    STANCH_RUN_SIGNALLED = 2,   /* ended by a signal that is not ours; code: which */
    STANCH_RUN_KILLED = 3,      /* ended by us: its deadline, or the call was over. What it did is not known */
};

struct stanch_run_order {
    uint32_t size;              /* sizeof this struct */
    uint32_t deadline_ms;       /* then SIGTERM to its process group; 0: what is left of the call's, less the grace */
    uint32_t grace_ms;          /* from SIGTERM to SIGKILL; 0: 1000 */
    uint32_t is_cut_ok;         /* 1: output over max_output is cut; 0: then the command is ended (KILLED) */
    struct stanch_text command; /* absolute path; must be the value of a setting with "format":"command" */
    struct stanch_text args;    /* JSON array of texts, without the command's own name; never seen by a shell */
    struct stanch_text environment;        /* JSON {"NAME":"value"}: all that is in its environment; or empty */
    struct stanch_text secret_environment; /* JSON {"NAME":"SETTING"}: secrets that are; or empty */
    struct stanch_text input;              /* its standard input */
    uint64_t max_output;                   /* of standard output and of standard error each; 0: 256 KiB */
};

struct stanch_run_result {
    uint32_t size;
    uint32_t ended; /* STANCH_RUN_* */
    int32_t code;
    uint32_t is_cut; /* there was more output */
    struct stanch_text output, errors;
    struct stanch_text why; /* for people, unless it exited */
};

/* The services of the host. All functions: host's thread only. */
struct stanch_host {
    uint32_t major, minor, size;
    uint32_t flags; /* 0: none are defined */

    /* A call. */
    uint32_t (*call_op)(const struct stanch_call *call);
    struct stanch_text (*call_action)(const struct stanch_call *call); /* or the source's name, for RECEIVE */
    struct stanch_text (*call_input)(const struct stanch_call *call);  /* JSON object; sdk/README.md has the members */
    struct stanch_text (*call_body)(const struct stanch_call *call);   /* raw bytes of a webhook */
    uint32_t (*call_left_ms)(const struct stanch_call *call);          /* time until the deadline */
    uint32_t (*call_is_cancelled)(const struct stanch_call *call);
    /** Keep a pointer with the call (one; a second replaces the first, which is released). `release` is called when
     *  the call has been answered, by the plugin or by its deadline: from the host's loop, never from inside of an
     *  answer_* function. The call's handle is no longer valid then. */
    void (*call_keep)(struct stanch_call *call, void *ptr, void (*release)(void *ptr));
    void *(*call_kept)(const struct stanch_call *call);

    /* Answers: exactly one per call; a second one is logged and dropped. */
    void (*answer_done)(struct stanch_call *call, struct stanch_text value_json);
    /** Explicitly failed: nothing has changed at the remote. kind: a word of the error table ("remote",
     *  "unauthorized", "stale", "refused", ...). retry: 1 when trying again can help. */
    void (*answer_failed)(struct stanch_call *call, struct stanch_text kind, struct stanch_text message, uint32_t retry,
                          uint32_t retry_after_ms);
    /** It may or may not have happened. */
    void (*answer_unknown)(struct stanch_call *call, struct stanch_text kind, struct stanch_text message);

    /* Settings and secrets of the instance. */
    struct stanch_text (*instance_name)(const struct stanch_instance *instance);
    struct stanch_text (*settings)(const struct stanch_instance *instance); /* JSON object, secrets left out */
    struct stanch_text (*secret)(const struct stanch_instance *instance,
                                 struct stanch_text setting); /* empty: not set */
    /** 1 when the two are equal; takes the same time whatever they hold. */
    uint32_t (*secret_equal)(struct stanch_text a, struct stanch_text b);

    /* Work that waits. `on_*` are called later, at most once, never after the call was answered. */
    void (*http)(struct stanch_call *call, const struct stanch_http_order *order,
                 void (*on_ended)(struct stanch_call *call, void *ctx, const struct stanch_http_exchange *exchange),
                 void *ctx);
    /** Connect to "unix:/path" or "tcp:host:port" (must be a setting's value), send, read to the end, close.
     *  ended as for HTTP: NOT_SENT when the connection failed, LOST when the answer did not end properly. */
    void (*exchange)(struct stanch_call *call, struct stanch_text address, struct stanch_text send, uint64_t max_answer,
                     void (*on_ended)(struct stanch_call *call, void *ctx, uint32_t ended, struct stanch_text answer,
                                      struct stanch_text why),
                     void *ctx);
    void (*timer)(struct stanch_call *call, uint32_t delay_ms, void (*on_due)(struct stanch_call *call, void *ctx),
                  void *ctx);
    /** Wall clock, ms since 1970. */
    int64_t (*now_ms)(void);
    /** level: 0 error, 1 warn, 2 info, 3 debug. Secrets are scrubbed. */
    void (*log)(const struct stanch_instance *instance, uint32_t level, struct stanch_text message);
    /** HMAC-SHA256 of `data` with the secret that `setting` names. returns 1, or 0 when that secret is not set. */
    uint32_t (*hmac_sha256)(const struct stanch_instance *instance, struct stanch_text setting, struct stanch_text data,
                            uint8_t ret[32]);
    /** Run a command that the settings name: its process group alone, no shell, an environment of what the order
     *  says, its working directory /. All that it leaves behind is ended with it. Only in an
     *  instance that has a setting with "format":"command". on_ended: later, at most once, not after the answer;
     *  a call that is answered ends its commands. */
    void (*run)(struct stanch_call *call, const struct stanch_run_order *order,
                void (*on_ended)(struct stanch_call *call, void *ctx, const struct stanch_run_result *result),
                void *ctx);
    /** Keep a secret that came up while working (a session's token) under a name that begins with "."; it can then
     *  stand wherever the name of a secret setting can, and is scrubbed from all that leaves the host. A second one
     *  of that name replaces the first; an empty one removes it. returns 1, or 0 when the name is none. */
    uint32_t (*secret_keep)(struct stanch_instance *instance, struct stanch_text name, struct stanch_text value);
    /** The instance's own directory, absolute, which outlives the host; empty unless the declaration "needs" it. */
    struct stanch_text (*state_dir)(const struct stanch_instance *instance);
};

/* What a plugin exports. */
struct stanch_plugin {
    uint32_t major, minor, size;
    uint32_t flags; /* 0: none are defined; a host that does not know one refuses the plugin */
    /** The declaration, one JSON object; static. sdk/README.md describes it. */
    struct stanch_text declaration;
    /** Called once. Returns the plugin's own state for this instance in ret_state. returns 0, or 1 with a message in
     *  ret_why when the settings make no sense: it is read at once, and the process ends (close is not called). */
    uint32_t (*open)(const struct stanch_host *host, struct stanch_instance *instance, void **ret_state,
                     struct stanch_text *ret_why);
    void (*close)(void *state);
    void (*call)(void *state, struct stanch_call *call);
    /** The caller gave up; answer soon. May be NULL. */
    void (*cancel)(void *state, struct stanch_call *call);
    /** What this instance has beyond the declaration, from its settings (which were checked, secrets left out):
     *  JSON {"actions":{},"sources":{}}, each as in the declaration. Called once, before open, or without it when
     *  nothing but the declaration is wanted. May be NULL.
     *  ret_more: lives until close. returns 0, or 1 with a message in ret_why. */
    uint32_t (*declare)(struct stanch_text settings, struct stanch_text *ret_more, struct stanch_text *ret_why);
};

/** The one exported symbol. returns: static */
__attribute__((visibility("default"))) const struct stanch_plugin *stanch_plugin_entry(void);

#ifdef __cplusplus
}
#endif
#endif
