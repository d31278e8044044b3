/* tags.c: what a flag is tagged with. A plan without them is better than none in an incident, so whatever goes wrong here
 * leaves them not known, and says why; the policy permits nothing by tags that are not known. */
#include "unleash.h"
#include <string.h>

#define DEADLINE_MS 3000

/* A tag is told as TYPE:VALUE, and as VALUE alone, unless that could be read as another type's. */
static bool add_tag(json_t *tags, const json_t *one)
{
    const char *type = json_string_value(json_object_get(one, "type"));
    const char *value = json_string_value(json_object_get(one, "value"));
    if (!type || !*type || !value || !*value)
        return false;
    json_array_append_new(tags, json_sprintf("%s:%s", type, value));
    if (!strchr(value, ':'))
        json_array_append_new(tags, json_string(value));
    return true;
}

/* new; NULL: it is not what Unleash says */
static json_t *tags_of(const json_t *body)
{
    const json_t *listed = json_object_get(body, "tags");
    json_t *tags = json_is_array(listed) ? json_array() : NULL;
    for (size_t i = 0; i < json_array_size(listed); i++) {
        if (!add_tag(tags, json_array_get(listed, i))) {
            json_decref(tags);
            return NULL;
        }
    }
    return tags;
}

static const char *why_not(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (answer->ended != STANCH_HTTP_ANSWERED)
        return sdk_text(call, "Unleash did not say them: %.150s", answer->why);
    if (answer->status != 200)
        return sdk_text(call, "Unleash answered %u when it was asked for them", (unsigned)answer->status);
    return "what Unleash answered is no list of tags";
}

static void on_tags(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct unleash_flag *flag = sdk_kept(call);
    bool is_good = answer->ended == STANCH_HTTP_ANSWERED && answer->status == 200;
    json_t *body = is_good ? json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    flag->tags = tags_of(body);
    json_decref(body);
    if (flag->tags)
        sdk_hold(call, flag->tags);
    else
        flag->untold = why_not(call, answer);
    flag->on_read(call, flag);
}

void unleash_read_tags(struct sdk_call *call, struct unleash_flag *flag,
                       void (*fn)(struct sdk_call *call, struct unleash_flag *flag))
{
    flag->on_read = fn;
    sdk_http(
        call,
        &(struct sdk_http_order){.path = sdk_text(call, "/api/admin/features/%s/tags", sdk_escape(call, flag->name)),
                                 .is_read = true,
                                 .deadline_ms = DEADLINE_MS,
                                 .secret_headers = unleash_credential("token")},
        on_tags);
}
