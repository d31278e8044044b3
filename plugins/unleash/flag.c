/* flag.c: which flag is meant, and what Unleash says about it. Everything is in one answer: the flag with all of its
 * environments and their strategies. */
#include "unleash.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *unleash_credential(const char *secret)
{
    return json_pack("{s:{s:s}}", "Authorization", "secret", secret);
}

const char *unleash_word(bool on)
{
    return on ? "on" : "off";
}

static const char *flag_path(struct sdk_call *call, const struct unleash_flag *flag)
{
    return sdk_text(call, "/api/admin/projects/%s/features/%s", sdk_escape(call, flag->project),
                    sdk_escape(call, flag->name));
}

const char *unleash_switch_path(struct sdk_call *call, const struct unleash_flag *flag, bool on)
{
    return sdk_text(call, "%s/environments/%s/%s", flag_path(call, flag), sdk_escape(call, flag->environment),
                    unleash_word(on));
}

const char *unleash_by_hand(struct sdk_call *call, const struct unleash_flag *flag, bool on)
{
    const char *url = sdk_setting(sdk_instance(call), "url", "");
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    return sdk_text(call, "curl -fX POST -H \"Authorization: $UNLEASH_TOKEN\" %s",
                    sdk_shell_word(call, sdk_text(call, "%.*s%s", (int)len, url, unleash_switch_path(call, flag, on))));
}

/* ---- for whom ---- */

/* The share of the users that a strategy lets in, at most; negative: its parameters do not tell. Constraints and segments
 * only make it less. */
static double share_of(const json_t *strategy)
{
    const char *name = json_string_value(json_object_get(strategy, "name"));
    const json_t *given = json_object_get(json_object_get(strategy, "parameters"), "rollout");
    const char *text = json_string_value(given);
    char *end = NULL;
    if (name && strcmp(name, "default") == 0)
        return 1;
    if (!name || strcmp(name, "flexibleRollout") != 0)
        return -1;
    double percent = text ? strtod(text, &end) : json_is_number(given) ? json_number_value(given) : -1;
    if ((text && (end == text || *end != '\0')) || !(percent >= 0 && percent <= 100))
        return -1;
    return percent / 100;
}

static struct unleash_rollout rollout_of(const json_t *strategies)
{
    struct unleash_rollout all = {.strategies = json_array_size(strategies)};
    const json_t *one;
    bool is_known = true;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)strategies, i, one)
    {
        if (json_is_true(json_object_get(one, "disabled")))
            continue;
        double share = share_of(one);
        all.active++;
        is_known = is_known && share >= 0;
        all.reach += share > 0 ? share : 0;
    }
    if (all.reach >= 1)
        all.reach = 1; /* whatever the others let in */
    else if (!is_known)
        all.reach = -1;
    return all;
}

json_t *unleash_children(const struct unleash_flag *flag)
{
    json_t *names = json_array(), *one;
    size_t i;
    json_array_foreach(json_object_get(flag->feature, "children"), i, one)
    {
        if (json_is_string(one) && json_array_size(names) < 50)
            json_array_append(names, one);
    }
    return names;
}

/* ---- asking ---- */

static const json_t *find_environment(const struct unleash_flag *flag)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(flag->feature, "environments"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name && strcmp(name, flag->environment) == 0)
            return one;
    }
    return NULL;
}

static void on_feature(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct unleash_flag *flag = sdk_kept(call);
    flag->feature = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    if (!flag->feature)
        return;
    flag->there = find_environment(flag);
    const json_t *enabled = json_object_get(flag->there, "enabled");
    if (!json_is_array(json_object_get(flag->feature, "environments")))
        sdk_fail(call, "protocol", "what answers at url is no Unleash: its answer about %s has no environments",
                 flag->name);
    else if (!flag->there)
        sdk_fail(call, "not-found", "%s has no environment \"%s\" in the project %s", flag->name, flag->environment,
                 flag->project);
    else if (!json_is_boolean(enabled))
        sdk_fail(call, "protocol", "Unleash does not say whether %s is enabled in %s", flag->name, flag->environment);
    else {
        flag->enabled = json_is_true(enabled);
        flag->rollout = rollout_of(json_object_get(flag->there, "strategies"));
        flag->on_read(call, flag);
    }
}

void unleash_read(struct sdk_call *call, void (*fn)(struct sdk_call *call, struct unleash_flag *flag))
{
    struct unleash_flag *flag = sdk_memory(call, sizeof *flag);
    flag->on_read = fn;
    flag->name = sdk_arg_listed(call, "flag", "flags", NULL);
    flag->project = flag->name ? sdk_arg_listed(call, "project", "projects", "default") : NULL;
    flag->environment = flag->project ? sdk_arg_listed(call, "environment", "environments", NULL) : NULL;
    if (!flag->environment)
        return;
    sdk_keep(call, flag);
    sdk_http_retry(call,
                   &(struct sdk_http_order){
                       .path = flag_path(call, flag), .is_read = true, .secret_headers = unleash_credential("token")},
                   on_feature);
}
