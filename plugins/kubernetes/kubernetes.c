/* kubernetes.c: mitigations at a Kubernetes API server: roll a Deployment back, hold an autoscaler, scale, shift traffic. */
#include "kubernetes.h"
#include <stdlib.h>
#include <string.h>

#define NAME_RULE "\"type\":\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$\",\"maxLength\":253"
#define ITS_NAME  "{" NAME_RULE ",\"summary\":\"its name\"}"
#define NAMESPACE                                                                                                      \
    "\"namespace\":{\"type\":\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$\",\"maxLength\":63,"             \
    "\"summary\":\"the only one of the setting namespaces when it is not given\"}"
#define ACTION_NAMES "[\"rollback\",\"freeze_hpa\",\"pause_keda\",\"scale\",\"shift_route\"]"
#define CHANGE                                                                                                         \
    "\"effect\":\"mitigate\",\"class\":\"convergent\",\"risk\":\"medium\",\"deadline_ms\":30000,"                      \
    "\"ops\":[\"plan\",\"apply\",\"verify\",\"undo\",\"reconcile\"],"
#define READ       "\"effect\":\"read\",\"class\":\"read-only\",\"deadline_ms\":15000,"
#define ROUTE_KIND "\"kind\":{\"type\":\"string\",\"enum\":[\"HTTPRoute\",\"VirtualService\"]}"
#define REPLICAS   "\"replicas\":{\"type\":\"integer\",\"maximum\":100000,"

static const char declaration[] =
    "{\"name\":\"kubernetes\",\"version\":\"0.1.0\","
    "\"summary\":\"Kubernetes: roll back, hold autoscalers, scale, shift traffic\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,"
    "\"summary\":\"the API server: https://10.0.0.1:6443; inside of a cluster https://kubernetes.default.svc\"},"
    "\"ca_file\":{\"type\":\"string\",\"format\":\"ca-file\","
    "\"summary\":\"certificates in PEM to trust instead of the system's: the cluster's\"},"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"summary\":\"a bearer token\"},"
    "\"token_file\":{\"type\":\"string\",\"format\":\"secret-file\","
    "\"summary\":\"or a file with one, read again when it changes: a service account's\"},"
    "\"client_cert\":{\"type\":\"string\",\"format\":\"client-cert\","
    "\"summary\":\"or a certificate to present, with client_key\"},"
    "\"client_key\":{\"type\":\"string\",\"format\":\"client-key\",\"secret\":true,\"summary\":\"its key, PEM\"},"
    "\"namespaces\":{\"type\":\"array\",\"required\":true,\"minItems\":1,\"maxItems\":50,"
    "\"items\":{\"type\":\"string\",\"pattern\":\"^[a-z0-9*?-]+$\",\"maxLength\":63},"
    "\"summary\":\"the only namespaces that may be read or touched; * stands for any run of characters\"},"
    "\"actions\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":" ACTION_NAMES "},\"minItems\":1,"
    "\"summary\":\"the only mitigations that this instance may do, and whose rights the check looks at; all when it "
    "is not set\"},"
    "\"min_replicas\":{\"type\":\"integer\",\"minimum\":0,"
    "\"summary\":\"scale, pause_keda and freeze_hpa to no fewer; 1 when it is not set\"},"
    "\"max_replicas\":{\"type\":\"integer\",\"minimum\":1,\"summary\":\"and to no more; 50 when it is not set\"},"
    "\"max_change\":{\"type\":\"number\",\"minimum\":0,"
    "\"summary\":\"the most that scale changes at once, as a share of what is there; 1 (up to twice) when it is not "
    "set\"},"
    "\"migration_annotation\":{\"type\":\"string\",\"minLength\":1,"
    "\"summary\":\"which annotation of a Pod template tells of migrations; stanch.dev/migration when it is not "
    "set\"}},"
    "\"check\":{\"summary\":\"the credential, and each right that the actions need in each namespace\","
    "\"deadline_ms\":60000},"
    "\"actions\":{"
    "\"deployment\":{\"summary\":\"a Deployment: its rollout, its images, its revisions\"," READ
    "\"params\":{\"deployment\":" ITS_NAME "," NAMESPACE "},\"required\":[\"deployment\"]},"
    "\"hpa\":{\"summary\":\"a HorizontalPodAutoscaler: its bounds, what it sees and wants, whether it is held\"," READ
    "\"params\":{\"hpa\":" ITS_NAME "," NAMESPACE "},\"required\":[\"hpa\"]},"
    "\"route\":{\"summary\":\"the rules of a route, their backends and what share each gets\"," READ
    "\"params\":{" ROUTE_KIND ",\"route\":" ITS_NAME "," NAMESPACE "},\"required\":[\"kind\",\"route\"]},"
    "\"rollback\":{\"summary\":\"roll a Deployment back to an earlier ReplicaSet\",\"verify_ms\":900000," CHANGE
    "\"params\":{\"deployment\":" ITS_NAME "," NAMESPACE ",\"revision\":{\"type\":\"integer\",\"minimum\":1,"
    "\"summary\":\"to that revision; the one before the present one when neither is given\"},"
    "\"replicaset\":{" NAME_RULE ",\"summary\":\"or to that ReplicaSet: its name or its template's hash\"}},"
    "\"required\":[\"deployment\"]},"
    "\"freeze_hpa\":{\"summary\":\"hold what an HPA scales at its present size: min = "
    "max\",\"undo_risk\":\"medium\"," CHANGE "\"params\":{\"hpa\":" ITS_NAME "," NAMESPACE "," REPLICAS "\"minimum\":1,"
    "\"summary\":\"at that size, within the HPA's own bounds; the present one when it is not given\"}},"
    "\"required\":[\"hpa\"]},"
    "\"pause_keda\":{\"summary\":\"pause a KEDA ScaledObject by its annotations\",\"undo_risk\":\"medium\"," CHANGE
    "\"params\":{\"scaled_object\":" ITS_NAME "," NAMESPACE "," REPLICAS "\"minimum\":0,"
    "\"summary\":\"at that size; the one that it has when it is not given\"}},\"required\":[\"scaled_object\"]},"
    "\"scale\":{\"summary\":\"set the replicas of a Deployment or StatefulSet that no HPA "
    "scales\",\"verify_ms\":600000," CHANGE "\"params\":{\"name\":" ITS_NAME "," NAMESPACE "," REPLICAS
    "\"minimum\":0,\"summary\":\"how many\"},"
    "\"kind\":{\"type\":\"string\",\"enum\":[\"Deployment\",\"StatefulSet\"],"
    "\"summary\":\"Deployment when it is not given\"}},\"required\":[\"name\",\"replicas\"]},"
    "\"shift_route\":{\"summary\":\"change the weights of an HTTPRoute's or VirtualService's backends\"," CHANGE
    "\"params\":{" ROUTE_KIND ",\"route\":" ITS_NAME "," NAMESPACE ","
    "\"rule\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000,"
    "\"summary\":\"which rule, from 0; the only one when it is not given\"},"
    "\"weights\":{\"type\":\"object\","
    "\"additionalProperties\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000},"
    "\"summary\":\"{BACKEND = weight}: a Service's name, or a host, or host/subset; who is not named keeps its "
    "weight\"}},\"required\":[\"kind\",\"route\",\"weights\"]}}}";

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    bool has_token = sdk_has_secret(instance, "token"), has_file = sdk_setting(instance, "token_file", NULL) != NULL;
    bool has_cert = sdk_setting(instance, "client_cert", NULL) != NULL;
    (void)ret_state;
    if (has_token + has_file + has_cert != 1)
        return "one credential was expected: token, or token_file, or client_cert with client_key";
    if (has_cert != sdk_has_secret(instance, "client_key"))
        return "client_cert and client_key: set both or none";
    if (kube_int_at(sdk_settings(instance), "/min_replicas", 1) >
        kube_int_at(sdk_settings(instance), "/max_replicas", 50))
        return "min_replicas is more than max_replicas";
    return NULL;
}

#define CHANGE_HANDLERS(action)                                                                                        \
    {action, STANCH_OP_PLAN, kube_plan}, {action, STANCH_OP_APPLY, kube_change},                                       \
        {action, STANCH_OP_UNDO, kube_change}, {action, STANCH_OP_VERIFY, kube_verify},                                \
    {                                                                                                                  \
        action, STANCH_OP_RECONCILE, kube_reconcile                                                                    \
    }

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, kube_check},
    {"deployment", STANCH_OP_READ, kube_deployment},
    {"hpa", STANCH_OP_READ, kube_hpa_read},
    {"route", STANCH_OP_READ, kube_route_read},
    CHANGE_HANDLERS("rollback"),
    CHANGE_HANDLERS("freeze_hpa"),
    CHANGE_HANDLERS("pause_keda"),
    CHANGE_HANDLERS("scale"),
    CHANGE_HANDLERS("shift_route"),
    {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers, .open = open_instance};
STANCH_PLUGIN(plugin)
