/* plan.c: what a freeze would change, for the approver. The plan binds the processes that were asked for, and no others:
 * what somebody suspends beside them neither voids an approval nor is resumed by an undo. */
#include "aws.h"
#include <string.h>

#define MAX_SHOWN 20

static const json_t *list_at(const json_t *group, const char *name)
{
    const json_t *list = json_object_get(group, name);
    return json_is_array(list) ? list : NULL; /* an empty list is an empty text */
}

static const char *text_at(const json_t *value, const char *name)
{
    const char *text = json_string_value(json_object_get(value, name));
    return text ? text : "";
}

bool aws_is_suspended(const json_t *group, const char *process)
{
    const json_t *list = list_at(group, "SuspendedProcesses");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(text_at(json_array_get(list, i), "ProcessName"), process) == 0)
            return true;
    return false;
}

json_t *aws_processes(const json_t *group, const json_t *names)
{
    json_t *states = json_object();
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        json_object_set_new(states, name, json_string(aws_is_suspended(group, name) ? "suspended" : "running"));
    }
    return states;
}

static int count_in_service(const json_t *group)
{
    const json_t *list = list_at(group, "Instances");
    int count = 0;
    for (size_t i = 0; i < json_array_size(list); i++)
        count += strcmp(text_at(json_array_get(list, i), "LifecycleState"), "InService") == 0;
    return count;
}

json_t *aws_observed(const struct sdk_call *call, const json_t *group)
{
    const json_t *list = list_at(group, "SuspendedProcesses");
    json_t *suspended = json_object();
    for (size_t i = 0; i < json_array_size(list) && i < MAX_SHOWN; i++)
        json_object_set_new(suspended, text_at(json_array_get(list, i), "ProcessName"),
                            json_string(text_at(json_array_get(list, i), "SuspensionReason")));
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:i, s:i, s:o}", "as_of_ms", (json_int_t)sdk_now_ms(call), "group",
                     text_at(group, "AutoScalingGroupName"), "desired", text_at(group, "DesiredCapacity"), "min",
                     text_at(group, "MinSize"), "max", text_at(group, "MaxSize"), "instances",
                     (int)json_array_size(list_at(group, "Instances")), "in_service", count_in_service(group),
                     "suspended", suspended);
}

/* "a, b", or "a b" for a shell. */
static const char *join(struct sdk_call *call, const json_t *names, const char *between)
{
    const char *text = "";
    for (size_t i = 0; i < json_array_size(names); i++)
        text = sdk_text(call, "%s%s%s", text, i ? between : "", json_string_value(json_array_get(names, i)));
    return text;
}

static bool has_name(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
            return true;
    return false;
}

static const char *warning(const json_t *names)
{
    if (has_name(names, "Launch") || has_name(names, "Terminate"))
        return "; WARNING: without Launch or Terminate sick instances are not replaced, and other processes fail";
    if (has_name(names, "ReplaceUnhealthy") || has_name(names, "HealthCheck"))
        return "; WARNING: sick instances are not replaced";
    return "";
}

static const char *by_hand(struct sdk_call *call, const char *verb, const json_t *names)
{
    if (json_array_size(names) == 0)
        return "true # there is nothing to do";
    return sdk_text(call,
                    "aws autoscaling %s-processes --region %s --auto-scaling-group-name %s --scaling-processes %s",
                    verb, sdk_setting(sdk_instance(call), "region", ""),
                    sdk_shell_word(call, sdk_arg_str(call, "group", "")), join(call, names, " "));
}

static const char *impact(struct sdk_call *call, const json_t *group, const json_t *fresh)
{
    const char *size = sdk_text(call, "desired %s of %s to %s, %d in service", text_at(group, "DesiredCapacity"),
                                text_at(group, "MinSize"), text_at(group, "MaxSize"), count_in_service(group));
    const char *name = sdk_arg_str(call, "group", "");
    if (json_array_size(fresh) == 0)
        return sdk_text(call, "%s (%s): all of these are suspended already", name, size);
    return sdk_text(call, "%s (%s): suspends %s, so that these no longer change it%s", name, size,
                    join(call, fresh, ", "), warning(fresh));
}

void aws_answer_plan(struct sdk_call *call, const json_t *group, const json_t *names)
{
    json_t *from = aws_processes(group, names), *to = json_object(), *fresh = sdk_hold(call, json_array());
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        json_object_set_new(to, name, json_string("suspended"));
        if (!aws_is_suspended(group, name))
            json_array_append_new(fresh, json_string(name));
    }
    sdk_plan(call, &(struct sdk_plan){
                       .targets = json_pack("[o]", json_sprintf("aws:%s/%s", sdk_instance_name(sdk_instance(call)),
                                                                sdk_arg_str(call, "group", ""))),
                       .from = json_pack("{s:o}", "processes", from),
                       .to = json_pack("{s:o}", "processes", to),
                       .undo = json_pack("{s:O}", "resume", fresh),
                       .by_hand = by_hand(call, "suspend", fresh),
                       .undo_by_hand = by_hand(call, "resume", fresh),
                       .impact = impact(call, group, fresh),
                       .reach = -1, /* no capacity changes; what would have changed nobody knows */
                       .observed = aws_observed(call, group),
                       .no_change = json_array_size(fresh) == 0,
                   });
}
