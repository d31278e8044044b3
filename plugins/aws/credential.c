/* credential.c: a key to sign with: static, from a command (a profile's credential_process), or from STS for a web
 * identity token. What is got is kept as a secret of the instance until shortly before it expires.
 *
 *   static ---------------------------------------> use
 *   kept, good for a minute more -----------------> use
 *   command --run--> JSON --.
 *   token ---STS---> XML ---+--keep--> use
 */
#include "aws.h"
#include "xml.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_MS    60000 /* a key that ends sooner is not used any more */
#define COMMAND_MS  20000
#define MAX_COMMAND (64u << 10)

static const struct aws_key kept_key = {".key_id", ".key", ".token"};

struct key_wait {
    void (*fn)(struct sdk_call *call, const struct aws_key *key);
    void *kept; /* what the caller kept with the call */
};

static bool has_setting(const struct sdk_instance *instance, const char *name)
{
    return sdk_setting(instance, name, NULL) != NULL;
}

const char *aws_key_why(const struct sdk_instance *instance)
{
    bool has_id = sdk_has_secret(instance, "access_key_id"), has_key = sdk_has_secret(instance, "secret_access_key");
    bool has_command = has_setting(instance, "credential_process");
    bool has_token = has_setting(instance, "web_identity_token");
    if (has_id != has_key)
        return "access_key_id and secret_access_key: set both or none";
    if (sdk_has_secret(instance, "session_token") && !has_id)
        return "session_token belongs to access_key_id, which is not set";
    if (has_id + has_command + has_token != 1)
        return "one credential was expected: access_key_id and secret_access_key, or credential_process, or "
               "web_identity_token with role_arn and sts_url";
    if (has_token && (!has_setting(instance, "role_arn") || !has_setting(instance, "sts_url")))
        return "web_identity_token needs role_arn and sts_url";
    return NULL;
}

/* There is no key. In a check that is a row like others. */
__attribute__((format(printf, 4, 5))) static void fail(struct sdk_call *call, bool can_retry, const char *kind,
                                                       const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (sdk_op(call) == STANCH_OP_CHECK) {
        sdk_check(call, "credential", false, "%s", text);
        sdk_checked(call);
    } else if (can_retry) {
        sdk_fail_retry(call, 0, kind, "%s", text);
    } else {
        sdk_fail(call, kind, "%s", text);
    }
}

/* ---- keep ---- */

static const char *text_at(const json_t *value, const char *name)
{
    const char *text = json_string_value(json_object_get(value, name));
    return text && *text ? text : NULL;
}

static void use(struct sdk_call *call, struct key_wait *wait, const struct aws_key *key)
{
    sdk_keep(call, wait->kept);
    wait->fn(call, key);
}

/* from: {"AccessKeyId","SecretAccessKey","SessionToken","Expiration"}, as commands and STS both have it. */
static void keep(struct sdk_call *call, struct key_wait *wait, const json_t *from, const char *who)
{
    struct sdk_instance *instance = sdk_instance(call);
    struct aws *aws = sdk_state(call);
    const char *id = text_at(from, "AccessKeyId"), *key = text_at(from, "SecretAccessKey");
    const char *token = text_at(from, "SessionToken"), *ends = text_at(from, "Expiration");
    int64_t expires = 0;
    if (!id || !key) {
        fail(call, false, "unauthorized", "%s gave no AccessKeyId or no SecretAccessKey", who);
        return;
    }
    if (ends && (!sdk_time_parse(ends, &expires) || expires <= sdk_now_ms(call))) {
        fail(call, false, "unauthorized", "%s gave a key whose Expiration is past, or no time", who);
        return;
    }
    if (!sdk_keep_secret(instance, kept_key.id, id) || !sdk_keep_secret(instance, kept_key.key, key) ||
        !sdk_keep_secret(instance, kept_key.token, token)) {
        fail(call, false, "unauthorized", "%s gave a key that is too long", who);
        return;
    }
    aws->has_key = true;
    aws->expires_ms = expires;
    use(call, wait, &kept_key);
}

bool aws_drop_key(struct sdk_call *call)
{
    struct aws *aws = sdk_state(call);
    bool had = aws->has_key;
    aws->has_key = false;
    return had;
}

/* ---- a command ---- */

static void on_command(struct sdk_call *call, const struct sdk_run_result *result)
{
    struct key_wait *wait = sdk_kept(call);
    if (result->ended != STANCH_RUN_EXITED) {
        fail(call, true, "unauthorized", "credential_process: %s", result->why);
        return;
    }
    if (result->code != 0) { /* what it printed may be a secret that nobody knows yet */
        fail(call, true, "unauthorized", "credential_process ended with %d; run it by hand to see why", result->code);
        return;
    }
    json_t *said = json_loadb(result->output, result->output_len, 0, NULL);
    if (!said || json_integer_value(json_object_get(said, "Version")) != 1)
        fail(call, false, "unauthorized", "credential_process printed no JSON object with \"Version\": 1");
    else
        keep(call, wait, sdk_hold(call, json_incref(said)), "credential_process");
    json_decref(said);
}

static void run_command(struct sdk_call *call)
{
    const json_t *settings = sdk_settings(sdk_instance(call));
    uint32_t left = sdk_left_ms(call);
    sdk_run(call,
            &(struct sdk_run_order){
                .command = sdk_setting(sdk_instance(call), "credential_process", ""),
                .args = json_incref(json_object_get(settings, "credential_args")),
                .environment = json_incref(json_object_get(settings, "credential_environment")),
                .deadline_ms = left / 2 < COMMAND_MS ? left / 2 : COMMAND_MS,
                .max_output = MAX_COMMAND,
            },
            on_command);
}

/* ---- a web identity token ---- */

static void fail_sts(struct sdk_call *call, const struct sdk_http_answer *answer, const json_t *said)
{
    const json_t *error = json_object_get(said, "Error");
    const char *code = text_at(error, "Code"), *message = text_at(error, "Message");
    if (answer->ended != STANCH_HTTP_ANSWERED)
        fail(call, true, "unreachable", "STS: %s", answer->why);
    else if (answer->status >= 500 || answer->status == 429)
        fail(call, true, "unavailable", "STS answered %u: %s", answer->status, message ? message : "");
    else
        fail(call, false, "unauthorized", "STS gave no key for the web identity token (%u %s): %.300s", answer->status,
             code ? code : "", message ? message : "");
}

static void on_sts(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct key_wait *wait = sdk_kept(call);
    char *root = NULL;
    const char *why = NULL;
    json_t *said =
        answer->ended == STANCH_HTTP_ANSWERED ? aws_xml_parse(answer->body, answer->body_len, &root, &why) : NULL;
    const json_t *credentials = sdk_json_at(said, "/AssumeRoleWithWebIdentityResult/Credentials");
    free(root);
    if (said)
        sdk_hold(call, said);
    if (answer->status == 200 && credentials)
        keep(call, wait, credentials, "STS");
    else if (answer->status == 200)
        fail(call, false, "protocol", "what answers at sts_url is no STS: %s", why ? why : "there is no key in it");
    else
        fail_sts(call, answer, said);
}

static void ask_sts(struct sdk_call *call)
{
    const struct sdk_instance *instance = sdk_instance(call);
    if (!sdk_has_secret(instance, "web_identity_token")) {
        fail(call, false, "unauthorized", "web_identity_token: the file is empty or cannot be read");
        return;
    }
    json_t *form = sdk_hold(call, json_pack("{s:s, s:s, s:s, s:s, s:s}", "Action", "AssumeRoleWithWebIdentity",
                                            "Version", "2011-06-15", "RoleArn", sdk_setting(instance, "role_arn", ""),
                                            "RoleSessionName", sdk_setting(instance, "role_session_name", "stanch"),
                                            "WebIdentityToken", sdk_secret(call, "web_identity_token")));
    sdk_http_retry(call,
                   &(struct sdk_http_order){
                       .method = "POST",
                       .setting = "sts_url",
                       .path = "/",
                       .body = sdk_url(call, "", form) + 1, /* behind its '?' */
                       .content_type = "application/x-www-form-urlencoded",
                       .deadline_ms = sdk_left_ms(call) / 2,
                       .max_body = AWS_XML_MAX,
                       .is_read = true,
                   },
                   on_sts);
}

/* ---- */

void aws_with_key(struct sdk_call *call, void (*fn)(struct sdk_call *call, const struct aws_key *key))
{
    static const struct aws_key static_key = /* a token that is not set is left out */
        {"access_key_id", "secret_access_key", "session_token"};
    const struct sdk_instance *instance = sdk_instance(call);
    const struct aws *aws = sdk_state(call);
    struct key_wait *wait = sdk_memory(call, sizeof *wait);
    wait->fn = fn;
    wait->kept = sdk_kept(call);
    if (sdk_has_secret(instance, "access_key_id")) {
        use(call, wait, &static_key);
        return;
    }
    if (aws->has_key && (aws->expires_ms == 0 || sdk_now_ms(call) < aws->expires_ms - SPARE_MS)) {
        use(call, wait, &kept_key);
        return;
    }
    sdk_keep(call, wait);
    if (has_setting(instance, "credential_process"))
        run_command(call);
    else
        ask_sts(call);
}
