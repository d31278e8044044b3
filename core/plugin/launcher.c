/* launcher.c: core's side of the process that runs an instance's commands (launch.h).
 *
 * A host gets one end of a link when it is started. What it declares tells whether the settings name commands: then the
 * launcher is started with the other end, else that end is closed. The launcher ends with its host; core waits for that
 * before the host counts as dead, so that nothing of it acts when its calls are called unknown. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/declaration.h"
#include "plugin/registry.h"
#include "plugin/schema.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_GROUPS 16

struct stanch_plugin_launcher {
    struct stanch_plugin_instance *instance;
    struct stanch_child *child;
    int groups[MAX_GROUPS]; /* of commands that are going */
    int group_count;
    bool has_exited, has_closed;
};

int stanch_plugin__link_new(struct stanch_plugin_instance *instance, int *ret_host_fd, struct stanch_err *err)
{
    int ends[2];
    stanch_plugin__link_close(instance);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "no socket pair for the commands of a plugin");
    instance->link_fd = ends[0];
    *ret_host_fd = ends[1];
    return 0;
}

void stanch_plugin__link_close(struct stanch_plugin_instance *instance)
{
    if (instance->link_fd > 0)
        close(instance->link_fd);
    instance->link_fd = 0;
}

static void kill_groups(struct stanch_plugin_launcher *launcher)
{
    for (int i = 0; i < launcher->group_count; i++)
        (void)kill(-launcher->groups[i], SIGKILL);
    launcher->group_count = 0;
}

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_plugin_launcher *launcher = ctx;
    bool is_new = strcmp(stanch_json_str(head, "t", ""), "group") == 0;
    int pid = (int)stanch_json_int(head, "pid", 0), n = 0;
    (void)attachment;
    (void)len;
    if (fd >= 0)
        close(fd);
    for (int i = 0; i < launcher->group_count; i++)
        if (launcher->groups[i] != pid)
            launcher->groups[n++] = launcher->groups[i];
    if (is_new && pid > 1 && n < MAX_GROUPS)
        launcher->groups[n++] = pid;
    launcher->group_count = n;
}

/* Gone when it was reaped and what it said was read to the end: which groups there are counts. */
static void check_gone(struct stanch_plugin_launcher *launcher)
{
    struct stanch_plugin_instance *instance = launcher->instance;
    if (!launcher->has_exited || !launcher->has_closed)
        return;
    stanch_plugin__launcher_free(instance);
    stanch_plugin__launcher_gone(instance);
}

static void on_closed(void *ctx, const struct stanch_err *why)
{
    struct stanch_plugin_launcher *launcher = ctx;
    (void)why;
    launcher->has_closed = true;
    check_gone(launcher);
}

static void on_exit_(void *ctx, int status)
{
    struct stanch_plugin_launcher *launcher = ctx;
    (void)status;
    launcher->has_exited = true;
    check_gone(launcher);
}

static int on_format(void *ctx, const char *format, const char *text, const char *where, struct stanch_err *err)
{
    (void)where;
    (void)err;
    if (strcmp(format, "command") == 0)
        json_array_append_new(ctx, json_string(text));
    return 0;
}

static int start(struct stanch_plugin_instance *instance, const json_t *commands, struct stanch_err *err)
{
    static const struct stanch_child_events events = {{on_frame, on_closed}, on_exit_};
    struct stanch_plugins *plugins = instance->plugins;
    const char *argv[] = {plugins->exe, "plugin-launch", instance->name, NULL};
    const int fds[] = {instance->link_fd, plugins->lock_fd};
    struct stanch_child_spec spec = {.argv = argv, .pass_fds = fds, .pass_count = 2};
    struct stanch_plugin_launcher *launcher = STANCH_NEW(struct stanch_plugin_launcher);
    launcher->instance = instance;
    int rc = stanch_child_start(plugins->loop, &spec, &events, launcher, &launcher->child, err);
    if (rc < 0) {
        free(launcher);
        return rc;
    }
    instance->launcher = launcher;
    json_t *head = json_pack("{s:s, s:O, s:s}", "t", "open", "commands", commands, "dir", "/");
    rc = stanch_channel_send(stanch_child_channel(launcher->child), head, NULL, 0, err);
    json_decref(head);
    return rc;
}

int stanch_plugin__launcher_start(struct stanch_plugin_instance *instance, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *commands = json_array();
    STANCH_AUTO_JSON json_t *schema = stanch_declaration_settings_schema(instance->declaration);
    (void)stanch_schema_each_format(schema, instance->settings, "settings", on_format, commands, err);
    int rc = json_array_size(commands) ? start(instance, commands, err) : 0;
    stanch_plugin__link_close(instance);
    return rc;
}

void stanch_plugin__launcher_kill(struct stanch_plugin_instance *instance)
{
    if (!instance->launcher)
        return;
    kill_groups(instance->launcher);
    stanch_child_kill(instance->launcher->child);
}

void stanch_plugin__launcher_free(struct stanch_plugin_instance *instance)
{
    struct stanch_plugin_launcher *launcher = STANCH_TAKE(instance->launcher);
    if (!launcher)
        return;
    kill_groups(launcher);
    stanch_child_leave(launcher->child); /* it knows best what it started, and ends that first */
    free(launcher);
}

int stanch_plugin__launcher_pid(const struct stanch_plugin_instance *instance)
{
    return instance->launcher ? stanch_child_pid(instance->launcher->child) : 0;
}
