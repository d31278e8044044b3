/* host_credential.c: the credentials of an order by HTTP. The plugin names them, the host fills them in: bearer, basic,
 * headers that carry a secret, AWS SigV4, and the client's certificate, which an instance has or has not. A secret that
 * is not set is left out; a name that is none is refused before anything leaves. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/transfer.h"
#include <string.h>

/* The secret of that name in ret (NULL: not set). returns false when the name is none: refused. */
static bool find(struct stanch_host_transfer *t, const char *what, const char *name,
                 const struct stanch_host_secret **ret)
{
    struct stanch_instance *instance = t->call->instance;
    *ret = NULL;
    if (!stanch_host__secret_is_name(instance, name))
        return stanch_host__http_refuse(t, "%s: \"%.60s\" is no secret setting", what, name), false;
    *ret = stanch_host__secret_find(instance, name, strlen(name));
    if (*ret && stanch_host__has_control((*ret)->value, (*ret)->len))
        return stanch_host__http_refuse(t, "the secret %.60s has a control character in it", name), false;
    return true;
}

static bool add_secret(struct stanch_host_transfer *t, const char *header, const char *before,
                       const struct stanch_host_secret *secret)
{
    STANCH_AUTO_FREE char *value = stanch_asprintf("%s%s", before, secret->value);
    bool ok = stanch_host__http_header(t, header, value, strlen(value));
    explicit_bzero(value, strlen(value));
    return ok;
}

static bool set_bearer(struct stanch_host_transfer *t, struct stanch_text name_text)
{
    STANCH_AUTO_FREE char *name = stanch_strndup(name_text.data ? name_text.data : "", name_text.len);
    const struct stanch_host_secret *secret = NULL;
    if (name_text.len == 0)
        return true;
    if (!find(t, "bearer", name, &secret))
        return false;
    return !secret || add_secret(t, "Authorization", "Bearer ", secret);
}

static bool set_basic(struct stanch_host_transfer *t, struct stanch_text pair)
{
    struct stanch_instance *instance = t->call->instance;
    STANCH_AUTO_FREE char *user_name = stanch_strndup(pair.data ? pair.data : "", pair.len);
    char *colon = strchr(user_name, ':');
    if (pair.len == 0)
        return true;
    if (!colon || !stanch_host__secret_is_name(instance, colon + 1))
        return stanch_host__http_refuse(t, "basic: \"%s\" is not SETTING:SECRET", user_name), false;
    *colon = '\0';
    const char *user = stanch_json_str(instance->settings, user_name, NULL);
    const struct stanch_host_secret *secret = stanch_host__secret_find(instance, colon + 1, strlen(colon + 1));
    if (!user || !secret)
        return true;
    curl_easy_setopt(t->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(t->easy, CURLOPT_USERNAME, user);
    curl_easy_setopt(t->easy, CURLOPT_PASSWORD, secret->value);
    return true;
}

static bool set_secret_header(struct stanch_host_transfer *t, const char *header, const json_t *value)
{
    const struct stanch_host_secret *secret = NULL;
    const char *before = stanch_json_str(value, "before", "");
    if (!find(t, header, stanch_json_str(value, "secret", ""), &secret))
        return false;
    return !secret || add_secret(t, header, before, secret);
}

static bool set_secret_headers(struct stanch_host_transfer *t, struct stanch_text text)
{
    STANCH_AUTO_JSON json_t *headers = NULL;
    struct stanch_err err;
    const char *name;
    json_t *value;
    if (text.len == 0)
        return true;
    if (stanch_json_parse(text.data, text.len, &stanch_json_own_limits, &headers, &err) < 0 || !json_is_object(headers))
        return stanch_host__http_refuse(t, "secret_headers is no JSON object"), false;
    json_object_foreach(headers, name, value)
    {
        if (!set_secret_header(t, name, value))
            return false;
    }
    return true;
}

static bool is_plain_word(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    return len > 0 && text[len] == '\0';
}

/* What curl 7.88 does not do by itself: sort the query. That is the SDK's, see sdk_url. */
static bool set_sigv4(struct stanch_host_transfer *t, const struct stanch_http_order *order)
{
    STANCH_AUTO_JSON json_t *sign = NULL;
    struct stanch_err err;
    const struct stanch_host_secret *id = NULL, *key = NULL, *token = NULL;
    if (order->sigv4.len == 0)
        return true;
    if (stanch_json_parse(order->sigv4.data, order->sigv4.len, &stanch_json_own_limits, &sign, &err) < 0)
        return stanch_host__http_refuse(t, "sigv4: %s", err.text), false;
    const char *region = stanch_json_str(sign, "region", ""), *service = stanch_json_str(sign, "service", "");
    const char *token_name = stanch_json_str(sign, "token", NULL);
    if (!is_plain_word(region) || !is_plain_word(service) || order->bearer.len || order->basic.len)
        return stanch_host__http_refuse(t, "sigv4: a region and a service were expected, and no other credential"),
               false;
    if (!find(t, "sigv4", stanch_json_str(sign, "key_id", ""), &id) ||
        !find(t, "sigv4", stanch_json_str(sign, "key", ""), &key) ||
        (token_name && !find(t, "sigv4", token_name, &token)))
        return false;
    if (!id || !key)
        return stanch_host__http_refuse(t, "sigv4: the key is not set"), false;
    STANCH_AUTO_FREE char *scope = stanch_asprintf("aws:amz:%s:%s", region, service);
    curl_easy_setopt(t->easy, CURLOPT_AWS_SIGV4, scope);
    curl_easy_setopt(t->easy, CURLOPT_USERNAME, id->value);
    curl_easy_setopt(t->easy, CURLOPT_PASSWORD, key->value);
    return !token || add_secret(t, "X-Amz-Security-Token", "", token);
}

/* The key comes from a secret's descriptor, the certificate from a file: the key is never one that Landlock lets in. */
static bool set_client(struct stanch_host_transfer *t)
{
    const struct stanch_instance *instance = t->call->instance;
    const struct stanch_host_secret *key = NULL;
    if (!instance->client_cert || strcmp(t->place->scheme, "https") != 0)
        return true;
    if (instance->client_key)
        key = stanch_host__secret_find(instance, instance->client_key, strlen(instance->client_key));
    if (!key)
        return stanch_host__http_refuse(t, "the client's certificate is set, its key is not"), false;
    struct curl_blob blob = {.data = key->value, .len = key->len, .flags = CURL_BLOB_COPY};
    curl_easy_setopt(t->easy, CURLOPT_SSLCERT, instance->client_cert);
    curl_easy_setopt(t->easy, CURLOPT_SSLKEY_BLOB, &blob);
    return true;
}

bool stanch_host__http_credentials(struct stanch_host_transfer *t, const struct stanch_http_order *order)
{
    return set_bearer(t, order->bearer) && set_basic(t, order->basic) && set_secret_headers(t, order->secret_headers) &&
           set_sigv4(t, order) && set_client(t);
}
