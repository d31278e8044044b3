/* aws.c: mitigations at Amazon EC2 Auto Scaling: hold a group as it is while an incident is looked at. */
#include "aws.h"
#include "xml.h"
#include <stdlib.h>
#include <string.h>

#define GROUP_RULE "\"type\":\"string\",\"pattern\":\"^[^[:cntrl:]:]+$\",\"maxLength\":255"
#define PROCESS                                                                                                        \
    "{\"type\":\"string\",\"enum\":[\"Launch\",\"Terminate\",\"AddToLoadBalancer\",\"AlarmNotification\","             \
    "\"AZRebalance\",\"HealthCheck\",\"InstanceRefresh\",\"ReplaceUnhealthy\",\"ScheduledActions\"]}"
#define GROUP_PARAM "\"group\":{" GROUP_RULE ",\"summary\":\"the Auto Scaling group's name\"}"

static const char declaration[] =
    "{\"name\":\"aws\",\"version\":\"0.1.0\",\"summary\":\"AWS: freeze an Auto Scaling group\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,"
    "\"summary\":\"the endpoint: https://autoscaling.eu-west-1.amazonaws.com\"},"
    "\"ca_file\":{\"type\":\"string\",\"format\":\"ca-file\",\"summary\":\"certificates in PEM to trust instead of the "
    "system's\"},"
    "\"region\":{\"type\":\"string\",\"pattern\":\"^[a-z0-9-]+$\",\"required\":true,\"summary\":\"eu-west-1; it stands "
    "in the signature\"},"
    "\"groups\":{\"type\":\"array\",\"items\":{" GROUP_RULE "},\"minItems\":1,"
    "\"summary\":\"the only groups that may be touched or read; all when it is not set\"},"
    "\"allow_launch_terminate\":{\"type\":\"boolean\","
    "\"summary\":\"Launch and Terminate may be suspended, too: sick instances are then not replaced\"},"
    "\"access_key_id\":{\"type\":\"string\",\"secret\":true,\"summary\":\"a static key\"},"
    "\"secret_access_key\":{\"type\":\"string\",\"secret\":true,\"summary\":\"of that key\"},"
    "\"session_token\":{\"type\":\"string\",\"secret\":true,\"summary\":\"of that key, if it is a temporary one\"},"
    "\"credential_process\":{\"type\":\"string\",\"format\":\"command\","
    "\"summary\":\"or a command that prints a key, as a profile's credential_process\"},"
    "\"credential_args\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"summary\":\"its arguments\"},"
    "\"credential_environment\":{\"type\":\"object\",\"additionalProperties\":true,"
    "\"summary\":\"its environment: {NAME = text}; nothing else is in it\"},"
    "\"web_identity_token\":{\"type\":\"string\",\"format\":\"secret-file\","
    "\"summary\":\"or a file with a web identity token, read again when it changes\"},"
    "\"role_arn\":{\"type\":\"string\",\"pattern\":\"^arn:\",\"summary\":\"the role to assume with that token\"},"
    "\"role_session_name\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_=,.@-]+$\",\"minLength\":2,\"maxLength\":64,"
    "\"summary\":\"how CloudTrail shows it; stanch when it is not set\"},"
    "\"sts_url\":{\"type\":\"string\",\"format\":\"url\","
    "\"summary\":\"where to assume it: https://sts.eu-west-1.amazonaws.com\"}},"
    "\"check\":{\"summary\":\"the credential, and whether each group of the setting groups can be read\","
    "\"deadline_ms\":30000},"
    "\"actions\":{"
    "\"state\":{\"summary\":\"a group's size and limits, its instances and how many serve, what is suspended and "
    "why\",\"effect\":\"read\","
    "\"class\":\"read-only\",\"deadline_ms\":30000,\"params\":{" GROUP_PARAM "},\"required\":[\"group\"]},"
    "\"freeze\":{\"summary\":\"suspend scaling processes of a group: it keeps its size\",\"effect\":\"mitigate\","
    "\"class\":\"convergent\",\"risk\":\"medium\",\"undo_risk\":\"medium\",\"deadline_ms\":30000,"
    "\"ops\":[\"plan\",\"apply\",\"verify\",\"undo\",\"reconcile\"],\"params\":{" GROUP_PARAM
    ",\"processes\":{\"type\":\"array\",\"minItems\":1,\"items\":" PROCESS ","
    "\"summary\":\"AlarmNotification, ScheduledActions and AZRebalance when it is not given\"}},"
    "\"required\":[\"group\"]}}}";

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    const json_t *environment = json_object_get(sdk_settings(instance), "credential_environment");
    const char *why = aws_key_why(instance), *name;
    json_t *value;
    if (why)
        return why;
    json_object_foreach((json_t *)(uintptr_t)environment, name, value) if (!json_is_string(value)) return sdk_why(
        instance, "credential_environment.%s: a text was expected", name);
    *ret_state = calloc(1, sizeof(struct aws));
    return *ret_state ? NULL : "there is no memory";
}

static void close_instance(void *state)
{
    free(state);
    aws_xml_end();
}

/* ---- check ---- */

static const json_t *configured_groups(struct sdk_call *call)
{
    return json_object_get(sdk_settings(sdk_instance(call)), "groups");
}

static bool has_group(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *found = json_string_value(json_object_get(json_array_get(list, i), "AutoScalingGroupName"));
        if (found && strcmp(found, name) == 0)
            return true;
    }
    return false;
}

static void on_checked(struct sdk_call *call, const struct aws_answer *answer)
{
    const json_t *groups = configured_groups(call), *found = json_object_get(answer->result, "AutoScalingGroups");
    sdk_check(call, "autoscaling:DescribeAutoScalingGroups", answer->result != NULL, "%s",
              answer->result ? "it may" : answer->text);
    for (size_t i = 0; answer->result && i < json_array_size(groups) && i < 50; i++) {
        const char *name = json_string_value(json_array_get(groups, i));
        bool is_there = has_group(found, name);
        sdk_check(call, sdk_text(call, "group %s", name), is_there, "%s",
                  is_there ? "there" : "there is no such group in this region");
    }
    sdk_checked(call);
}

/* AWS tells only by trying whether a key may suspend: that is not tried here. */
static void check(struct sdk_call *call)
{
    const json_t *groups = configured_groups(call);
    json_t *params = json_object();
    for (size_t i = 0; i < json_array_size(groups) && i < 50; i++)
        json_object_set(params, sdk_text(call, "AutoScalingGroupNames.member.%zu", i + 1), json_array_get(groups, i));
    json_object_set_new(params, "IncludeInstances", json_string("false"));
    aws_ask(call, "DescribeAutoScalingGroups", params, true, on_checked);
}

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, check},
    {"state", STANCH_OP_READ, aws_state},
    {"freeze", STANCH_OP_PLAN, aws_freeze_plan},
    {"freeze", STANCH_OP_APPLY, aws_freeze_apply},
    {"freeze", STANCH_OP_VERIFY, aws_freeze_verify},
    {"freeze", STANCH_OP_UNDO, aws_freeze_undo},
    {"freeze", STANCH_OP_RECONCILE, aws_freeze_reconcile},
    {0},
};
static const struct sdk_plugin plugin = {
    .declaration = declaration, .handlers = handlers, .open = open_instance, .close = close_instance};
STANCH_PLUGIN(plugin)
