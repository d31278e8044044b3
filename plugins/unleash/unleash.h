/* unleash.h: what the files of this plugin share.
 * Flow   a call -> flag.c reads the flag -> tags.c, plan.c say what would change | change.c writes, and reads back.
 */
#ifndef UNLEASH_H
#define UNLEASH_H
#include <stanch/sdk.h>

/* Who gets the feature while the flag is on, as far as its strategies tell. */
struct unleash_rollout {
    size_t strategies; /* all of the environment */
    size_t active;     /* those that are not disabled */
    double reach;      /* share of the users, at most; negative: not known */
};

/* One call: which flag, where, and what Unleash says about it. Lives as long as the call (sdk_kept). */
struct unleash_flag {
    const char *name, *project, *environment;
    const json_t *feature; /* as Unleash answered */
    const json_t *there;   /* its part about the environment */
    bool enabled;
    struct unleash_rollout rollout;
    json_t *tags;       /* of a plan: what it is tagged with; NULL: not known */
    const char *untold; /* why not */
    const char *etag;   /* of what applications got last; NULL: not asked yet */
    const json_t *seen; /* what they got of this flag; NULL: nothing */
    void (*on_read)(struct sdk_call *call, struct unleash_flag *flag);
};

/* flag.c */
/** Check the arguments against the operator's lists, ask Unleash for the flag, and call fn with what it is; or answer the
 * call: nothing was changed then. */
void unleash_read(struct sdk_call *call, void (*fn)(struct sdk_call *call, struct unleash_flag *flag));
/** The path that turns the flag on or off. */
const char *unleash_switch_path(struct sdk_call *call, const struct unleash_flag *flag, bool on);
/** The same as a line for a person's shell. */
const char *unleash_by_hand(struct sdk_call *call, const struct unleash_flag *flag, bool on);
/** {"Authorization":{"secret":NAME}}: Unleash takes its tokens without "Bearer". new */
json_t *unleash_credential(const char *secret);
/** "on" or "off". */
const char *unleash_word(bool on);
/** Names of flags that are off too when this one is: new array */
json_t *unleash_children(const struct unleash_flag *flag);

/* tags.c */
/** Ask Unleash what the flag is tagged with, and call fn, whatever comes of it. */
void unleash_read_tags(struct sdk_call *call, struct unleash_flag *flag,
                       void (*fn)(struct sdk_call *call, struct unleash_flag *flag));

/* plan.c */
void unleash_state(struct sdk_call *call);
void unleash_plan(struct sdk_call *call);

/* change.c */
void unleash_apply(struct sdk_call *call);
void unleash_verify(struct sdk_call *call);
void unleash_undo(struct sdk_call *call);
void unleash_reconcile(struct sdk_call *call);

/* check.c */
void unleash_check(struct sdk_call *call);

#endif
