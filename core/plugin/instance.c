/* instance.c: the life of an instance's host.
 *
 *            start                hello
 *   DOWN ------------> STARTING --------> UP
 *    ^  <--back-off--.    |  \            |
 *    |               |    |   \ failed    | closed, exited, garbage, hung
 *    |               |    v    \          v
 *    |            DYING <-------\------ (killed)
 *    |               |           \
 *    '---------------+------------+--> DISABLED (5 deaths in 10 minutes, or the plugin refused to be opened)
 *
 * A death is over when the process was reaped and its channel read to the end: an answer that the host gave
 * before it died still counts. Only then its other calls become unknown. */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "plugin/declaration.h"
#include "plugin/registry.h"
#include "plugin/secret_open.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_BACKOFF_MS 250
#define MAX_BACKOFF_MS   30000
#define DRAIN_MS         200
#define MAX_SECRETS      24
#define LOG_WINDOW_MS    10000
#define LOG_LINES        200

static void start_again(void *ctx);

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = stanch_strdup(value);
}

static void set_state(struct stanch_plugin_instance *instance, enum stanch_plugin_state state, const char *why)
{
    instance->state = state;
    set_text(&instance->why, why);
    stanch_plugin__changed(instance);
}

static void report_first(struct stanch_plugin_instance *instance, int code, const char *why)
{
    struct stanch_err err;
    stanch_err_set(&err, code, "%s", why);
    stanch_plugin__err_where(&err, instance->line, instance->plugin, instance->name);
    stanch_plugin__first_failed(instance, &err);
}

/* ---- death ---- */

/* Remember this death; forget those outside of the window. Returns how many are in it. */
static int count_death(struct stanch_plugin_instance *instance)
{
    int64_t now = stanch_loop_mono_ms(instance->plugins->loop), kept[STANCH_PLUGIN_MAX_DEATHS];
    int n = 0;
    for (int i = 0; i < instance->death_count; i++)
        if (now - instance->deaths_mono_ms[i] < STANCH_PLUGIN_DEATH_WINDOW && n < STANCH_PLUGIN_MAX_DEATHS - 1)
            kept[n++] = instance->deaths_mono_ms[i];
    kept[n++] = now;
    memcpy(instance->deaths_mono_ms, kept, (size_t)n * sizeof *kept);
    instance->death_count = n;
    return n;
}

static int64_t backoff_ms(int deaths)
{
    int64_t ms = FIRST_BACKOFF_MS;
    for (int i = 1; i < deaths && ms < MAX_BACKOFF_MS; i++)
        ms *= 2;
    return ms < MAX_BACKOFF_MS ? ms : MAX_BACKOFF_MS;
}

static void after_death(struct stanch_plugin_instance *instance, const char *why)
{
    STANCH_AUTO_FREE char *text = NULL;
    int deaths = count_death(instance);
    if (instance->refuses) {
        set_state(instance, STANCH_PLUGIN_DISABLED, why);
    } else if (deaths >= STANCH_PLUGIN_MAX_DEATHS) {
        text = stanch_asprintf("died %d times within 10 minutes, last: %s", deaths, why);
        set_state(instance, STANCH_PLUGIN_DISABLED, text);
    } else {
        instance->timer = stanch_timer_start(instance->plugins->loop, backoff_ms(deaths), start_again, instance);
        set_state(instance, STANCH_PLUGIN_DOWN, why);
    }
}

static void on_dead(struct stanch_plugin_instance *instance)
{
    STANCH_AUTO_FREE char *why = STANCH_TAKE(instance->death_why);
    stanch_timer_stop(instance->plugins->loop, &instance->timer);
    stanch_child_free(STANCH_TAKE(instance->child));
    stanch_plugin__note_hosts(instance->plugins);
    stanch_log(STANCH_LOG_DEBUG, "plugin", "host is gone instance=%s why=\"%s\"", instance->name, why);
    instance->state = STANCH_PLUGIN_DOWN; /* calls that are made from the answers below are refused */
    stanch_plugin__calls_lost(instance, why);
    after_death(instance, why);
    report_first(instance, instance->refuses ? STANCH_E_INVALID : STANCH_E_CRASHED, why);
}

static void check_dead(struct stanch_plugin_instance *instance);

static void on_drained(void *ctx)
{
    struct stanch_plugin_instance *instance = ctx;
    instance->timer = NULL;
    instance->has_closed = true;
    check_dead(instance);
}

static void on_launcher_late(void *ctx)
{
    struct stanch_plugin_instance *instance = ctx;
    instance->timer = NULL;
    stanch_plugin__launcher_kill(instance);
}

static void check_dead(struct stanch_plugin_instance *instance)
{
    if (instance->has_exited && instance->has_closed && instance->launcher) {
        stanch_timer_stop(instance->plugins->loop, &instance->timer); /* it saw its host go; on_exit comes back here */
        instance->timer =
            stanch_timer_start(instance->plugins->loop, STANCH_PLUGIN_LAUNCHER_MS, on_launcher_late, instance);
    } else if (instance->has_exited && instance->has_closed) {
        on_dead(instance);
    } else if (instance->has_exited) { /* somebody else holds its end of the channel: not for long */
        stanch_timer_stop(instance->plugins->loop, &instance->timer);
        instance->timer = stanch_timer_start(instance->plugins->loop, DRAIN_MS, on_drained, instance);
    }
}

void stanch_plugin__launcher_gone(struct stanch_plugin_instance *instance)
{
    stanch_plugin__note_hosts(instance->plugins);
    if (instance->has_exited && instance->has_closed && instance->child)
        check_dead(instance);
    else
        stanch_plugin__kill(instance, "the process that runs its commands ended");
}

void stanch_plugin__kill(struct stanch_plugin_instance *instance, const char *fmt, ...)
{
    va_list args;
    char why[1100];
    if (!instance->child || instance->state == STANCH_PLUGIN_DYING)
        return;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    set_text(&instance->death_why, why);
    stanch_timer_stop(instance->plugins->loop, &instance->timer);
    instance->state = STANCH_PLUGIN_DYING;
    stanch_child_kill(instance->child);
}

/* ---- frames ---- */

void stanch_plugin__take_hello(struct stanch_plugin_instance *instance, const json_t *hello)
{
    const json_t *declaration = json_object_get(hello, "declaration");
    (void)snprintf(instance->digest, sizeof instance->digest, "%.64s", stanch_json_str(hello, "digest", ""));
    json_decref(instance->declaration);
    json_decref(instance->actions);
    instance->declaration = json_deep_copy(declaration);
    instance->actions = stanch_declaration_actions(declaration);
}

static void on_hello(struct stanch_plugin_instance *instance, const json_t *head)
{
    struct stanch_err err;
    const json_t *declaration = json_object_get(head, "declaration");
    if (instance->state != STANCH_PLUGIN_STARTING) {
        stanch_plugin__kill(instance, "the host said hello a second time");
        return;
    }
    if (stanch_declaration_check(declaration, &err) < 0) {
        stanch_plugin__kill(instance, "the host's declaration is wrong: %s", err.text);
        return;
    }
    stanch_timer_stop(instance->plugins->loop, &instance->timer);
    stanch_plugin__take_hello(instance, head);
    if (stanch_plugin__launcher_start(instance, &err) < 0) {
        stanch_plugin__kill(instance, "its commands could not be prepared: %s", err.text);
        return;
    }
    stanch_plugin__note_hosts(instance->plugins);
    instance->is_first = false;
    set_state(instance, STANCH_PLUGIN_UP, NULL);
}

static void on_failed(struct stanch_plugin_instance *instance, const json_t *head)
{
    instance->refuses = true;
    stanch_plugin__kill(instance, "%s", stanch_json_str(head, "text", "the plugin could not be opened"));
}

/* A plugin that logs without end must not drown the log: some lines a while, then the count of what was left out. */
static bool may_log(struct stanch_plugin_instance *instance)
{
    int64_t now = stanch_loop_mono_ms(instance->plugins->loop);
    if (now - instance->log_since_mono_ms > LOG_WINDOW_MS) {
        if (instance->log_lines > LOG_LINES)
            stanch_log(STANCH_LOG_WARN, "plugin", "%d lines of its log were left out instance=%s",
                       instance->log_lines - LOG_LINES, instance->name);
        instance->log_since_mono_ms = now;
        instance->log_lines = 0;
    }
    return ++instance->log_lines <= LOG_LINES;
}

static void on_log(struct stanch_plugin_instance *instance, const json_t *head)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};
    const char *word = stanch_json_str(head, "level", "info");
    if (!may_log(instance))
        return;
    for (int level = 0; level < 4; level++)
        if (strcmp(word, words[level]) == 0)
            stanch_log((enum stanch_log_level)level, "plugin", "%s instance=%s", stanch_json_str(head, "text", ""),
                       instance->name);
}

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_plugin_instance *instance = ctx;
    const char *kind = stanch_json_str(head, "t", "");
    struct stanch_err err = {0};
    (void)attachment;
    (void)len;
    if (fd >= 0)
        close(fd);
    if (strcmp(kind, "answer") == 0) {
        if (stanch_plugin__answered(instance, head, &err) < 0)
            stanch_plugin__kill(instance, "garbage from the host: %s", err.text);
    } else if (strcmp(kind, "hello") == 0) {
        on_hello(instance, head);
    } else if (strcmp(kind, "failed") == 0 && instance->state == STANCH_PLUGIN_STARTING) {
        on_failed(instance, head);
    } else if (strcmp(kind, "log") == 0) {
        on_log(instance, head);
    } else {
        stanch_plugin__kill(instance, "garbage from the host: a frame of the kind \"%.40s\"", kind);
    }
}

static void on_closed(void *ctx, const struct stanch_err *why)
{
    struct stanch_plugin_instance *instance = ctx;
    instance->has_closed = true;
    if (why->code && why->code != STANCH_E_CRASHED)
        stanch_plugin__kill(instance, "garbage from the host: %s", why->text);
    else if (!instance->has_exited)
        stanch_plugin__kill(instance, "the host closed its channel"); /* or is on its way to exit: on_exit knows more */
    check_dead(instance);
}

char *stanch_plugin__exit_text(int status)
{
    return status > 128 ? stanch_asprintf("the host was ended by signal %d (%s)", status - 128, strsignal(status - 128))
                        : stanch_asprintf("the host ended with exit code %d", status);
}

static void on_exit_(void *ctx, int status)
{
    struct stanch_plugin_instance *instance = ctx;
    bool is_ours = instance->state == STANCH_PLUGIN_DYING && instance->death_why;
    instance->has_exited = true;
    instance->state = STANCH_PLUGIN_DYING;
    if (!is_ours || strcmp(instance->death_why, "the host closed its channel") == 0) {
        STANCH_AUTO_FREE char *text = stanch_plugin__exit_text(status);
        set_text(&instance->death_why, text);
    }
    check_dead(instance);
}

/* ---- start ---- */

static void on_no_hello(void *ctx)
{
    struct stanch_plugin_instance *instance = ctx;
    instance->timer = NULL;
    stanch_plugin__kill(instance, "the host did not say hello within %d s", STANCH_PLUGIN_HELLO_MS / 1000);
}

/* Split the settings: plain ones into `plain`, secrets opened into fds. Returns how many, or an error. */
static int open_secrets(struct stanch_plugin_instance *instance, json_t *plain, json_t *secrets, int *fds,
                        struct stanch_err *err)
{
    const char *name;
    json_t *value;
    int n = 0, rc = 0;
    json_object_foreach(instance->settings, name, value)
    {
        if (!stanch_secret_is(value)) {
            json_object_set(plain, name, value);
            continue;
        }
        STANCH_AUTO_FREE char *where = stanch_asprintf("settings.%s", name);
        if (rc == 0 && n == MAX_SECRETS)
            rc = stanch_err_set(err, STANCH_E_INVALID, "%s: more than %d secrets", where, MAX_SECRETS);
        rc = rc ? rc : stanch_secret_open(value, where, &fds[n], err);
        if (rc == 0) {
            json_array_append_new(secrets, json_pack("{s:s, s:i}", "setting", name, "fd", 4 + n));
            n++;
        }
    }
    if (rc == 0)
        return n;
    while (n > 0)
        close(fds[--n]);
    return rc;
}

static int send_open(struct stanch_plugin_instance *instance, json_t *plain, json_t *secrets, int first_fd,
                     struct stanch_err *err)
{
    json_t *head = json_pack("{s:s, s:s, s:s, s:O, s:O, s:i, s:i}", "t", "open", "so", instance->so_path, "instance",
                             instance->name, "settings", plain, "secrets", secrets, "lock_fd", first_fd, "launch_fd",
                             first_fd + 1);
    if (instance->plugins->state_dir)
        json_object_set_new(head, "state_dir",
                            json_sprintf("%s/plugins/%s", instance->plugins->state_dir, instance->name));
    int rc = stanch_channel_send(stanch_child_channel(instance->child), head, NULL, 0, err);
    json_decref(head);
    return rc;
}

int stanch_plugin__start(struct stanch_plugin_instance *instance, struct stanch_err *err)
{
    static const struct stanch_child_events events = {{on_frame, on_closed}, on_exit_};
    struct stanch_plugins *plugins = instance->plugins;
    STANCH_AUTO_JSON json_t *plain = json_object();
    STANCH_AUTO_JSON json_t *secrets = json_array();
    const char *argv[] = {plugins->exe, "plugin-host", instance->name, NULL};
    int fds[MAX_SECRETS + 2];
    int count = open_secrets(instance, plain, secrets, fds, err);
    if (count < 0)
        return count;
    fds[count] = plugins->lock_fd;
    int rc = stanch_plugin__link_new(instance, &fds[count + 1], err);
    struct stanch_child_spec spec = {.argv = argv, .pass_fds = fds, .pass_count = count + 2};
    if (rc == 0) {
        rc = stanch_child_start(plugins->loop, &spec, &events, instance, &instance->child, err);
        close(fds[count + 1]);
    }
    for (int i = 0; i < count; i++)
        close(fds[i]);
    if (rc < 0)
        return rc;
    instance->has_exited = instance->has_closed = instance->refuses = false;
    instance->state = STANCH_PLUGIN_STARTING;
    instance->timer = stanch_timer_start(plugins->loop, STANCH_PLUGIN_HELLO_MS, on_no_hello, instance);
    json_decref(instance->description);
    instance->description = NULL;
    stanch_plugin__note_hosts(plugins);
    if (send_open(instance, plain, secrets, 4 + count, err) < 0)
        stanch_plugin__kill(instance, "the host could not be told what to open: %s", err->text);
    return 0;
}

static void start_again(void *ctx)
{
    struct stanch_plugin_instance *instance = ctx;
    struct stanch_err err = {0};
    instance->timer = NULL;
    instance->restarts++;
    if (stanch_plugin__start(instance, &err) < 0)
        after_death(instance, err.text);
}

void stanch_plugin__instance_free(struct stanch_plugin_instance *instance)
{
    stanch_timer_stop(instance->plugins->loop, &instance->timer);
    stanch_plugin__calls_drop(instance);
    stanch_child_free(instance->child);
    stanch_plugin__launcher_free(instance);
    stanch_plugin__link_close(instance);
    json_decref(instance->settings);
    json_decref(instance->declaration);
    json_decref(instance->actions);
    json_decref(instance->description);
    free(instance->name);
    free(instance->plugin);
    free(instance->environment);
    free(instance->so_path);
    free(instance->why);
    free(instance->death_why);
    free(instance);
}
