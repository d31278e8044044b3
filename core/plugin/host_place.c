/* host_place.c: where a plugin may connect to: the places that its instance's settings name, at addresses
 * that make sense. A name that an outsider controls (or that is bound anew between two look-ups) must not
 * lead to the metadata service or to this machine: link-local, unspecified, multicast and loopback addresses
 * are refused unless the setting itself names that literal (loopback also as "localhost"). Source: RFC 3927,
 * RFC 4291, RFC 6890; the clouds' metadata addresses. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/declaration.h"
#include "plugin/host.h"
#include "plugin/schema.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_HOST 253

static char *lower(const char *text)
{
    char *copy = stanch_strdup(text);
    for (char *p = copy; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
}

/* "[::1]" and "::1" are the same host. */
static char *bare_host(const char *host, size_t len)
{
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    STANCH_AUTO_FREE char *part = stanch_strndup(host, len);
    return lower(part);
}

static struct stanch_host_place *add_place(struct stanch_instance *instance, const char *text)
{
    struct stanch_host_place *place = STANCH_NEW(struct stanch_host_place);
    place->text = stanch_strdup(text);
    place->next = instance->places;
    instance->places = place;
    return place;
}

/* curl reads "2852039166" as an address; what the setting names must be what a person reads in it. */
static bool is_disguised(const char *text, const char *host)
{
    struct in_addr address;
    return inet_pton(AF_INET, host, &address) == 1 && !strstr(text, host);
}

static int add_url(struct stanch_instance *instance, const char *text, const char *where, struct stanch_err *err)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
    int rc = 0;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    if (code == 0 && curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
        rc = stanch_err_set(err, STANCH_E_INVALID, "%s: a user name or password in the URL; use settings for them",
                            where);
    else if (code || curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) || curl_url_get(url, CURLUPART_HOST, &host, 0) ||
             curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) || !host || !port)
        rc = stanch_err_set(err, STANCH_E_INVALID, "%s: \"%s\" is no URL: %s", where, text, curl_url_strerror(code));
    else if (strtol(port, NULL, 10) < 1)
        rc = stanch_err_set(err, STANCH_E_INVALID, "%s: \"%s\" has port %s, which nothing can listen on", where, text,
                            port);
    else if (strlen(host) > MAX_HOST)
        rc = stanch_err_set(err, STANCH_E_INVALID, "%s: a host name over %d characters", where, MAX_HOST);
    else if (is_disguised(text, host))
        rc = stanch_err_set(err, STANCH_E_INVALID, "%s: write the address as %s", where, host);
    else {
        struct stanch_host_place *place = add_place(instance, text);
        place->scheme = lower(scheme);
        place->host = bare_host(host, strlen(host));
        place->port = (int)strtol(port, NULL, 10);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_url_cleanup(url);
    return rc;
}

static int add_address(struct stanch_instance *instance, const char *text, const char *where, struct stanch_err *err)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (strncmp(text, "unix:", 5) == 0) {
        if (strlen(text) - 5 > 107)
            return stanch_err_set(err, STANCH_E_INVALID, "%s: the path of a socket has at most 107 bytes", where);
        add_place(instance, text)->scheme = stanch_strdup("unix");
        return 0;
    }
    if (!colon || colon <= text + 4 || port < 1 || port > 65535 || *end != '\0' || colon - text - 4 > MAX_HOST)
        return stanch_err_set(err, STANCH_E_INVALID, "%s: \"%s\" is no address; tcp:HOST:PORT was expected", where,
                              text);
    struct stanch_host_place *place = add_place(instance, text);
    place->scheme = stanch_strdup("tcp");
    place->host = bare_host(text + 4, (size_t)(colon - text - 4));
    place->port = (int)port;
    return 0;
}

static int on_format(void *ctx, const char *format, const char *text, const char *where, struct stanch_err *err)
{
    struct stanch_instance *instance = ctx;
    if (strcmp(format, "url") == 0)
        return add_url(instance, text, where, err);
    if (strcmp(format, "address") == 0)
        return add_address(instance, text, where, err);
    char **file = strcmp(format, "ca-file") == 0       ? &instance->ca_file
                  : strcmp(format, "client-cert") == 0 ? &instance->client_cert
                                                       : NULL;
    if (file) {
        free(*file);
        *file = stanch_strdup(text);
    }
    if (strcmp(format, "secret-file") == 0 && strncmp(where, "settings.", 9) == 0)
        stanch_host__secret_follow(instance, where + 9, text);
    return 0;
}

/* The secret that is the key of the client's certificate. */
static const char *find_client_key(const json_t *declaration)
{
    const char *name;
    json_t *setting;
    json_object_foreach(json_object_get(declaration, "settings"), name, setting)
    {
        if (strcmp(stanch_json_str(setting, "format", ""), "client-key") == 0)
            return name;
    }
    return NULL;
}

int stanch_host__places_collect(struct stanch_instance *instance, struct stanch_err *err)
{
    json_t *schema = stanch_declaration_settings_schema(instance->declaration);
    int rc = stanch_schema_each_format(schema, instance->settings, "settings", on_format, instance, err);
    json_decref(schema);
    instance->client_key = find_client_key(instance->declaration);
    return rc;
}

void stanch_host__places_free(struct stanch_instance *instance)
{
    while (instance->places) {
        struct stanch_host_place *place = instance->places;
        instance->places = place->next;
        free(place->text);
        free(place->host);
        free(place->scheme);
        free(place);
    }
    free(STANCH_TAKE(instance->ca_file));
    free(STANCH_TAKE(instance->client_cert));
}

const struct stanch_host_place *stanch_host__place_find(const struct stanch_instance *instance, const char *scheme,
                                                        const char *host, int port)
{
    STANCH_AUTO_FREE char *bare = bare_host(host, strlen(host));
    for (const struct stanch_host_place *p = instance->places; p; p = p->next)
        if (p->host && strcmp(p->scheme, scheme) == 0 && strcmp(p->host, bare) == 0 && p->port == port)
            return p;
    return NULL;
}

/* ---- addresses ---- */

static const char *kind_of_v4(uint32_t a)
{
    if (a >> 24 == 127)
        return "loopback";
    if (a >> 16 == 0xa9fe || a == 0x646464c8) /* 169.254.0.0/16; 100.100.100.200 */
        return "link-local or a metadata service";
    if (a >> 24 == 0)
        return "unspecified";
    return a >> 28 >= 0xe ? "multicast or reserved" : NULL;
}

static const char *kind_of_v6(const unsigned char *a)
{
    static const unsigned char zeros[16], mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {0, 0x64, 0xff, 0x9b},
                                          aws[16] = {0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
    bool is_v4 = memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0;
    if (is_v4)
        return kind_of_v4((uint32_t)a[12] << 24 | (uint32_t)a[13] << 16 | (uint32_t)a[14] << 8 | a[15]);
    if (memcmp(a, zeros, 15) == 0)
        return a[15] == 1 ? "loopback" : a[15] == 0 ? "unspecified" : NULL;
    if ((a[0] == 0xfe && (a[1] & 0xc0) == 0x80) || memcmp(a, aws, 16) == 0)
        return "link-local or a metadata service";
    return a[0] == 0xff ? "multicast" : NULL;
}

/* Whether the setting's host is that very literal. */
static bool is_named(const char *host, int family, const void *raw, size_t len)
{
    unsigned char named[16];
    return host && inet_pton(family, host, named) == 1 && memcmp(named, raw, len) == 0;
}

static bool is_localhost(const char *host)
{
    size_t len = host ? strlen(host) : 0;
    return len >= 9 && strcmp(host + len - 9, "localhost") == 0 && (len == 9 || host[len - 10] == '.');
}

bool stanch_host__address_ok(const struct stanch_host_place *place, const struct sockaddr *address, char ret_why[300])
{
    char text[INET6_ADDRSTRLEN] = "?";
    const char *kind = "of a family that is not allowed";
    bool named = false;
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        kind = kind_of_v4(ntohl(in->sin_addr.s_addr));
        named = is_named(place->host, AF_INET, &in->sin_addr, 4);
        (void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)address;
        kind = kind_of_v6(in->sin6_addr.s6_addr);
        named = is_named(place->host, AF_INET6, &in->sin6_addr, 16);
        (void)inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
    }
    if (!kind || named || (strcmp(kind, "loopback") == 0 && is_localhost(place->host)))
        return true;
    (void)snprintf(ret_why, 300,
                   "refused: \"%.120s\" leads to %s, which is %s; if that is meant, write the address "
                   "itself into the setting",
                   place->host ? place->host : "", text, kind);
    return false;
}
