/* aws.h: what the files of this plugin share.
 * Flow   a call -> freeze.c -> ask.c -> credential.c (a key that is good now) -> signed request -> xml.c -> plan.c
 */
#ifndef AWS_H
#define AWS_H
#include "stanch/sdk.h"

/* Of an instance. */
struct aws {
    bool has_key;       /* a key of a command or of STS is kept */
    int64_t expires_ms; /* of that key; 0: never */
};

/* credential.c */
struct aws_key {
    const char *id, *key, *token; /* names of secrets; the token's may be one that is not set */
};
/** Have a key that is good now: the static one, or one from the command or from STS, which is kept until a minute
 * before it expires. Or answer the call, failed: nothing was changed. fn: maybe from inside. */
void aws_with_key(struct sdk_call *call, void (*fn)(struct sdk_call *call, const struct aws_key *key));
/** Why these settings name no credential, or more than one; NULL when they name one. */
const char *aws_key_why(const struct sdk_instance *instance);
/** AWS refused that key: get another one next time. returns whether there can be another one */
bool aws_drop_key(struct sdk_call *call);

/* ask.c */
/* What AWS said. */
struct aws_answer {
    const json_t *result;              /* of the answer: what stands in <ACTIONResult>, or {}; NULL: it failed */
    const char *kind, *text;           /* why it failed: as for sdk_fail */
    bool can_retry, may_have_happened; /* likewise */
};
/** Ask Auto Scaling: signed, and asked again after throttling and contention while there is time. params: taken,
 * {"Name.member.1":"value"}. is_read: it changes nothing. */
void aws_ask(struct sdk_call *call, const char *action, json_t *params, bool is_read,
             void (*fn)(struct sdk_call *call, const struct aws_answer *answer));
/** True when there is a result; else answers the call: failed, or unknown. */
bool aws_ok(struct sdk_call *call, const struct aws_answer *answer);

/* freeze.c */
/** Read the group that the arguments name, as DescribeAutoScalingGroups tells it, or answer the call: "refused" when it
 * is not in the allow-list, "not-found". */
void aws_read_group(struct sdk_call *call, void (*fn)(struct sdk_call *call, const json_t *group));
/** The processes that the arguments ask for, sorted, without repeats; NULL when the call was answered: they are not
 * allowed. Held by the call. */
const json_t *aws_wanted(struct sdk_call *call);
void aws_freeze_plan(struct sdk_call *call);
void aws_freeze_apply(struct sdk_call *call);
void aws_freeze_verify(struct sdk_call *call);
void aws_freeze_undo(struct sdk_call *call);
void aws_freeze_reconcile(struct sdk_call *call);
void aws_state(struct sdk_call *call);

/* plan.c */
/** {"AlarmNotification":"running"}: how each of these processes is in that group. new */
json_t *aws_processes(const json_t *group, const json_t *names);
/** Whether that process is suspended. */
bool aws_is_suspended(const json_t *group, const char *process);
/** Size, instances in service, and what is suspended: for people. new */
json_t *aws_observed(const struct sdk_call *call, const json_t *group);
void aws_answer_plan(struct sdk_call *call, const json_t *group, const json_t *names);

#endif
