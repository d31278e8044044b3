/* launchdarkly.h: what the files of this plugin share.
 * Flow   a call -> flag.c reads the flag -> plan.c says what would change | change.c writes, and reads back.
 */
#ifndef LAUNCHDARKLY_H
#define LAUNCHDARKLY_H
#include <stanch/sdk.h>

/* One call: which flag, where, and what LaunchDarkly says about it. Lives as long as the call (sdk_kept). */
struct ld_flag {
    const char *key, *project, *environment;
    const json_t *flag;  /* as LaunchDarkly answered */
    const json_t *there; /* its part about the environment */
    bool on;
    int conflicts; /* how often a write met somebody else's */
    void (*on_read)(struct sdk_call *call, struct ld_flag *flag);
};

/* flag.c */
/** Check the arguments against the operator's lists, ask LaunchDarkly for the flag, and call fn with what it is; or answer
 * the call: nothing was changed then. */
void ld_read(struct sdk_call *call, void (*fn)(struct sdk_call *call, struct ld_flag *flag));
/** Ask again for the same flag. */
void ld_read_again(struct sdk_call *call, struct ld_flag *flag);
/** The semantic patch that turns the flag. */
void ld_patch(struct sdk_call *call, const struct ld_flag *flag, bool on, bool is_dry_run,
              void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer));
/** The same as a line for a person's shell. */
const char *ld_by_hand(struct sdk_call *call, const struct ld_flag *flag, bool on);
/** Share of the evaluations that turning the flag changes; negative: not known. */
double ld_reach(const struct ld_flag *flag);
/** What everybody gets while it is off: "false", "variation 2"; as its name or value. */
const char *ld_off_serves(struct sdk_call *call, const struct ld_flag *flag);
const char *ld_word(bool on);
/** {"Authorization":{"secret":"token"}}: without "Bearer". new */
json_t *ld_credential(void);

/* plan.c */
void ld_state(struct sdk_call *call);
void ld_plan(struct sdk_call *call);

/* change.c */
void ld_apply(struct sdk_call *call);
void ld_verify(struct sdk_call *call);
void ld_undo(struct sdk_call *call);
void ld_reconcile(struct sdk_call *call);

#endif
