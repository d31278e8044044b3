/* card.c: what a page says: one line that can be judged half asleep, where to look, how to answer without the link, and
 * of the plan what fits. All of it stands in the timeline already, without secrets. */
#include "page/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>

#define MAX_SUMMARY_BYTES 1000
#define MAX_MEMBER_BYTES  4096
#define MAX_LISTED        50

/* ---- which action ---- */

static bool takes(const json_t *action, const char *const params[])
{
    const json_t *properties = json_object_get(json_object_get(action, "params"), "properties");
    for (size_t i = 0; params[i]; i++)
        if (!json_object_get(properties, params[i]))
            return false;
    return strcmp(stanch_json_str(action, "effect", ""), "notify") == 0;
}

bool stanch_page_sends(const json_t *described)
{
    static const char *const params[] = {"event", "key", "summary", "severity", "link", "details", NULL};
    return takes(json_object_get(json_object_get(described, "actions"), "send"), params);
}

const char *stanch_page__action(const json_t *described, enum stanch_page__step step, bool *ret_is_send)
{
    static const char *const of_trigger[] = {"key", "summary", "severity", "link", "details", NULL};
    static const char *const of_key[] = {"key", NULL};
    const json_t *actions = json_object_get(described, "actions");
    *ret_is_send = stanch_page_sends(described);
    if (*ret_is_send)
        return "send";
    if (!takes(json_object_get(actions, "trigger"), of_trigger) ||
        !takes(json_object_get(actions, "acknowledge"), of_key) || !takes(json_object_get(actions, "resolve"), of_key))
        return NULL;
    return step == STANCH_PAGE__OVER ? "resolve" : step == STANCH_PAGE__ACKNOWLEDGED ? "acknowledge" : "trigger";
}

/* ---- what it says ---- */

json_t *stanch_page_text(const char *text, size_t max)
{
    if (strlen(text) <= max)
        return json_string(text);
    STANCH_AUTO_FREE char *cut = stanch_asprintf("%.*s...", (int)stanch_text_cut(text, max), text);
    return json_string(cut);
}

/* What is long is told as the beginning of its text. */
static void set_bounded(json_t *into, const char *name, const json_t *value)
{
    if (!value || json_is_null(value))
        return;
    if (json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) <= MAX_MEMBER_BYTES) {
        json_object_set(into, name, (json_t *)(uintptr_t)value);
        return;
    }
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    if (!json_is_string(value))
        stanch_json_write(value, &text);
    json_object_set_new(
        into, name,
        stanch_page_text(json_is_string(value) ? json_string_value(value) : stanch_buf_str(&text), MAX_MEMBER_BYTES));
}

static bool has_choice(const json_t *question, const char *choice)
{
    const json_t *choices = json_object_get(question, "choices");
    for (size_t i = 0; i < json_array_size(choices); i++)
        if (strcmp(json_string_value(json_array_get(choices, i)), choice) == 0)
            return true;
    return false;
}

static json_t *how_to_answer(const json_t *question, const char *drill)
{
    const char *id = stanch_json_str(question, "id", ""), *with = drill ? " --drill" : "";
    if (has_choice(question, "approve"))
        return json_sprintf("stanch%s approve %s, or stanch%s deny %s", with, id, with, id);
    return json_sprintf("stanch%s answer %s CHOICE", with, id);
}

static void set_expiry(json_t *details, const json_t *question)
{
    char at[32];
    int64_t expires_ms = stanch_json_int(question, "expires_ms", 0);
    if (expires_ms <= 0)
        return;
    stanch_time_text(expires_ms, at);
    json_object_set_new(details, "expires", json_string(at));
}

static json_t *details_of(const struct stanch_page__card *card)
{
    static const char *const members[] = {"about",    "incident", "run",         "runbook", "role",    "risk",
                                          "instance", "action",   "args",        "impact",  "because", "why",
                                          "text",     "choices",  "plan_digest", "again",   "quorum",  NULL};
    static const char *const of_plan[] = {"targets", "from", "to", "tags", "by_hand", NULL};
    json_t *details = json_object();
    for (size_t i = 0; members[i]; i++)
        set_bounded(details, members[i], json_object_get(card->subject, members[i]));
    const json_t *plan = json_object_get(card->subject, "plan");
    for (size_t i = 0; of_plan[i]; i++)
        set_bounded(details, of_plan[i], json_object_get(plan, of_plan[i]));
    set_bounded(details, "title", json_object_get(card->incident, "title"));
    if (card->is_page)
        return details;
    set_expiry(details, card->subject);
    json_object_set_new(details, "answer", how_to_answer(card->subject, card->drill));
    return details;
}

static json_t *details_of_many(const json_t *subjects, const char *drill)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(subjects) && i < MAX_LISTED; i++) {
        const json_t *one = json_array_get(subjects, i);
        json_t *row = json_object();
        json_object_set(row, "id", json_object_get(one, "id"));
        json_object_set_new(row, "what",
                            stanch_page_text(stanch_json_str(one, "because", stanch_json_str(one, "text", "")), 200));
        json_array_append_new(list, row);
    }
    return json_pack("{s:o, s:i, s:s}", "first", list, "count", (int)json_array_size(subjects), "answer",
                     drill ? "stanch --drill approvals" : "stanch approvals");
}

static json_t *plain_summary_of(const struct stanch_page__card *card)
{
    const json_t *subject = card->subject;
    if (card->step == STANCH_PAGE__OVER)
        return json_is_array(subject) ? json_string("what came at once is over")
                                      : json_sprintf("%s is over: it is %s", stanch_json_str(subject, "id", ""),
                                                     stanch_json_str(subject, "state", ""));
    if (json_is_array(subject) && card->step == STANCH_PAGE__REMINDED)
        return json_sprintf("%zu of the questions that were told together still wait; the first of them ends soon",
                            json_array_size(subject));
    if (json_is_array(subject))
        return json_sprintf("%zu more questions and pages wait for people", json_array_size(subject));
    const char *incident = stanch_json_str(subject, "incident", "-"), *role = stanch_json_str(subject, "role", "ic");
    const char *impact = stanch_json_str(subject, "impact", ""), *action = stanch_json_str(subject, "action", "");
    const char *what = card->is_page ? stanch_json_str(subject, "text", "")
                                     : stanch_json_str(subject, "because", stanch_json_str(subject, "text", ""));
    STANCH_AUTO_FREE char *text =
        card->is_page
            ? stanch_asprintf("%s: the %s is paged: %s", incident, role, what)
            : stanch_asprintf("%s: %s %s the %s: %s%s%s%s%s%s%s", incident, stanch_json_str(subject, "id", ""),
                              card->step == STANCH_PAGE__REMINDED ? "still asks" : "asks", role,
                              stanch_json_str(subject, "instance", ""), *action ? "." : "", action, *action ? "? " : "",
                              impact, *impact ? ". " : "", what);
    for (char *c = text; *c; c++) /* one line */
        *c = (unsigned char)*c < 0x20 ? ' ' : *c;
    return stanch_page_text(text, MAX_SUMMARY_BYTES);
}

json_t *stanch_page_link(const char *url, const char *place, const char *id)
{
    if (!url)
        return NULL;
    int len = (int)strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    return json_sprintf("%.*s/%s%s%s", len, url, place, id ? "/" : "", id ? id : "");
}

/* What is of a drill says so first. */
static json_t *summary_of(const struct stanch_page__card *card)
{
    STANCH_AUTO_JSON json_t *plain = plain_summary_of(card);
    return card->drill ? json_sprintf("DRILL %s: %s", card->drill, json_string_value(plain)) : json_incref(plain);
}

static json_t *link_of(const struct stanch_page__card *card)
{
    if (json_is_array(card->subject))
        return stanch_page_link(card->url, "approvals", NULL);
    return stanch_page_link(card->url, card->is_page ? "incidents" : "approvals",
                            stanch_json_str(card->subject, card->is_page ? "incident" : "id", ""));
}

static const char *event_of(const struct stanch_page__card *card)
{
    switch (card->step) {
    case STANCH_PAGE__ACKNOWLEDGED:
        return "acknowledged";
    case STANCH_PAGE__OVER:
        return "closed";
    case STANCH_PAGE__REMINDED:
        return "reminded";
    default:
        return card->is_page ? "page" : "asked";
    }
}

/* A drill's questions have ids of their own, which real ones have too. */
static json_t *key_of(const struct stanch_page__card *card)
{
    return card->drill ? json_sprintf("%s/%s", card->drill, card->key) : json_string(card->key);
}

json_t *stanch_page__args(const struct stanch_page__card *card, bool is_send)
{
    json_t *args = json_pack("{s:o}", "key", key_of(card)), *link = link_of(card);
    if (is_send)
        json_object_set_new(args, "event", json_string(event_of(card)));
    else if (card->step != STANCH_PAGE__ASKED && card->step != STANCH_PAGE__REMINDED) {
        json_decref(link);
        return args;
    }
    json_object_set_new(args, "summary", summary_of(card));
    json_object_set_new(args, "details",
                        json_is_array(card->subject) ? details_of_many(card->subject, card->drill) : details_of(card));
    const char *severity = stanch_json_str(card->incident, "severity", NULL);
    if (severity)
        json_object_set_new(args, "severity", json_string(severity));
    if (link)
        json_object_set_new(args, "link", link);
    if (is_send && card->step == STANCH_PAGE__OVER) /* how it ended */
        set_bounded(json_object_get(args, "details"), "state", json_object_get(card->subject, "state"));
    return args;
}
