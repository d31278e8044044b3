/* pages.c: all pages of a list, by the token of the answer or by its header Link (RFC 8288). */
#include "inside.h"
#include <string.h>
#include <strings.h>

#define DEFAULT_PAGES 100u
#define MAX_ITEMS     200000u

struct walk {
    struct sdk_pages pages; /* its texts live as long as the call; the order's values are held */
    const char *first;      /* the first page's URL */
    uint32_t count;
    json_t *items; /* held */
    void (*fn)(struct sdk_call *call, json_t *items);
};

static void on_page(struct sdk_call *call, void *ctx, const struct sdk_http_answer *answer);

static void ask(struct sdk_call *call, struct walk *walk, const char *url)
{
    struct sdk_http_order order = walk->pages.order;
    order.headers = walk->pages.order.headers ? json_deep_copy(walk->pages.order.headers) : NULL;
    order.secret_headers = json_incref(walk->pages.order.secret_headers);
    walk->count++;
    sdk__retry_at(call, &order, url, on_page, walk);
}

/* The length of "scheme://host:port" in a URL. */
static size_t origin_len(const char *url)
{
    const char *at = strstr(url, "://");
    return at ? (size_t)(at - url) + 3 + strcspn(at + 3, "/?#") : 0;
}

/* The target in <> of the link whose parameters say rel="next"; NULL when there is none. */
static const char *find_next(struct sdk_call *call, const char *link)
{
    while (link && *link) {
        const char *open = strchr(link, '<'), *close = open ? strchr(open, '>') : NULL;
        if (!close)
            return NULL;
        const char *end = strchr(close, '<'); /* of this link's parameters */
        const char *params = sdk_text(call, "%.*s", (int)(end ? (size_t)(end - close) : strlen(close)), close);
        if (strcasestr(params, "rel=\"next\"") || strcasestr(params, "rel=next"))
            return sdk_text(call, "%.*s", (int)(close - open - 1), open + 1);
        link = end;
    }
    return NULL;
}

/* ret: the next page's URL; NULL: this was the last. returns false when the call was answered. */
static bool next_by_link(struct sdk_call *call, struct walk *walk, const struct sdk_http_answer *answer,
                         const char **ret)
{
    const char *next = find_next(call, json_string_value(json_object_get(answer->headers, "link")));
    size_t origin = origin_len(walk->first);
    *ret = NULL;
    if (!next)
        return true;
    if (next[0] == '/' && next[1] != '/') {
        *ret = sdk_text(call, "%.*s%s", (int)origin, walk->first, next);
    } else if (origin_len(next) == origin && strncasecmp(next, walk->first, origin) == 0) {
        *ret = next;
    } else {
        sdk_fail(call, "protocol", "the next page is said to be at %.200s, which is another place than the setting's",
                 next);
        return false;
    }
    return true;
}

static const char *next_by_token(struct sdk_call *call, struct walk *walk, const json_t *page)
{
    const json_t *value = sdk_json_at(page, walk->pages.token);
    const char *token = json_string_value(value);
    if (json_is_integer(value))
        token = sdk_text(call, "%lld", (long long)json_integer_value(value));
    if (!token || !*token)
        return NULL;
    return sdk_text(call, "%s%c%s=%s", walk->first, strchr(walk->first, '?') ? '&' : '?',
                    sdk_escape(call, walk->pages.token_param), sdk_escape(call, token));
}

static void on_page(struct sdk_call *call, void *ctx, const struct sdk_http_answer *answer)
{
    struct walk *walk = ctx;
    const char *next = NULL;
    const json_t *page = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    if (!page)
        return;
    const json_t *items = sdk_json_at(page, walk->pages.items);
    if (items && !json_is_array(items) && !json_is_null(items)) {
        sdk_fail(call, "protocol", "the remote's page has no list at \"%s\"", walk->pages.items);
        return;
    }
    json_array_extend(walk->items, (json_t *)(uintptr_t)items);
    if (walk->pages.token)
        next = next_by_token(call, walk, page);
    else if (!next_by_link(call, walk, answer, &next))
        return;
    if (!next)
        walk->fn(call, walk->items);
    else if (walk->count >= walk->pages.max_pages || json_array_size(walk->items) > MAX_ITEMS)
        sdk_fail(call, "too-large", "the remote's list has more than %u pages or %u entries", walk->pages.max_pages,
                 MAX_ITEMS);
    else
        ask(call, walk, next);
}

void sdk_http_pages(struct sdk_call *call, const struct sdk_pages *pages,
                    void (*fn)(struct sdk_call *call, json_t *items))
{
    struct walk *walk = sdk_memory(call, sizeof *walk);
    walk->pages = *pages;
    walk->first = sdk__join_url(call, pages->order.setting, pages->order.path);
    walk->pages.max_pages = pages->max_pages ? pages->max_pages : DEFAULT_PAGES;
    walk->pages.items = sdk_text(call, "%s", pages->items ? pages->items : "");
    walk->items = sdk_hold(call, json_array());
    walk->fn = fn;
    if (pages->order.headers)
        sdk_hold(call, pages->order.headers);
    if (pages->order.secret_headers)
        sdk_hold(call, pages->order.secret_headers);
    ask(call, walk, walk->first);
}
