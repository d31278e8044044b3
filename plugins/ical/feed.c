/* feed.c: the feed's bytes: a file, or by HTTP, and what was made of them, kept.
 *
 *   call -> file: as it was when it was read? ------------> kept
 *        -> HTTP: asked for within the last minute? ------> kept
 *                 ask, with ETag and Last-Modified: 304 --> kept, and as good as new
 *                                                   200 --> scan --> kept
 *                 anything else, or no sense in it: the call fails, and says so; an old copy is not passed off as new
 */
#include "ical.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT_MS 60000

struct feed_wait {
    sdk_fn fn;
    uint64_t known; /* what was known when it was asked */
};

static struct ical_state *state_of(struct sdk_call *call)
{
    return sdk_state(call);
}

/* ---- settings ---- */

static int64_t setting_int(const struct sdk_instance *instance, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(sdk_settings(instance), name);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

/* What stands behind `url` is sent as it is. */
static const char *path_why(const struct sdk_instance *instance)
{
    size_t len = 0;
    const char *path = sdk_instance_secret(instance, "secret_path", &len);
    for (size_t i = 0; path && i < len; i++)
        if ((unsigned char)path[i] <= ' ' || (unsigned char)path[i] >= 0x7f)
            return "settings.secret_path: a blank, or a character that no URL has; escape it (%20)";
    if (path && path[0] != '/' && path[0] != '?')
        return "settings.secret_path: it begins with / or ?, and is put behind url";
    return NULL;
}

static const char *settings_why(const struct sdk_instance *instance)
{
    bool has_url = sdk_setting(instance, "url", NULL) != NULL, has_file = sdk_setting(instance, "file", NULL) != NULL;
    bool has_user = sdk_setting(instance, "user", NULL) != NULL, has_password = sdk_has_secret(instance, "password");
    bool has_token = sdk_has_secret(instance, "token");
    if (has_url == has_file)
        return has_url ? "url and file are set: one feed was expected"
                       : "neither url nor file is set: where is the feed?";
    if (has_file && (has_user || has_password || has_token || sdk_has_secret(instance, "secret_path")))
        return "credentials are set, and file: they belong to url";
    if (has_user != has_password)
        return "user and password: set both or none";
    if (has_user && has_token)
        return "token and user are set: one credential was expected";
    return path_why(instance);
}

const char *ical_feed_open(struct sdk_instance *instance, struct ical_state *state)
{
    const char *why = settings_why(instance), *zone = sdk_setting(instance, "timezone", NULL);
    struct ical_why zone_why;
    if (why)
        return why;
    state->file = sdk_setting(instance, "file", NULL);
    state->skips = strcmp(sdk_setting(instance, "unreadable", "fail"), "skip") == 0;
    state->limits.max_bytes = setting_int(instance, "max_bytes", 5 << 20);
    state->limits.max_components = setting_int(instance, "max_components", 20000);
    state->limits.max_occurrences = setting_int(instance, "max_occurrences", 10000);
    state->floating = zone ? ical_zone_of_system(zone, &zone_why) : NULL;
    return zone && !state->floating ? sdk_why(instance, "settings.timezone: %s", zone_why.text) : NULL;
}

static void forget(struct ical_state *state)
{
    ical_calendar_free(state->calendar);
    free(state->etag);
    free(state->last_modified);
    state->calendar = NULL;
    state->etag = state->last_modified = NULL;
}

void ical_feed_close(struct ical_state *state)
{
    forget(state);
    if (state->floating)
        ical_zone_done(state->floating);
    free(state->floating);
}

/* ---- what was got ---- */

/* There is no feed. In a check that is a row like others. */
__attribute__((format(printf, 3, 4))) static bool fail(struct sdk_call *call, const char *kind, const char *fmt, ...)
{
    char text[900];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (sdk_op(call) == STANCH_OP_CHECK) {
        sdk_check(call, "feed", false, "%s", text);
        sdk_checked(call);
    } else
        sdk_fail(call, kind, "%s", text);
    return false;
}

/* What is known of the feed is what it says now. */
static void note_fresh(struct sdk_call *call)
{
    struct ical_state *state = state_of(call);
    state->fetched_at_ms = sdk_now_ms(call);
    state->known++;
}

static bool take_bytes(struct sdk_call *call, const char *bytes, size_t len)
{
    struct ical_state *state = state_of(call);
    struct ical_why why;
    struct ical_calendar *calendar = ical_scan(bytes, len, &state->limits, state->floating, &why);
    if (!calendar)
        return fail(call, why.kind, "the feed can't be read: %s", why.text);
    forget(state);
    state->calendar = calendar;
    note_fresh(call);
    return true;
}

/* ---- a file ---- */

static bool fail_file(struct sdk_call *call, int error)
{
    const char *kind = error == ENOENT || error == ENOTDIR ? "not-found" : error == EACCES ? "forbidden" : "system";
    return fail(call, kind, "the file %.500s: %s", state_of(call)->file, strerror(error));
}

static bool read_file(struct sdk_call *call, int fd, int64_t size)
{
    char *bytes = malloc((size_t)size + 1);
    size_t got = 0;
    ssize_t some = 1;
    if (!bytes)
        abort();
    while (some > 0 && got < (size_t)size) {
        some = read(fd, bytes + got, (size_t)size - got);
        got += some > 0 ? (size_t)some : 0;
    }
    bool ok = some < 0 ? fail_file(call, errno) : take_bytes(call, bytes, got);
    free(bytes);
    return ok;
}

/* A FIFO would never end; what is too large is not read. */
static bool use_file(struct sdk_call *call, int fd)
{
    struct ical_state *state = state_of(call);
    struct stat about;
    if (fstat(fd, &about) < 0)
        return fail_file(call, errno);
    if (!S_ISREG(about.st_mode))
        return fail(call, "system", "%.500s is no plain file", state->file);
    const int64_t id[5] = {(int64_t)about.st_dev, (int64_t)about.st_ino, about.st_size, about.st_mtim.tv_sec,
                           about.st_mtim.tv_nsec};
    if (state->calendar && memcmp(id, state->file_id, sizeof id) == 0) {
        note_fresh(call);
        return true;
    }
    if (about.st_size > state->limits.max_bytes)
        return fail(call, "too-large", "the file %.500s has %lld bytes, over %lld (the setting max_bytes)", state->file,
                    (long long)about.st_size, (long long)state->limits.max_bytes);
    if (!read_file(call, fd, about.st_size))
        return false;
    memcpy(state->file_id, id, sizeof id);
    return true;
}

static void ask_file(struct sdk_call *call, sdk_fn fn)
{
    int fd = open(state_of(call)->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool ok = fd >= 0 ? use_file(call, fd) : fail_file(call, errno);
    if (fd >= 0)
        (void)close(fd);
    if (ok)
        fn(call);
}

/* ---- HTTP ---- */

/* A header for a later question, when it can be sent as it came. new, or NULL */
static char *header_of(const struct sdk_http_answer *answer, const char *name)
{
    const char *value = json_string_value(json_object_get(answer->headers, name));
    size_t len = value ? strlen(value) : 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < ' ' || (unsigned char)value[i] == 0x7f)
            return NULL;
    return len > 0 && len <= ICAL_MAX_TEXT ? ical_copy(value, len) : NULL;
}

static void on_answer(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct ical_state *state = state_of(call);
    const struct feed_wait *wait = sdk_kept(call);
    if (state->known != wait->known) { /* another call was faster, and its answer is as new */
        wait->fn(call);
        return;
    }
    if (answer->ended == STANCH_HTTP_ANSWERED && answer->status == 304 && state->calendar) {
        note_fresh(call);
        wait->fn(call);
        return;
    }
    if (sdk_op(call) == STANCH_OP_CHECK && (answer->status < 200 || answer->status > 299)) {
        (void)sdk_check_http(call, "feed", answer);
        sdk_checked(call);
        return;
    }
    if (!sdk_http_ok(call, answer) || !take_bytes(call, answer->body, answer->body_len))
        return;
    state->etag = header_of(answer, "etag");
    state->last_modified = header_of(answer, "last-modified");
    wait->fn(call);
}

static void ask_http(struct sdk_call *call, sdk_fn fn)
{
    struct ical_state *state = state_of(call);
    struct feed_wait *wait = sdk_memory(call, sizeof *wait);
    json_t *headers = json_pack("{s:s}", "Accept", "text/calendar");
    wait->fn = fn;
    wait->known = state->known;
    sdk_keep(call, wait);
    if (state->calendar && state->etag)
        json_object_set_new(headers, "If-None-Match", json_string(state->etag));
    if (state->calendar && state->last_modified)
        json_object_set_new(headers, "If-Modified-Since", json_string(state->last_modified));
    sdk_http_retry(call,
                   &(struct sdk_http_order){.path = sdk_secret(call, "secret_path"),
                                            .headers = headers,
                                            .bearer = "token",
                                            .basic_user = "user",
                                            .basic_password = "password",
                                            .max_body = (uint64_t)state->limits.max_bytes + 1},
                   on_answer);
}

void ical_feed(struct sdk_call *call, sdk_fn fn)
{
    struct ical_state *state = state_of(call);
    int64_t age = sdk_now_ms(call) - state->fetched_at_ms;
    if (state->file)
        ask_file(call, fn);
    else if (state->calendar && age >= 0 && age < KEPT_MS && sdk_op(call) != STANCH_OP_CHECK)
        fn(call);
    else
        ask_http(call, fn);
}
