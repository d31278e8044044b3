/* ask.c: one request to Auto Scaling and what its answer means. AWS says in the error's code, not in the status, whether
 * something may have happened: contention is a 500, throttling a 400, and both are asked again, since nothing did.
 *
 *   key -> signed POST --throttled, contended--> wait, again
 *                      --key refused, another can be had--> once more with a new key
 *                      --> result | why not
 */
#include "aws.h"
#include "xml.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_WAIT_MS 200u
#define MAX_WAIT_MS   5000u
#define LEAST_LEFT_MS 500u

struct ask {
    const char *action, *form;
    bool is_read, has_new_key;
    uint32_t wait_ms;
    void (*fn)(struct sdk_call *call, const struct aws_answer *answer);
    void *kept;
};

/* What the codes mean; all of them say that nothing was changed. */
static const struct meaning {
    const char *code, *kind;
    bool is_asked_again, can_retry;
    const char *advice;
} meanings[] = {
    {"ResourceContention", "conflict", true, true, "another change of this group is under way"},
    {"ResourceInUse", "conflict", false, true, "another change of this group is under way"},
    {"Throttling", "rate", true, true, "too many requests in this account"},
    {"ThrottlingException", "rate", true, true, "too many requests in this account"},
    {"RequestLimitExceeded", "rate", true, true, "too many requests in this account"},
    {"ServiceUnavailable", "unavailable", true, true, ""},
    {"AccessDenied", "forbidden", false, false, "this key lacks the permission; the README lists those it needs"},
    {"AccessDeniedException", "forbidden", false, false,
     "this key lacks the permission; the README lists those it needs"},
    {"OptInRequired", "forbidden", false, false, "the account has no such service or region"},
    {"ExpiredToken", "unauthorized", false, false, "the session token has expired"},
    {"InvalidClientTokenId", "unauthorized", false, false, "there is no such key"},
    {"UnrecognizedClientException", "unauthorized", false, false, "there is no such key"},
    {"MissingAuthenticationToken", "unauthorized", false, false, "the request came without a signature"},
    {"IncompleteSignature", "unauthorized", false, false, "the signature is incomplete"},
    {"SignatureDoesNotMatch", "unauthorized", false, false, "the secret key, the region or this clock is wrong"},
    {"RequestExpired", "unauthorized", false, false, "this machine's clock is off"},
    {"ValidationError", "invalid", false, false, ""},
};

static const struct meaning *find_meaning(const char *code)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (strcmp(meanings[i].code, code) == 0)
            return &meanings[i];
    return NULL;
}

static void ask(struct sdk_call *call);

static void finish(struct sdk_call *call, struct ask *asked, const struct aws_answer *answer)
{
    sdk_keep(call, asked->kept);
    asked->fn(call, answer);
}

/* returns whether it will be asked again */
static bool ask_again(struct sdk_call *call, struct ask *asked)
{
    uint32_t jitter = (uint32_t)(sdk_now_ms(call) % 100), wait = asked->wait_ms + jitter;
    if (sdk_is_cancelled(call) || (uint64_t)wait + LEAST_LEFT_MS >= sdk_left_ms(call))
        return false;
    asked->wait_ms = asked->wait_ms * 2 > MAX_WAIT_MS ? MAX_WAIT_MS : asked->wait_ms * 2;
    sdk_later(call, wait, ask);
    return true;
}

/* An error with a code that is known. */
static void on_known(struct sdk_call *call, struct ask *asked, const struct meaning *meaning, const char *message)
{
    if (meaning->is_asked_again && ask_again(call, asked))
        return;
    if (strcmp(meaning->kind, "unauthorized") == 0 && aws_drop_key(call) && !asked->has_new_key) {
        asked->has_new_key = true;
        ask(call);
        return;
    }
    finish(call, asked,
           &(struct aws_answer){
               .kind = meaning->kind,
               .can_retry = meaning->can_retry,
               .text = sdk_text(call, "AWS refused %s (%s): %.300s%s%s", asked->action, meaning->code, message,
                                *meaning->advice ? ": " : "", meaning->advice),
           });
}

static void on_other_error(struct sdk_call *call, struct ask *asked, const struct sdk_http_answer *answer,
                           const char *text)
{
    uint32_t status = answer->status;
    bool is_lost = answer->ended == STANCH_HTTP_LOST, is_sent = answer->ended == STANCH_HTTP_ANSWERED;
    bool is_odd = is_sent && (status >= 500 || (status >= 200 && status <= 299)) && status != 503;
    const char *kind = !is_sent                         ? "unreachable"
                       : status == 401                  ? "unauthorized"
                       : status == 403                  ? "forbidden"
                       : status == 404                  ? "not-found"
                       : status == 409 || status == 412 ? "stale"
                       : status == 429                  ? "rate"
                       : status == 503                  ? "unavailable"
                       : status >= 200 && status <= 299 ? "protocol"
                                                        : "remote";
    finish(call, asked,
           &(struct aws_answer){
               .kind = kind,
               .can_retry = !is_sent || status == 429 || status >= 500,
               .may_have_happened = !asked->is_read && (is_lost || is_odd),
               .text = is_sent ? sdk_text(call, "%s was answered with %u: %.300s", asked->action, status, text)
                               : sdk_text(call, "%s: %s", asked->action, answer->why),
           });
}

static void on_answer(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct ask *asked = sdk_kept(call);
    char *root = NULL;
    const char *why = "";
    bool is_good = answer->status >= 200 && answer->status <= 299;
    json_t *said =
        answer->ended == STANCH_HTTP_ANSWERED ? aws_xml_parse(answer->body, answer->body_len, &root, &why) : NULL;
    if (said)
        sdk_hold(call, said);
    bool is_ours = said && strcmp(root, sdk_text(call, "%sResponse", asked->action)) == 0;
    const json_t *result = json_object_get(said, sdk_text(call, "%sResult", asked->action));
    const json_t *error = json_object_get(said, "Error");
    const char *code = json_string_value(json_object_get(error, "Code"));
    const char *message = json_string_value(json_object_get(error, "Message"));
    const struct meaning *meaning = code ? find_meaning(code) : NULL;
    free(root);
    if (is_good && is_ours)
        finish(call, asked, &(struct aws_answer){.result = result ? result : sdk_hold(call, json_object())});
    else if (!is_good && meaning)
        on_known(call, asked, meaning, message ? message : "");
    else if (code)
        on_other_error(call, asked, answer, sdk_text(call, "%.100s: %s", code, message ? message : ""));
    else
        on_other_error(call, asked, answer, said ? "this is no answer of Auto Scaling; look at url" : why);
}

static void on_key(struct sdk_call *call, const struct aws_key *key)
{
    const struct ask *asked = sdk_kept(call);
    uint32_t left = sdk_left_ms(call);
    const struct sdk_sigv4 sign = {.region = sdk_setting(sdk_instance(call), "region", ""),
                                   .service = "autoscaling",
                                   .key_id = key->id,
                                   .key = key->key,
                                   .token = key->token};
    sdk_http_retry(call,
                   &(struct sdk_http_order){
                       .method = "POST",
                       .path = "/",
                       .body = asked->form,
                       .content_type = "application/x-www-form-urlencoded; charset=utf-8",
                       .sigv4 = &sign,
                       .deadline_ms = left - left / 10, /* so that there is time to tell */
                       .max_body = AWS_XML_MAX,
                       .is_read = asked->is_read,
                   },
                   on_answer);
}

static void ask(struct sdk_call *call)
{
    aws_with_key(call, on_key);
}

void aws_ask(struct sdk_call *call, const char *action, json_t *params, bool is_read,
             void (*fn)(struct sdk_call *call, const struct aws_answer *answer))
{
    struct ask *asked = sdk_memory(call, sizeof *asked);
    json_object_set_new(params, "Action", json_string(action));
    json_object_set_new(params, "Version", json_string("2011-01-01"));
    *asked = (struct ask){
        .action = action,
        .form = sdk_url(call, "", sdk_hold(call, params)) + 1, /* behind its '?' */
        .is_read = is_read,
        .wait_ms = FIRST_WAIT_MS,
        .fn = fn,
        .kept = sdk_kept(call),
    };
    sdk_keep(call, asked);
    ask(call);
}

bool aws_ok(struct sdk_call *call, const struct aws_answer *answer)
{
    if (answer->result)
        return true;
    if (answer->may_have_happened)
        sdk_unknown(call, answer->kind, "%s: it may or may not have happened", answer->text);
    else if (answer->can_retry)
        sdk_fail_retry(call, 0, answer->kind, "%s", answer->text);
    else
        sdk_fail(call, answer->kind, "%s", answer->text);
    return false;
}
