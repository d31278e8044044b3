/* freeze.c: suspend processes of a group, and resume those that this run suspended. AWS has no conditional write: what was
 * approved is read again just before, and core holds the target's lock meanwhile.
 *
 *   apply   read --as `to`--> done already       undo   read --none of ours is suspended--> done already
 *             |--not `from`--> stale                      '--> resume those of ours that still are
 *             '--> suspend those of `undo`
 */
#include "aws.h"
#include <string.h>

#define POLL_MS   1000
#define WITHIN_MS 15000

static const char *const defaults[] = {"AZRebalance", "AlarmNotification", "ScheduledActions"};

/* ---- the group ---- */

struct group_wait {
    void (*fn)(struct sdk_call *call, const json_t *group);
};

static bool is_allowed(struct sdk_call *call, const char *name)
{
    const json_t *list = json_object_get(sdk_settings(sdk_instance(call)), "groups");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
            return true;
    return list == NULL;
}

static void on_groups(struct sdk_call *call, const struct aws_answer *answer)
{
    struct group_wait *wait = sdk_kept(call);
    const char *name = sdk_arg_str(call, "group", "");
    if (!aws_ok(call, answer))
        return;
    const json_t *list = json_object_get(answer->result, "AutoScalingGroups");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *group = json_array_get(list, i);
        const char *found = json_string_value(json_object_get(group, "AutoScalingGroupName"));
        if (found && strcmp(found, name) == 0) {
            wait->fn(call, group);
            return;
        }
    }
    sdk_fail(call, "not-found", "there is no Auto Scaling group \"%s\" in %s", name,
             sdk_setting(sdk_instance(call), "region", ""));
}

void aws_read_group(struct sdk_call *call, void (*fn)(struct sdk_call *call, const json_t *group))
{
    struct group_wait *wait = sdk_memory(call, sizeof *wait);
    const char *name = sdk_arg_str(call, "group", "");
    wait->fn = fn;
    if (!is_allowed(call, name)) {
        sdk_fail(call, "refused", "group \"%s\" is not in this instance's setting \"groups\"", name);
        return;
    }
    sdk_keep(call, wait);
    aws_ask(call, "DescribeAutoScalingGroups", json_pack("{s:s}", "AutoScalingGroupNames.member.1", name), true,
            on_groups);
}

static void on_group_for_state(struct sdk_call *call, const json_t *group)
{
    sdk_done(call, aws_observed(call, group));
}

void aws_state(struct sdk_call *call)
{
    aws_read_group(call, on_group_for_state);
}

/* ---- the processes ---- */

static void add_sorted(json_t *names, const char *name)
{
    size_t i = 0;
    for (; i < json_array_size(names); i++) {
        int by = strcmp(name, json_string_value(json_array_get(names, i)));
        if (by == 0)
            return;
        if (by < 0)
            break;
    }
    json_array_insert_new(names, i, json_string(name));
}

static bool is_risky(const char *name)
{
    return strcmp(name, "Launch") == 0 || strcmp(name, "Terminate") == 0;
}

const json_t *aws_wanted(struct sdk_call *call)
{
    const json_t *given = json_object_get(sdk_args(call), "processes");
    bool is_free = json_is_true(json_object_get(sdk_settings(sdk_instance(call)), "allow_launch_terminate"));
    json_t *names = sdk_hold(call, json_array());
    for (size_t i = 0; !given && i < sizeof defaults / sizeof *defaults; i++)
        add_sorted(names, defaults[i]);
    for (size_t i = 0; i < json_array_size(given); i++) {
        const char *name = json_string_value(json_array_get(given, i));
        if (is_risky(name) && !is_free) {
            sdk_fail(call, "refused",
                     "processes: %s stops the replacement of sick instances; this instance does not have "
                     "allow_launch_terminate",
                     name);
            return NULL;
        }
        add_sorted(names, name);
    }
    return names;
}

/* The names in one member of the plan: {"processes":{NAME:STATE}}. */
static json_t *plan_names(struct sdk_call *call)
{
    json_t *names = sdk_hold(call, json_array());
    const char *name;
    json_t *state;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(sdk_plan_member(call, "to"), "processes"), name, state)
    {
        (void)state;
        add_sorted(names, name);
    }
    return names;
}

static const json_t *plan_fresh(const struct sdk_call *call)
{
    return json_object_get(sdk_plan_member(call, "undo"), "resume");
}

static bool is_as(struct sdk_call *call, const json_t *group, const char *member)
{
    json_t *now = aws_processes(group, plan_names(call));
    bool is_equal = json_equal(now, json_object_get(sdk_plan_member(call, member), "processes")) != 0;
    json_decref(now);
    return is_equal;
}

static bool check_plan(struct sdk_call *call)
{
    if (json_array_size(plan_names(call)) > 0 && json_is_array(plan_fresh(call)))
        return true;
    sdk_fail(call, "invalid", "plan: to.processes and undo.resume were expected; make the plan again");
    return false;
}

/* ---- the operations ---- */

static void on_group_for_plan(struct sdk_call *call, const json_t *group)
{
    aws_answer_plan(call, group, aws_wanted(call));
}

void aws_freeze_plan(struct sdk_call *call)
{
    if (aws_wanted(call))
        aws_read_group(call, on_group_for_plan);
}

static void on_changed(struct sdk_call *call, const struct aws_answer *answer)
{
    if (aws_ok(call, answer))
        sdk_done(call, json_pack("{s:s, s:O}", "group", sdk_arg_str(call, "group", ""),
                                 sdk_op(call) == STANCH_OP_UNDO ? "resumed" : "suspended", (json_t *)sdk_kept(call)));
}

/* names: not empty: an empty list would be all processes. Held by the call. */
static void change(struct sdk_call *call, const char *action, json_t *names)
{
    json_t *params = json_pack("{s:s}", "AutoScalingGroupName", sdk_arg_str(call, "group", ""));
    for (size_t i = 0; i < json_array_size(names); i++)
        json_object_set(params, sdk_text(call, "ScalingProcesses.member.%zu", i + 1), json_array_get(names, i));
    sdk_keep(call, names);
    aws_ask(call, action, params, false, on_changed);
}

static void on_group_for_apply(struct sdk_call *call, const json_t *group)
{
    if (is_as(call, group, "to"))
        sdk_done(call, json_pack("{s:b, s:o}", "already", 1, "suspended", json_array()));
    else if (!is_as(call, group, "from"))
        sdk_fail(call, "stale", "the processes of %s are no longer as the plan found them: somebody changed them",
                 sdk_arg_str(call, "group", ""));
    else
        change(call, "SuspendProcesses", (json_t *)(uintptr_t)plan_fresh(call));
}

void aws_freeze_apply(struct sdk_call *call)
{
    if (check_plan(call))
        aws_read_group(call, on_group_for_apply);
}

static void on_group_for_verify(struct sdk_call *call, const json_t *group)
{
    json_t *seen = aws_observed(call, group);
    if (is_as(call, group, "to"))
        sdk_holds(call, true, seen);
    else
        sdk_not_yet(call, aws_freeze_verify, POLL_MS, WITHIN_MS, seen);
}

void aws_freeze_verify(struct sdk_call *call)
{
    if (check_plan(call))
        aws_read_group(call, on_group_for_verify);
}

/* Those of ours that are suspended now. Held by the call. */
static json_t *ours_suspended(struct sdk_call *call, const json_t *group)
{
    const json_t *fresh = plan_fresh(call);
    json_t *names = sdk_hold(call, json_array());
    for (size_t i = 0; i < json_array_size(fresh); i++)
        if (aws_is_suspended(group, json_string_value(json_array_get(fresh, i))))
            json_array_append(names, json_array_get(fresh, i));
    return names;
}

static void on_group_for_undo(struct sdk_call *call, const json_t *group)
{
    json_t *names = ours_suspended(call, group);
    if (json_array_size(names) == 0)
        sdk_done(call, json_pack("{s:b, s:O}", "already", 1, "resumed", names));
    else
        change(call, "ResumeProcesses", names);
}

void aws_freeze_undo(struct sdk_call *call)
{
    if (check_plan(call))
        aws_read_group(call, on_group_for_undo);
}

static void on_group_for_reconcile(struct sdk_call *call, const json_t *group)
{
    size_t ours = json_array_size(plan_fresh(call)), suspended = json_array_size(ours_suspended(call, group));
    bool is_undo = strcmp(sdk_reconciles(call), "undo") == 0;
    bool is_done = is_undo ? suspended == 0 : suspended == ours;
    bool is_not_done = is_undo ? suspended == ours : suspended == 0;
    sdk_reconciled(call, is_done ? "done" : is_not_done ? "not-done" : "cannot-tell");
}

void aws_freeze_reconcile(struct sdk_call *call)
{
    if (check_plan(call))
        aws_read_group(call, on_group_for_reconcile);
}
