/* flag.c: which flag is meant, what LaunchDarkly says about it, and the semantic patch that turns it. */
#include "launchdarkly.h"
#include <stdlib.h>
#include <string.h>

#define MAX_COMMENT 1000 /* bytes of a comment */

json_t *ld_credential(void)
{
    return json_pack("{s:{s:s}}", "Authorization", "secret", "token");
}

const char *ld_word(bool on)
{
    return on ? "on" : "off";
}

static const char *flag_path(struct sdk_call *call, const struct ld_flag *flag)
{
    return sdk_text(call, "/api/v2/flags/%s/%s", sdk_escape(call, flag->project), sdk_escape(call, flag->key));
}

/* ---- reading ---- */

static void on_flag(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct ld_flag *flag = sdk_kept(call);
    flag->flag = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    if (!flag->flag)
        return;
    const json_t *environments = json_object_get(flag->flag, "environments");
    flag->there = json_object_get(environments, flag->environment);
    const json_t *on = json_object_get(flag->there, "on");
    if (!json_is_object(environments))
        sdk_fail(call, "protocol", "what answers at url is no LaunchDarkly: its answer about %s has no environments",
                 flag->key);
    else if (!flag->there)
        sdk_fail(call, "not-found", "%s has no environment \"%s\" in the project %s", flag->key, flag->environment,
                 flag->project);
    else if (!json_is_boolean(on))
        sdk_fail(call, "protocol", "LaunchDarkly does not say whether %s is on in %s", flag->key, flag->environment);
    else {
        flag->on = json_is_true(on);
        flag->on_read(call, flag);
    }
}

void ld_read_again(struct sdk_call *call, struct ld_flag *flag)
{
    const char *path = sdk_text(call, "%s?env=%s", flag_path(call, flag), sdk_escape(call, flag->environment));
    sdk_http_retry(call, &(struct sdk_http_order){.path = path, .is_read = true, .secret_headers = ld_credential()},
                   on_flag);
}

void ld_read(struct sdk_call *call, void (*fn)(struct sdk_call *call, struct ld_flag *flag))
{
    struct ld_flag *flag = sdk_memory(call, sizeof *flag);
    flag->on_read = fn;
    flag->key = sdk_arg_listed(call, "flag", "flags", NULL);
    flag->project = flag->key ? sdk_arg_listed(call, "project", "projects", NULL) : NULL;
    flag->environment = flag->project ? sdk_arg_listed(call, "environment", "environments", NULL) : NULL;
    if (!flag->environment)
        return;
    sdk_keep(call, flag);
    ld_read_again(call, flag);
}

/* ---- the patch ---- */

static json_t *patch_of(const struct ld_flag *flag, bool on, const char *comment)
{
    json_t *patch = json_pack("{s:s, s:[{s:s}]}", "environmentKey", flag->environment, "instructions", "kind",
                              on ? "turnFlagOn" : "turnFlagOff");
    if (comment)
        json_object_set_new(patch, "comment", json_string(comment));
    return patch;
}

static const char *text_of(struct sdk_call *call, json_t *patch)
{
    sdk_hold(call, patch);
    char *text = json_dumps(patch, JSON_COMPACT | JSON_SORT_KEYS);
    const char *kept = sdk_text(call, "%s", text ? text : "{}");
    free(text);
    return kept;
}

/* Why, and who: it stands in LaunchDarkly's own history of the flag. NULL: nothing to say. */
static const char *comment_of(struct sdk_call *call)
{
    const char *because = sdk_because(call);
    size_t len = strlen(because);
    if (len > MAX_COMMENT)
        for (len = MAX_COMMENT; len > 0 && ((unsigned char)because[len] & 0xc0) == 0x80; len--)
            ; /* not in the middle of a character */
    const char *verb = sdk_op(call) == STANCH_OP_UNDO ? "stanch takes it back" : "stanch";
    return *because ? sdk_text(call, "%s: %.*s", verb, (int)len, because) : verb;
}

void ld_patch(struct sdk_call *call, const struct ld_flag *flag, bool on, bool is_dry_run,
              void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer))
{
    sdk_http_retry(call,
                   &(struct sdk_http_order){
                       .method = "PATCH",
                       .path = sdk_text(call, "%s%s", flag_path(call, flag), is_dry_run ? "?dryRun=true" : ""),
                       .secret_headers = ld_credential(),
                       .body = text_of(call, patch_of(flag, on, is_dry_run ? NULL : comment_of(call))),
                       .content_type = "application/json; domain-model=launchdarkly.semanticpatch"},
                   fn);
}

const char *ld_by_hand(struct sdk_call *call, const struct ld_flag *flag, bool on)
{
    const char *url = sdk_setting(sdk_instance(call), "url", "");
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    return sdk_text(call,
                    "curl -fX PATCH -H \"Authorization: $LAUNCHDARKLY_TOKEN\" -H 'Content-Type: application/json; "
                    "domain-model=launchdarkly.semanticpatch' -d %s %s",
                    sdk_shell_word(call, text_of(call, patch_of(flag, on, NULL))),
                    sdk_shell_word(call, sdk_text(call, "%.*s%s", (int)len, url, flag_path(call, flag))));
}

/* ---- for whom ---- */

/* The share that a fallthrough or rollout gives to variations other than `off`; negative: not known. */
static double share_of(const json_t *fallthrough, json_int_t off)
{
    const json_t *variation = json_object_get(fallthrough, "variation");
    const json_t *weights = sdk_json_at(fallthrough, "/rollout/variations"), *one;
    double sum = 0;
    size_t i;
    if (json_is_integer(variation))
        return json_integer_value(variation) == off ? 0 : 1;
    if (!json_is_array(weights))
        return -1;
    json_array_foreach((json_t *)(uintptr_t)weights, i, one)
    {
        if (json_integer_value(json_object_get(one, "variation")) != off)
            sum += json_number_value(json_object_get(one, "weight")) / 100000;
    }
    return sum < 0 ? 0 : sum > 1 ? 1 : sum;
}

double ld_reach(const struct ld_flag *flag)
{
    static const char *const others[] = {"rules", "targets", "contextTargets", "prerequisites"};
    const json_t *off = json_object_get(flag->there, "offVariation");
    if (!json_is_integer(off))
        return -1; /* off: what each application falls back to */
    double share = share_of(json_object_get(flag->there, "fallthrough"), json_integer_value(off));
    for (size_t i = 0; share < 1 && i < sizeof others / sizeof *others; i++)
        if (json_array_size(json_object_get(flag->there, others[i])) > 0)
            return -1;
    return share;
}

const char *ld_off_serves(struct sdk_call *call, const struct ld_flag *flag)
{
    const json_t *off = json_object_get(flag->there, "offVariation");
    if (!json_is_integer(off))
        return "what each application falls back to";
    json_int_t index = json_integer_value(off);
    const json_t *variation = json_array_get(json_object_get(flag->flag, "variations"), index < 0 ? 0 : (size_t)index);
    const char *name = json_string_value(json_object_get(variation, "name"));
    const json_t *value = json_object_get(variation, "value");
    if (name && *name)
        return sdk_text(call, "\"%.80s\"", name);
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    if (json_is_string(value))
        return sdk_text(call, "\"%.80s\"", json_string_value(value));
    return sdk_text(call, "variation %lld", (long long)index);
}
