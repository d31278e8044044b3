/* transfer.h: one HTTP transfer of a plugin, shared by host_http.c (its life), host_order.c
 * (what was ordered) and host_credential.c (with which credentials). */
#ifndef STANCH_PLUGIN_TRANSFER_H
#define STANCH_PLUGIN_TRANSFER_H
#include "plugin/host.h"
#include <curl/curl.h>

struct stanch_host_transfer {
    struct stanch_host_work work;
    struct stanch_call *call;
    struct stanch_host_http *http;
    const struct stanch_host_place *place;
    void (*on_ended)(struct stanch_call *, void *, const struct stanch_http_exchange *);
    void *ctx;
    CURL *easy;
    struct curl_slist *headers;
    struct stanch_timer *refusal; /* when there was nothing to start: tell it later */
    struct stanch_buf body;
    uint64_t max_body;
    json_t *answer_headers;
    size_t header_bytes;
    char why[400];
    char curl_why[CURL_ERROR_SIZE];
};

/** Set what the order asks for on t->easy. returns false when it cannot be followed: then the refusal is under way. */
bool stanch_host__http_follow(struct stanch_host_transfer *t, const char *url, const struct stanch_http_order *order);
/** Add a header line. returns false when it was refused. */
bool stanch_host__http_header(struct stanch_host_transfer *t, const char *name, const char *value, size_t len);
/** host_credential.c: bearer, basic, secret headers, SigV4, the client's certificate. */
bool stanch_host__http_credentials(struct stanch_host_transfer *t, const struct stanch_http_order *order);
/** The order cannot be followed: ends NOT_SENT, later. */
void stanch_host__http_refuse(struct stanch_host_transfer *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool stanch_host__has_control(const char *text, size_t len);

#endif
