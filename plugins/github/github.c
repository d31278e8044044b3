/* github.c: GitHub's webhooks as changes. The signature over the raw bytes is checked before the body is looked at. */
#include "payload.h"
#include <string.h>

static const char declaration[] =
    "{\"name\":\"github\",\"version\":\"0.1.0\",\"summary\":\"deployments, pushes and workflow runs from GitHub\","
    "\"settings\":{"
    "\"secret\":{\"type\":\"string\",\"secret\":true,\"required\":true,\"summary\":\"the webhook's secret\"},"
    "\"next_secret\":{\"type\":\"string\",\"secret\":true,"
    "\"summary\":\"a second one that is good too, while the secret is changed\"},"
    "\"services\":{\"type\":\"object\",\"additionalProperties\":true,"
    "\"summary\":\"whose change it is: { [\\\"org/repository\\\"] = \\\"checkout\\\" }; else the repository's name\"},"
    "\"branches\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1},"
    "\"summary\":\"pushes to these only; the default branch when it is not set\"},"
    "\"environments\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1},"
    "\"summary\":\"deployments to these only; all when it is not set\"}},"
    "\"sources\":{\"webhook\":{\"summary\":\"GitHub's webhook, content type application/json\"}}}";

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    const char *repository;
    json_t *service;
    *ret_state = NULL;
    json_object_foreach(json_object_get(sdk_settings(instance), "services"), repository, service)
    {
        if (!json_is_string(service) || json_string_length(service) == 0)
            return sdk_why(instance, "services[\"%.80s\"]: the name of a service was expected", repository);
        if (!strchr(repository, '/'))
            return sdk_why(instance, "services[\"%.80s\"]: a repository is named \"owner/name\"", repository);
    }
    return NULL;
}

static bool is_signed_with(struct sdk_call *call, const char *secret)
{
    const struct sdk_signature signature = {.secret = secret, .header = "x-hub-signature-256", .prefix = "sha256="};
    return sdk_has_secret(sdk_instance(call), secret) && !sdk_signature_why(call, &signature);
}

static bool check_signature(struct sdk_call *call)
{
    if (sdk_is_test(call) || is_signed_with(call, "secret") || is_signed_with(call, "next_secret"))
        return true;
    if (sdk_header(call, "x-hub-signature-256"))
        sdk_fail(call, "unauthorized",
                 "the signature is not that of these bytes with our secret; see the webhook's "
                 "secret in the repository's settings");
    else
        sdk_fail(call, "unauthorized", "there is no X-Hub-Signature-256; set a secret in the webhook's settings");
    return false;
}

static void receive(struct sdk_call *call)
{
    if (!check_signature(call))
        return;
    const char *kind = sdk_header(call, "x-github-event");
    const json_t *body = sdk_body_json(call);
    if (!body)
        return;
    if (!kind) {
        sdk_fail(call, "invalid", "there is no X-GitHub-Event header; is this a post of GitHub?");
        return;
    }
    if (!json_is_object(body)) {
        sdk_fail(call, "invalid", "the body: an object was expected");
        return;
    }
    json_t *events = sdk_hold(call, json_array());
    const char *why = github_events(call, kind, body, events);
    if (why)
        sdk_fail(call, "invalid", "%s", why);
    else
        sdk_received(call, json_incref(events), 0);
}

static const struct sdk_handler handlers[] = {{"webhook", STANCH_OP_RECEIVE, receive}, {0}};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers, .open = open_instance};
STANCH_PLUGIN(plugin)
