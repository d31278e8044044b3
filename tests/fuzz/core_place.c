/* core_place.c: where a plugin may connect to. Input: a URL on the first line, an address on the second, an IP address on
 * the third. An address that leads to this machine or to a metadata service is refused unless the setting names it. */
#include "plugin/declaration.h"
#include "plugin/host.h"
#include "base/json.h"
#include "fuzz.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const char declaration[] =
    "{\"name\":\"x\",\"version\":\"1\",\"summary\":\"s\",\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\"},\"socket\":{\"type\":\"string\",\"format\":\"address\"}}}";

/* Loopback and the metadata service never without their name. */
static void check_place(const struct stanch_host_place *place, const char *ip)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char why[300] = "";
    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1) {
        bool is_ok = stanch_host__address_ok(place, (const struct sockaddr *)&v4, why);
        bool is_bad = strncmp(ip, "127.", 4) == 0 || strncmp(ip, "169.254.", 8) == 0 || strncmp(ip, "0.", 2) == 0;
        FUZZ_EXPECT(is_ok || why[0]);
        FUZZ_EXPECT(!is_ok || !is_bad || strstr(place->text, ip) || strcasestr(place->text, "localhost"));
    }
    if (inet_pton(AF_INET6, ip, &v6.sin6_addr) == 1)
        FUZZ_EXPECT(stanch_host__address_ok(place, (const struct sockaddr *)&v6, why) || why[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes input = {data, size};
    struct stanch_err err = {0};
    char *url = fuzz_line(&input), *address = fuzz_line(&input), *ip = fuzz_line(&input);
    struct stanch_instance instance = {.declaration = json_loads(declaration, 0, NULL), .settings = json_object()};
    FUZZ_EXPECT(instance.declaration);
    json_t *url_text = json_string(url), *address_text = json_string(address);
    if (url_text)
        json_object_set(instance.settings, "url", url_text);
    if (address_text && *address)
        json_object_set(instance.settings, "socket", address_text);
    if (stanch_declaration_check_settings(instance.declaration, instance.settings, NULL, &err) == 0 &&
        stanch_host__places_collect(&instance, &err) == 0) {
        for (const struct stanch_host_place *place = instance.places; place; place = place->next) {
            FUZZ_EXPECT(place->text && place->scheme);
            if (!place->host)
                continue;
            FUZZ_EXPECT(place->port > 0 && place->port < 65536);
            FUZZ_EXPECT(stanch_host__place_find(&instance, place->scheme, place->host, place->port));
            check_place(place, ip);
        }
    } else {
        FUZZ_EXPECT(err.text[0]);
    }
    stanch_host__places_free(&instance);
    json_decref(url_text);
    json_decref(address_text);
    json_decref(instance.declaration);
    json_decref(instance.settings);
    free(url);
    free(address);
    free(ip);
    return 0;
}
