/* inside.h: what the SDK's own files share. Not for plugins. */
#ifndef STANCH_SDK_INSIDE_H
#define STANCH_SDK_INSIDE_H
#include "stanch/sdk.h"

struct sdk_instance {
    const struct stanch_host *host;
    struct stanch_instance *handle;
    const struct sdk_plugin *plugin;
    void *state;
    json_t *settings;
    char *name;
    char *why;
};

struct sdk_chunk { /* memory of a call, newest first */
    struct sdk_chunk *next;
};

struct sdk_call {
    struct sdk_instance *instance;
    struct stanch_call *handle;
    uint32_t op;
    char *action;
    json_t *input;
    json_t *held;          /* values that end with the call */
    json_t *checks;        /* what sdk_check noted; held; or NULL */
    int64_t poll_until_ms; /* of sdk_not_yet; 0: not begun */
    struct sdk_chunk *chunks;
    void *kept;
};

static inline const struct stanch_host *sdk_host(const struct sdk_call *call)
{
    return call->instance->host;
}
static inline struct stanch_text sdk_span(const char *text)
{
    return (struct stanch_text){text, text ? __builtin_strlen(text) : 0};
}
/** A copy of that text which ends with the call. */
char *sdk__copy(struct sdk_call *call, struct stanch_text text);
typedef void (*sdk__http_fn)(struct sdk_call *call, void *ctx, const struct sdk_http_answer *answer);
/** As sdk_http, to that URL, with a pointer of ours. */
void sdk__http_at(struct sdk_call *call, const struct sdk_http_order *order, const char *url, sdk__http_fn fn,
                  void *ctx);
/** As sdk_http_retry, likewise. */
void sdk__retry_at(struct sdk_call *call, const struct sdk_http_order *order, const char *url, sdk__http_fn fn,
                   void *ctx);
/** As sdk_later, likewise. */
void sdk__later(struct sdk_call *call, uint32_t delay_ms, void (*fn)(struct sdk_call *call, void *ctx), void *ctx);
/** The URL that `setting` (NULL: "url") and `path` make. */
const char *sdk__join_url(struct sdk_call *call, const char *setting, const char *path);
/** What an answer that is not 2xx means, as sdk_http_ok tells it. */
const char *sdk__http_meaning(struct sdk_call *call, const struct sdk_http_answer *answer);
/** A random number below `below`; 0 for 0. */
uint32_t sdk__random(uint32_t below);
/** Formatted. new. */
char *sdk__vformat(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));
/** As the functions of stdlib, but the process ends when there is no memory. */
void *sdk__alloc(size_t bytes);
/** Whether objects and arrays are nested deeper than `max`, looking only at brackets outside of texts. */
bool sdk__is_too_deep(const char *json, size_t len, int max);

#endif
