/* unleash.c: turn a feature flag off or on in one environment of Unleash. README.md has the permissions. */
#include "unleash.h"

#define NAME "\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_~-][A-Za-z0-9_.~-]*$\",\"maxLength\":200"
#define PARAMS                                                                                                         \
    "\"params\":{"                                                                                                     \
    "\"flag\":{" NAME ",\"summary\":\"the flag's name\"},"                                                             \
    "\"project\":{" NAME ",\"summary\":\"its project; the only one of the setting projects when it is left out\"},"    \
    "\"environment\":{" NAME                                                                                           \
    ",\"summary\":\"Unleash's environment; the only one of the setting environments when it is left out\"}},"          \
    "\"required\":[\"flag\"]"
#define CHANGES                                                                                                        \
    "\"class\":\"convergent\",\"deadline_ms\":15000,"                                                                  \
    "\"ops\":[\"plan\",\"apply\",\"verify\",\"undo\",\"reconcile\"]," PARAMS

static const char declaration[] =
    "{\"name\":\"unleash\",\"version\":\"0.1.0\",\"summary\":\"Unleash: turn feature flags off and on\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,"
    "\"summary\":\"where Unleash is: https://unleash.example; may have a path\"},"
    "\"ca\":{\"type\":\"string\",\"format\":\"ca-file\","
    "\"summary\":\"certificates in PEM to trust instead of the system's\"},"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"required\":true,"
    "\"summary\":\"an admin token, or a personal or service account token, that may update the environments\"},"
    "\"client_token\":{\"type\":\"string\",\"secret\":true,"
    "\"summary\":\"a client (backend) token of an environment: verify then asks what applications get\"},"
    "\"environments\":{\"type\":\"array\",\"items\":{" NAME "},\"minItems\":1,\"required\":true,"
    "\"summary\":\"the only environments of Unleash that may be read or touched\"},"
    "\"projects\":{\"type\":\"array\",\"items\":{" NAME "},\"minItems\":1,"
    "\"summary\":\"the only projects; when it is not set: default\"},"
    "\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_.~*-]+$\"},\"minItems\":1,"
    "\"summary\":\"the only flags, * stands for any run of characters; all when it is not set\"}},"
    "\"check\":{\"summary\":\"the token, its permissions, the environments, the client token\",\"deadline_ms\":15000},"
    "\"actions\":{"
    "\"state\":{\"summary\":\"whether a flag is on, its strategies, for which share of the users, what depends on "
    "it\",\"effect\":\"read\",\"class\":\"read-only\","
    "\"deadline_ms\":15000," PARAMS "},"
    "\"kill\":{\"summary\":\"turn a flag off\",\"effect\":\"mitigate\",\"risk\":\"medium\"," CHANGES "},"
    "\"enable\":{\"summary\":\"turn a flag on, for whom its strategies say\",\"effect\":\"mitigate\","
    "\"risk\":\"high\",\"undo_risk\":\"medium\"," CHANGES "}}}";

#define CHANGE_HANDLERS(action)                                                                                        \
    {action, STANCH_OP_PLAN, unleash_plan}, {action, STANCH_OP_APPLY, unleash_apply},                                  \
        {action, STANCH_OP_VERIFY, unleash_verify}, {action, STANCH_OP_UNDO, unleash_undo},                            \
    {                                                                                                                  \
        action, STANCH_OP_RECONCILE, unleash_reconcile                                                                 \
    }

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, unleash_check},
    {"state", STANCH_OP_READ, unleash_state},
    CHANGE_HANDLERS("kill"),
    CHANGE_HANDLERS("enable"),
    {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers};
STANCH_PLUGIN(plugin)
